quick/obj/user/base/timex_format.o: user/base/timex_format.c \
 user/base/timex.h
user/base/timex.h:
