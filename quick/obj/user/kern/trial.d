quick/obj/user/kern/trial.o: user/kern/trial.c user/kern/trial.h \
 user/kern/host.h user/base/ports.h
user/kern/trial.h:
user/kern/host.h:
user/base/ports.h:
