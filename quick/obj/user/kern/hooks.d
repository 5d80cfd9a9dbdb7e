quick/obj/user/kern/hooks.o: user/kern/hooks.c user/kern/hooks.h
user/kern/hooks.h:
