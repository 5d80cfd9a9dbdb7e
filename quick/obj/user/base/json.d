quick/obj/user/base/json.o: user/base/json.c user/base/json.h \
 user/base/str.h user/base/timex.h
user/base/json.h:
user/base/str.h:
user/base/timex.h:
