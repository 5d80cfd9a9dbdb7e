quick/obj/user/kern/totals.o: user/kern/totals.c user/kern/source_priv.h \
 include/portlife/config.h user/kern/source.h include/portlife/event.h \
 user/kern/hooks.h user/kern/types.h quick/include/portlife.skel.h
user/kern/source_priv.h:
include/portlife/config.h:
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/kern/types.h:
quick/include/portlife.skel.h:
