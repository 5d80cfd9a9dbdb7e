quick/obj/user/out/why_refusal.o: user/out/why_refusal.c user/base/json.h \
 user/base/str.h user/base/timex.h user/out/facts.h user/model/event.h \
 include/portlife/event.h user/out/why_answer.h user/model/why.h \
 user/base/ports.h
user/base/json.h:
user/base/str.h:
user/base/timex.h:
user/out/facts.h:
user/model/event.h:
include/portlife/event.h:
user/out/why_answer.h:
user/model/why.h:
user/base/ports.h:
