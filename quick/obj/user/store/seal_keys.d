quick/obj/user/store/seal_keys.o: user/store/seal_keys.c \
 user/store/seal_keys.h user/store/file_priv.h user/store/file.h \
 user/model/event.h include/portlife/event.h user/store/db.h \
 user/store/dir.h user/store/dict.h
user/store/seal_keys.h:
user/store/file_priv.h:
user/store/file.h:
user/model/event.h:
include/portlife/event.h:
user/store/db.h:
user/store/dir.h:
user/store/dict.h:
