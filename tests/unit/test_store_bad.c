// SPDX-License-Identifier: GPL-2.0
/*
 * Directories and files that are not what they seem: refused, passed over or
 * set aside, never followed, never overwritten, never a crash.
 */
#include "unit/store_fixture.h"

static void test_two_writers(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A };
	struct store *st = open_store(), *other = NULL;

	assert_int_equal(store_open_writer(&opts, &other), -EBUSY);
	assert_null(other);
	store_close(st);
	assert_int_equal(store_open_writer(&opts, &other), 0);
	store_close(other);
}

/* One that is refused before it wrote leaves nothing where nothing was, and what was there as it was. */
static void test_unused(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A, .begin_later = true };
	char other[128];
	struct store *st;

	teardown(NULL);
	assert_int_equal(store_open_writer(&opts, &st), 0);
	assert_int_equal(access(dir, F_OK), 0);
	store_close(st);
	assert_int_equal(access(dir, F_OK), -1);

	assert_int_equal(mkdir(dir, 0750), 0);
	assert_int_equal(store_open_writer(&opts, &st), 0);
	store_close(st);
	assert_int_equal(rmdir(dir), 0);	/* there still, and empty */

	assert_int_equal(store_open_writer(&opts, &st), 0);
	snprintf(other, sizeof(other), "%s/other", dir);
	close(open(other, O_CREAT | O_WRONLY, 0600));
	store_close(st);
	assert_int_equal(access(other, F_OK), 0);

	store_close(open_store());
	assert_int_equal(store_open_writer(&opts, &st), 0);
	store_close(st);
	assert_true(*first_file("lock") && *first_file("hot-"));
}

static void test_modes(void **state)
{
	struct store *st;
	struct stat sb;

	teardown(NULL);
	st = open_store();
	assert_int_equal(stat(dir, &sb), 0);
	assert_int_equal(sb.st_mode & 07777, 0750);
	assert_int_equal(stat(first_file("hot-"), &sb), 0);
	assert_int_equal(sb.st_mode & 07777, 0640);
	store_close(st);
}

static void test_bad_directory(void **state)
{
	struct store_opts opts = { .dir = dir, .boot_id = BOOT_A };
	char link[128], file[128];
	struct history *h;
	struct store *st;

	snprintf(link, sizeof(link), "%s/link", dir);
	snprintf(file, sizeof(file), "%s/file", dir);
	assert_int_equal(history_open(dir, &h), -ENODATA);
	assert_int_equal(history_open("/nonexistent/x", &h), -ENOENT);
	assert_int_equal(symlink(dir, link), 0);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	opts.dir = link;
	assert_int_equal(store_open_writer(&opts, &st), -ELOOP);
	assert_int_equal(history_open(link, &h), -ELOOP);
	opts.dir = file;
	assert_int_equal(store_open_writer(&opts, &st), -ENOTDIR);
	opts.dir = dir;
	chmod(dir, 0777);
	assert_int_equal(store_open_writer(&opts, &st), -EPERM);
	chmod(dir, 0750);
	if (!chown(dir, 4242, 4242)) {
		assert_int_equal(store_open_writer(&opts, &st), -EPERM);
		assert_int_equal(history_open(dir, &h), -EPERM);
		assert_int_equal(chown(dir, 0, 0), 0);
	}
}

/* Two sealed files and a hot one; the lease of each on its own port. */
static void make_three(void)
{
	struct store *st = open_store();

	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 300; k++)
			put(st, (uint64_t)(i * 1000 + k + 1), (uint16_t)(100 + i), t0 + i * SEC, t0 + i * SEC + SEC / 2);
		if (i < 2)
			assert_int_equal(store_rotate(st), 0);
		assert_int_equal(store_settle(st, WAIT_MS), 0);
	}
	store_close(st);
}

static unsigned int lines_of_all(unsigned int *skipped)
{
	struct history_query q = { .port_hi = 65535, .until = INT64_MAX - 1 };
	struct history_coverage c;
	struct found f = { 0 };
	struct history *h;

	if (history_open(dir, &h))
		return UINT32_MAX;
	assert_int_equal(history_leases(h, &q, collect, &f, &c), 0);
	*skipped = c.skipped;
	history_close(h);
	return f.count;
}

static void flip(const char *path, long at, int bytes)
{
	int fd = open(path, O_RDWR);
	unsigned char b[64];

	assert_true(fd >= 0);
	if (pread(fd, b, (size_t)bytes, at) == bytes) {
		for (int i = 0; i < bytes; i++)
			b[i] ^= 0x5a;
		assert_int_equal(pwrite(fd, b, (size_t)bytes, at), bytes);
	}
	close(fd);
}

static void copy_file(const char *from, const char *to)
{
	char cmd[1200];

	snprintf(cmd, sizeof(cmd), "cp %s %s", from, to);
	assert_int_equal(system(cmd), 0);
}

static void test_bad_sealed_files(void **state)
{
	char path[512], saved[] = "/tmp/test_store_saved.XXXXXX";
	unsigned int skipped;
	struct stat sb;

	close(mkstemp(saved));
	make_three();
	snprintf(path, sizeof(path), "%s", first_file("lease-"));
	copy_file(path, saved);
	assert_int_equal(stat(path, &sb), 0);
	assert_int_equal(lines_of_all(&skipped), 900);
	assert_int_equal(skipped, 0);

	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(lines_of_all(&skipped), 600);
	assert_int_equal(skipped, 1);
	copy_file(saved, path);
	assert_int_equal(truncate(path, sb.st_size / 2), 0);
	lines_of_all(&skipped);
	copy_file(saved, path);
	flip(path, 0, 16);	/* no database */
	assert_int_equal(lines_of_all(&skipped), 600);
	copy_file(saved, path);
	flip(path, 60, 4);	/* another version */
	assert_int_equal(lines_of_all(&skipped), 600);
	unlink(path);
	assert_int_equal(mkfifo(path, 0640), 0);
	assert_int_equal(lines_of_all(&skipped), 600);
	unlink(path);
	assert_int_equal(mkdir(path, 0750), 0);
	assert_int_equal(lines_of_all(&skipped), 600);
	rmdir(path);
	assert_int_equal(symlink(saved, path), 0);
	assert_int_equal(lines_of_all(&skipped), 600);
	unlink(path);
	copy_file(saved, path);
	if (!chown(path, 4242, 4242))
		assert_int_equal(lines_of_all(&skipped), 600);
	unlink(path);
	copy_file("/etc/passwd", path);
	assert_int_equal(lines_of_all(&skipped), 600);
	unlink(saved);
}

/* Any byte may be wrong: answers may be, a crash or a hang may not. */
static void test_flipped_bytes(void **state)
{
	char path[512], saved[] = "/tmp/test_store_saved.XXXXXX";
	unsigned int skipped, seed = 7;
	struct stat sb;

	close(mkstemp(saved));
	make_three();
	log_set_level(LOG_LEVEL_ERR);
	for (int hot = 0; hot < 2; hot++) {
		snprintf(path, sizeof(path), "%s", first_file(hot ? "hot-" : "lease-"));
		copy_file(path, saved);
		assert_int_equal(stat(path, &sb), 0);
		for (int i = 0; i < 150; i++) {
			flip(path, rand_r(&seed) % sb.st_size, 1 + i % 8);
			lines_of_all(&skipped);
			if (i % 3 == 0)
				copy_file(saved, path);
		}
		copy_file(saved, path);
	}
	log_set_level(LOG_LEVEL_INFO);
	unlink(saved);
}

static void test_corrupt_hot_is_set_aside(void **state)
{
	char path[512];
	struct store *st;
	unsigned int skipped, gaps[8];

	make_three();
	snprintf(path, sizeof(path), "%s", first_file("hot-"));
	assert_int_equal(truncate(path, 5000), 0);
	st = open_store();
	put(st, 5000, 103, clock_unix_ns(), clock_unix_ns());
	store_close(st);
	assert_int_equal(files_with("hot-", ".corrupt"), 1);
	assert_int_equal(lines_of_all(&skipped), 601);
	count_gaps(gaps);
	assert_int_equal(gaps[GAP_CRASH], 1);
}

static void test_odd_hot_is_left_alone(void **state)
{
	char path[512], target[128];
	unsigned int skipped;
	struct store *st;
	struct stat sb;

	snprintf(target, sizeof(target), "%s/target", dir);
	make_three();
	snprintf(path, sizeof(path), "%s", first_file("hot-"));
	copy_file(path, target);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
	st = open_store();
	put(st, 5000, 103, clock_unix_ns(), clock_unix_ns());
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	assert_int_equal(lstat(path, &sb), 0);
	assert_true(S_ISLNK(sb.st_mode));
	assert_int_equal(lines_of_all(&skipped), 601);
	assert_int_equal(skipped, 1);
}

/* What a killed recorder left in the -wal is not lost because the -wal cannot be read for a while. */
static void test_unreadable_wal_is_not_sealed(void **state)
{
	char wal[128];
	struct store *st;
	struct found f;
	int status;
	pid_t pid = fork();

	if (!pid) {
		st = open_store();
		for (uint64_t id = 1; id <= 50; id++)
			put(st, id, 9000, t0, t0 + SEC);
		_exit(store_flush(st, WAIT_MS) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(wal, sizeof(wal), "%s/hot-000001.db-wal", dir);
	assert_int_equal(chown(wal, 4242, 4242), 0);
	st = open_store();
	put(st, 100, 9001, clock_unix_ns() - SEC, clock_unix_ns());
	assert_int_equal(store_rotate(st), 0);
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	assert_int_equal(files_with("hot-000001", ".db"), 1);
	assert_int_equal(chown(wal, 0, 0), 0);
	ask(9000, t0, t0, &f, NULL);
	assert_int_equal(f.count, 50);
}

static void test_corrupt_while_writing(void **state)
{
	struct store *st = open_store();
	struct store_stats stats;
	unsigned int gaps[8];

	for (uint64_t id = 1; id < 5000; id++)
		put(st, id, 9000, clock_unix_ns(), clock_unix_ns());
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	assert_int_equal(unlink(first_file("hot-")), 0);
	usleep(1200000);
	put(st, 6000, 9001, clock_unix_ns(), clock_unix_ns());
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	store_stats(st, &stats);
	assert_int_equal(stats.last_error, 0);
	store_close(st);
	count_gaps(gaps);
	assert_int_equal(gaps[GAP_STORE], 1);
	assert_int_equal(held_at(9001, clock_unix_ns()), 0);
}

static void test_copied_directory(void **state)
{
	char cmd[512], copy[80];
	struct store *st;
	struct found f;

	make_three();
	st = open_store();
	put(st, 5000, 103, clock_unix_ns() - SEC, clock_unix_ns());
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	/* While it is written: with -wal, with and without -shm. */
	for (int i = 0; i < 2; i++) {
		snprintf(copy, sizeof(copy), "/tmp/test_store_copy.%d.%d", (int)getpid(), i);
		snprintf(cmd, sizeof(cmd), "cp -r %s %s%s%s%s", dir, copy, i ? "; rm " : "", i ? copy : "", i ? "/*-shm" : "");
		assert_int_equal(system(cmd), 0);
	}
	store_close(st);
	for (int i = 0; i < 2; i++) {
		char was[96];

		snprintf(was, sizeof(was), "%s", dir);
		snprintf(copy, sizeof(copy), "/tmp/test_store_copy.%d.%d", (int)getpid(), i);
		snprintf(dir, sizeof(dir), "%s", copy);
		assert_int_equal(ask(103, 0, INT64_MAX - 1, &f, NULL), HISTORY_HELD);
		assert_int_equal(ask(100, t0, t0, &f, NULL), HISTORY_HELD);
		assert_int_equal(f.count, 300);
		snprintf(dir, sizeof(dir), "%s", was);
		snprintf(cmd, sizeof(cmd), "rm -rf %s", copy);
		assert_int_equal(system(cmd), 0);
	}
}

/* The newest leases are in the -wal alone, and nothing can be written beside it. */
static void copy_to_read_only(const char *mnt, bool with_shm)
{
	struct store *st = open_store();
	char cmd[512];

	put(st, 5001 + with_shm, 104, clock_unix_ns() - SEC, clock_unix_ns());
	assert_int_equal(store_flush(st, WAIT_MS), 0);
	snprintf(cmd, sizeof(cmd), "cp -p %s/hot-* %s/lock %s/ && { %s || rm %s/*-shm; }", dir, dir, mnt,
		 with_shm ? "true" : "false", mnt);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(mount("tmpfs", mnt, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=4m,mode=0750"), 0);
	store_close(st);
}

static void test_copy_on_read_only_medium(void **state)
{
	char mnt[80], was[96];

	snprintf(was, sizeof(was), "%s", dir);
	snprintf(mnt, sizeof(mnt), "/tmp/test_store_medium.%d", (int)getpid());
	for (int with_shm = 0; with_shm < 2; with_shm++) {
		struct history_coverage c;
		struct found f;

		mkdir(mnt, 0750);
		if (mount("tmpfs", mnt, "tmpfs", 0, "size=4m,mode=0750")) {
			rmdir(mnt);
			print_message("SKIP: cannot mount a tmpfs: %s\n", strerror(errno));
			skip();
		}
		copy_to_read_only(mnt, with_shm);
		snprintf(dir, sizeof(dir), "%s", mnt);
		ask(104, 0, INT64_MAX - 1, &f, &c);
		snprintf(dir, sizeof(dir), "%s", was);
		umount2(mnt, MNT_DETACH);
		rmdir(mnt);
		assert_int_equal(f.count, with_shm + 1);
		assert_int_equal(c.skipped, 0);
	}
}

/* Where the -wal is not ours to read, the answer says that it may not be all. */
static void test_odd_wal(void **state)
{
	struct store *st = open_store();
	char wal[520], target[128];
	struct history_coverage c;
	struct found f;
	struct stat sb;

	for (int k = 0; k < 300; k++)
		put(st, (uint64_t)k + 1, 104, t0, t0 + SEC);
	store_close(st);
	snprintf(wal, sizeof(wal), "%s-wal", first_file("hot-"));
	snprintf(target, sizeof(target), "%s/target", dir);
	close(open(target, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(symlink(target, wal), 0);
	ask(104, 0, INT64_MAX - 1, &f, &c);
	assert_int_equal(f.count, 300);
	assert_int_equal(c.skipped, 1);
	/* Neither does the next session follow it. */
	st = open_store();
	put(st, 5003, 105, clock_unix_ns() - SEC, clock_unix_ns());
	assert_int_equal(store_settle(st, WAIT_MS), 0);
	store_close(st);
	assert_int_equal(lstat(wal, &sb), 0);
	assert_true(S_ISLNK(sb.st_mode));
	assert_int_equal(stat(target, &sb), 0);
	assert_int_equal(sb.st_size, 0);
	assert_int_equal(files_with("hot-", ".db"), 2);
	ask(105, 0, INT64_MAX - 1, &f, &c);
	assert_int_equal(f.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_two_writers), TEST(test_unused), TEST(test_modes), TEST(test_bad_directory),
		TEST(test_bad_sealed_files), TEST(test_flipped_bytes), TEST(test_corrupt_hot_is_set_aside),
		TEST(test_odd_hot_is_left_alone), TEST(test_unreadable_wal_is_not_sealed), TEST(test_corrupt_while_writing),
		TEST(test_copied_directory), TEST(test_copy_on_read_only_medium), TEST(test_odd_wal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
