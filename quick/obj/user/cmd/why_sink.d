quick/obj/user/cmd/why_sink.o: user/cmd/why_sink.c user/base/json.h \
 user/base/str.h user/cmd/why.h user/base/opt.h user/base/ports.h \
 user/kern/host.h user/kern/source.h include/portlife/event.h \
 user/kern/hooks.h user/model/why.h user/model/event.h \
 user/out/why_answer.h user/out/facts.h
user/base/json.h:
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
user/out/facts.h:
