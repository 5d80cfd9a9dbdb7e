quick/obj/user/model/ask.o: user/model/ask.c user/model/ask.h \
 user/base/ports.h
user/model/ask.h:
user/base/ports.h:
