// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Overwriting the oldest among processes that are killed at any instant: what is left is
 * the newest bytes or whole records up to the last position that was published.
 */
#include "vfifo_overwriting_ends.h"

#define KILLS		OFTEN(250)	/* in each test */

/* The longest life of a child, enough to get something done. */
#define LIFE_US		(2000 * vfifo_scale())

/* Progress of a child, readable after its death. */
struct diary {
	__u64 opened;		/* the position at which it began, or -1 */
	__u64 begun;		/* the position that it was about to store */
	__u64 done;		/* the last one that it has stored */
	char wrong[128];	/* what it has found, if that was wrong */
};

static struct diary *diary;

static __u64 see(__u64 *entry)
{
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

static void note(__u64 *entry, __u64 at)
{
	__atomic_store_n(entry, at, __ATOMIC_RELEASE);
}

static long some(__u64 *random, long most)
{
	return 1 + rnd(random) % (rnd(random) % 2 ? 100 : most);
}

/* ---- the children ---- */

/* Publishes until it is killed. What is stored too early is not what is published. */
static int live_as_producer(struct overwriting_data *self, __u64 random, long most)
{
	struct producer p;
	__u64 n;
	long len;
	int err;

	/* The claim of the one before may end a moment after that process. */
	while ((err = producer_open(&p, self->dev.fd)) == -EBUSY)
		usleep(100);
	if (err)
		return 1;
	note(&diary->begun, p.head);
	note(&diary->done, p.head);
	note(&diary->opened, p.head);
	for (;;) {
		len = some(&random, most);
		n = model_room(&self->m, len);
		if (!producer_room(&p, n))
			return 2;
		memset(area_at(&p.area, p.head), 0xee, n);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		producer_store(&p, len);
		note(&diary->begun, p.head + n);
		if (producer_publish(&p, n))
			return 3;
		note(&diary->done, p.head);
	}
}

/* Consumes until it is killed. */
static int live_as_consumer(struct overwriting_data *self, __u64 random, long most)
{
	struct consumer c;
	long len;
	int err;

	while ((err = consumer_open(&c, self->dev.fd)) == -EBUSY)
		usleep(100);
	if (err)
		return 1;
	note(&diary->begun, c.tail);
	note(&diary->done, c.tail);
	note(&diary->opened, c.tail);
	for (;;) {
		len = consumer_look(&c, c.area.records ? self->cap : some(&random, most));
		if (len == -ESTALE)
			continue;
		if (!len) {
			consumer_wait(&c, DEADLINE * 1000);
			continue;
		}
		if (len < 0)
			return 2;
		consumer_copy(&c, self->m.buf, len);
		if (consumer_confirm(&c))
			continue;
		if (memcmp(self->m.buf, contents_at(c.area.records, c.start), len)) {
			snprintf(diary->wrong, sizeof(diary->wrong),
				 "%ld bytes at %llu", len, c.start);
			return 4;
		}
		note(&diary->begun, c.start + c.size);
		consumer_take(&c);
		note(&diary->done, c.tail);
	}
}

/* Writes until it is killed: what belongs to the positions from @pos on. */
static int live_as_writer(struct overwriting_data *self, __u64 random, long most,
			  __u64 pos)
{
	long len;

	note(&diary->opened, pos);
	for (;;) {
		len = some(&random, most);
		if (write(self->fd, contents_at(self->m.records, pos), len) != len)
			return 2;
		pos += model_room(&self->m, len);
	}
}

static int live_as_reader(struct overwriting_data *self, __u64 random, long most)
{
	note(&diary->opened, 0);
	for (;;)
		if (read(self->fd, self->m.buf,
			 self->m.records ? self->cap : some(&random, most)) <= 0)
			return 2;
}

enum life { MAPPED_PRODUCER, MAPPED_CONSUMER, WRITER, READER };

static int live(struct overwriting_data *self, enum life life, __u64 random, __u64 pos)
{
	/* Sometimes more than the capacity at once. */
	long most = self->cap / 2;

	switch (life) {
	case MAPPED_PRODUCER:
		return live_as_producer(self, random, most);
	case MAPPED_CONSUMER:
		return live_as_consumer(self, random, most);
	case WRITER:
		return live_as_writer(self, random,
				      self->m.records ? most : 3 * self->cap, pos);
	default:
		return live_as_reader(self, random, most);
	}
}

/* ---- the survivor ---- */

struct survivor {
	struct overwriting_data *self;
	struct area view;
	struct consumer c;
	bool mapped;
	__u64 random, head;	/* where it writes */
};

/* Reads once, if anything is there: false if that is wrong. */
static bool survivor_reads(struct survivor *s)
{
	struct model *m = &s->self->m;
	long most = m->records ? s->self->cap : some(&s->random, 3000), len;
	__u64 at;

	if (s->mapped) {
		len = consumer_look(&s->c, most);
		if (!len || len == -ESTALE)
			return true;
		if (len < 0)
			return false;
		at = s->c.start;
		consumer_copy(&s->c, m->buf, len);
		if (consumer_confirm(&s->c))
			return true;
		consumer_take(&s->c);
	} else {
		len = res(read(s->self->dev.fd, m->buf, most));
		if (len == -EAGAIN)
			return true;
		if (len <= 0)
			return false;
		at = load(s->view.consumer) - model_room(m, len);
	}
	return !memcmp(m->buf, contents_at(m->records, at), len);
}

/* Writes once: false if that fails. */
static bool survivor_writes(struct survivor *s)
{
	struct model *m = &s->self->m;
	long len = some(&s->random, 3000);

	if (write(s->self->dev.fd, contents_at(m->records, s->head), len) != len)
		return false;
	s->head += model_room(m, len);
	return true;
}

static __s64 now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

/* Starts a child, works beside it for a random time, and kills it. */
static void kill_one(struct __test_metadata *_metadata, struct survivor *s,
		     enum life life, long i)
{
	bool child_writes = life == MAPPED_PRODUCER || life == WRITER;
	struct overwriting_data *self = s->self;
	siginfo_t info = {};
	__s64 until;
	pid_t pid;

	note(&diary->opened, -1);
	note(&diary->begun, s->head);
	note(&diary->done, s->head);
	rnd(&s->random);
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(live(self, life, s->random, s->head));
	/* One in eight dies while it opens the device. */
	while (i % 8 && see(&diary->opened) == (__u64)-1 && !info.si_pid) {
		sched_yield();
		waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT);
	}
	until = now_us() + rnd(&s->random) % LIFE_US;
	/* One in five is alone. */
	while (now_us() < until) {
		if (!(i % 5))
			continue;
		ASSERT_TRUE(child_writes ? survivor_reads(s) : survivor_writes(s)) {
			TH_LOG("kill %ld", i);
		}
	}
	kill(pid, SIGKILL);
	ASSERT_EQ(-SIGKILL, child_end(pid)) {
		TH_LOG("kill %ld: %s", i, diary->wrong);
	}
	ASSERT_TRUE(eventually(!attr_get(child_writes ? "producer_claimed" :
							"consumer_claimed")));
}

/* Whether what is queued is what belongs there, up to @head. Takes it. */
static bool drained_right(struct survivor *s, __u64 head)
{
	struct overwriting_data *self = s->self;
	__u64 pos = head - attr_get("size");
	long len;

	if (attr_get("size") > self->cap)
		return false;
	if (s->mapped) {
		while (s->c.tail != head && consumer_queued(&s->c) > 0)
			if (!survivor_reads(s))
				return false;
		return !consumer_queued(&s->c);
	}
	for (;;) {
		len = res(read(self->dev.fd, self->m.buf, self->cap));
		if (len <= 0)
			return len == -EAGAIN && pos == head;
		if (memcmp(self->m.buf, contents_at(self->m.records, pos), len))
			return false;
		pos += model_room(&self->m, len);
	}
}

static void kill_many(struct __test_metadata *_metadata, struct overwriting_data *self,
		      enum life life, bool mapped)
{
	struct survivor s = {
		.self = self, .mapped = mapped, .random = vfifo_seed,
		.head = self->m.head,
	};
	__u64 position, last;
	long i, unborn = 0;
	bool owned;

	LOG_SEED();
	diary = shared(sizeof(*diary));
	ASSERT_NE(NULL, diary);
	ASSERT_EQ(0, use_capacity(self, 2 * self->page));
	ASSERT_EQ(0, area_map(&s.view, self->dev.fd, 0));
	if (mapped)
		ASSERT_EQ(0, consumer_open(&s.c, self->dev.fd));
	last = s.head;
	for (i = 0; i < KILLS; i++) {
		kill_one(_metadata, &s, life, i);
		unborn += see(&diary->opened) == (__u64)-1;
		position = life == MAPPED_CONSUMER ? load(s.view.consumer) :
						     load(s.view.producer);
		owned = (life == MAPPED_PRODUCER || life == MAPPED_CONSUMER) &&
			see(&diary->opened) != (__u64)-1;
		ASSERT_TRUE(!owned || position == see(&diary->begun) ||
			    position == see(&diary->done)) {
			TH_LOG("kill %ld: at %llu; it had stored %llu, begun %llu", i,
			       position, see(&diary->done), see(&diary->begun));
		}
		if (!mapped)
			ASSERT_EQ(0, bytes_missing());
		s.head = load(s.view.producer);
		ASSERT_GE((__u64)self->cap, s.head - load_oldest(s.view.producer));
		ASSERT_TRUE(drained_right(&s, s.head)) {
			TH_LOG("kill %ld: %ld bytes up to %llu", i, attr_get("size"),
			       s.head);
		}
		ASSERT_EQ(0, queued(self->dev.fd));
	}
	TH_LOG("%ld killed, %ld of them early; %llu bytes written", i, unborn,
	       s.head - last);
	EXPECT_NE(last, s.head);
	if (mapped)
		area_unmap(&s.c.area);
	area_unmap(&s.view);
	munmap(diary, sizeof(*diary));
}

TEST_F_TIMEOUT(overwriting, of_producers_beside_calls, 90)
{
	kill_many(_metadata, self, MAPPED_PRODUCER, false);
}

TEST_F_TIMEOUT(overwriting, of_producers_beside_a_consumer, 90)
{
	kill_many(_metadata, self, MAPPED_PRODUCER, true);
}

TEST_F_TIMEOUT(overwriting, of_consumers, 90)
{
	kill_many(_metadata, self, MAPPED_CONSUMER, false);
}

TEST_F_TIMEOUT(overwriting, of_writers_beside_calls, 90)
{
	kill_many(_metadata, self, WRITER, false);
}

TEST_F_TIMEOUT(overwriting, of_writers_beside_a_consumer, 90)
{
	kill_many(_metadata, self, WRITER, true);
}

TEST_F_TIMEOUT(overwriting, of_readers, 90)
{
	kill_many(_metadata, self, READER, false);
}

/* The only other way to leave an end: it is unmapped in the middle of a write. */
TEST_F(overwriting, of_a_claim)
{
	struct model *m = &self->m;
	struct producer p;
	__u64 random = vfifo_seed;
	long i, len;

	LOG_SEED();
	ASSERT_EQ(0, use_capacity(self, self->page));
	for (i = 0; i < OFTEN(1000); i++) {
		ASSERT_EQ(0, producer_open(&p, self->dev.fd));
		len = some(&random, self->cap - HEADER);
		ASSERT_TRUE(producer_room(&p, model_room(m, len)));
		m->overwritten += model_after(m, model_room(m, len)) - m->tail;
		m->tail = model_after(m, model_room(m, len));
		memset(area_at(&p.area, p.head), 0xee, model_room(m, len));
		if (i & 1) {
			ASSERT_EQ(0, producer_publish(&p, producer_store(&p, len)));
			model_written(m, len);
		}
		area_unmap(&p.area);
		EXPECT_AS(m);
		if (i % 16 == 0)
			ASSERT_TRUE(model_drained(m, self->dev.fd));
		len = some(&random, 1000);
		ASSERT_EQ(len, model_put(m, self->dev.fd, len));
		EXPECT_AS(m);
	}
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
