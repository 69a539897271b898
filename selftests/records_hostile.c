// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Headers that were stored by somebody else, and positions that are not multiples of 8.
 * Whatever they are, a read returns a whole record of the length that its header said, or
 * the FIFO enters its error state: EIO for all until it is cleared or a claim ends.
 *
 * "-n CASES" makes the random tests try that many cases.
 */
#include <poll.h>

#include "vfifo_record.h"

static long flags(int fd)
{
	struct vfifo_info info = { .size = sizeof(info) };

	return ioctl(fd, VFIFO_GET_INFO, &info) ? -errno : (long)info.flags;
}

/*
 * The FIFO is in its error state, which began with the last call, and @errors is what
 * stats/position_errors was before. Nothing but the next step ends it.
 */
static void expect_broken(struct __test_metadata *_metadata, int fd, long errors,
			  bool reads, bool writes)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	char tmp[1000];

	if (reads)
		EXPECT_EQ(-EIO, res(read(fd, tmp, sizeof(tmp))));
	if (writes)
		EXPECT_EQ(-EIO, res(write(fd, tmp, 8)));
	EXPECT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(POLLIN | POLLOUT | POLLERR, p.revents);
	EXPECT_LE(0, queued(fd));
	EXPECT_EQ(VFIFO_BROKEN, flags(fd) & VFIFO_BROKEN);
	EXPECT_EQ(errors + 1, attr_get("stats/position_errors"));
}

/* Headers that are wrong if @left bytes are published from there on. */
static int wrong_headers(__u64 *raw, long left, long cap)
{
	const __u64 all[] = {
		raw_header(0, 0), raw_header(left - 7, 0), raw_header(left, 0),
		raw_header(left + 1, 0), raw_header(cap - 7, 0), raw_header(cap, 0),
		raw_header(0x7fffffff, 0), raw_header(0x80000000, 0),
		raw_header(0xffffffff, 0), raw_header(0xfffffff8, 0),
		raw_header(0xfffffff9, 0), raw_header(0xfffffff0, 0),
		raw_header(8, 1), raw_header(8, 0x80000000), raw_header(8, 0xffffffff),
		raw_header(0, 1), raw_header(0xffffffff, 0xffffffff),
	};

	memcpy(raw, all, sizeof(all));
	return ARRAY_SIZE(all);
}

#define MOST_WRONG	17

/* ---- headers ---- */

/* A program that has only mapped the data changes the header of a queued record. */
TEST_F(records, wrong_header)
{
	struct own_end end = { .cap = self->cap };
	struct vfifo_end *tail = view_end(self->fd, false);
	__u64 raw[MOST_WRONG], pos;
	int i, n, behind;
	long errors, left;

	self->breaks = true;
	end.data = map_data(self->fd, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(end.data && tail);
	for (behind = 0; behind < 2; behind++) {
		left = room_of(100) + behind * room_of(50);
		n = wrong_headers(raw, left, self->cap);
		for (i = 0; i < n; i++) {
			pos = load(tail);
			ASSERT_EQ(100, put_record(self->fd, 100, 1));
			if (behind)
				ASSERT_EQ(50, put_record(self->fd, 50, 2));
			errors = attr_get("stats/position_errors");
			store_header(&end, pos, raw[i]);
			EXPECT_LE(0, queued(self->fd));
			expect_broken(_metadata, self->dev.fd, errors, true, true);
			/* A good header does not end it. */
			store_header(&end, pos, raw_header(100, 0));
			expect_broken(_metadata, self->dev.fd, errors, true, true);
			EXPECT_EQ(left, attr_get("size"));
			ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
			EXPECT_EQ(-EAGAIN, read_one(self->dev.fd));
			EXPECT_EQ(0, flags(self->fd) & VFIFO_BROKEN);
			ASSERT_EQ(70, put_record(self->dev.fd, 70, 3));
			ASSERT_TRUE(get_record(self->dev.fd, 70, 3)) {
				TH_LOG("after header %#llx", raw[i]);
			}
		}
	}
	end_close(&end);
	unmap_page(&tail);
}

/* Each bit of a good header, one at a time: the answer follows from the format. */
TEST_F(records, single_bits)
{
	struct own_end end = { .cap = self->cap };
	struct vfifo_end *tail = view_end(self->fd, false);
	long len, want, bit;
	__u64 raw, pos;
	struct vfifo_record header;
	char *buf = malloc(self->cap);

	self->breaks = true;
	end.data = map_data(self->fd, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(end.data && tail);
	for (len = 1; len < 3000; len += 1 + len * 2) {
		for (bit = 0; bit < 64; bit++) {
			pos = load(tail);
			ASSERT_EQ(len, put_record(self->fd, len, 1));
			ASSERT_EQ(2000, put_record(self->fd, 2000, 2));
			raw = raw_header(len, 0) ^ (1ULL << bit);
			memcpy(&header, &raw, sizeof(header));
			want = header.len;
			if (header.flags || !header.len ||
			    room_of(want) > room_of(len) + room_of(2000))
				want = -EIO;
			store_header(&end, pos, raw);
			ASSERT_EQ(want, res(read(self->dev.fd, buf, self->cap))) {
				TH_LOG("%ld bytes, bit %ld", len, bit);
			}
			if (want > 0) {
				EXPECT_EQ(0, memcmp(buf, byte_at(&end, pos) + HEADER,
						    want));
				EXPECT_EQ(pos + room_of(want), load(tail));
			}
			ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		}
	}
	free(buf);
	end_close(&end);
	unmap_page(&tail);
}

/* The owner of the producer's end publishes it, or a position inside of a record. */
TEST_F(records, wrong_record_from_a_producer)
{
	__u64 raw[MOST_WRONG], pos;
	struct own_end end;
	int i, n, good;
	long errors;

	self->breaks = true;
	ASSERT_TRUE(end_open(&end, &self->dev, true));
	n = wrong_headers(raw, 112, self->cap);
	for (good = 0; good < 2; good++) {
		for (i = 0; i < n; i++) {
			if (good)
				publish_record(&end, 30, 1);
			errors = attr_get("stats/position_errors");
			pos = load(end.page);
			store_header(&end, pos, raw[i]);
			store(end.page, pos + 112);
			/* Records before that are good. */
			if (good)
				EXPECT_TRUE(get_record(self->dev.fd, 30, 1));
			EXPECT_EQ(-EIO, read_one(self->dev.fd));
			expect_broken(_metadata, self->dev.fd, errors, true, false);
			ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
			publish_record(&end, 9, 5);
			ASSERT_TRUE(get_record(self->dev.fd, 9, 5));
		}
	}
	end_close(&end);
}

/* ---- positions that are not multiples of 8 ---- */

TEST_F(records, misaligned_producer)
{
	struct own_end end;
	long errors, off;
	__u64 pos;

	self->breaks = true;
	ASSERT_TRUE(end_open(&end, &self->dev, true));
	for (off = 1; off < 24; off++) {
		if (!(off % 8))
			continue;
		errors = attr_get("stats/position_errors");
		pos = load(end.page);
		store_record(&end, pos, 8, 1);
		store(end.page, pos + off);
		EXPECT_EQ(-EIO, read_one(self->dev.fd)) {
			TH_LOG("offset %ld", off);
		}
		expect_broken(_metadata, self->dev.fd, errors, true, false);
		store(end.page, pos + 16);
		expect_broken(_metadata, self->dev.fd, errors, true, false);
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		publish_record(&end, 9, 2);
		ASSERT_TRUE(get_record(self->dev.fd, 9, 2));
	}
	end_close(&end);
}

/* Clearing believes the position. The end of the claim still leaves a FIFO that works. */
TEST_F(records, misaligned_producer_and_cleared)
{
	struct own_end end;
	long off;

	self->breaks = true;
	for (off = 1; off < 24; off++) {
		ASSERT_TRUE(end_open(&end, &self->dev, true));
		store(end.page, load(end.page) + off);
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		end_close(&end);
		EXPECT_EQ(0, attr_get("stats/bytes_written") % 8);
		EXPECT_EQ(-EAGAIN, read_one(self->dev.fd));
		ASSERT_EQ(9, put_record(self->dev.fd, 9, off)) {
			TH_LOG("offset %ld", off);
		}
		ASSERT_TRUE(get_record(self->dev.fd, 9, off));
	}
}

TEST_F(records, misaligned_consumer)
{
	long errors, off, claim;
	struct own_end end;

	self->breaks = true;
	for (off = 1; off < 24; off++) {
		if (!(off % 8))
			continue;
		for (claim = 0; claim < 2; claim++) {
			ASSERT_EQ(100, put_record(self->fd, 100, 1));
			ASSERT_EQ(8, put_record(self->fd, 8, 2));
			errors = attr_get("stats/position_errors");
			ASSERT_TRUE(end_open(&end, &self->dev, false));
			store(end.page, load(end.page) + off);
			EXPECT_EQ(-EIO, put_record(self->dev.fd, 8, 3)) {
				TH_LOG("offset %ld", off);
			}
			expect_broken(_metadata, self->dev.fd, errors, false, true);
			/* A correct position does not end it; the end of the claim does. */
			if (claim)
				store(end.page, load(end.page) - off);
			expect_broken(_metadata, self->dev.fd, errors, false, true);
			end_close(&end);
			/* The last good position: both records are there. */
			EXPECT_TRUE(get_record(self->dev.fd, 100, 1));
			EXPECT_TRUE(get_record(self->dev.fd, 8, 2));
			ASSERT_EQ(9, put_record(self->dev.fd, 9, 4)) {
				TH_LOG("after offset %ld", off);
			}
			ASSERT_TRUE(get_record(self->dev.fd, 9, 4));
		}
	}
}

/* A sleeping call gets the error after VFIFO_NOTIFY. */
TEST_F(records, sleepers_get_the_error)
{
	struct own_end end;
	__u64 pos;

	self->breaks = true;
	ASSERT_TRUE(end_open(&end, &self->dev, true));
	SLEEP_IN(&self->calls, 0, -1, read_one(self->fd));
	SLEEP_IN(&self->calls, 1, -1, read_one(self->fd));
	pos = load(end.page);
	store_header(&end, pos, raw_header(0, 0));
	store(end.page, pos + 64);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	EXPECT_RETURNS(&self->calls, 0, -EIO, 0);
	EXPECT_RETURNS(&self->calls, 1, -EIO, 0);
	end_close(&end);

	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	ASSERT_EQ(8, put_record(self->fd, 8, 1));
	ASSERT_TRUE(end_open(&end, &self->dev, false));
	SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, longest(self->cap), 2));
	store(end.page, load(end.page) + 4);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	EXPECT_EQ(-EIO, put_record(self->dev.fd, 8, 3));
	EXPECT_RETURNS(&self->calls, 0, -EIO, 0);
	end_close(&end);
	EXPECT_TRUE(get_record(self->dev.fd, 8, 1));
}

/* ---- random headers and positions ---- */

/* How many bytes the producer publishes: mostly a possible number. */
static __u64 some_bytes(__u64 *random, long cap)
{
	__u64 r = rnd(random);

	switch (rnd(random) % 16) {
	case 0:
		return 0;
	case 1:
		return cap;
	case 2:
		return r % (cap + 16);
	case 3:
		return cap + 8 + r % 64;
	case 4:
		return -(1 + r % 64);
	case 5:
		return r;
	case 6:
		return 1ULL << (r % 64);
	case 7:
		return r % (cap / 8) * 8;
	default:
		return 8 + r % 32 * 8;
	}
}

static __u64 some_header(__u64 *random, __u64 left)
{
	__u32 r = rnd(random), near = left - 8 - 12 + r % 24;

	switch (rnd(random) % 16) {
	case 0:
		return rnd(random);
	case 1:
		return raw_header(0, 0);
	case 2:
		return raw_header(r, 0);
	case 3:
		return raw_header(-(1 + r % 24), 0);
	case 4:
		return raw_header(near, 1U << (r % 32));
	case 5:
	case 6:
		return raw_header(1 + r % 40, 0);
	default:
		return raw_header(near, 0);
	}
}

/* Reads return exactly what vfifo.h says. */
TEST_F_TIMEOUT(records, answers_are_exact, 6 * 60 * 60)
{
	__u64 random = vfifo_seed, pos, left, raw;
	struct vfifo_end *tail = view_end(self->fd, false);
	long errors = attr_get("stats/position_errors"), broken = 0, i, want, n;
	char *buf = malloc(self->cap);
	__s64 start = now_ms();
	struct vfifo_record header;
	struct own_end end;
	bool good;

	LOG_SEED();
	self->breaks = true;
	ASSERT_TRUE(end_open(&end, &self->dev, true));
	ASSERT_TRUE(tail && buf);
	pos = load(end.page);
	for (i = 0; more_cases(i, start); i++) {
		left = some_bytes(&random, self->cap);
		raw = some_header(&random, left);
		memcpy(&header, &raw, sizeof(header));
		store_header(&end, pos, raw);
		store(end.page, pos + left);
		n = rnd(&random) % 2 ? self->cap : 1 + rnd(&random) % 300;
		good = left <= (__u64)self->cap && !(left % 8) && header.len &&
		       !header.flags && (__u64)room_of(header.len) <= left;
		want = !left ? -EAGAIN : !good ? -EIO :
		       (long)header.len > n ? -EMSGSIZE : (long)header.len;
		if (good && left)
			ASSERT_EQ(header.len, queued(self->fd));
		ASSERT_EQ(want, res(read(self->dev.fd, buf, n))) {
			TH_LOG("case %ld: %llu bytes, header %#llx", i, left, raw);
		}
		broken += want == -EIO;
		if (want > 0) {
			ASSERT_EQ(0, memcmp(buf, byte_at(&end, pos) + HEADER, want));
			ASSERT_EQ(pos + room_of(want), load(tail));
		}
		/* All ways out of the error state, which also drop the rest. */
		switch (rnd(&random) % 64) {
		case 0:
			end_close(&end);
			ASSERT_TRUE(end_open(&end, &self->dev, true));
			break;
		case 1:
			ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
			end_close(&end);
			ASSERT_TRUE(end_open(&end, &self->dev, true));
			break;
		default:
			pos = (pos + left) & -8ULL;
			store(end.page, pos);
		}
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		pos = load(end.page);
		ASSERT_EQ(0, pos % 8) {
			TH_LOG("case %ld: position %llu", i, pos);
		}
	}
	EXPECT_EQ(errors + broken, attr_get("stats/position_errors"));
	TH_LOG("%ld cases, of which %ld were wrong", i, broken);
	end_close(&end);
	unmap_page(&tail);
	free(buf);
}

/*
 * Writes accept exactly the positions of a consumer that are multiples of 8 between its last
 * one and the producer's. After another one, the end of the claim goes back to the last
 * that was accepted.
 */
TEST_F_TIMEOUT(records, positions_of_a_consumer, 6 * 60 * 60)
{
	const long room = room_of(8);
	__u64 random = vfifo_seed + 1, head, seen, pos;
	long errors = attr_get("stats/position_errors"), broken = 0, i, want;
	struct own_end end;
	__s64 start = now_ms();
	bool good;

	LOG_SEED();
	self->breaks = true;
	ASSERT_TRUE(end_open(&end, &self->dev, false));
	seen = load(end.page);
	head = seen;
	for (i = 0; more_cases(i, start); i++) {
		/* At the start of one of the records, or a wrong one. */
		pos = seen + rnd(&random) % ((head - seen) / room + 1) * room;
		switch (rnd(&random) % 16) {
		case 0:
			pos += 1 + rnd(&random) % 7;
			break;
		case 1:
			pos = seen - 1 - rnd(&random) % 64;
			break;
		case 2:
			pos = head + 1 + rnd(&random) % 64;
			break;
		case 3:
			pos = rnd(&random);
			break;
		case 4:
			pos = head - self->cap - 8 * (rnd(&random) % 3);
			break;
		case 5:
			pos = seen;
		}
		good = head - pos <= head - seen && !(pos % 8) &&
		       !((pos - seen) % room);
		if (!good && !(pos % 8) && head - pos <= head - seen)
			continue;
		store(end.page, pos);
		want = !good ? -EIO :
		       self->cap - (long)(head - pos) < room ? -EAGAIN : 8;
		ASSERT_EQ(want, put_record(self->dev.fd, 8, i)) {
			TH_LOG("case %ld: %llx after %llx, producer at %llx", i, pos,
			       seen, head);
		}
		if (good)
			seen = pos;
		if (want == 8)
			head += room;
		if (good)
			continue;
		broken++;
		end_close(&end);
		ASSERT_TRUE(end_open(&end, &self->dev, false));
		ASSERT_EQ(seen, load(end.page)) {
			TH_LOG("case %ld: %llx after %llx, producer at %llx", i, pos,
			       seen, head);
		}
	}
	EXPECT_EQ(errors + broken, attr_get("stats/position_errors"));
	TH_LOG("%ld cases, of which %ld were wrong", i, broken);
	end_close(&end);
}

int main(int argc, char **argv)
{
	cases_option(&argc, argv, OFTEN(OFTEN(100000)));
	return vfifo_main(argc, argv);
}
