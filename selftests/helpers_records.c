// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
/*
 * Records in place by vfifo_records.h, and every kind of wrong argument.
 */
#include "vfifo_test.h"
#include "vfifo_records.h"

#define HEADER	((size_t)sizeof(struct vfifo_record))

FIXTURE(helpers_records)
{
	struct vfifo dev;
	size_t cap;
	struct vfifo_producer p;
	struct vfifo_consumer c;
	struct vfifo_view r;
};

FIXTURE_SETUP(helpers_records)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	ASSERT_EQ(0, attr_store("framing", "record"));
	ASSERT_EQ(0, vfifo_producer_open(&self->p, vfifo_path()));
	ASSERT_EQ(0, vfifo_consumer_open(&self->c, vfifo_path()));
}

FIXTURE_TEARDOWN(helpers_records)
{
	vfifo_producer_close(&self->p);
	vfifo_consumer_close(&self->c);
	vfifo_teardown(&self->dev);
}

/* Queues a record of @len bytes of the stream from @pos on. */
static int queue(struct vfifo_producer *p, size_t len, __u64 pos)
{
	void *to = vfifo_producer_reserve_record(p, len);

	if (!to)
		return -errno;
	stream_fill(to, len, pos);
	return vfifo_producer_commit_record(p, len);
}

TEST_F(helpers_records, accessors)
{
	EXPECT_EQ(VFIFO_RECORDS, vfifo_producer_kind(&self->p));
	EXPECT_EQ(VFIFO_RECORDS, vfifo_consumer_kind(&self->c));
	EXPECT_EQ(self->cap - HEADER, vfifo_producer_largest_record(&self->p));
	EXPECT_EQ(self->cap - HEADER, vfifo_consumer_largest_record(&self->c));
	EXPECT_EQ(self->cap - HEADER, vfifo_producer_record_room(&self->p));
	ASSERT_EQ(0, queue(&self->p, 9, 0));
	/* With the header, and up to a multiple of 8. */
	EXPECT_EQ(24, vfifo_producer_queued(&self->p));
	EXPECT_EQ(24, vfifo_consumer_queued(&self->c));
	EXPECT_EQ(self->cap - 24 - HEADER, vfifo_producer_record_room(&self->p));
}

TEST_F(helpers_records, iterate)
{
	int n = 0, i;

	for (i = 1; i <= 100; i++)
		ASSERT_EQ(0, queue(&self->p, i, 1000 * i));
	EXPECT_EQ(0, vfifo_consumer_wait_record(&self->c, 0));
	while (!vfifo_consumer_next_record(&self->c, &self->r)) {
		n++;
		ASSERT_EQ(n, self->r.len);
		ASSERT_TRUE(stream_equal(self->r.data, n, 1000 * n));
		/* Release half of them at once. */
		if (n == 50)
			ASSERT_EQ(0, vfifo_consumer_release_record(&self->c, &self->r));
	}
	EXPECT_EQ(100, n);
	EXPECT_EQ(-EAGAIN, vfifo_consumer_next_record(&self->c, &self->r));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait_record(&self->c, 0));
	EXPECT_EQ(0, vfifo_consumer_release_records(&self->c));
	EXPECT_EQ(0, vfifo_consumer_release_records(&self->c));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release_record(&self->c, &self->r));
	EXPECT_EQ(0, vfifo_consumer_queued(&self->c));
}

TEST_F(helpers_records, reservations)
{
	size_t most = vfifo_producer_largest_record(&self->p);

	EXPECT_EQ(EMSGSIZE, NULL_ERRNO(vfifo_producer_reserve_record(&self->p, 0)));
	EXPECT_EQ(EMSGSIZE, NULL_ERRNO(vfifo_producer_reserve_record(&self->p, most + 1)));
	EXPECT_EQ(EMSGSIZE, NULL_ERRNO(vfifo_producer_reserve_record(&self->p, SIZE_MAX)));
	EXPECT_EQ(-EMSGSIZE, vfifo_producer_wait_record(&self->p, 0, -1));
	EXPECT_EQ(-EMSGSIZE, vfifo_producer_wait_record(&self->p, most + 1, -1));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit_record(&self->p, 1));
	ASSERT_NE(NULL, vfifo_producer_reserve_record(&self->p, 10));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit_record(&self->p, 0));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit_record(&self->p, 11));
	EXPECT_EQ(0, vfifo_producer_queued(&self->p));
	/* A part of it, and then the rest is given up. */
	EXPECT_EQ(0, vfifo_producer_commit_record(&self->p, 4));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit_record(&self->p, 4));
	ASSERT_NE(NULL, vfifo_producer_reserve_record(&self->p, 10));
	EXPECT_EQ(0, vfifo_producer_cancel_record(&self->p));
	EXPECT_EQ(0, vfifo_producer_cancel_record(&self->p));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit_record(&self->p, 10));
	/* No room. */
	EXPECT_EQ(EAGAIN, NULL_ERRNO(vfifo_producer_reserve_record(&self->p, most)));
	EXPECT_EQ(-EAGAIN, vfifo_producer_wait_record(&self->p, most, 20));
	ASSERT_EQ(0, vfifo_consumer_next_record(&self->c, &self->r));
	EXPECT_EQ(4, self->r.len);
	EXPECT_EQ(-EAGAIN, vfifo_consumer_next_record(&self->c, &self->r));
}

TEST_F(helpers_records, other_end_by_system_calls)
{
	char buf[100];

	ASSERT_EQ(0, queue(&self->p, 70, 5));
	vfifo_consumer_close(&self->c);
	EXPECT_EQ(70, read(self->dev.fd, buf, sizeof(buf)));
	EXPECT_TRUE(stream_equal(buf, 70, 5));
	vfifo_producer_close(&self->p);
	ASSERT_EQ(0, vfifo_consumer_open(&self->c, vfifo_path()));
	EXPECT_EQ(70, write(self->dev.fd, buf, 70));
	ASSERT_EQ(0, vfifo_consumer_next_record(&self->c, &self->r));
	EXPECT_EQ(70, self->r.len);
	EXPECT_TRUE(stream_equal(self->r.data, 70, 5));
	EXPECT_EQ(0, vfifo_consumer_release_record(&self->c, &self->r));
}

/* Any header that cannot be right, without looking at anything that follows. */
TEST_F(helpers_records, impossible_headers)
{
	static const struct vfifo_record bad[] = {
		{ 0, 0 }, { 17, 0 }, { UINT32_MAX, 0 }, { 16, 1 }, { 0, 1u << 31 },
	};
	void *header = vfifo_map_at(&self->p.map, self->p.map.position);
	size_t i;

	ASSERT_EQ(0, queue(&self->p, 16, 0));
	memset(&self->r, 0xa5, sizeof(self->r));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memcpy(header, &bad[i], HEADER);
		EXPECT_EQ(-EIO, vfifo_consumer_next_record(&self->c, &self->r));
		EXPECT_EQ(-EIO, vfifo_consumer_wait_record(&self->c, -1));
	}
	EXPECT_EQ((size_t)0xa5a5a5a5a5a5a5a5ull, self->r.len);
	memcpy(header, &(struct vfifo_record){ 16, 0 }, HEADER);
	EXPECT_EQ(0, vfifo_consumer_next_record(&self->c, &self->r));
	/* A position between records. */
	store(self->p.map.own, load(self->p.map.own) + 4);
	EXPECT_EQ(-EIO, vfifo_consumer_next_record(&self->c, &self->r));
	store(self->p.map.own, load(self->p.map.own) - 4);
}

TEST_F(helpers_records, functions_for_other_kinds)
{
	size_t len;

	EXPECT_EQ(EOPNOTSUPP, NULL_ERRNO(vfifo_producer_reserve(&self->p, 1)));
	EXPECT_EQ(-EOPNOTSUPP, vfifo_producer_room(&self->p));
	EXPECT_EQ(-EOPNOTSUPP, vfifo_producer_wait(&self->p, 1, -1));
	EXPECT_EQ(-EOPNOTSUPP, vfifo_producer_commit(&self->p, 1));
	EXPECT_EQ(EOPNOTSUPP, NULL_ERRNO(vfifo_consumer_peek(&self->c, &len)));
	EXPECT_EQ(-EOPNOTSUPP, vfifo_consumer_wait(&self->c, 1, -1));
	EXPECT_EQ(-EOPNOTSUPP, vfifo_consumer_release(&self->c, 1));
}

FIXTURE(no_records)
{
	struct vfifo dev;
};

FIXTURE_SETUP(no_records)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
}

FIXTURE_TEARDOWN(no_records)
{
	vfifo_teardown(&self->dev);
}

/* Every call with a device of another kind, or with a struct that is not open. */
static void all_calls(struct __test_metadata *_metadata, int err)
{
	struct vfifo_view r = { 0 };
	struct vfifo_producer p;
	struct vfifo_consumer c;

	memset(&p, 0, sizeof(p));
	memset(&c, 0, sizeof(c));
	if (err == -EOPNOTSUPP) {
		ASSERT_EQ(0, vfifo_producer_open(&p, vfifo_path()));
		ASSERT_EQ(0, vfifo_consumer_open(&c, vfifo_path()));
	}
	EXPECT_EQ(0, vfifo_producer_largest_record(&p));
	EXPECT_EQ(0, vfifo_consumer_largest_record(&c));
	EXPECT_EQ(-err, NULL_ERRNO(vfifo_producer_reserve_record(&p, 1)));
	EXPECT_EQ(err, vfifo_producer_record_room(&p));
	EXPECT_EQ(err, vfifo_producer_commit_record(&p, 1));
	EXPECT_EQ(err, vfifo_producer_cancel_record(&p));
	EXPECT_EQ(err, vfifo_producer_wait_record(&p, 1, -1));
	EXPECT_EQ(err, vfifo_consumer_next_record(&c, &r));
	EXPECT_EQ(err, vfifo_consumer_release_record(&c, &r));
	EXPECT_EQ(err, vfifo_consumer_release_records(&c));
	EXPECT_EQ(err, vfifo_consumer_wait_record(&c, -1));
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
}

TEST_F(no_records, stream)
{
	all_calls(_metadata, -EOPNOTSUPP);
}

TEST_F(no_records, not_open)
{
	all_calls(_metadata, -EBADF);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
