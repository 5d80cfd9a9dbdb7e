quick/obj/user/out/stream_table.o: user/out/stream_table.c \
 user/out/stream_table.h user/model/event.h include/portlife/event.h \
 user/base/str.h user/base/timex.h
user/out/stream_table.h:
user/model/event.h:
include/portlife/event.h:
user/base/str.h:
user/base/timex.h:
