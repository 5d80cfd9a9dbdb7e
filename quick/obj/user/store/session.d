quick/obj/user/store/session.o: user/store/session.c user/store/hot.h \
 user/store/batch.h user/model/event.h include/portlife/event.h \
 user/store/db.h user/store/dir.h
user/store/hot.h:
user/store/batch.h:
user/model/event.h:
include/portlife/event.h:
user/store/db.h:
user/store/dir.h:
