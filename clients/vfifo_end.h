/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers */
/*
 * What the two ends of a vfifo have in common: positions, sleeping and waking, opening and
 * closing. Private to vfifo_map.h and the other headers for mapped ends; include those.
 */
#ifndef VFIFO_END_H
#define VFIFO_END_H

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/types.h>

#include <linux/types.h>
#include <linux/vfifo.h>

/* Not in POSIX, so <sys/mman.h> may hide these, but the C library has them. */
#ifndef MADV_DONTFORK
#define MADV_DONTFORK	10
int madvise(void *addr, size_t len, int advice);
#endif

/*
 * For what is not on the straight path: a call of its own, which saves registers only if it
 * is made. The kernel's names for these attributes are not for user space.
 */
#define VFIFO_APART	__attribute((__noinline__, __unused__))

/* How often to look at the other end before sleeping. */
#ifndef VFIFO_SPIN
#define VFIFO_SPIN	200
#endif

#if __GCC_ATOMIC_LLONG_LOCK_FREE != 2
#error "this needs atomic 64-bit loads and stores"
#endif

static_assert(sizeof(off_t) == 8, "compile with -D_FILE_OFFSET_BITS=64");

/* Common to both ends. All fields are private to the functions of vfifo. */
struct vfifo_map {
	struct vfifo_end *own;		/* the page of this end */
	const struct vfifo_end *peer;	/* the page of the other end, read-only */
	unsigned char *data;		/* the buffer, twice in a row */
	__u64 position;			/* of this end; the one in *own is for others */
	/*
	 * The position of the other end when it was last loaded. A producer that
	 * overwrites has "oldest" here, which it stores itself.
	 */
	__u64 seen;
	__u64 granted;			/* reserved, or peeked at; not yet given away */
	__u64 capacity;
	unsigned int kind;		/* VFIFO_RECORDS, VFIFO_OVERWRITE */
	int fd;
	int epoll;
	bool close_fd;
	size_t page;
	/* vfifo_records.h: length of the reservation, or size of what was looked at */
	__u64 record;
	/* vfifo_overwrite.h: what the consumer looks at, and what it has lost */
	__u64 start;
	__u64 window;
	__u64 lost;
	__u64 retry;			/* the head after the last defeat */
	unsigned int defeats;
};

static inline __u64 vfifo_map_load(const struct vfifo_end *end)
{
	return __atomic_load_n(&end->position, __ATOMIC_ACQUIRE);
}

/* The place of the byte at @position. All bytes that are queued there follow it. */
static inline unsigned char *vfifo_map_at(const struct vfifo_map *map,
					  __u64 position)
{
	return map->data + (size_t)(position & (map->capacity - 1));
}

/* Whether no record can begin or end there. @positions: one of them, or several ORed. */
static inline bool vfifo_map_unaligned(const struct vfifo_map *map,
				       __u64 positions)
{
	return map->kind & VFIFO_RECORDS && positions % sizeof(struct vfifo_record);
}

/* Returns 0 if functions for @kind can be used, -EBADF or -EOPNOTSUPP. */
static inline int vfifo_map_check(const struct vfifo_map *map, unsigned int kind)
{
	if (!map->capacity)
		return -EBADF;
	return map->kind == kind ? 0 : -EOPNOTSUPP;
}

/*
 * As vfifo_map_check(), but does not find out whether a map of that kind is open. For
 * callers that go on with vfifo_map_look(), which does if it has to look.
 */
static inline int vfifo_map_check_kind(const struct vfifo_map *map,
				       unsigned int kind)
{
	return map->kind == kind ? 0 : vfifo_map_check(map, kind);
}

static inline int vfifo_map_fd(const struct vfifo_map *map)
{
	return map->capacity ? map->fd : -EBADF;
}

static inline int vfifo_map_kind(const struct vfifo_map *map)
{
	return map->capacity ? (int)map->kind : -EBADF;
}

/* What a function that returns a pointer returns after the error @err. */
static VFIFO_APART void *vfifo_map_null(int err)
{
	errno = -err;
	return NULL;
}

/*
 * Copies @len bytes that may change meanwhile, once: what the caller uses is what was
 * copied.
 */
static inline void vfifo_map_copy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	/* The compiler has to make the copy here, and cannot look at the source later. */
	__asm__ __volatile__("" : : "r" (to) : "memory");
}

/*
 * Stores in *@known how many bytes are free (for a producer) or queued (for a
 * consumer). Returns 0, -EIO or -EBADF. Loads the position of the other end only if
 * fewer than @enough bytes were known: it is in a cache line that another CPU
 * writes to.
 */
static inline int vfifo_map_look(struct vfifo_map *map, bool producer,
				 size_t enough, size_t *known)
{
	__u64 queued = producer ? map->position - map->seen :
				  map->seen - map->position;
	__u64 seen;

	*known = producer ? map->capacity - queued : queued;
	if (*known >= enough)
		return 0;
	if (!map->peer)
		return -EBADF;
	seen = vfifo_map_load(map->peer);
	if (vfifo_map_unaligned(map, seen))
		return -EIO;
	/* That position only grows, and never beyond what the other end has. */
	if (producer) {
		if (map->position - seen > queued)
			return -EIO;
		*known = map->capacity - (map->position - seen);
	} else {
		if (seen - map->position < queued ||
		    seen - map->position > map->capacity)
			return -EIO;
		*known = seen - map->position;
	}
	map->seen = seen;
	return 0;
}

/* The number of queued bytes, -EIO or -EBADF. Changes nothing. */
static inline ssize_t vfifo_map_queued(const struct vfifo_map *map, bool producer)
{
	struct vfifo_map copy = *map;
	__u64 queued, kept;
	size_t known;
	int err;

	if (!map->capacity)
		return -EBADF;
	if (!(map->kind & VFIFO_OVERWRITE)) {
		err = vfifo_map_look(&copy, producer, SIZE_MAX, &known);
		if (err)
			return err;
		return producer ? map->capacity - known : known;
	}

	/* What has been overwritten is not queued any more. */
	queued = vfifo_map_load(map->peer) - map->position;
	if (producer)
		queued = -queued;
	kept = map->position - map->seen;
	if (!producer) {
		kept = map->position + queued;
		kept -= __atomic_load_n(&map->peer->oldest, __ATOMIC_ACQUIRE);
	}
	/* This "oldest" may be newer than the other positions. */
	if (kept > map->capacity)
		kept = map->capacity;
	return queued < kept ? queued : kept;
}

static inline int vfifo_map_look_room(struct vfifo_map *map, size_t enough,
				      size_t *known)
{
	return vfifo_map_look(map, true, enough, known);
}

static inline int vfifo_map_look_bytes(struct vfifo_map *map, size_t enough,
				       size_t *known)
{
	return vfifo_map_look(map, false, enough, known);
}

/* Advances this end by @len bytes, and wakes those who wait for that. */
static inline int vfifo_map_publish(struct vfifo_map *map, size_t len)
{
	map->position += len;
	__atomic_store_n(&map->own->position, map->position, __ATOMIC_RELEASE);
	/*
	 * Pairs with the fence of an end that is about to sleep. Either that end
	 * sees the new position, or we see that it waits.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&map->peer->waiting, __ATOMIC_RELAXED))
		return 0;
	return ioctl(map->fd, VFIFO_NOTIFY) ? -errno : 0;
}

/*
 * Commits or releases the first @len of the granted bytes. Bytes are only granted by
 * functions for the @kind of this device.
 */
static inline int vfifo_map_give(struct vfifo_map *map, unsigned int kind,
				 size_t len)
{
	/* One comparison for two cases: if @len is 0, this is the largest number. */
	if ((__u64)len - 1 >= map->granted) {
		int err = vfifo_map_check(map, kind);

		return err || !len ? err : -EINVAL;
	}
	map->granted -= len;
	return vfifo_map_publish(map, len);
}

static inline __s64 vfifo_map_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__s64)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* While spinning: leaves more of the core to the other hardware thread. */
static inline void vfifo_map_relax(void)
{
#ifdef __has_builtin
#if __has_builtin(__builtin_ia32_pause)
	__builtin_ia32_pause();
#endif
#endif
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* An older kernel may fill fewer bytes than the header declares. */
static inline int vfifo_map_info(int fd, struct vfifo_info *info)
{
	const size_t needed = offsetof(struct vfifo_info, consumer_offset) +
			      sizeof(info->consumer_offset);

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	if (ioctl(fd, VFIFO_GET_INFO, info))
		return -errno;
	return info->size < needed ? -EPROTO : 0;
}

/* Such a kernel has no flags. */
static inline bool vfifo_map_has_flags(const struct vfifo_info *info)
{
	return info->size >= offsetof(struct vfifo_info, flags) +
			     sizeof(info->flags);
}

/*
 * The reason for the events @events that poll(2) reports for the device: 0 if there
 * is none any more.
 */
static inline int vfifo_map_reason(struct vfifo_map *map, short events)
{
	struct vfifo_info info;
	struct pollfd fd;
	int err;

	if (!(events & POLLERR))
		return events & POLLHUP ? -ENODATA : 0;
	err = vfifo_map_info(map->fd, &info);
	if (err)
		return err;
	/* A kernel that does not fill the flags has no other reason. */
	if (!vfifo_map_has_flags(&info) || info.flags & VFIFO_BROKEN)
		return -EIO;
	if (!(info.flags & VFIFO_HANGUP && info.flags & VFIFO_NO_READERS))
		return 0;
	/*
	 * The flags do not tell whether this file has met a reader; poll(2) does. But
	 * what it has reported may have been an error state that was over by then.
	 */
	fd.fd = map->fd;
	fd.events = 0;
	return poll(&fd, 1, 0) > 0 && fd.revents & POLLERR ? -EPIPE : 0;
}

/*
 * Sleeps until something has happened at the other end, or returns the reason why
 * nothing will. Edge-triggered, since a level-triggered poll would return at once as
 * long as there is a single byte, even if the caller waits for more. Only the end and
 * the error state are asked for by level, as their edge may have come before.
 */
static inline int vfifo_map_sleep(struct vfifo_map *map, int timeout)
{
	struct epoll_event event;
	struct pollfd fds[2];

	/* Unlike epoll_wait(2), poll(2) sleeps on after SIGCONT or a suspend. */
	fds[0].fd = map->epoll;
	fds[0].events = POLLIN;
	fds[1].fd = map->fd;
	fds[1].events = 0;
	if (poll(fds, 2, timeout) < 0) {
		/* A look does not sleep. It fails if there is nothing, and a signal. */
		if (timeout || errno != EINTR)
			return -errno;
		fds[1].revents = 0;
	}
	if (epoll_wait(map->epoll, &event, 1, 0) < 0)
		return -errno;
	return vfifo_map_reason(map, fds[1].revents);
}

/* vfifo_map_wait(), if there is not enough yet, or something is wrong. */
static VFIFO_APART int vfifo_map_wait_on(struct vfifo_map *map, unsigned int kind,
					 int (*look)(struct vfifo_map *map,
						     size_t enough, size_t *known),
					 size_t need, int timeout)
{
	__s64 left = timeout, until = 0;
	size_t known;
	int err, i;

	err = vfifo_map_check(map, kind);
	if (err)
		return err;
	if (need > map->capacity)
		return -EINVAL;
	err = look(map, need, &known);
	for (i = 0; i < VFIFO_SPIN && timeout; i++) {
		if (err || known >= need)
			break;
		vfifo_map_relax();
		err = look(map, need, &known);
	}
	if (err || known >= need)
		return err;

	if (timeout > 0)
		until = vfifo_map_now() + timeout;
	for (;;) {
		if (timeout > 0) {
			left = until - vfifo_map_now();
			left = left > 0 ? left : 0;
		}
		if (left) {
			__atomic_store_n(&map->own->waiting, 1,
					 __ATOMIC_RELAXED);
			/* Pairs with vfifo_map_publish(). Only a look after it counts. */
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
		}
		err = look(map, need, &known);
		if (err || known >= need)
			break;
		err = vfifo_map_sleep(map, left);
		if (err == -ENODATA || err == -EPIPE) {
			/* What was done before the end counts. */
			int last = look(map, need, &known);

			if (last || known >= need)
				err = last;
			break;
		}
		if (!err && !left)
			err = -EAGAIN;
		if (err)
			break;
	}
	/*
	 * "waiting" stays set until VFIFO_NOTIFY clears it: others may poll at
	 * this end, such as an event loop of its owner. If there are none, the
	 * other end makes one call without need.
	 */
	return err;
}

/*
 * Waits until @look, which works as vfifo_map_look(), has found @need bytes. @kind: the
 * kind of device that the caller is for.
 */
static inline int vfifo_map_wait(struct vfifo_map *map, unsigned int kind,
				 int (*look)(struct vfifo_map *map,
					     size_t enough, size_t *known),
				 size_t need, int timeout)
{
	size_t known;

	/* A map that is not open has no bytes. */
	if (need && map->kind == kind && !look(map, need, &known) && known >= need)
		return 0;
	return vfifo_map_wait_on(map, kind, look, need, timeout);
}

static inline void vfifo_map_init(struct vfifo_map *map)
{
	memset(map, 0, sizeof(*map));
	map->fd = -1;
	map->epoll = -1;
}

static inline void vfifo_map_close(struct vfifo_map *map)
{
	/* Give the end back first. */
	if (map->own)
		munmap(map->own, map->page);
	if (map->peer)
		munmap((void *)map->peer, map->page);
	if (map->data)
		munmap(map->data, 2 * map->capacity);
	/* In a struct that is all zero, 0 is not our descriptor. */
	if (map->own && map->epoll >= 0)
		close(map->epoll);
	if (map->close_fd)
		close(map->fd);
	vfifo_map_init(map);
}

/*
 * A mapping keeps the file open. If a child had it, the file would stay open when this
 * process has gone, and count as a reader and a writer.
 */
static inline void *vfifo_map_pages(int fd, int prot, size_t len, __u64 offset)
{
	void *pages = mmap(NULL, len, prot, MAP_SHARED, fd, offset);
	int err;

	if (pages == MAP_FAILED)
		return NULL;
	if (madvise(pages, len, MADV_DONTFORK)) {
		err = errno;
		munmap(pages, len);
		errno = err;
		return NULL;
	}
	return pages;
}

/*
 * Finds out where the two ends are. Returns 0 or -EIO. What is there for a consumer while
 * the producer overwrites, only its first look can tell.
 */
static inline int vfifo_map_begin(struct vfifo_map *map, bool producer)
{
	size_t known;

	map->position = vfifo_map_load(map->own);
	if (vfifo_map_unaligned(map, map->position))
		return -EIO;
	if (!(map->kind & VFIFO_OVERWRITE)) {
		/* Assume that there is nothing for this end yet, and then look. */
		map->seen = map->position - (producer ? map->capacity : 0);
		return vfifo_map_look(map, producer, map->capacity, &known);
	}
	map->seen = map->position;
	if (producer)
		map->seen = __atomic_load_n(&map->own->oldest, __ATOMIC_RELAXED);
	return map->position - map->seen > map->capacity ||
	       vfifo_map_unaligned(map, map->seen) ? -EIO : 0;
}

/* Sets errno if it fails. */
static inline bool vfifo_map_all(struct vfifo_map *map, bool producer)
{
	const int rw = PROT_READ | PROT_WRITE;
	struct epoll_event event;
	struct vfifo_info info;
	int err;

	err = vfifo_map_info(map->fd, &info);
	if (err) {
		errno = -err;
		return false;
	}
	/* This claims the end. */
	map->own = (struct vfifo_end *)vfifo_map_pages(map->fd, rw, map->page,
			producer ? info.producer_offset : info.consumer_offset);
	if (!map->own)
		return false;
	map->peer = (const struct vfifo_end *)vfifo_map_pages(map->fd,
			PROT_READ, map->page,
			producer ? info.consumer_offset : info.producer_offset);
	if (!map->peer)
		return false;

	/* Nothing of this can change any more, but may have changed before. */
	err = vfifo_map_info(map->fd, &info);
	if (!err && info.capacity > SIZE_MAX / 2)
		err = -EOVERFLOW;
	if (err) {
		errno = -err;
		return false;
	}
	map->capacity = info.capacity;
	if (vfifo_map_has_flags(&info))
		map->kind = info.flags & (VFIFO_RECORDS | VFIFO_OVERWRITE);
	map->data = (unsigned char *)vfifo_map_pages(map->fd,
			producer ? rw : PROT_READ, 2 * map->capacity,
			info.data_offset);
	if (!map->data)
		return false;

	if (vfifo_map_begin(map, producer)) {
		errno = EIO;
		return false;
	}

	map->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (map->epoll < 0)
		return false;
	memset(&event, 0, sizeof(event));
	event.events = EPOLLET | (producer ? EPOLLOUT : EPOLLIN);
	return !epoll_ctl(map->epoll, EPOLL_CTL_ADD, map->fd, &event);
}

/* If @close_fd is set, @fd is closed later, and also if this fails. */
static inline int vfifo_map_open_fd(struct vfifo_map *map, bool producer,
				    int fd, bool close_fd)
{
	int err;

	vfifo_map_init(map);
	if (fd < 0)
		return -EBADF;
	map->page = sysconf(_SC_PAGESIZE);
	map->fd = fd;
	map->close_fd = close_fd;
	if (vfifo_map_all(map, producer))
		return 0;
	err = -errno;
	vfifo_map_close(map);
	return err;
}

static inline int vfifo_map_open(struct vfifo_map *map, bool producer,
				 const char *path)
{
	int fd;

	vfifo_map_init(map);
	if (!path)
		return -EFAULT;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return vfifo_map_open_fd(map, producer, fd, true);
}

#endif /* VFIFO_END_H */
