quick/obj/user/cmd/doctor.o: user/cmd/doctor.c user/base/clock.h \
 user/base/json.h user/base/log.h user/base/opt.h user/base/ports.h \
 user/base/str.h user/base/tab.h user/cmd/cmd.h user/kern/host.h \
 user/kern/recorder.h user/kern/source.h include/portlife/event.h \
 user/kern/hooks.h user/model/tracker.h user/model/event.h \
 user/model/lease.h
user/base/clock.h:
user/base/json.h:
user/base/log.h:
user/base/opt.h:
user/base/ports.h:
user/base/str.h:
user/base/tab.h:
user/cmd/cmd.h:
user/kern/host.h:
user/kern/recorder.h:
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/model/tracker.h:
user/model/event.h:
user/model/lease.h:
