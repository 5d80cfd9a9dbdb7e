quick/obj/user/kern/selftest.o: user/kern/selftest.c user/base/log.h \
 user/kern/source_priv.h include/portlife/config.h user/kern/source.h \
 include/portlife/event.h user/kern/hooks.h user/kern/types.h \
 quick/include/portlife.skel.h
user/base/log.h:
user/kern/source_priv.h:
include/portlife/config.h:
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/kern/types.h:
quick/include/portlife.skel.h:
