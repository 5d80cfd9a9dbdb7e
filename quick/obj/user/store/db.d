quick/obj/user/store/db.o: user/store/db.c user/store/db.h \
 user/store/dir.h user/base/str.h
user/store/db.h:
user/store/dir.h:
user/base/str.h:
