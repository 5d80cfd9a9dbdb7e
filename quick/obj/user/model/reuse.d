quick/obj/user/model/reuse.o: user/model/reuse.c user/model/reuse.h
user/model/reuse.h:
