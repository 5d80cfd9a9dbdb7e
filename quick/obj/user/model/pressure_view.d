quick/obj/user/model/pressure_view.o: user/model/pressure_view.c \
 user/model/pressure.h user/base/ports.h user/model/event.h \
 include/portlife/event.h user/model/pressure_priv.h user/model/idslots.h
user/model/pressure.h:
user/base/ports.h:
user/model/event.h:
include/portlife/event.h:
user/model/pressure_priv.h:
user/model/idslots.h:
