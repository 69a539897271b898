// SPDX-License-Identifier: GPL-2.0
/*
 * pipe(7) as the oracle: one random script of operations is run on a pipe and on
 * a vfifo of the same capacity, both non-blocking. After each operation, what it
 * returned, errno, the bytes, FIONREAD and the poll bits are compared.
 *
 * They must be the same, but for what is listed here. Whenever a difference has
 * left one of the two with other bytes than the other one, the test first makes
 * them equal again, and then goes on.
 *
 * ROOM		A pipe counts pages, a vfifo bytes: a page that is used only in part
 *		is room that the pipe does not have. So the pipe may take fewer
 *		bytes, or say EAGAIN; may not report POLLOUT; or may refuse a
 *		smaller capacity with EBUSY. Allowed only in this direction, only
 *		if the pipe itself says that it is full (no POLLOUT), and never
 *		while nothing but whole pages was moved since it was empty. What
 *		the vfifo has to answer then follows from the number of bytes queued
 *		alone.
 *		Equal again: the pipe gets the rest as soon as reads from both have
 *		made room; a capacity is set back.
 * FAULT	If user memory faults in the middle of a call, a pipe forgets about
 *		the page that it was working on, a vfifo counts each byte that was
 *		copied. So the pipe may move fewer bytes, or say EFAULT. A vfifo may
 *		fall short of the first bad byte by less than what a processor
 *		copies at once.
 *		Equal again: the rest is read from the pipe and compared, or written
 *		to it.
 * PACKET	F_SETFL with O_DIRECT makes a pipe one of packets. A vfifo says
 *		EINVAL, and its flags stay.
 * SIZE		F_GETPIPE_SZ and F_SETPIPE_SZ are for pipes. A vfifo says EBADF, and
 *		has the attribute "capacity".
 * LARGEFILE	open(2) adds O_LARGEFILE to the flags, pipe2(2) does not.
 *
 * No end of file and no SIGPIPE, the other documented differences, have no place
 * in the script: both ends of the pipe stay open.
 */
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

/* What a script has to have met, to be worth its time. */
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

/* How the operations of some stretch of the script are chosen. */
struct mood {
	int writes;			/* of 8 transfers */
	int sizes;
	bool exact;			/* whole pages only */
};

struct duel {
	struct vfifo dev;
	int r[2], w[2];
	long cap, max_cap, page;
	long count;			/* bytes queued, in both */
	int large;			/* LARGEFILE */
	char *pool_end;			/* of the bytes to write; then it faults */
	char *in[2], *in_end[2];	/* likewise */
	long in_len, pool_len;
	int bad_count[2];		/* of segments */
	struct mood mood;
	__u64 state;
	long met[MET_COUNT];
	char what[200];			/* the operation */
	char why[200];			/* what is wrong with it */
};

/* Ends an operation that went wrong, with the reason. */
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

/* The number of bytes that a result stands for. */
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

/* ---- what is compared after each operation ---- */

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

/* ---- making them equal again ---- */

/* Takes @len bytes from both, which have them. */
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

/* The vfifo has @len bytes more than the pipe, which are at @rest. */
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

/* The pipe has @len bytes more than the vfifo, which gave them to @taken. */
static bool pipe_gives(struct duel *d, const char *taken, long len)
{
	char *rest = len ? malloc(len) : NULL;
	long ret = len ? res(read(d->r[PIPE], rest, len)) : 0;
	bool same = ret == len && (!len || !memcmp(rest, taken, len));

	free(rest);
	return same || WRONG(d, "the pipe had other bytes where the vfifo counted more");
}

static bool drain(struct duel *d)
{
	return !d->count || take_both(d, d->count);
}

/* ---- transfers ---- */

/*
 * How a transfer is made: of which memory, and by which call. The bytes from
 * number @good on are bad ones.
 */
struct transfer {
	long len;
	long good;
	bool vector;
	bool nowait;		/* RWF_NOWAIT instead of O_NONBLOCK */
	int segments;
	long seg[MAX_SEGMENTS];
};

static long pick_len(struct duel *d)
{
	static const int edges[] = { -2, -1, 0, 1, 2 };
	int edge = edges[pick(d, 5)];
	long len;

	if (d->mood.exact)
		return d->page * (1 + pick(d, 4));
	switch (d->mood.sizes ? d->mood.sizes : (int)pick(d, 8)) {
	case 1:
		len = pick(d, 16);
		break;
	case 2:
		len = PIPE_BUF + edge;
		break;
	case 3:
		len = d->cap - d->count + edge;		/* what fits */
		break;
	case 4:
		len = d->count + edge;			/* what is there */
		break;
	case 5:
		len = pick(d, at_most(d->cap, 64 << 10) * 5 / 4);
		break;
	case 6:
		len = d->page * (1 + pick(d, 3)) + edge;
		break;
	case 7:
		len = d->cap + edge;
		break;
	default:
		len = pick(d, 600);
	}
	/* Very large ones are no better, and take their time. */
	if (len > (128 << 10) && pick(d, 16))
		len = pick(d, 5000);
	return len < 0 ? 0 : at_most(len, d->in_len);
}

static void pick_transfer(struct duel *d, struct transfer *t)
{
	long left;
	int i;

	t->len = pick_len(d);
	t->good = t->len;
	t->vector = pick(d, 4) == 0;
	t->nowait = pick(d, 16) == 0;
	if (!d->mood.exact && pick(d, 12) == 0) {
		/* At the first byte, near one of the ends, or anywhere. */
		switch (pick(d, 4)) {
		case 0:
			t->good = 0;
			break;
		case 1:
			t->good = at_most(t->len, pick(d, 4));
			break;
		case 2:
			t->good = t->len - at_most(t->len, 1 + pick(d, 4));
			break;
		default:
			t->good = t->len ? pick(d, t->len) : 0;
		}
		/* More than there could be, and more than the kernel takes. */
		if (t->good > PIPE_BUF && pick(d, 8) == 0)
			t->len = HUGE_COUNT;
	}
	if (!t->vector && !t->nowait) {
		t->segments = 1;
		t->seg[0] = t->len;
		return;
	}
	t->segments = 1 + pick(d, MAX_SEGMENTS);
	for (left = t->len, i = 0; i < t->segments - 1; i++) {
		t->seg[i] = pick(d, 3) && left ? pick(d, left) : 0;
		left -= t->seg[i];
	}
	t->seg[i] = left;
}

/*
 * Cuts memory that ends at @end, which is where it begins to fault, into the
 * segments of a transfer.
 */
static void make_iov(const struct transfer *t, char *end, struct iovec *iov)
{
	char *p = end - t->good;
	int i;

	for (i = 0; i < t->segments; i++) {
		iov[i].iov_base = p;
		iov[i].iov_len = t->seg[i];
		p += t->seg[i];
	}
}

static long transfer(const struct transfer *t, int fd, bool out, char *end)
{
	struct iovec iov[MAX_SEGMENTS];
	int flags = 0;
	long ret;

	make_iov(t, end, iov);
	if (t->nowait) {
		flags = fcntl(fd, F_GETFL);
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
		ret = res(out ? pwritev2(fd, iov, t->segments, -1, RWF_NOWAIT) :
				preadv2(fd, iov, t->segments, -1, RWF_NOWAIT));
		fcntl(fd, F_SETFL, flags);
		return ret;
	}
	if (t->vector)
		return res(out ? writev(fd, iov, t->segments) :
				 readv(fd, iov, t->segments));
	return res(out ? write(fd, iov[0].iov_base, iov[0].iov_len) :
			 read(fd, iov[0].iov_base, iov[0].iov_len));
}

/* Whether @ret is right for a vfifo that met a bad byte after @good ones. */
static bool fault_is_right(long ret, long good)
{
	long gap = good - moved(ret);

	return (ret > 0 || ret == -EFAULT) && gap >= 0 && gap < AT_ONCE;
}

static void describe(struct duel *d, const char *name, const struct transfer *t)
{
	snprintf(d->what, sizeof(d->what),
		 "%s%s of %ld bytes (%ld of them good) in %d segments, %ld of %ld queued",
		 name, t->nowait ? " (RWF_NOWAIT)" : "", t->len, t->good,
		 t->segments, d->count, d->cap);
	d->met[MET_VECTOR] += t->vector;
	d->met[MET_NOWAIT] += t->nowait;
}

static bool do_write(struct duel *d)
{
	long room = d->cap - d->count, want, got[2], ret[2];
	struct transfer t;
	char *end;
	int i;

	pick_transfer(d, &t);
	describe(d, "write", &t);
	d->met[MET_WRITE]++;

	/* Anywhere in the pool, but right before the bad page if need be. */
	end = d->pool_end;
	if (t.good == t.len)
		end -= pick(d, d->pool_len - t.len + 1);
	for (i = 0; i < 2; i++) {
		ret[i] = transfer(&t, d->w[i], true, end);
		got[i] = moved(ret[i]);
	}

	if (!t.len)
		want = 0;
	else if (t.len <= PIPE_BUF)
		want = t.len <= room ? t.len : -EAGAIN;
	else
		want = room ? at_most(t.len, room) : -EAGAIN;
	d->met[MET_WRITE_FULL] += want == -EAGAIN;
	d->met[MET_WRITE_PART] += want > 0 && want < t.len;

	if (want > t.good) {
		d->met[MET_WRITE_FAULT]++;
		if (!fault_is_right(ret[FIFO], t.good) || got[PIPE] > got[FIFO])
			goto wrong;
		if (ret[PIPE] == -EAGAIN && !d->mood.exact && pipe_is_full(d))
			d->met[MET_ROOM]++;
		else if (ret[PIPE] <= 0 && ret[PIPE] != -EFAULT)
			goto wrong;
		d->met[MET_FAULT] += ret[PIPE] != ret[FIFO];
	} else {
		if (ret[FIFO] != want)
			goto wrong;
		if (ret[PIPE] != want) {
			if (d->mood.exact || got[PIPE] >= got[FIFO] ||
			    (ret[PIPE] <= 0 && ret[PIPE] != -EAGAIN) ||
			    (t.len <= PIPE_BUF && ret[PIPE] != -EAGAIN) ||
			    !pipe_is_full(d))
				goto wrong;
			d->met[MET_ROOM]++;
		}
	}

	d->count += got[FIFO];
	return pipe_gets(d, end - t.good + got[PIPE], got[FIFO] - got[PIPE]);
wrong:
	return WRONG(d, "pipe %ld, vfifo %ld; bytes count for %ld", ret[PIPE],
		     ret[FIFO], want);
}

static bool do_read(struct duel *d)
{
	long want, got[2], ret[2], after;
	struct transfer t;
	int i;

	pick_transfer(d, &t);
	describe(d, "read", &t);
	d->met[MET_READ]++;

	want = at_most(t.len, d->count);
	if (t.len && !d->count) {
		want = -EAGAIN;
		d->met[MET_READ_EMPTY]++;
	}
	after = moved(want);
	for (i = 0; i < 2; i++) {
		/* The first byte that must not be touched. */
		if (after < t.good)
			d->in_end[i][after - t.good] = 0x5a;
		ret[i] = transfer(&t, d->r[i], false, d->in_end[i]);
		got[i] = moved(ret[i]);
	}

	if (want > t.good) {
		d->met[MET_READ_FAULT]++;
		if (!fault_is_right(ret[FIFO], t.good) ||
		    got[PIPE] > got[FIFO] ||
		    (ret[PIPE] <= 0 && ret[PIPE] != -EFAULT))
			goto wrong;
		d->met[MET_FAULT] += ret[PIPE] != ret[FIFO];
	} else if (ret[FIFO] != want || ret[PIPE] != want) {
		goto wrong;
	}
	for (i = 0; i < 2; i++) {
		if (after < t.good && d->in_end[i][after - t.good] != 0x5a)
			return WRONG(d, "%s: a byte too many was stored",
				     i ? "vfifo" : "pipe");
	}
	if (memcmp(d->in_end[PIPE] - t.good, d->in_end[FIFO] - t.good,
		   got[PIPE]))
		return WRONG(d, "different bytes");

	d->count -= got[FIFO];
	return pipe_gives(d, d->in_end[FIFO] - t.good + got[PIPE],
			  got[FIFO] - got[PIPE]);
wrong:
	return WRONG(d, "pipe %ld, vfifo %ld; bytes count for %ld", ret[PIPE],
		     ret[FIFO], want);
}

/* ---- what moves no bytes ---- */

#define CALLS 36

/* Call number @call, with random choices that depend on @choice only. */
static long make_call(struct duel *d, int call, int fd, __u64 choice)
{
	char *bad = d->pool_end, c = 'x';
	struct iovec iov[2] = { { &c, 1 }, { &c, 1 } };
	int value = 0, flags;
	long ret;

	switch (call) {
	case 0:
		return res(lseek(fd, 0, SEEK_SET));
	case 1:
		return res(lseek(fd, 0, SEEK_CUR));
	case 2:
		return res(lseek(fd, -1, SEEK_END));
	case 3:
		return res(lseek(fd, choice >> 8, choice % 6));
	case 4:
		return res(pread(fd, &c, 1, choice >> 33));
	case 5:
		return res(pread(fd, &c, 1, -1));
	case 6:
		return res(pread(fd, bad, 0, 0));
	case 7:
		return res(pwrite(fd, &c, 1, choice >> 33));
	case 8:
		return res(pwrite(fd, bad, 100, 0));
	case 9:
		return res(preadv(fd, iov, 2, 0));
	case 10:
		return res(pwritev(fd, iov, 2, 10));
	case 11:
		return res(preadv2(fd, iov, 2, 0, RWF_NOWAIT));
	case 12:
		return res(pwritev2(fd, iov, 2, 0, RWF_NOWAIT));
	case 13:
		ret = res(ioctl(fd, FIONREAD, &value));
		return ret ? ret : value;
	case 14:
		return res(ioctl(fd, FIONREAD, bad));
	case 15:
		return res(ioctl(fd, FIONREAD, NULL));
	case 16:
		return res(ioctl(fd, 0x5401 /* TCGETS */, &value));
	case 17:
		value = 1;
		return res(ioctl(fd, FIONBIO, &value));
	case 18:
		value = choice & 1;
		return res(ioctl(fd, FIOASYNC, &value));
	case 19:
		return res(fcntl(fd, F_GETFL)) & ~d->large;
	case 20:
		flags = O_NONBLOCK;
		flags |= choice & 1 ? O_APPEND : 0;
		flags |= choice & 2 ? O_ASYNC : 0;
		flags |= choice & 4 ? O_NOATIME : 0;
		flags |= choice & 8 ? O_RDWR | O_TRUNC | O_EXCL : 0;
		return res(fcntl(fd, F_SETFL, flags));
	case 21:
		return res(fcntl(fd, F_GETFD));
	case 22:
		return res(fcntl(fd, F_GETOWN));
	case 23:
		return res(fcntl(fd, F_GETSIG));
	case 24:
		return res(fsync(fd));
	case 25:
		return res(fdatasync(fd));
	case 26:
		return res(ftruncate(fd, choice >> 33));
	case 27:
		/* The wrong end. */
		return fd == d->r[PIPE] || fd == d->r[FIFO] ?
		       res(write(fd, &c, 1)) : res(read(fd, &c, 1));
	case 28:
		return res(readv(fd, iov, d->bad_count[choice & 1]));
	case 29:
		return res(writev(fd, iov, d->bad_count[choice & 1]));
	case 30:
		iov[1].iov_len = -1L;
		return res(choice & 1 ? readv(fd, iov, 2) : writev(fd, iov, 2));
	case 31:
		return res(choice & 1 ? readv(fd, (void *)bad, 1) :
					writev(fd, (void *)bad, 1));
	case 32:
		return res(choice & 1 ? preadv2(fd, iov, 1, -1, 0x40000000) :
					pwritev2(fd, iov, 1, -1, 0x40000000));
	case 33:
		/* Not user memory at all, or not as much as that. */
		return res(choice & 1 ? read(fd, (void *)-4096L, 10) :
					write(fd, (void *)-4096L, 10));
	case 34:
		return res(choice & 1 ? read(fd, bad, SSIZE_MAX) :
					write(fd, bad, SSIZE_MAX));
	default:
		return res(choice & 1 ? read(fd, NULL, 0) : write(fd, NULL, 0));
	}
}

static bool do_call(struct duel *d)
{
	bool out = pick(d, 2);
	__u64 choice = rnd(&d->state);
	int call = pick(d, CALLS), i;
	long ret[2];

	snprintf(d->what, sizeof(d->what),
		 "call %d on the %s, %ld of %ld queued", call,
		 out ? "writer" : "reader", d->count, d->cap);
	d->met[MET_OTHER]++;
	for (i = 0; i < 2; i++)
		ret[i] = make_call(d, call, out ? d->w[i] : d->r[i], choice);
	/* ROOM: without a page that is free, the pipe does not look at memory. */
	if ((call == 33 || call == 34) && ret[PIPE] == -EAGAIN &&
	    ret[FIFO] == -EFAULT && out && !d->mood.exact && pipe_is_full(d)) {
		d->met[MET_ROOM]++;
		return true;
	}
	if (ret[PIPE] != ret[FIFO])
		return WRONG(d, "pipe %ld, vfifo %ld", ret[PIPE], ret[FIFO]);
	return true;
}

/* PACKET and SIZE: what only a pipe has. */
static bool do_pipe_only(struct duel *d)
{
	int fd = pick(d, 2) ? d->w[FIFO] : d->r[FIFO];
	int flags = fcntl(fd, F_GETFL);
	long ret;

	snprintf(d->what, sizeof(d->what), "what only a pipe has");
	d->met[MET_OTHER]++;
	ret = res(fcntl(fd, F_SETFL, O_NONBLOCK | O_DIRECT));
	if (ret != -EINVAL || fcntl(fd, F_GETFL) != flags)
		return WRONG(d, "O_DIRECT: %ld, flags %#x, were %#x", ret,
			     fcntl(fd, F_GETFL), flags);
	ret = res(fcntl(fd, F_GETPIPE_SZ));
	if (ret != -EBADF)
		return WRONG(d, "F_GETPIPE_SZ: %ld", ret);
	ret = res(fcntl(fd, F_SETPIPE_SZ, d->cap));
	if (ret != -EBADF)
		return WRONG(d, "F_SETPIPE_SZ: %ld", ret);
	ret = res(fcntl(d->w[PIPE], F_GETPIPE_SZ));
	if (ret != d->cap || attr_get("capacity") != ret)
		return WRONG(d, "capacities: pipe %ld, vfifo %ld", ret,
			     attr_get("capacity"));
	return true;
}

static bool do_resize(struct duel *d)
{
	long want = 1 + pick(d, d->max_cap), p, f;

	if (pick(d, 2))
		want = d->max_cap;
	snprintf(d->what, sizeof(d->what), "resize to %ld, %ld of %ld queued",
		 want, d->count, d->cap);
	d->met[MET_RESIZE]++;
	p = res(fcntl(d->w[PIPE], F_SETPIPE_SZ, want));
	f = attr_set("capacity", want);
	if (f)
		return (f == -EBUSY && p == -EBUSY) ||
		       WRONG(d, "pipe %ld, vfifo %ld", p, f);
	f = attr_get("capacity");
	if (p == -EBUSY && !d->mood.exact && f < d->cap) {
		d->met[MET_ROOM]++;
		f = attr_set("capacity", d->cap);
		return !f || WRONG(d, "back to %ld: %ld", d->cap, f);
	}
	if (p != f)
		return WRONG(d, "pipe %ld, vfifo %ld", p, f);
	d->cap = f;
	return true;
}

/* ---- the script ---- */

static bool new_mood(struct duel *d)
{
	static const int writes[] = { 1, 3, 4, 5, 7 };

	d->mood.writes = writes[pick(d, ARRAY_SIZE(writes))];
	d->mood.sizes = pick(d, 3) ? 0 : pick(d, 8);
	d->mood.exact = pick(d, 4) == 0;
	/* Old pages, used in part, would not be exact. */
	snprintf(d->what, sizeof(d->what), "taking all of %ld", d->count);
	return !d->mood.exact || drain(d);
}

static bool operation(struct duel *d)
{
	unsigned long kind = pick(d, 1000);

	d->met[MET_EXACT] += d->mood.exact;
	if (kind == 0)
		return do_resize(d);
	if (kind < 5)
		return do_pipe_only(d);
	if (kind < 150)
		return do_call(d);
	return (int)pick(d, 8) < d->mood.writes ? do_write(d) : do_read(d);
}

/* Memory of @len bytes, whole pages, before much that can't be accessed: its end. */
static char *before_the_edge(long len, long page)
{
	char *p = mmap(NULL, len + HUGE_COUNT + page, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED || mprotect(p, len, PROT_READ | PROT_WRITE))
		return NULL;
	return p + len;
}

FIXTURE(oracle)
{
	struct duel d;
};

FIXTURE_VARIANT(oracle)
{
	int pages;			/* the capacity */
	int operations;
};

FIXTURE_VARIANT_ADD(oracle, one_page)
{
	.pages = 1,
	.operations = 30000,
};

FIXTURE_VARIANT_ADD(oracle, two_pages)
{
	.pages = 2,
	.operations = 20000,
};

FIXTURE_VARIANT_ADD(oracle, sixteen_pages)
{
	.pages = 16,
	.operations = 60000,
};

FIXTURE_SETUP(oracle)
{
	struct duel *d = &self->d;
	int fd[2], i;

	ASSERT_EQ(0, vfifo_setup(&d->dev));
	d->page = d->dev.page;
	d->cap = variant->pages * d->page;
	d->max_cap = d->cap;
	ASSERT_EQ(0, attr_set("capacity", d->cap));
	d->r[FIFO] = vfifo_open(O_RDONLY | O_NONBLOCK);
	d->w[FIFO] = vfifo_open(O_WRONLY | O_NONBLOCK);
	ASSERT_LE(0, d->r[FIFO]);
	ASSERT_LE(0, d->w[FIFO]);

	ASSERT_EQ(0, pipe2(fd, O_NONBLOCK | O_CLOEXEC));
	d->r[PIPE] = fd[0];
	d->w[PIPE] = fd[1];
	if (res(fcntl(fd[1], F_SETPIPE_SZ, d->cap)) != d->cap)
		SKIP(return, "a pipe can't have that size");

	fd[0] = open("/dev/null", O_RDONLY);
	ASSERT_LE(0, fd[0]);
	d->large = fcntl(fd[0], F_GETFL);
	close(fd[0]);

	d->in_len = d->cap + 3 * d->page;
	d->pool_len = 2 * d->in_len;
	d->pool_end = before_the_edge(d->pool_len, d->page);
	ASSERT_NE(NULL, d->pool_end);
	d->state = vfifo_seed;
	d->bad_count[0] = -1;
	d->bad_count[1] = IOV_MAX + 1;
	stream_fill(d->pool_end - d->pool_len, d->pool_len, 0);
	for (i = 0; i < 2; i++) {
		d->in_end[i] = before_the_edge(d->in_len, d->page);
		ASSERT_NE(NULL, d->in_end[i]);
		d->in[i] = d->in_end[i] - d->in_len;
	}
}

FIXTURE_TEARDOWN(oracle)
{
	int i;

	for (i = 0; i < 2; i++) {
		close(self->d.r[i]);
		close(self->d.w[i]);
	}
	vfifo_teardown(&self->d.dev);
}

TEST_F_TIMEOUT(oracle, script, 100)
{
	struct duel *d = &self->d;
	__s64 start = now_ms();
	int i;

	LOG_SEED();
	for (i = 0; i < variant->operations; i++) {
		bool good = i % 500 || new_mood(d);

		ASSERT_TRUE(good && operation(d) && same_state(d)) {
			TH_LOG("operation %d, %s: %s", i, d->what, d->why);
		}
	}
	ASSERT_TRUE(drain(d));
	EXPECT_TRUE(same_state(d));

	TH_LOG("%d operations compared, in %lld ms", variant->operations,
	       now_ms() - start);
	for (i = 0; i < MET_COUNT; i++) {
		TH_LOG("%8ld %s", d->met[i], met_names[i]);
		/* One page has little room for this one. */
		if (i != MET_ROOM_POLL || variant->pages > 1)
			EXPECT_LT(0, d->met[i]);
	}
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
