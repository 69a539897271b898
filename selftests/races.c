// SPDX-License-Identifier: GPL-2.0
/*
 * What can happen at the same time, many times over: loading and unloading against
 * all that can be done with a device, resizing against reads, writes, mappings and
 * claims, closing against signals, claims against claims.
 *
 * Each race has a number of rounds. By default as many are run as fit into a few
 * seconds, 500 at most. "-n rounds" runs that many, however long it takes: 10000
 * is a good number for a night. Where one of those who race has not had its turn
 * by then, they go on until it has. Loading takes most of a round, so that then all
 * who race against it do so together, in load_unload.all, until each of them has
 * had that many.
 */
#include <poll.h>
#include <sys/epoll.h>

#include "vfifo_module.h"

#define ROUNDS	500
#define SECONDS	4

/* Of a test: only to end what hangs, as each round has its own deadline. */
#define FOREVER	(6 * 60 * 60)

static unsigned long rounds = ROUNDS;
static unsigned int seconds = SECONDS;

/* What those who race share. */
#define RACERS	6

struct race {
	unsigned int stop;
	unsigned int turn;	/* counts up: who waits for it may go */
	long holders[2];	/* of a claim */
	unsigned long steps[RACERS];
	unsigned long good[RACERS];	/* steps that found a device */
	char wrong[256];	/* what should not have happened */
};

static struct race *race;

#define LOAD(x)		__atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define STORE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_SEQ_CST)
#define ADD(x, v)	__atomic_add_fetch(&(x), v, __ATOMIC_SEQ_CST)

#define WRONG(...) (snprintf(race->wrong, sizeof(race->wrong), __VA_ARGS__), -1)

/* 1 if the device was there, 0 if it wasn't, -1 if something is wrong. */
typedef int step_fn(int self, __u64 *random);

struct racer {
	const char *name;
	step_fn *step;
};

/* The error of an open device, or attribute, that is not there (any more). */
static bool gone(int error)
{
	return error == ENOENT || error == ENXIO || error == ENODEV;
}

static pid_t racer_start(step_fn *step, int self)
{
	__u64 random = mix64(vfifo_seed + self);
	pid_t pid = child_start(FOREVER);
	int ret;

	if (pid)
		return pid;
	while (!LOAD(race->stop)) {
		ret = step(self, &random);
		if (ret < 0)
			_exit(1);
		ADD(race->steps[self], 1);
		/* Processors are few: the others are to get on, too. */
		if (ret)
			ADD(race->good[self], 1);
		else
			usleep(50 + rnd(&random) % 500);
	}
	_exit(0);
}

/*
 * Ends the first @n of them, each of which must have been good at least once.
 * Returns how many steps they have made.
 */
static unsigned long racers_end(struct __test_metadata *_metadata, pid_t *pid,
				int n)
{
	unsigned long steps = 0;
	int i;

	STORE(race->stop, 1);
	for (i = 0; i < n; i++) {
		EXPECT_EQ(0, child_end(pid[i])) {
			TH_LOG("%s", race->wrong);
		}
		pid[i] = 0;
		steps += race->steps[i];
		EXPECT_LT(0UL, race->good[i]);
	}
	return steps;
}

/* Whether there is to be another round of these, after @done. */
static bool more_of(unsigned long wanted, unsigned int limit,
		    unsigned long done, __s64 start)
{
	return done < wanted && (!limit || now_ms() - start < limit * 1000LL);
}

static bool more(unsigned long done, __s64 start)
{
	return more_of(rounds, seconds, done, start);
}

/* Lets a little time pass, never the same. */
static void jitter(__u64 *random)
{
	unsigned long spin = rnd(random) % 3000;

	switch (rnd(random) % 4) {
	case 0:
		sched_yield();
		break;
	case 1:
		usleep(rnd(random) % 500);
		break;
	default:
		while (spin--)
			asm volatile("" : : : "memory");
	}
}

static unsigned long found(void)
{
	unsigned long sum = 0;
	int i;

	for (i = 0; i < RACERS; i++)
		sum += LOAD(race->good[i]);
	return sum;
}

/* How many of the first @racers have been good since @before. */
static int met(int racers, const unsigned long *before)
{
	int i, n = 0;

	for (i = 0; i < racers; i++)
		n += LOAD(race->good[i]) > before[i];
	return n;
}

/* Whether each of them has been and @also is so, or can't be waited for any more. */
static bool enough(int racers, bool also, __s64 start)
{
	static const unsigned long never[RACERS];

	return (also && met(racers, never) == racers) ||
	       now_ms() - start >= 6 * DEADLINE * 1000;
}

static bool race_begin(void)
{
	race = shared(sizeof(*race));
	return race;
}

/* ---- loading and unloading ---- */

static int device_open(int flags)
{
	/* Of two, so that it is not always the first that is made. */
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
	/* Full, empty, or claimed. */
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
	/* Full or empty or neither, but not both; and an end may be claimed. */
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
		/* Claimed by somebody else, or shrunk meanwhile. */
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

/* Shows each attribute twice, the second time maybe after the device has gone. */
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
	/* An event that user space has not been told of yet is none. */
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
		{ "mode", "?" }, { "period_ms", "x" },
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
	/* What is queued, or mapped, keeps its buffer; a claim its mode. */
	if (bad ? ret != -EINVAL : ret < 0 && ret != -EBUSY)
		return WRONG("%s to %s: %s", text[i][1], path, strerror(-ret));
	return 1;
}

/* Whether there are racers who claim ends: a claim keeps its mode. */
static bool ends_are_claimed;

/* Half of them by ioctl. */
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
	step_fn *step[RACERS];
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
	int i;

	for (i = 0; i < RACERS; i++)
		if (self->pid[i] > 0)
			kill(self->pid[i], SIGKILL);
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
	/* All in one place. */
	for (i = 0; i < RACERS && variant->step[i]; i++)
		ends_are_claimed |= variant->step[i] == maps;
	racers = i;
	for (i = 0; i < racers; i++)
		self->pid[i] = racer_start(variant->step[i], i);
	start = now_ms();
	late = start + 6 * DEADLINE * 1000;
	for (; !LOAD(race->wrong[0]); done++) {
		/* If one has not found any device they need more rounds. */
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
		 * Mostly in the midst of what all of them do, or one of them,
		 * sometimes before it begins.
		 */
		wait_for = variant->together ? racers : 1;
		if (rnd(&random) % 4) {
			ASSERT_TRUE(eventually(met(racers, before) >= wait_for ||
					       LOAD(race->wrong[0])));
		}
		jitter(&random);
		ret = module_unload();
		ASSERT_EQ(0, ret);
		/* Somebody who looks for a class may make none. */
		ASSERT_EQ(NULL, module_left_behind());
		least = ~0UL;
		for (i = 0; i < racers; i++) {
			rounds_of[i] += LOAD(race->good[i]) > before[i];
			if (rounds_of[i] < least)
				least = rounds_of[i];
		}
	}
	steps = racers_end(_metadata, self->pid, racers);
	TH_LOG("%lu rounds in %lld ms, %lu steps, of which %lu found a device",
	       done, now_ms() - start, steps, found());
	for (i = 0; i < racers; i++)
		TH_LOG("racer %d found one in %lu rounds", i, rounds_of[i]);
	EXPECT_HEALTHY(&self->health);
}

/* ---- who is the last to leave ---- */

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
	if (self->pid > 0)
		kill(self->pid, SIGKILL);
	module_unload();
	health_end(&self->health);
}

/* Takes hold of the device, says so, and lets go when told to. */
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

/* ---- resizing ---- */

FIXTURE(resize)
{
	struct vfifo dev;
	struct vfifo_info info;
	struct health health;
	pid_t pid[RACERS];
};

FIXTURE_SETUP(resize)
{
	if (access(VFIFO_CLASS, F_OK))
		module_restore();
	ASSERT_TRUE(race_begin());
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->info.size = sizeof(self->info);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_GET_INFO, &self->info));
	health_begin(&self->health);
}

FIXTURE_TEARDOWN(resize)
{
	int i;

	for (i = 0; i < RACERS; i++) {
		if (self->pid[i] > 0) {
			kill(self->pid[i], SIGKILL);
			child_end(self->pid[i]);
		}
	}
	vfifo_teardown(&self->dev);
	health_end(&self->health);
}

#define MAX_PAGES	16

/* A resize to some size: 0, or what it got. */
static int resize_some(__u64 *random)
{
	long page = sysconf(_SC_PAGESIZE);

	return attr_set("capacity", page << rnd(random) % 5);
}

/* Writes the stream, in pieces of all sizes. */
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

/* Reads the stream, and compares. */
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

/* What the numbers say, whenever one looks. */
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
 * Resizes, as often as is told, and until each of the first @racers has been good;
 * returns how often. @resized of them succeed, and it goes on until @least do.
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
	__s64 progress;
	int ret;

	LOG_SEED();
	self->pid[0] = racer_start(writes, 0);
	self->pid[1] = racer_start(reads, 1);
	self->pid[2] = racer_start(looks, 2);
	done = resizes(_metadata, 3, 1, &resized);
	EXPECT_STREQ("", race->wrong);
	/* Nobody sleeps on what is there. */
	for (ret = 0; ret < 2; ret++) {
		steps = LOAD(race->steps[ret]);
		progress = LOAD(race->steps[ret]);
		EXPECT_TRUE(eventually(LOAD(race->steps[ret]) > steps)) {
			TH_LOG("%s stands still at %lld",
			       ret ? "reader" : "writer", progress);
		}
	}
	TH_LOG("%lu rounds, %lu resized, %lu writes, %lu reads", done, resized,
	       race->steps[0], race->steps[1]);
	EXPECT_LT(0UL, resized);
	EXPECT_HEALTHY(&self->health);
}

/* As long as it is mapped it stays, and each page of the mapping is there. */
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
		/* It has shrunk meanwhile. */
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
	/* Both appearances are one. */
	STORE(data[0], 17);
	if (2 * again.capacity == len && LOAD(data[len / 2]) != 17)
		return WRONG("the second half is another one");
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
	/* Nothing is mapped any more, so nothing is in the way. */
	EXPECT_EQ(0, attr_set("capacity", self->dev.capacity));
	EXPECT_HEALTHY(&self->health);
}

/* Claims an end, moves some bytes of the stream, and gives it back. */
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
	/* Now it is mapped, so that this stays right. */
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
	/* The peer's page first or last. */
	if (rnd(random) % 2)
		munmap(peer, page);
	munmap(own, page);
	munmap(peer, page);
	return n > 0;
}

/* Between claims the FIFO is one of calls, and the stream the same. */
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

/* ---- two claimants ---- */

#define CLAIMANTS	4

/* Numbers 0 and 2 want the producer's end, 1 and 3 the consumer's. */
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

/* ---- closing against signals ---- */

static unsigned int signals;

static void count_signal(int sig)
{
	(void)sig;
	STORE(signals, signals + 1);
}

/* Makes news for readers and writers all the time. */
static int makes_news(int self, __u64 *random)
{
	static int fd = -1;
	char buf[100];
	long ret;

	(void)self;
	if (fd < 0)
		fd = vfifo_open(O_RDWR | O_NONBLOCK);
	memset(buf, 0, sizeof(buf));
	if (rnd(random) % 2)
		ret = res(write(fd, buf, 1 + rnd(random) % sizeof(buf)));
	else
		ret = res(read(fd, buf, 1 + rnd(random) % sizeof(buf)));
	return ret > 0 || ret == -EAGAIN ? 1 : WRONG("%s", strerror(-ret));
}

/* Ends what has O_ASYNC, one way or the other. */
static void async_off(int fd, int how, int other)
{
	switch (how) {
	case 0:
		fcntl(fd, F_SETFL, O_NONBLOCK);
		break;
	case 1:
		dup2(other, fd);
		break;
	}
	close(fd);
}

TEST_F_TIMEOUT(resize, close_against_signals, FOREVER)
{
	struct sigaction action = { .sa_handler = count_signal };
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	struct f_owner_ex owner = { F_OWNER_TID, syscall(SYS_gettid) };
	unsigned long done = 0, steps, late = 0;
	unsigned int before, total = 0;
	__u64 random = vfifo_seed;
	__s64 start;
	int fd, null;

	LOG_SEED();
	null = open("/dev/null", O_RDWR);
	ASSERT_EQ(0, sigaction(SIGIO, &action, NULL));
	self->pid[0] = racer_start(makes_news, 0);
	self->pid[1] = racer_start(makes_news, 1);
	start = now_ms();
	for (; more(done, start); done++) {
		STORE(signals, 0);
		fd = vfifo_open(modes[rnd(&random) % 3] | O_NONBLOCK);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, fcntl(fd, F_SETOWN_EX, &owner));
		ASSERT_EQ(0, fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK));
		if (rnd(&random) % 2)
			EXPECT_TRUE(eventually(LOAD(signals)));
		jitter(&random);
		async_off(fd, rnd(&random) % 3, null);
		/*
		 * What was sent before the file was closed has been delivered
		 * by now. From here on there is nothing more to come.
		 */
		before = LOAD(signals);
		total += before;
		steps = LOAD(race->good[0]);
		if (rnd(&random) % 4 == 0) {
			ASSERT_TRUE(eventually(LOAD(race->good[0]) > steps + 2));
			late += LOAD(signals) - before;
		}
	}
	EXPECT_EQ(0UL, late);
	EXPECT_LT(0U, total);
	TH_LOG("%lu rounds, %u signals, %lu pieces of news", done, total,
	       found());
	close(null);
	EXPECT_HEALTHY(&self->health);
}

/* Most of a round would be waiting for grace periods of RCU. */
#define EXPEDITED	"/sys/kernel/rcu_expedited"

int main(int argc, char **argv)
{
	const char *n = take_option(&argc, argv, "-n"), *why = module_setup();

	if (!n)
		n = getenv("VFIFO_ROUNDS");
	if (n) {
		rounds = strtoul(n, NULL, 0);
		seconds = 0;
	}
	if (!why) {
		modprobe_off();
		file_keep(EXPEDITED);
		file_store(EXPEDITED, "1");
	}
	module_begin(why);
	return vfifo_main(argc, argv);
}
