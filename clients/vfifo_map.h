/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Being an end of a vfifo by loads and stores: without a copy, and without a
 * system call while the other end keeps up.
 *
 * To produce:
 *
 *	struct vfifo_producer p;
 *	char *to;
 *	int err;
 *
 *	err = vfifo_producer_open(&p, "/dev/vfifo0");
 *	while (!err) {
 *		err = vfifo_wait_room(&p, 100, -1);	// sleeps if it has to
 *		if (err)
 *			break;
 *		to = vfifo_reserve(&p, 100);
 *		...store to[0]...to[99], in whatever order...
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
 * What is reserved or peeked at is always one piece, also where it wraps around
 * the end of the buffer. The other end may be another program like this, or one
 * that knows nothing of all this and calls read(2) or write(2).
 *
 * An end has one owner: opening it gets -EBUSY while another has it, and plain
 * calls for that end get EBUSY as well. It is given back by closing, exec, exit
 * and death. What was committed then stays queued, what was not never was; what
 * was not released is there for the next consumer.
 *
 * All functions return 0 or a negative error number, except where they return a
 * pointer or a number of bytes. -EIO means that the other end shows an impossible
 * position, or that the kernel found one. Nothing here trusts the other end any
 * further: whatever it does, the pointers point into the buffer. But anyone who has
 * the device open for reading and writing can also store to the buffer at any
 * time, so check untrusted data after you have copied it.
 *
 * Wrong arguments are refused, and then nothing has changed:
 *
 *  - committing more than is reserved, or releasing more than was peeked at, is
 *    -EINVAL. What is reserved may be committed in several calls, which together
 *    commit no more than that; releasing is the same. Only the last successful
 *    vfifo_reserve() or vfifo_peek() counts;
 *  - reserving more than there is room for is NULL, waiting for more than the
 *    capacity -EINVAL;
 *  - a length of zero is allowed everywhere, and does nothing;
 *  - a path that is NULL is -EFAULT, a descriptor that is not open -EBADF;
 *  - a struct that is closed, whose open failed, or that is all zero gets -EBADF
 *    from everything but closing, which does nothing then, and NULL from
 *    vfifo_reserve() and vfifo_peek(). The pointer to the struct itself must be
 *    valid.
 *
 * A struct is for one thread at a time. A program may have both ends: it opens
 * one of each. They are not inherited by fork(2): in the child, do nothing with
 * the struct.
 *
 * With an event loop of your own, poll p.map.fd for POLLOUT or c.map.fd for
 * POLLIN: they say that there is room for a byte, or one, and the kernel then
 * does all that waiting takes. For more than one use epoll with EPOLLET, or be
 * told at once, again and again, that there is one.
 *
 * The file is good C++11, and good C11 with the functions of POSIX.1-2008 (as with
 * gcc by default; for -std=c11, -D_POSIX_C_SOURCE=200809L). On a 32-bit machine,
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

/* How often to look at the other end before going to sleep. */
#ifndef VFIFO_SPIN
#define VFIFO_SPIN	200
#endif

#if __GCC_ATOMIC_LLONG_LOCK_FREE != 2
#error "positions need 64-bit loads and stores that are atomic"
#endif

static_assert(sizeof(off_t) == 8, "compile with -D_FILE_OFFSET_BITS=64");

/* What both kinds of end have. For use by the functions here, but for fd. */
struct vfifo_map {
	struct vfifo_end *own;		/* the page of this end */
	const struct vfifo_end *peer;	/* the other one's, read-only */
	unsigned char *data;		/* the buffer, twice in a row */
	__u64 position;			/* of this end; *own is for others */
	__u64 seen;			/* the other one's, when last looked at */
	__u64 granted;			/* reserved or peeked at, and not given away */
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

/* ---- below the ends ---- */

static inline __u64 vfifo_map_load(const struct vfifo_end *end)
{
	return __atomic_load_n(&end->position, __ATOMIC_ACQUIRE);
}

/*
 * Stores in *@known how many bytes are free (for a producer) or queued (for a
 * consumer): 0, -EIO or -EBADF. Looks at the other
 * end only if it knew of fewer than @enough: its position is in a cache line that
 * the other CPU writes to.
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
	/* Its position only grows, and never past what there is for it. */
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

/* Moves this end on, and wakes who waits for that. */
static inline int vfifo_map_publish(struct vfifo_map *map, size_t len)
{
	map->position += len;
	__atomic_store_n(&map->own->position, map->position, __ATOMIC_RELEASE);
	/*
	 * Pairs with the fence of an end that is about to sleep: either that
	 * sees the position, or this sees that it waits.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&map->peer->waiting, __ATOMIC_RELAXED))
		return 0;
	return ioctl(map->fd, VFIFO_NOTIFY) ? -errno : 0;
}

/* Commits or releases @len bytes of those that are granted. */
static inline int vfifo_map_give(struct vfifo_map *map, size_t len)
{
	/* One comparison for both: zero is the largest number here. */
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

/* While spinning: leave the other hardware thread more of the core. */
static inline void vfifo_map_relax(void)
{
#ifdef __has_builtin
#if __has_builtin(__builtin_ia32_pause)
	__builtin_ia32_pause();
#endif
#endif
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/*
 * Sleeps until something has happened at the other end, by a poll for edges: one
 * for levels would come back at once as long as there is anything, even if it is
 * less than is waited for.
 */
static inline int vfifo_map_sleep(struct vfifo_map *map, int timeout)
{
	struct epoll_event event;
	struct pollfd edge;
	int ret;

	/* Unlike epoll_wait(2), it sleeps on after a SIGCONT, or a suspend. */
	edge.fd = map->epoll;
	edge.events = POLLIN;
	if (poll(&edge, 1, timeout) < 0)
		return -errno;
	ret = epoll_wait(map->epoll, &event, 1, 0);
	if (ret < 0)
		return -errno;
	return ret > 0 && (event.events & EPOLLERR) ? -EIO : 0;
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
	if (!timeout)
		return -ETIMEDOUT;

	if (timeout > 0)
		until = vfifo_map_now() + timeout;
	for (;;) {
		__atomic_store_n(&map->own->waiting, 1, __ATOMIC_RELAXED);
		/* See vfifo_map_publish(). Only the look after it counts. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		err = vfifo_map_look(map, producer, need, &known);
		if (err || known >= need)
			break;
		if (timeout > 0) {
			left = until - vfifo_map_now();
			if (left <= 0) {
				err = -ETIMEDOUT;
				break;
			}
		}
		err = vfifo_map_sleep(map, left);
		if (err)
			break;
	}
	/*
	 * It still says that it waits, which is for VFIFO_NOTIFY to end: others
	 * may poll for this end, an event loop of the owner's among them. The
	 * price is a call in vain by the other end, if there are none.
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
	/* The end is given back first. */
	if (map->own)
		munmap(map->own, map->page);
	if (map->peer)
		munmap((void *)map->peer, map->page);
	if (map->data)
		munmap(map->data, 2 * map->capacity);
	/* In a struct that is all zero, 0 is not a descriptor of ours. */
	if (map->own && map->epoll >= 0)
		close(map->epoll);
	if (map->close_fd)
		close(map->fd);
	vfifo_map_init(map);
}

static inline void *vfifo_map_pages(int fd, int prot, size_t len, __u64 offset)
{
	void *pages = mmap(NULL, len, prot, MAP_SHARED, fd, offset);

	return pages == MAP_FAILED ? NULL : pages;
}

/* An older kernel fills fewer bytes than the header declares; these are needed. */
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

/* With errno as the failed call left it. */
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
	/* This is what claims the end. */
	map->own = (struct vfifo_end *)vfifo_map_pages(map->fd, rw, map->page,
			producer ? info.producer_offset : info.consumer_offset);
	if (!map->own)
		return false;
	map->peer = (const struct vfifo_end *)vfifo_map_pages(map->fd,
			PROT_READ, map->page,
			producer ? info.consumer_offset : info.producer_offset);
	if (!map->peer)
		return false;

	/* While anything is mapped, the capacity stays what it is: now. */
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

	/* As if the other end had done nothing yet: then it is looked at. */
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

/* With @close_fd, @fd is ours to close, also if this fails. */
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
 * Become the producer of the device at @path. -EBUSY: another process is. -EACCES:
 * the device may not be opened for reading and writing. -ENOTTY: it is not a
 * vfifo. -EFAULT: @path is NULL. Otherwise an error of open(2) or mmap(2).
 */
static inline int vfifo_producer_open(struct vfifo_producer *p,
				      const char *path)
{
	return vfifo_map_open(&p->map, true, path);
}

/*
 * The same by a descriptor, open for reading and writing, which stays yours: close
 * it later. -EACCES: it is not open for both. -EBADF: it is not open.
 */
static inline int vfifo_producer_open_fd(struct vfifo_producer *p, int fd)
{
	return vfifo_map_open_fd(&p->map, true, fd, false);
}

/*
 * Give the end back. All that was committed stays queued, what is reserved is
 * forgotten. Closing twice does nothing the second time.
 */
static inline void vfifo_producer_close(struct vfifo_producer *p)
{
	vfifo_map_close(&p->map);
}

/*
 * Where the next @len bytes go, or NULL if they don't fit now; vfifo_wait_room()
 * waits for that, and says if it never happens. Nobody reads them before they are
 * committed. Call it again to have more, or fewer: it gives the same place, and
 * @len is what is reserved from then on. If it returns NULL, what was reserved
 * before still is.
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

/* How many bytes can be reserved now, at least. -EIO: see above. */
static inline ssize_t vfifo_room(struct vfifo_producer *p)
{
	size_t room;
	int err = vfifo_map_look(&p->map, true, SIZE_MAX, &room);

	return err ? err : (ssize_t)room;
}

/*
 * Queue the first @len of the reserved bytes, and wake the consumer if it sleeps.
 * The others stay reserved. -EINVAL: fewer are reserved; nothing was done. Other
 * errors are those of VFIFO_NOTIFY: the bytes are queued, but the consumer was not
 * woken.
 */
static inline int vfifo_commit(struct vfifo_producer *p, size_t len)
{
	return vfifo_map_give(&p->map, len);
}

/*
 * Wait until @need bytes can be reserved: up to @timeout milliseconds, for ever
 * if that is negative, whichever number it is, not at all if it's 0. -ETIMEDOUT:
 * there is less. -EINVAL: @need is more than the capacity. -EINTR: a signal handler
 * ran. -EIO: see above. It reserves nothing, and what is reserved stays so.
 *
 * Who waits for many bytes leaves those that are there, and so may wait for ever for
 * one who waits for room: what both wait for should be at most capacity + 1 together.
 * A write(2) waits for room for all of its bytes, or for PIPE_BUF if it has more.
 */
static inline int vfifo_wait_room(struct vfifo_producer *p, size_t need,
				  int timeout)
{
	return vfifo_map_wait(&p->map, true, need, timeout);
}

/* ---- the consumer ---- */

/* Become the consumer of the device at @path. As vfifo_producer_open(). */
static inline int vfifo_consumer_open(struct vfifo_consumer *c,
				      const char *path)
{
	return vfifo_map_open(&c->map, false, path);
}

/* The same by a descriptor. As vfifo_producer_open_fd(). */
static inline int vfifo_consumer_open_fd(struct vfifo_consumer *c, int fd)
{
	return vfifo_map_open_fd(&c->map, false, fd, false);
}

/*
 * Give the end back. What was not released stays queued. Closing twice does nothing
 * the second time.
 */
static inline void vfifo_consumer_close(struct vfifo_consumer *c)
{
	vfifo_map_close(&c->map);
}

/*
 * Where the oldest queued bytes are, and in *@len, if @len is not NULL, how many of
 * them there are, at least. NULL and 0 if there is none; vfifo_wait_bytes() waits
 * for some, and says if it never happens. After that has waited for a number, there
 * are as many.
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
 * Give the room of the first @len of them back, and wake the producer if it sleeps.
 * The others stay peeked at. -EINVAL: the last vfifo_peek() did not show so many;
 * nothing was done. Other errors are those of VFIFO_NOTIFY: the room is given back,
 * but the producer was not woken.
 */
static inline int vfifo_release(struct vfifo_consumer *c, size_t len)
{
	return vfifo_map_give(&c->map, len);
}

/* Wait until @need bytes are queued. Otherwise as vfifo_wait_room(). */
static inline int vfifo_wait_bytes(struct vfifo_consumer *c, size_t need,
				   int timeout)
{
	return vfifo_map_wait(&c->map, false, need, timeout);
}

#endif /* VFIFO_MAP_H */
