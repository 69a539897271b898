// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of a call: bad addresses, many segments, huge counts, stacks that grow.
 */
#include <sys/uio.h>

#include "vfifo_stream.h"

/* ---- inaccessible memory ---- */

TEST_F(stream, write_fault)
{
	long page = self->dev.page, ret;
	char *p = half_mapped(page);

	ASSERT_NE(NULL, p);
	EXPECT_EQ(-EFAULT, res(write(self->fd, p + page, 10)));
	EXPECT_EQ(-EFAULT, res(write(self->fd, p + page, page)));
	EXPECT_EQ(0, queued(self->fd));

	/* The only case in which an atomic write is cut short. */
	stream_fill(p, page, 0);
	ret = res(write(self->fd, p + page - 100, 200));
	EXPECT_LE(1, ret);
	EXPECT_GE(100, ret);
	EXPECT_EQ(ret, queued(self->fd));
	EXPECT_TRUE(get(&self->dev, ret, page - 100));
	EXPECT_EQ(0, queued(self->fd));

	/* Too long to be atomic: the accessible bytes are queued. */
	ret = res(write(self->fd, p, 2 * page));
	EXPECT_LE(1, ret);
	EXPECT_GE(page, ret);
	EXPECT_EQ(ret, queued(self->fd));
	EXPECT_TRUE(get(&self->dev, ret, 0));
	munmap(p, 2 * page);
}

/* A write must not wait for room for bytes that it cannot read. */
TEST_F_TIMEOUT(stream, write_fault_ends_it, 60)
{
	enum { GOOD = 100, OTHERS = 3000, ROUNDS = 300 };
	long page = self->dev.page, *wrote = shared(sizeof(*wrote));
	char *p = half_mapped(page);
	long seen = 0, ret, i, round;
	pid_t faults, others;

	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, wrote);
	ASSERT_EQ(0, attr_set("capacity", PIPE_BUF));
	memset(p, 'f', page);
	faults = child_start(60);
	if (!faults) {
		while ((ret = write(self->fd, p + page - GOOD, PIPE_BUF)) > 0)
			__atomic_add_fetch(wrote, ret, __ATOMIC_SEQ_CST);
		_exit(1);
	}
	/*
	 * Fits beside the good part of the other write, and then leaves no room
	 * for the rest.
	 */
	others = child_start(60);
	if (!others) {
		memset(self->buf, 'o', OTHERS);
		for (;;)
			if (write(self->dev.fd, self->buf, OTHERS) < 0 &&
			    errno != EAGAIN)
				_exit(1);
	}
	for (round = 0; round < ROUNDS; round++) {
		/* While anything is queued, its next write has to sleep. */
		ASSERT_TRUE(eventually(queued(self->dev.fd) &&
				       child_asleep(faults)));
		ret = __atomic_load_n(wrote, __ATOMIC_SEQ_CST);
		i = read(self->dev.fd, self->buf, PIPE_BUF);
		ASSERT_LT(0, i);
		while (i--)
			seen += self->buf[i] == 'f';
		ASSERT_EQ(ret, seen);
	}
	EXPECT_LT(0, seen);
	kill(faults, SIGKILL);
	kill(others, SIGKILL);
	child_end(faults);
	child_end(others);
	munmap(p, 2 * page);
}

TEST_F(stream, read_fault)
{
	long page = self->dev.page, ret;
	char *p = half_mapped(page);

	ASSERT_NE(NULL, p);
	ASSERT_TRUE(put(&self->dev, 200, 0));
	EXPECT_EQ(-EFAULT, res(read(self->fd, p + page, 10)));
	EXPECT_EQ(200, queued(self->fd));

	ret = res(read(self->fd, p + page - 100, 200));
	EXPECT_LE(1, ret);
	EXPECT_GE(100, ret);
	EXPECT_EQ(200 - ret, queued(self->fd));
	EXPECT_TRUE(stream_equal(p + page - 100, ret, 0));
	EXPECT_TRUE(get(&self->dev, 200 - ret, ret));
	munmap(p, 2 * page);
}

#define SEGMENTS	6

/*
 * Byte number @bad of a vector and the rest of its segment are inaccessible;
 * the segments after that are accessible. The transfer must end inside the
 * segment with the bad byte. Returns the offset where that segment starts.
 */
static long bad_vector(char *edge, char *good, long bad, struct iovec *iov)
{
	static const int lens[SEGMENTS] = { 1, 3, 0, 8, 1, 20 };
	long start = 0, least = 0;
	int i;

	for (i = 0; i < SEGMENTS; i++) {
		iov[i].iov_len = lens[i];
		iov[i].iov_base = good + start;
		if (start <= bad && bad < start + lens[i]) {
			iov[i].iov_base = edge - (bad - start);
			memcpy(iov[i].iov_base, good + start, bad - start);
			least = start;
		}
		start += lens[i];
	}
	return least;
}

/* Makes the next written byte land at offset @at of a one-page buffer. */
static bool next_byte_at(struct vfifo *dev, long at)
{
	long n = at - (attr_get("stats/bytes_written") & (dev->page - 1));

	n = (n + dev->page) % dev->page;
	return !n || (put(dev, n, 0) && get(dev, n, 0));
}

TEST_F(stream, bad_pointers_everywhere)
{
	const long total = 33, page = self->dev.page;
	long bad, least, ret, before, i;
	char *edge, good[64], back[64];
	struct iovec iov[SEGMENTS];

	edge = half_mapped(page);
	ASSERT_NE(NULL, edge);
	edge += page;
	ASSERT_EQ(0, attr_set("capacity", page));

	/* @before bytes lie before the end of the buffer, the rest after it. */
	for (before = 0; before <= total; before++) {
		for (bad = 0; bad < total; bad++) {
			ASSERT_TRUE(next_byte_at(&self->dev, page - before));
			stream_fill(good, total, 0);
			least = bad_vector(edge, good, bad, iov);
			ret = res(writev(self->w, iov, SEGMENTS));
			if (ret == -EFAULT)
				ret = 0;
			EXPECT_LE(least, ret);
			EXPECT_GE(bad, ret);
			ASSERT_EQ(ret, queued(self->r)) {
				TH_LOG("bad byte %ld, %ld before the end", bad,
				       before);
			}
			ASSERT_TRUE(get(&self->dev, ret, 0));

			ASSERT_TRUE(next_byte_at(&self->dev, page - before));
			ASSERT_TRUE(put(&self->dev, total, 0));
			memset(good, 0, sizeof(good));
			least = bad_vector(edge, good, bad, iov);
			ret = res(readv(self->r, iov, SEGMENTS));
			if (ret == -EFAULT)
				ret = 0;
			EXPECT_LE(least, ret);
			EXPECT_GE(bad, ret);
			ASSERT_EQ(total - ret, queued(self->r)) {
				TH_LOG("bad byte %ld, %ld before the end", bad,
				       before);
			}
			memcpy(back, good, least);
			memcpy(back + least, edge - (bad - least), bad - least);
			EXPECT_TRUE(stream_equal(back, ret, 0));
			for (i = least; i < total; i++)
				EXPECT_EQ(0, good[i]);
			ASSERT_TRUE(get(&self->dev, total - ret, ret));
		}
	}
	munmap(edge - page, 2 * page);
}

/* ---- vectors, counts, stacks ---- */

TEST_F(stream, as_many_segments_as_there_can_be)
{
	struct iovec *iov = calloc(IOV_MAX + 1, sizeof(*iov));
	char *copy = calloc(1, self->cap);
	__u64 state = vfifo_seed;
	long total = 0, start;
	int i;

	LOG_SEED();
	ASSERT_NE(NULL, iov);
	/* Straddle the end of the buffer. */
	start = self->cap - 5000;
	ASSERT_TRUE(put(&self->dev, start, 0));
	ASSERT_TRUE(get(&self->dev, start, 0));

	for (i = 0; i < IOV_MAX; i++) {
		iov[i].iov_base = self->buf + total;
		iov[i].iov_len = rnd(&state) % 32;
		total += iov[i].iov_len;
	}
	EXPECT_EQ(total, res(writev(self->w, iov, IOV_MAX)));
	EXPECT_EQ(total, queued(self->r));
	for (total = 0, i = 0; i < IOV_MAX; i++) {
		iov[i].iov_base = copy + total;
		total += iov[i].iov_len;
	}
	EXPECT_EQ(total, res(readv(self->r, iov, IOV_MAX)));
	EXPECT_TRUE(stream_equal(copy, total, 0));
	free(copy);
	free(iov);
}

/* Only memory that is transferred is touched, however large the count. */
TEST_F(stream, huge_counts)
{
	static const size_t counts[] = { INT_MAX, 0x7ffff000, UINT_MAX };
	long cap = self->cap;
	struct iovec iov[2];
	size_t i;
	char *p;

	/* Only this part is backed by memory; the rest is address space. */
	p = mmap(NULL, cap + UINT_MAX, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sizeof(long) == 4 || p == MAP_FAILED)
		SKIP(return, "address space too small");
	ASSERT_EQ(0, mprotect(p, cap, PROT_READ | PROT_WRITE));

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		ASSERT_TRUE(put(&self->dev, 100, 0));
		p[100] = 0x5a;
		ASSERT_EQ(100, res(read(self->r, p, counts[i]))) {
			TH_LOG("count %zu", counts[i]);
		}
		EXPECT_TRUE(stream_equal(p, 100, 0));
		EXPECT_EQ(0x5a, p[100]);

		stream_fill(p, cap, 0);
		ASSERT_EQ(cap, res(write(self->w, p, counts[i]))) {
			TH_LOG("count %zu", counts[i]);
		}
		EXPECT_TRUE(get(&self->dev, cap, 0));

		iov[0].iov_base = p;
		iov[0].iov_len = 10;
		iov[1].iov_base = p + 10;
		iov[1].iov_len = counts[i] - 10;
		ASSERT_EQ(cap, res(writev(self->w, iov, 2)));
		memset(p, 0, cap);
		ASSERT_EQ(cap, res(readv(self->r, iov, 2)));
		EXPECT_TRUE(stream_equal(p, cap, 0));
	}

	/* Counts over the limit give the same result as on a pipe. */
	for (i = 0; i < 2; i++) {
		size_t count = i ? SSIZE_MAX : SIZE_MAX;

		EXPECT_EQ(res(write(self->pipe[1], p, count)),
			  res(write(self->w, p, count)));
		EXPECT_EQ(res(read(self->pipe[0], p, count)),
			  res(read(self->r, p, count)));
		EXPECT_EQ(queued(self->pipe[0]), queued(self->r));
	}
	iov[1].iov_len = SSIZE_MAX;
	EXPECT_EQ(res(writev(self->pipe[1], iov, 2)),
		  res(writev(self->w, iov, 2)));
	EXPECT_EQ(queued(self->pipe[0]), queued(self->r));
	munmap(p, cap + UINT_MAX);
}

/* A page that grows downwards when memory below it is touched, like a stack. */
static char *young_stack(long page)
{
	size_t hole = 4096 * page;
	char *p = mmap(NULL, hole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED || munmap(p, hole))
		return NULL;
	p = mmap(p + hole - page, page, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN |
		 MAP_FIXED_NOREPLACE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* A read may grow the stack by itself, as on a pipe. */
TEST_F(stream, stack_that_has_yet_to_grow)
{
	long page = self->dev.page, len = 2 * page + 10;
	int i, fd[] = { self->pipe[0], self->r, self->r };
	struct iovec iov[2];
	char *p;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(len, res(write(i ? self->w : self->pipe[1], self->buf,
					 len)));
		p = young_stack(page);
		ASSERT_NE(NULL, p);
		iov[0] = (struct iovec) { p - 3 * page, 100 };
		iov[1] = (struct iovec) { p - 3 * page + 100, len - 100 };
		EXPECT_EQ(len, res(i == 2 ? readv(fd[i], iov, 2) :
					    read(fd[i], p - 3 * page, len))) {
			TH_LOG("call %d", i);
		}
		EXPECT_EQ(0, memcmp(self->buf, p - 3 * page, len));
		munmap(p - 3 * page, 4 * page);
	}
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
