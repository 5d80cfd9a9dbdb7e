quick/obj/user/out/jsonl_summary.o: user/out/jsonl_summary.c \
 user/out/jsonl_summary.h user/model/event.h include/portlife/event.h \
 user/out/jsonl_field.h
user/out/jsonl_summary.h:
user/model/event.h:
include/portlife/event.h:
user/out/jsonl_field.h:
