quick/obj/user/store/schema.o: user/store/schema.c user/store/db.h \
 user/store/dir.h
user/store/db.h:
user/store/dir.h:
