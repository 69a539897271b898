/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pipe and a vfifo of the same capacity, which are compared after each operation, and made
 * equal again after one of the differences that oracle.c allows.
 */
#ifndef ORACLE_DUEL_H
#define ORACLE_DUEL_H

#include <poll.h>
#include <sys/uio.h>

#include "vfifo_test.h"

#define PIPE		0
#define FIFO		1

#define HUGE_COUNT	(sizeof(long) > 4 ? INT_MAX : 1 << 24)
#define MAX_SEGMENTS	7
#define AT_ONCE		64		/* bytes; see FAULT */
#define ALL_EVENTS	(POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM |	\
			 POLLRDBAND | POLLWRBAND | 0x2000 /* POLLRDHUP */)

/* What a script must have come across, to have tested anything. */
enum met {
	MET_READ, MET_READ_EMPTY, MET_READ_FAULT, MET_WRITE, MET_WRITE_PART,
	MET_WRITE_FULL, MET_WRITE_FAULT, MET_VECTOR, MET_NOWAIT, MET_POLL_FULL,
	MET_OTHER, MET_RESIZE, MET_EXACT, MET_ROOM, MET_ROOM_POLL, MET_FAULT,
	MET_COUNT
};

static const char *const met_names[MET_COUNT] = {
	"reads", "reads of nothing", "reads with a bad pointer", "writes",
	"partial writes", "writes without room", "writes with a bad pointer",
	"vectors", "RWF_NOWAIT", "polls without room", "other calls",
	"resizes", "operations by whole pages",
	"ROOM", "ROOM (poll)", "FAULT",
};

/* How operations are chosen, for a part of the script. */
struct mood {
	int writes;			/* in 8 transfers */
	int sizes;
	bool exact;			/* whole pages only */
};

struct duel {
	struct vfifo dev;
	int r[2], w[2];
	long cap, max_cap, page;
	long count;			/* bytes queued, in both */
	int large;			/* O_LARGEFILE, see LARGEFILE */
	char *pool_end;			/* of the bytes to write; faults from here on */
	char *in[2], *in_end[2];	/* likewise */
	long in_len, pool_len;
	int bad_count[2];		/* of segments */
	struct mood mood;
	__u64 state;
	long met[MET_COUNT];
	char what[200];			/* the operation */
	char why[200];			/* its difference */
};

/* Fails an operation, with the reason. */
#define WRONG(d, ...) ({						\
	snprintf((d)->why, sizeof((d)->why), __VA_ARGS__);		\
	false;								\
})

static unsigned long pick(struct duel *d, unsigned long n)
{
	return rnd(&d->state) % n;
}

static long at_most(long a, long b)
{
	return a < b ? a : b;
}

/* The number of bytes that a call has moved. */
static long moved(long ret)
{
	return ret > 0 ? ret : 0;
}

static short poll_fd(int fd)
{
	struct pollfd p = { .fd = fd, .events = ALL_EVENTS };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static bool pipe_is_full(struct duel *d)
{
	return !(poll_fd(d->w[PIPE]) & POLLOUT);
}

/* ---- comparing, after each operation ---- */

static bool same_state(struct duel *d)
{
	const short in = POLLIN | POLLRDNORM, out = POLLOUT | POLLWRNORM;
	bool room = d->cap - d->count >= PIPE_BUF;
	short p, f;
	int i;

	for (i = 0; i < 2; i++) {
		if (queued(d->r[i]) != d->count || queued(d->w[i]) != d->count)
			return WRONG(d, "%s: FIONREAD %ld and %ld, not %ld",
				     i ? "vfifo" : "pipe", queued(d->r[i]),
				     queued(d->w[i]), d->count);
	}

	p = poll_fd(d->r[PIPE]);
	f = poll_fd(d->r[FIFO]);
	if (p != f || p != (d->count ? in : 0))
		return WRONG(d, "reader's poll: pipe %#x, vfifo %#x", p, f);

	p = poll_fd(d->w[PIPE]);
	f = poll_fd(d->w[FIFO]);
	if (f != (room ? out : 0))
		return WRONG(d, "writer's poll: pipe %#x, vfifo %#x", p, f);
	if (p != f) {
		if (p || d->mood.exact)
			return WRONG(d, "writer's poll: pipe %#x, vfifo %#x",
				     p, f);
		d->met[MET_ROOM_POLL]++;
	} else if (!p) {
		d->met[MET_POLL_FULL]++;
	}
	return true;
}

/* ---- making both equal again ---- */

/* Reads @len bytes from both. */
static bool take_both(struct duel *d, long len)
{
	long ret[2];
	int i;

	for (i = 0; i < 2; i++)
		ret[i] = res(read(d->r[i], d->in[i], len));
	if (ret[PIPE] != len || ret[FIFO] != len)
		return WRONG(d, "read of %ld: pipe %ld, vfifo %ld", len,
			     ret[PIPE], ret[FIFO]);
	if (memcmp(d->in[PIPE], d->in[FIFO], len))
		return WRONG(d, "read of %ld: different bytes", len);
	d->count -= len;
	return true;
}

/* Writes to the pipe the @len bytes at @rest, which only the vfifo has taken. */
static bool pipe_gets(struct duel *d, const char *rest, long len)
{
	long ret;

	while (len) {
		ret = res(write(d->w[PIPE], rest, len));
		if (ret > 0) {
			rest += ret;
			len -= ret;
			continue;
		}
		if (ret != -EAGAIN || d->count == len)
			return WRONG(d, "pipe with %ld bytes: write of %ld: %ld",
				     d->count - len, len, ret);
		if (!take_both(d, at_most(d->count - len, d->page)))
			return false;
	}
	return true;
}

/* Reads from the pipe the @len bytes that only the vfifo has returned, in @taken. */
static bool pipe_gives(struct duel *d, const char *taken, long len)
{
	char *rest = len ? malloc(len) : NULL;
	long ret = len ? res(read(d->r[PIPE], rest, len)) : 0;
	bool same = ret == len && (!len || !memcmp(rest, taken, len));

	free(rest);
	return same || WRONG(d, "the pipe has other bytes than the vfifo returned");
}

static bool drain(struct duel *d)
{
	return !d->count || take_both(d, d->count);
}

#endif /* ORACLE_DUEL_H */
