quick/obj/user/model/filter.o: user/model/filter.c user/model/filter.h \
 user/base/ports.h user/model/event.h include/portlife/event.h
user/model/filter.h:
user/base/ports.h:
user/model/event.h:
include/portlife/event.h:
