// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * poll(2) and its relatives with records. POLLIN: there is a record. POLLOUT: a record of
 * PIPE_BUF bytes fits, or the longest one if that is shorter; for the owner of a mapped
 * producer's end, the shortest one.
 */
#include "vfifo_record.h"
#include "vfifo_waiters.h"

#define ALL	(POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)
#define IN	(POLLIN | POLLRDNORM)
#define OUT	(POLLOUT | POLLWRNORM)

/* What must fit for POLLOUT. */
static long atomic_length(long cap)
{
	return longest(cap) < PIPE_BUF ? longest(cap) : PIPE_BUF;
}

/* ---- which events ---- */

TEST_F(records, exactly_when_it_fits)
{
	const long caps[] = { self->page, 2 * self->page, self->cap };
	long cap, len, left;
	size_t i;
	bool fits;

	for (i = 0; i < ARRAY_SIZE(caps); i++) {
		cap = caps[i];
		len = atomic_length(cap);
		ASSERT_EQ(0, attr_set("capacity", cap));
		EXPECT_EQ(OUT, poll_now(self->fd, ALL));
		for (left = 0; left <= cap - 16; left += 8) {
			if (left > 64 && left < room_of(len) - 64)
				left = room_of(len) - 64;
			if (left > room_of(len) + 64 || left > cap - 16)
				break;
			fits = left >= room_of(len);
			ASSERT_TRUE(fill_except(self->dev.fd, cap, left, 1));
			ASSERT_EQ(IN | (fits ? OUT : 0), poll_now(self->fd, ALL)) {
				TH_LOG("capacity %ld, room for %ld", cap, left);
			}
			/* What poll says is true. */
			EXPECT_EQ(fits ? len : -EAGAIN,
				  put_record(self->dev.fd, len, 2));
			ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
			EXPECT_EQ(OUT, poll_now(self->fd, ALL));
		}
	}
}

/* The smallest record is enough for POLLIN, even if a read then fails. */
TEST_F(records, readable_is_a_record)
{
	ASSERT_EQ(2, put_record(self->fd, 2, 1));
	EXPECT_EQ(IN | OUT, poll_now(self->fd, ALL));
	EXPECT_EQ(-EMSGSIZE, read_one(self->fd));
	EXPECT_EQ(IN | OUT, poll_now(self->fd, ALL));
	EXPECT_TRUE(get_record(self->fd, 2, 1));
	EXPECT_EQ(OUT, poll_now(self->fd, ALL));
	ASSERT_TRUE(fill_except(self->fd, self->cap, 0, 2));
	EXPECT_EQ(IN, poll_now(self->fd, ALL));
}

TEST_F(records, one_direction_each)
{
	int r = vfifo_open(O_RDONLY), w = vfifo_open(O_WRONLY);

	ASSERT_TRUE(r >= 0 && w >= 0);
	EXPECT_EQ(0, poll_now(r, ALL));
	EXPECT_EQ(OUT, poll_now(w, ALL));
	ASSERT_TRUE(fill_except(self->fd, self->cap, 4096, 2));
	EXPECT_EQ(IN, poll_now(r, ALL));
	EXPECT_EQ(0, poll_now(w, ALL));
	close(r);
	close(w);
}

static const enum wait_by kinds[] = {
	BY_EPOLL, BY_NESTED_EPOLL, BY_POLL, BY_SELECT,
};

/* Each way to ask gives the same answer. */
TEST_F(records, all_ways_to_ask)
{
	long room = room_of(PIPE_BUF), left;
	aio_context_t aio = 0;
	bool has_aio;
	size_t i;

	has_aio = !syscall(SYS_io_setup, 1, &aio);
	for (left = room - 8; left <= room; left += 8) {
		ASSERT_TRUE(fill_except(self->fd, self->cap, left, 1));
		for (i = 0; i < ARRAY_SIZE(kinds); i++) {
			struct watch watch = {
				.by = kinds[i], .fd = self->fd,
				.events = POLLIN | POLLOUT,
			};

			ASSERT_TRUE(watch_open(&watch));
			EXPECT_EQ(POLLIN | (left == room ? POLLOUT : 0),
				  watch_wait(&watch, 0));
			close(watch.ep);
			close(watch.outer);
		}
		if (has_aio) {
			ASSERT_EQ(1, aio_poll(aio, self->fd, POLLIN | POLLOUT));
			EXPECT_EQ(POLLIN | (left == room ? POLLOUT : 0),
				  aio_polled(aio, 1000 * DEADLINE));
		}
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	}
	if (has_aio)
		syscall(SYS_io_destroy, aio);
}

/* ---- who is woken ---- */

TEST_F(records, told_when_it_fits)
{
	long room = room_of(PIPE_BUF), i, n;
	struct waiters w;
	size_t k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		ASSERT_EQ(0, attr_set("capacity", 4 * self->page));
		for (n = 0; put_record(self->dev.fd, 8, n) == 8; n++)
			;
		ASSERT_EQ(4 * self->page / 16, n);
		ASSERT_TRUE(waiters_begin(&w));
		ASSERT_TRUE(waiter_start(&w, kinds[k], self->fd, POLLOUT, NULL));
		/* 16 bytes at a time. */
		for (i = 0; 16 * (i + 1) < room; i++)
			ASSERT_TRUE(get_record(self->dev.fd, 8, i));
		EXPECT_EQ(0, told_all(&w));
		ASSERT_TRUE(get_record(self->dev.fd, 8, i));
		EXPECT_EQ(1, told_all(&w));
		EXPECT_EQ(POLLOUT, w.told[0].events & ~POLLWRNORM);
		waiters_end(&w);
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	}
}

TEST_F(records, told_of_a_record)
{
	struct waiters w;
	size_t k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		ASSERT_TRUE(waiters_begin(&w));
		ASSERT_TRUE(waiter_start(&w, kinds[k], self->fd, POLLIN, NULL));
		EXPECT_EQ(0, res(write(self->fd, "", 0)));
		EXPECT_EQ(0, told_all(&w));
		ASSERT_EQ(5000, put_record(self->fd, 5000, k));
		EXPECT_EQ(1, told_all(&w));
		ASSERT_TRUE(get_record(self->fd, 5000, k));
		ASSERT_TRUE(waiter_again(&w, 0));
		EXPECT_EQ(1, told_all(&w));
		ASSERT_EQ(1, put_record(self->fd, 1, k));
		EXPECT_EQ(2, told_all(&w));
		ASSERT_TRUE(get_record(self->fd, 1, k));
		waiters_end(&w);
	}
}

/* With EPOLLET, each record is news, whether or not the last one was read. */
TEST_F(records, edge_triggered)
{
	struct waiters w;
	int i;

	ASSERT_TRUE(waiters_begin(&w));
	ASSERT_TRUE(waiter_start(&w, BY_EPOLL, self->fd, EPOLLIN | EPOLLET, NULL));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(100, put_record(self->fd, 100, i));
		EXPECT_EQ(i + 1, told_all(&w));
		ASSERT_TRUE(waiter_again(&w, 0));
	}
	/* A call that fails is none. */
	EXPECT_EQ(-EMSGSIZE, read_one(self->fd));
	EXPECT_EQ(5, told_all(&w));
	waiters_end(&w);
}

static int take_one(int fd)
{
	static char buf[100000];

	return res(read(fd, buf, sizeof(buf))) > 0;
}

/* One record wakes one of them, and several records are all taken. */
TEST_F(records, exclusive)
{
	const __u32 events = EPOLLIN | EPOLLEXCLUSIVE;
	struct waiters w;
	int i;

	ASSERT_TRUE(waiters_begin(&w));
	ASSERT_TRUE(waiters_start(&w, 4, BY_EPOLL, self->dev.fd, events, take_one));
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(300, put_record(self->fd, 300, i));
		EXPECT_EQ(i + 1, told_all(&w));
		EXPECT_EQ(i + 1, moved_all(&w));
	}
	for (i = 0; i < 20; i++)
		ASSERT_EQ(2000, put_record(self->fd, 2000, i));
	EXPECT_TRUE(eventually(moved_all(&w) == 26));
	EXPECT_EQ(0, queued(self->fd));
	waiters_end(&w);
}

/*
 * Waiters that read in turn, while others do not poll at all: nobody waits while there is
 * a record.
 */
TEST_F_TIMEOUT(records, none_is_left, 60)
{
	struct waiters w;
	long i, n = OFTEN(600);
	__u64 random = vfifo_seed;

	LOG_SEED();
	ASSERT_TRUE(waiters_begin(&w));
	ASSERT_TRUE(waiter_start(&w, BY_EPOLL, self->dev.fd, EPOLLIN, take_one));
	ASSERT_TRUE(waiter_start(&w, BY_POLL, self->dev.fd, POLLIN, take_one));
	ASSERT_TRUE(waiter_start(&w, BY_EPOLL, self->dev.fd,
				 EPOLLIN | EPOLLEXCLUSIVE, take_one));
	for (i = 0; i < n; i++) {
		put_record(self->fd, 1 + rnd(&random) % 4000, i);
		if (!(rnd(&random) % 8))
			ASSERT_TRUE(eventually(!queued(self->fd)));
	}
	EXPECT_TRUE(eventually(!queued(self->fd)));
	EXPECT_TRUE(eventually(moved_all(&w) == n));
	waiters_end(&w);
}

TEST_F(records, signals)
{
	int i;

	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->dev.fd, getpid()));
	while (signalled())
		;
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(50, put_record(self->fd, 50, i));
		EXPECT_TRUE(signalled());
	}
	EXPECT_EQ(-EMSGSIZE, read_one(self->fd));
	EXPECT_EQ(-EMSGSIZE, put_record(self->fd, self->cap, 1));
	EXPECT_FALSE(signalled());
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));

	/* Room is news when it is enough for POLLOUT. */
	ASSERT_EQ(8, put_record(self->fd, 8, 1));
	ASSERT_TRUE(fill_except(self->fd, self->cap - 16, room_of(PIPE_BUF) - 24, 2));
	while (signalled())
		;
	ASSERT_TRUE(get_record(self->fd, 8, 1));
	EXPECT_FALSE(signalled());
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	EXPECT_TRUE(signalled());
	ASSERT_EQ(0, fcntl(self->dev.fd, F_SETFL, O_NONBLOCK));
}

/* ---- a sleeping writer that holds others back ---- */

/*
 * A sleeping writer lets others write one capacity. When it gives up, pollers that were
 * held back are told, however little is missing for POLLOUT.
 */
TEST_F(records, told_when_a_sleeper_gives_up)
{
	const long cap = 4 * PIPE_BUF, len = PIPE_BUF - HEADER;
	struct waiters w;
	long more;
	int i;

	for (more = 0; more <= 16; more += 8) {
		ASSERT_EQ(0, attr_set("capacity", cap));
		ASSERT_EQ(8, put_record(self->fd, 8, 0));
		SLEEP_IN(&self->calls, 0, -1,
			 put_record(self->fd, longest(cap), 9));
		/* So that PIPE_BUF bytes and these few more are left for others. */
		ASSERT_EQ(len, put_record(self->dev.fd, len, 1));
		ASSERT_TRUE(get_record(self->dev.fd, 8, 0));
		ASSERT_EQ(len, put_record(self->dev.fd, len, 2));
		ASSERT_TRUE(get_record(self->dev.fd, len, 1));
		ASSERT_EQ(len - more, put_record(self->dev.fd, len - more, 3));
		ASSERT_TRUE(get_record(self->dev.fd, len, 2));
		EXPECT_EQ(POLLIN | (more >= 8 ? POLLOUT : 0),
			  poll_now(self->dev.fd, POLLIN | POLLOUT));
		EXPECT_EQ(more >= 8 ? PIPE_BUF : -EAGAIN,
			  put_record(self->dev.fd, PIPE_BUF, 4));
		if (more < 8) {
			ASSERT_TRUE(waiters_begin(&w));
			for (i = 0; i < ARRAY_SIZE(kinds); i++)
				ASSERT_TRUE(waiter_start(&w, kinds[i], self->fd,
							 POLLOUT, NULL));
			EXPECT_EQ(0, told_all(&w));
		}
		kill(self->calls.pid[0], SIGUSR1);
		EXPECT_RETURNS(&self->calls, 0, -EINTR, 0);
		EXPECT_EQ(POLLIN | POLLOUT,
			  poll_now(self->dev.fd, POLLIN | POLLOUT));
		if (more < 8) {
			EXPECT_TRUE(eventually(told_all(&w) == w.count)) {
				TH_LOG("%d of %d were told", told_all(&w), w.count);
			}
			waiters_end(&w);
		}
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	}
}

/* ---- mapped ends ---- */

/* For the owner, the smallest record is enough. */
TEST_F(records, mapped_producer)
{
	long left = self->cap, id = 0, out = 0;
	struct own_end end;

	ASSERT_TRUE(end_open(&end, &self->dev, true));
	for (; left; left -= 16) {
		ASSERT_EQ((id ? IN : 0) | OUT, poll_now(self->dev.fd, ALL)) {
			TH_LOG("room for %ld", left);
		}
		publish_record(&end, 8, id++);
	}
	EXPECT_EQ(IN, poll_now(self->dev.fd, ALL));
	/* For everybody else, a write would fail. */
	EXPECT_EQ(IN | OUT | POLLERR, poll_now(self->fd, ALL));
	ASSERT_TRUE(get_record(self->fd, 8, out++));
	EXPECT_EQ(IN | OUT, poll_now(self->dev.fd, ALL));
	end_close(&end);
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));

	/* Eight bytes are not enough. */
	ASSERT_TRUE(end_open(&end, &self->dev, true));
	publish_record(&end, self->cap - 16, 1);
	EXPECT_EQ(IN, poll_now(self->dev.fd, ALL));
	ASSERT_TRUE(get_record(self->fd, self->cap - 16, 1));
	EXPECT_EQ(OUT, poll_now(self->dev.fd, ALL));
	end_close(&end);
	EXPECT_EQ(OUT, poll_now(self->fd, ALL));
}

TEST_F(records, mapped_consumer)
{
	struct own_end end;

	ASSERT_TRUE(end_open(&end, &self->dev, false));
	EXPECT_EQ(OUT, poll_now(self->dev.fd, ALL));
	EXPECT_EQ(IN | OUT | POLLERR, poll_now(self->fd, ALL));
	ASSERT_EQ(100, put_record(self->fd, 100, 1));
	EXPECT_EQ(IN | OUT, poll_now(self->dev.fd, ALL));
	store(end.page, load(end.page) + room_of(100));
	EXPECT_EQ(OUT, poll_now(self->dev.fd, ALL));
	end_close(&end);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
