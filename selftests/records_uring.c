// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Records by io_uring: each request reads or writes one record, and those that wait are
 * completed when their record comes or fits.
 */
#include "vfifo_record.h"
#include "vfifo_uring.h"

/* Opens the ring: NULL, or a reason to skip the test. */
static const char *no_ring(struct ring *ring)
{
	int ret = ring_begin(ring);

	if (!ret)
		return NULL;
	ring_close(ring);
	return ret == -EOPNOTSUPP ? "no io_uring: needs CONFIG_IO_URING" :
	       ret == -EPERM ? "io_uring is disabled" : strerror(-ret);
}

/* A buffer with record number @id. */
static char *filled(long len, __u64 id)
{
	char *buf = malloc(len);

	stream_fill(buf, len, RECORD_POS(id));
	return buf;
}

TEST_F(records, reads)
{
	struct ring ring;
	const char *why = no_ring(&ring);
	char buf[1000];
	__u64 id;
	int i, seen = 0;

	if (why)
		SKIP(return, "%s", why);
	/* At once, if there is a record. */
	ASSERT_EQ(300, put_record(self->fd, 300, 1));
	prepare(&ring, IORING_OP_READ, self->fd, buf, sizeof(buf), 1);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(1, completions(&ring));
	EXPECT_EQ(300, completion(&ring, NULL, NULL));
	EXPECT_TRUE(stream_equal(buf, 300, RECORD_POS(1)));

	/* Or when one comes, without a worker. */
	for (i = 0; i < 8; i++)
		prepare(&ring, IORING_OP_READ, self->fd, buf + 100 * i, 100, i);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(0, completions(&ring));
	EXPECT_EQ(0, workers());
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(50 + i, put_record(self->fd, 50 + i, i));
		ASSERT_EQ(50 + i, completion(&ring, &id, NULL));
		EXPECT_EQ(0, completions(&ring));
		ASSERT_GT(8, (long)id);
		EXPECT_TRUE(stream_equal(buf + 100 * id, 50 + i, RECORD_POS(i)));
		seen |= 1 << id;
	}
	EXPECT_EQ(0xff, seen);
	EXPECT_EQ(0, attr_get("size"));
	EXPECT_EQ(0, workers());
	ring_close(&ring);
}

/* A request whose buffer is too small fails, and the record stays for others. */
TEST_F(records, buffer_too_small)
{
	struct ring ring;
	const char *why = no_ring(&ring);
	char buf[200];
	__u64 id;
	long ret;
	int i;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(100, put_record(self->fd, 100, 1));
	prepare(&ring, IORING_OP_READ, self->fd, buf, 99, 1);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(-EMSGSIZE, completion(&ring, NULL, NULL));
	EXPECT_TRUE(get_record(self->fd, 100, 1));

	prepare(&ring, IORING_OP_READ, self->fd, buf, 99, 1);
	prepare(&ring, IORING_OP_READ, self->fd, buf + 100, 100, 2);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(0, completions(&ring));
	ASSERT_EQ(100, put_record(self->fd, 100, 2));
	/* The first one may be served first, or may still wait. */
	for (i = 0; i < 2; i++) {
		ret = completion(&ring, &id, NULL);
		if (id == 1) {
			EXPECT_TRUE(ret == -EMSGSIZE || ret == 7);
			continue;
		}
		EXPECT_EQ(2, id);
		EXPECT_EQ(100, ret);
		EXPECT_TRUE(stream_equal(buf + 100, 100, RECORD_POS(2)));
		if (!i && !completions(&ring))
			ASSERT_EQ(7, put_record(self->fd, 7, 3));
	}
	ring_close(&ring);
}

TEST_F(records, writes)
{
	static const long lens[] = { 1, 100, PIPE_BUF, PIPE_BUF + 1, 20000, 65528 };
	struct ring ring;
	const char *why = no_ring(&ring);
	char *buf, *full = calloc(1, self->cap);
	size_t i;

	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		buf = filled(lens[i], i);
		prepare(&ring, IORING_OP_WRITE, self->fd, buf, lens[i], 1);
		ASSERT_TRUE(submit(&ring));
		EXPECT_EQ(lens[i], completion(&ring, NULL, NULL));
		EXPECT_TRUE(get_record(self->dev.fd, lens[i], i));

		/* Not before all of it fits. */
		ASSERT_TRUE(fill_except(self->fd, self->cap, 0, 10));
		prepare(&ring, IORING_OP_WRITE, self->fd, buf, lens[i], 2);
		ASSERT_TRUE(submit(&ring));
		EXPECT_EQ(0, completions(&ring));
		EXPECT_EQ(self->cap, attr_get("size"));
		EXPECT_TRUE(get_record(self->dev.fd, longest(self->cap), 10));
		EXPECT_EQ(lens[i], completion(&ring, NULL, NULL));
		EXPECT_TRUE(get_record(self->dev.fd, lens[i], i));
		free(buf);
	}
	prepare(&ring, IORING_OP_WRITE, self->fd, full, longest(self->cap) + 1, 3);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(-EMSGSIZE, completion(&ring, NULL, NULL));
	prepare(&ring, IORING_OP_WRITE, self->fd, full, 0, 3);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(0, completion(&ring, NULL, NULL));
	EXPECT_EQ(0, attr_get("size"));
	free(full);
	ring_close(&ring);
}

/*
 * A record that needs more room than POLLOUT promises, or less. Either way it waits until
 * it fits, and nothing of it is queued before.
 */
TEST_F(records, room_for_others)
{
	static const long lens[] = { 3000, 30000 };
	struct ring ring;
	const char *why = no_ring(&ring);
	long len, room;
	char *buf;
	size_t i;

	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		len = lens[i];
		room = room_of(len);
		buf = filled(len, 1);
		ASSERT_EQ(8, put_record(self->fd, 8, 2));
		ASSERT_TRUE(fill_except(self->fd, self->cap - 16, room - 8, 3));
		prepare(&ring, IORING_OP_WRITE, self->fd, buf, len, 1);
		ASSERT_TRUE(submit(&ring));
		EXPECT_EQ(0, completions(&ring));
		usleep(20000);
		EXPECT_EQ(0, completions(&ring));
		EXPECT_EQ(self->cap - room + 8, attr_get("size"));
		/* Others may use that room. */
		EXPECT_EQ(100, put_record(self->dev.fd, 100, 4));
		ASSERT_TRUE(get_record(self->dev.fd, 8, 2));
		EXPECT_EQ(0, completions(&ring));
		ASSERT_TRUE(get_record(self->dev.fd,
				       self->cap - 16 - (room - 8) - HEADER, 3));
		EXPECT_EQ(len, completion(&ring, NULL, NULL));
		EXPECT_TRUE(get_record(self->dev.fd, 100, 4));
		EXPECT_TRUE(get_record(self->dev.fd, len, 1));
		free(buf);
	}
	ring_close(&ring);
}

/* Requests of very different lengths wait together, and all of them are completed. */
TEST_F_TIMEOUT(records, many_writes_wait, 60)
{
	enum { COUNT = 12 };
	struct ring ring;
	const char *why = no_ring(&ring);
	__u64 random = vfifo_seed, id;
	char *buf[COUNT], *got = malloc(self->cap);
	long lens[COUNT], ret, n;
	int round, i, done, taken;

	if (why)
		SKIP(return, "%s", why);
	LOG_SEED();
	for (round = 0; round < OFTEN(10); round++) {
		ASSERT_TRUE(fill_except(self->fd, self->cap, 0, 1));
		for (i = 0; i < COUNT; i++) {
			lens[i] = 1 + rnd(&random) % (rnd(&random) % 2 ? 200 :
						      longest(self->cap));
			buf[i] = filled(lens[i], i);
			prepare(&ring, IORING_OP_WRITE, self->fd, buf[i], lens[i], i);
		}
		ASSERT_TRUE(submit(&ring));
		for (done = 0, taken = 0; done < COUNT || taken < COUNT + 1;) {
			ASSERT_TRUE(eventually(completions(&ring) ||
					       queued(self->fd))) {
				TH_LOG("%d of %d, nothing queued", done, COUNT);
			}
			while (completions(&ring)) {
				ret = completion(&ring, &id, NULL);
				ASSERT_GT(COUNT, (long)id);
				ASSERT_EQ(lens[id], ret);
				done++;
			}
			n = res(read(self->dev.fd, got, self->cap));
			ASSERT_TRUE(n > 0 || n == -EAGAIN);
			if (n == -EAGAIN)
				continue;
			for (i = 0; i < COUNT && taken; i++)
				if (n == lens[i] &&
				    stream_equal(got, n, RECORD_POS(i)))
					break;
			ASSERT_GT(COUNT, i);
			taken++;
		}
		EXPECT_EQ(0, attr_get("size"));
		for (i = 0; i < COUNT; i++)
			free(buf[i]);
	}
	free(got);
	ring_close(&ring);
}

TEST_F(records, no_waiting)
{
	struct ring ring;
	const char *why = no_ring(&ring);
	struct io_uring_sqe *sqe;
	char c;

	if (why)
		SKIP(return, "%s", why);
	sqe = prepare(&ring, IORING_OP_READ, self->fd, &c, 1, 1);
	sqe->rw_flags = RWF_NOWAIT;
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(-EAGAIN, completion(&ring, NULL, NULL));
	ASSERT_TRUE(fill_except(self->fd, self->cap, 8, 1));
	sqe = prepare(&ring, IORING_OP_WRITE, self->fd, &c, 1, 2);
	sqe->rw_flags = RWF_NOWAIT;
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(-EAGAIN, completion(&ring, NULL, NULL));
	EXPECT_EQ(self->cap - 8, attr_get("size"));
	ring_close(&ring);
}

TEST_F(records, vectors_and_registered_buffers)
{
	struct ring ring;
	const char *why = no_ring(&ring);
	struct iovec out[2], in[2], all;
	struct io_uring_sqe *sqe;
	char *buf = malloc(2 * self->cap);

	if (why)
		SKIP(return, "%s", why);
	stream_fill(buf, 2 * self->cap, 0);
	out[0] = (struct iovec){ buf, 100 };
	out[1] = (struct iovec){ buf + 100, 5000 };
	in[0] = (struct iovec){ buf + self->cap, 3000 };
	in[1] = (struct iovec){ buf + self->cap + 3000, 5000 };
	prepare(&ring, IORING_OP_WRITEV, self->fd, out, 2, 1);
	prepare(&ring, IORING_OP_READV, self->fd, in, 2, 2);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(5100, completion(&ring, NULL, NULL));
	EXPECT_EQ(5100, completion(&ring, NULL, NULL));
	EXPECT_TRUE(stream_equal(buf + self->cap, 5100, 0));

	all = (struct iovec){ buf, 2 * self->cap };
	ASSERT_EQ(0, syscall(__NR_io_uring_register, ring.fd,
			     IORING_REGISTER_BUFFERS, &all, 1));
	sqe = prepare(&ring, IORING_OP_READ_FIXED, self->fd, buf + self->cap + 5,
		      30000, 1);
	sqe->buf_index = 0;
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(0, completions(&ring));
	sqe = prepare(&ring, IORING_OP_WRITE_FIXED, self->fd, buf + 3, 20000, 2);
	sqe->buf_index = 0;
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(20000, completion(&ring, NULL, NULL));
	EXPECT_EQ(20000, completion(&ring, NULL, NULL));
	EXPECT_TRUE(stream_equal(buf + self->cap + 5, 20000, 3));
	EXPECT_TRUE(stream_equal(buf + self->cap + 20005, 100, self->cap + 20005));
	ring_close(&ring);
	free(buf);
}

TEST_F(records, cancelled)
{
	struct ring ring;
	const char *why = no_ring(&ring);
	char *buf = filled(40000, 1);
	int i, out;
	__u64 id;
	long ret;

	if (why)
		SKIP(return, "%s", why);
	for (out = 0; out < 2; out++) {
		if (out)
			ASSERT_TRUE(fill_except(self->fd, self->cap, 6000, 2));
		prepare(&ring, out ? IORING_OP_WRITE : IORING_OP_READ, self->fd, buf,
			40000, 1);
		ASSERT_TRUE(submit(&ring));
		EXPECT_EQ(0, completions(&ring));
		prepare(&ring, IORING_OP_ASYNC_CANCEL, -1, (void *)1, 0, 2)->off = 0;
		ASSERT_TRUE(submit(&ring));
		for (i = 0; i < 2; i++) {
			ret = completion(&ring, &id, NULL);
			/* If a worker makes the call, it is interrupted. */
			EXPECT_TRUE(id == 1 ? ret == -ECANCELED || ret == -EINTR :
					      ret == 0 || ret == -EALREADY);
		}
		EXPECT_EQ(out ? self->cap - 6000 : 0, attr_get("size"));
	}
	EXPECT_TRUE(get_record(self->fd, self->cap - 6000 - HEADER, 2));
	EXPECT_EQ(9, put_record(self->dev.fd, 9, 3));
	EXPECT_TRUE(get_record(self->dev.fd, 9, 3));
	ring_close(&ring);
	free(buf);
}

TEST_F(records, bad_memory)
{
	char *bad = mmap(NULL, self->page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	struct ring ring;
	const char *why = no_ring(&ring);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_NE(MAP_FAILED, bad);
	prepare(&ring, IORING_OP_READ, self->fd, bad, 100, 1);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(0, completions(&ring));
	ASSERT_EQ(10, put_record(self->fd, 10, 1));
	EXPECT_EQ(-EFAULT, completion(&ring, NULL, NULL));
	prepare(&ring, IORING_OP_WRITE, self->fd, bad, 100, 2);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(-EFAULT, completion(&ring, NULL, NULL));
	EXPECT_EQ(room_of(10), attr_get("size"));
	EXPECT_TRUE(get_record(self->fd, 10, 1));
	ring_close(&ring);
}

/* One ring reads and writes, with one request of each kind under way. */
TEST_F_TIMEOUT(records, to_and_fro, 120)
{
	long total = OFTEN(600), in = 0, out = 0, ret;
	long *lens = calloc(total, sizeof(*lens));
	struct ring ring;
	const char *why = no_ring(&ring);
	char *from = malloc(self->cap), *to = malloc(self->cap);
	bool writing = false, reading = false;
	__u64 random = vfifo_seed, id;

	if (why)
		SKIP(return, "%s", why);
	LOG_SEED();
	while (out < total) {
		if (!writing && in < total) {
			lens[in] = 1 + rnd(&random) % (rnd(&random) % 8 ? 3000 :
						       longest(self->cap));
			stream_fill(from, lens[in], RECORD_POS(in));
			prepare(&ring, IORING_OP_WRITE, self->fd, from, lens[in], 1);
			writing = true;
		}
		if (!reading && !(rnd(&random) % 3)) {
			prepare(&ring, IORING_OP_READ, self->fd, to, self->cap, 2);
			reading = true;
		}
		if (ring.prepared)
			ASSERT_TRUE(submit(&ring));
		if (!writing && !reading)
			continue;
		/* A write that does not fit waits for a read. */
		if (!reading && !completions(&ring))
			continue;
		ret = completion(&ring, &id, NULL);
		if (id == 1) {
			ASSERT_EQ(lens[in], ret);
			in++;
			writing = false;
			continue;
		}
		ASSERT_EQ(lens[out], ret);
		ASSERT_TRUE(stream_equal(to, ret, RECORD_POS(out)));
		out++;
		reading = false;
	}
	EXPECT_EQ(0, attr_get("size"));
	ring_close(&ring);
	free(from);
	free(to);
	free(lens);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
