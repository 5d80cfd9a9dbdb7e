quick/obj/user/store/retain.o: user/store/retain.c user/store/seal.h \
 user/store/file.h user/model/event.h include/portlife/event.h \
 user/store/db.h user/store/dir.h user/base/log.h
user/store/seal.h:
user/store/file.h:
user/model/event.h:
include/portlife/event.h:
user/store/db.h:
user/store/dir.h:
user/base/log.h:
