// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * A change of the capacity: queued records stay, and sleeping writers learn of it.
 */
#include "vfifo_record.h"
#include "vfifo_race.h"
#include "vfifo_waiters.h"

/* ---- queued records ---- */

TEST_F_TIMEOUT(records, keeps_records, 60)
{
	__u64 random = vfifo_seed, in = 0, out = 0;
	long page = self->page, cap = self->cap, used, len, want;
	long lens[64];
	int round;

	LOG_SEED();
	for (round = 0; round < OFTEN(300); round++) {
		len = 1 + rnd(&random) % (rnd(&random) % 2 ? 50 : 4000);
		if (in - out < ARRAY_SIZE(lens) &&
		    put_record(self->dev.fd, len, in) == len)
			lens[in++ % ARRAY_SIZE(lens)] = len;
		used = attr_get("size");
		want = page << (rnd(&random) % 7);
		ASSERT_EQ(used > want ? -EBUSY : 0, attr_set("capacity", want));
		if (used <= want)
			cap = want;
		ASSERT_EQ(cap, attr_get("capacity"));
		ASSERT_EQ(used, attr_get("size"));
		/* Now and then the FIFO gets empty. */
		while (out < in && rnd(&random) % 5 > 1) {
			ASSERT_EQ(lens[out % ARRAY_SIZE(lens)], queued(self->fd));
			ASSERT_TRUE(get_record(self->fd,
					       lens[out % ARRAY_SIZE(lens)], out)) {
				TH_LOG("round %d, capacity %ld", round, cap);
			}
			out++;
		}
	}
}

/* A record that fills the smaller buffer, across the end of either one. */
TEST_F(records, exactly_full)
{
	long page = self->page, i;

	for (i = 0; i < 2 * page; i += 8 * 61) {
		ASSERT_EQ(0, attr_set("capacity", 2 * page));
		ASSERT_EQ(longest(page), put_record(self->fd, longest(page), i));
		ASSERT_EQ(0, attr_set("capacity", page));
		EXPECT_EQ(-EAGAIN, write_one(self->dev.fd));
		EXPECT_EQ(longest(page), queued(self->fd));
		ASSERT_EQ(0, attr_set("capacity", 4 * page));
		ASSERT_EQ(1, write_one(self->dev.fd));
		EXPECT_EQ(-EBUSY, attr_set("capacity", page));
		ASSERT_TRUE(get_record(self->fd, longest(page), i));
		ASSERT_EQ(1, read_one(self->fd));
		/* The next round begins somewhere else. */
		ASSERT_EQ(8 * 60, put_record(self->fd, 8 * 60, i));
		ASSERT_TRUE(get_record(self->fd, 8 * 60, i));
	}
}

TEST_F(records, limits_follow)
{
	long page = self->page;

	ASSERT_EQ(0, attr_set("capacity", page));
	EXPECT_EQ(-EMSGSIZE, put_record(self->dev.fd, page - 7, 1));
	ASSERT_EQ(page - 8, put_record(self->dev.fd, page - 8, 1));
	ASSERT_EQ(0, attr_set("capacity", 2 * page));
	EXPECT_EQ(page - 8, put_record(self->dev.fd, page - 8, 2));
	EXPECT_EQ(-EAGAIN, put_record(self->dev.fd, page - 7, 2));
	EXPECT_EQ(-EMSGSIZE, put_record(self->dev.fd, 2 * page - 7, 2));
	EXPECT_TRUE(get_record(self->fd, page - 8, 1));
	EXPECT_TRUE(get_record(self->fd, page - 8, 2));
	EXPECT_EQ(2 * page - 8, put_record(self->dev.fd, 2 * page - 8, 3));
	EXPECT_EQ(-EBUSY, attr_set("capacity", page));
	EXPECT_TRUE(get_record(self->fd, 2 * page - 8, 3));
}

/* ---- sleeping writers ---- */

/* The records of sleepers do not fit any more. */
TEST_F(records, too_long_after_shrinking)
{
	long written, cap;

	ASSERT_EQ(8, put_record(self->fd, 8, 1));
	written = attr_get("stats/records_written");
	for (cap = self->cap; cap > self->page; cap /= 2) {
		SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, longest(cap), 2));
		SLEEP_IN(&self->calls, 1, -1,
			 put_record(self->fd, longest(cap) - 7, 3));
		ASSERT_EQ(0, attr_set("capacity", cap / 2));
		EXPECT_RETURNS(&self->calls, 0, -EMSGSIZE, 0);
		EXPECT_RETURNS(&self->calls, 1, -EMSGSIZE, 0);
	}
	EXPECT_EQ(written, attr_get("stats/records_written"));
	EXPECT_EQ(16, attr_get("size"));
	EXPECT_TRUE(get_record(self->fd, 8, 1));
}

/*
 * Two sleepers are held back by a third one, which came before. When that gets the error,
 * each of them is judged by the new capacity.
 */
TEST_F(records, error_of_another_sleeper)
{
	long page = self->page, cap = 4 * page, i;

	ASSERT_EQ(0, attr_set("capacity", cap));
	ASSERT_EQ(8, put_record(self->fd, 8, 0));
	SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, longest(cap), 1));
	for (i = 0; i < cap / 16; i++) {
		ASSERT_EQ(8, put_record(self->dev.fd, 8, i + 1));
		ASSERT_TRUE(get_record(self->dev.fd, 8, i));
	}
	EXPECT_EQ(-EAGAIN, put_record(self->dev.fd, 8, 2));
	SLEEP_IN(&self->calls, 1, -1, put_record(self->fd, page - 7, 3));
	SLEEP_IN(&self->calls, 2, -1, put_record(self->fd, page - 8, 4));
	SLEEP_IN(&self->calls, 3, -1, put_record(self->fd, 100, 5));
	ASSERT_EQ(0, attr_set("capacity", page));
	EXPECT_RETURNS(&self->calls, 0, -EMSGSIZE, 0);
	EXPECT_RETURNS(&self->calls, 1, -EMSGSIZE, 0);
	EXPECT_STILL_SLEEPS(&self->calls, 2);
	EXPECT_TRUE(get_record(self->dev.fd, 8, i));
	/* In whatever order. */
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(eventually(queued(self->fd)));
		EXPECT_TRUE(queued(self->fd) == 100 ?
			    get_record(self->dev.fd, 100, 5) :
			    get_record(self->dev.fd, page - 8, 4));
	}
	EXPECT_RETURNS(&self->calls, 2, page - 8, 0);
	EXPECT_RETURNS(&self->calls, 3, 100, 0);
}

TEST_F(records, growing_makes_room)
{
	long len = self->cap;

	ASSERT_TRUE(fill_except(self->fd, self->cap, 0, 1));
	SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, 30000, 2));
	SLEEP_IN(&self->calls, 1, -1, put_record(self->fd, 9, 3));
	EXPECT_EQ(-EMSGSIZE, put_record(self->dev.fd, len, 4));
	ASSERT_EQ(0, attr_set("capacity", 2 * self->cap));
	EXPECT_RETURNS(&self->calls, 0, 30000, 0);
	EXPECT_RETURNS(&self->calls, 1, 9, 0);
	EXPECT_TRUE(get_record(self->fd, longest(self->cap), 1));
	EXPECT_EQ(room_of(30000) + room_of(9), attr_get("size"));
	EXPECT_EQ(len, put_record(self->dev.fd, len, 4));
}

/* POLLOUT needs another number of bytes. */
TEST_F(records, pollers_are_told)
{
	struct waiters w;

	ASSERT_TRUE(waiters_begin(&w));
	ASSERT_EQ(0, attr_set("capacity", self->page));
	ASSERT_EQ(9, put_record(self->fd, 9, 1));
	ASSERT_TRUE(waiter_start(&w, BY_POLL, self->fd, POLLOUT, NULL));
	ASSERT_TRUE(waiter_start(&w, BY_EPOLL, self->fd, EPOLLOUT | EPOLLET, NULL));
	EXPECT_EQ(0, told_all(&w));
	ASSERT_EQ(0, attr_set("capacity", 2 * self->page));
	EXPECT_TRUE(eventually(told_all(&w) == 2));
	waiters_end(&w);
	ASSERT_EQ(0, attr_set("capacity", self->page));
	EXPECT_EQ(POLLIN, poll_now(self->fd, POLLIN | POLLOUT));
}

/* ---- while records pass ---- */

static int step_resize(int self __always_unused, __u64 *random)
{
	long page = sysconf(_SC_PAGESIZE);
	int ret = attr_set("capacity", page << (rnd(random) % 5));

	jitter(random);
	return ret && ret != -EBUSY ? WRONG("capacity: %d", ret) : !ret;
}

/* The record tells its length and number. */
struct numbered {
	__u64 number, len;
};

static int step_write(int self, __u64 *random)
{
	static __u64 number;
	static char buf[80000];
	static int fd = -1;
	long len = sizeof(struct numbered) +
		   rnd(random) % (rnd(random) % 4 ? 500 : sizeof(buf) / 2);
	struct numbered *head = (void *)buf;
	long ret;

	/* The others sleep. */
	if (fd < 0)
		fd = vfifo_open(O_WRONLY | (self % 2 ? O_NONBLOCK : 0));
	head->number = number * RACERS + self;
	head->len = len;
	stream_fill(head + 1, len - sizeof(*head), RECORD_POS(head->number));
	ret = res(write(fd, buf, len));
	if (ret == -EAGAIN || ret == -EMSGSIZE)
		return 0;
	if (ret != len)
		return WRONG("racer %d: write %ld: %ld", self, len, ret);
	number++;
	return 1;
}

/* Ends when it is told to, and nothing is queued any more. */
static void read_all(struct __test_metadata *_metadata, int fd, bool *stop)
{
	char *buf = malloc(80000);
	struct numbered *head = (void *)buf;
	__u64 next[RACERS] = { 0 };
	unsigned int racer;
	long n;

	for (;;) {
		bool last = LOAD(*stop);

		n = res(read(fd, buf, 80000));
		if (n == -EAGAIN && last)
			break;
		if (n == -EAGAIN) {
			usleep(100);
			continue;
		}
		EXPECT_LE((long)sizeof(*head), n) {
			break;
		}
		racer = head->number % RACERS;
		EXPECT_EQ(head->len, n);
		EXPECT_EQ(next[racer], head->number / RACERS);
		EXPECT_TRUE(stream_equal(head + 1, n - sizeof(*head),
					 RECORD_POS(head->number)));
		next[racer] = head->number / RACERS + 1;
	}
	free(buf);
}

TEST_F_TIMEOUT(records, resized_all_the_time, FOREVER)
{
	static const racer_step steps[] = {
		step_resize, step_write, step_write, step_write,
	};
	bool *stop = shared(sizeof(*stop));
	pid_t pid[ARRAY_SIZE(steps)], reader;
	unsigned long done = 0;
	__s64 start;
	size_t i;

	LOG_SEED();
	ASSERT_TRUE(race_begin() && stop);
	reader = child_start(FOREVER);
	if (!reader) {
		read_all(_metadata, self->dev.fd, stop);
		_exit(0);
	}
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		pid[i] = racer_start(steps[i], i);
	start = now_ms();
	do {
		usleep(10000);
		done++;
	} while (more(done, start) || !enough(ARRAY_SIZE(steps), true, start));
	/* Sleeping writers are served by the reader. */
	racers_end(_metadata, pid, ARRAY_SIZE(steps));
	STORE(*stop, true);
	EXPECT_EQ(0, child_end(reader));
	munmap(stop, sizeof(*stop));
}

int main(int argc, char **argv)
{
	race_options(&argc, argv);
	return vfifo_main(argc, argv);
}
