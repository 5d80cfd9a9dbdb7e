quick/obj/user/out/log_text.o: user/out/log_text.c user/out/log_text.h \
 user/base/log.h user/model/event.h include/portlife/event.h \
 user/base/json.h user/base/str.h user/base/timex.h
user/out/log_text.h:
user/base/log.h:
user/model/event.h:
include/portlife/event.h:
user/base/json.h:
user/base/str.h:
user/base/timex.h:
