quick/obj/user/base/ports.o: user/base/ports.c user/base/ports.h \
 user/base/parse.h user/base/str.h
user/base/ports.h:
user/base/parse.h:
user/base/str.h:
