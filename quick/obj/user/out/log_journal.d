quick/obj/user/out/log_journal.o: user/out/log_journal.c \
 user/out/log_journal.h user/base/log.h user/base/str.h \
 user/out/log_text.h user/model/event.h include/portlife/event.h
user/out/log_journal.h:
user/base/log.h:
user/base/str.h:
user/out/log_text.h:
user/model/event.h:
include/portlife/event.h:
