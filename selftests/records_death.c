// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Owners of a mapped end that are killed at any instant, one after the other, while records
 * pass. Nothing that was published is lost, and nothing that was not is seen.
 *
 * "-n KILLS" makes each test kill that many.
 */
#include "vfifo_record.h"

/* The longest life of a child after it has claimed its end. */
#define LIFE_US	(3000 * vfifo_scale())

/* Progress of a child, readable after its death. */
struct diary {
	bool opened;
	long begun, done;	/* the number of the record that it moves, and after it */
};

static long see(long *entry)
{
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

static void note(long *entry, long value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* The length of record number @i. */
static long nth_length(long i)
{
	__u64 random = mix64(vfifo_seed ^ ((__u64)i << 20));

	return 1 + random % (random >> 62 ? 500 : 6000);
}

/* Claims the end, as soon as the claim of the one before has ended. */
static void claim_next(struct own_end *end, struct vfifo *dev, bool producer,
		       struct diary *diary)
{
	while (!end_open(end, dev, producer))
		usleep(100);
	__atomic_store_n(&diary->opened, true, __ATOMIC_RELEASE);
}

/* Publishes records from number @next on until it is killed. */
static void live_as_producer(struct vfifo *dev, struct diary *diary, long next)
{
	struct vfifo_end *tail = view_end(dev->fd, false);
	struct own_end end;
	long len;
	__u64 pos;

	claim_next(&end, dev, true, diary);
	for (;; next++) {
		len = nth_length(next);
		pos = load(end.page);
		while (pos + room_of(len) - load(tail) > (__u64)end.cap)
			sched_yield();
		/* A header that must never be seen, and then the right one. */
		store_header(&end, pos, raw_header(77, 77));
		stream_fill(byte_at(&end, pos) + HEADER, len, RECORD_POS(next));
		store_header(&end, pos, raw_header(len, 0));
		note(&diary->begun, next + 1);
		store(end.page, pos + room_of(len));
		note(&diary->done, next + 1);
		ioctl(dev->fd, VFIFO_NOTIFY);
	}
}

/* Releases records from number @next on until it is killed, or until one is wrong. */
static int live_as_consumer(struct vfifo *dev, struct diary *diary, long next)
{
	struct vfifo_end *head = view_end(dev->fd, true);
	struct own_end end;
	__u64 pos;
	long len;

	claim_next(&end, dev, false, diary);
	for (;; next++) {
		len = nth_length(next);
		pos = load(end.page);
		while (load(head) == pos)
			sched_yield();
		if (!has_record(&end, pos, len, next))
			return 1;
		note(&diary->begun, next + 1);
		store(end.page, pos + room_of(len));
		note(&diary->done, next + 1);
		ioctl(dev->fd, VFIFO_NOTIFY);
	}
}

static __s64 now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

/* Reads or writes record number @next: 1, 0 if that is not possible now, or -1. */
static int move_one(struct vfifo *dev, bool reads, long next)
{
	long len = nth_length(next), ret;

	if (reads) {
		if (!queued(dev->fd))
			return 0;
		return get_record(dev->fd, len, next) ? 1 : -1;
	}
	ret = put_record(dev->fd, len, next);
	return ret == len ? 1 : ret == -EAGAIN ? 0 : -1;
}

/*
 * While the child lives, and until its end is free again, moves records at the other end:
 * the number of the next one, or -1.
 */
static long survive(struct vfifo *dev, struct diary *diary, pid_t pid, bool reads,
		    long next, __s64 life_us)
{
	const char *claimed = reads ? "producer_claimed" : "consumer_claimed";
	bool killed = false;
	__s64 until = 0;
	int ret;

	for (;;) {
		ret = move_one(dev, reads, next);
		if (ret < 0)
			return -1;
		next += ret;
		if (!until && __atomic_load_n(&diary->opened, __ATOMIC_ACQUIRE))
			until = now_us() + life_us;
		if (child_state(pid) == 'Z') {
			if (!killed)
				return -1;
			if (!attr_get(claimed))
				return next;
		}
		if (!killed && until && now_us() >= until)
			killed = !kill(pid, SIGKILL);
		if (!ret)
			sched_yield();
	}
}

TEST_F_TIMEOUT(records, of_producers, 6 * 60 * 60)
{
	struct diary *diary = shared(sizeof(*diary));
	__u64 random = vfifo_seed;
	long next = 0, begin = 0, i;
	pid_t *pid = &self->calls.pid[0];
	__s64 start = now_ms();

	LOG_SEED();
	ASSERT_NE(NULL, diary);
	ASSERT_EQ(0, attr_set("capacity", 4 * self->page));
	for (i = 0; more_cases(i, start); i++) {
		memset(diary, 0, sizeof(*diary));
		diary->begun = begin;
		diary->done = begin;
		*pid = child_start(12 * DEADLINE);
		if (!*pid)
			live_as_producer(&self->dev, diary, begin);
		next = survive(&self->dev, diary, *pid, true, next,
			       rnd(&random) % LIFE_US);
		ASSERT_LE(0, next) {
			TH_LOG("kill %ld", i);
		}
		EXPECT_EQ(-SIGKILL, child_end(*pid));
		*pid = 0;
		while (get_record(self->dev.fd, nth_length(next), next))
			next++;
		ASSERT_EQ(0, attr_get("size"));
		EXPECT_LE(see(&diary->done), next);
		EXPECT_GE(see(&diary->begun), next);
		begin = next;
	}
	TH_LOG("%ld kills, %ld records", i, next);
	EXPECT_LT(i, next);
	munmap(diary, sizeof(*diary));
}

TEST_F_TIMEOUT(records, of_consumers, 6 * 60 * 60)
{
	struct diary *diary = shared(sizeof(*diary));
	__u64 random = vfifo_seed;
	long next = 0, begin = 0, sum, id, i;
	pid_t *pid = &self->calls.pid[0];
	__s64 start = now_ms();

	LOG_SEED();
	ASSERT_NE(NULL, diary);
	ASSERT_EQ(0, attr_set("capacity", 4 * self->page));
	for (i = 0; more_cases(i, start); i++) {
		memset(diary, 0, sizeof(*diary));
		diary->begun = begin;
		diary->done = begin;
		*pid = child_start(12 * DEADLINE);
		if (!*pid)
			_exit(live_as_consumer(&self->dev, diary, begin));
		next = survive(&self->dev, diary, *pid, false, next,
			       rnd(&random) % LIFE_US);
		ASSERT_LE(0, next) {
			TH_LOG("kill %ld", i);
		}
		EXPECT_EQ(-SIGKILL, child_end(*pid));
		*pid = 0;
		/* Was the last record released? The size says so. */
		begin = see(&diary->done);
		for (sum = 0, id = begin; id < next; id++)
			sum += room_of(nth_length(id));
		if (begin < see(&diary->begun) && attr_get("size") != sum)
			sum -= room_of(nth_length(begin++));
		ASSERT_EQ(sum, attr_get("size")) {
			TH_LOG("kill %ld: record %ld of %ld", i, begin, next);
		}
		for (; begin < next && rnd(&random) % 4; begin++)
			ASSERT_TRUE(get_record(self->dev.fd, nth_length(begin),
					       begin)) {
				TH_LOG("kill %ld: record %ld", i, begin);
			}
	}
	TH_LOG("%ld kills, %ld records", i, next);
	EXPECT_LT(i, next);
	for (; begin < next; begin++)
		ASSERT_TRUE(get_record(self->dev.fd, nth_length(begin), begin));
	EXPECT_EQ(0, attr_get("size"));
	munmap(diary, sizeof(*diary));
}

int main(int argc, char **argv)
{
	cases_option(&argc, argv, OFTEN(150));
	return vfifo_main(argc, argv);
}
