/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers */
/*
 * Use an end of a vfifo by loads and stores: without a copy, and without a system
 * call as long as the other end keeps up.
 *
 * To produce:
 *
 *	struct vfifo_producer p;
 *	char *to;
 *	int err;
 *
 *	err = vfifo_producer_open(&p, "/dev/vfifo0");
 *	while (!err) {
 *		err = vfifo_wait_room(&p, 100, -1);	// sleeps if necessary
 *		if (err)
 *			break;
 *		to = vfifo_reserve(&p, 100);
 *		...store to[0]...to[99], in any order...
 *		err = vfifo_commit(&p, 100);		// now they are queued
 *	}
 *	vfifo_producer_close(&p);
 *
 * To consume:
 *
 *	struct vfifo_consumer c;
 *	const char *from;
 *	size_t len;
 *
 *	err = vfifo_consumer_open(&c, "/dev/vfifo0");
 *	while (!err) {
 *		err = vfifo_wait_bytes(&c, 1, -1);
 *		if (err)
 *			break;
 *		from = vfifo_peek(&c, &len);
 *		...use from[0]...from[len - 1], as long as you like...
 *		err = vfifo_release(&c, len);		// now they are gone
 *	}
 *	vfifo_consumer_close(&c);
 *
 * Reserved or peeked bytes are always in one piece, even if they wrap around the
 * end of the buffer. The other end may be a program like this, or one that calls
 * read(2) or write(2) and knows nothing of mappings.
 *
 * An end has one owner. While it has one, opening it fails with -EBUSY, and so do
 * system calls at that end. The owner gives it back by closing it, and by exec and
 * exit, even if it is killed. Committed bytes stay queued then; reserved bytes were
 * never queued. Bytes that were not released are there for the next consumer.
 *
 * All functions return 0 or a negative error number, except those that return a
 * pointer or a number of bytes. -EIO means that the position of the other end is
 * impossible, or that the kernel has found an impossible position. Nothing here
 * trusts the other end any further: whatever it does, the pointers point into the
 * buffer. But any process that has the device open for reading and writing can
 * store to the buffer at any time, so check untrusted data after copying it.
 *
 * If the device's attribute "hangup" is 1, or the device has been removed, the stream
 * ends as that of a pipe does.
 * Waiting then fails with -ENODATA for a consumer whose writers have all gone, unless
 * enough bytes are queued, and with -EPIPE for a producer whose readers have all gone,
 * unless there is enough room. It does not fail if nobody was ever there, unless the
 * device has been removed. A new writer or reader continues the stream, and waiting
 * works again. So these are different:
 *
 *  -ETIMEDOUT	nothing yet
 *  -ENODATA	ended: the consumer has no more to wait for
 *  -EPIPE	ended: the producer has nobody left to produce for
 *  -EIO	error state
 *
 * Wrong arguments are refused, and change nothing:
 *
 *  - Committing more than is reserved, or releasing more than was peeked at, is
 *    -EINVAL. Reserved bytes may be committed in several calls, but no more than
 *    that in total. The same applies to releasing. Only the last successful
 *    vfifo_reserve() or vfifo_peek() counts.
 *  - Reserving more than there is room for returns NULL. Waiting for more than the
 *    capacity is -EINVAL.
 *  - A length of zero is always allowed, and does nothing.
 *  - A path that is NULL is -EFAULT, a descriptor that is not open -EBADF.
 *  - For a struct that is closed, whose open failed, or that is all zero, most
 *    functions return -EBADF, vfifo_reserve() and vfifo_peek() return NULL, and
 *    closing does nothing. The pointer to the struct itself must be valid.
 *
 * A struct must be used by one thread at a time. A program may own both ends, by
 * opening one of each. Neither the end nor any mapping is inherited by fork(2): do not
 * use the struct in the child. The descriptor is inherited, and keeps the file open
 * until the child closes it, even if the parent has exited. The file then has no end
 * any more, and counts as a reader and a writer, so others do not see the stream end.
 *
 * In your own event loop, poll p.map.fd for POLLOUT or c.map.fd for POLLIN. They
 * report room for one byte, or one byte, and the kernel then does everything that
 * waiting takes. At the end they report POLLERR or POLLHUP; vfifo_wait_room() or
 * vfifo_wait_bytes() with a timeout of 0 then returns the reason. To wait for more, use
 * epoll with EPOLLET; otherwise the loop would spin as long as there is one byte. With
 * EPOLLET, call vfifo_wait_room() or vfifo_wait_bytes() with a timeout of 0 before the
 * loop sleeps: if this consumer has met no writer before, it is at its end as soon as
 * it has released a byte, and that makes no event.
 *
 * This file is valid C++11, and valid C11 with the functions of POSIX.1-2008 (gcc's
 * default; with -std=c11, use -D_POSIX_C_SOURCE=200809L). On a 32-bit machine,
 * compile with -D_FILE_OFFSET_BITS=64.
 */
#ifndef VFIFO_MAP_H
#define VFIFO_MAP_H

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

/* How often to look at the other end before sleeping. */
#ifndef VFIFO_SPIN
#define VFIFO_SPIN	200
#endif

#if __GCC_ATOMIC_LLONG_LOCK_FREE != 2
#error "this needs atomic 64-bit loads and stores"
#endif

static_assert(sizeof(off_t) == 8, "compile with -D_FILE_OFFSET_BITS=64");

/* Common to both ends. All fields but fd are private to the functions here. */
struct vfifo_map {
	struct vfifo_end *own;		/* the page of this end */
	const struct vfifo_end *peer;	/* the page of the other end, read-only */
	unsigned char *data;		/* the buffer, twice in a row */
	__u64 position;			/* of this end; the one in *own is for others */
	__u64 seen;			/* position of the other end when last loaded */
	__u64 granted;			/* reserved, or peeked at; not yet given away */
	__u64 capacity;
	size_t page;
	int fd;
	int epoll;
	bool close_fd;
};

struct vfifo_producer {
	struct vfifo_map map;
};

struct vfifo_consumer {
	struct vfifo_map map;
};

/* ---- common to both ends ---- */

static inline __u64 vfifo_map_load(const struct vfifo_end *end)
{
	return __atomic_load_n(&end->position, __ATOMIC_ACQUIRE);
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

/* Commits or releases the first @len of the granted bytes. */
static inline int vfifo_map_give(struct vfifo_map *map, size_t len)
{
	/* One comparison for two cases: if @len is 0, this is the largest number. */
	if ((__u64)len - 1 >= map->granted) {
		if (!map->capacity)
			return -EBADF;
		return len ? -EINVAL : 0;
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

/*
 * The reason for the events @events that poll(2) reports for the device: 0 if there
 * is none any more.
 */
static inline int vfifo_map_reason(struct vfifo_map *map, short events)
{
	const size_t needed = offsetof(struct vfifo_info, flags) +
			      sizeof(((struct vfifo_info *)NULL)->flags);
	struct vfifo_info info;
	struct pollfd fd;
	int err;

	if (!(events & POLLERR))
		return events & POLLHUP ? -ENODATA : 0;
	err = vfifo_map_info(map->fd, &info);
	if (err)
		return err;
	/* A kernel that does not fill the flags has no other reason. */
	if (info.size < needed || info.flags & VFIFO_BROKEN)
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

static inline int vfifo_map_wait(struct vfifo_map *map, bool producer,
				 size_t need, int timeout)
{
	__s64 left = timeout, until = 0;
	size_t known;
	int err, i;

	if (!map->capacity)
		return -EBADF;
	if (need > map->capacity)
		return -EINVAL;
	err = vfifo_map_look(map, producer, need, &known);
	for (i = 0; i < VFIFO_SPIN && timeout; i++) {
		if (err || known >= need)
			break;
		vfifo_map_relax();
		err = vfifo_map_look(map, producer, need, &known);
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
		err = vfifo_map_look(map, producer, need, &known);
		if (err || known >= need)
			break;
		err = vfifo_map_sleep(map, left);
		if (err == -ENODATA || err == -EPIPE) {
			/* What was done before the end counts. */
			int look = vfifo_map_look(map, producer, need, &known);

			if (look || known >= need)
				err = look;
			break;
		}
		if (!err && !left)
			err = -ETIMEDOUT;
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

/* Sets errno if it fails. */
static inline bool vfifo_map_all(struct vfifo_map *map, bool producer)
{
	const int rw = PROT_READ | PROT_WRITE;
	struct epoll_event event;
	struct vfifo_info info;
	size_t known;
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

	/* The capacity cannot change any more, but may have changed before. */
	err = vfifo_map_info(map->fd, &info);
	if (!err && info.capacity > SIZE_MAX / 2)
		err = -EOVERFLOW;
	if (err) {
		errno = -err;
		return false;
	}
	map->capacity = info.capacity;
	map->data = (unsigned char *)vfifo_map_pages(map->fd,
			producer ? rw : PROT_READ, 2 * map->capacity,
			info.data_offset);
	if (!map->data)
		return false;

	/* Assume that there is nothing for this end yet, and then look. */
	map->position = vfifo_map_load(map->own);
	map->seen = producer ? map->position - map->capacity : map->position;
	if (vfifo_map_look(map, producer, map->capacity, &known)) {
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

/* ---- the producer ---- */

/*
 * Become the producer of the device at @path.
 *
 * -EBUSY: the end has an owner already. -EACCES: no permission to open the device
 * for reading and writing. -ENOTTY: it is not a vfifo. -EFAULT: @path is NULL. -EIO:
 * see above. -EPROTO: the driver does not tell all that is needed here. -EOVERFLOW:
 * the capacity is too large for the address space. Otherwise an error of open(2),
 * mmap(2) or epoll_create1(2).
 */
static inline int vfifo_producer_open(struct vfifo_producer *p,
				      const char *path)
{
	return vfifo_map_open(&p->map, true, path);
}

/*
 * The same for a descriptor that is open for reading and writing. It stays yours:
 * close it after the end. -EACCES: it is not open for both. -EBADF: it is not open.
 */
static inline int vfifo_producer_open_fd(struct vfifo_producer *p, int fd)
{
	return vfifo_map_open_fd(&p->map, true, fd, false);
}

/*
 * Give the end back. Committed bytes stay queued, reserved bytes are forgotten.
 * Closing again does nothing.
 */
static inline void vfifo_producer_close(struct vfifo_producer *p)
{
	vfifo_map_close(&p->map);
}

/*
 * Reserve room for the next @len bytes. Returns the place to store them, or NULL if
 * they do not fit now; vfifo_wait_room() waits until they do, or fails if they never
 * will. Nobody reads the bytes before they are committed. To reserve more or fewer,
 * call this again: it returns the same place, and the new @len counts. If it returns
 * NULL, the earlier reservation stays.
 */
static inline void *vfifo_reserve(struct vfifo_producer *p, size_t len)
{
	struct vfifo_map *map = &p->map;
	size_t room;

	if (vfifo_map_look(map, true, len, &room) || room < len)
		return NULL;
	map->granted = len;
	return map->data + (size_t)(map->position & (map->capacity - 1));
}

/* The number of bytes that can be reserved now, or -EIO (see above) or -EBADF. */
static inline ssize_t vfifo_room(struct vfifo_producer *p)
{
	size_t room;
	int err = vfifo_map_look(&p->map, true, SIZE_MAX, &room);

	return err ? err : (ssize_t)room;
}

/*
 * Queue the first @len of the reserved bytes, and wake the consumer if it sleeps. The
 * others stay reserved. -EINVAL: fewer are reserved, and nothing was done. Other
 * errors come from VFIFO_NOTIFY: the bytes are queued, but the consumer was not
 * woken.
 */
static inline int vfifo_commit(struct vfifo_producer *p, size_t len)
{
	return vfifo_map_give(&p->map, len);
}

/*
 * Wait until @need bytes can be reserved, for at most @timeout milliseconds: forever
 * if it is negative, not at all if it is 0. This reserves nothing, and an earlier
 * reservation stays. -ETIMEDOUT: there is less room. -EPIPE: there is less room, and
 * all readers have gone. -EINVAL: @need is more than the capacity. -EINTR: a signal
 * handler ran, and @timeout is not 0. -EIO: see above.
 *
 * As long as there is room, the readers are not asked for; poll the descriptor for
 * POLLERR to learn at once that they have gone. If there is not, a timeout of 0 makes
 * system calls, none of which is interrupted by a signal. vfifo_room() and vfifo_peek()
 * never make any.
 *
 * A consumer that waits for more bytes leaves those that are queued, while the
 * producer may wait for room. So the numbers of bytes for which both ends wait must
 * not add up to more than capacity + 1, or both may wait forever. A write(2) waits for
 * room for all of its bytes, or for PIPE_BUF if it has more.
 */
static inline int vfifo_wait_room(struct vfifo_producer *p, size_t need,
				  int timeout)
{
	return vfifo_map_wait(&p->map, true, need, timeout);
}

/* ---- the consumer ---- */

/* Become the consumer of the device at @path. Errors as vfifo_producer_open(). */
static inline int vfifo_consumer_open(struct vfifo_consumer *c,
				      const char *path)
{
	return vfifo_map_open(&c->map, false, path);
}

/* The same for a descriptor. See vfifo_producer_open_fd(). */
static inline int vfifo_consumer_open_fd(struct vfifo_consumer *c, int fd)
{
	return vfifo_map_open_fd(&c->map, false, fd, false);
}

/* Give the end back. Bytes not released stay queued. Closing again does nothing. */
static inline void vfifo_consumer_close(struct vfifo_consumer *c)
{
	vfifo_map_close(&c->map);
}

/*
 * Returns the place of the oldest queued bytes, and stores their number in *@len if
 * @len is not NULL. More bytes may have arrived than this knows of; but it knows of as
 * many as vfifo_wait_bytes() has waited for. If no bytes are queued, or after an error,
 * returns NULL and stores 0; vfifo_wait_bytes() then waits or returns the error.
 */
static inline const void *vfifo_peek(struct vfifo_consumer *c, size_t *len)
{
	struct vfifo_map *map = &c->map;
	size_t n;

	if (vfifo_map_look(map, false, 1, &n))
		n = 0;
	if (len)
		*len = n;
	if (!n)
		return NULL;
	map->granted = n;
	return map->data + (size_t)(map->position & (map->capacity - 1));
}

/*
 * Give back the room of the first @len of these bytes, and wake the producer if it
 * sleeps. The other bytes can still be used. -EINVAL: the last vfifo_peek() returned
 * fewer, and nothing was done. Other errors come from VFIFO_NOTIFY: the room is given
 * back, but the producer was not woken.
 */
static inline int vfifo_release(struct vfifo_consumer *c, size_t len)
{
	return vfifo_map_give(&c->map, len);
}

/*
 * Wait until @need bytes are queued. See vfifo_wait_room(). -ENODATA: fewer are, and all
 * writers have gone. vfifo_peek() still returns those that are queued.
 */
static inline int vfifo_wait_bytes(struct vfifo_consumer *c, size_t need,
				   int timeout)
{
	return vfifo_map_wait(&c->map, false, need, timeout);
}

#endif /* VFIFO_MAP_H */
