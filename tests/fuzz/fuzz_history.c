// SPDX-License-Identifier: GPL-2.0
/*
 * A history whose files were changed by hand.  A good directory, with a hot file, its -wal and a sealed file, is made once; an
 * input is a list of edits of one of them, 4 bytes each (place, value), and then all questions are asked of it.
 * The first byte chooses the file and what to do with it: edit, cut short, or replace by the input as it is.
 */
#include "fuzz/fuzz.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include "out/stream.h"
#include "store/history.h"
#include "store/store.h"

#define SEC 1000000000LL
#define FILES_MAX 8

static char dir[64];
static int64_t t0;
static struct file {
	char path[400];
	uint8_t *data;
	size_t size;
} files[FILES_MAX];
static unsigned int n_files;

static struct event lease_of(uint64_t id, int64_t end)
{
	static char exe[32];
	struct event ev = {
		.kind = end ? EV_RELEASE : EV_OPEN, .reason = end ? PL_REASON_CLOSE : 0, .ts = end ? end : t0, .start = t0 + (int64_t)id,
		.end = end, .proc_start = t0 - SEC, .exe = exe, .where = { "/system.slice/ssh.service", "ssh.service", NULL, NULL },
		.host = "web-1", .boot_id = "aaaaaaaa-0000-4000-8000-000000000001",
		.lease = { .id = id, .lport = (uint16_t)(40000 + id % 50), .rport = 443, .proto = IPPROTO_TCP, .family = AF_INET,
			   .kind = PL_KIND_CONNECT, .flags = PL_F_CHOSEN, .owner_src = PL_OWNER_PROCESS, .netns = 4026531840,
			   .tgid = (uint32_t)(100 + id % 7), .comm = "curl" },
	};

	snprintf(exe, sizeof(exe), "/usr/bin/curl%u", (unsigned int)(id % 7));
	return ev;
}

static void fill(struct store *st)
{
	struct gap gap = { .lost = 3, .from = t0 + SEC, .to = t0 + 2 * SEC, .cause = GAP_RING };
	struct event ev;

	for (uint64_t id = 1; id <= 40; id++) {
		ev = lease_of(id, t0 + (int64_t)id * SEC / 100);
		claim(!store_lease(st, &ev));
		if (id != 30)
			continue;
		store_gap(st, &gap);
		store_commit(st);
		claim(!store_rotate(st));
	}
	ev = lease_of(1000, 0);
	claim(!store_open_lease(st, &ev));
	store_commit(st);
}

static void load(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	claim(d);
	while ((e = readdir(d)) && n_files < FILES_MAX) {
		struct file *f = &files[n_files];
		struct stat st;
		int fd;

		if (!strstr(e->d_name, ".db") || strstr(e->d_name, "-shm"))
			continue;
		snprintf(f->path, sizeof(f->path), "%s/%s", dir, e->d_name);
		fd = open(f->path, O_RDONLY);
		claim(fd >= 0 && !fstat(fd, &st));
		f->size = (size_t)st.st_size;
		f->data = malloc(f->size + 1);
		claim(f->data && read(fd, f->data, f->size) == (ssize_t)f->size);
		close(fd);
		n_files++;
	}
	closedir(d);
	claim(n_files >= 2);
}

static void clean(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd))
		fprintf(stderr, "%s is left\n", dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct store_opts opts = { .dir = dir, .host = "web-1", .boot_id = "aaaaaaaa-0000-4000-8000-000000000001", .version = "fuzz" };
	struct store *st = NULL;

	fuzz_quiet();
	t0 = 1763700000LL * SEC;
	snprintf(dir, sizeof(dir), "%s/portlife_fuzz.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	claim(mkdtemp(dir));
	atexit(clean);
	claim(!store_open_writer(&opts, &st));
	fill(st);
	store_close(st);
	load();
	return 0;
}

static void put(const char *path, const uint8_t *data, size_t size)
{
	int fd;

	chmod(path, 0640);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
	claim(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

static void spoil(const struct file *f, unsigned int how, const uint8_t *edits, size_t size)
{
	uint8_t *copy = malloc(f->size + 1);
	size_t len = f->size;

	claim(copy);
	memcpy(copy, f->data, f->size);
	for (; size >= 4 && f->size; size -= 4, edits += 4) {
		size_t at = ((size_t)edits[0] << 16 | (size_t)edits[1] << 8 | edits[2]) % f->size;

		if (how == 1)
			len = at;
		copy[at] = edits[3];
	}
	put(f->path, copy, len);
	free(copy);
}

static void tell(const struct event *ev)
{
	const enum out_format formats[] = { OUT_TABLE, OUT_JSONL };

	for (unsigned int i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		struct stream_opts opts = { .format = formats[i] };
		struct stream *s = NULL;
		char *text = NULL;
		size_t len = 0;

		opts.file = open_memstream(&text, &len);
		claim(opts.file && !stream_new(&opts, &s) && !stream_event(s, ev) && !stream_finish(s));
		stream_free(s);
		fclose(opts.file);
		fuzz_claim_tame(text, len);
		free(text);
	}
}

static int see(void *arg, const struct event *ev)
{
	size_t *sum = arg;

	claim(ev->kind == EV_RELEASE || ev->kind == EV_OPEN || ev->kind == EV_FAIL || ev->kind == EV_SUMMARY);
	*sum += ev->exe ? strlen(ev->exe) : 0;
	*sum += ev->where.cgroup ? strlen(ev->where.cgroup) : 0;
	*sum += ev->host ? strlen(ev->host) : 0;
	*sum += strnlen(ev->lease.comm, PL_COMM_LEN);
	claim(strnlen(ev->lease.comm, PL_COMM_LEN) < PL_COMM_LEN);
	claim(event_kind_name(ev->lease.kind) && event_proto_name(ev->lease.proto) && event_family_name(ev->lease.family));
	claim(ev->ts >= 0 && ev->start >= 0 && ev->end >= 0 && ev->closed >= 0 && ev->proc_start >= 0);
	tell(ev);
	return 0;
}

static int see_gap(void *arg, const struct gap *gap)
{
	claim(event_gap_name(gap->cause) && gap->lost >= -1);
	return 0;
}

static void ask(void)
{
	struct history_query all = { .port_lo = 1, .port_hi = 65535, .since = 0, .until = INT64_MAX - 1 };
	struct history_query one = { .port_lo = 40010, .port_hi = 40010, .since = t0 + SEC / 5, .until = t0 + SEC / 5, .limit = 3 };
	struct history_coverage c;
	struct history_lives lives;
	struct history_info info;
	struct history *h;
	size_t sum = 0;

	if (history_open(dir, &h))
		return;
	history_leases(h, &all, see, &sum, &c);
	history_verdict(&c, 0);
	all.unordered = true;
	history_leases(h, &all, see, &sum, NULL);
	history_leases(h, &one, see, &sum, &c);
	history_fails(h, &all, see, &sum, &c);
	history_gaps(h, 0, INT64_MAX - 1, see_gap, NULL);
	history_lives(h, &one, &lives, see, &sum);
	history_minutes(h, 0, INT64_MAX - 1, see, &sum);
	history_info(h, &info);
	history_close(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct file *f;
	unsigned int how;

	if (size < 2)
		return 0;
	f = &files[data[0] % n_files];
	how = data[1] % 4;
	if (how == 3)
		put(f->path, data + 2, size - 2);
	else
		spoil(f, how, data + 2, size - 2);
	ask();
	put(f->path, f->data, f->size);
	return 0;
}
