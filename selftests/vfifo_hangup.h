/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files of the two sides of a vfifo whose attribute "hangup" is 1, or of a named FIFO,
 * which is the reference.
 *
 * A child inherits all descriptors, so a file stays open as long as one of them has it. A
 * child that waits for the end of one side must close the files of that side.
 */
#ifndef VFIFO_HANGUP_H
#define VFIFO_HANGUP_H

#include <poll.h>
#include <sys/uio.h>

#include "vfifo_waiters.h"

/* Sleep at once: spinning would hide lost wake-ups. */
#define VFIFO_SPIN	0
#include "vfifo_map.h"

#define WAIT_MS		(DEADLINE * 1000)

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL	0x00000100
#endif

/* What @outcome.ret is while the call has not returned. */
#define RUNNING		LONG_MIN

/* What a call in a child has returned; shared. */
struct outcome {
	long ret;
	int signals;		/* SIGPIPEs that it got */
};

#define CALLERS		4

struct ends {
	struct vfifo dev;	/* its file is closed: it would count at both sides */
	long cap;
	char dir[32];		/* of the named FIFO, or empty */
	char fifo[48];
	const char *path;	/* what is opened */
	struct outcome *out;
	pid_t pid[CALLERS];
};

/* Ends in a state in which nobody has the file open: 0, or the negative error number. */
static inline int ends_begin(struct ends *e, bool named)
{
	int ret;

	memset(e, 0, sizeof(*e));
	hold_signal(SIGPIPE);
	ret = vfifo_setup(&e->dev);
	if (!ret)
		ret = attr_set("hangup", 1);
	close(e->dev.fd);
	e->dev.fd = -1;
	e->cap = e->dev.capacity;
	e->out = shared(CALLERS * sizeof(*e->out));
	if (ret || !e->out)
		return ret ? ret : -ENOMEM;
	e->path = vfifo_path();
	if (!named)
		return 0;
	snprintf(e->dir, sizeof(e->dir), "/tmp/vfifo-XXXXXX");
	if (!mkdtemp(e->dir))
		return -errno;
	snprintf(e->fifo, sizeof(e->fifo), "%s/fifo", e->dir);
	e->path = e->fifo;
	return res(mkfifo(e->path, 0600));
}

static inline void ends_end(struct ends *e)
{
	int i;

	for (i = 0; i < CALLERS; i++)
		child_kill(&e->pid[i]);
	if (e->out)
		munmap(e->out, CALLERS * sizeof(*e->out));
	if (e->dir[0]) {
		unlink(e->path);
		rmdir(e->dir);
	}
	attr_set("hangup", 0);
	e->dev.fd = vfifo_open(O_RDWR | O_NONBLOCK);
	vfifo_teardown(&e->dev);
}

/*
 * Opens another file. Opening a vfifo never waits, so neither does this for a named FIFO,
 * of which a reader must be open before a writer (ENXIO).
 */
static inline int ends_open(struct ends *e, int flags)
{
	int fd = open(e->path, flags | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (e->dir[0])
		fcntl(fd, F_SETPIPE_SZ, e->cap);
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

/* Closes it and forgets it. */
static inline void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline bool fd_put(int fd, long len, __u64 pos)
{
	struct vfifo dev = { .fd = fd };

	return put(&dev, len, pos);
}

static inline bool fd_get(int fd, long len, __u64 pos)
{
	struct vfifo dev = { .fd = fd };

	return get(&dev, len, pos);
}

/* What a read says that asks for one byte. */
static inline long read_one(int fd)
{
	char c;

	return res(read(fd, &c, 1));
}

static inline long write_one(int fd)
{
	return res(write(fd, "x", 1));
}

/*
 * Makes @call in child number @i, which first closes @unneeded (or -1), and waits until it
 * sleeps.
 */
#define SLEEP_IN(e, i, unneeded, call) do {				\
	const int __i = (i), __unneeded = (unneeded);			\
	struct ends *__e = (e);						\
	struct outcome *__out = &__e->out[__i];				\
									\
	__out->ret = RUNNING;						\
	__e->pid[__i] = child_start(6 * DEADLINE);			\
	if (!__e->pid[__i]) {						\
		if (__unneeded >= 0)					\
			close(__unneeded);				\
		__out->ret = res(call);					\
		for (__out->signals = 0; took(SIGPIPE);)		\
			__out->signals++;				\
		_exit(0);						\
	}								\
	ASSERT_TRUE(child_sleeps(__e->pid[__i]));			\
	ASSERT_EQ(RUNNING, __out->ret);					\
} while (0)

/* Whether the child's call returns in time. */
static inline bool ends_returned(struct ends *e, int i)
{
	pid_t pid = e->pid[i];

	if (pid <= 0 || !eventually(child_state(pid) == 'Z'))
		return false;
	child_end(pid);
	e->pid[i] = 0;
	return true;
}

#define EXPECT_RETURNS(e, i, value, sigpipes) do {			\
	const int __i = (i);						\
	struct ends *__e = (e);						\
									\
	EXPECT_TRUE(ends_returned(__e, __i)) {				\
		TH_LOG("the call still sleeps");			\
	}								\
	EXPECT_EQ((long)(value), __e->out[__i].ret);			\
	EXPECT_EQ(sigpipes, __e->out[__i].signals);			\
} while (0)

#define EXPECT_STILL_SLEEPS(e, i) do {					\
	const int __i = (i);						\
	const struct ends *__e = (e);					\
									\
	EXPECT_TRUE(child_sleeps(__e->pid[__i]));			\
	EXPECT_EQ(RUNNING, __e->out[__i].ret);				\
} while (0)

/* @call fails with EPIPE, and the caller gets one SIGPIPE. */
#define EXPECT_EPIPE(call) do {						\
	EXPECT_EQ(-EPIPE, res(call));					\
	EXPECT_TRUE(took(SIGPIPE));					\
	EXPECT_FALSE(took(SIGPIPE));					\
} while (0)

/* Opens another file, or ends the test. */
#define OPEN(flags) ({							\
	int __fd = ends_open(&self->e, flags);				\
									\
	ASSERT_LE(0, __fd);						\
	__fd;								\
})

/* ---- pollers ---- */

/* Starts waiters for @event: the first by select(2), then one for each other way. */
static inline bool wait_in_every_way(struct waiters *w, int fd, short event)
{
	static const struct {
		enum wait_by by;
		__u32 how;
	} ways[] = {
		{ BY_SELECT, 0 }, { BY_POLL, 0 }, { BY_EPOLL, 0 },
		{ BY_EPOLL, EPOLLET }, { BY_NESTED_EPOLL, 0 },
		{ BY_EPOLL, EPOLLONESHOT }, { BY_EPOLL, EPOLLEXCLUSIVE },
		{ BY_EPOLL, EPOLLEXCLUSIVE }, { BY_EPOLL, EPOLLEXCLUSIVE },
		{ BY_EPOLL, EPOLLEXCLUSIVE | EPOLLET },
		{ BY_EPOLL, EPOLLEXCLUSIVE | EPOLLET },
		{ BY_EPOLL, EPOLLEXCLUSIVE | EPOLLET },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ways); i++)
		if (!waiter_start(w, ways[i].by, fd, event | ways[i].how, NULL))
			return false;
	return true;
}

/*
 * Starts waiters that ask for nothing, or for @odd, the direction for which the file is not
 * open. They are told only of an end or an error.
 */
static inline bool wait_for_nothing(struct waiters *w, int fd, short odd)
{
	return waiter_start(w, BY_POLL, fd, 0, NULL) &&
	       waiter_start(w, BY_EPOLL, fd, 0, NULL) &&
	       waiter_start(w, BY_EPOLL, fd, EPOLLET, NULL) &&
	       waiter_start(w, BY_EPOLL, fd, EPOLLEXCLUSIVE, NULL) &&
	       waiter_start(w, BY_POLL, fd, odd, NULL) &&
	       waiter_start(w, BY_EPOLL, fd, odd, NULL) &&
	       waiter_start(w, BY_EPOLL, fd, odd | EPOLLEXCLUSIVE, NULL);
}

/* Each waiter was told once, those from @from on of exactly @end. */
#define EXPECT_TOLD(w, from, end) do {					\
	struct waiters *__w = (w);					\
	const short __end = (end);					\
	const int __from = (from);					\
	int __i;							\
									\
	EXPECT_EQ(__w->count, told_all(__w));				\
	for (__i = 0; __i < __w->count; __i++) {			\
		EXPECT_EQ(1, __w->told[__i].times) {			\
			TH_LOG("waiter %d", __i);			\
		}							\
		if (__i < __from)					\
			continue;					\
		EXPECT_EQ(__end, (short)__w->told[__i].events) {	\
			TH_LOG("waiter %d", __i);			\
		}							\
	}								\
} while (0)

/* ---- mapped ends ---- */

static inline bool produce(struct vfifo_producer *p, long len, __u64 pos)
{
	void *to = vfifo_producer_reserve(p, len);

	if (!to)
		return false;
	stream_fill(to, len, pos);
	return !vfifo_producer_commit(p, len);
}

static inline bool consume(struct vfifo_consumer *c, size_t len, __u64 pos)
{
	size_t n;
	const void *from = vfifo_consumer_peek(c, &n);

	return n >= len && stream_equal(from, len, pos) &&
	       !vfifo_consumer_release(c, len);
}

/* The flags of VFIFO_GET_INFO. */
static inline long flags_of(int fd)
{
	struct vfifo_info info = { .size = sizeof(info) };

	return ioctl(fd, VFIFO_GET_INFO, &info) ? -errno : (long)info.flags;
}

/* In a child: sleeps as a mapped consumer until 100 bytes are queued. */
static inline long sleep_as_consumer(struct ends *e)
{
	struct vfifo_consumer c;
	long ret = vfifo_consumer_open(&c, e->path);

	if (!ret)
		ret = vfifo_consumer_wait(&c, 100, -1);
	errno = -ret;
	return ret ? -1 : 0;
}

/* In a child: sleeps as a mapped producer until there is room for 100 bytes. */
static inline long sleep_as_producer(struct ends *e)
{
	struct vfifo_producer p;
	long ret = vfifo_producer_open(&p, e->path);

	if (!ret)
		ret = vfifo_producer_wait(&p, 100, -1);
	errno = -ret;
	return ret ? -1 : 0;
}

#endif /* VFIFO_HANGUP_H */
