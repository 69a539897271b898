/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of tests of EPOLLEXCLUSIVE: one direction of a vfifo or a pipe, and those
 * that wait for it. Programs add the variants.
 */
#ifndef VFIFO_EXCLUSIVE_H
#define VFIFO_EXCLUSIVE_H

#include "vfifo_waiters.h"

/* Nothing here may be found by spinning. */
#define VFIFO_SPIN	0
#include "vfifo_map.h"

#define WAITERS		8
#define PIECES		20

/* What waiters wait for, and where it comes from. */
enum kind {
	PIPE = 1,		/* a pipe, as the reference */
	IN = 0,			/* waits for bytes */
	OUT = 2,		/* waits for free space */
	MAPPED = 4,		/* provided by a mapped end */
	RDWR = 8,		/* the file is open for both directions */
	EDGE = 16,		/* with EPOLLET */
};

struct channel {
	enum kind kind;
	struct vfifo dev;
	int watched;		/* the file the waiters watch */
	int r, w;		/* for reading and writing, O_NONBLOCK */
	struct vfifo_producer p;
	struct vfifo_consumer c;
	struct waiters waiters;
	char buf[2 * PIPE_BUF];
};

/* Starts in the state in which waiters wait: empty, or full. */
static inline bool channel_open(struct channel *ch, enum kind kind)
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

static inline void channel_close(struct channel *ch)
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

/* The size of one piece: the least that causes an event. */
static inline int piece(struct channel *ch)
{
	return ch->kind & OUT ? PIPE_BUF : 1;
}

/* Provides @n pieces at once. */
static inline bool publish(struct channel *ch, int n)
{
	int len = n * piece(ch);

	if (!(ch->kind & MAPPED))
		return len == (ch->kind & OUT ? read(ch->r, ch->buf, len) :
					       write(ch->w, ch->buf, len));
	if (ch->kind & OUT)
		return vfifo_consumer_peek(&ch->c, NULL) && !vfifo_consumer_release(&ch->c, len);
	return vfifo_producer_reserve(&ch->p, len) && !vfifo_producer_commit(&ch->p, len);
}

/* Takes one piece away again. */
static inline bool take_back(struct channel *ch)
{
	int len = piece(ch);

	return len == (ch->kind & OUT ? write(ch->w, ch->buf, len) :
				       read(ch->r, ch->buf, len));
}

static inline __u32 event(struct channel *ch)
{
	return ch->kind & OUT ? EPOLLOUT : EPOLLIN;
}

static inline __u32 how(struct channel *ch)
{
	return ch->kind & EDGE ? EPOLLET : 0;
}

static inline __u32 exclusively(struct channel *ch)
{
	return event(ch) | how(ch) | EPOLLEXCLUSIVE;
}

static inline bool add_exclusive(struct channel *ch, int count)
{
	return waiters_start(&ch->waiters, count, BY_EPOLL, ch->watched,
			     exclusively(ch), NULL);
}

static inline int take_one(int fd)
{
	char c;

	return read(fd, &c, 1) == 1;
}

static inline int give_one(int fd)
{
	static char buf[PIPE_BUF];

	return write(fd, buf, sizeof(buf)) == sizeof(buf);
}

/* For edges, which are not repeated: takes or gives until nothing is left. */
static inline int take_all(int fd)
{
	int n = 0;

	while (take_one(fd))
		n++;
	return n;
}

static inline int give_all(int fd)
{
	int n = 0;

	while (give_one(fd))
		n++;
	return n;
}

static inline waiter_work work_for(struct channel *ch)
{
	if (ch->kind & EDGE)
		return ch->kind & OUT ? give_all : take_all;
	return ch->kind & OUT ? give_one : take_one;
}

FIXTURE(channel)
{
	struct channel ch;
};

FIXTURE_VARIANT(channel)
{
	enum kind kind;
};

FIXTURE_SETUP(channel)
{
	ASSERT_TRUE(channel_open(&self->ch, variant->kind));
}

FIXTURE_TEARDOWN(channel)
{
	channel_close(&self->ch);
}

/* Publishes one piece at a time until all waiters have been told. */
static inline void wake_one_by_one(struct __test_metadata *_metadata,
				   struct channel *ch, bool take)
{
	struct waiters *w = &ch->waiters;
	int i;

	ASSERT_TRUE(add_exclusive(ch, WAITERS));
	ASSERT_EQ(0, told_all(w));
	for (i = 1; i <= WAITERS; i++) {
		ASSERT_TRUE(publish(ch, 1));
		ASSERT_EQ(i, told_all(w))
			TH_LOG("told by publish %d", i);
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

#endif /* VFIFO_EXCLUSIVE_H */
