// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults in the middle of a read or write: a process that waits for a page must not
 * keep others from using the FIFO.
 *
 * Pages are provided through userfaultfd(2) when the test wants it. Every call that might
 * have to wait for the sleeping process is made by a process of its own, so that the
 * test can report it.
 */
#include "vfifo_faults.h"

/* Seconds allowed for what must not wait at all. */
#define SOON		(2 * DEADLINE)

FIXTURE(faults)
{
	struct vfifo dev;
	int fd;			/* a blocking one */
	struct faulty f;
};

/* One segment and several take different paths in the kernel. */
FIXTURE_VARIANT(faults)
{
	bool pieces;
};

FIXTURE_VARIANT_ADD(faults, read_write)
{
	.pieces = false,
};

FIXTURE_VARIANT_ADD(faults, readv_writev)
{
	.pieces = true,
};

FIXTURE_SETUP(faults)
{
	const char *why;

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_TRUE(faulty_begin(&self->f));
	why = no_userfaultfd(self->f.memory, PAGES * self->f.page);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(faults)
{
	/* First, since everything else may wait for it. */
	faulty_end(&self->f);
	close(self->fd);
	vfifo_teardown(&self->dev);
}

/* Evaluates @cond in a process of its own: whether it is true, without waiting. */
#define soon(cond) ({							\
	__s64 __until = now_ms() + SOON * 1000;				\
	pid_t __pid = child_start(2 * SOON);				\
									\
	if (!__pid)							\
		_exit(!(cond));						\
	while (child_state(__pid) != 'Z' && now_ms() < __until)		\
		usleep(1000);						\
	/* Do not wait for a process that waits for a lock. */		\
	child_state(__pid) == 'Z' && child_end(__pid) == 0;		\
})

static bool generates(void)
{
	long written = attr_get("stats/bytes_written");

	return !attr_store("mode", "1") &&
	       eventually(attr_get("stats/bytes_written") > written) &&
	       !attr_store("mode", "0");
}

/* The exit status of a reader of 100 bytes from position 7000: 0 if they are right. */
static int read_100(bool pieces, int fd, char *buf)
{
	long ret = res(transfer(pieces, false, fd, buf, 100));

	return ret < 1 || ret > 100 || !stream_equal(buf, ret, 7000);
}

/* A reader waits for its memory; other calls go on. */
TEST_F_TIMEOUT(faults, reader_keeps_nobody, 200)
{
	char *buf = self->f.memory;
	long cap = self->dev.capacity, pos;

	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_TRUE(put(&self->dev, 300, 0));
	if (!faulty_start(&self->f, 0))
		_exit(read_100(variant->pieces, self->fd, buf));
	ASSERT_TRUE(faulty_sleeps(&self->f));

	/* Another reader gets the bytes that the first one has not taken. */
	ASSERT_TRUE(soon(get(&self->dev, 100, 0)));
	EXPECT_EQ(200, queued(self->fd));
	ASSERT_TRUE(soon(put(&self->dev, 50, 300)));
	ASSERT_TRUE(soon(get(&self->dev, 250, 100)));
	ASSERT_TRUE(soon(!ioctl(self->fd, VFIFO_CLEAR)));
	ASSERT_TRUE(soon(generates()));
	ASSERT_TRUE(soon(!ioctl(self->fd, VFIFO_CLEAR)));
	ASSERT_TRUE(soon(!attr_set("capacity", 2 * cap)));
	ASSERT_TRUE(soon(*attr_text("stats/bytes_read")));
	EXPECT_NE('Z', child_state(self->f.pid));
	EXPECT_EQ(0, queued(self->fd));

	/* With its memory provided, it gets what is queued now. */
	for (pos = 0; pos < PAGES; pos++)
		give(&self->f, pos, 9000);
	ASSERT_TRUE(put(&self->dev, 100, 7000));
	EXPECT_EQ(0, give_all(&self->f, 9000));
	EXPECT_GE(99, queued(self->fd));
}

TEST_F_TIMEOUT(faults, writer_keeps_nobody, 200)
{
	long cap = self->dev.capacity;
	char *buf = self->f.memory, got[PIPE_BUF];

	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_TRUE(put(&self->dev, 100, 0));
	if (!faulty_start(&self->f, 0))
		_exit(transfer(variant->pieces, true, self->fd, buf,
			       PIPE_BUF) != PIPE_BUF);
	ASSERT_TRUE(faulty_sleeps(&self->f));
	EXPECT_EQ(100, queued(self->fd));

	ASSERT_TRUE(soon(put(&self->dev, 200, 100)));
	ASSERT_TRUE(soon(get(&self->dev, 300, 0)));
	ASSERT_TRUE(soon(generates()));
	ASSERT_TRUE(soon(!ioctl(self->fd, VFIFO_CLEAR)));
	ASSERT_TRUE(soon(!attr_set("capacity", 2 * cap)));
	EXPECT_EQ(0, queued(self->fd));
	EXPECT_NE('Z', child_state(self->f.pid));

	/* With its memory provided, all of its bytes are queued. */
	ASSERT_TRUE(put(&self->dev, 10, 300));
	EXPECT_EQ(0, give_all(&self->f, 5000));
	EXPECT_EQ(10 + PIPE_BUF, queued(self->fd));
	EXPECT_TRUE(get(&self->dev, 10, 300));
	EXPECT_EQ(PIPE_BUF, res(read(self->dev.fd, got, PIPE_BUF)));
	EXPECT_TRUE(stream_equal(got, PIPE_BUF, 5000));
}

/* A reader that faults after it was woken passes the wake-up on. */
TEST_F_TIMEOUT(faults, woken_reader_keeps_nobody, 200)
{
	long sleeps = attr_get("stats/reader_sleeps");
	char *buf = self->f.memory, c;
	pid_t other;

	if (!faulty_start(&self->f, 0))
		_exit(read_100(variant->pieces, self->fd, buf));
	ASSERT_LE(0, self->f.monitor);
	ASSERT_TRUE(eventually(attr_get("stats/reader_sleeps") > sleeps));
	ASSERT_TRUE(child_sleeps(self->f.pid));
	/* The next reader in the queue. */
	other = child_start(2 * DEADLINE);
	if (!other)
		_exit(read(self->fd, &c, 1) != 1);
	ASSERT_TRUE(child_sleeps(other));

	EXPECT_EQ(1, res(write(self->fd, "x", 1)));
	ASSERT_NE(0UL, fault_met(self->f.monitor));
	EXPECT_EQ(0, child_end(other));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	for (int page = 0; page < PAGES; page++)
		give(&self->f, page, 9000);
	ASSERT_TRUE(put(&self->dev, 100, 7000));
	EXPECT_EQ(0, give_all(&self->f, 9000));
}

TEST_F_TIMEOUT(faults, woken_writer_keeps_nobody, 200)
{
	long sleeps = attr_get("stats/writer_sleeps");
	long cap = self->dev.capacity;
	char *buf = self->f.memory, own[PIPE_BUF];
	pid_t other;

	ASSERT_TRUE(put(&self->dev, cap, 0));
	if (!faulty_start(&self->f, 0))
		_exit(transfer(variant->pieces, true, self->fd, buf,
			       PIPE_BUF) != PIPE_BUF);
	ASSERT_LE(0, self->f.monitor);
	ASSERT_TRUE(eventually(attr_get("stats/writer_sleeps") > sleeps));
	ASSERT_TRUE(child_sleeps(self->f.pid));
	stream_fill(own, PIPE_BUF, cap);
	other = child_start(2 * DEADLINE);
	if (!other)
		_exit(write(self->fd, own, PIPE_BUF) != PIPE_BUF);
	ASSERT_TRUE(child_sleeps(other));

	EXPECT_TRUE(get(&self->dev, PIPE_BUF, 0));
	ASSERT_NE(0UL, fault_met(self->f.monitor));
	EXPECT_EQ(0, child_end(other));
	EXPECT_TRUE(get(&self->dev, cap, PIPE_BUF));
	EXPECT_EQ(0, give_all(&self->f, cap + PIPE_BUF));
	EXPECT_TRUE(get(&self->dev, PIPE_BUF, cap + PIPE_BUF));
}

/* A write stays atomic if only its first part is present in memory. */
TEST_F_TIMEOUT(faults, atomic_write_across_the_fault, 200)
{
	long page = self->f.page, i;
	char *buf = self->f.memory;

	if (!faulty_start(&self->f, 1))
		_exit(transfer(variant->pieces, true, self->fd,
			       buf + page - 1000, PIPE_BUF) != PIPE_BUF);
	ASSERT_TRUE(faulty_sleeps(&self->f));

	/* Nothing of it is visible, or in the way. */
	for (i = 0; i < 10; i++) {
		ASSERT_TRUE(soon(put(&self->dev, 1000, 1000 * i)));
		EXPECT_EQ(1000, queued(self->fd));
		ASSERT_TRUE(soon(get(&self->dev, 1000, 1000 * i)));
	}
	ASSERT_TRUE(give(&self->f, 1, page));
	EXPECT_EQ(0, give_all(&self->f, 0));
	EXPECT_EQ(PIPE_BUF, queued(self->fd));
	EXPECT_TRUE(get(&self->dev, PIPE_BUF, page - 1000));
}

/* More than PIPE_BUF bytes may be mixed with others, but keep their order. */
TEST_F_TIMEOUT(faults, large_write_across_the_fault, 200)
{
	long page = self->f.page, len = 2 * PIPE_BUF + 500, before;
	char *buf = self->f.memory, *got = malloc(len + 100);

	ASSERT_LE(len, PAGES * page - page + 1000);
	if (!faulty_start(&self->f, 1))
		_exit(transfer(variant->pieces, true, self->fd,
			       buf + page - 1000, len) != len);
	ASSERT_TRUE(faulty_sleeps(&self->f));
	before = queued(self->fd);
	EXPECT_TRUE(before == 0 || before == 1000);
	ASSERT_TRUE(soon(put(&self->dev, 100, 1 << 20)));
	EXPECT_EQ(0, give_all(&self->f, 0));
	ASSERT_EQ(len + 100, queued(self->fd));
	ASSERT_EQ(len + 100, res(read(self->dev.fd, got, len + 100)));
	EXPECT_TRUE(stream_equal(got, before, page - 1000));
	EXPECT_TRUE(stream_equal(got + before, 100, 1 << 20));
	EXPECT_TRUE(stream_equal(got + before + 100, len - before,
				 page - 1000 + before));
	free(got);
}

/* A reader and others together get the stream, without gap or overlap. */
TEST_F_TIMEOUT(faults, read_across_the_fault, 200)
{
	long page = self->f.page, total = 2 * PIPE_BUF, rest;
	char *buf = self->f.memory;
	long *ret = shared(sizeof(*ret)), *pos = shared(sizeof(*pos)), i;

	ASSERT_NE(NULL, ret);
	ASSERT_NE(NULL, pos);
	*pos = -1;
	ASSERT_TRUE(put(&self->dev, total, 0));
	if (!faulty_start(&self->f, 1)) {
		*ret = res(transfer(variant->pieces, false, self->fd,
				    buf + page - 100, total));
		/* The position at which its bytes begin. */
		for (i = 0; i < total && *pos < 0; i++) {
			if (*ret > 0 && stream_equal(buf + page - 100, *ret, i))
				*pos = i;
		}
		_exit(0);
	}
	ASSERT_TRUE(faulty_sleeps(&self->f));
	ASSERT_TRUE(soon(get(&self->dev, 1000, total - queued(self->fd))));
	EXPECT_EQ(0, give_all(&self->f, 77777));
	rest = queued(self->fd);
	ASSERT_LT(0, *ret);
	EXPECT_EQ(total, *ret + 1000 + rest);
	EXPECT_TRUE(*pos == 0 || *pos == 1000) {
		TH_LOG("%ld bytes, from %ld on", *ret, *pos);
	}
	EXPECT_TRUE(get(&self->dev, rest, total - rest));
	munmap(ret, sizeof(*ret));
	munmap(pos, sizeof(*pos));
}

static int *hits;

static void on_usr1(int sig __always_unused)
{
	__atomic_add_fetch(hits, 1, __ATOMIC_SEQ_CST);
}

/*
 * A signal that does not kill need not interrupt a page fault in the kernel; with a pipe
 * it does not. It is then delivered when the page comes, and no byte is lost.
 */
TEST_F_TIMEOUT(faults, signal_loses_nothing, 200)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	long *ret = shared(sizeof(*ret)), size = 500;
	char *buf = self->f.memory;
	bool read_some = false;
	int out;

	hits = shared(sizeof(*hits));
	ASSERT_NE(NULL, hits);
	ASSERT_NE(NULL, ret);
	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	ASSERT_TRUE(put(&self->dev, size, 0));
	for (out = 0; out < 2; out++) {
		if (!faulty_start(&self->f, 0)) {
			*ret = res(transfer(variant->pieces, out, self->fd, buf,
					    100));
			_exit(0);
		}
		ASSERT_TRUE(faulty_sleeps(&self->f));
		kill(self->f.pid, SIGUSR1);
		usleep(20000);
		EXPECT_EQ(size, queued(self->fd));
		EXPECT_EQ(0, give_all(&self->f, 500));
		EXPECT_EQ(out + 1, *hits);
		EXPECT_TRUE(*ret == -EINTR || *ret == -EFAULT || *ret == 100) {
			TH_LOG("%s: %ld", out ? "write" : "read", *ret);
		}
		if (*ret > 0) {
			size += out ? *ret : -*ret;
			read_some |= !out;
		}
		ASSERT_EQ(size, queued(self->fd));
	}
	EXPECT_TRUE(get(&self->dev, size, read_some ? 100 : 0));
	munmap(hits, sizeof(*hits));
	munmap(ret, sizeof(*ret));
}

TEST_F_TIMEOUT(faults, kill_ends_it, 200)
{
	char *buf = self->f.memory;
	int out;

	ASSERT_TRUE(put(&self->dev, 500, 0));
	for (out = 0; out < 2; out++) {
		if (!faulty_start(&self->f, 0))
			_exit(transfer(variant->pieces, out, self->fd, buf,
				       100));
		ASSERT_TRUE(faulty_sleeps(&self->f));
		kill(self->f.pid, SIGKILL);
		EXPECT_TRUE(eventually(child_state(self->f.pid) == 'Z'));
		EXPECT_EQ(-SIGKILL, child_end(self->f.pid));
		self->f.pid = 0;
		EXPECT_EQ(500, queued(self->fd));
	}
	EXPECT_TRUE(get(&self->dev, 500, 0));
	EXPECT_TRUE(put(&self->dev, self->dev.capacity, 0));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
