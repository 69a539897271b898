// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * splice(2), sendfile(2) and tee(2) with records: each read that they make takes a record,
 * and each write that they make is one. Where a record would be torn, they are refused, and
 * nothing is lost.
 */
#include <sys/sendfile.h>

#define RECORDS_OWN_FIXTURE
#include "vfifo_record.h"

FIXTURE(spliced)
{
	struct vfifo dev;
	struct health health;
	struct ends calls;	/* for SLEEP_IN() and its companions, nothing else */
	long cap, page;
	int fd;			/* blocks */
	int pipe[2];		/* O_NONBLOCK, 16 pages */
	char *buf;		/* twice the capacity, from the stream */
	long errors;
};

FIXTURE_SETUP(spliced)
{
	health_begin(&self->health);
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	ASSERT_EQ(0, attr_store("framing", "record"));
	self->cap = self->dev.capacity;
	self->page = self->dev.page;
	self->errors = attr_get("stats/position_errors");
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, pipe2(self->pipe, O_NONBLOCK | O_CLOEXEC));
	ASSERT_EQ(16 * self->page, fcntl(self->pipe[1], F_SETPIPE_SZ,
					 16 * self->page));
	self->buf = malloc(2 * self->cap);
	ASSERT_NE(NULL, self->buf);
	stream_fill(self->buf, 2 * self->cap, 0);
	self->calls.out = shared(CALLERS * sizeof(*self->calls.out));
	ASSERT_NE(NULL, self->calls.out);
}

FIXTURE_TEARDOWN(spliced)
{
	int i;

	for (i = 0; i < CALLERS; i++)
		child_kill(&self->calls.pid[i]);
	EXPECT_EQ(0, bytes_missing());
	EXPECT_TRUE(record_passes(self->dev.fd));
	EXPECT_EQ(self->errors, attr_get("stats/position_errors"));
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
	free(self->buf);
	close(self->pipe[0]);
	close(self->pipe[1]);
	close(self->fd);
	vfifo_teardown(&self->dev);
}

#define TO(len)		res(splice(self->pipe[0], NULL, self->dev.fd, NULL, len, \
				   SPLICE_F_NONBLOCK))
#define FROM(len)	res(splice(self->dev.fd, NULL, self->pipe[1], NULL, len, 0))

/* Takes a record: true if it is @len bytes of the stream from @pos on. */
static bool got(int fd, long len, __u64 pos)
{
	char *buf = malloc(len + 1);
	bool right;

	right = read(fd, buf, len + 1) == len && stream_equal(buf, len, pos);
	free(buf);
	return right;
}

/* ---- to the device ---- */

TEST_F(spliced, one_write_to_it)
{
	ASSERT_EQ(3000, write(self->pipe[1], self->buf, 3000));
	EXPECT_EQ(3000, TO(3000));
	EXPECT_EQ(3000, queued(self->fd));
	EXPECT_TRUE(got(self->fd, 3000, 0));

	/* What is in the pipe, if more is asked for. */
	ASSERT_EQ(10000, write(self->pipe[1], self->buf, 10000));
	EXPECT_EQ(10000, TO(1 << 20));
	EXPECT_TRUE(got(self->fd, 10000, 0));
	EXPECT_EQ(-EAGAIN, res(splice(self->pipe[0], NULL, self->dev.fd, NULL, 1,
				      SPLICE_F_NONBLOCK)));

	/* As much as is asked for, if more is in the pipe. */
	ASSERT_EQ(10000, write(self->pipe[1], self->buf, 10000));
	EXPECT_EQ(1, TO(1));
	EXPECT_EQ(5000, TO(5000));
	EXPECT_EQ(4999, TO(4999));
	EXPECT_EQ(1, queued(self->fd));
	EXPECT_TRUE(got(self->fd, 1, 0));
	EXPECT_TRUE(got(self->fd, 5000, 1));
	EXPECT_TRUE(got(self->fd, 4999, 5001));
	EXPECT_EQ(0, attr_get("size"));
}

/* However many buffers of the pipe it comes from. */
TEST_F(spliced, several_buffers_are_one_record)
{
	long written = attr_get("stats/records_written"), i, len = 0;
	int other[2];

	/* Buffers of a pipe with O_DIRECT are not filled up. */
	ASSERT_EQ(0, pipe2(other, O_DIRECT | O_NONBLOCK | O_CLOEXEC));
	for (i = 1; i <= 8; i++) {
		ASSERT_EQ(100 * i, write(other[1], self->buf + len, 100 * i));
		len += 100 * i;
	}
	EXPECT_EQ(len, res(splice(other[0], NULL, self->dev.fd, NULL, len, 0)));
	EXPECT_EQ(written + 1, attr_get("stats/records_written"));
	EXPECT_TRUE(got(self->fd, len, 0));
	close(other[0]);
	close(other[1]);
}

TEST_F(spliced, too_long_for_it)
{
	char *tmp = malloc(4 * self->page);

	ASSERT_EQ(0, attr_set("capacity", self->page));
	ASSERT_EQ(4 * self->page, write(self->pipe[1], self->buf, 4 * self->page));
	EXPECT_EQ(-EMSGSIZE, TO(4 * self->page));
	EXPECT_EQ(-EMSGSIZE, TO(self->page - 7));
	EXPECT_EQ(0, attr_get("size"));
	/* The bytes are still in the pipe, and a shorter record takes the first ones. */
	EXPECT_EQ(4 * self->page, queued(self->pipe[0]));
	EXPECT_EQ(self->page - 8, TO(self->page - 8));
	EXPECT_TRUE(got(self->fd, self->page - 8, 0));
	EXPECT_EQ(3 * self->page + 8, res(read(self->pipe[0], tmp, 4 * self->page)));
	EXPECT_TRUE(stream_equal(tmp, 3 * self->page + 8, self->page - 8));
	free(tmp);
}

/* Not a part of the record, if it does not fit now. */
TEST_F(spliced, without_room)
{
	ASSERT_TRUE(fill_except(self->fd, self->cap, 3000, 1));
	ASSERT_EQ(5000, write(self->pipe[1], self->buf, 5000));
	EXPECT_EQ(-EAGAIN, TO(5000));
	EXPECT_EQ(self->cap - 3000, attr_get("size"));
	EXPECT_EQ(5000, queued(self->pipe[0]));
	SLEEP_IN(&self->calls, 0, -1,
		 splice(self->pipe[0], NULL, self->fd, NULL, 5000, 0));
	ASSERT_TRUE(get_record(self->dev.fd, self->cap - 3000 - HEADER, 1));
	EXPECT_RETURNS(&self->calls, 0, 5000, 0);
	EXPECT_TRUE(got(self->fd, 5000, 0));
	EXPECT_EQ(0, queued(self->pipe[0]));
}

/* ---- from the device ---- */

static bool pipe_has(int fd, long len, __u64 id)
{
	char *buf = malloc(len + 1);
	bool right;

	right = read(fd, buf, len + 1) == len &&
		stream_equal(buf, len, RECORD_POS(id));
	free(buf);
	return right;
}

TEST_F(spliced, one_record_from_it)
{
	static const long lens[] = { 100, 1, 4096, 5000, 16384, 30000 };
	size_t i;

	EXPECT_EQ(-EAGAIN, FROM(100));
	for (i = 0; i < ARRAY_SIZE(lens); i++)
		ASSERT_EQ(lens[i], put_record(self->fd, lens[i], i));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		EXPECT_EQ(-EMSGSIZE, lens[i] > 1 ? FROM(lens[i] - 1) : -EMSGSIZE);
		EXPECT_EQ(lens[i], queued(self->fd));
		EXPECT_EQ(lens[i], FROM(i & 1 ? lens[i] : 16 * self->page));
		EXPECT_EQ(lens[i], queued(self->pipe[0]));
		EXPECT_TRUE(pipe_has(self->pipe[0], lens[i], i));
	}
	EXPECT_EQ(-EAGAIN, FROM(100));
}

/* The pipe has too little room. */
TEST_F(spliced, too_long_for_the_pipe)
{
	long len = 3 * self->page, most = 20 * self->page;

	ASSERT_EQ(len, put_record(self->fd, len, 1));
	ASSERT_EQ(2 * self->page, fcntl(self->pipe[1], F_SETPIPE_SZ, 2 * self->page));
	EXPECT_EQ(-EMSGSIZE, FROM(len));
	EXPECT_EQ(-EMSGSIZE, FROM(most));
	EXPECT_EQ(0, queued(self->pipe[0]));
	EXPECT_EQ(len, queued(self->fd));
	ASSERT_EQ(4 * self->page, fcntl(self->pipe[1], F_SETPIPE_SZ, 4 * self->page));
	/* Two of the four buffers are in use. */
	ASSERT_EQ(self->page + 1, write(self->pipe[1], self->buf, self->page + 1));
	EXPECT_EQ(-EMSGSIZE, FROM(len));
	ASSERT_EQ(self->page + 1, read(self->pipe[0], self->buf, self->page + 1));
	EXPECT_EQ(len, FROM(len));
	EXPECT_TRUE(pipe_has(self->pipe[0], len, 1));

	/* More than any pipe has at first. */
	ASSERT_EQ(0, attr_set("capacity", 2 * most));
	ASSERT_EQ(most, put_record(self->fd, most, 2));
	ASSERT_EQ(16 * self->page, fcntl(self->pipe[1], F_SETPIPE_SZ,
					 16 * self->page));
	EXPECT_EQ(-EMSGSIZE, FROM(most));
	EXPECT_EQ(most, queued(self->fd));
	if (fcntl(self->pipe[1], F_SETPIPE_SZ, 2 * most) >= most) {
		EXPECT_EQ(most, FROM(most));
		EXPECT_TRUE(pipe_has(self->pipe[0], most, 2));
	}
}

TEST_F(spliced, sleeps_for_a_record)
{
	SLEEP_IN(&self->calls, 0, -1, splice(self->fd, NULL, self->pipe[1], NULL,
					     10000, SPLICE_F_NONBLOCK));
	ASSERT_EQ(700, put_record(self->dev.fd, 700, 3));
	EXPECT_RETURNS(&self->calls, 0, 700, 0);
	EXPECT_TRUE(pipe_has(self->pipe[0], 700, 3));
	SLEEP_IN(&self->calls, 0, -1, splice(self->fd, NULL, self->pipe[1], NULL,
					     10000, 0));
	EXPECT_EQ(-SIGKILL, child_kill(&self->calls.pid[0]));
	ASSERT_EQ(701, put_record(self->dev.fd, 701, 4));
	EXPECT_EQ(701, FROM(701));
	EXPECT_TRUE(pipe_has(self->pipe[0], 701, 4));
}

/* ---- through a pipe and back ---- */

TEST_F_TIMEOUT(spliced, there_and_back, 60)
{
	__u64 random = vfifo_seed;
	int copy[2];
	long len;
	int i;

	LOG_SEED();
	ASSERT_EQ(0, pipe2(copy, O_NONBLOCK | O_CLOEXEC));
	for (i = 0; i < OFTEN(300); i++) {
		len = 1 + rnd(&random) % (rnd(&random) % 2 ? 200 : 60000);
		ASSERT_EQ(len, put_record(self->dev.fd, len, i));
		ASSERT_EQ(len, FROM(16 * self->page));
		if (!(i % 4)) {
			EXPECT_EQ(len, res(tee(self->pipe[0], copy[1], len, 0)));
			EXPECT_TRUE(pipe_has(copy[0], len, i));
		}
		ASSERT_EQ(len, TO(16 * self->page));
		ASSERT_EQ(len, queued(self->fd));
		ASSERT_TRUE(get_record(self->dev.fd, len, i)) {
			TH_LOG("%d: %ld bytes", i, len);
		}
	}
	close(copy[0]);
	close(copy[1]);
}

/* Memory that was given to the pipe by vmsplice(2). */
TEST_F(spliced, user_pages)
{
	struct iovec iov = { self->buf + 5, 20000 };

	ASSERT_EQ(20000, vmsplice(self->pipe[1], &iov, 1, 0));
	EXPECT_EQ(20000, TO(20000));
	EXPECT_TRUE(got(self->fd, 20000, 5));
}

/* Takes all records: the position in the stream after them, or -1. */
static long take_all(int fd, char *buf, long size, long pos)
{
	long n;

	while ((n = res(read(fd, buf, size))) > 0) {
		if (!stream_equal(buf, n, pos))
			return -1;
		pos += n;
	}
	return n == -EAGAIN ? pos : -1;
}

/* Bytes in the pipe become records of any length, and none of them is lost. */
TEST_F_TIMEOUT(spliced, no_byte_is_lost, 60)
{
	long in = 0, out = 0, n;
	__u64 random = vfifo_seed;
	char *buf = malloc(self->cap);
	int i;

	LOG_SEED();
	for (i = 0; i < OFTEN(400); i++) {
		n = 1 + rnd(&random) % 9000;
		stream_fill(buf, n, in);
		n = res(write(self->pipe[1], buf, n));
		in += n > 0 ? n : 0;
		n = TO(1 + rnd(&random) % 9000);
		ASSERT_TRUE(n > 0 || n == -EAGAIN);
		if (rnd(&random) % 3)
			continue;
		out = take_all(self->dev.fd, buf, self->cap, out);
		ASSERT_LE(0, out);
	}
	do {
		out = take_all(self->dev.fd, buf, self->cap, out);
		ASSERT_LE(0, out);
		n = TO(5000);
		ASSERT_TRUE(n > 0 || out == in);
	} while (n > 0);
	EXPECT_EQ(in, out);
	free(buf);
}

/* ---- sendfile(2) ---- */

TEST_F(spliced, file_to_it)
{
	int fd = memory_file(self->buf, 2 * self->cap);
	off_t off = 1000;

	ASSERT_LE(0, fd);
	EXPECT_EQ(5000, res(sendfile(self->dev.fd, fd, &off, 5000)));
	EXPECT_EQ(6000, off);
	EXPECT_TRUE(got(self->fd, 5000, 1000));

	/* Without enough room, nothing is written, and the offset stays. */
	ASSERT_TRUE(fill_except(self->fd, self->cap, 3000, 1));
	EXPECT_EQ(-EAGAIN, res(sendfile(self->dev.fd, fd, &off, 5000)));
	EXPECT_EQ(6000, off);
	EXPECT_EQ(self->cap - 3000, attr_get("size"));
	ASSERT_TRUE(get_record(self->fd, self->cap - 3000 - HEADER, 1));

	/* Longer than any record. */
	ASSERT_EQ(0, attr_set("capacity", self->page));
	EXPECT_EQ(-EMSGSIZE, res(sendfile(self->dev.fd, fd, &off, self->page - 7)));
	EXPECT_EQ(-EMSGSIZE, res(sendfile(self->dev.fd, fd, &off, self->cap)));
	EXPECT_EQ(6000, off);
	EXPECT_EQ(0, attr_get("size"));
	EXPECT_EQ(self->page - 8, res(sendfile(self->dev.fd, fd, &off,
					       self->page - 8)));
	EXPECT_TRUE(got(self->fd, self->page - 8, 6000));
	close(fd);
}

/*
 * sendfile(2) copies at most 16 pages at a time, through a pipe of its own. Each part is a
 * record, or it is refused as a whole; no byte is lost, or comes twice.
 */
TEST_F(spliced, large_file_to_it)
{
	long len = 20 * self->page, written, count = 0, pos = 0, ret, n;
	int fd = memory_file(self->buf, len);
	char *buf = malloc(len);
	off_t off = 0;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, attr_set("capacity", 4 * self->cap));
	written = attr_get("stats/records_written");
	ret = res(sendfile(self->dev.fd, fd, &off, len));
	EXPECT_TRUE(ret == len || ret < 0);
	EXPECT_EQ(ret < 0 ? 0 : ret, off);
	while ((n = res(read(self->dev.fd, buf, len))) > 0) {
		ASSERT_TRUE(stream_equal(buf, n, pos));
		pos += n;
		count++;
	}
	EXPECT_EQ(-EAGAIN, n);
	EXPECT_EQ(off, pos);
	EXPECT_EQ(written + count, attr_get("stats/records_written"));
	close(fd);
	free(buf);
}

TEST_F(spliced, file_from_it)
{
	int fd = memory_file(self->buf, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(1000, put_record(self->fd, 1000, 1));
	ASSERT_EQ(1001, put_record(self->fd, 1001, 2));
	/* Only files with a position can be sent to files. */
	EXPECT_EQ(-EINVAL, res(sendfile(fd, self->dev.fd, NULL, 1000)));
	EXPECT_EQ(1000, queued(self->fd));
	/* To a pipe it is as splice(2). */
	EXPECT_EQ(-EMSGSIZE, res(sendfile(self->pipe[1], self->dev.fd, NULL, 999)));
	EXPECT_EQ(1000, res(sendfile(self->pipe[1], self->dev.fd, NULL, 5000)));
	EXPECT_TRUE(pipe_has(self->pipe[0], 1000, 1));
	EXPECT_EQ(1001, FROM(5000));
	/* And from the pipe to the file. */
	EXPECT_EQ(1001, res(splice(self->pipe[0], NULL, fd, NULL, 5000, 0)));
	EXPECT_EQ(1001, lseek(fd, 0, SEEK_CUR));
	close(fd);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
