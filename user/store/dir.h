/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state directory: who may own it, which names in it are ours, who writes.
 *
 * Private to store/.  Works on names and file types only, never opens a
 * database, and refuses to follow a symbolic link or to touch a file that is
 * not of the type, name and owner that portlife itself would have given it.
 *
 *   lock                                  held by the one writer; its pid and pulse
 *   hot-SEQ.db                            being written (with -wal and -shm)
 *   lease-SEQ-FROM-TO.db                  sealed; FROM and TO are UTC, rounded outward
 *   minutes-YYYY.db                       roll-ups of files that retention removed
 *   NAME.corrupt                          set aside, never read again
 */
#ifndef PORTLIFE_STORE_DIR_H
#define PORTLIFE_STORE_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DIR_NAME_MAX 96
#define DIR_MODE 0750
#define DIR_FILE_MODE 0640

struct store_dir {
	int fd;
	uid_t owner;
	bool made;	/* by dir_open() */
	char *path;	/* absolute, without symbolic links */
};

enum dir_kind { DIR_HOT, DIR_SEALED, DIR_MINUTES };

struct dir_file {
	enum dir_kind kind;
	uint32_t seq;		/* of DIR_MINUTES the year */
	int64_t from, to;	/* unix ns; of a hot file 0 and INT64_MAX */
	uint64_t bytes;		/* with the -wal */
	char name[DIR_NAME_MAX];
};

struct dir_list {
	struct dir_file *files;	/* by kind, then by seq */
	size_t count;
};

/* What the writer leaves in the lock file once a second. */
struct dir_pulse {
	int64_t session;	/* start of the session, unix ns */
	int64_t alive;		/* unix ns; 0: what was recorded of late cannot be written just now */
	int64_t beat;		/* boot ns; 0: not told, by an older version */
	int64_t written;	/* boot ns: what had ended by then is on disk; 0: not told, by an older version */
	int pid;
};

/*
 * Opens the directory; a writer makes it when it is missing (not its parents).
 * Says on stderr what is wrong.  -ELOOP for a symbolic link, -EPERM for a
 * foreign owner or, for a writer, one that others may write to.
 */
int dir_open(const char *path, bool writer, struct store_dir **ret);
void dir_close(struct store_dir *dir);

/*
 * 0 when `name` is a regular file that portlife may trust, -ENOENT, -ELOOP for
 * a symbolic link, -EPERM for a foreign owner, -EINVAL for any other type.
 * `bytes` may be NULL.
 */
int dir_check(const struct store_dir *dir, const char *name, uint64_t *bytes);
/* The same of its -wal, which may also be missing. */
int dir_check_wal(const struct store_dir *dir, const char *name);
const char *dir_strerror(int err);

/* All files of ours, whatever their state; hot files that are sealed already are left out.  0, or a negative errno and an empty list. */
int dir_list(const struct store_dir *dir, struct dir_list *ret);
void dir_list_free(struct dir_list *list);

void dir_name_hot(uint32_t seq, char name[DIR_NAME_MAX]);
void dir_name_sealed(uint32_t seq, int64_t from, int64_t to, char name[DIR_NAME_MAX]);
bool dir_name_parse(const char *name, struct dir_file *ret);

/* The highest sequence number that any file of ours or set aside ever had here. */
uint32_t dir_last_seq(const struct store_dir *dir);

/* Whether its file system has no room left for us. */
bool dir_is_full(const struct store_dir *dir);

/* Removes a database with its -wal and -shm; what is missing is fine. */
int dir_unlink(const struct store_dir *dir, const char *name);
/* Renames it to NAME.corrupt, with its -wal. */
int dir_set_aside(const struct store_dir *dir, const char *name);
/* Removes what an interrupted writer left under a temporary name. */
void dir_sweep(const struct store_dir *dir);
/* Makes an empty file of the right mode in place of what had the name. */
int dir_create(const struct store_dir *dir, const char *name);
/* To disk, then under its name, then the directory to disk. */
int dir_publish(const struct store_dir *dir, const char *tmp, const char *name);

/* Takes the lock.  -EBUSY, said with the holder's pid, when somebody has it. */
int dir_lock(const struct store_dir *dir, int *ret_fd);
/*
 * Of a writer that never beat: takes away the lock file, if nobody ever wrote
 * here, and the directory, if dir_open() made it and it is empty.  The lock must be held.
 */
void dir_leave_unused(const struct store_dir *dir, int lock_fd);
int dir_beat(int lock_fd, const struct dir_pulse *pulse);
/* The last beat, zeroes if there was none; `alive`: somebody holds the lock. */
void dir_pulse(const struct store_dir *dir, struct dir_pulse *ret, bool *alive);

#endif
