// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes that every user may read: reading them delays no transfer, and the numbers
 * are exact nevertheless.
 */
#include "vfifo_test.h"

#define BIG		(64L << 20)
#define TRANSFERS	3

static bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/* Reads an attribute whose file is open: its number, or -1. */
static long sample(int fd)
{
	char text[4096], *end;
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
	long value;

	if (len <= 0)
		return -1;
	text[len] = '\0';
	value = strtoull(text, &end, 10);
	return end == text ? -1 : value;
}

/* Shared with a process that reads an attribute all the time. */
struct samples {
	int attr;		/* which one; -1 to end */
	int taken_attr;		/* the one that it reads */
	__u64 start, end;	/* positions of the transfer */
	long count;		/* reads during the transfer */
};

/* Whether a transfer has begun and is not done, so that its lock is held. */
static bool in_transfer(struct samples *s, struct vfifo_end *tail)
{
	__u64 done = load(tail) - __atomic_load_n(&s->start, __ATOMIC_SEQ_CST);

	return done > 0 &&
	       done < __atomic_load_n(&s->end, __ATOMIC_SEQ_CST) - s->start;
}

static void take_samples(struct samples *s, struct vfifo_end *tail)
{
	int attr = -1, now, fd = -1;
	char text[4096];
	bool before;

	if (!pin(1) || setresuid(NOBODY, NOBODY, NOBODY))
		_exit(1);
	for (;;) {
		now = __atomic_load_n(&s->attr, __ATOMIC_SEQ_CST);
		if (now < 0)
			_exit(0);
		if (now != attr) {
			close(fd);
			attr = now;
			fd = attr_open(vfifo_attrs[attr].name, O_RDONLY);
			if (fd < 0)
				_exit(2);
			__atomic_store_n(&s->taken_attr, attr, __ATOMIC_SEQ_CST);
		}
		before = in_transfer(s, tail);
		if (pread(fd, text, sizeof(text), 0) < 0)
			_exit(3);
		if (before && in_transfer(s, tail))
			__atomic_add_fetch(&s->count, 1, __ATOMIC_SEQ_CST);
	}
}

FIXTURE(counters)
{
	struct vfifo dev;
	int fd;			/* a blocking one */
	pid_t sampler;
	struct samples *samples;
	struct vfifo_end *tail;	/* the consumer's page, read-only */
	char *buf;
};

FIXTURE_SETUP(counters)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->samples = shared(sizeof(*self->samples));
	ASSERT_NE(NULL, self->samples);
}

FIXTURE_TEARDOWN(counters)
{
	child_kill(&self->sampler);
	munmap(self->samples, sizeof(*self->samples));
	if (self->buf)
		munmap(self->buf, BIG);
	if (self->tail)
		munmap(self->tail, self->dev.page);
	close(self->fd);
	vfifo_teardown(&self->dev);
}

/* Fills the whole capacity without copying. */
static bool fill(struct vfifo *dev, long cap)
{
	struct vfifo_end *own = claim_end(dev, true);

	if (!own)
		return false;
	store(own, load(own) + cap);
	munmap(own, dev->page);
	return queued(dev->fd) == cap;
}

/* Does one large read: how often the attribute was read meanwhile, or -1. */
static long samples_meanwhile(struct vfifo *dev, struct samples *s,
			      struct vfifo_end *tail, char *buf)
{
	__u64 start = load(tail);
	long ret;

	if (!fill(dev, BIG))
		return -1;
	__atomic_store_n(&s->count, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&s->start, start, __ATOMIC_SEQ_CST);
	__atomic_store_n(&s->end, start + BIG, __ATOMIC_SEQ_CST);
	ret = read(dev->fd, buf, BIG);
	__atomic_store_n(&s->end, start, __ATOMIC_SEQ_CST);
	return ret == BIG ? __atomic_load_n(&s->count, __ATOMIC_SEQ_CST) : -1;
}

/* No such attribute waits for a transfer. So no transfer waits for its reader. */
TEST_F_TIMEOUT(counters, attributes_wait_for_no_transfer, 300)
{
	struct vfifo_info info = { .size = sizeof(info) };
	struct samples *s = self->samples;
	long most, n;
	size_t i;
	int j;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "needs two processors");
	if (geteuid())
		SKIP(return, "only root can change to another user");
	if (attr_set("capacity", BIG))
		SKIP(return, "no %ld MiB", BIG >> 20);
	self->buf = mmap(NULL, BIG, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->buf);
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_GET_INFO, &info));
	self->tail = map_page(self->fd, info.consumer_offset, PROT_READ);
	ASSERT_NE(NULL, self->tail);
	s->start = load(self->tail);
	s->end = s->start;
	s->taken_attr = -1;
	self->sampler = child_start(300 * vfifo_scale());
	if (!self->sampler) {
		self->tail = map_page(self->fd, info.consumer_offset, PROT_READ);
		if (!self->tail)
			_exit(4);
		take_samples(s, self->tail);
	}
	ASSERT_TRUE(pin(0));
	for (i = 0; i < ARRAY_SIZE(vfifo_attrs); i++) {
		if (!(vfifo_attrs[i].mode & 0004))
			continue;
		__atomic_store_n(&s->attr, i, __ATOMIC_SEQ_CST);
		ASSERT_TRUE(eventually(__atomic_load_n(&s->taken_attr,
						       __ATOMIC_SEQ_CST) == i));
		most = 0;
		for (j = 0; j < TRANSFERS && most < 10; j++) {
			n = samples_meanwhile(&self->dev, s, self->tail,
					      self->buf);
			ASSERT_LE(0, n);
			most = n > most ? n : most;
		}
		EXPECT_LE(10, most) {
			TH_LOG("%s: read %ld times during a transfer",
			       vfifo_attrs[i].name, most);
		}
	}
	__atomic_store_n(&s->attr, -1, __ATOMIC_SEQ_CST);
	EXPECT_EQ(0, child_end(self->sampler));
	self->sampler = 0;
}

/* ---- exactness ---- */

#define READERS		2
#define WRITERS		2

/* What the readers have read for certain, and what they may have read. */
struct bounds {
	long least, most;
	long clears;		/* of bytes */
};

static void read_forever(int fd, struct bounds *b)
{
	char buf[8192];
	__u64 random = getpid();
	long len, n;

	for (;;) {
		len = 1 + rnd(&random) % sizeof(buf);
		__atomic_add_fetch(&b->most, len, __ATOMIC_SEQ_CST);
		n = read(fd, buf, len);
		if (n <= 0)
			_exit(1);
		__atomic_add_fetch(&b->least, n, __ATOMIC_SEQ_CST);
		__atomic_sub_fetch(&b->most, len - n, __ATOMIC_SEQ_CST);
	}
}

static void write_forever(int fd)
{
	static char buf[20000];
	__u64 random = getpid();

	for (;;)
		if (write(fd, buf, 1 + rnd(&random) % sizeof(buf)) <= 0)
			_exit(1);
}

static void clear_forever(int fd, struct bounds *b)
{
	long before;

	for (;;) {
		before = queued(fd);
		if (ioctl(fd, VFIFO_CLEAR))
			_exit(1);
		b->clears += before > 0;
		usleep(before > 0 ? 50 : 0);
	}
}

/*
 * While readers, writers and clearing run concurrently, the number never decreases, never
 * counts cleared bytes, and always counts bytes that were read.
 */
TEST_F_TIMEOUT(counters, bytes_read_is_exact, 200)
{
	long start = attr_get("stats/bytes_read"), last = 0, now, least, most;
	struct bounds *b = shared(sizeof(*b));
	pid_t pids[READERS + WRITERS + 1];
	long taken = 0, wrong = 0, changes = 0;
	int attr, i, n = 0;
	__s64 until;

	ASSERT_NE(NULL, b);
	for (i = 0; i < READERS + WRITERS + 1; i++) {
		pids[n] = child_start(200 * vfifo_scale());
		if (pids[n++])
			continue;
		if (i < READERS)
			read_forever(self->fd, b);
		else if (i < READERS + WRITERS)
			write_forever(self->fd);
		else
			clear_forever(self->fd, b);
	}
	attr = attr_open("stats/bytes_read", O_RDONLY);
	ASSERT_LE(0, attr);
	until = now_ms() + 6 * DEADLINE * 1000;
	while ((taken < OFTEN(20000) || changes < OFTEN(1000) ||
		__atomic_load_n(&b->clears, __ATOMIC_SEQ_CST) < OFTEN(1000)) &&
	       !wrong && now_ms() < until) {
		least = __atomic_load_n(&b->least, __ATOMIC_SEQ_CST);
		now = sample(attr) - start;
		most = __atomic_load_n(&b->most, __ATOMIC_SEQ_CST);
		EXPECT_LE(last, now);
		EXPECT_LE(least, now);
		EXPECT_GE(most, now);
		wrong += now < last || now < least || now > most;
		changes += now != last;
		last = now;
		taken++;
	}
	/* Enough of both has happened. */
	EXPECT_LE(OFTEN(1000), b->clears);
	EXPECT_LE(OFTEN(1000), changes);
	for (i = 0; i < n; i++) {
		EXPECT_EQ(0, waitpid(pids[i], NULL, WNOHANG));
		child_kill(&pids[i]);
	}
	EXPECT_EQ(0, bytes_missing());
	close(attr);
	munmap(b, sizeof(*b));
}

/* By how much bad owners move their positions. All are multiples of 8. */
static const long moved[] = { -(1L << 40), -BIG, -16, -8, 0, 8, 16, BIG, 1L << 40 };

/* The number of bytes that are queued at first: a record of 8 bytes, or as many bytes. */
#define QUEUED		16

/*
 * Both ends are claimed, and the owners add @head and @tail to their positions. @order:
 * whether the consumer's end is claimed first, and whether it is left first.
 */
static void expect_no_way_back(struct __test_metadata *_metadata, struct vfifo *dev,
			       bool records, long head, long tail, int order)
{
	long written, nread, len = records ? QUEUED / 2 : QUEUED;
	struct vfifo_end *in, *out;

	ASSERT_EQ(len, res(write(dev->fd, "0123456789abcdef", len)));
	written = attr_get("stats/bytes_written");
	nread = attr_get("stats/bytes_read");
	out = order & 1 ? claim_end(dev, false) : NULL;
	in = claim_end(dev, true);
	if (!out)
		out = claim_end(dev, false);
	ASSERT_TRUE(in && out);
	store(in, load(in) + head);
	store(out, load(out) + tail);
	munmap(order & 2 ? out : in, dev->page);
	munmap(order & 2 ? in : out, dev->page);
	/* A record of which the consumer has skipped a part is given up. */
	if (records)
		written -= QUEUED;
	/* Modulo 2^64. */
	EXPECT_LE(0, attr_get("stats/bytes_written") - written);
	EXPECT_LE(0, attr_get("stats/bytes_read") - nread);
	EXPECT_EQ(0, bytes_missing());
	ASSERT_EQ(0, ioctl(dev->fd, VFIFO_CLEAR));
	EXPECT_EQ(0, bytes_missing());
}

/*
 * Owners of both ends cannot move the counters back, wherever they say that the ends are,
 * and whichever of them leaves first.
 */
TEST_F_TIMEOUT(counters, two_owners_cannot_go_back, 300)
{
	size_t head, tail;
	int kind, order;

	for (kind = 0; kind < 4; kind++) {
		ASSERT_EQ(0, attr_store("framing", kind & 1 ? "record" : "stream"));
		ASSERT_EQ(0, attr_set("overwrite", kind / 2));
		for (head = 0; head < ARRAY_SIZE(moved); head++)
			for (tail = 0; tail < ARRAY_SIZE(moved); tail++)
				for (order = 0; order < 4; order++) {
					expect_no_way_back(_metadata, &self->dev, kind & 1,
							   moved[head], moved[tail], order);
					ASSERT_TRUE(__test_passed(_metadata)) {
						TH_LOG("kind %d, head %+ld, tail %+ld, order %d",
						       kind, moved[head], moved[tail],
						       order);
					}
				}
	}
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
