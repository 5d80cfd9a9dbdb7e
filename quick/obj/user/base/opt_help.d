quick/obj/user/base/opt_help.o: user/base/opt_help.c user/base/opt.h \
 user/base/ports.h user/base/str.h
user/base/opt.h:
user/base/ports.h:
user/base/str.h:
