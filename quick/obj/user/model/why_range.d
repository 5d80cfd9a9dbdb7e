quick/obj/user/model/why_range.o: user/model/why_range.c \
 user/model/event_list.h user/model/event.h include/portlife/event.h \
 user/model/why.h user/base/ports.h
user/model/event_list.h:
user/model/event.h:
include/portlife/event.h:
user/model/why.h:
user/base/ports.h:
