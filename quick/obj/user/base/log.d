quick/obj/user/base/log.o: user/base/log.c user/base/log.h \
 user/base/clock.h user/base/json.h user/base/str.h user/base/timex.h
user/base/log.h:
user/base/clock.h:
user/base/json.h:
user/base/str.h:
user/base/timex.h:
