# SPDX-License-Identifier: GPL-2.0
# portlife: everything is built under build/; V=1 shows the commands.
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:

B       ?= build
PREFIX  ?= /usr/local
CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
CLANG   ?= clang
LLVM_STRIP ?= llvm-strip
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/bin/bpftool) bpftool)
ARCH    := $(patsubst aarch64,arm64,$(shell uname -m))
BPFARCH := $(patsubst x86_64,x86,$(ARCH))
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2);)

WARN   := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
          -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-unused-parameter
CFLAGS ?= -O2 -g
ALL_CFLAGS  = -std=gnu11 -D_GNU_SOURCE $(WARN) $(CFLAGS) $(SAN) -Iinclude -Iuser -I$(B)/include
LIBS    := -lbpf -lelf -lz -lsqlite3 -lcap-ng -lcjson -lsystemd -ldl -lm
ALL_LDFLAGS = $(LDFLAGS) $(SAN)

SRC     := $(shell find user -name '*.c')
LIBSRC  := $(filter-out user/main.c,$(SRC))
OBJ     := $(SRC:%.c=$(B)/obj/%.o) $(B)/obj/report_page.o
PAGE    := $(wildcard user/out/html/*)
LIBOBJ  := $(LIBSRC:%.c=$(B)/obj/%.o) $(B)/obj/report_page.o
SKEL    := $(B)/include/portlife.skel.h
BPFSRC  := $(wildcard bpf/*.h bpf/*.c) $(wildcard include/portlife/*.h) $(wildcard vmlinux/*.h vmlinux/*/*.h)

UNIT    := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
TOOLS   := $(patsubst tests/integration/%.c,$(B)/tests/integration/%,$(filter-out %/disk_fault.c,$(wildcard tests/integration/*.c))) \
           $(B)/tests/integration/disk_fault.so
BENCH   := $(B)/tests/bench/load $(B)/tests/bench/gen_history $(B)/tests/bench/line $(B)/tests/bench/drain $(B)/tests/bench/totals

.PHONY: faults sanitize coverage all deps run test check tidy fuzz fuzzers fuzz-build clean install demo unit tools bench bench-tools bench-growth bench-vm unit-plain
all: $(B)/portlife

# The core rules come after what they need is there.
$(B)/portlife: $(OBJ)
	$(call say,LD,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/libportlife.a: $(LIBOBJ)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -DPORTLIFE_VERSION='"$(VERSION)"' -MMD -MP -c -o $@ $<

$(patsubst %.c,$(B)/obj/%.o,$(wildcard user/kern/*.c)): $(SKEL)

# The page of report --html: one script and one style, named by their hashes in its policy.
$(B)/include/report_page.c: $(PAGE)
	@mkdir -p $(@D)
	$(call say,PAGE,$@)user/out/html/embed user/out/html > $@

$(B)/obj/report_page.o: $(B)/include/report_page.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Rebuilds all when the compiler or its flags change.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' > $@
.PHONY: FORCE
FORCE:

$(B)/bpf/portlife.bpf.o: bpf/portlife.bpf.c $(BPFSRC)
	@mkdir -p $(@D)
	$(call say,BPF,$<)$(CLANG) -g -O2 -target bpf -mcpu=v2 -D__TARGET_ARCH_$(BPFARCH) -Wall -Werror -Wno-unused-function \
		-Ivmlinux -Ivmlinux/$(ARCH) -Iinclude -Ibpf -c -o $@ $<
	$(Q)$(LLVM_STRIP) -g $@	# BTF stays, DWARF goes

$(SKEL): $(B)/bpf/portlife.bpf.o
	@mkdir -p $(@D)
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name portlife_bpf > $@

$(B)/tests/unit/%: tests/unit/%.c $(B)/libportlife.a
	@mkdir -p $(@D)
	$(call say,CCLD,$@)$(CC) $(ALL_CFLAGS) -Itests -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(B)/libportlife.a -lcmocka $(LIBS)

# It sets the clocks that the store looks at.
$(B)/tests/unit/test_store_age: private ALL_LDFLAGS += -Wl,--wrap=clock_boot_ns,--wrap=clock_unix_ns,--wrap=clock_boot_to_unix

# It writes through the store, so it needs the library, which the other tools do without.
$(B)/tests/integration/make_history: tests/integration/make_history.c $(B)/libportlife.a
	@mkdir -p $(@D)
	$(call say,CCLD,$@)$(CC) $(ALL_CFLAGS) -Itests -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(B)/libportlife.a $(LIBS)

$(B)/tests/integration/%: tests/integration/%.c $(B)/libportlife.a
	@mkdir -p $(@D)
	$(call say,CCLD,$@)$(CC) $(ALL_CFLAGS) -Itests -MMD -MP $(ALL_LDFLAGS) -Wl,--as-needed -o $@ $< $(B)/libportlife.a -luring -lcmocka -lpthread $(LIBS)

# Put before the C library of a program that is under test.
$(B)/tests/integration/disk_fault.so: tests/integration/disk_fault.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CCLD,$@)$(CC) $(filter-out $(SAN),$(ALL_CFLAGS)) -fPIC -shared -MMD -MP -o $@ $< -ldl

# It makes calls fail only within these.
$(B)/tests/integration/record_faults: private ALL_LDFLAGS += -Wl,--wrap=record_metrics_tick,--wrap=tally_look,--wrap=privilege_drop

$(B)/tests/bench/load: tests/bench/load.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CCLD,$@)$(CC) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< -lpthread

$(B)/tests/bench/%: tests/bench/%.c $(B)/libportlife.a
	@mkdir -p $(@D)
	$(call say,CCLD,$@)$(CC) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(B)/libportlife.a $(LIBS)

# The fuzzers and what they look at, built apart with clang's sanitizers; neither kernel nor commands.
FUZZ    := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZOBJ := $(patsubst %.c,$(B)/obj/%.o,$(filter user/base/% user/model/% user/out/% user/store/%,$(SRC)))
fuzzers: $(FUZZ)
$(B)/libfuzzed.a: $(FUZZOBJ)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^
$(B)/tests/fuzz/%: tests/fuzz/%.c $(B)/libfuzzed.a
	@mkdir -p $(@D)
	$(call say,CCLD,$@)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -Itests -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(B)/libfuzzed.a $(LIBS)

FUZZ_TIME ?= 60
fuzz-build:
	$(Q)$(MAKE) --no-print-directory B=$(B)/fuzz CC=$(CLANG) CFLAGS='-O1 -g' \
		SAN='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all' fuzzers
fuzz:
	$(Q).ci/deps build test
	$(Q)$(MAKE) --no-print-directory fuzz-build
	$(Q)FUZZ_TIME=$(FUZZ_TIME) tests/fuzz/run $(B)/fuzz

# The unit tests with the address and undefined-behaviour sanitizers; not those that put their own malloc in the place of theirs.
sanitize:
	$(Q).ci/deps build test
	$(Q)$(MAKE) --no-print-directory B=$(B)/sanitize CC=$(CLANG) CFLAGS='-O1 -g' \
		SAN='-fsanitize=address,undefined -fno-sanitize-recover=all' unit-plain
	$(Q)PORTLIFE_TEST=unit tests/run-all $(B)/sanitize

# What no test runs: everything built with gcov's counters, the suites of PORTLIFE_TEST (unit,native), a table and build/coverage/never-run.
coverage:
	$(Q).ci/deps build test
	$(Q)$(MAKE) --no-print-directory B=$(B)/coverage CFLAGS='-O0 -g' SAN=--coverage all unit tools
	$(Q)tests/coverage $(B)/coverage

# The fault table by hand, with five times the load of make test, and a soak of SOAK seconds.
SOAK ?= 3600
faults:
	$(Q).ci/deps build test
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)SOAK=$(SOAK) FAULTS_SCALE=5 HISTORY_KILLS=200 PORTLIFE_TEST=faults tests/run-all $(B)

unit: $(UNIT)
unit-plain: all $(filter-out %_faults,$(UNIT))
tools: $(TOOLS) $(B)/tests/bench/load $(B)/tests/bench/totals
bench-tools: $(BENCH)

deps:
	$(Q).ci/deps build

# Make decides what to build when it reads this file: what is missing must be
# there before, so the two entry points install and then start make again.
run:
	$(Q).ci/deps build
	$(Q)$(MAKE) --no-print-directory all
	$(Q)exec $(B)/portlife record --print

test:
	$(Q).ci/deps build test
	$(Q)$(MAKE) --no-print-directory all unit tools fuzz-build
	$(Q)tests/run-all

check:
	$(Q).ci/deps build test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/check/all $(B) full

# An object is made anew when its source or a header changes: then it is looked at again, too.
# TIDY=quick leaves out the analyzer, which costs seconds a file and minutes in all.
TIDY    := full
TIDIED  := $(SRC:%.c=$(B)/tidy-$(TIDY)/%)
TIDYFLAGS := $(if $(filter quick,$(TIDY)),--checks=-clang-analyzer-*)
tidy: $(TIDIED)
# The skeleton that bpftool writes leaks when memory fails.
$(B)/tidy-full/user/kern/load: TIDYFLAGS := --checks=-clang-analyzer-unix.Malloc
$(B)/tidy-$(TIDY)/%: %.c $(B)/obj/%.o .clang-tidy
	@mkdir -p $(@D)
	$(call say,TIDY,$<)clang-tidy-14 --quiet $(if $(TIDYFLAGS),'$(TIDYFLAGS)') $< -- $(subst -I$(B)/include,-isystem $(B)/include,$(ALL_CFLAGS)) -DPORTLIFE_VERSION='""' 2>$@.err || { cat $@.err; exit 1; }
	@rm -f $@.err; touch $@

# What watching costs, beside the peers: a table, and build/bench/bench.json. BENCH_ARGS="--rounds 9 --works accept" chooses.
bench:
	$(Q).ci/deps build bench
	$(Q)$(MAKE) --no-print-directory all bench-tools
	$(Q)tests/bench/bench --portlife $(B)/portlife --load $(B)/tests/bench/load --out $(B)/bench $(BENCH_ARGS)

# How cost grows with live sockets and with the history: build/bench/growth.json. BENCH_ARGS="--leases 10000000" chooses.
bench-growth:
	$(Q).ci/deps build bench
	$(Q)$(MAKE) --no-print-directory all bench-tools
	$(Q)tests/bench/growth --portlife $(B)/portlife --load $(B)/tests/bench/load --gen $(B)/tests/bench/gen_history \
		--out $(B)/bench $(BENCH_ARGS)

# Ratios on the kernels that tests/vm/kernels has fetched, under every tier.
bench-vm:
	$(Q).ci/deps build test
	$(Q)$(MAKE) --no-print-directory all bench-tools
	$(Q)tests/vm/kernels $(B)/vm 5.10 newest
	$(Q)tests/bench/vm $(B) 5.10 newest $(BENCH_ARGS)

demo:
	$(Q).ci/deps build test
	$(Q)$(MAKE) --no-print-directory all tools
	$(Q)tests/vm/demo

# Of the units only what the service manager reads; what belongs to the administrator is never overwritten.
install: all
	install -D -m 0755 $(B)/portlife $(DESTDIR)$(PREFIX)/sbin/portlife
	for page in user/man/*.[1-8]; do install -D -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@SBINDIR@|$(PREFIX)/sbin|' user/dist/portlife.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/portlife.service
	install -m 0644 user/dist/portlife.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/portlife.socket
	install -D -m 0644 user/dist/portlife.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/portlife.conf
	install -D -m 0644 user/dist/portlife.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/portlife.conf
	install -D -m 0644 user/dist/portlife.logrotate $(DESTDIR)$(PREFIX)/share/portlife/logrotate
	install -D -m 0644 user/dist/portlife.conf $(DESTDIR)$(PREFIX)/share/portlife/portlife.conf
	[ -e $(DESTDIR)/etc/portlife/portlife.conf ] || install -D -m 0644 user/dist/portlife.conf $(DESTDIR)/etc/portlife/portlife.conf

clean:
	$(call say,CLEAN,$(B))find $(B) -mindepth 1 -maxdepth 1 ! -name vm -exec rm -rf {} + 2>/dev/null || true

-include $(shell find $(B)/obj $(B)/tests -name '*.d' 2>/dev/null)
