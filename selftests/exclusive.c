// SPDX-License-Identifier: GPL-2.0
/*
 * EPOLLEXCLUSIVE: of the epolls that wait exclusively for the same direction, one
 * is woken for each byte or each piece of room, and none is forgotten. The pipes
 * among the variants show what is expected.
 */
#include "vfifo_uring.h"
#include "vfifo_waiters.h"

/* Nothing here is to be found by spinning. */
#define VFIFO_SPIN	0
#include "vfifo_map.h"

#define WAITERS		8
#define PIECES		20

/* What is waited for, and how it comes. */
enum kind {
	PIPE = 1,		/* of a pipe, for comparison */
	IN = 0,			/* for bytes */
	OUT = 2,		/* for room */
	MAPPED = 4,		/* comes from a mapped end */
	RDWR = 8,		/* the file is open for both directions */
	EDGE = 16,		/* by EPOLLET */
};

struct channel {
	enum kind kind;
	struct vfifo dev;
	int watched;		/* what the waiters wait for */
	int r, w;		/* for reading and writing without sleeping */
	struct vfifo_producer p;
	struct vfifo_consumer c;
	struct waiters waiters;
	char buf[2 * PIPE_BUF];
};

/* In the state in which there is something to wait for: empty, or full. */
static bool channel_open(struct channel *ch, enum kind kind)
{
	int flags = kind & RDWR ? O_RDWR : kind & OUT ? O_WRONLY : O_RDONLY;
	int ends[2], ret = 0;

	ch->kind = kind;
	ret = vfifo_setup(&ch->dev);
	if (!ret)
		ret = attr_set("capacity", 32 * PIPE_BUF);
	if (ret || !waiters_begin(&ch->waiters))
		return false;
	if (kind & PIPE) {
		if (pipe2(ends, O_NONBLOCK | O_CLOEXEC))
			return false;
		fcntl(ends[1], F_SETPIPE_SZ, 32 * PIPE_BUF);
		ch->r = ends[0];
		ch->w = ends[1];
		ch->watched = dup(ends[!!(kind & OUT)]);
	} else {
		ch->r = vfifo_open(O_RDONLY | O_NONBLOCK);
		ch->w = vfifo_open(O_WRONLY | O_NONBLOCK);
		ch->watched = vfifo_open(flags | O_NONBLOCK);
	}
	if (ch->r < 0 || ch->w < 0 || ch->watched < 0)
		return false;
	while (kind & OUT && write(ch->w, ch->buf, PIPE_BUF) == PIPE_BUF)
		;
	if (kind & MAPPED)
		ret = kind & OUT ? vfifo_consumer_open_fd(&ch->c, ch->dev.fd) :
				  vfifo_producer_open_fd(&ch->p, ch->dev.fd);
	return !ret;
}

static void channel_close(struct channel *ch)
{
	waiters_end(&ch->waiters);
	if (ch->kind & MAPPED && ch->kind & OUT)
		vfifo_consumer_close(&ch->c);
	else if (ch->kind & MAPPED)
		vfifo_producer_close(&ch->p);
	close(ch->r);
	close(ch->w);
	close(ch->watched);
	vfifo_teardown(&ch->dev);
}

/* Bytes of one piece: what an event says that there is. */
static int piece(struct channel *ch)
{
	return ch->kind & OUT ? PIPE_BUF : 1;
}

/* @n pieces at once, for which waiters are to be woken. */
static bool publish(struct channel *ch, int n)
{
	int len = n * piece(ch);

	if (!(ch->kind & MAPPED))
		return len == (ch->kind & OUT ? read(ch->r, ch->buf, len) :
					       write(ch->w, ch->buf, len));
	if (ch->kind & OUT)
		return vfifo_peek(&ch->c, NULL) && !vfifo_release(&ch->c, len);
	return vfifo_reserve(&ch->p, len) && !vfifo_commit(&ch->p, len);
}

/* One piece less again. */
static bool take_back(struct channel *ch)
{
	int len = piece(ch);

	return len == (ch->kind & OUT ? write(ch->w, ch->buf, len) :
				       read(ch->r, ch->buf, len));
}

static __u32 event(struct channel *ch)
{
	return ch->kind & OUT ? EPOLLOUT : EPOLLIN;
}

static __u32 how(struct channel *ch)
{
	return ch->kind & EDGE ? EPOLLET : 0;
}

static __u32 exclusively(struct channel *ch)
{
	return event(ch) | how(ch) | EPOLLEXCLUSIVE;
}

static bool add_exclusive(struct channel *ch, int count)
{
	return waiters_start(&ch->waiters, count, BY_EPOLL, ch->watched,
			     exclusively(ch), NULL);
}

/* ---- work that a waiter does when it is told ---- */

static int take_one(int fd)
{
	char c;

	return read(fd, &c, 1) == 1;
}

static int give_one(int fd)
{
	static char buf[PIPE_BUF];

	return write(fd, buf, sizeof(buf)) == sizeof(buf);
}

/* For edges: a waiter is not told of what it left behind. */
static int take_all(int fd)
{
	int n = 0;

	while (take_one(fd))
		n++;
	return n;
}

static int give_all(int fd)
{
	int n = 0;

	while (give_one(fd))
		n++;
	return n;
}

static waiter_work work_for(struct channel *ch)
{
	if (ch->kind & EDGE)
		return ch->kind & OUT ? give_all : take_all;
	return ch->kind & OUT ? give_one : take_one;
}

/* ---- one direction, in all its variants ---- */

FIXTURE(one_way)
{
	struct channel ch;
};

FIXTURE_VARIANT(one_way)
{
	enum kind kind;
};

FIXTURE_SETUP(one_way)
{
	ASSERT_TRUE(channel_open(&self->ch, variant->kind));
}

FIXTURE_TEARDOWN(one_way)
{
	channel_close(&self->ch);
}

FIXTURE_VARIANT_ADD(one_way, pipe_in_level) { .kind = PIPE | IN };
FIXTURE_VARIANT_ADD(one_way, pipe_in_edge) { .kind = PIPE | IN | EDGE };
FIXTURE_VARIANT_ADD(one_way, pipe_out_level) { .kind = PIPE | OUT };
FIXTURE_VARIANT_ADD(one_way, pipe_out_edge) { .kind = PIPE | OUT | EDGE };
FIXTURE_VARIANT_ADD(one_way, in_level) { .kind = IN };
FIXTURE_VARIANT_ADD(one_way, in_edge) { .kind = IN | EDGE };
FIXTURE_VARIANT_ADD(one_way, out_level) { .kind = OUT };
FIXTURE_VARIANT_ADD(one_way, out_edge) { .kind = OUT | EDGE };
FIXTURE_VARIANT_ADD(one_way, in_mapped_level) { .kind = IN | MAPPED };
FIXTURE_VARIANT_ADD(one_way, in_mapped_edge) { .kind = IN | MAPPED | EDGE };
FIXTURE_VARIANT_ADD(one_way, out_mapped_level) { .kind = OUT | MAPPED };
FIXTURE_VARIANT_ADD(one_way, out_mapped_edge) { .kind = OUT | MAPPED | EDGE };

/* Publishes until all have been told, each time one more. */
static void wake_one_by_one(struct __test_metadata *_metadata,
			    struct channel *ch, bool take)
{
	struct waiters *w = &ch->waiters;
	int i;

	ASSERT_TRUE(add_exclusive(ch, WAITERS));
	ASSERT_EQ(0, told_all(w));
	for (i = 1; i <= WAITERS; i++) {
		ASSERT_TRUE(publish(ch, 1));
		ASSERT_EQ(i, told_all(w))
			TH_LOG("told by the %d. publish", i);
		if (take) {
			ASSERT_TRUE(take_back(ch));
			ASSERT_EQ(i, told_all(w));
		}
	}
	for (i = 0; i < WAITERS; i++) {
		EXPECT_EQ(1, w->told[i].times);
		EXPECT_EQ(event(ch), w->told[i].events);
	}
}

TEST_F(one_way, each_publish_wakes_another)
{
	wake_one_by_one(_metadata, &self->ch, true);
}

/*
 * Several are published before anyone that was told can run, and so poll again: each
 * is for another one. (A pipe may tell only when it was empty, or full.)
 */
TEST_F(one_way, before_anyone_runs)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	bool good = true;
	cpu_set_t here;
	int told, i;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(here), &here));
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

/* One that was told and waits again is told again, alone or not. */
TEST_F(one_way, told_again_after_waiting_again)
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

TEST_F(one_way, beside_others_that_poll)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	__u32 plain = event(ch) | how(ch);
	int first, last;

	/* The others come between the exclusive ones. */
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
TEST_F(one_way, one_worker_for_each_piece)
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
	/* Also not for nothing, though it may have slept for the driver's lock. */
	EXPECT_GE(2 * PIECES, sleeps_all(w) - sleeps)
		TH_LOG("%d pieces", PIECES);
}

/* The same, all at once: then one worker may take more, and another one none. */
TEST_F(one_way, burst_of_pieces)
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
 * An epoll in which nobody waits, because it is watched by another one, does not use
 * a wake-up up: so more than one may be told, but no more than one of those in which
 * somebody waits. In the end all are.
 */
TEST_F(one_way, nested)
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

/* io_uring's polls can be exclusive, too, and wait in the same line. */
TEST_F(one_way, io_uring)
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

	/* All that are not exclusive are told at once. */
	for (i = 1; i <= 3 + w->count; i++) {
		ASSERT_TRUE(publish(ch, 1));
		ASSERT_EQ(plain + i, completions(&ring) + told_all(w));
		ASSERT_TRUE(take_back(ch));
	}
	for (i = 0; i < 3 + plain; i++)
		EXPECT_EQ(event(ch), completion(&ring, NULL, NULL));
	ring_close(&ring);
}

/* ---- what a pipe does not do ---- */

FIXTURE(device)
{
	struct channel ch;
};

FIXTURE_VARIANT(device)
{
	enum kind kind;
};

FIXTURE_SETUP(device)
{
	ASSERT_TRUE(channel_open(&self->ch, variant->kind));
}

FIXTURE_TEARDOWN(device)
{
	channel_close(&self->ch);
}

FIXTURE_VARIANT_ADD(device, in_level) { .kind = IN | RDWR };
FIXTURE_VARIANT_ADD(device, in_edge) { .kind = IN | RDWR | EDGE };
FIXTURE_VARIANT_ADD(device, out_level) { .kind = OUT | RDWR };
FIXTURE_VARIANT_ADD(device, out_edge) { .kind = OUT | RDWR | EDGE };
FIXTURE_VARIANT_ADD(device, in_mapped_level) { .kind = IN | RDWR | MAPPED };
FIXTURE_VARIANT_ADD(device, in_mapped_edge) { .kind = IN | RDWR | MAPPED | EDGE };
FIXTURE_VARIANT_ADD(device, out_mapped_level) { .kind = OUT | RDWR | MAPPED };
FIXTURE_VARIANT_ADD(device, out_mapped_edge) { .kind = OUT | RDWR | MAPPED | EDGE };

TEST_F(device, each_publish_wakes_another)
{
	wake_one_by_one(_metadata, &self->ch, true);
}

/* Also if nobody takes what has come. */
TEST_F(device, each_publish_wakes_another_though_some_is_left)
{
	wake_one_by_one(_metadata, &self->ch, false);
}

/* Of a file that is open for both, each waits only for what it asks for. */
TEST_F(device, other_direction_swallows_nothing)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	__u32 other = (EPOLLIN | EPOLLOUT) ^ event(ch);
	int i;

	/* They come first, and what they ask for is there: they wait for edges. */
	ASSERT_TRUE(waiters_start(w, 4, BY_EPOLL, ch->watched,
				  other | EPOLLET | EPOLLEXCLUSIVE, NULL));
	ASSERT_TRUE(add_exclusive(ch, 4));
	for (i = 1; i <= 4; i++) {
		ASSERT_TRUE(publish(ch, 1));
		EXPECT_EQ(i, told_times(w, 4, 8));
		EXPECT_EQ(0, told_times(w, 0, 4));
	}
	/* Now it is for them. */
	ASSERT_TRUE(take_back(ch));
	EXPECT_EQ(1, told_times(w, 0, 4));
	EXPECT_EQ(4, told_times(w, 4, 8));
}

TEST_F(device, asking_for_both)
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

/* A process that sleeps in read(2) or write(2) takes nothing from those that poll. */
TEST_F(device, beside_a_call_that_sleeps)
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
		/* One piece is for the call, the other for the poller to see. */
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

/* A child that publishes its part, sleeping where it has to: its exit status. */
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

/* However the wake-ups race with each other, nothing is left that nobody takes. */
TEST_F_TIMEOUT(device, many_at_once, 60)
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
			/* The workers make it possible. */
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

FIXTURE(broken)
{
	struct channel ch;
};

FIXTURE_VARIANT(broken)
{
	enum kind kind;
};

FIXTURE_SETUP(broken)
{
	ASSERT_TRUE(channel_open(&self->ch, variant->kind));
}

FIXTURE_TEARDOWN(broken)
{
	channel_close(&self->ch);
}

FIXTURE_VARIANT_ADD(broken, in) { .kind = IN | MAPPED };
FIXTURE_VARIANT_ADD(broken, out) { .kind = OUT | MAPPED };

/* That nothing works any more is for all of them to know. */
TEST_F(broken, wakes_all)
{
	struct channel *ch = &self->ch;
	struct waiters *w = &ch->waiters;
	struct vfifo_end *own;
	int i;

	ASSERT_TRUE(add_exclusive(ch, 4));
	own = ch->kind & OUT ? ch->c.map.own : ch->p.map.own;
	store(own, load(own) + (1ULL << 40));
	EXPECT_EQ(-EIO, res(ch->kind & OUT ? write(ch->w, ch->buf, 1) :
					    read(ch->r, ch->buf, 1)));
	EXPECT_EQ(4, told_all(w));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(event(ch) | EPOLLERR, w->told[i].events);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
