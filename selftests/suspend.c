// SPDX-License-Identifier: GPL-2.0
/*
 * Suspend and resume: sleeping calls keep sleeping, queued bytes stay queued, and
 * generation pauses and continues.
 *
 * The variants suspend to a different depth. With pm_test, the kernel turns back at some
 * point. The last variant puts the machine to sleep, and its clock wakes it up.
 */
#include <dirent.h>
#include <poll.h>
#include <sys/timerfd.h>

#include "vfifo_test.h"

#define POWER		"/sys/power"
#define PARAMETERS	"/sys/module/suspend/parameters"

/* Seconds for which all processes are frozen. */
#define FROZEN		2

/*
 * Half of that, in milliseconds. The clock that measures it may have to catch up first,
 * in an emulated machine that had to wait.
 */
#define FROZEN_MS	(FROZEN * 500)

/* Seconds until the clock's alarm, including the time to fall asleep. */
#define ALARM		4

#define WORD		"AUTO "
#define WORD_LEN	5

FIXTURE(suspend)
{
	struct vfifo dev;
	int fd;			/* a blocking one */
	int alarm;
};

FIXTURE_VARIANT(suspend)
{
	const char *test;	/* where the kernel turns back */
	const char *state;
};

FIXTURE_VARIANT_ADD(suspend, freezer)
{
	.test = "freezer",
	.state = "freeze",
};

FIXTURE_VARIANT_ADD(suspend, devices)
{
	.test = "devices",
	.state = "freeze",
};

FIXTURE_VARIANT_ADD(suspend, memory_devices)
{
	.test = "devices",
	.state = "mem",
};

/* Up to the point where one CPU is left. */
FIXTURE_VARIANT_ADD(suspend, memory_processors)
{
	.test = "processors",
	.state = "mem",
};

FIXTURE_VARIANT_ADD(suspend, memory)
{
	.test = "none",
	.state = "mem",
};

/* Whether a device in use does not survive a suspend. */
static bool cannot_resume(void)
{
	DIR *dir = opendir("/sys/bus/virtio/drivers/9pnet_virtio");
	bool found = false;
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		found |= !strncmp(entry->d_name, "virtio", 6);
	if (dir)
		closedir(dir);
	return found;
}

FIXTURE_SETUP(suspend)
{
	bool real = !strcmp(variant->test, "none");

	self->alarm = -1;
	self->fd = -1;
	if (!strstr(file_text(POWER, "state"), variant->state))
		SKIP(return, "the machine has no state '%s'", variant->state);
	/* In the state s2idle, an alarm does not wake all machines. */
	if (real && !strstr(file_text(POWER, "mem_sleep"), "[deep]"))
		SKIP(return, "the state 'mem' is not suspend to RAM here");
	if (strcmp(variant->test, "freezer") && cannot_resume())
		SKIP(return, "9P over virtio does not survive a suspend");
	if (file_put(POWER, "pm_test", variant->test) && !real)
		SKIP(return, "no pm_test '%s': needs CONFIG_PM_DEBUG",
		     variant->test);
	if (real) {
		self->alarm = timerfd_create(CLOCK_BOOTTIME_ALARM, TFD_CLOEXEC);
		if (self->alarm < 0)
			SKIP(return, "no clock that wakes the machine");
	}
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(suspend)
{
	file_put(POWER, "pm_test", "none");
	if (self->fd < 0)
		return;
	close(self->alarm);
	close(self->fd);
	vfifo_teardown(&self->dev);
}

static __s64 boot_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Suspends the machine: 0 after it has resumed. */
static int suspend(int alarm, const char *state)
{
	struct itimerspec in = { .it_value.tv_sec = ALARM };
	int tries, ret = -EINVAL;
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%d", FROZEN);
	if (alarm < 0 && file_put(PARAMETERS, "pm_test_delay", seconds))
		return ret;
	for (tries = 0; tries < 3; tries++) {
		if (alarm >= 0 && timerfd_settime(alarm, 0, &in, NULL))
			return -errno;
		ret = file_put(POWER, "state", state);
		/* EBUSY: the alarm was too near. */
		if (ret != -EBUSY)
			break;
		sleep(FROZEN);
	}
	return ret;
}

/* The number of words generated so far, including dropped ones. */
static long words(long other_bytes)
{
	return (attr_get("stats/bytes_written") - other_bytes) / WORD_LEN +
	       attr_get("stats/dropped");
}

TEST_F_TIMEOUT(suspend, generation_rests, 60)
{
	const long keep = 5000, old = attr_get("stats/bytes_written") + keep;
	long before, after, took, len, i;
	char *buf;

	ASSERT_TRUE(put(&self->dev, keep, 0));
	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_EQ(0, attr_store("mode", "1"));
	before = words(old);
	ASSERT_TRUE(eventually(words(old) > before + 2));

	took = boot_ms();
	before = words(old);
	ASSERT_EQ(0, suspend(self->alarm, variant->state));
	after = words(old);
	took = boot_ms() - took;
	TH_LOG("%ld words in %ld ms", after - before, took);
	EXPECT_LE(FROZEN_MS, took);
	/* One each millisecond, and one that was due when everything was frozen. */
	EXPECT_GE(took - FROZEN_MS + 2, after - before);

	EXPECT_TRUE(eventually(words(old) > after + 2));
	EXPECT_EQ(0, attr_store("mode", "0"));

	EXPECT_TRUE(get(&self->dev, keep, 0));
	buf = malloc(self->dev.capacity);
	len = res(read(self->dev.fd, buf, self->dev.capacity));
	EXPECT_EQ(0, len % WORD_LEN);
	for (i = 0; i < len; i++)
		ASSERT_EQ(WORD[i % WORD_LEN], buf[i]);
	free(buf);
}

TEST_F_TIMEOUT(suspend, sleepers_sleep_on, 60)
{
	long cap = self->dev.capacity;
	pid_t reader, poller, writer;
	struct pollfd p = { .fd = self->fd, .events = POLLIN };
	char c;

	poller = child_start(5 * DEADLINE);
	if (!poller)
		_exit(poll(&p, 1, -1) != 1);
	reader = child_start(5 * DEADLINE);
	if (!reader)
		_exit(read(self->fd, &c, 1) != 1);
	ASSERT_TRUE(child_sleeps(poller));
	ASSERT_TRUE(child_sleeps(reader));
	EXPECT_EQ(0, suspend(self->alarm, variant->state));
	EXPECT_TRUE(child_sleeps(poller));
	EXPECT_TRUE(child_sleeps(reader));
	EXPECT_EQ(1, res(write(self->fd, "x", 1)));
	EXPECT_EQ(0, child_end(reader));
	/* The reader may have been faster than the poller. */
	EXPECT_EQ(1, res(write(self->fd, "y", 1)));
	EXPECT_EQ(0, child_end(poller));
	EXPECT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));

	ASSERT_TRUE(put(&self->dev, cap, 0));
	writer = child_start(5 * DEADLINE);
	if (!writer) {
		char buf[PIPE_BUF];

		stream_fill(buf, PIPE_BUF, cap);
		_exit(write(self->fd, buf, sizeof(buf)) != sizeof(buf));
	}
	ASSERT_TRUE(child_sleeps(writer));
	EXPECT_EQ(0, suspend(self->alarm, variant->state));
	EXPECT_TRUE(child_sleeps(writer));
	EXPECT_EQ(cap, queued(self->fd));
	EXPECT_TRUE(get(&self->dev, PIPE_BUF, 0));
	EXPECT_EQ(0, child_end(writer));
	EXPECT_TRUE(get(&self->dev, cap, PIPE_BUF));
}

int main(int argc, char **argv)
{
	file_keep(PARAMETERS "/pm_test_delay");
	return vfifo_main(argc, argv);
}
