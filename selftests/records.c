// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Records by read(2) and write(2): one write is one record, and one read returns one
 * record, whole or not at all.
 */
#include "vfifo_record.h"

/* ---- lengths ---- */

TEST_F(records, one_write_one_record)
{
	static const long lens[] = { 1, 5, 8, 9, 100, 4096, 5000, 16384, 16385, 1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++)
		ASSERT_EQ(lens[i], put_record(i & 1 ? self->fd : self->dev.fd,
					      lens[i], i));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		EXPECT_EQ(lens[i], queued(self->fd));
		EXPECT_TRUE(get_record(i & 2 ? self->fd : self->dev.fd, lens[i],
				       i));
	}
	EXPECT_EQ(0, queued(self->fd));
	EXPECT_EQ(-EAGAIN, read_one(self->dev.fd));
}

TEST_F_TIMEOUT(records, every_length, 60)
{
	long len;

	ASSERT_EQ(0, attr_set("capacity", self->page));
	for (len = 1; len <= longest(self->page); len++) {
		ASSERT_EQ(len, put_record(self->dev.fd, len, len));
		ASSERT_EQ(len, queued(self->fd));
		if (!(len % 61))
			ASSERT_EQ(room_of(len), attr_get("size"));
		ASSERT_TRUE(get_record(self->dev.fd, len, len)) {
			TH_LOG("%ld bytes", len);
		}
	}
	EXPECT_EQ(-EMSGSIZE, put_record(self->dev.fd, len, len));
}

/* More than the capacity minus 8 is refused, at once and whatever is queued. */
TEST_F(records, longest_record)
{
	const long caps[] = {
		self->page, 2 * self->page, self->cap, 16 * self->cap,
	};
	long cap, most, written, n;
	char *buf = calloc(2, 16 * self->cap);
	size_t i, j;

	ASSERT_NE(NULL, buf);
	for (i = 0; i < ARRAY_SIZE(caps); i++) {
		const long wrong[] = {
			caps[i] - 7, caps[i] - 1, caps[i], caps[i] + 1,
			2 * caps[i], INT_MAX,
		};

		cap = caps[i];
		most = longest(cap);
		ASSERT_EQ(0, attr_set("capacity", cap));
		written = attr_get("stats/records_written");
		for (j = 0; j < ARRAY_SIZE(wrong); j++) {
			struct iovec iov[] = { { buf, 3 }, { buf, wrong[j] - 3 } };

			n = wrong[j];
			EXPECT_EQ(-EMSGSIZE, res(write(self->dev.fd, buf, n)));
			EXPECT_EQ(-EMSGSIZE, res(write(self->fd, buf, n)));
			EXPECT_EQ(-EMSGSIZE, res(writev(self->fd, iov, 2)));
			EXPECT_EQ(0, attr_get("size"));
		}
		ASSERT_EQ(most, put_record(self->dev.fd, most, i));
		EXPECT_EQ(cap, attr_get("size"));
		EXPECT_EQ(-EAGAIN, write_one(self->dev.fd));
		EXPECT_EQ(-EAGAIN, put_record(self->dev.fd, most, i));
		for (j = 0; j < ARRAY_SIZE(wrong); j++) {
			n = wrong[j];
			EXPECT_EQ(-EMSGSIZE, res(write(self->dev.fd, buf, n)));
			/* This does not sleep either. */
			EXPECT_EQ(-EMSGSIZE, res(write(self->fd, buf, n)));
		}
		EXPECT_EQ(most, queued(self->fd));
		EXPECT_EQ(written + 1, attr_get("stats/records_written"));
		EXPECT_TRUE(get_record(self->fd, most, i));
	}
	free(buf);
}

TEST_F(records, zero_length)
{
	long written = attr_get("stats/records_written");
	long count = attr_get("stats/records_read");
	struct iovec none[3] = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
	char c;
	int i;

	for (i = 0; i < 2; i++) {
		/* First with an empty FIFO, then with a full one. */
		EXPECT_EQ(0, res(write(self->fd, &c, 0)));
		EXPECT_EQ(0, res(write(self->dev.fd, &c, 0)));
		EXPECT_EQ(0, res(writev(self->fd, none, 3)));
		EXPECT_EQ(0, res(writev(self->fd, none, 0)));
		EXPECT_EQ(0, res(read(self->fd, &c, 0)));
		EXPECT_EQ(0, res(read(self->dev.fd, &c, 0)));
		EXPECT_EQ(0, res(readv(self->fd, none, 3)));
		EXPECT_EQ(i * self->cap, attr_get("size"));
		EXPECT_EQ(written + i, attr_get("stats/records_written"));
		EXPECT_EQ(count, attr_get("stats/records_read"));
		if (!i)
			ASSERT_TRUE(fill_except(self->fd, self->cap, 0, 3));
	}
	EXPECT_TRUE(get_record(self->fd, longest(self->cap), 3));
}

/* ---- several pieces of memory ---- */

TEST_F(records, vectors)
{
	char buf[300], a[1], b[99], c[200];
	struct iovec out[] = {
		{ buf, 1 }, { NULL, 0 }, { buf + 1, 99 }, { buf + 100, 200 },
	};
	struct iovec in[] = { { c, 200 }, { b, 99 }, { NULL, 0 }, { a, 1 } };
	long count;

	stream_fill(buf, sizeof(buf), RECORD_POS(1));
	EXPECT_EQ(300, res(writev(self->fd, out, 4)));
	EXPECT_EQ(100, res(pwritev2(self->fd, out, 3, -1, RWF_NOWAIT)));
	EXPECT_EQ(300, queued(self->fd));
	EXPECT_TRUE(get_record(self->fd, 300, 1));
	EXPECT_TRUE(get_record(self->fd, 100, 1));

	ASSERT_EQ(300, put_record(self->fd, 300, 2));
	ASSERT_EQ(150, put_record(self->fd, 150, 3));
	count = attr_get("stats/records_read");
	EXPECT_EQ(-EMSGSIZE, res(readv(self->fd, in, 3)));
	EXPECT_EQ(-EMSGSIZE, res(preadv2(self->fd, in, 2, -1, RWF_NOWAIT)));
	EXPECT_EQ(count, attr_get("stats/records_read"));
	EXPECT_EQ(300, res(readv(self->fd, in, 4)));
	EXPECT_TRUE(stream_equal(c, 200, RECORD_POS(2)));
	EXPECT_TRUE(stream_equal(b, 99, RECORD_POS(2) + 200));
	EXPECT_TRUE(stream_equal(a, 1, RECORD_POS(2) + 299));
	/* The rest of the memory stays as it is. */
	memset(b, UNUSED, sizeof(b));
	EXPECT_EQ(150, res(preadv2(self->fd, in, 4, -1, RWF_NOWAIT)));
	EXPECT_TRUE(stream_equal(c, 150, RECORD_POS(3)));
	EXPECT_TRUE(stream_equal(c + 150, 50, RECORD_POS(2) + 150));
	EXPECT_EQ(UNUSED, (__u8)b[0]);
}

TEST_F(records, many_pieces)
{
	struct iovec *iov = calloc(IOV_MAX, sizeof(*iov));
	char *buf = malloc(5 * IOV_MAX);
	long len = 3 * IOV_MAX;
	int i;

	stream_fill(buf, len, RECORD_POS(9));
	for (i = 0; i < IOV_MAX; i++) {
		iov[i].iov_base = buf + 3 * i;
		iov[i].iov_len = 3;
	}
	ASSERT_EQ(len, res(writev(self->fd, iov, IOV_MAX)));
	memset(buf, 0, 5 * IOV_MAX);
	for (i = 0; i < IOV_MAX; i++) {
		iov[i].iov_base = buf + 5 * i;
		iov[i].iov_len = 5;
	}
	EXPECT_EQ(-EMSGSIZE, res(readv(self->fd, iov, (len - 1) / 5)));
	EXPECT_EQ(len, res(readv(self->fd, iov, IOV_MAX)));
	EXPECT_TRUE(stream_equal(buf, len, RECORD_POS(9)));
	free(buf);
	free(iov);
}

/* ---- the end of the buffer ---- */

/* Moves both ends of the empty FIFO on by @bytes, a multiple of 8. */
static bool move_on(int fd, long bytes, long cap)
{
	char *buf = calloc(1, cap);
	long room;
	bool ok;

	/* The smallest record takes 16 bytes. */
	if (bytes == 8)
		bytes += cap;
	for (ok = true; ok && bytes; bytes -= room) {
		room = bytes > cap ? 16 : bytes;
		ok = write(fd, buf, room - HEADER) == room - HEADER &&
		     read(fd, buf, cap) == room - HEADER;
	}
	free(buf);
	return ok;
}

TEST_F_TIMEOUT(records, wraps_at_every_offset, 120)
{
	const long cap = self->page;
	const long lens[] = {
		1, 8, 9, 100, 1000, cap - 24, cap - 17, cap - 16, cap - 8,
	};
	long len, i;
	size_t n;

	ASSERT_EQ(0, attr_set("capacity", cap));
	for (n = 0; n < ARRAY_SIZE(lens); n++) {
		len = lens[n];
		for (i = 0; i < cap / 8; i++) {
			ASSERT_EQ(len, put_record(self->dev.fd, len, i));
			ASSERT_EQ(len, queued(self->dev.fd));
			ASSERT_TRUE(get_record(self->dev.fd, len, i)) {
				TH_LOG("%ld bytes", len);
			}
			ASSERT_TRUE(move_on(self->dev.fd,
					    (8 - room_of(len)) & (cap - 1), cap));
		}
	}
}

/* ---- a buffer that is too small ---- */

TEST_F(records, buffer_too_small)
{
	static const long large = 30000, n[] = { 1, 4096, 16384, 16385, 29999 };
	long count = attr_get("stats/records_read");
	char *tmp = malloc(large), c;
	size_t i;

	ASSERT_EQ(100, put_record(self->fd, 100, 1));
	ASSERT_EQ(5, put_record(self->fd, 5, 2));
	ASSERT_EQ(large, put_record(self->fd, large, 3));
	for (i = 1; i < 100; i++) {
		ASSERT_EQ(-EMSGSIZE, res(read(self->dev.fd, tmp, i)));
		ASSERT_EQ(100, queued(self->fd));
	}
	/* It does not wait for another record. */
	EXPECT_EQ(-EMSGSIZE, res(read(self->fd, tmp, 99)));
	EXPECT_EQ(count, attr_get("stats/records_read"));
	EXPECT_TRUE(get_record(self->fd, 100, 1));
	EXPECT_EQ(-EMSGSIZE, res(read(self->fd, tmp, 4)));
	EXPECT_EQ(5, res(read(self->fd, tmp, 5)));
	EXPECT_TRUE(stream_equal(tmp, 5, RECORD_POS(2)));
	for (i = 0; i < ARRAY_SIZE(n); i++) {
		EXPECT_EQ(-EMSGSIZE, res(read(self->fd, tmp, n[i])));
		EXPECT_EQ(large, queued(self->fd));
	}
	EXPECT_EQ(large, res(read(self->fd, tmp, large)));
	EXPECT_TRUE(stream_equal(tmp, large, RECORD_POS(3)));
	EXPECT_EQ(count + 3, attr_get("stats/records_read"));
	EXPECT_EQ(-EAGAIN, res(read(self->dev.fd, &c, 1)));
	free(tmp);
}

/* VFIFO_CLEAR drops it, with everything else. */
TEST_F(records, cleared)
{
	long cleared = attr_get("stats/bytes_cleared");
	long count = attr_get("stats/records_read");
	char c;

	ASSERT_EQ(100, put_record(self->fd, 100, 1));
	ASSERT_EQ(2000, put_record(self->fd, 2000, 2));
	EXPECT_EQ(-EMSGSIZE, res(read(self->fd, &c, 1)));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	EXPECT_EQ(0, queued(self->fd));
	EXPECT_EQ(0, attr_get("size"));
	EXPECT_EQ(-EAGAIN, read_one(self->dev.fd));
	EXPECT_EQ(cleared + room_of(100) + room_of(2000),
		  attr_get("stats/bytes_cleared"));
	EXPECT_EQ(count, attr_get("stats/records_read"));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	ASSERT_EQ(7, put_record(self->fd, 7, 3));
	EXPECT_TRUE(get_record(self->fd, 7, 3));
}

/* ---- calls that must not sleep ---- */

/* Eight bytes less than it needs, or exactly as many. */
TEST_F_TIMEOUT(records, all_or_nothing, 60)
{
	const long cap = self->page;
	long len, room, left, used;
	struct iovec iov;
	char *buf = calloc(1, cap);

	ASSERT_EQ(0, attr_set("capacity", cap));
	for (len = 1; room_of(len) + 16 <= cap; len += 1 + len / 13) {
		room = room_of(len);
		for (left = room - 8; left <= room; left += 8) {
			used = cap - left;
			ASSERT_TRUE(fill_except(self->dev.fd, cap, left, 1));
			if (left < room) {
				iov.iov_base = buf;
				iov.iov_len = len;
				EXPECT_EQ(-EAGAIN, put_record(self->dev.fd, len, 2));
				EXPECT_EQ(-EAGAIN, res(pwritev2(self->fd, &iov, 1,
								-1, RWF_NOWAIT)));
			} else {
				EXPECT_EQ(len, put_record(self->dev.fd, len, 2));
				used = cap;
			}
			ASSERT_EQ(used, attr_get("size")) {
				TH_LOG("%ld bytes, room for %ld", len, left);
			}
			EXPECT_TRUE(get_record(self->fd, cap - left - HEADER, 1));
			if (left == room)
				EXPECT_TRUE(get_record(self->fd, len, 2));
		}
	}
	free(buf);
}

TEST_F(records, full_of_the_smallest)
{
	long i, most = self->cap / 16;

	for (i = 0; i < most; i++)
		ASSERT_EQ(1, put_record(self->dev.fd, 1, i));
	EXPECT_EQ(-EAGAIN, put_record(self->dev.fd, 1, i));
	for (i = 0; i < most; i++) {
		ASSERT_TRUE(get_record(self->dev.fd, 1, i));
		ASSERT_EQ(1, put_record(self->dev.fd, 1, most + i));
		ASSERT_EQ(-EAGAIN, put_record(self->dev.fd, 1, 0));
	}
	for (i = 0; i < most; i++)
		ASSERT_TRUE(get_record(self->dev.fd, 1, most + i));
	EXPECT_EQ(-EAGAIN, read_one(self->dev.fd));
}

TEST_F(records, flag_counts_at_the_call)
{
	struct iovec iov = { &iov, 1 };

	EXPECT_EQ(-EAGAIN, res(preadv2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, read_one(self->fd));
	ASSERT_TRUE(fill_except(self->fd, self->cap, 8, 1));
	EXPECT_EQ(-EAGAIN, write_one(self->fd));
	EXPECT_TRUE(get_record(self->fd, self->cap - 16, 1));
}

/* ---- calls that sleep ---- */

TEST_F(records, read_sleeps_for_a_record)
{
	SLEEP_IN(&self->calls, 0, -1, get_record(self->fd, 5000, 1));
	ASSERT_EQ(0, res(write(self->fd, "", 0)));
	EXPECT_STILL_SLEEPS(&self->calls, 0);
	ASSERT_EQ(5000, put_record(self->fd, 5000, 1));
	EXPECT_RETURNS(&self->calls, 0, true, 0);
	EXPECT_EQ(0, queued(self->fd));
}

/* Nothing of the record is queued before all of it fits. */
TEST_F(records, write_sleeps_for_room)
{
	static const long lens[] = { 1, 100, 4088, 4089, 4096, 4097, 30000 };
	long half = self->cap / 2, len, used, rest;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		len = lens[i];
		used = self->cap - room_of(len) + 8;
		/* The first record makes enough room, for any sleeper to be woken. */
		ASSERT_EQ(PIPE_BUF, put_record(self->dev.fd, PIPE_BUF, 1));
		rest = used - room_of(PIPE_BUF);
		ASSERT_EQ(rest - HEADER,
			  put_record(self->dev.fd, rest - HEADER, 2));
		SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, len, 3));
		EXPECT_EQ(used, attr_get("size"));
		ASSERT_TRUE(get_record(self->dev.fd, PIPE_BUF, 1));
		EXPECT_RETURNS(&self->calls, 0, len, 0);
		EXPECT_EQ(rest + room_of(len), attr_get("size"));
		EXPECT_TRUE(get_record(self->dev.fd, rest - HEADER, 2));
		EXPECT_TRUE(get_record(self->dev.fd, len, 3));
	}

	/* The longest record needs all of the room. */
	ASSERT_EQ(half, put_record(self->dev.fd, half, 4));
	ASSERT_EQ(1, put_record(self->dev.fd, 1, 5));
	SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, longest(self->cap), 6));
	ASSERT_TRUE(get_record(self->dev.fd, half, 4));
	EXPECT_STILL_SLEEPS(&self->calls, 0);
	EXPECT_EQ(16, attr_get("size"));
	ASSERT_TRUE(get_record(self->dev.fd, 1, 5));
	EXPECT_RETURNS(&self->calls, 0, longest(self->cap), 0);
	EXPECT_TRUE(get_record(self->dev.fd, longest(self->cap), 6));
}

TEST_F(records, interrupted)
{
	SLEEP_IN(&self->calls, 0, -1, read_one(self->fd));
	kill(self->calls.pid[0], SIGUSR1);
	EXPECT_RETURNS(&self->calls, 0, -EINTR, 0);
	ASSERT_EQ(9, put_record(self->fd, 9, 1));
	SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, longest(self->cap), 2));
	kill(self->calls.pid[0], SIGUSR1);
	EXPECT_RETURNS(&self->calls, 0, -EINTR, 0);
	EXPECT_EQ(room_of(9), attr_get("size"));
	EXPECT_TRUE(get_record(self->fd, 9, 1));
}

TEST_F(records, killed)
{
	SLEEP_IN(&self->calls, 0, -1, read_one(self->fd));
	EXPECT_EQ(-SIGKILL, child_kill(&self->calls.pid[0]));
	ASSERT_EQ(9, put_record(self->fd, 9, 1));
	SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, longest(self->cap), 2));
	EXPECT_EQ(-SIGKILL, child_kill(&self->calls.pid[0]));
	EXPECT_EQ(room_of(9), attr_get("size"));
	EXPECT_TRUE(get_record(self->fd, 9, 1));
	ASSERT_EQ(10000, put_record(self->dev.fd, 10000, 3));
	EXPECT_TRUE(get_record(self->dev.fd, 10000, 3));
}

/* ---- access ---- */

TEST_F(records, access_mode)
{
	int r = vfifo_open(O_RDONLY), w = vfifo_open(O_WRONLY);

	ASSERT_TRUE(r >= 0 && w >= 0);
	EXPECT_EQ(-EBADF, write_one(r));
	EXPECT_EQ(-EBADF, read_one(w));
	EXPECT_EQ(300, put_record(w, 300, 1));
	EXPECT_EQ(300, queued(w));
	EXPECT_EQ(-EBADF, res(ioctl(w, VFIFO_CLEAR)));
	EXPECT_TRUE(get_record(r, 300, 1));
	EXPECT_EQ(-ESPIPE, res(pwrite(w, "x", 1, 0)));
	EXPECT_EQ(0, queued(r));
	close(r);
	close(w);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
