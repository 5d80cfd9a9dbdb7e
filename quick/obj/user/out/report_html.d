quick/obj/user/out/report_html.o: user/out/report_html.c \
 user/out/report.h user/model/pressure.h user/base/ports.h \
 user/model/event.h include/portlife/event.h user/model/report.h \
 user/base/hist.h user/model/report_group.h user/model/report_space.h \
 user/base/json.h user/base/log.h user/base/str.h user/out/report_page.h
user/out/report.h:
user/model/pressure.h:
user/base/ports.h:
user/model/event.h:
include/portlife/event.h:
user/model/report.h:
user/base/hist.h:
user/model/report_group.h:
user/model/report_space.h:
user/base/json.h:
user/base/log.h:
user/base/str.h:
user/out/report_page.h:
