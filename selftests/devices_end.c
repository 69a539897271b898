// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * When a device is removed, nobody goes on waiting for a process that would have to open
 * it: its files behave as those of a pipe whose other end is closed. That holds whatever
 * the attribute "hangup" was, whether or not a file has met its peer, and for all ways to
 * wait.
 */
#include "vfifo_devices.h"
#include "vfifo_hangup.h"
#include "vfifo_log.h"
#include "vfifo_uring.h"

#define NAME	TEST_PREFIX "end"

#define REMOVE() ASSERT_EQ(0, device_delete(NAME))

/* A new device that nobody has open: 0, or the negative error number. */
static int begin(struct ends *e, struct health *health, int hangup)
{
	int ret;

	devices_forget();
	health_begin(health);
	device_use(NAME);
	ret = device_add(NAME);
	if (!ret)
		ret = ends_begin(e, false);
	return ret ? ret : attr_set("hangup", hangup);
}

/* Whether or not it was removed. */
static void finish(struct __test_metadata *_metadata, struct ends *e,
		   struct health *health)
{
	ends_end(e);
	devices_forget();
	EXPECT_HEALTHY(health);
	health_end(health);
}

/* ---- one file, and nobody on the other side ---- */

FIXTURE(alone)
{
	struct health health;
	struct ends e;
	struct waiters waiters;
	struct ring ring;
	bool uring;		/* whether there is a ring */
	int fd;			/* blocks, and would have to wait */
	short event, odd;	/* what it waits for, and what it is not open for */
	short end;		/* what the end is reported by */
	long result;		/* what calls return at the end */
	int sigpipes;		/* how many each of them causes */
};

FIXTURE_VARIANT(alone)
{
	bool writer;
	int hangup;
};

FIXTURE_VARIANT_ADD(alone, reader_hangup_0)
{
	.writer = false,
	.hangup = 0,
};

FIXTURE_VARIANT_ADD(alone, reader_hangup_1)
{
	.writer = false,
	.hangup = 1,
};

FIXTURE_VARIANT_ADD(alone, writer_hangup_0)
{
	.writer = true,
	.hangup = 0,
};

FIXTURE_VARIANT_ADD(alone, writer_hangup_1)
{
	.writer = true,
	.hangup = 1,
};

FIXTURE_SETUP(alone)
{
	if (geteuid())
		SKIP(return, "only root can add devices");
	self->fd = -1;
	ASSERT_EQ(0, begin(&self->e, &self->health, variant->hangup));
	ASSERT_TRUE(waiters_begin(&self->waiters));
	self->uring = !ring_begin(&self->ring);
	self->event = variant->writer ? POLLOUT : POLLIN;
	self->odd = variant->writer ? POLLIN : POLLOUT;
	self->end = variant->writer ? POLLERR : POLLHUP;
	self->result = variant->writer ? -EPIPE : 0;
	self->sigpipes = variant->writer;
	self->fd = OPEN(variant->writer ? O_WRONLY : O_RDONLY);
	if (variant->writer)
		ASSERT_TRUE(fd_put(self->fd, self->e.cap, 0));
	ASSERT_EQ(0, poll_now(self->fd, POLLIN | POLLOUT));
}

FIXTURE_TEARDOWN(alone)
{
	waiters_end(&self->waiters);
	ring_close(&self->ring);
	shut(&self->fd);
	finish(_metadata, &self->e, &self->health);
}

/* Reads or writes @len bytes, at most PIPE_BUF. */
static long transfer(int fd, bool writes, size_t len)
{
	char buf[PIPE_BUF] = { 0 };

	return res(writes ? write(fd, buf, len) : read(fd, buf, len));
}

TEST_F(alone, calls_that_do_not_wait)
{
	int i;

	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, transfer(self->fd, variant->writer, 1));
	EXPECT_FALSE(took(SIGPIPE));
	REMOVE();
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(self->result, transfer(self->fd, variant->writer, 1));
		EXPECT_EQ(self->sigpipes, took(SIGPIPE));
		EXPECT_FALSE(took(SIGPIPE));
		EXPECT_EQ(self->end, poll_now(self->fd, self->event));
	}
	EXPECT_EQ(variant->writer ? self->e.cap : 0, queued(self->fd));
}

/* The writer that sleeps first has the turn, and a queue of its own. */
TEST_F(alone, calls_that_sleep)
{
	int i;

	for (i = 0; i < CALLERS; i++)
		SLEEP_IN(&self->e, i, -1,
			 transfer(self->fd, variant->writer, i & 1 ? PIPE_BUF : 1));
	REMOVE();
	for (i = 0; i < CALLERS; i++)
		EXPECT_RETURNS(&self->e, i, self->result, self->sigpipes);
	EXPECT_EQ(variant->writer ? self->e.cap : 0, queued(self->fd));
}

TEST_F(alone, pollers)
{
	struct waiters *w = &self->waiters;

	ASSERT_TRUE(wait_in_every_way(w, self->fd, self->event));
	ASSERT_EQ(0, told_all(w));
	REMOVE();
	EXPECT_TOLD(w, 1, self->end);
	/* select(2) cannot say more. */
	EXPECT_EQ(self->event, (short)w->told[0].events);
}

/* The exclusive ones among them wait on the queue for hangups only. */
TEST_F(alone, pollers_that_ask_for_nothing)
{
	struct waiters *w = &self->waiters;

	ASSERT_TRUE(wait_for_nothing(w, self->fd, self->odd));
	ASSERT_EQ(0, told_all(w));
	REMOVE();
	EXPECT_TOLD(w, 0, self->end);
}

TEST_F(alone, signals)
{
	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->fd, getpid()));
	while (signalled())
		;
	REMOVE();
	EXPECT_TRUE(signalled());
	EXPECT_FALSE(signalled());
}

TEST_F(alone, aio)
{
	aio_context_t aio = 0;
	int i;

	if (syscall(SYS_io_setup, 4, &aio))
		SKIP(return, "io_setup: %s", strerror(errno));
	ASSERT_EQ(1, aio_poll(aio, self->fd, self->event));
	ASSERT_EQ(1, aio_poll(aio, self->fd, self->odd));
	ASSERT_EQ(1, aio_poll(aio, self->fd, 0));
	EXPECT_EQ(0, aio_polled(aio, 0));
	REMOVE();
	for (i = 0; i < 3; i++)
		EXPECT_EQ(self->end, aio_polled(aio, DEADLINE * 1000));
	/* It is there already. */
	ASSERT_EQ(1, aio_poll(aio, self->fd, self->event));
	EXPECT_EQ(self->end, aio_polled(aio, DEADLINE * 1000));
	syscall(SYS_io_destroy, aio);
}

TEST_F(alone, io_uring_transfers)
{
	static char buf[PIPE_BUF];
	int i;

	if (!self->uring)
		SKIP(return, "no io_uring");
	for (i = 0; i < 4; i++)
		prepare(&self->ring, variant->writer ? IORING_OP_WRITE : IORING_OP_READ,
			self->fd, buf, i & 1 ? sizeof(buf) : 1, i);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	EXPECT_FALSE(took(SIGPIPE));
	REMOVE();
	for (i = 0; i < 4; i++)
		EXPECT_EQ(self->result, completion(&self->ring, NULL, NULL));
	EXPECT_EQ(self->sigpipes, took(SIGPIPE));
	EXPECT_EQ(0, workers());
}

TEST_F(alone, io_uring_polls)
{
	int i;

	if (!self->uring)
		SKIP(return, "no io_uring");
	prepare_poll(&self->ring, self->fd, self->event, 0, 1);
	prepare_poll(&self->ring, self->fd, self->event, IORING_POLL_ADD_MULTI, 2);
	prepare_poll(&self->ring, self->fd, 0, 0, 3);
	prepare_poll(&self->ring, self->fd, self->odd | EPOLLEXCLUSIVE, 0, 4);
	for (i = 0; i < 3; i++)
		prepare_poll(&self->ring, self->fd, self->event | EPOLLEXCLUSIVE, 0, 5);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	REMOVE();
	for (i = 0; i < 7; i++)
		EXPECT_EQ(self->end, completion(&self->ring, NULL, NULL));
}

/* ---- several files, and files that are open for both ---- */

FIXTURE(end)
{
	struct health health;
	struct ends e;
	int r, w, own;		/* -1 if not open */
	struct vfifo_producer p;
	struct vfifo_consumer c;
};

FIXTURE_VARIANT(end)
{
	int hangup;
};

FIXTURE_VARIANT_ADD(end, hangup_0)
{
	.hangup = 0,
};

FIXTURE_VARIANT_ADD(end, hangup_1)
{
	.hangup = 1,
};

FIXTURE_SETUP(end)
{
	if (geteuid())
		SKIP(return, "only root can add devices");
	self->r = -1;
	self->w = -1;
	self->own = -1;
	memset(&self->p, 0, sizeof(self->p));
	memset(&self->c, 0, sizeof(self->c));
	ASSERT_EQ(0, begin(&self->e, &self->health, variant->hangup));
}

FIXTURE_TEARDOWN(end)
{
	vfifo_producer_close(&self->p);
	vfifo_consumer_close(&self->c);
	shut(&self->r);
	shut(&self->w);
	shut(&self->own);
	finish(_metadata, &self->e, &self->health);
}

/* Queued bytes come before the end. */
TEST_F(end, queued_bytes_first)
{
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	ASSERT_TRUE(fd_put(self->w, 4, 0));
	REMOVE();
	EXPECT_EQ(POLLIN, poll_now(self->r, POLLIN));
	shut(&self->w);
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(self->r, POLLIN));
	EXPECT_TRUE(fd_get(self->r, 4, 0));
	EXPECT_EQ(0, read_one(self->r));
	EXPECT_EQ(POLLHUP, poll_now(self->r, POLLIN));
}

/* A write that has begun returns what it has written. */
TEST_F(end, part_of_a_write)
{
	char *buf = malloc(2 * self->e.cap);

	ASSERT_NE(NULL, buf);
	stream_fill(buf, 2 * self->e.cap, 0);
	self->w = OPEN(O_WRONLY);
	SLEEP_IN(&self->e, 0, -1, write(self->w, buf, 2 * self->e.cap));
	REMOVE();
	EXPECT_RETURNS(&self->e, 0, self->e.cap, 1);
	EXPECT_EQ(self->e.cap, queued(self->w));
	free(buf);
}

/* Files that have each other go on. The end comes with the last close. */
TEST_F(end, reader_with_a_writer)
{
	self->r = OPEN(O_RDONLY);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	SLEEP_IN(&self->e, 0, self->w, read_one(self->r));
	REMOVE();
	EXPECT_STILL_SLEEPS(&self->e, 0);
	EXPECT_EQ(0, poll_now(self->r, POLLIN));
	EXPECT_EQ(1, write_one(self->w));
	EXPECT_RETURNS(&self->e, 0, 1, 0);
	SLEEP_IN(&self->e, 0, self->w, read_one(self->r));
	shut(&self->w);
	EXPECT_RETURNS(&self->e, 0, 0, 0);
	EXPECT_EQ(POLLHUP, poll_now(self->r, POLLIN));
}

TEST_F(end, writer_with_a_reader)
{
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	self->w = OPEN(O_WRONLY);
	ASSERT_TRUE(fd_put(self->w, self->e.cap, 0));
	SLEEP_IN(&self->e, 0, self->r, write_one(self->w));
	REMOVE();
	EXPECT_STILL_SLEEPS(&self->e, 0);
	EXPECT_EQ(0, poll_now(self->w, POLLOUT));
	EXPECT_TRUE(fd_get(self->r, PIPE_BUF, 0));
	EXPECT_RETURNS(&self->e, 0, 1, 0);
	ASSERT_TRUE(fd_put(self->w, PIPE_BUF - 1, self->e.cap + 1));
	SLEEP_IN(&self->e, 0, self->r, write_one(self->w));
	shut(&self->r);
	EXPECT_RETURNS(&self->e, 0, -EPIPE, 1);
	EXPECT_EQ(POLLERR, poll_now(self->w, POLLOUT));
}

/* It is its own peer. */
TEST_F(end, open_for_both)
{
	self->own = OPEN(O_RDWR);
	SLEEP_IN(&self->e, 0, -1, read_one(self->own));
	REMOVE();
	EXPECT_STILL_SLEEPS(&self->e, 0);
	EXPECT_EQ(1, write_one(self->own));
	EXPECT_RETURNS(&self->e, 0, 1, 0);

	ASSERT_EQ(0, fcntl(self->own, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, read_one(self->own));
	EXPECT_EQ(POLLOUT, poll_now(self->own, POLLIN | POLLOUT));
	ASSERT_TRUE(fd_put(self->own, self->e.cap, 0));
	EXPECT_EQ(-EAGAIN, write_one(self->own));
	EXPECT_EQ(POLLIN, poll_now(self->own, POLLIN | POLLOUT));
	EXPECT_TRUE(fd_get(self->own, self->e.cap, 0));
	EXPECT_EQ(-EAGAIN, read_one(self->own));
	EXPECT_FALSE(took(SIGPIPE));
}

/* It can only ask. */
TEST_F(end, open_for_neither)
{
	const long none = VFIFO_NO_READERS | VFIFO_NO_WRITERS;

	self->own = OPEN(O_ACCMODE);
	EXPECT_EQ(none | (variant->hangup ? VFIFO_HANGUP : 0), flags_of(self->own));
	REMOVE();
	EXPECT_EQ(none | VFIFO_HANGUP, flags_of(self->own));
	EXPECT_EQ(0, poll_now(self->own, POLLIN | POLLOUT));
}

/* ---- the generator ---- */

/* It counted as a writer, and is off. */
TEST_F(end, generator)
{
	ASSERT_EQ(0, attr_set("period_ms", 3600000));
	ASSERT_EQ(0, attr_set("mode", 1));
	self->r = OPEN(O_RDONLY);
	SLEEP_IN(&self->e, 0, -1, read_one(self->r));
	REMOVE();
	EXPECT_RETURNS(&self->e, 0, 0, 0);
}

/* Nobody could turn it off, so a writer cannot leave it behind in its place. */
TEST_F(end, generator_cannot_be_turned_on)
{
	int on = 1;

	self->r = OPEN(O_RDONLY);
	self->w = OPEN(O_WRONLY);
	SLEEP_IN(&self->e, 0, self->w, read_one(self->r));
	REMOVE();
	EXPECT_EQ(-ENODEV, res(ioctl(self->w, VFIFO_SET_MODE, &on)));
	shut(&self->w);
	EXPECT_RETURNS(&self->e, 0, 0, 0);
}

/* ---- mapped ends that have met nobody ---- */

TEST_F(end, mapped_consumer)
{
	self->w = OPEN(O_WRONLY);
	ASSERT_TRUE(fd_put(self->w, 10, 0));
	shut(&self->w);
	self->own = OPEN(O_RDWR);
	ASSERT_EQ(0, vfifo_consumer_open_fd(&self->c, self->own));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&self->c, 11, 0));
	EXPECT_EQ(POLLIN, poll_now(self->own, POLLIN));
	REMOVE();
	/* What is queued comes first. */
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(self->own, POLLIN));
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, 10, WAIT_MS));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 11, WAIT_MS));
	EXPECT_TRUE(consume(&self->c, 10, 0));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 1, 0));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 1, WAIT_MS));
	EXPECT_EQ(POLLHUP, poll_now(self->own, POLLIN));
	/* Without the claim, the file is a writer again, and its own peer. */
	vfifo_consumer_close(&self->c);
	EXPECT_EQ(0, poll_now(self->own, POLLIN));
}

TEST_F(end, mapped_consumer_asleep)
{
	SLEEP_IN(&self->e, 0, -1, sleep_as_consumer(&self->e));
	REMOVE();
	EXPECT_RETURNS(&self->e, 0, -ENODATA, 0);
}

TEST_F(end, mapped_producer)
{
	self->own = OPEN(O_RDWR);
	ASSERT_EQ(0, vfifo_producer_open_fd(&self->p, self->own));
	ASSERT_TRUE(produce(&self->p, self->e.cap - 1, 0));
	EXPECT_EQ(POLLOUT, poll_now(self->own, POLLOUT));
	REMOVE();
	/* As long as there is room, the readers are not asked for. */
	EXPECT_EQ(POLLOUT | POLLERR, poll_now(self->own, POLLOUT));
	EXPECT_EQ(-EPIPE, vfifo_producer_wait(&self->p, 2, WAIT_MS));
	EXPECT_EQ(0, vfifo_producer_wait(&self->p, 1, WAIT_MS));
	EXPECT_TRUE(produce(&self->p, 1, self->e.cap - 1));
	EXPECT_EQ(-EPIPE, vfifo_producer_wait(&self->p, 1, 0));
	EXPECT_EQ(-EPIPE, vfifo_producer_wait(&self->p, 1, WAIT_MS));
	EXPECT_EQ(POLLERR, poll_now(self->own, POLLOUT));
	EXPECT_FALSE(took(SIGPIPE));
	vfifo_producer_close(&self->p);
	EXPECT_TRUE(fd_get(self->own, self->e.cap, 0));
}

TEST_F(end, mapped_producer_asleep)
{
	self->w = OPEN(O_WRONLY);
	ASSERT_TRUE(fd_put(self->w, self->e.cap, 0));
	shut(&self->w);
	SLEEP_IN(&self->e, 0, -1, sleep_as_producer(&self->e));
	REMOVE();
	EXPECT_RETURNS(&self->e, 0, -EPIPE, 0);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
