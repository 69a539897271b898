// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Overwriting the oldest, and the memory of the callers: bad memory makes nothing go, a
 * call that waits for a page holds up nobody, and memory that is dropped all the time
 * neither fails nor tears anything.
 */
#include <pthread.h>
#include <sys/uio.h>

#include "vfifo_overwriting_ends.h"
#include "vfifo_faults.h"

#define LEN		777

/* Address space for @len bytes without any memory. */
static char *nothing_at_all(size_t len)
{
	void *p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* ---- bad memory ---- */

TEST_F(overwriting, bad_memory_drops_nothing)
{
	const long lens[] = {
		1, 100, PIPE_BUF, PIPE_BUF + 1, 20000, self->cap - HEADER,
		/* Only for bytes. */
		self->cap, 2 * self->cap,
	};
	size_t i, count = ARRAY_SIZE(lens) - (variant->records ? 2 : 0);
	char *bad = nothing_at_all(2 * self->cap);
	struct model *m = &self->m;
	struct iovec iov[2];

	ASSERT_NE(NULL, bad);
	for (i = 0; i < count; i++) {
		ASSERT_TRUE(put_much(self, self->cap, LEN + i));
		EXPECT_EQ(-EFAULT, res(write(self->fd, bad, lens[i])));
		EXPECT_EQ(-EFAULT, res(write(self->dev.fd, bad, lens[i])));
		EXPECT_EQ(-EFAULT, res(write(self->fd, NULL, lens[i])));
		EXPECT_AS(m);
		iov[0] = (struct iovec) { bad, lens[i] - 1 };
		iov[1] = (struct iovec) { bytes_at(0), 1 };
		EXPECT_EQ(lens[i] > 1 ? -EFAULT : 1,
			  res(writev(self->fd, iov, 2)));
		if (lens[i] == 1) {
			ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
			model_written(m, 1);
			model_cleared(m);
		}
		EXPECT_AS(m);
		EXPECT_EQ(lens[i] > 1, model_size(m) > 0);
	}
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	munmap(bad, 2 * self->cap);
}

/* What is there makes as much go as it takes; a record is all or nothing. */
TEST_F(overwriting, half_bad_memory)
{
	long good, bad, page = self->page, ret;
	char *edge = half_mapped(page);
	struct model *m = &self->m;
	struct iovec iov[2];
	int i;

	ASSERT_NE(NULL, edge);
	edge += page;
	for (good = 1; good <= page; good = good * 3 + 1) {
		for (bad = 1; bad <= page; bad = bad * 5 + 1) {
			ASSERT_TRUE(put_much(self, self->cap, LEN));
			for (i = 0; i < 2; i++) {
				memcpy(edge - good,
				       contents_at(variant->records, m->head), good);
				iov[0] = (struct iovec) { edge - good, good };
				iov[1] = (struct iovec) { edge, bad };
				ret = res(i ? writev(self->dev.fd, iov, 2) :
					      write(self->fd, edge - good,
						    good + bad));
				if (variant->records) {
					EXPECT_EQ(-EFAULT, ret);
				} else {
					EXPECT_LE(1, ret);
					EXPECT_GE(good, ret);
				}
				if (ret > 0)
					model_written(m, ret);
				EXPECT_AS(m);
			}
			ASSERT_TRUE(model_drained(m, self->dev.fd)) {
				TH_LOG("%ld good bytes, %ld bad ones", good, bad);
			}
		}
	}
	munmap(edge - page, 2 * page);
}

/* Only the last page is bad. */
TEST_F(overwriting, bad_end_of_a_large_record)
{
	long len = 5 * self->page;
	char *p = nothing_at_all(6 * self->page);
	struct model *m = &self->m;

	if (!variant->records)
		SKIP(return, "for records");
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, mprotect(p, len, PROT_READ | PROT_WRITE));
	ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
	EXPECT_EQ(-EFAULT, res(write(self->fd, p, len + 1)));
	EXPECT_EQ(-EFAULT, res(write(self->fd, p + self->page, len)));
	EXPECT_AS(m);
	memcpy(p, contents_at(true, m->head), len);
	EXPECT_EQ(len, res(write(self->fd, p, len)));
	model_written(m, len);
	EXPECT_AS(m);
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	munmap(p, 6 * self->page);
}

/* A read that fails takes nothing, however much was lost before. */
TEST_F(overwriting, bad_memory_of_a_reader)
{
	char *edge = half_mapped(self->page);
	struct model *m = &self->m;
	long good, ret;

	ASSERT_NE(NULL, edge);
	edge += self->page;
	ASSERT_TRUE(put_much(self, 3 * self->cap, LEN));
	EXPECT_EQ(-EFAULT, res(read(self->fd, edge, LEN)));
	EXPECT_AS(m);
	for (good = 1; good < LEN; good += 97) {
		ret = res(read(self->fd, edge - good, LEN));
		if (variant->records) {
			EXPECT_EQ(-EFAULT, ret);
		} else {
			ASSERT_LE(1, ret);
			ASSERT_GE(good, ret);
			memcpy(m->buf, edge - good, ret);
			EXPECT_TRUE(model_is_next(m, ret));
			model_read(m, ret);
		}
		EXPECT_AS(m);
	}
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	munmap(edge - self->page, 2 * self->page);
}

/* ---- memory that takes long ---- */

/* Called first: NULL, or why a test with such memory is skipped. */
static const char *faulty_refused(struct faulty *f)
{
	if (!faulty_begin(f))
		return "no memory";
	return no_userfaultfd(f->memory, PAGES * f->page);
}

/* Nothing moves before the memory of a writer is there, and nobody waits for it. */
TEST_F(overwriting, writer_in_a_page_fault)
{
	long len = 2 * self->page, from = self->page / 2, left;
	struct model *m = &self->m;
	const char *why;
	struct faulty f;
	int i;

	why = faulty_refused(&f);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
	if (!faulty_start(&f, 1))
		_exit(write(self->fd, f.memory + from, len) != len);
	ASSERT_TRUE(faulty_sleeps(&f));
	EXPECT_AS(m);
	/* Others go on. */
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(LEN, model_put(m, self->fd, LEN));
		if (i % 4 == 0)
			ASSERT_EQ(LEN, model_get(m, self->fd, LEN));
	}
	EXPECT_AS(m);
	ASSERT_EQ(0, give_all(&f, 0));
	model_written(m, len);
	EXPECT_AS(m);
	left = (model_size(m) - model_room(m, len)) / model_room(m, LEN);
	for (i = 0; i < left; i++)
		ASSERT_EQ(LEN, model_get(m, self->fd, LEN));
	left = model_size(m) - model_room(m, len);
	if (left)
		ASSERT_EQ(left, model_get(m, self->fd, left));
	/* The bytes of the other process. */
	ASSERT_EQ(len, res(read(self->fd, m->buf, 2 * len)));
	EXPECT_TRUE(stream_equal(m->buf, len, from));
	model_read(m, len);
	EXPECT_AS(m);
	faulty_end(&f);
}

TEST_F(overwriting, writer_killed_in_a_page_fault)
{
	struct model *m = &self->m;
	const char *why;
	struct faulty f;

	why = faulty_refused(&f);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
	if (!faulty_start(&f, 1))
		_exit(write(self->fd, f.memory + 10, 3 * self->page) < 0);
	ASSERT_TRUE(faulty_sleeps(&f));
	EXPECT_EQ(-SIGKILL, child_kill(&f.pid));
	EXPECT_AS(m);
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	faulty_end(&f);
}

/* Shared with a process that reads. */
struct reading {
	__u64 tail;		/* where its bytes must be from */
	long ret;
};

/* A reader that waits for its memory gets what is the oldest when it comes. */
TEST_F(overwriting, reader_in_a_page_fault)
{
	struct reading *reading = shared(sizeof(*reading));
	struct model *m = &self->m;
	const char *why;
	struct faulty f;
	int round, i;

	ASSERT_NE(NULL, reading);
	why = faulty_refused(&f);
	if (why)
		SKIP(return, "%s", why);
	for (round = 0; round < 3; round++) {
		ASSERT_TRUE(put_much(self, (round + 1) * self->cap / 2, LEN));
		if (!faulty_start(&f, 0)) {
			long ret = res(read(self->fd, f.memory + 10, 3 * self->page));

			reading->ret = ret;
			_exit(ret <= 0 ||
			      memcmp(f.memory + 10, contents_at(variant->records,
								reading->tail), ret));
		}
		ASSERT_TRUE(faulty_sleeps(&f));
		EXPECT_AS(m);
		/* It holds up neither writers nor readers. */
		ASSERT_TRUE(put_much(self, round * self->cap, LEN));
		for (i = 0; i < 10; i++)
			ASSERT_EQ(LEN, model_get(m, self->fd, LEN));
		ASSERT_TRUE(put_much(self, self->cap / 2, LEN));
		EXPECT_AS(m);
		reading->tail = m->tail;
		ASSERT_EQ(0, give_all(&f, 0));
		model_read(m, reading->ret);
		EXPECT_AS(m);
	}
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	faulty_end(&f);
	munmap(reading, sizeof(*reading));
}

/* Neither the memory nor the bytes that it was meant for are there in the end. */
TEST_F(overwriting, reader_that_comes_too_late)
{
	struct model *m = &self->m;
	const char *why;
	struct faulty f;

	why = faulty_refused(&f);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
	if (!faulty_start(&f, 0))
		_exit(read(self->dev.fd, f.memory, self->page) != -1 ||
		      errno != EAGAIN);
	ASSERT_TRUE(faulty_sleeps(&f));
	ASSERT_TRUE(model_drained(m, self->dev.fd));
	EXPECT_EQ(0, give_all(&f, 0));
	EXPECT_AS(m);
	faulty_end(&f);
}

/* ---- memory that is dropped all the time ---- */

/* Memory whose pages another thread takes away again and again. The bytes stay. */
struct dropped {
	char *bytes;
	size_t len;
	pthread_t thread;
	bool stop, runs;
	unsigned long times;
};

static void *drop(void *arg)
{
	struct dropped *d = arg;

	while (!__atomic_load_n(&d->stop, __ATOMIC_SEQ_CST)) {
		madvise(d->bytes, d->len, MADV_DONTNEED);
		__atomic_add_fetch(&d->times, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static bool dropped_begin(struct dropped *d, size_t len)
{
	int fd = memfd_create("dropped", MFD_CLOEXEC);

	memset(d, 0, sizeof(*d));
	if (fd < 0 || ftruncate(fd, len))
		return false;
	d->len = len;
	d->bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	d->runs = d->bytes != MAP_FAILED && !pthread_create(&d->thread, NULL, drop, d);
	return d->runs;
}

static void dropped_end(struct dropped *d)
{
	__atomic_store_n(&d->stop, true, __ATOMIC_SEQ_CST);
	if (d->runs)
		pthread_join(d->thread, NULL);
	munmap(d->bytes, d->len);
}

#define DROP_PAGES	4

/* Good memory is good, and exactly as much makes way as is written. */
TEST_F_TIMEOUT(overwriting, writer_with_dropped_memory, 60)
{
	__s64 start = now_ms();
	struct model *m = &self->m;
	__u64 random = vfifo_seed;
	struct dropped d;
	long i, len;

	LOG_SEED();
	ASSERT_TRUE(dropped_begin(&d, DROP_PAGES * self->page));
	ASSERT_EQ(0, use_capacity(self, 8 * self->page));
	for (i = 0; i < OFTEN(2000) && now_ms() - start < DEADLINE * 1000; i++) {
		len = 1 + rnd(&random) % d.len;
		memcpy(d.bytes + d.len - len, contents_at(variant->records, m->head),
		       len);
		ASSERT_EQ(len, res(write(self->fd, d.bytes + d.len - len, len))) {
			TH_LOG("write %ld", i);
		}
		model_written(m, len);
		EXPECT_AS(m);
		if (i % 8 == 0)
			ASSERT_TRUE(model_drained(m, self->dev.fd));
	}
	dropped_end(&d);
	TH_LOG("%ld writes, memory dropped %lu times", i, d.times);
	EXPECT_LT(0UL, d.times);
	EXPECT_TRUE(model_drained(m, self->dev.fd));
}

/* Writes messages at full speed, from @pos on, until it is killed. */
static void write_on(int fd, bool records, __u64 pos, long most)
{
	__u64 random = vfifo_seed;
	long len;

	for (;;) {
		len = 1 + rnd(&random) % most;
		if (write(fd, contents_at(records, pos), len) != len)
			_exit(1);
		pos += records ? record_size(len) : len;
	}
}

/*
 * A reader that is slowed down like this, beside a writer at full speed. It is the only
 * reader, so its position tells which bytes it should have got.
 */
TEST_F_TIMEOUT(overwriting, reader_with_dropped_memory, 90)
{
	long i, ret, most, n = 0, len = 2 * self->page;
	__s64 start = now_ms(), last = start;
	struct model *m = &self->m;
	__u64 random = vfifo_seed, tail;
	struct dropped d;
	struct area a;

	LOG_SEED();
	ASSERT_EQ(0, use_capacity(self, 4 * self->page));
	/* Without a thread at first: this process forks. */
	self->e.pid[0] = child_start(12 * DEADLINE);
	if (!self->e.pid[0])
		write_on(self->fd, variant->records, m->head, len - HEADER);
	ASSERT_TRUE(dropped_begin(&d, DROP_PAGES * self->page));
	ASSERT_EQ(0, area_map(&a, self->dev.fd, 0));
	for (i = 0; i < OFTEN(1000) && last - start < 2 * DEADLINE * 1000; i++) {
		most = variant->records ? (long)d.len : 1 + (long)(rnd(&random) % d.len);
		ret = res(read(self->fd, d.bytes + d.len - most, most));
		ASSERT_LT(0, ret) {
			TH_LOG("read %ld: %ld", i, ret);
		}
		ASSERT_GT(DEADLINE * 1000, now_ms() - last);
		last = now_ms();
		tail = load(a.consumer) - model_room(m, ret);
		ASSERT_EQ(0, memcmp(d.bytes + d.len - most,
				    contents_at(variant->records, tail), ret)) {
			TH_LOG("read %ld: %ld bytes at %llu are wrong", i, ret, tail);
		}
		n += ret;
	}
	dropped_end(&d);
	ASSERT_NE('Z', child_state(self->e.pid[0]));
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	area_unmap(&a);
	TH_LOG("%ld reads of %ld bytes in all, memory dropped %lu times", i, n, d.times);
	EXPECT_LT(10, i);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
