quick/obj/user/cmd/why_now.o: user/cmd/why_now.c user/base/clock.h \
 user/base/log.h user/base/str.h user/cmd/cmd.h user/base/opt.h \
 user/base/ports.h user/cmd/why.h user/kern/host.h user/kern/source.h \
 include/portlife/event.h user/kern/hooks.h user/model/why.h \
 user/model/event.h user/out/why_answer.h user/kern/identity.h \
 user/kern/trial.h user/model/ask.h user/model/event_list.h \
 user/out/facts.h
user/base/clock.h:
user/base/log.h:
user/base/str.h:
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
user/kern/identity.h:
user/kern/trial.h:
user/model/ask.h:
user/model/event_list.h:
user/out/facts.h:
