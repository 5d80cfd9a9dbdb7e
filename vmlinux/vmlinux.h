/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel types that portlife reads, and of them only the fields that it
 * reads.  CO-RE finds each field's true place in the running kernel's BTF when
 * the programs are loaded, so neither the order nor the holes here matter, and
 * building needs no BTF of the build host.  Where a type changed over time the
 * variants are in bpf/compat.h.
 *
 * To look one up: bpftool btf dump file /sys/kernel/btf/vmlinux format c
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
enum { false = 0, true = 1 };

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_NO_COMMON_LRU = 2 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { BPF_RB_AVAIL_DATA = 0, BPF_RB_RING_SIZE = 1 };

/* Socket states, include/net/tcp_states.h. */
enum {
	TCP_ESTABLISHED = 1, TCP_SYN_SENT, TCP_SYN_RECV, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_TIME_WAIT,
	TCP_CLOSE, TCP_CLOSE_WAIT, TCP_LAST_ACK, TCP_LISTEN, TCP_CLOSING, TCP_NEW_SYN_RECV,
};
enum { IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_UDPLITE = 136, IPPROTO_MPTCP = 262 };
enum { BPF_SOCK_OPS_TCP_CONNECT_CB = 3, BPF_SOCK_OPS_TCP_LISTEN_CB = 11 };
#define AF_INET 2
#define AF_INET6 10

/* The contexts of the cgroup programs: uapi, accessed as the verifier lets us. */
struct bpf_sock {
	__u32 bound_dev_if, family, type, protocol;
};
struct bpf_sock_addr {
	__u32 user_family, user_ip4, user_ip6[4], user_port, family, type, protocol;
};
struct bpf_sock_ops {
	__u32 op;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#include "regs.h"

typedef struct { int counter; } atomic_t;
typedef struct { __s64 counter; } atomic64_t;

struct in6_addr {
	union {
		__u32 u6_addr32[4];
	} in6_u;
};
struct in_addr { __be32 s_addr; };
struct sockaddr { __u16 sa_family; };
struct sockaddr_in { __u16 sin_family; __be16 sin_port; struct in_addr sin_addr; };
struct sockaddr_in6 { __u16 sin6_family; __be16 sin6_port; struct in6_addr sin6_addr; };

struct ns_common { unsigned int inum; };
struct local_ports { int range[2]; };
struct netns_ipv4 {
	struct local_ports ip_local_ports;
	unsigned long *sysctl_local_reserved_ports;
};
struct net {
	struct ns_common ns;
	struct netns_ipv4 ipv4;
};
typedef struct { struct net *net; } possible_net_t;

struct sock_common {
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned char skc_reuse:4, skc_reuseport:1, skc_ipv6only:1;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
	unsigned long skc_flags;
	atomic64_t skc_cookie;
};
typedef struct { unsigned int val; } kuid_t;
struct socket;
struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
	__u8 sk_userlocks;
	__u8 sk_kern_sock:1;
	__u8 sk_shutdown;
	int sk_err;
	unsigned long sk_lingertime;
	struct socket *sk_socket;
	kuid_t sk_uid;
};
struct socket {
	short type;
	struct file *file;
	struct sock *sk;
};
struct inet_sock {
	struct sock sk;
	__be16 inet_sport;
};
struct inet_connection_sock { void *icsk_ulp_data; };
struct tcp_sock { __u8 is_mptcp:1; };
struct mptcp_subflow_context { struct sock *conn; };
struct mptcp_sock { struct sock *first; };

struct timer_list {
	unsigned long expires;
	void (*function)(struct timer_list *);
};
struct inet_timewait_sock {
	struct sock_common __tw_common;
	__be16 tw_sport;
	struct timer_list tw_timer;
	struct inet_bind_bucket *tw_tb;
};

struct qstr { const unsigned char *name; };
struct inode { __u16 i_mode; unsigned long i_ino; };
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};
struct vfsmount { struct dentry *mnt_root; };
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
};
struct fdtable { unsigned int max_fds; struct file **fd; };
struct files_struct { struct fdtable *fdt; };
struct mm_struct { struct file *exe_file; };
struct cred { kuid_t uid; };
struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
	__u64 id;
};
struct cgroup { struct kernfs_node *kn; };
struct css_set { struct cgroup *dfl_cgrp; };
struct task_struct {
	unsigned int flags;
	int pid, tgid;
	__u64 start_boottime;
	struct task_struct *real_parent, *group_leader;
	const struct cred *cred;
	struct mm_struct *mm;
	struct files_struct *files;
	struct css_set *cgroups;
	char comm[16];
};

/* Kernel side of the cgroup programs' contexts, include/linux/filter.h. */
struct bpf_sock_ops_kern { struct sock *sk; };
struct bpf_sock_addr_kern { struct sock *sk; struct sockaddr *uaddr; };

struct seq_file { unsigned long size; unsigned long count; };
struct bpf_iter_meta { struct seq_file *seq; };
struct bpf_map;
struct udp_sock { struct inet_sock inet; };
struct bpf_iter__task_file { struct bpf_iter_meta *meta; struct task_struct *task; __u32 fd; struct file *file; };
struct bpf_iter__tcp { struct bpf_iter_meta *meta; struct sock_common *sk_common; };
struct bpf_iter__udp { struct bpf_iter_meta *meta; struct udp_sock *udp_sk; };
struct bpf_iter__bpf_map_elem { struct bpf_iter_meta *meta; struct bpf_map *map; void *key; void *value; };

#pragma clang attribute pop
#endif
