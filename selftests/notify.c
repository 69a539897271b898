// SPDX-License-Identifier: GPL-2.0
/*
 * VFIFO_NOTIFY wakes those for whom there is news. All others are left alone, whichever
 * process calls it and however often.
 */
#include "vfifo_uring.h"
#include "vfifo_waiters.h"

#define CALLS	1000
#define SIG_IN	(SIGRTMIN + 3)
#define SIG_OUT	(SIGRTMIN + 4)

FIXTURE(notify)
{
	struct vfifo dev;	/* its file holds the claims */
	int stranger;		/* a read-only file without a claim */
	int r, w;		/* for the waiters, one direction each */
	int fd;			/* a blocking one */
	struct vfifo_end *head, *tail;	/* the claimed pages, or NULL */
	struct waiters waiters;
	struct ring ring;
	bool uring;		/* available */
};

/* Which ends are claimed. */
FIXTURE_VARIANT(notify)
{
	bool producer, consumer;
};

FIXTURE_VARIANT_ADD(notify, nothing_claimed)
{
	.producer = false,
	.consumer = false,
};

FIXTURE_VARIANT_ADD(notify, producer_claimed)
{
	.producer = true,
	.consumer = false,
};

FIXTURE_VARIANT_ADD(notify, consumer_claimed)
{
	.producer = false,
	.consumer = true,
};

FIXTURE_VARIANT_ADD(notify, both_claimed)
{
	.producer = true,
	.consumer = true,
};

/* Real-time signals, which are queued and can be counted. */
static int count_signals(int fd, int sig)
{
	hold_signal(sig);
	/* Sent when the queue is full. */
	hold_signal(SIGIO);
	if (fcntl(fd, F_SETSIG, sig))
		return -1;
	return want_signals(fd, getpid());
}

static void release_ends(struct vfifo_end **head, struct vfifo_end **tail,
			 long page)
{
	if (*head)
		munmap(*head, page);
	if (*tail)
		munmap(*tail, page);
	*head = NULL;
	*tail = NULL;
}

FIXTURE_SETUP(notify)
{
	int ret;

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	ASSERT_EQ(0, attr_set("capacity", 32 * PIPE_BUF));
	self->dev.capacity = attr_get("capacity");
	self->stranger = vfifo_open(O_RDONLY);
	self->r = vfifo_open(O_RDONLY | O_NONBLOCK);
	self->w = vfifo_open(O_WRONLY | O_NONBLOCK);
	self->fd = vfifo_open(O_RDWR);
	ASSERT_TRUE(self->stranger >= 0 && self->r >= 0 && self->w >= 0 &&
		    self->fd >= 0);
	ASSERT_TRUE(waiters_begin(&self->waiters));
	ret = ring_begin(&self->ring);
	self->uring = !ret;
	/* These two errors: io_uring is missing or disabled. */
	ASSERT_TRUE(!ret || ret == -EOPNOTSUPP || ret == -EPERM);
}

FIXTURE_TEARDOWN(notify)
{
	waiters_end(&self->waiters);
	ring_close(&self->ring);
	release_ends(&self->head, &self->tail, self->dev.page);
	close(self->stranger);
	close(self->r);
	close(self->w);
	close(self->fd);
	vfifo_teardown(&self->dev);
}

/* The number of signals since the last call. */
static int signals(int sig)
{
	struct timespec now = { 0 };
	sigset_t set;
	int n = 0;

	sigemptyset(&set);
	sigaddset(&set, sig);
	while (sigtimedwait(&set, NULL, &now) == sig)
		n++;
	return n;
}

/* Queues @len bytes and makes the claims of the variant. */
#define BEGIN(len) ({							\
	ASSERT_TRUE(put(&self->dev, len, 0));				\
	if (variant->producer) {					\
		self->head = claim_end(&self->dev, true);		\
		ASSERT_NE(NULL, self->head);				\
	}								\
	if (variant->consumer) {					\
		self->tail = claim_end(&self->dev, false);		\
		ASSERT_NE(NULL, self->tail);				\
	}								\
	ASSERT_EQ(0, count_signals(self->r, SIG_IN));			\
	ASSERT_EQ(0, count_signals(self->w, SIG_OUT));			\
})

/* Starts waiters for an event or, if it is there already, for its edge. */
static bool add_waiters(struct waiters *w, int fd, __u32 event, bool ready)
{
	if (!waiters_start(w, 1, BY_EPOLL, fd, event | EPOLLET, NULL) ||
	    !waiters_start(w, 2, BY_EPOLL, fd,
			   event | EPOLLET | EPOLLEXCLUSIVE, NULL))
		return false;
	return ready || (waiter_start(w, BY_POLL, fd, event, NULL) &&
			 waiter_start(w, BY_SELECT, fd, event, NULL) &&
			 waiter_start(w, BY_EPOLL, fd, event, NULL));
}

/* Calls VFIFO_NOTIFY often: true if all calls return 0 and are counted. */
static bool call_often(int fd)
{
	long before = attr_get("stats/notifies");
	int i;

	for (i = 0; i < CALLS; i++)
		if (ioctl(fd, VFIFO_NOTIFY))
			return false;
	return attr_get("stats/notifies") == before + CALLS;
}

/* Calls through @fd cause no signal, and none of the waiters wakes up at all. */
static void tells_nobody(struct __test_metadata *_metadata, struct waiters *w,
			 int fd)
{
	long sleeps;

	ASSERT_TRUE(waiters_settled(w));
	ASSERT_EQ(0, told_all(w));
	signals(SIG_IN);
	signals(SIG_OUT);
	sleeps = sleeps_all(w);
	EXPECT_TRUE(call_often(fd));
	EXPECT_EQ(0, signals(SIG_IN));
	EXPECT_EQ(0, signals(SIG_OUT));
	EXPECT_EQ(0, told_all(w));
	EXPECT_EQ(0, sleeps_all(w) - sleeps);
}

TEST_F(notify, in_vain_while_empty)
{
	struct waiters *w = &self->waiters;

	BEGIN(0);
	ASSERT_TRUE(add_waiters(w, self->r, EPOLLIN, variant->consumer));
	ASSERT_TRUE(add_waiters(w, self->w, EPOLLOUT, true));
	tells_nobody(_metadata, w, self->stranger);
	/* The same for the owner's file. */
	tells_nobody(_metadata, w, self->dev.fd);
}

TEST_F(notify, in_vain_with_bytes_queued)
{
	struct waiters *w = &self->waiters;

	BEGIN(1000);
	ASSERT_TRUE(add_waiters(w, self->r, EPOLLIN, true));
	ASSERT_TRUE(add_waiters(w, self->w, EPOLLOUT, true));
	tells_nobody(_metadata, w, self->stranger);
	tells_nobody(_metadata, w, self->dev.fd);
}

TEST_F(notify, in_vain_while_full)
{
	struct waiters *w = &self->waiters;

	BEGIN(self->dev.capacity);
	ASSERT_TRUE(add_waiters(w, self->r, EPOLLIN, true));
	ASSERT_TRUE(add_waiters(w, self->w, EPOLLOUT, variant->producer));
	tells_nobody(_metadata, w, self->stranger);
	tells_nobody(_metadata, w, self->dev.fd);
}

/* A sleeping call is not woken. */
TEST_F(notify, in_vain_beside_calls_that_sleep)
{
	char buf[PIPE_BUF] = "";
	long sleeps, more;
	bool write_it;
	pid_t pid;
	int i;

	/* A call sleeps only at an end that is not claimed. */
	for (i = 0; i < 2; i++) {
		write_it = i;
		if (write_it ? variant->producer : variant->consumer)
			continue;
		BEGIN(write_it ? self->dev.capacity : 0);
		pid = child_start(2 * DEADLINE);
		if (!pid)
			_exit((write_it ? write(self->fd, buf, sizeof(buf)) :
			       read(self->fd, buf, 1)) <= 0);
		ASSERT_TRUE(child_sleeps(pid));
		sleeps = switches(pid);
		EXPECT_TRUE(call_often(self->stranger));
		ASSERT_TRUE(child_sleeps(pid));
		more = switches(pid) - sleeps;
		EXPECT_EQ(0, more);
		kill(pid, SIGKILL);
		EXPECT_EQ(-SIGKILL, child_end(pid));
		release_ends(&self->head, &self->tail, self->dev.page);
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	}
}

/* Nor does io_uring retry, which would end in a worker thread. */
TEST_F(notify, in_vain_beside_io_uring)
{
	char buf[PIPE_BUF] = "";
	bool write_it;
	int i;

	if (!self->uring)
		SKIP(return, "no io_uring");
	for (i = 0; i < 2; i++) {
		write_it = i;
		if (write_it ? variant->producer : variant->consumer)
			continue;
		BEGIN(write_it ? self->dev.capacity : 0);
		prepare(&self->ring, write_it ? IORING_OP_WRITE :
			IORING_OP_READ, self->fd, buf, write_it ? PIPE_BUF : 1,
			1);
		prepare_poll(&self->ring, write_it ? self->w : self->r,
			     write_it ? POLLOUT : POLLIN, 0, 2);
		ASSERT_TRUE(submit(&self->ring));
		ASSERT_EQ(0, completions(&self->ring));
		EXPECT_TRUE(call_often(self->stranger));
		EXPECT_EQ(0, completions(&self->ring));
		EXPECT_EQ(0, workers());
		/* The requests still wait. */
		release_ends(&self->head, &self->tail, self->dev.page);
		EXPECT_TRUE(write_it ? get(&self->dev, 2 * PIPE_BUF, 0) :
				       put(&self->dev, 2, 0));
		EXPECT_LT(0, completion(&self->ring, NULL, NULL));
		EXPECT_LT(0, completion(&self->ring, NULL, NULL));
		EXPECT_EQ(0, workers());
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	}
}

/* ---- when there is news ---- */

#define SIG_TOLD	SIG_IN		/* for the end opposite the claim */
#define SIG_SAME	SIG_OUT		/* for the claimed end */

FIXTURE(news)
{
	struct vfifo dev;	/* its file holds the claim */
	int stranger, same, opposite;
	struct vfifo_end *own;	/* the claimed end's page */
	struct waiters waiters;
};

/* The claimed end. Waiters are at the other one. */
FIXTURE_VARIANT(news)
{
	bool producer;
	short event;		/* that they wait for */
	long step;		/* of the position, for one event */
};

FIXTURE_VARIANT_ADD(news, producer)
{
	.producer = true,
	.event = POLLIN,
	.step = 1,
};

FIXTURE_VARIANT_ADD(news, consumer)
{
	.producer = false,
	.event = POLLOUT,
	.step = PIPE_BUF,
};

FIXTURE_SETUP(news)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->stranger = vfifo_open(O_RDONLY);
	self->same = vfifo_open((variant->producer ? O_WRONLY : O_RDONLY) |
				O_NONBLOCK);
	self->opposite = vfifo_open((variant->producer ? O_RDONLY : O_WRONLY) |
				    O_NONBLOCK);
	ASSERT_TRUE(self->stranger >= 0 && self->same >= 0 &&
		    self->opposite >= 0);
	ASSERT_TRUE(waiters_begin(&self->waiters));
	if (!variant->producer)
		ASSERT_TRUE(put(&self->dev, self->dev.capacity, 0));
	self->own = claim_end(&self->dev, variant->producer);
	ASSERT_NE(NULL, self->own);
	ASSERT_EQ(0, count_signals(self->opposite, SIG_TOLD));
	ASSERT_EQ(0, count_signals(self->same, SIG_SAME));
}

FIXTURE_TEARDOWN(news)
{
	waiters_end(&self->waiters);
	munmap(self->own, self->dev.page);
	close(self->stranger);
	close(self->same);
	close(self->opposite);
	vfifo_teardown(&self->dev);
}

/* Each waiter is told once of each piece of news. */
TEST_F(news, told_once)
{
	struct waiters *w = &self->waiters;
	const __u32 edge = variant->event | EPOLLET;
	int i, j;

	ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->opposite, edge, NULL));
	ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->opposite, edge, NULL));
	ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->opposite,
				 edge | EPOLLEXCLUSIVE, NULL));
	for (i = 1; i <= 5; i++) {
		store(self->own, load(self->own) + variant->step);
		EXPECT_EQ(0, signals(SIG_TOLD));
		ASSERT_EQ(0, ioctl(self->stranger, VFIFO_NOTIFY));
		EXPECT_EQ(1, signals(SIG_TOLD));
		EXPECT_EQ(3 * i, told_all(w));
		for (j = 0; j < 3; j++) {
			EXPECT_EQ(i, w->told[j].times);
			ASSERT_TRUE(waiter_again(w, j));
		}
		EXPECT_TRUE(call_often(self->stranger));
		EXPECT_TRUE(call_often(self->dev.fd));
		EXPECT_EQ(0, signals(SIG_TOLD));
		EXPECT_EQ(3 * i, told_all(w));
	}
	/* Those at the claimed end are never told. */
	EXPECT_EQ(0, signals(SIG_SAME));
}

TEST_F(news, sleepers_and_pollers)
{
	struct waiters *w = &self->waiters;
	char buf[PIPE_BUF] = "";
	int fd = vfifo_open(O_RDWR);
	pid_t pid;

	ASSERT_LE(0, fd);
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit((variant->producer ? read(fd, buf, 1) :
		       write(fd, buf, PIPE_BUF)) <= 0);
	ASSERT_TRUE(child_sleeps(pid));
	ASSERT_TRUE(add_waiters(w, self->opposite, variant->event, false));
	/* Enough for the call, and as much again for the pollers. */
	store(self->own, load(self->own) + 2 * variant->step);
	EXPECT_EQ(0, told_all(w));
	EXPECT_EQ('S', child_state(pid));
	ASSERT_EQ(0, ioctl(self->stranger, VFIFO_NOTIFY));
	EXPECT_EQ(0, child_end(pid));
	/* All but one of the two exclusive waiters. */
	EXPECT_EQ(w->count - 1, told_all(w));
	EXPECT_EQ(1, signals(SIG_TOLD));
	close(fd);
}

/* Old news is not told to a later waiter. */
TEST_F(news, nothing_new_for_late_comers)
{
	struct waiters *w = &self->waiters;

	store(self->own, load(self->own) + variant->step);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	EXPECT_EQ(1, signals(SIG_TOLD));
	ASSERT_TRUE(add_waiters(w, self->opposite, variant->event, true));
	tells_nobody(_metadata, w, self->stranger);
}

/* No byte, or too little room for an atomic write, is not an event. */
TEST_F(news, less_than_an_event)
{
	struct waiters *w = &self->waiters;
	const long step = variant->step;

	ASSERT_TRUE(waiter_start(w, BY_EPOLL, self->opposite, variant->event,
				 NULL));
	store(self->own, load(self->own) + step - 1);
	EXPECT_TRUE(call_often(self->stranger));
	EXPECT_EQ(0, told_all(w));
	EXPECT_EQ(0, signals(SIG_TOLD));
	store(self->own, load(self->own) + 1);
	ASSERT_EQ(0, ioctl(self->stranger, VFIFO_NOTIFY));
	EXPECT_EQ(1, told_all(w));
	EXPECT_EQ(1, signals(SIG_TOLD));
}

/* The end of a claim tells the news for which its owner did not call. */
TEST_F(news, release_tells_of_the_rest)
{
	struct waiters *w = &self->waiters;

	store(self->own, load(self->own) + variant->step);
	ASSERT_EQ(0, munmap(self->own, self->dev.page));
	EXPECT_LE(1, signals(SIG_TOLD));
	self->own = claim_end(&self->dev, variant->producer);
	ASSERT_NE(NULL, self->own);
	ASSERT_TRUE(add_waiters(w, self->opposite, variant->event, true));
	tells_nobody(_metadata, w, self->stranger);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
