quick/obj/user/cmd/who.o: user/cmd/who.c user/base/clock.h \
 user/base/log.h user/base/opt.h user/base/ports.h user/base/str.h \
 user/cmd/cmd.h user/kern/host.h user/kern/identity.h \
 include/portlife/event.h user/model/event.h user/kern/source.h \
 user/kern/hooks.h user/model/ask.h user/model/event_list.h \
 user/out/answer.h user/out/facts.h user/store/history.h
user/base/clock.h:
user/base/log.h:
user/base/opt.h:
user/base/ports.h:
user/base/str.h:
user/cmd/cmd.h:
user/kern/host.h:
user/kern/identity.h:
include/portlife/event.h:
user/model/event.h:
user/kern/source.h:
user/kern/hooks.h:
user/model/ask.h:
user/model/event_list.h:
user/out/answer.h:
user/out/facts.h:
user/store/history.h:
