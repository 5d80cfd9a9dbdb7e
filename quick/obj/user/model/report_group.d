quick/obj/user/model/report_group.o: user/model/report_group.c \
 user/model/report_group.h user/model/event.h include/portlife/event.h \
 user/base/hist.h
user/model/report_group.h:
user/model/event.h:
include/portlife/event.h:
user/base/hist.h:
