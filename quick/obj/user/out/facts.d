quick/obj/user/out/facts.o: user/out/facts.c user/out/facts.h \
 user/model/event.h include/portlife/event.h user/base/json.h
user/out/facts.h:
user/model/event.h:
include/portlife/event.h:
user/base/json.h:
