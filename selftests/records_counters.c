// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * What is counted of records, and records that the device generates in mode auto.
 */
#include "vfifo_record.h"
#include "vfifo_race.h"

struct counts {
	long written, read;			/* records */
	long bytes_written, bytes_read, bytes_cleared, size;
};

static struct counts counts(void)
{
	return (struct counts) {
		attr_get("stats/records_written"),
		attr_get("stats/records_read"),
		attr_get("stats/bytes_written"),
		attr_get("stats/bytes_read"),
		attr_get("stats/bytes_cleared"),
		attr_get("size"),
	};
}

/* The counters are those of @old, and so many more. */
static void expect_counted(struct __test_metadata *_metadata, struct counts old,
			   long written, long nread, long in, long out,
			   long cleared)
{
	struct counts now = counts();

	EXPECT_EQ(old.written + written, now.written);
	EXPECT_EQ(old.read + nread, now.read);
	EXPECT_EQ(old.bytes_written + in, now.bytes_written);
	EXPECT_EQ(old.bytes_read + out, now.bytes_read);
	EXPECT_EQ(old.bytes_cleared + cleared, now.bytes_cleared);
	EXPECT_EQ(old.size + in - out - cleared, now.size);
	EXPECT_EQ(0, bytes_missing());
}

#define EXPECT_COUNTED(...)	expect_counted(_metadata, __VA_ARGS__)

/* ---- calls ---- */

/* Bytes are counted as they lie in the buffer, with headers and padding. */
TEST_F(records, transfers)
{
	struct counts before = counts();

	ASSERT_EQ(1, put_record(self->fd, 1, 1));
	EXPECT_COUNTED(before, 1, 0, 16, 0, 0);
	ASSERT_EQ(8, put_record(self->fd, 8, 2));
	EXPECT_COUNTED(before, 2, 0, 32, 0, 0);
	ASSERT_EQ(9, put_record(self->fd, 9, 3));
	EXPECT_COUNTED(before, 3, 0, 56, 0, 0);
	ASSERT_TRUE(get_record(self->fd, 1, 1));
	EXPECT_COUNTED(before, 3, 1, 56, 16, 0);
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	EXPECT_COUNTED(before, 3, 1, 56, 16, 40);
}

TEST_F(records, failures_count_nothing)
{
	struct counts before;
	char c, *full = calloc(1, self->cap);
	char *bad = mmap(NULL, self->page, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, bad);
	ASSERT_EQ(100, put_record(self->fd, 100, 1));
	before = counts();
	EXPECT_EQ(-EMSGSIZE, read_one(self->fd));
	EXPECT_EQ(-EMSGSIZE, res(write(self->fd, full, self->cap)));
	EXPECT_EQ(-EAGAIN, put_record(self->dev.fd, longest(self->cap), 2));
	EXPECT_EQ(-EFAULT, res(write(self->dev.fd, bad, 10)));
	EXPECT_EQ(-EFAULT, res(read(self->dev.fd, bad, 100)));
	EXPECT_EQ(0, res(write(self->fd, &c, 0)));
	EXPECT_EQ(0, res(read(self->fd, &c, 0)));
	EXPECT_COUNTED(before, 0, 0, 0, 0, 0);
	munmap(bad, self->page);
	free(full);
}

TEST_F(records, resizing_counts_nothing)
{
	struct counts before;
	int i;

	ASSERT_EQ(100, put_record(self->fd, 100, 1));
	before = counts();
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, attr_set("capacity", i & 1 ? self->page : self->cap));
		EXPECT_COUNTED(before, 0, 0, 0, 0, 0);
	}
	EXPECT_TRUE(get_record(self->fd, 100, 1));
}

/* What the owners of mapped ends have moved is counted in bytes. */
TEST_F(records, claims)
{
	struct counts before = counts();
	struct own_end end;

	ASSERT_TRUE(end_open(&end, &self->dev, true));
	publish_record(&end, 100, 1);
	publish_record(&end, 9, 2);
	end_close(&end);
	EXPECT_EQ(before.bytes_written + room_of(100) + room_of(9),
		  attr_get("stats/bytes_written"));
	EXPECT_EQ(0, bytes_missing());
	ASSERT_TRUE(end_open(&end, &self->dev, false));
	store(end.page, load(end.page) + room_of(100));
	end_close(&end);
	EXPECT_EQ(before.bytes_read + room_of(100), attr_get("stats/bytes_read"));
	EXPECT_EQ(0, bytes_missing());
	EXPECT_TRUE(get_record(self->fd, 9, 2));
	EXPECT_EQ(before.read + 1, attr_get("stats/records_read"));
}

/* Neither counter of bytes ever goes back, and there are never more read than written. */
static int step_count(int self __always_unused, __u64 *random)
{
	static long last_written, last_read, last_records, first_written, first_read;
	static bool is_later;
	long nread, records, size, written;

	/* They count from here on: other tests may have left any numbers. */
	if (!is_later) {
		/* What is queued now is still to be read. */
		first_written = attr_get("stats/bytes_written") - attr_get("capacity");
		first_read = attr_get("stats/bytes_read");
		is_later = true;
	}
	nread = attr_get("stats/bytes_read") - first_read;
	records = attr_get("stats/records_read");
	size = attr_get("size");
	written = attr_get("stats/bytes_written") - first_written;
	if (nread < last_read || written < last_written || records < last_records)
		return WRONG("a counter went back: %ld, %ld, %ld after %ld, %ld, %ld",
			     nread, written, records, last_read, last_written,
			     last_records);
	if (nread > written || size % 8)
		return WRONG("%ld read, %ld written, size %ld", nread, written,
			     size);
	last_read = nread;
	last_written = written;
	last_records = records;
	jitter(random);
	return 1;
}

static int step_transfer(int self, __u64 *random)
{
	static char buf[5000];
	static int fd = -1;
	long ret;

	if (fd < 0)
		fd = vfifo_open(O_RDWR | O_NONBLOCK);
	ret = res(self == 1 ? write(fd, buf, 1 + rnd(random) % sizeof(buf)) :
			      read(fd, buf, sizeof(buf)));
	if (ret < 0 && ret != -EAGAIN)
		return WRONG("racer %d: %ld", self, ret);
	if (self == 2 && !(rnd(random) % 64))
		ioctl(fd, VFIFO_CLEAR);
	return ret > 0;
}

TEST_F_TIMEOUT(records, counters_under_way, 60)
{
	static const racer_step steps[] = { step_count, step_transfer, step_transfer };
	pid_t pid[ARRAY_SIZE(steps)];
	__s64 start;
	size_t i;

	LOG_SEED();
	ASSERT_TRUE(race_begin());
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		pid[i] = racer_start(steps[i], i);
	start = now_ms();
	while (!LOAD(race->wrong[0]) && (now_ms() - start < SECONDS * 1000 ||
					 !enough(ARRAY_SIZE(steps), true, start)))
		usleep(10000);
	racers_end(_metadata, pid, ARRAY_SIZE(steps));
}

/* ---- mode auto ---- */

#define MESSAGE		"AUTO "
#define MESSAGE_LEN	((long)sizeof(MESSAGE) - 1)

static bool get_message(int fd)
{
	char buf[100];

	return res(read(fd, buf, sizeof(buf))) == MESSAGE_LEN &&
	       !memcmp(buf, MESSAGE, MESSAGE_LEN);
}

TEST_F(records, one_record_a_message)
{
	struct counts before = counts();
	long n;
	int i;

	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_EQ(0, attr_store("mode", "1"));
	for (i = 0; i < 20; i++)
		ASSERT_TRUE(get_message(self->fd));
	ASSERT_TRUE(eventually(attr_get("size") >= 5 * room_of(MESSAGE_LEN)));
	ASSERT_EQ(0, attr_store("mode", "0"));
	EXPECT_EQ(-EMSGSIZE, read_one(self->fd));
	EXPECT_EQ(MESSAGE_LEN, queued(self->fd));
	for (n = 20; attr_get("size"); n++)
		ASSERT_TRUE(get_message(self->dev.fd));
	EXPECT_LE(25, n);
	EXPECT_COUNTED(before, n, n, n * room_of(MESSAGE_LEN),
		       n * room_of(MESSAGE_LEN), 0);
}

/* A message that does not fit is dropped as a whole. */
TEST_F(records, messages_without_room)
{
	long dropped = attr_get("stats/dropped"), n;

	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_TRUE(fill_except(self->dev.fd, self->cap, 8, 1));
	ASSERT_EQ(0, attr_store("mode", "1"));
	EXPECT_TRUE(eventually(attr_get("stats/dropped") > dropped + 3));
	EXPECT_EQ(self->cap - 8, attr_get("size"));
	/* There is room for 3 messages now. */
	ASSERT_EQ(0, attr_store("mode", "0"));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	ASSERT_TRUE(fill_except(self->dev.fd, self->cap, 56, 2));
	dropped = attr_get("stats/dropped");
	ASSERT_EQ(0, attr_store("mode", "1"));
	EXPECT_TRUE(eventually(attr_get("stats/dropped") > dropped));
	ASSERT_EQ(0, attr_store("mode", "0"));
	EXPECT_EQ(self->cap - 8, attr_get("size"));
	EXPECT_TRUE(get_record(self->dev.fd, self->cap - 56 - HEADER, 2));
	for (n = 0; n < 3; n++)
		EXPECT_TRUE(get_message(self->dev.fd));
	EXPECT_EQ(-EAGAIN, read_one(self->dev.fd));
}

/* Messages and the records of writers come one after the other. */
TEST_F(records, messages_beside_writers)
{
	__s64 until = now_ms() + 1000LL * DEADLINE;
	long wanted = OFTEN(2000), messages = 0, n;
	__u64 in = 0, out = 0, random = vfifo_seed;
	char buf[3000];

	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_EQ(0, attr_store("mode", "1"));
	while ((in < wanted || messages < 20) && now_ms() < until) {
		/* Longer than a message. */
		n = 20 + rnd(&random) % (sizeof(buf) - 20);
		if (put_record(self->dev.fd, n, in) == n)
			in++;
		n = res(read(self->dev.fd, buf, sizeof(buf)));
		if (n == -EAGAIN)
			continue;
		ASSERT_LT(0, n);
		if (n == MESSAGE_LEN && !memcmp(buf, MESSAGE, n)) {
			messages++;
			continue;
		}
		ASSERT_TRUE(stream_equal(buf, n, RECORD_POS(out)));
		out++;
	}
	ASSERT_EQ(0, attr_store("mode", "0"));
	EXPECT_LE(20, messages);
	EXPECT_LE(wanted, in);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
