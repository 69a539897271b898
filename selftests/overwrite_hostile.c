// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Overwriting the oldest beside owners that store wrong positions, and beside programs
 * that store wrong headers. Others get EIO until the FIFO is cleared or the claim ends, or
 * bytes that are plausible, and nothing else happens.
 */
#include "vfifo_overwriting_ends.h"

/* The number of random cases in each test that is exact. */
#define CASES	OFTEN(OFTEN(150000))

/*
 * Whether a random test continues. After a while, a slow machine may stop with a fifth of
 * what is wanted.
 */
static bool more_cases(long done, long wanted, __s64 start)
{
	return done < wanted &&
	       (done < wanted / 5 || now_ms() - start < 6 * DEADLINE * 1000);
}

/* A random position, near or far. */
static __u64 odd_position(__u64 *random, __u64 at, __u64 cap)
{
	__u64 r = rnd(random);

	switch (rnd(random) % 8) {
	case 0:
		return at + r % (cap + 2);
	case 1:
		return at - r % (cap + 2);
	case 2:
		return at + cap - 2 + r % 5;
	case 3:
		return r;
	case 4:
		return at + r % 64 * 8;
	case 5:
		return at + (1ULL << (r % 64));
	case 6:
		return at - (1ULL << (r % 64));
	default:
		return at + r % 3;
	}
}

/* A random position of the oldest byte, more often a possible one. */
static __u64 odd_oldest(__u64 *random, __u64 head, __u64 cap)
{
	switch (rnd(random) % 8) {
	case 0:
		return odd_position(random, head, cap);
	case 1:
		return head;
	case 2:
		return head - cap + 1 - rnd(random) % 3;
	case 3:
		return head - rnd(random) % 64 * 8;
	default:
		return head - rnd(random) % (cap + 1);
	}
}

static __u64 odd_header(__u64 *random, __u64 cap)
{
	__u64 r = rnd(random);

	switch (r % 6) {
	case 0:
		return 0;
	case 1:
		return raw_header(8, 1 << (r >> 8) % 32);
	case 2:
		return raw_header(cap - 16 + (r >> 8) % 32, 0);
	case 3:
		return raw_header(-(r >> 8) % 100, 0);
	case 4:
		return raw_header(1 + (r >> 8) % 64, 0);
	default:
		return r;
	}
}

/* Every position of records looks like one of 8 bytes, which are such a header again. */
static void fill_data(struct area *a, __u64 *random)
{
	__u64 i;

	for (i = 0; i < a->cap; i += 8)
		store_header(a, i, a->records ? raw_header(8, 0) : rnd(random));
}

static bool is_broken(int fd)
{
	struct vfifo_info info = { .size = sizeof(info) };

	return !ioctl(fd, VFIFO_GET_INFO, &info) && info.flags & VFIFO_BROKEN;
}

/* A message can be written and read, whatever happened before. */
static bool message_passes(int fd)
{
	char in[8] = "message", out[16] = "";

	return write(fd, in, 8) == 8 && queued(fd) == 8 && read(fd, out, 16) == 8 &&
	       !memcmp(in, out, 8);
}

/* ---- a producer ---- */

/* What is known of the FIFO. */
struct known {
	__u64 head, oldest, tail, seen;
};

/* What a read of one byte, or of 8 bytes of a record, must return. */
static long judge(struct known *k, const struct area *a)
{
	__u64 size = k->head - k->tail, first;
	struct vfifo_record record;
	long len = 1, moves = 1;

	if (before(k->head, k->seen) || before(k->head, k->tail) ||
	    k->head - k->oldest > a->cap ||
	    (a->records && (k->head | k->oldest) % 8))
		return -EIO;
	k->seen = k->head;
	if (size > k->head - k->oldest)
		size = k->head - k->oldest;
	if (!size)
		return -EAGAIN;
	first = k->head - size;
	if (a->records) {
		__u64 raw = load_header(a, first);

		/* Clearing has believed a head where no record can begin. */
		if (first % 8)
			return -EIO;
		memcpy(&record, &raw, sizeof(record));
		len = header_len(raw, size);
		if (len < 0)
			return -EIO;
		if (len > 8)
			return -EMSGSIZE;
		moves = record_size(len);
	}
	k->tail = first + moves;
	return len;
}

/* Ends the claim and begins another one, and finds out where they are. */
static bool claim_again(struct area *a, struct known *k, int fd)
{
	bool bad;

	bad = before(k->head, k->seen) || k->head - k->oldest > a->cap ||
	      (a->records && (k->head | k->oldest) % 8);
	area_unmap(a);
	if (area_map(a, fd, PRODUCES))
		return false;
	/* Clearing may have believed any position. */
	if (bad)
		k->head = a->records ? (k->seen + 7) / 8 * 8 : k->seen;
	/* With records, the last of them may have been bad. */
	if (a->records ? before(k->head, load(a->producer)) :
			 k->head != load(a->producer))
		return false;
	k->head = load(a->producer);
	k->oldest = load_oldest(a->producer);
	k->tail = load(a->consumer);
	k->seen = k->head;
	return k->head - k->oldest <= a->cap && (!bad || k->oldest == k->head);
}

TEST_F_TIMEOUT(overwriting, answers_are_exact, 150)
{
	long i, want, ret, broken = 0, empty = 0, good = 0, errors = self->errors;
	__u64 random = vfifo_seed + variant->records, first, at;
	struct known k, was;
	__s64 start = now_ms();
	char buf[8];
	struct area a;
	bool odd;

	LOG_SEED();
	self->breaks = true;
	ASSERT_EQ(0, use_capacity(self, self->page));
	ASSERT_EQ(0, area_map(&a, self->dev.fd, PRODUCES));
	fill_data(&a, &random);
	k.head = load(a.producer);
	k.oldest = load_oldest(a.producer);
	k.tail = load(a.consumer);
	k.seen = k.head;
	for (i = 0; more_cases(i, CASES, start); i++) {
		k.head = rnd(&random) % 4 ? k.seen + rnd(&random) % 100 * 8 :
					    odd_position(&random, k.seen, a.cap);
		k.oldest = odd_oldest(&random, k.head, a.cap);
		if (variant->records && rnd(&random) % 8) {
			k.head &= -8ULL;
			k.oldest &= -8ULL;
		}
		first = k.oldest;
		odd = variant->records && !(rnd(&random) % 4);
		if (odd)
			store_header(&a, first & -8ULL, odd_header(&random, a.cap));
		store_oldest(a.producer, k.oldest);
		store(a.producer, k.head);
		was = k;
		want = judge(&k, &a);
		ret = res(read(self->dev.fd, buf, variant->records ? 8 : 1));
		ASSERT_EQ(want, ret) {
			TH_LOG("case %ld: head %llx, oldest %llx, seen %llx, tail %llx",
			       i, was.head, was.oldest, was.seen, was.tail);
		}
		/* Whatever that is, it was there. */
		at = k.tail - model_room(&self->m, ret) + (variant->records ? HEADER : 0);
		ASSERT_TRUE(ret <= 0 || !memcmp(buf, area_at(&a, at), ret)) {
			TH_LOG("case %ld", i);
		}
		if (odd)
			store_header(&a, first & -8ULL, raw_header(8, 0));
		good += ret > 0;
		empty += ret == -EAGAIN;
		if (ret != -EIO && rnd(&random) % 64)
			continue;
		if (ret == -EIO) {
			broken++;
			if (i % 32 == 0)
				ASSERT_TRUE(is_broken(self->fd));
		}
		/* Both ways out of the error state. */
		if (rnd(&random) % 16) {
			ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
			k.tail = k.head;
			k.seen = k.head;
			if (i % 32 == 0)
				ASSERT_FALSE(is_broken(self->fd));
			continue;
		}
		was = k;
		ASSERT_TRUE(claim_again(&a, &k, self->dev.fd)) {
			TH_LOG("case %ld: head %llx, oldest %llx, seen %llx, tail %llx",
			       i, was.head, was.oldest, was.seen, was.tail);
			TH_LOG("afterwards: head %llx, oldest %llx", load(a.producer),
			       load_oldest(a.producer));
		}
		if (i % 32 == 0)
			ASSERT_FALSE(is_broken(self->fd));
	}
	EXPECT_EQ(errors + broken, attr_get("stats/position_errors"));
	TH_LOG("%ld cases: %ld wrong, %ld of nothing, %ld of something", i, broken,
	       empty, good);
	EXPECT_LT(0, good);
	EXPECT_LT(0, empty);
	area_unmap(&a);
	EXPECT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	EXPECT_TRUE(message_passes(self->dev.fd));
}

/* Sleeping calls get the error as well. */
TEST_F(overwriting, sleeper_gets_the_error)
{
	struct producer p;
	int i;

	self->breaks = true;
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, producer_open(&p, self->dev.fd));
		SLEEP_IN(&self->e, 0, -1, read(self->fd, self->m.buf, 100));
		/* Too far apart, the wrong way round, or gone back. */
		store_oldest(p.area.producer, p.head + (i == 1 ? 200 : 0));
		store(p.area.producer, i == 2 ? p.head - 8 : p.head + 8 +
					      (i == 0 ? self->cap : 0));
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_NOTIFY));
		EXPECT_RETURNS(&self->e, 0, -EIO, 0);
		EXPECT_EQ(POLLERR | POLLIN | POLLOUT,
			  poll_now(self->dev.fd, POLLIN | POLLOUT));
		EXPECT_EQ(self->errors + i + 1, attr_get("stats/position_errors"));
		area_unmap(&p.area);
		EXPECT_FALSE(is_broken(self->fd));
		EXPECT_EQ(0, bytes_missing());
		EXPECT_TRUE(message_passes(self->dev.fd));
	}
}

/* ---- a consumer ---- */

/* No producer looks at its position. */
TEST_F_TIMEOUT(overwriting, writers_do_not_care, 90)
{
	__u64 random = vfifo_seed + variant->records, tail, from, now;
	struct model *m = &self->m;
	__s64 start = now_ms();
	long i, len, size;
	struct area a;
	bool good;
	int events;

	LOG_SEED();
	ASSERT_EQ(0, use_capacity(self, self->page));
	ASSERT_EQ(0, area_map(&a, self->dev.fd, CONSUMES));
	from = load(a.consumer);
	for (i = 0; more_cases(i, CASES / 3, start); i++) {
		tail = rnd(&random) % 4 ? odd_position(&random, m->head, a.cap) :
					  from + rnd(&random) % (m->head - from + 1);
		store(a.consumer, tail);
		len = 1 + rnd(&random) % 500;
		ASSERT_EQ(len, model_put(m, self->dev.fd, len)) {
			TH_LOG("case %ld: tail %llx, head %llx", i, tail, m->head);
		}
		if (i % 8 == 0) {
			size = attr_get("size");
			ASSERT_TRUE(size >= 0 && size <= self->cap);
			size = queued(self->dev.fd);
			ASSERT_TRUE(size >= 0 && size <= self->cap);
			events = poll_now(self->dev.fd, POLLIN | POLLOUT);
			ASSERT_EQ(POLLOUT, events & POLLOUT);
		}
		if (rnd(&random) % 32)
			continue;
		good = tail - from <= m->head - from &&
		       !(variant->records && tail % 8);
		area_unmap(&a);
		ASSERT_EQ(0, area_map(&a, self->dev.fd, 0));
		now = load(a.consumer);
		area_unmap(&a);
		/* With records, what begins there may be none. */
		ASSERT_TRUE(now == (good ? tail : from) ||
			    (variant->records && good && now == m->head)) {
			TH_LOG("case %ld: tail %llx after %llx, head %llx: %llx", i,
			       tail, from, m->head, now);
		}
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
		m->tail = m->head;
		ASSERT_EQ(0, area_map(&a, self->dev.fd, CONSUMES));
		from = load(a.consumer);
		ASSERT_EQ(m->head, from);
	}
	TH_LOG("%ld cases", i);
	area_unmap(&a);
	EXPECT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	EXPECT_TRUE(message_passes(self->dev.fd));
}

/* ---- headers ---- */

/*
 * Any program that can map the data can change headers, without any claim. Readers and
 * writers find that out, and clearing ends it.
 */
TEST_F_TIMEOUT(overwriting, headers, 90)
{
	long i, len, ret, errors = self->errors, n = 0;
	__u64 random = vfifo_seed, at;
	__s64 start = now_ms();
	struct area a;
	int op;

	if (!variant->records)
		SKIP(return, "for records");
	LOG_SEED();
	self->breaks = true;
	ASSERT_EQ(0, use_capacity(self, self->page));
	ASSERT_EQ(0, area_map(&a, self->dev.fd, 0));
	for (i = 0; more_cases(i, CASES, start); i++) {
		if (!(rnd(&random) % 16)) {
			/* Often where there is one. */
			at = rnd(&random) % 2 ? load(a.consumer) :
						load_oldest(a.producer);
			store_header(&a, (rnd(&random) % 2 ? at : rnd(&random)) & -8ULL,
				     odd_header(&random, a.cap));
		}
		op = rnd(&random) % 8;
		len = 1 + rnd(&random) % (rnd(&random) % 8 ? 200 : a.cap - HEADER);
		if (op < 5)
			ret = res(write(self->dev.fd, bytes_at(0), len));
		else
			ret = res(read(self->dev.fd, self->m.buf, len));
		if (ret != -EIO) {
			ASSERT_TRUE(op < 5 ? ret == len :
				    (ret > 0 && ret <= len) || ret == -EAGAIN ||
				    ret == -EMSGSIZE) {
				TH_LOG("case %ld: %d, %ld bytes: %ld", i, op, len, ret);
			}
			continue;
		}
		n++;
		ASSERT_EQ(-EIO, res(write(self->dev.fd, bytes_at(0), 1)));
		ASSERT_EQ(-EIO, res(read(self->dev.fd, self->m.buf, 1)));
		ASSERT_EQ(errors + n, attr_get("stats/position_errors"));
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
		ASSERT_TRUE(message_passes(self->dev.fd)) {
			TH_LOG("case %ld", i);
		}
		/* Nothing of the past stops a writer. */
		len = a.cap - HEADER;
		ASSERT_EQ(len, res(write(self->dev.fd, bytes_at(0), len))) {
			TH_LOG("case %ld", i);
		}
	}
	TH_LOG("%ld cases, %ld times EIO", i, n);
	EXPECT_LT(10, n);
	area_unmap(&a);
	EXPECT_EQ(errors + n, attr_get("stats/position_errors"));
	EXPECT_EQ(0, bytes_missing());
}

/* ---- both ends ---- */

/* Whatever two owners leave behind, the FIFO works when both have gone. */
TEST_F_TIMEOUT(overwriting, both_ends, 90)
{
	__u64 random = vfifo_seed + variant->records;
	__s64 start = now_ms();
	struct area p, c;
	long i, ret;
	__u64 at;
	int j;

	LOG_SEED();
	self->breaks = true;
	ASSERT_EQ(0, use_capacity(self, self->page));
	for (i = 0; more_cases(i, CASES / 30, start); i++) {
		ASSERT_EQ(0, area_map(&p, self->dev.fd, PRODUCES));
		if (rnd(&random) % 2) {
			/* A call has read what this one has published. */
			at = load(p.producer);
			store_header(&p, at & -8ULL, raw_header(56, 0));
			store_oldest(p.producer, at);
			store(p.producer, at + 64);
			ASSERT_LT(0, res(read(self->dev.fd, self->m.buf, self->cap)));
		}
		ASSERT_EQ(0, area_map(&c, self->dev.fd, CONSUMES));
		for (j = rnd(&random) % 3; j >= 0; j--)
			store_header(&p, rnd(&random) % p.cap & -8ULL,
				     odd_header(&random, p.cap));
		store_oldest(p.producer, odd_oldest(&random, load(p.producer), p.cap));
		store(p.producer, odd_position(&random, load(p.producer), p.cap));
		store(c.consumer, odd_position(&random, load(c.consumer), p.cap));
		ASSERT_EQ(-EBUSY, res(write(self->fd, "x", 1)));
		ASSERT_EQ(-EBUSY, res(read(self->fd, self->m.buf, 1)));
		ret = queued(self->fd);
		ASSERT_TRUE(ret >= 0 && ret <= self->cap);
		if (rnd(&random) % 2)
			area_unmap(&p);
		area_unmap(&c);
		area_unmap(&p);
		ASSERT_FALSE(is_broken(self->fd));
		ASSERT_EQ(0, bytes_missing()) {
			TH_LOG("case %ld", i);
		}
		ret = attr_get("size");
		ASSERT_TRUE(ret >= 0 && ret <= self->cap);
		ret = res(read(self->dev.fd, self->m.buf, self->cap));
		ASSERT_TRUE(ret > 0 || ret == -EAGAIN) {
			TH_LOG("case %ld: the first read: %ld", i, ret);
		}
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
		ASSERT_TRUE(message_passes(self->dev.fd)) {
			TH_LOG("case %ld", i);
		}
	}
	TH_LOG("%ld cases", i);
}

/* ---- at full speed ---- */

/* Stores positions and headers at full speed until it is killed. */
static void storm(int fd, int claims, __u64 random, __u64 *count)
{
	struct area a;
	__u64 at, pos;

	if (area_map(&a, fd, claims))
		_exit(1);
	at = load(a.producer);
	for (;;) {
		pos = rnd(&random) % 2 ? at + rnd(&random) % (2 * a.cap) :
					 odd_position(&random, at, a.cap);
		if (claims & PRODUCES) {
			store_oldest(a.producer, odd_oldest(&random, pos, a.cap));
			store(a.producer, pos);
		}
		if (claims & CONSUMES)
			store(a.consumer, odd_position(&random, pos, a.cap));
		if (!(rnd(&random) % 4))
			store_header(&a, pos & -8ULL, odd_header(&random, a.cap));
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	}
}

static void run_storm(struct __test_metadata *_metadata,
		      struct overwriting_data *self, int claims)
{
	struct itimerspec every = { { 0, 20000000 }, { 0, 20000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
				  .sigev_signo = SIGALRM };
	__u64 *count = shared(sizeof(*count)), random = vfifo_seed;
	struct sigaction action = { .sa_handler = no_op };
	long calls = 0, len, ret;
	__s64 start = now_ms();
	timer_t timer;
	pid_t pid;
	int fd;

	LOG_SEED();
	self->breaks = true;
	ASSERT_NE(NULL, count);
	ASSERT_EQ(0, use_capacity(self, self->page));
	pid = child_start(10 * DEADLINE);
	self->e.pid[0] = pid;
	if (!pid)
		storm(self->dev.fd, claims, random, count);
	/* Interrupts calls that sleep. */
	sigaction(SIGALRM, &action, NULL);
	ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &event, &timer));
	ASSERT_EQ(0, timer_settime(timer, 0, &every, NULL));
	while ((__atomic_load_n(count, __ATOMIC_RELAXED) < CASES ||
		calls < OFTEN(20000)) && now_ms() - start < 6 * DEADLINE * 1000) {
		len = 1 + rnd(&random) % (2 * self->cap);
		fd = rnd(&random) % 2 ? self->fd : self->dev.fd;
		switch (rnd(&random) % 8) {
		case 0:
			ret = poll_now(fd, POLLIN | POLLOUT);
			ASSERT_EQ(POLLOUT, ret & POLLOUT);
			break;
		case 1:
			ret = queued(fd);
			ASSERT_TRUE(ret >= 0 && ret <= self->cap);
			break;
		case 2:
			ret = attr_get("size");
			ASSERT_TRUE(ret >= 0 && ret <= self->cap);
			break;
		case 3:
			ret = res(ioctl(fd, VFIFO_CLEAR));
			ASSERT_TRUE(!ret || (ret == -EBUSY && claims & CONSUMES));
			break;
		case 4:
			ASSERT_EQ(0, ioctl(fd, VFIFO_NOTIFY));
			break;
		case 5:
			ret = res(write(fd, bytes_at(0), len));
			ASSERT_TRUE(ret == -EIO || ret == -EBUSY || ret == -EMSGSIZE ||
				    (ret > 0 && ret <= len)) {
				TH_LOG("call %ld: write of %ld: %ld", calls, len, ret);
			}
			break;
		default:
			ret = res(read(fd, self->m.buf, len));
			ASSERT_TRUE(ret == -EIO || ret == -EAGAIN || ret == -EINTR ||
				    ret == -EBUSY || ret == -EMSGSIZE ||
				    (ret > 0 && ret <= len)) {
				TH_LOG("call %ld: read of %ld: %ld", calls, len, ret);
			}
		}
		calls++;
		if (child_state(pid) == 'Z')
			break;
	}
	timer_delete(timer);
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	TH_LOG("%llu positions, %ld calls", *count, calls);
	/* The claim ends, possibly a moment after the process. */
	EXPECT_TRUE(eventually(!attr_get("producer_claimed") &&
			       !attr_get("consumer_claimed")));
	EXPECT_EQ(0, bytes_missing());
	EXPECT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	EXPECT_TRUE(message_passes(self->dev.fd));
	munmap(count, sizeof(*count));
}

TEST_F_TIMEOUT(overwriting, storm_of_a_producer, 120)
{
	run_storm(_metadata, self, PRODUCES);
}

TEST_F_TIMEOUT(overwriting, storm_of_a_consumer, 120)
{
	run_storm(_metadata, self, CONSUMES);
}

TEST_F_TIMEOUT(overwriting, storm_of_both, 120)
{
	run_storm(_metadata, self, PRODUCES | CONSUMES);
}

/* ---- readers that never get on ---- */

/*
 * Replaces everything but the last record, as fast as possible, so that hardly any copy is
 * confirmed. This breaks no rule.
 */
static void defeat(int fd, __u64 *random)
{
	const __u64 last = 2 * HEADER;
	struct area a;
	__u64 head;

	if (area_map(&a, fd, PRODUCES))
		_exit(1);
	fill_data(&a, random);
	for (head = load(a.producer);;) {
		store_oldest(a.producer, head - last);
		head += a.cap - last;
		store(a.producer, head);
	}
}

/* They can be interrupted and killed, and so can those who wait behind them. */
TEST_F_TIMEOUT(overwriting, defeated_readers_end, 90)
{
	__u64 random = vfifo_seed;
	long round, i, ret;

	ASSERT_EQ(0, use_capacity(self, self->page));
	/* Two records, of which the last one stays. */
	ASSERT_EQ(8, res(write(self->fd, bytes_at(0), 8)));
	ASSERT_EQ(8, res(write(self->fd, bytes_at(0), 8)));
	self->e.pid[3] = child_start(8 * DEADLINE);
	if (!self->e.pid[3])
		defeat(self->dev.fd, &random);
	ASSERT_TRUE(eventually(attr_get("stats/bytes_overwritten") -
			       self->m.overwritten > 10 * self->cap));
	for (round = 0; round < OFTEN(30); round++) {
		for (i = 0; i < 3; i++) {
			self->e.pid[i] = child_start(3 * DEADLINE);
			if (self->e.pid[i])
				continue;
			while ((ret = read(self->fd, self->m.buf, self->cap)) > 0)
				;
			_exit(ret == -1 && errno == EINTR ? 0 : 1);
		}
		/* A call that must not wait comes to an end as well. */
		for (i = 0; i < 20; i++) {
			ret = res(read(self->dev.fd, self->m.buf, self->cap));
			ASSERT_TRUE(ret == -EAGAIN || ret > 0) {
				TH_LOG("read: %ld", ret);
			}
			ret = queued(self->dev.fd);
			ASSERT_TRUE(ret >= 0 && ret <= self->cap);
		}
		for (i = 0; i < 3; i++) {
			/* It may be in user space when the first ones come. */
			EXPECT_TRUE(eventually((round & 1 ?
				kill(self->e.pid[i], SIGKILL) :
				kill(self->e.pid[i], SIGUSR1),
				child_state(self->e.pid[i]) == 'Z'))) {
				TH_LOG("round %ld: reader %ld does not end", round, i);
			}
			child_kill(&self->e.pid[i]);
		}
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	}
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[3]));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
