quick/obj/user/base/opt.o: user/base/opt.c user/base/opt.h \
 user/base/ports.h user/base/clock.h user/base/log.h user/base/parse.h \
 user/base/timex.h
user/base/opt.h:
user/base/ports.h:
user/base/clock.h:
user/base/log.h:
user/base/parse.h:
user/base/timex.h:
