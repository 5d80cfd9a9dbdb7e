quick/obj/user/kern/host.o: user/kern/host.c user/kern/host.h \
 user/base/ports.h user/kern/mounts.h user/model/event.h \
 include/portlife/event.h
user/kern/host.h:
user/base/ports.h:
user/kern/mounts.h:
user/model/event.h:
include/portlife/event.h:
