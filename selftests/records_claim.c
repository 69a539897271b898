// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * What the end of a claim leaves of records: those that are good, and never an error for
 * the calls that come next, whatever the owner has stored and however it has ended.
 *
 * "-n CASES" makes the random tests try that many cases.
 */
#include "vfifo_record.h"

/* Headers that are wrong wherever they are, and so end the good records. */
static const struct vfifo_record wrong[] = {
	{ 0, 0 }, { 0xffffffff, 0 }, { 0xfffffff8, 0 }, { 0x7fffffff, 0 }, { 8, 1 },
	{ 16, 0x80000000 }, { 0, 1 },
};

static __u64 wrong_header(size_t i)
{
	return raw_header(wrong[i].len, wrong[i].flags);
}

/*
 * Reads what is queued. Returns how many of the records @first and so on, of 100 bytes and
 * more, came; -1 if a call has failed, or if something else was read.
 */
static long good_records(int fd, long first)
{
	char buf[4096];
	long i, n;

	for (i = first; (n = res(read(fd, buf, sizeof(buf)))) > 0; i++)
		if (n != 100 + i || !stream_equal(buf, n, RECORD_POS(i)))
			return -1;
	return n == -EAGAIN ? i - first : -1;
}

static bool put_good(int fd, long first, long count)
{
	long i;

	for (i = first; i < first + count; i++)
		if (put_record(fd, 100 + i, i) != 100 + i)
			return false;
	return true;
}

/* ---- a producer ---- */

/* What it has published is there, and what it was storing is not. */
TEST_F(records, in_the_middle_of_a_record)
{
	struct own_end end;
	int known, i;

	for (known = 0; known < 3; known++) {
		ASSERT_TRUE(put_good(self->fd, 0, known));
		ASSERT_TRUE(end_open(&end, &self->dev, true));
		for (i = known; i < 5; i++)
			publish_record(&end, 100 + i, i);
		/* A header and half of a payload. */
		store_header(&end, load(end.page), raw_header(3000, 0));
		stream_fill(byte_at(&end, load(end.page)) + HEADER, 1500, 12345);
		end_close(&end);
		ASSERT_TRUE(put_good(self->dev.fd, 5, 2));
		EXPECT_EQ(7, good_records(self->dev.fd, 0));
	}
}

/* The good records stay, those of before the claim and those of the owner. */
TEST_F(records, garbage_after_good_records)
{
	long good, known, id;
	struct own_end end;
	__u64 pos;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		for (good = 0; good < 9; good++) {
			known = good % 3;
			ASSERT_TRUE(put_good(self->fd, 0, known));
			ASSERT_TRUE(end_open(&end, &self->dev, true));
			pos = load(end.page);
			for (id = known; id < known + good / 3; id++)
				pos = store_record(&end, pos, 100 + id, id);
			store_header(&end, pos, wrong_header(i));
			store(end.page, pos + 64);
			end_close(&end);
			ASSERT_EQ(known + good / 3, good_records(self->dev.fd, 0)) {
				TH_LOG("%ld and %ld good ones, then %#llx", known,
				       good / 3, wrong_header(i));
			}
			ASSERT_TRUE(put_good(self->dev.fd, 0, 3));
			ASSERT_EQ(3, good_records(self->dev.fd, 0));
		}
	}
}

/* Positions that no owner may store, relative to the end of its last good record. */
static const __s64 odd[] = {
	1, 3, 4, 7, 9, 1 << 20, 1LL << 40, (1LL << 40) + 1, -8, -4, -1, -(1LL << 40),
};

/*
 * The kernel goes back to the last good position that it knows of. What was there when the
 * claim began, or what a reader has seen, is not lost.
 */
TEST_F(records, impossible_position)
{
	struct own_end end;
	__u64 pos;
	size_t i;
	long n;

	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		ASSERT_TRUE(put_good(self->fd, 0, 2));
		ASSERT_TRUE(end_open(&end, &self->dev, true));
		store(end.page, load(end.page) + odd[i]);
		end_close(&end);
		EXPECT_EQ(2, good_records(self->dev.fd, 0)) {
			TH_LOG("position %+lld", odd[i]);
		}

		ASSERT_TRUE(end_open(&end, &self->dev, true));
		for (n = 0; n < 3; n++)
			publish_record(&end, 100 + n, n);
		pos = load(end.page);
		/* This reader sees the other two. */
		EXPECT_TRUE(get_record(self->dev.fd, 100, 0));
		store(end.page, pos + odd[i]);
		end_close(&end);
		EXPECT_EQ(2, good_records(self->dev.fd, 1)) {
			TH_LOG("position %+lld, seen", odd[i]);
		}

		/*
		 * Without a reader, they are lost if the position is too far away, or
		 * has gone back.
		 */
		ASSERT_TRUE(end_open(&end, &self->dev, true));
		for (n = 0; n < 3; n++)
			publish_record(&end, 100 + n, n);
		store(end.page, load(end.page) + odd[i]);
		end_close(&end);
		n = odd[i] > 0 && odd[i] < 16 ? 3 :
		    odd[i] > -16 && odd[i] < 0 ? 2 : 0;
		EXPECT_EQ(n, good_records(self->dev.fd, 0)) {
			TH_LOG("position %+lld, not seen", odd[i]);
		}
		EXPECT_EQ(0, attr_get("stats/bytes_written") % 8);
		ASSERT_TRUE(put_good(self->dev.fd, 0, 3));
		ASSERT_EQ(3, good_records(self->dev.fd, 0));
	}
}

/* An owner that dies has told nobody. Sleeping readers get what is good. */
TEST_F(records, sleeping_readers)
{
	struct own_end end;
	pid_t pid;

	SLEEP_IN(&self->calls, 0, -1, get_record(self->fd, 100, 0));
	SLEEP_IN(&self->calls, 1, -1, get_record(self->fd, 100, 0));
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		if (!end_open(&end, &self->dev, true))
			_exit(1);
		publish_record(&end, 100, 0);
		store_header(&end, load(end.page), wrong_header(0));
		store(end.page, load(end.page) + 64);
		raise(SIGKILL);
	}
	EXPECT_EQ(-SIGKILL, child_end(pid));
	/* One of them is served, and the other one sleeps on: it gets no error. */
	EXPECT_TRUE(eventually(!attr_get("producer_claimed") && !attr_get("size")));
	ASSERT_EQ(100, put_record(self->dev.fd, 100, 0));
	EXPECT_RETURNS(&self->calls, 0, true, 0);
	EXPECT_RETURNS(&self->calls, 1, true, 0);
}

/* ---- a consumer ---- */

/* It has released whole records: the others are there. */
TEST_F(records, some_are_released)
{
	struct own_end end;
	int i, n;

	for (n = 0; n <= 4; n++) {
		ASSERT_TRUE(put_good(self->fd, 0, 4));
		ASSERT_TRUE(end_open(&end, &self->dev, false));
		for (i = 0; i < n; i++)
			store(end.page, load(end.page) + room_of(100 + i));
		end_close(&end);
		EXPECT_EQ(4 - n, good_records(self->dev.fd, n));
	}
}

/* A position where no record begins: the next one cannot be found. */
TEST_F(records, in_the_middle_of_a_payload)
{
	struct own_end end;
	long at, cleared;
	char zero[200];

	memset(zero, 0, sizeof(zero));
	for (at = 8; at < room_of(200); at += 8) {
		ASSERT_EQ(200, write(self->fd, zero, 200));
		ASSERT_TRUE(put_good(self->fd, 0, 2));
		cleared = attr_get("stats/bytes_cleared");
		ASSERT_TRUE(end_open(&end, &self->dev, false));
		store(end.page, load(end.page) + at);
		end_close(&end);
		EXPECT_EQ(0, good_records(self->dev.fd, 0)) {
			TH_LOG("%ld bytes into a record", at);
		}
		/* What was dropped is counted as cleared. */
		EXPECT_EQ(cleared + room_of(200) - at + room_of(100) + room_of(101),
			  attr_get("stats/bytes_cleared"));
		EXPECT_EQ(0, bytes_missing());
		ASSERT_TRUE(put_good(self->dev.fd, 0, 3));
		ASSERT_EQ(3, good_records(self->dev.fd, 0));
	}
}

/* What is there looks like a record, but not what follows. */
TEST_F(records, at_what_looks_like_a_record)
{
	__u64 fake[25], raw = raw_header(8, 0);
	long cleared, n, written;
	struct own_end end;
	int i;

	for (n = 1; n < 8; n++) {
		memset(fake, 0xff, sizeof(fake));
		for (i = 0; i < n; i++)
			fake[2 * i] = raw;
		ASSERT_EQ(200, write(self->fd, fake, 200));
		ASSERT_TRUE(put_good(self->fd, 0, 2));
		cleared = attr_get("stats/bytes_cleared");
		written = attr_get("stats/bytes_written");
		ASSERT_TRUE(end_open(&end, &self->dev, false));
		store(end.page, load(end.page) + HEADER);
		end_close(&end);
		EXPECT_EQ(0, good_records(self->dev.fd, 0)) {
			TH_LOG("after %ld of them", n);
		}
		EXPECT_EQ(cleared + 200 + room_of(100) + room_of(101),
			  attr_get("stats/bytes_cleared"));
		EXPECT_EQ(written, attr_get("stats/bytes_written"));
		EXPECT_EQ(0, bytes_missing());
		ASSERT_TRUE(put_good(self->dev.fd, 0, 3));
		ASSERT_EQ(3, good_records(self->dev.fd, 0));
	}
}

/* An impossible position: what was there when the claim began is there again. */
TEST_F(records, impossible_position_of_a_consumer)
{
	struct own_end end;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		ASSERT_TRUE(put_good(self->fd, 0, 3));
		ASSERT_TRUE(end_open(&end, &self->dev, false));
		store(end.page, load(end.page) + odd[i]);
		end_close(&end);
		EXPECT_EQ(3, good_records(self->dev.fd, 0)) {
			TH_LOG("position %+lld", odd[i]);
		}
		ASSERT_TRUE(put_good(self->dev.fd, 0, 3));
		ASSERT_EQ(3, good_records(self->dev.fd, 0));
	}
}

/* The header at its position is wrong, since it has stored to the data. */
TEST_F(records, spoilt_by_the_consumer)
{
	struct own_end end;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		ASSERT_TRUE(put_good(self->fd, 0, 3));
		ASSERT_TRUE(end_open(&end, &self->dev, false));
		store(end.page, load(end.page) + room_of(100));
		store_header(&end, load(end.page), wrong_header(i));
		end_close(&end);
		EXPECT_EQ(0, good_records(self->dev.fd, 1));
		EXPECT_EQ(0, attr_get("size"));
		ASSERT_TRUE(put_good(self->dev.fd, 0, 3));
		ASSERT_EQ(3, good_records(self->dev.fd, 0));
	}
}

/* ---- both ends ---- */

/* The owners of both ends leave, in either order. */
TEST_F(records, both_leave)
{
	struct own_end in, out;
	int first, released;
	__u64 pos;
	size_t i;
	long id;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		for (first = 0; first < 2; first++) {
			for (released = 0; released < 3; released++) {
				ASSERT_TRUE(put_good(self->fd, 0, 1));
				ASSERT_TRUE(end_open(&in, &self->dev, true));
				ASSERT_TRUE(end_open(&out, &self->dev, false));
				pos = load(in.page);
				for (id = 1; id < 4; id++)
					pos = store_record(&in, pos, 100 + id, id);
				store_header(&in, pos, wrong_header(i));
				store(in.page, pos + 32);
				for (id = 0; id < released; id++)
					store(out.page, load(out.page) +
							room_of(100 + id));
				end_close(first ? &in : &out);
				end_close(first ? &out : &in);
				ASSERT_EQ(4 - released, good_records(self->dev.fd,
								     released)) {
					TH_LOG("%s leaves first, header %#llx",
					       first ? "producer" : "consumer",
					       wrong_header(i));
				}
				ASSERT_TRUE(put_good(self->dev.fd, 0, 3));
				ASSERT_EQ(3, good_records(self->dev.fd, 0));
			}
		}
	}
}

/*
 * Calls have queued records behind those of a bad owner. They cannot be found, but it is
 * not as if they had never been written.
 */
TEST_F(records, calls_between_the_two_ends)
{
	long written, cleared, size, before;
	struct own_end in, out;
	int again;
	__u64 pos;

	for (again = 0; again < 2; again++) {
		ASSERT_TRUE(put_good(self->fd, 0, 1));
		ASSERT_TRUE(end_open(&in, &self->dev, true));
		ASSERT_TRUE(end_open(&out, &self->dev, false));
		pos = store_record(&in, load(in.page), 101, 1);
		store_header(&in, pos, wrong_header(0));
		store(in.page, pos + 32);
		end_close(&in);
		ASSERT_TRUE(put_good(self->fd, 2, 2));
		/* Another owner does not make it better. */
		if (again) {
			ASSERT_TRUE(end_open(&in, &self->dev, true));
			publish_record(&in, 104, 4);
			end_close(&in);
		}
		written = attr_get("stats/bytes_written");
		cleared = attr_get("stats/bytes_cleared");
		before = attr_get("stats/records_written");
		size = attr_get("size");
		end_close(&out);
		EXPECT_EQ(written, attr_get("stats/bytes_written"));
		EXPECT_EQ(cleared + size, attr_get("stats/bytes_cleared"));
		EXPECT_EQ(before, attr_get("stats/records_written"));
		EXPECT_EQ(0, good_records(self->dev.fd, 0));
		EXPECT_EQ(0, bytes_missing());
		ASSERT_TRUE(put_good(self->dev.fd, 0, 3));
		ASSERT_EQ(3, good_records(self->dev.fd, 0));
	}
}

/* ---- anything ---- */

static __u64 some_position(__u64 *random, __u64 at, long cap)
{
	__u64 r = rnd(random);

	switch (rnd(random) % 8) {
	case 0:
		return r;
	case 1:
		return at + r % (cap + 9);
	case 2:
		return at - r % (cap + 9);
	case 3:
		return at + 1 + r % 7;
	default:
		return at + r % 60 * 8;
	}
}

/*
 * Stores as a bad owner does, with calls of others in between. The records of these end
 * with padding that cannot be taken for a header, whatever was there before.
 */
static void misbehave(struct own_end *end, struct vfifo *dev, bool producer,
		      __u64 *random)
{
	char tmp[300];
	int i;

	for (i = rnd(random) % 6; i >= 0; i--) {
		switch (rnd(random) % 4) {
		case 0:
			if (producer)
				publish_record(end, 1 + rnd(random) % 200, i);
			break;
		case 1:
			if (producer)
				store_header(end, load(end->page) & -8ULL,
					     raw_header(rnd(random) % 100,
							!(rnd(random) % 4)));
			break;
		default:
			store(end->page, some_position(random, load(end->page),
						       end->cap));
		}
		switch (rnd(random) % 6) {
		case 0:
			ioctl(dev->fd, VFIFO_CLEAR);
			break;
		case 1:
		case 2:
			if (read(dev->fd, tmp, sizeof(tmp)) < 0)
				put_record(dev->fd, 8 + rnd(random) % 40 * 8, 5);
			break;
		case 3:
			queued(dev->fd);
			ioctl(dev->fd, VFIFO_NOTIFY);
		}
	}
}

/* Whatever is left can be read, and then everything works. */
static bool works(struct vfifo *dev, __u64 *random)
{
	static char buf[1 << 20];
	long n;

	while ((n = res(read(dev->fd, buf, sizeof(buf)))) > 0)
		if (!(rnd(random) % 8))
			put_record(dev->fd, 16, 1);
	return n == -EAGAIN && !(attr_get("stats/bytes_written") % 8) &&
	       put_good(dev->fd, 0, 3) && good_records(dev->fd, 0) == 3 &&
	       !bytes_missing();
}

static void random_owners(struct __test_metadata *_metadata,
			  struct records_data *self, bool in, bool out)
{
	__u64 random = vfifo_seed + in + 2 * out, before;
	struct own_end end[2];
	__s64 start = now_ms();
	bool first;
	long i;

	LOG_SEED();
	self->breaks = true;
	ASSERT_EQ(0, attr_set("capacity", self->page));
	self->cap = self->page;
	memset(end, 0, sizeof(end));
	for (i = 0; more_cases(i, start); i++) {
		before = random;
		put_good(self->dev.fd, 0, rnd(&random) % 4);
		if (in)
			ASSERT_TRUE(end_open(&end[0], &self->dev, true));
		if (out)
			ASSERT_TRUE(end_open(&end[1], &self->dev, false));
		if (in)
			misbehave(&end[0], &self->dev, true, &random);
		if (out)
			misbehave(&end[1], &self->dev, false, &random);
		if (in && rnd(&random) % 2)
			misbehave(&end[0], &self->dev, true, &random);
		first = rnd(&random) % 2;
		end_close(&end[first]);
		end_close(&end[!first]);
		ASSERT_TRUE(works(&self->dev, &random)) {
			TH_LOG("case %ld, state of the generator %#llx, errors %ld",
			       i, before, attr_get("stats/position_errors"));
		}
	}
	TH_LOG("%ld cases", i);
}

TEST_F_TIMEOUT(records, any_producer, 6 * 60 * 60)
{
	random_owners(_metadata, self, true, false);
}

TEST_F_TIMEOUT(records, any_consumer, 6 * 60 * 60)
{
	random_owners(_metadata, self, false, true);
}

TEST_F_TIMEOUT(records, any_two, 6 * 60 * 60)
{
	random_owners(_metadata, self, true, true);
}

int main(int argc, char **argv)
{
	cases_option(&argc, argv, OFTEN(OFTEN(3000)));
	return vfifo_main(argc, argv);
}
