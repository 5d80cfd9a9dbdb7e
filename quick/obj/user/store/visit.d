quick/obj/user/store/visit.o: user/store/visit.c \
 user/store/history_priv.h user/store/dict.h user/store/file.h \
 user/model/event.h include/portlife/event.h user/store/db.h \
 user/store/dir.h user/store/history.h
user/store/history_priv.h:
user/store/dict.h:
user/store/file.h:
user/model/event.h:
include/portlife/event.h:
user/store/db.h:
user/store/dir.h:
user/store/history.h:
