quick/obj/user/out/facts_face.o: user/out/facts_face.c user/out/facts.h \
 user/model/event.h include/portlife/event.h user/base/json.h \
 user/base/str.h user/base/timex.h
user/out/facts.h:
user/model/event.h:
include/portlife/event.h:
user/base/json.h:
user/base/str.h:
user/base/timex.h:
