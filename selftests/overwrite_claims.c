// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Overwriting the oldest while claims begin and end: calls go on from the last good
 * positions, whatever the owner has stored, and "oldest" never goes back.
 */
#include "vfifo_overwriting_ends.h"

#define LEN		777

static const char * const claimed_attr[] = { "producer_claimed", "consumer_claimed" };

/* The positions that everybody sees now. */
struct positions {
	__u64 head, tail, oldest;
};

static struct positions positions(int fd)
{
	struct positions now = { 0 };
	struct area a;

	if (area_map(&a, fd, 0))
		return now;
	now.head = load(a.producer);
	now.tail = load(a.consumer);
	now.oldest = load_oldest(a.producer);
	area_unmap(&a);
	return now;
}

/* Claims an end, stores these positions, and ends the claim: 0, or -errno. */
static int claim_and_store(int fd, int end, __u64 position, __u64 oldest)
{
	struct area a;
	int err = area_map(&a, fd, end);

	if (err)
		return err;
	if (end == PRODUCES)
		store_oldest(a.producer, oldest);
	store(end == PRODUCES ? a.producer : a.consumer, position);
	area_unmap(&a);
	return 0;
}

/* Everything counts as overwritten. */
static void model_all_gone(struct model *m)
{
	m->overwritten += model_size(m);
	m->tail = m->head;
}

/* ---- while an end is claimed ---- */

TEST_F(overwriting, calls_at_a_claimed_end)
{
	struct model *m = &self->m;
	struct producer p;
	struct consumer c;

	ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
	ASSERT_EQ(0, consumer_open(&c, self->dev.fd));
	EXPECT_EQ(1, attr_get(claimed_attr[1]));
	EXPECT_EQ(-EBUSY, model_get(m, self->fd, LEN));
	EXPECT_EQ(-EBUSY, res(ioctl(self->fd, VFIFO_CLEAR)));
	EXPECT_EQ(-EBUSY, attr_set("overwrite", 0));
	EXPECT_EQ(-EBUSY, attr_set("capacity", 2 * self->cap));
	EXPECT_EQ(POLLIN | POLLOUT | POLLERR, poll_now(self->fd, POLLIN | POLLOUT));
	EXPECT_EQ(POLLOUT, poll_now(self->fd, POLLOUT));
	/* A writer does not wait for a consumer that does nothing. */
	ASSERT_TRUE(put_much(self, 3 * self->cap, LEN));
	ASSERT_EQ(LEN, model_put(m, self->fd, LEN));
	EXPECT_AS(m);
	area_unmap(&c.area);
	EXPECT_AS(m);

	ASSERT_EQ(0, producer_open(&p, self->dev.fd));
	EXPECT_EQ(1, attr_get(claimed_attr[0]));
	EXPECT_EQ(-EBUSY, model_put(m, self->fd, LEN));
	EXPECT_EQ(-EBUSY, attr_set("overwrite", 0));
	EXPECT_EQ(POLLIN | POLLOUT | POLLERR, poll_now(self->fd, POLLIN | POLLOUT));
	EXPECT_EQ(POLLIN, poll_now(self->fd, POLLIN));
	ASSERT_LT(0, model_get(m, self->fd, LEN));
	EXPECT_AS(m);
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	model_cleared(m);
	EXPECT_AS(m);
	ASSERT_EQ(0, producer_put(&p, LEN));
	model_written(m, LEN);
	EXPECT_AS(m);
	area_unmap(&p.area);
	EXPECT_AS(m);
	EXPECT_TRUE(model_drained(m, self->dev.fd));
}

/* ---- claims at random ---- */

struct script {
	struct overwriting_data *self;
	struct model *m;
	__u64 random;
	struct producer p;
	struct consumer c;
	bool produces, consumes;
	__u64 tail;		/* of the consumer, which may be before the first byte */
	__u64 lost;		/* what it came across */
	char did[160];
};

static long choose(struct script *s, long n)
{
	return n > 0 ? rnd(&s->random) % n : 0;
}

static bool step_put(struct script *s)
{
	struct model *m = s->m;
	long len = 1 + choose(s, choose(s, 8) ? 2000 : m->cap - HEADER), ret;
	__u64 tail;

	if (!s->produces) {
		ret = model_put(m, choose(s, 2) ? s->self->fd : s->self->dev.fd, len);
		snprintf(s->did, sizeof(s->did), "write of %ld bytes: %ld", len, ret);
		return ret == len;
	}
	ret = res(write(s->self->fd, bytes_at(0), len));
	snprintf(s->did, sizeof(s->did), "mapped write of %ld bytes, %ld", len, ret);
	if (ret != -EBUSY || !producer_room(&s->p, model_room(m, len)))
		return false;
	/* Sometimes it stops here. */
	tail = model_after(m, model_room(m, len));
	m->tail = tail;
	if (!choose(s, 8))
		return true;
	if (producer_publish(&s->p, producer_store(&s->p, len)))
		return false;
	model_written(m, len);
	return true;
}

static bool step_get(struct script *s)
{
	struct model *m = s->m;
	long most = m->records ? m->cap : 1 + choose(s, 5000);
	long want = model_wants(m, most), ret;
	__u64 first = m->tail;

	if (!s->consumes) {
		ret = model_get(m, s->self->dev.fd, most);
		snprintf(s->did, sizeof(s->did), "read of %ld bytes: %ld, not %ld",
			 most, ret, want);
		if (ret > 0) {
			s->lost += first - s->tail;
			s->tail = m->tail;
		}
		return ret == want;
	}
	ret = consumer_look(&s->c, most);
	snprintf(s->did, sizeof(s->did), "mapped read of %ld bytes: %ld, not %ld", most,
		 ret, want);
	if (ret <= 0)
		return !ret && want == -EAGAIN;
	if (ret != want || s->c.start != first)
		return false;
	consumer_copy(&s->c, m->buf, ret);
	if (consumer_confirm(&s->c) || !model_is_next(m, ret))
		return false;
	/* Sometimes it does not take it. */
	if (!choose(s, 8))
		return true;
	consumer_take(&s->c);
	m->tail += s->c.size;
	s->tail = m->tail;
	return true;
}

static bool step_clear(struct script *s)
{
	int ret = res(ioctl(s->self->fd, VFIFO_CLEAR));

	snprintf(s->did, sizeof(s->did), "VFIFO_CLEAR: %d", ret);
	if (s->consumes)
		return ret == -EBUSY;
	s->lost += s->m->tail - s->tail;
	model_cleared(s->m);
	s->tail = s->m->head;
	return !ret;
}

static bool step_claim(struct script *s, bool produces)
{
	int err = 0;

	snprintf(s->did, sizeof(s->did), "claim of a %s",
		 produces ? "producer" : "consumer");
	if (produces) {
		if (s->produces)
			area_unmap(&s->p.area);
		else
			err = producer_open(&s->p, s->self->dev.fd);
		s->produces = !s->produces;
		return !err;
	}
	if (s->consumes)
		area_unmap(&s->c.area);
	else
		err = consumer_open(&s->c, s->self->dev.fd);
	s->consumes = !s->consumes;
	return !err;
}

static bool step(struct script *s)
{
	switch (choose(s, 16)) {
	case 0:
		return step_claim(s, true);
	case 1:
		return step_claim(s, false);
	case 2:
		return choose(s, 4) || step_clear(s);
	case 3 ... 9:
		return step_put(s);
	default:
		return step_get(s);
	}
}

TEST_F_TIMEOUT(overwriting, at_random, 90)
{
	struct script s = {
		.self = self,
		.m = &self->m,
		.random = vfifo_seed + variant->records,
		.tail = self->m.tail,
		.lost = self->m.overwritten,
	};
	const char *differs;
	struct model *m = &self->m;
	int i;

	LOG_SEED();
	ASSERT_EQ(0, use_capacity(self, 4 * self->page));
	for (i = 0; i < OFTEN(10000); i++) {
		ASSERT_TRUE(step(&s)) {
			TH_LOG("step %d: %s", i, s.did);
		}
		/* Only what a consumer comes across is lost for good. */
		m->overwritten = s.lost + (m->tail - s.tail);
		m->read = s.tail - m->cleared - s.lost;
		differs = model_differs(m, self->dev.fd);
		ASSERT_EQ(NULL, differs) {
			TH_LOG("step %d: after %s: %s", i, s.did, differs);
		}
	}
	if (s.produces)
		area_unmap(&s.p.area);
	if (s.consumes)
		area_unmap(&s.c.area);
	EXPECT_AS(m);
}

/* ---- what a producer leaves behind ---- */

TEST_F(overwriting, positions_of_a_producer)
{
	const __s64 cap = self->cap, step = variant->records ? 8 : 1;
	const struct {
		__s64 head, oldest;	/* from the head and from the oldest byte */
		bool good;
	} stores[] = {
		{ 0, 0, true }, { -step, 0, false }, { -cap, 0, false },
		/* Farther than the capacity from each other. */
		{ step, 0, false }, { cap, cap - step, false },
		{ cap, 2 * cap + step, false }, { 0, cap + step, false },
		{ 1LL << 62, 0, false }, { LLONG_MIN, 0, false },
		{ LLONG_MIN, LLONG_MIN, false }, { -cap, -cap, false },
		/* Everything is gone. */
		{ 0, cap, true }, { step, cap + step, true },
		/* With records, only if they begin on multiples of 8. */
		{ 4, 4, !variant->records }, { 0, 4, !variant->records },
		{ 4, 8, !variant->records },
	};
	struct model *m = &self->m;
	struct positions from, now;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stores); i++) {
		/* Full to the last byte. */
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		model_cleared(m);
		m->cleared = attr_get("stats/bytes_cleared");
		m->overwritten = attr_get("stats/bytes_overwritten");
		ASSERT_TRUE(put_much(self, 2 * cap, variant->records ? 120 : 128));
		from = positions(self->fd);
		ASSERT_EQ((__u64)cap, from.head - from.oldest);
		ASSERT_EQ(0, claim_and_store(self->dev.fd, PRODUCES,
					     from.head + stores[i].head,
					     from.oldest + stores[i].oldest));
		now = positions(self->fd);
		EXPECT_GE((__u64)cap, now.head - now.oldest);
		EXPECT_FALSE(before(now.oldest, from.oldest));
		EXPECT_EQ(0, bytes_missing());
		if (!stores[i].good) {
			/* Back to what was known, and nothing is left. */
			EXPECT_EQ(from.head, now.head);
			EXPECT_EQ(from.head, now.oldest);
			EXPECT_EQ(0, attr_get("size"));
			EXPECT_EQ(0, queued(self->fd));
			EXPECT_EQ(POLLOUT, poll_now(self->fd, POLLIN | POLLOUT));
			model_all_gone(m);
			EXPECT_AS(m);
			ASSERT_TRUE(put_much(self, cap / 2, LEN));
			EXPECT_AS(m);
			EXPECT_TRUE(model_drained(m, self->dev.fd)) {
				TH_LOG("store %zu", i);
			}
			continue;
		}
		if (!variant->records) {
			EXPECT_EQ(from.head + stores[i].head, now.head);
			EXPECT_EQ(from.oldest + stores[i].oldest, now.oldest);
		}
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		m->head = attr_get("stats/bytes_written");
		m->tail = m->head;
		m->read = attr_get("stats/bytes_read");
	}
	EXPECT_EQ(self->errors, attr_get("stats/position_errors"));
}

/* It cannot take back what a reader has seen. */
TEST_F(overwriting, head_that_was_seen)
{
	struct model *m = &self->m;
	struct positions now;
	struct producer p;
	__u64 start;

	ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
	ASSERT_EQ(0, producer_open(&p, self->dev.fd));
	start = p.head;
	ASSERT_EQ(0, producer_put(&p, LEN));
	model_written(m, LEN);
	ASSERT_EQ(0, producer_put(&p, LEN));
	model_written(m, LEN);
	ASSERT_LT(0, model_get(m, self->fd, LEN));
	store(p.area.producer, start);
	area_unmap(&p.area);
	now = positions(self->fd);
	EXPECT_EQ(m->head, now.head);
	EXPECT_EQ(m->head, now.oldest);
	model_all_gone(m);
	EXPECT_AS(m);
	ASSERT_TRUE(put_much(self, self->cap / 2, LEN));
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	EXPECT_AS(m);
}

/* Bytes that are gone do not come back. */
TEST_F(overwriting, oldest_does_not_go_back)
{
	struct model *m = &self->m;
	struct positions from, now;
	__u64 lost;
	int i;

	ASSERT_TRUE(put_much(self, 3 * self->cap, LEN));
	from = positions(self->fd);
	/* A wrong position: everything is gone. */
	ASSERT_EQ(0, claim_and_store(self->dev.fd, PRODUCES, from.head - 8,
				     from.oldest));
	model_all_gone(m);
	EXPECT_AS(m);
	for (i = 0; i < 4; i++) {
		lost = attr_get("stats/bytes_overwritten");
		from = positions(self->fd);
		ASSERT_EQ(from.head, from.oldest);
		ASSERT_EQ(0, claim_and_store(self->dev.fd, PRODUCES,
					     from.head + (i & 1 ? 8 : 0),
					     from.oldest - self->cap / (i + 1)));
		now = positions(self->fd);
		EXPECT_FALSE(before(now.oldest, from.oldest)) {
			TH_LOG("it was %llu, and is %llu", from.oldest, now.oldest);
		}
		EXPECT_LE(lost, (__u64)attr_get("stats/bytes_overwritten"));
		EXPECT_GE(8, attr_get("size"));
		EXPECT_EQ(0, bytes_missing());
		/* From here on as if nothing had happened. */
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		ASSERT_EQ(0, claim_and_store(self->dev.fd, PRODUCES, now.head,
					     now.head));
	}
}

/* With room made, and nothing published. */
TEST_F(overwriting, producer_leaves_with_everything_gone)
{
	struct model *m = &self->m;
	struct producer p;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
		ASSERT_EQ(0, producer_open(&p, self->dev.fd));
		ASSERT_TRUE(producer_room(&p, self->cap));
		area_unmap(&p.area);
		model_all_gone(m);
		EXPECT_AS(m);
		EXPECT_EQ(-EAGAIN, model_get(m, self->dev.fd, LEN));
		if (i == 1) {
			ASSERT_EQ(0, attr_set("overwrite", 0));
			EXPECT_AS(m);
			ASSERT_EQ(0, attr_set("overwrite", 1));
		} else if (i == 2) {
			ASSERT_EQ(0, use_capacity(self, 2 * self->cap));
		}
		ASSERT_EQ(LEN, model_put(m, self->dev.fd, LEN));
		EXPECT_AS(m);
		EXPECT_EQ(LEN, model_get(m, self->dev.fd, LEN));
		EXPECT_AS(m);
	}
}

/* With records, everything from the first bad header on is forgotten. */
TEST_F(overwriting, bad_headers_of_a_producer)
{
	const __u64 bad[] = {
		0, raw_header(0, 1), raw_header(LEN, 1), raw_header(self->cap, 0),
		raw_header(~0U, 0), raw_header(LEN + 8, 0), ~0ULL,
	};
	struct model *m = &self->m;
	struct producer p;
	__u64 at;
	size_t i;
	int good;

	if (!variant->records)
		SKIP(return, "for records");
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (good = 0; good < 3; good++) {
			ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
			ASSERT_EQ(0, producer_open(&p, self->dev.fd));
			ASSERT_TRUE(model_reduced(m, self->fd,
						  good * record_size(LEN), LEN));
			/* The last record, of which nothing can be used. */
			ASSERT_TRUE(producer_room(&p, record_size(LEN)));
			at = p.head;
			producer_publish(&p, producer_store(&p, LEN));
			store_header(&p.area, at, bad[i]);
			area_unmap(&p.area);
			EXPECT_EQ(m->head, (__u64)attr_get("stats/bytes_written"));
			EXPECT_AS(m);
			EXPECT_TRUE(model_drained(m, self->dev.fd)) {
				TH_LOG("header %#llx after %d good ones", bad[i],
				       good);
			}
			ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
			EXPECT_AS(m);
		}
	}
	EXPECT_EQ(self->errors, attr_get("stats/position_errors"));
}

/* The same while the consumer's end is claimed: no writer comes across a bad header. */
TEST_F(overwriting, bad_headers_beside_a_consumer)
{
	struct model *m = &self->m;
	struct producer p;
	struct consumer c;

	if (!variant->records)
		SKIP(return, "for records");
	ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
	ASSERT_EQ(0, consumer_open(&c, self->dev.fd));
	ASSERT_EQ(0, producer_open(&p, self->dev.fd));
	store_header(&p.area, p.oldest + record_size(LEN), ~0ULL);
	area_unmap(&p.area);
	model_all_gone(m);
	EXPECT_EQ(0, attr_get("size"));
	ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
	ASSERT_EQ(LEN, consumer_look(&c, LEN));
	area_unmap(&c.area);
	EXPECT_AS(m);
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	EXPECT_EQ(self->errors, attr_get("stats/position_errors"));
}

/* The same where nobody reads any more: writers have to pass there. */
TEST_F(overwriting, bad_headers_before_the_queue)
{
	struct model *m = &self->m;
	struct producer p;

	if (!variant->records)
		SKIP(return, "for records");
	ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
	ASSERT_TRUE(model_reduced(m, self->fd, self->cap / 2, LEN));
	ASSERT_EQ(0, producer_open(&p, self->dev.fd));
	ASSERT_TRUE(before(p.oldest, m->tail));
	store_header(&p.area, p.oldest, 0);
	store_header(&p.area, p.oldest + record_size(LEN), ~0ULL);
	area_unmap(&p.area);
	/* After the claim, everything is valid again. */
	ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
	EXPECT_AS(m);
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	EXPECT_EQ(self->errors, attr_get("stats/position_errors"));
}

/* ---- what a consumer leaves behind ---- */

TEST_F(overwriting, positions_of_a_consumer)
{
	const __s64 cap = self->cap, step = variant->records ? 8 : 1;
	struct positions from, now;
	struct model *m = &self->m;
	struct area a;
	__s64 moved;
	__u64 nread;
	bool good;
	int i, n = 12;

	for (i = 0; i < 2 * n; i++) {
		ASSERT_TRUE(put_much(self, 2 * cap, variant->records ? 120 : 128));
		if (i & 1)
			ASSERT_LT(0, model_get(m, self->fd, 128));
		from = positions(self->fd);
		nread = attr_get("stats/bytes_read");
		ASSERT_EQ(0, area_map(&a, self->dev.fd, CONSUMES));
		/* What is overwritten meanwhile can still be skipped. */
		if (i >= n)
			ASSERT_TRUE(put_much(self, cap / 2, variant->records ? 120 : 128));
		moved = m->head - from.tail;
		switch (i % n / 2) {
		case 0:
			moved = 0;
			break;
		case 1:
			moved = -step;
			break;
		case 2:
			moved += step;
			break;
		case 3:
			break;
		case 4:
			/* The last message. */
			moved -= 128;
			break;
		default:
			moved = i & 1 ? LLONG_MIN : variant->records ? 4 : -4;
		}
		good = moved >= 0 && moved <= (__s64)(m->head - from.tail) &&
		       !(moved % step);
		store(a.consumer, from.tail + moved);
		area_unmap(&a);
		now = positions(self->fd);
		EXPECT_EQ(from.tail + (good ? moved : 0), now.tail) {
			TH_LOG("store %d: tail moved by %lld", i, moved);
		}
		EXPECT_EQ(nread + (good ? moved : 0), (__u64)attr_get("stats/bytes_read"));
		EXPECT_EQ(0, bytes_missing());
		/* What it has not passed is still there. */
		if (before(m->tail, now.tail))
			m->tail = now.tail;
		EXPECT_EQ(model_size(m), attr_get("size"));
		EXPECT_EQ(model_next(m), queued(self->fd));
		EXPECT_TRUE(model_drained(m, self->dev.fd)) {
			TH_LOG("store %d: tail moved by %lld", i, moved);
		}
		m->read = attr_get("stats/bytes_read");
		m->overwritten = attr_get("stats/bytes_overwritten");
	}
	EXPECT_EQ(self->errors, attr_get("stats/position_errors"));
}

/* With records, at the place where a consumer stops, or anywhere else. */
TEST_F(overwriting, bad_headers_when_a_consumer_leaves)
{
	struct model *m = &self->m;
	struct consumer c;
	__u64 lost;
	int i;

	if (!variant->records)
		SKIP(return, "for records");
	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
		if (i & 1)
			ASSERT_EQ(LEN, model_get(m, self->fd, LEN));
		ASSERT_EQ(0, consumer_open(&c, self->dev.fd));
		ASSERT_EQ(LEN, consumer_look(&c, LEN));
		store_header(&c.area, c.start, i & 2 ? ~0ULL : 0);
		lost = attr_get("stats/bytes_overwritten");
		area_unmap(&c.area);
		/* Nobody has read what was gone before, or cleared it. */
		EXPECT_EQ(lost, (__u64)attr_get("stats/bytes_overwritten"));
		EXPECT_EQ(0, bytes_missing());
		/* After the claim, everything is valid again. */
		EXPECT_EQ(-EAGAIN, res(read(self->dev.fd, m->buf, self->cap)));
		m->tail = m->head;
		m->cleared = attr_get("stats/bytes_cleared");
		m->overwritten = attr_get("stats/bytes_overwritten");
		ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
		EXPECT_AS(m);
		EXPECT_TRUE(model_drained(m, self->dev.fd));
	}
	EXPECT_EQ(self->errors, attr_get("stats/position_errors"));
}

/* Both claims end, in either order. */
TEST_F(overwriting, both_end)
{
	struct model *m = &self->m;
	struct producer p;
	struct consumer c;
	int i;

	for (i = 0; i < 6; i++) {
		ASSERT_TRUE(put_much(self, self->cap / 3, LEN));
		ASSERT_EQ(0, producer_open(&p, self->dev.fd));
		ASSERT_EQ(0, consumer_open(&c, self->dev.fd));
		ASSERT_EQ(0, producer_put(&p, LEN));
		model_written(m, LEN);
		ASSERT_EQ(LEN, consumer_look(&c, LEN));
		consumer_take(&c);
		model_read(m, LEN);
		if (i & 1)
			area_unmap(&p.area);
		area_unmap(&c.area);
		if (!(i & 1))
			area_unmap(&p.area);
		EXPECT_AS(m);
		EXPECT_EQ(0, attr_get(claimed_attr[0]));
		EXPECT_EQ(0, attr_get(claimed_attr[1]));
		EXPECT_TRUE(model_drained(m, self->dev.fd));
	}
}

/* Whatever an owner has stored elsewhere in its page is gone when the claim ends. */
TEST_F(overwriting, page_is_clean)
{
	struct positions now;
	struct area a;
	char *bytes;
	long i, bad;
	int on, end;

	for (on = 1; on >= 0; on--) {
		ASSERT_EQ(0, use_overwrite(self, on));
		ASSERT_EQ(LEN, model_put(&self->m, self->dev.fd, LEN));
		for (end = PRODUCES; end <= CONSUMES; end++) {
			now = positions(self->fd);
			ASSERT_EQ(0, area_map(&a, self->dev.fd, end));
			bytes = (char *)(end == PRODUCES ? a.producer : a.consumer);
			memset(bytes, 0xaa, self->page);
			store((void *)bytes, end == PRODUCES ? now.head : now.tail);
			if (end == PRODUCES && on)
				store_oldest(a.producer, now.oldest);
			area_unmap(&a);
			ASSERT_EQ(0, area_map(&a, self->dev.fd, 0));
			bytes = (char *)(end == PRODUCES ? a.producer : a.consumer);
			for (i = 8, bad = 0; i < self->page; i++)
				bad += bytes[i] && (i < 128 || i >= 132) &&
				       (i < 256 || i >= 264 || end != PRODUCES);
			EXPECT_EQ(0, bad);
			if (on)
				EXPECT_EQ(now.oldest, load_oldest(a.producer));
			EXPECT_NE(0xaaaaaaaaaaaaaaaa, load_oldest(a.producer));
			EXPECT_EQ(0, load_oldest(a.consumer));
			area_unmap(&a);
			EXPECT_AS(&self->m);
		}
	}
	ASSERT_EQ(0, use_overwrite(self, true));
	EXPECT_TRUE(model_drained(&self->m, self->dev.fd));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
