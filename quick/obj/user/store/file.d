quick/obj/user/store/file.o: user/store/file.c user/store/file_priv.h \
 user/store/file.h user/model/event.h include/portlife/event.h \
 user/store/db.h user/store/dir.h
user/store/file_priv.h:
user/store/file.h:
user/model/event.h:
include/portlife/event.h:
user/store/db.h:
user/store/dir.h:
