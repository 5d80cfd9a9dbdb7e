quick/obj/user/store/dir.o: user/store/dir.c user/store/dir.h \
 user/base/log.h
user/store/dir.h:
user/base/log.h:
