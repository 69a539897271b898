// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * End of stream with records, with the attribute "hangup" 1: the records come first, whole,
 * and then the end.
 */
#define RECORDS_OWN_FIXTURE
#include "vfifo_record.h"
#include "vfifo_waiters.h"

FIXTURE(ended)
{
	struct ends e;
	struct health health;
	long cap;
	int r, w;		/* O_NONBLOCK; -1 once a test has closed it */
	int own;		/* open for both, for a mapped end */
	struct waiters waiters;
	long errors;
};

FIXTURE_SETUP(ended)
{
	self->r = -1;
	self->w = -1;
	self->own = -1;
	memset(&self->waiters, 0, sizeof(self->waiters));
	health_begin(&self->health);
	ASSERT_EQ(0, ends_begin(&self->e, false));
	ASSERT_EQ(0, attr_store("framing", "record"));
	self->cap = self->e.cap;
	self->errors = attr_get("stats/position_errors");
	self->r = ends_open(&self->e, O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, self->r);
	self->w = ends_open(&self->e, O_WRONLY | O_NONBLOCK);
	ASSERT_LE(0, self->w);
	ASSERT_TRUE(waiters_begin(&self->waiters));
}

FIXTURE_TEARDOWN(ended)
{
	waiters_end(&self->waiters);
	shut(&self->r);
	shut(&self->w);
	shut(&self->own);
	EXPECT_EQ(0, bytes_missing());
	EXPECT_EQ(self->errors, attr_get("stats/position_errors"));
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
	ends_end(&self->e);
}

/* ---- readers ---- */

TEST_F(ended, records_come_first)
{
	char tmp[100];

	ASSERT_EQ(5000, put_record(self->w, 5000, 1));
	ASSERT_EQ(1, put_record(self->w, 1, 2));
	shut(&self->w);
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(self->r, POLLIN));
	EXPECT_EQ(5000, queued(self->r));
	/* The end does not hide that the buffer is too small. */
	EXPECT_EQ(-EMSGSIZE, res(read(self->r, tmp, sizeof(tmp))));
	EXPECT_TRUE(get_record(self->r, 5000, 1));
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(self->r, POLLIN));
	EXPECT_TRUE(get_record(self->r, 1, 2));
	EXPECT_EQ(0, res(read(self->r, tmp, sizeof(tmp))));
	EXPECT_EQ(0, res(read(self->r, tmp, 1)));
	EXPECT_EQ(POLLHUP, poll_now(self->r, POLLIN));
	EXPECT_EQ(0, queued(self->r));
}

TEST_F(ended, sleeping_reader)
{
	int r = OPEN(O_RDONLY);

	SLEEP_IN(&self->e, 0, self->w, get_record(r, 300, 1));
	SLEEP_IN(&self->e, 1, self->w, get_record(r, 300, 1));
	ASSERT_EQ(300, put_record(self->w, 300, 1));
	ASSERT_TRUE(eventually(!attr_get("size")));
	shut(&self->w);
	EXPECT_TRUE(ends_returned(&self->e, 0));
	EXPECT_TRUE(ends_returned(&self->e, 1));
	/* One has read it, the other is at the end. */
	EXPECT_EQ(1, self->e.out[0].ret + self->e.out[1].ret);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	ASSERT_EQ(7, put_record(self->w, 7, 2));
	EXPECT_TRUE(get_record(self->r, 7, 2));
	close(r);
}

/* A file has met a writer if it has read a record. */
TEST_F(ended, met_by_reading)
{
	char tmp[10];
	int r;

	ASSERT_EQ(100, put_record(self->w, 100, 1));
	ASSERT_EQ(101, put_record(self->w, 101, 2));
	shut(&self->w);
	r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(POLLIN, poll_now(r, POLLIN));
	/* Trying to is not enough. */
	EXPECT_EQ(-EMSGSIZE, res(read(r, tmp, sizeof(tmp))));
	EXPECT_EQ(POLLIN, poll_now(r, POLLIN));
	EXPECT_TRUE(get_record(r, 100, 1));
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(r, POLLIN));
	EXPECT_TRUE(get_record(r, 101, 2));
	EXPECT_EQ(0, read_one(r));
	close(r);
	r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(-EAGAIN, read_one(r));
	EXPECT_EQ(0, poll_now(r, POLLIN));
	close(r);
}

/* ---- writers ---- */

TEST_F(ended, no_readers)
{
	struct iovec iov = { self, 10 };
	long ret;

	ASSERT_EQ(10, put_record(self->w, 10, 1));
	shut(&self->r);
	EXPECT_EPIPE(write(self->w, self, 10));
	EXPECT_EPIPE(writev(self->w, &iov, 1));
	EXPECT_EQ(POLLOUT | POLLERR, poll_now(self->w, POLLOUT));
	EXPECT_EQ(0, res(write(self->w, self, 0)));
	EXPECT_FALSE(took(SIGPIPE));
	ret = res(pwritev2(self->w, &iov, 1, -1, RWF_NOSIGNAL));
	EXPECT_TRUE(ret == -EPIPE || ret == -EOPNOTSUPP);
	EXPECT_FALSE(took(SIGPIPE));
	EXPECT_EQ(room_of(10), attr_get("size"));
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_TRUE(get_record(self->r, 10, 1));
	EXPECT_EQ(11, put_record(self->w, 11, 2));
}

/* Whatever the length of its record, and whoever else sleeps. */
TEST_F(ended, sleeping_writers)
{
	int w = OPEN(O_WRONLY);

	ASSERT_TRUE(fill_except(self->w, self->cap, 0, 1));
	SLEEP_IN(&self->e, 0, self->r, put_record(w, longest(self->cap), 2));
	SLEEP_IN(&self->e, 1, self->r, put_record(w, 1, 3));
	SLEEP_IN(&self->e, 2, self->r, put_record(w, PIPE_BUF, 4));
	SLEEP_IN(&self->e, 3, self->r, put_record(w, 30000, 5));
	shut(&self->r);
	EXPECT_RETURNS(&self->e, 0, -EPIPE, 1);
	EXPECT_RETURNS(&self->e, 1, -EPIPE, 1);
	EXPECT_RETURNS(&self->e, 2, -EPIPE, 1);
	EXPECT_RETURNS(&self->e, 3, -EPIPE, 1);
	/* Nothing of their records was queued. */
	EXPECT_EQ(self->cap, attr_get("size"));
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_TRUE(get_record(self->r, longest(self->cap), 1));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	close(w);
}

TEST_F(ended, killed_writer)
{
	int w = OPEN(O_WRONLY);

	ASSERT_EQ(100, put_record(w, 100, 1));
	SLEEP_IN(&self->e, 0, self->r, put_record(w, longest(self->cap), 2));
	close(w);
	shut(&self->w);
	EXPECT_EQ(-EMSGSIZE, read_one(self->r));
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	EXPECT_TRUE(get_record(self->r, 100, 1));
	EXPECT_EQ(0, read_one(self->r));
}

/* ---- pollers ---- */

TEST_F(ended, pollers_are_told)
{
	self->waiters.unneeded = self->w;
	ASSERT_TRUE(waiter_start(&self->waiters, BY_POLL, self->r, POLLIN, NULL));
	ASSERT_TRUE(waiter_start(&self->waiters, BY_EPOLL, self->r,
				 EPOLLIN | EPOLLET, NULL));
	EXPECT_EQ(0, told_all(&self->waiters));
	shut(&self->w);
	EXPECT_TRUE(eventually(told_all(&self->waiters) == 2));
	EXPECT_EQ(POLLHUP, self->waiters.told[0].events);
	EXPECT_EQ(EPOLLHUP, self->waiters.told[1].events);
	waiters_end(&self->waiters);
	ASSERT_TRUE(waiters_begin(&self->waiters));

	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	/* There is room, but not for a record of PIPE_BUF bytes. */
	ASSERT_TRUE(fill_except(self->w, self->cap, PIPE_BUF, 1));
	self->waiters.unneeded = self->r;
	ASSERT_TRUE(waiter_start(&self->waiters, BY_POLL, self->w, POLLOUT, NULL));
	EXPECT_EQ(0, told_all(&self->waiters));
	shut(&self->r);
	EXPECT_TRUE(eventually(told_all(&self->waiters) == 1));
	EXPECT_EQ(POLLERR, self->waiters.told[0].events);
}

/* ---- mapped ends ---- */

/* Claims an end through a file of its own. */
static bool claim(struct ends *e, int *fd, struct own_end *end, bool producer)
{
	struct vfifo dev = { .page = sysconf(_SC_PAGESIZE) };

	*fd = ends_open(e, O_RDWR | O_NONBLOCK);
	dev.fd = *fd;
	return *fd >= 0 && end_open(end, &dev, producer);
}

TEST_F(ended, mapped_producer_leaves)
{
	struct own_end end;
	__u64 pos;

	shut(&self->w);
	ASSERT_TRUE(claim(&self->e, &self->own, &end, true));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	publish_record(&end, 3000, 1);
	publish_record(&end, 8, 2);
	/* One more, which it has not published. */
	pos = load(end.page);
	store_record(&end, pos, 700, 3);
	end_close(&end);
	shut(&self->own);
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(self->r, POLLIN));
	EXPECT_TRUE(get_record(self->r, 3000, 1));
	EXPECT_TRUE(get_record(self->r, 8, 2));
	EXPECT_EQ(0, read_one(self->r));
}

TEST_F(ended, mapped_producer_is_told)
{
	struct own_end end;

	shut(&self->w);
	ASSERT_TRUE(claim(&self->e, &self->own, &end, true));
	publish_record(&end, 100, 1);
	EXPECT_EQ(POLLOUT, poll_now(self->own, POLLOUT));
	shut(&self->r);
	EXPECT_EQ(POLLOUT | POLLERR, poll_now(self->own, POLLOUT));
	publish_record(&end, 101, 2);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(POLLOUT, poll_now(self->own, POLLOUT));
	EXPECT_TRUE(get_record(self->r, 100, 1));
	EXPECT_TRUE(get_record(self->r, 101, 2));
	end_close(&end);
}

TEST_F(ended, mapped_consumer)
{
	struct own_end end;
	__u64 pos;

	shut(&self->r);
	ASSERT_TRUE(claim(&self->e, &self->own, &end, false));
	pos = load(end.page);
	ASSERT_EQ(100, put_record(self->w, 100, 1));
	ASSERT_EQ(101, put_record(self->w, 101, 2));
	shut(&self->w);
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(self->own, POLLIN));
	EXPECT_TRUE(has_record(&end, pos, 100, 1));
	pos += room_of(100);
	EXPECT_TRUE(has_record(&end, pos, 101, 2));
	store(end.page, pos + room_of(101));
	EXPECT_EQ(POLLHUP, poll_now(self->own, POLLIN));

	/* Its end is that of a reader. */
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	ASSERT_EQ(102, put_record(self->w, 102, 3));
	end_close(&end);
	shut(&self->own);
	EXPECT_EPIPE(write(self->w, "x", 1));
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_TRUE(get_record(self->r, 102, 3));
}

/* ---- generated records ---- */

TEST_F(ended, generator_is_a_writer)
{
	char tmp[10];

	shut(&self->w);
	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_EQ(0, attr_store("mode", "1"));
	ASSERT_TRUE(eventually(queued(self->r) == 5));
	ASSERT_EQ(0, attr_store("mode", "0"));
	EXPECT_EQ(-EMSGSIZE, read_one(self->r));
	while (attr_get("size"))
		ASSERT_EQ(5, res(read(self->r, tmp, sizeof(tmp))));
	EXPECT_EQ(0, read_one(self->r));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
