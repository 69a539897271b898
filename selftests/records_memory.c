// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Records, and memory that is bad, that is missing until somebody provides it, or that
 * keeps disappearing. A record is queued or taken as a whole, or not at all.
 */

#include "vfifo_dropper.h"
#include "vfifo_record.h"

/* ---- bad memory ---- */

/* Memory of which exactly the first @good bytes can be used. */
static char *good_for(long good, long page)
{
	long pages = (good + page - 1) / page;
	char *p = mmap(NULL, (pages + 1) * page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + pages * page, page, PROT_NONE))
		return NULL;
	return p + pages * page - good;
}

static const long lens[] = { 2, 9, 100, 4096, 4097, 16384, 16385, 40000 };

TEST_F(records, bad_source)
{
	long written = attr_get("stats/records_written"), len, good;
	struct iovec iov[2];
	char *buf, c = 'c';
	size_t i;

	ASSERT_EQ(7, put_record(self->fd, 7, 1));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		len = lens[i];
		for (good = 0; good < len; good += good < len / 2 ? len / 2 : 1) {
			if (good > len / 2 && good < len - 2)
				good = len - 2;
			buf = good_for(good, self->page);
			ASSERT_NE(NULL, buf);
			EXPECT_EQ(-EFAULT, res(write(self->fd, buf, len)));
			EXPECT_EQ(-EFAULT, res(write(self->dev.fd, buf, len)));
			iov[0].iov_base = &c;
			iov[0].iov_len = 1;
			iov[1].iov_base = buf;
			iov[1].iov_len = len;
			EXPECT_EQ(-EFAULT, res(writev(self->fd, iov, 2)));
			EXPECT_EQ(room_of(7), attr_get("size"));
		}
	}
	EXPECT_EQ(written + 1, attr_get("stats/records_written"));
	EXPECT_TRUE(get_record(self->fd, 7, 1));
	EXPECT_EQ(0, attr_get("size"));
}

TEST_F(records, bad_destination)
{
	long count = attr_get("stats/records_read"), len, good;
	struct iovec iov[2];
	char *buf, c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		len = lens[i];
		ASSERT_EQ(len, put_record(self->fd, len, i));
		ASSERT_EQ(20, put_record(self->fd, 20, 99));
		for (good = 0; good < len; good += good < len / 2 ? len / 2 : 1) {
			if (good > len / 2 && good < len - 2)
				good = len - 2;
			buf = good_for(good, self->page);
			ASSERT_NE(NULL, buf);
			EXPECT_EQ(-EFAULT, res(read(self->fd, buf, len)));
			EXPECT_EQ(-EFAULT, res(read(self->dev.fd, buf, len + 1)));
			if (good < len - 1) {
				iov[0].iov_base = &c;
				iov[0].iov_len = 1;
				iov[1].iov_base = buf;
				iov[1].iov_len = len;
				EXPECT_EQ(-EFAULT, res(readv(self->fd, iov, 2)));
			}
			EXPECT_EQ(len, queued(self->fd));
		}
		/* The record is what counts, and not the length of the buffer. */
		buf = good_for(len, self->page);
		EXPECT_EQ(len, res(read(self->fd, buf, len + 1000)));
		EXPECT_TRUE(stream_equal(buf, len, RECORD_POS(i)));
		EXPECT_TRUE(get_record(self->fd, 20, 99));
	}
	EXPECT_EQ(count + 2 * ARRAY_SIZE(lens), attr_get("stats/records_read"));
}

TEST_F(records, read_only_destination)
{
	char *buf = mmap(NULL, self->page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	ASSERT_NE(MAP_FAILED, buf);
	ASSERT_EQ(100, put_record(self->fd, 100, 1));
	EXPECT_EQ(-EFAULT, res(read(self->fd, buf, 100)));
	EXPECT_EQ(0, res(read(self->fd, buf, 0)));
	/* The length is looked at before the memory. */
	EXPECT_EQ(-EMSGSIZE, res(read(self->fd, buf, 99)));
	EXPECT_TRUE(get_record(self->fd, 100, 1));
	/* An empty FIFO does not look at the memory. */
	EXPECT_EQ(-EAGAIN, res(read(self->dev.fd, buf, 100)));
}

/* A length that is too much is refused before the memory is looked at. */
TEST_F(records, too_long_and_bad)
{
	char *buf = good_for(0, self->page);

	ASSERT_NE(NULL, buf);
	EXPECT_EQ(-EMSGSIZE, res(write(self->fd, buf, self->cap)));
	EXPECT_EQ(-EFAULT, res(write(self->fd, buf, longest(self->cap))));
	EXPECT_EQ(0, attr_get("size"));
}

/* ---- memory that is missing ---- */

/* Evaluates @cond in a process of its own: whether it is true, without waiting. */
#define soon(cond) ({							\
	__s64 __until = now_ms() + DEADLINE * 1000;			\
	pid_t __pid = child_start(2 * DEADLINE);			\
									\
	if (!__pid)							\
		_exit(!(cond));						\
	while (child_state(__pid) != 'Z' && now_ms() < __until)		\
		usleep(1000);						\
	child_state(__pid) == 'Z' && child_end(__pid) == 0;		\
})

/* Called first: NULL, or a reason to skip the test. */
static const char *faulty_ready(struct faulty *f)
{
	if (!faulty_begin(f))
		return "no memory";
	return no_userfaultfd(f->memory, PAGES * f->page);
}

/* A writer waits for the end of its record. Nothing of it is to be seen until then. */
TEST_F_TIMEOUT(records, writer_keeps_nobody, 200)
{
	long len = PAGES * self->page - 1000, i;
	struct faulty f;
	const char *why;
	int pieces;
	char *got = malloc(len);

	for (pieces = 0; pieces < 2; pieces++) {
		why = faulty_ready(&f);
		if (why)
			SKIP(return, "%s", why);
		if (!faulty_start(&f, 2))
			_exit(transfer(pieces, true, self->fd, f.memory, len) != len);
		ASSERT_TRUE(faulty_sleeps(&f));
		for (i = 0; i < 10; i++) {
			EXPECT_EQ(0, attr_get("size"));
			ASSERT_TRUE(soon(put_record(self->dev.fd, 3000, i) == 3000));
			EXPECT_EQ(3000, queued(self->fd));
			ASSERT_TRUE(soon(get_record(self->dev.fd, 3000, i)));
		}
		ASSERT_TRUE(soon(!ioctl(self->fd, VFIFO_CLEAR)));
		ASSERT_TRUE(soon(!attr_set("capacity", 2 * self->cap)));
		ASSERT_TRUE(soon(!attr_set("capacity", self->cap)));
		ASSERT_TRUE(soon(put_record(self->dev.fd, 10, 5) == 10));
		EXPECT_EQ(0, give_all(&f, 0));
		EXPECT_TRUE(get_record(self->dev.fd, 10, 5));
		EXPECT_EQ(len, queued(self->fd));
		EXPECT_EQ(len, res(read(self->dev.fd, got, len)));
		EXPECT_TRUE(stream_equal(got, len, 0));
		faulty_end(&f);
	}
	free(got);
}

/* A reader waits for its memory. The record stays, and another reader may take it. */
TEST_F_TIMEOUT(records, reader_keeps_nobody, 200)
{
	long len = 2 * self->page + 100;
	struct faulty f;
	const char *why;
	int pieces;

	for (pieces = 0; pieces < 2; pieces++) {
		why = faulty_ready(&f);
		if (why)
			SKIP(return, "%s", why);
		ASSERT_EQ(len, put_record(self->fd, len, 1));
		ASSERT_EQ(50, put_record(self->fd, 50, 2));
		if (!faulty_start(&f, 1)) {
			long ret = res(transfer(pieces, false, self->fd, f.memory,
						PAGES * f.page));

			_exit(ret != 300 ||
			      !stream_equal(f.memory, ret, RECORD_POS(4)));
		}
		ASSERT_TRUE(faulty_sleeps(&f));
		EXPECT_EQ(len, queued(self->fd));
		ASSERT_TRUE(soon(get_record(self->dev.fd, len, 1)));
		ASSERT_TRUE(soon(get_record(self->dev.fd, 50, 2)));
		ASSERT_TRUE(soon(put_record(self->dev.fd, 60, 3) == 60));
		ASSERT_TRUE(soon(!ioctl(self->fd, VFIFO_CLEAR)));
		ASSERT_EQ(300, put_record(self->fd, 300, 4));
		EXPECT_EQ(0, give_all(&f, 1 << 20));
		EXPECT_EQ(0, queued(self->fd));
		faulty_end(&f);
	}
}

/* A read needs the memory for its record, whatever else is queued and asked for. */
TEST_F_TIMEOUT(records, memory_beyond_the_record, 200)
{
	char more[20000];
	struct faulty f;
	const char *why;
	int i;

	why = faulty_ready(&f);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(100, put_record(self->fd, 100, 1));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(4000, put_record(self->fd, 4000, 2));
	if (!faulty_start(&f, 1)) {
		struct iovec iov[] = {
			{ f.memory, PAGES * f.page }, { more, sizeof(more) },
		};

		_exit(readv(self->fd, iov, 2) != 100 ||
		      !stream_equal(f.memory, 100, RECORD_POS(1)));
	}
	EXPECT_TRUE(eventually(child_state(f.pid) == 'Z')) {
		TH_LOG("waits for a page that it does not need");
	}
	if (child_state(f.pid) == 'Z') {
		EXPECT_EQ(0, child_end(f.pid));
		f.pid = 0;
	}
	faulty_end(&f);
}

/* A woken writer or reader that faults lets the next one go on. */
TEST_F_TIMEOUT(records, woken_ones_keep_nobody, 200)
{
	long sleeps = attr_get("stats/writer_sleeps");
	struct faulty f;
	const char *why;

	why = faulty_ready(&f);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_TRUE(fill_except(self->fd, self->cap, 0, 1));
	if (!faulty_start(&f, 0))
		_exit(write(self->fd, f.memory, 2 * f.page) != 2 * f.page);
	ASSERT_TRUE(eventually(attr_get("stats/writer_sleeps") > sleeps));
	ASSERT_TRUE(child_sleeps(f.pid));
	SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, 9000, 2));
	ASSERT_TRUE(get_record(self->dev.fd, longest(self->cap), 1));
	ASSERT_NE(0UL, fault_met(f.monitor));
	EXPECT_RETURNS(&self->calls, 0, 9000, 0);
	EXPECT_TRUE(get_record(self->dev.fd, 9000, 2));
	EXPECT_EQ(0, give_all(&f, 0));
	EXPECT_EQ(2 * self->page, queued(self->fd));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));

	sleeps = attr_get("stats/reader_sleeps");
	if (!faulty_start(&f, 0))
		_exit(read(self->fd, f.memory, 2 * f.page) != 77);
	ASSERT_TRUE(eventually(attr_get("stats/reader_sleeps") > sleeps));
	ASSERT_TRUE(child_sleeps(f.pid));
	SLEEP_IN(&self->calls, 1, -1, get_record(self->fd, 500, 3));
	ASSERT_EQ(500, put_record(self->dev.fd, 500, 3));
	ASSERT_NE(0UL, fault_met(f.monitor));
	EXPECT_RETURNS(&self->calls, 1, true, 0);
	ASSERT_EQ(77, put_record(self->dev.fd, 77, 4));
	EXPECT_EQ(0, give_all(&f, 0));
	faulty_end(&f);
}

TEST_F_TIMEOUT(records, killed_in_a_fault, 200)
{
	struct faulty f;
	const char *why;
	int out;

	why = faulty_ready(&f);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(500, put_record(self->fd, 500, 1));
	for (out = 0; out < 2; out++) {
		if (!faulty_start(&f, out))
			_exit(transfer(false, out, self->fd, f.memory, 3 * f.page));
		ASSERT_TRUE(faulty_sleeps(&f));
		EXPECT_EQ(-SIGKILL, child_kill(&f.pid));
		EXPECT_EQ(room_of(500), attr_get("size"));
	}
	EXPECT_TRUE(get_record(self->fd, 500, 1));
	faulty_end(&f);
}

/* ---- memory that keeps disappearing ---- */

/* In the process: moves @len bytes from or to offset @from. Returns its exit status. */
static int with_drops(struct dropper *d, int fd, bool out, bool pieces, long from,
		      long len, __u64 id)
{
	char *buf = d->memory + from;

	if (!dropper_start(d))
		return 98;
	d->ret = res(transfer(pieces, out, fd, buf, len));
	if (out || d->ret <= 0)
		return 0;
	return !dropper_last_page(d, buf, d->ret, RECORD_POS(id));
}

TEST_F_TIMEOUT(records, memory_is_dropped, 600)
{
	const struct {
		long from, len;
	} spans[] = {
		{ self->page - 100, 200 },
		{ self->page - 1000, PIPE_BUF },
		{ 5, PIPE_BUF + 1 },
		{ 0, 5 * self->page },
		{ 10, 15 * self->page + 1 },
	};
	struct dropper *d = shared(sizeof(*d));
	pid_t *pid = &self->calls.pid[0];
	const char *why;
	long from, len;
	unsigned int k;
	size_t i;

	ASSERT_NE(NULL, d);
	ASSERT_TRUE(dropper_begin(d));
	why = no_userfaultfd(d->memory, MANY_PAGES * self->page);
	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < ARRAY_SIZE(spans); i++) {
		from = spans[i].from;
		len = spans[i].len;
		/* Writing and reading, in one piece and in two, good memory and bad. */
		for (k = 0; k < 4 + 4 * 4; k++) {
			bool out = k & 1, pieces = k & 2;

			/* Fault 1, 5, 9 or 13, if there are so many. */
			dropper_reset(d);
			d->bad_at = k < 4 ? 0 : 1 + (k - 4) / 4 * 4;
			if (!out)
				ASSERT_EQ(len, put_record(self->dev.fd, len, i));
			*pid = child_start(6 * DEADLINE);
			ASSERT_LE(0, *pid);
			if (!*pid)
				_exit(with_drops(d, self->fd, out, pieces, from,
						 len, i));
			ASSERT_TRUE(drops_end(pid)) {
				TH_LOG("%ld bytes, case %u: %ld after %d faults",
				       len, k, d->ret, d->met);
			}
			if (d->bad_at && d->met >= d->bad_at) {
				EXPECT_EQ(-EFAULT, d->ret);
				EXPECT_EQ(out ? 0 : len, queued(self->fd));
			} else {
				EXPECT_EQ(len, d->ret);
				EXPECT_EQ(out ? len : 0, queued(self->fd));
			}
			if (!d->bad_at)
				EXPECT_LT(0, d->drops);
			if (out && d->ret == len) {
				char *got = malloc(len);

				EXPECT_EQ(len, res(read(self->dev.fd, got, len)));
				EXPECT_TRUE(stream_equal(got, len, from));
				free(got);
			}
			if (!out && d->ret != len)
				EXPECT_TRUE(get_record(self->dev.fd, len, i));
			ASSERT_EQ(0, attr_get("size"));
		}
	}
	munmap(d->memory, MANY_PAGES * self->page);
	munmap(d, sizeof(*d));
}

/* ---- without userfaultfd: threads that only drop memory ---- */

/*
 * Each address always has the same byte: during a drop, a processor may still have the
 * translation of the old page, and use its contents.
 */
TEST_F_TIMEOUT(records, memory_is_dropped_all_the_time, 300)
{
	long len, i, n, rounds = OFTEN(400);
	char *good = malloc(self->cap), *buf;
	__u64 random = vfifo_seed, pos;
	struct careless careless;
	bool out, pieces;

	LOG_SEED();
	careless.len = MANY_PAGES * self->page;
	careless.memory = mmap(NULL, careless.len, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, careless.memory);
	ASSERT_TRUE(careless_start(&careless));
	for (i = 0; i < rounds; i++) {
		out = rnd(&random) % 2;
		pieces = rnd(&random) % 2;
		len = 3 + rnd(&random) % (longest(self->cap) - 3);
		pos = rnd(&random) % (careless.len - len);
		buf = careless.memory + pos;
		stream_fill(out ? buf : good, len, pos);
		if (!out)
			ASSERT_EQ(len, write(self->dev.fd, good, len));
		n = res(transfer(pieces, out, self->dev.fd, buf, len));
		EXPECT_EQ(len, n) {
			TH_LOG("%s %ld bytes", out ? "write" : "read", len);
			break;
		}
		if (out)
			EXPECT_EQ(len, res(read(self->dev.fd, good, self->cap)));
		EXPECT_EQ(-1, wrong_byte(out ? good : buf, len, pos));
		EXPECT_EQ(0, attr_get("size"));
	}
	careless_stop(&careless);
	munmap(careless.memory, careless.len);
	free(good);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
