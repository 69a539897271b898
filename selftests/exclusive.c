// SPDX-License-Identifier: GPL-2.0
/*
 * EPOLLEXCLUSIVE: of several exclusive waiters for one direction, one is woken for each
 * byte or each portion of free space, and none is forgotten. The variants with a pipe
 * show the reference behaviour.
 */
#include "vfifo_exclusive.h"
#include "vfifo_uring.h"

FIXTURE_VARIANT_ADD(channel, pipe_in_level) { .kind = PIPE | IN };
FIXTURE_VARIANT_ADD(channel, pipe_in_edge) { .kind = PIPE | IN | EDGE };
FIXTURE_VARIANT_ADD(channel, pipe_out_level) { .kind = PIPE | OUT };
FIXTURE_VARIANT_ADD(channel, pipe_out_edge) { .kind = PIPE | OUT | EDGE };
FIXTURE_VARIANT_ADD(channel, in_level) { .kind = IN };
FIXTURE_VARIANT_ADD(channel, in_edge) { .kind = IN | EDGE };
FIXTURE_VARIANT_ADD(channel, out_level) { .kind = OUT };
FIXTURE_VARIANT_ADD(channel, out_edge) { .kind = OUT | EDGE };
FIXTURE_VARIANT_ADD(channel, in_mapped_level) { .kind = IN | MAPPED };
FIXTURE_VARIANT_ADD(channel, in_mapped_edge) { .kind = IN | MAPPED | EDGE };
FIXTURE_VARIANT_ADD(channel, out_mapped_level) { .kind = OUT | MAPPED };
FIXTURE_VARIANT_ADD(channel, out_mapped_edge) { .kind = OUT | MAPPED | EDGE };

TEST_F(channel, each_publish_wakes_another)
{
	wake_one_by_one(_metadata, &self->ch, true);
}

/*
 * Several pieces are published before any woken waiter runs and polls again:
 * each must wake another waiter. (A pipe may report only the change from empty
 * or full.)
 */
TEST_F(channel, before_anyone_runs)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	bool good = true;
	int told, i;

	ASSERT_TRUE(stay_here());
	ASSERT_TRUE(add_exclusive(ch, WAITERS));
	ASSERT_EQ(0, told_all(w));
	ASSERT_TRUE(run_alone(true));
	for (i = 0; i < 3; i++)
		good = good && publish(ch, 1);
	ASSERT_TRUE(run_alone(false));
	EXPECT_TRUE(good);
	told = told_all(w);
	EXPECT_LE(ch->kind & PIPE ? 1 : 3, told);
	EXPECT_GE(3, told);
}

/* A waiter that was told and waits again is told again, alone or not. */
TEST_F(channel, told_again_after_waiting_again)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	int i, j;

	ASSERT_TRUE(add_exclusive(ch, 3));
	for (i = 1; i <= 6; i++) {
		ASSERT_TRUE(publish(ch, 1));
		ASSERT_EQ(i, told_all(w));
		ASSERT_TRUE(take_back(ch));
		for (j = 0; j < 3; j++)
			if (w->told[j].events) {
				w->told[j].events = 0;
				ASSERT_TRUE(waiter_again(w, j));
			}
	}
	EXPECT_EQ(6, told_all(w));
}

TEST_F(channel, beside_others_that_poll)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	__u32 plain = event(ch) | how(ch);
	int first, last;

	/* Non-exclusive waiters are queued between exclusive ones. */
	ASSERT_TRUE(add_exclusive(ch, 2));
	first = w->count;
	ASSERT_TRUE(waiters_start(w, 2, BY_EPOLL, ch->watched, plain, NULL));
	ASSERT_TRUE(waiter_start(w, BY_POLL, ch->watched, event(ch), NULL));
	ASSERT_TRUE(waiter_start(w, BY_SELECT, ch->watched, event(ch), NULL));
	last = w->count;
	ASSERT_TRUE(add_exclusive(ch, 2));
	ASSERT_EQ(0, told_all(w));

	ASSERT_TRUE(publish(ch, 1));
	EXPECT_EQ(last - first, told_times(w, first, last));
	EXPECT_EQ(1, told_all(w) - (last - first));
	ASSERT_TRUE(take_back(ch));
	ASSERT_TRUE(publish(ch, 1));
	EXPECT_EQ(last - first, told_times(w, first, last));
	EXPECT_EQ(2, told_all(w) - (last - first));
}

/* Each piece wakes one worker, which takes it. */
TEST_F(channel, one_worker_for_each_piece)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	long sleeps;
	int i;

	ASSERT_TRUE(waiters_start(w, WAITERS, BY_EPOLL, ch->watched,
				  exclusively(ch), work_for(ch)));
	sleeps = sleeps_all(w);
	for (i = 1; i <= PIECES; i++) {
		ASSERT_TRUE(publish(ch, 1));
		ASSERT_TRUE(waiters_settled(w));
		ASSERT_EQ(i, moved_all(w));
	}
	EXPECT_EQ(PIECES, told_all(w));
	/*
	 * No needless wake-ups; a worker may sleep once more, on the driver's
	 * lock.
	 */
	EXPECT_GE(2 * PIECES, sleeps_all(w) - sleeps)
		TH_LOG("%d pieces", PIECES);
}

/* All pieces at once: one worker may take several, and another none. */
TEST_F(channel, burst_of_pieces)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	long sleeps;
	int i;

	ASSERT_TRUE(waiters_start(w, WAITERS, BY_EPOLL, ch->watched,
				  exclusively(ch), work_for(ch)));
	sleeps = sleeps_all(w);
	for (i = 1; i <= PIECES; i++)
		ASSERT_TRUE(publish(ch, 1));
	EXPECT_TRUE(eventually(moved_all(w) >= PIECES));
	ASSERT_TRUE(waiters_settled(w));
	EXPECT_EQ(PIECES, moved_all(w));
	EXPECT_GE(3 * PIECES, sleeps_all(w) - sleeps)
		TH_LOG("%d pieces", PIECES);
}

/*
 * An epoll that is only watched by another epoll does not use up a wake-up. So
 * a piece may wake more than one waiter, but at most one of those that wait
 * directly. In the end all are told.
 */
TEST_F(channel, nested)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	int i, j, direct, now, all = 0;

	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(waiter_start(w, i & 1 ? BY_NESTED_EPOLL : BY_EPOLL,
					 ch->watched, exclusively(ch), NULL));
		ASSERT_TRUE(waiter_start(w, i & 1 ? BY_EPOLL : BY_NESTED_EPOLL,
					 ch->watched, exclusively(ch), NULL));
	}
	for (i = 1; i <= w->count && all < w->count; i++) {
		ASSERT_TRUE(publish(ch, 1));
		now = told_all(w);
		EXPECT_LT(all, now);
		all = now;
		direct = 0;
		for (j = 0; j < w->count; j++)
			direct += (j & 3) % 3 ? 0 : w->told[j].times;
		ASSERT_GE(i, direct);
		ASSERT_TRUE(take_back(ch));
	}
	EXPECT_EQ(w->count, all);
	for (i = 0; i < w->count; i++)
		EXPECT_EQ(1, w->told[i].times);
}

/* io_uring has exclusive polls as well, which wait in the same queue. */
TEST_F(channel, io_uring)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	const int plain = 2;
	struct ring ring;
	int i, ret;

	ret = ring_begin(&ring);
	if (ret == -EOPNOTSUPP || ret == -EPERM)
		SKIP(return, "no io_uring: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	ASSERT_TRUE(add_exclusive(ch, 2));
	for (i = 0; i < 3; i++)
		prepare_poll(&ring, ch->watched, event(ch) | EPOLLEXCLUSIVE, 0,
			     i);
	for (i = 0; i < plain; i++)
		prepare_poll(&ring, ch->watched, event(ch), 0, i);
	ASSERT_TRUE(submit(&ring));
	ASSERT_TRUE(add_exclusive(ch, 2));
	ASSERT_EQ(0, completions(&ring) + told_all(w));

	/* All non-exclusive polls complete at once. */
	for (i = 1; i <= 3 + w->count; i++) {
		ASSERT_TRUE(publish(ch, 1));
		ASSERT_EQ(plain + i, completions(&ring) + told_all(w));
		ASSERT_TRUE(take_back(ch));
	}
	for (i = 0; i < 3 + plain; i++)
		EXPECT_EQ(event(ch), completion(&ring, NULL, NULL));
	ring_close(&ring);
}

/* ---- the error state ---- */

static void error_wakes_all(struct __test_metadata *_metadata, enum kind kind)
{
	struct channel *ch = calloc(1, sizeof(*ch));
	struct waiters *w = &ch->waiters;
	struct vfifo_end *own;
	int i;

	ASSERT_TRUE(channel_open(ch, kind));
	ASSERT_TRUE(add_exclusive(ch, 4));
	own = kind & OUT ? ch->c.map.own : ch->p.map.own;
	store(own, load(own) + (1ULL << 40));
	EXPECT_EQ(-EIO, res(kind & OUT ? write(ch->w, ch->buf, 1) :
					 read(ch->r, ch->buf, 1)));
	EXPECT_EQ(4, told_all(w));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(event(ch) | EPOLLERR, w->told[i].events);
	channel_close(ch);
	free(ch);
}

/* All waiters learn of the error state. */
TEST(error_wakes_all_that_wait_for_bytes)
{
	error_wakes_all(_metadata, IN | MAPPED);
}

TEST(error_wakes_all_that_wait_for_room)
{
	error_wakes_all(_metadata, OUT | MAPPED);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
