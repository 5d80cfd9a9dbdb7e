quick/obj/user/out/report_use.o: user/out/report_use.c user/out/report.h \
 user/model/pressure.h user/base/ports.h user/model/event.h \
 include/portlife/event.h user/model/report.h user/base/hist.h \
 user/model/report_group.h user/model/report_space.h
user/out/report.h:
user/model/pressure.h:
user/base/ports.h:
user/model/event.h:
include/portlife/event.h:
user/model/report.h:
user/base/hist.h:
user/model/report_group.h:
user/model/report_space.h:
