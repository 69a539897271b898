// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of a vfifo, with the numbers that old programs were built with, and
 * generation, which is turned on and off by an ioctl or by an attribute.
 */
#include <poll.h>
#include <termios.h>

#include "vfifo_test.h"

/* Not from the header, since they must not change with it. */
#define OLD_CLEAR	0x6b01
#define OLD_SET_MODE	0x40046b02

#define GENERATED	"AUTO "
#define GENERATED_LEN	5

FIXTURE(ioctl)
{
	struct vfifo dev;
	int fd;			/* a blocking one */
};

FIXTURE_SETUP(ioctl)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(ioctl)
{
	close(self->fd);
	vfifo_teardown(&self->dev);
}

static long set_mode(int fd, int mode)
{
	return res(ioctl(fd, OLD_SET_MODE, &mode));
}

TEST_F(ioctl, numbers)
{
	EXPECT_EQ(OLD_CLEAR, (long)VFIFO_CLEAR);
	EXPECT_EQ(OLD_SET_MODE, (long)VFIFO_SET_MODE);
}

TEST_F(ioctl, clear)
{
	char c;

	EXPECT_EQ(0, res(ioctl(self->fd, OLD_CLEAR)));
	ASSERT_TRUE(put(&self->dev, self->dev.capacity, 0));
	EXPECT_EQ(0, res(ioctl(self->fd, OLD_CLEAR)));
	EXPECT_EQ(0, queued(self->fd));
	EXPECT_EQ(-EAGAIN, res(read(self->dev.fd, &c, 1)));

	/* The whole buffer is free again, and old bytes do not come back. */
	ASSERT_TRUE(put(&self->dev, self->dev.capacity, 7777));
	EXPECT_TRUE(get(&self->dev, self->dev.capacity, 7777));
}

TEST_F(ioctl, clear_wakes_writers)
{
	pid_t pid;

	ASSERT_TRUE(put(&self->dev, self->dev.capacity, 0));
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(write(self->fd, "x", 1) != 1);
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(0, res(ioctl(self->fd, OLD_CLEAR)));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(1, queued(self->fd));
}

TEST_F(ioctl, clear_needs_a_reader)
{
	int fd = vfifo_open(O_WRONLY);

	ASSERT_LE(0, fd);
	ASSERT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(-EBADF, res(ioctl(fd, OLD_CLEAR)));
	EXPECT_EQ(10, queued(self->fd));
	close(fd);

	fd = vfifo_open(O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, res(ioctl(fd, OLD_CLEAR)));
	EXPECT_EQ(0, queued(self->fd));
	close(fd);
}

TEST_F(ioctl, set_mode)
{
	static const int automatic[] = { 1, 2, 42, -1, 0x100, INT_MIN };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(automatic); i++) {
		EXPECT_EQ(0, set_mode(self->fd, automatic[i]));
		EXPECT_STREQ("1\n", attr_text("mode")) {
			TH_LOG("mode %d", automatic[i]);
		}
		EXPECT_EQ(0, set_mode(self->fd, 0));
		EXPECT_STREQ("0\n", attr_text("mode"));
	}
}

/* The ioctl and the attribute change the same state. */
TEST_F(ioctl, set_mode_and_sysfs_agree)
{
	ASSERT_EQ(0, attr_store("mode", "1"));
	EXPECT_EQ(0, set_mode(self->fd, 0));
	EXPECT_STREQ("0\n", attr_text("mode"));
	EXPECT_EQ(0, set_mode(self->fd, 1));
	ASSERT_EQ(0, attr_store("mode", "0"));
	EXPECT_STREQ("0\n", attr_text("mode"));
	EXPECT_EQ(0, set_mode(self->fd, 1));
	EXPECT_STREQ("1\n", attr_text("mode"));
}

TEST_F(ioctl, set_mode_needs_a_writer)
{
	int fd = vfifo_open(O_RDONLY);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, set_mode(fd, 1));
	EXPECT_STREQ("0\n", attr_text("mode"));
	close(fd);

	fd = vfifo_open(O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, set_mode(fd, 1));
	EXPECT_STREQ("1\n", attr_text("mode"));
	close(fd);
}

TEST_F(ioctl, set_mode_bad_pointer)
{
	char *p = half_mapped(self->dev.page);

	ASSERT_NE(NULL, p);
	memset(p, 1, self->dev.page);
	EXPECT_EQ(-EFAULT, res(ioctl(self->fd, OLD_SET_MODE, NULL)));
	EXPECT_EQ(-EFAULT, res(ioctl(self->fd, OLD_SET_MODE,
				     p + self->dev.page)));
	EXPECT_EQ(-EFAULT, res(ioctl(self->fd, OLD_SET_MODE,
				     p + self->dev.page - 2)));
	EXPECT_STREQ("0\n", attr_text("mode"));

	/* The address need not be aligned. */
	EXPECT_EQ(0, res(ioctl(self->fd, OLD_SET_MODE, p + 1)));
	EXPECT_STREQ("1\n", attr_text("mode"));
	munmap(p, 2 * self->dev.page);
}

TEST_F(ioctl, unknown)
{
	static const unsigned long cmd[] = {
		0, ~0U, TCGETS, _IO('k', 0), _IO('k', 99), _IO('k', 255),
		_IO('j', 1), _IO('l', 1),
		/* A known number with another size or direction. */
		_IO('k', 2), _IOR('k', 2, int), _IOWR('k', 2, int),
		_IOW('k', 2, char), _IOW('k', 2, __u64), _IOW('k', 1, int),
		_IOR('k', 1, int),
	};
	char arg[256] = { 1 };
	size_t i;

	ASSERT_TRUE(put(&self->dev, 10, 0));
	for (i = 0; i < ARRAY_SIZE(cmd); i++) {
		EXPECT_EQ(-ENOTTY, res(ioctl(self->fd, cmd[i], arg))) {
			TH_LOG("ioctl %#lx", cmd[i]);
		}
	}
	EXPECT_FALSE(isatty(self->fd));
	EXPECT_EQ(10, queued(self->fd));
	EXPECT_STREQ("0\n", attr_text("mode"));
}

#ifdef __x86_64__
TEST_F(ioctl, from_32_bit_programs)
{
	struct vfifo_info want = { .size = sizeof(want) }, *info;
	int *arg;

	if (!runs_32_bit())
		SKIP(return, "the kernel does not run 32-bit programs");

	arg = mmap(NULL, self->dev.page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, arg);
	/* So that nothing is generated meanwhile. */
	ASSERT_EQ(0, attr_set("period_ms", 3600000));
	*arg = 1;
	EXPECT_EQ(0, ioctl32(self->fd, OLD_SET_MODE, arg));
	EXPECT_STREQ("1\n", attr_text("mode"));
	*arg = 0;
	EXPECT_EQ(0, ioctl32(self->fd, OLD_SET_MODE, arg));
	EXPECT_STREQ("0\n", attr_text("mode"));
	EXPECT_EQ(-EFAULT, ioctl32(self->fd, OLD_SET_MODE, NULL));
	EXPECT_EQ(-ENOTTY, ioctl32(self->fd, _IO('k', 99), arg));

	ASSERT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(0, ioctl32(self->fd, FIONREAD, arg));
	EXPECT_EQ(10, *arg);
	EXPECT_EQ(0, ioctl32(self->fd, OLD_CLEAR, NULL));
	EXPECT_EQ(0, queued(self->fd));
	EXPECT_EQ(0, ioctl32(self->fd, VFIFO_NOTIFY, NULL));

	/* The structure is the same for them. */
	info = (void *)arg;
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	EXPECT_EQ(0, ioctl32(self->fd, VFIFO_GET_INFO, info));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_GET_INFO, &want));
	EXPECT_EQ(0, memcmp(info, &want, sizeof(want)));
	munmap(arg, self->dev.page);
}
#endif

/* ---- generation ---- */

/* Whether one "AUTO " can be read within @ms. */
static bool one_generated(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[GENERATED_LEN];

	return poll(&p, 1, ms) == 1 &&
	       read(fd, buf, sizeof(buf)) == sizeof(buf) &&
	       !memcmp(buf, GENERATED, sizeof(buf));
}

TEST_F(ioctl, auto_generates)
{
	int i;

	ASSERT_EQ(0, attr_set("period_ms", 10));
	ASSERT_EQ(0, set_mode(self->fd, 1));
	for (i = 0; i < 5; i++)
		EXPECT_TRUE(one_generated(self->dev.fd, DEADLINE * 1000));

	/* CLEAR drops what was generated, but does not end generation. */
	EXPECT_EQ(0, ioctl(self->fd, OLD_CLEAR));
	EXPECT_TRUE(one_generated(self->dev.fd, DEADLINE * 1000));
}

TEST_F(ioctl, auto_keeps_its_period)
{
	int period = 50, i;
	__s64 start;

	ASSERT_EQ(0, attr_set("period_ms", period));
	start = now_ms();
	ASSERT_EQ(0, set_mode(self->fd, 1));
	for (i = 0; i < 7; i++)
		ASSERT_TRUE(one_generated(self->dev.fd, DEADLINE * 1000));
	/* A message may be late, but is never early, not even the first one. */
	EXPECT_LE(7 * period, now_ms() - start);
}

TEST_F(ioctl, auto_wakes_reader)
{
	pid_t pid;

	ASSERT_EQ(0, attr_set("period_ms", 10));
	pid = child_start(DEADLINE);
	if (!pid) {
		/* No longer buffer: a late reader would get the next message as well. */
		char buf[GENERATED_LEN];

		EXPECT_EQ(GENERATED_LEN, res(read(self->fd, buf, sizeof(buf))));
		EXPECT_EQ(0, memcmp(buf, GENERATED, GENERATED_LEN));
		_exit(0);
	}
	EXPECT_TRUE(child_sleeps(pid));
	ASSERT_EQ(0, set_mode(self->fd, 1));
	EXPECT_EQ(0, child_end(pid));
}

/* When storing "manual" has returned, no more messages come. */
TEST_F(ioctl, manual_ends_generation)
{
	struct pollfd p = { .fd = self->fd, .events = POLLIN };
	int i;

	ASSERT_EQ(0, attr_set("period_ms", 1));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, set_mode(self->fd, 1));
		ASSERT_TRUE(one_generated(self->dev.fd, DEADLINE * 1000));
		ASSERT_EQ(0, i & 1 ? set_mode(self->fd, 0) :
				     attr_store("mode", "0"));
		ASSERT_EQ(0, ioctl(self->fd, OLD_CLEAR));
		/* For many periods. */
		ASSERT_EQ(0, poll(&p, 1, 30));
	}
}

TEST_F(ioctl, new_period_counts_at_once)
{
	ASSERT_EQ(0, attr_set("period_ms", 3600000));
	ASSERT_EQ(0, set_mode(self->fd, 1));
	ASSERT_EQ(0, attr_set("period_ms", 10));
	EXPECT_TRUE(one_generated(self->dev.fd, DEADLINE * 1000));
}

/* Setting mode auto again does not postpone the next message. */
TEST_F(ioctl, auto_again_is_nothing_new)
{
	ASSERT_EQ(0, attr_set("period_ms", 100));
	ASSERT_EQ(0, set_mode(self->fd, 1));
	EXPECT_TRUE(eventually(!set_mode(self->fd, 1) &&
			       !attr_store("mode", "1") &&
			       queued(self->fd) > 0));
}

TEST_F(ioctl, auto_is_whole_or_not_at_all)
{
	long cap = self->dev.capacity;
	long dropped = attr_get("stats/dropped");
	char *buf = malloc(cap);

	ASSERT_TRUE(put(&self->dev, cap - 4, 0));
	ASSERT_EQ(0, attr_set("period_ms", 10));
	ASSERT_EQ(0, set_mode(self->fd, 1));
	EXPECT_TRUE(eventually(attr_get("stats/dropped") > dropped));
	EXPECT_EQ(cap - 4, queued(self->fd));

	/* With one more byte of room, it fits. */
	EXPECT_EQ(1, res(read(self->fd, buf, 1)));
	EXPECT_TRUE(eventually(queued(self->fd) == cap));
	EXPECT_EQ(0, set_mode(self->fd, 0));
	EXPECT_EQ(cap, res(read(self->fd, buf, cap)));
	EXPECT_TRUE(stream_equal(buf, cap - 5, 1));
	EXPECT_EQ(0, memcmp(buf + cap - 5, GENERATED, GENERATED_LEN));
	free(buf);
}

/* Messages stay whole while others write and the mode changes. */
TEST_F_TIMEOUT(ioctl, auto_mixes_with_writers, 60)
{
	const int words = 2000;
	int seen = 0, generated = 0, i;
	char buf[GENERATED_LEN];
	pid_t writer, flipper;

	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_EQ(0, set_mode(self->fd, 1));
	writer = child_start(5 * DEADLINE);
	if (!writer) {
		for (i = 0; i < words; i++)
			EXPECT_EQ(GENERATED_LEN,
				  res(write(self->fd, "USER ", GENERATED_LEN)));
		_exit(0);
	}
	flipper = child_start(5 * DEADLINE);
	if (!flipper) {
		for (i = 0; i < 200; i++) {
			EXPECT_EQ(0, set_mode(self->fd, i & 1));
			EXPECT_EQ(0, attr_store("mode", i & 2 ? "1" : "0"));
		}
		EXPECT_EQ(0, set_mode(self->fd, 1));
		_exit(0);
	}
	while (seen < words || !generated) {
		ASSERT_EQ(GENERATED_LEN, res(read(self->fd, buf, sizeof(buf))));
		if (!memcmp(buf, "USER ", GENERATED_LEN))
			seen++;
		else if (!memcmp(buf, GENERATED, GENERATED_LEN))
			generated++;
		else
			ASSERT_TRUE(false) TH_LOG("'%.5s'", buf);
	}
	EXPECT_EQ(words, seen);
	EXPECT_EQ(0, child_end(writer));
	EXPECT_EQ(0, child_end(flipper));
}

/*
 * The mode is turned on and off 10,000 times, by ioctl and attribute, while a process
 * reads. Sometimes it stays on for about a period, so that it is turned off just when
 * the timer fires or the work item runs.
 */

/* A multiple of 20: each of ten parts ends with the mode turned off. */
#define FLIPS	(20 * OFTEN(500))

FIXTURE(flips)
{
	struct vfifo dev;
	int fd, mode;
	long *read;		/* shared: bytes that the reader has got */
	pid_t reader;
};

FIXTURE_SETUP(flips)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->mode = attr_open("mode", O_WRONLY);
	ASSERT_LE(0, self->mode);
	self->read = shared(sizeof(*self->read));
	ASSERT_NE(NULL, self->read);
	ASSERT_EQ(0, attr_set("period_ms", 1));
}

FIXTURE_TEARDOWN(flips)
{
	munmap(self->read, sizeof(*self->read));
	close(self->mode);
	close(self->fd);
	vfifo_teardown(&self->dev);
}

static bool flip(int fd, int mode, bool sysfs, int on)
{
	if (sysfs)
		return pwrite(mode, on ? "1\n" : "0\n", 2, 0) == 2;
	return !set_mode(fd, on);
}

static void maybe_stay(__u64 *state)
{
	__u64 choice = rnd(state);

	if (choice % 16 == 0)
		usleep(choice / 16 % 1500);
}

/* Reads until it is killed; exits with an error after a wrong byte. */
static void read_words(int fd, long *count, __u64 state)
{
	char buf[64];
	long len, i;

	for (;;) {
		len = read(fd, buf, 1 + rnd(&state) % sizeof(buf));
		for (i = 0; i < len; i++) {
			if (buf[i] != GENERATED[(*count + i) % GENERATED_LEN])
				_exit(1);
		}
		if (len <= 0)
			_exit(2);
		__atomic_add_fetch(count, len, __ATOMIC_SEQ_CST);
	}
}

/* Ends the reader, which must not have exited. */
static void reader_end(struct __test_metadata *_metadata, pid_t *reader)
{
	EXPECT_NE('Z', child_state(*reader));
	EXPECT_EQ(-SIGKILL, child_kill(reader));
}

/* After each turning off, nothing more is generated. */
TEST_F_TIMEOUT(flips, off_is_off, 100)
{
	long start = attr_get("stats/bytes_written"), now = start, was = start;
	__u64 state = vfifo_seed;
	__s64 ms = now_ms();
	int i;

	LOG_SEED();
	self->reader = child_start(9 * DEADLINE);
	if (!self->reader)
		read_words(self->fd, self->read, vfifo_seed);
	for (i = 0; i < FLIPS; i++) {
		ASSERT_TRUE(flip(self->fd, self->mode, i & 1, 1));
		maybe_stay(&state);
		ASSERT_TRUE(flip(self->fd, self->mode, i & 2, 0));
		was = attr_get("stats/bytes_written");
		if (i % 64 == 0)
			usleep(rnd(&state) % 3000);
		now = attr_get("stats/bytes_written");
		ASSERT_EQ(was, now) {
			TH_LOG("generated after off number %d", i);
		}
		ASSERT_EQ(0, (now - start) % GENERATED_LEN);
	}
	TH_LOG("%d times on and off in %lld ms, %ld words", FLIPS,
	       now_ms() - ms, (now - start) / GENERATED_LEN);
	EXPECT_LT(0, now - start);
	EXPECT_TRUE(eventually(*self->read == now - start));
	reader_end(_metadata, &self->reader);
}

/* Two processes change the mode at once. It is off when both have turned it off. */
TEST_F_TIMEOUT(flips, by_two_doors, 100)
{
	long start = attr_get("stats/bytes_written"), now;
	pid_t flipper;
	int i, j;

	LOG_SEED();
	self->reader = child_start(9 * DEADLINE);
	if (!self->reader)
		read_words(self->fd, self->read, vfifo_seed);
	/* Ten parts, at the end of which both have turned it off. */
	for (i = 0; i < 10; i++) {
		__u64 state = mix64(vfifo_seed + i);

		flipper = child_start(6 * DEADLINE);
		if (!flipper) {
			for (j = 0; j < FLIPS / 10; j++) {
				EXPECT_TRUE(flip(self->fd, self->mode, true,
						 !(j & 1))) {
					_exit(1);
				}
				maybe_stay(&state);
			}
			_exit(0);
		}
		state = mix64(state);
		for (j = 0; j < FLIPS / 10; j++) {
			ASSERT_TRUE(flip(self->fd, self->mode, false, !(j & 1)));
			maybe_stay(&state);
		}
		ASSERT_EQ(0, child_end(flipper));
		EXPECT_STREQ("0\n", attr_text("mode"));
		now = attr_get("stats/bytes_written");
		/* For many periods. */
		usleep(20000);
		ASSERT_EQ(now, attr_get("stats/bytes_written"));
		ASSERT_EQ(0, (now - start) % GENERATED_LEN);
		EXPECT_TRUE(eventually(*self->read == now - start));
	}
	EXPECT_LT(0, now - start);
	reader_end(_metadata, &self->reader);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
