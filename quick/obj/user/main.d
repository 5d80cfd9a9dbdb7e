quick/obj/user/main.o: user/main.c user/base/log.h user/cmd/cmd.h \
 user/base/opt.h user/base/ports.h
user/base/log.h:
user/cmd/cmd.h:
user/base/opt.h:
user/base/ports.h:
