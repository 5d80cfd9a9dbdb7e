/* SPDX-License-Identifier: GPL-2.0 */
/* Linear probing at most three quarters full; see idslots.h. */
#include "model/idslots.h"

#include <stdlib.h>
#include <string.h>

static size_t home(const struct idslots *s, uint64_t id)
{
	return (id * 0x9e3779b97f4a7c15ULL) >> 20 & (s->cap - 1);
}

struct idslot *idslots_find(const struct idslots *s, uint64_t id)
{
	if (!s->cap || !id)
		return NULL;
	for (size_t i = home(s, id); s->at[i].id; i = (i + 1) & (s->cap - 1))
		if (s->at[i].id == id)
			return &s->at[i];
	return NULL;
}

static struct idslot *take(struct idslots *s, uint64_t id)
{
	size_t i = home(s, id);

	while (s->at[i].id)
		i = (i + 1) & (s->cap - 1);
	s->at[i].id = id;
	s->used++;
	return &s->at[i];
}

static int resize(struct idslots *s, size_t cap)
{
	struct idslots grown = { .at = calloc(cap, sizeof(*grown.at)), .cap = cap };

	if (!grown.at)
		return -1;
	for (size_t i = 0; i < s->cap; i++)
		if (s->at[i].id)
			*take(&grown, s->at[i].id) = s->at[i];
	free(s->at);
	*s = grown;
	return 0;
}

struct idslot *idslots_add(struct idslots *s, uint64_t id)
{
	if ((s->used + 1) * 4 > s->cap * 3 && resize(s, s->cap ? s->cap * 2 : 64))
		return NULL;
	return take(s, id);
}

void idslots_del(struct idslots *s, struct idslot *slot)
{
	size_t mask = s->cap - 1, hole = (size_t)(slot - s->at);

	for (size_t i = (hole + 1) & mask; s->at[i].id; i = (i + 1) & mask) {
		/* May it stand in the hole?  Only if its home is not between hole and here. */
		if (((i - home(s, s->at[i].id)) & mask) < ((i - hole) & mask))
			continue;
		s->at[hole] = s->at[i];
		hole = i;
	}
	memset(&s->at[hole], 0, sizeof(s->at[hole]));
	s->used--;
	/* Memory is given back; when there is none for the smaller one, the larger serves. */
	if (s->cap > 1024 && s->used * 8 < s->cap)
		resize(s, s->cap / 2);
}

void idslots_free(struct idslots *s)
{
	free(s->at);
	memset(s, 0, sizeof(*s));
}
