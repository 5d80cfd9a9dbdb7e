quick/obj/user/cmd/why_past.o: user/cmd/why_past.c user/base/clock.h \
 user/base/log.h user/base/timex.h user/cmd/cmd.h user/base/opt.h \
 user/base/ports.h user/cmd/why.h user/kern/host.h user/kern/source.h \
 include/portlife/event.h user/kern/hooks.h user/model/why.h \
 user/model/event.h user/out/why_answer.h user/model/event_list.h \
 user/store/history.h
user/base/clock.h:
user/base/log.h:
user/base/timex.h:
user/cmd/cmd.h:
user/base/opt.h:
user/base/ports.h:
user/cmd/why.h:
user/kern/host.h:
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/model/why.h:
user/model/event.h:
user/out/why_answer.h:
user/model/event_list.h:
user/store/history.h:
