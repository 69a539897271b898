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
	/* These only if files are closed and opened. */
	MET_CLOSE, MET_OPEN, MET_NOBODY, MET_END, MET_END_QUEUED, MET_EPIPE,
	MET_HUP, MET_ERR, MET_FIRST,
	MET_COUNT
};

static const char *const met_names[MET_COUNT] = {
	"reads", "reads of nothing", "reads with a bad pointer", "writes",
	"partial writes", "writes without room", "writes with a bad pointer",
	"vectors", "RWF_NOWAIT", "polls without room", "other calls",
	"resizes", "operations by whole pages",
	"ROOM", "ROOM (poll)", "FAULT",
	"files closed", "files opened", "times that all were closed",
	"reads at the end", "reads of the rest, without a writer",
	"writes without a reader", "POLLHUP", "POLLERR", "FIRST",
};

/* How operations are chosen, for a part of the script. */
struct mood {
	int writes;			/* in 8 transfers */
	int sizes;
	bool exact;			/* whole pages only */
};

struct duel {
	struct vfifo dev;
	int r[2], w[2];			/* -1 while closed */
	int r2[2], w2[2];		/* others that are only open or closed */
	bool hangup;			/* files are closed and opened */
	bool has_met, has_read;		/* what r has done, see FIRST */
	char dir[32], path[48];		/* of the named FIFO that is the pipe, then */
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

/* The number of files that are open for reading, and for writing. */
static int readers(struct duel *d)
{
	return (d->r[FIFO] >= 0) + (d->r2[FIFO] >= 0);
}

static int writers(struct duel *d)
{
	return (d->w[FIFO] >= 0) + (d->w2[FIFO] >= 0);
}

/* Whether a read of nothing by a vfifo is the end of the file. */
static bool at_end(struct duel *d)
{
	return !writers(d) && (d->has_met || d->has_read);
}

/* A file of the pipe, or of the vfifo, that is open for reading. */
static int a_reader(struct duel *d, int i)
{
	return d->r[i] >= 0 ? d->r[i] : d->r2[i];
}

/* One that is open at all. */
static int a_file(struct duel *d, int i)
{
	return d->w[i] >= 0 ? d->w[i] : d->w2[i] >= 0 ? d->w2[i] : a_reader(d, i);
}

/* ---- comparing, after each operation ---- */

static bool same_reader(struct duel *d)
{
	const short in = POLLIN | POLLRDNORM;
	short p = poll_fd(d->r[PIPE]), f = poll_fd(d->r[FIFO]), want;

	want = (d->count ? in : 0) | (at_end(d) ? POLLHUP : 0);
	d->met[MET_HUP] += want == POLLHUP;
	if (f != want)
		return WRONG(d, "reader's poll: pipe %#x, vfifo %#x", p, f);
	/* FIRST: for poll(2), reading is no meeting. */
	if (!d->has_met)
		want &= ~POLLHUP;
	return p == want ||
	       WRONG(d, "reader's poll: pipe %#x, vfifo %#x", p, f);
}

static bool same_writer(struct duel *d)
{
	const short out = POLLOUT | POLLWRNORM;
	bool room = d->cap - d->count >= PIPE_BUF;
	short p = poll_fd(d->w[PIPE]), f = poll_fd(d->w[FIFO]);
	short err = readers(d) ? 0 : POLLERR;

	d->met[MET_ERR] += !!err;
	if (f != ((room ? out : 0) | err))
		return WRONG(d, "writer's poll: pipe %#x, vfifo %#x", p, f);
	if (p != f) {
		if (p != err || d->mood.exact)
			return WRONG(d, "writer's poll: pipe %#x, vfifo %#x",
				     p, f);
		d->met[MET_ROOM_POLL]++;
	} else if (!p) {
		d->met[MET_POLL_FULL]++;
	}
	return true;
}

static bool same_state(struct duel *d)
{
	int i;

	for (i = 0; i < 2; i++) {
		int fds[] = { d->r[i], d->w[i] };
		size_t j;

		for (j = 0; j < ARRAY_SIZE(fds); j++) {
			if (fds[j] < 0 || queued(fds[j]) == d->count)
				continue;
			return WRONG(d, "%s: FIONREAD %ld, not %ld",
				     i ? "vfifo" : "pipe", queued(fds[j]),
				     d->count);
		}
	}
	if (attr_get("size") != d->count)
		return WRONG(d, "size %ld, not %ld", attr_get("size"), d->count);
	return (d->r[FIFO] < 0 || same_reader(d)) &&
	       (d->w[FIFO] < 0 || same_writer(d));
}

/* ---- making both equal again ---- */

/* Reads @len bytes from both. */
static bool take_both(struct duel *d, long len)
{
	long ret[2];
	int i;

	for (i = 0; i < 2; i++)
		ret[i] = res(read(a_reader(d, i), d->in[i], len));
	if (ret[PIPE] != len || ret[FIFO] != len)
		return WRONG(d, "read of %ld: pipe %ld, vfifo %ld", len,
			     ret[PIPE], ret[FIFO]);
	if (memcmp(d->in[PIPE], d->in[FIFO], len))
		return WRONG(d, "read of %ld: different bytes", len);
	d->count -= len;
	d->has_read = d->has_read || d->r[FIFO] >= 0;
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
