quick/obj/user/cmd/why_explain.o: user/cmd/why_explain.c \
 user/base/clock.h user/base/str.h user/cmd/why.h user/base/opt.h \
 user/base/ports.h user/kern/host.h user/kern/source.h \
 include/portlife/event.h user/kern/hooks.h user/model/why.h \
 user/model/event.h user/out/why_answer.h user/model/event_list.h
user/base/clock.h:
user/base/str.h:
user/cmd/why.h:
user/base/opt.h:
user/base/ports.h:
user/kern/host.h:
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/model/why.h:
user/model/event.h:
user/out/why_answer.h:
user/model/event_list.h:
