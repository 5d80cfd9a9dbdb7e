quick/obj/user/model/why_holder.o: user/model/why_holder.c \
 user/model/why.h user/base/ports.h user/model/event.h \
 include/portlife/event.h
user/model/why.h:
user/base/ports.h:
user/model/event.h:
include/portlife/event.h:
