// SPDX-License-Identifier: GPL-2.0
/*
 * No writer starves under load. Some processes write small records as fast as
 * they can, others write large ones. The test does not measure time, but how
 * much the others write while a large record waits; the records themselves
 * contain the numbers. A pipe must pass the same load, without that bound.
 */
#include <poll.h>

#include "vfifo_test.h"

#define SMALL		60
#define LOOPERS		4
#define LARGE_WRITERS	2
/* Records per large writer; non-atomic ones take many turns each. */
#define ROUNDS(large)	((large) > PIPE_BUF ? 2 : OFTEN(10))
#define BUFFER		(2 * SMALL)	/* the size of one read */
#define FEW		50		/* what a mapped consumer takes at a time */
#define REFILL		2		/* milliseconds the reader waits at most */
#define LONG_TEST	200

enum how { SLEEPS, POLLS, SPINS };

/* The start of a record; the rest of it is filled with @who. */
struct record {
	__u8 who;		/* the writer, from 1 on */
	__u8 sum;		/* checksum of the other bytes here */
	__u16 magic;
	__u32 len;		/* of the whole record */
	__u64 before;		/* bytes the loopers had written when it was begun */
};

#define MAGIC	0x5a7e

/* The harness's name for the fixture's type. */
#define load_data	_test_data_load

FIXTURE(load)
{
	struct vfifo dev;
	int ends[2];		/* of the pipe */
	int r, in;		/* in blocks */
	long *written;		/* shared: bytes the loopers have written */
	pid_t pids[LOOPERS + LARGE_WRITERS];
	int count;
};

FIXTURE_VARIANT(load)
{
	enum how how;		/* how loopers wait */
	long large;		/* size of the large records */
	int large_writers;
	bool generates;
	bool mapped;		/* the consumer is mapped */
	bool pipe;
};

FIXTURE_VARIANT_ADD(load, pipe)
{
	.how = SLEEPS,
	.large = PIPE_BUF,
	.large_writers = 1,
	.pipe = true,
};

FIXTURE_VARIANT_ADD(load, blocking)
{
	.how = SLEEPS,
	.large = PIPE_BUF,
	.large_writers = 1,
};

FIXTURE_VARIANT_ADD(load, polling)
{
	.how = POLLS,
	.large = PIPE_BUF,
	.large_writers = 1,
};

FIXTURE_VARIANT_ADD(load, spinning)
{
	.how = SPINS,
	.large = PIPE_BUF,
	.large_writers = 1,
};

FIXTURE_VARIANT_ADD(load, generation)
{
	.how = SLEEPS,
	.large = PIPE_BUF,
	.large_writers = 1,
	.generates = true,
};

FIXTURE_VARIANT_ADD(load, two_large)
{
	.how = SLEEPS,
	.large = PIPE_BUF,
	.large_writers = 2,
};

FIXTURE_VARIANT_ADD(load, two_large_polling)
{
	.how = POLLS,
	.large = PIPE_BUF,
	.large_writers = 2,
};

FIXTURE_VARIANT_ADD(load, not_atomic)
{
	.how = SLEEPS,
	.large = 65536,
	.large_writers = 2,
};

FIXTURE_VARIANT_ADD(load, mapped_consumer)
{
	.how = SPINS,
	.large = PIPE_BUF,
	.large_writers = 1,
	.mapped = true,
};

static int open_end(struct load_data *self, bool pipe, int flags)
{
	char path[32];

	if (!pipe)
		return vfifo_open(flags);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->ends[0]);
	return open(path, flags | O_CLOEXEC);
}

FIXTURE_SETUP(load)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	if (variant->pipe)
		ASSERT_EQ(0, pipe2(self->ends, O_CLOEXEC));
	self->r = open_end(self, variant->pipe, O_RDONLY | O_NONBLOCK);
	self->in = open_end(self, variant->pipe, O_WRONLY);
	ASSERT_TRUE(self->r >= 0 && self->in >= 0);
	self->written = shared(sizeof(*self->written));
	ASSERT_NE(NULL, self->written);
}

static void stop(struct load_data *self)
{
	while (self->count > 0)
		child_kill(&self->pids[--self->count]);
}

FIXTURE_TEARDOWN(load)
{
	stop(self);
	attr_store("mode", "0");
	EXPECT_EQ(0, bytes_missing());
	close(self->r);
	close(self->in);
	munmap(self->written, sizeof(*self->written));
	vfifo_teardown(&self->dev);
}

static __u8 sum(const struct record *r)
{
	const __u8 *p = (const __u8 *)r;
	__u8 result = 0x99;
	size_t i;

	for (i = 0; i < sizeof(*r); i++)
		if (i != offsetof(struct record, sum))
			result = result * 3 + p[i];
	return result;
}

static void make_record(char *buf, int who, long len, long before)
{
	struct record r = {
		.who = who, .magic = MAGIC, .len = len, .before = before,
	};

	r.sum = sum(&r);
	memset(buf, who, len);
	memcpy(buf, &r, sizeof(r));
}

static void loop(struct load_data *self, int who, enum how how, bool pipe)
{
	int fd = how == SLEEPS ? self->in :
				 open_end(self, pipe, O_WRONLY | O_NONBLOCK);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	char buf[SMALL];
	long n;

	for (;;) {
		make_record(buf, who, SMALL, 0);
		n = res(write(fd, buf, SMALL));
		if (n == SMALL)
			__atomic_add_fetch(self->written, n, __ATOMIC_SEQ_CST);
		else if (n != -EAGAIN)
			_exit(1);
		else if (how == POLLS && poll(&p, 1, -1) != 1)
			_exit(2);
	}
}

static void write_large(struct load_data *self, int who, long len)
{
	char *buf = malloc(len);
	long start;
	int i;

	for (i = 0; i < ROUNDS(len); i++) {
		make_record(buf, who, len,
			    __atomic_load_n(self->written, __ATOMIC_SEQ_CST));
		/*
		 * The header is written separately, so that it is atomic and
		 * can be found.
		 */
		start = len > PIPE_BUF ? sizeof(struct record) : 0;
		if (write(self->in, buf, start) != start ||
		    write(self->in, buf + start, len - start) != len - start)
			_exit(1);
	}
	_exit(0);
}

/* Whether the loopers have filled the FIFO so that no large record fits. */
static bool is_full(struct load_data *self, long cap)
{
	return __atomic_load_n(self->written, __ATOMIC_SEQ_CST) >
	       cap - PIPE_BUF / 2;
}

/*
 * Waits until the others have used the space that was released, or a short time
 * if they do not. So never much is free at once.
 */
static void await_refill(int fd, long cap)
{
	__s64 until = now_ms() + REFILL;

	while (cap - queued(fd) > PIPE_BUF / 4 && now_ms() < until)
		sched_yield();
}

/* What the reader has found so far. */
struct seen {
	char carry[SMALL];	/* the start of an incomplete record */
	long have;		/* its length */
	long loopers;		/* bytes of loopers so far */
	int large;		/* complete large records */
	long most;		/* most bytes of loopers while one waited */
	bool garbled;
	long inside[LOOPERS + LARGE_WRITERS + 1];	/* bytes still to come, per writer */
};

/* Parses one record, or part of one, at @p: how many bytes it has used. */
static long one(struct seen *s, const char *p, long len, bool atomic)
{
	__u8 who = *p;
	struct record r;
	long late, n;

	/*
	 * The rest of a large record. If it is not atomic, others are
	 * interleaved.
	 */
	if (who > LOOPERS && who < ARRAY_SIZE(s->inside) && s->inside[who]) {
		n = !atomic ? 1 : s->inside[who] < len ? s->inside[who] : len;
		s->inside[who] -= n;
		s->large += !s->inside[who];
		return n;
	}
	if (*p == 'A')
		return len < 5 ? 0 : 5;
	if (len < sizeof(r))
		return 0;
	memcpy(&r, p, sizeof(r));
	if (r.who == 0 || r.who > LOOPERS + LARGE_WRITERS ||
	    r.magic != MAGIC || r.sum != sum(&r)) {
		s->garbled = true;
		return len;
	}
	if (r.who <= LOOPERS) {
		if (len < SMALL)
			return 0;
		s->loopers += SMALL;
		return SMALL;
	}
	late = s->loopers - (long)r.before;
	s->most = late > s->most ? late : s->most;
	s->inside[r.who] = r.len - sizeof(r);
	return sizeof(r);
}

static void look(struct seen *s, const char *buf, long len, bool atomic)
{
	static char all[SMALL + BUFFER];
	long at = 0, n;

	memcpy(all, s->carry, s->have);
	memcpy(all + s->have, buf, len);
	len += s->have;
	while (at < len && !s->garbled) {
		n = one(s, all + at, len - at, atomic);
		if (!n)
			break;
		at += n;
	}
	s->have = len - at;
	if (s->have > sizeof(s->carry))
		s->garbled = true;
	else
		memcpy(s->carry, all + at, s->have);
}

/* A mapped consumer: takes up to @len bytes. */
static long take_mapped(struct vfifo_end *own, const struct vfifo_end *peer,
			const char *data, long cap, char *buf, long len)
{
	__u64 tail = load(own), head;

	head = __atomic_load_n(&peer->position, __ATOMIC_ACQUIRE);
	if (head - tail < len)
		len = head - tail;
	memcpy(buf, data + tail % cap, len);
	store(own, tail + len);
	return len;
}

TEST_F_TIMEOUT(load, large_records_get_on, LONG_TEST)
{
	bool atomic = variant->large <= PIPE_BUF;
	struct vfifo_info info = { .size = sizeof(info) };
	int wanted = variant->large_writers * ROUNDS(variant->large), i;
	struct vfifo_end *own = NULL, *peer = NULL;
	__s64 until = now_ms() + 12 * DEADLINE * 1000;
	char buf[BUFFER], *data = NULL;
	struct seen s = { .most = 0 };
	long cap = self->dev.capacity, n, bound;

	if (variant->mapped) {
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_GET_INFO, &info));
		data = mmap(NULL, 2 * cap, PROT_READ, MAP_SHARED, self->dev.fd,
			    info.data_offset);
		ASSERT_NE(MAP_FAILED, data);
		own = claim_end(&self->dev, false);
		peer = map_page(self->dev.fd, info.producer_offset, PROT_READ);
		ASSERT_NE(NULL, own);
		ASSERT_NE(NULL, peer);
	}
	for (i = 0; i < LOOPERS + variant->large_writers; i++) {
		/*
		 * Large writers start when the FIFO is full, so that they have
		 * to sleep.
		 */
		if (i == LOOPERS)
			ASSERT_TRUE(eventually(is_full(self, cap)));
		self->pids[i] = child_start(LONG_TEST * vfifo_scale());
		if (!self->pids[i] && i < LOOPERS)
			loop(self, i + 1, variant->how, variant->pipe);
		else if (!self->pids[i])
			write_large(self, i + 1, variant->large);
		self->count++;
		if (i >= LOOPERS)
			ASSERT_TRUE(child_sleeps(self->pids[i]));
	}
	if (variant->generates) {
		ASSERT_EQ(0, attr_set("period_ms", 1));
		ASSERT_EQ(0, attr_store("mode", "1"));
	}

	while (s.large < wanted && !s.garbled && now_ms() < until) {
		if (variant->mapped) {
			n = take_mapped(own, peer, data, cap, buf, FEW);
			ioctl(self->dev.fd, VFIFO_NOTIFY);
		} else {
			n = read(self->r, buf, sizeof(buf));
		}
		await_refill(self->r, cap);
		if (n > 0)
			look(&s, buf, n, atomic);
		else
			sched_yield();
	}
	EXPECT_FALSE(s.garbled);
	EXPECT_EQ(wanted, s.large) {
		TH_LOG("%d of %d large records, loopers wrote %ld bytes",
		       s.large, wanted, s.loopers);
	}
	/*
	 * One capacity for each writer that may have slept longer, and one more
	 * for what was queued or in flight.
	 */
	bound = (LOOPERS + variant->large_writers + 2) * cap;
	if (!variant->pipe)
		EXPECT_GE(bound, s.most);
	TH_LOG("at most %ld bytes of others while a large record waited",
	       s.most);
	stop(self);
	if (variant->mapped) {
		munmap(own, self->dev.page);
		munmap(peer, self->dev.page);
		munmap(data, 2 * cap);
	}
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
