quick/obj/user/model/tracker.o: user/model/tracker.c user/model/tracker.h \
 user/model/event.h include/portlife/event.h user/model/lease.h
user/model/tracker.h:
user/model/event.h:
include/portlife/event.h:
user/model/lease.h:
