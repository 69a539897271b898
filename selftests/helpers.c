// SPDX-License-Identifier: GPL-2.0
/*
 * The helpers of tools/vfifo with every kind of wrong argument. Other tests, such as
 * zerocopy.c, use them correctly.
 */
#include "vfifo_test.h"
#include "vfifo_map.h"

#define WAIT_MS		(DEADLINE * 1000)

/* The number of open descriptors of this process. */
static int open_fds(void)
{
	int fd, count = 0;

	for (fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* The number of bytes that vfifo_consumer_peek() returns. */
static size_t peeked(struct vfifo_consumer *c)
{
	size_t len;

	vfifo_consumer_peek(c, &len);
	return len;
}

/* ---- committing and releasing ---- */

FIXTURE(helpers)
{
	struct vfifo dev;
	size_t cap;
	struct vfifo_producer p;
	struct vfifo_consumer c;
	__u64 head, tail;	/* positions at the start */
};

FIXTURE_SETUP(helpers)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	ASSERT_EQ(0, vfifo_producer_open(&self->p, vfifo_path()));
	ASSERT_EQ(0, vfifo_consumer_open(&self->c, vfifo_path()));
	self->head = load(self->p.map.own);
	self->tail = load(self->c.map.own);
	ASSERT_EQ(self->head, self->tail);
}

FIXTURE_TEARDOWN(helpers)
{
	vfifo_producer_close(&self->p);
	vfifo_consumer_close(&self->c);
	vfifo_teardown(&self->dev);
}

/* How far the two ends have moved, and what is queued. */
#define EXPECT_MOVED(in, out) do {					\
	size_t __in = (in), __out = (out);				\
	EXPECT_EQ(__in, load(self->p.map.own) - self->head);		\
	EXPECT_EQ(__out, load(self->c.map.own) - self->tail);		\
	EXPECT_EQ((long)(__in - __out), queued(self->dev.fd));		\
} while (0)

TEST_F(helpers, commit_of_more_than_reserved)
{
	ASSERT_NE(NULL, vfifo_producer_reserve(&self->p, 10));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 4000));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 11));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, self->cap));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, self->cap + 1));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, SIZE_MAX));
	EXPECT_MOVED(0, 0);
	/* The reservation is unchanged. */
	EXPECT_EQ(0, vfifo_producer_commit(&self->p, 10));
	EXPECT_MOVED(10, 0);
}

TEST_F(helpers, commit_without_reserve)
{
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 1));
	EXPECT_EQ(0, vfifo_producer_wait(&self->p, 100, 0));
	EXPECT_EQ(self->cap, vfifo_producer_room(&self->p));
	/* Neither waiting for room nor asking for it reserves it. */
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 1));
	EXPECT_EQ(0, vfifo_producer_commit(&self->p, 0));
	EXPECT_MOVED(0, 0);
}

TEST_F(helpers, commit_twice)
{
	ASSERT_NE(NULL, vfifo_producer_reserve(&self->p, 10));
	EXPECT_EQ(0, vfifo_producer_commit(&self->p, 10));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 10));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 1));
	EXPECT_EQ(0, vfifo_producer_commit(&self->p, 0));
	EXPECT_MOVED(10, 0);
}

TEST_F(helpers, commit_in_parts)
{
	char *to = vfifo_producer_reserve(&self->p, 10);

	ASSERT_NE(NULL, to);
	stream_fill(to, 10, 0);
	EXPECT_EQ(0, vfifo_producer_commit(&self->p, 4));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 7));
	EXPECT_EQ(0, vfifo_producer_commit(&self->p, 6));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 1));
	EXPECT_MOVED(10, 0);
	vfifo_consumer_close(&self->c);
	EXPECT_TRUE(get(&self->dev, 10, 0));
}

TEST_F(helpers, last_reservation_counts)
{
	char *to = vfifo_producer_reserve(&self->p, 10);

	ASSERT_NE(NULL, to);
	/* A failed reservation changes nothing. */
	EXPECT_EQ(NULL, vfifo_producer_reserve(&self->p, self->cap + 1));
	EXPECT_EQ(NULL, vfifo_producer_reserve(&self->p, SIZE_MAX));
	EXPECT_EQ(0, vfifo_producer_commit(&self->p, 10));
	EXPECT_EQ(to + 10, vfifo_producer_reserve(&self->p, 5));
	EXPECT_EQ(to + 10, vfifo_producer_reserve(&self->p, 20));
	EXPECT_EQ(0, vfifo_producer_commit(&self->p, 20));
	EXPECT_NE(NULL, vfifo_producer_reserve(&self->p, 20));
	EXPECT_NE(NULL, vfifo_producer_reserve(&self->p, 5));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 6));
	EXPECT_NE(NULL, vfifo_producer_reserve(&self->p, 0));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 1));
	EXPECT_MOVED(30, 0);
}

TEST_F(helpers, reserve_what_does_not_fit)
{
	EXPECT_EQ(NULL, vfifo_producer_reserve(&self->p, self->cap + 1));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 1));
	ASSERT_NE(NULL, vfifo_producer_reserve(&self->p, self->cap));
	EXPECT_EQ(0, vfifo_producer_commit(&self->p, self->cap));
	EXPECT_EQ(0, vfifo_producer_room(&self->p));
	EXPECT_EQ(NULL, vfifo_producer_reserve(&self->p, 1));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 1));
	EXPECT_NE(NULL, vfifo_producer_reserve(&self->p, 0));
	EXPECT_EQ(0, vfifo_producer_commit(&self->p, 0));
	EXPECT_MOVED(self->cap, 0);
}

TEST_F(helpers, null_has_a_reason)
{
	size_t len;

	EXPECT_EQ(EAGAIN, NULL_ERRNO(vfifo_consumer_peek(&self->c, &len)));
	EXPECT_EQ(EINVAL, NULL_ERRNO(vfifo_producer_reserve(&self->p, self->cap + 1)));
	EXPECT_EQ(0, NULL_ERRNO(vfifo_producer_reserve(&self->p, self->cap)));
	EXPECT_EQ(0, vfifo_producer_commit(&self->p, 1));
	EXPECT_EQ(EAGAIN, NULL_ERRNO(vfifo_producer_reserve(&self->p, self->cap)));
	EXPECT_EQ(0, NULL_ERRNO(vfifo_consumer_peek(&self->c, &len)));
	/* An impossible position. */
	store(self->c.map.own, self->tail - 1);
	EXPECT_EQ(EIO, NULL_ERRNO(vfifo_producer_reserve(&self->p, self->cap)));
	EXPECT_EQ(-EIO, vfifo_producer_queued(&self->p));
	store(self->c.map.own, self->tail);
	EXPECT_EQ(0, vfifo_consumer_release(&self->c, 1));
	store(self->p.map.own, self->head + self->cap + 2);
	EXPECT_EQ(EIO, NULL_ERRNO(vfifo_consumer_peek(&self->c, &len)));
	store(self->p.map.own, self->head);
	EXPECT_EQ(-EIO, vfifo_consumer_queued(&self->c));
	store(self->p.map.own, self->head + 1);
	EXPECT_EQ(0, vfifo_consumer_queued(&self->c));
}

TEST_F(helpers, accessors)
{
	struct vfifo_info info = { .size = sizeof(info) };

	EXPECT_EQ(self->cap, vfifo_producer_capacity(&self->p));
	EXPECT_EQ(self->cap, vfifo_consumer_capacity(&self->c));
	EXPECT_EQ(0, vfifo_producer_kind(&self->p));
	EXPECT_EQ(0, vfifo_consumer_kind(&self->c));
	EXPECT_EQ(0, ioctl(vfifo_producer_fd(&self->p), VFIFO_GET_INFO, &info));
	EXPECT_EQ(0, ioctl(vfifo_consumer_fd(&self->c), VFIFO_GET_INFO, &info));
	EXPECT_EQ(0, vfifo_producer_queued(&self->p));
	EXPECT_EQ(0, vfifo_consumer_queued(&self->c));
	/* What is reserved is not queued, and what was peeked at is. */
	EXPECT_NE(NULL, vfifo_producer_reserve(&self->p, self->cap));
	EXPECT_EQ(0, vfifo_producer_queued(&self->p));
	EXPECT_EQ(0, vfifo_producer_commit(&self->p, self->cap));
	EXPECT_EQ(self->cap, vfifo_producer_queued(&self->p));
	EXPECT_EQ(self->cap, vfifo_consumer_queued(&self->c));
	EXPECT_EQ(self->cap, peeked(&self->c));
	EXPECT_EQ(self->cap, vfifo_consumer_queued(&self->c));
	EXPECT_EQ(0, vfifo_consumer_release(&self->c, 10));
	EXPECT_EQ(self->cap - 10, vfifo_producer_queued(&self->p));
	EXPECT_EQ(self->cap - 10, vfifo_consumer_queued(&self->c));
}

/* Queues @n bytes. */
static int fill(struct vfifo_producer *p, size_t n)
{
	return vfifo_producer_reserve(p, n) ? vfifo_producer_commit(p, n) : -ENOSPC;
}

TEST_F(helpers, release_of_more_than_peeked)
{
	ASSERT_EQ(0, fill(&self->p, 10));
	ASSERT_EQ(10, peeked(&self->c));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, 11));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, self->cap + 1));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, SIZE_MAX));
	/* Waiting has seen more bytes, but they were not peeked at. */
	ASSERT_EQ(0, fill(&self->p, 90));
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, 100, 0));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, 100));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, 11));
	EXPECT_MOVED(100, 0);
	EXPECT_EQ(0, vfifo_consumer_release(&self->c, 10));
	EXPECT_MOVED(100, 10);
	EXPECT_EQ(90, peeked(&self->c));
	EXPECT_EQ(0, vfifo_consumer_release(&self->c, 90));
	EXPECT_MOVED(100, 100);
}

TEST_F(helpers, release_without_peek)
{
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, 1));
	ASSERT_EQ(0, fill(&self->p, 10));
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, 10, 0));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, 10));
	EXPECT_EQ(0, vfifo_consumer_release(&self->c, 0));
	EXPECT_MOVED(10, 0);
}

TEST_F(helpers, release_twice_and_in_parts)
{
	ASSERT_EQ(0, fill(&self->p, 20));
	ASSERT_EQ(20, peeked(&self->c));
	EXPECT_EQ(0, vfifo_consumer_release(&self->c, 5));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, 16));
	EXPECT_EQ(0, vfifo_consumer_release(&self->c, 15));
	ASSERT_EQ(0, fill(&self->p, 20));
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, 20, 0));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, 15));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, 1));
	EXPECT_MOVED(40, 20);
}

TEST_F(helpers, peek)
{
	size_t len = 1;

	EXPECT_EQ(NULL, vfifo_consumer_peek(&self->c, &len));
	EXPECT_EQ(0, len);
	EXPECT_EQ(NULL, vfifo_consumer_peek(&self->c, NULL));
	ASSERT_EQ(0, fill(&self->p, 10));
	EXPECT_NE(NULL, vfifo_consumer_peek(&self->c, NULL));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, 11));
	EXPECT_EQ(0, vfifo_consumer_release(&self->c, 10));
}

/* A new owner has nothing reserved or peeked at. */
TEST_F(helpers, new_owner_begins_with_nothing)
{
	ASSERT_NE(NULL, vfifo_producer_reserve(&self->p, 10));
	vfifo_producer_close(&self->p);
	ASSERT_EQ(0, vfifo_producer_open(&self->p, vfifo_path()));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&self->p, 10));
	ASSERT_EQ(0, fill(&self->p, 10));
	ASSERT_EQ(10, peeked(&self->c));
	vfifo_consumer_close(&self->c);
	ASSERT_EQ(0, vfifo_consumer_open(&self->c, vfifo_path()));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&self->c, 10));
	EXPECT_MOVED(10, 0);
}

/* A commit that cannot wake the other end has published its bytes nevertheless. */
TEST_F(helpers, commit_that_cannot_notify)
{
	struct vfifo_producer p;
	int fd;

	vfifo_producer_close(&self->p);
	fd = vfifo_open(O_RDWR);
	ASSERT_EQ(0, vfifo_producer_open_fd(&p, fd));
	close(fd);
	self->c.map.own->waiting = 1;
	ASSERT_NE(NULL, vfifo_producer_reserve(&p, 10));
	EXPECT_EQ(-EBADF, vfifo_producer_commit(&p, 10));
	EXPECT_EQ(10, peeked(&self->c));
	vfifo_producer_close(&p);
}

/* ---- waiting ---- */

TEST_F(helpers, wait_for_nothing)
{
	EXPECT_EQ(0, vfifo_producer_wait(&self->p, 0, 0));
	EXPECT_EQ(0, vfifo_producer_wait(&self->p, 0, -1));
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, 0, 0));
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, 0, -1));
}

TEST_F(helpers, wait_for_more_than_the_capacity)
{
	const size_t too_many[] = { self->cap + 1, 2 * self->cap, SIZE_MAX };
	const int timeouts[] = { 0, 1, INT_MAX, -1, INT_MIN };
	size_t i, j;

	/* Immediately, even with an infinite timeout. */
	for (i = 0; i < ARRAY_SIZE(too_many); i++) {
		for (j = 0; j < ARRAY_SIZE(timeouts); j++) {
			EXPECT_EQ(-EINVAL, vfifo_producer_wait(&self->p, too_many[i],
							       timeouts[j]));
			EXPECT_EQ(-EINVAL, vfifo_consumer_wait(&self->c, too_many[i],
							       timeouts[j]));
		}
	}
	EXPECT_EQ(0, vfifo_producer_wait(&self->p, self->cap, 0));
	ASSERT_EQ(0, fill(&self->p, self->cap));
	EXPECT_EQ(0, vfifo_consumer_wait(&self->c, self->cap, 0));
}

TEST_F(helpers, wait_for_some_time)
{
	__s64 from = now_ms();

	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&self->c, 1, 0));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&self->c, 1, 50));
	EXPECT_LE(50, now_ms() - from);
	ASSERT_EQ(0, fill(&self->p, self->cap));
	from = now_ms();
	EXPECT_EQ(-EAGAIN, vfifo_producer_wait(&self->p, 1, 0));
	EXPECT_EQ(-EAGAIN, vfifo_producer_wait(&self->p, 1, 50));
	EXPECT_LE(50, now_ms() - from);
}

FIXTURE(timeout)
{
	struct vfifo dev;
};

FIXTURE_VARIANT(timeout)
{
	int timeout;
};

FIXTURE_VARIANT_ADD(timeout, minus_one)
{
	.timeout = -1,
};

FIXTURE_VARIANT_ADD(timeout, least)
{
	.timeout = INT_MIN,
};

FIXTURE_VARIANT_ADD(timeout, most)
{
	.timeout = INT_MAX,
};

FIXTURE_SETUP(timeout)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
}

FIXTURE_TEARDOWN(timeout)
{
	vfifo_teardown(&self->dev);
}

/* These sleep until there are bytes, or room, and not less. */
TEST_F(timeout, bytes)
{
	struct vfifo_consumer c;
	pid_t pid;

	pid = child_start(3 * DEADLINE);
	if (!pid) {
		if (vfifo_consumer_open(&c, vfifo_path()))
			_exit(1);
		_exit(-vfifo_consumer_wait(&c, 1, variant->timeout));
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(1, write(self->dev.fd, "x", 1));
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(timeout, room)
{
	struct vfifo_producer p;
	pid_t pid;

	ASSERT_TRUE(put(&self->dev, self->dev.capacity, 0));
	pid = child_start(3 * DEADLINE);
	if (!pid) {
		if (vfifo_producer_open(&p, vfifo_path()))
			_exit(1);
		_exit(-vfifo_producer_wait(&p, 1, variant->timeout));
	}
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(get(&self->dev, 1, 0));
	EXPECT_EQ(0, child_end(pid));
}

/* ---- opening, and structs that are not open ---- */

FIXTURE(opening)
{
	struct vfifo dev;
	int fds;		/* open descriptors at the start */
};

FIXTURE_SETUP(opening)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fds = open_fds();
}

FIXTURE_TEARDOWN(opening)
{
	EXPECT_EQ(self->fds, open_fds());
	vfifo_teardown(&self->dev);
}

/* Every call with a struct that is not open. */
static void no_end(struct __test_metadata *_metadata, struct vfifo_producer *p,
		   struct vfifo_consumer *c)
{
	size_t len = 1;

	EXPECT_EQ(NULL, vfifo_producer_reserve(p, 1));
	EXPECT_EQ(NULL, vfifo_producer_reserve(p, 0));
	EXPECT_EQ(EBADF, NULL_ERRNO(vfifo_producer_reserve(p, 0)));
	EXPECT_EQ(-EBADF, vfifo_producer_fd(p));
	EXPECT_EQ(0, vfifo_producer_capacity(p));
	EXPECT_EQ(-EBADF, vfifo_producer_kind(p));
	EXPECT_EQ(-EBADF, vfifo_producer_queued(p));
	EXPECT_EQ(-EBADF, vfifo_producer_room(p));
	EXPECT_EQ(-EBADF, vfifo_producer_commit(p, 1));
	EXPECT_EQ(-EBADF, vfifo_producer_commit(p, 0));
	EXPECT_EQ(-EBADF, vfifo_producer_wait(p, 1, 0));
	EXPECT_EQ(-EBADF, vfifo_producer_wait(p, 0, 0));
	EXPECT_EQ(-EBADF, vfifo_producer_wait(p, 1, -1));
	EXPECT_EQ(NULL, vfifo_consumer_peek(c, &len));
	EXPECT_EQ(0, len);
	EXPECT_EQ(EBADF, NULL_ERRNO(vfifo_consumer_peek(c, NULL)));
	EXPECT_EQ(-EBADF, vfifo_consumer_fd(c));
	EXPECT_EQ(0, vfifo_consumer_capacity(c));
	EXPECT_EQ(-EBADF, vfifo_consumer_kind(c));
	EXPECT_EQ(-EBADF, vfifo_consumer_queued(c));
	EXPECT_EQ(-EBADF, vfifo_consumer_release(c, 1));
	EXPECT_EQ(-EBADF, vfifo_consumer_release(c, 0));
	EXPECT_EQ(-EBADF, vfifo_consumer_wait(c, 1, 0));
	EXPECT_EQ(-EBADF, vfifo_consumer_wait(c, 0, 0));
	EXPECT_EQ(-EBADF, vfifo_consumer_wait(c, 1, -1));
	vfifo_producer_close(p);
	vfifo_consumer_close(c);
}

TEST_F(opening, closed)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;

	ASSERT_EQ(0, vfifo_producer_open(&p, vfifo_path()));
	ASSERT_EQ(0, vfifo_consumer_open(&c, vfifo_path()));
	ASSERT_NE(NULL, vfifo_producer_reserve(&p, 10));
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
	no_end(_metadata, &p, &c);
	no_end(_metadata, &p, &c);
	EXPECT_EQ(0, queued(self->dev.fd));
}

TEST_F(opening, failed)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;

	EXPECT_EQ(-ENOTTY, vfifo_producer_open(&p, "/dev/null"));
	EXPECT_EQ(-ENOTTY, vfifo_consumer_open(&c, "/dev/null"));
	no_end(_metadata, &p, &c);
}

/* Descriptor 0, which may be in use, is left alone. */
TEST_F(opening, all_zero)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;

	ASSERT_LE(0, fcntl(STDIN_FILENO, F_GETFD)) {
		TH_LOG("needs a standard input");
	}
	memset(&p, 0, sizeof(p));
	memset(&c, 0, sizeof(c));
	no_end(_metadata, &p, &c);
	EXPECT_LE(0, fcntl(STDIN_FILENO, F_GETFD));
}

TEST_F(opening, bad_paths)
{
	static const struct {
		const char *path;
		int err;
	} bad[] = {
		{ NULL, -EFAULT },
		{ "", -ENOENT },
		{ "/nonexistent", -ENOENT },
		{ "/dev", -EISDIR },
		{ "/dev/null", -ENOTTY },
		{ "/dev/null/vfifo0", -ENOTDIR },
	};
	struct vfifo_producer p;
	struct vfifo_consumer c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(&p, 0xff, sizeof(p));
		memset(&c, 0xff, sizeof(c));
		EXPECT_EQ(bad[i].err, vfifo_producer_open(&p, bad[i].path));
		EXPECT_EQ(bad[i].err, vfifo_consumer_open(&c, bad[i].path));
		no_end(_metadata, &p, &c);
	}
}

TEST_F(opening, bad_descriptors)
{
	static const struct {
		int flags;
		int err;
	} bad[] = {
		{ O_RDONLY, -EACCES },
		{ O_WRONLY, -EACCES },
		{ O_PATH, -EBADF },
	};
	const int closed[] = { -1, -2, INT_MIN, INT_MAX };
	struct vfifo_producer p;
	struct vfifo_consumer c;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(closed); i++) {
		memset(&p, 0xff, sizeof(p));
		memset(&c, 0xff, sizeof(c));
		EXPECT_EQ(-EBADF, vfifo_producer_open_fd(&p, closed[i]));
		EXPECT_EQ(-EBADF, vfifo_consumer_open_fd(&c, closed[i]));
		no_end(_metadata, &p, &c);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = vfifo_open(bad[i].flags);
		ASSERT_LE(0, fd);
		EXPECT_EQ(bad[i].err, vfifo_producer_open_fd(&p, fd));
		EXPECT_EQ(bad[i].err, vfifo_consumer_open_fd(&c, fd));
		no_end(_metadata, &p, &c);
		/* The caller keeps its descriptor. */
		EXPECT_EQ(0, close(fd));
	}
}

TEST_F(opening, second_owner)
{
	struct vfifo_producer p, p2;
	struct vfifo_consumer c, c2;

	ASSERT_EQ(0, vfifo_producer_open(&p, vfifo_path()));
	ASSERT_EQ(0, vfifo_consumer_open(&c, vfifo_path()));
	EXPECT_EQ(-EBUSY, vfifo_producer_open(&p2, vfifo_path()));
	EXPECT_EQ(-EBUSY, vfifo_consumer_open(&c2, vfifo_path()));
	EXPECT_EQ(-EBUSY, vfifo_producer_open_fd(&p2, vfifo_producer_fd(&p)));
	EXPECT_EQ(-EBUSY, vfifo_consumer_open_fd(&c2, vfifo_consumer_fd(&c)));
	no_end(_metadata, &p2, &c2);
	/* The first owners are not affected. */
	EXPECT_EQ(0, fill(&p, 10));
	EXPECT_EQ(10, peeked(&c));
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
}

TEST_F(opening, what_is_not_there)
{
	struct vfifo_producer p, second;
	struct vfifo_consumer c;
	int fd = vfifo_open(O_RDWR);
	long cap = self->dev.capacity;
	size_t len = 1;
	char *to;

	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOENT, vfifo_producer_open(&p, "/nonexistent"));
	vfifo_producer_close(&p);
	EXPECT_EQ(-ENOTTY, vfifo_consumer_open(&c, "/dev/null"));
	EXPECT_EQ(-EBADF, vfifo_consumer_open_fd(&c, -1));
	vfifo_consumer_close(&c);

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, fd));
	EXPECT_EQ(-EBUSY, vfifo_producer_open_fd(&second, fd));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, fd));
	EXPECT_EQ(NULL, vfifo_consumer_peek(&c, &len));
	EXPECT_EQ(0, (long)len);
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&c, 1));
	EXPECT_EQ(0, vfifo_consumer_release(&c, 0));
	EXPECT_EQ(NULL, vfifo_producer_reserve(&p, cap + 1));
	EXPECT_NE(NULL, vfifo_producer_reserve(&p, cap));
	EXPECT_EQ(-EINVAL, vfifo_producer_commit(&p, cap + 1));
	EXPECT_EQ(0, vfifo_producer_commit(&p, 0));
	EXPECT_EQ(cap, vfifo_producer_room(&p));
	to = vfifo_producer_reserve(&p, 10);
	ASSERT_NE(NULL, to);
	stream_fill(to, 10, 0);
	EXPECT_EQ(0, vfifo_producer_commit(&p, 10));
	EXPECT_EQ(cap - 10, vfifo_producer_room(&p));
	EXPECT_EQ(-EINVAL, vfifo_consumer_release(&c, 11));
	EXPECT_NE(NULL, vfifo_consumer_peek(&c, &len));
	EXPECT_EQ(10, (long)len);
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
	EXPECT_TRUE(get(&self->dev, 10, 0));
	close(fd);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
