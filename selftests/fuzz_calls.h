/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Operations of the fuzzer on files and attributes, and on its children.
 */
#ifndef FUZZ_CALLS_H
#define FUZZ_CALLS_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "fuzz_process.h"

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
	/* ESPIPE: sendfile() with an offset. EPIPE: with hangup 1. */
	return answer(what, ret, EAGAIN, EINTR, EBUSY, EIO, EBADF, EFAULT,
		      EINVAL, ESPIPE, EPIPE, 0);
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
		/* An ioctl of this driver, existing or not. */
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
	/* Sometimes a plausible size. */
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

	if (op->b % 8 == 6)
		return answer("hangup", attr_set("hangup", op->c % 3), EINVAL,
			      0);
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
		/* POLLNVAL: O_PATH. */
		if (ret > 0 && pfd.revents & ~(POLLIN | POLLRDNORM | POLLOUT |
					       POLLWRNORM | POLLERR | POLLHUP |
					       POLLNVAL))
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
		/* Makes room in the pipe, or fills it. */
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

#endif /* FUZZ_CALLS_H */
