// SPDX-License-Identifier: GPL-2.0
/*
 * What other processes see of the owner of an end: published positions, events, and the
 * end of its claim.
 */
#include <poll.h>

#include "vfifo_claim.h"

/* The harness's name for the fixture's type. */
#define claim_data	_test_data_claim

/* A child that polls for @events. Exits with 0 if it gets exactly those. */
static pid_t polling_child(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	pid_t pid = child_start(2 * DEADLINE);

	if (!pid)
		_exit(poll(&p, 1, -1) != 1 || p.revents != events);
	return pid;
}

/* ---- the beginning of a claim ---- */

/* A claim must end the sleep of calls on that end. */
TEST_F(claim, sleepers_are_told)
{
	const long cap = self->cap;
	const struct {
		enum side side;
		long queued, len, result;
	} calls[] = {
		{ CONSUMER, 0, 1, -EBUSY },
		/* The FIFO is full: nothing of this write is queued. */
		{ PRODUCER, cap, 1, -EBUSY },
		/* Part of this write is queued. */
		{ PRODUCER, 0, 2 * cap, cap },
	};
	int fd = vfifo_open(O_RDWR);
	struct vfifo_end *own;
	char *buf = calloc(2, cap);
	pid_t pid;
	size_t i;
	long ret;

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, buf);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		ASSERT_TRUE(put(&self->dev, calls[i].queued, 0));
		pid = child_start(2 * DEADLINE);
		if (!pid) {
			ret = res(calls[i].side == CONSUMER ?
				  read(fd, buf, calls[i].len) :
				  write(fd, buf, calls[i].len));
			EXPECT_EQ(calls[i].result, ret);
			_exit(ret != calls[i].result);
		}
		ASSERT_TRUE(child_sleeps(pid));
		own = CLAIM(calls[i].side);
		EXPECT_EQ(0, child_end(pid));
		unmap_end(own);
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	}
	free(buf);
	close(fd);
}

/*
 * The owner of the producer's end is told of any free space, others only if
 * PIPE_BUF bytes fit.
 */
TEST_F(claim, pollers_are_told_that_less_room_will_do)
{
	struct pollfd p = { .fd = self->dev.fd, .events = POLLOUT };
	struct vfifo_end *own;
	pid_t pid;

	ASSERT_TRUE(put(&self->dev, self->cap - 100, 0));
	ASSERT_EQ(0, poll(&p, 1, 0));
	pid = polling_child(self->dev.fd, POLLOUT);
	ASSERT_TRUE(child_sleeps(pid));
	own = CLAIM(PRODUCER);
	EXPECT_EQ(0, child_end(pid));
	unmap_end(own);
}

/* ---- positions ---- */

TEST_F(claim, what_was_published_is_there)
{
	struct vfifo_end *own;
	__u64 head;
	char *data;

	data = mmap(NULL, 2 * self->cap, PROT_READ | PROT_WRITE, MAP_SHARED,
		    self->dev.fd, 0);
	ASSERT_NE(MAP_FAILED, data);
	own = CLAIM(PRODUCER);
	head = load(own);
	/* 300 bytes are stored, 200 of them published. */
	stream_fill(data + head % self->cap, 300, 0);
	store(own, head + 200);
	unmap_end(own);
	EXPECT_EQ(200, queued(self->dev.fd));
	/* The next producer continues from there, mapped or not. */
	ASSERT_TRUE(put(&self->dev, 50, 200));
	own = CLAIM(PRODUCER);
	EXPECT_EQ(head + 250, load(own));
	stream_fill(data + (head + 250) % self->cap, 50, 250);
	store(own, head + 300);
	EXPECT_TRUE(get(&self->dev, 300, 0));
	EXPECT_EQ(0, queued(self->dev.fd));
	unmap_end(own);
	munmap(data, 2 * self->cap);
}

TEST_F(claim, what_was_consumed_is_gone)
{
	struct vfifo_end *own;
	__u64 tail;
	char *data;

	data = mmap(NULL, 2 * self->cap, PROT_READ, MAP_SHARED, self->dev.fd,
		    0);
	ASSERT_NE(MAP_FAILED, data);
	ASSERT_TRUE(put(&self->dev, 300, 0));
	own = CLAIM(CONSUMER);
	tail = load(own);
	EXPECT_TRUE(stream_equal(data + tail % self->cap, 300, 0));
	store(own, tail + 100);
	EXPECT_EQ(200, queued(self->dev.fd));
	unmap_end(own);
	EXPECT_TRUE(get(&self->dev, 200, 100));
	munmap(data, 2 * self->cap);
}

TEST_F(claim, stats_count_what_owners_move)
{
	long written = attr_get("stats/bytes_written");
	long consumed = attr_get("stats/bytes_read");
	long notifies = attr_get("stats/notifies");
	struct vfifo_end *head, *tail;

	head = CLAIM(PRODUCER);
	tail = CLAIM(CONSUMER);
	store(head, load(head) + 20);
	store(tail, load(tail) + 15);
	EXPECT_EQ(written + 20, attr_get("stats/bytes_written"));
	EXPECT_EQ(consumed + 15, attr_get("stats/bytes_read"));
	EXPECT_EQ(5, attr_get("size"));
	EXPECT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	EXPECT_EQ(notifies + 1, attr_get("stats/notifies"));
	unmap_end(head);
	unmap_end(tail);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_EQ(consumed + 15, attr_get("stats/bytes_read"));
}

/* ---- waiting and notification ---- */

static bool waiting(struct vfifo_end *end)
{
	return __atomic_load_n(&end->waiting, __ATOMIC_SEQ_CST);
}

TEST_F(claim, waiters_set_waiting)
{
	struct vfifo_end *head, *tail;
	struct pollfd poll_in = { .fd = self->dev.fd, .events = POLLIN };
	struct pollfd poll_out = { .fd = self->dev.fd, .events = POLLOUT };
	int fd = vfifo_open(O_RDWR);
	pid_t pid;
	char c;

	ASSERT_LE(0, fd);
	head = CLAIM(PRODUCER);
	tail = VIEW(CONSUMER);

	/* A poller waits until it has been notified. */
	EXPECT_EQ(0, poll(&poll_in, 1, 0));
	EXPECT_TRUE(waiting(tail));
	store(head, load(head) + 1);
	EXPECT_EQ(0, ioctl(fd, VFIFO_NOTIFY));
	EXPECT_FALSE(waiting(tail));
	EXPECT_EQ(1, read(fd, &c, 1));
	EXPECT_FALSE(waiting(tail));
	EXPECT_EQ(0, poll(&poll_in, 1, 0));
	EXPECT_TRUE(waiting(tail));

	/* So does the owner. */
	EXPECT_EQ(1, poll(&poll_out, 1, 0));
	EXPECT_TRUE(waiting(head));

	/* A reader that is notified without bytes goes back to sleep. */
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(read(fd, &c, 1) != 1);
	ASSERT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(waiting(tail));
	EXPECT_EQ(0, ioctl(fd, VFIFO_NOTIFY));
	EXPECT_TRUE(eventually(waiting(tail)));
	EXPECT_TRUE(child_sleeps(pid));
	store(head, load(head) + 1);
	EXPECT_EQ(0, ioctl(fd, VFIFO_NOTIFY));
	EXPECT_EQ(0, child_end(pid));
	unmap_end(head);
	unmap_end(tail);
	close(fd);
}

/*
 * Publishes @len bytes as the UAPI header describes: notifies the other end if
 * it waits.
 */
static void publish(int fd, struct vfifo_end *own, struct vfifo_end *peer,
		    long len)
{
	store(own, load(own) + len);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&peer->waiting, __ATOMIC_RELAXED))
		ioctl(fd, VFIFO_NOTIFY);
}

/* An owner does not have to know that its peer uses SIGIO. */
TEST_F(claim, owners_cause_signals)
{
	int r = vfifo_open(O_RDONLY | O_NONBLOCK);
	int w = vfifo_open(O_WRONLY | O_NONBLOCK);
	struct vfifo_end *own, *peer;
	int i;

	ASSERT_LE(0, r);
	ASSERT_LE(0, w);
	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(r, getpid()));
	own = CLAIM(PRODUCER);
	peer = VIEW(CONSUMER);
	for (i = 0; i < 3; i++) {
		EXPECT_FALSE(signalled());
		publish(self->dev.fd, own, peer, 10);
		EXPECT_TRUE(signalled());
	}
	/* The end of a claim signals bytes that were never announced. */
	store(own, load(own) + 10);
	EXPECT_FALSE(signalled());
	unmap_end(own);
	EXPECT_TRUE(signalled());
	EXPECT_EQ(40, queued(r));
	unmap_end(peer);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	ASSERT_EQ(0, fcntl(r, F_SETFL, O_NONBLOCK));
	while (signalled())
		;

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	ASSERT_EQ(0, want_signals(w, getpid()));
	own = CLAIM(CONSUMER);
	peer = VIEW(PRODUCER);
	publish(self->dev.fd, own, peer, PIPE_BUF - 1);
	EXPECT_FALSE(signalled());
	for (i = 0; i < 3; i++) {
		publish(self->dev.fd, own, peer, 1);
		EXPECT_TRUE(signalled());
	}
	unmap_end(own);
	unmap_end(peer);
	close(r);
	close(w);
}

/*
 * A consumer frees space as fast as it is filled, so the writer never sleeps. A
 * signal must interrupt it all the same.
 */
TEST_F(claim, endless_room_does_not_hide_a_signal)
{
	const size_t much = 1UL << 30;
	struct vfifo_end *own, *peer;
	int status = 0;
	pid_t writer;
	void *bytes;
	__u64 start;
	long ret;

	own = CLAIM(CONSUMER);
	peer = VIEW(PRODUCER);
	start = load(peer);
	writer = child_start(3 * DEADLINE);
	if (!writer) {
		int fd = vfifo_open(O_WRONLY);

		/* All of it maps the zero page. */
		bytes = mmap(NULL, much, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
			     MAP_NORESERVE, -1, 0);
		ASSERT_NE(MAP_FAILED, bytes);
		signal(SIGUSR1, no_op);
		ret = res(write(fd, bytes, much));
		EXPECT_LT(0, ret);
		EXPECT_GT((long)much, ret);
		_exit(0);
	}
	while (!waitpid(writer, &status, WNOHANG)) {
		publish(self->dev.fd, own, peer, load(peer) - load(own));
		/* The head has moved, so it is inside write(). */
		if (load(peer) != start)
			kill(writer, SIGUSR1);
	}
	EXPECT_EQ(0, status);
	unmap_end(own);
	unmap_end(peer);
}

/* ---- the end of a claim ---- */

/*
 * A call and a poller sleep at the end opposite to @side, whose owner moves its position
 * without telling anyone. When the claim ends, both are woken.
 */
static void end_wakes_sleepers(struct __test_metadata *_metadata,
			       struct claim_data *self, enum side side, long len,
			       short events)
{
	int fd = vfifo_open(O_RDWR);
	char buf[PIPE_BUF] = "";
	struct vfifo_end *own;
	pid_t call, poller;

	ASSERT_LE(0, fd);
	own = CLAIM(side);
	call = child_start(2 * DEADLINE);
	if (!call)
		_exit((side == PRODUCER ? read(fd, buf, len) :
					  write(fd, buf, len)) != len);
	poller = polling_child(fd, events);
	ASSERT_TRUE(child_sleeps(call));
	ASSERT_TRUE(child_sleeps(poller));
	/* More than the call takes, so that something is left for the poller. */
	store(own, load(own) + 2 * len);
	EXPECT_EQ('S', child_state(call));
	EXPECT_EQ('S', child_state(poller));
	unmap_end(own);
	EXPECT_EQ(0, child_end(call));
	EXPECT_EQ(0, child_end(poller));
	close(fd);
}

TEST_F(claim, end_wakes_readers)
{
	end_wakes_sleepers(_metadata, self, PRODUCER, 5, POLLIN);
	EXPECT_EQ(5, queued(self->dev.fd));
}

TEST_F(claim, end_wakes_writers)
{
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	end_wakes_sleepers(_metadata, self, CONSUMER, PIPE_BUF, POLLOUT);
	EXPECT_EQ(self->cap - PIPE_BUF, queued(self->dev.fd));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
