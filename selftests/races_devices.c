// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Devices that are added and removed, and a module that is loaded and unloaded, while other
 * processes open and map them and use their attributes.
 *
 * Two racers add and remove devices of a few names, so they get in each other's way. The
 * others use what they find under these names; one of them waits for the other side of a
 * device, and must be told when it is removed. "-n ROUNDS" applies to both tests: one round
 * is one removal, or one load and unload.
 */
#include <poll.h>

#include "vfifo_devices.h"
#include "vfifo_race.h"

/* Few names, so that all racers meet at each of them. */
#define NAMES	4

/* Whether @error is what a device or attribute gives that is gone, or not there yet. */
static bool gone(int error)
{
	return error == ENOENT || error == ENXIO || error == ENODEV;
}

/* How often a racer was told that nobody can come any more; shared. */
static unsigned long *told;

static const char *some_name(__u64 *random)
{
	static char name[32];

	snprintf(name, sizeof(name), TEST_PREFIX "%d", (int)(rnd(random) % NAMES));
	return name;
}

/* ---- racers ---- */

/* Adds a device, or removes one. */
static int changes(int self, __u64 *random)
{
	const char *name = some_name(random);
	char line[128];
	int ret;

	(void)self;
	if (rnd(random) % 2) {
		ret = device_delete(name);
		if (ret && ret != -ENOENT && ret != -ENODEV && ret != -EAGAIN)
			return WRONG("removing %s: %s", name, strerror(-ret));
		return !ret;
	}
	snprintf(line, sizeof(line), "%s capacity=%d mode=%s period_ms=%d hangup=%d perm=0%o",
		 name, 1 << (rnd(random) % 15), rnd(random) % 4 ? "manual" : "auto",
		 1 + (int)(rnd(random) % 5), (int)(rnd(random) % 2),
		 0600 | (unsigned int)(rnd(random) % 0200));
	ret = device_add(line);
	/* EEXIST: it is there; EAGAIN: the module is being loaded. */
	if (ret && ret != -EEXIST && ret != -EAGAIN && !gone(-ret))
		return WRONG("'%s': %s", line, strerror(-ret));
	return !ret;
}

/* Writes a byte if @writes, or reads one: 0, or -1 after WRONG(). */
static int transfer(int fd, bool writes)
{
	char c = 0;
	int ret = res(writes ? write(fd, &c, 1) : read(fd, &c, 1));

	/* EAGAIN: full or empty; EBUSY: claimed; at the end, 0 and EPIPE. */
	if (ret == 1 || ret == (writes ? -EPIPE : 0) || ret == -EAGAIN || ret == -EBUSY)
		return 0;
	return WRONG("%s: %d", writes ? "write" : "read", ret);
}

/* Opens the device of @fd once more: the same one, or none if it was removed. */
static int open_again(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

/* Opens a device for reading, writing or both. */
static int opens(int self, __u64 *random)
{
	int mode = rnd(random) % 3, again;
	int fd = device_open(some_name(random), mode | O_NONBLOCK);

	(void)self;
	if (fd < 0)
		return gone(errno) ? 0 : WRONG("open: %s", strerror(errno));
	if (mode != O_RDONLY && rnd(random) % 2 && transfer(fd, true))
		return -1;
	if (mode != O_WRONLY && rnd(random) % 2 && transfer(fd, false))
		return -1;
	if (rnd(random) % 4 == 0) {
		again = open_again(fd, O_RDWR | O_NONBLOCK);
		if (again < 0 && !gone(errno))
			return WRONG("open again: %s", strerror(errno));
		close(again);
	}
	close(fd);
	return 1;
}

/*
 * Takes one side, and polls for a moment: for bytes or room, or only for an end. If the
 * device was removed and nobody is left on the other side, poll(2) must say so.
 */
static int waits(int self, __u64 *random)
{
	bool writes = rnd(random) % 2;
	int flags = (writes ? O_WRONLY : O_RDONLY) | O_NONBLOCK;
	struct vfifo_info info = { .size = sizeof(info) };
	struct pollfd pfd;
	int again;

	(void)self;
	pfd.fd = device_open(some_name(random), flags);
	if (pfd.fd < 0)
		return gone(errno) ? 0 : WRONG("open: %s", strerror(errno));
	pfd.events = rnd(random) % 2 ? 0 : writes ? POLLOUT : POLLIN;
	if (poll(&pfd, 1, 20) < 0)
		return WRONG("poll: %s", strerror(errno));
	if (transfer(pfd.fd, writes))
		return -1;
	again = open_again(pfd.fd, flags);
	if (again < 0 && !gone(errno))
		return WRONG("open again: %s", strerror(errno));
	if (again < 0) {
		/* The call that removes it may not have returned yet. */
		if (ioctl(pfd.fd, VFIFO_GET_INFO, &info))
			return WRONG("VFIFO_GET_INFO: %s", strerror(errno));
		if (info.flags & (writes ? VFIFO_NO_READERS : VFIFO_NO_WRITERS)) {
			pfd.events = 0;
			if (poll(&pfd, 1, DEADLINE * 1000) != 1 ||
			    pfd.revents != (writes ? POLLERR : POLLHUP))
				return WRONG("a %s is alone, and poll says %#x",
					     writes ? "writer" : "reader", pfd.revents);
			ADD(*told, 1);
		}
	}
	close(again);
	close(pfd.fd);
	return 1;
}

static int maps(int self, __u64 *random)
{
	int fd = device_open(some_name(random), O_RDWR | O_NONBLOCK);
	struct vfifo_info info = { .size = sizeof(info) };
	size_t page = sysconf(_SC_PAGESIZE);
	__u64 offsets[3];
	int kind = rnd(random) % 3;
	char *p;

	(void)self;
	if (fd < 0)
		return gone(errno) ? 0 : WRONG("open: %s", strerror(errno));
	if (ioctl(fd, VFIFO_GET_INFO, &info))
		return WRONG("VFIFO_GET_INFO: %s", strerror(errno));
	offsets[0] = info.data_offset;
	offsets[1] = info.producer_offset;
	offsets[2] = info.consumer_offset;
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offsets[kind]);
	if (p == MAP_FAILED && errno != EBUSY)
		return WRONG("mmap: %s", strerror(errno));
	/* The mapping may be all that is left of the device. */
	if (rnd(random) % 2) {
		close(fd);
		fd = -1;
	}
	jitter(random);
	if (p != MAP_FAILED) {
		STORE(p[page - 1], 1);
		munmap(p, page);
	}
	if (fd >= 0)
		close(fd);
	return 1;
}

/* Shows or stores an attribute of a device that may go meanwhile. */
static int attributes(int self, __u64 *random)
{
	static const char *const text[][2] = {
		{ "capacity", "4096" }, { "capacity", "65536" }, { "mode", "1" },
		{ "mode", "0" }, { "period_ms", "1" }, { "hangup", "0" },
		{ "hangup", "1" }, { "uevent", "change" },
	};
	int i = rnd(random) % (ARRAY_SIZE(text) + ARRAY_SIZE(vfifo_attrs)), fd, ret;
	bool stores = i < (int)ARRAY_SIZE(text);
	const char *attr = stores ? text[i][0] :
				    vfifo_attrs[i - ARRAY_SIZE(text)].name;
	char path[128], got[4096];

	(void)self;
	snprintf(path, sizeof(path), VFIFO_CLASS "/%s/%s", some_name(random), attr);
	fd = open(path, (stores ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return gone(errno) ? 0 : WRONG("%s: %s", path, strerror(errno));
	jitter(random);
	if (stores)
		ret = res(write(fd, text[i][1], strlen(text[i][1])));
	else
		ret = res(read(fd, got, sizeof(got)));
	close(fd);
	if (ret < 0 && gone(-ret))
		return 0;
	if (ret < 0 && !(stores && ret == -EBUSY))
		return WRONG("%s: %s", path, strerror(-ret));
	return 1;
}

/* ---- the races ---- */

static const racer_step steps[RACERS] = {
	changes, changes, opens, waits, maps, attributes,
};

FIXTURE(devices)
{
	struct health health;
	pid_t pid[RACERS];
};

FIXTURE_SETUP(devices)
{
	/* Racers get the error. */
	signal(SIGPIPE, SIG_IGN);
	ASSERT_TRUE(race_begin());
	told = shared(sizeof(*told));
	ASSERT_NE(NULL, told);
	ASSERT_EQ(0, module_unload());
	health_begin(&self->health);
}

FIXTURE_TEARDOWN(devices)
{
	racers_kill(self->pid);
	module_unload();
	health_end(&self->health);
}

/*
 * Whether every number can be taken, except for that of vfifo0. Devices get free numbers
 * in turn, so one that is taken for good is left out.
 */
static bool all_numbers_are_free(void)
{
	unsigned int i, want = 0, got;

	for (i = 0; i < NUMBERS; i++) {
		if (device_add(TEST_PREFIX "turn capacity=1"))
			return false;
		got = minor(device_number(TEST_PREFIX "turn"));
		if (device_delete(TEST_PREFIX "turn"))
			return false;
		if (i && got != want)
			return false;
		want = got % (NUMBERS - 1) + 1;
	}
	return true;
}

/* The module stays loaded. At the end nothing holds a device any more. */
TEST_F_TIMEOUT(devices, come_and_go, FOREVER)
{
	unsigned long done = 0, sum = 0;
	__u64 random = vfifo_seed;
	const char *name;
	__s64 start;
	int i, ret;

	LOG_SEED();
	ASSERT_EQ(0, module_load("devices=1 buffer_size=16384"));
	for (i = 0; i < RACERS; i++)
		self->pid[i] = racer_start(steps[i], i);
	start = now_ms();
	while (!LOAD(race->wrong[0])) {
		if (!more(done, start) && enough(RACERS, done && LOAD(*told), start))
			break;
		name = some_name(&random);
		ret = device_delete(name);
		ASSERT_TRUE(!ret || ret == -ENOENT) {
			TH_LOG("removing %s: %s", name, strerror(-ret));
		}
		done += !ret;
		jitter(&random);
	}
	sum = racers_end(_metadata, self->pid, RACERS);
	TH_LOG("%lu removals in %lld ms, %lu of %lu steps of racers found something", done,
	       now_ms() - start, found(), sum);
	TH_LOG("a racer was told %lu times that nobody can come", *told);
	EXPECT_LT(0UL, *told);
	devices_forget();
	EXPECT_EQ(1, devices_count());
	EXPECT_TRUE(eventually(all_numbers_are_free()));
	ASSERT_EQ(0, module_unload());
	EXPECT_EQ(NULL, module_left_behind());
	EXPECT_HEALTHY(&self->health);
}

TEST_F_TIMEOUT(devices, load_and_unload, FOREVER)
{
	unsigned long done = 0, sum = 0, before[RACERS];
	__u64 random = vfifo_seed;
	__s64 start;
	int i, ret;

	LOG_SEED();
	for (i = 0; i < RACERS; i++)
		self->pid[i] = racer_start(steps[i], i);
	start = now_ms();
	for (; !LOAD(race->wrong[0]); done++) {
		if (!more(done, start) && enough(RACERS, done, start))
			break;
		for (i = 0; i < RACERS; i++)
			before[i] = LOAD(race->good[i]);
		ret = module_load("devices=1 buffer_size=16384");
		ASSERT_EQ(0, ret);
		/* In the middle of what some racers do; now and then before they begin. */
		if (rnd(&random) % 4)
			ASSERT_TRUE(eventually(met(RACERS, before) >= 3 ||
					       LOAD(race->wrong[0])));
		jitter(&random);
		ASSERT_EQ(0, module_unload());
		ASSERT_EQ(NULL, module_left_behind());
		ASSERT_NE(0, access("/dev/vfifo", F_OK));
	}
	sum = racers_end(_metadata, self->pid, RACERS);
	TH_LOG("%lu rounds in %lld ms, %lu of %lu steps found something", done,
	       now_ms() - start, found(), sum);
	EXPECT_HEALTHY(&self->health);
}

int main(int argc, char **argv)
{
	race_options(&argc, argv);
	module_begin(module_setup());
	return vfifo_main(argc, argv);
}
