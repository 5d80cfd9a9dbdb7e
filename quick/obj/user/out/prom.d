quick/obj/user/out/prom.o: user/out/prom.c user/out/prom.h \
 user/base/hist.h user/model/event.h include/portlife/event.h \
 user/base/str.h
user/out/prom.h:
user/base/hist.h:
user/model/event.h:
include/portlife/event.h:
user/base/str.h:
