/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls of the script that move no bytes.
 */
#ifndef ORACLE_CALLS_H
#define ORACLE_CALLS_H

#include "oracle_duel.h"

#define CALLS 36

/* Call number @call; random choices depend on @choice only. */
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
		/* Kernel addresses; the next case has too large a count. */
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

	if ((out ? d->w : d->r)[FIFO] < 0)
		return true;
	/* FIRST: a read of nothing is something else. */
	if (!out && call > 27 && !writers(d) && !at_end(d))
		return true;
	snprintf(d->what, sizeof(d->what),
		 "call %d on the %s, %ld of %ld queued", call,
		 out ? "writer" : "reader", d->count, d->cap);
	d->met[MET_OTHER]++;
	for (i = 0; i < 2; i++) {
		ret[i] = make_call(d, call, out ? d->w[i] : d->r[i], choice);
		if (took(SIGPIPE) != (ret[i] == -EPIPE))
			return WRONG(d, "%s: %ld, and the signal",
				     i ? "vfifo" : "pipe", ret[i]);
	}
	/* ROOM: without a free page, the pipe does not access user memory. */
	if ((call == 33 || call == 34) && ret[PIPE] == -EAGAIN &&
	    ret[FIFO] == -EFAULT && out && !d->mood.exact && pipe_is_full(d)) {
		d->met[MET_ROOM]++;
		return true;
	}
	if (ret[PIPE] != ret[FIFO])
		return WRONG(d, "pipe %ld, vfifo %ld", ret[PIPE], ret[FIFO]);
	return true;
}

/* PACKET and SIZE: features of pipes only. */
static bool do_pipe_only(struct duel *d)
{
	int fd = pick(d, 2) ? d->w[FIFO] : d->r[FIFO], flags;
	long ret;

	if (fd < 0)
		return true;
	flags = fcntl(fd, F_GETFL);
	snprintf(d->what, sizeof(d->what), "features of pipes only");
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
	ret = res(fcntl(a_file(d, PIPE), F_GETPIPE_SZ));
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
	if (a_file(d, PIPE) < 0)
		return true;
	snprintf(d->what, sizeof(d->what), "resize to %ld, %ld of %ld queued",
		 want, d->count, d->cap);
	d->met[MET_RESIZE]++;
	p = res(fcntl(a_file(d, PIPE), F_SETPIPE_SZ, want));
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

#endif /* ORACLE_CALLS_H */
