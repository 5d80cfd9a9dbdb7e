quick/obj/user/model/event.o: user/model/event.c user/model/event.h \
 include/portlife/event.h
user/model/event.h:
include/portlife/event.h:
