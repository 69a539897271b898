// SPDX-License-Identifier: GPL-2.0
/*
 * poll(2), select(2), epoll(7) and IOCB_CMD_POLL: which events a vfifo reports, and whom
 * they wake.
 */
#include "vfifo_stream.h"
#include "vfifo_waiters.h"

#define ALL	(POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)

/* ---- poll(2), select(2), aio ---- */

TEST_F(stream, poll_bits)
{
	const short in = POLLIN | POLLRDNORM, out = POLLOUT | POLLWRNORM;
	long cap = self->dev.capacity;

	EXPECT_EQ(out, poll_now(self->fd, ALL));
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_EQ(in | out, poll_now(self->fd, ALL));
	ASSERT_TRUE(put(&self->dev, cap - PIPE_BUF - 1, 1));
	EXPECT_EQ(in | out, poll_now(self->fd, ALL));
	ASSERT_TRUE(put(&self->dev, 1, cap - PIPE_BUF));
	EXPECT_EQ(in, poll_now(self->fd, ALL));
	ASSERT_TRUE(put(&self->dev, PIPE_BUF - 1, cap - PIPE_BUF + 1));
	EXPECT_EQ(in, poll_now(self->fd, ALL));
	ASSERT_TRUE(get(&self->dev, PIPE_BUF, 0));
	EXPECT_EQ(in | out, poll_now(self->fd, ALL));
	ASSERT_TRUE(get(&self->dev, cap - PIPE_BUF, PIPE_BUF));
	EXPECT_EQ(out, poll_now(self->fd, ALL));
}

/* There are always bytes to read, or room to write. */
TEST_F_TIMEOUT(stream, poll_bits_are_of_one_moment, 60)
{
	const struct sched_param first = { .sched_priority = 1 };
	int *done = shared(sizeof(*done)), i, none = 0;
	cpu_set_t cpu;
	pid_t pid;
	char c = 0;

	ASSERT_NE(NULL, done);
	/* At the minimum capacity, one byte makes the difference. */
	ASSERT_EQ(0, attr_set("capacity", PIPE_BUF));
	/* The child preempts this process in the middle of poll(). */
	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));
	pid = child_start(60);
	if (!pid) {
		sched_setscheduler(0, SCHED_FIFO, &first);
		for (i = 0; i < 20000; i++) {
			usleep(1 + i % 97);
			if (i % 2 ? read(self->dev.fd, &c, 1) != 1 :
				    write(self->dev.fd, &c, 1) != 1)
				_exit(1);
		}
		__atomic_store_n(done, 1, __ATOMIC_SEQ_CST);
		_exit(0);
	}
	while (!__atomic_load_n(done, __ATOMIC_SEQ_CST) && child_state(pid) != 'Z')
		for (i = 0; i < 100; i++)
			none += !poll_now(self->fd, ALL);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, none);
}

TEST_F(stream, poll_wakes_reader)
{
	pid_t pid = child_start(DEADLINE);

	if (!pid) {
		struct pollfd p = { .fd = self->fd, .events = POLLIN };

		EXPECT_EQ(1, poll(&p, 1, -1));
		EXPECT_EQ(POLLIN, p.revents);
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(1, res(write(self->fd, "x", 1)));
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(stream, poll_wakes_writer)
{
	long cap = self->dev.capacity;
	pid_t pid;

	ASSERT_TRUE(put(&self->dev, cap, 0));
	pid = child_start(DEADLINE);
	if (!pid) {
		struct pollfd p = { .fd = self->fd, .events = POLLOUT };

		EXPECT_EQ(1, poll(&p, 1, -1));
		EXPECT_EQ(POLLOUT, p.revents);
		EXPECT_GE(cap - PIPE_BUF, queued(self->fd));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	/*
	 * In two steps: after the first, there is less room than POLLOUT
	 * promises.
	 */
	EXPECT_TRUE(get(&self->dev, PIPE_BUF - 1, 0));
	EXPECT_TRUE(get(&self->dev, 1, PIPE_BUF - 1));
	EXPECT_EQ(0, child_end(pid));
}

/*
 * Free space that is used up before a poller runs is not reported, but the next
 * free space is. A poller must not be forgotten because a writer that never
 * sleeps is faster.
 */
TEST_F_TIMEOUT(stream, poller_is_told_of_fleeting_room, 60)
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
		/* Empty the FIFO: this must be reported. */
		if (queued(self->fd))
			ASSERT_LT(0, read(self->r, self->buf, 2 * self->cap));
		ASSERT_TRUE(eventually(child_state(poller) == 'Z'))
			TH_LOG("in round %d the poller is not woken", round);
		EXPECT_EQ(0, child_end(poller));
	}
	ASSERT_EQ(0, attr_set("capacity", self->cap));
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
	return n - *in - *out;		/* no exceptional conditions */
}

TEST_F(stream, select)
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

/* As on a pipe: aio can wait at one end, but not at both. */
TEST_F(stream, aio_poll)
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

	/* A file open for both directions must be ready already. */
	EXPECT_EQ(-EINVAL, aio_poll(aio, self->fd, POLLIN));
	ASSERT_EQ(1, aio_poll(aio, self->fd, POLLIN | POLLOUT));
	EXPECT_EQ(POLLOUT, aio_polled(aio, DEADLINE * 1000));
	syscall(SYS_io_destroy, aio);
}

/* ---- epoll ---- */

/* The events reported within @ms. */
static unsigned int events(int ep, int ms)
{
	struct epoll_event ev = { .events = 0 };

	return epoll_wait(ep, &ev, 1, ms) < 0 ? ~0U : ev.events;
}

TEST_F(stream, epoll_by_level)
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
	/* Level-triggered: reported until nothing is left. */
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

TEST_F(stream, epoll_by_edge)
{
	int in = epoll_for(self->r, EPOLLIN | EPOLLET);
	int out;

	ASSERT_LE(0, in);
	EXPECT_EQ(0U, events(in, 0));
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_EQ((unsigned int)EPOLLIN, events(in, 0));
	EXPECT_EQ(0U, events(in, 0));
	/* Every write is an edge, even if earlier bytes were left unread. */
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

/*
 * Bytes left by a read are no edge for readers, and room left by a write is
 * none for writers.
 */
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

TEST_F(stream, epoll_by_edge_is_for_news)
{
	/* First a pipe, as the reference. */
	leave_some(_metadata, self->pipe[0], self->pipe[1]);
	leave_some(_metadata, self->r, self->w);
}

/* The set of events can change while a file is watched; so can EPOLLONESHOT. */
TEST_F(stream, epoll_modified)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep;

	/* Full, then empty: watched for bytes, which did not matter before. */
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

	/* Watched for bytes, then for free space, one shot only. */
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

TEST_F(stream, epoll_wakes_sleepers)
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

/* A sleeping poller and a sleeping reader do not take each other's wake-ups. */
TEST_F(stream, pollers_and_readers)
{
	int ep = epoll_for(self->r, EPOLLIN);
	pid_t poller, reader;
	int i;

	ASSERT_LE(0, ep);
	/* In either order. */
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

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
