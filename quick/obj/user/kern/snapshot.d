quick/obj/user/kern/snapshot.o: user/kern/snapshot.c user/base/log.h \
 user/kern/host.h user/base/ports.h user/kern/source_priv.h \
 include/portlife/config.h user/kern/source.h include/portlife/event.h \
 user/kern/hooks.h user/kern/types.h quick/include/portlife.skel.h
user/base/log.h:
user/kern/host.h:
user/base/ports.h:
user/kern/source_priv.h:
include/portlife/config.h:
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/kern/types.h:
quick/include/portlife.skel.h:
