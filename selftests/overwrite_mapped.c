// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Overwriting the oldest with mapped ends, by loads and stores that follow the protocol:
 * a mapped producer beside plain readers, a mapped consumer beside plain writers, and
 * both. Torn bytes are seen, but never accepted.
 */
#include "vfifo_overwriting_ends.h"

#define LEN		777
#define READS		OFTEN(2000)	/* in each race */

/* ---- a mapped producer ---- */

#define PRODUCE() ({							\
	struct producer __p;						\
									\
	ASSERT_EQ(0, producer_open(&__p, self->dev.fd));		\
	__p;								\
})

#define CONSUME() ({							\
	struct consumer __c;						\
									\
	ASSERT_EQ(0, consumer_open(&__c, self->dev.fd));		\
	__c;								\
})

TEST_F(overwriting, producer)
{
	struct model *m = &self->m;
	struct producer p;
	long i, len;

	ASSERT_TRUE(put_much(self, self->cap / 2, LEN));
	p = PRODUCE();
	for (i = 0; i < 500; i++) {
		len = 1 + i * 37 % 3000;
		ASSERT_EQ(0, producer_put(&p, len));
		model_written(m, len);
		EXPECT_AS(m);
		if (i % 4 == 3)
			ASSERT_LT(0, model_get(m, self->fd, 5000));
	}
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	EXPECT_AS(m);
	area_unmap(&p.area);
	EXPECT_AS(m);
}

/* Its page tells a producer what is there already. */
TEST_F(overwriting, producer_takes_over)
{
	struct model *m = &self->m;
	struct producer p;
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
		if (i & 1)
			ASSERT_LT(0, model_get(m, self->fd, 3 * LEN));
		p = PRODUCE();
		EXPECT_EQ(m->head, p.head);
		EXPECT_GE(m->tail, p.oldest);
		EXPECT_GE((__u64)self->cap, p.head - p.oldest);
		ASSERT_EQ(0, producer_put(&p, 2000));
		model_written(m, 2000);
		EXPECT_AS(m);
		area_unmap(&p.area);
		EXPECT_AS(m);
		ASSERT_EQ(LEN, model_put(m, self->fd, LEN));
		EXPECT_AS(m);
	}
	EXPECT_TRUE(model_drained(m, self->dev.fd));
}

/* What makes way is gone at once; what it makes way for comes later. */
TEST_F(overwriting, room_before_the_bytes)
{
	const long rooms[] = { 1, LEN, self->cap / 2, self->cap - HEADER };
	struct model *m = &self->m;
	struct producer p;
	__u64 tail, n;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
		p = PRODUCE();
		n = model_room(m, rooms[i]);
		ASSERT_TRUE(producer_room(&p, n));
		tail = model_after(m, n);
		m->overwritten += tail - m->tail;
		m->tail = tail;
		EXPECT_AS(m);
		if (model_size(m))
			ASSERT_LT(0, model_get(m, self->fd, LEN));
		EXPECT_AS(m);
		ASSERT_EQ(0, producer_publish(&p, producer_store(&p, rooms[i])));
		model_written(m, rooms[i]);
		EXPECT_AS(m);
		area_unmap(&p.area);
		EXPECT_TRUE(model_drained(m, self->dev.fd));
	}
}

/* Everything is gone, and nothing new is there: size, FIONREAD, poll and read agree. */
TEST_F(overwriting, everything_gone)
{
	long len = self->cap - (variant->records ? HEADER : 0);
	struct model *m = &self->m;
	struct producer p;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(put_much(self, (i + 1) * self->cap, LEN));
		p = PRODUCE();
		ASSERT_TRUE(producer_room(&p, self->cap));
		m->overwritten += model_size(m);
		m->tail = m->head;
		EXPECT_AS(m);
		EXPECT_EQ(-EAGAIN, model_get(m, self->dev.fd, self->cap));
		SLEEP_IN(&self->e, 0, -1, model_reads(m, self->fd, self->cap));
		EXPECT_AS(m);
		/* Not even a call without need wakes it for good. */
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_NOTIFY));
		EXPECT_STILL_SLEEPS(&self->e, 0);
		if (i == 1)
			ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		EXPECT_AS(m);
		ASSERT_EQ(0, producer_publish(&p, producer_store(&p, len)));
		model_written(m, len);
		EXPECT_TRUE(ends_returned(&self->e, 0));
		ASSERT_LT(0, self->e.out[0].ret);
		model_read(m, self->e.out[0].ret);
		EXPECT_AS(m);
		area_unmap(&p.area);
		EXPECT_TRUE(model_drained(m, self->dev.fd));
	}
}

/* Sleepers are woken each time; the producer looks only at one flag. */
TEST_F_TIMEOUT(overwriting, producer_wakes, 60)
{
	struct model *m = &self->m;
	struct producer p = PRODUCE();
	struct waiters w;
	pid_t pid;
	int i;

	ASSERT_TRUE(waiters_begin(&w));
	ASSERT_TRUE(waiter_start(&w, BY_EPOLL, self->dev.fd, EPOLLIN | EPOLLET, NULL));
	for (i = 1; i <= 20; i++) {
		ASSERT_EQ(0, producer_put(&p, LEN));
		ASSERT_EQ(i, told_all(&w));
		ASSERT_TRUE(waiter_again(&w, 0));
	}
	waiters_end(&w);
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));

	/* The next message is published when the last one has been read. */
	self->e.out[0].ret = 0;
	pid = child_start(6 * DEADLINE);
	self->e.pid[0] = pid;
	if (!pid) {
		while (read(self->fd, m->buf, LEN) == LEN)
			__atomic_add_fetch(&self->e.out[0].ret, 1, __ATOMIC_SEQ_CST);
		_exit(1);
	}
	for (i = 1; i <= OFTEN(2000); i++) {
		__s64 start = now_ms();

		ASSERT_EQ(0, producer_put(&p, LEN));
		while (__atomic_load_n(&self->e.out[0].ret, __ATOMIC_SEQ_CST) < i) {
			ASSERT_GT(DEADLINE * 1000, now_ms() - start) {
				TH_LOG("message %d was not read", i);
			}
			sched_yield();
		}
	}
	area_unmap(&p.area);
}

/* ---- a mapped consumer ---- */

/* Looks at what comes first: true if it is as the model says, and takes it. */
static bool take_right(struct model *m, struct consumer *c, long most)
{
	long n = consumer_look(c, most);

	if (n != model_wants(m, most) || c->start != m->tail)
		return false;
	consumer_copy(c, m->buf, n);
	if (consumer_confirm(c) || !model_is_next(m, n))
		return false;
	consumer_take(c);
	/* What it has skipped counts as read. */
	m->tail += c->size;
	return true;
}

/* The counters after a consumer has gone. What it has skipped counts as read. */
static void model_settle(struct model *m)
{
	m->read = m->tail - m->cleared - m->overwritten;
}

TEST_F(overwriting, consumer)
{
	struct model *m = &self->m;
	struct consumer c;
	__u64 overwritten;
	long i, len;

	ASSERT_TRUE(put_much(self, self->cap / 2, LEN));
	c = CONSUME();
	overwritten = m->overwritten;
	for (i = 0; i < 500; i++) {
		len = 1 + i * 37 % 3000;
		ASSERT_EQ(len, model_put(m, i & 1 ? self->fd : self->dev.fd, len));
		EXPECT_EQ(model_size(m), attr_get("size"));
		EXPECT_EQ(model_next(m), queued(self->fd));
		if (i % 4 == 3)
			ASSERT_TRUE(take_right(m, &c, 5000));
		EXPECT_EQ(model_size(m), attr_get("size"));
	}
	for (i = 0; i < 1000 && model_size(m); i++)
		ASSERT_TRUE(take_right(m, &c, 5000));
	EXPECT_EQ(0, consumer_look(&c, 1));
	EXPECT_EQ(0, poll_now(self->dev.fd, POLLIN));
	area_unmap(&c.area);
	EXPECT_LT(overwritten, m->overwritten);
	m->overwritten = overwritten;
	model_settle(m);
	EXPECT_AS(m);
}

/* Exactly from the first byte on that is overwritten. */
TEST_F(overwriting, consumer_is_overtaken)
{
	struct model *m = &self->m;
	struct consumer c = CONSUME();
	long free, len = 100, step = model_room(m, len);
	int i;

	for (i = 0; i < 50; i++) {
		for (free = self->cap - model_size(m); free >= step; free -= step)
			ASSERT_EQ(len, model_put(m, self->dev.fd, len));
		free = self->cap - model_size(m);
		ASSERT_EQ(model_wants(m, 1000), consumer_look(&c, 1000));
		EXPECT_EQ(m->tail, c.start);
		consumer_copy(&c, m->buf, 10);
		EXPECT_EQ(0, consumer_confirm(&c));
		if (!variant->records && free) {
			ASSERT_EQ(free, model_put(m, self->dev.fd, free));
			EXPECT_EQ(0, consumer_confirm(&c));
		}
		ASSERT_EQ(1, model_put(m, self->dev.fd, 1));
		EXPECT_EQ(free < model_room(m, 1) || !variant->records ? -ESTALE : 0,
			  consumer_confirm(&c));
		/* From now on it is found at its new place. */
		c.defeats = 0;
		ASSERT_TRUE(take_right(m, &c, 1000));
		if (i % 10 == 9)
			ASSERT_TRUE(put_much(self, 3 * self->cap, LEN));
	}
	area_unmap(&c.area);
}

/* Not overtaken, however much is written, as long as it fits. */
TEST_F(overwriting, consumer_keeps_up)
{
	struct model *m = &self->m;
	struct consumer c = CONSUME();
	__u64 overwritten = m->overwritten;
	long i;

	for (i = 0; i < 300; i++) {
		ASSERT_EQ(2000, model_put(m, self->dev.fd, 2000));
		if (i < 20)
			continue;
		ASSERT_EQ(2000, consumer_look(&c, 2000));
		ASSERT_EQ(2000, model_put(m, self->dev.fd, 2000));
		ASSERT_EQ(0, consumer_confirm(&c));
		ASSERT_TRUE(take_right(m, &c, 2000));
		ASSERT_TRUE(take_right(m, &c, 2000));
	}
	area_unmap(&c.area);
	EXPECT_EQ(overwritten, m->overwritten);
	model_settle(m);
	EXPECT_AS(m);
}

TEST_F_TIMEOUT(overwriting, consumer_is_woken, 60)
{
	struct outcome *out = self->e.out;
	struct consumer c;
	pid_t pid;
	int i;

	pid = child_start(6 * DEADLINE);
	self->e.pid[0] = pid;
	if (!pid) {
		c = CONSUME();
		for (;;) {
			while (consumer_look(&c, LEN) == LEN) {
				consumer_take(&c);
				__atomic_add_fetch(&out->ret, 1, __ATOMIC_SEQ_CST);
			}
			if (consumer_wait(&c, DEADLINE * 1000) != 1)
				_exit(1);
		}
	}
	ASSERT_TRUE(eventually(attr_get("consumer_claimed")));
	for (i = 1; i <= OFTEN(2000); i++) {
		ASSERT_EQ(LEN, res(write(self->dev.fd, bytes_at(0), LEN)));
		ASSERT_TRUE(eventually(__atomic_load_n(&out->ret,
						       __ATOMIC_SEQ_CST) == i)) {
			TH_LOG("message %d was not taken", i);
		}
	}
}

/* ---- both ---- */

TEST_F(overwriting, both_ends)
{
	struct model *m = &self->m;
	struct producer p = PRODUCE();
	struct consumer c = CONSUME();
	__u64 overwritten = m->overwritten;
	long i, len;

	for (i = 0; i < 2000; i++) {
		len = 1 + i * 37 % 3000;
		ASSERT_EQ(0, producer_put(&p, len));
		model_written(m, len);
		if (i % 4 == 3)
			ASSERT_TRUE(take_right(m, &c, 5000));
		EXPECT_EQ(model_size(m), attr_get("size"));
	}
	area_unmap(&c.area);
	area_unmap(&p.area);
	/* What it has not come across is still counted as overwritten. */
	m->read = attr_get("stats/bytes_read");
	m->overwritten = m->tail - m->cleared - m->read;
	EXPECT_LE(overwritten, m->overwritten);
	EXPECT_AS(m);
	EXPECT_TRUE(model_drained(m, self->dev.fd));
}

/* ---- at full speed ---- */

/* Shared: how often a consumer has seen torn bytes, and was overtaken. */
static unsigned long *torn, *defeats;

/* Is a mapped producer. It pauses now and then, so that others get on. */
static int produces(int self __always_unused, __u64 *random)
{
	static struct producer p;
	int err = 0;

	if (!p.area.fd)
		err = producer_open(&p, vfifo_open(O_RDWR | O_NONBLOCK));
	if (!err)
		err = producer_put(&p, racer_len(random));
	if (!(rnd(random) % 256))
		jitter(random);
	return err ? WRONG("producer: %d", err) : 1;
}

/* What a mapped consumer does, a slow one: what it accepts is what was there. */
static int consume_once(struct consumer *c, __u64 *random)
{
	static char buf[65536];
	long most = plan.records ? plan.most : 1 + rnd(random) % 3000, n;
	bool is_torn;

	n = consumer_look(c, most);
	if (!n)
		return consumer_wait(c, DEADLINE * 1000) == 1 ? 0 :
		       WRONG("nothing comes");
	if (n == -ESTALE) {
		ADD(*defeats, 1);
		return 1;
	}
	if (n < 0 || n > most)
		return WRONG("consumer: %ld", n);
	consumer_copy(c, buf, n);
	if (rnd(random) % 2) {
		jitter(random);
		consumer_copy(c, buf, n / 2);
	}
	is_torn = memcmp(buf, contents_at(plan.records, c->start), n);
	if (is_torn)
		ADD(*torn, 1);
	if (consumer_confirm(c)) {
		ADD(*defeats, 1);
		return 1;
	}
	if (is_torn)
		return WRONG("%ld torn bytes at %llu were accepted", n, c->start);
	consumer_take(c);
	return 1;
}

static int consumes(int self __always_unused, __u64 *random)
{
	static struct consumer c;
	int err = 0;

	if (!c.area.fd)
		err = consumer_open(&c, vfifo_open(O_RDWR | O_NONBLOCK));
	return err ? WRONG("consumer: %d", err) : consume_once(&c, random);
}

/* Writes, now with calls, now with a claim. */
static int writes_either(int self, __u64 *random)
{
	static struct producer p;
	static int fd = -1;
	int err;

	if (fd < 0)
		fd = vfifo_open(O_RDWR | O_NONBLOCK);
	if (!(rnd(random) % 16)) {
		if (p.area.fd) {
			plan.head = p.head;
			area_unmap(&p.area);
		} else {
			err = producer_open(&p, fd);
			if (err || p.head != plan.head)
				return WRONG("claim: %d, at %llu, not at %llu", err,
					     p.head, plan.head);
		}
	}
	if (!p.area.fd)
		return writes(self, random);
	err = producer_put(&p, racer_len(random));
	return err ? WRONG("producer: %d", err) : 1;
}

/* The same for a reader. */
static int reads_either(int self, __u64 *random)
{
	static struct consumer c;
	static int fd = -1;
	int err;

	if (fd < 0)
		fd = vfifo_open(O_RDWR | O_NONBLOCK);
	if (!(rnd(random) % 16)) {
		err = 0;
		if (c.area.fd)
			area_unmap(&c.area);
		else
			err = consumer_open(&c, fd);
		if (err)
			return WRONG("claim: %d", err);
	}
	return c.area.fd ? consume_once(&c, random) : reads(self, random);
}

#define LARGEST		-1

/* Lengths of messages. */
static const struct {
	long least, most;
} sizes[] = {
	{ 1, 16 }, { 1, 100 }, { 500, 1500 }, { LARGEST, LARGEST },
};

static void race_mapped(struct __test_metadata *_metadata,
			struct overwriting_data *self, racer_step writer,
			racer_step reader, long cap)
{
	pid_t pid[2];
	size_t i;

	LOG_SEED();
	ASSERT_TRUE(race_begin());
	torn = shared(2 * sizeof(*torn));
	ASSERT_NE(NULL, torn);
	defeats = torn + 1;
	ASSERT_EQ(0, use_capacity(self, cap));
	plan.records = self->m.records;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(race, 0, sizeof(*race));
		plan.least = sizes[i].least;
		plan.most = sizes[i].most;
		if (plan.most == LARGEST)
			plan.most = cap - (plan.records ? HEADER : 0);
		if (plan.least == LARGEST)
			plan.least = plan.most;
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		plan.head = attr_get("stats/bytes_written");
		pid[0] = racer_start(writer, 0);
		pid[1] = racer_start(reader, 1);
		EXPECT_TRUE(gets_on(1, sizes[i].most == LARGEST ? READS / 10 : READS)) {
			TH_LOG("%ld to %ld bytes: %lu reads beside %lu writes",
			       plan.least, plan.most, LOAD(race->good[1]),
			       LOAD(race->good[0]));
		}
		racers_finish(_metadata, pid, 2);
		EXPECT_TRUE(eventually(!attr_get("producer_claimed") &&
				       !attr_get("consumer_claimed")));
		EXPECT_EQ(0, bytes_missing());
	}
	if (reader == consumes) {
		TH_LOG("%lu torn copies, %lu defeats", *torn, *defeats);
		EXPECT_LT(0, *torn);
		EXPECT_LE(*torn, *defeats);
	}
	munmap(torn, 2 * sizeof(*torn));
}

TEST_F_TIMEOUT(overwriting, producer_beside_a_blocking_reader, 120)
{
	race_mapped(_metadata, self, produces, reads, 4 * self->page);
}

TEST_F_TIMEOUT(overwriting, producer_beside_a_polling_reader, 120)
{
	plan.flags = O_NONBLOCK;
	race_mapped(_metadata, self, produces, reads, self->page);
}

TEST_F_TIMEOUT(overwriting, consumer_beside_a_writer, 120)
{
	race_mapped(_metadata, self, writes, consumes, self->page);
}

TEST_F_TIMEOUT(overwriting, two_processes, 120)
{
	race_mapped(_metadata, self, produces, consumes, self->page);
}

TEST_F_TIMEOUT(overwriting, claims_come_and_go, 120)
{
	race_mapped(_metadata, self, writes_either, reads_either, 2 * self->page);
}

/* ---- several readers ---- */

/* Whether @len bytes were queued one after the other, wherever that was. */
static bool is_whole(const char *buf, long len)
{
	const char *at = memmem(lap_bytes, lap_period + 64, buf, len < 64 ? len : 64);

	return at && !memcmp(buf, at, len);
}

static int reads_anything(int self __always_unused, __u64 *random)
{
	static char buf[65536];
	int fd = racer_fd(O_RDONLY | plan.flags);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	long most = plan.records ? plan.most : 16 + rnd(random) % 5000;
	long ret = res(read(fd, buf, most));

	if (ret == -EAGAIN && plan.flags & O_NONBLOCK) {
		poll(&pfd, 1, 10);
		return 0;
	}
	if (ret <= 0 || ret > most)
		return WRONG("read of %ld bytes: %ld", most, ret);
	return is_whole(buf, ret) ? 1 : WRONG("%ld bytes are torn", ret);
}

TEST_F_TIMEOUT(overwriting, producer_beside_many_readers, 60)
{
	pid_t pid[4];
	int i;

	LOG_SEED();
	ASSERT_TRUE(race_begin());
	ASSERT_EQ(0, use_capacity(self, 2 * self->page));
	plan.records = variant->records;
	plan.least = 16;
	plan.most = 1000;
	pid[0] = racer_start(produces, 0);
	for (i = 1; i < 4; i++) {
		plan.flags = i & 1 ? 0 : O_NONBLOCK;
		pid[i] = racer_start(reads_anything, i);
	}
	for (i = 1; i < 4; i++) {
		EXPECT_TRUE(gets_on(i, READS / 10)) {
			TH_LOG("reader %d: %lu reads beside %lu writes", i,
			       LOAD(race->good[i]), LOAD(race->good[0]));
		}
	}
	racers_finish(_metadata, pid, 4);
	EXPECT_TRUE(eventually(!attr_get("producer_claimed")));
	EXPECT_EQ(0, bytes_missing());
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
