/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the loader tells the BPF programs between open and load (their cfg_*
 * read-only data), and the defaults of the tables' sizes.  Data only.
 */
#ifndef PORTLIFE_CONFIG_H
#define PORTLIFE_CONFIG_H

#define PL_HOLDERS_DEFAULT	(1u << 18)	/* live leases; memory is taken as they come */
#define PL_SHARED_MAX		(1u << 16)	/* leases held by a bound socket and in TIME_WAIT at once */
#define PL_INTENTS_MAX		(1u << 14)	/* places for what a thread inside bind() or connect() asked for */
#define PL_NO_ROOM_MAX		(1u << 10)	/* places for sockets that did not fit the table; a power of two */
#define PL_PENDINGS_MAX		(1u << 14)	/* UDP connects that no return of a system call resolves, of a minute */
#define PL_BIRTHS_MIN		(1u << 13)	/* TIME_WAIT that just begin */
#define PL_BIRTHS_CPU		(1u << 8)	/* of each CPU at least */
#define PL_PROCS_MAX		(1u << 14)	/* executables and cgroups already told */
#define PL_WALKS_MAX		(1u << 10)	/* threads that are just telling a path */
#define PL_TOTALS_MAX		512		/* network namespaces that are counted apart */
#define PL_FLOODS_MAX		256		/* cgroups whose lost records are counted apart */
#define PL_RING_DEFAULT		(8u << 20)
#define PL_RING_MIN		(4u << 10)
#define PL_RING_MAX		(1u << 30)

/* An instruction that calls kernel function 0x504c, by the number that the kernel's BTF gives it; the loader puts that in. */
#define PL_CAST_MARK		0x0000504c00002085

#endif
