// SPDX-License-Identifier: GPL-2.0
/*
 * O_NONBLOCK set or cleared while a call sleeps: the flag is read again each time the
 * call would sleep. The same tests run on a pipe, which is the reference.
 */
#include "vfifo_faults.h"
#include "vfifo_uring.h"

#define LARGE		81920	/* more than the capacity */
#define RUNNING		LONG_MIN

FIXTURE(flags)
{
	struct vfifo dev;
	int ends[2];		/* of the pipe */
	int in, out;		/* for the calls that sleep */
	int put, take;		/* others, with O_NONBLOCK */
	long cap;
	long *ret;		/* shared: what the child's call returned */
	pid_t pid;
	char *buf;		/* the start of the stream */
};

FIXTURE_VARIANT(flags)
{
	bool pipe;
	bool ioctl;		/* change the flag by FIONBIO */
};

FIXTURE_VARIANT_ADD(flags, pipe)
{
	.pipe = true,
};

FIXTURE_VARIANT_ADD(flags, device)
{
	.pipe = false,
};

FIXTURE_VARIANT_ADD(flags, device_fionbio)
{
	.ioctl = true,
};

FIXTURE_SETUP(flags)
{
	char path[32];

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	self->ret = shared(sizeof(*self->ret));
	ASSERT_NE(NULL, self->ret);
	self->buf = malloc(LARGE + self->cap);
	ASSERT_NE(NULL, self->buf);
	stream_fill(self->buf, LARGE + self->cap, 0);
	if (variant->pipe) {
		ASSERT_EQ(0, pipe2(self->ends, O_CLOEXEC));
		ASSERT_EQ(self->cap, fcntl(self->ends[1], F_SETPIPE_SZ,
					   self->cap));
		self->out = self->ends[0];
		self->in = self->ends[1];
		snprintf(path, sizeof(path), "/proc/self/fd/%d", self->out);
		self->put = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		self->take = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	} else {
		self->out = vfifo_open(O_RDONLY);
		self->in = vfifo_open(O_WRONLY);
		self->put = vfifo_open(O_WRONLY | O_NONBLOCK);
		self->take = vfifo_open(O_RDONLY | O_NONBLOCK);
	}
	ASSERT_TRUE(self->in >= 0 && self->out >= 0);
	ASSERT_TRUE(self->put >= 0 && self->take >= 0);
}

FIXTURE_TEARDOWN(flags)
{
	child_kill(&self->pid);
	close(self->in);
	close(self->out);
	close(self->put);
	close(self->take);
	munmap(self->ret, sizeof(*self->ret));
	free(self->buf);
	vfifo_teardown(&self->dev);
}

/* Changes the flag through another descriptor of the same open file. */
static bool set_nonblock(int fd, bool by_ioctl, bool on)
{
	int copy = dup(fd), flags = fcntl(fd, F_GETFL), value = on, ret;

	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	ret = by_ioctl ? ioctl(copy, FIONBIO, &value) :
			 fcntl(copy, F_SETFL, flags);
	close(copy);
	return !ret && !(fcntl(fd, F_GETFL) & O_NONBLOCK) == !on;
}

#define SET_NONBLOCK(fd, on)						\
	ASSERT_TRUE(set_nonblock(fd, variant->ioctl, on))

/* Starts a child whose call sleeps, and waits until it does. */
#define START(call) do {						\
	*self->ret = RUNNING;						\
	self->pid = child_start(6 * DEADLINE);				\
	if (!self->pid) {						\
		__atomic_store_n(self->ret, res(call), __ATOMIC_SEQ_CST); \
		_exit(0);						\
	}								\
	ASSERT_TRUE(child_sleeps(self->pid));				\
	ASSERT_EQ(RUNNING, *self->ret);					\
} while (0)

/* Whether the child's call has returned. */
static bool returned(pid_t *pid)
{
	if (!eventually(child_state(*pid) == 'Z'))
		return false;
	child_end(*pid);
	*pid = 0;
	return true;
}

#define EXPECT_RETURNS(value) do {					\
	EXPECT_TRUE(returned(&self->pid)) {				\
		TH_LOG("the call still sleeps");			\
	}								\
	EXPECT_EQ((long)(value), *self->ret);				\
} while (0)

static bool fill(int fd, const char *buf, long len)
{
	return res(write(fd, buf, len)) == len;
}

static bool drain(int fd, long len, __u64 pos)
{
	char *buf = malloc(len);
	long done = 0, n;
	bool same;

	while (done < len && (n = read(fd, buf + done, len - done)) > 0)
		done += n;
	same = done == len && stream_equal(buf, len, pos);
	free(buf);
	return same;
}

TEST_F(flags, set_before_the_call)
{
	char tmp[100];

	SET_NONBLOCK(self->out, true);
	SET_NONBLOCK(self->in, true);
	EXPECT_EQ(-EAGAIN, res(read(self->out, tmp, sizeof(tmp))));
	EXPECT_EQ(self->cap, res(write(self->in, self->buf, LARGE)));
	EXPECT_EQ(-EAGAIN, res(write(self->in, self->buf, LARGE)));
	EXPECT_EQ(-EAGAIN, res(write(self->in, self->buf, 1)));
	EXPECT_TRUE(drain(self->take, self->cap, 0));
}

/* The rest does not fit: the call returns what it has written. */
TEST_F(flags, sleeping_write_ends_early)
{
	START(write(self->in, self->buf, LARGE));
	SET_NONBLOCK(self->in, true);
	EXPECT_TRUE(drain(self->take, PIPE_BUF, 0));
	EXPECT_RETURNS(self->cap + PIPE_BUF);
	EXPECT_TRUE(drain(self->take, self->cap, PIPE_BUF));
	EXPECT_EQ(-EAGAIN, res(read(self->take, self->buf, 1)));
}

TEST_F(flags, sleeping_writev_ends_early)
{
	struct iovec iov[3] = {
		{ self->buf, 10000 }, { self->buf + 10000, 60000 },
		{ self->buf + 70000, LARGE - 70000 },
	};

	START(writev(self->in, iov, 3));
	SET_NONBLOCK(self->in, true);
	EXPECT_TRUE(drain(self->take, PIPE_BUF, 0));
	EXPECT_RETURNS(self->cap + PIPE_BUF);
	EXPECT_TRUE(drain(self->take, self->cap, PIPE_BUF));
}

/* The rest fits: the call need not sleep again. */
TEST_F(flags, sleeping_write_that_fits_is_whole)
{
	char *got = malloc(self->cap);
	long n;

	START(write(self->in, self->buf, LARGE));
	SET_NONBLOCK(self->in, true);
	n = res(read(self->take, got, self->cap));
	EXPECT_LE(LARGE - self->cap, n);
	EXPECT_TRUE(stream_equal(got, n, 0));
	EXPECT_TRUE(returned(&self->pid));
	/* A read gives room back in parts, and the writer may see only the first part. */
	EXPECT_GE(LARGE, *self->ret);
	EXPECT_LE(variant->pipe ? LARGE : self->cap + PIPE_BUF, *self->ret);
	EXPECT_TRUE(drain(self->take, *self->ret - n, n));
	free(got);
}

/* Only the flag at the time when the call would sleep again counts. */
TEST_F(flags, set_and_cleared_again)
{
	char *got = malloc(LARGE);
	__s64 until = now_ms() + DEADLINE * 1000;
	long done = 0, n;

	START(write(self->in, self->buf, LARGE));
	SET_NONBLOCK(self->in, true);
	SET_NONBLOCK(self->in, false);
	while (done < LARGE && now_ms() < until) {
		n = res(read(self->take, got + done, 1000));
		ASSERT_TRUE(n > 0 || n == -EAGAIN);
		done += n > 0 ? n : 0;
	}
	EXPECT_EQ(LARGE, done);
	EXPECT_TRUE(stream_equal(got, done, 0));
	EXPECT_RETURNS(LARGE);
	free(got);
}

/* Changing the flag does not wake a sleeper. */
TEST_F(flags, sleepers_are_not_woken_by_it)
{
	char tmp[10];

	START(read(self->out, tmp, sizeof(tmp)));
	SET_NONBLOCK(self->out, true);
	EXPECT_TRUE(child_sleeps(self->pid));
	EXPECT_EQ(RUNNING, *self->ret);
	EXPECT_TRUE(fill(self->put, self->buf, 1));
	EXPECT_RETURNS(1);

	SET_NONBLOCK(self->in, false);
	ASSERT_TRUE(fill(self->put, self->buf, self->cap));
	START(write(self->in, self->buf + self->cap, PIPE_BUF));
	SET_NONBLOCK(self->in, true);
	EXPECT_TRUE(child_sleeps(self->pid));
	EXPECT_EQ(RUNNING, *self->ret);
	EXPECT_TRUE(drain(self->take, PIPE_BUF, 0));
	EXPECT_RETURNS(PIPE_BUF);
	EXPECT_TRUE(drain(self->take, self->cap, PIPE_BUF));
}

/* A call that is restarted after a stop sees the new flag. */
TEST_F(flags, stopped_and_continued)
{
	char tmp[10];

	START(read(self->out, tmp, sizeof(tmp)));
	SET_NONBLOCK(self->out, true);
	kill(self->pid, SIGSTOP);
	EXPECT_TRUE(eventually(child_state(self->pid) == 'T'));
	EXPECT_EQ(RUNNING, *self->ret);
	kill(self->pid, SIGCONT);
	EXPECT_RETURNS(-EAGAIN);

	ASSERT_TRUE(fill(self->put, self->buf, self->cap));
	START(write(self->in, self->buf, PIPE_BUF));
	SET_NONBLOCK(self->in, true);
	kill(self->pid, SIGSTOP);
	EXPECT_TRUE(eventually(child_state(self->pid) == 'T'));
	kill(self->pid, SIGCONT);
	EXPECT_RETURNS(-EAGAIN);
	EXPECT_TRUE(drain(self->take, self->cap, 0));
}

/*
 * A sleeper that was woken would sleep again if another process was faster. Here a page
 * fault stops it just before that. The device holds no lock during a fault, so others
 * can take what it was woken for. A pipe holds its mutex, so this cannot be done there.
 */
FIXTURE(flags_late)
{
	struct vfifo dev;
	int fd;
	struct faulty f;
	long *ret;
};

FIXTURE_VARIANT(flags_late)
{
	bool pieces;
};

FIXTURE_VARIANT_ADD(flags_late, read_write)
{
	.pieces = false,
};

FIXTURE_VARIANT_ADD(flags_late, readv_writev)
{
	.pieces = true,
};

FIXTURE_SETUP(flags_late)
{
	const char *why;

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_TRUE(faulty_begin(&self->f));
	self->ret = shared(sizeof(*self->ret));
	ASSERT_NE(NULL, self->ret);
	*self->ret = RUNNING;
	why = no_userfaultfd(self->f.memory, PAGES * self->f.page);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(flags_late)
{
	faulty_end(&self->f);
	munmap(self->ret, sizeof(*self->ret));
	close(self->fd);
	vfifo_teardown(&self->dev);
}

TEST_F_TIMEOUT(flags_late, reader_that_lost_its_byte, 60)
{
	long sleeps = attr_get("stats/reader_sleeps");

	if (!faulty_start(&self->f, 0)) {
		*self->ret = res(transfer(variant->pieces, false, self->fd,
					  self->f.memory, 100));
		_exit(0);
	}
	ASSERT_LE(0, self->f.monitor);
	ASSERT_TRUE(eventually(attr_get("stats/reader_sleeps") > sleeps));
	ASSERT_TRUE(child_sleeps(self->f.pid));
	ASSERT_TRUE(set_nonblock(self->fd, false, true));
	ASSERT_TRUE(put(&self->dev, 1, 0));
	ASSERT_NE(0UL, fault_met(self->f.monitor));
	ASSERT_TRUE(get(&self->dev, 1, 0));
	EXPECT_EQ(0, give_all(&self->f, 0)) {
		TH_LOG("the read sleeps again");
	}
	EXPECT_EQ(-EAGAIN, *self->ret);
}

TEST_F_TIMEOUT(flags_late, writer_that_lost_its_room, 60)
{
	long sleeps = attr_get("stats/writer_sleeps"), cap = self->dev.capacity;

	ASSERT_TRUE(put(&self->dev, cap, 0));
	if (!faulty_start(&self->f, 0)) {
		*self->ret = res(transfer(variant->pieces, true, self->fd,
					  self->f.memory, PIPE_BUF));
		_exit(0);
	}
	ASSERT_LE(0, self->f.monitor);
	ASSERT_TRUE(eventually(attr_get("stats/writer_sleeps") > sleeps));
	ASSERT_TRUE(child_sleeps(self->f.pid));
	ASSERT_TRUE(set_nonblock(self->fd, false, true));
	ASSERT_TRUE(get(&self->dev, PIPE_BUF, 0));
	ASSERT_NE(0UL, fault_met(self->f.monitor));
	ASSERT_TRUE(put(&self->dev, PIPE_BUF, cap));
	EXPECT_EQ(0, give_all(&self->f, 0)) {
		TH_LOG("the write sleeps again");
	}
	EXPECT_EQ(-EAGAIN, *self->ret);
	EXPECT_TRUE(get(&self->dev, cap, PIPE_BUF));
	EXPECT_EQ(0, queued(self->fd));
}

/* A request of io_uring waits by polling, whatever the flag. */
TEST_F(flags_late, io_uring_is_not_affected)
{
	long cap = self->dev.capacity;
	char *buf = malloc(cap), tmp[10];
	struct ring ring;
	int ret;

	stream_fill(buf, cap, cap);
	ret = ring_open(&ring);
	if (access("/proc/sys/kernel/io_uring_disabled", F_OK) || ret == -EPERM)
		SKIP(return, "no io_uring");
	ASSERT_EQ(0, ret);
	ASSERT_TRUE(put(&self->dev, cap, 0));
	prepare(&ring, IORING_OP_WRITE, self->fd, buf, PIPE_BUF, 1);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(0, completions(&ring));
	ASSERT_TRUE(set_nonblock(self->fd, false, true));
	EXPECT_EQ(0, completions(&ring));
	EXPECT_TRUE(get(&self->dev, cap, 0));
	EXPECT_EQ(PIPE_BUF, completion(&ring, NULL, NULL));
	EXPECT_TRUE(get(&self->dev, PIPE_BUF, cap));

	/* A later request waits as well, as it does on a pipe. */
	prepare(&ring, IORING_OP_READ, self->fd, tmp, sizeof(tmp), 2);
	ASSERT_TRUE(submit(&ring));
	EXPECT_EQ(0, completions(&ring));
	EXPECT_TRUE(put(&self->dev, 1, 0));
	EXPECT_EQ(1, completion(&ring, NULL, NULL));
	ring_close(&ring);
	free(buf);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
