// SPDX-License-Identifier: GPL-2.0
/*
 * Random sequences of operations, in a process of their own. What they return must
 * be one of the answers that the operation may give; and whatever they do, the
 * device works when they are done, and the kernel has nothing to say.
 *
 * A sequence that fails is made as short as it can be while it still fails, and
 * printed in a form that can be run again:
 *
 *	-t seconds	how long to run (10)
 *	-s seed		the sequences of an earlier run
 *	-c number	only this one of them
 *	-r sequence	this one, as it was printed; "-" reads it
 *
 * What is a failure: an answer that is not allowed; an answer that does not come;
 * more bytes than fit; numbers in stats that go backwards without a claim; a bus
 * error; a device that can't be used when all is closed, or is still referred to; a
 * warning in the kernel's log.
 */
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "vfifo_module.h"

#define MAX_OPS		64
#define FDS		6
#define MAPS		6
#define KIDS		4

/* Milliseconds in which a sequence must have got on. */
#define HANG		20000

#define LONG_TEST	(24 * 60 * 60)

static unsigned int seconds = 10;
static const char *only_case, *replay;

/* Failures that are none, to see what becomes of them. */
enum plant { NO_PLANT, PLANT_ANSWER, PLANT_HANG, PLANT_CRASH };

static enum plant plant;
static int hang_ms = HANG;

struct op {
	int kind;
	unsigned int a, b, c;
};

struct sequence {
	int n;
	struct op op[MAX_OPS];
};

/* What the process that runs a sequence tells. */
static struct outcome {
	unsigned int done;	/* counts up while it gets on */
	int failed;
	char what[200];
} *outcome;

/* ---- the state of such a process ---- */

struct map {
	char *p;
	size_t len;
	int prot;
	bool claim;
	bool whole;	/* as it was made, and where */
};

static int fds[FDS], pipes[2], epfd, watch;
static struct map maps[MAPS];
static pid_t kids[KIDS];
static int depth;
static char *memory;		/* some pages, then one that is not there */
static long page;
static struct vfifo_info info;

#define MEMORY	(64 * 4096L)
#define MAX_CAP	1048576L

static unsigned int pick(__u64 *random, unsigned int n)
{
	return rnd(random) % n;
}

static bool fail(const char *format, ...)
{
	va_list args;

	if (__atomic_exchange_n(&outcome->failed, 1, __ATOMIC_SEQ_CST))
		return false;
	va_start(args, format);
	vsnprintf(outcome->what, sizeof(outcome->what), format, args);
	va_end(args);
	return false;
}

/* Whether @ret is no error, or one of those that follow, up to 0. */
static bool answer(const char *what, long ret, ...)
{
	bool ok = ret >= 0;
	va_list args;
	int error;

	va_start(args, ret);
	while (!ok && (error = va_arg(args, int)))
		ok = ret == -error;
	va_end(args);
	return ok || fail("%s: %s", what, strerror(-ret));
}

static void close_fd(int slot)
{
	if (fds[slot] >= 0)
		close(fds[slot]);
	fds[slot] = -1;
}

/* Somewhere to read from, or write to: good or bad. */
static void *place(__u64 *random, size_t *len)
{
	struct map *map = &maps[pick(random, MAPS)];
	size_t offset;
	static const size_t lens[] = {
		0, 1, 5, 100, 4095, 4096, 4097, 10000, 65536, 100000, 262144,
	};

	*len = lens[pick(random, ARRAY_SIZE(lens))];
	switch (pick(random, 12)) {
	case 0:
		return NULL;
	case 1:
		return (void *)-4096L;
	case 2:
		return memory + MEMORY - pick(random, 5000);
	case 3:
		*len = pick(random, 2) ? SIZE_MAX : SSIZE_MAX;
		return memory;
	case 4:
	case 5:
		/* The device's own memory, and what is behind it is not. */
		if (!map->p)
			return memory;
		offset = pick(random, map->len);
		if (*len > map->len - offset)
			*len = map->len - offset;
		return map->p + offset;
	default:
		return memory + pick(random, MEMORY - *len + 1);
	}
}

/* ---- operations ---- */

static bool op_open(const struct op *op)
{
	static const int ways[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR };
	static const int extras[] = {
		O_NONBLOCK, O_NONBLOCK, O_NONBLOCK, O_NONBLOCK, 0, O_APPEND,
		O_NONBLOCK | O_TRUNC, O_NONBLOCK | O_SYNC, O_PATH,
		O_CREAT | O_EXCL, O_DIRECTORY, O_DIRECT, O_NONBLOCK | O_ASYNC,
		O_NONBLOCK | O_NOATIME, O_TMPFILE, O_NONBLOCK | O_NOFOLLOW,
	};
	int slot = op->a % FDS;

	close_fd(slot);
	fds[slot] = open("/dev/vfifo0", ways[op->b % ARRAY_SIZE(ways)] |
			 extras[op->c % ARRAY_SIZE(extras)], 0600);
	return answer("open", res(fds[slot]), EINVAL, EEXIST, ENOTDIR,
		      EOPNOTSUPP, 0);
}

static bool op_close(const struct op *op)
{
	close_fd(op->a % FDS);
	return true;
}

static bool op_dup(const struct op *op)
{
	int fd = dup(fds[op->a % FDS]);

	if (fd < 0)
		return answer("dup", -errno, EBADF, 0);
	close_fd(op->b % FDS);
	fds[op->b % FDS] = fd;
	return true;
}

static bool transferred(const char *what, long ret, size_t len)
{
	if (ret > 0 && (size_t)ret > len)
		return fail("%s: %ld of %zu", what, ret, len);
	/* ESPIPE: sendfile() with an offset. */
	return answer(what, ret, EAGAIN, EINTR, EBUSY, EIO, EBADF, EFAULT,
		      EINVAL, ESPIPE, 0);
}

static bool op_read(const struct op *op)
{
	__u64 random = op->c;
	size_t len;
	void *p = place(&random, &len);

	return transferred("read", res(read(fds[op->a % FDS], p, len)), len);
}

static bool op_write(const struct op *op)
{
	__u64 random = op->c;
	size_t len;
	void *p = place(&random, &len);

	return transferred("write", res(write(fds[op->a % FDS], p, len)), len);
}

static bool op_vector(const struct op *op)
{
	static const int counts[] = { 0, 1, 2, 3, 5, 8, 8, 1024, 1025, -1 };
	static struct iovec iov[1024];
	static const int all_flags[] = { 0, 0, 0, RWF_NOWAIT, 0x40000000 };
	int fd = fds[op->a % FDS], i, n, flags;
	__u64 random = op->c;
	size_t len = 0;
	long ret;

	n = counts[pick(&random, ARRAY_SIZE(counts))];
	flags = all_flags[pick(&random, ARRAY_SIZE(all_flags))];
	for (i = 0; i < n && i < 1024; i++) {
		iov[i].iov_base = place(&random, &iov[i].iov_len);
		if (iov[i].iov_len > SSIZE_MAX - len)
			len = SSIZE_MAX;
		else
			len += iov[i].iov_len;
	}
	if (op->b & 1) {
		ret = res(preadv2(fd, iov, n, -1, flags));
		if (ret == -EOPNOTSUPP && flags > RWF_NOWAIT)
			return true;
		return transferred("preadv2", ret, len);
	}
	ret = res(pwritev2(fd, iov, n, -1, flags));
	if (ret == -EOPNOTSUPP && flags > RWF_NOWAIT)
		return true;
	return transferred("pwritev2", ret, len);
}

static bool op_seek(const struct op *op)
{
	int fd = fds[op->a % FDS];

	switch (op->b % 3) {
	case 0:
		return answer("lseek", lseek(fd, op->c, op->c % 6) < 0 ?
			      -errno : -ENOMSG, ESPIPE, EBADF, EINVAL, 0);
	case 1:
		return answer("pread", pread(fd, memory, 1, op->c) < 0 ?
			      -errno : -ENOMSG, ESPIPE, EBADF, 0);
	default:
		return answer("pwrite", pwrite(fd, memory, 1, op->c) < 0 ?
			      -errno : -ENOMSG, ESPIPE, EBADF, 0);
	}
}

static bool op_ioctl(const struct op *op)
{
	unsigned long known[] = {
		VFIFO_CLEAR, VFIFO_SET_MODE, VFIFO_GET_INFO, VFIFO_NOTIFY,
		FIONREAD, VFIFO_NOTIFY, VFIFO_GET_INFO,
	}, cmd;
	__u64 random = op->c;
	unsigned int *arg;
	size_t len;
	long ret;

	switch (op->b % 8) {
	case 0:
		/* Of our own kind, whatever it is. */
		cmd = _IOC(pick(&random, 4), 'k', pick(&random, 10),
			   pick(&random, 2) ? 4 : pick(&random, 16384));
		break;
	case 1:
		cmd = rnd(&random) & 0xffffffff;
		break;
	default:
		cmd = known[pick(&random, ARRAY_SIZE(known))];
	}
	arg = place(&random, &len);
	/* A size that may be one, now and then. */
	if (arg == (void *)memory && pick(&random, 2))
		*arg = pick(&random, 100);
	if (pick(&random, 4) == 0)
		arg = (void *)(unsigned long)rnd(&random);
	ret = res(ioctl(fds[op->a % FDS], cmd, arg));
	if (op->b % 8 == 1)
		return answer("ioctl", ret, ENOTTY, EBADF, EINVAL, EFAULT,
			      EBUSY, EPERM, EOPNOTSUPP, 0);
	return answer("ioctl", ret, ENOTTY, EBADF, EINVAL, EFAULT, EBUSY, 0);
}

static bool op_mmap(const struct op *op)
{
	static const int prots[] = {
		PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
		PROT_WRITE, PROT_NONE, PROT_READ | PROT_EXEC, PROT_EXEC,
	};
	static const int flags[] = {
		MAP_SHARED, MAP_SHARED, MAP_SHARED, MAP_SHARED | MAP_POPULATE,
		MAP_SHARED_VALIDATE, MAP_PRIVATE, MAP_SHARED | MAP_LOCKED,
		MAP_SHARED | MAP_NORESERVE, MAP_SHARED_VALIDATE | 0x80000,
	};
	struct map *map = &maps[op->a % MAPS];
	__u64 random = op->c, offset;
	size_t len = page;
	void *p;

	/* What is there may be unmapped, or forgotten: the end unmaps it. */
	if (map->p && pick(&random, 4))
		munmap(map->p, map->len);
	map->p = NULL;
	switch (pick(&random, 8)) {
	case 0:
	case 1:
		offset = info.producer_offset;
		break;
	case 2:
	case 3:
		offset = info.consumer_offset;
		break;
	case 4:
		offset = rnd(&random) >> pick(&random, 64);
		break;
	case 5:
		offset = page * pick(&random, 600);
		len = page * (1 + pick(&random, 600));
		break;
	case 6:
		offset = page * pick(&random, 64) +
			 (pick(&random, 2) ? info.producer_offset :
					     info.consumer_offset);
		len = page * pick(&random, 4);
		break;
	default:
		offset = 0;
		len = 2 * info.capacity >> pick(&random, 3);
	}
	map->prot = prots[pick(&random, ARRAY_SIZE(prots))];
	p = mmap(NULL, len, map->prot,
		 flags[pick(&random, ARRAY_SIZE(flags))],
		 fds[op->b % FDS], offset);
	if (p == MAP_FAILED)
		return answer("mmap", -errno, EINVAL, EACCES, EBUSY, EBADF,
			      EPERM, EOVERFLOW, EOPNOTSUPP, ENOMEM, 0);
	if (map->prot & PROT_EXEC)
		return fail("mmap: executable");
	map->p = p;
	map->len = len;
	map->claim = map->prot & PROT_WRITE &&
		     (offset == info.producer_offset ||
		      offset == info.consumer_offset);
	map->whole = true;
	return true;
}

static bool op_munmap(const struct op *op)
{
	struct map *map = &maps[op->a % MAPS];
	size_t pages = map->len / page, from, n;
	__u64 random = op->c;

	if (!map->p)
		return true;
	if (op->b % 3 && pages > 1) {
		/* A part. */
		from = pick(&random, pages);
		n = 1 + pick(&random, pages - from);
		map->whole = false;
		return answer("munmap", res(munmap(map->p + from * page,
						   n * page)), ENOMEM, 0);
	}
	munmap(map->p, map->len);
	map->p = NULL;
	return true;
}

static bool op_mremap(const struct op *op)
{
	static const int flags[] = {
		0, MREMAP_MAYMOVE, MREMAP_MAYMOVE, MREMAP_MAYMOVE | 4,
		MREMAP_MAYMOVE | MREMAP_FIXED, 8,
	};
	struct map *map = &maps[op->a % MAPS];
	__u64 random = op->c;
	size_t old, new;
	char *p;

	if (!map->p)
		return true;
	old = pick(&random, 4) ? map->len : (size_t)page * pick(&random, 4);
	/* What follows may be the program's own, and would go if this shrinks. */
	if (old > map->len)
		old = map->len;
	new = pick(&random, 3) ? old : (size_t)page * pick(&random, 600);
	p = mremap(map->p, old, new, flags[op->b % ARRAY_SIZE(flags)],
		   (char *)(1UL << 40) + page * pick(&random, 10000));
	if (p == MAP_FAILED)
		return answer("mremap", -errno, EINVAL, EFAULT, ENOMEM, 0);
	if (map->claim && map->whole && p != map->p)
		return fail("mremap: a claim has moved");
	/* Pieces of it may be in two places now; the end unmaps them. */
	if (p != map->p || new != map->len)
		map->whole = false;
	map->p = p;
	map->len = new;
	return true;
}

static bool op_mprotect(const struct op *op)
{
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_WRITE,
		PROT_READ | PROT_EXEC, PROT_EXEC,
	};
	struct map *map = &maps[op->a % MAPS];
	int prot = prots[op->b % ARRAY_SIZE(prots)];
	size_t pages = map->len / page, from = 0, n = pages;
	__u64 random = op->c;
	long ret;

	if (!map->p)
		return true;
	if (op->c & 1 && pages) {
		from = pick(&random, pages);
		n = pick(&random, pages - from + 1);
	}
	ret = res(mprotect(map->p + from * page, n * page, prot));
	if (!ret && n && map->whole && prot & PROT_EXEC)
		return fail("mprotect: executable");
	if (!ret && n == pages)
		map->prot = prot;
	else
		map->whole = false;
	return answer("mprotect", ret, EACCES, ENOMEM, EINVAL, 0);
}

static bool op_madvise(const struct op *op)
{
	/* Nothing that is for testing broken memory. */
	static const int advices[] = {
		MADV_NORMAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE,
		MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK, MADV_MERGEABLE,
		MADV_HUGEPAGE, MADV_DODUMP, MADV_WIPEONFORK, 20, 21, 22, 23,
		24, 25,
	};
	struct map *map = &maps[op->a % MAPS];
	int advice = advices[op->b % ARRAY_SIZE(advices)];
	unsigned char vec[1024];

	if (!map->p)
		return true;
	switch (op->c % 8) {
	case 0:
		return answer("msync", res(msync(map->p, map->len, op->b % 8)),
			      EINVAL, ENOMEM, EBUSY, EIO, 0);
	case 1:
		return answer("mlock", res(mlock(map->p, map->len)), ENOMEM,
			      EAGAIN, EPERM, 0);
	case 2:
		return answer("munlock", res(munlock(map->p, map->len)), ENOMEM,
			      0);
	case 3:
		if (map->len / page > sizeof(vec))
			return true;
		return answer("mincore", res(mincore(map->p, map->len, vec)),
			      ENOMEM, EINVAL, 0);
	default:
		/* A child has no part in it, then. */
		if (advice == MADV_DONTFORK)
			map->whole = false;
		return answer("madvise", res(madvise(map->p, map->len, advice)),
			      EINVAL, EACCES, EBADF, ENOMEM, EFAULT, EPERM,
			      EOPNOTSUPP, ENODEV, EBUSY, EIO, 0);
	}
}

static sigjmp_buf back;
static sig_atomic_t guarded, fault;

static void on_fault(int sig)
{
	if (!guarded) {
		signal(sig, SIG_DFL);
		return;
	}
	fault = sig;
	siglongjmp(back, 1);
}

/* What happens to who looks there, or stores there: 0, SIGSEGV or SIGBUS. */
static int touch(char *p, bool stores, char value)
{
	__atomic_store_n(&fault, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&guarded, 1, __ATOMIC_SEQ_CST);
	if (!sigsetjmp(back, 1)) {
		if (stores)
			__atomic_store_n(p, value, __ATOMIC_SEQ_CST);
		else
			(void)__atomic_load_n(p, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&guarded, 0, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&fault, __ATOMIC_SEQ_CST);
}

static bool op_touch(const struct op *op)
{
	struct map *map = &maps[op->a % MAPS];
	bool stores = op->b & 1, may;
	__u64 random = op->c;
	int sig;

	if (!map->p || !map->len)
		return true;
	sig = touch(map->p + pick(&random, map->len), stores,
		    rnd(&random));
	may = map->prot & (stores ? PROT_WRITE : PROT_READ | PROT_WRITE);
	if (sig == SIGBUS)
		return fail("touch: a bus error");
	if (sig && map->whole && may)
		return fail("touch: what is mapped is not there");
	if (!sig && map->whole && stores && !may)
		return fail("touch: what is not writable was written");
	return true;
}

/* Stores what it likes into a page of an end. */
static bool op_publish(const struct op *op)
{
	struct map *map = &maps[op->a % MAPS];
	struct vfifo_end *end = (void *)map->p;
	__u64 random = op->c;

	if (!map->p || !map->claim || !map->whole ||
	    (map->prot & (PROT_READ | PROT_WRITE)) !=
	    (PROT_READ | PROT_WRITE))
		return true;
	switch (op->b % 5) {
	case 0:
		end->position = rnd(&random) >> pick(&random, 64);
		break;
	case 1:
		end->waiting = rnd(&random);
		break;
	case 2:
		end->position -= pick(&random, 3);
		break;
	default:
		end->position += pick(&random, 5000);
	}
	return true;
}

static bool op_capacity(const struct op *op)
{
	static const char *const odd[] = {
		"", "\n", "0", "-1", "x", "1073741825", "0x2000", "020000",
		"18446744073709551616", "4096\n\n", "+8192",
	};
	__u64 random = op->c;
	char text[32];
	long ret;

	if (op->b % 4 == 0) {
		ret = attr_store("capacity", odd[op->c % ARRAY_SIZE(odd)]);
	} else {
		snprintf(text, sizeof(text), "%u",
			 1 + pick(&random, MAX_CAP >> pick(&random, 9)));
		ret = attr_store("capacity", text);
	}
	return answer("capacity", ret, EBUSY, EINVAL, ERANGE, ENOMEM, EIO, 0);
}

static bool op_mode(const struct op *op)
{
	static const char *const texts[] = {
		"0", "1", "auto", "manual\n", "1", "auto\n", "2", "",
	};
	static const char *const periods[] = {
		"1", "2", "10", "100", "0", "3600000", "3600001", "x",
	};

	if (op->b & 1)
		return answer("period_ms", attr_store("period_ms",
			      periods[op->c % ARRAY_SIZE(periods)]),
			      EINVAL, ERANGE, 0);
	return answer("mode", attr_store("mode",
		      texts[op->c % ARRAY_SIZE(texts)]), EINVAL, EBUSY, 0);
}

static bool op_poll(const struct op *op)
{
	int fd = fds[op->a % FDS];
	struct epoll_event event = { .events = op->c };
	struct pollfd pfd = { .fd = fd, .events = op->c };
	long ret;

	switch (op->b % 5) {
	case 0:
		ret = res(poll(&pfd, 1, op->c % 3));
		/* O_PATH is not open for that. */
		if (ret > 0 && pfd.revents & ~(POLLIN | POLLRDNORM | POLLOUT |
					       POLLWRNORM | POLLERR | POLLNVAL))
			return fail("poll: %#x", pfd.revents);
		return answer("poll", ret, EINTR, 0);
	case 1:
		return answer("epoll add", res(epoll_ctl(epfd, EPOLL_CTL_ADD,
			      fd, &event)), EEXIST, EBADF, EINVAL, 0);
	case 2:
		return answer("epoll mod", res(epoll_ctl(epfd, EPOLL_CTL_MOD,
			      fd, &event)), ENOENT, EBADF, EINVAL, 0);
	case 3:
		return answer("epoll del", res(epoll_ctl(epfd, EPOLL_CTL_DEL,
			      fd, &event)), ENOENT, EBADF, EINVAL, 0);
	default:
		return answer("epoll_wait", res(epoll_wait(epfd, &event, 1,
			      op->c % 3)), EINTR, 0);
	}
}

static bool op_splice(const struct op *op)
{
	static const unsigned int lens[] = {
		1, 100, 4096, 10000, 65536, 1 << 20, 0, 0x7fffffff,
	};
	size_t len = lens[op->c % ARRAY_SIZE(lens)];
	struct map *map = &maps[op->c % MAPS];
	int fd = fds[op->a % FDS];
	unsigned int flags = op->c >> 8 & 15;
	struct iovec iov = { map->p, map->len };
	off_t zero = 0;

	switch (op->b % 7) {
	case 0:
	case 1:
		return transferred("splice from it", res(splice(fd, NULL,
				   pipes[1], NULL, len, flags)), len);
	case 2:
	case 3:
		return transferred("splice to it", res(splice(pipes[0], NULL,
				   fd, NULL, len, flags)), len);
	case 4:
		return answer("vmsplice", res(vmsplice(pipes[1], &iov, 1,
			      flags | SPLICE_F_NONBLOCK)), EAGAIN, EFAULT,
			      EINTR, EINVAL, ENOMEM, 0);
	case 5:
		return transferred("sendfile", res(sendfile(pipes[1], fd,
				   op->c & 16 ? &zero : NULL, len)), len);
	default:
		/* So that there is room in the pipe, or something. */
		return answer("the pipe", res(op->c & 16 ?
			      read(pipes[0], memory, 65536) :
			      write(pipes[1], memory, 4096)), EAGAIN, EINTR, 0);
	}
}

static bool op_fcntl(const struct op *op)
{
	static const int flags[] = {
		0, O_NONBLOCK, O_NONBLOCK, O_ASYNC | O_NONBLOCK, O_ASYNC,
		O_APPEND | O_NONBLOCK, O_DIRECT, O_NONBLOCK | O_NOATIME,
	};
	int fd = fds[op->a % FDS];
	struct stat st;

	switch (op->b % 9) {
	case 0:
	case 1:
	case 2:
		return answer("F_SETFL", res(fcntl(fd, F_SETFL,
			      flags[op->c % ARRAY_SIZE(flags)])), EBADF, EINVAL,
			      0);
	case 3:
		return answer("F_SETOWN", res(fcntl(fd, F_SETOWN, getpid())),
			      EBADF, 0);
	case 4:
		return answer("F_SETPIPE_SZ", res(fcntl(fd, F_SETPIPE_SZ,
			      op->c)), EBADF, 0);
	case 5:
		return answer("fsync", res(fsync(fd)), EBADF, EINVAL, 0);
	case 6:
		return answer("ftruncate", res(ftruncate(fd, op->c)), EBADF,
			      EINVAL, 0);
	case 7:
		return answer("fallocate", res(fallocate(fd, op->c % 4, 0, 10)),
			      EBADF, ENODEV, EOPNOTSUPP, EINVAL, ESPIPE, 0);
	default:
		return answer("fstat", res(fstat(fd, &st)), EBADF, 0);
	}
}

static bool op_show(const struct op *op)
{
	const char *name = vfifo_attrs[op->c % ARRAY_SIZE(vfifo_attrs)].name;
	char path[64];

	if (op->b % 4 == 0) {
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
			 fds[op->a % FDS]);
		path_text(path);
		return true;
	}
	if (!attr_text(name)[0])
		return fail("%s: empty", name);
	return true;
}

static bool op_fork(const struct op *op);

static bool op_kill(const struct op *op)
{
	int slot = op->a % KIDS;

	if (kids[slot] > 0) {
		kill(kids[slot], SIGKILL);
		waitpid(kids[slot], NULL, 0);
	}
	kids[slot] = 0;
	return true;
}

static const struct {
	const char *name;
	bool (*run)(const struct op *op);
	int weight;
} kinds[] = {
	{ "open", op_open, 14 },
	{ "close", op_close, 4 },
	{ "dup", op_dup, 3 },
	{ "read", op_read, 10 },
	{ "write", op_write, 12 },
	{ "vector", op_vector, 6 },
	{ "seek", op_seek, 1 },
	{ "ioctl", op_ioctl, 8 },
	{ "mmap", op_mmap, 14 },
	{ "munmap", op_munmap, 5 },
	{ "mremap", op_mremap, 4 },
	{ "mprotect", op_mprotect, 4 },
	{ "madvise", op_madvise, 4 },
	{ "touch", op_touch, 6 },
	{ "publish", op_publish, 8 },
	{ "capacity", op_capacity, 5 },
	{ "mode", op_mode, 4 },
	{ "poll", op_poll, 6 },
	{ "splice", op_splice, 6 },
	{ "fcntl", op_fcntl, 4 },
	{ "show", op_show, 3 },
	{ "fork", op_fork, 3 },
	{ "kill", op_kill, 3 },
};

enum { OPEN = 0, SEEK = 6, MMAP = 8, MUNMAP = 9, FORK = 21 };

static int choose(__u64 *random)
{
	unsigned int sum = 0, i, at;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		sum += kinds[i].weight;
	at = pick(random, sum);
	for (i = 0; at >= (unsigned int)kinds[i].weight; i++)
		at -= kinds[i].weight;
	return i;
}

static void generate(struct sequence *s, __u64 random)
{
	int i;

	s->n = 4 + pick(&random, MAX_OPS - 3);
	for (i = 0; i < s->n; i++) {
		/* Without a file there is not much to do. */
		s->op[i].kind = i < 2 ? OPEN : choose(&random);
		s->op[i].a = pick(&random, 24);
		s->op[i].b = pick(&random, 840);
		s->op[i].c = rnd(&random);
		if (i < 2) {
			s->op[i].b = 2;
			s->op[i].c = 0;
		}
	}
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* Calls that sleep are to end some time. */
static void alarms(void)
{
	struct itimerval often = { { 0, 15000 }, { 0, 15000 } };
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGIO, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

/* A process with the same files, of which most mappings are inherited. */
static bool op_fork(const struct op *op)
{
	struct sequence s;
	int slot = op->a % KIDS, i, round;
	pid_t pid;

	if (depth)
		return true;
	op_kill(op);
	pid = fork();
	if (pid < 0)
		return answer("fork", -errno, EAGAIN, 0);
	if (pid) {
		kids[slot] = pid;
		return true;
	}
	depth = 1;
	memset(kids, 0, sizeof(kids));
	for (i = 0; i < MAPS; i++)
		if (maps[i].claim)
			maps[i].p = NULL;
	alarms();
	generate(&s, op->c);
	for (round = 0; round < 20; round++)
		for (i = 0; i < s.n; i++)
			if (!kinds[s.op[i].kind].run(&s.op[i]))
				_exit(1);
	for (;;)
		pause();
}

/* ---- running a sequence ---- */

/* What can be said at any time. */
static bool invariants(void)
{
	struct vfifo_info now = { .size = sizeof(now) };
	long n = queued(watch);

	if (n < 0 || n > MAX_CAP)
		return fail("FIONREAD: %ld", n);
	if (ioctl(watch, VFIFO_GET_INFO, &now) || now.version != 1 ||
	    now.capacity & (now.capacity - 1) ||
	    (long)now.capacity > MAX_CAP || (long)now.capacity < page)
		return fail("VFIFO_GET_INFO: capacity %llu", now.capacity);
	return true;
}

/* The failure that is none: an open, later a munmap, later a seek. */
static void planted(int kind)
{
	static const int wanted[] = { OPEN, MUNMAP, SEEK };
	static unsigned int met;

	if (!plant || kind != wanted[met] || ++met < ARRAY_SIZE(wanted))
		return;
	switch (plant) {
	case PLANT_ANSWER:
		fail("planted");
		break;
	case PLANT_HANG:
		for (;;)
			pause();
	default:
		raise(SIGABRT);
	}
	met = 0;
}

static void run_in_child(const struct sequence *s)
{
	struct sigaction action = { .sa_handler = on_fault };
	int i;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	alarms();
	for (i = 0; i < FDS; i++)
		fds[i] = -1;
	memory = mmap(NULL, MEMORY + 4096, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(memory + MEMORY, 4096);
	watch = open("/dev/vfifo0", O_RDONLY | O_NONBLOCK);
	info.size = sizeof(info);
	if (watch < 0 || ioctl(watch, VFIFO_GET_INFO, &info) ||
	    pipe2(pipes, O_NONBLOCK))
		fail("beginning: %s", strerror(errno));
	epfd = epoll_create1(0);
	for (i = 0; i < s->n && !outcome->failed; i++) {
		if (!kinds[s->op[i].kind].run(&s->op[i]) || !invariants())
			break;
		planted(s->op[i].kind);
		__atomic_add_fetch(&outcome->done, 1, __ATOMIC_SEQ_CST);
	}
	_exit(0);
}

/* What must be so when all is closed. */
static bool afterwards(struct health *health, long refs)
{
	char out[100], in[100];
	const char *trouble;
	int fd, mode = 0;

	/* All of them have ended, but somebody may look at the maps of one. */
	if (!eventually(!attr_get("producer_claimed") &&
			!attr_get("consumer_claimed")))
		return fail("at the end: claimed");
	if (!eventually(references() == refs))
		return fail("at the end: %ld references, were %ld",
			    references(), refs);
	fd = open("/dev/vfifo0", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, VFIFO_SET_MODE, &mode) ||
	    ioctl(fd, VFIFO_CLEAR) || queued(fd))
		return fail("at the end: %s", strerror(errno));
	if (attr_store("capacity", "65536"))
		return fail("at the end: it can't be resized");
	stream_fill(out, sizeof(out), 0);
	if (write(fd, out, sizeof(out)) != sizeof(out) ||
	    read(fd, in, sizeof(in)) != sizeof(in) ||
	    memcmp(in, out, sizeof(in)) || read(fd, in, 1) != -1 ||
	    errno != EAGAIN)
		return fail("at the end: it does not work");
	close(fd);
	trouble = health_trouble(health);
	if (trouble)
		return fail("the kernel says: %s", trouble);
	return true;
}

/* Ends all processes below this one but those that are of no sequence. */
static bool end_all(pid_t group)
{
	__s64 until = now_ms() + HANG;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
		kill(-group, SIGKILL);
		if (!pid) {
			if (now_ms() > until)
				return false;
			usleep(200);
		}
	}
	return true;
}

/* True if the sequence does nothing wrong; what it does is in outcome->what. */
static bool run(const struct sequence *s, struct health *health)
{
	__u64 written = attr_get("stats/bytes_written"), now;
	long refs = references();
	unsigned int seen = 0;
	__s64 since = now_ms();
	bool claims = false;
	int status = 0, i;
	pid_t pid, got;

	for (i = 0; i < s->n; i++)
		claims |= s->op[i].kind == MMAP || s->op[i].kind == FORK;
	memset(outcome, 0, sizeof(*outcome));
	fflush(NULL);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run_in_child(s);
	}
	setpgid(pid, pid);
	while (!(got = waitpid(pid, &status, WNOHANG))) {
		if (__atomic_load_n(&outcome->done, __ATOMIC_SEQ_CST) != seen) {
			seen = outcome->done;
			since = now_ms();
		} else if (now_ms() - since > hang_ms) {
			fail("hangs after %u operations, %c", seen,
			     child_state(pid));
			break;
		}
		usleep(200);
	}
	if (got == pid && WIFSIGNALED(status))
		fail("died of signal %d after %u operations", WTERMSIG(status),
		     outcome->done);
	if (!end_all(pid)) {
		fail("can't be killed");
		return false;
	}
	now = attr_get("stats/bytes_written");
	if (!claims && (__s64)(now - written) < 0)
		fail("bytes_written: %llu after %llu", now, written);
	afterwards(health, refs);
	return !outcome->failed;
}

/* ---- printing and reading ---- */

static char *print(const struct sequence *s)
{
	static char text[MAX_OPS * 48];
	int i, len = 0;

	text[0] = '\0';
	for (i = 0; i < s->n; i++)
		len += snprintf(text + len, sizeof(text) - len,
				"%s%s:%u,%u,%u", i ? " " : "",
				kinds[s->op[i].kind].name, s->op[i].a,
				s->op[i].b, s->op[i].c);
	return text;
}

static bool parse(struct sequence *s, const char *text)
{
	char name[16];
	unsigned int i;
	int used;

	for (s->n = 0; s->n < MAX_OPS; s->n++) {
		struct op *op = &s->op[s->n];

		if (sscanf(text, " %15[a-z]:%u,%u,%u%n", name, &op->a, &op->b,
			   &op->c, &used) != 4)
			break;
		for (i = 0; i < ARRAY_SIZE(kinds); i++)
			if (!strcmp(name, kinds[i].name))
				break;
		if (i == ARRAY_SIZE(kinds))
			return false;
		op->kind = i;
		text += used;
	}
	return s->n && !text[strspn(text, "\n ")];
}

/* ---- shrinking ---- */

/* Tries are dear: so many at most. */
#define TRIES	600

/* What happens by chance happens in one of a few runs. */
static bool fails(const struct sequence *s, struct health *health, int times,
		  int *tries)
{
	while (times-- > 0 && *tries > 0) {
		--*tries;
		if (!run(s, health))
			return true;
	}
	return false;
}

/* Leaves out whatever it can, and has simple numbers where those do as well. */
static void shrink(struct sequence *s, struct health *health)
{
	int tries = TRIES, times, size, from, i, field;
	char what[sizeof(outcome->what)];
	struct sequence less;
	unsigned int *number;
	bool progress;

	memcpy(what, outcome->what, sizeof(what));
	for (times = 1; times < 8 && !fails(s, health, times, &tries);)
		times *= 2;
	do {
		progress = false;
		for (size = s->n / 2; size > 0; size /= 2) {
			for (from = 0; from + size <= s->n;) {
				less = *s;
				less.n -= size;
				memmove(less.op + from, less.op + from + size,
					(less.n - from) * sizeof(*less.op));
				if (less.n && fails(&less, health, times,
						    &tries)) {
					*s = less;
					memcpy(what, outcome->what, sizeof(what));
					progress = true;
				} else {
					from += size;
				}
			}
		}
	} while (progress && tries > 0);
	for (i = 0; i < s->n; i++) {
		for (field = 0; field < 3; field++) {
			less = *s;
			number = field == 0 ? &less.op[i].a :
				 field == 1 ? &less.op[i].b : &less.op[i].c;
			if (!*number)
				continue;
			*number = 0;
			if (fails(&less, health, times, &tries)) {
				*s = less;
				memcpy(what, outcome->what, sizeof(what));
			}
		}
	}
	memset(outcome, 0, sizeof(*outcome));
	memcpy(outcome->what, what, sizeof(what));
}

/* ---- tests ---- */

FIXTURE(fuzz)
{
	struct vfifo dev;
	struct health health;
};

static void begin(struct __test_metadata *_metadata, struct vfifo *dev,
		  struct health *health)
{
	setenv("VFIFO_NAME", "vfifo0", 1);
	ASSERT_EQ(0, vfifo_setup(dev));
	page = dev->page;
	outcome = shared(sizeof(*outcome));
	ASSERT_NE(NULL, outcome);
	/* Children of a child are waited for here. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	health_begin(health);
}

FIXTURE_SETUP(fuzz)
{
	begin(_metadata, &self->dev, &self->health);
}

FIXTURE_TEARDOWN(fuzz)
{
	vfifo_teardown(&self->dev);
	health_end(&self->health);
}

TEST_F_TIMEOUT(fuzz, sequences, LONG_TEST)
{
	unsigned long count = 0, ops = 0, first = 0, last = -1UL;
	struct sequence s = { 0 }, full;
	__s64 start = now_ms();
	char text[65536];
	int n;

	if (replay) {
		if (!strcmp(replay, "-")) {
			n = fread(text, 1, sizeof(text) - 1, stdin);
			text[n] = '\0';
			replay = text;
		}
		ASSERT_TRUE(parse(&s, replay));
		for (n = 0; n < 20; n++) {
			ASSERT_TRUE(run(&s, &self->health)) {
				TH_LOG("%s", outcome->what);
			}
		}
		return;
	}
	LOG_SEED();
	if (only_case) {
		first = strtoul(only_case, NULL, 0);
		last = first;
	}
	for (count = first; count <= last; count++) {
		if (!only_case && now_ms() - start > seconds * 1000LL)
			break;
		generate(&s, mix64(vfifo_seed + count));
		if (run(&s, &self->health)) {
			ops += s.n;
			continue;
		}
		TH_LOG("-s %llu -c %lu: %s",
		       (unsigned long long)vfifo_seed, count, outcome->what);
		full = s;
		shrink(&s, &self->health);
		TH_LOG("%d operations, shrunk to %d: %s", full.n, s.n,
		       outcome->what);
		TH_LOG("-r '%s'", print(&s));
		ASSERT_TRUE(false);
	}
	TH_LOG("%lu sequences, %lu operations", count - first, ops);
	EXPECT_LT(0UL, count);
}

/* What is printed is what is read. */
TEST_F(fuzz, text_is_the_sequence)
{
	struct sequence s = { 0 }, again = { 0 };
	__u64 i;

	for (i = 0; i < 100; i++) {
		generate(&s, mix64(vfifo_seed + i));
		ASSERT_TRUE(parse(&again, print(&s)));
		ASSERT_EQ(s.n, again.n);
		EXPECT_EQ(0, memcmp(s.op, again.op, s.n * sizeof(*s.op)));
	}
	EXPECT_FALSE(parse(&again, "open:1,2"));
	EXPECT_FALSE(parse(&again, "opens:1,2,3"));
	EXPECT_FALSE(parse(&again, "open:1,2,3 x"));
	EXPECT_FALSE(parse(&again, ""));
}

/* A failure that is planted is found, and nothing is left of the rest. */
FIXTURE(planted)
{
	struct vfifo dev;
	struct health health;
};

FIXTURE_VARIANT(planted)
{
	enum plant plant;
	const char *what;
};

FIXTURE_VARIANT_ADD(planted, answer)
{
	.plant = PLANT_ANSWER,
	.what = "planted",
};

FIXTURE_VARIANT_ADD(planted, hang)
{
	.plant = PLANT_HANG,
	.what = "hangs",
};

FIXTURE_VARIANT_ADD(planted, crash)
{
	.plant = PLANT_CRASH,
	.what = "died of signal",
};

FIXTURE_SETUP(planted)
{
	begin(_metadata, &self->dev, &self->health);
}

FIXTURE_TEARDOWN(planted)
{
	vfifo_teardown(&self->dev);
	health_end(&self->health);
}

TEST_F_TIMEOUT(planted, is_shrunk, 600)
{
	static const int wanted[] = { OPEN, MUNMAP, SEEK };
	struct sequence s = { 0 }, again;
	__u64 random = vfifo_seed;
	int i, j, gap;

	LOG_SEED();
	/* Sequences that have it, wherever. */
	generate(&s, rnd(&random));
	while (s.n < 20)
		generate(&s, rnd(&random));
	for (i = 0; i < s.n; i++)
		if (s.op[i].kind == FORK)
			s.op[i].kind = OPEN;
	/* Each try takes as long as it takes to call it a hang. */
	gap = variant->plant == PLANT_HANG ? 2 : 6;
	for (i = 0, j = 2; i < 3; i++, j += gap)
		s.op[j].kind = wanted[i];
	if (variant->plant == PLANT_HANG)
		s.n = j;
	ASSERT_TRUE(run(&s, &self->health)) {
		TH_LOG("without: %s", outcome->what);
	}
	plant = variant->plant;
	/* In a slow kernel what does not hang may take a second or two. */
	if (plant == PLANT_HANG)
		hang_ms = vfifo_scale() > 1 ? 5000 : 3000;
	ASSERT_FALSE(run(&s, &self->health));
	EXPECT_EQ(0, strncmp(outcome->what, variant->what,
			     strlen(variant->what))) {
		TH_LOG("%s", outcome->what);
	}
	i = s.n;
	shrink(&s, &self->health);
	TH_LOG("%d operations, shrunk to: %s", i, print(&s));
	/* As short as can be, with the simplest numbers, and the same failure. */
	ASSERT_EQ(3, s.n);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(wanted[i], s.op[i].kind);
		EXPECT_EQ(0U, s.op[i].a + s.op[i].b + s.op[i].c);
	}
	EXPECT_EQ(0, strncmp(outcome->what, variant->what,
			     strlen(variant->what)));
	ASSERT_TRUE(parse(&again, print(&s)));
	EXPECT_FALSE(run(&again, &self->health));
	plant = NO_PLANT;
	hang_ms = HANG;
	EXPECT_TRUE(run(&again, &self->health));
}

int main(int argc, char **argv)
{
	const char *t = take_option(&argc, argv, "-t"), *why = module_setup();

	only_case = take_option(&argc, argv, "-c");
	replay = take_option(&argc, argv, "-r");
	if (t)
		seconds = strtoul(t, NULL, 0);
	module_begin(why);
	return vfifo_main(argc, argv);
}
