quick/obj/user/store/carry.o: user/store/carry.c user/store/carry.h \
 user/store/batch.h user/model/event.h include/portlife/event.h \
 user/store/file.h user/store/db.h user/store/dir.h user/store/dict.h
user/store/carry.h:
user/store/batch.h:
user/model/event.h:
include/portlife/event.h:
user/store/file.h:
user/store/db.h:
user/store/dir.h:
user/store/dict.h:
