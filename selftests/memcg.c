// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that a process has the device allocate is charged to the process's memory
 * cgroup: for mappings, open files and their settings, and a new capacity.
 */
#include <sys/resource.h>

#include "vfifo_test.h"

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
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
	}
	eventually(attr_set("capacity", self->dev.capacity) != -EBUSY);
	EXPECT_TRUE(cgroup_end(self->group));
	munmap(self->ready, sizeof(*self->ready));
	vfifo_teardown(&self->dev);
}

/* The number behind @name in a file of lines, or -1. */
static long number(const char *dir, const char *file, const char *name)
{
	const char *line = file_text(dir, file);
	size_t len = strlen(name);

	for (; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) &&
		    strspn(line + len, ": \t") > 0)
			return strtol(line + len + strspn(line + len, ": \t"),
				      NULL, 10);
	}
	return -1;
}

/* Small objects of the kernel: all, and those charged to the group. */
static long objects_all(void)
{
	return 1024 * number("/proc", "meminfo", "SUnreclaim");
}

static long objects_charged(const char *group)
{
	return number(group, "memory.stat", "slab_unreclaimable");
}

/* Waits until what was freed is free. */
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

/* In a child: from here on it is charged to the group. */
static void join(const char *group)
{
	if (file_put(group, "cgroup.procs", "0"))
		_exit(90);
}

/* ---- what a process does many times, to the device or to something else ---- */

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

/* One mapping, and then holes in it. */
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

/* Files that also ask for signals. */
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
 * What a child in the group has the kernel allocate by @what, and is charged to
 * nobody: bytes, or -1. The child stays for as long as that is looked at.
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
		/* First, so that what any process takes is not counted. */
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
 * The kernel itself leaves some of a mapping's memory uncharged, so a file in
 * memory has to do the same. No object is smaller than 8 bytes, and the smallest
 * that would do for a mapping has 32.
 */
#define EXPECT_CHARGED(what, fd, other) do {				\
	doing __what = what;						\
	long __own = uncharged(self->group, self->ready, &self->pid,	\
			       __what, fd, true);			\
	long __other = uncharged(self->group, self->ready, &self->pid,	\
				 __what, other, false);			\
									\
	ASSERT_LE(0, __own);						\
	ASSERT_LE(0, __other);						\
	EXPECT_GT(__other + 24L * OBJECTS, __own);			\
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
	/* The data shows twice. */
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

/* Has a child in the group store it: 0, or the negative error number. */
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
	/* Whoever has it freed, it was the group's. */
	EXPECT_EQ(0, attr_set("capacity", self->dev.capacity));
	EXPECT_TRUE(eventually(charged(self->group) < before + 2 * MIB));
}

/* More than the group may have is refused. Nobody is killed, and all is as it was. */
TEST_F_TIMEOUT(memcg, capacity_over_the_limit, LONG_TEST)
{
	ASSERT_EQ(0, file_put(self->group, "memory.max", "16777216"));
	ASSERT_TRUE(put(&self->dev, 1000, 0));
	EXPECT_EQ(-ENOMEM, store_capacity(self->group, 64 * MIB));
	EXPECT_EQ(self->dev.capacity, attr_get("capacity"));
	EXPECT_EQ(0, number(self->group, "memory.events", "oom_kill"));
	EXPECT_TRUE(eventually(charged(self->group) < 8 * MIB));
	/* As much as it may have it gets. */
	EXPECT_EQ(0, store_capacity(self->group, 4 * MIB));
	EXPECT_EQ(4 * MIB, attr_get("capacity"));
	EXPECT_TRUE(get(&self->dev, 1000, 0));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
