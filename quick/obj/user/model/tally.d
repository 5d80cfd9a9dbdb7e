quick/obj/user/model/tally.o: user/model/tally.c user/model/tally.h \
 user/model/event.h include/portlife/event.h user/model/lease.h
user/model/tally.h:
user/model/event.h:
include/portlife/event.h:
user/model/lease.h:
