// SPDX-License-Identifier: GPL-2.0
/*
 * The largest capacity, number of devices and number of open files, and running out of
 * descriptors or memory: the excess is refused, without any other effect.
 *
 * "-n ROUNDS" repeats what depends on chance.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "vfifo_limits.h"

#define MIB		1048576L
#define MAX_CAPACITY	(1024 * MIB)
#define MAX_DEVICES	256

static int rounds = 1;

FIXTURE(limits)
{
	struct health health;
	long page;
	long killed;		/* processes killed by the OOM killer */
	pid_t canary;
};

static long oom_kills(void)
{
	return file_number("/proc/vmstat", "oom_kill");
}

/* Kills a process; false if it had ended before. */
static bool stop(pid_t pid)
{
	return !waitpid(pid, NULL, WNOHANG) && !kill(pid, SIGKILL) &&
	       child_end(pid) == -SIGKILL;
}

/* Stores a number in an attribute of device @i: 0, or the negative error number. */
static int device_set(int i, const char *attr, long val)
{
	char dir[64], text[32];

	snprintf(dir, sizeof(dir), VFIFO_CLASS "/vfifo%d", i);
	snprintf(text, sizeof(text), "%ld", val);
	return file_put(dir, attr, text);
}

FIXTURE_SETUP(limits)
{
	ASSERT_EQ(0, module_unload());
	health_begin(&self->health);
	self->page = sysconf(_SC_PAGESIZE);
	self->killed = oom_kills();
	/*
	 * The OOM killer's first choice, if a request for memory were to invoke
	 * it.
	 */
	self->canary = child_start(LONG_TEST);
	if (!self->canary) {
		file_store("/proc/self/oom_score_adj", "1000");
		for (;;)
			pause();
	}
}

FIXTURE_TEARDOWN(limits)
{
	EXPECT_EQ(self->killed, oom_kills());
	EXPECT_TRUE(stop(self->canary));
	EXPECT_EQ(0, module_unload());
	EXPECT_EQ(NULL, module_left_behind());
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
}

static long available(void)
{
	return file_number("/proc/meminfo", "MemAvailable") * 1024;
}

/* ---- capacity ---- */

/* All of @cap bytes are usable, and the last of them are at the right place. */
static void use_all(struct __test_metadata *_metadata, long cap)
{
	struct pollfd pfd = { .events = POLLIN | POLLOUT };
	struct vfifo_info info = { .size = sizeof(info) };
	struct vfifo_end *own;
	char *data, buf[100];
	__u64 start;
	int fd;

	fd = vfifo_open(O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, VFIFO_GET_INFO, &info));
	ASSERT_EQ(cap, (long)info.capacity);
	data = mmap(NULL, 2 * cap, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    info.data_offset);
	ASSERT_NE(MAP_FAILED, data);
	own = map_page(fd, info.producer_offset, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	start = own->position;
	EXPECT_EQ(0, data[0]);
	EXPECT_EQ(0, data[cap - 1]);
	data[cap - 1] = 77;
	EXPECT_EQ(77, data[2 * cap - 1]);
	data[cap] = 78;
	EXPECT_EQ(78, data[0]);
	/* The last bytes before the FIFO is full. */
	stream_fill(data + (start + cap - sizeof(buf)) % cap, sizeof(buf), 0);
	store(own, start + cap);
	munmap(own, sysconf(_SC_PAGESIZE));

	EXPECT_EQ(cap, queued(fd));
	EXPECT_EQ(cap, attr_get("size"));
	EXPECT_EQ(-EAGAIN, res(write(fd, "x", 1)));
	pfd.fd = fd;
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(POLLIN, pfd.revents);
	own = map_page(fd, info.consumer_offset, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	store(own, start + cap - sizeof(buf));
	munmap(own, sysconf(_SC_PAGESIZE));
	EXPECT_EQ((ssize_t)sizeof(buf), read(fd, buf, sizeof(buf)));
	EXPECT_TRUE(stream_equal(buf, sizeof(buf), 0));
	EXPECT_EQ(-EAGAIN, res(read(fd, buf, 1)));
	munmap(data, 2 * cap);
	close(fd);
}

TEST_F_TIMEOUT(limits, largest_capacity, LONG_TEST)
{
	long cap, largest = 0;
	int ret = 0;

	ASSERT_EQ(0, module_load("devices=1"));
	for (cap = MAX_CAPACITY; !largest && cap >= MIB; cap /= 2) {
		ret = attr_set("capacity", cap);
		EXPECT_TRUE(!ret || ret == -ENOMEM) {
			TH_LOG("%ld bytes: %s", cap, strerror(-ret));
		}
		EXPECT_EQ(ret ? 65536 : cap, attr_get("capacity"));
		if (!ret)
			largest = cap;
	}
	ASSERT_LE(MIB, largest);
	use_all(_metadata, largest);
	EXPECT_EQ(0, attr_set("capacity", self->page));
	use_all(_metadata, self->page);
	TH_LOG("largest capacity: %ld MiB", largest / MIB);
}

/*
 * Resizing to more than is available: ENOMEM, nothing is killed, and queued
 * bytes stay.
 */
TEST_F_TIMEOUT(limits, no_memory_for_a_resize, LONG_TEST)
{
	long cap = MIB, had[2] = { 0, 0 }, refused = 0, kept;
	int i, ret, fd;
	char text[32];

	if (available() > 3 * MAX_CAPACITY)
		SKIP(return, "too much memory to ask for more");
	ASSERT_EQ(0, module_load("devices=2"));
	fd = vfifo_open(O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_EQ(4, write(fd, "kept", 4));
	while (2 * cap <= available() && cap < MAX_CAPACITY)
		cap *= 2;
	/* Ever smaller steps, several of each. */
	for (; cap >= self->page; cap /= 2) {
		for (i = 0; i < 4; i++) {
			kept = had[i & 1];
			if (kept >= cap)
				continue;
			ret = device_set(i & 1, "capacity", cap);
			ASSERT_TRUE(ret == 0 || ret == -ENOMEM) {
				TH_LOG("%ld bytes: %s", cap, strerror(-ret));
			}
			if (!ret)
				had[i & 1] = cap;
			else
				refused++;
		}
		/* Larger steps suffice once both devices have grown. */
		if (had[0] && had[1])
			break;
	}
	EXPECT_LT(0, refused);
	EXPECT_EQ(had[0], attr_get("capacity"));
	EXPECT_EQ(4, queued(fd));
	EXPECT_EQ(4, read(fd, text, sizeof(text)));
	EXPECT_EQ(0, memcmp(text, "kept", 4));
	TH_LOG("capacities of %ld MiB and %ld MiB, %ld refused", had[0] / MIB,
	       had[1] / MIB, refused);
	close(fd);
}

/* Loading with the largest number of devices and more memory than there is. */
TEST_F_TIMEOUT(limits, no_memory_for_loading, LONG_TEST)
{
	char parameters[64];
	long cap = 64 * MIB;

	if (available() > 64 * MAX_CAPACITY)
		SKIP(return, "too much memory to ask for more");
	while (MAX_DEVICES / 2 * cap < available())
		cap *= 2;
	snprintf(parameters, sizeof(parameters), "devices=%d buffer_size=%ld",
		 MAX_DEVICES, cap);
	EXPECT_EQ(-ENOMEM, module_load(parameters)) {
		TH_LOG("%s", parameters);
	}
	EXPECT_EQ(NULL, module_left_behind());
	/* The memory is available again. */
	EXPECT_EQ(0, module_load("devices=3 buffer_size=1048576"));
	use_all(_metadata, MIB);
}

/* ---- devices ---- */

static int open_number(int i, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/vfifo%d", i);
	return open(path, flags | O_CLOEXEC);
}

TEST_F_TIMEOUT(limits, most_devices, LONG_TEST)
{
	char path[64], text[32], parameters[64];
	int i, fd[MAX_DEVICES], major_number = 0;
	struct pollfd pfd[MAX_DEVICES];
	struct rlimit limit;
	struct stat st;
	__u8 c;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	snprintf(parameters, sizeof(parameters), "devices=%d buffer_size=1",
		 MAX_DEVICES);
	ASSERT_EQ(0, module_load(parameters));
	EXPECT_EQ(MAX_DEVICES, module_count(true));
	for (i = 0; i < MAX_DEVICES; i++) {
		fd[i] = open_number(i, O_RDWR | O_NONBLOCK);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, fstat(fd[i], &st));
		if (!i)
			major_number = major(st.st_rdev);
		EXPECT_EQ(major_number, (int)major(st.st_rdev));
		EXPECT_EQ(i, (int)minor(st.st_rdev));
		/* Only the odd ones. */
		c = i;
		if (i & 1)
			EXPECT_EQ(1, write(fd[i], &c, 1));
		pfd[i].fd = fd[i];
		pfd[i].events = POLLIN;
	}
	EXPECT_EQ(MAX_DEVICES / 2, poll(pfd, MAX_DEVICES, 0));
	for (i = 0; i < MAX_DEVICES; i++) {
		snprintf(path, sizeof(path), VFIFO_CLASS "/vfifo%d/size", i);
		snprintf(text, sizeof(text), "%d\n", i & 1);
		EXPECT_STREQ(text, path_text(path));
		EXPECT_EQ(i & 1 ? POLLIN : 0, pfd[i].revents);
		if (i & 1) {
			EXPECT_EQ(1, read(fd[i], &c, 1));
			EXPECT_EQ(i, c);
		}
		EXPECT_EQ(-EAGAIN, res(read(fd[i], &c, 1)));
	}
	/* All of them generate. */
	for (i = 0; i < MAX_DEVICES; i++) {
		EXPECT_EQ(0, device_set(i, "period_ms", 20));
		EXPECT_EQ(0, device_set(i, "mode", 1));
	}
	EXPECT_TRUE(eventually_long(poll(pfd, MAX_DEVICES, 0) == MAX_DEVICES));
	/* One open file keeps the module loaded. */
	for (i = 0; i < MAX_DEVICES - 1; i++)
		close(fd[i]);
	EXPECT_EQ(-EAGAIN, module_try_unload());
	close(fd[i]);
	/*
	 * The teardown checks that the module can be unloaded while all of them
	 * generate.
	 */
	EXPECT_EQ(-1, open_number(MAX_DEVICES, O_RDWR));
	EXPECT_EQ(ENOENT, errno);
}

/* ---- open files ---- */

/* An error state affects one device only. */
TEST_F(limits, one_is_broken_alone)
{
	struct vfifo_info info = { .size = sizeof(info) };
	struct vfifo_end *own;
	int fd[2], i;
	char c = 0;

	ASSERT_EQ(0, module_load("devices=2"));
	for (i = 0; i < 2; i++) {
		fd[i] = open_number(i, O_RDWR | O_NONBLOCK);
		ASSERT_LE(0, fd[i]);
	}
	ASSERT_EQ(0, ioctl(fd[0], VFIFO_GET_INFO, &info));
	own = map_page(fd[0], info.producer_offset, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	store(own, load(own) + info.capacity + 1);
	EXPECT_EQ(-EIO, res(read(fd[0], &c, 1)));
	EXPECT_EQ(1, write(fd[1], "x", 1));
	EXPECT_EQ(1, read(fd[1], &c, 1));
	EXPECT_EQ('x', c);
	EXPECT_STREQ("0\n", file_text(VFIFO_CLASS "/vfifo1",
				      "stats/position_errors"));
	EXPECT_EQ(-EIO, res(read(fd[0], &c, 1)));
	munmap(own, self->page);
	for (i = 0; i < 2; i++)
		close(fd[i]);
}

TEST_F_TIMEOUT(limits, many_open_files, LONG_TEST)
{
	struct rlimit limit = { MANY + 200, MANY + 200 };
	struct epoll_event event = { .events = EPOLLIN }, *events;
	struct pollfd *pfd = calloc(MANY, sizeof(*pfd));
	int i, epfd, flags;
	char c = 0, *buf;
	pid_t pid;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_EQ(0, module_load("devices=1"));
	/* All of them request SIGIO, which is ignored. */
	signal(SIGIO, SIG_IGN);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, epfd);
	for (i = 0; i < MANY; i++) {
		flags = i % 3 == 0 ? O_RDONLY : O_RDWR;
		pfd[i].fd = vfifo_open(flags | O_NONBLOCK);
		pfd[i].events = POLLIN;
		ASSERT_LE(0, pfd[i].fd);
		ASSERT_EQ(0, fcntl(pfd[i].fd, F_SETOWN, getpid()));
		ASSERT_EQ(0, fcntl(pfd[i].fd, F_SETFL, O_ASYNC | O_NONBLOCK));
		event.data.u32 = i;
		ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, pfd[i].fd, &event));
	}
	EXPECT_EQ(0, poll(pfd, MANY, 0));
	/* Each writes one byte, and one of them reads all. */
	for (i = 0; i < MANY; i++) {
		c = i;
		EXPECT_EQ(i % 3 ? 1 : -EBADF, res(write(pfd[i].fd, &c, 1)));
	}
	EXPECT_EQ(MANY, poll(pfd, MANY, 0));
	events = calloc(MANY, sizeof(*events));
	EXPECT_EQ(MANY, epoll_wait(epfd, events, MANY, 0));
	buf = malloc(MANY);
	EXPECT_EQ(MANY - (MANY + 2) / 3, read(pfd[0].fd, buf, MANY));
	EXPECT_EQ(0, poll(pfd, MANY, 0));
	/*
	 * An exiting child closes its copies at once; the originals stay open.
	 */
	pid = child_start(LONG_WAIT);
	if (!pid)
		_exit(0);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(1, write(pfd[1].fd, &c, 1));
	EXPECT_EQ(1, read(pfd[MANY - 1].fd, buf, MANY));
	EXPECT_EQ(-EAGAIN, module_try_unload());
	for (i = 0; i < MANY; i++)
		close(pfd[i].fd);
	close(epfd);
}

/* ---- running out of descriptors ---- */

TEST_F(limits, no_descriptor)
{
	struct rlimit limit, small;
	int fd[64], i, ret;

	ASSERT_EQ(0, module_load("devices=1"));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	small = limit;
	small.rlim_cur = 32;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &small));
	for (i = 0; i < 64; i++) {
		fd[i] = vfifo_open(O_RDWR | O_NONBLOCK);
		if (fd[i] < 0)
			break;
	}
	ret = errno;
	EXPECT_TRUE(i > 0 && i < 32);
	EXPECT_EQ(EMFILE, ret);
	EXPECT_EQ(-EMFILE, res(dup(fd[0])));
	/* Open descriptors keep working, and a closed one can be reopened. */
	EXPECT_EQ(1, write(fd[0], "x", 1));
	close(fd[--i]);
	fd[i] = vfifo_open(O_RDWR | O_NONBLOCK);
	EXPECT_LE(0, fd[i]);
	EXPECT_EQ(-EMFILE, res(vfifo_open(O_RDWR)));
	EXPECT_EQ(1, queued(fd[i]));
	for (; i >= 0; i--)
		close(fd[i]);
	setrlimit(RLIMIT_NOFILE, &limit);
	/* The teardown checks that failed attempts left no reference. */
}

#define FILE_MAX	"/proc/sys/fs/file-max"

/* The system-wide limit of open files, which does not apply to root. */
TEST_F(limits, no_file)
{
	int *ready = shared(sizeof(*ready)), fd;
	char old[32];
	struct stat st;
	pid_t pid;

	ASSERT_NE(NULL, ready);
	ASSERT_EQ(0, module_load("devices=1"));
	ASSERT_EQ(0, stat("/dev/vfifo0", &st));
	ASSERT_EQ(0, chmod("/dev/vfifo0", 0666));
	snprintf(old, sizeof(old), "%.20s", path_text(FILE_MAX));
	pid = nobody_start(2 * DEADLINE);
	if (!pid) {
		fd = vfifo_open(O_RDWR);
		if (fd < 0)
			_exit(1);
		__atomic_store_n(ready, 1, __ATOMIC_SEQ_CST);
		/* Wait until the limit applies. */
		while ((fd = open("/dev/null", O_RDONLY)) >= 0) {
			close(fd);
			usleep(1000);
		}
		if (errno != ENFILE)
			_exit(2);
		_exit(vfifo_open(O_RDWR) >= 0 || errno != ENFILE ? 3 : 0);
	}
	EXPECT_TRUE(eventually(__atomic_load_n(ready, __ATOMIC_SEQ_CST)));
	ASSERT_EQ(0, file_store(FILE_MAX, "1"));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, file_store(FILE_MAX, old));
	fd = vfifo_open(O_RDWR);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_EQ(0, chmod("/dev/vfifo0", st.st_mode & 07777));
}

/* ---- running out of memory ---- */

/* A cgroup limited to 32 MiB; NULL if there cannot be one. */
static const char *memory_group(void)
{
	const char *group = cgroup_begin("cgroup2", NULL);

	if (group &&
	    !file_put(group, "../cgroup.subtree_control", "+memory") &&
	    !file_put(group, "memory.max", "33554432"))
		return group;
	cgroup_end(group);
	return NULL;
}

/* Allocates memory until it is killed. */
static void eat(void)
{
	size_t piece = 4 * MIB, i;
	char *p;

	for (;;) {
		p = mmap(NULL, piece, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			_exit(50);
		for (i = 0; i < piece; i += 4096)
			p[i] = 1;
	}
}

FIXTURE(memory)
{
	struct vfifo dev;
	struct vfifo_info info;
	struct health health;
	const char *group;
};

FIXTURE_SETUP(memory)
{
	health_begin(&self->health);
	if (access(VFIFO_CLASS, F_OK))
		ASSERT_EQ(0, module_load("devices=1"));
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->info.size = sizeof(self->info);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_GET_INFO, &self->info));
	self->group = memory_group();
	if (!self->group &&
	    file_number("/proc/meminfo", "MemTotal") > 4L << 20)
		SKIP(return, "no memory cgroup, and too much memory to fill up");
	TH_LOG("%s", self->group ? "a memory cgroup" : "all memory");
}

FIXTURE_TEARDOWN(memory)
{
	cgroup_end(self->group);
	vfifo_teardown(&self->dev);
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
}

/* In a child: limits its memory and makes it the OOM killer's first choice. */
static void scarce(const char *group)
{
	char path[128];

	file_store("/proc/self/oom_score_adj", "1000");
	if (group) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", group);
		if (file_store(path, "0"))
			_exit(40);
	}
}

/*
 * The producer is killed in the middle of its work. Published bytes are there,
 * sleepers are woken, and the end is free.
 */
TEST_F_TIMEOUT(memory, killed_producer, LONG_TEST)
{
	int fd = vfifo_open(O_RDWR);
	struct vfifo_end *own;
	pid_t reader, producer;
	char buf[64], *data;

	ASSERT_LE(0, fd);
	reader = child_start(LONG_WAIT);
	if (!reader) {
		if (read(fd, buf, sizeof(buf)) != sizeof(buf))
			_exit(1);
		_exit(!stream_equal(buf, sizeof(buf), 0));
	}
	ASSERT_TRUE(child_sleeps(reader));
	producer = child_start(LONG_WAIT);
	if (!producer) {
		scarce(self->group);
		data = mmap(NULL, 2 * self->dev.capacity,
			    PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    self->info.data_offset);
		own = map_page(fd, self->info.producer_offset,
			       PROT_READ | PROT_WRITE);
		if (data == MAP_FAILED || !own)
			_exit(1);
		stream_fill(data + own->position % self->dev.capacity, 200, 0);
		/* It is killed before it notifies anyone. */
		store(own, own->position + 100);
		eat();
	}
	EXPECT_EQ(-SIGKILL, child_end(producer));
	EXPECT_EQ(0, child_end(reader));
	EXPECT_TRUE(eventually(!attr_get("producer_claimed")));
	EXPECT_EQ(36, queued(self->dev.fd));
	EXPECT_TRUE(get(&self->dev, 36, 64));
	own = map_page(fd, self->info.producer_offset,
		       PROT_READ | PROT_WRITE);
	EXPECT_NE(NULL, own);
	munmap(own, self->dev.page);
	EXPECT_TRUE(eventually(!attr_set("capacity", 2 * self->dev.capacity)));
	close(fd);
}

/*
 * A stream continues while other processes are killed, and resizing works or
 * fails cleanly.
 */
TEST_F_TIMEOUT(memory, stream_goes_on, LONG_TEST)
{
	int fd = vfifo_open(O_RDWR), i, ret, resized = 0;
	unsigned long *pages = shared(4096), before;
	__u64 random = vfifo_seed;
	pid_t writer, reader, eater;
	char *buf = malloc(PIPE_BUF);
	__u64 pos;

	ASSERT_TRUE(fd >= 0 && pages);
	writer = child_start(LONG_TEST);
	if (!writer) {
		for (pos = 0;; pos += PIPE_BUF) {
			stream_fill(buf, PIPE_BUF, pos);
			if (write(fd, buf, PIPE_BUF) != PIPE_BUF)
				_exit(1);
		}
	}
	reader = child_start(LONG_TEST);
	if (!reader) {
		for (pos = 0;; pos += ret) {
			ret = read(fd, buf, PIPE_BUF);
			if (ret <= 0 || !stream_equal(buf, ret, pos))
				_exit(1);
			__atomic_add_fetch(pages, 1, __ATOMIC_SEQ_CST);
		}
	}
	for (i = 0; i < rounds; i++) {
		eater = child_start(LONG_WAIT);
		if (!eater) {
			scarce(self->group);
			eat();
		}
		while (child_state(eater) != 'Z') {
			ret = attr_set("capacity", self->dev.page <<
				       rnd(&random) % 10);
			EXPECT_TRUE(!ret || ret == -EBUSY || ret == -ENOMEM) {
				TH_LOG("resize: %s", strerror(-ret));
			}
			resized += !ret;
			usleep(1000);
		}
		EXPECT_EQ(-SIGKILL, child_end(eater));
	}
	before = __atomic_load_n(pages, __ATOMIC_SEQ_CST);
	EXPECT_TRUE(eventually(__atomic_load_n(pages, __ATOMIC_SEQ_CST) >
			       before + 10));
	EXPECT_TRUE(stop(writer));
	EXPECT_TRUE(stop(reader));
	TH_LOG("%lu reads, %d resizes", *pages, resized);
	free(buf);
	close(fd);
}

int main(int argc, char **argv)
{
	const char *n = take_option(&argc, argv, "-n"), *why = module_setup();

	if (n)
		rounds = atoi(n);
	module_begin(why);
	file_keep(FILE_MAX);
	return vfifo_main(argc, argv);
}
