// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Overwriting the oldest: a writer never waits, just as many of the oldest bytes or whole
 * records as necessary make way, and what is read is the newest capacity's worth.
 */
#include "vfifo_overwriting_ends.h"

/* Lengths of messages, and one that does not divide any capacity. */
static const long some_lens[] = { 1, 7, 8, 100, 777, 1999, PIPE_BUF - HEADER };

#define ODD_LEN		777

/* ---- writing ---- */

TEST_F(overwriting, writer_never_waits)
{
	struct model *m = &self->m;
	__u64 end;
	size_t i;

	ASSERT_EQ(0, use_capacity(self, self->page));
	for (i = 0; i < ARRAY_SIZE(some_lens); i++) {
		end = m->head + 2 * self->cap + 100;
		while (before(m->head, end)) {
			/* With O_NONBLOCK, and without. */
			ASSERT_EQ(some_lens[i], model_put(m, self->dev.fd,
							  some_lens[i]));
			ASSERT_EQ(POLLOUT | POLLIN,
				  poll_now(self->dev.fd, POLLOUT | POLLIN));
			ASSERT_EQ(some_lens[i], model_put(m, self->fd,
							  some_lens[i]));
		}
		EXPECT_AS(m);
	}
	EXPECT_EQ(self->sleeps, attr_get("stats/writer_sleeps"));
}

/* At every fill level near the limit: just enough makes way. */
TEST_F(overwriting, just_as_many_make_way)
{
	struct model *m = &self->m;
	long left, len, i;

	for (left = 0; left <= 32; left += 8) {
		for (len = 1; len <= 40; len++) {
			ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
			model_cleared(m);
			/* Small ones first, to make way, and a large one. */
			for (i = 0; i < 10; i++)
				ASSERT_EQ(9, model_put(m, self->dev.fd, 9));
			i = self->cap - model_size(m) - left -
			    (variant->records ? HEADER : 0);
			ASSERT_EQ(i, model_put(m, self->dev.fd, i));
			ASSERT_EQ(self->cap - left, model_size(m));
			ASSERT_EQ(self->cap - left, attr_get("size"));
			ASSERT_EQ(len, model_put(m, self->dev.fd, len));
			EXPECT_AS(m);
			ASSERT_TRUE(model_drained(m, self->dev.fd)) {
				TH_LOG("%ld bytes beside %ld free ones", len, left);
			}
		}
	}
	EXPECT_AS(m);
}

TEST_F(overwriting, newest_are_left)
{
	struct model *m = &self->m;
	size_t i;

	ASSERT_EQ(0, use_capacity(self, 2 * self->page));
	for (i = 0; i < ARRAY_SIZE(some_lens); i++) {
		ASSERT_TRUE(put_much(self, 7 * self->cap / 2, some_lens[i]));
		/* Nothing more than necessary is gone. */
		EXPECT_LT(self->cap - model_room(m, some_lens[i]), model_size(m));
		EXPECT_AS(m);
		EXPECT_TRUE(model_drained(m, self->dev.fd));
		EXPECT_AS(m);
	}
}

/* A message that takes the whole buffer replaces everything. */
TEST_F(overwriting, as_large_as_the_buffer)
{
	long len = self->cap - (variant->records ? HEADER : 0);
	struct model *m = &self->m;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(put_much(self, self->cap / 2 + i, ODD_LEN));
		ASSERT_EQ(len, model_put(m, i & 1 ? self->fd : self->dev.fd, len));
		EXPECT_EQ(self->cap, attr_get("size"));
		EXPECT_AS(m);
		if (i)
			EXPECT_TRUE(model_drained(m, self->dev.fd));
		EXPECT_AS(m);
	}
}

TEST_F(overwriting, larger_than_the_buffer)
{
	const long more[] = { 1, 100, self->cap, 2 * self->cap + 123 };
	struct model *m = &self->m;
	size_t i;
	long len;

	for (i = 0; i < ARRAY_SIZE(more); i++) {
		ASSERT_TRUE(put_much(self, self->cap / 2, ODD_LEN));
		len = self->cap + more[i];
		if (variant->records) {
			/* It never fits, so nothing makes way for it. */
			EXPECT_EQ(-EMSGSIZE, model_put(m, self->fd, len));
			EXPECT_EQ(-EMSGSIZE, model_put(m, self->dev.fd,
						       self->cap - HEADER + 1));
		} else {
			ASSERT_EQ(len, model_put(m, i & 1 ? self->fd : self->dev.fd,
						 len));
		}
		EXPECT_AS(m);
		EXPECT_TRUE(model_drained(m, self->dev.fd));
		EXPECT_AS(m);
	}
}

TEST_F(overwriting, zero_length)
{
	struct model *m = &self->m;

	ASSERT_TRUE(put_much(self, 2 * self->cap, ODD_LEN));
	EXPECT_EQ(0, model_put(m, self->dev.fd, 0));
	EXPECT_EQ(0, model_get(m, self->dev.fd, 0));
	EXPECT_AS(m);
}

TEST_F(overwriting, vectors_and_nowait)
{
	const long len = 3000, flags[] = { 0, RWF_NOWAIT };
	struct model *m = &self->m;
	struct iovec iov[3];
	char *from, *to;
	long i, n;

	for (i = 0; i < 100; i++) {
		from = contents_at(variant->records, m->head);
		n = 1 + i * 29;
		iov[0] = (struct iovec) { from, n };
		iov[1] = (struct iovec) { NULL, 0 };
		iov[2] = (struct iovec) { from + n, len - n };
		ASSERT_EQ(len, res(pwritev2(i & 2 ? self->fd : self->dev.fd, iov, 3,
					    -1, flags[i & 1])));
		model_written(m, len);
	}
	EXPECT_LT(2 * self->cap, 100 * len);
	EXPECT_AS(m);
	for (i = 0; i < 5; i++) {
		to = m->buf;
		iov[0] = (struct iovec) { to, 1000 };
		iov[1] = (struct iovec) { to + 1000, 1 };
		iov[2] = (struct iovec) { to + 1001, len - 1001 };
		ASSERT_EQ(len, res(preadv2(self->fd, iov, 3, -1, flags[i & 1])));
		ASSERT_TRUE(model_is_next(m, len));
		model_read(m, len);
	}
	EXPECT_AS(m);
	EXPECT_TRUE(model_drained(m, self->dev.fd));
}

/* ---- reading ---- */

/* Some is read in between, so that the limit is not always at the first byte. */
TEST_F(overwriting, read_in_between)
{
	const long steps[] = { 10, 100, 1000, 10000, 30000 };
	struct model *m = &self->m;
	__u64 round;
	long left;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		for (round = 0; round < 4; round++) {
			ASSERT_TRUE(put_much(self, round * self->cap / 2 + 50,
					     ODD_LEN));
			left = model_size(m) - steps[i];
			ASSERT_TRUE(model_reduced(m, self->dev.fd, left > 0 ? left : 0,
						  ODD_LEN));
			EXPECT_AS(m);
		}
	}
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	EXPECT_AS(m);
}

/* A read continues with what is left, however much was lost before it. */
TEST_F(overwriting, large_and_small_reads)
{
	struct model *m = &self->m;
	long most, want;

	ASSERT_TRUE(put_much(self, 5 * self->cap, ODD_LEN));
	if (variant->records) {
		/* A record is never cut. */
		EXPECT_EQ(-EMSGSIZE, model_get(m, self->fd, 1));
		EXPECT_EQ(-EMSGSIZE, model_get(m, self->fd, ODD_LEN - 1));
		EXPECT_AS(m);
		EXPECT_EQ(ODD_LEN, model_get(m, self->fd, ODD_LEN));
	} else {
		for (most = 1; most < self->cap / 2; most *= 3)
			ASSERT_EQ(most, model_get(m, self->fd, most));
	}
	EXPECT_AS(m);
	/* More than there is. */
	want = model_wants(m, 2 * self->cap);
	EXPECT_EQ(want, model_get(m, self->fd, 2 * self->cap));
	EXPECT_AS(m);
	EXPECT_TRUE(model_drained(m, self->dev.fd));
}

/* The record that a short read has left behind can still be overwritten. */
TEST_F(overwriting, refused_record_makes_way)
{
	struct model *m = &self->m;

	if (!variant->records)
		SKIP(return, "for records");
	ASSERT_EQ(5000, model_put(m, self->fd, 5000));
	EXPECT_EQ(-EMSGSIZE, model_get(m, self->fd, 100));
	ASSERT_TRUE(put_much(self, self->cap - 5000, 60));
	EXPECT_AS(m);
	EXPECT_EQ(60, queued(self->fd));
	EXPECT_EQ(60, model_get(m, self->fd, 100));
	EXPECT_TRUE(model_drained(m, self->dev.fd));
}

TEST_F(overwriting, reader_sleeps_until_something_is_there)
{
	struct model *m = &self->m;
	long i, len;

	ASSERT_TRUE(put_much(self, 3 * self->cap, ODD_LEN));
	ASSERT_TRUE(model_drained(m, self->dev.fd));
	for (i = 0; i < 20; i++) {
		len = i & 1 ? self->cap - HEADER : ODD_LEN;
		SLEEP_IN(&self->e, 0, -1, model_reads(m, self->fd, self->cap));
		EXPECT_EQ(0, poll_now(self->fd, POLLIN));
		ASSERT_EQ(len, model_put(m, self->dev.fd, len));
		/* It may have found less than all: a write is not one step. */
		EXPECT_TRUE(ends_returned(&self->e, 0));
		ASSERT_LT(0, self->e.out[0].ret);
		model_read(m, self->e.out[0].ret);
		EXPECT_AS(m);
		ASSERT_TRUE(model_drained(m, self->dev.fd));
	}
}

/* Waiting readers are told of each message, also of those in a full FIFO. */
TEST_F(overwriting, pollers_are_told)
{
	struct model *m = &self->m;
	struct waiters w;
	int told;

	ASSERT_TRUE(waiters_begin(&w));
	ASSERT_TRUE(waiters_start(&w, 2, BY_POLL, self->dev.fd, POLLIN, NULL));
	ASSERT_EQ(0, told_all(&w));
	ASSERT_EQ(100, model_put(m, self->fd, 100));
	EXPECT_EQ(2, told_all(&w));
	waiters_end(&w);

	/* In a full FIFO, each message is an edge. */
	ASSERT_TRUE(put_much(self, 2 * self->cap, 100));
	ASSERT_TRUE(waiters_begin(&w));
	ASSERT_TRUE(waiter_start(&w, BY_EPOLL, self->dev.fd, EPOLLIN | EPOLLET,
				 NULL));
	for (told = 1; told < 10; told++) {
		ASSERT_EQ(100, model_put(m, self->fd, 100));
		ASSERT_EQ(told, told_all(&w));
		ASSERT_TRUE(waiter_again(&w, 0));
	}
	waiters_end(&w);
	EXPECT_AS(m);
}

/* ---- clearing and resizing ---- */

/* What was gone before does not count as cleared. */
TEST_F(overwriting, clear)
{
	struct model *m = &self->m;
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_TRUE(put_much(self, i * self->cap / 2 + 1, ODD_LEN));
		if (i & 1)
			ASSERT_EQ(ODD_LEN, model_get(m, self->fd, ODD_LEN));
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		model_cleared(m);
		EXPECT_AS(m);
		EXPECT_EQ(-EAGAIN, model_get(m, self->dev.fd, 100));
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		EXPECT_AS(m);
	}
	ASSERT_TRUE(put_much(self, 3 * self->cap, ODD_LEN));
	EXPECT_TRUE(model_drained(m, self->dev.fd));
}

TEST_F(overwriting, resize_up)
{
	struct model *m = &self->m;
	long cap = self->cap;

	ASSERT_TRUE(put_much(self, 3 * cap, ODD_LEN));
	ASSERT_EQ(0, use_capacity(self, 2 * cap));
	EXPECT_AS(m);
	/* Nothing makes way until the new room is used up. */
	while (model_size(m) + model_room(m, ODD_LEN) <= 2 * cap) {
		ASSERT_EQ(ODD_LEN, model_put(m, self->dev.fd, ODD_LEN));
		EXPECT_AS(m);
	}
	EXPECT_LT(2 * cap - model_room(m, ODD_LEN), model_size(m));
	ASSERT_EQ(0, use_capacity(self, 4 * cap));
	EXPECT_AS(m);
	ASSERT_TRUE(put_much(self, 5 * cap, ODD_LEN));
	EXPECT_LT(4 * cap - model_room(m, ODD_LEN), model_size(m));
	EXPECT_AS(m);
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	EXPECT_AS(m);
}

TEST_F(overwriting, resize_down)
{
	struct model *m = &self->m;
	long cap = self->cap, len = 1000;

	ASSERT_TRUE(put_much(self, 3 * cap, len));
	/* Only a write makes bytes go. */
	EXPECT_EQ(-EBUSY, attr_set("capacity", cap / 2));
	EXPECT_AS(m);
	while (model_size(m) > cap / 2) {
		EXPECT_EQ(-EBUSY, attr_set("capacity", cap / 2));
		ASSERT_EQ(len, model_get(m, self->dev.fd, len));
	}
	ASSERT_EQ(0, use_capacity(self, cap / 2));
	EXPECT_AS(m);
	ASSERT_TRUE(put_much(self, cap, len));
	EXPECT_LT(cap / 2 - model_room(m, len), model_size(m));
	EXPECT_AS(m);
	ASSERT_TRUE(model_drained(m, self->dev.fd));
	/* When it is empty, also to the smallest. */
	ASSERT_EQ(0, use_capacity(self, self->page));
	EXPECT_AS(m);
	ASSERT_TRUE(put_much(self, 3 * self->page, len));
	EXPECT_LT(self->page - model_room(m, len), model_size(m));
	EXPECT_AS(m);
	EXPECT_TRUE(model_drained(m, self->dev.fd));
}

/* The positions of what is queued decide where it lies, whatever was lost. */
TEST_F(overwriting, resize_often)
{
	struct model *m = &self->m;
	long cap = self->page, i;

	ASSERT_EQ(0, use_capacity(self, cap));
	for (i = 0; i < 40; i++) {
		ASSERT_TRUE(put_much(self, 2 * cap + i * 13, 123));
		EXPECT_AS(m);
		if (i % 3 == 2)
			ASSERT_TRUE(model_reduced(m, self->dev.fd, cap / 2, 123));
		if (i % 3 == 2 && cap > self->page)
			cap /= 2;
		else if (cap < cap_limit(&self->dev))
			cap *= 2;
		ASSERT_EQ(0, use_capacity(self, cap));
		EXPECT_AS(m);
	}
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	EXPECT_AS(m);
}

/* ---- long writes ---- */

/* Address space for @len bytes that reads as zeroes, and needs no memory. */
static char *zeroes(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
					     MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

#define LONG_WRITE	(sizeof(long) > 4 ? INT_MAX & -4096UL : 1UL << 28)

/* A writer that never waits has to look at signals nevertheless. */
TEST_F(overwriting, signal_ends_a_long_write)
{
	char *from = zeroes(LONG_WRITE);
	__u64 start = self->m.head;
	struct outcome *out = self->e.out;
	pid_t pid;

	if (variant->records)
		SKIP(return, "a record is never longer than the buffer");
	ASSERT_NE(NULL, from);
	pid = child_start(6 * DEADLINE);
	if (!pid) {
		out->ret = res(write(self->fd, from, LONG_WRITE));
		_exit(0);
	}
	ASSERT_TRUE(eventually(attr_get("stats/bytes_written") - start > self->cap));
	kill(pid, SIGUSR1);
	EXPECT_TRUE(eventually(child_state(pid) == 'Z'));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_LE(self->cap, out->ret);
	EXPECT_GE((long)LONG_WRITE, out->ret);
	EXPECT_EQ(out->ret, attr_get("stats/bytes_written") - (long)start);
	EXPECT_EQ(self->cap, queued(self->fd));
	munmap(from, LONG_WRITE);
}

TEST_F(overwriting, long_write_can_be_killed)
{
	char *from = zeroes(LONG_WRITE);
	__u64 start = self->m.head;
	pid_t pid;

	if (variant->records)
		SKIP(return, "a record is never longer than the buffer");
	ASSERT_NE(NULL, from);
	pid = child_start(6 * DEADLINE);
	if (!pid) {
		for (;;)
			if (write(self->fd, from, LONG_WRITE) <= 0)
				_exit(1);
	}
	ASSERT_TRUE(eventually(attr_get("stats/bytes_written") - start > self->cap));
	kill(pid, SIGKILL);
	EXPECT_TRUE(eventually(child_state(pid) == 'Z'));
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_EQ(self->cap, queued(self->fd));
	EXPECT_EQ(0, bytes_missing());
	munmap(from, LONG_WRITE);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
