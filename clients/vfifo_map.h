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
 *		err = vfifo_producer_wait(&p, 100, -1);	// sleeps if necessary
 *		if (err)
 *			break;
 *		to = vfifo_producer_reserve(&p, 100);
 *		...store to[0]...to[99], in any order...
 *		err = vfifo_producer_commit(&p, 100);	// now they are queued
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
 *		err = vfifo_consumer_wait(&c, 1, -1);
 *		if (err)
 *			break;
 *		from = vfifo_consumer_peek(&c, &len);
 *		...use from[0]...from[len - 1], as long as you like...
 *		err = vfifo_consumer_release(&c, len);	// now they are gone
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
 * Nothing here trusts the other end: whatever it does, the pointers point into the
 * buffer. But any process that has the device open for reading and writing can store to
 * the buffer at any time, so check untrusted data after copying it.
 *
 * The headers, and the kinds of devices that they are for:
 *
 *  this file		both ends of any device: opening, closing, and the accessors.
 *			Bytes in place, for a device with the attributes "framing"
 *			"stream" and "overwrite" 0
 *  vfifo_records.h	records in place: "framing" is "record"
 *  vfifo_overwrite.h	bytes and records in place, when "overwrite" is 1
 *  vfifo_copy.h	bytes and records with a copy, for every kind of device
 *
 * A function of a producer is called vfifo_producer_*(), and one of a consumer
 * vfifo_consumer_*(). All other names that begin with vfifo_ or VFIFO_, and are neither in
 * <linux/vfifo.h> nor documented here, are private.
 *
 * Functions return 0, or a number of bytes, or a negative error number. Those that return
 * a pointer return NULL, and store the error number in errno. It is the same in all
 * headers, and also in the Rust crate:
 *
 *  EAGAIN	nothing yet: fewer bytes are queued, or there is less room, than was asked
 *		for. If there is a timeout, it has expired
 *  ENODATA	ended, for a consumer: all writers have gone, and there is no more to
 *		wait for
 *  EPIPE	ended, for a producer: all readers have gone
 *  ESTALE	overtaken: the producer has overwritten what was looked at; see
 *		vfifo_overwrite.h
 *  EIO		error state: the position of the other end, or the header of a record, is
 *		impossible, or the kernel has found one that was
 *  EMSGSIZE	no record can have this length, or the record is longer than the buffer
 *		for it; see vfifo_records.h
 *  EINVAL	more than the capacity was asked for, or more than what was reserved or
 *		peeked at. Nothing was done
 *  EOPNOTSUPP	the function is for another kind of device. Nothing was done
 *  EBADF	the struct is not open
 *  EINTR	a signal handler ran during a wait
 *  EBUSY	the end has an owner already
 *  ENOTTY	the file is not a vfifo
 *
 * Other numbers are those of a system call that has failed.
 *
 * If the device's attribute "hangup" is 1, or the device has been removed, the stream
 * ends as that of a pipe does.
 * Waiting then fails with -ENODATA for a consumer whose writers have all gone, unless
 * enough bytes are queued, and with -EPIPE for a producer whose readers have all gone,
 * unless there is enough room. It does not fail if nobody was ever there, unless the
 * device has been removed. A new writer or reader continues the stream, and waiting
 * works again.
 *
 * Wrong arguments are refused, and change nothing:
 *
 *  - Committing more than is reserved, or releasing more than was peeked at, is
 *    -EINVAL. Reserved bytes may be committed in several calls, but no more than
 *    that in total. The same applies to releasing. Only the last successful
 *    vfifo_producer_reserve() or vfifo_consumer_peek() counts.
 *  - Reserving or waiting for more than the capacity is EINVAL.
 *  - A length of zero is always allowed, and does nothing.
 *  - A path that is NULL is -EFAULT, a descriptor that is not open -EBADF.
 *  - A struct that is closed, whose open failed, or that is all zero is not open: the
 *    error is EBADF, its capacity is 0, and closing it does nothing. The pointer to the
 *    struct itself must be valid.
 *
 * A struct must be used by one thread at a time. A program may own both ends, by
 * opening one of each. Neither the end nor any mapping is inherited by fork(2): do not
 * use the struct in the child. The descriptor is inherited, and keeps the file open
 * until the child closes it, even if the parent has exited. The file then has no end
 * any more, and counts as a reader and a writer, so others do not see the stream end.
 *
 * In your own event loop, poll vfifo_producer_fd() for POLLOUT or vfifo_consumer_fd() for
 * POLLIN. They report room for one byte (with records, for the smallest one), or one byte,
 * and the kernel then does everything that waiting takes. At the end they report POLLERR
 * or POLLHUP; waiting with a timeout of 0 then returns the reason. To wait for more, use
 * epoll with EPOLLET; otherwise the loop would spin as long as there is one byte. With
 * EPOLLET, wait with a timeout of 0 before the loop sleeps: if this consumer has met no
 * writer before, it is at its end as soon as it has released a byte, and that makes no
 * event.
 *
 * This file is valid C++11, and valid C11 with the functions of POSIX.1-2008 (gcc's
 * default; with -std=c11, use -D_POSIX_C_SOURCE=200809L). On a 32-bit machine,
 * compile with -D_FILE_OFFSET_BITS=64. For C++17 there is also vfifo.hpp.
 */
#ifndef VFIFO_MAP_H
#define VFIFO_MAP_H

#include "vfifo_end.h"

/* The fields are private. */
struct vfifo_producer {
	struct vfifo_map map;
};

struct vfifo_consumer {
	struct vfifo_map map;
};

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

/* The descriptor of the device, for poll(2) and ioctl(2), or -EBADF. Do not close it. */
static inline int vfifo_producer_fd(const struct vfifo_producer *p)
{
	return vfifo_map_fd(&p->map);
}

/*
 * The capacity in bytes, or 0 if the end is not open. It stays as it is while the end is
 * open.
 */
static inline size_t vfifo_producer_capacity(const struct vfifo_producer *p)
{
	return p->map.capacity;
}

/*
 * The kind of the device: 0, VFIFO_RECORDS, VFIFO_OVERWRITE, or both of them ORed. It
 * stays as it is while the end is open. -EBADF: it is not open.
 */
static inline int vfifo_producer_kind(const struct vfifo_producer *p)
{
	return vfifo_map_kind(&p->map);
}

/*
 * The number of bytes that are queued now, as the attribute "size" tells it. Those of a
 * record include its header. -EIO: see above. This makes no system call, and changes
 * nothing: what was reserved stays.
 */
static inline ssize_t vfifo_producer_queued(const struct vfifo_producer *p)
{
	return vfifo_map_queued(&p->map, true);
}

/* vfifo_producer_reserve(), if there is less room than it knows of, or something is wrong. */
static VFIFO_APART int vfifo_map_find_room(struct vfifo_map *map, size_t len)
{
	int err = vfifo_map_check(map, 0);
	size_t room;

	if (err || !len)
		return err;
	if (len > map->capacity)
		return -EINVAL;
	err = vfifo_map_look(map, true, len, &room);
	if (!err && len > room)
		err = -EAGAIN;
	return err;
}

/*
 * Reserve room for the next @len bytes. Returns the place to store them, or NULL if
 * they do not fit now; vfifo_producer_wait() waits until they do, or fails if they never
 * will. Nobody reads the bytes before they are committed. To reserve more or fewer,
 * call this again: it returns the same place, and the new @len counts. If it returns
 * NULL, the earlier reservation stays. errno is EAGAIN if there is less room, otherwise
 * see above.
 */
static inline void *vfifo_producer_reserve(struct vfifo_producer *p, size_t len)
{
	struct vfifo_map *map = &p->map;
	const __u64 room = map->capacity - (map->position - map->seen);
	int err;

	/*
	 * One comparison for three cases: if @len is 0, this is the largest number, and if
	 * the end is not open, there is no room.
	 */
	if (map->kind || (__u64)len - 1 >= room) {
		err = vfifo_map_find_room(map, len);
		if (err)
			return vfifo_map_null(err);
	}
	map->granted = len;
	return vfifo_map_at(map, map->position);
}

/* The number of bytes that can be reserved now, or an error: see above. */
static inline ssize_t vfifo_producer_room(struct vfifo_producer *p)
{
	int err = vfifo_map_check(&p->map, 0);
	size_t room;

	if (!err)
		err = vfifo_map_look(&p->map, true, SIZE_MAX, &room);
	return err ? err : (ssize_t)room;
}

/*
 * Queue the first @len of the reserved bytes, and wake the consumer if it sleeps. The
 * others stay reserved. -EINVAL: fewer are reserved, and nothing was done. Other
 * errors come from VFIFO_NOTIFY: the bytes are queued, but the consumer was not
 * woken. This is also for bytes that vfifo_producer_overwrite() has reserved.
 */
static inline int vfifo_producer_commit(struct vfifo_producer *p, size_t len)
{
	return vfifo_map_give(&p->map, p->map.kind & VFIFO_OVERWRITE, len);
}

/*
 * Wait until @need bytes can be reserved, for at most @timeout milliseconds: forever
 * if it is negative, not at all if it is 0. This reserves nothing, and an earlier
 * reservation stays. -EAGAIN: there is less room. -EPIPE: there is less room, and
 * all readers have gone. -EINVAL: @need is more than the capacity. -EINTR: a signal
 * handler ran, and @timeout is not 0. -EIO: see above.
 *
 * As long as there is room, the readers are not asked for; poll the descriptor for
 * POLLERR to learn at once that they have gone. If there is not, a timeout of 0 makes
 * system calls, none of which is interrupted by a signal. vfifo_producer_reserve() and
 * vfifo_producer_room() never make any.
 *
 * A consumer that waits for more bytes leaves those that are queued, while the
 * producer may wait for room. So the numbers of bytes for which both ends wait must
 * not add up to more than capacity + 1, or both may wait forever. A write(2) waits for
 * room for all of its bytes, or for PIPE_BUF if it has more.
 */
static inline int vfifo_producer_wait(struct vfifo_producer *p, size_t need,
				      int timeout)
{
	return vfifo_map_wait(&p->map, 0, vfifo_map_look_room, need, timeout);
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

/* The descriptor of the device, or -EBADF. See vfifo_producer_fd(). */
static inline int vfifo_consumer_fd(const struct vfifo_consumer *c)
{
	return vfifo_map_fd(&c->map);
}

/* The capacity in bytes, or 0. See vfifo_producer_capacity(). */
static inline size_t vfifo_consumer_capacity(const struct vfifo_consumer *c)
{
	return c->map.capacity;
}

/* The kind of the device, or -EBADF. See vfifo_producer_kind(). */
static inline int vfifo_consumer_kind(const struct vfifo_consumer *c)
{
	return vfifo_map_kind(&c->map);
}

/*
 * The number of bytes that are queued now, or an error. See vfifo_producer_queued(). What
 * was looked at and not released is still queued.
 */
static inline ssize_t vfifo_consumer_queued(const struct vfifo_consumer *c)
{
	return vfifo_map_queued(&c->map, false);
}

/*
 * Returns the place of the oldest queued bytes, and stores their number in *@len if
 * @len is not NULL. More bytes may have arrived than this knows of; but it knows of as
 * many as vfifo_consumer_wait() has waited for. If no bytes are queued, or after an
 * error, returns NULL and stores 0. errno is EAGAIN if no bytes are queued, even at the
 * end, since this makes no system call; vfifo_consumer_wait() tells that there will be
 * no more.
 */
static inline const void *vfifo_consumer_peek(struct vfifo_consumer *c, size_t *len)
{
	struct vfifo_map *map = &c->map;
	int err = vfifo_map_check_kind(map, 0);
	size_t n;

	if (len)
		*len = 0;
	if (err)
		return vfifo_map_null(err);
	err = vfifo_map_look(map, false, 1, &n);
	if (err)
		return vfifo_map_null(err);
	if (!n)
		return vfifo_map_null(-EAGAIN);
	if (len)
		*len = n;
	map->granted = n;
	return vfifo_map_at(map, map->position);
}

/*
 * Give back the room of the first @len of these bytes, and wake the producer if it
 * sleeps. The other bytes can still be used. -EINVAL: the last vfifo_consumer_peek()
 * returned fewer, and nothing was done. Other errors come from VFIFO_NOTIFY: the room is
 * given back, but the producer was not woken.
 */
static inline int vfifo_consumer_release(struct vfifo_consumer *c, size_t len)
{
	return vfifo_map_give(&c->map, 0, len);
}

/*
 * Wait until @need bytes are queued. See vfifo_producer_wait(). -ENODATA: fewer are, and
 * all writers have gone. vfifo_consumer_peek() still returns those that are queued.
 */
static inline int vfifo_consumer_wait(struct vfifo_consumer *c, size_t need,
				      int timeout)
{
	return vfifo_map_wait(&c->map, 0, vfifo_map_look_bytes, need, timeout);
}

#endif /* VFIFO_MAP_H */
