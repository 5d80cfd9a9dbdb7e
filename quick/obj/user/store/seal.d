quick/obj/user/store/seal.o: user/store/seal.c user/store/seal.h \
 user/store/file.h user/model/event.h include/portlife/event.h \
 user/store/db.h user/store/dir.h user/base/log.h user/store/seal_keys.h \
 user/store/file_priv.h
user/store/seal.h:
user/store/file.h:
user/model/event.h:
include/portlife/event.h:
user/store/db.h:
user/store/dir.h:
user/base/log.h:
user/store/seal_keys.h:
user/store/file_priv.h:
