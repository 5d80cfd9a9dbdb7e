quick/obj/user/kern/mounts.o: user/kern/mounts.c user/kern/mounts.h
user/kern/mounts.h:
