/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * The fixture and helpers of tests of a vfifo whose attribute "framing" is "record".
 *
 * Record number N of a test contains the bytes of the stream from RECORD_POS(N) on, so a
 * record that is torn, mixed up or read twice is recognized by its contents.
 *
 * A test with a fixture of its own defines RECORDS_OWN_FIXTURE first.
 */
#ifndef VFIFO_RECORDS_TEST_H
#define VFIFO_RECORDS_TEST_H

#include "vfifo_hangup.h"
#include "vfifo_log.h"

#define HEADER		((long)sizeof(struct vfifo_record))

#define RECORD_POS(id)	((__u64)(id) << 32)

/* The number of bytes that a record of @len bytes takes in the buffer. */
static inline long room_of(long len)
{
	return HEADER + (len + 7) / 8 * 8;
}

/* The length of the longest record. */
static inline long longest(long cap)
{
	return cap - HEADER;
}

static inline bool framing_is(const char *framing)
{
	const char *text = attr_text("framing");
	size_t len = strlen(framing);

	return !strncmp(text, framing, len) && !strcmp(text + len, "\n");
}

/* ---- whole records ---- */

/* Writes record number @id: the result of write(2). */
static inline long put_record(int fd, long len, __u64 id)
{
	char *buf = malloc(len);
	long ret;

	stream_fill(buf, len, RECORD_POS(id));
	ret = res(write(fd, buf, len));
	free(buf);
	return ret;
}

/* How much longer than the record the buffer is that it is read to. */
#define SPARE	24
#define UNUSED	0xa5

/* Reads a record: true if it is number @id, and nothing after it was stored. */
static inline bool get_record(int fd, long len, __u64 id)
{
	__u8 *buf = malloc(len + SPARE);
	bool right;
	int i;

	memset(buf + len, UNUSED, SPARE);
	right = read(fd, buf, len + SPARE) == len &&
		stream_equal(buf, len, RECORD_POS(id));
	for (i = 0; i < SPARE; i++)
		right &= buf[len + i] == UNUSED;
	free(buf);
	return right;
}

/* Fills the FIFO except for @left bytes, a multiple of 8, with one record. */
static inline bool fill_except(int fd, long cap, long left, __u64 id)
{
	long len = cap - left - HEADER;

	return put_record(fd, len, id) == len;
}

/* Drops what is queued; then a record passes. */
static inline bool record_passes(int fd)
{
	bool cleared = eventually(!ioctl(fd, VFIFO_CLEAR));

	return cleared && put_record(fd, 100, 77) == 100 && queued(fd) == 100 &&
	       get_record(fd, 100, 77) && queued(fd) == 0;
}

/* ---- random tests ---- */

static long cases;
static bool cases_exactly;

/* Called first by main: "-n CASES", or @usual. */
static inline void cases_option(int *argc, char **argv, long usual)
{
	const char *n = take_option(argc, argv, "-n");

	cases_exactly = n;
	cases = usual;
	if (n)
		cases = strtol(n, NULL, 0);
}

/* After a minute, a slow machine may stop with a part of the usual number. */
static inline bool more_cases(long done, __s64 start)
{
	return done < cases && (cases_exactly || done < cases / 60 ||
				now_ms() - start < 6 * DEADLINE * 1000);
}

/* ---- the fixture, unless a test has one of its own ---- */

#ifndef RECORDS_OWN_FIXTURE

/* The harness's name for the fixture's type. */
#define records_data	_test_data_records

FIXTURE(records)
{
	struct vfifo dev;
	struct health health;
	struct ends calls;	/* for SLEEP_IN() and its companions, nothing else */
	long cap, page;
	int fd;			/* blocks */
	long errors;		/* stats/position_errors */
	bool breaks;		/* the test puts the FIFO into its error state */
};

FIXTURE_SETUP(records)
{
	struct sigaction sa = { .sa_handler = no_op };

	memset(self, 0, sizeof(*self));
	self->fd = -1;
	health_begin(&self->health);
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	ASSERT_EQ(0, attr_store("framing", "record"));
	self->cap = self->dev.capacity;
	self->page = self->dev.page;
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->errors = attr_get("stats/position_errors");
	self->calls.out = shared(CALLERS * sizeof(*self->calls.out));
	ASSERT_NE(NULL, self->calls.out);
	/* Interrupts calls of children. */
	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
}

FIXTURE_TEARDOWN(records)
{
	int i;

	for (i = 0; i < CALLERS; i++)
		child_kill(&self->calls.pid[i]);
	attr_store("mode", "0");
	EXPECT_TRUE(eventually(!attr_get("producer_claimed") &&
			       !attr_get("consumer_claimed")));
	EXPECT_EQ(0, bytes_missing());
	if (framing_is("record"))
		EXPECT_TRUE(record_passes(self->dev.fd));
	EXPECT_EQ(0, bytes_missing());
	if (!self->breaks)
		EXPECT_EQ(self->errors, attr_get("stats/position_errors"));
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
	close(self->fd);
	vfifo_teardown(&self->dev);
}

#endif /* RECORDS_OWN_FIXTURE */

/* ---- mapped ends, by plain loads and stores ---- */

/* An end that this process has claimed, and the data. */
struct own_end {
	struct vfifo_end *page;
	char *data;		/* twice in a row */
	long cap;
};

/* The data, mapped twice in a row, or NULL with errno. */
static inline char *map_data(int fd, int prot)
{
	struct vfifo_info info = { .size = sizeof(info) };
	void *p;

	if (ioctl(fd, VFIFO_GET_INFO, &info))
		return NULL;
	p = mmap(NULL, 2 * info.capacity, prot, MAP_SHARED, fd, info.data_offset);
	return p == MAP_FAILED ? NULL : p;
}

/* The page of an end, only for reading, or NULL with errno. */
static inline struct vfifo_end *view_end(int fd, bool producer)
{
	struct vfifo_info info = { .size = sizeof(info) };

	if (ioctl(fd, VFIFO_GET_INFO, &info))
		return NULL;
	return map_page(fd, producer ? info.producer_offset : info.consumer_offset,
			PROT_READ);
}

static inline void unmap_page(struct vfifo_end **end)
{
	if (*end)
		munmap(*end, sysconf(_SC_PAGESIZE));
	*end = NULL;
}

static inline void end_close(struct own_end *end)
{
	unmap_page(&end->page);
	if (end->data)
		munmap(end->data, 2 * end->cap);
	end->data = NULL;
}

/* Claims an end. The claim lasts until the page is unmapped. */
static inline bool end_open(struct own_end *end, struct vfifo *dev, bool producer)
{
	memset(end, 0, sizeof(*end));
	end->cap = attr_get("capacity");
	end->data = map_data(dev->fd, PROT_READ | PROT_WRITE);
	end->page = claim_end(dev, producer);
	if (end->data && end->page)
		return true;
	end_close(end);
	return false;
}

static inline __u64 raw_header(__u32 len, __u32 flags)
{
	struct vfifo_record record = { .len = len, .flags = flags };
	__u64 raw;

	memcpy(&raw, &record, sizeof(raw));
	return raw;
}

/* The place of the byte at @pos; a record that begins there is in one piece. */
static inline char *byte_at(struct own_end *end, __u64 pos)
{
	return end->data + (pos & (end->cap - 1));
}

static inline __u64 load_header(struct own_end *end, __u64 pos)
{
	return __atomic_load_n((__u64 *)byte_at(end, pos), __ATOMIC_RELAXED);
}

static inline void store_header(struct own_end *end, __u64 pos, __u64 raw)
{
	__atomic_store_n((__u64 *)byte_at(end, pos), raw, __ATOMIC_RELAXED);
}

/* Stores a record at @pos, and publishes nothing: the position after it. */
static inline __u64 store_record(struct own_end *end, __u64 pos, long len, __u64 id)
{
	stream_fill(byte_at(end, pos) + HEADER, len, RECORD_POS(id));
	store_header(end, pos, raw_header(len, 0));
	return pos + room_of(len);
}

/* Whether record number @id of @len bytes is at @pos. */
static inline bool has_record(struct own_end *end, __u64 pos, long len, __u64 id)
{
	return load_header(end, pos) == raw_header(len, 0) &&
	       stream_equal(byte_at(end, pos) + HEADER, len, RECORD_POS(id));
}

/* For a producer: queues a record. */
static inline void publish_record(struct own_end *end, long len, __u64 id)
{
	store(end->page, store_record(end, load(end->page), len, id));
}

#endif /* VFIFO_RECORDS_TEST_H */
