// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
/*
 * Putting and taking copies by vfifo_copy.h, with every kind of device.
 */
#include "vfifo_test.h"
#include "vfifo_copy.h"

#define MOST	1000
#define FOREVER	(DEADLINE * 1000)

FIXTURE(copy)
{
	struct vfifo dev;
	size_t cap;
	struct vfifo_producer p;
	struct vfifo_consumer c;
	char buf[MOST];
};

FIXTURE_VARIANT(copy)
{
	bool records, overwrites;
};

FIXTURE_VARIANT_ADD(copy, bytes)
{
};

FIXTURE_VARIANT_ADD(copy, records)
{
	.records = true,
};

FIXTURE_VARIANT_ADD(copy, overwriting_bytes)
{
	.overwrites = true,
};

FIXTURE_VARIANT_ADD(copy, overwriting_records)
{
	.records = true,
	.overwrites = true,
};

FIXTURE_SETUP(copy)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	if (variant->records)
		ASSERT_EQ(0, attr_store("framing", "record"));
	ASSERT_EQ(0, attr_set("overwrite", variant->overwrites));
	/* This would count as a reader and a writer. */
	close(self->dev.fd);
	ASSERT_EQ(0, vfifo_consumer_open(&self->c, vfifo_path()));
	ASSERT_EQ(0, vfifo_producer_open(&self->p, vfifo_path()));
}

FIXTURE_TEARDOWN(copy)
{
	vfifo_producer_close(&self->p);
	vfifo_consumer_close(&self->c);
	attr_set("hangup", 0);
	self->dev.fd = vfifo_open(O_RDWR | O_NONBLOCK);
	vfifo_teardown(&self->dev);
}

/* The functions for the kind of device. */
static int put_copy(struct vfifo_producer *p, const void *from, size_t len, int timeout)
{
	return vfifo_producer_kind(p) & VFIFO_RECORDS ?
	       vfifo_producer_put_record(p, from, len, timeout) :
	       vfifo_producer_put(p, from, len, timeout);
}

static ssize_t take_copy(struct vfifo_consumer *c, void *to, size_t most, int timeout)
{
	return vfifo_consumer_kind(c) & VFIFO_RECORDS ?
	       vfifo_consumer_take_record(c, to, most, timeout) :
	       vfifo_consumer_take(c, to, most, timeout);
}

#define PUT(...)	put_copy(&self->p, __VA_ARGS__)
#define TAKE(...)	take_copy(&self->c, __VA_ARGS__)

TEST_F(copy, what_was_put_is_taken)
{
	__u64 at;
	size_t len;

	/* Around the end of the buffer, several times. */
	for (at = 0; at < 5 * self->cap; at += len) {
		len = 1 + at % MOST;
		stream_fill(self->buf, len, at);
		ASSERT_EQ(0, PUT(self->buf, len, 0));
		memset(self->buf, 0, MOST);
		ASSERT_EQ(len, TAKE(self->buf, MOST, 0));
		ASSERT_TRUE(stream_equal(self->buf, len, at));
		ASSERT_EQ(-EAGAIN, TAKE(self->buf, MOST, 0));
	}
	EXPECT_EQ(0, vfifo_consumer_queued(&self->c));
	EXPECT_EQ(0, vfifo_producer_queued(&self->p));
}

TEST_F(copy, take_less_than_queued)
{
	stream_fill(self->buf, 100, 0);
	ASSERT_EQ(0, PUT(self->buf, 100, 0));
	if (variant->records) {
		EXPECT_EQ(-EMSGSIZE, TAKE(self->buf, 99, 0));
		EXPECT_EQ(-EMSGSIZE, TAKE(self->buf, 0, FOREVER));
		/* It stays queued. */
		EXPECT_EQ(100, TAKE(self->buf, 100, 0));
		EXPECT_TRUE(stream_equal(self->buf, 100, 0));
	} else {
		EXPECT_EQ(0, TAKE(self->buf, 0, FOREVER));
		EXPECT_EQ(40, TAKE(self->buf, 40, 0));
		EXPECT_TRUE(stream_equal(self->buf, 40, 0));
		EXPECT_EQ(60, TAKE(self->buf, MOST, 0));
		EXPECT_TRUE(stream_equal(self->buf, 60, 40));
	}
	EXPECT_EQ(-EAGAIN, TAKE(self->buf, MOST, 0));
}

TEST_F(copy, nothing_yet)
{
	__s64 from = now_ms();

	EXPECT_EQ(-EAGAIN, TAKE(self->buf, MOST, 0));
	EXPECT_EQ(-EAGAIN, TAKE(self->buf, MOST, 50));
	EXPECT_LE(50, now_ms() - from);
}

TEST_F(copy, no_room)
{
	size_t puts = 0;
	__s64 from;
	int err = 0;

	while (!err && puts < self->cap) {
		err = PUT(self->buf, MOST, 0);
		puts += !err;
	}
	if (variant->overwrites) {
		/* It never waits. */
		EXPECT_EQ(0, err);
		EXPECT_LT(self->cap - 2 * MOST, vfifo_consumer_queued(&self->c));
		EXPECT_GE(self->cap, vfifo_consumer_queued(&self->c));
		EXPECT_EQ(vfifo_producer_queued(&self->p),
			  vfifo_consumer_queued(&self->c));
		return;
	}
	EXPECT_EQ(-EAGAIN, err);
	EXPECT_EQ(self->cap / (variant->records ? MOST + 8 : MOST), puts);
	from = now_ms();
	EXPECT_EQ(-EAGAIN, PUT(self->buf, MOST, 50));
	EXPECT_LE(50, now_ms() - from);
	EXPECT_EQ(MOST, TAKE(self->buf, MOST, 0));
	EXPECT_EQ(0, PUT(self->buf, MOST, 0));
}

TEST_F(copy, wrong_lengths)
{
	char *large = calloc(1, self->cap + 1);
	size_t most = variant->records ? self->cap - 8 : self->cap;

	ASSERT_NE(NULL, large);
	EXPECT_EQ(variant->records ? -EMSGSIZE : -EINVAL, PUT(large, most + 1, FOREVER));
	EXPECT_EQ(variant->records ? -EMSGSIZE : -EINVAL, PUT(large, SIZE_MAX, FOREVER));
	EXPECT_EQ(variant->records ? -EMSGSIZE : 0, PUT(large, 0, FOREVER));
	EXPECT_EQ(0, vfifo_producer_queued(&self->p));
	EXPECT_EQ(0, PUT(large, most, 0));
	EXPECT_EQ(most, TAKE(large, self->cap + 1, 0));
	free(large);
}

TEST_F(copy, wrong_kind)
{
	if (variant->records) {
		EXPECT_EQ(-EOPNOTSUPP, vfifo_producer_put(&self->p, "x", 1, 0));
		EXPECT_EQ(-EOPNOTSUPP, vfifo_consumer_take(&self->c, self->buf, 1, 0));
	} else {
		EXPECT_EQ(-EOPNOTSUPP, vfifo_producer_put_record(&self->p, "x", 1, 0));
		EXPECT_EQ(-EOPNOTSUPP,
			  vfifo_consumer_take_record(&self->c, self->buf, 1, 0));
	}
	EXPECT_EQ(0, vfifo_producer_queued(&self->p));
}

TEST_F(copy, not_open)
{
	vfifo_producer_close(&self->p);
	vfifo_consumer_close(&self->c);
	EXPECT_EQ(-EBADF, PUT("x", 1, FOREVER));
	EXPECT_EQ(-EBADF, TAKE(self->buf, MOST, FOREVER));
}

TEST_F(copy, ended)
{
	ASSERT_EQ(0, attr_set("hangup", 1));
	ASSERT_EQ(0, PUT("last", 4, 0));
	vfifo_producer_close(&self->p);
	/* What is queued comes first. */
	EXPECT_EQ(4, TAKE(self->buf, MOST, FOREVER));
	EXPECT_EQ(-ENODATA, TAKE(self->buf, MOST, 0));
	EXPECT_EQ(-ENODATA, TAKE(self->buf, MOST, FOREVER));

	/* A new writer continues the stream. */
	ASSERT_EQ(0, vfifo_producer_open(&self->p, vfifo_path()));
	EXPECT_EQ(-EAGAIN, TAKE(self->buf, MOST, 0));
	vfifo_consumer_close(&self->c);
	if (variant->overwrites) {
		EXPECT_EQ(0, PUT("more", 4, 0));
		EXPECT_EQ(-EPIPE, vfifo_producer_check_readers(&self->p));
		return;
	}
	while (!PUT(self->buf, MOST, 0))
		;
	EXPECT_EQ(-EPIPE, PUT(self->buf, MOST, 0));
	EXPECT_EQ(-EPIPE, PUT(self->buf, MOST, FOREVER));
}

TEST_F(copy, error_state)
{
	struct vfifo_end *own = self->p.map.own;

	store(own, load(own) + self->cap + 8);
	/* Then more than the capacity seems to be queued. */
	EXPECT_EQ(-EIO, TAKE(self->buf, MOST, 0));
	EXPECT_EQ(-EIO, TAKE(self->buf, MOST, FOREVER));
}

/* It sleeps until something is put. */
TEST_F(copy, take_sleeps)
{
	pid_t pid;

	vfifo_consumer_close(&self->c);
	pid = child_start(3 * DEADLINE);
	if (!pid) {
		if (vfifo_consumer_open(&self->c, vfifo_path()))
			_exit(1);
		_exit(TAKE(self->buf, MOST, -1) == 4 && !memcmp(self->buf, "wake", 4) ?
		      0 : 2);
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(0, PUT("wake", 4, 0));
	EXPECT_EQ(0, child_end(pid));
}

/* It sleeps until there is room for all of it. */
TEST_F(copy, put_sleeps)
{
	pid_t pid;

	if (variant->overwrites)
		SKIP(return, "a producer that overwrites never sleeps");
	while (!PUT(self->buf, MOST, 0))
		;
	vfifo_producer_close(&self->p);
	pid = child_start(3 * DEADLINE);
	if (!pid) {
		if (vfifo_producer_open(&self->p, vfifo_path()))
			_exit(1);
		_exit(-PUT("wake", 4, -1) || -PUT(self->buf, MOST, -1));
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(MOST, TAKE(self->buf, MOST, 0));
	EXPECT_EQ(MOST, TAKE(self->buf, MOST, 0));
	EXPECT_EQ(0, child_end(pid));
}

/* Many of different lengths, by two processes. */
#define TOTAL	5000000

TEST_F(copy, between_processes)
{
	__u64 at = 0, random = 1;
	size_t len;
	ssize_t n;
	pid_t pid;

	if (variant->overwrites)
		SKIP(return, "not all of them would arrive");
	vfifo_producer_close(&self->p);
	pid = child_start(6 * DEADLINE);
	if (!pid) {
		if (vfifo_producer_open(&self->p, vfifo_path()))
			_exit(1);
		for (; at < TOTAL; at += len) {
			random = mix64(random);
			len = 1 + random % MOST;
			if (len > TOTAL - at)
				len = TOTAL - at;
			stream_fill(self->buf, len, at);
			if (PUT(self->buf, len, FOREVER))
				_exit(2);
		}
		_exit(0);
	}
	for (; at < TOTAL; at += n) {
		n = TAKE(self->buf, MOST, FOREVER);
		ASSERT_LT(0, n);
		ASSERT_TRUE(stream_equal(self->buf, n, at));
	}
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(-EAGAIN, TAKE(self->buf, MOST, 0));
}

/* A take after a look at some records goes on with the next one, and releases them. */
TEST_F(copy, after_looking)
{
	struct vfifo_view r;

	if (!variant->records || variant->overwrites)
		SKIP(return, "only for records that are not overwritten");
	EXPECT_EQ(0, PUT("one", 3, 0));
	EXPECT_EQ(0, PUT("two", 3, 0));
	EXPECT_EQ(0, PUT("three", 5, 0));
	ASSERT_EQ(0, vfifo_consumer_next_record(&self->c, &r));
	EXPECT_EQ(-EMSGSIZE, TAKE(self->buf, 2, 0));
	EXPECT_EQ(3, TAKE(self->buf, MOST, 0));
	EXPECT_EQ(0, memcmp(self->buf, "two", 3));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release_record(&self->c, &r));
	EXPECT_EQ(16, vfifo_consumer_queued(&self->c));
	EXPECT_EQ(5, TAKE(self->buf, MOST, 0));
	EXPECT_EQ(-EAGAIN, TAKE(self->buf, MOST, 0));
}

/* A put or a take is complete: nothing is left to commit or to release. */
TEST_F(copy, leaves_nothing_granted)
{
	if (variant->records || variant->overwrites)
		SKIP(return, "only for bytes");
	ASSERT_NE(NULL, vfifo_producer_reserve(&self->p, 10));
	EXPECT_EQ(0, PUT("12345", 5, 0));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 1));
	ASSERT_NE(NULL, vfifo_consumer_peek(&self->c, NULL));
	EXPECT_EQ(2, TAKE(self->buf, 2, 0));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, 1));
	EXPECT_EQ(3, TAKE(self->buf, MOST, 0));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
