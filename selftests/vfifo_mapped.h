/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture and helpers of tests that use mapped ends through vfifo_map.h.
 */
#ifndef VFIFO_MAPPED_H
#define VFIFO_MAPPED_H

#include "vfifo_test.h"

/* Sleep at once: spinning would hide lost wake-ups. */
#define VFIFO_SPIN	0
#include "vfifo_map.h"

#define WAIT_MS		(DEADLINE * 1000)

FIXTURE(mapped)
{
	struct vfifo dev;
	long cap, page;
	int fd;			/* blocks */
};

FIXTURE_SETUP(mapped)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	self->page = self->dev.page;
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(mapped)
{
	close(self->fd);
	vfifo_teardown(&self->dev);
}

/*
 * When its time is over, a wait checks again, and then may find what it should
 * have been woken for. That counts as a failure.
 */
static inline int in_time(__s64 from, int err)
{
	return now_ms() - from < WAIT_MS ? err : -ETIMEDOUT;
}

static inline int wait_room(struct vfifo_producer *p, size_t need)
{
	__s64 from = now_ms();

	return in_time(from, vfifo_producer_wait(p, need, WAIT_MS));
}

static inline int wait_bytes(struct vfifo_consumer *c, size_t need)
{
	__s64 from = now_ms();

	return in_time(from, vfifo_consumer_wait(c, need, WAIT_MS));
}

static inline int commit(struct vfifo_producer *p, size_t len, __u64 pos)
{
	void *to = vfifo_producer_reserve(p, len);

	if (!to)
		return -EAGAIN;
	stream_fill(to, len, pos);
	return vfifo_producer_commit(p, len);
}

static inline int release(struct vfifo_consumer *c, size_t len, __u64 pos)
{
	const void *from;
	size_t n;

	from = vfifo_consumer_peek(c, &n);
	if (n < len)
		return -EAGAIN;
	return stream_equal(from, len, pos) ? vfifo_consumer_release(c, len) : -EBADMSG;
}

#endif /* VFIFO_MAPPED_H */
