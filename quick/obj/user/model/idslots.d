quick/obj/user/model/idslots.o: user/model/idslots.c user/model/idslots.h
user/model/idslots.h:
