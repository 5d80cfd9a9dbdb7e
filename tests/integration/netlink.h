/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much netlink as the cases need, by hand, because a test machine has no
 * ip(8): an address, a vxlan link, MPTCP endpoints, SOCK_DESTROY.
 * Every function returns 0 or a negative errno, the kernel's own answer.
 */
#ifndef PORTLIFE_TEST_NETLINK_H
#define PORTLIFE_TEST_NETLINK_H

#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* From linux/mptcp.h, which not every set of headers has. */
#define MPTCP_CMD_ADD_ADDR 1
#define MPTCP_CMD_SET_LIMITS 5
#define MPTCP_ATTR_ADDR 1
#define MPTCP_ATTR_RCV_ADD_ADDRS 2
#define MPTCP_ATTR_SUBFLOWS 3
#define MPTCP_ADDR_FAMILY 1
#define MPTCP_ADDR_ADDR4 3
#define MPTCP_ADDR_FLAGS 6
#define MPTCP_FLAG_SUBFLOW (1 << 1)

struct nl_msg {
	struct nlmsghdr h;
	char body[1008];
};

static inline void *nl_put(struct nl_msg *m, const void *data, size_t len)
{
	char *at = (char *)m + NLMSG_ALIGN(m->h.nlmsg_len);

	memcpy(at, data, len);
	m->h.nlmsg_len = NLMSG_ALIGN(m->h.nlmsg_len) + (uint32_t)len;
	return at;
}

static inline struct nl_msg nl_begin(int type, int flags, const void *head, size_t len)
{
	struct nl_msg m = { .h = { .nlmsg_len = sizeof(struct nlmsghdr), .nlmsg_type = (uint16_t)type,
				   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags) } };

	nl_put(&m, head, len);
	return m;
}

static inline struct rtattr *nl_attr(struct nl_msg *m, int type, const void *data, size_t len)
{
	struct rtattr a = { .rta_type = (uint16_t)type, .rta_len = (uint16_t)RTA_LENGTH(len) };
	struct rtattr *at = nl_put(m, &a, sizeof(a));

	if (len)
		nl_put(m, data, len);
	return at;
}

static inline void nl_u32(struct nl_msg *m, int type, uint32_t v)
{
	nl_attr(m, type, &v, sizeof(v));
}

static inline void nl_u16(struct nl_msg *m, int type, uint16_t v)
{
	nl_attr(m, type, &v, sizeof(v));
}

static inline void nl_end(struct nl_msg *m, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)((char *)m + m->h.nlmsg_len - (char *)nest);
}

/* Sends and reads until the acknowledgement; a reply before it goes to `reply`. */
static inline int nl_talk(int protocol, const struct nl_msg *m, struct nl_msg *reply)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), err = -EIO;
	union {
		struct nlmsghdr h;
		char bytes[8192];
	} buf;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (send(fd, m, m->h.nlmsg_len, 0) < 0)
		err = -errno;
	else while ((n = recv(fd, &buf, sizeof(buf), 0)) >= (ssize_t)sizeof(buf.h)) {
		bool acked = false;

		for (struct nlmsghdr *h = &buf.h; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_ERROR) {
				err = ((struct nlmsgerr *)NLMSG_DATA(h))->error;
				acked = true;
			} else if (reply && h->nlmsg_len <= sizeof(*reply)) {
				memcpy(reply, h, h->nlmsg_len);
			}
		}
		if (acked)
			break;
	}
	close(fd);
	return err;
}

static inline int add_loopback_addr(const char *ip)
{
	struct ifaddrmsg head = { .ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = 1 };
	struct nl_msg m = nl_begin(RTM_NEWADDR, NLM_F_CREATE, &head, sizeof(head));
	struct in_addr addr;

	inet_pton(AF_INET, ip, &addr);
	nl_attr(&m, IFA_LOCAL, &addr, sizeof(addr));
	nl_attr(&m, IFA_ADDRESS, &addr, sizeof(addr));
	return nl_talk(NETLINK_ROUTE, &m, NULL);
}

static inline int vxlan_add(const char *name, uint16_t port)
{
	struct ifinfomsg head = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nl_msg m = nl_begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	struct rtattr *info, *data;

	nl_attr(&m, IFLA_IFNAME, name, strlen(name) + 1);
	info = nl_attr(&m, IFLA_LINKINFO, NULL, 0);
	nl_attr(&m, IFLA_INFO_KIND, "vxlan", 6);
	data = nl_attr(&m, IFLA_INFO_DATA, NULL, 0);
	nl_u32(&m, IFLA_VXLAN_ID, 7);
	nl_u16(&m, IFLA_VXLAN_PORT, htons(port));
	nl_end(&m, data);
	nl_end(&m, info);
	return nl_talk(NETLINK_ROUTE, &m, NULL);
}

static inline int link_del(const char *name)
{
	struct ifinfomsg head = { 0 };
	struct nl_msg m = nl_begin(RTM_DELLINK, 0, &head, sizeof(head));

	nl_attr(&m, IFLA_IFNAME, name, strlen(name) + 1);
	return nl_talk(NETLINK_ROUTE, &m, NULL);
}

/* Kills the socket as `ss -K` does.  An empty `remote` is an unconnected socket. */
static inline int sock_destroy(int protocol, uint16_t port, const char *remote, uint16_t rport)
{
	struct inet_diag_req_v2 req = { .sdiag_family = AF_INET, .sdiag_protocol = (uint8_t)protocol, .idiag_states = ~0U };
	struct nl_msg m;

	req.id.idiag_sport = htons(port);
	req.id.idiag_dport = htons(rport);
	req.id.idiag_cookie[0] = req.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	req.id.idiag_src[0] = htonl(INADDR_LOOPBACK);
	if (*remote)
		inet_pton(AF_INET, remote, req.id.idiag_dst);
	m = nl_begin(SOCK_DESTROY, 0, &req, sizeof(req));
	return nl_talk(NETLINK_SOCK_DIAG, &m, NULL);
}

static inline int mptcp_family(void)
{
	struct genlmsghdr head = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 };
	struct nl_msg m = nl_begin(GENL_ID_CTRL, 0, &head, sizeof(head)), reply = { 0 };
	struct rtattr *a;
	int err, len;

	nl_attr(&m, CTRL_ATTR_FAMILY_NAME, "mptcp_pm", 9);
	err = nl_talk(NETLINK_GENERIC, &m, &reply);
	if (err)
		return err;
	len = (int)reply.h.nlmsg_len - (int)NLMSG_LENGTH(GENL_HDRLEN);
	a = (struct rtattr *)((char *)&reply + NLMSG_LENGTH(GENL_HDRLEN));
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == CTRL_ATTR_FAMILY_ID)
			return *(uint16_t *)RTA_DATA(a);
	}
	return -ENOENT;
}

/* Lets connections of this namespace open a further subflow from `ip`. */
static inline int mptcp_add_subflow_addr(const char *ip)
{
	struct genlmsghdr limits = { .cmd = MPTCP_CMD_SET_LIMITS, .version = 1 }, add = { .cmd = MPTCP_CMD_ADD_ADDR, .version = 1 };
	int family = mptcp_family(), err;
	struct in_addr addr;
	struct rtattr *nest;
	struct nl_msg m;

	if (family < 0)
		return family;
	m = nl_begin(family, 0, &limits, sizeof(limits));
	nl_u32(&m, MPTCP_ATTR_RCV_ADD_ADDRS, 2);
	nl_u32(&m, MPTCP_ATTR_SUBFLOWS, 2);
	err = nl_talk(NETLINK_GENERIC, &m, NULL);
	if (err)
		return err;
	inet_pton(AF_INET, ip, &addr);
	m = nl_begin(family, 0, &add, sizeof(add));
	nest = nl_attr(&m, MPTCP_ATTR_ADDR | NLA_F_NESTED, NULL, 0);
	nl_u16(&m, MPTCP_ADDR_FAMILY, AF_INET);
	nl_attr(&m, MPTCP_ADDR_ADDR4, &addr, sizeof(addr));
	nl_u32(&m, MPTCP_ADDR_FLAGS, MPTCP_FLAG_SUBFLOW);
	nl_end(&m, nest);
	return nl_talk(NETLINK_GENERIC, &m, NULL);
}

#endif
