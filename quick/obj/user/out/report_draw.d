quick/obj/user/out/report_draw.o: user/out/report_draw.c \
 user/out/report_draw.h user/base/str.h
user/out/report_draw.h:
user/base/str.h:
