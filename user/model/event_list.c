/* SPDX-License-Identifier: GPL-2.0 */
#include "model/event_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char **strings_of(struct event *ev, size_t i)
{
	const char **const all[] = { &ev->exe, &ev->cmdline, &ev->host, &ev->boot_id, &ev->where.cgroup, &ev->where.unit,
				     &ev->where.container_id, &ev->where.pod_uid };

	return i < sizeof(all) / sizeof(all[0]) ? all[i] : NULL;
}

void event_strings_free(struct event *ev)
{
	const char **s;

	for (size_t i = 0; (s = strings_of(ev, i)); i++) {
		free((char *)*s);
		*s = NULL;
	}
}

int event_copy(const struct event *ev, struct event *ret)
{
	struct event from = *ev;
	const char **to;
	int err = 0;

	*ret = from;
	ret->gap = NULL;
	ret->summary = NULL;
	for (size_t i = 0; (to = strings_of(ret, i)); i++) {
		const char *s = *strings_of(&from, i);

		*to = s && !err ? strdup(s) : NULL;
		if (s && !*to)
			err = -ENOMEM;
	}
	if (err)
		event_strings_free(ret);
	return err;
}

int event_list_add(struct event_list *list, const struct event *ev)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 16;
		struct event *grown = realloc(list->at, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->at = grown;
		list->cap = cap;
	}
	if (event_copy(ev, &list->at[list->n]))
		return -ENOMEM;
	list->n++;
	return 0;
}

void event_list_free(struct event_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		event_strings_free(&list->at[i]);
	free(list->at);
	memset(list, 0, sizeof(*list));
}
