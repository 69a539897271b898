// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Calls that sleep: each is woken when its record comes or fits, and not forgotten beside
 * others that need less or more. No writer starves.
 *
 * "-n ROUNDS" makes the random tests run that many rounds.
 */
#include "vfifo_record.h"
#include "vfifo_waiters.h"

static unsigned long rounds;

/* ---- readers ---- */

#define READERS	CALLERS

/* Each record wakes one reader, and each reader gets one record. */
TEST_F(records, one_record_for_each_reader)
{
	int i;

	for (i = 0; i < READERS; i++)
		SLEEP_IN(&self->calls, i, -1, get_record(self->fd, 700, 1));
	for (i = 0; i < READERS; i++) {
		ASSERT_EQ(700, put_record(self->dev.fd, 700, 1));
		ASSERT_TRUE(eventually(!attr_get("size")));
	}
	for (i = 0; i < READERS; i++)
		EXPECT_RETURNS(&self->calls, i, true, 0);

	/* Many records at once. */
	for (i = 0; i < READERS; i++)
		SLEEP_IN(&self->calls, i, -1, get_record(self->fd, 700, 1));
	for (i = 0; i < READERS; i++)
		ASSERT_EQ(700, put_record(self->dev.fd, 700, 1));
	for (i = 0; i < READERS; i++)
		EXPECT_RETURNS(&self->calls, i, true, 0);
	EXPECT_EQ(0, attr_get("size"));
}

/* Several records that are published at once, by the owner of a mapped end. */
TEST_F(records, one_notification_for_all_readers)
{
	struct own_end end;
	__u64 pos;
	int i;

	ASSERT_TRUE(end_open(&end, &self->dev, true));
	pos = load(end.page);
	for (i = 0; i < READERS; i++)
		SLEEP_IN(&self->calls, i, -1, get_record(self->fd, 700, 1));
	for (i = 0; i < READERS; i++)
		pos = store_record(&end, pos, 700, 1);
	store(end.page, pos);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	for (i = 0; i < READERS; i++)
		EXPECT_RETURNS(&self->calls, i, true, 0);
	end_close(&end);
}

static long read_into(int fd, long len)
{
	static char buf[1000];

	return read(fd, buf, len);
}

/* A reader whose buffer is too small passes the wake-up on. */
TEST_F(records, too_small_a_buffer_wakes_the_next)
{
	int i;

	for (i = 0; i < 3; i++)
		SLEEP_IN(&self->calls, i, -1, read_into(self->fd, 10));
	SLEEP_IN(&self->calls, 3, -1, get_record(self->fd, 700, 1));
	ASSERT_EQ(700, put_record(self->dev.fd, 700, 1));
	EXPECT_RETURNS(&self->calls, 3, true, 0);
	EXPECT_EQ(0, attr_get("size"));
	/* Those that were not asked sleep on, and can be served. */
	for (i = 0; i < 3; i++) {
		if (self->calls.out[i].ret == RUNNING)
			ASSERT_EQ(10, put_record(self->dev.fd, 10, 2));
	}
	for (i = 0; i < 3; i++) {
		EXPECT_TRUE(ends_returned(&self->calls, i));
		EXPECT_TRUE(self->calls.out[i].ret == 10 ||
			    self->calls.out[i].ret == -EMSGSIZE);
	}
}

/* A reader that is killed when it is woken has either read the record or not. */
TEST_F(records, killed_reader_takes_no_wakeup)
{
	pid_t *pid = self->calls.pid;
	int i;

	for (i = 0; i < 20; i++) {
		SLEEP_IN(&self->calls, 0, -1, get_record(self->fd, 50, i));
		SLEEP_IN(&self->calls, 1, -1, get_record(self->fd, 50, i));
		ASSERT_EQ(50, put_record(self->dev.fd, 50, i));
		child_kill(&pid[0]);
		/* One of them has read it. */
		ASSERT_TRUE(eventually(!attr_get("size")));
		ASSERT_TRUE(eventually(child_state(pid[1]) == 'Z' ||
				       child_asleep(pid[1])));
		if (child_state(pid[1]) != 'Z')
			ASSERT_EQ(50, put_record(self->dev.fd, 50, i));
		EXPECT_RETURNS(&self->calls, 1, true, 0);
	}
}

/* ---- writers of different sizes ---- */

/* Room for the last sleeper but not for the two before it: the last does not wait for them. */
TEST_F(records, small_record_passes_a_large_one)
{
	const long len = PIPE_BUF;

	ASSERT_EQ(len, put_record(self->fd, len, 1));
	ASSERT_TRUE(fill_except(self->fd, self->cap - room_of(len), 0, 2));
	SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, 30000, 3));
	SLEEP_IN(&self->calls, 1, -1, put_record(self->fd, 20000, 6));
	SLEEP_IN(&self->calls, 2, -1, put_record(self->fd, 900, 4));
	ASSERT_TRUE(get_record(self->dev.fd, len, 1));
	EXPECT_RETURNS(&self->calls, 2, 900, 0);
	EXPECT_STILL_SLEEPS(&self->calls, 0);
	EXPECT_STILL_SLEEPS(&self->calls, 1);
	EXPECT_EQ(16, put_record(self->dev.fd, 16, 5));
	ASSERT_TRUE(get_record(self->dev.fd, self->cap - room_of(len) - HEADER, 2));
	EXPECT_RETURNS(&self->calls, 0, 30000, 0);
	EXPECT_RETURNS(&self->calls, 1, 20000, 0);
}

/*
 * The owner of the consumer's end frees just what a record takes, and may wait for it:
 * that writer is woken, though another one has the turn and needs more.
 */
TEST_F(records, owner_frees_just_enough)
{
	static const long lens[] = { 1, 100, 4079, 4080, 4081, 4088, 4089, 4096, 4097 };
	struct own_end end;
	long len, rest;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		len = lens[i];
		rest = self->cap - room_of(len);
		ASSERT_EQ(len, put_record(self->fd, len, 1));
		ASSERT_TRUE(fill_except(self->fd, rest, 0, 2));
		ASSERT_TRUE(end_open(&end, &self->dev, false));
		SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, 30000, 3));
		SLEEP_IN(&self->calls, 1, -1, put_record(self->fd, len, 4));
		store(end.page, load(end.page) + room_of(len));
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
		EXPECT_RETURNS(&self->calls, 1, len, 0);
		EXPECT_STILL_SLEEPS(&self->calls, 0);
		end_close(&end);
		ASSERT_TRUE(get_record(self->dev.fd, rest - HEADER, 2));
		EXPECT_RETURNS(&self->calls, 0, 30000, 0);
		EXPECT_TRUE(get_record(self->dev.fd, len, 4));
		EXPECT_TRUE(get_record(self->dev.fd, 30000, 3));
	}
}

/* Sleepers of two sizes, and room for all of either size at once. */
TEST_F(records, one_read_serves_many)
{
	static const long lens[][CALLERS] = {
		{ 1, 1, 1, 1 },
		{ 4088, 4088, 4088, 4088 },
		{ 4089, 4089, 4089, 4089 },
		{ 5000, 10, 6000, 20 },
		{ 10, 5000, 20, 6000 },
		{ 4088, 10000, 4088, 10000 },
		{ 10000, 4088, 4097, 1 },
		{ 20000, 20000, 20000, 1 },
	};
	size_t i, k;

	for (k = 0; k < ARRAY_SIZE(lens); k++) {
		ASSERT_TRUE(fill_except(self->fd, self->cap, 0, 1));
		for (i = 0; i < CALLERS; i++)
			SLEEP_IN(&self->calls, i, -1,
				 put_record(self->fd, lens[k][i], 2 + i));
		ASSERT_TRUE(get_record(self->dev.fd, longest(self->cap), 1));
		for (i = 0; i < CALLERS; i++)
			EXPECT_RETURNS(&self->calls, i, lens[k][i], 0);
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	}
}

/* ---- many writers ---- */

#define WRITERS	12

/* What a child writes: mostly near a limit of the driver or of the capacity. */
static long some_length(__u64 *random, long cap)
{
	long most = longest(cap), len;

	switch (rnd(random) % 6) {
	case 0:
		len = 1 + rnd(random) % 30;
		break;
	case 1:
		len = PIPE_BUF - 20 + rnd(random) % 40;
		break;
	case 2:
		len = most - rnd(random) % 20;
		break;
	case 3:
		len = 1 + rnd(random) % most;
		break;
	default:
		len = 1 + rnd(random) % 6000;
	}
	return len < most ? len : most;
}

/* Whether the writers that are left have all ended; those that have are forgotten. */
static bool all_ended(pid_t *pid, int *bad)
{
	bool all = true;
	int i;

	for (i = 0; i < WRITERS; i++) {
		if (pid[i] <= 0)
			continue;
		if (child_state(pid[i]) != 'Z') {
			all = false;
			continue;
		}
		*bad += child_end(pid[i]) != 0;
		pid[i] = 0;
	}
	return all;
}

/*
 * Many writers sleep. Whenever nothing is queued, one of them must be about to write: a
 * lost wake-up leaves the FIFO empty for good.
 */
TEST_F_TIMEOUT(records, no_wakeup_is_lost, 6 * 60 * 60)
{
	__u64 random = vfifo_seed;
	pid_t pid[WRITERS] = { 0 };
	char *buf = malloc(self->cap);
	unsigned long round;
	long len, n, taken;
	int i, bad = 0;

	LOG_SEED();
	for (round = 0; round < rounds; round++) {
		ASSERT_EQ(0, attr_set("capacity", self->page << (rnd(&random) % 5)));
		self->cap = attr_get("capacity");
		/* One record, or many small ones. */
		if (rnd(&random) % 2)
			ASSERT_TRUE(fill_except(self->dev.fd, self->cap, 0, 1));
		while (put_record(self->dev.fd, 40, 1) == 40)
			;
		while (put_record(self->dev.fd, 1, 1) == 1)
			;
		for (i = 0; i < WRITERS; i++) {
			len = some_length(&random, self->cap);
			pid[i] = child_start(12 * DEADLINE);
			if (!pid[i])
				_exit(put_record(self->fd, len, 2) != len);
			/* Some come while others are being served. */
			if (rnd(&random) % 4)
				ASSERT_TRUE(child_sleeps(pid[i]));
		}
		for (taken = 0; !all_ended(pid, &bad); taken++) {
			switch (rnd(&random) % 16) {
			case 0:
				put_record(self->dev.fd, 1 + rnd(&random) % 50, 3);
				break;
			case 1:
				ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
				break;
			case 2:
				sched_yield();
			}
			n = res(read(self->dev.fd, buf, self->cap));
			ASSERT_TRUE(n > 0 || n == -EAGAIN);
			if (n == -EAGAIN) {
				ASSERT_TRUE(eventually(queued(self->fd) > 0 ||
						       all_ended(pid, &bad))) {
					TH_LOG("round %lu: empty, writers sleep",
					       round);
				}
			}
		}
		ASSERT_EQ(0, bad);
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	}
	free(buf);
}

/* ---- no starvation ---- */

/*
 * Reads a record and writes one of @len bytes, until that is refused: the room that these
 * have taken, or more than @most.
 */
static long steal(struct records_data *self, long len, long most)
{
	char *buf = malloc(self->cap);
	long total = 0;

	while (total <= most) {
		if (read(self->dev.fd, buf, self->cap) <= 0)
			break;
		if (put_record(self->dev.fd, len, 5) != len)
			break;
		total += room_of(len);
	}
	free(buf);
	return total;
}

TEST_F_TIMEOUT(records, others_write_no_more_than_the_capacity, 200)
{
	static const struct {
		long len;		/* of the sleeper; negative: less than the longest */
		long others;
	} sizes[] = {
		{ 100, 1 }, { 4088, 1 }, { 4088, 60 }, { 4096, 60 }, { 4097, 1000 },
		{ 20000, 1 }, { 20000, 60 }, { 20000, 4088 }, { 60000, 60 },
		{ -1, 1 }, { -8, 60 }, { -1, 1000 },
	};
	long len, size, total, start;
	char *buf = malloc(self->cap);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		len = sizes[i].len;
		size = sizes[i].others;
		if (len < 0)
			len += longest(self->cap) + 1;
		/* The room that is left is too small for the sleeper. */
		while (put_record(self->dev.fd, size, 4) == size)
			;
		SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, len, 6));
		start = attr_get("stats/bytes_written");
		total = steal(self, size, self->cap);
		EXPECT_GE(self->cap, total) {
			TH_LOG("%ld bytes starve beside %ld", len, size);
		}
		/* At most the sleeper's own record is beyond the limit. */
		EXPECT_GE(start + self->cap + room_of(len),
			  attr_get("stats/bytes_written"));
		while (read(self->dev.fd, buf, self->cap) > 0)
			;
		EXPECT_RETURNS(&self->calls, 0, len, 0);
		/* Nothing is held back any more. */
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		EXPECT_EQ(longest(self->cap),
			  put_record(self->dev.fd, longest(self->cap), 7));
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	}
	free(buf);
}

/*
 * Calls[0] sleeps for the longest record, and others have written all that they may: then
 * they sleep, although there is room.
 */
#define HOLD_OTHERS_BACK() do {							\
	int __i;								\
										\
	ASSERT_EQ(0, attr_set("capacity", 4 * self->page));			\
	self->cap = 4 * self->page;						\
	ASSERT_EQ(8, put_record(self->fd, 8, 0));				\
	SLEEP_IN(&self->calls, 0, -1,						\
		 put_record(self->fd, longest(self->cap), 9));			\
	for (__i = 0; __i < self->cap / 16; __i++) {				\
		ASSERT_EQ(8, put_record(self->dev.fd, 8, __i + 1));		\
		ASSERT_TRUE(get_record(self->dev.fd, 8, __i));			\
	}									\
	ASSERT_EQ(-EAGAIN, put_record(self->dev.fd, 1, 1));			\
	SLEEP_IN(&self->calls, 1, -1, put_record(self->fd, 8000, 10));		\
	SLEEP_IN(&self->calls, 2, -1, put_record(self->fd, 1, 11));		\
	SLEEP_IN(&self->calls, 3, -1, put_record(self->fd, PIPE_BUF, 12));	\
} while (0)

#define EXPECT_OTHERS_GO_ON() do {						\
	EXPECT_RETURNS(&self->calls, 1, 8000, 0);				\
	EXPECT_RETURNS(&self->calls, 2, 1, 0);					\
	EXPECT_RETURNS(&self->calls, 3, PIPE_BUF, 0);				\
	EXPECT_EQ(100, put_record(self->dev.fd, 100, 1));			\
} while (0)

TEST_F(records, sleeper_is_killed)
{
	HOLD_OTHERS_BACK();
	child_kill(&self->calls.pid[0]);
	EXPECT_OTHERS_GO_ON();
}

TEST_F(records, sleeper_is_interrupted)
{
	HOLD_OTHERS_BACK();
	kill(self->calls.pid[0], SIGUSR1);
	EXPECT_RETURNS(&self->calls, 0, -EINTR, 0);
	EXPECT_OTHERS_GO_ON();
}

TEST_F(records, sleeper_is_served)
{
	HOLD_OTHERS_BACK();
	ASSERT_TRUE(get_record(self->dev.fd, 8, self->cap / 16));
	EXPECT_RETURNS(&self->calls, 0, longest(self->cap), 0);
	EXPECT_STILL_SLEEPS(&self->calls, 1);
	ASSERT_TRUE(get_record(self->dev.fd, longest(self->cap), 9));
	EXPECT_OTHERS_GO_ON();
}

TEST_F(records, capacity_grows)
{
	HOLD_OTHERS_BACK();
	ASSERT_EQ(0, attr_set("capacity", 4 * self->cap));
	EXPECT_RETURNS(&self->calls, 0, longest(self->cap), 0);
	EXPECT_OTHERS_GO_ON();
}

TEST_F(records, cleared)
{
	HOLD_OTHERS_BACK();
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	EXPECT_RETURNS(&self->calls, 0, longest(self->cap), 0);
	ASSERT_TRUE(get_record(self->dev.fd, longest(self->cap), 9));
	EXPECT_OTHERS_GO_ON();
}

/* ---- claims and errors ---- */

TEST_F(records, producer_is_claimed)
{
	struct own_end end;
	int i;

	HOLD_OTHERS_BACK();
	ASSERT_TRUE(end_open(&end, &self->dev, true));
	for (i = 0; i < CALLERS; i++)
		EXPECT_RETURNS(&self->calls, i, -EBUSY, 0);
	end_close(&end);
	EXPECT_EQ(8000, put_record(self->dev.fd, 8000, 1));
}

TEST_F(records, consumer_is_claimed)
{
	struct own_end end;
	int i;

	for (i = 0; i < READERS; i++)
		SLEEP_IN(&self->calls, i, -1, read_into(self->fd, 10));
	ASSERT_TRUE(end_open(&end, &self->dev, false));
	for (i = 0; i < READERS; i++)
		EXPECT_RETURNS(&self->calls, i, -EBUSY, 0);
	end_close(&end);
	ASSERT_EQ(10, put_record(self->fd, 10, 1));
	EXPECT_TRUE(get_record(self->fd, 10, 1));
}

/* A mapped consumer gives room a little at a time. */
TEST_F(records, room_from_a_mapped_consumer)
{
	struct own_end end;
	long left;
	int i;

	for (i = 0; put_record(self->dev.fd, 8, i) == 8; i++)
		;
	SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, 10000, 1));
	SLEEP_IN(&self->calls, 1, -1, put_record(self->fd, 9, 2));
	ASSERT_TRUE(end_open(&end, &self->dev, false));
	store(end.page, load(end.page) + 16);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	EXPECT_STILL_SLEEPS(&self->calls, 1);
	store(end.page, load(end.page) + 16);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	EXPECT_RETURNS(&self->calls, 1, 9, 0);
	for (left = 8; left < room_of(10000); left += 16) {
		EXPECT_STILL_SLEEPS(&self->calls, 0);
		store(end.page, load(end.page) + 16);
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	}
	EXPECT_RETURNS(&self->calls, 0, 10000, 0);
	end_close(&end);
}

/* All sleepers get EIO when an impossible position is found. */
TEST_F(records, error_state)
{
	struct own_end end;
	int i;

	self->breaks = true;
	HOLD_OTHERS_BACK();
	ASSERT_TRUE(end_open(&end, &self->dev, false));
	store(end.page, load(end.page) + 2 * self->cap);
	EXPECT_EQ(-EIO, put_record(self->dev.fd, 1, 1));
	for (i = 0; i < CALLERS; i++)
		EXPECT_RETURNS(&self->calls, i, -EIO, 0);
	end_close(&end);
	EXPECT_EQ(8000, put_record(self->dev.fd, 8000, 1));
}

int main(int argc, char **argv)
{
	const char *n = take_option(&argc, argv, "-n");

	rounds = n ? strtoul(n, NULL, 0) : OFTEN(25);
	return vfifo_main(argc, argv);
}
