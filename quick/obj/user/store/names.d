quick/obj/user/store/names.o: user/store/names.c user/store/dir.h
user/store/dir.h:
