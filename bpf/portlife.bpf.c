/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one BPF object: three tiers of hooks over one set of handlers, and the
 * iterators of the snapshot.  The loader asks the kernel which programs it can
 * have and loads only those.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <portlife/config.h>
#include <portlife/event.h>

#include "maps.h"
#include "compat.h"
#include "emit.h"
#include "path.h"
#include "sock.h"
#include "owner.h"
#include "lease.h"
#include "intent.h"
#include "trampoline.h"
#include "kprobe.h"
#include "tracepoint.h"
#include "snapshot.h"

char LICENSE[] SEC("license") = "GPL";
