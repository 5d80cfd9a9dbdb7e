quick/obj/user/out/prom_textfile.o: user/out/prom_textfile.c \
 user/out/prom_server.h user/out/prom.h user/base/hist.h \
 user/model/event.h include/portlife/event.h user/base/log.h
user/out/prom_server.h:
user/out/prom.h:
user/base/hist.h:
user/model/event.h:
include/portlife/event.h:
user/base/log.h:
