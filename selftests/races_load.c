// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading the module while other processes do everything that can be done
 * with a device, and unloading at the moment when the last user goes.
 *
 * Most of a round is spent in loading. Therefore "-n ROUNDS" applies only to
 * load_unload.all, where all racers run together, and to "last"; the other variants of
 * load_unload run for a few seconds. A round of load_unload counts for a racer only if
 * the racer has reached a device in it, and the test goes on until each has enough.
 */
#include <poll.h>
#include <sys/epoll.h>

#include "vfifo_race.h"

/* Whether @error is what a device or attribute gives that is gone, or not there yet. */
static bool gone(int error)
{
	return error == ENOENT || error == ENXIO || error == ENODEV;
}

/* ---- loading and unloading ---- */

static int device_open(int flags)
{
	/* One of two, so that it is not always the first that was created. */
	return open(flags & 1 ? "/dev/vfifo0" : "/dev/vfifo1",
		    O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static int opens(int self, __u64 *random)
{
	int fd = device_open(rnd(random));
	char c = 0;

	(void)self;
	if (fd < 0)
		return gone(errno) ? 0 : WRONG("open: %s", strerror(errno));
	/* EAGAIN: full or empty; EBUSY: claimed. */
	if (rnd(random) % 4 == 0 && write(fd, &c, 1) != 1 && errno != EAGAIN &&
	    errno != EBUSY)
		return WRONG("write: %s", strerror(errno));
	if (rnd(random) % 4 == 0 && read(fd, &c, 1) != 1 && errno != EAGAIN &&
	    errno != EBUSY)
		return WRONG("read: %s", strerror(errno));
	close(fd);
	return 1;
}

static int polls(int self, __u64 *random)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };
	int fd = device_open(rnd(random)), epfd, kind = rnd(random) % 4;
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT };

	(void)self;
	if (fd < 0)
		return gone(errno) ? 0 : WRONG("open: %s", strerror(errno));
	/* It is not both full and empty; an end may be claimed. */
	if (poll(&pfd, 1, 0) != 1 ||
	    pfd.revents & ~(POLLIN | POLLOUT | POLLERR))
		return WRONG("poll: %#x", pfd.revents);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event))
		return WRONG("epoll: %s", strerror(errno));
	if (kind & 1 && epoll_wait(epfd, &event, 1, 0) != 1)
		return WRONG("epoll_wait: nothing");
	/* Either may go first. */
	close(kind & 2 ? fd : epfd);
	close(kind & 2 ? epfd : fd);
	return 1;
}

static int maps(int self, __u64 *random)
{
	struct vfifo_info info = { .size = sizeof(info) };
	int fd = device_open(rnd(random)), kind = rnd(random) % 4;
	size_t len = sysconf(_SC_PAGESIZE);
	__u64 offset;
	char *p;

	(void)self;
	if (fd < 0)
		return gone(errno) ? 0 : WRONG("open: %s", strerror(errno));
	if (ioctl(fd, VFIFO_GET_INFO, &info))
		return WRONG("VFIFO_GET_INFO: %s", strerror(errno));
	offset = info.data_offset;
	if (kind == 0)
		offset = info.producer_offset;
	else if (kind == 1)
		offset = info.consumer_offset;
	else
		len = 2 * info.capacity;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	if (p == MAP_FAILED) {
		/* Claimed by another process, or shrunk in the meantime. */
		if (errno != (kind > 1 ? EINVAL : EBUSY))
			return WRONG("mmap: %s", strerror(errno));
		close(fd);
		return 1;
	}
	if (rnd(random) % 2) {
		close(fd);
		fd = -1;
	}
	if (kind > 1)
		STORE(p[len - 1], 1);
	(void)LOAD(p[0]);
	munmap(p, len);
	if (fd >= 0)
		close(fd);
	return 1;
}

/* Reads each attribute twice, the second time possibly after the device has gone. */
static int shows(int self, __u64 *random)
{
	static const char *name[8];
	static int held[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	int slot = rnd(random) % ARRAY_SIZE(held), good = 0;
	char path[64], text[256];
	ssize_t len;

	(void)self;
	if (held[slot] >= 0) {
		len = pread(held[slot], text, sizeof(text), 0);
		if (len > 0)
			good = 1;
		else if (!gone(errno))
			return WRONG("%s again: %s", name[slot],
				     strerror(errno));
		close(held[slot]);
		held[slot] = -1;
		return good;
	}
	name[slot] = vfifo_attrs[rnd(random) % ARRAY_SIZE(vfifo_attrs)].name;
	snprintf(path, sizeof(path), VFIFO_CLASS "/vfifo%d/%s",
		 (int)(rnd(random) % 2), name[slot]);
	held[slot] = open(path, O_RDONLY | O_CLOEXEC);
	if (held[slot] < 0)
		return gone(errno) ? 0 : WRONG("%s: %s", path, strerror(errno));
	len = pread(held[slot], text, sizeof(text), 0);
	/* A file of a device that is being removed gives ENODEV. */
	if (len <= 0 && !gone(errno))
		return WRONG("%s: %s", path, len ? strerror(errno) : "empty");
	return len > 0;
}

static int stores(int self, __u64 *random)
{
	static const char *const text[][2] = {
		{ "capacity", "4096" }, { "capacity", "65536" },
		{ "capacity", "1000000" }, { "mode", "1" }, { "mode", "0" },
		{ "mode", "auto" }, { "period_ms", "1" }, { "period_ms", "7" },
		{ "period_ms", "3600000" }, { "capacity", "0" },
		{ "mode", "?" }, { "period_ms", "x" }, { "hangup", "2" },
		{ "framing", "bytes" }, { "overwrite", "2" },
	};
	static int held = -1;
	int i = rnd(random) % ARRAY_SIZE(text), ret;
	bool bad = i >= 9;
	char path[64];

	(void)self;
	snprintf(path, sizeof(path), VFIFO_CLASS "/vfifo%d/%s",
		 (int)(rnd(random) % 2), text[i][0]);
	held = open(path, O_WRONLY | O_CLOEXEC);
	if (held < 0)
		return gone(errno) ? 0 : WRONG("%s: %s", path, strerror(errno));
	if (rnd(random) % 2)
		jitter(random);
	ret = res(write(held, text[i][1], strlen(text[i][1])));
	close(held);
	if (ret < 0 && gone(-ret))
		return 0;
	/* EBUSY: queued bytes or mappings keep the buffer, a claim keeps the mode. */
	if (bad ? ret != -EINVAL : ret < 0 && ret != -EBUSY)
		return WRONG("%s to %s: %s", text[i][1], path, strerror(-ret));
	return 1;
}

/* Whether some racer claims ends, so that the mode may be EBUSY. */
static bool ends_are_claimed;

/* Changes the mode, by attribute or by ioctl. */
static int flips(int self, __u64 *random)
{
	int mode = rnd(random) % 2, fd, ret;

	(void)self;
	if (rnd(random) % 2) {
		fd = open(VFIFO_CLASS "/vfifo0/mode", O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return gone(errno) ? 0 : WRONG("mode: %s",
						       strerror(errno));
		ret = res(write(fd, mode ? "1" : "0", 1));
	} else {
		fd = device_open(1);
		if (fd < 0)
			return gone(errno) ? 0 : WRONG("open: %s",
						       strerror(errno));
		ret = res(ioctl(fd, VFIFO_SET_MODE, &mode));
	}
	close(fd);
	if (ret < 0 && gone(-ret))
		return 0;
	if (ret < 0 && !(ret == -EBUSY && ends_are_claimed))
		return WRONG("mode: %s", strerror(-ret));
	return 1;
}

FIXTURE(load_unload)
{
	struct health health;
	pid_t pid[RACERS];
};

FIXTURE_VARIANT(load_unload)
{
	racer_step step[RACERS];
	bool generates, together;
};

FIXTURE_VARIANT_ADD(load_unload, opens)
{
	.step = { opens, opens },
};

FIXTURE_VARIANT_ADD(load_unload, polls)
{
	.step = { polls, polls },
};

FIXTURE_VARIANT_ADD(load_unload, maps)
{
	.step = { maps, maps },
};

FIXTURE_VARIANT_ADD(load_unload, shows)
{
	.step = { shows, shows },
};

FIXTURE_VARIANT_ADD(load_unload, stores)
{
	.step = { stores, stores },
};

FIXTURE_VARIANT_ADD(load_unload, flips)
{
	.step = { flips, flips },
	.generates = true,
};

FIXTURE_VARIANT_ADD(load_unload, all)
{
	.step = { opens, polls, maps, shows, stores, flips },
	.generates = true,
	.together = true,
};

FIXTURE_SETUP(load_unload)
{
	ASSERT_TRUE(race_begin());
	ASSERT_EQ(0, module_unload());
	health_begin(&self->health);
}

FIXTURE_TEARDOWN(load_unload)
{
	racers_kill(self->pid);
	module_unload();
	health_end(&self->health);
}

TEST_F_TIMEOUT(load_unload, against, FOREVER)
{
	unsigned long done = 0, least = 0, steps = 0, before[RACERS];
	unsigned long wanted = variant->together ? rounds : ROUNDS;
	unsigned int limit = variant->together ? seconds : SECONDS;
	unsigned long rounds_of[RACERS] = { 0 };
	int i, ret, racers, wait_for;
	__u64 random = vfifo_seed;
	__s64 start, late;

	LOG_SEED();
	for (i = 0; i < RACERS && variant->step[i]; i++)
		ends_are_claimed |= variant->step[i] == maps;
	racers = i;
	for (i = 0; i < racers; i++)
		self->pid[i] = racer_start(variant->step[i], i);
	start = now_ms();
	late = start + 6 * DEADLINE * 1000;
	for (; !LOAD(race->wrong[0]); done++) {
		/* If a racer has not reached any device, they need more rounds. */
		if (!more_of(wanted, limit, least, start) &&
		    (least || now_ms() >= late))
			break;
		for (i = 0; i < racers; i++)
			before[i] = LOAD(race->good[i]);
		ret = module_load("devices=2 buffer_size=16384");
		ASSERT_EQ(0, ret);
		if (variant->generates) {
			file_store(VFIFO_CLASS "/vfifo0/period_ms", "1");
			file_store(VFIFO_CLASS "/vfifo0/mode", "1");
		}
		/*
		 * Usually unload in the middle of what one racer does, or all
		 * of them; sometimes before they begin.
		 */
		wait_for = variant->together ? racers : 1;
		if (rnd(&random) % 4) {
			ASSERT_TRUE(eventually(met(racers, before) >= wait_for ||
					       LOAD(race->wrong[0])));
		}
		jitter(&random);
		ret = module_unload();
		ASSERT_EQ(0, ret);
		ASSERT_EQ(NULL, module_left_behind());
		least = ~0UL;
		for (i = 0; i < racers; i++) {
			rounds_of[i] += LOAD(race->good[i]) > before[i];
			if (rounds_of[i] < least)
				least = rounds_of[i];
		}
	}
	steps = racers_end(_metadata, self->pid, racers);
	TH_LOG("%lu rounds in %lld ms, %lu of %lu steps reached a device",
	       done, now_ms() - start, found(), steps);
	for (i = 0; i < racers; i++)
		TH_LOG("racer %d reached one in %lu rounds", i, rounds_of[i]);
	EXPECT_HEALTHY(&self->health);
}

/* ---- the last user ---- */

FIXTURE(last)
{
	struct health health;
	pid_t pid;
};

enum how { BY_CLOSE, BY_MUNMAP, BY_EXIT, BY_KILL, BY_EXEC };

FIXTURE_VARIANT(last)
{
	bool data, claim;	/* what is mapped */
	enum how how;
};

FIXTURE_VARIANT_ADD(last, close)
{
	.how = BY_CLOSE,
};

FIXTURE_VARIANT_ADD(last, munmap)
{
	.data = true,
	.how = BY_MUNMAP,
};

FIXTURE_VARIANT_ADD(last, munmap_of_a_claim)
{
	.claim = true,
	.how = BY_MUNMAP,
};

FIXTURE_VARIANT_ADD(last, exit)
{
	.data = true,
	.claim = true,
	.how = BY_EXIT,
};

FIXTURE_VARIANT_ADD(last, kill)
{
	.data = true,
	.claim = true,
	.how = BY_KILL,
};

FIXTURE_VARIANT_ADD(last, exec)
{
	.claim = true,
	.how = BY_EXEC,
};

FIXTURE_SETUP(last)
{
	ASSERT_TRUE(race_begin());
	ASSERT_EQ(0, module_unload());
	health_begin(&self->health);
}

FIXTURE_TEARDOWN(last)
{
	child_kill(&self->pid);
	module_unload();
	health_end(&self->health);
}

/* Uses the device, says so, and lets go when it is told to. */
static void hold(bool maps_data, bool claims_end, enum how how, __u64 *random,
		 unsigned int turn)
{
	struct vfifo_info info = { .size = sizeof(info) };
	long page = sysconf(_SC_PAGESIZE);
	struct vfifo_end *own = NULL;
	char *data = NULL;
	int fd = device_open(1);

	if (fd < 0 || ioctl(fd, VFIFO_GET_INFO, &info))
		_exit(10);
	if (maps_data) {
		data = mmap(NULL, 2 * info.capacity, PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, info.data_offset);
		if (data == MAP_FAILED)
			_exit(11);
		STORE(data[info.capacity], 1);
	}
	if (claims_end) {
		own = map_page(fd, rnd(random) % 2 ? info.producer_offset :
						     info.consumer_offset,
			       PROT_READ | PROT_WRITE);
		if (!own)
			_exit(12);
		(void)load(own);
	}
	if (how != BY_CLOSE)
		close(fd);
	ADD(race->turn, 1);
	while (LOAD(race->turn) != turn + 2)
		sched_yield();
	jitter(random);
	switch (how) {
	case BY_CLOSE:
		close(fd);
		break;
	case BY_MUNMAP:
		if (own)
			munmap(own, page);
		if (data)
			munmap(data, 2 * info.capacity);
		break;
	case BY_EXEC:
		execl("/bin/true", "true", NULL);
		break;
	case BY_EXIT:
		break;
	case BY_KILL:
		for (;;)
			pause();
	}
}

TEST_F_TIMEOUT(last, against_unload, FOREVER)
{
	unsigned long done = 0, busy = 0;
	__s64 start = now_ms(), until;
	__u64 random = vfifo_seed;
	unsigned int turn;
	int ret;

	LOG_SEED();
	for (; more(done, start); done++) {
		ASSERT_EQ(0, module_load("devices=2 buffer_size=16384"));
		turn = LOAD(race->turn);
		self->pid = child_start(3 * MODULE_DEADLINE);
		if (!self->pid) {
			random += done;
			hold(variant->data, variant->claim,
			     variant->how, &random, turn);
			_exit(0);
		}
		ASSERT_TRUE(eventually(LOAD(race->turn) == turn + 1));
		ASSERT_EQ(-EAGAIN, module_try_unload());
		STORE(race->turn, turn + 2);
		if (variant->how == BY_KILL)
			kill(self->pid, SIGKILL);
		jitter(&random);
		until = now_ms() + MODULE_DEADLINE * 1000;
		while ((ret = module_try_unload()) == -EAGAIN &&
		       now_ms() < until)
			busy++;
		ASSERT_EQ(0, ret);
		ASSERT_EQ(NULL, module_left_behind());
		ret = child_end(self->pid);
		self->pid = 0;
		ASSERT_EQ(variant->how == BY_KILL ? -SIGKILL : 0, ret);
	}
	TH_LOG("%lu rounds, %lu times in use", done, busy);
	EXPECT_HEALTHY(&self->health);
}

/* Without this, most of a round would be waiting for grace periods of RCU. */
#define EXPEDITED	"/sys/kernel/rcu_expedited"

int main(int argc, char **argv)
{
	const char *why = module_setup();

	race_options(&argc, argv);
	if (!why) {
		modprobe_off();
		file_keep(EXPEDITED);
		file_store(EXPEDITED, "1");
	}
	module_begin(why);
	return vfifo_main(argc, argv);
}
