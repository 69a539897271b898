/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the vfifo tests share.
 *
 * The tests use /dev/vfifo0, or the device that VFIFO_NAME names. Whatever is
 * queued there is lost; mode, period and capacity are put back at exit, whatever
 * has become of the tests. Random choices are the same each time; an option
 * "-s seed", before any other, makes other ones, and "-s random" those of a seed
 * that is told.
 * VFIFO_SCALE=N gives everything N times as long.
 */
#ifndef VFIFO_TEST_H
#define VFIFO_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <linux/types.h>
#include <linux/vfifo.h>

#include "kselftest_harness.h"

#define VFIFO_CLASS	"/sys/class/vfifo"

/*
 * VFIFO_SCALE multiplies all deadlines, also those of the harness: for kernels
 * that sanitizers make slow.
 */
static inline int vfifo_scale(void)
{
	const char *text = getenv("VFIFO_SCALE");
	int scale = text ? atoi(text) : 1;

	return scale < 1 ? 1 : scale;
}

/* How often to do what is done many times: less where it is slow. */
#define OFTEN(times)	((times) / vfifo_scale())

/*
 * Seconds that anything may take which should happen at once: generous, for
 * emulated processors, but below the harness's 30 so that a test which meets it
 * still says what failed and cleans up.
 */
#define DEADLINE	(10 * vfifo_scale())

/* The result of a system call in one value: what it returned, or -errno. */
static inline long res(long ret)
{
	return ret < 0 ? -errno : ret;
}

static inline __s64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Evaluates @cond until it is true; false if that takes too long. */
#define eventually(cond) ({						\
	__s64 __until = now_ms() + DEADLINE * 1000;			\
	bool __ok;							\
	while (!(__ok = !!(cond)) && now_ms() < __until)		\
		usleep(1000);						\
	__ok;								\
})

/* ---- random choices and recognisable bytes ---- */

static __u64 vfifo_seed = 1;

static inline __u64 mix64(__u64 x)
{
	x = (x ^ (x >> 32)) * 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 29)) * 0xd6e8feb86659fd93ULL;
	return x ^ (x >> 32);
}

static inline __u64 rnd(__u64 *state)
{
	return mix64(++*state);
}

/* The byte at position @pos of an endless stream that never repeats itself. */
static inline __u8 stream_byte(__u64 pos)
{
	return mix64(vfifo_seed ^ (pos >> 3)) >> (8 * (pos & 7));
}

static inline void stream_fill(void *buf, size_t len, __u64 pos)
{
	__u8 *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = stream_byte(pos + i);
}

static inline bool stream_equal(const void *buf, size_t len, __u64 pos)
{
	const __u8 *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != stream_byte(pos + i))
			return false;
	return true;
}

/* ---- processors ---- */

/* Runs before everything else on one CPU, where the children have to wait. */
static inline bool run_alone(bool on)
{
	struct sched_param param = { .sched_priority = on ? 10 : 0 };

	return !sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &param);
}

/* ---- files of the system ---- */

/* Writes @text to the file with one write: 0, or the negative error number. */
static inline int file_put(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	ssize_t len = strlen(text), ret;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = res(write(fd, text, len));
	close(fd);
	if (ret < 0)
		return ret;
	return ret == len ? 0 : -EIO;
}

/* The start of the file's text; "" if it can't be read. */
static inline const char *file_text(const char *dir, const char *name)
{
	static char text[4096];
	char path[PATH_MAX];
	ssize_t len = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[len < 0 ? 0 : len] = '\0';
	return text;
}

/* Files that say at exit what they said before. */
static struct {
	char *path, *text;
} *kept;

static int kept_count;
static pid_t kept_by;

static inline bool kept_is_so(int i)
{
	return !strcmp(file_text("", kept[i].path + 1), kept[i].text);
}

static inline void files_put_back(void);

/* To be called by main, with the path of a file that tests store to. */
static inline void file_keep(const char *path)
{
	const char *text = file_text("", path + 1);

	/* Of what is not there, nothing is left. */
	if (!*text)
		return;
	if (!kept) {
		kept_by = getpid();
		atexit(files_put_back);
	}
	kept = realloc(kept, (kept_count + 1) * sizeof(*kept));
	kept[kept_count].path = strdup(path);
	kept[kept_count++].text = strdup(text);
}

/* ---- the device and its attributes ---- */

static inline const char *vfifo_name(void)
{
	const char *name = getenv("VFIFO_NAME");

	return name ? name : "vfifo0";
}

static inline const char *vfifo_path(void)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "/dev/%s", vfifo_name());
	return path;
}

static inline int vfifo_open(int flags)
{
	return open(vfifo_path(), flags | O_CLOEXEC);
}

static inline const char *attr_dir(void)
{
	static char dir[PATH_MAX / 2];

	snprintf(dir, sizeof(dir), VFIFO_CLASS "/%s", vfifo_name());
	return dir;
}

/* Every attribute of a device; those that the driver core makes are the first. */
static const struct {
	const char *name;
	mode_t mode;
} vfifo_attrs[] = {
	{ "dev", 0444 },
	{ "uevent", 0644 },
#define OWN_ATTRS	2	/* where the driver's begin */
	{ "size", 0444 },
	{ "capacity", 0644 },
	{ "mode", 0644 },
	{ "period_ms", 0644 },
	{ "producer_claimed", 0444 },
	{ "consumer_claimed", 0444 },
	{ "stats/bytes_written", 0444 },
	{ "stats/bytes_read", 0444 },
	{ "stats/bytes_cleared", 0444 },
	{ "stats/dropped", 0444 },
	{ "stats/reader_sleeps", 0444 },
	{ "stats/writer_sleeps", 0444 },
	{ "stats/notifies", 0444 },
	{ "stats/position_errors", 0444 },
};

static inline void attr_path(char *path, size_t size, const char *attr)
{
	snprintf(path, size, "%s/%s", attr_dir(), attr);
}

static inline int attr_open(const char *attr, int flags)
{
	char path[PATH_MAX];

	attr_path(path, sizeof(path), attr);
	return open(path, flags | O_CLOEXEC);
}

/* The whole text of an attribute; "" if it can't be read. */
static inline const char *attr_text(const char *attr)
{
	return file_text(attr_dir(), attr);
}

/*
 * An attribute that is one number and a newline; -1 if it is anything else. A
 * position that a test has moved past 2^63 is negative.
 */
static inline long attr_get(const char *attr)
{
	const char *text = attr_text(attr);
	char *end;
	long val;

	if (!isdigit((unsigned char)*text))
		return -1;
	errno = 0;
	val = strtoull(text, &end, 10);
	return errno || strcmp(end, "\n") ? -1 : val;
}

/* Stores @text with one write: 0, or the negative error number. */
static inline int attr_store(const char *attr, const char *text)
{
	return file_put(attr_dir(), attr, text);
}

static inline int attr_set(const char *attr, long val)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld\n", val);
	return attr_store(attr, text);
}

/* Bytes that a read would find. */
static inline long queued(int fd)
{
	int n = -1;

	return ioctl(fd, FIONREAD, &n) ? -errno : n;
}

/* A device in a known state. */
struct vfifo {
	int fd;			/* for reading and writing, O_NONBLOCK */
	long page;
	long capacity;
};

/* Of a device that a test begins with, in milliseconds. */
#define VFIFO_PERIOD	1000

/*
 * Has nothing generated any more, and nothing queued: 0, or the negative error
 * number. Who had claimed an end may have died just now.
 */
static inline int vfifo_empty(int fd)
{
	int ret = attr_store("mode", "0");

	if (!ret)
		eventually((ret = res(ioctl(fd, VFIFO_CLEAR))) != -EBUSY);
	return ret;
}

/* Whatever an earlier test has left. */
static inline int vfifo_setup(struct vfifo *dev)
{
	int ret;

	dev->fd = vfifo_open(O_RDWR | O_NONBLOCK);
	if (dev->fd < 0)
		return -errno;
	dev->page = sysconf(_SC_PAGESIZE);
	dev->capacity = 16 * dev->page;
	ret = vfifo_empty(dev->fd);
	if (!ret)
		ret = attr_set("period_ms", VFIFO_PERIOD);
	if (!ret && attr_get("capacity") != dev->capacity)
		eventually((ret = attr_set("capacity", dev->capacity)) !=
			   -EBUSY);
	return ret;
}

static inline void vfifo_teardown(struct vfifo *dev)
{
	attr_store("mode", "0");
	ioctl(dev->fd, VFIFO_CLEAR);
	close(dev->fd);
}

/* A test that was killed, or skipped half way, has had no teardown. */
static inline void files_put_back(void)
{
	int changed = 0, i, fd;

	/* A child that exits has nothing to put back. */
	if (getpid() != kept_by)
		return;
	for (i = 0; i < kept_count; i++)
		changed += !kept_is_so(i);
	if (!changed)
		return;
	/* More may be queued than fitted before. */
	fd = vfifo_open(O_RDONLY | O_NONBLOCK);
	vfifo_empty(fd);
	close(fd);
	for (i = kept_count - 1; i >= 0; i--)
		if (!kept_is_so(i))
			eventually(file_put("", kept[i].path + 1,
					    kept[i].text) != -EBUSY);
}

/* Queues @len bytes of the stream from @pos on: true if all went in. */
static inline bool put(struct vfifo *dev, long len, __u64 pos)
{
	char *buf = malloc(len);
	long done = 0, n;

	/* Whole pages at most, so that every write is all or nothing. */
	stream_fill(buf, len, pos);
	while (done < len) {
		n = len - done < PIPE_BUF ? len - done : PIPE_BUF;
		if (write(dev->fd, buf + done, n) != n)
			break;
		done += n;
	}
	free(buf);
	return done == len;
}

/* Takes @len bytes: true if they are those of the stream from @pos on. */
static inline bool get(struct vfifo *dev, long len, __u64 pos)
{
	char *buf = malloc(len);
	long done = 0, n;
	bool same;

	while (done < len) {
		n = read(dev->fd, buf + done, len - done);
		if (n <= 0)
			break;
		done += n;
	}
	same = done == len && stream_equal(buf, len, pos);
	free(buf);
	return same;
}

/* What /proc says of an open file of this process. */
static inline const char *fdinfo_text(int fd)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", fd);
	return file_text("/proc/self/fdinfo", name);
}

/* An epoll that watches @fd for @events. */
static inline int epoll_for(int fd, __u32 events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event)) {
		close(ep);
		return -1;
	}
	return ep;
}

/* ---- signals ---- */

static inline void no_op(int sig)
{
	(void)sig;
}

/* Has signals wait until somebody asks. */
static inline void hold_signal(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static inline int want_signals(int fd, pid_t owner)
{
	if (fcntl(fd, F_SETOWN, owner))
		return -1;
	return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC);
}

/* Takes a SIGIO. A call that gives a signal has given it when it returns. */
static inline bool signalled(void)
{
	struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	return sigtimedwait(&set, NULL, &now) == SIGIO;
}

/* ---- memory ---- */

/* Two pages, of which the second faults. */
static inline char *half_mapped(long page)
{
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + page, page, PROT_NONE))
		return NULL;
	return p;
}

/* ---- other processes ---- */

/* Memory that children share. */
static inline void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* A child that outlives neither its parent nor @seconds. */
static inline pid_t child_start(unsigned int seconds)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(seconds);
	}
	return pid;
}

/*
 * A new group in the cgroup hierarchy of @type with @options, which is mounted for
 * it; NULL if there is no such hierarchy.
 */
static inline const char *cgroup_begin(const char *type, const char *options)
{
	static char group[64];
	char mnt[32] = "/tmp/vfifo-cgroup-XXXXXX";

	if (!mkdtemp(mnt))
		return NULL;
	snprintf(group, sizeof(group), "%s/vfifo-test", mnt);
	if (!mount("none", mnt, type, 0, options)) {
		/* An earlier run may have left one that was still in use. */
		if (!mkdir(group, 0700) || errno == EEXIST)
			return group;
		umount(mnt);
	}
	rmdir(mnt);
	return NULL;
}

/* Takes it away again, also one that is frozen, or NULL; whether that is done. */
static inline bool cgroup_end(const char *group)
{
	char mnt[64];
	bool gone;

	if (!group)
		return true;
	file_put(group, "freezer.state", "THAWED");
	file_put(group, "cgroup.freeze", "0");
	/* Who was in it may take a moment to have gone. */
	gone = eventually(!rmdir(group));
	snprintf(mnt, sizeof(mnt), "%s", group);
	*strrchr(mnt, '/') = '\0';
	gone &= !umount(mnt);
	rmdir(mnt);
	return gone;
}

/* The page of an end at @offset, or NULL with errno. */
static inline struct vfifo_end *map_page(int fd, __u64 offset, int prot)
{
	void *p = mmap(NULL, sysconf(_SC_PAGESIZE), prot, MAP_SHARED, fd,
		       offset);

	return p == MAP_FAILED ? NULL : p;
}

/* Claims the producer's end, or the consumer's: its page, or NULL with errno. */
static inline struct vfifo_end *claim_end(struct vfifo *dev, bool producer)
{
	struct vfifo_info info = { .size = sizeof(info) };

	if (ioctl(dev->fd, VFIFO_GET_INFO, &info))
		return NULL;
	return map_page(dev->fd,
			producer ? info.producer_offset : info.consumer_offset,
			PROT_READ | PROT_WRITE);
}

static inline __u64 load(struct vfifo_end *end)
{
	return __atomic_load_n(&end->position, __ATOMIC_ACQUIRE);
}

static inline void store(struct vfifo_end *end, __u64 position)
{
	__atomic_store_n(&end->position, position, __ATOMIC_RELEASE);
}

/* A child's exit status, or minus the number of the signal that ended it. */
static inline int child_end(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static inline char child_state(pid_t pid)
{
	const char *p;
	char dir[64];

	snprintf(dir, sizeof(dir), "/proc/%d", pid);
	/* The name before the state may itself have brackets and spaces. */
	p = strrchr(file_text(dir, "stat"), ')');
	return p && p[1] ? p[2] : 0;
}

/*
 * Whether the child sleeps interruptibly. Its state says so before it has left its
 * CPU, which "syscall" waits for; only then is the sleep counted, see switches().
 */
static inline bool child_asleep(pid_t pid)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "/proc/%d", pid);
	return child_state(pid) == 'S' &&
	       strncmp(file_text(dir, "syscall"), "running", 7);
}

/*
 * True once the child sleeps interruptibly. The children here do nothing that
 * could sleep but the call in question, so this says that it blocks.
 */
static inline bool child_sleeps(pid_t pid)
{
	return eventually(child_asleep(pid));
}

/* How often a process went to sleep, or -1. */
static inline long switches(pid_t pid)
{
	const char *p;
	char dir[64];

	snprintf(dir, sizeof(dir), "/proc/%d", pid);
	p = strstr(file_text(dir, "status"), "\nvoluntary_ctxt_switches:");
	return p ? strtol(strchr(p, ':') + 1, NULL, 10) : -1;
}

/* ---- 32-bit programs ---- */

#ifdef __x86_64__
/* A system call as a 32-bit program makes it, which needs low addresses. */
static inline long ioctl32(int fd, unsigned int cmd, void *arg)
{
	long ret = 54;

	asm volatile("int $0x80"
		     : "+a" (ret)
		     : "b" ((long)fd), "c" ((long)cmd), "d" (arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

/* Whether the kernel has such system calls; otherwise they kill. */
static inline bool runs_32_bit(void)
{
	pid_t pid = child_start(DEADLINE);

	if (!pid) {
		ioctl32(-1, 0, NULL);
		_exit(0);
	}
	return child_end(pid) != -SIGSEGV;
}
#endif

/* ---- descriptors ---- */

/* Passes a descriptor over a socket: 0, or -1. */
static inline int send_fd(int sock, int fd)
{
	char buf[CMSG_SPACE(sizeof(int))] = { 0 }, c = 'f';
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -1;
}

/* The descriptor that comes over a socket, or -1. */
static inline int receive_fd(int sock)
{
	char buf[CMSG_SPACE(sizeof(int))] = { 0 }, c;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sock, &msg, 0) != 1)
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg)
		return -1;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	return fd;
}

/* ---- main ---- */

static inline int vfifo_main(int argc, char **argv)
{
	static const char *const attrs[] = { "mode", "period_ms", "capacity" };
	struct __fixture_metadata *f;
	struct __test_metadata *t;
	char path[PATH_MAX];
	size_t i;

	for (f = __fixture_list; f; f = f->next)
		for (t = f->tests; t; t = t->next)
			t->timeout *= vfifo_scale();
	if (argc > 2 && !strcmp(argv[1], "-s")) {
		vfifo_seed = strcmp(argv[2], "random") ?
			     strtoull(argv[2], NULL, 0) :
			     mix64(now_ms() ^ ((__u64)getpid() << 40)) >> 32;
		argv[2] = argv[0];
		argc -= 2;
		argv += 2;
	}
	if (access(VFIFO_CLASS, F_OK)) {
		ksft_print_header();
		ksft_exit_skip("no " VFIFO_CLASS ": load the driver first\n");
	}
	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		attr_path(path, sizeof(path), attrs[i]);
		file_keep(path);
	}
	return test_harness_run(argc, argv);
}

/* Leaves in the log how to run a random test again. */
#define LOG_SEED() TH_LOG("random choices: -s %llu", (unsigned long long)vfifo_seed)

#endif /* VFIFO_TEST_H */
