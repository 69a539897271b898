// SPDX-License-Identifier: GPL-2.0
/*
 * The byte stream: read(2) and write(2) on a vfifo behave as pipe(7) promises.
 */
#include <sys/uio.h>

#include "vfifo_stream.h"

/* How many times SIGUSR1 arrived; shared with children. */
static int *hits;

static void on_usr1(int sig __always_unused)
{
	__atomic_add_fetch(hits, 1, __ATOMIC_SEQ_CST);
}

static int catch_usr1(int flags)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = flags };

	hits = shared(sizeof(*hits));
	return hits ? sigaction(SIGUSR1, &sa, NULL) : -1;
}

static bool usr1_arrived(void)
{
	return eventually(__atomic_load_n(hits, __ATOMIC_SEQ_CST) > 0);
}

TEST_F(stream, nonblock_read_of_empty)
{
	char c;

	EXPECT_EQ(-EAGAIN, res(read(self->dev.fd, &c, 1)));

	/* The flag is evaluated at the call, not at open. */
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, res(read(self->fd, &c, 1)));
}

TEST_F(stream, read_takes_what_is_there)
{
	char buf[200];

	ASSERT_TRUE(put(&self->dev, 100, 0));
	EXPECT_EQ(30, read(self->fd, buf, 30));
	EXPECT_TRUE(stream_equal(buf, 30, 0));
	EXPECT_EQ(70, read(self->fd, buf, sizeof(buf)));
	EXPECT_TRUE(stream_equal(buf, 70, 30));
	EXPECT_EQ(0, queued(self->fd));
}

TEST_F(stream, zero_length)
{
	EXPECT_EQ(0, res(read(self->fd, self->buf, 0)));
	EXPECT_EQ(0, res(write(self->fd, self->buf, 0)));
	EXPECT_EQ(0, queued(self->fd));

	ASSERT_TRUE(put(&self->dev, self->dev.capacity, 0));
	EXPECT_EQ(0, res(read(self->fd, self->buf, 0)));
	EXPECT_EQ(0, res(write(self->fd, self->buf, 0)));
	EXPECT_EQ(self->dev.capacity, queued(self->fd));
}

TEST_F(stream, access_mode)
{
	int r = vfifo_open(O_RDONLY), w = vfifo_open(O_WRONLY);
	char c = 'x';

	ASSERT_LE(0, r);
	ASSERT_LE(0, w);
	EXPECT_EQ(1, res(write(w, &c, 1)));
	EXPECT_EQ(-EBADF, res(read(w, &c, 1)));
	EXPECT_EQ(-EBADF, res(write(r, &c, 1)));
	EXPECT_EQ(1, res(read(r, &c, 1)));
	close(r);
	close(w);
	EXPECT_EQ(-EINVAL, res(vfifo_open(O_RDWR | O_DIRECT)));
}

TEST_F(stream, no_position)
{
	char c = 'x';

	EXPECT_EQ(-ESPIPE, res(lseek(self->fd, 0, SEEK_SET)));
	EXPECT_EQ(-ESPIPE, res(lseek(self->fd, 0, SEEK_CUR)));
	EXPECT_EQ(-ESPIPE, res(lseek(self->fd, 0, SEEK_END)));
	EXPECT_EQ(-ESPIPE, res(pwrite(self->fd, &c, 1, 0)));
	EXPECT_EQ(0, queued(self->fd));
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_EQ(-ESPIPE, res(pread(self->fd, &c, 1, 0)));
	EXPECT_EQ(1, queued(self->fd));
}

TEST_F(stream, fionread)
{
	EXPECT_EQ(0, queued(self->fd));
	ASSERT_TRUE(put(&self->dev, 12345, 0));
	EXPECT_EQ(12345, queued(self->fd));
	ASSERT_TRUE(get(&self->dev, 345, 0));
	EXPECT_EQ(12000, queued(self->fd));
	EXPECT_EQ(-EFAULT, res(ioctl(self->fd, FIONREAD, NULL)));
}

TEST_F(stream, vectors)
{
	char a[3], b[1], c[100], d[PIPE_BUF];
	struct iovec in[] = { { a, 3 }, { NULL, 0 }, { b, 1 }, { c, 100 } };
	struct iovec out[] = { { d, PIPE_BUF - 50 }, { c, 51 } };

	stream_fill(a, 3, 0);
	stream_fill(b, 1, 3);
	stream_fill(c, 100, 4);
	EXPECT_EQ(104, res(writev(self->fd, in, 4)));
	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	memset(c, 0, sizeof(c));
	EXPECT_EQ(104, res(readv(self->fd, in, 4)));
	EXPECT_TRUE(stream_equal(a, 3, 0));
	EXPECT_TRUE(stream_equal(b, 1, 3));
	EXPECT_TRUE(stream_equal(c, 100, 4));

	/* The sum of the lengths decides whether a write is atomic. */
	ASSERT_TRUE(put(&self->dev, self->dev.capacity - PIPE_BUF + 10, 0));
	memset(d, 'd', sizeof(d));
	EXPECT_EQ(PIPE_BUF - 10, res(writev(self->dev.fd, out, 2)));
	ASSERT_EQ(self->dev.capacity, queued(self->fd));
	ASSERT_TRUE(get(&self->dev, 20, 0));
	out[0].iov_len = 10;
	out[1].iov_len = 11;
	EXPECT_EQ(-EAGAIN, res(writev(self->dev.fd, out, 2)));
	out[1].iov_len = 10;
	EXPECT_EQ(20, res(writev(self->dev.fd, out, 2)));
}

TEST_F(stream, nonblock_small_write_is_all_or_nothing)
{
	long room;

	for (room = 0; room <= PIPE_BUF; room += 512) {
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		ASSERT_TRUE(put(&self->dev, self->dev.capacity - room, 0));
		if (room < PIPE_BUF) {
			EXPECT_EQ(-EAGAIN, res(write(self->dev.fd, self->buf,
						     PIPE_BUF)));
			EXPECT_EQ(-EAGAIN, res(write(self->dev.fd, self->buf,
						     room + 1)));
			EXPECT_EQ(self->dev.capacity - room, queued(self->fd));
		}
		if (room) {
			EXPECT_EQ(room, res(write(self->dev.fd, self->buf,
						  room)));
		}
		EXPECT_EQ(self->dev.capacity, queued(self->fd));
	}
}

TEST_F(stream, nonblock_large_write_takes_what_fits)
{
	long cap = self->dev.capacity;

	EXPECT_EQ(cap, res(write(self->dev.fd, self->buf, cap + 1)));
	EXPECT_EQ(-EAGAIN, res(write(self->dev.fd, self->buf, cap)));
	EXPECT_TRUE(get(&self->dev, 100, 0));
	EXPECT_EQ(100, res(write(self->dev.fd, self->buf + cap, PIPE_BUF + 1)));
	EXPECT_EQ(cap, queued(self->fd));
	EXPECT_TRUE(get(&self->dev, cap, 100));
}

TEST_F(stream, read_sleeps_until_a_byte)
{
	pid_t pid = child_start(DEADLINE);

	if (!pid) {
		char buf[100];

		EXPECT_EQ(1, res(read(self->fd, buf, sizeof(buf))));
		EXPECT_EQ('x', buf[0]);
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(1, res(write(self->fd, "x", 1)));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, queued(self->fd));
}

TEST_F(stream, write_sleeps_while_full)
{
	long cap = self->dev.capacity;
	pid_t pid;

	ASSERT_TRUE(put(&self->dev, cap, 0));
	pid = child_start(DEADLINE);
	if (!pid) {
		EXPECT_EQ(100, res(write(self->fd, self->buf + cap, 100)));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(cap, queued(self->fd));
	/* It is not woken as soon as it fits. */
	EXPECT_TRUE(get(&self->dev, PIPE_BUF - 1, 0));
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(cap - PIPE_BUF + 1, queued(self->fd));
	EXPECT_TRUE(get(&self->dev, 1, PIPE_BUF - 1));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(get(&self->dev, cap - PIPE_BUF + 100, PIPE_BUF));
}

/* A small write sleeps until all of it fits, and queues nothing before that. */
TEST_F(stream, blocking_small_write_is_atomic)
{
	long used = self->dev.capacity - PIPE_BUF + 1;
	pid_t pid;

	ASSERT_TRUE(put(&self->dev, used, 0));
	pid = child_start(DEADLINE);
	if (!pid) {
		EXPECT_EQ(PIPE_BUF, res(write(self->fd, self->buf + used,
					      PIPE_BUF)));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(used, queued(self->fd));
	EXPECT_TRUE(get(&self->dev, 1, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(get(&self->dev, self->dev.capacity, 1));
}

TEST_F(stream, signal_interrupts_read)
{
	pid_t pid;

	ASSERT_EQ(0, catch_usr1(0));
	pid = child_start(DEADLINE);
	if (!pid) {
		char c;

		EXPECT_EQ(-EINTR, res(read(self->fd, &c, 1)));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(stream, signal_restarts_read)
{
	pid_t pid;

	ASSERT_EQ(0, catch_usr1(SA_RESTART));
	pid = child_start(DEADLINE);
	if (!pid) {
		char c;

		EXPECT_EQ(1, res(read(self->fd, &c, 1)));
		EXPECT_EQ('x', c);
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	kill(pid, SIGUSR1);
	EXPECT_TRUE(usr1_arrived());
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(1, res(write(self->fd, "x", 1)));
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(stream, signal_interrupts_write)
{
	long used = self->dev.capacity - 100;
	pid_t pid;

	ASSERT_TRUE(put(&self->dev, used, 0));
	ASSERT_EQ(0, catch_usr1(0));
	pid = child_start(DEADLINE);
	if (!pid) {
		EXPECT_EQ(-EINTR, res(write(self->fd, self->buf, 101)));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(used, queued(self->fd));
}

/* Bytes already queued cannot be taken back, SA_RESTART or not. */
TEST_F(stream, signal_ends_large_write_early)
{
	long cap = self->dev.capacity;
	pid_t pid;

	ASSERT_EQ(0, catch_usr1(SA_RESTART));
	pid = child_start(DEADLINE);
	if (!pid) {
		EXPECT_EQ(cap, res(write(self->fd, self->buf, 2 * cap)));
		_exit(0);
	}
	EXPECT_TRUE(eventually(queued(self->fd) == cap));
	EXPECT_TRUE(child_sleeps(pid));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(get(&self->dev, cap, 0));
	EXPECT_EQ(0, queued(self->fd));
}

TEST_F(stream, killed_sleepers_leave_nothing)
{
	long cap = self->dev.capacity;
	pid_t pid;
	char c;

	pid = child_start(DEADLINE);
	if (!pid)
		_exit(read(self->fd, &c, 1) != 1);
	EXPECT_TRUE(child_sleeps(pid));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));

	ASSERT_TRUE(put(&self->dev, cap, 0));
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(write(self->fd, self->buf, 1) != 1);
	EXPECT_TRUE(child_sleeps(pid));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));

	EXPECT_TRUE(get(&self->dev, cap, 0));
	EXPECT_EQ(0, queued(self->fd));
	EXPECT_EQ(1, res(write(self->fd, "x", 1)));
	EXPECT_EQ(1, res(read(self->fd, &c, 1)));
}

#define SLEEPERS 4

/* One write that satisfies all readers must wake all of them. */
TEST_F(stream, every_sleeping_reader_is_woken)
{
	pid_t pid[SLEEPERS];
	char c;
	int i;

	for (i = 0; i < SLEEPERS; i++) {
		pid[i] = child_start(DEADLINE);
		if (!pid[i])
			_exit(read(self->fd, &c, 1) != 1);
	}
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_TRUE(child_sleeps(pid[i]));
	EXPECT_EQ(SLEEPERS, res(write(self->fd, self->buf, SLEEPERS)));
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	EXPECT_EQ(0, queued(self->fd));
}

/*
 * A reader that was woken cannot run before another one has taken the byte. It sleeps again,
 * and the next byte wakes it.
 */
TEST_F(stream, woken_reader_comes_too_late)
{
	pid_t pid;
	char c;

	ASSERT_TRUE(stay_here());
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(read(self->fd, &c, 1) != 1 || c != 'y');
	ASSERT_TRUE(child_sleeps(pid));
	if (!run_alone(true)) {
		child_kill(&pid);
		SKIP(return, "no real-time priority");
	}
	EXPECT_EQ(1, res(write(self->dev.fd, "x", 1)));
	EXPECT_EQ(1, res(read(self->dev.fd, &c, 1)));
	run_alone(false);
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(1, res(write(self->dev.fd, "y", 1)));
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(stream, every_sleeping_writer_is_woken)
{
	long cap = self->dev.capacity;
	pid_t pid[SLEEPERS];
	int i;

	ASSERT_TRUE(put(&self->dev, cap, 0));
	for (i = 0; i < SLEEPERS; i++) {
		pid[i] = child_start(DEADLINE);
		if (!pid[i])
			_exit(write(self->fd, "x", 1) != 1);
	}
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_TRUE(child_sleeps(pid[i]));
	/* Each is woken while there is room for PIPE_BUF bytes. */
	EXPECT_EQ(PIPE_BUF + SLEEPERS,
		  res(read(self->fd, self->buf, PIPE_BUF + SLEEPERS)));
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	EXPECT_EQ(cap - PIPE_BUF, queued(self->fd));
}

/*
 * Free space for the second writer but not for the first: the second must not
 * wait.
 */
TEST_F(stream, small_write_passes_a_waiting_large_one)
{
	long used = self->dev.capacity - 100;
	pid_t pid;

	ASSERT_TRUE(put(&self->dev, used, 0));
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(write(self->fd, self->buf, PIPE_BUF) != PIPE_BUF);
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(100, res(write(self->dev.fd, self->buf, 100)));
	EXPECT_EQ(used + 100, queued(self->fd));
	EXPECT_TRUE(get(&self->dev, used, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(100 + PIPE_BUF, queued(self->fd));
}

/* A few bytes at a time, through every offset of the buffer. */
TEST_F(stream, wraps_at_every_offset)
{
	long cap = self->dev.capacity, held = cap - 7, pos = 0, i;
	char buf[7];

	ASSERT_TRUE(put(&self->dev, held, 0));
	for (i = 0; i < cap + 7; i += 7) {
		stream_fill(buf, 7, pos + held);
		ASSERT_EQ(7, res(write(self->dev.fd, buf, 7)));
		ASSERT_EQ(-EAGAIN, res(write(self->dev.fd, buf, 1)));
		ASSERT_EQ(7, res(read(self->dev.fd, buf, 7)));
		ASSERT_TRUE(stream_equal(buf, 7, pos));
		pos += 7;
	}
	EXPECT_TRUE(get(&self->dev, held, pos));
}

/* Random reads and writes, checked against two counters. */
TEST_F_TIMEOUT(stream, model, 60)
{
	long cap = self->dev.capacity, want, len, got, used, left;
	__u64 state = vfifo_seed, head = 0, tail = 0;
	int i;

	LOG_SEED();
	for (i = 0; i < 20000; i++) {
		/*
		 * Small, around PIPE_BUF, or possibly larger than the capacity.
		 */
		switch (rnd(&state) % 4) {
		case 0:
			len = PIPE_BUF - 2 + rnd(&state) % 5;
			break;
		case 1:
			len = rnd(&state) % (cap + cap / 4);
			break;
		default:
			len = rnd(&state) % 600;
		}
		used = head - tail;
		left = cap - used;
		if (rnd(&state) % 2) {
			want = len;
			if (len > left)
				want = len <= PIPE_BUF || !left ? -EAGAIN : left;
			stream_fill(self->buf, len, head);
			got = res(write(self->dev.fd, self->buf, len));
			ASSERT_EQ(want, got) {
				TH_LOG("operation %d: write %ld, %ld queued",
				       i, len, used);
			}
			head += got > 0 ? got : 0;
		} else {
			want = len < used ? len : used;
			if (len && !used)
				want = -EAGAIN;
			got = res(read(self->dev.fd, self->buf, len));
			ASSERT_EQ(want, got) {
				TH_LOG("operation %d: read %ld, %ld queued",
				       i, len, used);
			}
			got = got > 0 ? got : 0;
			ASSERT_TRUE(stream_equal(self->buf, got, tail)) {
				TH_LOG("operation %d: read %ld at %llu", i, len,
				       (unsigned long long)tail);
			}
			tail += got;
		}
		ASSERT_EQ((long)(head - tail), queued(self->fd));
	}
}

/* One write of several times the capacity, read in random portions. */
TEST_F_TIMEOUT(stream, large_write, 60)
{
	long cap = self->dev.capacity, total = 4 * cap - 123, n;
	__u64 state = vfifo_seed, pos = 0;
	int round;
	pid_t pid;

	LOG_SEED();
	for (round = 0; round < 4; round++) {
		pid = child_start(5 * DEADLINE);
		if (!pid) {
			EXPECT_EQ(total, res(write(self->fd, self->buf, total)));
			_exit(0);
		}
		for (pos = 0; pos < (__u64)total; pos += n) {
			char buf[6000];
			long len = 1 + rnd(&state) % sizeof(buf);

			n = res(read(self->fd, buf, len));
			ASSERT_LE(1, n);
			ASSERT_TRUE(stream_equal(buf, n, pos));
		}
		EXPECT_EQ(total, (long)pos);
		EXPECT_EQ(0, child_end(pid));
		EXPECT_EQ(0, queued(self->fd));
	}
}

/* ---- RWF_NOWAIT ---- */

TEST_F(stream, nowait)
{
	struct iovec iov = { self->buf, 100 };
	long cap = self->cap;
	char tmp[100];
	struct iovec to = { tmp, sizeof(tmp) };

	EXPECT_EQ(-EAGAIN, res(preadv2(self->fd, &to, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(100, res(pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(100, res(preadv2(self->fd, &to, 1, -1, RWF_NOWAIT)));
	EXPECT_TRUE(stream_equal(tmp, 100, 0));

	ASSERT_TRUE(put(&self->dev, cap - 99, 0));
	EXPECT_EQ(-EAGAIN, res(pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(cap - 99, queued(self->fd));
	iov.iov_base = self->buf + cap - 99;
	iov.iov_len = PIPE_BUF + 1;
	EXPECT_EQ(99, res(pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(-EAGAIN, res(pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_TRUE(get(&self->dev, cap, 0));

	/* Flags and offsets that a stream does not support. */
	EXPECT_EQ(-ESPIPE, res(preadv2(self->fd, &to, 1, 0, RWF_NOWAIT)));
	EXPECT_EQ(-EOPNOTSUPP, res(preadv2(self->fd, &to, 1, -1, 0x40000000)));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
