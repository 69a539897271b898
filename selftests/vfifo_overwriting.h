/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * For tests of a vfifo whose attribute "overwrite" is 1: the fixture, and a model of the
 * queue.
 *
 * What is queued follows from its position, see bytes_at(). So bytes that are torn, or
 * from a wrong place, are recognized by their contents.
 */
#ifndef VFIFO_OVERWRITING_H
#define VFIFO_OVERWRITING_H

#include "vfifo_hangup.h"
#include "vfifo_race.h"
#include "vfifo_waiters.h"

#define HEADER		((long)sizeof(struct vfifo_record))

/* The number of bytes that a record of @len bytes takes in the buffer. */
static inline long record_size(long len)
{
	return HEADER + (len + 7) / 8 * 8;
}

/* Whether position @a comes before position @b. */
static inline bool before(__u64 a, __u64 b)
{
	return (__s64)(a - b) < 0;
}

/* ---- contents ---- */

/* The bytes of so many laps through the buffer differ. A power of two, for any position. */
#define LAPS		8

static char *lap_bytes;
static __u64 lap_period;

/* @cap is the capacity, which a test may multiply by a power of two afterwards. */
static inline bool bytes_begin(long cap)
{
	free(lap_bytes);
	lap_period = LAPS * cap;
	lap_bytes = malloc(2 * lap_period);
	if (!lap_bytes)
		return false;
	stream_fill(lap_bytes, lap_period, 0);
	memcpy(lap_bytes + lap_period, lap_bytes, lap_period);
	return true;
}

/* The contents of the bytes from position @pos on, for at least LAPS capacities. */
static inline char *bytes_at(__u64 pos)
{
	return lap_bytes + pos % lap_period;
}

/* The same for the payload of a record at @pos, or for the bytes from there on. */
static inline char *contents_at(bool records, __u64 pos)
{
	return bytes_at(records ? pos + HEADER : pos);
}

/* ---- counters ---- */

struct counts {
	__u64 written, read, cleared, overwritten, size;
};

static inline struct counts counts_now(void)
{
	return (struct counts) {
		.written = attr_get("stats/bytes_written"),
		.read = attr_get("stats/bytes_read"),
		.cleared = attr_get("stats/bytes_cleared"),
		.overwritten = attr_get("stats/bytes_overwritten"),
		.size = attr_get("size"),
	};
}

/* ---- a model of the queue ---- */

struct model {
	bool records, overwrites;
	long cap;
	__u64 head, tail;	/* the end of the queue, and its first byte */
	__u64 read, cleared, overwritten;
	long slots;
	__u32 *lens;		/* of queued records, by position */
	char *buf;		/* for a capacity's worth; resident */
};

/* Begins with an empty queue, of a capacity of at most @most. */
static inline bool model_begin(struct model *m, bool records, long cap, long most)
{
	struct counts c = counts_now();

	m->records = records;
	m->overwrites = true;
	m->cap = cap;
	m->head = c.written;
	m->tail = c.written;
	m->read = c.read;
	m->cleared = c.cleared;
	m->overwritten = c.overwritten;
	m->slots = most / 8;
	m->lens = calloc(m->slots, sizeof(*m->lens));
	m->buf = malloc(2 * most);
	if (!m->lens || !m->buf)
		return false;
	memset(m->buf, 0, 2 * most);
	return !c.size;
}

static inline void model_end(struct model *m)
{
	free(m->lens);
	free(m->buf);
	m->lens = NULL;
	m->buf = NULL;
}

static inline long model_size(const struct model *m)
{
	return m->head - m->tail;
}

static inline __u32 *model_len(struct model *m, __u64 pos)
{
	return &m->lens[pos / 8 % m->slots];
}

/* What FIONREAD returns. */
static inline long model_next(struct model *m)
{
	if (!m->records || m->head == m->tail)
		return model_size(m);
	return *model_len(m, m->tail);
}

/* How far a write of @len bytes moves. */
static inline long model_room(const struct model *m, long len)
{
	return m->records ? record_size(len) : len;
}

/* The first byte of the next record, or of the bytes that are left by @n more. */
static inline __u64 model_after(struct model *m, long n)
{
	__u64 tail = m->tail;

	if (m->head + n - tail <= (__u64)m->cap)
		return tail;
	if (!m->records)
		return m->head + n - m->cap;
	while (m->head + n - tail > (__u64)m->cap)
		tail += record_size(*model_len(m, tail));
	return tail;
}

/* @len bytes, or a record of that length, were written: the oldest make way. */
static inline void model_written(struct model *m, long len)
{
	long n = model_room(m, len);
	__u64 tail = model_after(m, n);

	m->overwritten += tail - m->tail;
	m->tail = tail;
	if (m->records)
		*model_len(m, m->head) = len;
	m->head += n;
}

/* @len bytes, or the next record, were read. */
static inline void model_read(struct model *m, long len)
{
	long n = model_room(m, len);

	m->tail += n;
	m->read += n;
}

static inline void model_cleared(struct model *m)
{
	m->cleared += m->head - m->tail;
	m->tail = m->head;
}

/* What a read of up to @most bytes returns. */
static inline long model_wants(struct model *m, long most)
{
	long next = model_next(m);

	if (!most)
		return 0;
	if (!next)
		return -EAGAIN;
	if (m->records)
		return next > most ? -EMSGSIZE : next;
	return next < most ? next : most;
}

/* Writes @len bytes, or a record: the result of write(2). The model follows. */
static inline long model_put(struct model *m, int fd, long len)
{
	long ret = res(write(fd, contents_at(m->records, m->head), len));

	if (ret > 0)
		model_written(m, ret);
	return ret;
}

/* Whether @len bytes of m->buf are what is queued first. */
static inline bool model_is_next(struct model *m, long len)
{
	return !memcmp(m->buf, contents_at(m->records, m->tail), len);
}

/* Reads what comes next, up to @most bytes: the result of read(2), or -EBADMSG. */
static inline long model_reads(struct model *m, int fd, long most)
{
	long ret = res(read(fd, m->buf, most));

	return ret > 0 && !model_is_next(m, ret) ? -EBADMSG : ret;
}

/* The same, and the model follows. */
static inline long model_get(struct model *m, int fd, long most)
{
	long ret = model_reads(m, fd, most);

	if (ret > model_size(m))
		return -EBADMSG;
	if (ret > 0)
		model_read(m, ret);
	return ret;
}

/* Reads up to @most bytes at a time until at most @left are queued: true if all was right. */
static inline bool model_reduced(struct model *m, int fd, long left, long most)
{
	while (model_size(m) > left)
		if (model_get(m, fd, most) <= 0)
			return false;
	return true;
}

/* Reads all that should be queued, and is: true if no more is. */
static inline bool model_drained(struct model *m, int fd)
{
	long want, ret;

	do {
		want = model_wants(m, m->cap);
		ret = model_get(m, fd, m->cap);
	} while (ret == want && ret > 0);
	return ret == want && ret == -EAGAIN;
}

/* Whether poll(2) reports that the FIFO is writable. */
static inline bool model_writable(const struct model *m)
{
	long most = m->cap - (m->records ? HEADER : 0);

	return m->overwrites ||
	       m->cap - model_size(m) >=
	       model_room(m, most < PIPE_BUF ? most : PIPE_BUF);
}

/* The first difference between the model and the device, or NULL. */
static inline const char *model_differs(struct model *m, int fd)
{
	const struct {
		const char *what;
		__u64 want;
	} attrs[] = {
		{ "size", model_size(m) },
		{ "stats/bytes_written", m->head },
		{ "stats/bytes_read", m->read },
		{ "stats/bytes_cleared", m->cleared },
		{ "stats/bytes_overwritten", m->overwritten },
	};
	int events = (model_writable(m) ? POLLOUT : 0) |
		     (model_size(m) ? POLLIN : 0), now;
	__u64 value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		value = attr_get(attrs[i].what);
		if (value != attrs[i].want)
			return format("%s is %llu, not %llu", attrs[i].what,
				      value, attrs[i].want);
	}
	if (queued(fd) != model_next(m))
		return format("FIONREAD returns %ld, not %ld", queued(fd),
			      model_next(m));
	now = poll_now(fd, POLLIN | POLLOUT);
	return now == events ? NULL : format("poll returns %#x, not %#x", now, events);
}

#define EXPECT_AS(m) do {						\
	const char *__differs = model_differs(m, self->dev.fd);	\
									\
	EXPECT_EQ(NULL, __differs) {					\
		TH_LOG("%s", __differs);				\
	}								\
} while (0)

/* ---- the fixture ---- */

/* The harness's name for the fixture's type. */
#define overwriting_data	_test_data_overwriting

FIXTURE(overwriting)
{
	struct vfifo dev;	/* its file can be closed by a test */
	struct health health;
	struct ends e;		/* for OPEN(), SLEEP_IN() and their companions */
	struct model m;
	long cap, page;
	int fd;			/* blocks */
	long errors;		/* stats/position_errors */
	long sleeps;		/* stats/writer_sleeps */
	bool breaks;		/* the test puts the FIFO into its error state */
	bool waits;		/* the test has writers that wait */
};

FIXTURE_VARIANT(overwriting)
{
	bool records;
};

FIXTURE_VARIANT_ADD(overwriting, stream)
{
	.records = false,
};

FIXTURE_VARIANT_ADD(overwriting, record)
{
	.records = true,
};

/* The largest capacity that a test may set. */
static inline long cap_limit(struct vfifo *dev)
{
	return 4 * dev->capacity;
}

FIXTURE_SETUP(overwriting)
{
	struct sigaction sa = { .sa_handler = no_op };

	self->fd = -1;
	hold_signal(SIGPIPE);
	health_begin(&self->health);
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	if (variant->records)
		ASSERT_EQ(0, attr_store("framing", "record"));
	ASSERT_EQ(0, attr_set("overwrite", 1));
	self->cap = self->dev.capacity;
	self->page = self->dev.page;
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->e.dev.fd = -1;
	self->e.cap = self->cap;
	self->e.path = vfifo_path();
	self->e.out = shared(CALLERS * sizeof(*self->e.out));
	ASSERT_NE(NULL, self->e.out);
	self->errors = attr_get("stats/position_errors");
	self->sleeps = attr_get("stats/writer_sleeps");
	ASSERT_TRUE(bytes_begin(self->cap));
	ASSERT_TRUE(model_begin(&self->m, variant->records, self->cap,
				cap_limit(&self->dev)));
	/* Interrupts calls of children. */
	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
}

/* Whatever a test did, the FIFO works afterwards, and every byte is accounted for. */
FIXTURE_TEARDOWN(overwriting)
{
	char c[2] = "xy";
	int i;

	for (i = 0; i < CALLERS; i++)
		child_kill(&self->e.pid[i]);
	if (self->dev.fd < 0)
		self->dev.fd = vfifo_open(O_RDWR | O_NONBLOCK);
	attr_set("hangup", 0);
	attr_set("mode", 0);
	EXPECT_TRUE(eventually(!attr_get("producer_claimed") &&
			       !attr_get("consumer_claimed")));
	EXPECT_EQ(0, bytes_missing());
	EXPECT_EQ(0, res(ioctl(self->dev.fd, VFIFO_CLEAR)));
	EXPECT_EQ(2, res(write(self->dev.fd, c, 2)));
	EXPECT_EQ(2, queued(self->dev.fd));
	EXPECT_EQ(2, res(read(self->dev.fd, c, 2)));
	EXPECT_EQ(-EAGAIN, res(read(self->dev.fd, c, 2)));
	EXPECT_EQ(0, bytes_missing());
	if (!self->breaks)
		EXPECT_EQ(self->errors, attr_get("stats/position_errors"));
	if (!self->waits)
		EXPECT_EQ(self->sleeps, attr_get("stats/writer_sleeps"));
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
	model_end(&self->m);
	munmap(self->e.out, CALLERS * sizeof(*self->e.out));
	shut(&self->fd);
	vfifo_teardown(&self->dev);
}

/* For the smallest capacity. Contents are as before. */
static inline int use_capacity(struct overwriting_data *self, long cap)
{
	int ret = attr_set("capacity", cap);

	if (ret)
		return ret;
	self->cap = cap;
	self->m.cap = cap;
	return 0;
}

/* Switches overwriting on or off. */
static inline int use_overwrite(struct overwriting_data *self, bool on)
{
	int ret = attr_set("overwrite", on);

	if (!ret)
		self->m.overwrites = on;
	return ret;
}

/* Writes messages of @len bytes until at least @total bytes more have been written. */
static inline bool put_much(struct overwriting_data *self, __u64 total, long len)
{
	__u64 end = self->m.head + total;

	while (before(self->m.head, end))
		if (model_put(&self->m, self->dev.fd, len) != len)
			return false;
	return true;
}

#endif /* VFIFO_OVERWRITING_H */
