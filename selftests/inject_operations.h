/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The operations in which inject.c makes allocations and copies fail. Each has what it
 * needs before it, the call itself, what must hold afterwards, and how it is undone.
 */
#ifndef INJECT_OPERATIONS_H
#define INJECT_OPERATIONS_H

#include <poll.h>
#include <stdarg.h>
#include <sys/uio.h>

#include "vfifo_devices.h"

#ifndef FIOASYNC
#define FIOASYNC	0x5452
#endif

/* Bytes queued before each operation. */
#define QUEUED	3000

/* What they work with. */
static struct {
	struct vfifo dev;
	struct vfifo_info info;
	int fd, pipes[2], epfd;
	char *data;		/* a mapping */
	size_t data_len;
	struct vfifo_end *own;
	char *room;		/* where a mapping is moved to */
	char *buf;
} s;

/* What is wrong, as the result of a check. */
__printf(1, 2)
static const char *wrong(const char *fmt, ...)
{
	static char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return text;
}

struct operation {
	const char *name;
	void (*prepare)(void);
	long (*run)(void);		/* 0 or more, or -errno */
	const char *(*check)(long ret);	/* NULL, or what is wrong */
	void (*undo)(void);
	int error;			/* allowed besides ENOMEM and EFAULT */
};

static long run_open(void)
{
	s.fd = vfifo_open(O_RDWR | O_NONBLOCK);
	return res(s.fd);
}

static const char *check_open(long ret)
{
	char c;

	if (ret < 0)
		return NULL;
	return read(s.fd, &c, 1) == 1 ? NULL : wrong("not readable");
}

static void undo_open(void)
{
	close(s.fd);
	s.fd = -1;
}

static long run_close(void)
{
	int fd = s.fd;

	s.fd = -1;
	return res(close(fd));
}

static void prepare_open(void)
{
	run_open();
}

static void touch(char *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += s.dev.page)
		(void)__atomic_load_n(data + i, __ATOMIC_RELAXED);
	__atomic_store_n(data + len - 1, 1, __ATOMIC_RELAXED);
}

static long run_mmap(void)
{
	s.data_len = 2 * s.info.capacity;
	s.data = mmap(NULL, s.data_len, PROT_READ | PROT_WRITE, MAP_SHARED,
		      s.dev.fd, 0);
	if (s.data == MAP_FAILED) {
		s.data = NULL;
		return -errno;
	}
	touch(s.data, s.data_len);
	return 0;
}

static void prepare_mmap(void)
{
	run_mmap();
}

static void undo_mmap(void)
{
	if (s.data)
		munmap(s.data, s.data_len);
	s.data = NULL;
}

/* The capacity can be set if nothing is mapped, and cannot if something is. */
static const char *check_mmap(long ret)
{
	int resized = attr_set("capacity", s.dev.capacity);

	if (ret < 0 && resized)
		return wrong("not mapped, but resizing gets %s",
			     strerror(-resized));
	if (ret >= 0 && resized != -EBUSY)
		return wrong("mapped, but resizing gets %d", resized);
	return NULL;
}

static long run_view(void)
{
	s.own = mmap(NULL, s.dev.page, PROT_READ, MAP_SHARED, s.dev.fd,
		     s.info.consumer_offset);
	if (s.own == MAP_FAILED) {
		s.own = NULL;
		return -errno;
	}
	(void)__atomic_load_n(&s.own->position, __ATOMIC_RELAXED);
	return 0;
}

static long run_claim(__u64 offset)
{
	s.own = mmap(NULL, s.dev.page, PROT_READ | PROT_WRITE, MAP_SHARED,
		     s.dev.fd, offset);
	if (s.own == MAP_FAILED) {
		s.own = NULL;
		return -errno;
	}
	/* Stores the same position, for the page fault. */
	__atomic_fetch_add(&s.own->position, 0, __ATOMIC_SEQ_CST);
	return 0;
}

static long run_claim_producer(void)
{
	return run_claim(s.info.producer_offset);
}

static long run_claim_consumer(void)
{
	return run_claim(s.info.consumer_offset);
}

static const char *check_claim(const char *attr, long ret)
{
	long want = ret >= 0;

	if (attr_get(attr) != want)
		return wrong("%s: %ld", attr, attr_get(attr));
	return check_mmap(ret);
}

static const char *check_claim_producer(long ret)
{
	return check_claim("producer_claimed", ret);
}

static const char *check_claim_consumer(long ret)
{
	return check_claim("consumer_claimed", ret);
}

static void undo_claim(void)
{
	if (s.own)
		munmap(s.own, s.dev.page);
	s.own = NULL;
}

static void prepare_claim(void)
{
	run_claim_producer();
}

static long run_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	if (pid < 0)
		return -errno;
	return child_end(pid);
}

/* The mapping still shows the data, whether the call failed or not. */
static const char *check_data(long ret)
{
	(void)ret;
	if (s.data[0] != s.data[s.data_len / 2])
		return wrong("the data is not what it was");
	return check_mmap(0);
}

/* Splits the mapping in two. */
static long run_mprotect(void)
{
	return res(mprotect(s.data + s.dev.page, s.dev.page, PROT_READ));
}

static long run_hole(void)
{
	return res(munmap(s.data + s.dev.page, s.dev.page));
}

/* Reserves addresses to move a mapping to. */
static void make_room(void)
{
	s.room = mmap(NULL, 2 * s.info.capacity, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s.room == MAP_FAILED)
		abort();
}

static void prepare_mremap(void)
{
	prepare_mmap();
	make_room();
}

static long run_mremap(void)
{
	char *p = mremap(s.data, s.data_len, s.data_len, MREMAP_MAYMOVE |
			 MREMAP_FIXED, s.room);

	if (p == MAP_FAILED)
		return -errno;
	s.data = p;
	return 0;
}

static void undo_mremap(void)
{
	undo_mmap();
	munmap(s.room, 2 * s.info.capacity);
}

static void prepare_mremap_claim(void)
{
	prepare_claim();
	make_room();
}

static long run_mremap_claim(void)
{
	void *p = mremap(s.own, s.dev.page, s.dev.page, MREMAP_MAYMOVE |
			 MREMAP_FIXED, s.room);

	/* A claim cannot be moved in any case. */
	return p != MAP_FAILED ? -EEXIST : errno == EINVAL ? 0 : -errno;
}

static void undo_mremap_claim(void)
{
	undo_claim();
	munmap(s.room, 2 * s.info.capacity);
}

static const char *check_own(long ret)
{
	(void)ret;
	return check_claim_producer(0);
}

static long run_grow(void)
{
	return attr_set("capacity", 4 * s.dev.capacity);
}

static long run_shrink(void)
{
	return attr_set("capacity", s.dev.page);
}

/* All bytes are there, in the old buffer or the new one. */
static const char *check_queue(long ret)
{
	long size = attr_get("size"), cap = attr_get("capacity"), want = 0;

	if (size != QUEUED)
		return wrong("%ld bytes queued", size);
	if (!get(&s.dev, QUEUED, 0))
		return wrong("other bytes");
	if (ret < 0)
		want = s.dev.capacity;
	if (want && cap != want)
		return wrong("capacity %ld, and it has failed", cap);
	/* All of the buffer is usable. */
	if (!put(&s.dev, cap, 5) || !get(&s.dev, cap, 5))
		return wrong("what fits is not the capacity");
	return NULL;
}

static void undo_resize(void)
{
	attr_set("capacity", s.dev.capacity);
}

static long run_write(void)
{
	return res(write(s.dev.fd, s.buf, 100));
}

/* With more segments than the kernel has room for on its stack. */
static long in_pieces(ssize_t (*call)(int, const struct iovec *, int))
{
	struct iovec iov[20];
	int i;

	for (i = 0; i < 20; i++) {
		iov[i].iov_base = s.buf + 5 * i;
		iov[i].iov_len = 5;
	}
	return res(call(s.dev.fd, iov, 20));
}

static long run_writev(void)
{
	return in_pieces(writev);
}

/* As many bytes were added as the call returned. */
static const char *check_write(long ret)
{
	long done = ret < 0 ? 0 : ret;

	if (attr_get("size") != QUEUED + done)
		return wrong("%ld bytes queued", attr_get("size"));
	if (!get(&s.dev, QUEUED, 0) || (done && !get(&s.dev, done, QUEUED)))
		return wrong("other bytes");
	return NULL;
}

static void prepare_write(void)
{
	stream_fill(s.buf, 100, QUEUED);
}

static long run_read(void)
{
	return res(read(s.dev.fd, s.buf, 100));
}

static long run_readv(void)
{
	return in_pieces(readv);
}

static const char *check_read(long ret)
{
	long done = ret < 0 ? 0 : ret;

	if (!stream_equal(s.buf, done, 0))
		return wrong("other bytes read");
	if (done > QUEUED)
		return wrong("%ld bytes read", done);
	if (attr_get("size") != QUEUED - done)
		return wrong("%ld bytes queued", attr_get("size"));
	if (!get(&s.dev, QUEUED - done, done))
		return wrong("other bytes queued");
	return NULL;
}

static void prepare_pipe(void)
{
	if (pipe2(s.pipes, O_NONBLOCK))
		abort();
	prepare_write();
}

static void prepare_full_pipe(void)
{
	prepare_pipe();
	if (write(s.pipes[1], s.buf, 100) != 100)
		abort();
}

static void undo_pipe(void)
{
	close(s.pipes[0]);
	close(s.pipes[1]);
}

static long run_splice_from(void)
{
	return res(splice(s.dev.fd, NULL, s.pipes[1], NULL, QUEUED, 0));
}

/* Each byte is either in the pipe or in the FIFO. */
static const char *check_splice_from(long ret)
{
	long done = ret < 0 ? 0 : ret;

	if (done && read(s.pipes[0], s.buf, QUEUED) != done)
		return wrong("not in the pipe");
	return check_read(ret);
}

static long run_splice_to(void)
{
	return res(splice(s.pipes[0], NULL, s.dev.fd, NULL, 100, 0));
}

static const char *check_splice_to(long ret)
{
	long done = ret < 0 ? 0 : ret;
	char left[100];

	/* What was not written is still in the pipe. */
	if (done < 100 && read(s.pipes[0], left, 100) != 100 - done)
		return wrong("not in the pipe");
	return check_write(ret);
}

static long run_poll(void)
{
	struct pollfd pfd = { .fd = s.dev.fd, .events = POLLIN | POLLOUT };
	long ret = res(poll(&pfd, 1, 0));

	if (ret > 0 && pfd.revents != (POLLIN | POLLOUT))
		return -EBADE;
	return ret;
}

static void prepare_epoll(void)
{
	s.epfd = epoll_create1(EPOLL_CLOEXEC);
}

static long run_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };

	return res(epoll_ctl(s.epfd, EPOLL_CTL_ADD, s.dev.fd, &event));
}

static const char *check_epoll(long ret)
{
	struct epoll_event event;
	int ready = epoll_wait(s.epfd, &event, 1, 0), want = ret >= 0;

	if (ready != want)
		return wrong("epoll_wait: %d", ready);
	return NULL;
}

static void undo_epoll(void)
{
	close(s.epfd);
}

static int signals;

static void count_signal(int sig)
{
	(void)sig;
	signals++;
}

static void prepare_async(void)
{
	signal(SIGIO, count_signal);
	run_open();
	fcntl(s.fd, F_SETOWN, getpid());
	signals = 0;
}

static long run_async(void)
{
	return res(fcntl(s.fd, F_SETFL, O_ASYNC | O_NONBLOCK));
}

static long run_async_ioctl(void)
{
	int on = 1;

	return res(ioctl(s.fd, FIOASYNC, &on));
}

/* Signals come for bytes and for room if the flag is set, and for neither if not. */
static const char *check_async(long ret)
{
	bool flag = fcntl(s.fd, F_GETFL) & O_ASYNC, want = ret >= 0;
	int reads, writes;

	ioctl(s.dev.fd, VFIFO_CLEAR);
	signals = 0;
	if (write(s.dev.fd, "x", 1) != 1)
		return wrong("write");
	reads = signals;
	if (read(s.dev.fd, s.buf, 1) != 1)
		return wrong("read");
	writes = signals - reads;
	if (flag != want || !!reads != want || !!writes != want)
		return wrong("O_ASYNC %d, %d signals for bytes, %d for room",
			     flag, reads, writes);
	return NULL;
}

static long run_info(void)
{
	struct vfifo_info info = { .size = sizeof(info) };
	long ret = res(ioctl(s.dev.fd, VFIFO_GET_INFO, &info));

	if (!ret && memcmp(&info, &s.info, sizeof(info)))
		return -EBADE;
	return ret;
}

static long run_fionread(void)
{
	return queued(s.dev.fd);
}

static long run_set_mode(void)
{
	int on = 1;

	return res(ioctl(s.dev.fd, VFIFO_SET_MODE, &on));
}

static long run_store_mode(void)
{
	return attr_store("mode", "auto");
}

static const char *check_mode(long ret)
{
	long want = ret >= 0;

	if (attr_get("mode") != want)
		return wrong("mode %ld", attr_get("mode"));
	return NULL;
}

static void undo_mode(void)
{
	attr_store("mode", "0");
}

static long run_notify(void)
{
	return res(ioctl(s.dev.fd, VFIFO_NOTIFY));
}

static long run_clear(void)
{
	return res(ioctl(s.dev.fd, VFIFO_CLEAR));
}

static long run_show(void)
{
	char path[PATH_MAX], text[64];
	long ret;
	int fd;

	attr_path(path, sizeof(path), "stats/bytes_written");
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	ret = res(read(fd, text, sizeof(text)));
	close(fd);
	return ret;
}

static long run_fdinfo(void)
{
	char path[64], text[1024];
	long ret;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", s.dev.fd);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	ret = res(read(fd, text, sizeof(text) - 1));
	close(fd);
	text[ret < 0 ? 0 : ret] = '\0';
	return ret < 0 || strstr(text, "vfifo-consumer:\tunclaimed\n") ?
	       ret : -EBADE;
}

#include "inject_devices.h"

static const struct operation operations[] = {
	{ .name = "open", .run = run_open, .check = check_open, .undo = undo_open },
	{ .name = "close", .prepare = prepare_open, .run = run_close },
	{ .name = "mmap", .run = run_mmap, .check = check_mmap, .undo = undo_mmap },
	{ .name = "mmap of a page of an end", .run = run_view, .check = check_mmap,
	  .undo = undo_claim },
	{ .name = "claim of the producer's end", .run = run_claim_producer,
	  .check = check_claim_producer, .undo = undo_claim },
	{ .name = "claim of the consumer's end", .run = run_claim_consumer,
	  .check = check_claim_consumer, .undo = undo_claim },
	{ .name = "fork with a mapping", .prepare = prepare_mmap, .run = run_fork,
	  .check = check_data, .undo = undo_mmap, .error = EAGAIN },
	{ .name = "fork with a claim", .prepare = prepare_claim, .run = run_fork,
	  .check = check_own, .undo = undo_claim, .error = EAGAIN },
	{ .name = "mprotect of a part", .prepare = prepare_mmap,
	  .run = run_mprotect, .check = check_data, .undo = undo_mmap },
	{ .name = "munmap of a part", .prepare = prepare_mmap, .run = run_hole,
	  .check = check_data, .undo = undo_mmap },
	{ .name = "mremap", .prepare = prepare_mremap, .run = run_mremap,
	  .check = check_data, .undo = undo_mremap },
	{ .name = "mremap of a claim", .prepare = prepare_mremap_claim,
	  .run = run_mremap_claim, .check = check_own, .undo = undo_mremap_claim },
	{ .name = "resize, up", .run = run_grow, .check = check_queue,
	  .undo = undo_resize },
	{ .name = "resize, down", .run = run_shrink, .check = check_queue,
	  .undo = undo_resize },
	{ .name = "write", .prepare = prepare_write, .run = run_write,
	  .check = check_write },
	{ .name = "writev", .prepare = prepare_write, .run = run_writev,
	  .check = check_write },
	{ .name = "read", .run = run_read, .check = check_read },
	{ .name = "readv", .run = run_readv, .check = check_read },
	{ .name = "splice from it", .prepare = prepare_pipe,
	  .run = run_splice_from, .check = check_splice_from, .undo = undo_pipe },
	{ .name = "splice to it", .prepare = prepare_full_pipe,
	  .run = run_splice_to, .check = check_splice_to, .undo = undo_pipe },
	{ .name = "poll", .run = run_poll },
	{ .name = "epoll_ctl", .prepare = prepare_epoll, .run = run_epoll,
	  .check = check_epoll, .undo = undo_epoll },
	{ .name = "O_ASYNC", .prepare = prepare_async, .run = run_async,
	  .check = check_async, .undo = undo_open },
	{ .name = "FIOASYNC", .prepare = prepare_async, .run = run_async_ioctl,
	  .check = check_async, .undo = undo_open },
	{ .name = "VFIFO_GET_INFO", .run = run_info },
	{ .name = "FIONREAD", .run = run_fionread },
	{ .name = "VFIFO_SET_MODE", .run = run_set_mode, .check = check_mode,
	  .undo = undo_mode },
	{ .name = "mode", .run = run_store_mode, .check = check_mode,
	  .undo = undo_mode },
	{ .name = "new_device", .prepare = prepare_new_device, .run = run_new_device,
	  .check = check_new_device, .undo = undo_new_device },
	{ .name = "delete_device", .prepare = prepare_delete_device,
	  .run = run_delete_device, .check = check_delete_device,
	  .undo = undo_delete_device },
	{ .name = "VFIFO_NOTIFY", .run = run_notify },
	{ .name = "VFIFO_CLEAR", .run = run_clear },
	{ .name = "show an attribute", .run = run_show },
	/* ENOENT: without memory for an inode, procfs says that there is no such file. */
	{ .name = "show fdinfo", .run = run_fdinfo, .error = ENOENT },
};

#endif /* INJECT_OPERATIONS_H */
