// SPDX-License-Identifier: GPL-2.0
/*
 * With the attribute "hangup" 0, which is the default, closing a file means nothing to the
 * other side: no end of file, no EPIPE, no SIGPIPE, no POLLHUP, and nobody is woken.
 */
#include "vfifo_hangup.h"
#include "vfifo_uring.h"
#include "vfifo_waiters.h"

FIXTURE(off)
{
	struct ends e;
	long cap;
	long hangups;
	int r, w;		/* O_NONBLOCK */
	struct waiters waiters;
};

FIXTURE_SETUP(off)
{
	memset(&self->waiters, 0, sizeof(self->waiters));
	ASSERT_EQ(0, ends_begin(&self->e, false));
	ASSERT_EQ(0, attr_set("hangup", 0));
	self->cap = self->e.cap;
	self->r = ends_open(&self->e, O_RDONLY | O_NONBLOCK);
	self->w = ends_open(&self->e, O_WRONLY | O_NONBLOCK);
	ASSERT_TRUE(self->r >= 0 && self->w >= 0);
	ASSERT_TRUE(waiters_begin(&self->waiters));
	self->hangups = attr_get("stats/hangups");
}

FIXTURE_TEARDOWN(off)
{
	EXPECT_EQ(self->hangups, attr_get("stats/hangups"));
	EXPECT_FALSE(took(SIGPIPE));
	waiters_end(&self->waiters);
	shut(&self->r);
	shut(&self->w);
	ends_end(&self->e);
}

TEST_F(off, reads)
{
	char tmp[10];
	struct iovec iov = { tmp, sizeof(tmp) };

	EXPECT_EQ(1, write_one(self->w));
	shut(&self->w);
	EXPECT_EQ(1, read_one(self->r));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	EXPECT_EQ(-EAGAIN, res(preadv2(self->r, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(0, poll_now(self->r, POLLIN | POLLOUT));
}

TEST_F(off, writes)
{
	struct iovec iov = { "xyz", 3 };
	long ret;

	shut(&self->r);
	EXPECT_EQ(1, write_one(self->w));
	EXPECT_EQ(POLLOUT, poll_now(self->w, POLLIN | POLLOUT));
	/* A flag that has nothing to do. */
	ret = res(pwritev2(self->w, &iov, 1, -1, RWF_NOSIGNAL));
	EXPECT_TRUE(ret == 3 || ret == -EOPNOTSUPP);
	ASSERT_TRUE(fd_put(self->w, self->cap - 1 - (ret == 3 ? 3 : 0), 0));
	EXPECT_EQ(-EAGAIN, write_one(self->w));
	EXPECT_EQ(0, poll_now(self->w, POLLIN | POLLOUT));
	EXPECT_EQ(self->cap, queued(self->w));
}

TEST_F(off, reader_sleeps_on)
{
	int r = OPEN(O_RDONLY), w2;
	char tmp[10];

	SLEEP_IN(&self->e, 0, self->w, read(r, tmp, sizeof(tmp)));
	shut(&self->w);
	EXPECT_STILL_SLEEPS(&self->e, 0);
	w2 = OPEN(O_WRONLY);
	EXPECT_STILL_SLEEPS(&self->e, 0);
	close(w2);
	EXPECT_STILL_SLEEPS(&self->e, 0);
	w2 = OPEN(O_WRONLY);
	EXPECT_EQ(1, write_one(w2));
	EXPECT_RETURNS(&self->e, 0, 1, 0);
	close(w2);
	close(r);
}

TEST_F(off, writer_sleeps_on)
{
	int w = OPEN(O_WRONLY), r2;

	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	SLEEP_IN(&self->e, 0, self->r, write_one(w));
	SLEEP_IN(&self->e, 1, self->r, write(w, "ab", 2));
	shut(&self->r);
	EXPECT_STILL_SLEEPS(&self->e, 0);
	EXPECT_STILL_SLEEPS(&self->e, 1);
	r2 = OPEN(O_RDONLY);
	ASSERT_TRUE(fd_get(r2, PIPE_BUF, 0));
	EXPECT_RETURNS(&self->e, 0, 1, 0);
	EXPECT_RETURNS(&self->e, 1, 2, 0);
	close(r2);
	close(w);
}

TEST_F(off, nobody_who_polls_is_woken)
{
	static const __u32 how[] = {
		0, EPOLLET, EPOLLEXCLUSIVE, EPOLLEXCLUSIVE | EPOLLET,
	};
	struct waiters *w = &self->waiters;
	long sleeps;
	size_t i;

	w->unneeded = self->w;
	ASSERT_TRUE(waiter_start(w, BY_POLL, self->r, POLLIN, NULL));
	ASSERT_TRUE(waiter_start(w, BY_SELECT, self->r, POLLIN, NULL));
	for (i = 0; i < ARRAY_SIZE(how); i++)
		ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->r, POLLIN | how[i],
					 NULL));
	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->r, getpid()));
	ASSERT_TRUE(waiters_settled(w));
	sleeps = sleeps_all(w);
	shut(&self->w);
	EXPECT_EQ(0, told_all(w));
	/* Not even for nothing. */
	EXPECT_EQ(sleeps, sleeps_all(w));
	EXPECT_FALSE(signalled());
}

TEST_F(off, io_uring)
{
	struct ring ring;
	char tmp[10];
	int ret = ring_begin(&ring);

	if (ret == -EOPNOTSUPP || ret == -EPERM)
		SKIP(return, "no io_uring: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	prepare(&ring, IORING_OP_READ, self->r, tmp, sizeof(tmp), 1);
	prepare_poll(&ring, self->r, POLLIN, 0, 2);
	prepare_poll(&ring, self->r, POLLIN, IORING_POLL_ADD_MULTI, 3);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(0, completions(&ring));
	shut(&self->w);
	EXPECT_EQ(0, completions(&ring));
	ring_close(&ring);
}

TEST_F(off, splice)
{
	int pipe[2], other[2], r = OPEN(O_RDONLY);

	/* A splice that sleeps has the mutex of its pipe. */
	ASSERT_EQ(0, pipe2(pipe, O_NONBLOCK | O_CLOEXEC));
	ASSERT_EQ(0, pipe2(other, O_NONBLOCK | O_CLOEXEC));
	SLEEP_IN(&self->e, 0, self->w, splice(r, NULL, pipe[1], NULL, 100, 0));
	shut(&self->w);
	EXPECT_STILL_SLEEPS(&self->e, 0);
	EXPECT_EQ(-EAGAIN, res(splice(self->r, NULL, other[1], NULL, 100,
				      SPLICE_F_NONBLOCK)));
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(1, write_one(self->w));
	EXPECT_RETURNS(&self->e, 0, 1, 0);
	shut(&self->r);
	close(r);
	EXPECT_EQ(1, res(splice(pipe[0], NULL, self->w, NULL, 1, 0)));
	close(pipe[0]);
	close(pipe[1]);
	close(other[0]);
	close(other[1]);
}

TEST_F(off, mapped_ends)
{
	struct vfifo_consumer c;
	struct vfifo_producer p;
	int rw = OPEN(O_RDWR);

	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, rw));
	EXPECT_EQ(1, write_one(self->w));
	shut(&self->w);
	EXPECT_EQ(0, vfifo_consumer_wait(&c, 1, 0));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&c, 2, 0));
	EXPECT_EQ(POLLIN, poll_now(rw, POLLIN));
	vfifo_consumer_close(&c);

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, rw));
	shut(&self->r);
	EXPECT_EQ(-EAGAIN, vfifo_producer_wait(&p, self->cap, 0));
	EXPECT_EQ(POLLOUT, poll_now(rw, POLLOUT));
	vfifo_producer_close(&p);
	close(rw);
}

TEST_F(off, killed_processes)
{
	pid_t pid = child_start(4 * DEADLINE);

	if (!pid) {
		for (;;)
			pause();
	}
	shut(&self->w);
	EXPECT_EQ(-SIGKILL, child_kill(&pid));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	pid = child_start(4 * DEADLINE);
	if (!pid) {
		for (;;)
			pause();
	}
	shut(&self->r);
	EXPECT_EQ(-SIGKILL, child_kill(&pid));
	EXPECT_EQ(1, write_one(self->w));
}

TEST_F(off, generation_that_stops)
{
	ASSERT_EQ(0, attr_set("period_ms", 3600000));
	shut(&self->w);
	ASSERT_EQ(0, attr_set("mode", 1));
	ASSERT_EQ(0, attr_set("mode", 0));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	EXPECT_EQ(0, poll_now(self->r, POLLIN));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
