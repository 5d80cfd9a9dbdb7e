quick/obj/user/kern/privilege.o: user/kern/privilege.c \
 user/kern/privilege.h user/base/log.h
user/kern/privilege.h:
user/base/log.h:
