// SPDX-License-Identifier: GPL-2.0
/*
 * End of stream and polling: poll(2), select(2) and epoll(7) report POLLHUP to readers and
 * POLLERR to writers, and all pollers are woken. A named FIFO is the reference.
 */
#include "vfifo_ends.h"

#define IN_BITS		(POLLIN | POLLRDNORM)
#define OUT_BITS	(POLLOUT | POLLWRNORM)
#define ALL_BITS	(IN_BITS | OUT_BITS | POLLPRI | 0x2000 /* POLLRDHUP */)

/* ---- what is reported ---- */

TEST_F(ends, reader)
{
	EXPECT_EQ(0, poll_now(self->r, ALL_BITS));
	ASSERT_TRUE(fd_put(self->w, 2, 0));
	EXPECT_EQ(IN_BITS, poll_now(self->r, ALL_BITS));
	shut(&self->w);
	EXPECT_EQ(IN_BITS | POLLHUP, poll_now(self->r, ALL_BITS));
	EXPECT_EQ(1, read_one(self->r));
	EXPECT_EQ(IN_BITS | POLLHUP, poll_now(self->r, ALL_BITS));
	EXPECT_EQ(1, read_one(self->r));
	EXPECT_EQ(POLLHUP, poll_now(self->r, ALL_BITS));
	EXPECT_EQ(0, read_one(self->r));
	EXPECT_EQ(POLLHUP, poll_now(self->r, ALL_BITS));
	/* A writer that comes ends it. */
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(0, poll_now(self->r, ALL_BITS));
	EXPECT_EQ(1, write_one(self->w));
	EXPECT_EQ(IN_BITS, poll_now(self->r, ALL_BITS));
}

TEST_F(ends, writer)
{
	EXPECT_EQ(OUT_BITS, poll_now(self->w, ALL_BITS));
	shut(&self->r);
	EXPECT_EQ(OUT_BITS | POLLERR, poll_now(self->w, ALL_BITS));
	EXPECT_EPIPE(write_one(self->w));
	EXPECT_EQ(OUT_BITS | POLLERR, poll_now(self->w, ALL_BITS));
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(OUT_BITS, poll_now(self->w, ALL_BITS));
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	EXPECT_EQ(0, poll_now(self->w, ALL_BITS));
	shut(&self->r);
	EXPECT_EQ(POLLERR, poll_now(self->w, ALL_BITS));
}

/* These bits are reported whether asked for or not. */
TEST_F(ends, not_asked_for)
{
	static const short asked[] = { 0, POLLPRI, POLLHUP, POLLERR };
	size_t i;

	ASSERT_TRUE(fd_put(self->w, 1, 0));
	shut(&self->w);
	for (i = 0; i < ARRAY_SIZE(asked); i++)
		EXPECT_EQ(POLLHUP, poll_now(self->r, asked[i]));
	EXPECT_EQ(POLLHUP, poll_now(self->r, POLLOUT));
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	shut(&self->r);
	for (i = 0; i < ARRAY_SIZE(asked); i++)
		EXPECT_EQ(POLLERR, poll_now(self->w, asked[i]));
	EXPECT_EQ(POLLERR, poll_now(self->w, POLLIN));
}

TEST_F(ends, other_closes)
{
	int r2 = OPEN(O_RDONLY | O_NONBLOCK), w2 = OPEN(O_WRONLY | O_NONBLOCK);

	shut(&self->w);
	EXPECT_EQ(0, poll_now(self->r, ALL_BITS));
	close(w2);
	EXPECT_EQ(POLLHUP, poll_now(self->r, ALL_BITS));
	EXPECT_EQ(POLLHUP, poll_now(r2, ALL_BITS));
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	shut(&self->r);
	EXPECT_EQ(OUT_BITS, poll_now(self->w, ALL_BITS));
	close(r2);
	EXPECT_EQ(OUT_BITS | POLLERR, poll_now(self->w, ALL_BITS));
}

/* A file that is open for both is never alone. */
TEST_F(ends, open_for_both)
{
	int rw = OPEN(O_RDWR | O_NONBLOCK);

	shut(&self->r);
	shut(&self->w);
	EXPECT_EQ(OUT_BITS, poll_now(rw, ALL_BITS));
	EXPECT_EQ(1, write_one(rw));
	EXPECT_EQ(IN_BITS | OUT_BITS, poll_now(rw, ALL_BITS));
	close(rw);
}

TEST_F(ends, every_way_to_look)
{
	struct watch watches[] = {
		{ .by = BY_EPOLL, .fd = self->r, .events = POLLIN },
		{ .by = BY_NESTED_EPOLL, .fd = self->r, .events = POLLIN },
		{ .by = BY_POLL, .fd = self->r, .events = POLLIN },
		{ .by = BY_SELECT, .fd = self->r, .events = POLLIN },
		{ .by = BY_EPOLL, .fd = self->w, .events = POLLOUT },
		{ .by = BY_NESTED_EPOLL, .fd = self->w, .events = POLLOUT },
		{ .by = BY_POLL, .fd = self->w, .events = POLLOUT },
		{ .by = BY_SELECT, .fd = self->w, .events = POLLOUT },
	};
	size_t i;

	/* Neither end is ready at first. */
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	for (i = 4; i < ARRAY_SIZE(watches); i++) {
		ASSERT_TRUE(watch_open(&watches[i]));
		EXPECT_EQ(0, watch_wait(&watches[i], 0));
	}
	shut(&self->r);
	/* By level, it is there each time. */
	for (i = 8; i < 2 * ARRAY_SIZE(watches); i++)
		EXPECT_EQ(watches[i / 2].by == BY_SELECT ? POLLOUT : POLLERR,
			  watch_wait(&watches[i / 2], 0))
			TH_LOG("way %zu", i / 2);

	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	ASSERT_TRUE(fd_get(self->r, self->cap, 0));
	for (i = 0; i < 4; i++) {
		watches[i].fd = self->r;
		ASSERT_TRUE(watch_open(&watches[i]));
		EXPECT_EQ(0, watch_wait(&watches[i], 0));
	}
	for (i = 4; i < ARRAY_SIZE(watches); i++) {
		close(watches[i].ep);
		close(watches[i].outer);
	}
	shut(&self->w);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(watches[i / 2].by == BY_SELECT ? POLLIN : POLLHUP,
			  watch_wait(&watches[i / 2], 0))
			TH_LOG("way %zu", i / 2);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, watch_wait(&watches[i], 0));
}

/* ---- pollers that sleep ---- */

/* A reader or a writer that polls, in a state in which it must wait. */
FIXTURE(sleepers)
{
	struct ends e;
	struct waiters waiters;
	int r, w;
	int *own, *other;	/* the side that polls, and the one that closes */
	int opposite;		/* how the other side is opened */
	short event;		/* what those who poll ask for */
	short end;		/* what the end is reported by */
};

FIXTURE_VARIANT(sleepers)
{
	bool named;
	bool writer;
};

FIXTURE_VARIANT_ADD(sleepers, named_fifo_reader)
{
	.named = true,
	.writer = false,
};

FIXTURE_VARIANT_ADD(sleepers, named_fifo_writer)
{
	.named = true,
	.writer = true,
};

FIXTURE_VARIANT_ADD(sleepers, reader)
{
	.named = false,
	.writer = false,
};

FIXTURE_VARIANT_ADD(sleepers, writer)
{
	.named = false,
	.writer = true,
};

FIXTURE_SETUP(sleepers)
{
	self->r = -1;
	self->w = -1;
	memset(&self->waiters, 0, sizeof(self->waiters));
	ASSERT_EQ(0, ends_begin(&self->e, variant->named));
	self->r = ends_open(&self->e, O_RDONLY | O_NONBLOCK);
	self->w = ends_open(&self->e, O_WRONLY | O_NONBLOCK);
	ASSERT_TRUE(self->r >= 0 && self->w >= 0);
	ASSERT_TRUE(waiters_begin(&self->waiters));
	self->own = variant->writer ? &self->w : &self->r;
	self->other = variant->writer ? &self->r : &self->w;
	self->opposite = O_NONBLOCK | (variant->writer ? O_RDONLY : O_WRONLY);
	self->event = variant->writer ? POLLOUT : POLLIN;
	self->end = variant->writer ? POLLERR : POLLHUP;
	self->waiters.unneeded = *self->other;
	if (variant->writer)
		ASSERT_TRUE(fd_put(self->w, self->e.cap, 0));
}

FIXTURE_TEARDOWN(sleepers)
{
	waiters_end(&self->waiters);
	shut(&self->r);
	shut(&self->w);
	ends_end(&self->e);
}

TEST_F(sleepers, all_are_woken)
{
	struct waiters *w = &self->waiters;

	ASSERT_TRUE(wait_in_every_way(w, *self->own, self->event));
	ASSERT_EQ(0, told_all(w));
	shut(self->other);
	EXPECT_TOLD(w, 1, self->end);
	/* select(2) cannot say more. */
	EXPECT_EQ(self->event, (short)w->told[0].events);
}

/* A poller that asks for nothing, or for the other direction, is woken as well. */
TEST_F(sleepers, asking_for_nothing)
{
	struct waiters *w = &self->waiters;
	short odd = self->event == POLLIN ? POLLOUT : POLLIN;

	ASSERT_TRUE(wait_for_nothing(w, *self->own, odd));
	ASSERT_EQ(0, told_all(w));
	shut(self->other);
	EXPECT_TOLD(w, 0, self->end);
}

TEST_F(sleepers, not_by_other_closes)
{
	struct waiters *w = &self->waiters;
	int another;

	ASSERT_TRUE(waiter_start(w, BY_EPOLL, *self->own, self->event, NULL));
	ASSERT_TRUE(waiter_start(w, BY_POLL, *self->own, self->event, NULL));
	another = OPEN(self->opposite);
	close(another);
	EXPECT_EQ(0, told_all(w));
	EXPECT_EQ(0, poll_now(*self->own, self->event));
}

/* By edge: told of each end once. */
TEST_F(sleepers, each_end_is_an_edge)
{
	struct waiters *w = &self->waiters;
	int i;

	ASSERT_TRUE(waiter_start(w, BY_EPOLL, *self->own,
				 self->event | EPOLLET, NULL));
	for (i = 0; i < 3; i++) {
		w->told[0].events = 0;
		shut(self->other);
		EXPECT_EQ(i + 1, told_all(w));
		EXPECT_EQ(self->end, (short)w->told[0].events);
		EXPECT_EQ(self->end, poll_now(*self->own, self->event));
		*self->other = OPEN(self->opposite);
		EXPECT_EQ(0, poll_now(*self->own, self->event));
		/* A side that comes back may be an edge, too, but not an event. */
		ASSERT_TRUE(waiter_again(w, 0));
	}
}

TEST_F(sleepers, the_process_was_killed)
{
	struct waiters *w = &self->waiters;
	pid_t pid;

	ASSERT_TRUE(waiter_start(w, BY_EPOLL, *self->own, self->event, NULL));
	ASSERT_TRUE(waiter_start(w, BY_POLL, *self->own, self->event, NULL));
	pid = child_start(4 * DEADLINE);
	if (!pid) {
		for (;;)
			pause();
	}
	shut(self->other);
	EXPECT_EQ(0, told_all(w));
	EXPECT_EQ(-SIGKILL, child_kill(&pid));
	EXPECT_EQ(2, told_all(w));
	EXPECT_EQ(self->end, (short)w->told[0].events);
	EXPECT_EQ(self->end, (short)w->told[1].events);
}

/* ---- a vfifo: who has met whom ---- */

FIXTURE(met)
{
	struct ends e;
	struct waiters waiters;
	int r, w;		/* -1 at first */
};

FIXTURE_SETUP(met)
{
	self->r = -1;
	self->w = -1;
	memset(&self->waiters, 0, sizeof(self->waiters));
	ASSERT_EQ(0, ends_begin(&self->e, false));
	ASSERT_TRUE(waiters_begin(&self->waiters));
}

FIXTURE_TEARDOWN(met)
{
	waiters_end(&self->waiters);
	shut(&self->r);
	shut(&self->w);
	ends_end(&self->e);
}

TEST_F(met, reader_and_its_first_writer)
{
	struct waiters *w = &self->waiters;

	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(0, poll_now(self->r, ALL_BITS));
	ASSERT_TRUE(waiter_start(w, BY_POLL, self->r, POLLIN, NULL));
	ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->r, POLLIN, NULL));
	ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->r, POLLIN | EPOLLEXCLUSIVE,
				 NULL));
	self->w = OPEN(O_WRONLY);
	EXPECT_EQ(0, poll_now(self->r, ALL_BITS));
	EXPECT_EQ(0, told_all(w));
	shut(&self->w);
	EXPECT_EQ(POLLHUP, poll_now(self->r, ALL_BITS));
	EXPECT_EQ(3, told_all(w));
	EXPECT_EQ(POLLHUP, (short)w->told[2].events);
}

TEST_F(met, writer_and_its_first_reader)
{
	struct waiters *w = &self->waiters;

	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(OUT_BITS, poll_now(self->w, ALL_BITS));
	ASSERT_TRUE(fd_put(self->w, self->e.cap, 0));
	EXPECT_EQ(0, poll_now(self->w, ALL_BITS));
	ASSERT_TRUE(waiter_start(w, BY_POLL, self->w, POLLOUT, NULL));
	ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->w, POLLOUT, NULL));
	ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->w, POLLOUT | EPOLLEXCLUSIVE,
				 NULL));
	self->r = OPEN(O_RDONLY);
	EXPECT_EQ(0, poll_now(self->w, ALL_BITS));
	EXPECT_EQ(0, told_all(w));
	shut(&self->r);
	EXPECT_EQ(POLLERR, poll_now(self->w, ALL_BITS));
	EXPECT_EQ(3, told_all(w));
	EXPECT_EQ(POLLERR, (short)w->told[2].events);
}

TEST_F(met, the_other_side_had_left)
{
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	ASSERT_TRUE(fd_put(self->w, 2, 0));
	shut(&self->w);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(IN_BITS, poll_now(self->r, ALL_BITS));
	/* Reading a byte counts as having met its writer. */
	EXPECT_EQ(1, read_one(self->r));
	EXPECT_EQ(IN_BITS | POLLHUP, poll_now(self->r, ALL_BITS));
	EXPECT_EQ(1, read_one(self->r));
	EXPECT_EQ(POLLHUP, poll_now(self->r, ALL_BITS));
	shut(&self->r);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(OUT_BITS, poll_now(self->w, ALL_BITS));
}

TEST_F(met, each_file_for_itself)
{
	int r2;

	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	self->w = OPEN(O_WRONLY);
	shut(&self->w);
	r2 = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(POLLHUP, poll_now(self->r, ALL_BITS));
	EXPECT_EQ(0, poll_now(r2, ALL_BITS));
	close(r2);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
