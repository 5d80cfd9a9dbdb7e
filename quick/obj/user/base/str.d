quick/obj/user/base/str.o: user/base/str.c user/base/str.h
user/base/str.h:
