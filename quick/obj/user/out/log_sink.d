quick/obj/user/out/log_sink.o: user/out/log_sink.c user/out/log_sink.h \
 user/base/log.h user/model/event.h include/portlife/event.h \
 user/base/clock.h user/base/str.h user/out/facts.h \
 user/out/log_journal.h user/out/log_text.h
user/out/log_sink.h:
user/base/log.h:
user/model/event.h:
include/portlife/event.h:
user/base/clock.h:
user/base/str.h:
user/out/facts.h:
user/out/log_journal.h:
user/out/log_text.h:
