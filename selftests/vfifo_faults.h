/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory under the control of userfaultfd(2): a process that accesses it sleeps until
 * the test provides the page.
 */
#ifndef VFIFO_FAULTS_H
#define VFIFO_FAULTS_H

#include <poll.h>
#include <linux/userfaultfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "vfifo_test.h"

#define PAGES		4

/* A process with such memory. */
struct faulty {
	long page;
	char *memory;		/* PAGES pages, at this address in the process */
	int *uffd;		/* shared: the descriptor in the process, or -1 */
	int monitor;		/* the same file in this process */
	pid_t pid;
};

/* A read or a write, of one segment or of two. */
static inline long transfer(bool pieces, bool out, int fd, char *buf, long len)
{
	struct iovec iov[2] = {
		{ buf, len / 3 }, { buf + len / 3, len - len / 3 },
	};

	if (pieces)
		return out ? writev(fd, iov, 2) : readv(fd, iov, 2);
	return out ? write(fd, buf, len) : read(fd, buf, len);
}

/* A userfaultfd for that memory; -1 with @error. */
static inline int missing(char *memory, long len, int *error)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (unsigned long)memory, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api) &&
	    !ioctl(uffd, UFFDIO_REGISTER, &reg))
		return uffd;
	*error = errno;
	return -1;
}

/* NULL, or why there is no userfaultfd. */
static inline const char *no_userfaultfd(char *memory, long len)
{
	int error = 0, uffd = missing(memory, len, &error);

	if (uffd < 0)
		return format("no userfaultfd: %s", strerror(error));
	close(uffd);
	return NULL;
}

/* Called first: false if there is not enough memory. */
static inline bool faulty_begin(struct faulty *f)
{
	memset(f, 0, sizeof(*f));
	f->page = sysconf(_SC_PAGESIZE);
	f->monitor = -1;
	f->uffd = shared(sizeof(*f->uffd));
	f->memory = mmap(NULL, PAGES * f->page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!f->uffd || f->memory == MAP_FAILED)
		return false;
	*f->uffd = -1;
	return true;
}

/* Kills the process, which may be waiting for a page. */
static inline void faulty_end(struct faulty *f)
{
	child_kill(&f->pid);
	close(f->monitor);
	munmap(f->memory, PAGES * f->page);
	munmap(f->uffd, sizeof(*f->uffd));
}

/*
 * Starts the process, whose memory is missing from page number @from on; the pages
 * before that contain the stream. Returns false in the process, true in the parent.
 */
static inline bool faulty_start(struct faulty *f, int from)
{
	long present = from * f->page;
	int pidfd, error, fd;

	close(f->monitor);
	f->monitor = -1;
	*f->uffd = -1;
	f->pid = child_start(15 * DEADLINE);
	if (!f->pid) {
		stream_fill(f->memory, present, 0);
		fd = missing(f->memory + present, PAGES * f->page - present,
			     &error);
		if (fd < 0)
			_exit(99);
		__atomic_store_n(f->uffd, fd, __ATOMIC_SEQ_CST);
		return false;
	}
	if (!eventually(__atomic_load_n(f->uffd, __ATOMIC_SEQ_CST) >= 0))
		return true;
	pidfd = syscall(SYS_pidfd_open, f->pid, 0);
	f->monitor = syscall(SYS_pidfd_getfd, pidfd, *f->uffd, 0);
	close(pidfd);
	return true;
}

/* The address of the next fault; 0 if none comes. */
static inline unsigned long fault_met(int monitor)
{
	struct pollfd p = { .fd = monitor, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&p, 1, DEADLINE * 1000) != 1 ||
	    read(monitor, &msg, sizeof(msg)) != sizeof(msg) ||
	    msg.event != UFFD_EVENT_PAGEFAULT)
		return 0;
	return msg.arg.pagefault.address;
}

/* Waits until the process, which was just started, sleeps in a fault. */
static inline bool faulty_sleeps(struct faulty *f)
{
	return f->monitor >= 0 && fault_met(f->monitor);
}

/* Provides page number @page, with the stream from @pos on. */
static inline bool give(struct faulty *f, int page, __u64 pos)
{
	char *from = malloc(f->page);
	struct uffdio_copy copy = {
		.dst = (unsigned long)f->memory + page * f->page,
		.src = (unsigned long)from,
		.len = f->page,
	};
	int ret;

	stream_fill(from, f->page, pos);
	ret = ioctl(f->monitor, UFFDIO_COPY, &copy);
	free(from);
	return !ret;
}

/* Provides all pages, and waits until the process ends: its exit status. */
static inline int give_all(struct faulty *f, __u64 pos)
{
	struct pollfd p = { .fd = f->monitor, .events = POLLIN };
	__s64 until = now_ms() + DEADLINE * 1000;
	int page;

	for (page = 0; page < PAGES; page++)
		give(f, page, pos + page * f->page);
	/* A page may have faulted just before it was provided. */
	while (child_state(f->pid) != 'Z' && now_ms() < until) {
		struct uffd_msg msg;

		poll(&p, 1, 10);
		if (read(f->monitor, &msg, sizeof(msg)) == sizeof(msg)) {
			struct uffdio_range range = {
				msg.arg.pagefault.address & -f->page,
				f->page,
			};

			ioctl(f->monitor, UFFDIO_WAKE, &range);
		}
	}
	if (child_state(f->pid) != 'Z')
		return -ETIMEDOUT;
	page = child_end(f->pid);
	f->pid = 0;
	return page;
}

#endif /* VFIFO_FAULTS_H */
