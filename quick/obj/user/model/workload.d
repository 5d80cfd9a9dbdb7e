quick/obj/user/model/workload.o: user/model/workload.c \
 user/model/workload.h user/model/event.h include/portlife/event.h
user/model/workload.h:
user/model/event.h:
include/portlife/event.h:
