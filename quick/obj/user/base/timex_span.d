quick/obj/user/base/timex_span.o: user/base/timex_span.c \
 user/base/timex.h
user/base/timex.h:
