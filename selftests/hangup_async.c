// SPDX-License-Identifier: GPL-2.0
/*
 * End of stream by SIGIO, Linux AIO and io_uring. A named FIFO is the reference.
 */
#include "vfifo_ends.h"
#include "vfifo_uring.h"

/* ---- SIGIO ---- */

TEST_F(ends, signal_for_readers)
{
	int w2 = OPEN(O_WRONLY | O_NONBLOCK);

	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->r, getpid()));
	close(w2);
	EXPECT_FALSE(signalled());
	shut(&self->w);
	EXPECT_TRUE(signalled());
	EXPECT_FALSE(signalled());
	EXPECT_EQ(0, read_one(self->r));
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	while (signalled())
		;
	shut(&self->w);
	EXPECT_TRUE(signalled());
}

TEST_F(ends, signal_for_writers)
{
	int r2 = OPEN(O_RDONLY | O_NONBLOCK);

	hold_signal(SIGIO);
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	ASSERT_EQ(0, want_signals(self->w, getpid()));
	close(r2);
	EXPECT_FALSE(signalled());
	shut(&self->r);
	EXPECT_TRUE(signalled());
	EXPECT_FALSE(signalled());
	EXPECT_EPIPE(write_one(self->w));
}

/* The owner of the file is told, also if another process did it and was killed. */
TEST_F(ends, signal_if_the_writer_is_killed)
{
	pid_t pid = child_start(4 * DEADLINE);

	if (!pid) {
		for (;;)
			pause();
	}
	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->r, getpid()));
	shut(&self->w);
	EXPECT_FALSE(signalled());
	EXPECT_EQ(-SIGKILL, child_kill(&pid));
	EXPECT_TRUE(signalled());
}

/* ---- Linux AIO ---- */

TEST_F(ends, aio)
{
	aio_context_t aio = 0;

	if (syscall(SYS_io_setup, 4, &aio))
		SKIP(return, "io_setup: %s", strerror(errno));
	ASSERT_EQ(1, aio_poll(aio, self->r, POLLIN));
	ASSERT_EQ(1, aio_poll(aio, self->r, 0));
	EXPECT_EQ(0, aio_polled(aio, 0));
	shut(&self->w);
	EXPECT_EQ(POLLHUP, aio_polled(aio, DEADLINE * 1000));
	EXPECT_EQ(POLLHUP, aio_polled(aio, DEADLINE * 1000));
	/* It is there already. */
	ASSERT_EQ(1, aio_poll(aio, self->r, POLLIN));
	EXPECT_EQ(POLLHUP, aio_polled(aio, DEADLINE * 1000));

	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	ASSERT_EQ(1, aio_poll(aio, self->w, POLLOUT));
	EXPECT_EQ(0, aio_polled(aio, 0));
	shut(&self->r);
	EXPECT_EQ(POLLERR, aio_polled(aio, DEADLINE * 1000));
	syscall(SYS_io_destroy, aio);
}

/* ---- io_uring ---- */

FIXTURE(uring)
{
	struct ends e;
	struct ring ring;
	int r, w;		/* these block */
	long cap;
	char *buf;
};

FIXTURE_VARIANT(uring)
{
	bool named;
};

FIXTURE_VARIANT_ADD(uring, named_fifo)
{
	.named = true,
};

FIXTURE_VARIANT_ADD(uring, device)
{
	.named = false,
};

FIXTURE_SETUP(uring)
{
	int ret;

	self->r = -1;
	self->w = -1;
	self->buf = NULL;
	ret = ring_begin(&self->ring);
	ASSERT_EQ(0, ends_begin(&self->e, variant->named));
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no io_uring: needs CONFIG_IO_URING");
	if (ret == -EPERM)
		SKIP(return, "io_uring is disabled");
	ASSERT_EQ(0, ret);
	self->cap = self->e.cap;
	self->r = ends_open(&self->e, O_RDONLY);
	self->w = ends_open(&self->e, O_WRONLY);
	ASSERT_TRUE(self->r >= 0 && self->w >= 0);
	self->buf = malloc(2 * self->cap);
	ASSERT_NE(NULL, self->buf);
	stream_fill(self->buf, 2 * self->cap, 0);
}

FIXTURE_TEARDOWN(uring)
{
	ring_close(&self->ring);
	free(self->buf);
	shut(&self->r);
	shut(&self->w);
	ends_end(&self->e);
}

/* For a named FIFO, io_uring sleeps in worker threads. */
#define WORKERS()	(variant->named ? 0 : workers())

TEST_F(uring, every_read_gets_the_end)
{
	char tmp[10];
	int i;

	for (i = 0; i < 6; i++)
		prepare(&self->ring, IORING_OP_READ, self->r, tmp, sizeof(tmp),
			i);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	EXPECT_EQ(0, WORKERS());
	/* A writer that is not the last one ends nothing. */
	i = OPEN(O_WRONLY);
	close(i);
	EXPECT_EQ(0, completions(&self->ring));
	shut(&self->w);
	for (i = 0; i < 6; i++)
		EXPECT_EQ(0, completion(&self->ring, NULL, NULL));
	/* The end is there at once from now on. */
	prepare(&self->ring, IORING_OP_READ, self->r, tmp, sizeof(tmp), 7);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completion(&self->ring, NULL, NULL));
	EXPECT_EQ(0, WORKERS());
}

TEST_F(uring, bytes_come_before_the_end)
{
	char tmp[10];

	prepare(&self->ring, IORING_OP_READ, self->r, tmp, sizeof(tmp), 1);
	ASSERT_TRUE(submit(&self->ring));
	ASSERT_TRUE(fd_put(self->w, 15, 0));
	shut(&self->w);
	EXPECT_EQ(10, completion(&self->ring, NULL, NULL));
	EXPECT_TRUE(stream_equal(tmp, 10, 0));
	prepare(&self->ring, IORING_OP_READ, self->r, tmp, sizeof(tmp), 2);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(5, completion(&self->ring, NULL, NULL));
	EXPECT_TRUE(stream_equal(tmp, 5, 10));
	prepare(&self->ring, IORING_OP_READ, self->r, tmp, sizeof(tmp), 3);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completion(&self->ring, NULL, NULL));
}

/*
 * The signal goes to the task that has submitted the request. In place of the named FIFO,
 * whose worker threads would get it, this uses a pipe.
 */
TEST_F(uring, every_write_gets_the_error)
{
	int ends[2], i;

	if (variant->named) {
		shut(&self->r);
		shut(&self->w);
		ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
		ASSERT_EQ(self->cap, fcntl(ends[1], F_SETPIPE_SZ, self->cap));
		self->r = ends[0];
		self->w = ends[1];
	}
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	for (i = 0; i < 4; i++)
		prepare(&self->ring, IORING_OP_WRITE, self->w, self->buf,
			i & 1 ? 1 : PIPE_BUF, i);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	EXPECT_FALSE(took(SIGPIPE));
	shut(&self->r);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(-EPIPE, completion(&self->ring, NULL, NULL));
	EXPECT_TRUE(took(SIGPIPE));
	EXPECT_EQ(0, workers());

	prepare(&self->ring, IORING_OP_WRITE, self->w, self->buf, 1,
		8)->rw_flags = RWF_NOSIGNAL;
	ASSERT_TRUE(submit(&self->ring));
	i = completion(&self->ring, NULL, NULL);
	EXPECT_TRUE(i == -EPIPE || i == -EOPNOTSUPP);
	EXPECT_FALSE(took(SIGPIPE));
}

TEST_F(uring, poll)
{
	int i;

	prepare_poll(&self->ring, self->r, POLLIN, 0, 1);
	prepare_poll(&self->ring, self->r, 0, 0, 2);
	for (i = 0; i < 3; i++)
		prepare_poll(&self->ring, self->r, POLLIN | EPOLLEXCLUSIVE, 0,
			     3);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	shut(&self->w);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(POLLHUP, completion(&self->ring, NULL, NULL));

	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	prepare_poll(&self->ring, self->w, POLLOUT, 0, 1);
	for (i = 0; i < 3; i++)
		prepare_poll(&self->ring, self->w, POLLOUT | EPOLLEXCLUSIVE, 0,
			     3);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	shut(&self->r);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(POLLERR, completion(&self->ring, NULL, NULL));
}

/* It goes on after the end, and tells of the next one. */
TEST_F(uring, poll_again_and_again)
{
	unsigned int flags = 0;
	long ret;
	int i;

	prepare_poll(&self->ring, self->r, POLLIN, IORING_POLL_ADD_MULTI, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	ASSERT_EQ(1, write_one(self->w));
	EXPECT_EQ(POLLIN, completion(&self->ring, NULL, &flags));
	EXPECT_EQ((unsigned int)IORING_CQE_F_MORE, flags);
	EXPECT_EQ(1, read_one(self->r));
	for (i = 0; i < 3; i++) {
		shut(&self->w);
		/* A side that comes back may cause an event without bits. */
		do {
			ret = completion(&self->ring, NULL, &flags);
			ASSERT_LE(0, ret);
		} while (!(ret & POLLHUP));
		EXPECT_EQ(POLLHUP, ret);
		EXPECT_EQ((unsigned int)IORING_CQE_F_MORE, flags);
		self->w = OPEN(O_WRONLY);
	}
}

TEST_F(uring, cancelled_before_the_end)
{
	int i, cancelled = 0;
	char tmp[10];
	__u64 id;
	long ret;

	prepare(&self->ring, IORING_OP_READ, self->r, tmp, sizeof(tmp), 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	prepare(&self->ring, IORING_OP_ASYNC_CANCEL, -1, (void *)1, 0, 2)->off = 0;
	ASSERT_TRUE(submit(&self->ring));
	for (i = 0; i < 2; i++) {
		ret = completion(&self->ring, &id, NULL);
		EXPECT_EQ(id == 1 ? -ECANCELED : 0, ret);
		cancelled |= id;
	}
	EXPECT_EQ(3, cancelled);
	shut(&self->w);
	EXPECT_EQ(0, completions(&self->ring));
	EXPECT_EQ(0, read_one(self->r));
}

/* Cancelled and ended at once: one of them wins, and the request completes once. */
TEST_F(uring, cancelled_at_the_end)
{
	int round, i, seen;
	char tmp[10];
	bool good;
	__u64 id;
	long ret;

	for (round = 0; round < 100; round++) {
		prepare(&self->ring, IORING_OP_READ, self->r, tmp, sizeof(tmp),
			1);
		ASSERT_TRUE(submit(&self->ring));
		ASSERT_EQ(0, completions(&self->ring));
		prepare(&self->ring, IORING_OP_CLOSE, self->w, NULL, 0, 4)->off = 0;
		prepare(&self->ring, IORING_OP_ASYNC_CANCEL, -1, (void *)1, 0,
			2)->off = 0;
		self->w = -1;
		ASSERT_TRUE(submit(&self->ring));
		for (i = 0, seen = 0; i < 3; i++) {
			ret = completion(&self->ring, &id, NULL);
			if (id == 1)
				good = ret == -ECANCELED || !ret;
			else if (id == 2)
				good = ret == -ENOENT || ret == -EALREADY || !ret;
			else
				good = !ret;
			ASSERT_TRUE(good) {
				TH_LOG("round %d, request %llu: %ld", round, id,
				       ret);
			}
			seen |= id;
		}
		ASSERT_EQ(7, seen);
		ASSERT_EQ(0, read_one(self->r));
		self->w = OPEN(O_WRONLY);
	}
}

TEST_F(uring, closed_by_a_request)
{
	char tmp[10];

	prepare(&self->ring, IORING_OP_READ, self->r, tmp, sizeof(tmp), 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	prepare(&self->ring, IORING_OP_CLOSE, self->w, NULL, 0, 2)->off = 0;
	self->w = -1;
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completion(&self->ring, NULL, NULL));
	EXPECT_EQ(0, completion(&self->ring, NULL, NULL));
}

/* A request in flight keeps its file open. */
TEST_F(uring, closed_under_a_request)
{
	int i, r2 = OPEN(O_RDONLY | O_NONBLOCK);
	__u64 id;

	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	prepare_poll(&self->ring, self->w, POLLOUT, 0, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	shut(&self->w);
	EXPECT_EQ(POLLIN, poll_now(r2, POLLIN));
	prepare(&self->ring, IORING_OP_ASYNC_CANCEL, -1, (void *)1, 0, 2)->off = 0;
	ASSERT_TRUE(submit(&self->ring));
	for (i = 0; i < 2; i++)
		EXPECT_NE(-ETIME, completion(&self->ring, &id, NULL));
	EXPECT_TRUE(eventually(poll_now(r2, POLLIN) == (POLLIN | POLLHUP)));
	close(r2);
}

/* With IOSQE_ASYNC, a worker sleeps in the call. */
TEST_F(uring, forced_to_a_worker)
{
	char tmp[10];

	prepare(&self->ring, IORING_OP_READ, self->r, tmp, sizeof(tmp),
		1)->flags = IOSQE_ASYNC;
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	shut(&self->w);
	EXPECT_EQ(0, completion(&self->ring, NULL, NULL));
}

TEST_F(uring, stream_that_ends)
{
	const long total = 20 * self->cap + 123;
	long had = 0, ret;
	pid_t pid;

	pid = child_start(4 * DEADLINE);
	if (!pid) {
		char *buf = malloc(total);

		close(self->r);
		stream_fill(buf, total, 0);
		_exit(write(self->w, buf, total) != total);
	}
	shut(&self->w);
	for (;;) {
		prepare(&self->ring, IORING_OP_READ, self->r, self->buf, 7001,
			1);
		ASSERT_TRUE(submit(&self->ring));
		ret = completion(&self->ring, NULL, NULL);
		if (ret <= 0)
			break;
		ASSERT_TRUE(stream_equal(self->buf, ret, had));
		had += ret;
	}
	EXPECT_EQ(0, ret);
	EXPECT_EQ(total, had);
	EXPECT_EQ(0, child_end(pid));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
