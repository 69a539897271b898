// SPDX-License-Identifier: GPL-2.0
/*
 * Readers, writers, mapped ends and pollers that come and go, while the attribute "hangup",
 * the mode and the capacity change. Afterwards the counts of readers and writers are right.
 *
 * "-n ROUNDS" or VFIFO_ROUNDS makes a test run exactly that many rounds.
 */
#include "vfifo_hangup.h"
#include "vfifo_race.h"
#include "vfifo_waiters.h"

FIXTURE(load)
{
	struct ends e;
	pid_t pid[RACERS];
};

FIXTURE_SETUP(load)
{
	ASSERT_TRUE(race_begin());
	ASSERT_EQ(0, ends_begin(&self->e, false));
	/* Writers of a FIFO without readers are part of it. */
	signal(SIGPIPE, SIG_IGN);
}

FIXTURE_TEARDOWN(load)
{
	racers_kill(self->pid);
	ends_end(&self->e);
	munmap(race, sizeof(*race));
}

/* ---- the racers ---- */

static int step_write(int self, __u64 *random)
{
	static char buf[20000];
	int fd = vfifo_open(O_WRONLY | O_NONBLOCK);
	long ret;

	if (fd < 0)
		return WRONG("racer %d: open: %d", self, errno);
	jitter(random);
	ret = res(write(fd, buf, 1 + rnd(random) % sizeof(buf)));
	if (ret < 0 && ret != -EPIPE && ret != -EAGAIN && ret != -EBUSY)
		return WRONG("racer %d: write: %ld", self, ret);
	close(fd);
	return 1;
}

static int step_read(int self, __u64 *random)
{
	static char buf[20000];
	int fd = vfifo_open((rnd(random) % 4 ? O_RDONLY : O_RDWR) | O_NONBLOCK);
	int i, times = 1 + rnd(random) % 4;
	long ret;

	if (fd < 0)
		return WRONG("racer %d: open: %d", self, errno);
	for (i = 0; i < times; i++) {
		jitter(random);
		ret = res(read(fd, buf, sizeof(buf)));
		if (ret < 0 && ret != -EAGAIN && ret != -EBUSY)
			return WRONG("racer %d: read: %ld", self, ret);
	}
	close(fd);
	return 1;
}

static int step_map(int self, __u64 *random)
{
	bool producer = rnd(random) % 2;
	struct vfifo dev = { .fd = vfifo_open(O_RDWR) };
	struct vfifo_end *end;

	if (dev.fd < 0)
		return WRONG("racer %d: open: %d", self, errno);
	end = claim_end(&dev, producer);
	if (!end && errno != EBUSY)
		return WRONG("racer %d: mmap: %d", self, errno);
	jitter(random);
	/* The descriptor and the mapping go in either order. */
	if (rnd(random) % 2)
		shut(&dev.fd);
	if (end)
		munmap(end, sysconf(_SC_PAGESIZE));
	jitter(random);
	shut(&dev.fd);
	return end ? 1 : 0;
}

static int step_poll(int self, __u64 *random)
{
	int flags = rnd(random) % 2 ? O_RDONLY : O_WRONLY;
	int fd = vfifo_open(flags | O_NONBLOCK), ep, got;
	__u32 asked = rnd(random) % 2 ? EPOLLIN | EPOLLOUT : 0;
	struct epoll_event event;

	if (fd < 0)
		return WRONG("racer %d: open: %d", self, errno);
	if (rnd(random) % 2)
		asked |= EPOLLEXCLUSIVE;
	if (rnd(random) % 2)
		asked |= EPOLLET;
	ep = epoll_for(fd, asked);
	got = epoll_wait(ep, &event, 1, rnd(random) % 3);
	if (got < 0)
		return WRONG("racer %d: epoll_wait: %d", self, errno);
	/* A writer never gets POLLHUP. */
	if (got && event.events & EPOLLHUP && flags == O_WRONLY)
		return WRONG("racer %d: a writer was told %#x", self,
			     event.events);
	close(ep);
	close(fd);
	return 1;
}

static int step_switch(int self, __u64 *random)
{
	static const struct {
		const char *attr;
		const char *text;
	} changes[] = {
		{ "hangup", "0" }, { "hangup", "1" }, { "hangup", "0" },
		{ "hangup", "1" }, { "mode", "0" }, { "mode", "1" },
		{ "capacity", "65536" }, { "capacity", "131072" },
		{ "period_ms", "1" }, { "period_ms", "1000" },
	};
	int i = rnd(random) % ARRAY_SIZE(changes);
	int ret = attr_store(changes[i].attr, changes[i].text);

	if (ret && ret != -EBUSY)
		return WRONG("racer %d: %s=%s: %d", self, changes[i].attr,
			     changes[i].text, ret);
	jitter(random);
	return 1;
}

/* Nobody has the device open: both sides are empty, and an end is reached as at first. */
static void expect_nobody(struct __test_metadata *_metadata)
{
	struct vfifo_info info = { .size = sizeof(info) };
	int any = vfifo_open(O_ACCMODE), r, w;

	ASSERT_LE(0, any);
	ASSERT_EQ(0, attr_set("mode", 0));
	ASSERT_EQ(0, attr_set("hangup", 1));
	ASSERT_EQ(0, ioctl(any, VFIFO_GET_INFO, &info));
	EXPECT_EQ(VFIFO_HANGUP | VFIFO_NO_READERS | VFIFO_NO_WRITERS,
		  info.flags);
	EXPECT_EQ(0, bytes_missing());
	r = vfifo_open(O_RDONLY | O_NONBLOCK);
	ASSERT_EQ(0, ioctl(r, VFIFO_CLEAR));
	EXPECT_EQ(-EAGAIN, read_one(r));
	w = vfifo_open(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(1, write_one(w));
	EXPECT_EQ(1, read_one(r));
	close(w);
	EXPECT_EQ(0, read_one(r));
	w = vfifo_open(O_WRONLY | O_NONBLOCK);
	close(r);
	EXPECT_EQ(-EPIPE, write_one(w));
	close(w);
	close(any);
}

TEST_F_TIMEOUT(load, counts_stay_right, FOREVER)
{
	static const racer_step steps[] = {
		step_write, step_read, step_map, step_poll, step_switch,
	};
	const int racers = ARRAY_SIZE(steps);
	__s64 start = now_ms();
	unsigned long n = 0;
	int i;

	LOG_SEED();
	for (i = 0; i < racers; i++)
		self->pid[i] = racer_start(steps[i], i);
	while (more(n, start) || !enough(racers, true, start)) {
		usleep(1000);
		n++;
	}
	n = racers_end(_metadata, self->pid, racers);
	TH_LOG("%lu steps", n);
	expect_nobody(_metadata);
}

/* ---- sleepers and a change of the attribute at the moment of the last close ---- */

/* A reader that sleeps until the end. In each round, the attribute is 1 at last. */
static int step_sleep_for_the_end(int self, __u64 *random)
{
	char tmp[100];
	long ret;
	int fd;

	(void)random;
	fd = vfifo_open(self & 1 ? O_RDONLY : O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return WRONG("racer %d: open: %d", self, errno);
	do {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };

		if (!(self & 1) && poll(&pfd, 1, -1) != 1)
			return WRONG("racer %d: poll: %d", self, errno);
		ret = res(read(fd, tmp, sizeof(tmp)));
	} while (ret > 0 || ret == -EAGAIN);
	close(fd);
	return ret ? WRONG("racer %d: read: %ld", self, ret) : 1;
}

TEST_F_TIMEOUT(load, an_end_and_the_attribute_at_once, FOREVER)
{
	__s64 start = now_ms();
	__u64 random = vfifo_seed;
	unsigned long n, before[4];
	int w, i;

	LOG_SEED();
	for (i = 0; i < 4; i++)
		self->pid[i] = racer_start(step_sleep_for_the_end, i);
	for (n = 0; more(n, start); n++) {
		w = vfifo_open(O_WRONLY | O_NONBLOCK);
		ASSERT_LE(0, w);
		for (i = 0; i < 4; i++)
			before[i] = LOAD(race->steps[i]);
		ASSERT_EQ(0, attr_set("hangup", 0));
		jitter(&random);
		if (rnd(&random) % 2)
			write_one(w);
		if (rnd(&random) % 2) {
			close(w);
			ASSERT_EQ(0, attr_set("hangup", 1));
		} else {
			ASSERT_EQ(0, attr_set("hangup", 1));
			close(w);
		}
		/* A reader that has just opened its file has not met this writer. */
		for (i = 0; i < 4; i++) {
			while (LOAD(race->steps[i]) == before[i]) {
				ASSERT_LT(now_ms(), start + 60 * DEADLINE * 1000);
				w = vfifo_open(O_WRONLY | O_NONBLOCK);
				usleep(100);
				close(w);
			}
		}
	}
	STORE(race->stop, 1);
	/* The last readers sleep until they are told once more. */
	for (i = 0; i < 4; i++) {
		while (child_state(self->pid[i]) != 'Z') {
			ASSERT_LT(now_ms(), start + 90 * DEADLINE * 1000);
			w = vfifo_open(O_WRONLY | O_NONBLOCK);
			usleep(100);
			close(w);
		}
	}
	racers_end(_metadata, self->pid, 4);
	TH_LOG("%lu ends", n);
	expect_nobody(_metadata);
}

int main(int argc, char **argv)
{
	race_options(&argc, argv);
	return vfifo_main(argc, argv);
}
