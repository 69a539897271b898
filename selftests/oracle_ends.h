/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Closing and opening of both ends as operations of the script. The pipe is a named FIFO
 * then. At each side there is the file that the other operations use, and one more that is
 * only open or closed, so that it may or may not be the last one.
 */
#ifndef ORACLE_ENDS_H
#define ORACLE_ENDS_H

#include "oracle_duel.h"

/* Opens a file of both: true, or the reason. */
static bool open_both(struct duel *d, int *fd, int flags)
{
	bool first = !readers(d) && !writers(d);

	fd[PIPE] = open(d->path, flags | O_NONBLOCK | O_CLOEXEC);
	fd[FIFO] = vfifo_open(flags | O_NONBLOCK);
	if (fd[PIPE] < 0 || fd[FIFO] < 0)
		return WRONG(d, "open: pipe %d, vfifo %d", fd[PIPE], fd[FIFO]);
	/* A named FIFO that nobody has open has no pipe behind it. */
	if (first && fcntl(fd[PIPE], F_SETPIPE_SZ, d->cap) != d->cap)
		return WRONG(d, "F_SETPIPE_SZ of %ld: %d", d->cap, errno);
	d->met[MET_OPEN]++;
	return true;
}

static void close_both(struct duel *d, int *fd)
{
	int i;

	for (i = 0; i < 2; i++) {
		close(fd[i]);
		fd[i] = -1;
	}
	d->met[MET_CLOSE]++;
	d->met[MET_NOBODY] += !readers(d) && !writers(d);
}

static bool do_ends(struct duel *d)
{
	int *files[] = { d->r, d->w, d->r2, d->w2 };
	static const char *const names[] = {
		"reader", "writer", "other reader", "other writer",
	};
	int i = pick(d, 4), *fd = files[i];
	bool writes = i & 1;

	snprintf(d->what, sizeof(d->what),
		 "the %s is %s beside %d readers and %d writers, %ld of %ld queued",
		 names[i], fd[FIFO] < 0 ? "opened" : "closed", readers(d),
		 writers(d), d->count, d->cap);
	if (fd[FIFO] >= 0) {
		/* KEPT: when the last file is closed, a pipe would lose the bytes. */
		if (readers(d) + writers(d) == 1 && d->count)
			return true;
		close_both(d, fd);
		return true;
	}
	/* OPEN: a named FIFO refuses a writer before there is a reader. */
	if (writes && !readers(d))
		return true;
	if (fd == d->r) {
		d->has_met = writers(d) > 0;
		d->has_read = false;
	}
	if (!open_both(d, fd, writes ? O_WRONLY : O_RDONLY))
		return false;
	if (writes && d->r[FIFO] >= 0)
		d->has_met = true;
	return true;
}

/* Both ends are open again, as at the start. */
static bool do_open_all(struct duel *d)
{
	snprintf(d->what, sizeof(d->what), "opening all");
	if (d->r[FIFO] < 0) {
		d->has_met = writers(d) > 0;
		d->has_read = false;
		if (!open_both(d, d->r, O_RDONLY))
			return false;
	}
	if (d->w[FIFO] < 0 && !open_both(d, d->w, O_WRONLY))
		return false;
	d->has_met = true;
	return true;
}

#endif /* ORACLE_ENDS_H */
