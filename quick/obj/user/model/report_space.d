quick/obj/user/model/report_space.o: user/model/report_space.c \
 user/model/report_space.h user/model/event.h include/portlife/event.h
user/model/report_space.h:
user/model/event.h:
include/portlife/event.h:
