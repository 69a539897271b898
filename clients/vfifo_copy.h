/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers */
/*
 * Use an end of a vfifo with a copy: one call in place of waiting, reserving, storing and
 * committing, or of waiting, looking, loading and releasing. There is no system call as
 * long as the other end keeps up. The ends are those of vfifo_map.h, and what it says about
 * them and about errors holds here as well.
 *
 *	struct vfifo_producer p;
 *	int err;
 *
 *	err = vfifo_producer_open(&p, "/dev/vfifo0");
 *	if (!err)
 *		err = vfifo_producer_put(&p, "hello\n", 6, -1);
 *	vfifo_producer_close(&p);
 *
 *	struct vfifo_consumer c;
 *	char buf[4096];
 *	ssize_t n;
 *
 *	n = vfifo_consumer_open(&c, "/dev/vfifo0");
 *	while (n >= 0) {
 *		n = vfifo_consumer_take(&c, buf, sizeof(buf), -1);
 *		...if n > 0, use buf[0]...buf[n - 1]...
 *	}
 *	vfifo_consumer_close(&c);
 *
 * Use vfifo_producer_put() and vfifo_consumer_take() if the device's attribute "framing" is
 * "stream", and vfifo_producer_put_record() and vfifo_consumer_take_record() if it is
 * "record"; the wrong ones return -EOPNOTSUPP. Each is for both values of "overwrite". With
 * 1, a producer never waits, and need not be told that all readers have gone:
 * vfifo_producer_check_readers() asks.
 *
 * Nobody can change a copy, so it can be checked and then used.
 *
 * @timeout is in milliseconds: a negative one is forever, and with 0 the function does not
 * sleep. It returns -EAGAIN if nothing could be copied, or -ENODATA or -EPIPE at the end.
 *
 * These functions can be combined with those that work in place. A reservation is replaced
 * by a put, and what was looked at by a take.
 */
#ifndef VFIFO_COPY_H
#define VFIFO_COPY_H

#include "vfifo_overwrite.h"

/* ---- the producer ---- */

/*
 * Queue @len bytes: all of them at once, or none. -EAGAIN, -EPIPE: there was not enough
 * room in time, or there will be none. -EINVAL: @len is more than the capacity. Otherwise
 * as vfifo_producer_wait() and vfifo_producer_commit().
 */
static inline int vfifo_producer_put(struct vfifo_producer *p, const void *from, size_t len,
				     int timeout)
{
	void *to = NULL;
	int err;

	if (p->map.kind & VFIFO_OVERWRITE) {
		err = vfifo_producer_overwrite(p, len, &to);
	} else {
		err = vfifo_producer_wait(p, len, timeout);
		if (!err)
			to = vfifo_producer_reserve(p, len);
	}
	if (err || !len)
		return err;
	memcpy(to, from, len);
	return vfifo_producer_commit(p, len);
}

/*
 * Queue a record of @len bytes. -EMSGSIZE: @len is 0, or more than
 * vfifo_producer_largest_record(). Otherwise as vfifo_producer_put().
 */
static inline int vfifo_producer_put_record(struct vfifo_producer *p, const void *from,
					    size_t len, int timeout)
{
	void *to = NULL;
	int err;

	if (p->map.kind & VFIFO_OVERWRITE) {
		err = vfifo_producer_overwrite_record(p, len, &to);
	} else {
		err = vfifo_producer_wait_record(p, len, timeout);
		if (!err)
			to = vfifo_producer_reserve_record(p, len);
	}
	if (err)
		return err;
	memcpy(to, from, len);
	return vfifo_producer_commit_record(p, len);
}

/* ---- the consumer, while the producer overwrites ---- */

/* A copy of a record, or else of bytes, at most @size. Returns the length, or an error. */
static inline ssize_t vfifo_copy_intact(struct vfifo_map *map, void *to, size_t size)
{
	bool records = map->kind & VFIFO_RECORDS;
	struct vfifo_glance g;
	int err, i;

	map->defeats = 0;
	for (i = 0; i < VFIFO_TRIES; i++) {
		err = records ? vfifo_overwrite_try_record(map, &g) :
				vfifo_overwrite_try(map, size, &g);
		if (!err && g.len > size)
			err = -EMSGSIZE;
		if (!err) {
			/* The race with the producer is intended. */
			vfifo_map_copy(to, g.unconfirmed, g.len);
			err = vfifo_overwrite_release(map, map->window);
		}
		if (err != -ESTALE)
			break;
	}
	return err ? err : (ssize_t)g.len;
}

/* The same, but waits until there is something. */
static inline ssize_t vfifo_copy_wait(struct vfifo_consumer *c, void *to, size_t size,
				      int timeout)
{
	__s64 until = timeout > 0 ? vfifo_map_now() + timeout : 0, left = timeout;
	ssize_t ret;
	int err;

	for (;;) {
		ret = vfifo_copy_intact(&c->map, to, size);
		if (ret != -EAGAIN)
			return ret;
		if (timeout > 0) {
			left = until - vfifo_map_now();
			left = left > 0 ? left : 0;
		}
		err = vfifo_consumer_wait_look(c, left);
		if (err)
			return err;
		/* It may be gone again: see vfifo_consumer_wait_look(). */
		if (!left)
			return vfifo_copy_intact(&c->map, to, size);
	}
}

/* ---- the consumer ---- */

/*
 * Copy the oldest queued bytes to @to, at most @most of them, and release them. Waits until
 * there is at least one. Returns their number; 0 only if @most is 0. -EAGAIN, -ENODATA:
 * there were none in time, or there will be none. -ESTALE: the producer has overwritten
 * them during each of several attempts, so nothing was taken; try again. Otherwise as
 * vfifo_consumer_wait() and vfifo_consumer_release(). After an error, the contents of @to
 * are undefined.
 */
static inline ssize_t vfifo_consumer_take(struct vfifo_consumer *c, void *to, size_t most,
					  int timeout)
{
	struct vfifo_map *map = &c->map;
	const void *from;
	size_t len;
	int err;

	err = vfifo_map_check(map, map->kind & VFIFO_OVERWRITE);
	if (err || !most)
		return err;
	if (map->kind)
		return vfifo_copy_wait(c, to, most, timeout);
	err = vfifo_consumer_wait(c, 1, timeout);
	if (err)
		return err;
	from = vfifo_consumer_peek(c, &len);
	if (len > most)
		len = most;
	vfifo_map_copy(to, from, len);
	err = vfifo_consumer_release(c, len);
	map->granted = 0;
	return err ? err : (ssize_t)len;
}

/*
 * Copy the next record to @to, and release it. Waits until there is one. Returns its
 * length. -EMSGSIZE: it is longer than @size, and stays queued; vfifo_consumer_next_record()
 * or vfifo_consumer_look_record() tells its length. Otherwise as vfifo_consumer_take().
 *
 * The next record is the one after those that were looked at by
 * vfifo_consumer_next_record(). They are released with it.
 */
static inline ssize_t vfifo_consumer_take_record(struct vfifo_consumer *c, void *to,
						 size_t size, int timeout)
{
	struct vfifo_map *map = &c->map;
	struct vfifo_view r;
	__u64 before;
	int err;

	err = vfifo_map_check(map, VFIFO_RECORDS | (map->kind & VFIFO_OVERWRITE));
	if (err)
		return err;
	if (map->kind & VFIFO_OVERWRITE)
		return vfifo_copy_wait(c, to, size, timeout);
	before = map->record;
	err = vfifo_consumer_next_record(c, &r);
	if (err == -EAGAIN) {
		err = vfifo_consumer_wait_record(c, timeout);
		if (!err)
			err = vfifo_consumer_next_record(c, &r);
	}
	if (err)
		return err;
	if (r.len > size) {
		map->record = before;
		return -EMSGSIZE;
	}
	vfifo_map_copy(to, r.data, r.len);
	err = vfifo_consumer_release_record(c, &r);
	return err ? err : (ssize_t)r.len;
}

#endif /* VFIFO_COPY_H */
