quick/obj/user/store/recover.o: user/store/recover.c user/store/writer.h \
 user/store/carry.h user/store/batch.h user/model/event.h \
 include/portlife/event.h user/store/file.h user/store/db.h \
 user/store/dir.h user/store/hot.h user/store/seal.h user/store/store.h \
 user/base/clock.h user/base/log.h
user/store/writer.h:
user/store/carry.h:
user/store/batch.h:
user/model/event.h:
include/portlife/event.h:
user/store/file.h:
user/store/db.h:
user/store/dir.h:
user/store/hot.h:
user/store/seal.h:
user/store/store.h:
user/base/clock.h:
user/base/log.h:
