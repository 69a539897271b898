// SPDX-License-Identifier: GPL-2.0
/*
 * A vfifo and the system around it: processors that come and go, memory that is
 * short, and a log that stays quiet.
 */
#include <poll.h>
#include <sched.h>
#include <termios.h>
#include <sys/uio.h>

#include "vfifo_test.h"

#define WORD		"AUTO "
#define WORD_LEN	5

/* ---- processors that come and go ---- */

#define CPUS	"/sys/devices/system/cpu"

/* What the processes of a test tell each other. */
struct board {
	int stop;
	long words;		/* generated, and read */
	long records;		/* likewise, written by us */
};

FIXTURE(hotplug)
{
	struct vfifo dev;
	int cpu;		/* the one that goes */
	char dir[64];
	struct board *board;
};

/* The last one, if it is not the only one; else 0. */
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
		SKIP(return, "no second CPU that can be taken away");
	snprintf(self->dir, sizeof(self->dir), CPUS "/cpu%d", self->cpu);
	if (strcmp(file_text(self->dir, "online"), "1\n"))
		SKIP(return, "CPU %d is not there", self->cpu);
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

/* What is written between the words: no byte of it begins a word. */
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

/* Ends with 0 after the last record, if all was as it should be. */
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
 * A writer, a reader and the generator work while a CPU goes and comes: no byte is
 * lost, doubled or torn, and all three go on.
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

/* The timer is started on the very CPU that is taken away then. */
TEST_F_TIMEOUT(hotplug, timer_moves, 60)
{
	long period, size;
	int i;

	for (i = 0; i < 6; i++) {
		/* Due at any moment, or only when the CPU has long gone. */
		period = i & 1 ? 300 : 1;
		ASSERT_EQ(0, attr_set("period_ms", period));
		ASSERT_EQ(0, run_on(self->cpu));
		ASSERT_EQ(0, attr_store("mode", "1"));
		ASSERT_EQ(0, run_on(-1));
		ASSERT_EQ(0, file_put(self->dir, "online", "0"));
		size = queued(self->dev.fd);
		EXPECT_TRUE(eventually(queued(self->dev.fd) > size));

		/* And off means off, wherever it is. */
		if (i & 2)
			ASSERT_EQ(0, file_put(self->dir, "online", "1"));
		ASSERT_EQ(0, attr_store("mode", "0"));
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
		usleep(10000);
		EXPECT_EQ(0, queued(self->dev.fd));
		ASSERT_EQ(0, file_put(self->dir, "online", "1"));
	}
}

/* ---- memory that is short ---- */

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

/* The device has its old buffer, with what was in it, and can be used. */
static bool unharmed(struct vfifo *dev, long len, __u64 pos)
{
	long room = dev->capacity - len;

	return attr_get("capacity") == dev->capacity &&
	       queued(dev->fd) == len && put(dev, room, pos + len) &&
	       res(write(dev->fd, "x", 1)) == -EAGAIN &&
	       get(dev, dev->capacity, pos);
}

/* Nobody is killed for what could never be had. */
TEST_F(memory, more_than_there_is)
{
	long len = self->dev.capacity - 100, pos = self->dev.capacity / 2;

	if (self->total >= GIB)
		SKIP(return, "there is more memory than a buffer can have");
	/* Queued bytes that straddle the end of the buffer. */
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

/* ---- a log that stays quiet ---- */

#define TIMES	1000

FIXTURE(log)
{
	struct vfifo dev;
	int kmsg;
};

FIXTURE_SETUP(log)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->kmsg);
}

FIXTURE_TEARDOWN(log)
{
	close(self->kmsg);
	vfifo_teardown(&self->dev);
}

/* Not constants, of which a compiler would see that they are too much. */
size_t huge = SIZE_MAX;
int minus_one = -1, too_many = IOV_MAX + 1;

struct files {
	int r, w, rw;		/* that don't block */
	int pipe[2];
	char *bad;		/* a page that can't be accessed */
	char *good;
};

#define CALLS 55

static long bad_claim(struct files *f, struct vfifo_info *info, int call, long page)
{
	struct vfifo_end *end;
	__u64 old;
	long ret;

	end = map_page(f->rw, info->producer_offset, PROT_READ | PROT_WRITE);
	if (!end)
		return 0;
	switch (call) {
	case 0:
		ret = res(write(f->w, f->good, 1));
		break;
	case 1:
		ret = map_page(f->rw, info->producer_offset,
			       PROT_READ | PROT_WRITE) ? 0 : -errno;
		break;
	case 2:
		ret = res(write(f->pipe[1], end, page));
		if (ret == page)
			ret = res(read(f->pipe[0], end, huge));
		while (read(f->pipe[0], f->good, page) > 0)
			;
		break;
	default:
		/* A position that can't be. */
		old = end->position;
		store(end, ~old);
		ret = res(read(f->r, f->good, 1));
		if (ret == -EIO)
			ret = res(write(f->rw, f->good, 1));
		store(end, old);
	}
	munmap(end, page);
	return ret;
}

/* Call number @call of those that are refused, or do nothing. */
static long bad_call(struct files *f, int call)
{
	struct iovec iov[2] = { { f->good, 1 }, { f->bad, 1 } };
	char path[PATH_MAX];
	long page = sysconf(_SC_PAGESIZE), ret;
	void *map = MAP_FAILED;
	int value = 1;
	struct vfifo_info info = { .size = sizeof(info) };

	snprintf(path, sizeof(path), "/dev/%s", vfifo_name());
	ioctl(f->rw, VFIFO_GET_INFO, &info);
	switch (call) {
	case 0:
		return res(open(path, O_RDWR | O_DIRECTORY));
	case 1:
		return res(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
	case 2:
		return res(attr_open("capacity", O_WRONLY));
	case 3:
		return res(attr_open("mode", O_RDWR));
	case 4:
		return res(attr_open("size", O_RDWR));
	case 5:
		return res(read(f->r, f->good, 1));
	case 6:
		return res(read(f->r, f->bad, 1));
	case 7:
		return res(read(f->w, f->good, 1));
	case 8:
		return res(read(f->r, f->good, huge));
	case 9:
		return res(read(f->r, (void *)-4096L, 10));
	case 10:
		return res(readv(f->r, iov, minus_one));
	case 11:
		return res(readv(f->r, (void *)f->bad, 2));
	case 12:
		return res(pread(f->r, f->good, 1, 0));
	case 13:
		return res(preadv2(f->r, iov, 1, -1, 0x40000000));
	case 14:
		return res(write(f->w, f->bad, 1));
	case 15:
		return res(write(f->w, f->bad, PIPE_BUF + 1));
	case 16:
		return res(write(f->r, f->good, 1));
	case 17:
		return res(write(f->w, f->good, huge));
	case 18:
		return res(write(f->w, (void *)-4096L, PIPE_BUF));
	case 19:
		return res(writev(f->w, iov, too_many));
	case 20:
		return res(pwrite(f->w, f->good, 1, 0));
	case 21:
		return res(pwritev2(f->w, iov, 1, -1, 0x40000000));
	case 22:
		return res(lseek(f->rw, 0, SEEK_SET));
	case 23:
		return res(ftruncate(f->rw, 0));
	case 24:
		return res(fsync(f->rw));
	case 25:
		return res(fallocate(f->rw, 0, 0, 1));
	case 26:
		return res(ioctl(f->rw, _IO('k', 99), f->good));
	case 27:
		return res(ioctl(f->rw, _IOWR('k', 2, __u64), f->good));
	case 28:
		return res(ioctl(f->rw, TCGETS, f->good));
	case 29:
		return res(ioctl(f->w, VFIFO_CLEAR));
	case 30:
		return res(ioctl(f->r, VFIFO_SET_MODE, &value));
	case 31:
		return res(ioctl(f->w, VFIFO_SET_MODE, f->bad));
	case 32:
		return res(ioctl(f->rw, FIONREAD, f->bad));
	case 33:
		return res(fcntl(f->rw, F_SETFL, O_NONBLOCK | O_DIRECT));
	case 34:
		return res(fcntl(f->rw, F_SETPIPE_SZ, page));
	case 35:
		return res(fcntl(f->rw, F_SETLEASE, F_WRLCK));
	case 36:
		return res(splice(f->r, NULL, f->pipe[1], NULL, 1, 0));
	case 37:
		return res(splice(f->pipe[0], NULL, f->w, NULL, 1,
				  SPLICE_F_NONBLOCK));
	case 38:
		return res(tee(f->r, f->pipe[1], 1, 0));
	case 39:
		map = mmap(NULL, page, PROT_READ, MAP_PRIVATE, f->rw, 0);
		break;
	case 40:
		map = mmap(NULL, page, PROT_EXEC, MAP_SHARED, f->rw, 0);
		break;
	case 41:
		map = mmap(NULL, page, PROT_WRITE, MAP_SHARED, f->r, 0);
		break;
	case 42:
		map = mmap(NULL, page, PROT_READ, MAP_SHARED, f->w, 0);
		break;
	case 43:
		map = mmap(NULL, page, PROT_READ, MAP_SHARED, f->rw, GIB);
		break;
	case 44:
		map = mmap(NULL, 3UL << 30, PROT_READ, MAP_SHARED, f->rw, 0);
		break;
	case 45:
		/* Allowed, but it must not grow. */
		map = mmap(NULL, page, PROT_READ, MAP_SHARED, f->rw, 0);
		ret = mremap(map, page, 64 * page, MREMAP_MAYMOVE) ==
		      MAP_FAILED ? -errno : 0;
		munmap(map, page);
		return ret;
	case 46:
		info.size = 7;
		return res(ioctl(f->rw, VFIFO_GET_INFO, &info));
	case 47:
		return res(ioctl(f->rw, VFIFO_GET_INFO, f->bad));
	case 48:
		return res(ioctl(f->rw, _IO('k', 3), &info));
	case 49:
		map = mmap(NULL, page, PROT_WRITE, MAP_SHARED, f->w,
			   info.producer_offset);
		break;
	case 50:
		map = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, f->rw,
			   info.consumer_offset);
		break;
	default:
		/* By the owner of an end, or meanwhile by others. */
		return bad_claim(f, &info, call - 51, page);
	}
	ret = map == MAP_FAILED ? -errno : 0;
	if (!ret)
		munmap(map, page);
	return ret;
}

/*
 * What somebody without rights can do as often as they like with a node that they
 * may open must not write to the log: each line would push out another one.
 */
TEST_F_TIMEOUT(log, bad_calls_leave_no_line, 100)
{
	char text[8192];
	int call, i, lines = 0;
	struct files f;
	ssize_t len;
	pid_t pid;

	f.r = vfifo_open(O_RDONLY | O_NONBLOCK);
	f.w = vfifo_open(O_WRONLY | O_NONBLOCK);
	f.rw = vfifo_open(O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, f.r);
	ASSERT_LE(0, f.w);
	ASSERT_LE(0, f.rw);
	ASSERT_EQ(0, pipe2(f.pipe, O_NONBLOCK | O_CLOEXEC));
	f.good = mmap(NULL, self->dev.page, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	f.bad = mmap(NULL, self->dev.page, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, f.good);
	ASSERT_NE(MAP_FAILED, f.bad);

	ASSERT_LE(0, lseek(self->kmsg, 0, SEEK_END));
	pid = child_start(9 * DEADLINE);
	if (!pid) {
		EXPECT_EQ(0, setresuid(65534, 65534, 65534)) {
			_exit(1);
		}
		for (call = 0; call < CALLS; call++) {
			for (i = 0; i < TIMES; i++) {
				EXPECT_GT(0, bad_call(&f, call)) {
					TH_LOG("call %d was accepted", call);
					_exit(1);
				}
			}
		}
		_exit(0);
	}
	EXPECT_EQ(0, child_end(pid));

	/* Others may have something to say, but not a thousand times. */
	for (;;) {
		len = res(read(self->kmsg, text, sizeof(text) - 1));
		if (len == -EAGAIN)
			break;
		ASSERT_LT(0, len);
		text[len] = '\0';
		lines++;
		EXPECT_EQ(NULL, strstr(text, "vfifo")) {
			TH_LOG("%s", text);
		}
		ASSERT_GT(50, lines) {
			TH_LOG("%s", text);
		}
	}
	munmap(f.good, self->dev.page);
	munmap(f.bad, self->dev.page);
	close(f.pipe[0]);
	close(f.pipe[1]);
	close(f.rw);
	close(f.w);
	close(f.r);
}

int main(int argc, char **argv)
{
	char online[64];

	snprintf(online, sizeof(online), CPUS "/cpu%d/online", removable_cpu());
	file_keep(online);
	return vfifo_main(argc, argv);
}
