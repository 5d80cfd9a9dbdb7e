quick/obj/user/base/timex.o: user/base/timex.c user/base/timex.h \
 user/base/parse.h
user/base/timex.h:
user/base/parse.h:
