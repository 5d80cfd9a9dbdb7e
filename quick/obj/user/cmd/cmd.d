quick/obj/user/cmd/cmd.o: user/cmd/cmd.c user/cmd/cmd.h user/base/opt.h \
 user/base/ports.h include/portlife/config.h user/base/log.h \
 user/base/parse.h user/kern/recorder.h user/kern/source.h \
 include/portlife/event.h user/kern/hooks.h user/model/tracker.h \
 user/model/event.h user/model/lease.h
user/cmd/cmd.h:
user/base/opt.h:
user/base/ports.h:
include/portlife/config.h:
user/base/log.h:
user/base/parse.h:
user/kern/recorder.h:
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/model/tracker.h:
user/model/event.h:
user/model/lease.h:
