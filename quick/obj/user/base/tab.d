quick/obj/user/base/tab.o: user/base/tab.c user/base/tab.h \
 user/base/str.h
user/base/tab.h:
user/base/str.h:
