quick/obj/user/store/apply.o: user/store/apply.c user/store/writer.h \
 user/store/carry.h user/store/batch.h user/model/event.h \
 include/portlife/event.h user/store/file.h user/store/db.h \
 user/store/dir.h user/store/hot.h user/store/seal.h user/store/store.h
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
