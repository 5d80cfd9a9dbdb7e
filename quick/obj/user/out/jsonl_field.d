quick/obj/user/out/jsonl_field.o: user/out/jsonl_field.c \
 user/out/jsonl_field.h user/base/json.h user/base/parse.h \
 user/base/str.h user/base/timex.h
user/out/jsonl_field.h:
user/base/json.h:
user/base/parse.h:
user/base/str.h:
user/base/timex.h:
