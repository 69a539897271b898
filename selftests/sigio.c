// SPDX-License-Identifier: GPL-2.0
/*
 * SIGIO: which events send it, to which process, with which details, and when it stops.
 */
#include <pthread.h>

#include "vfifo_stream.h"

/* Consumes one signal that arrives within @ms. */
static bool take(int sig, int ms, siginfo_t *info)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return sigtimedwait(&set, info, &ts) == sig;
}

TEST_F(stream, sigio_for_readers)
{
	char c;

	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->r, getpid()));
	EXPECT_TRUE(fcntl(self->r, F_GETFL) & O_ASYNC);
	EXPECT_FALSE(signalled());

	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_TRUE(signalled());
	/* Every write is an event, not only the first. */
	EXPECT_EQ(1, res(write(self->w, "y", 1)));
	EXPECT_TRUE(signalled());
	/* Free space is no event for a reader. */
	EXPECT_EQ(1, res(read(self->fd, &c, 1)));
	EXPECT_EQ(1, res(read(self->fd, &c, 1)));
	EXPECT_FALSE(signalled());
}

TEST_F(stream, sigio_for_writers)
{
	hold_signal(SIGIO);
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	ASSERT_EQ(0, want_signals(self->w, getpid()));

	EXPECT_TRUE(get(&self->dev, PIPE_BUF - 1, 0));
	EXPECT_FALSE(signalled());
	EXPECT_TRUE(get(&self->dev, 1, PIPE_BUF - 1));
	EXPECT_TRUE(signalled());
	EXPECT_TRUE(get(&self->dev, 1, PIPE_BUF));
	EXPECT_TRUE(signalled());
	/* New bytes are no event for a writer. */
	EXPECT_EQ(1, res(write(self->fd, "x", 1)));
	EXPECT_FALSE(signalled());
}

TEST_F(stream, sigio_for_a_file_that_does_both)
{
	char c;

	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->fd, getpid()));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_TRUE(signalled());
	EXPECT_EQ(1, res(read(self->r, &c, 1)));
	EXPECT_TRUE(signalled());

	/* Clearing O_ASYNC stops both kinds of event. */
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, 0));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_EQ(1, res(read(self->r, &c, 1)));
	EXPECT_FALSE(signalled());
}

TEST_F(stream, sigio_ends)
{
	int flags = fcntl(self->r, F_GETFL), fd, on = 1;

	hold_signal(SIGIO);
	/* O_ASYNC without an owner sends nothing. */
	ASSERT_EQ(0, fcntl(self->r, F_SETFL, flags | O_ASYNC));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_FALSE(signalled());

	ASSERT_EQ(0, fcntl(self->r, F_SETOWN, getpid()));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_TRUE(signalled());
	ASSERT_EQ(0, fcntl(self->r, F_SETFL, flags));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_FALSE(signalled());

	/* FIOASYNC is equivalent, and idempotent. */
	ASSERT_EQ(0, ioctl(self->r, FIOASYNC, &on));
	ASSERT_EQ(0, ioctl(self->r, FIOASYNC, &on));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_TRUE(signalled());

	/* Notification belongs to the open file, not to one descriptor. */
	fd = dup(self->r);
	ASSERT_LE(0, fd);
	close(self->r);
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_TRUE(signalled());
	close(fd);
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_FALSE(signalled());
	self->r = vfifo_open(O_RDONLY | O_NONBLOCK);
}

TEST_F(stream, sigio_finds_its_owner)
{
	pid_t pid;

	hold_signal(SIGIO);
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(!take(SIGIO, 1000 * DEADLINE, NULL));
	ASSERT_EQ(0, want_signals(self->r, pid));
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_FALSE(signalled());
	/* The owner no longer exists. */
	EXPECT_EQ(1, res(write(self->w, "x", 1)));
	EXPECT_FALSE(signalled());
}

TEST_F(stream, sigio_that_says_why)
{
	int sig = SIGRTMIN + 3, i;
	siginfo_t info;

	hold_signal(sig);
	ASSERT_EQ(0, fcntl(self->r, F_SETSIG, sig));
	ASSERT_EQ(0, fcntl(self->w, F_SETSIG, sig));
	ASSERT_EQ(0, want_signals(self->r, getpid()));
	ASSERT_EQ(0, want_signals(self->w, getpid()));

	/* Real-time signals are queued, not merged. */
	EXPECT_EQ(1, res(write(self->dev.fd, "x", 1)));
	EXPECT_EQ(1, res(write(self->dev.fd, "y", 1)));
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(take(sig, 0, &info));
		EXPECT_EQ(POLL_IN, info.si_code);
		EXPECT_EQ(self->r, info.si_fd);
		EXPECT_EQ(POLLIN | POLLRDNORM, info.si_band);
	}
	EXPECT_FALSE(take(sig, 0, &info));

	EXPECT_EQ(2, res(read(self->dev.fd, self->buf, 10)));
	ASSERT_TRUE(take(sig, 0, &info));
	EXPECT_EQ(POLL_OUT, info.si_code);
	EXPECT_EQ(self->w, info.si_fd);
	EXPECT_EQ(POLLOUT | POLLWRNORM | POLLWRBAND, info.si_band);
	EXPECT_FALSE(take(sig, 0, &info));
}

TEST_F(stream, sigio_on_other_occasions)
{
	hold_signal(SIGIO);
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	ASSERT_EQ(0, want_signals(self->w, getpid()));
	ASSERT_EQ(0, attr_set("capacity", 2 * self->cap));
	EXPECT_TRUE(signalled());
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	EXPECT_TRUE(signalled());
	ASSERT_EQ(0, fcntl(self->w, F_SETFL, O_NONBLOCK));

	ASSERT_EQ(0, want_signals(self->r, getpid()));
	ASSERT_EQ(0, attr_set("period_ms", 10));
	ASSERT_EQ(0, attr_set("mode", 1));
	EXPECT_TRUE(take(SIGIO, 1000 * DEADLINE, NULL));
	ASSERT_EQ(0, attr_set("mode", 0));
}

TEST_F(stream, sigio_not_for_nothing)
{
	char *bad = mmap(NULL, self->dev.page, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, bad);
	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->r, getpid()));
	ASSERT_EQ(0, want_signals(self->w, getpid()));
	EXPECT_EQ(0, res(write(self->fd, self->buf, 0)));
	EXPECT_EQ(0, res(read(self->fd, self->buf, 0)));
	EXPECT_EQ(-EAGAIN, res(read(self->r, self->buf, 1)));
	EXPECT_EQ(-EFAULT, res(write(self->fd, bad, 1)));
	EXPECT_FALSE(signalled());
	ASSERT_EQ(1, res(write(self->fd, self->buf, 1)));
	ASSERT_TRUE(signalled());
	EXPECT_EQ(-EFAULT, res(read(self->fd, bad, 1)));
	EXPECT_FALSE(signalled());
	munmap(bad, self->dev.page);
}

/*
 * Several threads toggle O_ASYNC at once. Once it is cleared, no signal
 * arrives: otherwise the file would still be on the kernel's list after it is
 * closed.
 */
static void *flip_signals(void *arg)
{
	int fd = *(int *)arg, i;

	for (i = 0; i < 2000; i++)
		fcntl(fd, F_SETFL, i & 1 ? 0 : O_ASYNC);
	return NULL;
}

TEST_F_TIMEOUT(stream, sigio_switched_by_many, 60)
{
	pthread_t threads[4];
	unsigned int round, i;
	char c;

	hold_signal(SIGIO);
	ASSERT_EQ(0, fcntl(self->fd, F_SETOWN, getpid()));
	for (round = 0; round < 20; round++) {
		for (i = 0; i < ARRAY_SIZE(threads); i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    flip_signals, &self->fd));
		for (i = 0; i < ARRAY_SIZE(threads); i++)
			pthread_join(threads[i], NULL);
		ASSERT_EQ(0, fcntl(self->fd, F_SETFL, 0));
		while (signalled())
			;
		ASSERT_EQ(1, res(write(self->w, "x", 1)));
		ASSERT_EQ(1, res(read(self->r, &c, 1)));
		ASSERT_FALSE(signalled()) TH_LOG("in round %u", round);
	}
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
