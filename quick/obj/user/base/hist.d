quick/obj/user/base/hist.o: user/base/hist.c user/base/hist.h
user/base/hist.h:
