quick/obj/user/model/why_bind.o: user/model/why_bind.c user/model/why.h \
 user/base/ports.h user/model/event.h include/portlife/event.h
user/model/why.h:
user/base/ports.h:
user/model/event.h:
include/portlife/event.h:
