// SPDX-License-Identifier: GPL-2.0
/*
 * End of stream and mapped ends: a file with a claim counts only as what it has claimed, and
 * its owner learns of the end by poll(2), VFIFO_GET_INFO and the errors of the helpers.
 */
#include "vfifo_hangup.h"

FIXTURE(mapped)
{
	struct ends e;
	long cap;
	int any;		/* for ioctls only, so neither a reader nor a writer */
	int own;		/* open for both; the file of the mapped end */
	int r, w;		/* O_NONBLOCK; -1 if not open */
	struct waiters waiters;
	struct vfifo_producer p;
	struct vfifo_consumer c;
};

FIXTURE_SETUP(mapped)
{
	self->own = -1;
	self->r = -1;
	self->w = -1;
	memset(&self->p, 0, sizeof(self->p));
	memset(&self->c, 0, sizeof(self->c));
	memset(&self->waiters, 0, sizeof(self->waiters));
	ASSERT_EQ(0, ends_begin(&self->e, false));
	self->cap = self->e.cap;
	self->any = open(self->e.path, O_ACCMODE | O_CLOEXEC);
	ASSERT_LE(0, self->any);
	ASSERT_TRUE(waiters_begin(&self->waiters));
}

FIXTURE_TEARDOWN(mapped)
{
	vfifo_producer_close(&self->p);
	vfifo_consumer_close(&self->c);
	waiters_end(&self->waiters);
	shut(&self->own);
	shut(&self->r);
	shut(&self->w);
	close(self->any);
	ends_end(&self->e);
}

/* Claims an end through a file that is opened for it. */
#define CONSUME() do {							\
	self->own = OPEN(O_RDWR);					\
	ASSERT_EQ(0, vfifo_consumer_open_fd(&self->c, self->own));	\
} while (0)

#define PRODUCE() do {							\
	self->own = OPEN(O_RDWR);					\
	ASSERT_EQ(0, vfifo_producer_open_fd(&self->p, self->own));	\
} while (0)

#define FLAGS()	flags_of(self->any)

/* ---- VFIFO_GET_INFO ---- */

TEST_F(mapped, flags_count_the_files)
{
	const long none = VFIFO_NO_READERS | VFIFO_NO_WRITERS;
	int on, rw;

	for (on = 1; on >= 0; on--) {
		const long more = on ? VFIFO_HANGUP : 0;

		ASSERT_EQ(0, attr_set("hangup", on));
		EXPECT_EQ(more | none, FLAGS());
		self->r = OPEN(O_RDONLY);
		EXPECT_EQ(more | VFIFO_NO_WRITERS, FLAGS());
		self->w = OPEN(O_WRONLY);
		EXPECT_EQ(more, FLAGS());
		rw = OPEN(O_RDWR);
		shut(&self->r);
		EXPECT_EQ(more, FLAGS());
		close(rw);
		EXPECT_EQ(more | VFIFO_NO_READERS, FLAGS());
		shut(&self->w);
		EXPECT_EQ(more | none, FLAGS());
		ASSERT_EQ(0, attr_set("mode", 1));
		EXPECT_EQ(more | VFIFO_NO_READERS, FLAGS());
		ASSERT_EQ(0, attr_set("mode", 0));
		EXPECT_EQ(more | none, FLAGS());
	}
}

TEST_F(mapped, flags_count_claims)
{
	PRODUCE();
	EXPECT_EQ(VFIFO_HANGUP | VFIFO_NO_READERS, FLAGS());
	vfifo_producer_close(&self->p);
	EXPECT_EQ(VFIFO_HANGUP, FLAGS());
	ASSERT_EQ(0, vfifo_consumer_open_fd(&self->c, self->own));
	EXPECT_EQ(VFIFO_HANGUP | VFIFO_NO_WRITERS, FLAGS());
	/* Both ends through one file. */
	ASSERT_EQ(0, vfifo_producer_open_fd(&self->p, self->own));
	EXPECT_EQ(VFIFO_HANGUP, FLAGS());
	EXPECT_EQ(0, poll_now(self->own, POLLIN));
	vfifo_consumer_close(&self->c);
	EXPECT_EQ(VFIFO_HANGUP | VFIFO_NO_READERS, FLAGS());
	vfifo_producer_close(&self->p);
	EXPECT_EQ(VFIFO_HANGUP, FLAGS());
	shut(&self->own);
	EXPECT_EQ(VFIFO_HANGUP | VFIFO_NO_READERS | VFIFO_NO_WRITERS, FLAGS());
}

TEST_F(mapped, flags_tell_the_error_state)
{
	PRODUCE();
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	store(self->p.map.own, load(self->p.map.own) + (1ULL << 40));
	EXPECT_EQ(-EIO, read_one(self->r));
	EXPECT_EQ(VFIFO_HANGUP | VFIFO_BROKEN, FLAGS());
	vfifo_producer_close(&self->p);
	EXPECT_EQ(VFIFO_HANGUP, FLAGS());
}

/* ---- a mapped consumer ---- */

TEST_F(mapped, consumer_and_a_last_writer)
{
	CONSUME();
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&self->c, 1, 0));
	EXPECT_EQ(0, poll_now(self->own, POLLIN));
	ASSERT_TRUE(fd_put(self->w, 100, 0));
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, 100, 0));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&self->c, 101, 0));
	shut(&self->w);
	/* What is queued comes first. */
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, 100, WAIT_MS));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 101, 0));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 101, WAIT_MS));
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(self->own, POLLIN));
	EXPECT_TRUE(consume(&self->c, 100, 0));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 1, 0));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 1, -1));
	EXPECT_EQ(POLLHUP, poll_now(self->own, POLLIN));

	/* A new writer continues the stream. */
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(0, poll_now(self->own, POLLIN));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&self->c, 1, 0));
	ASSERT_TRUE(fd_put(self->w, 10, 100));
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, 10, WAIT_MS));
	EXPECT_TRUE(consume(&self->c, 10, 100));
}

/* The file was a writer itself before the claim, which does not count. */
TEST_F(mapped, consumer_that_has_met_nobody)
{
	CONSUME();
	EXPECT_EQ(0, poll_now(self->own, POLLIN));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&self->c, 1, 0));
	self->w = OPEN(O_WRONLY);
	shut(&self->w);
	EXPECT_EQ(POLLHUP, poll_now(self->own, POLLIN));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 1, 0));
}

TEST_F(mapped, consumer_whose_tail_has_moved)
{
	self->w = OPEN(O_WRONLY);
	ASSERT_TRUE(fd_put(self->w, 10, 0));
	shut(&self->w);
	CONSUME();
	EXPECT_EQ(POLLIN, poll_now(self->own, POLLIN));
	EXPECT_TRUE(consume(&self->c, 3, 0));
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(self->own, POLLIN));
	EXPECT_TRUE(consume(&self->c, 7, 3));
	EXPECT_EQ(POLLHUP, poll_now(self->own, POLLIN));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 1, 0));
	/* The file is a writer when the claim has ended, but keeps what it has met. */
	vfifo_consumer_close(&self->c);
	EXPECT_EQ(0, poll_now(self->own, POLLIN));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&self->c, self->own));
	EXPECT_EQ(POLLHUP, poll_now(self->own, POLLIN));
}

/* A byte that was read with read(2) counts for a claim through the same file. */
TEST_F(mapped, consumer_that_has_read_before)
{
	self->w = OPEN(O_WRONLY);
	ASSERT_TRUE(fd_put(self->w, 10, 0));
	shut(&self->w);
	self->own = OPEN(O_RDWR);
	EXPECT_TRUE(fd_get(self->own, 1, 0));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&self->c, self->own));
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(self->own, POLLIN));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 10, 0));
}

/* In a child: has the claim, and takes nothing. */
static long hold_as_consumer(struct ends *e)
{
	struct vfifo_consumer c;

	if (vfifo_consumer_open(&c, e->path))
		return -1;
	for (;;)
		pause();
}

TEST_F(mapped, consumer_asleep)
{
	self->w = OPEN(O_WRONLY);
	SLEEP_IN(&self->e, 0, self->w, sleep_as_consumer(&self->e));
	ASSERT_TRUE(fd_put(self->w, 99, 0));
	EXPECT_STILL_SLEEPS(&self->e, 0);
	shut(&self->w);
	EXPECT_RETURNS(&self->e, 0, -ENODATA, 0);
}

TEST_F(mapped, pollers_of_a_consumer)
{
	struct waiters *w = &self->waiters;
	int i;

	CONSUME();
	self->w = OPEN(O_WRONLY);
	w->unneeded = self->w;
	ASSERT_TRUE(waiter_start(w, BY_POLL, self->own, POLLIN, NULL));
	ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->own, POLLIN | EPOLLET, NULL));
	for (i = 0; i < 3; i++)
		ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->own,
					 POLLIN | EPOLLEXCLUSIVE, NULL));
	shut(&self->w);
	EXPECT_TOLD(w, 0, POLLHUP);
}

TEST_F(mapped, writer_and_a_consumer_that_goes)
{
	CONSUME();
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(1, write_one(self->w));
	vfifo_consumer_close(&self->c);
	/* Its file is still open for reading. */
	EXPECT_EQ(1, write_one(self->w));
	EXPECT_EQ(POLLOUT, poll_now(self->w, POLLOUT));
	shut(&self->own);
	EXPECT_EPIPE(write_one(self->w));
	EXPECT_EQ(POLLOUT | POLLERR, poll_now(self->w, POLLOUT));
	EXPECT_EQ(2, queued(self->w));
}

TEST_F(mapped, writer_and_a_consumer_that_is_killed)
{
	int w;

	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	SLEEP_IN(&self->e, 0, self->w, sleep_as_consumer(&self->e));
	ASSERT_TRUE(fd_put(self->w, 50, 0));
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	EXPECT_EPIPE(write_one(self->w));
	EXPECT_EQ(50, queued(self->w));

	/* One that sleeps. */
	w = OPEN(O_WRONLY);
	SLEEP_IN(&self->e, 0, w, (close(self->w), hold_as_consumer(&self->e)));
	ASSERT_TRUE(fd_put(self->w, self->cap - 50, 50));
	SLEEP_IN(&self->e, 1, -1, write_one(w));
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	EXPECT_RETURNS(&self->e, 1, -EPIPE, 1);
	close(w);
}

/* ---- a mapped producer ---- */

TEST_F(mapped, producer_and_a_last_reader)
{
	PRODUCE();
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(POLLOUT, poll_now(self->own, POLLOUT));
	ASSERT_TRUE(produce(&self->p, self->cap, 0));
	EXPECT_EQ(-EAGAIN, vfifo_producer_wait(&self->p, 1, 0));
	EXPECT_EQ(0, poll_now(self->own, POLLOUT));
	shut(&self->r);
	EXPECT_EQ(POLLERR, poll_now(self->own, POLLOUT));
	EXPECT_EQ(-EPIPE, vfifo_producer_wait(&self->p, 1, 0));
	EXPECT_EQ(-EPIPE, vfifo_producer_wait(&self->p, 1, -1));
	EXPECT_FALSE(took(SIGPIPE));

	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(0, poll_now(self->own, POLLOUT));
	EXPECT_EQ(-EAGAIN, vfifo_producer_wait(&self->p, 1, 0));
	EXPECT_TRUE(fd_get(self->r, 10, 0));
	EXPECT_EQ(0, vfifo_producer_wait(&self->p, 10, WAIT_MS));
	shut(&self->r);
	EXPECT_EQ(POLLOUT | POLLERR, poll_now(self->own, POLLOUT));
	EXPECT_EQ(-EPIPE, vfifo_producer_wait(&self->p, 11, WAIT_MS));
}

TEST_F(mapped, producer_that_has_met_nobody)
{
	PRODUCE();
	EXPECT_EQ(POLLOUT, poll_now(self->own, POLLOUT));
	ASSERT_TRUE(produce(&self->p, self->cap, 0));
	EXPECT_EQ(0, poll_now(self->own, POLLOUT));
	self->r = OPEN(O_RDONLY);
	shut(&self->r);
	EXPECT_EQ(POLLERR, poll_now(self->own, POLLOUT));
}

TEST_F(mapped, producer_asleep)
{
	self->r = OPEN(O_RDONLY);
	self->w = OPEN(O_WRONLY);
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	shut(&self->w);
	SLEEP_IN(&self->e, 0, self->r, sleep_as_producer(&self->e));
	EXPECT_TRUE(fd_get(self->r, 99, 0));
	EXPECT_STILL_SLEEPS(&self->e, 0);
	shut(&self->r);
	EXPECT_RETURNS(&self->e, 0, -EPIPE, 0);
}

TEST_F(mapped, pollers_of_a_producer)
{
	struct waiters *w = &self->waiters;
	int i;

	PRODUCE();
	ASSERT_TRUE(produce(&self->p, self->cap, 0));
	self->r = OPEN(O_RDONLY);
	w->unneeded = self->r;
	ASSERT_TRUE(waiter_start(w, BY_POLL, self->own, POLLOUT, NULL));
	ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->own, POLLOUT | EPOLLET,
				 NULL));
	for (i = 0; i < 3; i++)
		ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->own,
					 POLLOUT | EPOLLEXCLUSIVE, NULL));
	shut(&self->r);
	EXPECT_TOLD(w, 0, POLLERR);
}

TEST_F(mapped, reader_and_a_producer_that_goes)
{
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	PRODUCE();
	ASSERT_TRUE(produce(&self->p, 100, 0));
	vfifo_producer_close(&self->p);
	EXPECT_TRUE(fd_get(self->r, 100, 0));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	shut(&self->own);
	EXPECT_EQ(0, read_one(self->r));
}

/* Bytes that were published without a VFIFO_NOTIFY are read before the end. */
TEST_F(mapped, reader_and_a_producer_that_is_killed)
{
	char *ready = shared(1), tmp[200];
	pid_t pid;
	int r;

	ASSERT_NE(NULL, ready);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	r = OPEN(O_RDONLY);
	SLEEP_IN(&self->e, 0, -1, read(r, tmp, sizeof(tmp)));
	SLEEP_IN(&self->e, 1, -1, read(r, tmp, sizeof(tmp)));
	pid = child_start(4 * DEADLINE);
	if (!pid) {
		struct vfifo_producer p;

		if (vfifo_producer_open(&p, self->e.path))
			_exit(1);
		stream_fill(vfifo_producer_reserve(&p, 100), 100, 0);
		store(p.map.own, load(p.map.own) + 100);
		__atomic_store_n(ready, 1, __ATOMIC_SEQ_CST);
		for (;;)
			pause();
	}
	EXPECT_TRUE(eventually(__atomic_load_n(ready, __ATOMIC_SEQ_CST)));
	EXPECT_EQ(-SIGKILL, child_kill(&pid));
	/* One of the two sleepers gets the bytes, the other the end. */
	EXPECT_TRUE(ends_returned(&self->e, 0));
	EXPECT_TRUE(ends_returned(&self->e, 1));
	EXPECT_EQ(100, self->e.out[0].ret + self->e.out[1].ret);
	EXPECT_TRUE(!self->e.out[0].ret || !self->e.out[1].ret);
	EXPECT_EQ(0, read_one(self->r));
	close(r);
	munmap(ready, 1);
}

/* ---- both ends mapped ---- */

TEST_F(mapped, consumer_and_a_producer)
{
	int other = OPEN(O_RDWR);

	CONSUME();
	ASSERT_EQ(0, vfifo_producer_open_fd(&self->p, other));
	ASSERT_TRUE(produce(&self->p, 10, 0));
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, 10, WAIT_MS));
	EXPECT_TRUE(consume(&self->c, 10, 0));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&self->c, 1, 0));
	/* The file stays a writer without the claim. */
	vfifo_producer_close(&self->p);
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&self->c, 1, 0));
	ASSERT_EQ(0, vfifo_producer_open_fd(&self->p, other));
	ASSERT_TRUE(produce(&self->p, 10, 10));
	vfifo_producer_close(&self->p);
	close(other);
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, 10, WAIT_MS));
	EXPECT_TRUE(consume(&self->c, 10, 10));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 1, WAIT_MS));
}

TEST_F(mapped, producer_killed_beside_a_consumer)
{
	SLEEP_IN(&self->e, 0, -1, sleep_as_consumer(&self->e));
	PRODUCE();
	ASSERT_TRUE(produce(&self->p, self->cap / 2, 0));
	EXPECT_RETURNS(&self->e, 0, 0, 0);
	/* That process has ended, and was the last reader. */
	EXPECT_EQ(POLLOUT | POLLERR, poll_now(self->own, POLLOUT));
	EXPECT_EQ(-EPIPE, vfifo_producer_wait(&self->p, self->cap, WAIT_MS));
	vfifo_producer_close(&self->p);
	shut(&self->own);

	ASSERT_EQ(0, attr_set("hangup", 0));
	self->r = OPEN(O_RDWR);
	ASSERT_EQ(0, ioctl(self->r, VFIFO_CLEAR));
	self->w = OPEN(O_WRONLY);
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	shut(&self->w);
	shut(&self->r);
	ASSERT_EQ(0, attr_set("hangup", 1));
	CONSUME();
	SLEEP_IN(&self->e, 0, self->own, sleep_as_producer(&self->e));
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, self->cap, WAIT_MS));
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(self->own, POLLIN));
	EXPECT_TRUE(consume(&self->c, self->cap, 0));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 1, WAIT_MS));
}

/* ---- claims come and go ---- */

/* A claim on the consumer's end gives up the writing side of its file. */
TEST_F(mapped, claim_as_a_close)
{
	self->own = OPEN(O_RDWR);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(0, poll_now(self->r, POLLIN));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&self->c, self->own));
	EXPECT_EQ(POLLIN | POLLERR | POLLHUP, poll_now(self->r, POLLIN));
	EXPECT_EQ(-EBUSY, read_one(self->r));
	vfifo_consumer_close(&self->c);
	EXPECT_EQ(0, poll_now(self->r, POLLIN));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	shut(&self->own);
	EXPECT_EQ(POLLHUP, poll_now(self->r, POLLIN));
	EXPECT_EQ(0, read_one(self->r));
}

TEST_F(mapped, claim_as_a_close_for_writers)
{
	self->own = OPEN(O_RDWR);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	ASSERT_EQ(0, vfifo_producer_open_fd(&self->p, self->own));
	EXPECT_EQ(POLLOUT | POLLERR, poll_now(self->w, POLLOUT));
	/* Nothing asked for: only the hangup is reported. */
	EXPECT_EQ(POLLERR, poll_now(self->w, 0));
	vfifo_producer_close(&self->p);
	EXPECT_EQ(POLLOUT, poll_now(self->w, POLLOUT));
	EXPECT_EQ(0, poll_now(self->w, 0));
	EXPECT_EQ(1, write_one(self->w));
	shut(&self->own);
	EXPECT_EPIPE(write_one(self->w));
}

/* A mapping keeps its file open. */
TEST_F(mapped, claim_that_outlives_its_descriptor)
{
	struct vfifo dev = { .fd = OPEN(O_RDWR) };
	struct vfifo_end *end = claim_end(&dev, false);

	ASSERT_NE(NULL, end);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	close(dev.fd);
	EXPECT_EQ(1, write_one(self->w));
	EXPECT_EQ(VFIFO_HANGUP, FLAGS());
	ASSERT_EQ(0, munmap(end, sysconf(_SC_PAGESIZE)));
	EXPECT_EPIPE(write_one(self->w));
}

/* A descriptor without the mapping is a reader and a writer again. */
TEST_F(mapped, claim_that_its_descriptor_outlives)
{
	int stop[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe2(stop, O_CLOEXEC));
	CONSUME();
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	self->w = OPEN(O_WRONLY);
	shut(&self->w);
	EXPECT_EQ(VFIFO_HANGUP | VFIFO_NO_WRITERS, FLAGS());
	pid = child_start(4 * DEADLINE);
	if (!pid) {
		close(stop[1]);
		_exit(read(stop[0], &c, 1) != 0);
	}
	close(stop[0]);
	vfifo_consumer_close(&self->c);
	shut(&self->own);
	EXPECT_EQ(VFIFO_HANGUP, FLAGS());
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	close(stop[1]);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, read_one(self->r));
}

/* A claim that fails changes nothing. */
TEST_F(mapped, claim_that_fails)
{
	struct vfifo_consumer other;
	int rw = OPEN(O_RDWR | O_NONBLOCK);

	CONSUME();
	EXPECT_EQ(-EBUSY, vfifo_consumer_open_fd(&other, rw));
	EXPECT_EQ(VFIFO_HANGUP, FLAGS());
	EXPECT_EQ(0, poll_now(self->own, POLLIN));
	EXPECT_EQ(1, write_one(rw));
	close(rw);
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(self->own, POLLIN));
}

TEST_F(mapped, claims_again_and_again)
{
	int i;

	self->own = OPEN(O_RDWR);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	for (i = 0; i < OFTEN(300); i++) {
		if (i & 1) {
			ASSERT_EQ(0, vfifo_producer_open_fd(&self->p, self->own));
			vfifo_producer_close(&self->p);
		} else {
			ASSERT_EQ(0, vfifo_consumer_open_fd(&self->c, self->own));
			vfifo_consumer_close(&self->c);
		}
	}
	EXPECT_EQ(VFIFO_HANGUP, FLAGS());
	shut(&self->own);
	EXPECT_EQ(1, write_one(self->w));
	shut(&self->w);
	EXPECT_EQ(1, read_one(self->r));
	EXPECT_EQ(0, read_one(self->r));
	shut(&self->r);
	EXPECT_EQ(VFIFO_HANGUP | VFIFO_NO_READERS | VFIFO_NO_WRITERS, FLAGS());
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
