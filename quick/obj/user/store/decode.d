quick/obj/user/store/decode.o: user/store/decode.c user/store/file_priv.h \
 user/store/file.h user/model/event.h include/portlife/event.h \
 user/store/db.h user/store/dir.h
user/store/file_priv.h:
user/store/file.h:
user/model/event.h:
include/portlife/event.h:
user/store/db.h:
user/store/dir.h:
