// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Plain readers beside plain writers at full speed, with the smallest capacity: whatever
 * is read is whole and from the right place, nothing is read twice, and readers get on.
 */
#include "vfifo_overwriting_ends.h"

#define READS		OFTEN(3000)	/* in each test */
#define BLOCK		64		/* bytes of a stream that belong together */
#define WORDS		128		/* of the longest record */
#define NUMBERS		0x100000	/* of the blocks of a writer that are noted */

/* Whether writers may get EAGAIN. */
static bool full_at_times;

/* ---- one writer and one reader ---- */

/* Lengths of messages. Those from LARGER_THAN_BUFFER on are for a stream. */
static const struct {
	long least, most;
} sizes[] = {
	{ 1, 1 }, { 1, 100 }, { 700, 1500 }, { 1, PIPE_BUF - HEADER },
	{ PIPE_BUF - HEADER, PIPE_BUF - HEADER },
	/* For KCSAN, which looks for changed values only in copies of so few bytes. */
	{ 8, 8 },
#define LARGER_THAN_BUFFER 6
	{ PIPE_BUF, PIPE_BUF }, { 1, 65536 }, { 200000, 200000 },
};

static void race_two(struct __test_metadata *_metadata,
		     struct overwriting_data *self, bool records, int flags)
{
	size_t count = records ? LARGER_THAN_BUFFER : ARRAY_SIZE(sizes), i;
	pid_t pid[2];

	LOG_SEED();
	ASSERT_TRUE(race_begin());
	ASSERT_EQ(0, use_capacity(self, self->page));
	plan.records = records;
	plan.flags = flags;
	for (i = 0; i < count; i++) {
		memset(race, 0, sizeof(*race));
		plan.least = sizes[i].least;
		plan.most = sizes[i].most;
		plan.head = attr_get("stats/bytes_written");
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		pid[0] = racer_start(writes, 0);
		pid[1] = racer_start(reads, 1);
		EXPECT_TRUE(gets_on(1, READS)) {
			TH_LOG("%ld to %ld bytes: %lu reads beside %lu writes",
			       plan.least, plan.most, LOAD(race->good[1]),
			       LOAD(race->good[0]));
		}
		racers_finish(_metadata, pid, 2);
		EXPECT_EQ(0, bytes_missing());
	}
}

TEST_F_TIMEOUT(overwriting, blocking_reader, 120)
{
	race_two(_metadata, self, variant->records, 0);
}

TEST_F_TIMEOUT(overwriting, polling_reader, 120)
{
	race_two(_metadata, self, variant->records, O_NONBLOCK);
}

/* Each record replaces the one before it. There always is one. */
TEST_F(overwriting, length_beside_a_writer)
{
	pid_t pid;
	int i;

	if (!variant->records)
		SKIP(return, "for records");
	ASSERT_TRUE(race_begin());
	ASSERT_EQ(0, use_capacity(self, self->page));
	plan.records = true;
	plan.least = self->cap - HEADER;
	plan.most = plan.least;
	plan.head = attr_get("stats/bytes_written");
	pid = racer_start(writes, 0);
	EXPECT_TRUE(reached(0, 1));
	for (i = 0; i < OFTEN(1000); i++)
		ASSERT_EQ(plan.most, queued(self->fd)) {
			TH_LOG("look %d", i);
		}
	racers_finish(_metadata, &pid, 1);
}

/* ---- many of each ---- */

/* Shared: which blocks were read. */
static __u32 *noted;

/* Whether this is the first time that block @number of @writer is read. */
static bool is_first(unsigned int writer, __u64 number)
{
	__u64 bit = (__u64)writer * NUMBERS + number;
	__u32 mask = 1U << (bit % 32);

	return number >= NUMBERS ||
	       !(__atomic_fetch_or(&noted[bit / 32], mask, __ATOMIC_RELAXED) & mask);
}

/* Makes block @number of @writer, of so many words. */
static void block_make(__u64 *words, int count, __u64 writer, __u64 number)
{
	int i;

	words[0] = writer << 48 | number;
	for (i = 1; i < count; i++)
		words[i] = mix64(words[0] + i * 0x10001ULL);
}

static bool block_is_whole(const __u64 *words, int count)
{
	int i;

	for (i = 1; i < count; i++)
		if (words[i] != mix64(words[0] + i * 0x10001ULL))
			return false;
	return count > 0;
}

/* Writes a few blocks of a stream, or a record, at once. */
static int writes_blocks(int self, __u64 *random)
{
	static __u64 words[PIPE_BUF / 8], number;
	int fd = racer_fd(O_WRONLY | (full_at_times ? O_NONBLOCK : 0));
	long len, ret, i, per = BLOCK / 8;

	if (plan.records) {
		len = 2 + rnd(random) % (WORDS - 1);
		block_make(words, len, self, number++);
	} else {
		len = per * (1 + rnd(random) % (rnd(random) % 4 ? 3 : PIPE_BUF / BLOCK));
		for (i = 0; i < len; i += per)
			block_make(words + i, per, self, number++);
	}
	ret = res(write(fd, words, len * 8));
	if (ret == -EAGAIN && full_at_times)
		return 0;
	return ret == len * 8 ? 1 : WRONG("write of %ld bytes: %ld", len * 8, ret);
}

/* Reads blocks: each is whole, none is read twice, and those of a writer are in order. */
static int reads_blocks(int self __always_unused, __u64 *random)
{
	static __u64 words[4 * 65536 / 8], next[RACERS];
	int fd = racer_fd(O_RDONLY | plan.flags);
	long most = plan.records ? WORDS * 8 : BLOCK * (1 + rnd(random) % 100);
	long ret = res(read(fd, words, most)), per, i;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	__u64 writer, number;

	if (ret == -EAGAIN && plan.flags & O_NONBLOCK) {
		poll(&pfd, 1, 10);
		return 0;
	}
	if (ret <= 0 || ret > most || ret % 8 || (!plan.records && ret % BLOCK))
		return WRONG("read of %ld bytes: %ld", most, ret);
	per = plan.records ? ret / 8 : BLOCK / 8;
	for (i = 0; i < ret / 8; i += per) {
		writer = words[i] >> 48;
		number = words[i] << 16 >> 16;
		if (!block_is_whole(words + i, per) || writer >= RACERS)
			return WRONG("block %ld of a read of %ld bytes is torn: %#llx",
				     i / per, ret, words[i]);
		if (number < next[writer] || !is_first(writer, number))
			return WRONG("writer %llu: block %llu after %llu, or twice",
				     writer, number, next[writer]);
		next[writer] = number + 1;
	}
	return 1;
}

/* Asks for whatever can be asked for. */
static int looks(int self __always_unused, __u64 *random)
{
	static __u64 last_read, last_written;
	static bool has_looked;
	int fd = racer_fd(O_RDWR | O_NONBLOCK), events;
	long cap = 16 * sysconf(_SC_PAGESIZE), size, next;
	__u64 nread, written;

	events = poll_now(fd, POLLIN | POLLOUT);
	if (events & ~(POLLIN | POLLOUT) || (!full_at_times && !(events & POLLOUT)))
		return WRONG("poll: %#x", events);
	size = attr_get("size");
	next = queued(fd);
	if (size < 0 || size > cap || next < 0 || next > cap)
		return WRONG("size %ld, FIONREAD %ld", size, next);
	nread = attr_get("stats/bytes_read");
	written = attr_get("stats/bytes_written");
	if (has_looked && (before(nread, last_read) || before(written, last_written)))
		return WRONG("%llu bytes read, %llu written after %llu and %llu", nread,
			     written, last_read, last_written);
	last_read = nread;
	last_written = written;
	has_looked = true;
	jitter(random);
	return 1;
}

/* Changes whatever can be changed. */
static int changes(int self __always_unused, __u64 *random)
{
	int fd = racer_fd(O_RDWR | O_NONBLOCK), ret;

	switch (rnd(random) % 4) {
	case 0:
		ret = res(ioctl(fd, VFIFO_CLEAR));
		break;
	case 1:
		ret = attr_set("overwrite", rnd(random) % 4 > 0);
		break;
	default:
		ret = attr_set("capacity", sysconf(_SC_PAGESIZE) << rnd(random) % 3);
		/* More may be queued. */
		ret = ret == -EBUSY ? 0 : ret;
	}
	jitter(random);
	return ret ? WRONG("a change failed: %d", ret) : 1;
}

#define WRITERS		3

static void race_many(struct __test_metadata *_metadata,
		      struct overwriting_data *self, const racer_step *others,
		      unsigned long wanted)
{
	struct counts c = counts_now(), now;
	pid_t pid[RACERS];
	int i, n = 0;

	LOG_SEED();
	ASSERT_TRUE(race_begin());
	noted = shared(RACERS * NUMBERS / 8);
	ASSERT_NE(NULL, noted);
	ASSERT_EQ(0, use_capacity(self, self->page));
	plan.records = self->m.records;
	for (n = 0; n < WRITERS; n++)
		pid[n] = racer_start(writes_blocks, n);
	for (i = 0; others[i]; i++, n++)
		pid[n] = racer_start(others[i], n);
	for (i = 0; i < n; i++) {
		EXPECT_TRUE(gets_on(i, i < WRITERS ? 1 : wanted)) {
			TH_LOG("racer %d made only %lu steps", i,
			       LOAD(race->good[i]));
		}
	}
	racers_finish(_metadata, pid, n);
	/* Whatever happened, each byte is accounted for. */
	now = counts_now();
	EXPECT_EQ(0, bytes_missing());
	EXPECT_LT(c.read, now.read);
	TH_LOG("%llu bytes written, %llu read, %llu overwritten, %llu cleared",
	       now.written - c.written, now.read - c.read,
	       now.overwritten - c.overwritten, now.cleared - c.cleared);
	munmap(noted, RACERS * NUMBERS / 8);
}

TEST_F_TIMEOUT(overwriting, many_blocking_readers, 60)
{
	const racer_step others[] = { reads_blocks, reads_blocks, looks, NULL };

	race_many(_metadata, self, others, READS / 3);
}

TEST_F_TIMEOUT(overwriting, many_polling_readers, 60)
{
	const racer_step others[] = { reads_blocks, reads_blocks, looks, NULL };

	plan.flags = O_NONBLOCK;
	race_many(_metadata, self, others, READS / 3);
}

TEST_F_TIMEOUT(overwriting, many_beside_changes, 60)
{
	const racer_step others[] = { reads_blocks, looks, changes, NULL };

	plan.flags = O_NONBLOCK;
	full_at_times = true;
	self->waits = true;
	race_many(_metadata, self, others, READS / 10);
	ASSERT_EQ(0, attr_set("overwrite", 1));
}

/* A reader that sleeps is woken by each writer, and none is left behind. */
TEST_F(overwriting, many_sleeping_readers)
{
	const long len = 2 * BLOCK;
	int i, round;

	ASSERT_EQ(0, use_capacity(self, self->page));
	for (round = 0; round < OFTEN(20); round++) {
		for (i = 0; i < CALLERS; i++)
			SLEEP_IN(&self->e, i, -1, read(self->fd, self->m.buf, len));
		for (i = 0; i < CALLERS; i++)
			ASSERT_EQ(len, res(write(self->dev.fd, bytes_at(0), len)));
		for (i = 0; i < CALLERS; i++)
			EXPECT_RETURNS(&self->e, i, len, 0);
		EXPECT_EQ(0, queued(self->fd));
	}
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
