quick/obj/user/out/prom_server.o: user/out/prom_server.c \
 user/out/prom_server.h user/out/prom.h user/base/hist.h \
 user/model/event.h include/portlife/event.h user/base/clock.h \
 user/base/log.h user/base/str.h
user/out/prom_server.h:
user/out/prom.h:
user/base/hist.h:
user/model/event.h:
include/portlife/event.h:
user/base/clock.h:
user/base/log.h:
user/base/str.h:
