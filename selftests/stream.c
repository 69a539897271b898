// SPDX-License-Identifier: GPL-2.0
/*
 * The byte stream: read(2), write(2) and poll(2) on a vfifo keep the promises of
 * pipe(7).
 */
#include <poll.h>
#include <sched.h>
#include <sys/uio.h>

#include "vfifo_test.h"

FIXTURE(stream)
{
	struct vfifo dev;
	int fd;			/* one that blocks */
	char *buf;		/* 4 × capacity */
};

FIXTURE_SETUP(stream)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->buf = malloc(4 * self->dev.capacity);
	ASSERT_NE(NULL, self->buf);
	stream_fill(self->buf, 4 * self->dev.capacity, 0);
}

FIXTURE_TEARDOWN(stream)
{
	free(self->buf);
	close(self->fd);
	vfifo_teardown(&self->dev);
}

static short poll_now(int fd)
{
	struct pollfd p = {
		.fd = fd,
		.events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM,
	};

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

/* How often the signal below arrived; children share it. */
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

	/* The flag counts as it is at the call, not as it was at open. */
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

	/* It is the sum of the lengths that makes a write atomic. */
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
	EXPECT_TRUE(get(&self->dev, 100, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(get(&self->dev, cap, 100));
}

/* A small write waits for room for all of it, and shows nothing until then. */
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

/* Bytes that are already queued can't be taken back, restart or not. */
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

/* One write that is enough for all of them must not wake only the first. */
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
	EXPECT_EQ(PIPE_BUF, res(read(self->fd, self->buf, PIPE_BUF)));
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	EXPECT_EQ(cap - PIPE_BUF + SLEEPERS, queued(self->fd));
}

/* Room for the second but not for the first: neither hides the other. */
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

TEST_F(stream, poll_bits)
{
	const short in = POLLIN | POLLRDNORM, out = POLLOUT | POLLWRNORM;
	long cap = self->dev.capacity;

	EXPECT_EQ(out, poll_now(self->fd));
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_EQ(in | out, poll_now(self->fd));
	ASSERT_TRUE(put(&self->dev, cap - PIPE_BUF - 1, 1));
	EXPECT_EQ(in | out, poll_now(self->fd));
	ASSERT_TRUE(put(&self->dev, 1, cap - PIPE_BUF));
	EXPECT_EQ(in, poll_now(self->fd));
	ASSERT_TRUE(put(&self->dev, PIPE_BUF - 1, cap - PIPE_BUF + 1));
	EXPECT_EQ(in, poll_now(self->fd));
	ASSERT_TRUE(get(&self->dev, PIPE_BUF, 0));
	EXPECT_EQ(in | out, poll_now(self->fd));
	ASSERT_TRUE(get(&self->dev, cap - PIPE_BUF, PIPE_BUF));
	EXPECT_EQ(out, poll_now(self->fd));
}

/* There is always one of both: bytes, or room. */
TEST_F_TIMEOUT(stream, poll_bits_are_of_one_moment, 60)
{
	const struct sched_param first = { .sched_priority = 1 };
	int *done = shared(sizeof(*done)), i, none = 0;
	cpu_set_t cpu;
	pid_t pid;
	char c = 0;

	ASSERT_NE(NULL, done);
	/* With so little, a byte is all the difference between them. */
	ASSERT_EQ(0, attr_set("capacity", PIPE_BUF));
	/* It comes and goes in the midst of what this one does. */
	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));
	pid = child_start(60);
	if (!pid) {
		sched_setscheduler(0, SCHED_FIFO, &first);
		for (i = 0; i < 20000; i++) {
			usleep(1 + i % 97);
			if (i % 2 ? read(self->dev.fd, &c, 1) != 1 :
				    write(self->dev.fd, &c, 1) != 1)
				_exit(1);
		}
		__atomic_store_n(done, 1, __ATOMIC_SEQ_CST);
		_exit(0);
	}
	while (!__atomic_load_n(done, __ATOMIC_SEQ_CST) && child_state(pid) != 'Z')
		for (i = 0; i < 100; i++)
			none += !poll_now(self->fd);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, none);
}

TEST_F(stream, poll_wakes_reader)
{
	pid_t pid = child_start(DEADLINE);

	if (!pid) {
		struct pollfd p = { .fd = self->fd, .events = POLLIN };

		EXPECT_EQ(1, poll(&p, 1, -1));
		EXPECT_EQ(POLLIN, p.revents);
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(1, res(write(self->fd, "x", 1)));
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(stream, poll_wakes_writer)
{
	long cap = self->dev.capacity;
	pid_t pid;

	ASSERT_TRUE(put(&self->dev, cap, 0));
	pid = child_start(DEADLINE);
	if (!pid) {
		struct pollfd p = { .fd = self->fd, .events = POLLOUT };

		EXPECT_EQ(1, poll(&p, 1, -1));
		EXPECT_EQ(POLLOUT, p.revents);
		EXPECT_GE(cap - PIPE_BUF, queued(self->fd));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	/* In two steps: the first leaves less room than poll promises. */
	EXPECT_TRUE(get(&self->dev, PIPE_BUF - 1, 0));
	EXPECT_TRUE(get(&self->dev, 1, PIPE_BUF - 1));
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(stream, write_fault)
{
	long page = self->dev.page, ret;
	char *p = half_mapped(page);

	ASSERT_NE(NULL, p);
	EXPECT_EQ(-EFAULT, res(write(self->fd, p + page, 10)));
	EXPECT_EQ(-EFAULT, res(write(self->fd, p + page, page)));
	EXPECT_EQ(0, queued(self->fd));

	/* The only case in which a write that is atomic is cut short. */
	stream_fill(p, page, 0);
	ret = res(write(self->fd, p + page - 100, 200));
	EXPECT_LE(1, ret);
	EXPECT_GE(100, ret);
	EXPECT_EQ(ret, queued(self->fd));
	EXPECT_TRUE(get(&self->dev, ret, page - 100));
	EXPECT_EQ(0, queued(self->fd));

	/* Too long to be atomic: the good bytes count. */
	ret = res(write(self->fd, p, 2 * page));
	EXPECT_LE(1, ret);
	EXPECT_GE(page, ret);
	EXPECT_EQ(ret, queued(self->fd));
	EXPECT_TRUE(get(&self->dev, ret, 0));
	munmap(p, 2 * page);
}

/* The rest, which it can't read, waits for no room. */
TEST_F_TIMEOUT(stream, write_fault_ends_it, 60)
{
	enum { GOOD = 100, OTHERS = 3000, ROUNDS = 300 };
	long page = self->dev.page, *wrote = shared(sizeof(*wrote));
	char *p = half_mapped(page);
	long seen = 0, ret, i, round;
	pid_t faults, others;

	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, wrote);
	ASSERT_EQ(0, attr_set("capacity", PIPE_BUF));
	memset(p, 'f', page);
	faults = child_start(60);
	if (!faults) {
		while ((ret = write(self->fd, p + page - GOOD, PIPE_BUF)) > 0)
			__atomic_add_fetch(wrote, ret, __ATOMIC_SEQ_CST);
		_exit(1);
	}
	/* Fits beside the good part, and then the rest does not. */
	others = child_start(60);
	if (!others) {
		memset(self->buf, 'o', OTHERS);
		for (;;)
			if (write(self->dev.fd, self->buf, OTHERS) < 0 &&
			    errno != EAGAIN)
				_exit(1);
	}
	for (round = 0; round < ROUNDS; round++) {
		/* With anything queued it has to wait with its next write. */
		ASSERT_TRUE(eventually(queued(self->dev.fd) &&
				       child_asleep(faults)));
		ret = __atomic_load_n(wrote, __ATOMIC_SEQ_CST);
		i = read(self->dev.fd, self->buf, PIPE_BUF);
		ASSERT_LT(0, i);
		while (i--)
			seen += self->buf[i] == 'f';
		ASSERT_EQ(ret, seen);
	}
	EXPECT_LT(0, seen);
	kill(faults, SIGKILL);
	kill(others, SIGKILL);
	child_end(faults);
	child_end(others);
	munmap(p, 2 * page);
}

TEST_F(stream, read_fault)
{
	long page = self->dev.page, ret;
	char *p = half_mapped(page);

	ASSERT_NE(NULL, p);
	ASSERT_TRUE(put(&self->dev, 200, 0));
	EXPECT_EQ(-EFAULT, res(read(self->fd, p + page, 10)));
	EXPECT_EQ(200, queued(self->fd));

	ret = res(read(self->fd, p + page - 100, 200));
	EXPECT_LE(1, ret);
	EXPECT_GE(100, ret);
	EXPECT_EQ(200 - ret, queued(self->fd));
	EXPECT_TRUE(stream_equal(p + page - 100, ret, 0));
	EXPECT_TRUE(get(&self->dev, 200 - ret, ret));
	munmap(p, 2 * page);
}

/* A byte or a few at a time, through every offset of the buffer. */
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

/* Random reads and writes, against two counters that say what must happen. */
TEST_F_TIMEOUT(stream, model, 60)
{
	long cap = self->dev.capacity, want, len, got, used, left;
	__u64 state = vfifo_seed, head = 0, tail = 0;
	int i;

	LOG_SEED();
	for (i = 0; i < 20000; i++) {
		/* Small, around PIPE_BUF, or anything that may be too much. */
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

/* One call writes many times what fits, another process reads as it likes. */
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

/* Many writers and readers at once: no record lost, doubled, torn or late. */

#define WRITERS	4
#define READERS	3
#define RECORDS	1000		/* of each writer */

struct record {
	__u64 sum;		/* of all that follows */
	__u32 writer;
	__u32 number;
	__u8 payload[];
};

struct tally {
	int tickets;		/* records that no reader has claimed yet */
	int seen[WRITERS][RECORDS];
};

FIXTURE(records)
{
	struct vfifo dev;
	struct tally *tally;
	long len;		/* of every record */
};

FIXTURE_VARIANT(records)
{
	bool polls;
};

FIXTURE_VARIANT_ADD(records, blocking)
{
	.polls = false,
};

FIXTURE_VARIANT_ADD(records, polling)
{
	.polls = true,
};

FIXTURE_SETUP(records)
{
	__u64 state = vfifo_seed;

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->tally = shared(sizeof(*self->tally));
	ASSERT_NE(NULL, self->tally);
	self->tally->tickets = WRITERS * RECORDS;
	/* Up to what is atomic, and odd so that records straddle the wrap. */
	self->len = (64 + rnd(&state) % (PIPE_BUF - 64)) | 1;
}

FIXTURE_TEARDOWN(records)
{
	munmap(self->tally, sizeof(*self->tally));
	vfifo_teardown(&self->dev);
}

static __u64 record_sum(const struct record *rec, long len)
{
	const __u8 *p = (const __u8 *)rec;
	__u64 sum = vfifo_seed;
	long i;

	for (i = sizeof(rec->sum); i < len; i++)
		sum = (sum ^ p[i]) * 0x100000001b3ULL;
	return sum;
}

/* A read or a write, which waits with poll() if the descriptor doesn't block. */
static long transfer(int fd, bool out, void *buf, long len)
{
	struct pollfd p = { .fd = fd, .events = out ? POLLOUT : POLLIN };
	long ret;

	for (;;) {
		ret = res(out ? write(fd, buf, len) : read(fd, buf, len));
		if (ret != -EAGAIN)
			return ret;
		if (poll(&p, 1, -1) < 0)
			return -errno;
	}
}

TEST_F_TIMEOUT(records, integrity, 60)
{
	int flags = variant->polls ? O_NONBLOCK : 0;
	pid_t pid[WRITERS + READERS];
	int i, j;

	LOG_SEED();
	for (i = 0; i < WRITERS + READERS; i++) {
		bool out = i < WRITERS;
		long last[WRITERS];
		struct record *rec;
		int fd;

		pid[i] = child_start(5 * DEADLINE);
		ASSERT_LE(0, pid[i]);
		if (pid[i])
			continue;

		fd = vfifo_open(flags | (out ? O_WRONLY : O_RDONLY));
		EXPECT_LE(0, fd);
		rec = malloc(self->len);
		for (j = 0; out && j < RECORDS; j++) {
			rec->writer = i;
			rec->number = j;
			stream_fill(rec->payload, self->len - sizeof(*rec),
				    ((__u64)i << 32) + j * PIPE_BUF);
			rec->sum = record_sum(rec, self->len);
			EXPECT_EQ(self->len,
				  transfer(fd, true, rec, self->len)) {
				_exit(1);
			}
		}
		for (j = 0; j < WRITERS; j++)
			last[j] = -1;
		while (!out && __atomic_fetch_sub(&self->tally->tickets, 1,
						  __ATOMIC_RELAXED) > 0) {
			EXPECT_EQ(self->len,
				  transfer(fd, false, rec, self->len)) {
				_exit(1);
			}
			EXPECT_EQ(record_sum(rec, self->len), rec->sum) {
				_exit(1);
			}
			EXPECT_GT(WRITERS, (int)rec->writer) {
				_exit(1);
			}
			EXPECT_LT(last[rec->writer], (long)rec->number) {
				_exit(1);
			}
			last[rec->writer] = rec->number;
			__atomic_add_fetch(&self->tally->seen[rec->writer]
					   [rec->number % RECORDS], 1,
					   __ATOMIC_RELAXED);
		}
		_exit(0);
	}

	for (i = 0; i < WRITERS + READERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	for (i = 0; i < WRITERS; i++) {
		for (j = 0; j < RECORDS; j++) {
			ASSERT_EQ(1, self->tally->seen[i][j]) {
				TH_LOG("writer %d, record %d", i, j);
			}
		}
	}
	EXPECT_EQ(0, queued(self->dev.fd));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
