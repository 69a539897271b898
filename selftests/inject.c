// SPDX-License-Identifier: GPL-2.0
/*
 * Has allocations fail, and copies from and to user memory: in each operation the
 * first one, then the second one, and so on until it succeeds without one that
 * fails. Each failure must be a clean one: an error number that says what it is,
 * and all as it was before.
 *
 * Needs CONFIG_FAULT_INJECTION and friends, see config. With "-n 1" no point is
 * left out of those operations that have a great many of them.
 */
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "vfifo_module.h"

#ifndef FIOASYNC
#define FIOASYNC	0x5452
#endif

/* Seconds for an operation with a great many points. */
#define SECONDS		20
#define LONG_TEST	(60 * 60)

static bool every_point;

/* ---- the knobs ---- */

static const struct knob {
	const char *path, *value;
} knobs[] = {
#define DEBUGFS	"/sys/kernel/debug/"
	{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
	{ DEBUGFS "failslab/verbose", "0" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ DEBUGFS "fail_page_alloc/min-order", "0" },
	{ DEBUGFS "fail_page_alloc/verbose", "0" },
	{ DEBUGFS "fail_usercopy/verbose", "0" },
	{ DEBUGFS "fail_usercopy/task-filter", "Y" },
	{ DEBUGFS "fail_usercopy/interval", "1" },
	{ DEBUGFS "fail_usercopy/times", "-1" },
	{ DEBUGFS "fail_usercopy/space", "0" },
	{ DEBUGFS "fail_usercopy/probability", "0" },
	{ DEBUGFS "failslab/reject-start", "0" },
	{ DEBUGFS "failslab/reject-end", "0" },
	{ DEBUGFS "fail_page_alloc/reject-start", "0" },
	{ DEBUGFS "fail_page_alloc/reject-end", "0" },
	/* Most of loading and unloading would be waiting for grace periods. */
	{ "/sys/kernel/rcu_expedited", "1" },
};

/* Of this task; open all the time, so that opening it does not count. */
static int nth = -1;

/* NULL, or what is missing. */
static const char *knobs_setup(void)
{
	static char why[128];
	size_t i;

	if (access("/proc/self/fail-nth", W_OK))
		return "no /proc/self/fail-nth: no CONFIG_FAULT_INJECTION";
	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		if (file_store(knobs[i].path, knobs[i].value)) {
			snprintf(why, sizeof(why), "no %s", knobs[i].path);
			return why;
		}
	}
	return NULL;
}

/* From here on this task's failures are counted, and number @n is one. */
static void arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(nth, text, len, 0) != len)
		abort();
}

/* Up to here. Whether it has come to a failure. */
static bool disarm(void)
{
	char text[16] = "1";
	bool injected;

	/*
	 * This counts as well, since it copies to user memory. What it reads is
	 * from before; if that was 1 then it is this copy that fails.
	 */
	injected = pread(nth, text, sizeof(text) - 1, 0) > 0 && text[0] == '0';
	while (pwrite(nth, "0", 1, 0) != 1)
		if (errno != EFAULT)
			abort();
	return injected;
}

/* ---- the operations ---- */

#define QUEUED	3000

/* What they work on. */
static struct {
	struct vfifo dev;
	struct vfifo_info info;
	int fd, pipes[2], epfd;
	char *data;		/* a mapping, by prepare() */
	size_t data_len;
	struct vfifo_end *own;
	char *room;		/* to move a mapping to */
	char *buf;
	bool done;		/* it has succeeded */
} s;

/* NULL, or what is wrong. */
static const char *wrong(const char *format, ...)
{
	static char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text;
}

struct operation {
	const char *name;
	void (*prepare)(void);
	long (*run)(void);		/* 0 or more, or -errno */
	const char *(*check)(long ret);	/* afterwards; may be NULL */
	void (*undo)(void);
	int error;			/* besides ENOMEM and EFAULT */
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

/* Nothing is mapped, so the capacity may be set. */
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
	/* Stores where it is already, which takes a page fault. */
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

/* The data is there and can be changed, whatever became of it. */
static const char *check_data(long ret)
{
	(void)ret;
	if (s.data[0] != s.data[s.data_len / 2])
		return wrong("the data is not what it was");
	return check_mmap(0);
}

/* Makes two areas of one. */
static long run_mprotect(void)
{
	return res(mprotect(s.data + s.dev.page, s.dev.page, PROT_READ));
}

static long run_hole(void)
{
	return res(munmap(s.data + s.dev.page, s.dev.page));
}

/* Of no use to anyone else meanwhile. */
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

	/* That must fail anyway. */
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

/* All bytes are there, in a buffer of one size or the other. */
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
	/* All of it is usable. */
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

/* With more pieces than the kernel has room for on its stack. */
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

/* What it says is what was added. */
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

/* What is not in the one is in the other. */
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

	/* What was written has left the pipe. */
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

/* Signals come for both, or for none, and the flag says which. */
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

static const struct operation operations[] = {
	{ "open", NULL, run_open, check_open, undo_open, 0 },
	{ "close", prepare_open, run_close, NULL, NULL, 0 },
	{ "mmap", NULL, run_mmap, check_mmap, undo_mmap, 0 },
	{ "mmap of a page of an end", NULL, run_view, check_mmap, undo_claim,
	  0 },
	{ "claim of the producer's end", NULL, run_claim_producer,
	  check_claim_producer, undo_claim, 0 },
	{ "claim of the consumer's end", NULL, run_claim_consumer,
	  check_claim_consumer, undo_claim, 0 },
	{ "fork with a mapping", prepare_mmap, run_fork, check_data, undo_mmap,
	  EAGAIN },
	{ "fork with a claim", prepare_claim, run_fork, check_own, undo_claim,
	  EAGAIN },
	{ "mprotect of a part", prepare_mmap, run_mprotect, check_data,
	  undo_mmap, 0 },
	{ "munmap of a part", prepare_mmap, run_hole, check_data, undo_mmap,
	  0 },
	{ "mremap", prepare_mremap, run_mremap, check_data, undo_mremap, 0 },
	{ "mremap of a claim", prepare_mremap_claim, run_mremap_claim,
	  check_own, undo_mremap_claim, 0 },
	{ "resize, up", NULL, run_grow, check_queue, undo_resize, 0 },
	{ "resize, down", NULL, run_shrink, check_queue, undo_resize,
	  0 },
	{ "write", prepare_write, run_write, check_write, NULL, 0 },
	{ "writev", prepare_write, run_writev, check_write, NULL, 0 },
	{ "read", NULL, run_read, check_read, NULL, 0 },
	{ "readv", NULL, run_readv, check_read, NULL, 0 },
	{ "splice from it", prepare_pipe, run_splice_from, check_splice_from,
	  undo_pipe, 0 },
	{ "splice to it", prepare_full_pipe, run_splice_to, check_splice_to,
	  undo_pipe, 0 },
	{ "poll", NULL, run_poll, NULL, NULL, 0 },
	{ "epoll_ctl", prepare_epoll, run_epoll, check_epoll, undo_epoll,
	  0 },
	{ "O_ASYNC", prepare_async, run_async, check_async, undo_open,
	  0 },
	{ "FIOASYNC", prepare_async, run_async_ioctl, check_async, undo_open,
	  0 },
	{ "VFIFO_GET_INFO", NULL, run_info, NULL, NULL, 0 },
	{ "FIONREAD", NULL, run_fionread, NULL, NULL, 0 },
	{ "VFIFO_SET_MODE", NULL, run_set_mode, check_mode, undo_mode,
	  0 },
	{ "mode", NULL, run_store_mode, check_mode, undo_mode, 0 },
	{ "VFIFO_NOTIFY", NULL, run_notify, NULL, NULL, 0 },
	{ "VFIFO_CLEAR", NULL, run_clear, NULL, NULL, 0 },
	{ "show an attribute", NULL, run_show, NULL, NULL, 0 },
	/* With no memory for an inode, procfs says that there is no such file. */
	{ "show fdinfo", NULL, run_fdinfo, NULL, NULL, ENOENT },
};

FIXTURE(inject)
{
	struct health health;
};

FIXTURE_SETUP(inject)
{
	const char *why = knobs_setup();

	if (why)
		SKIP(return, "%s", why);
	health_begin(&self->health);
	nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, nth);
}

FIXTURE_TEARDOWN(inject)
{
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
}

TEST_F_TIMEOUT(inject, operations, LONG_TEST)
{
	unsigned int n, points, all = 0;
	const struct operation *op;
	const char *complaint;
	bool injected;
	long ret, refs, failed;
	size_t i;

	if (access(VFIFO_CLASS, F_OK))
		ASSERT_EQ(0, module_load("devices=1"));
	ASSERT_EQ(0, vfifo_setup(&s.dev));
	s.info.size = sizeof(s.info);
	ASSERT_EQ(0, ioctl(s.dev.fd, VFIFO_GET_INFO, &s.info));
	s.buf = malloc(65536);
	attr_set("period_ms", 3600000);
	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		op = &operations[i];
		points = 0;
		failed = 0;
		for (n = 1, injected = true; injected; n++) {
			ASSERT_EQ(0, ioctl(s.dev.fd, VFIFO_CLEAR));
			ASSERT_TRUE(put(&s.dev, QUEUED, 0));
			refs = references();
			if (op->prepare)
				op->prepare();
			arm(n);
			ret = op->run();
			injected = disarm();
			points += injected;
			failed += ret < 0;
			if (ret < 0) {
				EXPECT_TRUE(injected && (ret == -ENOMEM ||
							 ret == -EFAULT ||
							 ret == -op->error)) {
					TH_LOG("%s, point %u: %s", op->name, n,
					       strerror(-ret));
				}
			}
			complaint = op->check ? op->check(ret) : NULL;
			EXPECT_EQ(NULL, complaint) {
				TH_LOG("%s, point %u, returned %ld: %s",
				       op->name, n, ret, complaint);
			}
			if (op->undo)
				op->undo();
			/* A child's memory may go a moment after it has ended. */
			EXPECT_TRUE(eventually(references() == refs)) {
				TH_LOG("%s, point %u: a reference", op->name,
				       n);
			}
			EXPECT_EQ(0, attr_set("capacity", s.dev.capacity)) {
				TH_LOG("%s, point %u: mapped", op->name, n);
			}
			ASSERT_TRUE(__test_passed(_metadata));
		}
		ASSERT_LE(0, ret);
		TH_LOG("%s: %u points, of which %ld failed it", op->name,
		       points, failed);
		all += points;
	}
	TH_LOG("%u points in %zu operations", all, ARRAY_SIZE(operations));
	/* A kernel where nothing counts would pass all of that. */
	EXPECT_LT(100U, all);
	vfifo_teardown(&s.dev);
}

/* ---- loading ---- */

/*
 * What the kernel itself does when told of a new module. Two of those who are told,
 * event_define_fields() and ddebug_module_notify(), take a failed allocation for a
 * bug of their own, and warn.
 */
#define WARNS	"blocking_notifier_call_chain_robust"

/* From that function's first byte to the next one's: they are in order. */
static bool function_range(const char *name, __u64 *start, __u64 *end)
{
	FILE *symbols = fopen("/proc/kallsyms", "re");
	char line[1024], is[512];

	*start = 0;
	*end = 0;
	while (symbols && *end <= *start && fgets(line, sizeof(line), symbols)) {
		if (*start)
			*end = strtoull(line, NULL, 16);
		else if (strstr(line, name) &&
			 sscanf(line, "%*x %*c %511s", is) == 1 &&
			 !strcmp(is, name))
			*start = strtoull(line, NULL, 16);
	}
	if (symbols)
		fclose(symbols);
	return *start && *end > *start;
}

/* Leaves out what is allocated there: such points do not count either. */
static int leave_out(__u64 start, __u64 end)
{
	static const char *const attrs[] = { "failslab", "fail_page_alloc" };
	char path[128], text[32];
	int ret = 0;
	size_t i;

	for (i = 0; !ret && i < ARRAY_SIZE(attrs); i++) {
		snprintf(path, sizeof(path), DEBUGFS "%s/reject-start",
			 attrs[i]);
		snprintf(text, sizeof(text), "%#llx", start);
		ret = file_store(path, text);
		snprintf(path, sizeof(path), DEBUGFS "%s/reject-end", attrs[i]);
		snprintf(text, sizeof(text), "%#llx", end);
		ret = ret ? ret : file_store(path, text);
	}
	return ret;
}

/* How many points there are on the way to a loaded module; 0 if there is none. */
static unsigned int load_points(void)
{
	unsigned int left;
	char text[16] = "";
	int ret;

	arm(1000000);
	ret = module_load("devices=2 buffer_size=16384");
	ret = pread(nth, text, sizeof(text) - 1, 0) > 0 ? ret : -EIO;
	left = atoi(text);
	disarm();
	return ret || module_unload() ? 0 : 1000000 - left;
}

/* All of a device is there, or the module is not. */
static const char *half_made(int number)
{
	char path[PATH_MAX], c = 0;
	size_t i;
	int fd;

	snprintf(path, sizeof(path), "/dev/vfifo%d", number);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return wrong("%s: %s", path, strerror(errno));
	if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
		return wrong("%s does not work", path);
	close(fd);
	for (i = 0; i < ARRAY_SIZE(vfifo_attrs); i++) {
		snprintf(path, sizeof(path), VFIFO_CLASS "/vfifo%d/%s", number,
			 vfifo_attrs[i].name);
		if (!path_text(path)[0])
			return wrong("%s is empty", path);
	}
	return NULL;
}

TEST_F_TIMEOUT(inject, load, LONG_TEST)
{
	unsigned int n, step = 1, all, points, tried = 0, failed = 0;
	__u64 random = vfifo_seed, from, to;
	const char *left;
	bool injected = true;
	__s64 start;
	long ret;

	LOG_SEED();
	ASSERT_TRUE(function_range(WARNS, &from, &to)) {
		TH_LOG("no address of " WARNS " in /proc/kallsyms");
	}
	ASSERT_EQ(0, module_unload());
	all = load_points();
	ASSERT_LT(0U, all);
	ASSERT_EQ(0, leave_out(from, to));
	start = now_ms();
	points = load_points();
	ASSERT_LT(0U, points);
	EXPECT_GT(all, points);
	TH_LOG("%u points; %u left out, in " WARNS
	       "(), where the kernel would warn of itself",
	       all, all - points);
	/* As many of them as there is time for. */
	if (!every_point) {
		step = (now_ms() - start + 1) * points / (SECONDS * 1000) + 1;
		TH_LOG("about each %uth of the %u others", step, points);
	}
	for (n = 1; injected; n += step > 1 ? 1 + rnd(&random) % (2 * step) :
					      1) {
		arm(n);
		ret = module_load("devices=2 buffer_size=16384");
		injected = disarm();
		tried += injected;
		failed += ret < 0;
		if (ret < 0) {
			EXPECT_TRUE(injected && (ret == -ENOMEM ||
						 ret == -EFAULT)) {
				TH_LOG("point %u: %s", n, strerror(-ret));
			}
			left = module_left_behind();
			EXPECT_EQ(NULL, left) {
				TH_LOG("point %u left %s", n, left);
			}
		} else {
			/* Some are not needed. */
			left = half_made(0);
			left = left ? left : half_made(1);
			EXPECT_EQ(NULL, left) {
				TH_LOG("point %u: %s", n, left);
			}
			EXPECT_EQ(2, module_count());
			ASSERT_EQ(0, module_unload());
		}
		ASSERT_TRUE(__test_passed(_metadata));
	}
	EXPECT_EQ(0, ret);
	EXPECT_LT(0U, failed);
	TH_LOG("%u of %u points tried, of which %u failed it", tried, points,
	       failed);
}

/* ---- copies that end in the middle ---- */

#define COPIES		2000U
#define SEGMENTS	40
#define SEGMENT		30

struct copies {
	unsigned int faults, partial, whole;
	__u64 moved;
	char wrong[128];
};

static void copy_child(struct copies *c, bool writes)
{
	static char buf[SEGMENTS * SEGMENT];
	struct iovec iov[SEGMENTS];
	int i, j;
	long ret;

	if (file_store("/proc/self/make-it-fail", "1"))
		_exit(2);
	for (i = 0; i < (int)COPIES; i++) {
		/* None but the system call itself. */
		for (j = 0; j < SEGMENTS; j++) {
			iov[j].iov_base = buf + j * SEGMENT;
			iov[j].iov_len = SEGMENT;
		}
		if (writes)
			stream_fill(buf, sizeof(buf), c->moved);
		ret = res(writes ? writev(s.dev.fd, iov, SEGMENTS) :
				   readv(s.dev.fd, iov, SEGMENTS));
		if (ret == -EAGAIN)
			break;
		if (ret == -EFAULT) {
			c->faults++;
			continue;
		}
		if (ret <= 0 || ret > (long)sizeof(buf) ||
		    (!writes && !stream_equal(buf, ret, c->moved))) {
			snprintf(c->wrong, sizeof(c->wrong), "call %d: %ld", i,
				 ret);
			_exit(1);
		}
		c->whole += ret == sizeof(buf);
		c->partial += ret < (long)sizeof(buf);
		c->moved += ret;
	}
	_exit(0);
}

TEST_F_TIMEOUT(inject, partial_copies, LONG_TEST)
{
	const char *probability = DEBUGFS "fail_usercopy/probability";
	struct copies *c = shared(sizeof(*c));
	static const char *const percent[] = { "1", "4", "100" };
	pid_t pid;
	size_t i;
	__u64 in;

	ASSERT_NE(NULL, c);
	if (access(VFIFO_CLASS, F_OK))
		ASSERT_EQ(0, module_load("devices=1"));
	ASSERT_EQ(0, vfifo_setup(&s.dev));
	for (i = 0; i < ARRAY_SIZE(percent); i++) {
		ASSERT_EQ(0, attr_set("capacity", 1 << 22));
		ASSERT_EQ(0, ioctl(s.dev.fd, VFIFO_CLEAR));
		ASSERT_EQ(0, file_store(probability, percent[i]));
		memset(c, 0, sizeof(*c));
		pid = child_start(60 * DEADLINE);
		if (!pid)
			copy_child(c, true);
		EXPECT_EQ(0, child_end(pid)) {
			TH_LOG("writes: %s", c->wrong);
		}
		/* What they said is what is there: read with faults, and count. */
		in = c->moved;
		EXPECT_EQ((long)in, attr_get("size"));
		TH_LOG("%s %%: %u writes, %u partial, %u EFAULT", percent[i],
		       c->whole, c->partial, c->faults);
		if (!strcmp(percent[i], "100")) {
			EXPECT_EQ(COPIES, c->faults);
			EXPECT_TRUE(!in && put(&s.dev, 5000, 0));
			in = 5000;
		} else if (!strcmp(percent[i], "4")) {
			/* Of fewer nothing is seen, as the driver tries again. */
			EXPECT_LT(0U, c->faults + c->partial);
		}
		memset(c, 0, sizeof(*c));
		pid = child_start(60 * DEADLINE);
		if (!pid)
			copy_child(c, false);
		EXPECT_EQ(0, child_end(pid)) {
			TH_LOG("reads: %s", c->wrong);
		}
		TH_LOG("%s %%: %u reads, %u partial, %u EFAULT", percent[i],
		       c->whole, c->partial, c->faults);
		EXPECT_EQ((long)(in - c->moved), attr_get("size"));
		/* The rest without. */
		ASSERT_EQ(0, file_store(probability, "0"));
		if (in > c->moved)
			EXPECT_TRUE(get(&s.dev, in - c->moved, c->moved));
	}
	vfifo_teardown(&s.dev);
}

/* ---- and nothing is lost ---- */

/* This program, by which kmemleak knows whose allocation it was. */
#define LEAKER	"vfifo_inject"

TEST_F_TIMEOUT(inject, nothing_leaks, LONG_TEST)
{
	const char *leaks = DEBUGFS "kmemleak", *text, *found;
	int i, unloaded;

	/* Refused if it was disabled. */
	if (file_store(leaks, "scan"))
		SKIP(return, "no kmemleak");
	if (access(VFIFO_CLASS, F_OK))
		ASSERT_EQ(0, module_load("devices=1"));
	/* With the module, which has names for where it was; then without. */
	for (unloaded = 0; unloaded < 2; unloaded++) {
		if (unloaded)
			ASSERT_EQ(0, module_unload());
		/* The second look finds what the first could not be sure of. */
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(0, file_store(leaks, "scan"));
			sleep(6);
		}
		ASSERT_EQ(0, file_store(leaks, "scan"));
		text = path_text(leaks);
		found = strstr(text, LEAKER);
		EXPECT_EQ(NULL, found) {
			TH_LOG("%s", text);
		}
		TH_LOG("kmemleak, %s: %s",
		       unloaded ? "unloaded" : "loaded",
		       text[0] ? text : "nothing");
	}
}

int main(int argc, char **argv)
{
	const char *n, *why;
	size_t i;

	/*
	 * A restartable sequence is copied whenever this task was preempted. If
	 * that copy is the one that fails, the task gets SIGSEGV.
	 */
	if (!getenv("GLIBC_TUNABLES")) {
		setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
		execv("/proc/self/exe", argv);
	}
	prctl(PR_SET_NAME, LEAKER);
	n = take_option(&argc, argv, "-n");
	why = module_setup();
	every_point = n && atoi(n) == 1;
	if (!why && access("/sys/kernel/debug/failslab", F_OK))
		why = "no failslab in debugfs: no CONFIG_FAULT_INJECTION";
	for (i = 0; !why && i < ARRAY_SIZE(knobs); i++)
		file_keep(knobs[i].path);
	module_begin(why);
	return vfifo_main(argc, argv);
}
