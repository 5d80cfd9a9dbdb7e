quick/obj/user/kern/source.o: user/kern/source.c user/kern/source.h \
 include/portlife/event.h user/kern/hooks.h user/base/clock.h \
 user/base/log.h user/kern/identity.h user/model/event.h \
 user/kern/source_priv.h include/portlife/config.h user/kern/types.h \
 quick/include/portlife.skel.h
user/kern/source.h:
include/portlife/event.h:
user/kern/hooks.h:
user/base/clock.h:
user/base/log.h:
user/kern/identity.h:
user/model/event.h:
user/kern/source_priv.h:
include/portlife/config.h:
user/kern/types.h:
quick/include/portlife.skel.h:
