// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Random calls on records, each checked against a model: what is queued, how much fits,
 * which error a call returns, what poll(2) reports, and all counters.
 *
 * "-n CALLS" makes that many calls, however long it takes.
 */
#include "vfifo_record.h"
#include "vfifo_waiters.h"

#define CALLS		OFTEN(20000)
#define MOST_PAGES	32
/* At least the number of the smallest records that fit into that many pages. */
#define SLOTS		(MOST_PAGES * 4096)

static unsigned long calls;

/* What should be queued. */
struct model {
	long cap, page;
	long used;
	__u64 first, next;	/* the numbers of the oldest and of the next record */
	long len[SLOTS];
	long written, read;	/* records */
	long bytes_written, bytes_read, bytes_cleared;
};

#define LEN(m, id)	((m)->len[(id) % SLOTS])

static long oldest(struct model *m)
{
	return m->first == m->next ? 0 : LEN(m, m->first);
}

static void model_begin(struct model *m, struct vfifo *dev)
{
	memset(m, 0, sizeof(*m));
	m->cap = dev->capacity;
	m->page = dev->page;
	m->written = attr_get("stats/records_written");
	m->read = attr_get("stats/records_read");
	m->bytes_written = attr_get("stats/bytes_written");
	m->bytes_read = attr_get("stats/bytes_read");
	m->bytes_cleared = attr_get("stats/bytes_cleared");
}

static void model_put(struct model *m, long len)
{
	LEN(m, m->next++) = len;
	m->used += room_of(len);
	m->written++;
	m->bytes_written += room_of(len);
}

static void model_get(struct model *m)
{
	long room = room_of(oldest(m));

	m->first++;
	m->used -= room;
	m->read++;
	m->bytes_read += room;
}

static void model_clear(struct model *m)
{
	m->bytes_cleared += m->used;
	m->first = m->next;
	m->used = 0;
}

/* A length, often one near a limit. */
static long some_length(struct model *m, __u64 *random)
{
	long len, room = m->cap - m->used;

	switch (rnd(random) % 8) {
	case 0:
		len = longest(m->cap) - 9 + rnd(random) % 20;
		break;
	case 1:
	case 2:
		len = room - HEADER - 9 + rnd(random) % 20;
		break;
	case 3:
		len = rnd(random) % 6000;
		break;
	case 4:
		len = PIPE_BUF - 20 + rnd(random) % 40;
		break;
	default:
		len = rnd(random) % 200;
	}
	return len < 0 ? 0 : len;
}

/* Moves @len bytes of @buf with one of several calls, cut into pieces or not. */
static long call(__u64 *random, bool out, int fd, char *buf, long len)
{
	long a = len ? rnd(random) % (len + 1) : 0;
	long b = len - a ? rnd(random) % (len - a + 1) : 0;
	struct iovec iov[3] = {
		{ buf, a }, { buf + a, b }, { buf + a + b, len - a - b },
	};

	switch (rnd(random) % 4) {
	case 0:
		return res(out ? writev(fd, iov, 3) : readv(fd, iov, 3));
	case 1:
		return res(out ? pwritev2(fd, iov, 3, -1, RWF_NOWAIT) :
				 preadv2(fd, iov, 3, -1, RWF_NOWAIT));
	default:
		return res(out ? write(fd, buf, len) : read(fd, buf, len));
	}
}

static long expected_write(struct model *m, long len)
{
	if (!len)
		return 0;
	if (len > longest(m->cap))
		return -EMSGSIZE;
	return room_of(len) > m->cap - m->used ? -EAGAIN : len;
}

static long expected_read(struct model *m, long len)
{
	if (!len)
		return 0;
	if (m->first == m->next)
		return -EAGAIN;
	return len < oldest(m) ? -EMSGSIZE : oldest(m);
}

static short expected_poll(struct model *m)
{
	long atomic = longest(m->cap);

	if (atomic > PIPE_BUF)
		atomic = PIPE_BUF;
	return (m->used ? POLLIN : 0) |
	       (m->cap - m->used >= room_of(atomic) ? POLLOUT : 0);
}

/* Whether the counters and the device agree with the model. */
static bool agrees(struct model *m)
{
	return attr_get("size") == m->used &&
	       attr_get("capacity") == m->cap &&
	       attr_get("stats/records_written") == m->written &&
	       attr_get("stats/records_read") == m->read &&
	       attr_get("stats/bytes_written") == m->bytes_written &&
	       attr_get("stats/bytes_read") == m->bytes_read &&
	       attr_get("stats/bytes_cleared") == m->bytes_cleared &&
	       !bytes_missing();
}

TEST_F_TIMEOUT(records, model, 6 * 60 * 60)
{
	struct model *m = malloc(sizeof(*m));
	__u64 random = vfifo_seed;
	unsigned long i;
	char *buf;
	long len, want, got, cap;

	LOG_SEED();
	ASSERT_NE(NULL, m);
	model_begin(m, &self->dev);
	buf = malloc(2 * MOST_PAGES * self->page);
	ASSERT_NE(NULL, buf);
	for (i = 0; i < calls; i++) {
		switch (rnd(&random) % 16) {
		case 0 ... 6:
			len = some_length(m, &random);
			stream_fill(buf, len, RECORD_POS(m->next));
			want = expected_write(m, len);
			got = call(&random, true, self->dev.fd, buf, len);
			ASSERT_EQ(want, got) {
				TH_LOG("call %lu: write %ld, %ld of %ld used", i,
				       len, m->used, m->cap);
			}
			if (got > 0)
				model_put(m, len);
			break;
		case 7 ... 12:
			len = oldest(m) - 2 + rnd(&random) % 10;
			if (len < 0 || !(rnd(&random) % 8))
				len = rnd(&random) % (m->cap + 100);
			want = expected_read(m, len);
			got = call(&random, false, self->dev.fd, buf, len);
			ASSERT_EQ(want, got) {
				TH_LOG("call %lu: read %ld, next is %ld", i, len,
				       oldest(m));
			}
			if (got <= 0)
				break;
			ASSERT_TRUE(stream_equal(buf, got, RECORD_POS(m->first))) {
				TH_LOG("call %lu: record %llu of %ld bytes", i,
				       m->first, got);
			}
			model_get(m);
			break;
		case 13:
			ASSERT_EQ(expected_poll(m),
				  poll_now(self->dev.fd, POLLIN | POLLOUT));
			break;
		case 14:
			if (rnd(&random) % 8)
				break;
			ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
			model_clear(m);
			break;
		default:
			cap = m->page << (rnd(&random) % 6);
			ASSERT_EQ(m->used > cap ? -EBUSY : 0,
				  attr_set("capacity", cap));
			if (m->used <= cap)
				m->cap = cap;
		}
		ASSERT_EQ(oldest(m), queued(self->dev.fd)) {
			TH_LOG("call %lu", i);
		}
		if (!(i % 64))
			ASSERT_TRUE(agrees(m)) {
				TH_LOG("call %lu", i);
			}
	}
	while (m->first != m->next) {
		ASSERT_TRUE(get_record(self->dev.fd, oldest(m), m->first));
		model_get(m);
	}
	EXPECT_TRUE(agrees(m));
	free(buf);
	free(m);
}

int main(int argc, char **argv)
{
	const char *n = take_option(&argc, argv, "-n");

	calls = n ? strtoul(n, NULL, 0) : CALLS;
	return vfifo_main(argc, argv);
}
