// SPDX-License-Identifier: GPL-2.0
/*
 * A user without rights who may open the node cannot fill the kernel's log, whatever
 * calls they make and however often: each line would push out another one.
 */
#include <poll.h>
#include <termios.h>
#include <sys/uio.h>

#include "vfifo_log.h"

#define CONTROL		"/proc/dynamic_debug/control"
#define MODULE		"rust_vfifo"
#define GIB		0x40000000L
#define TIMES		1000

/* Not static, so that the compiler does not see that these are invalid. */
void *nowhere = (void *)16;
size_t huge = SIZE_MAX;
int minus_one = -1, too_many = IOV_MAX + 1;

FIXTURE(log)
{
	struct vfifo dev;
	int log;
};

FIXTURE_SETUP(log)
{
	/* Messages that someone has asked for do not count. */
	file_store(CONTROL, "module " MODULE " =_");
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->log = log_open();
	if (self->log < 0)
		SKIP(return, "/dev/kmsg: %s", strerror(errno));
}

FIXTURE_TEARDOWN(log)
{
	close(self->log);
	vfifo_teardown(&self->dev);
}

/* Everything that an open file allows, and everything that it refuses. */
static void pester(struct vfifo *dev)
{
	struct vfifo_end *end;
	long size = dev->capacity;
	int fd = dev->fd;
	char buf[100] = "";
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	int i, one = 1, zero = 0, pipes[2];
	void *map;

	if (pipe(pipes))
		return;
	for (i = 0; i < 20; i++) {
		write(fd, buf, sizeof(buf));
		read(fd, buf, 50);
		write(fd, nowhere, 1);
		read(fd, nowhere, 1);
		read(fd, nowhere, 1UL << 40);
		splice(fd, NULL, pipes[1], NULL, 10, SPLICE_F_NONBLOCK);
		splice(pipes[0], NULL, fd, NULL, 10, SPLICE_F_NONBLOCK);
		ioctl(fd, VFIFO_SET_MODE, &one);
		ioctl(fd, VFIFO_SET_MODE, &zero);
		ioctl(fd, VFIFO_SET_MODE, (void *)16);
		ioctl(fd, VFIFO_CLEAR);
		ioctl(fd, VFIFO_NOTIFY);
		ioctl(fd, VFIFO_GET_INFO, (void *)16);
		ioctl(fd, FIONREAD, (void *)16);
		ioctl(fd, _IO('k', 99));
		ioctl(fd, ~0UL);
		poll(&p, 1, 0);
		fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC);
		fcntl(fd, F_SETFL, O_NONBLOCK);
		lseek(fd, 1, SEEK_SET);
		pwrite(fd, buf, 1, 1);
		ftruncate(fd, 1);
		fsync(fd);
		mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
		mmap(NULL, size, PROT_EXEC, MAP_SHARED, fd, 0);
		mmap(NULL, 4 * size, PROT_READ, MAP_SHARED, fd, 0);
		mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 1L << 40);
		end = claim_end(dev, i & 1);
		if (end) {
			end->position += i << 20;
			claim_end(dev, i & 1);
			write(fd, buf, 1);
			read(fd, buf, 1);
			poll(&p, 1, 0);
			ioctl(fd, VFIFO_CLEAR);
			munmap(end, dev->page);
		}
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			continue;
		*(char *)map = 'x';
		mprotect(map, size, PROT_EXEC);
		attr_set("capacity", 2 * size);
		if (mremap(map, size, 4 * size, MREMAP_MAYMOVE) == MAP_FAILED)
			munmap(map, size);
		attr_set("capacity", 0);
		attr_store("capacity", "many");
		attr_store("mode", "7");
		attr_store("period_ms", "-1");
		attr_text("size");
	}
}

struct files {
	int r, w, rw;		/* non-blocking */
	int pipe[2];
	char *bad;		/* a page that cannot be accessed */
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
		/* An impossible position. */
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

/* Call number @call of those that are refused or do nothing: the error. */
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
		/* The mapping is allowed, but must not grow. */
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
		/* While an end is claimed, by its owner or by others. */
		return bad_claim(f, &info, call - 51, page);
	}
	ret = map == MAP_FAILED ? -errno : 0;
	if (!ret)
		munmap(map, page);
	return ret;
}

/* The number of records since the last call; none may be about a vfifo. */
static int expect_quiet(struct __test_metadata *_metadata, int log)
{
	const char *text;
	int lines = 0;

	while ((text = log_next(log, NULL))) {
		lines++;
		EXPECT_EQ(NULL, strstr(text, "vfifo")) {
			TH_LOG("%s", text);
		}
		/* Others may log something, but not all the time. */
		ASSERT_GT(50, lines) {
			TH_LOG("%s", text);
		}
	}
	return lines;
}

TEST_F(log, mixed_calls_leave_no_line)
{
	pid_t pid = nobody_start(9 * DEADLINE);

	if (!pid) {
		pester(&self->dev);
		_exit(0);
	}
	EXPECT_EQ(0, child_end(pid));
	expect_quiet(_metadata, self->log);
}

TEST_F_TIMEOUT(log, bad_calls_leave_no_line, 100)
{
	struct files f;
	int call, i;
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

	pid = nobody_start(9 * DEADLINE);
	if (!pid) {
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
	expect_quiet(_metadata, self->log);
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
	return vfifo_main(argc, argv);
}
