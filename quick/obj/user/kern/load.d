quick/obj/user/kern/load.o: user/kern/load.c include/portlife/config.h \
 user/kern/host.h user/base/ports.h user/kern/mounts.h \
 user/kern/source_priv.h user/kern/source.h include/portlife/event.h \
 user/kern/hooks.h user/kern/types.h quick/include/portlife.skel.h
include/portlife/config.h:
user/kern/host.h:
user/base/ports.h:
user/kern/mounts.h:
user/kern/source_priv.h:
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/kern/types.h:
quick/include/portlife.skel.h:
