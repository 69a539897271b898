// SPDX-License-Identifier: GPL-2.0
/*
 * Memory whose allocation a process causes is charged to its memory cgroup: memory for
 * mappings, for open files and their settings, for a new capacity, and for a new device.
 */
#include <sys/resource.h>

#include "vfifo_devices.h"

#define MIB		1048576L
#define OBJECTS		30000
#define LONG_TEST	300

FIXTURE(memcg)
{
	struct vfifo dev;
	const char *group;
	int *ready;		/* shared */
	pid_t pid;
};

FIXTURE_SETUP(memcg)
{
	char path[128];

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->ready = shared(sizeof(*self->ready));
	ASSERT_NE(NULL, self->ready);
	self->group = cgroup_begin("cgroup2", NULL);
	if (!self->group)
		SKIP(return, "no cgroup2");
	snprintf(path, sizeof(path), "%s/memory.max", self->group);
	if (file_put(self->group, "../cgroup.subtree_control", "+memory") ||
	    access(path, W_OK))
		SKIP(return, "no memory cgroup: needs CONFIG_MEMCG");
}

FIXTURE_TEARDOWN(memcg)
{
	child_kill(&self->pid);
	eventually(attr_set("capacity", self->dev.capacity) != -EBUSY);
	EXPECT_TRUE(cgroup_end(self->group));
	munmap(self->ready, sizeof(*self->ready));
	vfifo_teardown(&self->dev);
}

/* Small kernel objects, in bytes: all, and those charged to the group. */
static long objects_all(void)
{
	return 1024 * file_number("/proc/meminfo", "SUnreclaim");
}

static long objects_charged(const char *group)
{
	return file_number(format("%s/memory.stat", group),
			   "slab_unreclaimable");
}

/* Waits until deferred freeing is done. */
static void settle(void)
{
	__s64 until = now_ms() + DEADLINE * 1000;
	long before, now = objects_all();
	int same = 0;

	while (same < 5 && now_ms() < until) {
		usleep(100000);
		before = now;
		now = objects_all();
		same = labs(now - before) <= 65536 ? same + 1 : 0;
	}
}

/* In a child: later allocations are charged to the group. */
static void join(const char *group)
{
	if (file_put(group, "cgroup.procs", "0"))
		_exit(90);
}

/* ---- allocations, many of a kind, on the device or on another file ---- */

typedef bool (*doing)(int fd, bool device);

static bool map_often(int fd, bool device)
{
	struct vfifo_info info = { .size = sizeof(info) };
	__u64 offset = 0;
	int i;

	if (device) {
		if (ioctl(fd, VFIFO_GET_INFO, &info))
			return false;
		offset = info.data_offset;
	}
	for (i = 0; i < OBJECTS; i++)
		if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, offset) ==
		    MAP_FAILED)
			return false;
	return true;
}

/* One mapping with many holes. */
static bool split_often(int fd, bool device __always_unused)
{
	long page = sysconf(_SC_PAGESIZE), i;
	char *p = mmap(NULL, 2 * OBJECTS * page, PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return false;
	for (i = 0; i < OBJECTS; i++)
		if (munmap(p + 2 * i * page, page))
			return false;
	return true;
}

/* Open files, which also request signals. */
static bool open_often(int fd, bool device)
{
	struct rlimit limit = { OBJECTS + 100, OBJECTS + 100 };
	int i, one;

	(void)fd;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return false;
	for (i = 0; i < OBJECTS; i++) {
		one = device ? vfifo_open(O_RDWR) :
			       open("/dev/null", O_RDWR | O_CLOEXEC);
		if (one < 0)
			return false;
		if (device && fcntl(one, F_SETFL, O_ASYNC))
			return false;
	}
	return true;
}

/*
 * The memory that @what, called by a child in the group, allocates without a charge to the
 * group: bytes, or -1.
 */
static long uncharged(const char *group, int *ready, pid_t *pid, doing what,
		      int fd, bool device)
{
	long all, charged;

	*ready = 0;
	settle();
	*pid = child_start(LONG_TEST * vfifo_scale());
	if (!*pid) {
		join(group);
		/* The memory of the process itself is not counted. */
		__atomic_store_n(ready, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(ready, __ATOMIC_SEQ_CST) == 1)
			usleep(1000);
		if (!what(fd, device))
			_exit(91);
		__atomic_store_n(ready, 3, __ATOMIC_SEQ_CST);
		for (;;)
			pause();
	}
	if (!eventually(__atomic_load_n(ready, __ATOMIC_SEQ_CST) == 1))
		return -1;
	settle();
	all = objects_all();
	charged = objects_charged(group);
	__atomic_store_n(ready, 2, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(ready, __ATOMIC_SEQ_CST) != 3) {
		if (child_state(*pid) == 'Z')
			return -1;
		usleep(10000);
	}
	settle();
	all = objects_all() - all;
	charged = objects_charged(group) - charged;
	kill(*pid, SIGKILL);
	child_end(*pid);
	*pid = 0;
	return all > charged ? all - charged : 0;
}

/*
 * The kernel leaves some of the memory of any mapping uncharged, so the same is done with
 * another file. An uncharged object for each mapping would have at least 32 bytes. Other
 * parts of the system allocate meanwhile, so the best of three measurements counts.
 */
#define EXPECT_CHARGED(what, fd, other) do {				\
	doing __what = what;						\
	long __own, __other, __most;					\
	int __tries = 3;						\
									\
	do {								\
		__own = uncharged(self->group, self->ready, &self->pid,	\
				  __what, fd, true);			\
		__other = uncharged(self->group, self->ready,		\
				    &self->pid, __what, other, false);	\
		ASSERT_LE(0, __own);					\
		ASSERT_LE(0, __other);					\
		__most = __other + 24L * OBJECTS;			\
	} while (__own >= __most && --__tries);				\
	EXPECT_GT(__most, __own);					\
	TH_LOG("uncharged for each of %d: %ld bytes, others %ld",	\
	       OBJECTS, __own / OBJECTS, __other / OBJECTS);		\
} while (0)

TEST_F_TIMEOUT(memcg, mappings, LONG_TEST)
{
	int other = memfd_create("other", MFD_CLOEXEC);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, ftruncate(other, 4096));
	EXPECT_CHARGED(map_often, self->dev.fd, other);
	close(other);
}

TEST_F_TIMEOUT(memcg, split_mappings, LONG_TEST)
{
	long page = self->dev.page;
	int other = memfd_create("other", MFD_CLOEXEC);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, ftruncate(other, 2 * OBJECTS * page));
	/* The buffer is mapped twice in a row. */
	if (attr_set("capacity", OBJECTS * page))
		SKIP(return, "no %ld MiB", OBJECTS * page / MIB);
	EXPECT_CHARGED(split_often, self->dev.fd, other);
	close(other);
}

TEST_F_TIMEOUT(memcg, open_files, LONG_TEST)
{
	EXPECT_CHARGED(open_often, -1, -1);
}

/* ---- the capacity ---- */

/* Stores it in a child in the group: 0, or the negative error number. */
static int store_capacity(const char *group, long capacity)
{
	pid_t pid = child_start(6 * DEADLINE);

	if (!pid) {
		join(group);
		_exit(-attr_set("capacity", capacity));
	}
	return -child_end(pid);
}

static long charged(const char *group)
{
	return strtol(file_text(group, "memory.current"), NULL, 10);
}

TEST_F_TIMEOUT(memcg, capacity, LONG_TEST)
{
	long before = charged(self->group);

	EXPECT_EQ(0, store_capacity(self->group, 16 * MIB));
	EXPECT_EQ(16 * MIB, attr_get("capacity"));
	EXPECT_LE(before + 16 * MIB, charged(self->group));
	/* Freeing it uncharges the group, whichever process does it. */
	EXPECT_EQ(0, attr_set("capacity", self->dev.capacity));
	EXPECT_TRUE(eventually(charged(self->group) < before + 2 * MIB));
}

/* More than the limit is refused, without an OOM kill, and nothing changes. */
TEST_F_TIMEOUT(memcg, capacity_over_the_limit, LONG_TEST)
{
	ASSERT_EQ(0, file_put(self->group, "memory.max", "16777216"));
	ASSERT_TRUE(put(&self->dev, 1000, 0));
	EXPECT_EQ(-ENOMEM, store_capacity(self->group, 64 * MIB));
	EXPECT_EQ(self->dev.capacity, attr_get("capacity"));
	EXPECT_EQ(0, file_number(format("%s/memory.events", self->group),
				 "oom_kill"));
	EXPECT_TRUE(eventually(charged(self->group) < 8 * MIB));
	/* Less than the limit is granted. */
	EXPECT_EQ(0, store_capacity(self->group, 4 * MIB));
	EXPECT_EQ(4 * MIB, attr_get("capacity"));
	EXPECT_TRUE(get(&self->dev, 1000, 0));
}

/* ---- devices ---- */

/* Adds a device in a child in the group: 0, or the negative error number. */
static int add_device(const char *group, const char *line)
{
	pid_t pid = child_start(6 * DEADLINE);

	if (!pid) {
		join(group);
		_exit(-device_add(line));
	}
	return -child_end(pid);
}

TEST_F_TIMEOUT(memcg, new_device, LONG_TEST)
{
	const char *name = TEST_PREFIX "memcg";
	long before = charged(self->group), pages, slab;
	int i, many = OFTEN(100);

	devices_forget();
	EXPECT_EQ(0, add_device(self->group, TEST_PREFIX "memcg capacity=16777216"));
	EXPECT_LE(before + 16 * MIB, charged(self->group));
	EXPECT_EQ(0, device_delete(name));
	EXPECT_TRUE(eventually(charged(self->group) < before + 2 * MIB));

	/* Each has a buffer and two pages, and objects of more than two KiB. */
	before = charged(self->group);
	slab = objects_charged(self->group);
	for (i = 0; i < many; i++)
		ASSERT_EQ(0, add_device(self->group,
					format(TEST_PREFIX "memcg%d capacity=1", i)));
	pages = (charged(self->group) - before) / self->dev.page;
	EXPECT_LE(3 * many, pages);
	EXPECT_LE(2048 * many, objects_charged(self->group) - slab);
	TH_LOG("charged for each of %d: %ld bytes, of which %ld are objects", many,
	       (charged(self->group) - before) / many,
	       (objects_charged(self->group) - slab) / many);
	devices_forget();
}

/* Above the limit nothing appears, and no process is killed. */
TEST_F_TIMEOUT(memcg, new_device_over_the_limit, LONG_TEST)
{
	devices_forget();
	ASSERT_EQ(0, file_put(self->group, "memory.max", "16777216"));
	EXPECT_EQ(-ENOMEM, add_device(self->group, TEST_PREFIX "memcg capacity=67108864"));
	EXPECT_EQ(NULL, device_left(TEST_PREFIX "memcg"));
	EXPECT_EQ(0, file_number(format("%s/memory.events", self->group), "oom_kill"));
	EXPECT_EQ(0, add_device(self->group, TEST_PREFIX "memcg capacity=4194304"));
	EXPECT_EQ(0, device_delete(TEST_PREFIX "memcg"));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
