quick/obj/user/base/opt_file.o: user/base/opt_file.c user/base/opt.h \
 user/base/ports.h user/base/log.h
user/base/opt.h:
user/base/ports.h:
user/base/log.h:
