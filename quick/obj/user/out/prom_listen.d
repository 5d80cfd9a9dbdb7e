quick/obj/user/out/prom_listen.o: user/out/prom_listen.c \
 user/out/prom_listen.h user/base/log.h user/base/parse.h
user/out/prom_listen.h:
user/base/log.h:
user/base/parse.h:
