quick/obj/user/cmd/trace.o: user/cmd/trace.c include/portlife/config.h \
 user/base/clock.h user/base/log.h user/base/opt.h user/base/ports.h \
 user/cmd/cmd.h user/kern/recorder.h user/kern/source.h \
 include/portlife/event.h user/kern/hooks.h user/model/tracker.h \
 user/model/event.h user/model/lease.h user/model/filter.h \
 user/out/jsonl_read.h user/out/stream.h
include/portlife/config.h:
user/base/clock.h:
user/base/log.h:
user/base/opt.h:
user/base/ports.h:
user/cmd/cmd.h:
user/kern/recorder.h:
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/model/tracker.h:
user/model/event.h:
user/model/lease.h:
user/model/filter.h:
user/out/jsonl_read.h:
user/out/stream.h:
