// SPDX-License-Identifier: GPL-2.0
/*
 * The attribute "hangup": what it accepts, that a change takes effect at once, the counter
 * stats/hangups, and what generation, clearing and resizing have to do with an end.
 */
#include "vfifo_hangup.h"
#include "vfifo_uring.h"
#include "vfifo_waiters.h"

FIXTURE(attr)
{
	struct ends e;
	long cap;
	int r, w;		/* O_NONBLOCK; -1 if not open */
	struct waiters waiters;
};

FIXTURE_SETUP(attr)
{
	self->r = -1;
	self->w = -1;
	memset(&self->waiters, 0, sizeof(self->waiters));
	ASSERT_EQ(0, ends_begin(&self->e, false));
	self->cap = self->e.cap;
	ASSERT_TRUE(waiters_begin(&self->waiters));
}

FIXTURE_TEARDOWN(attr)
{
	waiters_end(&self->waiters);
	shut(&self->r);
	shut(&self->w);
	ends_end(&self->e);
}

/* ---- values ---- */

TEST_F(attr, values)
{
	static const char *const good[] = { "0", "1", "1\n", "1", "0\n" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_EQ(0, attr_store("hangup", good[i]));
		EXPECT_EQ(good[i][0] - '0', attr_get("hangup"));
	}
	/* sysfs.c has more of what is refused. */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, attr_set("hangup", i));
		EXPECT_EQ(-EINVAL, attr_store("hangup", "2"));
		EXPECT_EQ(-EINVAL, attr_store("hangup", "yes"));
		EXPECT_EQ(i, attr_get("hangup"));
	}
}

/* The settings do not depend on each other. */
TEST_F(attr, beside_the_others)
{
	ASSERT_EQ(0, attr_set("capacity", 2 * self->cap));
	ASSERT_EQ(0, attr_set("period_ms", 77));
	EXPECT_EQ(1, attr_get("hangup"));
	ASSERT_EQ(0, attr_set("hangup", 0));
	EXPECT_EQ(2 * self->cap, attr_get("capacity"));
	EXPECT_EQ(77, attr_get("period_ms"));
	EXPECT_EQ(0, attr_get("mode"));
}

/* ---- changes ---- */

TEST_F(attr, set_while_a_reader_sleeps)
{
	char tmp[10];
	int r;

	ASSERT_EQ(0, attr_set("hangup", 0));
	r = OPEN(O_RDONLY);
	self->w = OPEN(O_WRONLY);
	shut(&self->w);
	/* The file has met a writer, though that did not matter then. */
	SLEEP_IN(&self->e, 0, -1, read(r, tmp, sizeof(tmp)));
	SLEEP_IN(&self->e, 1, -1, read(r, tmp, sizeof(tmp)));
	ASSERT_EQ(0, attr_set("hangup", 0));
	EXPECT_STILL_SLEEPS(&self->e, 0);
	ASSERT_EQ(0, attr_set("hangup", 1));
	EXPECT_RETURNS(&self->e, 0, 0, 0);
	EXPECT_RETURNS(&self->e, 1, 0, 0);
	close(r);
}

TEST_F(attr, set_while_a_writer_sleeps)
{
	int w;

	ASSERT_EQ(0, attr_set("hangup", 0));
	self->r = OPEN(O_RDONLY);
	w = OPEN(O_WRONLY);
	ASSERT_TRUE(fd_put(w, self->cap, 0));
	shut(&self->r);
	SLEEP_IN(&self->e, 0, -1, write_one(w));
	SLEEP_IN(&self->e, 1, -1, write_one(w));
	ASSERT_EQ(0, attr_set("hangup", 1));
	EXPECT_RETURNS(&self->e, 0, -EPIPE, 1);
	EXPECT_RETURNS(&self->e, 1, -EPIPE, 1);
	EXPECT_EQ(self->cap, queued(w));
	close(w);
}

/* Files that have met nobody, or whose other side is there, sleep on. */
TEST_F(attr, set_while_others_sleep)
{
	char tmp[10];
	int r, w;

	ASSERT_EQ(0, attr_set("hangup", 0));
	r = OPEN(O_RDONLY);
	SLEEP_IN(&self->e, 0, -1, read(r, tmp, sizeof(tmp)));
	ASSERT_EQ(0, attr_set("hangup", 1));
	EXPECT_STILL_SLEEPS(&self->e, 0);
	ASSERT_EQ(0, attr_set("hangup", 0));
	w = OPEN(O_WRONLY);
	ASSERT_EQ(0, attr_set("hangup", 1));
	EXPECT_STILL_SLEEPS(&self->e, 0);
	EXPECT_EQ(1, write_one(w));
	EXPECT_RETURNS(&self->e, 0, 1, 0);
	close(r);
	close(w);
}

TEST_F(attr, set_while_all_kinds_poll)
{
	static const struct {
		enum wait_by by;
		__u32 events;
	} ways[] = {
		{ BY_POLL, POLLIN }, { BY_SELECT, POLLIN }, { BY_POLL, 0 },
		{ BY_EPOLL, POLLIN }, { BY_EPOLL, POLLIN | EPOLLET },
		{ BY_EPOLL, POLLIN | EPOLLEXCLUSIVE },
		{ BY_EPOLL, POLLIN | EPOLLEXCLUSIVE },
		{ BY_EPOLL, POLLIN | EPOLLEXCLUSIVE | EPOLLET },
	};
	struct waiters *w = &self->waiters;
	size_t i;

	ASSERT_EQ(0, attr_set("hangup", 0));
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	self->w = OPEN(O_WRONLY);
	shut(&self->w);
	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->r, getpid()));
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		ASSERT_TRUE(waiter_start(w, ways[i].by, self->r, ways[i].events,
					 NULL));
	EXPECT_EQ(0, told_all(w));
	ASSERT_EQ(0, attr_set("hangup", 1));
	EXPECT_EQ(w->count, told_all(w));
	EXPECT_TRUE(signalled());
	EXPECT_EQ(POLLHUP, (short)w->told[0].events);
}

TEST_F(attr, set_while_io_uring_waits)
{
	struct ring ring;
	char tmp[10];
	int ret = ring_begin(&ring);

	if (ret == -EOPNOTSUPP || ret == -EPERM)
		SKIP(return, "no io_uring: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, attr_set("hangup", 0));
	self->r = OPEN(O_RDONLY);
	self->w = OPEN(O_WRONLY);
	shut(&self->w);
	prepare(&ring, IORING_OP_READ, self->r, tmp, sizeof(tmp), 1);
	prepare_poll(&ring, self->r, POLLIN, 0, 2);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(0, completions(&ring));
	ASSERT_EQ(0, attr_set("hangup", 1));
	for (ret = 0; ret < 2; ret++) {
		__u64 id;
		long got = completion(&ring, &id, NULL);

		EXPECT_EQ(id == 1 ? 0 : POLLHUP, got);
	}
	ring_close(&ring);
}

TEST_F(attr, cleared_at_an_end)
{
	struct watch watch = { .by = BY_EPOLL, .events = POLLIN };
	char tmp[10];
	int r;

	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	shut(&self->w);
	watch.fd = self->r;
	ASSERT_TRUE(watch_open(&watch));
	EXPECT_EQ(POLLHUP, watch_wait(&watch, 0));
	EXPECT_EQ(0, read_one(self->r));
	ASSERT_EQ(0, attr_set("hangup", 0));
	EXPECT_EQ(0, watch_wait(&watch, 0));
	EXPECT_EQ(0, poll_now(self->r, POLLIN));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	r = OPEN(O_RDONLY);
	SLEEP_IN(&self->e, 0, -1, read(r, tmp, sizeof(tmp)));
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(1, write_one(self->w));
	EXPECT_RETURNS(&self->e, 0, 1, 0);
	close(r);

	ASSERT_EQ(0, attr_set("hangup", 1));
	shut(&self->r);
	EXPECT_EPIPE(write_one(self->w));
	ASSERT_EQ(0, attr_set("hangup", 0));
	EXPECT_EQ(1, write_one(self->w));
	EXPECT_EQ(POLLOUT, poll_now(self->w, POLLOUT));
	EXPECT_FALSE(took(SIGPIPE));
}

/* ---- stats/hangups ---- */

TEST_F(attr, counter)
{
	long before = attr_get("stats/hangups");
	int r2;

	ASSERT_LE(0, before);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	r2 = OPEN(O_RDONLY);
	close(r2);
	EXPECT_EQ(before, attr_get("stats/hangups"));
	shut(&self->w);
	EXPECT_EQ(before + 1, attr_get("stats/hangups"));
	/* Reads of the end, and the other calls there, count nothing. */
	EXPECT_EQ(0, read_one(self->r));
	EXPECT_EQ(POLLHUP, poll_now(self->r, POLLIN));
	EXPECT_EQ(before + 1, attr_get("stats/hangups"));
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	shut(&self->r);
	EXPECT_EQ(before + 2, attr_get("stats/hangups"));
	ASSERT_EQ(0, attr_set("hangup", 0));
	shut(&self->w);
	self->r = OPEN(O_RDONLY);
	shut(&self->r);
	EXPECT_EQ(before + 2, attr_get("stats/hangups"));
}

/* ---- generation ---- */

TEST_F(attr, auto_is_a_writer)
{
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	self->w = OPEN(O_WRONLY);
	shut(&self->w);
	EXPECT_EQ(0, read_one(self->r));
	ASSERT_EQ(0, attr_set("period_ms", 3600000));
	ASSERT_EQ(0, attr_set("mode", 1));
	EXPECT_EQ(0, poll_now(self->r, POLLIN));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	/* Setting it again makes no second writer. */
	ASSERT_EQ(0, attr_set("mode", 1));
	ASSERT_EQ(0, attr_store("mode", "auto"));
	ASSERT_EQ(0, attr_set("period_ms", 3000000));
	ASSERT_EQ(0, attr_set("mode", 0));
	EXPECT_EQ(POLLHUP, poll_now(self->r, POLLIN));
	EXPECT_EQ(0, read_one(self->r));
	/* And manual no close of a writer that there is. */
	self->w = OPEN(O_WRONLY);
	ASSERT_EQ(0, attr_set("mode", 0));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
}

/* A reader that has met nothing but a period of generation. */
TEST_F(attr, manual_is_a_close)
{
	const int off = 0, on = 1;
	char tmp[10];
	int r, w;

	r = OPEN(O_RDONLY);
	ASSERT_EQ(0, attr_set("period_ms", 3600000));
	SLEEP_IN(&self->e, 0, -1, read(r, tmp, sizeof(tmp)));
	ASSERT_EQ(0, attr_set("mode", 1));
	EXPECT_STILL_SLEEPS(&self->e, 0);
	ASSERT_EQ(0, attr_set("mode", 0));
	EXPECT_RETURNS(&self->e, 0, 0, 0);
	close(r);

	/* By ioctl, through the last writer. */
	r = OPEN(O_RDONLY);
	w = OPEN(O_WRONLY);
	ASSERT_EQ(0, ioctl(w, VFIFO_SET_MODE, &on));
	SLEEP_IN(&self->e, 0, w, read(r, tmp, sizeof(tmp)));
	ASSERT_EQ(0, ioctl(w, VFIFO_SET_MODE, &off));
	EXPECT_STILL_SLEEPS(&self->e, 0);
	ASSERT_EQ(0, ioctl(w, VFIFO_SET_MODE, &on));
	close(w);
	EXPECT_STILL_SLEEPS(&self->e, 0);
	ASSERT_EQ(0, attr_set("mode", 0));
	EXPECT_RETURNS(&self->e, 0, 0, 0);
	close(r);
}

TEST_F(attr, generated_bytes_come_first)
{
	char tmp[10];
	long n;

	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_EQ(0, attr_set("mode", 1));
	EXPECT_TRUE(eventually(queued(self->r) >= 10));
	ASSERT_EQ(0, attr_set("mode", 0));
	EXPECT_EQ(POLLIN | POLLHUP, poll_now(self->r, POLLIN));
	while ((n = res(read(self->r, tmp, 5))) > 0)
		ASSERT_EQ(0, memcmp(tmp, "AUTO ", 5));
	EXPECT_EQ(0, n);
}

/* There need be no reader. */
TEST_F(attr, generation_gets_no_error)
{
	long dropped = attr_get("stats/dropped");
	long written = attr_get("stats/bytes_written");

	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	self->r = OPEN(O_RDONLY);
	shut(&self->r);
	EXPECT_EPIPE(write_one(self->w));
	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_EQ(0, attr_set("mode", 1));
	EXPECT_TRUE(eventually(attr_get("stats/bytes_written") >= written + 50));
	ASSERT_EQ(0, attr_set("mode", 0));
	EXPECT_EQ(dropped, attr_get("stats/dropped"));
	EXPECT_EPIPE(write_one(self->w));
	EXPECT_FALSE(took(SIGPIPE));
}

/* ---- in between ---- */

TEST_F(attr, resized)
{
	char tmp[10];
	int r;

	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	ASSERT_TRUE(fd_put(self->w, 5000, 0));
	ASSERT_EQ(0, attr_set("capacity", 2 * self->cap));
	shut(&self->w);
	ASSERT_EQ(0, attr_set("capacity", self->cap / 2));
	EXPECT_TRUE(fd_get(self->r, 5000, 0));
	EXPECT_EQ(0, read_one(self->r));
	ASSERT_EQ(0, attr_set("capacity", self->cap));
	EXPECT_EQ(0, read_one(self->r));
	EXPECT_EQ(POLLHUP, poll_now(self->r, POLLIN));

	/* A sleeper that has met nobody takes it for no end. */
	r = OPEN(O_RDONLY);
	SLEEP_IN(&self->e, 0, -1, read(r, tmp, sizeof(tmp)));
	ASSERT_EQ(0, attr_set("capacity", 2 * self->cap));
	EXPECT_STILL_SLEEPS(&self->e, 0);
	close(r);
}

TEST_F(attr, resized_without_a_reader)
{
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	self->r = OPEN(O_RDONLY);
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	shut(&self->r);
	ASSERT_EQ(0, attr_set("capacity", 2 * self->cap));
	EXPECT_EPIPE(write_one(self->w));
	EXPECT_EQ(POLLOUT | POLLERR, poll_now(self->w, POLLOUT));
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_TRUE(fd_get(self->r, self->cap, 0));
}

TEST_F(attr, cleared)
{
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	ASSERT_TRUE(fd_put(self->w, 5000, 0));
	shut(&self->w);
	ASSERT_EQ(0, ioctl(self->r, VFIFO_CLEAR));
	EXPECT_EQ(0, read_one(self->r));
	EXPECT_EQ(POLLHUP, poll_now(self->r, POLLIN));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
