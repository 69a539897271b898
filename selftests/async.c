// SPDX-License-Identifier: GPL-2.0
/*
 * The other ways to use a stream: signals, epoll and select, splice and sendfile,
 * calls that don't wait, odd vectors and pointers; and who is woken by what.
 */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "vfifo_waiters.h"

FIXTURE(async)
{
	struct vfifo dev;
	long cap;
	int fd;			/* for both, blocks */
	int r, w;		/* for one each, don't */
	int pipe[2];		/* doesn't, holds as much */
	char *buf;		/* 4 × capacity of the stream */
	const char *group;	/* of cgroups, if there is one */
};

FIXTURE_SETUP(async)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->r = vfifo_open(O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, self->r);
	self->w = vfifo_open(O_WRONLY | O_NONBLOCK);
	ASSERT_LE(0, self->w);
	ASSERT_EQ(0, pipe2(self->pipe, O_NONBLOCK | O_CLOEXEC));
	ASSERT_EQ(self->cap, fcntl(self->pipe[1], F_SETPIPE_SZ, self->cap));
	self->buf = malloc(4 * self->cap);
	ASSERT_NE(NULL, self->buf);
	stream_fill(self->buf, 4 * self->cap, 0);
}

FIXTURE_TEARDOWN(async)
{
	EXPECT_TRUE(cgroup_end(self->group));
	free(self->buf);
	close(self->pipe[0]);
	close(self->pipe[1]);
	close(self->fd);
	close(self->r);
	close(self->w);
	vfifo_teardown(&self->dev);
}

/* ---- SIGIO ---- */

/* Takes one signal, within @ms. */
static bool take(int sig, int ms, siginfo_t *info)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return sigtimedwait(&set, info, &ts) == sig;
}

TEST_F(async, sigio_for_readers)
{
	char c;

	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->r, getpid()));
	EXPECT_TRUE(fcntl(self->r, F_GETFL) & O_ASYNC);
	EXPECT_FALSE(signalled());

	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_TRUE(signalled());
	/* For each write, not only for the first. */
	EXPECT_EQ(1, res(write(self->w, "y", 1)));
	EXPECT_TRUE(signalled());
	/* Room is no news for those who read. */
	EXPECT_EQ(1, res(read(self->fd, &c, 1)));
	EXPECT_EQ(1, res(read(self->fd, &c, 1)));
	EXPECT_FALSE(signalled());
}

TEST_F(async, sigio_for_writers)
{
	hold_signal(SIGIO);
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	ASSERT_EQ(0, want_signals(self->w, getpid()));

	EXPECT_TRUE(get(&self->dev, PIPE_BUF - 1, 0));
	EXPECT_FALSE(signalled());
	EXPECT_TRUE(get(&self->dev, 1, PIPE_BUF - 1));
	EXPECT_TRUE(signalled());
	EXPECT_TRUE(get(&self->dev, 1, PIPE_BUF));
	EXPECT_TRUE(signalled());
	/* Bytes are no news for those who write. */
	EXPECT_EQ(1, res(write(self->fd, "x", 1)));
	EXPECT_FALSE(signalled());
}

TEST_F(async, sigio_for_a_file_that_does_both)
{
	char c;

	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->fd, getpid()));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_TRUE(signalled());
	EXPECT_EQ(1, res(read(self->r, &c, 1)));
	EXPECT_TRUE(signalled());

	/* Off means off for both. */
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, 0));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_EQ(1, res(read(self->r, &c, 1)));
	EXPECT_FALSE(signalled());
}

TEST_F(async, sigio_ends)
{
	int flags = fcntl(self->r, F_GETFL), fd, on = 1;

	hold_signal(SIGIO);
	/* Nobody owns it yet. */
	ASSERT_EQ(0, fcntl(self->r, F_SETFL, flags | O_ASYNC));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_FALSE(signalled());

	ASSERT_EQ(0, fcntl(self->r, F_SETOWN, getpid()));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_TRUE(signalled());
	ASSERT_EQ(0, fcntl(self->r, F_SETFL, flags));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_FALSE(signalled());

	/* By the other door, and twice. */
	ASSERT_EQ(0, ioctl(self->r, FIOASYNC, &on));
	ASSERT_EQ(0, ioctl(self->r, FIOASYNC, &on));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_TRUE(signalled());

	/* It is the file that counts, not one of its descriptors. */
	fd = dup(self->r);
	ASSERT_LE(0, fd);
	close(self->r);
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_TRUE(signalled());
	close(fd);
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_FALSE(signalled());
	self->r = vfifo_open(O_RDONLY | O_NONBLOCK);
}

TEST_F(async, sigio_finds_its_owner)
{
	pid_t pid;

	hold_signal(SIGIO);
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(!take(SIGIO, 1000 * DEADLINE, NULL));
	ASSERT_EQ(0, want_signals(self->r, pid));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_FALSE(signalled());
	/* Now the owner has gone. */
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_FALSE(signalled());
}

TEST_F(async, sigio_that_says_why)
{
	int sig = SIGRTMIN + 3, i;
	siginfo_t info;

	hold_signal(sig);
	ASSERT_EQ(0, fcntl(self->r, F_SETSIG, sig));
	ASSERT_EQ(0, fcntl(self->w, F_SETSIG, sig));
	ASSERT_EQ(0, want_signals(self->r, getpid()));
	ASSERT_EQ(0, want_signals(self->w, getpid()));

	/* These are queued, not merged. */
	EXPECT_EQ(1, res(write(self->dev.fd, "x", 1)));
	EXPECT_EQ(1, res(write(self->dev.fd, "y", 1)));
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(take(sig, 0, &info));
		EXPECT_EQ(POLL_IN, info.si_code);
		EXPECT_EQ(self->r, info.si_fd);
		EXPECT_EQ(POLLIN | POLLRDNORM, info.si_band);
	}
	EXPECT_FALSE(take(sig, 0, &info));

	EXPECT_EQ(2, res(read(self->dev.fd, self->buf, 10)));
	ASSERT_TRUE(take(sig, 0, &info));
	EXPECT_EQ(POLL_OUT, info.si_code);
	EXPECT_EQ(self->w, info.si_fd);
	EXPECT_EQ(POLLOUT | POLLWRNORM | POLLWRBAND, info.si_band);
	EXPECT_FALSE(take(sig, 0, &info));
}

TEST_F(async, sigio_on_other_occasions)
{
	hold_signal(SIGIO);
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	ASSERT_EQ(0, want_signals(self->w, getpid()));
	ASSERT_EQ(0, attr_set("capacity", 2 * self->cap));
	EXPECT_TRUE(signalled());
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	EXPECT_TRUE(signalled());
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));

	ASSERT_EQ(0, want_signals(self->r, getpid()));
	ASSERT_EQ(0, attr_set("period_ms", 10));
	ASSERT_EQ(0, attr_set("mode", 1));
	EXPECT_TRUE(take(SIGIO, 1000 * DEADLINE, NULL));
	ASSERT_EQ(0, attr_set("mode", 0));
}

TEST_F(async, sigio_not_for_nothing)
{
	char *bad = mmap(NULL, self->dev.page, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, bad);
	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->r, getpid()));
	ASSERT_EQ(0, want_signals(self->w, getpid()));
	EXPECT_EQ(0, res(write(self->fd, self->buf, 0)));
	EXPECT_EQ(0, res(read(self->fd, self->buf, 0)));
	EXPECT_EQ(-EAGAIN, res(read(self->r, self->buf, 1)));
	EXPECT_EQ(-EFAULT, res(write(self->fd, bad, 1)));
	EXPECT_FALSE(signalled());
	ASSERT_EQ(1, res(write(self->fd, self->buf, 1)));
	ASSERT_TRUE(signalled());
	EXPECT_EQ(-EFAULT, res(read(self->fd, bad, 1)));
	EXPECT_FALSE(signalled());
	munmap(bad, self->dev.page);
}

/* ---- epoll, select ---- */

/* The events that are reported within @ms. */
static unsigned int events(int ep, int ms)
{
	struct epoll_event ev = { .events = 0 };

	return epoll_wait(ep, &ev, 1, ms) < 0 ? ~0U : ev.events;
}

/*
 * Whoever changes how signals are wanted, and however many at a time: once they
 * aren't, none comes. The kernel's list would else outlive the file, too.
 */
static void *flip_signals(void *arg)
{
	int fd = *(int *)arg, i;

	for (i = 0; i < 2000; i++)
		fcntl(fd, F_SETFL, i & 1 ? 0 : O_ASYNC);
	return NULL;
}

TEST_F_TIMEOUT(async, sigio_switched_by_many, 60)
{
	pthread_t threads[4];
	unsigned int round, i;
	char c;

	hold_signal(SIGIO);
	ASSERT_EQ(0, fcntl(self->fd, F_SETOWN, getpid()));
	for (round = 0; round < 20; round++) {
		for (i = 0; i < ARRAY_SIZE(threads); i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    flip_signals, &self->fd));
		for (i = 0; i < ARRAY_SIZE(threads); i++)
			pthread_join(threads[i], NULL);
		ASSERT_EQ(0, fcntl(self->fd, F_SETFL, 0));
		while (signalled())
			;
		ASSERT_EQ(1, res(write(self->w, "x", 1)));
		ASSERT_EQ(1, res(read(self->r, &c, 1)));
		ASSERT_FALSE(signalled()) TH_LOG("in round %u", round);
	}
}

/* As a pipe: it waits at one end, but not at two. */
TEST_F(async, aio_poll)
{
	aio_context_t aio = 0;
	char c;

	if (syscall(SYS_io_setup, 4, &aio))
		SKIP(return, "io_setup: %s", strerror(errno));
	ASSERT_EQ(1, aio_poll(aio, self->r, POLLIN));
	EXPECT_EQ(0, aio_polled(aio, 20));
	EXPECT_EQ(1, write(self->w, "x", 1));
	EXPECT_EQ(POLLIN, aio_polled(aio, DEADLINE * 1000) & POLLIN);
	EXPECT_EQ(1, read(self->r, &c, 1));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	ASSERT_EQ(1, aio_poll(aio, self->w, POLLOUT));
	EXPECT_EQ(0, aio_polled(aio, 20));
	EXPECT_TRUE(get(&self->dev, self->cap, 0));
	EXPECT_EQ(POLLOUT, aio_polled(aio, DEADLINE * 1000) & POLLOUT);

	/* One that is open for both has to be ready. */
	EXPECT_EQ(-EINVAL, aio_poll(aio, self->fd, POLLIN));
	ASSERT_EQ(1, aio_poll(aio, self->fd, POLLIN | POLLOUT));
	EXPECT_EQ(POLLOUT, aio_polled(aio, DEADLINE * 1000));
	syscall(SYS_io_destroy, aio);
}

TEST_F(async, epoll_by_level)
{
	int in = epoll_for(self->r, EPOLLIN), out = epoll_for(self->w, EPOLLOUT);
	int both = epoll_for(self->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);

	ASSERT_LE(0, in);
	ASSERT_LE(0, out);
	ASSERT_LE(0, both);
	EXPECT_EQ(0U, events(in, 0));
	EXPECT_EQ((unsigned int)EPOLLOUT, events(out, 0));
	EXPECT_EQ((unsigned int)EPOLLOUT, events(both, 0));

	ASSERT_TRUE(put(&self->dev, 2, 0));
	EXPECT_EQ((unsigned int)EPOLLIN, events(in, 0));
	/* Again and again, until nothing is left. */
	EXPECT_EQ((unsigned int)EPOLLIN, events(in, 0));
	ASSERT_TRUE(get(&self->dev, 1, 0));
	EXPECT_EQ((unsigned int)EPOLLIN, events(in, 0));
	EXPECT_EQ((unsigned int)(EPOLLIN | EPOLLOUT), events(both, 0));
	ASSERT_TRUE(get(&self->dev, 1, 1));
	EXPECT_EQ(0U, events(in, 0));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	EXPECT_EQ(0U, events(out, 0));
	EXPECT_EQ((unsigned int)EPOLLIN, events(both, 0));
	ASSERT_TRUE(get(&self->dev, PIPE_BUF, 0));
	EXPECT_EQ((unsigned int)EPOLLOUT, events(out, 0));
	EXPECT_EQ((unsigned int)EPOLLOUT, events(out, 0));
	close(in);
	close(out);
	close(both);
}

TEST_F(async, epoll_by_edge)
{
	int in = epoll_for(self->r, EPOLLIN | EPOLLET);
	int out;

	ASSERT_LE(0, in);
	EXPECT_EQ(0U, events(in, 0));
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_EQ((unsigned int)EPOLLIN, events(in, 0));
	EXPECT_EQ(0U, events(in, 0));
	/* Each write is news, also for those who left some bytes behind. */
	ASSERT_TRUE(put(&self->dev, 1, 1));
	EXPECT_EQ((unsigned int)EPOLLIN, events(in, 0));
	EXPECT_EQ(0U, events(in, 0));
	close(in);

	ASSERT_TRUE(put(&self->dev, self->cap - 2, 2));
	out = epoll_for(self->w, EPOLLOUT | EPOLLET);
	ASSERT_LE(0, out);
	EXPECT_EQ(0U, events(out, 0));
	ASSERT_TRUE(get(&self->dev, PIPE_BUF - 1, 0));
	EXPECT_EQ(0U, events(out, 0));
	ASSERT_TRUE(get(&self->dev, 1, PIPE_BUF - 1));
	EXPECT_EQ((unsigned int)EPOLLOUT, events(out, 0));
	EXPECT_EQ(0U, events(out, 0));
	ASSERT_TRUE(get(&self->dev, 1, PIPE_BUF));
	EXPECT_EQ((unsigned int)EPOLLOUT, events(out, 0));
	EXPECT_EQ(0U, events(out, 0));
	close(out);
}

/* What a read leaves is no news for readers, nor what a write leaves for writers. */
static void leave_some(struct __test_metadata *_metadata, int r, int w)
{
	int in, out;
	char c[4];

	ASSERT_EQ(4, res(write(w, "wxyz", 4)));
	in = epoll_for(r, EPOLLIN | EPOLLET);
	out = epoll_for(w, EPOLLOUT | EPOLLET);
	ASSERT_LE(0, in);
	ASSERT_LE(0, out);
	EXPECT_EQ((unsigned int)EPOLLIN, events(in, 0));
	EXPECT_EQ((unsigned int)EPOLLOUT, events(out, 0));

	EXPECT_EQ(1, res(read(r, c, 1)));
	EXPECT_EQ(0U, events(in, 0));
	events(out, 0);
	EXPECT_EQ(1, res(write(w, "x", 1)));
	EXPECT_EQ(0U, events(out, 0));
	close(in);
	close(out);
}

TEST_F(async, epoll_by_edge_is_for_news)
{
	/* A pipe first, to show what is expected. */
	leave_some(_metadata, self->pipe[0], self->pipe[1]);
	leave_some(_metadata, self->r, self->w);
}

/* What is watched for may change while it is watched; so may it be for once. */
TEST_F(async, epoll_modified)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep;

	/* Full; then empty, watched for bytes that did not use to matter. */
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	ep = epoll_for(self->fd, EPOLLOUT);
	ASSERT_LE(0, ep);
	EXPECT_EQ(0U, events(ep, 0));
	ASSERT_TRUE(get(&self->dev, self->cap, 0));
	EXPECT_EQ((unsigned int)EPOLLOUT, events(ep, 0));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, self->fd, &ev));
	EXPECT_EQ(0U, events(ep, 0));
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_EQ((unsigned int)EPOLLIN, events(ep, 0));
	close(ep);

	/* Watched for bytes; then for room, and only for the first. */
	ASSERT_TRUE(put(&self->dev, self->cap - 1, 1));
	ep = epoll_for(self->fd, EPOLLIN);
	ASSERT_LE(0, ep);
	EXPECT_EQ((unsigned int)EPOLLIN, events(ep, 0));
	ev.events = EPOLLOUT | EPOLLONESHOT;
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, self->fd, &ev));
	EXPECT_EQ(0U, events(ep, 0));
	ASSERT_TRUE(get(&self->dev, PIPE_BUF, 0));
	EXPECT_EQ((unsigned int)EPOLLOUT, events(ep, 0));
	ASSERT_TRUE(get(&self->dev, PIPE_BUF, PIPE_BUF));
	EXPECT_EQ(0U, events(ep, 0));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, self->fd, &ev));
	EXPECT_EQ((unsigned int)EPOLLOUT, events(ep, 0));
	close(ep);
}

/*
 * Room that goes again before a poller has looked is no news, but the next is:
 * one that polls beside a writer that never waits is not forgotten.
 */
TEST_F_TIMEOUT(async, poller_is_told_of_fleeting_room, 60)
{
	struct pollfd pfd = { .fd = self->w, .events = POLLOUT };
	pid_t poller, writer, reader;
	__s64 until;
	int round;

	ASSERT_EQ(0, attr_set("capacity", self->dev.page));
	for (round = 0; round < 4; round++) {
		until = now_ms() + 1000;
		poller = child_start(6 * DEADLINE);
		if (!poller) {
			while (now_ms() < until)
				if (poll(&pfd, 1, 2000 * DEADLINE) != 1)
					_exit(1);
			_exit(0);
		}
		writer = child_start(6 * DEADLINE);
		if (!writer) {
			while (now_ms() < until)
				write(self->w, self->buf, self->dev.page);
			_exit(0);
		}
		reader = child_start(6 * DEADLINE);
		if (!reader) {
			while (now_ms() < until)
				read(self->r, self->buf, 2 * self->cap);
			_exit(0);
		}
		EXPECT_EQ(0, child_end(writer));
		EXPECT_EQ(0, child_end(reader));
		/* All the room there is: if that is no news, nothing will be. */
		if (queued(self->fd))
			ASSERT_LT(0, read(self->r, self->buf, 2 * self->cap));
		ASSERT_TRUE(eventually(child_state(poller) == 'Z'))
			TH_LOG("in round %d the poller sleeps on", round);
		EXPECT_EQ(0, child_end(poller));
	}
	ASSERT_EQ(0, attr_set("capacity", self->cap));
}

TEST_F(async, epoll_wakes_sleepers)
{
	static const unsigned int kinds[] = { 0, EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE };
	pid_t pid;
	size_t i;
	int ep;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		ep = epoll_for(self->r, EPOLLIN | kinds[i]);
		ASSERT_LE(0, ep);
		pid = child_start(DEADLINE);
		if (!pid)
			_exit(events(ep, -1) != EPOLLIN);
		EXPECT_TRUE(child_sleeps(pid));
		EXPECT_EQ(1, res(write(self->w, "x", 1)));
		EXPECT_EQ(0, child_end(pid));
		close(ep);
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));

		ASSERT_TRUE(put(&self->dev, self->cap, 0));
		ep = epoll_for(self->w, EPOLLOUT | kinds[i]);
		ASSERT_LE(0, ep);
		pid = child_start(DEADLINE);
		if (!pid)
			_exit(events(ep, -1) != EPOLLOUT);
		EXPECT_TRUE(child_sleeps(pid));
		EXPECT_TRUE(get(&self->dev, self->cap, 0));
		EXPECT_EQ(0, child_end(pid));
		close(ep);
	}
}

/* A poller and a reader sleep: the one who is told takes nothing from the other. */
TEST_F(async, pollers_and_readers)
{
	int ep = epoll_for(self->r, EPOLLIN);
	pid_t poller, reader;
	int i;

	ASSERT_LE(0, ep);
	/* Whoever comes first. */
	for (i = 0; i < 2; i++) {
		poller = 0;
		reader = 0;
		while (!poller || !reader) {
			if (i ? !poller : !!reader) {
				poller = child_start(DEADLINE);
				if (!poller)
					_exit(events(ep, -1) != EPOLLIN);
				EXPECT_TRUE(child_sleeps(poller));
			} else {
				char c;

				reader = child_start(DEADLINE);
				if (!reader)
					_exit(read(self->fd, &c, 1) != 1);
				EXPECT_TRUE(child_sleeps(reader));
			}
		}
		EXPECT_EQ(2, res(write(self->w, "xy", 2)));
		EXPECT_EQ(0, child_end(reader));
		EXPECT_EQ(0, child_end(poller));
		EXPECT_EQ(1, queued(self->r));
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	}
	close(ep);
}

static int select_now(int r, int w, int *in, int *out)
{
	struct timeval now = { 0, 0 };
	fd_set rs, ws, es;
	int n;

	FD_ZERO(&rs);
	FD_ZERO(&ws);
	FD_ZERO(&es);
	FD_SET(r, &rs);
	FD_SET(w, &ws);
	FD_SET(r, &es);
	FD_SET(w, &es);
	n = select((r > w ? r : w) + 1, &rs, &ws, &es, &now);
	*in = !!FD_ISSET(r, &rs);
	*out = !!FD_ISSET(w, &ws);
	return n - *in - *out;		/* nothing is exceptional */
}

TEST_F(async, select)
{
	int in, out;
	pid_t pid;

	EXPECT_EQ(0, select_now(self->r, self->w, &in, &out));
	EXPECT_EQ(0, in);
	EXPECT_EQ(1, out);
	ASSERT_TRUE(put(&self->dev, self->cap - PIPE_BUF, 0));
	EXPECT_EQ(0, select_now(self->r, self->w, &in, &out));
	EXPECT_EQ(1, in);
	EXPECT_EQ(1, out);
	ASSERT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_EQ(0, select_now(self->fd, self->fd, &in, &out));
	EXPECT_EQ(1, in);
	EXPECT_EQ(0, out);

	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	pid = child_start(DEADLINE);
	if (!pid) {
		fd_set rs;

		FD_ZERO(&rs);
		FD_SET(self->fd, &rs);
		EXPECT_EQ(1, select(self->fd + 1, &rs, NULL, NULL, NULL));
		EXPECT_TRUE(FD_ISSET(self->fd, &rs));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_EQ(0, child_end(pid));
}

/* ---- splice, tee, sendfile ---- */

static bool pipe_has(int fd, char *tmp, long len, __u64 pos)
{
	return res(read(fd, tmp, len)) == len && stream_equal(tmp, len, pos);
}

TEST_F(async, splice_to_it)
{
	long used = self->cap - 100;

	ASSERT_EQ(30000, res(write(self->pipe[1], self->buf, 30000)));
	EXPECT_EQ(10000, res(splice(self->pipe[0], NULL, self->w, NULL, 10000, 0)));
	EXPECT_EQ(20000, res(splice(self->pipe[0], NULL, self->w, NULL, 50000, 0)));
	EXPECT_EQ(-EAGAIN, res(splice(self->pipe[0], NULL, self->w, NULL, 1,
				      SPLICE_F_NONBLOCK)));
	EXPECT_TRUE(get(&self->dev, 30000, 0));

	/* Not more than fits, and what doesn't stays where it was. */
	ASSERT_TRUE(put(&self->dev, used, 0));
	ASSERT_EQ(9000, res(write(self->pipe[1], self->buf + used, 9000)));
	EXPECT_EQ(100, res(splice(self->pipe[0], NULL, self->w, NULL, 9000, 0)));
	EXPECT_EQ(-EAGAIN, res(splice(self->pipe[0], NULL, self->w, NULL, 9000, 0)));
	EXPECT_TRUE(get(&self->dev, self->cap, 0));
	EXPECT_EQ(8900, res(splice(self->pipe[0], NULL, self->w, NULL, 9000, 0)));
	EXPECT_TRUE(get(&self->dev, 8900, self->cap));
	EXPECT_EQ(0, queued(self->pipe[0]));
}

TEST_F(async, splice_from_it)
{
	char tmp[8000];

	EXPECT_EQ(-EAGAIN, res(splice(self->r, NULL, self->pipe[1], NULL, 10, 0)));
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	EXPECT_EQ(3000, res(splice(self->r, NULL, self->pipe[1], NULL, 3000, 0)));
	EXPECT_EQ(5000, res(splice(self->r, NULL, self->pipe[1], NULL, 5000, 0)));
	EXPECT_EQ(self->cap - 8000, queued(self->r));

	/* What the pipe has is its own: no later write shows there. */
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	ASSERT_TRUE(put(&self->dev, self->cap, 77777));
	EXPECT_TRUE(pipe_has(self->pipe[0], tmp, 8000, 0));

	/* All that a pipe holds, and no more than that is taken. */
	EXPECT_EQ(self->cap, res(splice(self->r, NULL, self->pipe[1], NULL,
					4 * self->cap, 0)));
	EXPECT_EQ(0, queued(self->r));
	ASSERT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(-EAGAIN, res(splice(self->r, NULL, self->pipe[1], NULL, 10,
				      SPLICE_F_NONBLOCK)));
	EXPECT_TRUE(get(&self->dev, 10, 0));
	EXPECT_TRUE(pipe_has(self->pipe[0], self->buf, self->cap, 77777));
}

/* O_NONBLOCK of the device's file decides whether it waits for the device. */
TEST_F(async, splice_sleeps)
{
	char tmp[10];
	pid_t pid;

	pid = child_start(DEADLINE);
	if (!pid) {
		EXPECT_EQ(10, res(splice(self->fd, NULL, self->pipe[1], NULL,
					 1000, SPLICE_F_NONBLOCK)));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(pipe_has(self->pipe[0], tmp, 10, 0));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	ASSERT_EQ(20000, res(write(self->pipe[1], self->buf + self->cap, 20000)));
	pid = child_start(DEADLINE);
	if (!pid) {
		EXPECT_EQ(20000, res(splice(self->pipe[0], NULL, self->fd, NULL,
					    20000, SPLICE_F_NONBLOCK)));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(get(&self->dev, self->cap, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(get(&self->dev, 20000, self->cap));
}

TEST_F(async, splice_killed)
{
	char tmp[10];
	pid_t pid;

	pid = child_start(DEADLINE);
	if (!pid)
		_exit(splice(self->fd, NULL, self->pipe[1], NULL, 1000, 0) != 1);
	EXPECT_TRUE(child_sleeps(pid));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	/* It has left the pipe, and the bytes. */
	ASSERT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(10, res(splice(self->r, NULL, self->pipe[1], NULL, 1000, 0)));
	EXPECT_TRUE(pipe_has(self->pipe[0], tmp, 10, 0));
}

TEST_F(async, splice_refuses)
{
	loff_t off = 0;

	ASSERT_TRUE(put(&self->dev, 10, 0));
	ASSERT_EQ(10, res(write(self->pipe[1], self->buf, 10)));
	EXPECT_EQ(-EINVAL, res(splice(self->r, NULL, self->w, NULL, 10, 0)));
	EXPECT_EQ(-EINVAL, res(splice(self->r, &off, self->pipe[1], NULL, 10, 0)));
	EXPECT_EQ(-EINVAL, res(splice(self->pipe[0], NULL, self->w, &off, 10, 0)));
	EXPECT_EQ(-EBADF, res(splice(self->w, NULL, self->pipe[1], NULL, 10, 0)));
	EXPECT_EQ(-EBADF, res(splice(self->pipe[0], NULL, self->r, NULL, 10, 0)));
	EXPECT_EQ(-EINVAL, res(tee(self->r, self->pipe[1], 10, 0)));
	EXPECT_EQ(-EINVAL, res(tee(self->pipe[0], self->w, 10, 0)));
	EXPECT_EQ(10, queued(self->pipe[0]));
	EXPECT_TRUE(get(&self->dev, 10, 0));
}

TEST_F(async, tee)
{
	char tmp[9000];
	int copy[2];

	ASSERT_EQ(0, pipe2(copy, O_NONBLOCK | O_CLOEXEC));
	ASSERT_TRUE(put(&self->dev, 9000, 0));
	ASSERT_EQ(9000, res(splice(self->r, NULL, self->pipe[1], NULL, 9000, 0)));
	EXPECT_EQ(9000, res(tee(self->pipe[0], copy[1], 9000, 0)));
	EXPECT_EQ(9000, res(splice(self->pipe[0], NULL, self->w, NULL, 9000, 0)));
	EXPECT_TRUE(get(&self->dev, 9000, 0));
	EXPECT_TRUE(pipe_has(copy[0], tmp, 9000, 0));
	close(copy[0]);
	close(copy[1]);
}

/* A file in memory, with @len bytes of the stream. */
static int memory_file(const char *buf, long len)
{
	int fd = memfd_create("vfifo", MFD_CLOEXEC);

	if (fd >= 0 && (write(fd, buf, len) != len || lseek(fd, 0, SEEK_SET))) {
		close(fd);
		return -1;
	}
	return fd;
}

TEST_F(async, sendfile_to_it)
{
	int fd = memory_file(self->buf, 3 * self->cap);
	off_t off = 1000;
	pid_t pid;

	ASSERT_LE(0, fd);
	EXPECT_EQ(5000, res(sendfile(self->w, fd, &off, 5000)));
	EXPECT_EQ(6000, off);
	EXPECT_EQ(0, lseek(fd, 0, SEEK_CUR));
	EXPECT_TRUE(get(&self->dev, 5000, 1000));

	/* As much as fits, and the offset is that of the next byte. */
	ASSERT_TRUE(put(&self->dev, 10, 0));
	off = 10;
	EXPECT_EQ(self->cap - 10, res(sendfile(self->w, fd, &off, 3 * self->cap)));
	EXPECT_EQ(self->cap, off);
	EXPECT_EQ(-EAGAIN, res(sendfile(self->w, fd, &off, 100)));
	EXPECT_EQ(self->cap, off);
	EXPECT_TRUE(get(&self->dev, self->cap, 0));

	/* All of it, if it may sleep. */
	pid = child_start(DEADLINE);
	if (!pid) {
		EXPECT_EQ(3 * self->cap,
			  res(sendfile(self->fd, fd, NULL, 4 * self->cap)));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	ASSERT_EQ(0, fcntl(self->dev.fd, F_SETFL, 0));
	EXPECT_TRUE(get(&self->dev, 3 * self->cap, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(3 * self->cap, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(0, queued(self->fd));
	close(fd);
}

TEST_F(async, sendfile_from_it)
{
	int fd = memory_file(self->buf, 0);
	off_t off = 0;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(put(&self->dev, 1000, 0));
	EXPECT_EQ(-EINVAL, res(sendfile(fd, self->r, NULL, 1000)));
	EXPECT_EQ(-EINVAL, res(sendfile(self->w, self->r, NULL, 1000)));
	EXPECT_EQ(-ESPIPE, res(sendfile(fd, self->r, &off, 1000)));
	EXPECT_EQ(-EBADF, res(sendfile(fd, self->w, NULL, 1000)));
	EXPECT_EQ(0, lseek(fd, 0, SEEK_END));
	EXPECT_EQ(1000, queued(self->r));
	close(fd);

	/* A pipe can be had from everything that splices. */
	EXPECT_EQ(1000, res(sendfile(self->pipe[1], self->r, NULL, 5000)));
	EXPECT_TRUE(pipe_has(self->pipe[0], self->buf, 1000, 0));
}

/* ---- RWF_NOWAIT ---- */

TEST_F(async, nowait)
{
	struct iovec iov = { self->buf, 100 };
	long cap = self->cap;
	char tmp[100];
	struct iovec to = { tmp, sizeof(tmp) };

	EXPECT_EQ(-EAGAIN, res(preadv2(self->fd, &to, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(100, res(pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(100, res(preadv2(self->fd, &to, 1, -1, RWF_NOWAIT)));
	EXPECT_TRUE(stream_equal(tmp, 100, 0));

	ASSERT_TRUE(put(&self->dev, cap - 99, 0));
	EXPECT_EQ(-EAGAIN, res(pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(cap - 99, queued(self->fd));
	iov.iov_base = self->buf + cap - 99;
	iov.iov_len = PIPE_BUF + 1;
	EXPECT_EQ(99, res(pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(-EAGAIN, res(pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_TRUE(get(&self->dev, cap, 0));

	/* The others that a stream has no use for. */
	EXPECT_EQ(-ESPIPE, res(preadv2(self->fd, &to, 1, 0, RWF_NOWAIT)));
	EXPECT_EQ(-EOPNOTSUPP, res(preadv2(self->fd, &to, 1, -1, 0x40000000)));
}

/* ---- fdinfo ---- */

static bool has_line(const char *text, const char *name, const char *value)
{
	char line[100];

	snprintf(line, sizeof(line), "\n%s:\t%s\n", name, value);
	return strstr(text, line);
}

TEST_F(async, fdinfo)
{
	char value[32];
	int fd;

	ASSERT_TRUE(put(&self->dev, 12345, 0));
	ASSERT_EQ(0, attr_set("period_ms", 3600000));
	snprintf(value, sizeof(value), "%ld", self->cap);
	fd = vfifo_open(O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(has_line(fdinfo_text(fd), "vfifo-size", "12345"));
	EXPECT_TRUE(has_line(fdinfo_text(fd), "vfifo-capacity", value));
	EXPECT_TRUE(has_line(fdinfo_text(fd), "vfifo-mode", "manual"));
	/* A stream has no position. */
	EXPECT_EQ(0, strncmp(fdinfo_text(fd), "pos:\t0\n", 7));
	close(fd);

	ASSERT_EQ(0, attr_set("mode", 1));
	ASSERT_EQ(0, attr_set("capacity", 2 * self->cap));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	snprintf(value, sizeof(value), "%ld", 2 * self->cap);
	EXPECT_TRUE(has_line(fdinfo_text(self->r), "vfifo-size", "0"));
	EXPECT_TRUE(has_line(fdinfo_text(self->r), "vfifo-capacity", value));
	EXPECT_TRUE(has_line(fdinfo_text(self->r), "vfifo-mode", "auto"));
}

/* ---- odd vectors, counts and pointers ---- */

TEST_F(async, as_many_segments_as_there_can_be)
{
	struct iovec *iov = calloc(IOV_MAX + 1, sizeof(*iov));
	char *copy = calloc(1, self->cap);
	__u64 state = vfifo_seed;
	long total = 0, start;
	int i;

	LOG_SEED();
	ASSERT_NE(NULL, iov);
	/* Across the end of the buffer. */
	start = self->cap - 5000;
	ASSERT_TRUE(put(&self->dev, start, 0));
	ASSERT_TRUE(get(&self->dev, start, 0));

	for (i = 0; i < IOV_MAX; i++) {
		iov[i].iov_base = self->buf + total;
		iov[i].iov_len = rnd(&state) % 32;
		total += iov[i].iov_len;
	}
	EXPECT_EQ(total, res(writev(self->w, iov, IOV_MAX)));
	EXPECT_EQ(total, queued(self->r));
	for (total = 0, i = 0; i < IOV_MAX; i++) {
		iov[i].iov_base = copy + total;
		total += iov[i].iov_len;
	}
	EXPECT_EQ(total, res(readv(self->r, iov, IOV_MAX)));
	EXPECT_TRUE(stream_equal(copy, total, 0));
	free(copy);
	free(iov);
}

/* Only what is moved is touched, however large the count is. */
TEST_F(async, huge_counts)
{
	static const size_t counts[] = { INT_MAX, 0x7ffff000, UINT_MAX };
	long cap = self->cap;
	struct iovec iov[2];
	size_t i;
	char *p;

	/* No more memory than that, but addresses enough. */
	p = mmap(NULL, cap + UINT_MAX, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sizeof(long) == 4 || p == MAP_FAILED)
		SKIP(return, "not enough addresses");
	ASSERT_EQ(0, mprotect(p, cap, PROT_READ | PROT_WRITE));

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		ASSERT_TRUE(put(&self->dev, 100, 0));
		p[100] = 0x5a;
		ASSERT_EQ(100, res(read(self->r, p, counts[i]))) {
			TH_LOG("count %zu", counts[i]);
		}
		EXPECT_TRUE(stream_equal(p, 100, 0));
		EXPECT_EQ(0x5a, p[100]);

		stream_fill(p, cap, 0);
		ASSERT_EQ(cap, res(write(self->w, p, counts[i]))) {
			TH_LOG("count %zu", counts[i]);
		}
		EXPECT_TRUE(get(&self->dev, cap, 0));

		iov[0].iov_base = p;
		iov[0].iov_len = 10;
		iov[1].iov_base = p + 10;
		iov[1].iov_len = counts[i] - 10;
		ASSERT_EQ(cap, res(writev(self->w, iov, 2)));
		memset(p, 0, cap);
		ASSERT_EQ(cap, res(readv(self->r, iov, 2)));
		EXPECT_TRUE(stream_equal(p, cap, 0));
	}

	/* There is no room for these at all, and a pipe says the same. */
	for (i = 0; i < 2; i++) {
		size_t count = i ? SSIZE_MAX : SIZE_MAX;

		EXPECT_EQ(res(write(self->pipe[1], p, count)),
			  res(write(self->w, p, count)));
		EXPECT_EQ(res(read(self->pipe[0], p, count)),
			  res(read(self->r, p, count)));
		EXPECT_EQ(queued(self->pipe[0]), queued(self->r));
	}
	iov[1].iov_len = SSIZE_MAX;
	EXPECT_EQ(res(writev(self->pipe[1], iov, 2)),
		  res(writev(self->w, iov, 2)));
	EXPECT_EQ(queued(self->pipe[0]), queued(self->r));
	munmap(p, cap + UINT_MAX);
}

#define SEGMENTS	6

/*
 * The byte number @bad of a vector, and the rest of its segment, can't be accessed;
 * the segments after that can. What is moved ends in the segment with the bad byte,
 * not after it.
 */
static long bad_vector(char *edge, char *good, long bad, struct iovec *iov)
{
	static const int lens[SEGMENTS] = { 1, 3, 0, 8, 1, 20 };
	long start = 0, least = 0;
	int i;

	for (i = 0; i < SEGMENTS; i++) {
		iov[i].iov_len = lens[i];
		iov[i].iov_base = good + start;
		if (start <= bad && bad < start + lens[i]) {
			iov[i].iov_base = edge - (bad - start);
			memcpy(iov[i].iov_base, good + start, bad - start);
			least = start;
		}
		start += lens[i];
	}
	return least;
}

/* Has the next byte that is written go to offset @at of a buffer of one page. */
static bool next_byte_at(struct vfifo *dev, long at)
{
	long n = at - (attr_get("stats/bytes_written") & (dev->page - 1));

	n = (n + dev->page) % dev->page;
	return !n || (put(dev, n, 0) && get(dev, n, 0));
}

TEST_F(async, bad_pointers_everywhere)
{
	const long total = 33, page = self->dev.page;
	long bad, least, ret, before, i;
	char *edge, good[64], back[64];
	struct iovec iov[SEGMENTS];

	edge = half_mapped(page);
	ASSERT_NE(NULL, edge);
	edge += page;
	ASSERT_EQ(0, attr_set("capacity", page));

	/* With that many bytes before the end of the buffer, and the rest after it. */
	for (before = 0; before <= total; before++) {
		for (bad = 0; bad < total; bad++) {
			ASSERT_TRUE(next_byte_at(&self->dev, page - before));
			stream_fill(good, total, 0);
			least = bad_vector(edge, good, bad, iov);
			ret = res(writev(self->w, iov, SEGMENTS));
			if (ret == -EFAULT)
				ret = 0;
			EXPECT_LE(least, ret);
			EXPECT_GE(bad, ret);
			ASSERT_EQ(ret, queued(self->r)) {
				TH_LOG("bad byte %ld, %ld before the end", bad,
				       before);
			}
			ASSERT_TRUE(get(&self->dev, ret, 0));

			ASSERT_TRUE(next_byte_at(&self->dev, page - before));
			ASSERT_TRUE(put(&self->dev, total, 0));
			memset(good, 0, sizeof(good));
			least = bad_vector(edge, good, bad, iov);
			ret = res(readv(self->r, iov, SEGMENTS));
			if (ret == -EFAULT)
				ret = 0;
			EXPECT_LE(least, ret);
			EXPECT_GE(bad, ret);
			ASSERT_EQ(total - ret, queued(self->r)) {
				TH_LOG("bad byte %ld, %ld before the end", bad,
				       before);
			}
			memcpy(back, good, least);
			memcpy(back + least, edge - (bad - least), bad - least);
			EXPECT_TRUE(stream_equal(back, ret, 0));
			for (i = least; i < total; i++)
				EXPECT_EQ(0, good[i]);
			ASSERT_TRUE(get(&self->dev, total - ret, ret));
		}
	}
	munmap(edge - page, 2 * page);
}

/* ---- who is woken ---- */

#define SLEEPERS	4

/*
 * Whether the process still sleeps, and did so since it was asked for @before. A
 * call that woke it has made it runnable when it returns, and then it has run, or
 * does not sleep now.
 */
static bool slept_on(pid_t pid, long before)
{
	return before >= 0 && child_asleep(pid) && switches(pid) == before;
}

/* How many of the sleepers have ended; -1 if one of the others was woken. */
static int ended(const pid_t *pid, const long *before)
{
	int i, n = 0;

	for (i = 0; i < SLEEPERS; i++) {
		if (child_state(pid[i]) == 'Z')
			n++;
	}
	for (i = 0; i < SLEEPERS; i++) {
		if (child_state(pid[i]) != 'Z' && !slept_on(pid[i], before[i]))
			return -1;
	}
	return n;
}

TEST_F(async, one_byte_wakes_one_reader)
{
	long sleeps = attr_get("stats/reader_sleeps"), before[SLEEPERS];
	pid_t pid[SLEEPERS];
	int i, n;

	for (i = 0; i < SLEEPERS; i++) {
		pid[i] = child_start(DEADLINE);
		if (!pid[i]) {
			char tmp[100];

			_exit(read(self->fd, tmp, sizeof(tmp)) != 1);
		}
		ASSERT_TRUE(child_sleeps(pid[i]));
	}
	/* Each of them slept, and slept once. */
	EXPECT_EQ(sleeps + SLEEPERS, attr_get("stats/reader_sleeps"));
	for (i = 0; i < SLEEPERS; i++)
		before[i] = switches(pid[i]);

	for (n = 1; n <= SLEEPERS; n++) {
		EXPECT_EQ(1, res(write(self->w, "x", 1)));
		EXPECT_TRUE(eventually(ended(pid, before) == n));
		EXPECT_EQ(n, ended(pid, before));
		EXPECT_EQ(0, queued(self->r));
	}
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	EXPECT_EQ(sleeps + SLEEPERS, attr_get("stats/reader_sleeps"));
}

TEST_F(async, one_read_wakes_one_writer)
{
	long sleeps = attr_get("stats/writer_sleeps"), before[SLEEPERS];
	pid_t pid[SLEEPERS];
	int i, n;

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	for (i = 0; i < SLEEPERS; i++) {
		pid[i] = child_start(DEADLINE);
		if (!pid[i])
			_exit(write(self->fd, self->buf, PIPE_BUF) != PIPE_BUF);
		ASSERT_TRUE(child_sleeps(pid[i]));
	}
	EXPECT_EQ(sleeps + SLEEPERS, attr_get("stats/writer_sleeps"));
	for (i = 0; i < SLEEPERS; i++)
		before[i] = switches(pid[i]);

	for (n = 1; n <= SLEEPERS; n++) {
		/* Room that is too little for anybody wakes nobody. */
		EXPECT_EQ(PIPE_BUF - 1, res(read(self->r, self->buf, PIPE_BUF - 1)));
		EXPECT_EQ(n - 1, ended(pid, before));
		EXPECT_EQ(1, res(read(self->r, self->buf, 1)));
		EXPECT_TRUE(eventually(ended(pid, before) == n));
		EXPECT_EQ(n, ended(pid, before));
		EXPECT_EQ(self->cap, queued(self->r));
	}
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	EXPECT_EQ(sleeps + SLEEPERS, attr_get("stats/writer_sleeps"));
}

TEST_F(async, nobody_is_woken_for_nothing)
{
	char *bad = mmap(NULL, self->dev.page, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), c;
	pid_t reader, poller, writer;
	long reads, polls, writes;

	ASSERT_NE(MAP_FAILED, bad);
	reader = child_start(DEADLINE);
	if (!reader)
		_exit(read(self->fd, &c, 1) != 1);
	poller = child_start(DEADLINE);
	if (!poller) {
		struct pollfd p = { .fd = self->r, .events = POLLIN };

		_exit(poll(&p, 1, -1) != 1);
	}
	ASSERT_TRUE(child_sleeps(reader));
	ASSERT_TRUE(child_sleeps(poller));
	reads = switches(reader);
	polls = switches(poller);
	EXPECT_EQ(-EAGAIN, res(read(self->r, &c, 1)));
	EXPECT_EQ(0, res(write(self->w, &c, 0)));
	EXPECT_EQ(-EFAULT, res(write(self->w, bad, 10)));
	EXPECT_EQ(-EFAULT, res(write(self->w, bad, PIPE_BUF + 10)));
	EXPECT_EQ(0, res(ioctl(self->r, VFIFO_CLEAR)));
	EXPECT_EQ(0, attr_set("capacity", 2 * self->cap));
	EXPECT_EQ(0, attr_set("capacity", self->cap));
	EXPECT_EQ(-EAGAIN, res(splice(self->pipe[0], NULL, self->w, NULL, 10,
				      SPLICE_F_NONBLOCK)));
	EXPECT_TRUE(slept_on(reader, reads));
	EXPECT_TRUE(slept_on(poller, polls));
	kill(reader, SIGKILL);
	kill(poller, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(reader));
	EXPECT_EQ(-SIGKILL, child_end(poller));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	writer = child_start(DEADLINE);
	if (!writer)
		_exit(write(self->fd, self->buf, 2 * PIPE_BUF) != 2 * PIPE_BUF);
	poller = child_start(DEADLINE);
	if (!poller) {
		struct pollfd p = { .fd = self->w, .events = POLLOUT };

		_exit(poll(&p, 1, -1) != 1);
	}
	ASSERT_TRUE(child_sleeps(writer));
	ASSERT_TRUE(child_sleeps(poller));
	writes = switches(writer);
	polls = switches(poller);
	EXPECT_EQ(-EAGAIN, res(write(self->w, &c, 1)));
	EXPECT_EQ(-EAGAIN, res(write(self->w, self->buf, self->cap)));
	EXPECT_EQ(0, res(read(self->r, &c, 0)));
	EXPECT_EQ(-EFAULT, res(read(self->r, bad, 10)));
	EXPECT_EQ(PIPE_BUF - 1, res(read(self->r, self->buf, PIPE_BUF - 1)));
	EXPECT_EQ(PIPE_BUF - 1, res(write(self->w, self->buf, PIPE_BUF - 1)));
	EXPECT_TRUE(slept_on(writer, writes));
	EXPECT_TRUE(slept_on(poller, polls));
	kill(writer, SIGKILL);
	kill(poller, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(writer));
	EXPECT_EQ(-SIGKILL, child_end(poller));
	EXPECT_EQ(self->cap, queued(self->r));
	munmap(bad, self->dev.page);
}

/*
 * Two sleep, the first is killed while it is being woken. Either it has taken the
 * byte, or the second is woken for it: a byte that lies there while somebody sleeps
 * is a wake-up that was lost.
 */
TEST_F_TIMEOUT(async, killed_sleeper_takes_no_wakeup, 60)
{
	pid_t pid[2];
	int i, j;

	for (i = 0; i < 40; i++) {
		for (j = 0; j < 2; j++) {
			pid[j] = child_start(2 * DEADLINE);
			if (!pid[j]) {
				char c;

				_exit(read(self->fd, &c, 1) != 1);
			}
			ASSERT_TRUE(child_sleeps(pid[j]));
		}
		if (i % 2)
			kill(pid[0], SIGKILL);
		EXPECT_EQ(1, res(write(self->w, "x", 1)));
		if (!(i % 2))
			kill(pid[0], SIGKILL);
		child_end(pid[0]);
		ASSERT_TRUE(eventually(({
			if (child_state(pid[1]) == 'S' && !queued(self->r))
				EXPECT_EQ(1, res(write(self->w, "x", 1)));
			child_state(pid[1]) == 'Z';
		})));
		ASSERT_EQ(0, child_end(pid[1]));
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	}
}

TEST_F(async, killed_large_write_leaves_its_start)
{
	long room;
	pid_t pid;

	ASSERT_TRUE(put(&self->dev, 1000, 0));
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(write(self->fd, self->buf + 1000, 2 * self->cap) < 0);
	EXPECT_TRUE(eventually(queued(self->r) == self->cap));
	EXPECT_TRUE(child_sleeps(pid));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_TRUE(get(&self->dev, self->cap, 0));
	EXPECT_EQ(0, queued(self->r));

	/* And there is no writer left that would take room from another one. */
	for (room = self->cap; room; room -= PIPE_BUF)
		EXPECT_EQ(PIPE_BUF, res(write(self->w, self->buf, PIPE_BUF)));
	EXPECT_EQ(-EAGAIN, res(write(self->w, self->buf, 1)));
}

/* ---- frozen sleepers ---- */

static bool file_says(const char *dir, const char *name, const char *word)
{
	return strstr(file_text(dir, name), word);
}

/* One that is frozen must not be the one that is woken. */
TEST_F_TIMEOUT(async, frozen_in_the_old_way, 60)
{
	const char *group = cgroup_begin("cgroup", "freezer");
	pid_t first, second;
	char text[32], c;

	self->group = group;
	if (!group)
		SKIP(return, "no freezer of cgroup v1");

	first = child_start(2 * DEADLINE);
	if (!first)
		_exit(read(self->fd, &c, 1) != 1);
	ASSERT_TRUE(child_sleeps(first));
	second = child_start(2 * DEADLINE);
	if (!second)
		_exit(read(self->fd, &c, 1) != 1);
	ASSERT_TRUE(child_sleeps(second));
	snprintf(text, sizeof(text), "%d", first);
	EXPECT_EQ(0, file_put(group, "cgroup.procs", text));
	EXPECT_EQ(0, file_put(group, "freezer.state", "FROZEN"));
	EXPECT_TRUE(eventually(file_says(group, "freezer.state", "FROZEN")));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_EQ(0, child_end(second));

	EXPECT_EQ(0, file_put(group, "freezer.state", "THAWED"));
	EXPECT_TRUE(child_sleeps(first));
	EXPECT_EQ(1, res(write(self->w, "y", 1)));
	EXPECT_EQ(0, child_end(first));
}

TEST_F(async, frozen_with_its_cgroup)
{
	const char *group = cgroup_begin("cgroup2", NULL);
	pid_t reader, writer;
	char text[32], c;

	self->group = group;
	if (!group)
		SKIP(return, "no cgroup2");

	reader = child_start(DEADLINE);
	if (!reader)
		_exit(read(self->fd, &c, 1) != 1);
	ASSERT_TRUE(child_sleeps(reader));
	snprintf(text, sizeof(text), "%d", reader);
	EXPECT_EQ(0, file_put(group, "cgroup.procs", text));
	EXPECT_EQ(0, file_put(group, "cgroup.freeze", "1"));
	EXPECT_TRUE(eventually(file_says(group, "cgroup.events", "frozen 1")));

	/* What comes meanwhile is for those who are not frozen. */
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_EQ(1, res(read(self->r, &c, 1)));
	EXPECT_EQ(0, file_put(group, "cgroup.freeze", "0"));
	EXPECT_TRUE(eventually(file_says(group, "cgroup.events", "frozen 0")));
	EXPECT_TRUE(child_sleeps(reader));

	/* What is there when it comes back is for itself. */
	EXPECT_EQ(0, file_put(group, "cgroup.freeze", "1"));
	EXPECT_TRUE(eventually(file_says(group, "cgroup.events", "frozen 1")));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_EQ(0, file_put(group, "cgroup.freeze", "0"));
	EXPECT_EQ(0, child_end(reader));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	writer = child_start(DEADLINE);
	if (!writer)
		_exit(write(self->fd, self->buf, 2 * PIPE_BUF) != 2 * PIPE_BUF);
	ASSERT_TRUE(child_sleeps(writer));
	snprintf(text, sizeof(text), "%d", writer);
	EXPECT_EQ(0, file_put(group, "cgroup.procs", text));
	EXPECT_EQ(0, file_put(group, "cgroup.freeze", "1"));
	EXPECT_TRUE(eventually(file_says(group, "cgroup.events", "frozen 1")));
	EXPECT_TRUE(get(&self->dev, 2 * PIPE_BUF, 0));
	EXPECT_EQ(self->cap - 2 * PIPE_BUF, queued(self->r));
	EXPECT_EQ(0, file_put(group, "cgroup.freeze", "0"));
	EXPECT_EQ(0, child_end(writer));
	EXPECT_EQ(self->cap, queued(self->r));
}

/* A page that grows downwards when what is below it is touched, as a stack does. */
static char *young_stack(long page)
{
	size_t hole = 4096 * page;
	char *p = mmap(NULL, hole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED || munmap(p, hole))
		return NULL;
	p = mmap(p + hole - page, page, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN |
		 MAP_FIXED_NOREPLACE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* Nobody has to touch the stack before a read: a pipe does not ask for that. */
TEST_F(async, stack_that_has_yet_to_grow)
{
	long page = self->dev.page, len = 2 * page + 10;
	int i, fd[] = { self->pipe[0], self->r, self->r };
	struct iovec iov[2];
	char *p;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(len, res(write(i ? self->w : self->pipe[1], self->buf,
					 len)));
		p = young_stack(page);
		ASSERT_NE(NULL, p);
		iov[0] = (struct iovec) { p - 3 * page, 100 };
		iov[1] = (struct iovec) { p - 3 * page + 100, len - 100 };
		EXPECT_EQ(len, res(i == 2 ? readv(fd[i], iov, 2) :
					    read(fd[i], p - 3 * page, len))) {
			TH_LOG("%d", i);
		}
		EXPECT_EQ(0, memcmp(self->buf, p - 3 * page, len));
		munmap(p - 3 * page, 4 * page);
	}
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
