// SPDX-License-Identifier: GPL-2.0
/*
 * poll(2) and epoll(7) on a vfifo with mapped ends, by their owners and by others.
 */
#include <poll.h>

#include "vfifo_mapped.h"

/* The events reported now, without waiting. */
static int says(int ep)
{
	struct epoll_event event = {};

	return epoll_wait(ep, &event, 1, 0) == 1 ? (int)event.events : 0;
}

/* The events reported within a second. */
static int hears(int ep)
{
	struct epoll_event event = {};

	return epoll_wait(ep, &event, 1, 1000) == 1 ? (int)event.events : 0;
}

TEST_F(mapped, poll_sees_a_mapped_producer)
{
	struct pollfd pfd = { .fd = self->fd, .events = POLLIN };
	int level, edge;
	struct vfifo_producer p;
	pid_t pid;

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->dev.fd));
	level = epoll_for(self->fd, EPOLLIN);
	edge = epoll_for(self->fd, EPOLLIN | EPOLLET);
	ASSERT_TRUE(level >= 0 && edge >= 0);
	EXPECT_EQ(0, says(level));
	EXPECT_EQ(0, says(edge));
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(poll(&pfd, 1, -1) != 1 || pfd.revents != POLLIN);
	ASSERT_TRUE(child_sleeps(pid));

	EXPECT_EQ(0, commit(&p, 10, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(EPOLLIN, says(level));
	EXPECT_EQ(EPOLLIN, says(level));
	EXPECT_EQ(EPOLLIN, says(edge));
	EXPECT_EQ(0, says(edge));
	/* Every commit is an edge. */
	EXPECT_EQ(0, commit(&p, 10, 10));
	EXPECT_EQ(EPOLLIN, says(edge));
	EXPECT_EQ(0, says(edge));

	EXPECT_TRUE(get(&self->dev, 20, 0));
	EXPECT_EQ(0, says(level));
	vfifo_producer_close(&p);
	close(level);
	close(edge);
}

TEST_F(mapped, poll_sees_a_mapped_consumer)
{
	struct pollfd pfd = { .fd = self->fd, .events = POLLOUT };
	int level, edge;
	struct vfifo_consumer c;
	pid_t pid;

	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->dev.fd));
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	level = epoll_for(self->fd, EPOLLOUT);
	edge = epoll_for(self->fd, EPOLLOUT | EPOLLET);
	ASSERT_TRUE(level >= 0 && edge >= 0);
	EXPECT_EQ(0, says(level));
	EXPECT_EQ(0, says(edge));
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(poll(&pfd, 1, -1) != 1 || pfd.revents != POLLOUT);
	ASSERT_TRUE(child_sleeps(pid));

	/* Less than PIPE_BUF is not enough room for a writer. */
	EXPECT_EQ(0, release(&c, PIPE_BUF - 1, 0));
	EXPECT_EQ(0, says(level));
	EXPECT_EQ(0, says(edge));
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(0, release(&c, 1, PIPE_BUF - 1));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(EPOLLOUT, says(level));
	EXPECT_EQ(EPOLLOUT, says(level));
	EXPECT_EQ(EPOLLOUT, says(edge));
	EXPECT_EQ(0, says(edge));
	EXPECT_EQ(0, release(&c, 1, PIPE_BUF));
	EXPECT_EQ(EPOLLOUT, says(edge));
	EXPECT_EQ(0, says(edge));
	vfifo_consumer_close(&c);
	close(level);
	close(edge);
}

/* An owner may poll its own end in an event loop. */
TEST_F(mapped, owners_may_poll)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	int in, out;

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->dev.fd));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	in = epoll_for(vfifo_producer_fd(&p), EPOLLOUT);
	out = epoll_for(vfifo_consumer_fd(&c), EPOLLIN | EPOLLET);
	ASSERT_TRUE(in >= 0 && out >= 0);
	EXPECT_EQ(EPOLLOUT, says(in));
	EXPECT_EQ(0, says(out));
	EXPECT_EQ(0, commit(&p, self->cap, 0));
	EXPECT_EQ(0, says(in));
	EXPECT_EQ(EPOLLIN, says(out));
	EXPECT_EQ(0, release(&c, self->cap, 0));
	EXPECT_EQ(EPOLLOUT, says(in));
	EXPECT_EQ(0, says(out));
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
	close(in);
	close(out);
}

/* Helpers that wait and that open an end work beside an event loop. */
TEST_F(mapped, owners_may_wait_and_poll)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	int in, out;

	/* Nothing is ready at first, so each event has to be delivered. */
	ASSERT_EQ(0, attr_set("capacity", self->page));
	in = epoll_for(self->dev.fd, EPOLLOUT);
	out = epoll_for(self->fd, EPOLLIN);
	ASSERT_TRUE(in >= 0 && out >= 0);
	EXPECT_EQ(0, says(out));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	EXPECT_TRUE(put(&self->dev, self->page, 0));
	EXPECT_EQ(EPOLLIN, hears(out));
	EXPECT_EQ(0, says(in));
	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->dev.fd));
	EXPECT_EQ(0, release(&c, self->page, 0));
	EXPECT_EQ(EPOLLOUT, hears(in));

	EXPECT_EQ(0, says(out));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&c, 1, 50));
	EXPECT_EQ(0, commit(&p, self->page, 0));
	EXPECT_EQ(EPOLLIN, hears(out));

	EXPECT_EQ(0, says(in));
	EXPECT_EQ(-EAGAIN, vfifo_producer_wait(&p, 1, 50));
	EXPECT_EQ(0, release(&c, self->page, 0));
	EXPECT_EQ(EPOLLOUT, hears(in));
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
	close(in);
	close(out);
}

/* Polling one end does not wait at the other, even on a file open for both. */
TEST_F(mapped, who_polls_waits_for_what_is_asked)
{
	struct pollfd pfd = { .fd = self->dev.fd };
	struct vfifo_producer p;
	struct vfifo_consumer c;
	int ep;

	/* Opening an end polls; one event for each ends that. */
	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->dev.fd));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->dev.fd));
	ASSERT_EQ(0, commit(&p, 10, 0));
	ASSERT_EQ(0, release(&c, 10, 0));
	EXPECT_FALSE(p.map.own->waiting || c.map.own->waiting);
	pfd.events = POLLOUT;
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_TRUE(p.map.own->waiting && !c.map.own->waiting);
	ASSERT_EQ(0, commit(&p, 1, 10));
	ASSERT_EQ(0, release(&c, 1, 10));
	EXPECT_FALSE(p.map.own->waiting || c.map.own->waiting);
	pfd.events = POLLIN;
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	EXPECT_TRUE(!p.map.own->waiting && c.map.own->waiting);
	ASSERT_EQ(0, commit(&p, 1, 11));
	EXPECT_FALSE(p.map.own->waiting || c.map.own->waiting);
	ASSERT_EQ(0, release(&c, 1, 11));
	pfd.events = 0;
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	EXPECT_FALSE(p.map.own->waiting || c.map.own->waiting);
	pfd.events = POLLIN | POLLOUT;
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_TRUE(p.map.own->waiting && c.map.own->waiting);

	/*
	 * Once notified, an epoll that is not waited for needs no further
	 * notification.
	 */
	ep = epoll_for(self->dev.fd, EPOLLOUT | EPOLLIN);
	ASSERT_LE(0, ep);
	ASSERT_EQ(0, commit(&p, 10, 12));
	ASSERT_EQ(0, release(&c, 10, 12));
	EXPECT_FALSE(p.map.own->waiting || c.map.own->waiting);
	ASSERT_EQ(0, commit(&p, self->cap - 1, 22));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_NOTIFY));
	EXPECT_FALSE(p.map.own->waiting || c.map.own->waiting);
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
	close(ep);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
