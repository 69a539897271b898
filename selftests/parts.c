// SPDX-License-Identifier: GPL-2.0
/*
 * A large read copies in parts and releases the space after each, in all
 * situations: without sleeping, after sleeping, after faulting memory in, and
 * if only part of the memory is accessible. Otherwise writers and other users
 * of the reader's lock wait until everything is copied.
 */
#include <sys/uio.h>

#include "vfifo_trace.h"

#define CAPACITY	(4L << 20)
#define PART		16384

FIXTURE(parts)
{
	struct tracer tracer;
	struct vfifo dev;
	int fd;			/* blocks */
	long *ret;		/* shared: the result of the child's read */
	char *data;		/* the device's memory */
	pid_t pid;
};

FIXTURE_VARIANT(parts)
{
	bool sleeps;		/* the bytes are queued later */
	bool fresh;		/* the memory has never been touched */
	bool bad_end;		/* the last page is inaccessible */
	bool pieces;		/* readv(2) */
};

FIXTURE_VARIANT_ADD(parts, all_there)
{
	.sleeps = false,
};

FIXTURE_VARIANT_ADD(parts, fresh_memory)
{
	.fresh = true,
};

FIXTURE_VARIANT_ADD(parts, bad_end)
{
	.bad_end = true,
};

FIXTURE_VARIANT_ADD(parts, fresh_memory_bad_end)
{
	.fresh = true,
	.bad_end = true,
};

FIXTURE_VARIANT_ADD(parts, slept)
{
	.sleeps = true,
};

FIXTURE_VARIANT_ADD(parts, slept_fresh_memory)
{
	.sleeps = true,
	.fresh = true,
};

FIXTURE_VARIANT_ADD(parts, slept_bad_end)
{
	.sleeps = true,
	.bad_end = true,
};

FIXTURE_VARIANT_ADD(parts, slept_pieces)
{
	.sleeps = true,
	.pieces = true,
};

FIXTURE_VARIANT_ADD(parts, slept_pieces_fresh_memory)
{
	.sleeps = true,
	.fresh = true,
	.pieces = true,
};

FIXTURE_VARIANT_ADD(parts, pieces_bad_end)
{
	.bad_end = true,
	.pieces = true,
};

FIXTURE_SETUP(parts)
{
	struct vfifo_info info = { .size = sizeof(info) };
	const char *why = tracer_setup(_metadata, &self->tracer);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->ret = shared(sizeof(*self->ret));
	ASSERT_NE(NULL, self->ret);
	ASSERT_EQ(0, attr_set("capacity", CAPACITY));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_GET_INFO, &info));
	self->data = mmap(NULL, 2 * CAPACITY, PROT_READ | PROT_WRITE,
			  MAP_SHARED, self->fd, info.data_offset);
	ASSERT_NE(MAP_FAILED, self->data);
}

FIXTURE_TEARDOWN(parts)
{
	child_kill(&self->pid);
	if (self->dev.fd > 0) {
		munmap(self->data, 2 * CAPACITY);
		munmap(self->ret, sizeof(*self->ret));
		close(self->fd);
		vfifo_teardown(&self->dev);
	}
	EXPECT_EQ(0, tracer_end(&self->tracer));
}

/* Queues a whole capacity at once. */
static bool publish_all(struct vfifo *dev, char *data)
{
	struct vfifo_end *own = claim_end(dev, true);
	__u64 head;

	if (!own)
		return false;
	head = load(own);
	stream_fill(data + head % CAPACITY, CAPACITY, 0);
	store(own, head + CAPACITY);
	ioctl(dev->fd, VFIFO_NOTIFY);
	munmap(own, dev->page);
	return true;
}

/* In a child: one read of up to @len bytes. True if it got the stream. */
static bool read_all(int fd, long len, bool pieces, long bad, bool fresh,
		     long *ret)
{
	char *buf = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS |
			 (fresh ? 0 : MAP_POPULATE), -1, 0);
	struct iovec iov[2] = {
		{ buf, len / 3 }, { buf + len / 3, len - len / 3 },
	};

	if (buf == MAP_FAILED ||
	    (bad && mprotect(buf + len - bad, bad, PROT_NONE)))
		return false;
	*ret = res(pieces ? readv(fd, iov, 2) : read(fd, buf, len));
	return *ret > 0 && stream_equal(buf, *ret, 0);
}

TEST_F_TIMEOUT(parts, are_no_larger, 60)
{
	long bad = variant->bad_end ? self->dev.page : 0, bytes, largest = 0;
	unsigned long long position, next = 0;
	long total = 0;
	int i, n = 0, n_fields;

	if (!variant->sleeps)
		ASSERT_TRUE(publish_all(&self->dev, self->data));
	ASSERT_EQ(0, tracer_store(&self->tracer,
				  "events/vfifo/vfifo_consume/enable", "1"));
	self->pid = child_start(3 * DEADLINE);
	if (!self->pid)
		_exit(!read_all(self->fd, CAPACITY, variant->pieces, bad,
				variant->fresh, self->ret));
	if (variant->sleeps) {
		ASSERT_TRUE(child_sleeps(self->pid));
		ASSERT_TRUE(publish_all(&self->dev, self->data));
	}
	EXPECT_EQ(0, child_end(self->pid));
	EXPECT_EQ(0, tracer_store(&self->tracer,
				  "events/vfifo/vfifo_consume/enable", "0"));
	EXPECT_EQ(CAPACITY - bad, *self->ret);
	EXPECT_EQ(bad, queued(self->fd));

	ASSERT_LE(0, read_events(&self->tracer));
	for (i = 0; i < self->tracer.count; i++) {
		if (self->tracer.events[i].pid != self->pid)
			continue;
		n_fields = sscanf(self->tracer.events[i].text,
				  "position=%llu bytes=%ld", &position, &bytes);
		ASSERT_EQ(2, n_fields);
		if (n++)
			EXPECT_EQ(next, position);
		next = position + bytes;
		total += bytes;
		largest = bytes > largest ? bytes : largest;
	}
	self->pid = 0;
	EXPECT_EQ(*self->ret, total);
	EXPECT_GE(PART, largest) {
		TH_LOG("%ld bytes at once, in %d parts in all", largest, n);
	}
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
