quick/obj/user/base/parse.o: user/base/parse.c user/base/parse.h
user/base/parse.h:
