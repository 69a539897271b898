// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is valid, but no longer resident whenever the device copies, because
 * another thread keeps dropping it. A transfer neither fails nor retries forever, and
 * EFAULT still means that the memory is bad.
 */
#include "vfifo_dropper.h"

#define LITTLE		2000	/* bytes of room */
#define INTRUSIONS	24

/* Shared with the process whose memory is dropped. */
struct shared_part {
	struct dropper dropper;
	int intruder;		/* a file to write or read one byte at each fault */
	int intrusions;		/* bytes left for that */
	bool intruder_reads;
};

FIXTURE(dropped)
{
	struct vfifo dev;
	int fd;			/* a blocking one */
	struct shared_part *shared;
	struct dropper *d;	/* in that */
	pid_t pid;
};

FIXTURE_VARIANT(dropped)
{
	bool out;
	bool pieces;
};

FIXTURE_VARIANT_ADD(dropped, write)
{
	.out = true,
};

FIXTURE_VARIANT_ADD(dropped, writev)
{
	.out = true,
	.pieces = true,
};

FIXTURE_VARIANT_ADD(dropped, read)
{
	.out = false,
};

FIXTURE_VARIANT_ADD(dropped, readv)
{
	.pieces = true,
};

/* The parts of the memory that are transferred. */
static const struct {
	int offset;			/* from the second page if negative */
	int pages, bytes;		/* the length is the sum */
} spans[] = {
	{ -100, 0, 200 },		/* across the end of the first page */
	{ -1000, 0, PIPE_BUF },
	{ 0, 0, PIPE_BUF + 1 },
	{ -1, 2, 1 },
	{ 0, 5, 0 },
	{ 10, 16, 0 },
};

FIXTURE_SETUP(dropped)
{
	const char *why;

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->shared = shared(sizeof(*self->shared));
	ASSERT_NE(NULL, self->shared);
	self->d = &self->shared->dropper;
	ASSERT_TRUE(dropper_begin(self->d));
	why = no_userfaultfd(self->d->memory, MANY_PAGES * self->dev.page);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(dropped)
{
	child_kill(&self->pid);
	munmap(self->d->memory, MANY_PAGES * self->dev.page);
	munmap(self->shared, sizeof(*self->shared));
	close(self->fd);
	vfifo_teardown(&self->dev);
}

static long span_start(struct vfifo *dev, int i)
{
	return spans[i].offset < 0 ? dev->page + spans[i].offset :
				     spans[i].offset;
}

static long span_len(struct vfifo *dev, int i)
{
	return spans[i].pages * dev->page + spans[i].bytes;
}

static void intrude(struct dropper *d)
{
	struct shared_part *s = (struct shared_part *)d;
	char c = 0;

	if (s->intrusions > 0 &&
	    transfer(false, !s->intruder_reads, s->intruder, &c, 1) == 1)
		__atomic_fetch_sub(&s->intrusions, 1, __ATOMIC_SEQ_CST);
}

/* Others see that it stops by the number of faults. */
static void stops(struct dropper *d)
{
	(void)d;
	pause();
}

static bool has_stopped(struct dropper *d)
{
	return __atomic_load_n(&d->met, __ATOMIC_SEQ_CST) >= d->act_at;
}

/*
 * Starts a process that transfers @len bytes at offset @from of such memory. It exits with
 * 1 if wrong bytes were read.
 */
static void start(struct __test_metadata *_metadata, struct dropper *d,
		  pid_t *pid, long from, long len, bool pieces, bool out, int fd)
{
	*pid = child_start(6 * DEADLINE);
	ASSERT_LE(0, *pid);
	if (*pid)
		return;
	if (!dropper_start(d))
		_exit(98);
	d->ret = res(transfer(pieces, out, fd, d->memory + from, len));
	_exit(!out && d->ret > 0 &&
	      !dropper_last_page(d, d->memory + from, d->ret, 0));
}

static bool ended(pid_t *pid)
{
	if (!eventually(child_state(*pid) == 'Z'))
		return false;
	child_end(*pid);
	*pid = 0;
	return true;
}

#define START(i) do {							\
	int __i = (i);							\
									\
	start(_metadata, self->d, &self->pid,				\
	      span_start(&self->dev, __i), span_len(&self->dev, __i),	\
	      variant->pieces, variant->out, self->fd);			\
} while (0)

/*
 * Expects that the transfer of span @i has changed the queue by @moved bytes, and in no
 * other way. Empties the queue.
 */
#define EXPECT_ACCOUNTED(i, moved) do {					\
	long __moved = (moved), __cap = self->dev.capacity;		\
									\
	if (variant->out) {						\
		EXPECT_EQ(__moved, queued(self->fd));			\
		EXPECT_TRUE(get(&self->dev, __moved,			\
				span_start(&self->dev, i)));		\
	} else {							\
		EXPECT_EQ(__cap - __moved, queued(self->fd));		\
		EXPECT_TRUE(get(&self->dev, __cap - __moved, __moved));	\
	}								\
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));			\
} while (0)

TEST_F_TIMEOUT(dropped, valid_memory_is_no_fault, 200)
{
	struct dropper *d = self->d;
	size_t i;
	long len;

	for (i = 0; i < ARRAY_SIZE(spans); i++) {
		len = span_len(&self->dev, i);
		if (!variant->out)
			ASSERT_TRUE(put(&self->dev, self->dev.capacity, 0));
		dropper_reset(d);
		START(i);
		ASSERT_TRUE(drops_end(&self->pid)) {
			TH_LOG("%ld bytes: no end after %d faults, or wrong bytes", len,
			       d->met);
		}
		EXPECT_TRUE(variant->out ? d->ret == len :
					   d->ret > 0 && d->ret <= len) {
			TH_LOG("%ld of %ld bytes after %d drops, %d faults",
			       d->ret, len, d->drops, d->met);
		}
		/* Pages really were dropped. */
		EXPECT_LT(0, d->drops);
		EXPECT_ACCOUNTED(i, d->ret < 0 ? 0 : d->ret);
	}
}

/*
 * While a large transfer faults, another process fills the room or takes the bytes that
 * it has found, one by one. No byte is lost or duplicated.
 */
TEST_F_TIMEOUT(dropped, others_come_first, 60)
{
	/* Shortly before the end of a page, so that each part needs two pages. */
	const long from = self->dev.page - 100, len = 5 * self->dev.page;
	long full = self->dev.capacity - (variant->out ? LITTLE : 0);
	__s64 deadline = now_ms() + 1000LL * DEADLINE;
	long next = 0, others = 0, i, n;
	struct shared_part *s = self->shared;
	struct dropper *d = self->d;
	char buf[777];

	s->intrusions = INTRUSIONS;
	s->intruder = self->dev.fd;
	s->intruder_reads = !variant->out;
	dropper_reset(d);
	d->act = intrude;
	ASSERT_TRUE(put(&self->dev, full, 0));
	start(_metadata, d, &self->pid, from, len, variant->pieces,
	      variant->out, self->fd);
	if (!variant->out) {
		ASSERT_TRUE(ended(&self->pid));
		others = INTRUSIONS - s->intrusions;
		EXPECT_LT(10, others);
		EXPECT_LT(0, d->ret);
		EXPECT_EQ(full - others - d->ret, queued(self->fd));
		EXPECT_TRUE(get(&self->dev, full - others - d->ret,
				others + d->ret));
		return;
	}
	ASSERT_TRUE(eventually(!__atomic_load_n(&s->intrusions,
						__ATOMIC_SEQ_CST)));
	ASSERT_TRUE(get(&self->dev, full, 0));

	/* The bytes of this transfer are in order, between zeroes of the other process. */
	while (now_ms() < deadline) {
		n = read(self->dev.fd, buf, sizeof(buf));
		if (n < 0 && child_state(self->pid) == 'Z' && !queued(self->fd))
			break;
		for (i = 0; i < n; i++)
			if ((__u8)buf[i] == stream_byte(from + next))
				next++;
			else
				others++;
	}
	ASSERT_TRUE(ended(&self->pid));
	EXPECT_EQ(len, d->ret);
	EXPECT_EQ(len, next);
	EXPECT_EQ(INTRUSIONS, others);
}

/* If memory turns out to be bad, however late: EFAULT, or a shorter transfer. */
TEST_F_TIMEOUT(dropped, bad_memory_is_a_fault, 300)
{
	struct dropper *d = self->d;
	long len, bad = 0;
	size_t i;
	int at;

	for (i = 0; i < ARRAY_SIZE(spans); i++) {
		len = span_len(&self->dev, i);
		for (at = 1; at < 40; at += 4) {
			if (!variant->out)
				ASSERT_TRUE(put(&self->dev, self->dev.capacity,
						0));
			dropper_reset(d);
			d->bad_at = at;
			START(i);
			ASSERT_TRUE(ended(&self->pid));
			bad += !!d->bad;
			/* The transfer cannot complete without the bad page. */
			EXPECT_TRUE(!d->bad || d->ret == -EFAULT ||
				    (d->ret > 0 && d->ret < len)) {
				TH_LOG("%ld of %ld bytes, bad at fault %d",
				       d->ret, len, at);
			}
			EXPECT_ACCOUNTED(i, d->ret < 0 ? 0 : d->ret);
			if (!d->bad)
				break;
		}
	}
	EXPECT_LT(ARRAY_SIZE(spans), bad);
}

/* The process can be killed at any time, and others are not held up by it. */
TEST_F_TIMEOUT(dropped, can_be_killed, 300)
{
	struct dropper *d = self->d;
	long len, left;
	size_t i;
	int at;

	d->act = stops;
	for (i = 0; i < ARRAY_SIZE(spans); i++) {
		len = span_len(&self->dev, i);
		for (at = 1; at < 40; at += 9) {
			if (!variant->out)
				ASSERT_TRUE(put(&self->dev, len, 0));
			dropper_reset(d);
			d->act_at = at;
			START(i);
			ASSERT_TRUE(eventually(has_stopped(d) ||
					       child_state(self->pid) == 'Z'));
			if (!has_stopped(d))
				break;
			/* Others can use both ends. */
			ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
			EXPECT_TRUE(put(&self->dev, 100, 7));
			EXPECT_TRUE(get(&self->dev, 100, 7));
			kill(self->pid, SIGKILL);
			ASSERT_TRUE(ended(&self->pid)) {
				TH_LOG("%ld bytes, at fault %d", len, at);
			}
			/*
			 * The memory was not bad, so nothing of an atomic write
			 * is left. A part of a larger one may be.
			 */
			left = queued(self->fd);
			EXPECT_TRUE(left == 0 ||
				    (variant->out && len > PIPE_BUF)) {
				TH_LOG("%ld of %ld bytes left, killed at fault %d",
				       left, len, at);
			}
			ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
		}
		if (self->pid)
			ASSERT_TRUE(ended(&self->pid));
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	}
}

/* ---- without userfaultfd: threads that only drop memory ---- */

/*
 * Each address always has the same byte: during a drop, a processor may still have the
 * translation of the old page, and read its contents.
 */
TEST_F_TIMEOUT(dropped, all_the_time, 300)
{
	long page = self->dev.page, len, n, rest, times;
	char *good = malloc(MANY_PAGES * page), *buf;
	struct careless careless = {
		.memory = self->d->memory,
		.len = MANY_PAGES * page,
	};
	__u64 pos;
	size_t i;

	ASSERT_TRUE(careless_start(&careless));
	for (i = 0; i < ARRAY_SIZE(spans); i++) {
		len = span_len(&self->dev, i);
		buf = careless.memory + span_start(&self->dev, i);
		pos = i << 20;
		for (times = OFTEN(150); times > 0; times--) {
			if (variant->out)
				stream_fill(buf, len, pos);
			else
				ASSERT_TRUE(put(&self->dev, len, pos));
			n = res(transfer(variant->pieces, variant->out,
					 self->dev.fd, buf, len));
			EXPECT_TRUE(variant->out ? n == len :
						   n > 0 && n <= len) {
				TH_LOG("%ld of %ld bytes", n, len);
			}
			if (n < 0)
				break;
			if (variant->out) {
				EXPECT_EQ(n, res(read(self->dev.fd, good,
						      len)));
				EXPECT_EQ(-1, wrong_byte(good, n, pos));
			} else {
				EXPECT_EQ(-1, wrong_byte(buf, n, pos));
				rest = queued(self->fd);
				EXPECT_EQ(len - n, rest);
				EXPECT_TRUE(get(&self->dev, rest, pos + n));
			}
		}
		if (times)
			break;
	}
	careless_stop(&careless);
	free(good);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
