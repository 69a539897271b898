// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring on a vfifo: a request that cannot complete at once waits by polling, and not
 * in a worker thread that sleeps.
 */
#include <poll.h>
#include <sys/uio.h>

#include "vfifo_uring.h"

FIXTURE(uring)
{
	struct vfifo dev;
	struct ring ring;
	long cap;
	int fd;			/* a blocking one */
	char *buf;		/* twice the capacity, of the stream */
};

FIXTURE_SETUP(uring)
{
	int ret;

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->buf = malloc(2 * self->cap);
	ASSERT_NE(NULL, self->buf);
	stream_fill(self->buf, 2 * self->cap, 0);
	ret = ring_begin(&self->ring);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no io_uring: needs CONFIG_IO_URING");
	if (ret == -EPERM)
		SKIP(return, "io_uring is disabled");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(uring)
{
	ring_close(&self->ring);
	free(self->buf);
	close(self->fd);
	vfifo_teardown(&self->dev);
}

TEST_F(uring, read_waits_without_a_worker)
{
	char tmp[100];

	prepare(&self->ring, IORING_OP_READ, self->fd, tmp, sizeof(tmp), 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	EXPECT_EQ(0, workers());
	/* Calls that add no bytes do not complete it. */
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	EXPECT_EQ(0, res(write(self->fd, tmp, 0)));
	EXPECT_EQ(0, completions(&self->ring));

	ASSERT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(10, completion(&self->ring, NULL, NULL));
	EXPECT_TRUE(stream_equal(tmp, 10, 0));
	EXPECT_EQ(0, completions(&self->ring));
	EXPECT_EQ(0, workers());
	EXPECT_EQ(0, queued(self->fd));

	/* With bytes queued, a read completes at once. */
	ASSERT_TRUE(put(&self->dev, 10, 10));
	prepare(&self->ring, IORING_OP_READ, self->fd, tmp, 5, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(1, completions(&self->ring));
	EXPECT_EQ(5, completion(&self->ring, NULL, NULL));
	EXPECT_TRUE(stream_equal(tmp, 5, 10));
	EXPECT_EQ(0, workers());
}

TEST_F(uring, write_waits_without_a_worker)
{
	long cap = self->cap;

	ASSERT_TRUE(put(&self->dev, cap, 0));
	prepare(&self->ring, IORING_OP_WRITE, self->fd, self->buf + cap,
		PIPE_BUF, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	EXPECT_EQ(0, workers());
	/* The write is atomic. */
	EXPECT_TRUE(get(&self->dev, PIPE_BUF - 1, 0));
	EXPECT_EQ(0, completions(&self->ring));
	EXPECT_EQ(cap - PIPE_BUF + 1, queued(self->fd));

	EXPECT_TRUE(get(&self->dev, 1, PIPE_BUF - 1));
	EXPECT_EQ(PIPE_BUF, completion(&self->ring, NULL, NULL));
	EXPECT_EQ(cap, queued(self->fd));
	EXPECT_EQ(0, workers());
	EXPECT_TRUE(get(&self->dev, cap, PIPE_BUF));
}

TEST_F(uring, large_write_takes_what_fits)
{
	ASSERT_TRUE(put(&self->dev, self->cap - 100, 0));
	prepare(&self->ring, IORING_OP_WRITE, self->fd,
		self->buf + self->cap - 100, self->cap, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(100, completion(&self->ring, NULL, NULL));
	EXPECT_EQ(0, workers());
	EXPECT_TRUE(get(&self->dev, self->cap, 0));
}

TEST_F(uring, each_byte_ends_one_read)
{
	char tmp[8] = "";
	int i, seen = 0;
	__u64 id;

	for (i = 0; i < 8; i++)
		prepare(&self->ring, IORING_OP_READ, self->fd, &tmp[i], 1, i);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	for (i = 0; i < 8; i++) {
		char c = 'a' + i;

		ASSERT_EQ(1, res(write(self->fd, &c, 1)));
		ASSERT_EQ(1, completion(&self->ring, &id, NULL));
		EXPECT_EQ(0, completions(&self->ring));
		ASSERT_GT(8, (int)id);
		EXPECT_EQ(c, tmp[id]);
		seen |= 1 << id;
	}
	EXPECT_EQ(0xff, seen);
	EXPECT_EQ(0, queued(self->fd));
	EXPECT_EQ(0, workers());

	/* A single write can complete all of them. */
	for (i = 0; i < 8; i++)
		prepare(&self->ring, IORING_OP_READ, self->fd, &tmp[i], 1, i);
	ASSERT_TRUE(submit(&self->ring));
	ASSERT_TRUE(put(&self->dev, 8, 0));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(1, completion(&self->ring, NULL, NULL));
	EXPECT_EQ(0, queued(self->fd));
}

TEST_F(uring, each_room_ends_one_write)
{
	int i;

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	for (i = 0; i < 4; i++)
		prepare(&self->ring, IORING_OP_WRITE, self->fd, self->buf,
			PIPE_BUF, i);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(get(&self->dev, PIPE_BUF, i * PIPE_BUF));
		ASSERT_EQ(PIPE_BUF, completion(&self->ring, NULL, NULL));
		EXPECT_EQ(0, completions(&self->ring));
		EXPECT_EQ(self->cap, queued(self->fd));
	}
	EXPECT_EQ(0, workers());
}

/*
 * To continue the first request, the kernel queues work for this task. The other requests,
 * whose memory is not resident, must not mistake that work for a signal.
 */
TEST_F(uring, memory_that_is_missing_is_no_signal)
{
	const unsigned int len = 40000;
	char *fresh, c;
	long ret;
	__u64 id;
	int i, n;

	ASSERT_EQ(0, attr_set("capacity", 1 << 16));
	for (n = 0; n < 2; n++) {
		fresh = mmap(NULL, len, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, fresh);
		prepare(&self->ring, IORING_OP_READ, self->fd, &c, 1, 1);
		if (!n)
			prepare(&self->ring, IORING_OP_WRITE, self->fd,
				self->buf, 1, 2);
		prepare(&self->ring, IORING_OP_WRITE, self->fd, fresh,
			n ? len : 100, 3);
		ASSERT_TRUE(submit(&self->ring));
		for (i = n; i < 3; i++) {
			ret = completion(&self->ring, &id, NULL);
			EXPECT_EQ(id == 3 ? (n ? len : 100) : 1, ret) {
				TH_LOG("%d, request %llu", n, id);
			}
		}
		EXPECT_EQ(0, completions(&self->ring));
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		munmap(fresh, len);
	}
	EXPECT_EQ(0, workers());
}

TEST_F(uring, nowait)
{
	struct io_uring_sqe *sqe;
	char c;

	sqe = prepare(&self->ring, IORING_OP_READ, self->fd, &c, 1, 1);
	sqe->rw_flags = RWF_NOWAIT;
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(1, completions(&self->ring));
	EXPECT_EQ(-EAGAIN, completion(&self->ring, NULL, NULL));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	sqe = prepare(&self->ring, IORING_OP_WRITE, self->fd, &c, 1, 2);
	sqe->rw_flags = RWF_NOWAIT;
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(1, completions(&self->ring));
	EXPECT_EQ(-EAGAIN, completion(&self->ring, NULL, NULL));
	EXPECT_EQ(self->cap, queued(self->fd));
	EXPECT_EQ(0, workers());
}

/*
 * io_uring never sleeps on a file that supports polling. It waits for a non-blocking one
 * as well, whether that is a pipe or a vfifo.
 */
static void waits_for_a_byte(struct __test_metadata *_metadata,
			     struct ring *ring, int r, int w)
{
	char c = 0;

	prepare(ring, IORING_OP_READ, r, &c, 1, 1);
	ASSERT_TRUE(submit(ring));
	EXPECT_EQ(0, completions(ring));
	EXPECT_EQ(0, workers());
	ASSERT_EQ(1, res(write(w, "x", 1)));
	EXPECT_EQ(1, completion(ring, NULL, NULL));
	EXPECT_EQ('x', c);
	EXPECT_EQ(0, workers());
}

TEST_F(uring, nonblocking_file)
{
	int fd[2];

	ASSERT_EQ(0, pipe2(fd, O_NONBLOCK | O_CLOEXEC));
	waits_for_a_byte(_metadata, &self->ring, fd[0], fd[1]);
	close(fd[0]);
	close(fd[1]);
	waits_for_a_byte(_metadata, &self->ring, self->dev.fd, self->fd);
}

TEST_F(uring, vectors_and_registered_buffers)
{
	struct iovec out[2] = { { self->buf, 100 }, { self->buf + 100, 5000 } };
	struct io_uring_sqe *sqe;
	struct iovec in[2], all;
	char *tmp;

	tmp = malloc(5100);
	in[0].iov_base = tmp;
	in[0].iov_len = 3000;
	in[1].iov_base = tmp + 3000;
	in[1].iov_len = 2100;
	prepare(&self->ring, IORING_OP_WRITEV, self->fd, out, 2, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(5100, completion(&self->ring, NULL, NULL));
	prepare(&self->ring, IORING_OP_READV, self->fd, in, 2, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(5100, completion(&self->ring, NULL, NULL));
	EXPECT_TRUE(stream_equal(tmp, 5100, 0));
	free(tmp);

	/* The first half is written to the device, the second is read from it. */
	all.iov_base = self->buf;
	all.iov_len = 2 * self->cap;
	ASSERT_EQ(0, syscall(__NR_io_uring_register, self->ring.fd,
			     IORING_REGISTER_BUFFERS, &all, 1));
	memset(self->buf + self->cap, 0, self->cap);
	sqe = prepare(&self->ring, IORING_OP_READ_FIXED, self->fd,
		      self->buf + self->cap + 5, 20000, 1);
	sqe->buf_index = 0;
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	sqe = prepare(&self->ring, IORING_OP_WRITE_FIXED, self->fd,
		      self->buf + 3, 20000, 2);
	sqe->buf_index = 0;
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(20000, completion(&self->ring, NULL, NULL));
	EXPECT_EQ(20000, completion(&self->ring, NULL, NULL));
	EXPECT_TRUE(stream_equal(self->buf + self->cap + 5, 20000, 3));
	EXPECT_EQ(0, self->buf[self->cap + 4]);
	EXPECT_EQ(0, self->buf[self->cap + 20005]);
	EXPECT_EQ(0, workers());
}

TEST_F(uring, poll)
{
	prepare_poll(&self->ring, self->fd, POLLIN, 0, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_EQ(POLLIN, completion(&self->ring, NULL, NULL));
	/* The poll takes no bytes. */
	EXPECT_TRUE(get(&self->dev, 1, 0));

	prepare_poll(&self->ring, self->fd, POLLOUT | POLLIN, 0, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(POLLOUT, completion(&self->ring, NULL, NULL));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	prepare_poll(&self->ring, self->fd, POLLOUT, 0, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	ASSERT_TRUE(get(&self->dev, PIPE_BUF - 1, 0));
	EXPECT_EQ(0, completions(&self->ring));
	ASSERT_TRUE(get(&self->dev, 1, PIPE_BUF - 1));
	EXPECT_EQ(POLLOUT, completion(&self->ring, NULL, NULL));
	EXPECT_EQ(0, workers());
}

TEST_F(uring, poll_again_and_again)
{
	unsigned int flags;
	int i;

	prepare_poll(&self->ring, self->fd, POLLIN, IORING_POLL_ADD_MULTI, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	for (i = 0; i < 5; i++) {
		/* Each write is an event, even if nothing is read. */
		ASSERT_EQ(1, res(write(self->fd, "x", 1)));
		ASSERT_EQ(POLLIN, completion(&self->ring, NULL, &flags));
		EXPECT_EQ((unsigned int)IORING_CQE_F_MORE, flags);
		EXPECT_EQ(0, completions(&self->ring));
	}
	EXPECT_EQ(5, queued(self->fd));
	EXPECT_EQ(0, workers());
}

TEST_F(uring, cancelled_read_takes_nothing)
{
	int i, cancelled = 0;
	char tmp[10];
	__u64 id;
	long ret;

	prepare(&self->ring, IORING_OP_READ, self->fd, tmp, sizeof(tmp), 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	prepare(&self->ring, IORING_OP_ASYNC_CANCEL, -1, (void *)1, 0, 2)->off = 0;
	ASSERT_TRUE(submit(&self->ring));
	for (i = 0; i < 2; i++) {
		ret = completion(&self->ring, &id, NULL);
		EXPECT_EQ(id == 1 ? -ECANCELED : 0, ret);
		cancelled |= id;
	}
	EXPECT_EQ(3, cancelled);
	ASSERT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(0, completions(&self->ring));
	EXPECT_TRUE(get(&self->dev, 10, 0));
}

TEST_F(uring, read_with_a_timeout)
{
	struct __kernel_timespec ts = { .tv_nsec = 20000000 };
	struct io_uring_sqe *sqe;
	int i, seen = 0;
	char tmp[10];
	__u64 id;
	long ret;

	sqe = prepare(&self->ring, IORING_OP_READ, self->fd, tmp, sizeof(tmp), 1);
	sqe->flags = IOSQE_IO_LINK;
	prepare(&self->ring, IORING_OP_LINK_TIMEOUT, -1, &ts, 1, 2)->off = 0;
	ASSERT_TRUE(submit(&self->ring));
	for (i = 0; i < 2; i++) {
		ret = completion(&self->ring, &id, NULL);
		EXPECT_EQ(id == 1 ? -ECANCELED : -ETIME, ret);
		seen |= id;
	}
	EXPECT_EQ(3, seen);
	ASSERT_TRUE(put(&self->dev, 10, 0));
	EXPECT_TRUE(get(&self->dev, 10, 0));
}

/* The address of a read is used when there are bytes. */
TEST_F(uring, bad_pointers)
{
	char *bad = mmap(NULL, self->dev.page, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, bad);
	prepare(&self->ring, IORING_OP_READ, self->fd, bad, 10, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	ASSERT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(-EFAULT, completion(&self->ring, NULL, NULL));
	EXPECT_EQ(10, queued(self->fd));
	prepare(&self->ring, IORING_OP_WRITE, self->fd, bad, 10, 1);
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(-EFAULT, completion(&self->ring, NULL, NULL));
	EXPECT_TRUE(get(&self->dev, 10, 0));
	EXPECT_EQ(0, queued(self->fd));
	munmap(bad, self->dev.page);
}

/* With IOSQE_ASYNC, a worker is used. */
TEST_F(uring, forced_to_a_worker)
{
	struct io_uring_sqe *sqe;
	char tmp[10];

	sqe = prepare(&self->ring, IORING_OP_READ, self->fd, tmp, sizeof(tmp), 1);
	sqe->flags = IOSQE_ASYNC;
	ASSERT_TRUE(submit(&self->ring));
	EXPECT_EQ(0, completions(&self->ring));
	ASSERT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(10, completion(&self->ring, NULL, NULL));
	EXPECT_TRUE(stream_equal(tmp, 10, 0));
}

TEST_F(uring, killed_with_requests_that_wait)
{
	char *armed = shared(1);
	pid_t pid;

	ASSERT_NE(NULL, armed);
	pid = child_start(DEADLINE);
	if (!pid) {
		struct ring ring;
		char tmp[10];
		int i;

		EXPECT_EQ(0, ring_open(&ring));
		for (i = 0; i < 8; i++)
			prepare(&ring, IORING_OP_READ, self->fd, tmp, 1, i);
		EXPECT_TRUE(submit(&ring));
		EXPECT_EQ(0, completions(&ring));
		__atomic_store_n(armed, 1, __ATOMIC_SEQ_CST);
		for (;;)
			pause();
	}
	EXPECT_TRUE(eventually(__atomic_load_n(armed, __ATOMIC_SEQ_CST)));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	ASSERT_TRUE(put(&self->dev, 10, 0));
	EXPECT_TRUE(get(&self->dev, 10, 0));
	munmap(armed, 1);
}

/* One ring reads and writes, with one request of each kind in flight. */
TEST_F_TIMEOUT(uring, stream, 60)
{
	const __u64 total = 1 << 20;
	__u64 state = vfifo_seed, head = 0, tail = 0, id;
	char *out = malloc(8192), *in = malloc(8192);
	bool writing = false, reading = false;
	unsigned long len = 0;
	long ret;

	LOG_SEED();
	while (tail < total) {
		if (!writing && head < total) {
			len = 1 + rnd(&state) % 8192;
			if (len > total - head)
				len = total - head;
			stream_fill(out, len, head);
			prepare(&self->ring, IORING_OP_WRITE, self->fd, out,
				len, 1);
			writing = true;
		}
		if (!reading) {
			prepare(&self->ring, IORING_OP_READ, self->fd, in,
				1 + rnd(&state) % 8192, 2);
			reading = true;
		}
		if (self->ring.prepared)
			ASSERT_TRUE(submit(&self->ring));
		ret = completion(&self->ring, &id, NULL);
		ASSERT_LT(0, ret);
		if (id == 1) {
			if (len <= PIPE_BUF)
				ASSERT_EQ((long)len, ret);
			head += ret;
			writing = false;
		} else {
			ASSERT_TRUE(stream_equal(in, ret, tail));
			tail += ret;
			reading = false;
		}
	}
	EXPECT_EQ(head, tail);
	EXPECT_EQ(0, queued(self->fd));
	EXPECT_EQ(0, workers());
	free(in);
	free(out);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
