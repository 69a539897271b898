/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers */
/*
 * Use an end of a vfifo whose producer never waits, by loads and stores: the device's
 * attribute "overwrite" is 1. The oldest bytes, or as many of the oldest records as
 * necessary, make way for new ones. The ends are those of vfifo_map.h, and what it says
 * about them holds here as well. With records, also see vfifo_records.h.
 *
 * To produce bytes:
 *
 *	struct vfifo_producer p;
 *	void *to;
 *	int err;
 *
 *	err = vfifo_producer_open(&p, "/dev/vfifo0");
 *	while (!err) {
 *		// The oldest bytes make way.
 *		err = vfifo_producer_overwrite(&p, 100, &to);
 *		if (err)
 *			break;
 *		...store 100 bytes at to, in any order...
 *		err = vfifo_producer_commit(&p, 100);		// now they are queued
 *	}
 *	vfifo_producer_close(&p);
 *
 * To produce records, use vfifo_producer_overwrite_record() and
 * vfifo_producer_commit_record().
 *
 * Bytes can be overwritten while the consumer looks at them. What it has seen counts
 * only if that is confirmed afterwards. The simple way is to take a copy: see
 * vfifo_copy.h.
 *
 * Without a copy:
 *
 *	struct vfifo_glance g;
 *
 *	do {
 *		err = vfifo_consumer_look_record(&c, &g);
 *		if (err)
 *			break;
 *		sum = checksum(g.unconfirmed, g.len);
 *		err = vfifo_consumer_confirm_record(&c);
 *	} while (err == -ESTALE);
 *	...if err is 0, sum is right, and the record is released...
 *
 * For bytes, use vfifo_consumer_look() and vfifo_consumer_confirm().
 * Until then, sum can be that of any mixture of old and new bytes. They may even change
 * between two loads. So do nothing with them that cannot be undone. Before you use an
 * offset or a length that is stored in them, copy it, and confirm the copy by
 * vfifo_consumer_check().
 *
 * The errors are those of vfifo_map.h. In particular:
 *
 *  ESTALE	overtaken: the producer has overwritten what was looked at, so it may be
 *		torn. Nothing was released. Look again
 *  EAGAIN	nothing is queued; vfifo_consumer_wait_look() waits, or returns the reason
 *		why nothing will be
 *  EMSGSIZE	no record can have this length
 *  EIO		also: the header of a record is impossible
 *  EOPNOTSUPP	the producer of this device does not overwrite, or it has records and the
 *		function is for bytes, or the other way round
 *
 * A consumer that is overtaken again and again would never get on if it always began
 * with the oldest bytes, which are the next to be overwritten. So after two defeats it
 * begins further on: with bytes, it skips 4, 16, 64, ... times as many as were asked
 * for; with records, it begins with the first one that was committed after the last
 * defeat. It thus gets on if it takes less time than the producer needs to fill the
 * buffer. What it skips, and what is overwritten before it has been released, is lost.
 * vfifo_consumer_lost() counts it.
 *
 * The producer does not look at the consumer, so it does not notice that all readers
 * have gone; ask by vfifo_producer_check_readers(). Nor does releasing wake anybody,
 * since nobody waits for room.
 */
#ifndef VFIFO_OVERWRITE_H
#define VFIFO_OVERWRITE_H

#include "vfifo_records.h"

/*
 * Queued bytes, or the payload of a record, that may be overwritten at any time. They
 * are valid until the next call with this end, except for vfifo_consumer_check().
 */
struct vfifo_glance {
	const void *unconfirmed;	/* where they are */
	size_t len;			/* their number */
};

/* So many attempts begin with the oldest byte. */
#define VFIFO_GENTLE	2
/* So many attempts are made before a function returns -ESTALE. */
#define VFIFO_TRIES	16

/* Whether position @a is before position @b. */
static inline bool vfifo_overwrite_before(__u64 a, __u64 b)
{
	return (__s64)(a - b) < 0;
}

/* ---- the producer ---- */

/*
 * From now on the bytes before @oldest are gone. Together with C, the release in
 * vfifo_map_publish() that stores "head", the two orderings here ensure that a consumer
 * notices when it is overtaken.
 */
static inline void vfifo_overwrite_until(struct vfifo_map *map, __u64 oldest)
{
	if (oldest == map->seen)
		return;
	/*
	 * A. Pairs with b in vfifo_overwrite_find(): a consumer that sees this "oldest"
	 * also sees the "head" that was stored before.
	 */
	__atomic_store_n(&map->own->oldest, oldest, __ATOMIC_RELEASE);
	map->seen = oldest;
}

/*
 * Called before bytes are stored, even if nothing was dropped for them: "oldest" may be
 * that of the producer before this one.
 */
static inline void vfifo_overwrite_before_data(void)
{
	/*
	 * B. Pairs with d in vfifo_overwrite_intact(): a consumer that has loaded a byte
	 * that is stored after this also sees the "oldest" that was stored before.
	 */
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/*
 * Reserve room for the next @len bytes. As many of the oldest bytes as necessary are
 * dropped, whether or not the new ones will be committed. Stores in *@to where to store
 * them; vfifo_producer_commit() then queues them. To reserve more or fewer, call this
 * again: the place is the same, and the new @len counts.
 *
 * -EINVAL: @len is more than the capacity. -EBADF, -EOPNOTSUPP: see above. After an
 * error, an earlier reservation stays, and *@to is unchanged.
 */
static inline int vfifo_producer_overwrite(struct vfifo_producer *p, size_t len,
					   void **to)
{
	struct vfifo_map *map = &p->map;
	__u64 end = map->position + len;
	int err;

	err = vfifo_map_check(map, VFIFO_OVERWRITE);
	if (err)
		return err;
	if (len > map->capacity)
		return -EINVAL;
	if (end - map->seen > map->capacity)
		vfifo_overwrite_until(map, end - map->capacity);
	vfifo_overwrite_before_data();
	map->granted = len;
	*to = vfifo_map_at(map, map->position);
	return 0;
}

/*
 * Reserve room for a record of up to @len bytes. As many of the oldest records as
 * necessary are dropped, whether or not the new one will be committed. Stores in *@to
 * where to store its payload; vfifo_producer_commit_record() then queues it, and
 * vfifo_producer_cancel_record() gives it up. To reserve more or fewer bytes, call this
 * again: the place is the same, and the new @len counts.
 *
 * This loads the header of each record that it drops. -EIO: one of them is impossible,
 * because another process has stored to the data; when the end has been closed, the
 * kernel corrects that. -EMSGSIZE: @len is 0, or more than
 * vfifo_producer_largest_record(). -EBADF, -EOPNOTSUPP: see above. After an error,
 * nothing was dropped, an earlier reservation stays, and *@to is unchanged.
 */
static inline int vfifo_producer_overwrite_record(struct vfifo_producer *p, size_t len,
						  void **to)
{
	struct vfifo_map *map = &p->map;
	__u64 oldest = map->seen, last;
	size_t old;
	int err;

	err = vfifo_map_check(map, VFIFO_RECORDS | VFIFO_OVERWRITE);
	if (!err)
		err = vfifo_record_fits(map, len);
	if (err)
		return err;
	/* At most the own position, so there is a record as long as this is not reached. */
	last = map->position + vfifo_record_size(len) - map->capacity;
	while (vfifo_overwrite_before(oldest, last)) {
		err = vfifo_record_load(map, oldest, map->position, &old);
		if (err)
			return err;
		oldest += vfifo_record_size(old);
	}
	vfifo_overwrite_until(map, oldest);
	vfifo_overwrite_before_data();
	map->record = len;
	*to = vfifo_map_at(map, map->position) + sizeof(struct vfifo_record);
	return 0;
}

/*
 * Ask the kernel whether to go on. -EPIPE: the attribute "hangup" is 1, and all readers
 * have gone. -EIO: error state. -EBADF, -EOPNOTSUPP: see above. This makes a system
 * call, or a few if something has happened. To be told at once, poll the descriptor for
 * POLLERR.
 */
static inline int vfifo_producer_check_readers(struct vfifo_producer *p)
{
	struct vfifo_map *map = &p->map;
	struct pollfd fd;
	int err;

	err = vfifo_map_check(map, (map->kind & VFIFO_RECORDS) | VFIFO_OVERWRITE);
	if (err)
		return err;
	fd.fd = map->fd;
	fd.events = 0;
	/* It does not sleep. It fails if there is nothing, and a signal. */
	if (poll(&fd, 1, 0) < 0)
		return errno == EINTR ? 0 : -errno;
	return vfifo_map_reason(map, fd.revents & POLLERR);
}

/* ---- the consumer: finding what to look at ---- */

/*
 * Finds the queued bytes: *@queued of them, up to "head", which it stores in map->seen.
 * Returns 0; -EAGAIN: there are none; -ESTALE: the positions have moved meanwhile;
 * -EIO: they are impossible.
 */
static inline int vfifo_overwrite_find(struct vfifo_map *map, __u64 *queued)
{
	__u64 head, oldest, kept;

	/*
	 * a. Pairs with C, the release in vfifo_map_publish(). Comes before b: with an
	 * older "oldest", more than the capacity might seem to be queued.
	 */
	head = vfifo_map_load(map->peer);
	/* b. Pairs with A in vfifo_overwrite_until(). */
	oldest = __atomic_load_n(&map->peer->oldest, __ATOMIC_ACQUIRE);
	if (vfifo_overwrite_before(head, map->seen) ||
	    vfifo_overwrite_before(head, map->position))
		return -EIO;
	kept = head - oldest;
	*queued = head - map->position;
	if (*queued > kept)
		*queued = kept;
	if (kept > map->capacity || (!*queued && head != map->position)) {
		/*
		 * If "oldest" is newer than "head", this load sees a later "head", because
		 * of A and b. Otherwise the two belong together: they are impossible, or
		 * everything is gone.
		 */
		if (vfifo_map_load(map->peer) != head)
			return -ESTALE;
		if (kept > map->capacity)
			return -EIO;
	}
	if (vfifo_map_unaligned(map, head | oldest))
		return -EIO;
	map->seen = head;
	if (*queued)
		return 0;
	map->defeats = 0;
	return -EAGAIN;
}

/*
 * With how many of @queued bytes to begin, the last of them being the newest one. The
 * caller wants @most.
 */
static inline __u64 vfifo_overwrite_limit(const struct vfifo_map *map,
					  __u64 queued, __u64 most)
{
	unsigned int further;
	__u64 since, least;

	if (map->defeats < VFIFO_GENTLE)
		return queued;
	if (map->kind & VFIFO_RECORDS) {
		/* A record begins there, and is the last one to be overwritten. */
		since = map->seen - map->retry;
		return since && since < queued && !vfifo_map_unaligned(map, since) ?
		       since : queued;
	}
	further = map->defeats - VFIFO_GENTLE + 1;
	if (further > VFIFO_TRIES)
		further = VFIFO_TRIES;
	/* Leave at least a half, a quarter, ... */
	least = queued >> further ? queued >> further : 1;
	if (most > queued >> (2 * further))
		return least;
	queued -= most << (2 * further);
	return queued > least ? queued : least;
}

/*
 * The consumer was overtaken. Where the next attempt begins is not checked here; if it
 * is impossible, vfifo_overwrite_limit() or vfifo_record_load() finds out. Returns
 * -ESTALE.
 */
static inline int vfifo_overwrite_defeat(struct vfifo_map *map)
{
	map->window = 0;
	if (map->defeats < VFIFO_GENTLE + VFIFO_TRIES)
		map->defeats++;
	map->retry = vfifo_map_load(map->peer);
	return -ESTALE;
}

/*
 * Whether everything that was loaded from @start on was still valid when it was loaded.
 * Returns 0 or -ESTALE.
 */
static inline int vfifo_overwrite_intact(struct vfifo_map *map, __u64 start)
{
	__u64 oldest;

	/* d. Pairs with B in vfifo_overwrite_until(). */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	oldest = __atomic_load_n(&map->peer->oldest, __ATOMIC_RELAXED);
	if (vfifo_overwrite_before(start, oldest))
		return vfifo_overwrite_defeat(map);
	return 0;
}

/* An attempt to find up to @most bytes. Errors as vfifo_overwrite_find(). */
static inline int vfifo_overwrite_try(struct vfifo_map *map, size_t most,
				      struct vfifo_glance *g)
{
	__u64 queued;
	int err;

	map->window = 0;
	err = vfifo_overwrite_find(map, &queued);
	if (err)
		return err == -ESTALE ? vfifo_overwrite_defeat(map) : err;
	map->window = vfifo_overwrite_limit(map, queued, most);
	map->start = map->seen - map->window;
	if (map->window > most)
		map->window = most;
	g->unconfirmed = vfifo_map_at(map, map->start);
	g->len = map->window;
	return 0;
}

/*
 * An attempt to find a record. Its header is right, its payload may be torn already.
 * The header is judged only when it is known to be intact: it might have been
 * overwritten by a payload.
 */
static inline int vfifo_overwrite_try_record(struct vfifo_map *map,
					     struct vfifo_glance *g)
{
	__u64 queued, start;
	size_t len;
	int err, bad;

	map->window = 0;
	err = vfifo_overwrite_find(map, &queued);
	if (err)
		return err == -ESTALE ? vfifo_overwrite_defeat(map) : err;
	start = map->seen - vfifo_overwrite_limit(map, queued, 1);
	bad = vfifo_record_load(map, start, map->seen, &len);
	err = vfifo_overwrite_intact(map, start);
	if (err || bad)
		return err ? err : bad;
	map->start = start;
	map->window = vfifo_record_size(len);
	g->unconfirmed = vfifo_map_at(map, start) + sizeof(struct vfifo_record);
	g->len = len;
	return 0;
}

/* Releases the first @len bytes of what was looked at, if all of it is still intact. */
static inline int vfifo_overwrite_release(struct vfifo_map *map, __u64 len)
{
	int err = vfifo_overwrite_intact(map, map->start);

	if (err)
		return err;
	map->lost += map->start - map->position;
	map->start += len;
	map->window -= len;
	map->position = map->start;
	map->defeats = 0;
	/* The kernel takes over from here. No producer loads it. */
	__atomic_store_n(&map->own->position, map->position, __ATOMIC_RELEASE);
	return 0;
}

/* ---- the consumer: without a copy ---- */

/*
 * Look at the oldest queued bytes, at most @most of them, or further on after defeats:
 * see above. Stores where they are in *@g. Use vfifo_consumer_confirm() when you have
 * loaded what you need. -EAGAIN, -EIO, -EBADF, -EOPNOTSUPP: see above. -ESTALE: the
 * positions moved in each of several attempts. -EINVAL: @most is 0. After an error, *@g
 * is not to be used.
 */
static inline int vfifo_consumer_look(struct vfifo_consumer *c, size_t most,
				      struct vfifo_glance *g)
{
	int err, i;

	err = vfifo_map_check(&c->map, VFIFO_OVERWRITE);
	if (err)
		return err;
	if (!most)
		return -EINVAL;
	for (i = 0; i < VFIFO_TRIES; i++) {
		err = vfifo_overwrite_try(&c->map, most, g);
		if (err != -ESTALE)
			break;
	}
	return err;
}

/*
 * The same for a record. Its length is right: it was confirmed. Use
 * vfifo_consumer_confirm_record() when you have loaded what you need of its payload.
 */
static inline int vfifo_consumer_look_record(struct vfifo_consumer *c,
					     struct vfifo_glance *g)
{
	int err, i;

	err = vfifo_map_check(&c->map, VFIFO_RECORDS | VFIFO_OVERWRITE);
	if (err)
		return err;
	for (i = 0; i < VFIFO_TRIES; i++) {
		err = vfifo_overwrite_try_record(&c->map, g);
		if (err != -ESTALE)
			break;
	}
	return err;
}

/*
 * Find out whether everything that was loaded so far of what the last
 * vfifo_consumer_look() or vfifo_consumer_look_record() has found is right. Nothing is
 * released. 0: it is, and you can look further. -ESTALE: it may be torn; look again.
 * -EINVAL: there is nothing to confirm. -EBADF, -EOPNOTSUPP: see above.
 */
static inline int vfifo_consumer_check(struct vfifo_consumer *c)
{
	struct vfifo_map *map = &c->map;
	int err;

	err = vfifo_map_check(map, (map->kind & VFIFO_RECORDS) | VFIFO_OVERWRITE);
	if (err)
		return err;
	return map->window ? vfifo_overwrite_intact(map, map->start) : -EINVAL;
}

/*
 * Find out the same, and if it is right, release the first @len bytes that the last
 * vfifo_consumer_look() has found. The others can still be used, and confirmed by
 * another call. -ESTALE: what was loaded may be torn. Nothing was released; look again.
 * -EINVAL: @len is 0, or more than was found, and nothing was done. -EBADF,
 * -EOPNOTSUPP: see above.
 */
static inline int vfifo_consumer_confirm(struct vfifo_consumer *c, size_t len)
{
	struct vfifo_map *map = &c->map;
	int err;

	err = vfifo_map_check(map, VFIFO_OVERWRITE);
	if (err)
		return err;
	/* If @len is 0, this is the largest number. */
	if ((__u64)len - 1 >= map->window)
		return -EINVAL;
	return vfifo_overwrite_release(map, len);
}

/* The same for the record that the last vfifo_consumer_look_record() has found. */
static inline int vfifo_consumer_confirm_record(struct vfifo_consumer *c)
{
	struct vfifo_map *map = &c->map;
	int err;

	err = vfifo_map_check(map, VFIFO_RECORDS | VFIFO_OVERWRITE);
	if (err)
		return err;
	return map->window ? vfifo_overwrite_release(map, map->window) : -EINVAL;
}

/* ---- the consumer: counting and waiting ---- */

/*
 * The number of bytes that were lost since the end was opened. Those that had been
 * overwritten before count as well, if nobody had read them. With records, this
 * includes their headers. It grows when something is released that follows. -EBADF,
 * -EOPNOTSUPP: see above.
 */
static inline __s64 vfifo_consumer_lost(const struct vfifo_consumer *c)
{
	const struct vfifo_map *map = &c->map;
	int err = vfifo_map_check(map, (map->kind & VFIFO_RECORDS) |
				       VFIFO_OVERWRITE);

	return err ? err : (__s64)map->lost;
}

/* For vfifo_map_wait(). */
static inline int vfifo_overwrite_known(struct vfifo_map *map, size_t enough,
					size_t *known)
{
	__u64 queued = 0;
	int err = vfifo_overwrite_find(map, &queued);

	/* If the positions move, there is something. */
	*known = err == -ESTALE ? enough : queued;
	return err == -EIO ? err : 0;
}

/*
 * Wait until something is queued, bytes or a record, for at most @timeout milliseconds:
 * forever if it is negative, not at all if it is 0. -EAGAIN: nothing is. -ENODATA:
 * nothing is, and all writers have gone. -EINTR: a signal handler ran, and @timeout is
 * not 0. -EIO: see vfifo_map.h. -EBADF, -EOPNOTSUPP: see above.
 *
 * What is queued may be gone a moment later, when the producer has made room for
 * something larger and has not committed it yet. So after this has returned 0, looking
 * may still return -EAGAIN.
 */
static inline int vfifo_consumer_wait_look(struct vfifo_consumer *c, int timeout)
{
	struct vfifo_map *map = &c->map;

	return vfifo_map_wait(map, (map->kind & VFIFO_RECORDS) | VFIFO_OVERWRITE,
			      vfifo_overwrite_known, 1, timeout);
}

#endif /* VFIFO_OVERWRITE_H */
