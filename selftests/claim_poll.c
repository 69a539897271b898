// SPDX-License-Identifier: GPL-2.0
/*
 * What poll reports about a claim: POLLERR, together with the event asked for, if the
 * end is claimed through another open file, since a call would fail with EBUSY. All
 * pollers are woken when a claim begins and when it ends.
 */
#include "vfifo_uring.h"
#include "vfifo_waiters.h"

FIXTURE(claim_poll)
{
	struct vfifo dev;	/* its file has the claim */
	int other;		/* another open file, for both directions */
	struct vfifo_end *own;	/* the claimed end's page, or NULL */
	struct waiters waiters;
	struct ring ring;
	bool uring;		/* whether there is io_uring */
};

/* The end that is claimed. */
FIXTURE_VARIANT(claim_poll)
{
	bool producer;
	short event;		/* the event of that end */
};

FIXTURE_VARIANT_ADD(claim_poll, consumer)
{
	.producer = false,
	.event = POLLIN,
};

FIXTURE_VARIANT_ADD(claim_poll, producer)
{
	.producer = true,
	.event = POLLOUT,
};

FIXTURE_SETUP(claim_poll)
{
	int ret;

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->other = vfifo_open(O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->other);
	ASSERT_TRUE(waiters_begin(&self->waiters));
	self->own = NULL;
	ret = ring_begin(&self->ring);
	self->uring = !ret;
	/* These two errors: io_uring is missing or disabled. */
	ASSERT_TRUE(!ret || ret == -EOPNOTSUPP || ret == -EPERM);
}

FIXTURE_TEARDOWN(claim_poll)
{
	waiters_end(&self->waiters);
	ring_close(&self->ring);
	if (self->own)
		munmap(self->own, self->dev.page);
	close(self->other);
	vfifo_teardown(&self->dev);
}

#define CLAIM()	({							\
	self->own = claim_end(&self->dev, variant->producer);		\
	ASSERT_NE(NULL, self->own);					\
})

#define RELEASE() ({							\
	ASSERT_EQ(0, munmap(self->own, self->dev.page));		\
	self->own = NULL;						\
})

/* Makes the end ready, with one byte in the FIFO, or not ready: empty, or full. */
#define MAKE(ready) ({							\
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));			\
	ASSERT_TRUE(put(&self->dev, (ready) ? 1 : variant->producer ?	\
			self->dev.capacity : 0, 0));			\
})

/* The result of a read or write, which does not sleep, at that end. */
static long use(int fd, bool producer)
{
	char c = 0;

	return res(producer ? write(fd, &c, 1) : read(fd, &c, 1));
}

/* ---- what is reported ---- */

TEST_F(claim_poll, error_for_the_direction_asked_for)
{
	const short both = POLLIN | POLLOUT, event = variant->event;
	const short same = variant->producer ? POLLWRNORM : POLLRDNORM;

	MAKE(true);
	EXPECT_EQ(both, poll_now(self->other, both));
	CLAIM();
	EXPECT_EQ(event | POLLERR, poll_now(self->other, event));
	EXPECT_EQ(same | POLLERR, poll_now(self->other, same));
	EXPECT_EQ(both | POLLERR, poll_now(self->other, both));
	EXPECT_EQ(-EBUSY, use(self->other, variant->producer));
	/* The other direction is not affected, and no event is reported unasked. */
	EXPECT_EQ(both ^ event, poll_now(self->other, both ^ event));
	EXPECT_EQ(0, poll_now(self->other, 0));
	EXPECT_EQ(0, poll_now(self->other, POLLPRI));
	RELEASE();
	EXPECT_EQ(both, poll_now(self->other, both));
	EXPECT_EQ(1, use(self->other, variant->producer));
}

/* A call would not sleep, so the event is reported as well. */
TEST_F(claim_poll, ready_though_there_is_nothing)
{
	const short event = variant->event;
	struct watch watches[] = {
		{ .by = BY_EPOLL, .fd = self->other, .events = event },
		{ .by = BY_NESTED_EPOLL, .fd = self->other, .events = event },
		{ .by = BY_POLL, .fd = self->other, .events = event },
		{ .by = BY_SELECT, .fd = self->other, .events = event },
	};
	size_t i;

	MAKE(false);
	for (i = 0; i < ARRAY_SIZE(watches); i++)
		ASSERT_TRUE(watch_open(&watches[i]));
	for (i = 0; i < ARRAY_SIZE(watches); i++)
		EXPECT_EQ(0, watch_wait(&watches[i], 0));
	EXPECT_EQ(-EAGAIN, use(self->other, variant->producer));
	CLAIM();
	/* Level-triggered, it is reported each time. */
	for (i = 0; i < 2 * ARRAY_SIZE(watches); i++) {
		struct watch *watch = &watches[i / 2];
		short error = watch->by == BY_SELECT ? 0 : POLLERR;

		EXPECT_EQ(event | error, watch_wait(watch, 0))
			TH_LOG("way %zu", i / 2);
	}
	EXPECT_EQ(-EBUSY, use(self->other, variant->producer));
	RELEASE();
	for (i = 0; i < ARRAY_SIZE(watches); i++)
		EXPECT_EQ(0, watch_wait(&watches[i], 0));
	EXPECT_EQ(-EAGAIN, use(self->other, variant->producer));
}

/* A file that is not open for the direction has no end that could be claimed. */
TEST_F(claim_poll, how_the_file_is_open)
{
	const short both = POLLIN | POLLOUT, event = variant->event;
	int r = vfifo_open(O_RDONLY), w = vfifo_open(O_WRONLY);
	int same = variant->producer ? w : r;
	int opposite = variant->producer ? r : w;

	ASSERT_LE(0, r);
	ASSERT_LE(0, w);
	MAKE(true);
	CLAIM();
	EXPECT_EQ(event | POLLERR, poll_now(same, both));
	EXPECT_EQ(event | POLLERR, poll_now(same, event));
	EXPECT_EQ(0, poll_now(same, both ^ event));
	EXPECT_EQ(both ^ event, poll_now(opposite, both));
	EXPECT_EQ(0, poll_now(opposite, event));
	RELEASE();
	EXPECT_EQ(event, poll_now(same, both));
	close(r);
	close(w);
}

/* The open file has the claim, in whichever process its descriptors are. */
TEST_F(claim_poll, whose_file_it_is)
{
	const short event = variant->event;
	int fd = self->dev.fd, copy = dup(fd), socks[2];
	char path[32];
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	ASSERT_LE(0, copy);
	MAKE(true);
	CLAIM();
	EXPECT_EQ(event, poll_now(fd, event));
	EXPECT_EQ(event, poll_now(copy, event));
	pid = child_start(DEADLINE);
	if (!pid) {
		int passed = receive_fd(socks[1]);

		EXPECT_EQ(event, poll_now(fd, event));
		EXPECT_EQ(event, poll_now(passed, event));
		/* But a second claim and calls fail. */
		EXPECT_EQ(-EBUSY, use(passed, variant->producer));
		EXPECT_EQ(event | POLLERR, poll_now(self->other, event));
		_exit(!__test_passed(_metadata));
	}
	ASSERT_EQ(0, send_fd(socks[0], fd));
	EXPECT_EQ(0, child_end(pid));

	/* A file that was opened separately, by any name. */
	close(copy);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	copy = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, copy);
	EXPECT_EQ(event | POLLERR, poll_now(copy, event));
	EXPECT_EQ(event, poll_now(fd, event));
	close(copy);
	close(socks[0]);
	close(socks[1]);
}

TEST_F(claim_poll, outlives_its_descriptor)
{
	const short event = variant->event;
	int fd = self->dev.fd;

	MAKE(true);
	CLAIM();
	self->dev.fd = vfifo_open(O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->dev.fd);
	close(fd);
	EXPECT_EQ(event | POLLERR, poll_now(self->other, event));
	EXPECT_EQ(event | POLLERR, poll_now(self->dev.fd, event));
	RELEASE();
	EXPECT_EQ(event, poll_now(self->other, event));
	EXPECT_EQ(event, poll_now(self->dev.fd, event));
}

/* Two programs that each own and poll one end get no POLLERR for the other's claim. */
TEST_F(claim_poll, two_owners)
{
	struct vfifo peer = self->dev;
	struct vfifo_end *end, *head;
	int in, out;

	MAKE(true);
	CLAIM();
	peer.fd = self->other;
	end = claim_end(&peer, !variant->producer);
	ASSERT_NE(NULL, end);
	out = variant->producer ? self->dev.fd : self->other;
	in = variant->producer ? self->other : self->dev.fd;
	head = variant->producer ? self->own : end;

	EXPECT_EQ(POLLIN, poll_now(in, POLLIN));
	EXPECT_EQ(POLLOUT, poll_now(out, POLLOUT));
	store(head, load(head) + self->dev.capacity - 1);
	EXPECT_EQ(POLLIN, poll_now(in, POLLIN));
	EXPECT_EQ(0, poll_now(out, POLLOUT));
	/* If one polls for both, it gets it: one of the ends is claimed by the other. */
	EXPECT_EQ(POLLIN | POLLERR, poll_now(out, POLLIN | POLLOUT));
	EXPECT_EQ(POLLIN | POLLOUT | POLLERR,
		  poll_now(in, POLLIN | POLLOUT));
	munmap(end, self->dev.page);
	RELEASE();
}

TEST_F(claim_poll, both_ends_are_one_owners)
{
	const short both = POLLIN | POLLOUT;
	struct vfifo_end *end;

	MAKE(true);
	CLAIM();
	end = claim_end(&self->dev, !variant->producer);
	ASSERT_NE(NULL, end);
	EXPECT_EQ(both, poll_now(self->dev.fd, both));
	EXPECT_EQ(both | POLLERR, poll_now(self->other, both));
	EXPECT_EQ(POLLIN | POLLERR, poll_now(self->other, POLLIN));
	EXPECT_EQ(POLLOUT | POLLERR, poll_now(self->other, POLLOUT));
	munmap(end, self->dev.page);
	RELEASE();
}

/* ---- who is woken ---- */

TEST_F(claim_poll, begin_wakes_all_that_wait)
{
	static const struct {
		enum wait_by by;
		__u32 how;
	} ways[] = {
		{ BY_POLL, 0 }, { BY_SELECT, 0 }, { BY_EPOLL, 0 },
		{ BY_EPOLL, EPOLLET }, { BY_NESTED_EPOLL, 0 },
		{ BY_EPOLL, EPOLLONESHOT }, { BY_EPOLL, EPOLLEXCLUSIVE },
		{ BY_EPOLL, EPOLLEXCLUSIVE },
		{ BY_EPOLL, EPOLLEXCLUSIVE | EPOLLET },
		{ BY_EPOLL, EPOLLEXCLUSIVE | EPOLLET },
	};
	struct waiters *w = &self->waiters;
	size_t i;

	MAKE(false);
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		ASSERT_TRUE(waiter_start(w, ways[i].by, self->other,
					 variant->event | ways[i].how, NULL));
	ASSERT_EQ(0, told_all(w));
	CLAIM();
	EXPECT_EQ(w->count, told_all(w));
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		short error = ways[i].by == BY_SELECT ? 0 : POLLERR;

		EXPECT_EQ(1, w->told[i].times)
			TH_LOG("way %zu", i);
		EXPECT_EQ(variant->event | error, w->told[i].events)
			TH_LOG("way %zu", i);
	}
}

/* An edge-triggered event, since calls work again. */
TEST_F(claim_poll, end_wakes_all_that_wait)
{
	static const __u32 how[] = {
		0, EPOLLEXCLUSIVE, EPOLLEXCLUSIVE, EPOLLEXCLUSIVE,
	};
	struct waiters *w = &self->waiters;
	size_t i;

	MAKE(true);
	CLAIM();
	for (i = 0; i < ARRAY_SIZE(how); i++)
		ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->other,
					 variant->event | EPOLLET | how[i],
					 NULL));
	ASSERT_EQ(0, told_all(w));
	RELEASE();
	EXPECT_EQ(w->count, told_all(w));
	for (i = 0; i < ARRAY_SIZE(how); i++) {
		EXPECT_EQ(1, w->told[i].times);
		EXPECT_EQ(variant->event, w->told[i].events);
	}
}

/* The same if the owner is killed. */
TEST_F(claim_poll, death_ends_it)
{
	struct waiters *w = &self->waiters;
	struct vfifo child;
	pid_t pid;

	MAKE(true);
	pid = child_start(4 * DEADLINE);
	if (!pid) {
		child = self->dev;
		child.fd = vfifo_open(O_RDWR);
		if (!claim_end(&child, variant->producer))
			_exit(1);
		close(child.fd);
		pause();
	}
	EXPECT_TRUE(eventually(poll_now(self->other, variant->event) ==
			       (variant->event | POLLERR)));
	ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->other,
				 variant->event | EPOLLET, NULL));
	EXPECT_EQ(0, told_all(w));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_TRUE(eventually(told_all(w) == 1));
	EXPECT_EQ(variant->event, w->told[0].events);
	EXPECT_EQ(variant->event, poll_now(self->other, variant->event));
}

TEST_F(claim_poll, signals)
{
	int fd = vfifo_open(variant->producer ? O_WRONLY : O_RDONLY);

	ASSERT_LE(0, fd);
	hold_signal(SIGIO);
	MAKE(true);
	ASSERT_EQ(0, want_signals(fd, getpid()));
	EXPECT_FALSE(signalled());
	CLAIM();
	EXPECT_TRUE(signalled());
	EXPECT_FALSE(signalled());
	RELEASE();
	EXPECT_TRUE(signalled());
	EXPECT_FALSE(signalled());

	/* Also if there is no other event than the claim. */
	ASSERT_EQ(0, fcntl(fd, F_SETFL, 0));
	MAKE(false);
	ASSERT_EQ(0, want_signals(fd, getpid()));
	EXPECT_FALSE(signalled());
	CLAIM();
	EXPECT_TRUE(signalled());
	close(fd);
}

TEST_F(claim_poll, aio)
{
	int fd = vfifo_open(variant->producer ? O_WRONLY : O_RDONLY);
	aio_context_t aio = 0;

	ASSERT_LE(0, fd);
	if (syscall(SYS_io_setup, 4, &aio))
		SKIP(return, "io_setup: %s", strerror(errno));
	MAKE(false);
	ASSERT_EQ(1, aio_poll(aio, fd, variant->event));
	EXPECT_EQ(0, aio_polled(aio, 0));
	CLAIM();
	EXPECT_EQ(variant->event | POLLERR, aio_polled(aio, DEADLINE * 1000));
	syscall(SYS_io_destroy, aio);
	close(fd);
}

TEST_F(claim_poll, io_uring_poll)
{
	const short event = variant->event;
	int i;

	if (!self->uring)
		SKIP(return, "no io_uring");
	MAKE(false);
	prepare_poll(&self->ring, self->other, event, 0, 1);
	for (i = 0; i < 3; i++)
		prepare_poll(&self->ring, self->other, event | EPOLLEXCLUSIVE,
			     0, 1);
	ASSERT_TRUE(submit(&self->ring));
	ASSERT_EQ(0, completions(&self->ring));
	CLAIM();
	EXPECT_EQ(4, completions(&self->ring));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(event | POLLERR,
			  completion(&self->ring, NULL, NULL));
}

TEST_F(claim_poll, io_uring_poll_of_many_shots)
{
	const short event = variant->event;

	if (!self->uring)
		SKIP(return, "no io_uring");
	MAKE(true);
	prepare_poll(&self->ring, self->other, event, IORING_POLL_ADD_MULTI, 1);
	ASSERT_TRUE(submit(&self->ring));
	ASSERT_EQ(event, completion(&self->ring, NULL, NULL));
	ASSERT_EQ(0, completions(&self->ring));
	CLAIM();
	EXPECT_EQ(1, completions(&self->ring));
	EXPECT_EQ(event | POLLERR, completion(&self->ring, NULL, NULL));
	RELEASE();
	EXPECT_EQ(1, completions(&self->ring));
	EXPECT_EQ(event, completion(&self->ring, NULL, NULL));
}

/* A request that waits by polling fails as a call that sleeps does. */
TEST_F(claim_poll, io_uring_transfer)
{
	int fd = vfifo_open(O_RDWR);
	char c = 0;

	ASSERT_LE(0, fd);
	if (!self->uring)
		SKIP(return, "no io_uring");
	MAKE(false);
	prepare(&self->ring, variant->producer ? IORING_OP_WRITE :
		IORING_OP_READ, fd, &c, 1, 1);
	ASSERT_TRUE(submit(&self->ring));
	ASSERT_EQ(0, completions(&self->ring));
	CLAIM();
	EXPECT_EQ(1, completions(&self->ring));
	EXPECT_EQ(-EBUSY, completion(&self->ring, NULL, NULL));
	EXPECT_EQ(0, workers());
	close(fd);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
