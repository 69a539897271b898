/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes that wait for a file to be ready, and count how often they are woken.
 *
 * A wake-up takes effect before the call that causes it returns: the woken process is
 * runnable until it has counted the wake-up and sleeps again. So once all of them
 * sleep, the counts are final, and no test has to guess how long to wait for a wake-up
 * that must not come.
 */
#ifndef VFIFO_WAITERS_H
#define VFIFO_WAITERS_H

#include <poll.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include <linux/aio_abi.h>

#include "vfifo_test.h"

#define MAX_WAITERS	16

enum wait_by {
	BY_EPOLL,
	BY_NESTED_EPOLL,	/* an epoll that watches the epoll of the file */
	BY_POLL,
	BY_SELECT,
};

struct told {
	int times;		/* how often it was woken */
	int moved;		/* the sum of what its work returned */
	__u32 events;		/* the last events */
};

struct waiters {
	int count;
	pid_t pid[MAX_WAITERS];
	int go[MAX_WAITERS];	/* a byte makes it wait again */
	int unneeded;		/* a file that waiters close first, or -1 */
	struct told *told;	/* shared */
};

/*
 * What a waiter does each time it was woken, before it waits again; returns how much it
 * has moved. Without it, a woken waiter does not wait again before waiter_again().
 */
typedef int (*waiter_work)(int fd);

static inline bool waiters_begin(struct waiters *w)
{
	memset(w, 0, sizeof(*w));
	w->unneeded = -1;
	w->told = shared(MAX_WAITERS * sizeof(*w->told));
	return w->told;
}

static inline void waiters_end(struct waiters *w)
{
	int i;

	for (i = 0; i < w->count; i++) {
		kill(w->pid[i], SIGKILL);
		child_end(w->pid[i]);
		close(w->go[i]);
	}
	if (w->told)
		munmap(w->told, MAX_WAITERS * sizeof(*w->told));
	memset(w, 0, sizeof(*w));
}

/* One way to wait for one file. */
struct watch {
	enum wait_by by;
	int fd;
	__u32 events;
	int ep, outer;
};

static inline bool watch_open(struct watch *watch)
{
	watch->ep = -1;
	watch->outer = -1;
	if (watch->by == BY_EPOLL || watch->by == BY_NESTED_EPOLL) {
		watch->ep = epoll_for(watch->fd, watch->events);
		if (watch->ep < 0)
			return false;
	}
	if (watch->by == BY_NESTED_EPOLL) {
		watch->outer = epoll_for(watch->ep, EPOLLIN);
		if (watch->outer < 0)
			return false;
	}
	return true;
}

static inline __s64 watch_select(struct watch *watch, int ms)
{
	struct timeval tv = { ms / 1000, 1000 * (ms % 1000) };
	__u32 events = watch->events;
	fd_set in, out;
	int ret;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(watch->fd, &in);
	FD_SET(watch->fd, &out);
	ret = res(select(watch->fd + 1, events & POLLIN ? &in : NULL,
			 events & POLLOUT ? &out : NULL, NULL,
			 ms < 0 ? NULL : &tv));
	if (ret <= 0)
		return ret;
	return (events & POLLIN && FD_ISSET(watch->fd, &in) ? POLLIN : 0) |
	       (events & POLLOUT && FD_ISSET(watch->fd, &out) ? POLLOUT : 0);
}

/* The events within @ms milliseconds, or without limit if negative; or -errno. */
static inline __s64 watch_wait(struct watch *watch, int ms)
{
	struct pollfd pfd = { .fd = watch->fd, .events = watch->events };
	struct epoll_event event = { .events = 0 };
	int ret;

	switch (watch->by) {
	case BY_NESTED_EPOLL:
	case BY_EPOLL:
		if (watch->by == BY_NESTED_EPOLL) {
			ret = res(epoll_wait(watch->outer, &event, 1, ms));
			if (ret <= 0)
				return ret;
			ms = 0;
		}
		ret = res(epoll_wait(watch->ep, &event, 1, ms));
		return ret > 0 ? event.events : ret;
	case BY_POLL:
		ret = res(poll(&pfd, 1, ms));
		return ret > 0 ? pfd.revents : ret;
	default:
		return watch_select(watch, ms);
	}
}

/* In the child. Ends by a signal, or if a call fails. */
static inline void wait_and_count(struct watch *watch, waiter_work work, int go,
				  struct told *told)
{
	__s64 got;
	char c;

	if (!watch_open(watch))
		_exit(2);
	/* An edge from before the wait is not counted. */
	if (watch->events & EPOLLET)
		watch_wait(watch, 0);
	for (;;) {
		got = watch_wait(watch, -1);
		if (got < 0)
			_exit(3);
		/* With nested epolls, another process may have been faster. */
		if (!got)
			continue;
		told->events = got;
		__atomic_add_fetch(&told->times, 1, __ATOMIC_SEQ_CST);
		if (work)
			__atomic_add_fetch(&told->moved, work(watch->fd),
					   __ATOMIC_SEQ_CST);
		else if (read(go, &c, 1) != 1)
			_exit(4);
	}
}

/* Starts one more waiter; true once it sleeps. */
static inline bool waiter_start(struct waiters *w, enum wait_by by, int fd,
				__u32 events, waiter_work work)
{
	struct watch watch = { .by = by, .fd = fd, .events = events };
	int i = w->count, go[2];
	pid_t pid;

	if (i == MAX_WAITERS || pipe2(go, O_CLOEXEC))
		return false;
	pid = child_start(12 * DEADLINE);
	if (!pid) {
		close(go[1]);
		if (w->unneeded >= 0)
			close(w->unneeded);
		wait_and_count(&watch, work, go[0], &w->told[i]);
	}
	close(go[0]);
	if (pid < 0) {
		close(go[1]);
		return false;
	}
	w->pid[i] = pid;
	w->go[i] = go[1];
	w->count++;
	return child_sleeps(pid);
}

static inline bool waiters_start(struct waiters *w, int count, enum wait_by by,
				 int fd, __u32 events, waiter_work work)
{
	while (count--)
		if (!waiter_start(w, by, fd, events, work))
			return false;
	return true;
}

/* True once all of them sleep, so that their counts are final. */
static inline bool waiters_settled(struct waiters *w)
{
	int i;

	for (i = 0; i < w->count; i++)
		if (!child_sleeps(w->pid[i]))
			return false;
	return true;
}

/* How often waiters @from to @to - 1 were woken in all; -1 if they do not settle. */
static inline int told_times(struct waiters *w, int from, int to)
{
	int i, sum = 0;

	if (!waiters_settled(w))
		return -1;
	for (i = from; i < to; i++)
		sum += __atomic_load_n(&w->told[i].times, __ATOMIC_SEQ_CST);
	return sum;
}

static inline int told_all(struct waiters *w)
{
	return told_times(w, 0, w->count);
}

/* What their work has moved so far in all. */
static inline int moved_all(struct waiters *w)
{
	int i, sum = 0;

	for (i = 0; i < w->count; i++)
		sum += __atomic_load_n(&w->told[i].moved, __ATOMIC_SEQ_CST);
	return sum;
}

/* How often they went to sleep in all. */
static inline long sleeps_all(struct waiters *w)
{
	long sum = 0;
	int i;

	for (i = 0; i < w->count; i++)
		sum += switches(w->pid[i]);
	return sum;
}

/* Makes a woken waiter wait again; true once it sleeps. */
static inline bool waiter_again(struct waiters *w, int i)
{
	return write(w->go[i], "", 1) == 1 && child_sleeps(w->pid[i]);
}

/* The events of @events that are there now, or -errno. */
static inline int poll_now(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int ret = res(poll(&pfd, 1, 0));

	return ret < 0 ? ret : pfd.revents;
}

/* Submits a poll for @events by Linux AIO: the result of io_submit(). */
static inline long aio_poll(aio_context_t aio, int fd, int events)
{
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = fd,
		.aio_buf = events,
	}, *list = &cb;

	return res(syscall(SYS_io_submit, aio, 1, &list));
}

/* The events that such a poll returns within @ms, or 0. */
static inline int aio_polled(aio_context_t aio, int ms)
{
	struct timespec limit = { ms / 1000, ms % 1000 * 1000000 };
	struct io_event event;

	return syscall(SYS_io_getevents, aio, 1, 1, &event, &limit) == 1 ?
		       event.res : 0;
}

#endif /* VFIFO_WAITERS_H */
