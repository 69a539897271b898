// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Overwriting the oldest with the attribute "hangup" 1: a writer still never waits, but
 * when the readers have gone it gets EPIPE, and nothing makes way for that.
 */
#include <sys/uio.h>

#include "vfifo_overwriting_ends.h"

#define LEN		777

/* Closes all files, and from then on an end hangs up. */
#define HANG_UP() do {							\
	shut(&self->fd);						\
	shut(&self->dev.fd);						\
	ASSERT_EQ(0, attr_set("hangup", 1));				\
} while (0)

/* Writes messages through @fd, at least @total bytes: true if none failed. */
static bool put_through(struct model *m, int fd, __u64 total)
{
	__u64 end = m->head + total;

	while (before(m->head, end))
		if (model_put(m, fd, LEN) != LEN)
			return false;
	return true;
}

/* Nothing has moved, and nothing is missing. */
#define EXPECT_STILL(m) do {						\
	const struct model *__m = (m);					\
									\
	EXPECT_EQ(__m->head, (__u64)attr_get("stats/bytes_written"));	\
	EXPECT_EQ(__m->overwritten,					\
		  (__u64)attr_get("stats/bytes_overwritten"));		\
	EXPECT_EQ(model_size(__m), attr_get("size"));			\
} while (0)

/* ---- writers ---- */

TEST_F(overwriting, before_the_first_reader)
{
	struct model *m = &self->m;
	int w, r;

	HANG_UP();
	w = OPEN(O_WRONLY | O_NONBLOCK);
	ASSERT_TRUE(put_through(m, w, 3 * self->cap));
	EXPECT_EQ(POLLOUT, poll_now(w, POLLOUT));
	EXPECT_STILL(m);
	r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(POLLIN, poll_now(r, POLLIN));
	EXPECT_TRUE(model_drained(m, r));
	EXPECT_STILL(m);
	close(w);
	close(r);
}

TEST_F(overwriting, ends_with_its_first_reader)
{
	struct model *m = &self->m;
	int w, r;

	HANG_UP();
	w = OPEN(O_WRONLY);
	ASSERT_TRUE(put_through(m, w, 2 * self->cap));
	r = OPEN(O_RDONLY | O_NONBLOCK);
	ASSERT_EQ(LEN, model_get(m, r, LEN));
	ASSERT_TRUE(put_through(m, w, self->cap));
	close(r);
	EXPECT_EPIPE(write(w, bytes_at(0), LEN));
	EXPECT_EQ(POLLOUT | POLLERR, poll_now(w, POLLOUT));
	EXPECT_STILL(m);

	/* A new reader finds all that is left, and writing works again. */
	r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(POLLOUT, poll_now(w, POLLOUT));
	ASSERT_TRUE(put_through(m, w, self->cap / 2));
	EXPECT_TRUE(model_drained(m, r));
	EXPECT_STILL(m);
	close(w);
	close(r);
}

TEST_F(overwriting, nothing_makes_way_for_an_error)
{
	const long lens[] = { 1, LEN, PIPE_BUF, PIPE_BUF + 1, self->cap - HEADER };
	struct model *m = &self->m;
	struct iovec iov[2];
	int w, r;
	size_t i;

	HANG_UP();
	w = OPEN(O_WRONLY);
	ASSERT_TRUE(put_through(m, w, 2 * self->cap));
	r = OPEN(O_RDONLY);
	close(r);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		EXPECT_EPIPE(write(w, bytes_at(0), lens[i]));
		iov[0] = (struct iovec) { bytes_at(0), lens[i] / 2 };
		iov[1] = (struct iovec) { bytes_at(0), lens[i] - lens[i] / 2 };
		EXPECT_EPIPE(writev(w, iov, 2));
		EXPECT_EQ(-EPIPE, res(pwritev2(w, iov, 2, -1, RWF_NOSIGNAL)));
		EXPECT_FALSE(took(SIGPIPE));
		EXPECT_STILL(m);
	}
	EXPECT_EQ(0, res(write(w, bytes_at(0), 0)));
	EXPECT_FALSE(took(SIGPIPE));
	close(w);
}

/* As for a pipe, whatever else is wrong with the write. */
TEST_F(overwriting, epipe_comes_first)
{
	struct model *m = &self->m;
	char *bad = mmap(NULL, self->page, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int w, r;

	ASSERT_NE(MAP_FAILED, bad);
	HANG_UP();
	w = OPEN(O_WRONLY);
	ASSERT_TRUE(put_through(m, w, 2 * self->cap));
	r = OPEN(O_RDONLY);
	close(r);
	EXPECT_EPIPE(write(w, bad, 100));
	EXPECT_EPIPE(write(w, bytes_at(0), self->cap + 100));
	EXPECT_STILL(m);
	close(w);
	munmap(bad, self->page);
}

/* The last close ends a write that is under way, or the next one. */
TEST_F(overwriting, reader_goes_during_a_write)
{
	size_t len = variant->records ? LEN : 64 << 20;
	struct outcome *out = self->e.out;
	__u64 start = self->m.head;
	char *from = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
						MAP_NORESERVE, -1, 0);
	int w, r;

	ASSERT_NE(MAP_FAILED, from);
	HANG_UP();
	w = OPEN(O_WRONLY);
	r = OPEN(O_RDONLY);
	self->e.pid[0] = child_start(3 * DEADLINE);
	if (!self->e.pid[0]) {
		close(r);
		while ((out->ret = res(write(w, from, len))) > 0)
			;
		for (out->signals = 0; took(SIGPIPE);)
			out->signals++;
		_exit(0);
	}
	ASSERT_TRUE(eventually(attr_get("stats/bytes_written") - start >
			       2 * self->cap));
	close(r);
	EXPECT_RETURNS(&self->e, 0, -EPIPE, 1);
	EXPECT_EQ(0, bytes_missing());
	EXPECT_LT(self->cap - model_room(&self->m, LEN), attr_get("size"));
	close(w);
	munmap(from, len);
}

/* ---- readers ---- */

TEST_F(overwriting, end_of_the_stream)
{
	struct model *m = &self->m;
	int w, r, late;

	HANG_UP();
	r = OPEN(O_RDONLY | O_NONBLOCK);
	w = OPEN(O_WRONLY);
	ASSERT_TRUE(put_through(m, w, 2 * self->cap));
	close(w);
	/* One that has met nobody waits at the end, until it has read something. */
	late = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(r, POLLIN));
	EXPECT_EQ(POLLIN, poll_now(late, POLLIN));
	ASSERT_TRUE(model_reduced(m, r, model_room(m, LEN), LEN));
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(r, POLLIN));
	ASSERT_LT(0, model_get(m, late, LEN));
	EXPECT_EQ(POLLHUP, poll_now(r, POLLIN));
	EXPECT_EQ(0, model_get(m, r, LEN));
	EXPECT_EQ(0, model_get(m, late, LEN));
	EXPECT_STILL(m);
	close(r);
	close(late);
}

TEST_F(overwriting, sleeping_reader_meets_the_end)
{
	struct model *m = &self->m;
	int w, r;

	HANG_UP();
	r = OPEN(O_RDONLY);
	w = OPEN(O_WRONLY);
	ASSERT_TRUE(put_through(m, w, 2 * self->cap));
	ASSERT_TRUE(model_reduced(m, r, 0, self->cap));
	SLEEP_IN(&self->e, 0, w, read(r, m->buf, LEN));
	close(w);
	EXPECT_RETURNS(&self->e, 0, 0, 0);
	close(r);
}

/* ---- mapped ends ---- */

/* A producer that has made way for something, and dies before it is there. */
TEST_F(overwriting, producer_killed_with_everything_gone)
{
	struct model *m = &self->m;
	struct producer p;
	int r, w, rw, i;

	HANG_UP();
	r = OPEN(O_RDONLY);
	for (i = 0; i < 2; i++) {
		w = OPEN(O_WRONLY);
		ASSERT_TRUE(put_through(m, w, 2 * self->cap));
		close(w);
		self->e.pid[0] = child_start(3 * DEADLINE);
		if (!self->e.pid[0]) {
			rw = OPEN(O_RDWR);
			if (producer_open(&p, rw) || !producer_room(&p, self->cap))
				_exit(1);
			for (;;)
				pause();
		}
		/* With a writer, a reader waits. */
		ASSERT_TRUE(eventually(!attr_get("size")));
		EXPECT_EQ(0, poll_now(r, POLLIN));
		if (i)
			SLEEP_IN(&self->e, 1, -1, read(r, m->buf, LEN));
		EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
		if (i)
			EXPECT_RETURNS(&self->e, 1, 0, 0);
		EXPECT_TRUE(eventually(poll_now(r, POLLIN) == POLLHUP));
		EXPECT_EQ(0, res(read(r, m->buf, LEN)));
		EXPECT_EQ(0, bytes_missing());
		m->overwritten += model_size(m);
		m->tail = m->head;
		EXPECT_STILL(m);
	}
	close(r);
}

/* The owner of an end learns by poll(2) that nobody is left. */
TEST_F(overwriting, mapped_ends_are_told)
{
	struct model *m = &self->m;
	struct producer p;
	struct consumer c;
	int own, other;

	HANG_UP();
	own = OPEN(O_RDWR);
	ASSERT_EQ(0, producer_open(&p, own));
	other = OPEN(O_RDONLY);
	EXPECT_EQ(POLLOUT, poll_now(own, POLLOUT));
	ASSERT_EQ(0, producer_put(&p, LEN));
	model_written(m, LEN);
	close(other);
	EXPECT_EQ(POLLOUT | POLLERR, poll_now(own, POLLOUT));
	/* It may go on nevertheless. */
	ASSERT_EQ(0, producer_put(&p, LEN));
	model_written(m, LEN);
	area_unmap(&p.area);
	EXPECT_STILL(m);

	ASSERT_EQ(0, consumer_open(&c, own));
	other = OPEN(O_WRONLY);
	EXPECT_EQ(POLLIN, poll_now(own, POLLIN));
	ASSERT_TRUE(put_through(m, other, 2 * self->cap));
	close(other);
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(own, POLLIN));
	while (consumer_look(&c, self->cap) > 0)
		consumer_take(&c);
	EXPECT_EQ(POLLHUP, poll_now(own, POLLIN));
	area_unmap(&c.area);
	EXPECT_EQ(0, bytes_missing());
	close(own);
}

/* With 0 again, everything is as it was. */
TEST_F(overwriting, switched_off)
{
	struct model *m = &self->m;
	int w, r;

	HANG_UP();
	w = OPEN(O_WRONLY);
	r = OPEN(O_RDONLY);
	close(r);
	EXPECT_EPIPE(write_one(w));
	ASSERT_EQ(0, attr_set("hangup", 0));
	ASSERT_TRUE(put_through(m, w, 2 * self->cap));
	EXPECT_EQ(POLLOUT, poll_now(w, POLLOUT));
	ASSERT_EQ(0, attr_set("hangup", 1));
	EXPECT_EPIPE(write_one(w));
	EXPECT_STILL(m);
	close(w);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
