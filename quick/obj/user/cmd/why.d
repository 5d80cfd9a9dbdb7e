quick/obj/user/cmd/why.o: user/cmd/why.c user/base/clock.h \
 user/base/log.h user/cmd/cmd.h user/base/opt.h user/base/ports.h \
 user/cmd/why.h user/kern/host.h user/kern/source.h \
 include/portlife/event.h user/kern/hooks.h user/model/why.h \
 user/model/event.h user/out/why_answer.h
user/base/clock.h:
user/base/log.h:
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
