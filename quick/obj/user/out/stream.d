quick/obj/user/out/stream.o: user/out/stream.c user/out/stream.h \
 user/base/opt.h user/base/ports.h user/model/event.h \
 include/portlife/event.h user/base/clock.h user/base/log.h \
 user/base/str.h user/out/facts.h user/out/stream_table.h
user/out/stream.h:
user/base/opt.h:
user/base/ports.h:
user/model/event.h:
include/portlife/event.h:
user/base/clock.h:
user/base/log.h:
user/base/str.h:
user/out/facts.h:
user/out/stream_table.h:
