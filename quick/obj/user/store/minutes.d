quick/obj/user/store/minutes.o: user/store/minutes.c \
 user/store/history_priv.h user/store/dict.h user/store/file.h \
 user/model/event.h include/portlife/event.h user/store/db.h \
 user/store/dir.h user/store/history.h user/base/log.h
user/store/history_priv.h:
user/store/dict.h:
user/store/file.h:
user/model/event.h:
include/portlife/event.h:
user/store/db.h:
user/store/dir.h:
user/store/history.h:
user/base/log.h:
