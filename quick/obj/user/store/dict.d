quick/obj/user/store/dict.o: user/store/dict.c user/store/dict.h
user/store/dict.h:
