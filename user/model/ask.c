/* SPDX-License-Identifier: GPL-2.0 */
/* A list of ports is one port set too many here: an answer is about one port or one range. */
#include "model/ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/types.h>
#include <portlife/event.h>
#include "base/ports.h"

/* Splits "address:port"; the part behind the last ':' outside brackets is the port. */
static int ask_addr(const char *text, size_t len, struct ask *ret, char *why, size_t why_size)
{
	char addr[INET6_ADDRSTRLEN + 2];
	const char *from = text;

	if (len && text[0] == '[' && text[len - 1] == ']') {
		from++;
		len -= 2;
		ret->family = AF_INET6;
	} else {
		ret->family = AF_INET;
	}
	snprintf(addr, sizeof(addr), "%.*s", (int)(len < sizeof(addr) ? len : sizeof(addr) - 1), from);
	if (len >= sizeof(addr) || inet_pton(ret->family, addr, ret->addr) != 1) {
		snprintf(why, why_size, "'%s' is no address; write 10.0.0.5:60303 or [::1]:60303", text);
		return -EINVAL;
	}
	ret->by_addr = true;
	return 0;
}

int ask_parse(const char *text, struct ask *ret, char *why, size_t why_size)
{
	const char *colon = strrchr(text, ':');
	struct ports set = { .count = 0 };
	uint32_t p;
	int err = 0;

	memset(ret, 0, sizeof(*ret));
	if (colon)
		err = ask_addr(text, colon - text, ret, why, why_size);
	if (!err)
		err = ports_parse(colon ? colon + 1 : text, &set, why, why_size);
	if (err)
		return err;
	for (p = 1; p <= 65535 && !ports_has(&set, p); p++)
		;
	ret->lo = p;
	ret->hi = p + set.count - 1;
	if (set.count > 65536 - p || !ports_has(&set, ret->hi) || strchr(text, ',')) {
		snprintf(why, why_size, "'%s': ask for one port or one range", text);
		return -EINVAL;
	}
	return 0;
}

static const uint32_t *addr4(uint8_t family, const uint32_t addr[4])
{
	if (family == AF_INET)
		return &addr[0];
	return !addr[0] && !addr[1] && addr[2] == htonl(0xffff) ? &addr[3] : NULL;
}

bool ask_meets(uint8_t family, const uint32_t addr[4], uint8_t sock_family, const uint32_t laddr[4], uint8_t sock)
{
	const uint32_t *want = addr4(family, addr), *held = addr4(sock_family, laddr);

	if (held)
		return want && (!*held || *held == *want);
	if (!(laddr[0] | laddr[1] | laddr[2] | laddr[3]))
		return !want || !(sock & PL_S_KNOWN) || !(sock & PL_S_V6ONLY);
	return !want && !memcmp(addr, laddr, 16);
}

const char *ask_class(uint16_t port)
{
	return port < 1024 ? "well-known" : port < 49152 ? "registered" : "dynamic";
}

const char *ask_class_range(uint16_t port)
{
	return port < 1024 ? "0-1023" : port < 49152 ? "1024-49151" : "49152-65535";
}
