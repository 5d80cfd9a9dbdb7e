quick/obj/user/kern/recorder.o: user/kern/recorder.c user/kern/recorder.h \
 user/kern/source.h include/portlife/event.h user/kern/hooks.h \
 user/model/tracker.h user/model/event.h user/model/lease.h \
 user/base/clock.h user/base/log.h user/kern/host.h user/base/ports.h \
 user/kern/identity.h
user/kern/recorder.h:
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/model/tracker.h:
user/model/event.h:
user/model/lease.h:
user/base/clock.h:
user/base/log.h:
user/kern/host.h:
user/base/ports.h:
user/kern/identity.h:
