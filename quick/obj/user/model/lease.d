quick/obj/user/model/lease.o: user/model/lease.c user/model/lease.h \
 include/portlife/event.h
user/model/lease.h:
include/portlife/event.h:
