// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Overwriting the oldest: random calls and changes of the settings, each checked against
 * a model: the result, the contents, what is queued, what poll(2) reports, and every
 * counter of bytes and records.
 *
 * "-n STEPS" makes that many steps, however long it takes.
 */
#include <sys/uio.h>

#include "vfifo_overwriting_ends.h"

#define STEPS		OFTEN(12000)

static unsigned long steps;

/* What has to happen in each run. */
enum met {
	MET_LOST, MET_ALL_LOST, MET_LARGER, MET_FULL, MET_PART, MET_EMPTY, MET_SHORT,
	MET_CLEAR, MET_BAD_WRITE, MET_BAD_READ, MET_HALF_WRITE, MET_HALF_READ,
	MET_RESIZE, MET_RESIZE_BUSY, MET_ON, MET_OFF, MET_FRAMING, MET_FRAMING_BUSY,
	MET_COUNT
};

static const char *const met_names[MET_COUNT] = {
	"writes that overwrite", "writes that overwrite everything",
	"writes larger than the buffer", "writes without room", "partial writes",
	"reads of nothing", "reads of too few bytes", "clearings",
	"writes with a bad pointer", "reads with a bad pointer",
	"writes from half-bad memory", "reads to half-bad memory",
	"resizes", "resizes refused", "switched on", "switched off",
	"changes of framing", "changes of framing refused",
};

struct script {
	struct overwriting_data *self;
	struct model *m;
	__u64 random;
	long records_written, records_read;
	char *half;		/* two pages, of which the second faults */
	unsigned int met[MET_COUNT];
	char did[160];		/* the last step */
};

static long choose(struct script *s, long n)
{
	return n > 0 ? rnd(&s->random) % n : 0;
}

static void note_step(struct script *s, enum met what, bool is_so)
{
	s->met[what] += is_so;
}

/* A length, often one near a limit. */
static long some_length(struct script *s)
{
	struct model *m = s->m;
	long extra = m->records ? HEADER : 0, len;

	switch (choose(s, 10)) {
	case 0:
		len = m->cap - extra - 4 + choose(s, 9);
		break;
	case 1:
		len = m->cap - model_size(m) - extra - 9 + choose(s, 19);
		break;
	case 2:
		len = PIPE_BUF - 9 + choose(s, 19);
		break;
	case 3:
		len = choose(s, m->cap);
		break;
	case 4:
		/* For bytes, several laps at once. */
		len = choose(s, 3 * m->cap);
		break;
	case 5:
		len = model_next(m) - 1 + choose(s, 3);
		break;
	default:
		len = choose(s, 500);
	}
	return len < 0 ? 0 : len;
}

/* One of several calls, of one segment or of several. */
static long call(struct script *s, bool out, char *buf, long len)
{
	bool blocks = s->m->overwrites && out && choose(s, 2);
	int fd = blocks ? s->self->fd : s->self->dev.fd;
	long a = choose(s, len + 1), b = choose(s, len - a + 1);
	int flags = choose(s, 2) ? RWF_NOWAIT : 0;
	struct iovec iov[3] = {
		{ buf, a }, { buf + a, b }, { buf + a + b, len - a - b },
	};

	switch (choose(s, 4)) {
	case 0:
		return res(out ? writev(fd, iov, 3) : readv(fd, iov, 3));
	case 1:
		return res(out ? pwritev2(fd, iov, 3, -1, flags) :
				 preadv2(fd, iov, 3, -1, flags));
	default:
		return res(out ? write(fd, buf, len) : read(fd, buf, len));
	}
}

/* What a write of @len bytes returns. */
static long model_takes(struct model *m, long len)
{
	long room = m->cap - model_size(m);

	if (!len)
		return 0;
	if (m->records && len > m->cap - HEADER)
		return -EMSGSIZE;
	if (m->overwrites || model_room(m, len) <= room)
		return len;
	return m->records || len <= PIPE_BUF || !room ? -EAGAIN : room;
}

static bool step_write(struct script *s)
{
	struct model *m = s->m;
	long len = some_length(s), want = model_takes(m, len), ret;
	__u64 tail = m->tail, head = m->head;

	ret = call(s, true, contents_at(m->records, m->head), len);
	snprintf(s->did, sizeof(s->did), "write of %ld bytes: %ld, not %ld", len, ret,
		 want);
	if (ret > 0) {
		model_written(m, ret);
		s->records_written += m->records;
	}
	note_step(s, MET_LOST, m->overwrites && m->tail != tail);
	note_step(s, MET_ALL_LOST, head != tail && !before(m->tail, head));
	note_step(s, MET_LARGER, ret > m->cap);
	note_step(s, MET_FULL, want == -EAGAIN);
	note_step(s, MET_PART, want > 0 && want < len);
	return ret == want;
}

static bool step_read(struct script *s)
{
	struct model *m = s->m;
	long most = some_length(s), want, ret;

	if (most > 2 * m->cap)
		most = 2 * m->cap;
	want = model_wants(m, most);
	ret = call(s, false, m->buf, most);
	snprintf(s->did, sizeof(s->did), "read of %ld bytes: %ld, not %ld", most, ret,
		 want);
	note_step(s, MET_EMPTY, want == -EAGAIN);
	note_step(s, MET_SHORT, want == -EMSGSIZE);
	if (ret != want)
		return false;
	if (ret > 0) {
		if (!model_is_next(m, ret)) {
			snprintf(s->did, sizeof(s->did),
				 "read of %ld bytes at %llu: wrong contents", ret,
				 m->tail);
			return false;
		}
		model_read(m, ret);
		s->records_read += m->records;
	}
	return true;
}

/* A write of which the first @good bytes are there. */
static bool step_bad_write(struct script *s)
{
	struct model *m = s->m;
	long page = s->self->page, good = choose(s, 3) ? 0 : 1 + choose(s, 300);
	long len = good + 1 + choose(s, page - good - 1), most, ret;

	/* Others are refused for other reasons. */
	if (len > m->cap - HEADER || model_takes(m, len) != len)
		return true;
	memcpy(s->half + page - good, contents_at(m->records, m->head), good);
	ret = call(s, true, s->half + page - good, len);
	snprintf(s->did, sizeof(s->did), "write of %ld bytes, %ld good: %ld", len, good,
		 ret);
	note_step(s, good ? MET_HALF_WRITE : MET_BAD_WRITE, true);
	most = m->records ? 0 : good;
	if (ret > 0)
		model_written(m, ret);
	return most ? ret >= 1 && ret <= most : ret == -EFAULT;
}

static bool step_bad_read(struct script *s)
{
	struct model *m = s->m;
	long page = s->self->page, good = choose(s, 3) ? 0 : 1 + choose(s, 300);
	long most = good + 1 + choose(s, page - good - 1), want, ret;

	want = model_wants(m, most);
	ret = call(s, false, s->half + page - good, most);
	snprintf(s->did, sizeof(s->did), "read of %ld bytes, %ld good: %ld", most, good,
		 ret);
	note_step(s, good ? MET_HALF_READ : MET_BAD_READ, want > good);
	if (ret > 0) {
		memcpy(m->buf, s->half + page - good, ret);
		if (ret > good || !model_is_next(m, ret))
			return false;
		model_read(m, ret);
		s->records_read += m->records;
	}
	if (want <= good)
		return ret == want;
	return m->records || !good ? ret == -EFAULT : ret >= 1;
}

static bool step_clear(struct script *s)
{
	int ret = res(ioctl(s->self->fd, VFIFO_CLEAR));

	snprintf(s->did, sizeof(s->did), "VFIFO_CLEAR: %d", ret);
	note_step(s, MET_CLEAR, model_size(s->m));
	model_cleared(s->m);
	return !ret;
}

static bool step_resize(struct script *s)
{
	struct overwriting_data *self = s->self;
	long cap = self->page << choose(s, 5);
	int want = model_size(s->m) > cap ? -EBUSY : 0, ret;

	ret = use_capacity(self, cap);
	snprintf(s->did, sizeof(s->did), "capacity %ld: %d, not %d", cap, ret, want);
	note_step(s, want ? MET_RESIZE_BUSY : MET_RESIZE, true);
	return ret == want;
}

static bool step_switch(struct script *s)
{
	bool on = choose(s, 4);
	int ret;

	note_step(s, on ? MET_ON : MET_OFF, on != s->m->overwrites);
	ret = use_overwrite(s->self, on);
	snprintf(s->did, sizeof(s->did), "overwrite %d: %d", on, ret);
	return !ret;
}

static bool step_framing(struct script *s)
{
	struct model *m = s->m;
	bool records = choose(s, 2), is_new = records != m->records;
	int want = is_new && model_size(m) ? -EBUSY : 0;
	int ret = attr_store("framing", records ? "record" : "stream");

	snprintf(s->did, sizeof(s->did), "framing %d: %d, not %d", records, ret, want);
	note_step(s, want ? MET_FRAMING_BUSY : MET_FRAMING, is_new);
	if (ret || !is_new)
		return ret == want;
	m->records = records;
	if (records)
		m->head = (m->head + 7) / 8 * 8;
	/* The bytes in between are neither read nor overwritten. */
	m->cleared += m->head - m->tail;
	m->tail = m->head;
	return ret == want;
}

/* What has not happened, or NULL. */
static const char *not_met(struct script *s)
{
	int i;

	for (i = 0; i < MET_COUNT; i++)
		if (!s->met[i])
			return met_names[i];
	return NULL;
}

static bool step(struct script *s)
{
	switch (choose(s, 100)) {
	case 0 ... 44:
		return step_write(s);
	case 45 ... 79:
		return step_read(s);
	case 80 ... 84:
		return step_bad_write(s);
	case 85 ... 88:
		return step_bad_read(s);
	case 89 ... 90:
		return step_clear(s);
	case 91 ... 94:
		return step_resize(s);
	case 95 ... 97:
		return step_switch(s);
	default:
		return step_framing(s);
	}
}

TEST_F_TIMEOUT(overwriting, random_script, 6 * 60 * 60)
{
	struct script s = {
		.self = self,
		.m = &self->m,
		.random = vfifo_seed + variant->records,
		.records_written = attr_get("stats/records_written"),
		.records_read = attr_get("stats/records_read"),
		.half = half_mapped(self->page),
	};
	unsigned long i, wanted = steps ? steps : STEPS;
	const char *differs;

	LOG_SEED();
	ASSERT_NE(NULL, s.half);
	for (i = 0; i < wanted; i++) {
		ASSERT_TRUE(step(&s)) {
			TH_LOG("step %lu: %s", i, s.did);
		}
		differs = model_differs(&self->m, self->dev.fd);
		ASSERT_EQ(NULL, differs) {
			TH_LOG("step %lu: after %s: %s", i, s.did, differs);
		}
		ASSERT_EQ(s.records_written, attr_get("stats/records_written")) {
			TH_LOG("step %lu: after %s", i, s.did);
		}
		ASSERT_EQ(s.records_read, attr_get("stats/records_read")) {
			TH_LOG("step %lu: after %s", i, s.did);
		}
	}
	differs = not_met(&s);
	EXPECT_EQ(NULL, differs) {
		TH_LOG("no %s", differs);
	}
	munmap(s.half, 2 * self->page);
	attr_set("overwrite", 1);
}

int main(int argc, char **argv)
{
	const char *n = take_option(&argc, argv, "-n");

	if (n)
		steps = strtoul(n, NULL, 0);
	return vfifo_main(argc, argv);
}
