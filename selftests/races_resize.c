// SPDX-License-Identifier: GPL-2.0
/*
 * Resizing while other processes read, write, map and claim, and claims against claims.
 * The stream stays whole, a mapping keeps its buffer, and an end has one owner.
 */
#include "vfifo_race.h"

#define MAX_PAGES	16
#define CLAIMANTS	4

FIXTURE(resize)
{
	struct vfifo dev;
	struct health health;
	pid_t pid[RACERS];
};

FIXTURE_SETUP(resize)
{
	ASSERT_TRUE(race_begin());
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	health_begin(&self->health);
}

FIXTURE_TEARDOWN(resize)
{
	racers_kill(self->pid);
	vfifo_teardown(&self->dev);
	health_end(&self->health);
}

/* Resizes to a random size: 0, or the negative error number. */
static int resize_some(__u64 *random)
{
	long page = sysconf(_SC_PAGESIZE);

	return attr_set("capacity", page << rnd(random) % 5);
}

/* Writes the stream in pieces of random sizes. */
static int writes(int self, __u64 *random)
{
	static __u64 head;
	static char *buf;
	static int fd = -1;
	ssize_t len, ret;

	(void)self;
	if (fd < 0) {
		fd = vfifo_open(O_WRONLY);
		buf = malloc(MAX_PAGES * PIPE_BUF);
	}
	len = 1 + rnd(random) % (rnd(random) % 2 ? 100 : MAX_PAGES * PIPE_BUF);
	stream_fill(buf, len, head);
	ret = write(fd, buf, len);
	if (ret != len)
		return WRONG("write of %zd: %zd, %s", len, ret,
			     strerror(errno));
	head += len;
	return 1;
}

/* Reads the stream and compares it. */
static int reads(int self, __u64 *random)
{
	static __u64 tail;
	static char *buf;
	static int fd = -1;
	ssize_t len, ret;

	(void)self;
	if (fd < 0) {
		fd = vfifo_open(O_RDONLY);
		buf = malloc(MAX_PAGES * PIPE_BUF);
	}
	len = 1 + rnd(random) % (rnd(random) % 2 ? 100 : MAX_PAGES * PIPE_BUF);
	ret = read(fd, buf, len);
	if (ret <= 0)
		return WRONG("read of %zd: %zd, %s", len, ret, strerror(errno));
	if (!stream_equal(buf, ret, tail))
		return WRONG("other bytes from %llu on", tail);
	tail += ret;
	return 1;
}

/* Attributes are consistent at any time. */
static int looks(int self, __u64 *random)
{
	long max = MAX_PAGES * sysconf(_SC_PAGESIZE), n;

	(void)self;
	(void)random;
	n = attr_get("size");
	if (n < 0 || n > max)
		return WRONG("size: %ld", n);
	n = attr_get("capacity");
	if (n < 0 || n > max || n & (n - 1))
		return WRONG("capacity: %ld", n);
	n = attr_get("stats/bytes_read");
	if (n < 0 || n > attr_get("stats/bytes_written"))
		return WRONG("stats/bytes_read: %ld", n);
	return 1;
}

/*
 * Resizes for all rounds, and then until each of the first @racers has reached the device
 * and @least resizes have succeeded. Returns the number of attempts, and in @resized how
 * many succeeded.
 */
static unsigned long resizes(struct __test_metadata *_metadata, int racers,
			     unsigned long least, unsigned long *resized)
{
	__u64 random = vfifo_seed;
	unsigned long done = 0;
	__s64 start = now_ms();
	int ret;

	*resized = 0;
	for (; !LOAD(race->wrong[0]); done++) {
		if (!more(done, start) &&
		    enough(racers, *resized >= least, start))
			break;
		ret = resize_some(&random);
		ASSERT_TRUE(ret == 0 || ret == -EBUSY) {
			TH_LOG("resize: %s", strerror(-ret));
		}
		*resized += !ret;
		jitter(&random);
	}
	return done;
}

TEST_F_TIMEOUT(resize, against_reads_and_writes, FOREVER)
{
	unsigned long done, resized, steps;
	int ret;

	LOG_SEED();
	self->pid[0] = racer_start(writes, 0);
	self->pid[1] = racer_start(reads, 1);
	self->pid[2] = racer_start(looks, 2);
	done = resizes(_metadata, 3, 1, &resized);
	EXPECT_STREQ("", race->wrong);
	/* Neither of them sleeps for good. */
	for (ret = 0; ret < 2; ret++) {
		steps = LOAD(race->steps[ret]);
		EXPECT_TRUE(eventually(LOAD(race->steps[ret]) > steps)) {
			TH_LOG("the %s stopped after %lu steps",
			       ret ? "reader" : "writer", steps);
		}
	}
	TH_LOG("%lu rounds, %lu resized, %lu writes, %lu reads", done, resized,
	       race->steps[0], race->steps[1]);
	EXPECT_LT(0UL, resized);
	EXPECT_HEALTHY(&self->health);
}

/* A mapped buffer is not resized, and each page of the mapping is present. */
static int maps_all(int self, __u64 *random)
{
	struct vfifo_info info = { .size = sizeof(info) }, again;
	long page = sysconf(_SC_PAGESIZE);
	static int fd = -1;
	size_t len, i;
	char *data;
	int ret;

	(void)self;
	if (fd < 0)
		fd = vfifo_open(O_RDWR | O_NONBLOCK);
	if (ioctl(fd, VFIFO_GET_INFO, &info))
		return WRONG("VFIFO_GET_INFO: %s", strerror(errno));
	len = 2 * info.capacity;
	data = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		/* It has shrunk in the meantime. */
		return errno == EINVAL ? 0 : WRONG("mmap: %s", strerror(errno));
	again.size = sizeof(again);
	if (ioctl(fd, VFIFO_GET_INFO, &again) || 2 * again.capacity < len)
		return WRONG("%zu bytes mapped, capacity %llu", len,
			     again.capacity);
	ret = resize_some(random);
	if (ret != -EBUSY)
		return WRONG("resized while mapped: %d", ret);
	for (i = 0; i < len; i += page)
		STORE(data[i + rnd(random) % page], i / page);
	/* Both halves are the same memory. */
	STORE(data[0], 17);
	if (2 * again.capacity == len && LOAD(data[len / 2]) != 17)
		return WRONG("the second half is other memory");
	munmap(data, len);
	return 1;
}

TEST_F_TIMEOUT(resize, against_mappings, FOREVER)
{
	unsigned long done, resized;

	LOG_SEED();
	self->pid[0] = racer_start(maps_all, 0);
	self->pid[1] = racer_start(maps_all, 1);
	done = resizes(_metadata, 2, 1, &resized);
	racers_end(_metadata, self->pid, 2);
	TH_LOG("%lu rounds, %lu resized, %lu mappings", done, resized,
	       found());
	EXPECT_LT(0UL, resized);
	/* Nothing is mapped any more, so it can be resized. */
	EXPECT_EQ(0, attr_set("capacity", self->dev.capacity));
	EXPECT_HEALTHY(&self->health);
}

/* Claims an end, moves some bytes of the stream, and releases the end. */
static int claims(int self, __u64 *random)
{
	static struct vfifo_info info = { .size = sizeof(info) };
	bool producer = self == 0;
	long page = sysconf(_SC_PAGESIZE);
	struct vfifo_end *own, *peer;
	static int fd = -1;
	__u64 at, other, n;
	char *data;

	if (fd < 0) {
		fd = vfifo_open(O_RDWR | O_NONBLOCK);
		if (ioctl(fd, VFIFO_GET_INFO, &info))
			return WRONG("VFIFO_GET_INFO: %s", strerror(errno));
	}
	own = map_page(fd, producer ? info.producer_offset : info.consumer_offset,
		       PROT_READ | PROT_WRITE);
	if (!own)
		return errno == EBUSY ? 0 : WRONG("claim: %s", strerror(errno));
	peer = map_page(fd, producer ? info.consumer_offset : info.producer_offset,
			PROT_READ);
	/* Mapped now, so the capacity no longer changes. */
	if (!peer || ioctl(fd, VFIFO_GET_INFO, &info))
		return WRONG("peer: %s", strerror(errno));
	data = mmap(NULL, 2 * info.capacity, PROT_READ | PROT_WRITE, MAP_SHARED,
		    fd, 0);
	if (data == MAP_FAILED)
		return WRONG("data: %s", strerror(errno));
	if (ADD(race->holders[producer], 1) != 1)
		return WRONG("two owners of one end");
	at = own->position;
	other = load(peer);
	n = producer ? info.capacity - (at - other) : other - at;
	if (n > info.capacity)
		return WRONG("%lld bytes", (long long)n);
	if (n) {
		n = 1 + rnd(random) % n;
		if (producer)
			stream_fill(data + at % info.capacity, n, at);
		else if (!stream_equal(data + at % info.capacity, n, at))
			return WRONG("other bytes from %llu on", at);
		store(own, at + n);
		if (__atomic_load_n(&peer->waiting, __ATOMIC_SEQ_CST))
			ioctl(fd, VFIFO_NOTIFY);
	}
	ADD(race->holders[producer], -1);
	munmap(data, 2 * info.capacity);
	/* The peer's page is unmapped first or last. */
	if (rnd(random) % 2)
		munmap(peer, page);
	munmap(own, page);
	munmap(peer, page);
	return n > 0;
}

/* Reads between claims, while the consumer's end is free. */
static int reads_between_claims(int self, __u64 *random)
{
	static char buf[PIPE_BUF];
	static int fd = -1;
	ssize_t ret;

	(void)self;
	if (fd < 0)
		fd = vfifo_open(O_RDONLY | O_NONBLOCK);
	ret = res(read(fd, buf, 1 + rnd(random) % sizeof(buf)));
	if (ret == -EBUSY || ret == -EAGAIN)
		return 0;
	if (ret <= 0)
		return WRONG("read: %s", strerror(-ret));
	return 1;
}

TEST_F_TIMEOUT(resize, against_claims, FOREVER)
{
	long errors = attr_get("stats/position_errors");
	unsigned long done, resized;

	LOG_SEED();
	self->pid[0] = racer_start(claims, 0);
	self->pid[1] = racer_start(claims, 1);
	self->pid[2] = racer_start(reads_between_claims, 2);
	done = resizes(_metadata, 3, 0, &resized);
	racers_end(_metadata, self->pid, 3);
	TH_LOG("%lu rounds, %lu resized, %lu times produced, %lu consumed, %lu read",
	       done, resized, race->good[0], race->good[1], race->good[2]);
	EXPECT_EQ(errors, attr_get("stats/position_errors"));
	EXPECT_HEALTHY(&self->health);
}

/* Racers 0 and 2 claim the producer's end, 1 and 3 the consumer's. */
static int competes(int self, __u64 *random)
{
	return claims(self & 1, random);
}

TEST_F_TIMEOUT(resize, claims_against_claims, FOREVER)
{
	__s64 start = now_ms();
	unsigned long i;

	LOG_SEED();
	for (i = 0; i < CLAIMANTS; i++)
		self->pid[i] = racer_start(competes, i);
	while ((more(found(), start) || !enough(CLAIMANTS, true, start)) &&
	       !LOAD(race->wrong[0]))
		usleep(1000);
	racers_end(_metadata, self->pid, CLAIMANTS);
	TH_LOG("%lu claims that moved bytes", found());
	EXPECT_EQ(0, attr_get("producer_claimed"));
	EXPECT_EQ(0, attr_get("consumer_claimed"));
	EXPECT_HEALTHY(&self->health);
}

int main(int argc, char **argv)
{
	race_options(&argc, argv);
	return vfifo_main(argc, argv);
}
