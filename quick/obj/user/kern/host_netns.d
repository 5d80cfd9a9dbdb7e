quick/obj/user/kern/host_netns.o: user/kern/host_netns.c user/kern/host.h \
 user/base/ports.h
user/kern/host.h:
user/base/ports.h:
