quick/obj/user/model/event_list.o: user/model/event_list.c \
 user/model/event_list.h user/model/event.h include/portlife/event.h
user/model/event_list.h:
user/model/event.h:
include/portlife/event.h:
