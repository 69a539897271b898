// SPDX-License-Identifier: GPL-2.0
/*
 * EPOLLEXCLUSIVE on a file that is open for both directions, which a pipe is not.
 */
#include "vfifo_exclusive.h"

FIXTURE_VARIANT_ADD(channel, in_level) { .kind = IN | RDWR };
FIXTURE_VARIANT_ADD(channel, in_edge) { .kind = IN | RDWR | EDGE };
FIXTURE_VARIANT_ADD(channel, out_level) { .kind = OUT | RDWR };
FIXTURE_VARIANT_ADD(channel, out_edge) { .kind = OUT | RDWR | EDGE };
FIXTURE_VARIANT_ADD(channel, in_mapped_level) { .kind = IN | RDWR | MAPPED };
FIXTURE_VARIANT_ADD(channel, in_mapped_edge) { .kind = IN | RDWR | MAPPED | EDGE };
FIXTURE_VARIANT_ADD(channel, out_mapped_level) { .kind = OUT | RDWR | MAPPED };
FIXTURE_VARIANT_ADD(channel, out_mapped_edge) { .kind = OUT | RDWR | MAPPED | EDGE };

TEST_F(channel, each_publish_wakes_another)
{
	wake_one_by_one(_metadata, &self->ch, true);
}

/* Even if nothing is taken. */
TEST_F(channel, each_publish_wakes_another_though_some_is_left)
{
	wake_one_by_one(_metadata, &self->ch, false);
}

/*
 * On a file open for both directions, each waits only for the events it asked
 * for.
 */
TEST_F(channel, other_direction_swallows_nothing)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	__u32 other = (EPOLLIN | EPOLLOUT) ^ event(ch);
	int i;

	/*
	 * These come first; what they ask for is there already, so they wait
	 * for an edge.
	 */
	ASSERT_TRUE(waiters_start(w, 4, BY_EPOLL, ch->watched,
				  other | EPOLLET | EPOLLEXCLUSIVE, NULL));
	ASSERT_TRUE(add_exclusive(ch, 4));
	for (i = 1; i <= 4; i++) {
		ASSERT_TRUE(publish(ch, 1));
		EXPECT_EQ(i, told_times(w, 4, 8));
		EXPECT_EQ(0, told_times(w, 0, 4));
	}
	/* This is an edge for them. */
	ASSERT_TRUE(take_back(ch));
	EXPECT_EQ(1, told_times(w, 0, 4));
	EXPECT_EQ(4, told_times(w, 4, 8));
}

TEST_F(channel, asking_for_both)
{
	const __u32 events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLEXCLUSIVE;
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;

	ASSERT_TRUE(waiters_start(w, 4, BY_EPOLL, ch->watched, events, NULL));
	ASSERT_TRUE(publish(ch, 1));
	EXPECT_EQ(1, told_all(w));
	ASSERT_TRUE(take_back(ch));
	EXPECT_EQ(2, told_all(w));
	ASSERT_TRUE(publish(ch, 1));
	EXPECT_EQ(3, told_all(w));
}

/*
 * A process asleep in read(2) or write(2) does not take wake-ups from pollers.
 */
TEST_F(channel, beside_a_call_that_sleeps)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	pid_t sleeper;
	int round, fd;

	fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, fd);
	for (round = 0; round < 2; round++) {
		if (round)
			ASSERT_TRUE(add_exclusive(ch, 3));
		sleeper = child_start(2 * DEADLINE);
		if (!sleeper)
			_exit(!(ch->kind & OUT ? give_one(fd) : take_one(fd)));
		ASSERT_TRUE(child_sleeps(sleeper));
		if (!round)
			ASSERT_TRUE(add_exclusive(ch, 3));
		/*
		 * One piece is for the call, the other for the poller to see.
		 */
		ASSERT_TRUE(publish(ch, 2));
		EXPECT_EQ(0, child_end(sleeper));
		EXPECT_EQ(1, told_all(w));
		ASSERT_TRUE(take_back(ch));
		waiters_end(w);
		ASSERT_TRUE(waiters_begin(w));
	}
	close(fd);
}

/* ---- many at once ---- */

#define PUBLISHERS	4
#define TOTAL		(PUBLISHERS * OFTEN(500))

/*
 * A child that publishes its share, sleeping as needed. Returns its exit
 * status.
 */
static int publish_part(bool out, int pieces, __u64 state)
{
	int fd = vfifo_open(out ? O_RDONLY : O_WRONLY);
	char buf[PIPE_BUF] = "";
	int len = out ? PIPE_BUF : 1;

	while (pieces--) {
		if ((out ? read(fd, buf, len) : write(fd, buf, len)) != len)
			return 1;
		if (rnd(&state) % 8 == 0)
			sched_yield();
		if (rnd(&state) % 64 == 0)
			usleep(rnd(&state) % 500);
	}
	return 0;
}

/* However wake-ups race, no piece is left that nobody takes. */
TEST_F_TIMEOUT(channel, many_at_once, 60)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	pid_t pids[PUBLISHERS];
	__u64 state = vfifo_seed;
	int i;

	LOG_SEED();
	ASSERT_TRUE(waiters_start(w, WAITERS, BY_EPOLL, ch->watched,
				  exclusively(ch), work_for(ch)));
	if (ch->kind & MAPPED) {
		for (i = 0; i < TOTAL; i++) {
			/* The workers make room for this. */
			ASSERT_TRUE(eventually(publish(ch, 1)));
			if (rnd(&state) % 8 == 0)
				sched_yield();
		}
	} else {
		for (i = 0; i < PUBLISHERS; i++) {
			pids[i] = child_start(5 * DEADLINE);
			if (!pids[i])
				_exit(publish_part(ch->kind & OUT,
						   TOTAL / PUBLISHERS,
						   mix64(vfifo_seed + i)));
		}
		for (i = 0; i < PUBLISHERS; i++)
			EXPECT_EQ(0, child_end(pids[i]));
	}
	EXPECT_TRUE(eventually(moved_all(w) == TOTAL))
		TH_LOG("%d of %d pieces were taken", moved_all(w), TOTAL);
	ASSERT_TRUE(waiters_settled(w));
	EXPECT_EQ(TOTAL, moved_all(w));
	EXPECT_EQ(ch->kind & OUT ? attr_get("capacity") : 0, queued(ch->r));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
