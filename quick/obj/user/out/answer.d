quick/obj/user/out/answer.o: user/out/answer.c user/out/answer.h \
 user/model/ask.h user/model/event.h include/portlife/event.h \
 user/base/json.h user/base/str.h user/base/timex.h user/out/facts.h
user/out/answer.h:
user/model/ask.h:
user/model/event.h:
include/portlife/event.h:
user/base/json.h:
user/base/str.h:
user/base/timex.h:
user/out/facts.h:
