quick/obj/user/model/meter.o: user/model/meter.c user/model/meter.h \
 user/base/hist.h user/model/event.h include/portlife/event.h \
 user/model/tally.h user/model/lease.h user/model/reuse.h
user/model/meter.h:
user/base/hist.h:
user/model/event.h:
include/portlife/event.h:
user/model/tally.h:
user/model/lease.h:
user/model/reuse.h:
