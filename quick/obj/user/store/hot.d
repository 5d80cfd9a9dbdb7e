quick/obj/user/store/hot.o: user/store/hot.c user/store/hot_priv.h \
 user/store/dict.h user/store/hot.h user/store/batch.h user/model/event.h \
 include/portlife/event.h user/store/db.h user/store/dir.h
user/store/hot_priv.h:
user/store/dict.h:
user/store/hot.h:
user/store/batch.h:
user/model/event.h:
include/portlife/event.h:
user/store/db.h:
user/store/dir.h:
