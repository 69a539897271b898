// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Headers, positions and payloads that change at full speed while the kernel reads them.
 * A call returns something possible, nothing else happens, and afterwards all is well.
 *
 * "-n CASES" makes each test make that many calls.
 */
#include <poll.h>

#include "vfifo_record.h"

/* What the stormer does, as fast as it can, until it is killed. */
typedef void (*storm_step)(struct own_end *end, __u64 *random);

struct storm {
	pid_t pid;
	unsigned long *count;	/* shared */
};

static bool storm_start(struct storm *storm, struct vfifo *dev, bool claims,
			bool producer, storm_step step)
{
	__u64 random = mix64(vfifo_seed + producer);
	struct own_end end = { .cap = attr_get("capacity") };

	storm->count = shared(sizeof(*storm->count));
	if (!storm->count)
		return false;
	storm->pid = child_start(6 * 60 * 60);
	if (!storm->pid) {
		if (claims && !end_open(&end, dev, producer))
			_exit(1);
		if (!claims) {
			end.data = map_data(dev->fd, PROT_READ | PROT_WRITE);
			end.page = view_end(dev->fd, producer);
		}
		if (!end.data || !end.page)
			_exit(2);
		for (;;) {
			step(&end, &random);
			__atomic_fetch_add(storm->count, 1, __ATOMIC_RELAXED);
		}
	}
	return eventually(__atomic_load_n(storm->count, __ATOMIC_RELAXED));
}

/* Whether it went on until now. */
static bool storm_end(struct storm *storm)
{
	bool killed = child_kill(&storm->pid) == -SIGKILL;

	munmap(storm->count, sizeof(*storm->count));
	return killed && eventually(!attr_get("producer_claimed") &&
				    !attr_get("consumer_claimed"));
}

static __u64 some_header(__u64 *random, long cap)
{
	__u32 r = rnd(random);

	switch (rnd(random) % 8) {
	case 0:
		return rnd(random);
	case 1:
		return raw_header(r, 0);
	case 2:
		return raw_header(r % 64, 1U << (r % 32));
	case 3:
		return raw_header(r % cap, 0);
	default:
		return raw_header(r % 200, 0);
	}
}

/* Calls that may fail while there is a storm, but only in these ways. */
static bool possible(long ret, long len)
{
	return (ret > 0 && ret <= len) || ret == -EIO || ret == -EAGAIN ||
	       ret == -EMSGSIZE;
}

/* Interrupts calls that sleep. */
static bool interrupt_often(timer_t *timer)
{
	struct itimerspec every = { { 0, 20000000 }, { 0, 20000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
				  .sigev_signo = SIGUSR1 };

	return !timer_create(CLOCK_MONOTONIC, &event, timer) &&
	       !timer_settime(*timer, 0, &every, NULL);
}

/* One random call that is not a transfer: whether the result is possible. */
static bool other_call(struct records_data *self, __u64 *random, bool consumes)
{
	struct pollfd p = { .fd = self->fd, .events = POLLIN | POLLOUT };
	struct vfifo_info info = { .size = sizeof(info) };
	long ret;

	switch (rnd(random) % 8) {
	case 0:
		ret = poll(&p, 1, 0);
		return ret == 0 || ret == 1;
	case 1:
		ret = queued(self->fd);
		return ret >= 0 && ret <= self->cap;
	case 2:
		ret = attr_get("size");
		return ret >= 0 && ret <= self->cap;
	case 3:
		return !ioctl(self->fd, VFIFO_NOTIFY);
	case 4:
		return !ioctl(self->fd, VFIFO_GET_INFO, &info) &&
		       info.flags & VFIFO_RECORDS;
	case 5:
		return attr_store("framing", "stream") == -EBUSY &&
		       attr_store("framing", "record") == 0;
	case 6:
		return attr_set("capacity", 2 * self->cap) == -EBUSY;
	default:
		ret = res(ioctl(self->fd, VFIFO_CLEAR));
		return ret == (consumes ? -EBUSY : 0);
	}
}

/* Transfers at the end that is not claimed, and other calls. */
static void weather_it(struct __test_metadata *_metadata,
		       struct records_data *self, struct storm *storm, bool writes,
		       bool consumer_claimed)
{
	__u64 random = vfifo_seed + 7;
	char *buf = malloc(2 * self->cap);
	struct iovec iov[2];
	__s64 start = now_ms();
	long len, ret, i;
	timer_t timer;
	int fd;

	ASSERT_TRUE(interrupt_often(&timer));
	for (i = 0; more_cases(i, start); i++) {
		if (!(rnd(&random) % 4)) {
			ASSERT_TRUE(other_call(self, &random, consumer_claimed)) {
				TH_LOG("call %ld", i);
			}
			continue;
		}
		len = 1 + rnd(&random) % (rnd(&random) % 2 ? 300 : 2 * self->cap);
		fd = rnd(&random) % 8 ? self->dev.fd : self->fd;
		iov[0] = (struct iovec){ buf, len / 2 };
		iov[1] = (struct iovec){ buf + len / 2, len - len / 2 };
		if (rnd(&random) % 2)
			ret = res(writes ? write(fd, buf, len) : read(fd, buf, len));
		else
			ret = res(writes ? writev(fd, iov, 2) : readv(fd, iov, 2));
		ASSERT_TRUE(possible(ret, len) || ret == -EINTR) {
			TH_LOG("call %ld: %ld of %ld", i, ret, len);
		}
		/* A record is written as a whole. */
		if (writes && ret > 0)
			ASSERT_EQ(len, ret);
		if (child_state(storm->pid) == 'Z')
			break;
	}
	timer_delete(timer);
	TH_LOG("%ld calls, %lu stores", i, *storm->count);
	free(buf);
}

/* ---- an owner who stores anything ---- */

static void storm_of_producer(struct own_end *end, __u64 *random)
{
	static struct vfifo_end *tail;
	__u64 at;
	int i;

	if (!tail)
		tail = view_end(vfifo_open(O_RDWR), false);
	/* Most records are where the next read looks, and many of them are good. */
	at = load(tail);
	store_header(end, at & -8ULL, some_header(random, end->cap));
	for (i = 0; i < 4; i++)
		store_header(end, (at & -8ULL) + rnd(random) % 64 * 8,
			     some_header(random, end->cap));
	switch (rnd(random) % 16) {
	case 0:
		store(end->page, rnd(random));
		break;
	case 1:
		store(end->page, at + rnd(random) % (end->cap + 2));
		break;
	case 2:
		store(end->page, at);
		break;
	default:
		store(end->page, (at & -8ULL) + rnd(random) % 64 * 8);
	}
	if (!(rnd(random) % 64))
		end->page->waiting = rnd(random);
}

TEST_F_TIMEOUT(records, producer, 6 * 60 * 60)
{
	struct storm storm;

	LOG_SEED();
	self->breaks = true;
	ASSERT_TRUE(storm_start(&storm, &self->dev, true, true, storm_of_producer));
	weather_it(_metadata, self, &storm, false, false);
	EXPECT_TRUE(storm_end(&storm));
}

static void storm_of_consumer(struct own_end *end, __u64 *random)
{
	static struct vfifo_end *head;
	__u64 at;

	if (!head)
		head = view_end(vfifo_open(O_RDWR), true);
	at = load(head);
	switch (rnd(random) % 8) {
	case 0:
		store(end->page, rnd(random));
		break;
	case 1:
		store(end->page, at - rnd(random) % (end->cap + 2));
		break;
	case 2:
		store(end->page, at - rnd(random) % (end->cap / 8) * 8);
		break;
	default:
		store(end->page, at);
	}
	store_header(end, rnd(random) & -8ULL, some_header(random, end->cap));
	if (!(rnd(random) % 64))
		end->page->waiting = rnd(random);
}

TEST_F_TIMEOUT(records, consumer, 6 * 60 * 60)
{
	struct storm storm;

	LOG_SEED();
	self->breaks = true;
	ASSERT_TRUE(storm_start(&storm, &self->dev, true, false, storm_of_consumer));
	weather_it(_metadata, self, &storm, true, true);
	EXPECT_TRUE(storm_end(&storm));
}

/* ---- somebody who has only mapped the data ---- */

static void storm_of_data(struct own_end *end, __u64 *random)
{
	store_header(end, rnd(random) & -8ULL, some_header(random, end->cap));
}

/* Whoever gets EIO clears the FIFO, and both ends go on. */
TEST_F_TIMEOUT(records, mapped_data, 6 * 60 * 60)
{
	__u64 random = vfifo_seed + 3;
	long broken = 0, errors = attr_get("stats/position_errors"), i, len, ret;
	char *buf = malloc(self->cap);
	__s64 start = now_ms();
	struct storm storm;

	LOG_SEED();
	self->breaks = true;
	ASSERT_EQ(0, attr_set("capacity", self->page));
	self->cap = self->page;
	ASSERT_TRUE(storm_start(&storm, &self->dev, false, true, storm_of_data));
	for (i = 0; more_cases(i, start); i++) {
		len = 1 + rnd(&random) % 500;
		ret = put_record(self->dev.fd, len, i);
		ASSERT_TRUE(ret == len || ret == -EAGAIN || ret == -EIO);
		len = rnd(&random) % 2 ? self->cap : 1 + rnd(&random) % 300;
		ret = res(read(self->dev.fd, buf, len));
		ASSERT_TRUE(possible(ret, len)) {
			TH_LOG("call %ld: %ld of %ld", i, ret, len);
		}
		if (ret == -EIO) {
			broken++;
			ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		} else if (ret == -EMSGSIZE && !(rnd(&random) % 4)) {
			ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		}
	}
	TH_LOG("%ld records, %ld errors, %lu stores", i, broken, *storm.count);
	EXPECT_EQ(errors + broken, attr_get("stats/position_errors"));
	EXPECT_LT(0, broken);
	EXPECT_TRUE(storm_end(&storm));
	free(buf);
}

/*
 * The header of the next record flips between good and bad ones. What a read returns is
 * also how far the consumer's position moves.
 */
static const __u32 good_lengths[] = { 72, 40, 1, 64 };

static void storm_of_one_header(struct own_end *end, __u64 *random)
{
	__u64 pos = load(end->page), r = rnd(random);

	switch (r % 8) {
	case 0:
		store_header(end, pos, raw_header(0, 0));
		break;
	case 1:
		store_header(end, pos, raw_header(73 + (r >> 40), 0));
		break;
	case 2:
		store_header(end, pos, raw_header(72, 1U << ((r >> 40) % 32)));
		break;
	default:
		store_header(end, pos, raw_header(good_lengths[(r >> 40) % 4], 0));
	}
}

TEST_F_TIMEOUT(records, one_header, 6 * 60 * 60)
{
	struct vfifo_end *tail = view_end(self->fd, false);
	long found[ARRAY_SIZE(good_lengths) + 1] = { 0 }, i, ret;
	__s64 start = now_ms();
	struct storm storm;
	char buf[4096];
	__u64 pos;
	size_t k;

	LOG_SEED();
	self->breaks = true;
	ASSERT_NE(NULL, tail);
	/* The stormer follows the consumer's position. */
	ASSERT_TRUE(storm_start(&storm, &self->dev, false, false,
				storm_of_one_header));
	for (i = 0; more_cases(i, start); i++) {
		pos = load(tail);
		ASSERT_EQ(72, put_record(self->dev.fd, 72, i));
		ret = res(read(self->dev.fd, buf, sizeof(buf)));
		for (k = 0; k < ARRAY_SIZE(good_lengths); k++)
			if (ret == good_lengths[k])
				break;
		ASSERT_TRUE(k < ARRAY_SIZE(good_lengths) || ret == -EIO) {
			TH_LOG("case %ld: %ld", i, ret);
		}
		found[k]++;
		ASSERT_EQ(pos + (ret > 0 ? room_of(ret) : 0), load(tail)) {
			TH_LOG("case %ld: %ld", i, ret);
		}
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	}
	TH_LOG("%ld, %ld, %ld, %ld good ones of each length, %ld errors", found[0],
	       found[1], found[2], found[3], found[4]);
	/* On one CPU, the stormer hardly ever runs at the right time. */
	if (i > 5000 && sysconf(_SC_NPROCESSORS_ONLN) > 1) {
		EXPECT_LT(0, found[0]);
		EXPECT_LT(0, found[1] + found[2] + found[3]);
		EXPECT_LT(0, found[4]);
	}
	EXPECT_TRUE(storm_end(&storm));
	unmap_page(&tail);
}

int main(int argc, char **argv)
{
	cases_option(&argc, argv, OFTEN(OFTEN(30000)));
	return vfifo_main(argc, argv);
}
