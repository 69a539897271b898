// SPDX-License-Identifier: GPL-2.0
/*
 * A shared object for LD_PRELOAD: pipe(2) and pipe2(2) return the two ends of a vfifo.
 *
 * Each call takes a device whose attribute "hangup" is 1 and which nobody has open. The two
 * files that are returned make it taken, until the last descriptor of them is closed, by
 * whatever process. If there is no such device, or the flags are for real pipes only, the
 * call returns a pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <linux/vfifo.h>

#define MAX_DEVICES	256

/* Our own descriptors are out of the way: a pipe has the lowest numbers that are free. */
#define OUT_OF_THE_WAY	500

static int open_high(const char *path, int flags)
{
	int low = open(path, flags | O_CLOEXEC), high;

	if (low < 0)
		return -1;
	high = fcntl(low, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
	close(low);
	return high;
}

/* Whether nobody has the device open. @fd is neither a reader nor a writer. */
static int is_free(int fd)
{
	const __u64 free = VFIFO_HANGUP | VFIFO_NO_READERS | VFIFO_NO_WRITERS;
	struct vfifo_info info = { .size = sizeof(info) };

	return !ioctl(fd, VFIFO_GET_INFO, &info) &&
	       (info.flags & (free | VFIFO_BROKEN)) == free;
}

static int take(const char *path, int fds[2], int flags)
{
	int r = open(path, O_RDONLY | flags), w;

	if (r < 0)
		return -1;
	w = open(path, O_WRONLY | flags);
	/* An earlier reader may have left bytes. */
	if (w < 0 || ioctl(r, VFIFO_CLEAR)) {
		close(r);
		if (w >= 0)
			close(w);
		return -1;
	}
	fds[0] = r;
	fds[1] = w;
	return 0;
}

/* 0, or -1 if there is no device to take. */
static int vfifo_pipe(int fds[2], int flags)
{
	int lock, any, i, err = -1;
	char path[32];

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -1;
	/* Between looking and taking, no other process may do the same. */
	lock = open_high("/sys/class/vfifo", O_RDONLY | O_DIRECTORY);
	if (lock < 0)
		return -1;
	while (flock(lock, LOCK_EX) && errno == EINTR)
		;
	for (i = 0; i < MAX_DEVICES && err; i++) {
		snprintf(path, sizeof(path), "/dev/vfifo%d", i);
		any = open_high(path, O_ACCMODE);
		if (any < 0)
			break;
		if (is_free(any))
			err = take(path, fds, flags);
		close(any);
	}
	close(lock);
	return err;
}

int pipe2(int fds[2], int flags)
{
	int before = errno;

	if (vfifo_pipe(fds, flags))
		return syscall(SYS_pipe2, fds, flags);
	errno = before;
	return 0;
}

int pipe(int fds[2])
{
	return pipe2(fds, 0);
}
