/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A minimal io_uring: one ring, used by system calls only.
 */
#ifndef VFIFO_URING_H
#define VFIFO_URING_H

#include <dirent.h>
#include <sys/syscall.h>

#include <linux/io_uring.h>

#include "vfifo_test.h"

#define RING_ENTRIES	32

struct ring {
	int fd;
	void *mem;
	size_t len;
	struct io_uring_sqe *sqes;
	unsigned int *sq_tail, *cq_head, *cq_tail, sq_mask, cq_mask;
	unsigned int *sq_array;
	struct io_uring_cqe *cqes;
	unsigned int prepared;
};

/* 0, or the negative error number. */
static inline int ring_open(struct ring *ring)
{
	struct io_uring_params p = {};
	size_t cq;
	char *mem;

	memset(ring, 0, sizeof(*ring));
	ring->fd = res(syscall(__NR_io_uring_setup, RING_ENTRIES, &p));
	if (ring->fd < 0)
		return ring->fd;
	if (!(p.features & IORING_FEAT_SINGLE_MMAP))
		return -EOPNOTSUPP;
	ring->len = p.sq_off.array + p.sq_entries * sizeof(__u32);
	cq = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	if (cq > ring->len)
		ring->len = cq;
	mem = mmap(NULL, ring->len, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
	if (mem == MAP_FAILED)
		return -errno;
	ring->mem = mem;
	ring->sqes = mmap(NULL, p.sq_entries * sizeof(*ring->sqes),
			  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			  ring->fd, IORING_OFF_SQES);
	if (ring->sqes == MAP_FAILED)
		return -errno;
	ring->sq_tail = (unsigned int *)(mem + p.sq_off.tail);
	ring->sq_mask = *(unsigned int *)(mem + p.sq_off.ring_mask);
	ring->sq_array = (unsigned int *)(mem + p.sq_off.array);
	ring->cq_head = (unsigned int *)(mem + p.cq_off.head);
	ring->cq_tail = (unsigned int *)(mem + p.cq_off.tail);
	ring->cq_mask = *(unsigned int *)(mem + p.cq_off.ring_mask);
	ring->cqes = (struct io_uring_cqe *)(mem + p.cq_off.cqes);
	return 0;
}

static inline void ring_close(struct ring *ring)
{
	if (ring->mem) {
		munmap(ring->sqes, RING_ENTRIES * sizeof(*ring->sqes));
		munmap(ring->mem, ring->len);
	}
	close(ring->fd);
}

/* The next request; @id is returned with its completion. */
static inline struct io_uring_sqe *prepare(struct ring *ring, int op, int fd,
					   const void *addr, unsigned int len,
					   __u64 id)
{
	unsigned int tail = *ring->sq_tail + ring->prepared++;
	struct io_uring_sqe *sqe = &ring->sqes[tail & ring->sq_mask];

	ring->sq_array[tail & ring->sq_mask] = tail & ring->sq_mask;
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->fd = fd;
	sqe->addr = (unsigned long)addr;
	sqe->len = len;
	sqe->off = -1;
	sqe->user_data = id;
	return sqe;
}

/* Submits all prepared requests; true if the kernel has taken them. */
static inline bool submit(struct ring *ring)
{
	int n = ring->prepared;

	__atomic_store_n(ring->sq_tail, *ring->sq_tail + n, __ATOMIC_RELEASE);
	ring->prepared = 0;
	return syscall(__NR_io_uring_enter, ring->fd, n, 0, 0, NULL, 0) == n;
}

/* The number of completions, after letting the kernel run pending work. */
static inline int completions(struct ring *ring)
{
	syscall(__NR_io_uring_enter, ring->fd, 0, 0, IORING_ENTER_GETEVENTS,
		NULL, 0);
	return __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) - *ring->cq_head;
}

/* The result of the next completion, with its @id; -ETIME if none comes. */
static inline long completion(struct ring *ring, __u64 *id, unsigned int *flags)
{
	struct io_uring_cqe *cqe;
	long ret;

	if (id)
		*id = ~0ULL;
	if (!eventually(completions(ring)))
		return -ETIME;
	cqe = &ring->cqes[*ring->cq_head & ring->cq_mask];
	ret = cqe->res;
	if (id)
		*id = cqe->user_data;
	if (flags)
		*flags = cqe->flags;
	__atomic_store_n(ring->cq_head, *ring->cq_head + 1, __ATOMIC_RELEASE);
	return ret;
}

/* The number of worker threads of this process. */
static inline int workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *task;
	int n = 0;

	while (dir && (task = readdir(dir))) {
		char path[300], name[32] = "";
		ssize_t len;
		int fd;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 task->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		len = read(fd, name, sizeof(name) - 1);
		close(fd);
		n += len > 0 && !strncmp(name, "iou-wrk", 7);
	}
	if (dir)
		closedir(dir);
	return n;
}

/* A poll for @events; @flags are those of IORING_OP_POLL_ADD. */
static inline struct io_uring_sqe *prepare_poll(struct ring *ring, int fd,
						int events, unsigned int flags,
						__u64 id)
{
	struct io_uring_sqe *sqe = prepare(ring, IORING_OP_POLL_ADD, fd, NULL,
					   flags, id);

	sqe->off = 0;
	/* On big-endian machines, the halves are swapped. */
#if __BYTE_ORDER == __BIG_ENDIAN
	sqe->poll32_events = events << 16;
#else
	sqe->poll32_events = events;
#endif
	return sqe;
}

/*
 * Opens the ring: 0, or the negative error number. It is a reason to skip if io_uring is
 * missing (-EOPNOTSUPP) or disabled (-EPERM).
 */
static inline int ring_begin(struct ring *ring)
{
	memset(ring, 0, sizeof(*ring));
	ring->fd = -1;
	if (access("/proc/sys/kernel/io_uring_disabled", F_OK))
		return -EOPNOTSUPP;
	return ring_open(ring);
}

#endif /* VFIFO_URING_H */
