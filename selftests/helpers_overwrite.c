// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
/*
 * The helpers of vfifo_overwrite.h: what was looked at counts only if it was not
 * overwritten, and every kind of wrong argument.
 */
#include "vfifo_test.h"
#include "vfifo_overwrite.h"

FIXTURE(helpers_overwrite)
{
	struct vfifo dev;
	size_t cap;
	struct vfifo_producer p;
	struct vfifo_consumer c;
	struct vfifo_glance g;
	void *to;
};

FIXTURE_VARIANT(helpers_overwrite)
{
	bool records;
};

FIXTURE_VARIANT_ADD(helpers_overwrite, bytes)
{
};

FIXTURE_VARIANT_ADD(helpers_overwrite, records)
{
	.records = true,
};

FIXTURE_SETUP(helpers_overwrite)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	if (variant->records)
		ASSERT_EQ(0, attr_store("framing", "record"));
	ASSERT_EQ(0, attr_set("overwrite", 1));
	close(self->dev.fd);
	ASSERT_EQ(0, vfifo_consumer_open(&self->c, vfifo_path()));
	ASSERT_EQ(0, vfifo_producer_open(&self->p, vfifo_path()));
}

FIXTURE_TEARDOWN(helpers_overwrite)
{
	vfifo_producer_close(&self->p);
	vfifo_consumer_close(&self->c);
	attr_set("hangup", 0);
	self->dev.fd = vfifo_open(O_RDWR | O_NONBLOCK);
	vfifo_teardown(&self->dev);
}

/* Queues @len bytes of the stream from @pos on, as a record or not. */
static int queue(struct vfifo_producer *p, size_t len, __u64 pos)
{
	bool records = vfifo_producer_kind(p) & VFIFO_RECORDS;
	void *to;
	int err;

	err = records ? vfifo_producer_overwrite_record(p, len, &to) :
			vfifo_producer_overwrite(p, len, &to);
	if (err)
		return err;
	stream_fill(to, len, pos);
	return records ? vfifo_producer_commit_record(p, len) :
			 vfifo_producer_commit(p, len);
}

#define LOOK(most)							\
	(variant->records ? vfifo_consumer_look_record(&self->c, &self->g) : \
			    vfifo_consumer_look(&self->c, most, &self->g))
#define CONFIRM()							\
	(variant->records ? vfifo_consumer_confirm_record(&self->c) :	\
			    vfifo_consumer_confirm(&self->c, self->g.len))

TEST_F(helpers_overwrite, look_and_confirm)
{
	EXPECT_EQ(-EAGAIN, LOOK(100));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait_look(&self->c, 0));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait_look(&self->c, 20));
	EXPECT_EQ(-EINVAL, vfifo_consumer_check(&self->c));
	EXPECT_EQ(-EINVAL, CONFIRM());
	ASSERT_EQ(0, queue(&self->p, 100, 7));
	EXPECT_EQ(0, vfifo_consumer_wait_look(&self->c, -1));
	ASSERT_EQ(0, LOOK(100));
	EXPECT_EQ(100, self->g.len);
	EXPECT_TRUE(stream_equal(self->g.unconfirmed, 100, 7));
	EXPECT_EQ(0, vfifo_consumer_check(&self->c));
	EXPECT_EQ(0, CONFIRM());
	EXPECT_EQ(-EINVAL, CONFIRM());
	EXPECT_EQ(-EAGAIN, LOOK(100));
	EXPECT_EQ(0, vfifo_consumer_lost(&self->c));
	EXPECT_EQ(0, vfifo_consumer_queued(&self->c));
}

TEST_F(helpers_overwrite, overtaken)
{
	size_t i;

	ASSERT_EQ(0, queue(&self->p, 1000, 0));
	ASSERT_EQ(0, LOOK(1000));
	for (i = 1; i <= self->cap / 1000; i++)
		ASSERT_EQ(0, queue(&self->p, 1000, 1000 * i));
	EXPECT_EQ(-ESTALE, vfifo_consumer_check(&self->c));
	EXPECT_EQ(-EINVAL, CONFIRM());
	/* Once more, and find out when confirming. */
	ASSERT_EQ(0, LOOK(1000));
	for (i = 0; i <= self->cap / 1000; i++)
		ASSERT_EQ(0, queue(&self->p, 1000, 1000 * i));
	EXPECT_EQ(-ESTALE, CONFIRM());
	/* Nothing was released, but that much is gone. */
	EXPECT_EQ(0, vfifo_consumer_lost(&self->c));
	EXPECT_GE(self->cap, vfifo_consumer_queued(&self->c));
	EXPECT_EQ(vfifo_producer_queued(&self->p), vfifo_consumer_queued(&self->c));
	/* The next look is at something that is intact. */
	ASSERT_EQ(0, LOOK(1000));
	EXPECT_EQ(0, CONFIRM());
	EXPECT_LT(0, vfifo_consumer_lost(&self->c));
}

TEST_F(helpers_overwrite, accessors)
{
	int kind = VFIFO_OVERWRITE | (variant->records ? VFIFO_RECORDS : 0);
	size_t size = variant->records ? 1008 : 1000, i;

	EXPECT_EQ(kind, vfifo_producer_kind(&self->p));
	EXPECT_EQ(kind, vfifo_consumer_kind(&self->c));
	for (i = 1; i <= self->cap / size; i++) {
		ASSERT_EQ(0, queue(&self->p, 1000, 0));
		ASSERT_EQ(i * size, vfifo_producer_queued(&self->p));
		ASSERT_EQ(i * size, vfifo_consumer_queued(&self->c));
	}
	/* From now on, the oldest make way. */
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, queue(&self->p, 1000, 0));
		ASSERT_EQ(variant->records ? self->cap / size * size : self->cap,
			  vfifo_producer_queued(&self->p));
		ASSERT_EQ(vfifo_producer_queued(&self->p),
			  vfifo_consumer_queued(&self->c));
	}
}

TEST_F(helpers_overwrite, wrong_lengths)
{
	if (variant->records) {
		EXPECT_EQ(-EMSGSIZE, queue(&self->p, 0, 0));
		EXPECT_EQ(-EMSGSIZE, queue(&self->p, self->cap - 7, 0));
		EXPECT_EQ(0, vfifo_producer_queued(&self->p));
		EXPECT_EQ(0, queue(&self->p, self->cap - 8, 0));
	} else {
		EXPECT_EQ(0, queue(&self->p, 0, 0));
		EXPECT_EQ(-EINVAL, queue(&self->p, self->cap + 1, 0));
		EXPECT_EQ(0, queue(&self->p, self->cap, 0));
		EXPECT_EQ(-EINVAL, LOOK(0));
		ASSERT_EQ(0, LOOK(10));
		EXPECT_EQ(10, self->g.len);
		EXPECT_EQ(-EINVAL, vfifo_consumer_confirm(&self->c, 11));
		EXPECT_EQ(-EINVAL, vfifo_consumer_confirm(&self->c, 0));
		EXPECT_EQ(0, vfifo_consumer_confirm(&self->c, 4));
		EXPECT_EQ(0, vfifo_consumer_confirm(&self->c, 6));
	}
	EXPECT_EQ(-EINVAL, variant->records ?
			   vfifo_producer_commit_record(&self->p, 1) :
			   vfifo_producer_commit(&self->p, 1));
}

TEST_F(helpers_overwrite, error_state)
{
	struct vfifo_end *own = self->p.map.own;
	__u64 head = load(own);

	/* More than the capacity, and then backwards. */
	store(own, head + self->cap + 8);
	EXPECT_EQ(-EIO, LOOK(1));
	EXPECT_EQ(-EIO, vfifo_consumer_wait_look(&self->c, -1));
	store(own, head - 8);
	EXPECT_EQ(-EIO, LOOK(1));
	store(own, head);
	EXPECT_EQ(-EAGAIN, LOOK(1));
	if (!variant->records)
		return;
	/* Both ends find an impossible header. */
	ASSERT_EQ(0, queue(&self->p, 1000, 0));
	memset(vfifo_map_at(&self->p.map, head), 0xff, 8);
	EXPECT_EQ(-EIO, LOOK(1));
	EXPECT_EQ(-EIO, vfifo_producer_overwrite_record(&self->p, self->cap - 8, &self->to));
}

TEST_F(helpers_overwrite, ended)
{
	ASSERT_EQ(0, attr_set("hangup", 1));
	EXPECT_EQ(0, vfifo_producer_check_readers(&self->p));
	vfifo_producer_close(&self->p);
	EXPECT_EQ(-EAGAIN, LOOK(1));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait_look(&self->c, -1));
	ASSERT_EQ(0, vfifo_producer_open(&self->p, vfifo_path()));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait_look(&self->c, 0));
	vfifo_consumer_close(&self->c);
	EXPECT_EQ(-EPIPE, vfifo_producer_check_readers(&self->p));
	/* It can go on, for those who may come. */
	EXPECT_EQ(0, queue(&self->p, 1, 0));
}

TEST_F(helpers_overwrite, functions_for_other_kinds)
{
	struct vfifo_view r;

	EXPECT_EQ(EOPNOTSUPP, NULL_ERRNO(vfifo_producer_reserve(&self->p, 1)));
	EXPECT_EQ(-EOPNOTSUPP, vfifo_producer_wait(&self->p, 1, -1));
	EXPECT_EQ(EOPNOTSUPP, NULL_ERRNO(vfifo_producer_reserve_record(&self->p, 1)));
	EXPECT_EQ(-EOPNOTSUPP, vfifo_producer_wait_record(&self->p, 1, -1));
	EXPECT_EQ(EOPNOTSUPP, NULL_ERRNO(vfifo_consumer_peek(&self->c, NULL)));
	EXPECT_EQ(-EOPNOTSUPP, vfifo_consumer_wait(&self->c, 1, -1));
	EXPECT_EQ(-EOPNOTSUPP, vfifo_consumer_next_record(&self->c, &r));
	EXPECT_EQ(-EOPNOTSUPP, vfifo_consumer_wait_record(&self->c, -1));
	EXPECT_EQ(-EOPNOTSUPP, variant->records ?
		  vfifo_producer_overwrite(&self->p, 1, &self->to) :
		  vfifo_producer_overwrite_record(&self->p, 1, &self->to));
	EXPECT_EQ(-EOPNOTSUPP, variant->records ?
		  vfifo_consumer_look(&self->c, 1, &self->g) :
		  vfifo_consumer_look_record(&self->c, &self->g));
}

TEST_F(helpers_overwrite, not_open)
{
	vfifo_producer_close(&self->p);
	vfifo_consumer_close(&self->c);
	EXPECT_EQ(-EBADF, vfifo_producer_overwrite(&self->p, 1, &self->to));
	EXPECT_EQ(-EBADF, vfifo_producer_overwrite_record(&self->p, 1, &self->to));
	EXPECT_EQ(-EBADF, vfifo_producer_check_readers(&self->p));
	EXPECT_EQ(-EBADF, LOOK(1));
	EXPECT_EQ(-EBADF, vfifo_consumer_check(&self->c));
	EXPECT_EQ(-EBADF, CONFIRM());
	EXPECT_EQ(-EBADF, vfifo_consumer_lost(&self->c));
	EXPECT_EQ(-EBADF, vfifo_consumer_wait_look(&self->c, -1));
	EXPECT_EQ(-EBADF, vfifo_producer_queued(&self->p));
	EXPECT_EQ(-EBADF, vfifo_consumer_queued(&self->c));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
