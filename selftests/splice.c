// SPDX-License-Identifier: GPL-2.0
/*
 * splice(2), tee(2) and sendfile(2). What a vfifo has in common with a pipe comes first,
 * then the documented differences, with those in file times. Where possible, a test does
 * the same with a socket or a pipe, to show that the difference is in the kernel's code
 * for splicing and not in the driver.
 */
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "vfifo_stream.h"

/* ---- as with pipes ---- */

static bool pipe_has(int fd, char *tmp, long len, __u64 pos)
{
	return res(read(fd, tmp, len)) == len && stream_equal(tmp, len, pos);
}

TEST_F(stream, splice_to_it)
{
	long used = self->cap - 100;

	ASSERT_EQ(30000, res(write(self->pipe[1], self->buf, 30000)));
	EXPECT_EQ(10000, res(splice(self->pipe[0], NULL, self->w, NULL, 10000, 0)));
	EXPECT_EQ(20000, res(splice(self->pipe[0], NULL, self->w, NULL, 50000, 0)));
	EXPECT_EQ(-EAGAIN, res(splice(self->pipe[0], NULL, self->w, NULL, 1,
				      SPLICE_F_NONBLOCK)));
	EXPECT_TRUE(get(&self->dev, 30000, 0));

	/* Only what fits is moved; the rest stays in the pipe. */
	ASSERT_TRUE(put(&self->dev, used, 0));
	ASSERT_EQ(9000, res(write(self->pipe[1], self->buf + used, 9000)));
	EXPECT_EQ(100, res(splice(self->pipe[0], NULL, self->w, NULL, 9000, 0)));
	EXPECT_EQ(-EAGAIN, res(splice(self->pipe[0], NULL, self->w, NULL, 9000, 0)));
	EXPECT_TRUE(get(&self->dev, self->cap, 0));
	EXPECT_EQ(8900, res(splice(self->pipe[0], NULL, self->w, NULL, 9000, 0)));
	EXPECT_TRUE(get(&self->dev, 8900, self->cap));
	EXPECT_EQ(0, queued(self->pipe[0]));
}

TEST_F(stream, splice_from_it)
{
	char tmp[8000];

	EXPECT_EQ(-EAGAIN, res(splice(self->r, NULL, self->pipe[1], NULL, 10, 0)));
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	EXPECT_EQ(3000, res(splice(self->r, NULL, self->pipe[1], NULL, 3000, 0)));
	EXPECT_EQ(5000, res(splice(self->r, NULL, self->pipe[1], NULL, 5000, 0)));
	EXPECT_EQ(self->cap - 8000, queued(self->r));

	/* The pipe owns its copy: later writes do not show there. */
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	ASSERT_TRUE(put(&self->dev, self->cap, 77777));
	EXPECT_TRUE(pipe_has(self->pipe[0], tmp, 8000, 0));

	/* As much as the pipe holds, and nothing beyond that is consumed. */
	EXPECT_EQ(self->cap, res(splice(self->r, NULL, self->pipe[1], NULL,
					4 * self->cap, 0)));
	EXPECT_EQ(0, queued(self->r));
	ASSERT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(-EAGAIN, res(splice(self->r, NULL, self->pipe[1], NULL, 10,
				      SPLICE_F_NONBLOCK)));
	EXPECT_TRUE(get(&self->dev, 10, 0));
	EXPECT_TRUE(pipe_has(self->pipe[0], self->buf, self->cap, 77777));
}

/*
 * O_NONBLOCK of the device's file decides whether the call waits for the
 * device.
 */
TEST_F(stream, splice_sleeps)
{
	char tmp[10];
	pid_t pid;

	pid = child_start(DEADLINE);
	if (!pid) {
		EXPECT_EQ(10, res(splice(self->fd, NULL, self->pipe[1], NULL,
					 1000, SPLICE_F_NONBLOCK)));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(pipe_has(self->pipe[0], tmp, 10, 0));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	ASSERT_EQ(20000, res(write(self->pipe[1], self->buf + self->cap, 20000)));
	pid = child_start(DEADLINE);
	if (!pid) {
		EXPECT_EQ(20000, res(splice(self->pipe[0], NULL, self->fd, NULL,
					    20000, SPLICE_F_NONBLOCK)));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(get(&self->dev, self->cap, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(get(&self->dev, 20000, self->cap));
}

TEST_F(stream, splice_killed)
{
	char tmp[10];
	pid_t pid;

	pid = child_start(DEADLINE);
	if (!pid)
		_exit(splice(self->fd, NULL, self->pipe[1], NULL, 1000, 0) != 1);
	EXPECT_TRUE(child_sleeps(pid));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	/* It has released the pipe and consumed nothing. */
	ASSERT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(10, res(splice(self->r, NULL, self->pipe[1], NULL, 1000, 0)));
	EXPECT_TRUE(pipe_has(self->pipe[0], tmp, 10, 0));
}

TEST_F(stream, splice_refuses)
{
	loff_t off = 0;

	ASSERT_TRUE(put(&self->dev, 10, 0));
	ASSERT_EQ(10, res(write(self->pipe[1], self->buf, 10)));
	EXPECT_EQ(-EINVAL, res(splice(self->r, NULL, self->w, NULL, 10, 0)));
	EXPECT_EQ(-EINVAL, res(splice(self->r, &off, self->pipe[1], NULL, 10, 0)));
	EXPECT_EQ(-EINVAL, res(splice(self->pipe[0], NULL, self->w, &off, 10, 0)));
	EXPECT_EQ(-EBADF, res(splice(self->w, NULL, self->pipe[1], NULL, 10, 0)));
	EXPECT_EQ(-EBADF, res(splice(self->pipe[0], NULL, self->r, NULL, 10, 0)));
	EXPECT_EQ(-EINVAL, res(tee(self->r, self->pipe[1], 10, 0)));
	EXPECT_EQ(-EINVAL, res(tee(self->pipe[0], self->w, 10, 0)));
	EXPECT_EQ(10, queued(self->pipe[0]));
	EXPECT_TRUE(get(&self->dev, 10, 0));
}

TEST_F(stream, tee)
{
	char tmp[9000];
	int copy[2];

	ASSERT_EQ(0, pipe2(copy, O_NONBLOCK | O_CLOEXEC));
	ASSERT_TRUE(put(&self->dev, 9000, 0));
	ASSERT_EQ(9000, res(splice(self->r, NULL, self->pipe[1], NULL, 9000, 0)));
	EXPECT_EQ(9000, res(tee(self->pipe[0], copy[1], 9000, 0)));
	EXPECT_EQ(9000, res(splice(self->pipe[0], NULL, self->w, NULL, 9000, 0)));
	EXPECT_TRUE(get(&self->dev, 9000, 0));
	EXPECT_TRUE(pipe_has(copy[0], tmp, 9000, 0));
	close(copy[0]);
	close(copy[1]);
}

TEST_F(stream, sendfile_to_it)
{
	int fd = memory_file(self->buf, 3 * self->cap);
	off_t off = 1000;
	pid_t pid;

	ASSERT_LE(0, fd);
	EXPECT_EQ(5000, res(sendfile(self->w, fd, &off, 5000)));
	EXPECT_EQ(6000, off);
	EXPECT_EQ(0, lseek(fd, 0, SEEK_CUR));
	EXPECT_TRUE(get(&self->dev, 5000, 1000));

	/* As much as fits; the offset is that of the next byte. */
	ASSERT_TRUE(put(&self->dev, 10, 0));
	off = 10;
	EXPECT_EQ(self->cap - 10, res(sendfile(self->w, fd, &off, 3 * self->cap)));
	EXPECT_EQ(self->cap, off);
	EXPECT_EQ(-EAGAIN, res(sendfile(self->w, fd, &off, 100)));
	EXPECT_EQ(self->cap, off);
	EXPECT_TRUE(get(&self->dev, self->cap, 0));

	/* A blocking descriptor takes all of it. */
	pid = child_start(DEADLINE);
	if (!pid) {
		EXPECT_EQ(3 * self->cap,
			  res(sendfile(self->fd, fd, NULL, 4 * self->cap)));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	ASSERT_EQ(0, fcntl(self->dev.fd, F_SETFL, 0));
	EXPECT_TRUE(get(&self->dev, 3 * self->cap, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(3 * self->cap, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(0, queued(self->fd));
	close(fd);
}

TEST_F(stream, sendfile_from_it)
{
	int fd = memory_file(self->buf, 0);
	off_t off = 0;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(put(&self->dev, 1000, 0));
	EXPECT_EQ(-EINVAL, res(sendfile(fd, self->r, NULL, 1000)));
	EXPECT_EQ(-EINVAL, res(sendfile(self->w, self->r, NULL, 1000)));
	EXPECT_EQ(-ESPIPE, res(sendfile(fd, self->r, &off, 1000)));
	EXPECT_EQ(-EBADF, res(sendfile(fd, self->w, NULL, 1000)));
	EXPECT_EQ(0, lseek(fd, 0, SEEK_END));
	EXPECT_EQ(1000, queued(self->r));
	close(fd);

	/* Any file that can be spliced can be sent to a pipe. */
	EXPECT_EQ(1000, res(sendfile(self->pipe[1], self->r, NULL, 5000)));
	EXPECT_TRUE(pipe_has(self->pipe[0], self->buf, 1000, 0));
}

/*
 * ---- sleeping with the pipe's mutex held ----
 *
 * The kernel holds the pipe's mutex while it calls the file's read or write. While these
 * sleep, other users of the pipe wait for the mutex, and no signal interrupts them. The
 * splicing process can be killed, and then the others go on.
 */

FIXTURE(locked)
{
	struct vfifo dev;
	int fd, peer;		/* the spliced file, blocking, and its other end */
	int pipe[2];
	pid_t splicer, user;
};

FIXTURE_VARIANT(locked)
{
	bool socket;
	bool out;		/* to the file, which is full; or from it, empty */
};

FIXTURE_VARIANT_ADD(locked, from_device)
{
	.out = false,
};

FIXTURE_VARIANT_ADD(locked, to_device)
{
	.out = true,
};

FIXTURE_VARIANT_ADD(locked, from_socket)
{
	.socket = true,
};

FIXTURE_VARIANT_ADD(locked, to_socket)
{
	.socket = true,
	.out = true,
};

FIXTURE_SETUP(locked)
{
	char page[PIPE_BUF] = { 0 };
	int ends[2];

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	if (variant->socket) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
					ends));
		self->fd = ends[0];
		self->peer = ends[1];
		ASSERT_EQ(0, fcntl(self->peer, F_SETFL, O_NONBLOCK));
		while (variant->out && send(self->fd, page, sizeof(page),
					    MSG_DONTWAIT) > 0)
			;
	} else {
		self->fd = vfifo_open(O_RDWR);
		self->peer = dup(self->dev.fd);
		if (variant->out)
			ASSERT_TRUE(put(&self->dev, self->dev.capacity, 0));
	}
	ASSERT_TRUE(self->fd >= 0 && self->peer >= 0);
	if (variant->out)
		ASSERT_EQ(PIPE_BUF, write(self->pipe[1], page, PIPE_BUF));

	self->splicer = child_start(6 * DEADLINE);
	if (!self->splicer) {
		if (variant->out)
			splice(self->pipe[0], NULL, self->fd, NULL, PIPE_BUF,
			       0);
		else
			splice(self->fd, NULL, self->pipe[1], NULL, PIPE_BUF,
			       0);
		_exit(0);
	}
	ASSERT_TRUE(child_sleeps(self->splicer));
	/* The pipe has room, so this can wait only for the mutex. */
	self->user = child_start(6 * DEADLINE);
	if (!self->user)
		_exit(write(self->pipe[1], "x", 1) != 1);
}

FIXTURE_TEARDOWN(locked)
{
	child_kill(&self->splicer);
	child_kill(&self->user);
	close(self->fd);
	close(self->peer);
	close(self->pipe[0]);
	close(self->pipe[1]);
	vfifo_teardown(&self->dev);
}

TEST_F(locked, splicer_can_be_killed)
{
	EXPECT_TRUE(eventually(child_state(self->user) == 'D'));
	kill(self->splicer, SIGKILL);
	EXPECT_TRUE(eventually(child_state(self->splicer) == 'Z'));
	EXPECT_EQ(-SIGKILL, child_end(self->splicer));
	self->splicer = 0;
	/* The other process continues, and has lost nothing. */
	EXPECT_TRUE(eventually(child_state(self->user) == 'Z'));
	EXPECT_EQ(0, child_end(self->user));
	self->user = 0;
}

TEST_F(locked, other_user_cannot_be_killed_before)
{
	int i;

	EXPECT_TRUE(eventually(child_state(self->user) == 'D'));
	kill(self->user, SIGKILL);
	for (i = 0; i < 20; i++) {
		usleep(10000);
		EXPECT_EQ('D', child_state(self->user)) {
			TH_LOG("can be killed: correct SECURITY.md and vfifo.rst");
		}
	}
	kill(self->splicer, SIGKILL);
	EXPECT_TRUE(eventually(child_state(self->user) == 'Z'));
	EXPECT_EQ(-SIGKILL, child_end(self->user));
	self->user = 0;
}

/* The event that the splice waits for also ends it. */
TEST_F(locked, ends_with_the_wait)
{
	char buf[PIPE_BUF];

	EXPECT_TRUE(eventually(child_state(self->user) == 'D'));
	if (!variant->out)
		EXPECT_EQ(10, res(write(self->peer, "0123456789", 10)));
	/* A socket has room again when most of it has been read. */
	while (variant->out && child_state(self->splicer) != 'Z' &&
	       read(self->peer, buf, sizeof(buf)) > 0)
		;
	EXPECT_TRUE(eventually(child_state(self->splicer) == 'Z'));
	EXPECT_TRUE(eventually(child_state(self->user) == 'Z'));
	EXPECT_EQ(0, child_end(self->user));
	self->user = 0;
}

/* ---- other differences ---- */

FIXTURE(differs)
{
	struct vfifo dev;
	int fd;
	int pipe[2], other[2];
};

FIXTURE_SETUP(differs)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(self->other, O_CLOEXEC));
}

FIXTURE_TEARDOWN(differs)
{
	close(self->fd);
	close(self->pipe[0]);
	close(self->pipe[1]);
	close(self->other[0]);
	close(self->other[1]);
	vfifo_teardown(&self->dev);
}

/*
 * O_NONBLOCK of the device's file decides whether splice sleeps; SPLICE_F_NONBLOCK is
 * about the pipe. So a program can avoid sleeping with the pipe's mutex held.
 */
TEST_F(differs, nonblocking_file_is_not_waited_for)
{
	char page[PIPE_BUF] = { 0 };
	pid_t pid;

	EXPECT_EQ(-EAGAIN, res(splice(self->dev.fd, NULL, self->pipe[1], NULL,
				      10, 0)));
	EXPECT_EQ(-EAGAIN, res(splice(self->dev.fd, NULL, self->pipe[1], NULL,
				      10, SPLICE_F_NONBLOCK)));
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(splice(self->fd, NULL, self->pipe[1], NULL, 10,
			     SPLICE_F_NONBLOCK) != 1);
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(put(&self->dev, 1, 0));
	EXPECT_EQ(0, child_end(pid));

	ASSERT_EQ(1, read(self->pipe[0], page, sizeof(page)));
	ASSERT_TRUE(put(&self->dev, self->dev.capacity, 0));
	ASSERT_EQ(PIPE_BUF, write(self->pipe[1], page, PIPE_BUF));
	EXPECT_EQ(-EAGAIN, res(splice(self->pipe[0], NULL, self->dev.fd, NULL,
				      PIPE_BUF, 0)));
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(splice(self->pipe[0], NULL, self->fd, NULL, PIPE_BUF,
			     SPLICE_F_NONBLOCK) != PIPE_BUF);
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(get(&self->dev, self->dev.capacity, 0));
	EXPECT_EQ(0, child_end(pid));
}

/* The VFS refuses to splice to a file with O_APPEND. */
TEST_F(differs, append)
{
	int fd = vfifo_open(O_WRONLY | O_APPEND | O_NONBLOCK), file;
	loff_t off = 0;

	ASSERT_LE(0, fd);
	file = memfd_create("file", MFD_CLOEXEC);
	ASSERT_LE(0, file);
	ASSERT_EQ(10, write(file, "0123456789", 10));
	ASSERT_EQ(10, write(self->pipe[1], "0123456789", 10));

	EXPECT_EQ(-EINVAL, res(splice(self->pipe[0], NULL, fd, NULL, 10, 0)));
	EXPECT_EQ(-EINVAL, res(sendfile(fd, file, &off, 10)));
	EXPECT_EQ(0, off);
	EXPECT_EQ(0, queued(fd));
	/* write(2) works. */
	EXPECT_EQ(10, res(write(fd, "0123456789", 10)));
	EXPECT_EQ(10, queued(fd));
	/* Without the flag, the bytes that were refused can be spliced. */
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(10, res(splice(self->pipe[0], NULL, fd, NULL, 10, 0)));
	EXPECT_EQ(10, res(sendfile(fd, file, &off, 10)));
	EXPECT_EQ(30, queued(fd));

	/* A pipe with the flag accepts both calls. */
	ASSERT_EQ(10, write(self->pipe[1], "0123456789", 10));
	ASSERT_EQ(0, fcntl(self->other[1], F_SETFL, O_APPEND));
	EXPECT_EQ(10, res(splice(self->pipe[0], NULL, self->other[1], NULL, 10,
				 0)));
	off = 0;
	EXPECT_EQ(10, res(sendfile(self->other[1], file, &off, 10)));
	close(file);
	close(fd);
}

TEST_F(differs, lengths_over_ssize_max)
{
	size_t lengths[] = { (size_t)LONG_MAX + 1, (size_t)LONG_MAX + 4097,
			     SIZE_MAX };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		ASSERT_TRUE(put(&self->dev, 10, 0));
		EXPECT_EQ(-EINVAL, res(splice(self->dev.fd, NULL, self->pipe[1],
					      NULL, lengths[i], 0)));
		EXPECT_EQ(10, queued(self->fd));
		ASSERT_EQ(5, write(self->pipe[1], "01234", 5));
		EXPECT_EQ(-EINVAL, res(splice(self->pipe[0], NULL, self->dev.fd,
					      NULL, lengths[i], 0)));
		EXPECT_EQ(10, queued(self->fd));
		/* Between pipes there is no such limit. */
		EXPECT_EQ(5, res(splice(self->pipe[0], NULL, self->other[1],
					NULL, lengths[i], 0)));
		/* LONG_MAX is allowed. */
		EXPECT_EQ(10, res(splice(self->dev.fd, NULL, self->pipe[1],
					 NULL, LONG_MAX, 0)));
		EXPECT_EQ(10, res(splice(self->pipe[0], NULL, self->dev.fd,
					 NULL, LONG_MAX, 0)));
		EXPECT_TRUE(get(&self->dev, 10, 0));
	}
}

static long long stamp(struct timespec ts)
{
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Waits until the clock of file times has moved. */
static bool tick(void)
{
	struct timespec start, now;

	clock_gettime(CLOCK_REALTIME_COARSE, &start);
	return eventually(!clock_gettime(CLOCK_REALTIME_COARSE, &now) &&
			  stamp(now) > stamp(start));
}

/* Transfers change the times of a FIFO in a file system, but not those of the node. */
TEST_F(differs, times_of_the_node_stay)
{
	char dir[] = "/tmp/vfifo-times-XXXXXX", path[64];
	struct stat before, after;
	struct vfifo_end *own;
	int fifo;
	char c;

	/* On tmpfs, since overlayfs does not change these times either. */
	ASSERT_NE(NULL, mkdtemp(dir));
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", dir, "tmpfs", 0, NULL)) {
		rmdir(dir);
		SKIP(return, "cannot mount: %s", strerror(errno));
	}
	snprintf(path, sizeof(path), "%s/fifo", dir);
	ASSERT_EQ(0, mkfifo(path, 0600));
	fifo = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fifo);
	ASSERT_EQ(0, fstat(fifo, &before));
	ASSERT_TRUE(tick());
	ASSERT_EQ(1, write(fifo, "x", 1));
	ASSERT_EQ(1, read(fifo, &c, 1));
	ASSERT_EQ(0, fstat(fifo, &after));
	EXPECT_LT(stamp(before.st_mtim), stamp(after.st_mtim));
	EXPECT_LT(stamp(before.st_atim), stamp(after.st_atim));
	close(fifo);
	umount(dir);
	rmdir(dir);

	ASSERT_EQ(0, fstat(self->fd, &before));
	ASSERT_TRUE(tick());
	ASSERT_TRUE(put(&self->dev, 100, 0));
	ASSERT_TRUE(get(&self->dev, 100, 0));
	own = claim_end(&self->dev, true);
	ASSERT_NE(NULL, own);
	store(own, load(own) + 10);
	munmap(own, self->dev.page);
	EXPECT_EQ(10, queued(self->fd));
	ASSERT_EQ(0, fstat(self->fd, &after));
	EXPECT_EQ(stamp(before.st_mtim), stamp(after.st_mtim));
	EXPECT_EQ(stamp(before.st_atim), stamp(after.st_atim));
	EXPECT_EQ(stamp(before.st_ctim), stamp(after.st_ctim));
	ASSERT_EQ(0, stat(vfifo_path(), &after));
	EXPECT_EQ(stamp(before.st_mtim), stamp(after.st_mtim));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
