// SPDX-License-Identifier: GPL-2.0
/*
 * How the owner of a mapped end waits for its peer, and what ends the wait: bytes or free
 * space, a timeout, a signal, or an error of the peer.
 */
#include "vfifo_mapped.h"

/* A waiter may need more than is there already. */
TEST_F(mapped, waits_for_more_than_some)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	pid_t pid;

	pid = child_start(2 * DEADLINE);
	if (!pid) {
		EXPECT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
		EXPECT_EQ(0, wait_bytes(&c, 100));
		EXPECT_EQ(0, release(&c, 100, 0));
		_exit(0);
	}
	ASSERT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(put(&self->dev, 99, 0));
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(put(&self->dev, 1, 99));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(eventually(!attr_get("consumer_claimed")));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		EXPECT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
		EXPECT_EQ(0, wait_room(&p, 2 * PIPE_BUF));
		EXPECT_EQ(0, commit(&p, 2 * PIPE_BUF, self->cap));
		_exit(0);
	}
	ASSERT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(get(&self->dev, 2 * PIPE_BUF - 1, 0));
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(get(&self->dev, 1, 2 * PIPE_BUF - 1));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(self->cap, queued(self->fd));
}

/*
 * A mapped producer may wait for less than PIPE_BUF, for example to finish a
 * record.
 */
TEST_F(mapped, little_room_wakes_a_mapped_producer)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	pid_t pid;
	long cap;

	ASSERT_EQ(0, attr_set("capacity", PIPE_BUF));
	cap = attr_get("capacity");
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->dev.fd));
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		EXPECT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
		EXPECT_EQ(0, commit(&p, cap, 0));
		EXPECT_EQ(0, wait_room(&p, 100));
		EXPECT_EQ(0, commit(&p, 100, cap));
		_exit(0);
	}
	EXPECT_EQ(0, wait_bytes(&c, cap));
	ASSERT_TRUE(child_sleeps(pid));
	EXPECT_EQ(0, release(&c, 99, 0));
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(0, release(&c, 1, 99));
	EXPECT_EQ(0, wait_bytes(&c, cap));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, release(&c, cap, 100));
	vfifo_consumer_close(&c);
}

TEST_F(mapped, waits_no_longer_than_told)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	__s64 from = now_ms();

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	EXPECT_EQ(0, vfifo_producer_wait(&p, self->cap, 0));
	EXPECT_EQ(-EINVAL, vfifo_producer_wait(&p, self->cap + 1, 0));
	EXPECT_EQ(-EINVAL, vfifo_consumer_wait(&c, self->cap + 1, -1));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&c, 1, 0));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&c, 1, 50));
	EXPECT_LE(50, now_ms() - from);
	EXPECT_EQ(0, commit(&p, 1, 0));
	EXPECT_EQ(0, vfifo_consumer_wait(&c, 1, 0));
	from = now_ms();
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&c, 2, 50));
	EXPECT_LE(50, now_ms() - from);
	EXPECT_EQ(-EAGAIN, vfifo_producer_wait(&p, self->cap, 50));
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
}

/* The peer may be anyone, so the helpers check its position as well. */
TEST_F(mapped, helpers_believe_no_wrong_position)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	size_t len;
	__u64 at;

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	ASSERT_EQ(0, commit(&p, 100, 0));
	EXPECT_NE(NULL, vfifo_consumer_peek(&c, &len));
	at = p.map.position;

	p.map.own->position = at - 1;
	EXPECT_EQ(-EIO, wait_bytes(&c, 101));
	p.map.own->position = at - 100 + self->cap + 1;
	EXPECT_EQ(-EIO, vfifo_consumer_wait(&c, 101, 0));
	p.map.own->position = at + (1ULL << 63);
	EXPECT_EQ(-EIO, wait_bytes(&c, 101));
	EXPECT_EQ(0, release(&c, 100, 0));
	EXPECT_EQ(NULL, vfifo_consumer_peek(&c, &len));
	p.map.own->position = at;
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&c, 1, 0));

	c.map.own->position = at + 1;
	EXPECT_EQ(-EIO, wait_room(&p, self->cap));
	EXPECT_EQ(-EIO, vfifo_producer_room(&p));
	c.map.own->position = at - 101;
	EXPECT_EQ(-EIO, vfifo_producer_wait(&p, self->cap, 0));
	EXPECT_EQ(NULL, vfifo_producer_reserve(&p, self->cap));
	c.map.own->position = at;
	EXPECT_EQ(self->cap, vfifo_producer_room(&p));
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
}

/* They do not sleep in the error state, even if the position is valid again. */
TEST_F(mapped, helpers_say_that_it_is_broken)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	char byte = 0;

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
	ASSERT_EQ(0, commit(&p, self->cap, 0));
	p.map.own->position++;
	EXPECT_EQ(-EIO, res(read(self->dev.fd, &byte, 1)));
	p.map.own->position--;
	EXPECT_EQ(-EIO, wait_room(&p, 1));
	vfifo_producer_close(&p);
	EXPECT_TRUE(get(&self->dev, self->cap, 0));

	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	c.map.own->position++;
	EXPECT_EQ(-EIO, res(write(self->dev.fd, &byte, 1)));
	c.map.own->position--;
	EXPECT_EQ(-EIO, wait_bytes(&c, 1));
	vfifo_consumer_close(&c);
	EXPECT_TRUE(put(&self->dev, 10, 0));
	EXPECT_TRUE(get(&self->dev, 10, 0));
}

/*
 * Whether a sleeping child is interrupted by a caught signal and then exits
 * with 0.
 */
static bool interrupted(pid_t pid)
{
	return child_sleeps(pid) && !kill(pid, SIGUSR1) && !child_end(pid);
}

TEST_F(mapped, helpers_are_interrupted)
{
	struct sigaction action = { .sa_handler = no_op };
	struct vfifo_producer p;
	struct vfifo_consumer c;
	pid_t pid;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		EXPECT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
		EXPECT_EQ(-EINTR, wait_bytes(&c, 1));
		vfifo_consumer_close(&c);
		_exit(0);
	}
	EXPECT_TRUE(interrupted(pid));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		EXPECT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
		EXPECT_EQ(-EINTR, wait_room(&p, 1));
		vfifo_producer_close(&p);
		_exit(0);
	}
	EXPECT_TRUE(interrupted(pid));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
