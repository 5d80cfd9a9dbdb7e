quick/obj/user/store/history.o: user/store/history.c \
 user/store/history_priv.h user/store/dict.h user/store/file.h \
 user/model/event.h include/portlife/event.h user/store/db.h \
 user/store/dir.h user/store/history.h user/base/clock.h user/base/log.h \
 user/store/hot.h user/store/batch.h
user/store/history_priv.h:
user/store/dict.h:
user/store/file.h:
user/model/event.h:
include/portlife/event.h:
user/store/db.h:
user/store/dir.h:
user/store/history.h:
user/base/clock.h:
user/base/log.h:
user/store/hot.h:
user/store/batch.h:
