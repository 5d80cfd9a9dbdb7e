/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file that stands under its name complete or not at all: written beside it,
 * synced, renamed.
 *
 * Refuses to take the place of anything but a regular file: a rename would make
 * a file of /dev/null for everybody.
 */
#ifndef PORTLIFE_OUT_BESIDE_H
#define PORTLIFE_OUT_BESIDE_H

struct strbuf;

/*
 * 0 or a negative errno, nothing is said; -EEXIST: a device, a pipe, a link or
 * the like has that name.  No link is followed, under this name or beside it.
 */
int beside_write(const char *path, const struct strbuf *text);
/* Such an errno in words. */
const char *beside_why(int err);

#endif
