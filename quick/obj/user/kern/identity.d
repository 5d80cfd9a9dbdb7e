quick/obj/user/kern/identity.o: user/kern/identity.c user/kern/identity.h \
 include/portlife/event.h user/model/event.h user/model/workload.h
user/kern/identity.h:
include/portlife/event.h:
user/model/event.h:
user/model/workload.h:
