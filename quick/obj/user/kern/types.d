quick/obj/user/kern/types.o: user/kern/types.c user/kern/types.h
user/kern/types.h:
