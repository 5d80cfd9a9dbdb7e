quick/obj/user/out/why_say.o: user/out/why_say.c user/base/str.h \
 user/base/timex.h user/out/why_answer.h user/model/why.h \
 user/base/ports.h user/model/event.h include/portlife/event.h
user/base/str.h:
user/base/timex.h:
user/out/why_answer.h:
user/model/why.h:
user/base/ports.h:
user/model/event.h:
include/portlife/event.h:
