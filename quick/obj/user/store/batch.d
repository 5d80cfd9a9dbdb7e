quick/obj/user/store/batch.o: user/store/batch.c user/store/batch.h \
 user/model/event.h include/portlife/event.h
user/store/batch.h:
user/model/event.h:
include/portlife/event.h:
