/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers */
/*
 * Use an end of a vfifo with records by loads and stores: the device's attribute
 * "framing" is "record". One commit queues one record, as one write(2) does. The ends
 * are those of vfifo_map.h, and what it says about them holds here as well.
 *
 * To produce:
 *
 *	struct vfifo_producer p;
 *	char *to;
 *	int err;
 *
 *	err = vfifo_producer_open(&p, "/dev/vfifo0");
 *	while (!err) {
 *		err = vfifo_producer_wait_record(&p, 100, -1);
 *		if (err)
 *			break;
 *		to = vfifo_producer_reserve_record(&p, 100);
 *		...store to[0]...to[len - 1], in any order...
 *		err = vfifo_producer_commit_record(&p, len);	// now it is queued
 *	}
 *	vfifo_producer_close(&p);
 *
 * To consume:
 *
 *	struct vfifo_consumer c;
 *	struct vfifo_view r;
 *
 *	err = vfifo_consumer_open(&c, "/dev/vfifo0");
 *	while (!err) {
 *		err = vfifo_consumer_wait_record(&c, -1);
 *		if (err)
 *			break;
 *		while (!(err = vfifo_consumer_next_record(&c, &r)))
 *			...use r.len bytes at r.data, as long as you like...
 *		if (err == -EAGAIN)			// these were all
 *			err = vfifo_consumer_release_records(&c);
 *	}
 *	vfifo_consumer_close(&c);
 *
 * A record has from 1 byte to as many as vfifo_producer_largest_record() returns. It is
 * always in one piece, and begins at a multiple of 8 bytes.
 *
 * The errors are those of vfifo_map.h. In particular:
 *
 *  EAGAIN	there is no record that was not looked at; vfifo_consumer_wait_record()
 *		waits for the next one, or returns the reason why there will be none
 *  EMSGSIZE	no record can have this length
 *  EIO		also: the header of a record is impossible
 *  EOPNOTSUPP	the device has no records, or its producer overwrites the oldest ones;
 *		for those see vfifo_overwrite.h
 *
 * Headers are in memory that other processes can store to, as payloads are. So each one
 * is loaded once, and checked before it is used. With an impossible one, the records
 * after it cannot be found any more. When the consumer's end has been closed, the
 * kernel drops them.
 */
#ifndef VFIFO_RECORDS_H
#define VFIFO_RECORDS_H

#include "vfifo_map.h"

/* A record in the buffer. It stays there until it is released. */
struct vfifo_view {
	const void *data;	/* the payload */
	size_t len;		/* its length */
	__u64 end;		/* private: the position after it */
};

/* ---- common to both ends ---- */

static_assert(sizeof(struct vfifo_record) == sizeof(__u64),
	      "a header is loaded and stored as one __u64");

/* The number of bytes that a record with a payload of @len bytes takes. */
static inline __u64 vfifo_record_size(__u64 len)
{
	const __u64 align = sizeof(struct vfifo_record);

	return sizeof(struct vfifo_record) + ((len + align - 1) & ~(align - 1));
}

/*
 * Loads the header at @position, where records up to @end follow, and stores its length
 * in *@len. -EIO: it is impossible. @end - @position is at most the capacity.
 */
static inline int vfifo_record_load(const struct vfifo_map *map, __u64 position,
				    __u64 end, size_t *len)
{
	struct vfifo_record header;
	__u64 raw;

	/* Also keeps the load aligned. */
	if (vfifo_map_unaligned(map, position | end))
		return -EIO;
	raw = __atomic_load_n((const __u64 *)vfifo_map_at(map, position),
			      __ATOMIC_RELAXED);
	memcpy(&header, &raw, sizeof(header));
	if (!header.len || header.flags ||
	    vfifo_record_size(header.len) > end - position)
		return -EIO;
	*len = header.len;
	return 0;
}

/* 0: the end is not open, or the device has no records. */
static inline size_t vfifo_record_largest(const struct vfifo_map *map)
{
	__u64 len;

	if (!(map->kind & VFIFO_RECORDS))
		return 0;
	len = map->capacity - sizeof(struct vfifo_record);
	return len < UINT32_MAX ? len : UINT32_MAX;
}

/* Returns 0 or -EMSGSIZE. */
static inline int vfifo_record_fits(const struct vfifo_map *map, size_t len)
{
	return len && len <= vfifo_record_largest(map) ? 0 : -EMSGSIZE;
}

/* ---- the producer ---- */

/*
 * The length of the largest record that the device can have. 0: the end is not open, or
 * the device has no records.
 */
static inline size_t vfifo_producer_largest_record(const struct vfifo_producer *p)
{
	return vfifo_record_largest(&p->map);
}

/*
 * Reserve room for a record of up to @len bytes. Returns the place to store its
 * payload, or NULL if it does not fit now; vfifo_producer_wait_record() waits until it
 * does, or fails if it never will. Nobody reads it before it is committed. To reserve
 * more or fewer bytes, call this again: it returns the same place, and the new @len
 * counts. If it returns NULL, the earlier reservation stays. errno is EAGAIN if there
 * is less room, otherwise see above.
 */
static inline void *vfifo_producer_reserve_record(struct vfifo_producer *p, size_t len)
{
	struct vfifo_map *map = &p->map;
	int err = vfifo_map_check(map, VFIFO_RECORDS);
	size_t room, size = vfifo_record_size(len);

	if (!err)
		err = vfifo_record_fits(map, len);
	/* Loads "tail" with acquire, which pairs with the release of the consumer. */
	if (!err)
		err = vfifo_map_look(map, true, size, &room);
	if (!err && room < size)
		err = -EAGAIN;
	if (err)
		return vfifo_map_null(err);
	map->record = len;
	return vfifo_map_at(map, map->position) + sizeof(struct vfifo_record);
}

/*
 * The length of the largest record that can be reserved now, 0 if there is no room for
 * any, or an error: -EIO, -EBADF or -EOPNOTSUPP.
 */
static inline ssize_t vfifo_producer_record_room(struct vfifo_producer *p)
{
	int err = vfifo_map_check(&p->map, VFIFO_RECORDS);
	size_t room, largest = vfifo_producer_largest_record(p);

	if (!err)
		err = vfifo_map_look(&p->map, true, SIZE_MAX, &room);
	if (err)
		return err;
	if (room <= sizeof(struct vfifo_record))
		return 0;
	room -= sizeof(struct vfifo_record);
	return room < largest ? room : largest;
}

/*
 * Queue the reserved record with the first @len bytes of its payload, and wake the
 * consumer if it sleeps. The rest of the reservation is given up. -EINVAL: @len is 0,
 * or more than was reserved; nothing was done, and the reservation stays. -EBADF,
 * -EOPNOTSUPP: see above. Other errors come from VFIFO_NOTIFY: the record is queued,
 * but the consumer was not woken. This is also for records that
 * vfifo_producer_overwrite_record() has reserved.
 *
 * The header and the payload are stored before "head". That is a release, which pairs
 * with the acquire of the consumer.
 */
static inline int vfifo_producer_commit_record(struct vfifo_producer *p, size_t len)
{
	struct vfifo_map *map = &p->map;
	struct vfifo_record header;
	__u64 raw;

	/* If @len is 0, this is the largest number. */
	if ((__u64)len - 1 >= map->record) {
		int err = vfifo_map_check(map, VFIFO_RECORDS |
					       (map->kind & VFIFO_OVERWRITE));

		return err ? err : -EINVAL;
	}
	map->record = 0;
	header.len = len;
	header.flags = 0;
	memcpy(&raw, &header, sizeof(raw));
	__atomic_store_n((__u64 *)vfifo_map_at(map, map->position), raw,
			 __ATOMIC_RELAXED);
	return vfifo_map_publish(map, vfifo_record_size(len));
}

/*
 * Give the reservation up: no record is queued. Without a reservation, this does
 * nothing. Returns 0, -EBADF or -EOPNOTSUPP. This is also for what
 * vfifo_producer_overwrite_record() has reserved, but the records that have made way
 * for it are gone.
 */
static inline int vfifo_producer_cancel_record(struct vfifo_producer *p)
{
	int err = vfifo_map_check(&p->map, VFIFO_RECORDS |
					   (p->map.kind & VFIFO_OVERWRITE));

	if (!err)
		p->map.record = 0;
	return err;
}

/*
 * Wait until a record of @len bytes can be reserved. This reserves nothing, and an
 * earlier reservation stays. -EMSGSIZE: @len is 0, or more than
 * vfifo_producer_largest_record(). Otherwise as vfifo_producer_wait(), but never
 * -EINVAL.
 */
static inline int vfifo_producer_wait_record(struct vfifo_producer *p, size_t len,
					     int timeout)
{
	int err = vfifo_map_check(&p->map, VFIFO_RECORDS);

	if (!err)
		err = vfifo_record_fits(&p->map, len);
	if (err)
		return err;
	return vfifo_map_wait(&p->map, VFIFO_RECORDS, vfifo_map_look_room,
			      vfifo_record_size(len), timeout);
}

/* ---- the consumer ---- */

/* The length of the largest record. See vfifo_producer_largest_record(). */
static inline size_t vfifo_consumer_largest_record(const struct vfifo_consumer *c)
{
	return vfifo_record_largest(&c->map);
}

/*
 * Look at the next record: the first time, the oldest one that is queued, then the one
 * after it, and so on. Stores where it is in *@r. -EAGAIN, -EIO, -EBADF, -EOPNOTSUPP:
 * see above; *@r is unchanged. What was not released can be looked at again only if the
 * end is closed and opened.
 *
 * "head" is loaded with acquire, which pairs with the release of the producer: the
 * header and the payload are visible then.
 */
static inline int vfifo_consumer_next_record(struct vfifo_consumer *c,
					     struct vfifo_view *r)
{
	struct vfifo_map *map = &c->map;
	__u64 at = map->position + map->record;
	size_t queued, len;
	int err;

	err = vfifo_map_check(map, VFIFO_RECORDS);
	if (err)
		return err;
	err = vfifo_map_look(map, false, map->record + 1, &queued);
	if (err)
		return err;
	if (queued <= map->record)
		return -EAGAIN;
	err = vfifo_record_load(map, at, map->seen, &len);
	if (err)
		return err;
	map->record += vfifo_record_size(len);
	r->data = vfifo_map_at(map, at) + sizeof(struct vfifo_record);
	r->len = len;
	r->end = map->position + map->record;
	return 0;
}

/*
 * Releases the first @size bytes of the records that were looked at: "tail" is stored
 * with release, which pairs with the acquire of the producer.
 */
static inline int vfifo_record_release(struct vfifo_map *map, __u64 size)
{
	map->record -= size;
	return vfifo_map_publish(map, size);
}

/*
 * Give back the room of record @r and of all records before it, and wake the producer
 * if it sleeps. Those after it can still be used. -EINVAL: @r was released before, or
 * does not come from vfifo_consumer_next_record() with this end; nothing was done.
 * -EBADF, -EOPNOTSUPP: see above. Other errors come from VFIFO_NOTIFY: the room is
 * given back, but the producer was not woken.
 */
static inline int vfifo_consumer_release_record(struct vfifo_consumer *c,
						const struct vfifo_view *r)
{
	struct vfifo_map *map = &c->map;
	__u64 size = r->end - map->position;
	int err;

	/* If it has been released, or is of the past, this is a large number. */
	if (size - 1 >= map->record || vfifo_map_unaligned(map, size)) {
		err = vfifo_map_check(map, VFIFO_RECORDS);
		return err ? err : -EINVAL;
	}
	return vfifo_record_release(map, size);
}

/*
 * The same for all records that were looked at. If there are none, this does nothing,
 * and returns 0.
 */
static inline int vfifo_consumer_release_records(struct vfifo_consumer *c)
{
	int err = vfifo_map_check(&c->map, VFIFO_RECORDS);

	if (err || !c->map.record)
		return err;
	return vfifo_record_release(&c->map, c->map.record);
}

/*
 * Wait until there is a record that was not looked at. -ENODATA: there is none, and all
 * writers have gone. -EIO: also if vfifo_consumer_next_record() would return it.
 * Otherwise as vfifo_consumer_wait().
 *
 * Records that were looked at and not released take up room, which the producer may be
 * waiting for. -EINVAL: they take up all of it.
 */
static inline int vfifo_consumer_wait_record(struct vfifo_consumer *c, int timeout)
{
	struct vfifo_map *map = &c->map;
	size_t len;
	int err;

	err = vfifo_map_wait(map, VFIFO_RECORDS, vfifo_map_look_bytes,
			     map->record + 1, timeout);
	if (err)
		return err;
	return vfifo_record_load(map, map->position + map->record, map->seen, &len);
}

#endif /* VFIFO_RECORDS_H */
