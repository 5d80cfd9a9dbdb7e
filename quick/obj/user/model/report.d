quick/obj/user/model/report.o: user/model/report.c user/model/report.h \
 user/base/hist.h user/model/event.h include/portlife/event.h \
 user/model/report_group.h user/model/report_space.h \
 user/model/event_list.h
user/model/report.h:
user/base/hist.h:
user/model/event.h:
include/portlife/event.h:
user/model/report_group.h:
user/model/report_space.h:
user/model/event_list.h:
