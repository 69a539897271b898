// SPDX-License-Identifier: GPL-2.0
/*
 * End of stream, with the attribute "hangup" 1: end of file and EPIPE as at a named FIFO,
 * which is the reference.
 */
#include "vfifo_ends.h"

/* ---- readers ---- */

TEST_F(ends, end_of_file)
{
	char tmp[10];
	struct iovec iov[2] = { { tmp, 5 }, { tmp + 5, 5 } };

	EXPECT_EQ(-EAGAIN, read_one(self->r));
	shut(&self->w);
	EXPECT_EQ(0, read_one(self->r));
	EXPECT_EQ(0, read_one(self->r));
	EXPECT_EQ(0, res(readv(self->r, iov, 2)));
	/* Named FIFOs do not support the flag. */
	if (!variant->named)
		EXPECT_EQ(0, res(preadv2(self->r, iov, 2, -1, RWF_NOWAIT)));
	EXPECT_EQ(0, res(read(self->r, tmp, 0)));
	EXPECT_EQ(0, queued(self->r));
	EXPECT_EQ(-EBADF, write_one(self->r));
	EXPECT_FALSE(took(SIGPIPE));
}

TEST_F(ends, queued_bytes_come_first)
{
	ASSERT_TRUE(fd_put(self->w, 5000, 0));
	shut(&self->w);
	EXPECT_EQ(5000, queued(self->r));
	EXPECT_TRUE(fd_get(self->r, 3000, 0));
	EXPECT_TRUE(fd_get(self->r, 1999, 3000));
	EXPECT_EQ(1, res(read(self->r, self->buf, 100)));
	EXPECT_EQ(0, res(read(self->r, self->buf, 100)));
}

TEST_F(ends, the_last_writer_counts)
{
	int w2 = OPEN(O_WRONLY | O_NONBLOCK), w3 = OPEN(O_WRONLY | O_NONBLOCK);

	shut(&self->w);
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	close(w3);
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	EXPECT_EQ(1, write_one(w2));
	close(w2);
	EXPECT_EQ(1, read_one(self->r));
	EXPECT_EQ(0, read_one(self->r));
}

TEST_F(ends, a_new_writer_continues_the_stream)
{
	int i;

	for (i = 0; i < 3; i++) {
		shut(&self->w);
		EXPECT_EQ(0, read_one(self->r));
		self->w = OPEN(O_WRONLY | O_NONBLOCK);
		EXPECT_EQ(-EAGAIN, read_one(self->r));
		EXPECT_EQ(1, write_one(self->w));
		EXPECT_EQ(1, read_one(self->r));
		EXPECT_EQ(-EAGAIN, read_one(self->r));
	}
}

TEST_F(ends, every_sleeping_reader_gets_it)
{
	int r = OPEN(O_RDONLY), r2 = OPEN(O_RDONLY), w2 = OPEN(O_WRONLY), i;
	char tmp[10];

	/* Each child has both writers, and closes only one of them. */
	shut(&self->w);
	for (i = 0; i < CALLERS; i++)
		SLEEP_IN(&self->e, i, w2, read(i & 1 ? r : r2, tmp, sizeof(tmp)));
	close(w2);
	for (i = 0; i < CALLERS; i++)
		EXPECT_RETURNS(&self->e, i, 0, 0);
	EXPECT_EQ(0, read_one(r));
	close(r);
	close(r2);
}

/* Bytes, and then the end, for a reader that sleeps each time. */
TEST_F(ends, sleeps_for_the_end)
{
	int r = OPEN(O_RDONLY);
	char tmp[10];

	SLEEP_IN(&self->e, 0, self->w, read(r, tmp, sizeof(tmp)));
	EXPECT_EQ(1, write_one(self->w));
	EXPECT_RETURNS(&self->e, 0, 1, 0);
	SLEEP_IN(&self->e, 0, self->w, read(r, tmp, sizeof(tmp)));
	shut(&self->w);
	EXPECT_RETURNS(&self->e, 0, 0, 0);
	close(r);
}

/* A close that is not the last one wakes nobody to an end. */
TEST_F(ends, sleeps_through_other_closes)
{
	int r = OPEN(O_RDONLY), w2 = OPEN(O_WRONLY);
	char tmp[10];

	SLEEP_IN(&self->e, 0, self->w, read(r, tmp, sizeof(tmp)));
	shut(&self->w);
	EXPECT_STILL_SLEEPS(&self->e, 0);
	EXPECT_EQ(1, write_one(w2));
	EXPECT_RETURNS(&self->e, 0, 1, 0);
	close(w2);
	close(r);
}

/* At the end of the file, a read stores nothing. */
TEST_F(ends, bad_memory_at_the_end)
{
	char *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);

	ASSERT_NE(MAP_FAILED, bad);
	ASSERT_TRUE(fd_put(self->w, 10, 0));
	shut(&self->w);
	EXPECT_EQ(-EFAULT, res(read(self->r, bad, 10)));
	EXPECT_TRUE(fd_get(self->r, 10, 0));
	EXPECT_EQ(0, res(read(self->r, bad, 10)));
	munmap(bad, 4096);
}

/* ---- writers ---- */

TEST_F(ends, broken_pipe)
{
	struct iovec iov[2] = { { self->buf, 5 }, { self->buf + 5, 5 } };

	EXPECT_EQ(1, write_one(self->w));
	shut(&self->r);
	EXPECT_EPIPE(write_one(self->w));
	EXPECT_EPIPE(write_one(self->w));
	EXPECT_EPIPE(writev(self->w, iov, 2));
	if (!variant->named)
		EXPECT_EPIPE(pwritev2(self->w, iov, 2, -1, RWF_NOWAIT));
	EXPECT_EPIPE(write(self->w, self->buf, PIPE_BUF));
	EXPECT_EPIPE(write(self->w, self->buf, 2 * self->cap));
	/* A write of nothing succeeds. */
	EXPECT_EQ(0, res(write(self->w, self->buf, 0)));
	EXPECT_EQ(-EBADF, read_one(self->w));
	EXPECT_FALSE(took(SIGPIPE));
	EXPECT_EQ(1, queued(self->w));
}

TEST_F(ends, broken_pipe_without_room)
{
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	EXPECT_EQ(-EAGAIN, write_one(self->w));
	shut(&self->r);
	EXPECT_EPIPE(write_one(self->w));
	EXPECT_EPIPE(write(self->w, self->buf, 2 * self->cap));
	EXPECT_EQ(self->cap, queued(self->w));
}

/* Looked at before the memory. */
TEST_F(ends, broken_pipe_before_bad_memory)
{
	char *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);

	ASSERT_NE(MAP_FAILED, bad);
	EXPECT_EQ(-EFAULT, res(write(self->w, bad, 10)));
	EXPECT_FALSE(took(SIGPIPE));
	shut(&self->r);
	EXPECT_EPIPE(write(self->w, bad, 10));
	munmap(bad, 4096);
}

TEST_F(ends, no_signal_if_not_wanted)
{
	struct iovec iov = { self->buf, 10 };
	long ret;

	ret = res(pwritev2(self->w, &iov, 1, -1, RWF_NOSIGNAL));
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no RWF_NOSIGNAL: needs Linux 6.18");
	EXPECT_EQ(10, ret);
	shut(&self->r);
	EXPECT_EQ(-EPIPE, res(pwritev2(self->w, &iov, 1, -1, RWF_NOSIGNAL)));
	if (!variant->named)
		EXPECT_EQ(-EPIPE, res(pwritev2(self->w, &iov, 1, -1,
					       RWF_NOSIGNAL | RWF_NOWAIT)));
	EXPECT_FALSE(took(SIGPIPE));
	EXPECT_EPIPE(pwritev2(self->w, &iov, 1, -1, 0));
}

/* Unless it is ignored, blocked or handled, the signal kills. */
TEST_F(ends, the_signal_kills)
{
	pid_t pid;

	shut(&self->r);
	pid = child_start(DEADLINE);
	if (!pid) {
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGPIPE);
		signal(SIGPIPE, SIG_DFL);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		write_one(self->w);
		_exit(0);
	}
	EXPECT_EQ(-SIGPIPE, child_end(pid));
	pid = child_start(DEADLINE);
	if (!pid) {
		signal(SIGPIPE, SIG_IGN);
		_exit(write_one(self->w) != -EPIPE);
	}
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(ends, the_last_reader_counts)
{
	int r2 = OPEN(O_RDONLY | O_NONBLOCK);

	shut(&self->r);
	EXPECT_EQ(1, write_one(self->w));
	close(r2);
	EXPECT_EPIPE(write_one(self->w));
}

TEST_F(ends, a_new_reader_continues_the_stream)
{
	int i;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(1, write_one(self->w));
		shut(&self->r);
		EXPECT_EPIPE(write_one(self->w));
		self->r = OPEN(O_RDONLY | O_NONBLOCK);
		EXPECT_EQ(1, read_one(self->r));
		EXPECT_EQ(-EAGAIN, read_one(self->r));
	}
}

TEST_F(ends, every_sleeping_writer_gets_it)
{
	int w = OPEN(O_WRONLY), w2 = OPEN(O_WRONLY), i;

	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	for (i = 0; i < CALLERS; i++)
		SLEEP_IN(&self->e, i, self->r,
			 write(i & 1 ? w : w2, self->buf, i < 2 ? 1 : PIPE_BUF));
	shut(&self->r);
	for (i = 0; i < CALLERS; i++)
		EXPECT_RETURNS(&self->e, i, -EPIPE, 1);
	EXPECT_EQ(self->cap, queued(self->w));
	close(w);
	close(w2);
}

/* A large write returns what it has queued, and its caller gets the signal all the same. */
TEST_F(ends, part_of_a_write)
{
	int w = OPEN(O_WRONLY);

	SLEEP_IN(&self->e, 0, self->r, write(w, self->buf, 2 * self->cap));
	EXPECT_EQ(self->cap, queued(self->w));
	EXPECT_TRUE(fd_get(self->r, PIPE_BUF, 0));
	EXPECT_TRUE(eventually(queued(self->w) == self->cap));
	EXPECT_STILL_SLEEPS(&self->e, 0);
	shut(&self->r);
	EXPECT_RETURNS(&self->e, 0, self->cap + PIPE_BUF, 1);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	EXPECT_TRUE(fd_get(self->r, self->cap, PIPE_BUF));
	close(w);
}

TEST_F(ends, part_of_a_write_without_a_signal)
{
	struct iovec iov = { self->buf, 2 * self->cap };
	int w = OPEN(O_WRONLY);

	SLEEP_IN(&self->e, 0, self->r, pwritev2(w, &iov, 1, -1, RWF_NOSIGNAL));
	shut(&self->r);
	EXPECT_RETURNS(&self->e, 0, self->cap, 0);
	close(w);
}

/* ---- the last descriptor of the last file ---- */

TEST_F(ends, duplicated)
{
	int copy = dup(self->w);

	ASSERT_LE(0, copy);
	shut(&self->w);
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	close(copy);
	EXPECT_EQ(0, read_one(self->r));

	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	copy = dup(self->r);
	shut(&self->r);
	EXPECT_EQ(1, write_one(self->w));
	close(copy);
	EXPECT_EPIPE(write_one(self->w));
}

TEST_F(ends, inherited_and_killed)
{
	pid_t pid = child_start(4 * DEADLINE);

	if (!pid) {
		for (;;)
			pause();
	}
	shut(&self->w);
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	EXPECT_EQ(-SIGKILL, child_kill(&pid));
	EXPECT_EQ(0, read_one(self->r));
}

TEST_F(ends, killed_while_it_writes)
{
	int w = OPEN(O_WRONLY);

	SLEEP_IN(&self->e, 0, self->r, write(w, self->buf, 2 * self->cap));
	close(w);
	shut(&self->w);
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	EXPECT_TRUE(fd_get(self->r, self->cap, 0));
	EXPECT_EQ(0, read_one(self->r));
}

TEST_F(ends, killed_while_it_reads)
{
	int r = OPEN(O_RDONLY);
	char tmp[10];

	SLEEP_IN(&self->e, 0, self->w, read(r, tmp, sizeof(tmp)));
	close(r);
	shut(&self->r);
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	EXPECT_EPIPE(write_one(self->w));
}

/* The files have O_CLOEXEC. */
TEST_F(ends, closed_by_exec)
{
	pid_t pid = child_start(4 * DEADLINE);

	if (!pid) {
		/* Until the parent has seen the file closed. */
		execlp("sleep", "sleep", "1000", NULL);
		_exit(127);
	}
	shut(&self->w);
	EXPECT_TRUE(eventually(!read_one(self->r)));
	EXPECT_EQ(-SIGKILL, child_kill(&pid));
}

/* A descriptor in a socket keeps the file open, whether it is received or not. */
TEST_F(ends, passed_over_a_socket)
{
	int socks[2], fd;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	ASSERT_EQ(0, send_fd(socks[0], self->w));
	shut(&self->w);
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	fd = receive_fd(socks[1]);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, write_one(fd));
	close(fd);
	EXPECT_EQ(1, read_one(self->r));
	EXPECT_EQ(0, read_one(self->r));

	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	ASSERT_EQ(0, send_fd(socks[0], self->r));
	shut(&self->r);
	EXPECT_EQ(1, write_one(self->w));
	close(socks[0]);
	close(socks[1]);
	EXPECT_TRUE(eventually(write_one(self->w) == -EPIPE));
	EXPECT_TRUE(took(SIGPIPE));
}

/* A file that is open for both is a reader and a writer, also for itself. */
TEST_F(ends, open_for_both)
{
	int rw = OPEN(O_RDWR | O_NONBLOCK);

	shut(&self->w);
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	shut(&self->r);
	EXPECT_EQ(-EAGAIN, read_one(rw));
	EXPECT_EQ(1, write_one(rw));
	EXPECT_EQ(1, read_one(rw));
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(1, write_one(self->w));
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	shut(&self->w);
	EXPECT_EQ(1, read_one(self->r));
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	close(rw);
	EXPECT_EQ(0, read_one(self->r));
	EXPECT_FALSE(took(SIGPIPE));
}

TEST_F(ends, only_a_path)
{
	int fd = open(self->e.path, O_PATH | O_CLOEXEC);

	ASSERT_LE(0, fd);
	shut(&self->w);
	EXPECT_EQ(0, read_one(self->r));
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	shut(&self->r);
	EXPECT_EPIPE(write_one(self->w));
	close(fd);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
