quick/obj/user/cmd/report.o: user/cmd/report.c include/portlife/config.h \
 user/base/clock.h user/base/log.h user/base/opt.h user/base/ports.h \
 user/base/str.h user/base/timex.h user/cmd/cmd.h user/kern/host.h \
 user/kern/recorder.h user/kern/source.h include/portlife/event.h \
 user/kern/hooks.h user/model/tracker.h user/model/event.h \
 user/model/lease.h user/model/pressure.h user/model/report.h \
 user/base/hist.h user/model/report_group.h user/model/report_space.h \
 user/model/tally.h user/out/report.h user/store/history.h
include/portlife/config.h:
user/base/clock.h:
user/base/log.h:
user/base/opt.h:
user/base/ports.h:
user/base/str.h:
user/base/timex.h:
user/cmd/cmd.h:
user/kern/host.h:
user/kern/recorder.h:
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/model/tracker.h:
user/model/event.h:
user/model/lease.h:
user/model/pressure.h:
user/model/report.h:
user/base/hist.h:
user/model/report_group.h:
user/model/report_space.h:
user/model/tally.h:
user/out/report.h:
user/store/history.h:
