// SPDX-License-Identifier: GPL-2.0
/*
 * A vfifo in a changing system: CPUs that go offline and come back, and capacities as
 * large as all memory.
 */
#include "vfifo_test.h"

#define WORD		"AUTO "
#define WORD_LEN	5

/* ---- CPU hotplug ---- */

#define CPUS	"/sys/devices/system/cpu"

/* Shared by the processes of a test. */
struct board {
	int stop;
	long words;		/* generated ones that were read */
	long records;		/* written ones that were read */
};

FIXTURE(hotplug)
{
	struct vfifo dev;
	int cpu;		/* goes offline */
	char dir[64];
	struct board *board;
};

/* The last CPU, or 0 if there is only one. */
static int removable_cpu(void)
{
	char online[64];
	int cpu = 0;

	do {
		snprintf(online, sizeof(online), CPUS "/cpu%d/online", ++cpu);
	} while (!access(online, W_OK));
	return cpu - 1;
}

FIXTURE_SETUP(hotplug)
{
	self->cpu = removable_cpu();
	if (!self->cpu)
		SKIP(return, "no second CPU that can go offline");
	snprintf(self->dir, sizeof(self->dir), CPUS "/cpu%d", self->cpu);
	if (strcmp(file_text(self->dir, "online"), "1\n"))
		SKIP(return, "CPU %d is offline", self->cpu);
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->board = shared(sizeof(*self->board));
	ASSERT_NE(NULL, self->board);
}

FIXTURE_TEARDOWN(hotplug)
{
	if (!self->board)
		return;
	file_put(self->dir, "online", "1");
	munmap(self->board, sizeof(*self->board));
	vfifo_teardown(&self->dev);
}

/* Written between the generated words. It does not begin with a byte that they do. */
struct record {
	__u8 mark;
	__u8 last;
	__u16 len;		/* of the payload */
	__u32 number;
};

#define MARK		1
#define MAX_PAYLOAD	(PIPE_BUF - sizeof(struct record))

static void write_records(struct board *board, __u64 state)
{
	char buf[PIPE_BUF];
	struct record *rec = (struct record *)buf;
	int fd = vfifo_open(O_WRONLY);

	rec->mark = MARK;
	rec->last = 0;
	for (rec->number = 0; !rec->last; rec->number++) {
		size_t len;

		rec->last = __atomic_load_n(&board->stop, __ATOMIC_RELAXED);
		rec->len = rnd(&state) % (rnd(&state) % 8 ? 100 : MAX_PAYLOAD);
		len = sizeof(*rec) + rec->len;
		stream_fill(rec + 1, rec->len, (__u64)rec->number << 13);
		if (write(fd, buf, len) != (ssize_t)len)
			_exit(1);
	}
	_exit(0);
}

static bool read_all(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

/* Exits with 0 after the last record if the whole stream was right. */
static void read_records(struct board *board)
{
	char buf[PIPE_BUF];
	struct record rec = { .last = 0 };
	int fd = vfifo_open(O_RDONLY);
	__u32 number = 0;

	while (!rec.last) {
		if (!read_all(fd, buf, 1))
			_exit(1);
		if (buf[0] == WORD[0]) {
			if (!read_all(fd, buf + 1, WORD_LEN - 1) ||
			    memcmp(buf, WORD, WORD_LEN))
				_exit(2);
			__atomic_add_fetch(&board->words, 1, __ATOMIC_RELAXED);
			continue;
		}
		rec.mark = buf[0];
		if (!read_all(fd, (char *)&rec + 1, sizeof(rec) - 1) ||
		    rec.mark != MARK || rec.len >= MAX_PAYLOAD)
			_exit(3);
		if (rec.number != number++)
			_exit(4);
		if (!read_all(fd, buf, rec.len) ||
		    !stream_equal(buf, rec.len, (__u64)rec.number << 13))
			_exit(5);
		__atomic_add_fetch(&board->records, 1, __ATOMIC_RELAXED);
	}
	_exit(0);
}

static bool grows(long *count)
{
	long was = __atomic_load_n(count, __ATOMIC_RELAXED);

	return eventually(__atomic_load_n(count, __ATOMIC_RELAXED) > was + 1);
}

/*
 * A writer, a reader and the generator run while a CPU goes offline and online: no byte
 * is lost, duplicated or torn, and none of the three stops.
 */
TEST_F_TIMEOUT(hotplug, stream_goes_on, 100)
{
	struct board *board = self->board;
	__u64 state = vfifo_seed;
	pid_t writer, reader;
	int i;

	LOG_SEED();
	ASSERT_EQ(0, attr_set("period_ms", 1));
	writer = child_start(9 * DEADLINE);
	if (!writer)
		write_records(board, vfifo_seed);
	reader = child_start(9 * DEADLINE);
	if (!reader)
		read_records(board);
	ASSERT_EQ(0, attr_store("mode", "1"));

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, file_put(self->dir, "online", i & 1 ? "1" : "0"));
		usleep(rnd(&state) % 50000);
		ASSERT_TRUE(grows(&board->words)) {
			TH_LOG("generation stopped at change %d", i);
		}
		ASSERT_TRUE(grows(&board->records)) {
			TH_LOG("the stream stopped at change %d", i);
		}
	}
	ASSERT_EQ(0, attr_store("mode", "0"));
	__atomic_store_n(&board->stop, 1, __ATOMIC_RELAXED);
	EXPECT_EQ(0, child_end(writer));
	EXPECT_EQ(0, child_end(reader));
	EXPECT_EQ(0, queued(self->dev.fd));
	TH_LOG("%ld records, %ld words", board->records, board->words);
}

static int run_on(int cpu)
{
	cpu_set_t set;
	int i;

	CPU_ZERO(&set);
	for (i = 0; i < CPU_SETSIZE; i++) {
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	}
	return sched_setaffinity(0, sizeof(set), &set);
}

/* The timer is started on the CPU that goes offline next. */
TEST_F_TIMEOUT(hotplug, timer_moves, 60)
{
	long period, size;
	int i;

	for (i = 0; i < 6; i++) {
		/* The timer expires at any moment, or well after the CPU has gone. */
		period = i & 1 ? 300 : 1;
		ASSERT_EQ(0, attr_set("period_ms", period));
		ASSERT_EQ(0, run_on(self->cpu));
		ASSERT_EQ(0, attr_store("mode", "1"));
		ASSERT_EQ(0, run_on(-1));
		ASSERT_EQ(0, file_put(self->dir, "online", "0"));
		size = queued(self->dev.fd);
		EXPECT_TRUE(eventually(queued(self->dev.fd) > size));

		/* Turning generation off works, wherever the timer is. */
		if (i & 2)
			ASSERT_EQ(0, file_put(self->dir, "online", "1"));
		ASSERT_EQ(0, attr_store("mode", "0"));
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
		usleep(10000);
		EXPECT_EQ(0, queued(self->dev.fd));
		ASSERT_EQ(0, file_put(self->dir, "online", "1"));
	}
}

/* ---- large capacities ---- */

#define MIB	0x100000L
#define GIB	0x40000000L

FIXTURE(memory)
{
	struct vfifo dev;
	long total, available;	/* bytes */
};

static long meminfo(const char *name)
{
	const char *p = strstr(file_text("/proc", "meminfo"), name);

	return p ? strtol(p + strlen(name), NULL, 10) * 1024 : -1;
}

FIXTURE_SETUP(memory)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->total = meminfo("MemTotal:");
	self->available = meminfo("MemAvailable:");
	ASSERT_LT(0, self->total);
}

FIXTURE_TEARDOWN(memory)
{
	vfifo_teardown(&self->dev);
}

/* The device still has its old buffer and the bytes in it, and works. */
static bool unharmed(struct vfifo *dev, long len, __u64 pos)
{
	long room = dev->capacity - len;

	return attr_get("capacity") == dev->capacity &&
	       queued(dev->fd) == len && put(dev, room, pos + len) &&
	       res(write(dev->fd, "x", 1)) == -EAGAIN &&
	       get(dev, dev->capacity, pos);
}

/* A capacity that memory cannot hold is refused, without the OOM killer. */
TEST_F(memory, more_than_there_is)
{
	long len = self->dev.capacity - 100, pos = self->dev.capacity / 2;

	if (self->total >= GIB)
		SKIP(return, "memory is larger than any capacity");
	/* Bytes that wrap around the end of the buffer. */
	ASSERT_TRUE(put(&self->dev, pos, 0) && get(&self->dev, pos, 0));
	ASSERT_TRUE(put(&self->dev, len, pos));
	EXPECT_EQ(-ENOMEM, attr_set("capacity", GIB));
	EXPECT_EQ(-ENOMEM, attr_set("capacity", GIB / 2 + 1));
	EXPECT_TRUE(unharmed(&self->dev, len, pos));
}

TEST_F(memory, the_largest_capacity)
{
	long len = self->dev.capacity - 100, pos = self->dev.capacity / 2;

	if (self->available < GIB + GIB / 8)
		SKIP(return, "less than 1 GiB of memory is free");
	ASSERT_TRUE(put(&self->dev, pos, 0) && get(&self->dev, pos, 0));
	ASSERT_TRUE(put(&self->dev, len, pos));
	EXPECT_EQ(0, attr_set("capacity", GIB / 2 + 1));
	EXPECT_EQ(GIB, attr_get("capacity"));
	EXPECT_EQ(-ERANGE, attr_set("capacity", GIB + 1));
	EXPECT_EQ(GIB, attr_get("capacity"));
	EXPECT_EQ(len, queued(self->dev.fd));
	ASSERT_TRUE(put(&self->dev, MIB, pos + len));
	EXPECT_TRUE(get(&self->dev, len + MIB, pos));
	EXPECT_EQ(0, attr_set("capacity", self->dev.capacity));
	EXPECT_TRUE(unharmed(&self->dev, 0, 0));
}

int main(int argc, char **argv)
{
	char online[64];

	snprintf(online, sizeof(online), CPUS "/cpu%d/online", removable_cpu());
	file_keep(online);
	return vfifo_main(argc, argv);
}
