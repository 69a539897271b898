// SPDX-License-Identifier: GPL-2.0
/*
 * End of stream at a vfifo: it ends only for a file that has met the other side, and never
 * before the last byte.
 */
#include <time.h>

#include "vfifo_hangup.h"
#include "vfifo_waiters.h"

FIXTURE(met)
{
	struct ends e;
	long cap;
	int r, w;		/* -1 at first */
};

FIXTURE_SETUP(met)
{
	self->r = -1;
	self->w = -1;
	ASSERT_EQ(0, ends_begin(&self->e, false));
	self->cap = self->e.cap;
}

FIXTURE_TEARDOWN(met)
{
	shut(&self->r);
	shut(&self->w);
	ends_end(&self->e);
}

TEST_F(met, reader_waits_for_the_first_writer)
{
	char tmp[10];
	struct iovec iov = { tmp, sizeof(tmp) };

	self->r = OPEN(O_RDONLY);
	SLEEP_IN(&self->e, 0, -1, read(self->r, tmp, sizeof(tmp)));
	EXPECT_EQ(-EAGAIN, res(preadv2(self->r, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(0, res(read(self->r, tmp, 0)));
	self->w = OPEN(O_WRONLY);
	EXPECT_STILL_SLEEPS(&self->e, 0);
	/* It leaves without having written anything. */
	shut(&self->w);
	EXPECT_RETURNS(&self->e, 0, 0, 0);
	EXPECT_EQ(0, read_one(self->r));
}

TEST_F(met, reader_that_does_not_wait)
{
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	self->w = OPEN(O_WRONLY);
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	shut(&self->w);
	EXPECT_EQ(0, read_one(self->r));
}

TEST_F(met, writer_that_was_there_first)
{
	self->w = OPEN(O_WRONLY);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	shut(&self->w);
	EXPECT_EQ(0, read_one(self->r));
}

/* A writer that left before the open does not count, unless one of its bytes was read. */
TEST_F(met, writer_that_had_left)
{
	char tmp[10];

	self->w = OPEN(O_WRONLY);
	shut(&self->w);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(-EAGAIN, read_one(self->r));

	shut(&self->r);
	self->w = OPEN(O_WRONLY);
	EXPECT_EQ(1, write_one(self->w));
	EXPECT_EQ(1, write_one(self->w));
	shut(&self->w);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(0, res(read(self->r, tmp, 0)));
	EXPECT_EQ(1, read_one(self->r));
	EXPECT_EQ(1, read_one(self->r));
	EXPECT_EQ(0, read_one(self->r));
}

TEST_F(met, each_file_for_itself)
{
	int r2, r3;

	self->w = OPEN(O_WRONLY);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(1, write_one(self->w));
	shut(&self->w);
	r2 = OPEN(O_RDONLY | O_NONBLOCK);
	r3 = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(1, read_one(r2));
	EXPECT_EQ(0, read_one(r2));
	EXPECT_EQ(0, read_one(self->r));
	EXPECT_EQ(-EAGAIN, read_one(r3));
	close(r2);
	close(r3);
}

/* Dropping bytes is not reading them. */
TEST_F(met, cleared_bytes)
{
	self->w = OPEN(O_WRONLY);
	ASSERT_TRUE(fd_put(self->w, 100, 0));
	shut(&self->w);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	ASSERT_EQ(0, ioctl(self->r, VFIFO_CLEAR));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
}

/* A sleeper that read the rest of an old writer's bytes gets the end next. */
TEST_F(met, old_bytes_through_a_sleep)
{
	char tmp[10];

	self->r = OPEN(O_RDONLY);
	self->w = OPEN(O_WRONLY);
	SLEEP_IN(&self->e, 0, self->w, read(self->r, tmp, sizeof(tmp)));
	EXPECT_EQ(1, write_one(self->w));
	shut(&self->w);
	EXPECT_RETURNS(&self->e, 0, 1, 0);
	EXPECT_EQ(0, read_one(self->r));
}

TEST_F(met, writer_before_any_reader_queues)
{
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	EXPECT_EQ(-EAGAIN, write_one(self->w));
	EXPECT_FALSE(took(SIGPIPE));
	self->r = OPEN(O_RDONLY);
	EXPECT_TRUE(fd_get(self->r, self->cap, 0));
	EXPECT_EQ(1, write_one(self->w));
	shut(&self->r);
	EXPECT_EPIPE(write_one(self->w));
	EXPECT_EQ(1, attr_get("size"));
}

TEST_F(met, reader_that_had_left)
{
	self->r = OPEN(O_RDONLY);
	shut(&self->r);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(1, write_one(self->w));
	EXPECT_FALSE(took(SIGPIPE));
}

TEST_F(met, writer_waits_for_the_first_reader)
{
	self->w = OPEN(O_WRONLY);
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	SLEEP_IN(&self->e, 0, -1, write_one(self->w));
	self->r = OPEN(O_RDONLY);
	EXPECT_STILL_SLEEPS(&self->e, 0);
	shut(&self->r);
	EXPECT_RETURNS(&self->e, 0, -EPIPE, 1);
}

TEST_F(met, bytes_stay_when_all_have_gone)
{
	self->r = OPEN(O_RDONLY);
	self->w = OPEN(O_WRONLY);
	ASSERT_TRUE(fd_put(self->w, 5000, 0));
	shut(&self->r);
	shut(&self->w);
	EXPECT_EQ(5000, attr_get("size"));
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_TRUE(fd_get(self->r, 5000, 0));
	EXPECT_EQ(0, read_one(self->r));
}

/* The access mode 3 is for ioctls only: the file is at no side. */
TEST_F(met, open_for_neither)
{
	int fd = open(self->e.path, O_ACCMODE | O_CLOEXEC);

	ASSERT_LE(0, fd);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	self->w = OPEN(O_WRONLY);
	shut(&self->w);
	EXPECT_EQ(0, read_one(self->r));
	shut(&self->r);
	self->w = OPEN(O_WRONLY);
	EXPECT_EQ(1, write_one(self->w));
	close(fd);
}

/* A file that is open for both does not meet itself. */
TEST_F(met, open_for_both)
{
	int rw = OPEN(O_RDWR | O_NONBLOCK);

	EXPECT_EQ(-EAGAIN, read_one(rw));
	EXPECT_EQ(1, write_one(rw));
	EXPECT_EQ(1, read_one(rw));
	EXPECT_EQ(-EAGAIN, read_one(rw));
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	close(rw);
	EXPECT_EQ(1, write_one(self->w));
	shut(&self->w);
	EXPECT_EQ(1, read_one(self->r));
	EXPECT_EQ(0, read_one(self->r));

	shut(&self->r);
	rw = OPEN(O_RDWR | O_NONBLOCK);
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	close(rw);
	EXPECT_EPIPE(write_one(self->w));
}

/* ---- the last bytes ---- */

/* Each round has one writer, which writes and leaves at once. */
TEST_F_TIMEOUT(met, last_bytes_of_many_writers, 120)
{
	const int times = OFTEN(1000);
	__u64 state = vfifo_seed;
	int go[2], i;
	pid_t pid;

	LOG_SEED();
	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	pid = child_start(12 * DEADLINE);
	if (!pid) {
		int len;

		close(go[1]);
		while (read(go[0], &len, sizeof(len)) == sizeof(len)) {
			int w = ends_open(&self->e, O_WRONLY);

			if (len && !fd_put(w, len, 0))
				_exit(1);
			close(w);
		}
		_exit(0);
	}
	close(go[0]);
	for (i = 0; i < times; i++) {
		int len = rnd(&state) % 4 ? rnd(&state) % 20 : 0;
		char tmp[40];
		long had = 0, n;

		self->r = OPEN(O_RDONLY);
		ASSERT_EQ(sizeof(len), write(go[1], &len, sizeof(len)));
		while ((n = res(read(self->r, tmp + had, sizeof(tmp) - had))) > 0)
			had += n;
		ASSERT_EQ(0, n);
		ASSERT_EQ(len, had) {
			TH_LOG("in round %d", i);
		}
		ASSERT_TRUE(stream_equal(tmp, had, 0));
		shut(&self->r);
	}
	close(go[1]);
	EXPECT_EQ(0, child_end(pid));
}

/*
 * A reader, or poll(2), that looked for bytes first and only then for writers would miss
 * the bytes of a writer that wrote and left in between. This writer has real-time priority on
 * the reader's CPU, so that it interrupts the reader at a random place and does both at once.
 */
static void write_and_leave(struct ends *e, unsigned int *turn, int times)
{
	__u64 state = vfifo_seed;
	struct timespec ts = { 0 };
	int i, w;

	if (!run_alone(true))
		_exit(2);
	for (i = 1; i <= times; i++) {
		while (__atomic_load_n(turn, __ATOMIC_SEQ_CST) != i)
			usleep(50);
		w = ends_open(e, O_WRONLY);
		ts.tv_nsec = 20000 + rnd(&state) % 50000;
		nanosleep(&ts, NULL);
		if (write_one(w) != 1)
			_exit(1);
		close(w);
	}
	_exit(0);
}

TEST_F_TIMEOUT(met, no_end_before_the_last_byte, 120)
{
	const int times = OFTEN(4000);
	unsigned int *turn = shared(sizeof(*turn));
	cpu_set_t here;
	int i, ended;
	pid_t pid;
	char c;

	ASSERT_NE(NULL, turn);
	LOG_SEED();
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(here), &here));
	pid = child_start(12 * DEADLINE);
	if (!pid)
		write_and_leave(&self->e, turn, times);
	for (i = 1; i <= times; i++) {
		__s64 until = now_ms() + DEADLINE * 1000;
		long had = 0, n;

		self->r = OPEN(O_RDONLY | O_NONBLOCK);
		__atomic_store_n(turn, i, __ATOMIC_SEQ_CST);
		do {
			ended = i & 1 ? poll_now(self->r, POLLIN) == POLLHUP : 0;
			n = res(read(self->r, &c, 1));
			had += n > 0 ? n : 0;
			ASSERT_TRUE(!ended || !n) {
				TH_LOG("round %d: poll says the end, read %ld",
				       i, n);
			}
		} while (n && now_ms() < until);
		ASSERT_EQ(0, n);
		ASSERT_EQ(1, had) {
			TH_LOG("in round %d", i);
		}
		shut(&self->r);
	}
	EXPECT_EQ(0, child_end(pid));
	munmap(turn, sizeof(*turn));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
