quick/obj/user/out/jsonl_read.o: user/out/jsonl_read.c \
 user/out/jsonl_read.h user/model/event.h include/portlife/event.h \
 user/base/str.h user/out/facts.h user/out/jsonl_field.h \
 user/out/jsonl_summary.h
user/out/jsonl_read.h:
user/model/event.h:
include/portlife/event.h:
user/base/str.h:
user/out/facts.h:
user/out/jsonl_field.h:
user/out/jsonl_summary.h:
