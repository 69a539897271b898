// SPDX-License-Identifier: GPL-2.0
/*
 * Where splice(2) and sendfile(2) on a vfifo differ from those on a pipe, and the
 * other documented differences: each test states what happens, and where possible
 * does the same to a socket or a pipe, which show that it is not the device's doing.
 */
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "vfifo_test.h"

/*
 * ---- waiting with the pipe's mutex ----
 *
 * The kernel's splice code holds the pipe's mutex while it calls the file's read or
 * write, so while those wait, other users of the same pipe wait for the mutex, which
 * no signal ends. Whoever splices can be killed, and that ends it for the others.
 */

FIXTURE(locked)
{
	struct vfifo dev;
	int fd, peer;		/* what is spliced, blocking; a socket's other end */
	int pipe[2];
	pid_t splicer, user;
};

FIXTURE_VARIANT(locked)
{
	bool socket;
	bool out;		/* to the file, which is full; else from it, empty */
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
		/* Which sides are which is all the same, but for O_NONBLOCK. */
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
	/* There is room in the pipe: nothing but the mutex is to be waited for. */
	self->user = child_start(6 * DEADLINE);
	if (!self->user)
		_exit(write(self->pipe[1], "x", 1) != 1);
}

FIXTURE_TEARDOWN(locked)
{
	if (self->splicer > 0) {
		kill(self->splicer, SIGKILL);
		waitpid(self->splicer, NULL, 0);
	}
	if (self->user > 0) {
		kill(self->user, SIGKILL);
		waitpid(self->user, NULL, 0);
	}
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
	/* The other one goes on, and has lost nothing. */
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

/* What the splice waits for ends it, too. */
TEST_F(locked, ends_with_the_wait)
{
	char buf[PIPE_BUF];

	EXPECT_TRUE(eventually(child_state(self->user) == 'D'));
	if (!variant->out)
		EXPECT_EQ(10, res(write(self->peer, "0123456789", 10)));
	/* A socket gives room back when most of it has been read. */
	while (variant->out && child_state(self->splicer) != 'Z' &&
	       read(self->peer, buf, sizeof(buf)) > 0)
		;
	EXPECT_TRUE(eventually(child_state(self->splicer) == 'Z'));
	EXPECT_TRUE(eventually(child_state(self->user) == 'Z'));
	EXPECT_EQ(0, child_end(self->user));
	self->user = 0;
}

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
 * The flag of the device's file decides whether it is waited for, not
 * SPLICE_F_NONBLOCK, which is about the pipe. So nobody needs to wait with the
 * pipe's mutex.
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

/* Bytes always go to the end, but the VFS refuses to splice to such files. */
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
	/* Everything else goes. */
	EXPECT_EQ(10, res(write(fd, "0123456789", 10)));
	EXPECT_EQ(10, queued(fd));
	/* Without the flag, what was refused is still there. */
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(10, res(splice(self->pipe[0], NULL, fd, NULL, 10, 0)));
	EXPECT_EQ(10, res(sendfile(fd, file, &off, 10)));
	EXPECT_EQ(30, queued(fd));

	/* A pipe takes it all the same. */
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
		/* From pipe to pipe there is no such limit. */
		EXPECT_EQ(5, res(splice(self->pipe[0], NULL, self->other[1],
					NULL, lengths[i], 0)));
		/* As much as there can be is fine. */
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

/* The times that files get move in ticks. */
static bool tick(void)
{
	struct timespec start, now;

	clock_gettime(CLOCK_REALTIME_COARSE, &start);
	return eventually(!clock_gettime(CLOCK_REALTIME_COARSE, &now) &&
			  stamp(now) > stamp(start));
}

/* Those of a FIFO in a file system move with each transfer, those of the node don't. */
TEST_F(differs, times_of_the_node_stay)
{
	char dir[] = "/tmp/vfifo-times-XXXXXX", path[64];
	struct stat before, after;
	struct vfifo_end *own;
	int fifo;
	char c;

	/* In a file system of its own: those of overlayfs do not move, either. */
	ASSERT_NE(NULL, mkdtemp(dir));
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", dir, "tmpfs", 0, NULL)) {
		rmdir(dir);
		SKIP(return, "can't mount: %s", strerror(errno));
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
