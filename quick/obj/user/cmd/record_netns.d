quick/obj/user/cmd/record_netns.o: user/cmd/record_netns.c \
 user/cmd/record.h user/base/opt.h user/base/ports.h \
 user/kern/privilege.h user/kern/recorder.h user/kern/source.h \
 include/portlife/event.h user/kern/hooks.h user/model/tracker.h \
 user/model/event.h user/model/lease.h user/model/meter.h \
 user/base/hist.h user/model/tally.h user/model/pressure.h \
 user/out/log_sink.h user/base/log.h user/out/prom_server.h \
 user/out/prom.h user/out/stream.h user/store/store.h
user/cmd/record.h:
user/base/opt.h:
user/base/ports.h:
user/kern/privilege.h:
user/kern/recorder.h:
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/model/tracker.h:
user/model/event.h:
user/model/lease.h:
user/model/meter.h:
user/base/hist.h:
user/model/tally.h:
user/model/pressure.h:
user/out/log_sink.h:
user/base/log.h:
user/out/prom_server.h:
user/out/prom.h:
user/out/stream.h:
user/store/store.h:
