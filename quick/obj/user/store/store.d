quick/obj/user/store/store.o: user/store/store.c user/store/store.h \
 user/model/event.h include/portlife/event.h user/base/clock.h \
 user/store/dict.h user/store/writer.h user/store/carry.h \
 user/store/batch.h user/store/file.h user/store/db.h user/store/dir.h \
 user/store/hot.h user/store/seal.h
user/store/store.h:
user/model/event.h:
include/portlife/event.h:
user/base/clock.h:
user/store/dict.h:
user/store/writer.h:
user/store/carry.h:
user/store/batch.h:
user/store/file.h:
user/store/db.h:
user/store/dir.h:
user/store/hot.h:
user/store/seal.h:
