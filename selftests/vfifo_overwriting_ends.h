/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * The ends of a vfifo whose attribute "overwrite" is 1, as programs that follow the protocol
 * by plain loads and stores, and racers that write and read beside each other.
 */
#ifndef VFIFO_OVERWRITING_ENDS_H
#define VFIFO_OVERWRITING_ENDS_H

#include "vfifo_overwriting.h"

/* ---- what a program maps ---- */

enum { PRODUCES = 1, CONSUMES = 2 };

/* All that a program maps. The page of an end is writable if it has claimed the end. */
struct area {
	struct vfifo_end *producer, *consumer;
	char *data;		/* twice in a row */
	__u64 cap;
	bool records;
	int fd;
};

static inline void area_unmap(struct area *a)
{
	long page = sysconf(_SC_PAGESIZE);

	/* The ends first: others may use the data from then on. */
	if (a->producer)
		munmap(a->producer, page);
	if (a->consumer)
		munmap(a->consumer, page);
	if (a->data)
		munmap(a->data, 2 * a->cap);
	memset(a, 0, sizeof(*a));
}

/* Maps everything, and makes these claims: 0, or the negative error number. */
static inline int area_map(struct area *a, int fd, int claims)
{
	struct vfifo_info info = { .size = sizeof(info) };
	int err;

	memset(a, 0, sizeof(*a));
	if (ioctl(fd, VFIFO_GET_INFO, &info))
		return -errno;
	a->fd = fd;
	a->producer = map_page(fd, info.producer_offset,
			       PROT_READ | (claims & PRODUCES ? PROT_WRITE : 0));
	if (a->producer)
		a->consumer = map_page(fd, info.consumer_offset,
				       PROT_READ |
				       (claims & CONSUMES ? PROT_WRITE : 0));
	/* Only now they stay as they are. */
	if (a->consumer && !ioctl(fd, VFIFO_GET_INFO, &info)) {
		a->cap = info.capacity;
		a->records = info.flags & VFIFO_RECORDS;
		a->data = mmap(NULL, 2 * a->cap, PROT_READ | PROT_WRITE,
			       MAP_SHARED, fd, info.data_offset);
		if (a->data != MAP_FAILED)
			return 0;
		a->data = NULL;
	}
	err = -errno;
	area_unmap(a);
	return err;
}

static inline char *area_at(const struct area *a, __u64 pos)
{
	return a->data + (pos & (a->cap - 1));
}

static inline __u64 load_oldest(const struct vfifo_end *end)
{
	return __atomic_load_n(&end->oldest, __ATOMIC_ACQUIRE);
}

static inline void store_oldest(struct vfifo_end *end, __u64 pos)
{
	__atomic_store_n(&end->oldest, pos, __ATOMIC_RELEASE);
}

static inline __u64 raw_header(__u32 len, __u32 flags)
{
	struct vfifo_record record = { .len = len, .flags = flags };
	__u64 raw;

	memcpy(&raw, &record, sizeof(raw));
	return raw;
}

static inline __u64 load_header(const struct area *a, __u64 pos)
{
	return __atomic_load_n((__u64 *)area_at(a, pos), __ATOMIC_RELAXED);
}

static inline void store_header(struct area *a, __u64 pos, __u64 raw)
{
	__atomic_store_n((__u64 *)area_at(a, pos), raw, __ATOMIC_RELAXED);
}

/* The length of a record in @queued bytes, or -1. */
static inline long header_len(__u64 raw, __u64 queued)
{
	struct vfifo_record record;

	memcpy(&record, &raw, sizeof(record));
	if (!record.len || record.flags || (__u64)record_size(record.len) > queued)
		return -1;
	return record.len;
}

/* ---- the producer ---- */

struct producer {
	struct area area;
	__u64 head, oldest;
};

static inline int producer_open(struct producer *p, int fd)
{
	int err = area_map(&p->area, fd, PRODUCES);

	if (err)
		return err;
	p->head = load(p->area.producer);
	p->oldest = load_oldest(p->area.producer);
	return 0;
}

/* Makes room for @n bytes, at most the capacity. False if a header is wrong. */
static inline bool producer_room(struct producer *p, __u64 n)
{
	__u64 oldest = p->oldest, end = p->head + n;
	long len;

	if (end - oldest > p->area.cap && !p->area.records)
		oldest = end - p->area.cap;
	while (end - oldest > p->area.cap) {
		len = header_len(load_header(&p->area, oldest), p->head - oldest);
		if (len < 0)
			return false;
		oldest += record_size(len);
	}
	if (oldest != p->oldest)
		store_oldest(p->area.producer, oldest);
	/* Before the bytes are stored: a consumer that loads them sees "oldest", too. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	p->oldest = oldest;
	return true;
}

/* Stores @len bytes, or a record, where there is room: how far to move. */
static inline __u64 producer_store(struct producer *p, long len)
{
	char *to = area_at(&p->area, p->head);

	memcpy(to + (p->area.records ? HEADER : 0),
	       contents_at(p->area.records, p->head), len);
	if (!p->area.records)
		return len;
	store_header(&p->area, p->head, raw_header(len, 0));
	return record_size(len);
}

/* Moves by @n bytes, and wakes those who wait: 0, or the negative error number. */
static inline int producer_publish(struct producer *p, __u64 n)
{
	p->head += n;
	store(p->area.producer, p->head);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&p->area.consumer->waiting, __ATOMIC_RELAXED))
		return 0;
	return res(ioctl(p->area.fd, VFIFO_NOTIFY));
}

static inline int producer_put(struct producer *p, long len)
{
	if (!producer_room(p, p->area.records ? record_size(len) : len))
		return -EIO;
	return producer_publish(p, producer_store(p, len));
}

/* ---- the consumer ---- */

struct consumer {
	struct area area;
	__u64 tail, seen;
	__u64 start, size;	/* what was found; bytes to move by */
	__u64 retry;		/* the head after the last defeat */
	unsigned int defeats;
};

static inline int consumer_open(struct consumer *c, int fd)
{
	int err = area_map(&c->area, fd, CONSUMES);

	if (err)
		return err;
	c->tail = load(c->area.consumer);
	c->seen = c->tail;
	c->defeats = 0;
	return 0;
}

static inline int consumer_defeat(struct consumer *c)
{
	c->defeats++;
	c->retry = load(c->area.producer);
	return -ESTALE;
}

/* 0 if everything that was loaded from c->start on was not overwritten before. */
static inline int consumer_confirm(struct consumer *c)
{
	__u64 oldest;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	oldest = __atomic_load_n(&c->area.producer->oldest, __ATOMIC_RELAXED);
	return before(c->start, oldest) ? consumer_defeat(c) : 0;
}

/* The number of bytes queued, -ESTALE or -EIO. */
static inline long consumer_queued(struct consumer *c)
{
	__u64 head = load(c->area.producer);
	__u64 oldest = load_oldest(c->area.producer), n = head - c->tail;

	if (before(head, c->seen) || before(head, c->tail))
		return -EIO;
	if (n > head - oldest)
		n = head - oldest;
	if (head - oldest > c->area.cap || (!n && head != c->tail)) {
		if (load(c->area.producer) != head)
			return consumer_defeat(c);
		if (head - oldest > c->area.cap)
			return -EIO;
	}
	c->seen = head;
	return n;
}

/*
 * Finds up to @most bytes, or a record, further on after each defeat but the first: their
 * number, 0, -ESTALE or -EIO.
 */
static inline long consumer_look(struct consumer *c, long most)
{
	long n = consumer_queued(c), len;
	unsigned int further;
	__u64 raw;

	if (n <= 0)
		return n;
	if (c->defeats > 1 && c->area.records) {
		if (c->seen - c->retry - 1 < (__u64)n - 1)
			n = c->seen - c->retry;
	} else if (c->defeats > 1) {
		further = c->defeats < 12 ? c->defeats - 1 : 11;
		n = n >> further ? n >> further : 1;
	}
	c->start = c->seen - n;
	if (!c->area.records) {
		c->size = n < most ? n : most;
		return c->size;
	}
	raw = load_header(&c->area, c->start);
	/* It may be part of a payload by now. */
	if (consumer_confirm(c))
		return -ESTALE;
	len = header_len(raw, n);
	if (len < 0)
		return -EIO;
	c->size = record_size(len);
	return len;
}

/* Moves past what was found, and confirmed. */
static inline void consumer_take(struct consumer *c)
{
	c->tail = c->start + c->size;
	c->defeats = 0;
	store(c->area.consumer, c->tail);
}

/* Where the bytes are that were found, or the payload of the record. */
static inline const char *consumer_at(const struct consumer *c)
{
	return area_at(&c->area, c->start) + (c->area.records ? HEADER : 0);
}

/* Copies @len bytes of them, in which time they may be overwritten. */
static inline void consumer_copy(struct consumer *c, char *to, long len)
{
	memcpy(to, consumer_at(c), len);
	/* The copy is made here, and not looked up again. */
	asm volatile("" : : "r" (to) : "memory");
}

/* Waits until something is queued: 1, or 0 if nothing is after @ms milliseconds. */
static inline int consumer_wait(struct consumer *c, int ms)
{
	struct pollfd pfd = { .fd = c->area.fd, .events = POLLIN };

	__atomic_store_n(&c->area.consumer->waiting, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (consumer_queued(c))
		return 1;
	return res(poll(&pfd, 1, ms));
}

/* ---- racers: one process writes, and another one reads ---- */

/* What they do. */
static struct {
	bool records;
	long least, most;	/* lengths of messages */
	__u64 head;		/* where the only writer begins */
	int flags;		/* of the files of readers */
} plan;

/* A file of this racer. */
static inline int racer_fd(int flags)
{
	static int fd = -1;

	if (fd < 0)
		fd = vfifo_open(flags);
	return fd;
}

static inline long racer_len(__u64 *random)
{
	return plan.least + rnd(random) % (plan.most - plan.least + 1);
}

/* Writes what belongs to its position. */
static inline int writes(int self __always_unused, __u64 *random)
{
	int fd = racer_fd(O_WRONLY);
	long len = racer_len(random), ret;

	ret = res(write(fd, contents_at(plan.records, plan.head), len));
	if (ret != len)
		return WRONG("write of %ld bytes: %ld", len, ret);
	plan.head += plan.records ? record_size(len) : len;
	return 1;
}

/* Reads, and checks that this is what belongs to the position where it was. */
static inline int reads(int self __always_unused, __u64 *random)
{
	static char buf[4 * 65536];
	static struct area a;
	static __u64 last;
	int fd = racer_fd(O_RDONLY | plan.flags);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	long most = 1 + rnd(random) % (rnd(random) % 2 ? 100 : 8192), ret, size;
	__u64 tail;

	if (plan.records)
		most = plan.most;
	if (!a.consumer && area_map(&a, vfifo_open(O_RDWR), 0))
		return WRONG("mmap: %s", strerror(errno));
	ret = res(read(fd, buf, most));
	if (ret == -EAGAIN && plan.flags & O_NONBLOCK) {
		if (poll(&pfd, 1, DEADLINE * 1000) != 1 || pfd.revents != POLLIN)
			return WRONG("poll: %#x", pfd.revents);
		return 0;
	}
	if (ret <= 0 || ret > most)
		return WRONG("read of %ld bytes: %ld", most, ret);
	/* There is no other reader. */
	size = plan.records ? record_size(ret) : ret;
	tail = load(a.consumer) - size;
	if (last && before(tail, last))
		return WRONG("read from %llu after %llu", tail, last);
	if (memcmp(buf, contents_at(plan.records, tail), ret))
		return WRONG("%ld bytes at %llu are torn or wrong", ret, tail);
	last = tail + size;
	return 1;
}

/* Waits until racer number @i has made @wanted good steps: false if it does not. */
static inline bool reached(int i, unsigned long wanted)
{
	return eventually(LOAD(race->good[i]) >= wanted || LOAD(race->wrong[0])) &&
	       !LOAD(race->wrong[0]);
}

/* The same, but on a machine that is too slow for that, a few steps are enough. */
static inline bool gets_on(int i, unsigned long wanted)
{
	return reached(i, wanted) || LOAD(race->good[i]) >= wanted / 20 + 1;
}

/* Ends the racers. Some may sleep for good, since nobody writes any more. */
static inline void racers_finish(struct __test_metadata *_metadata, pid_t *pid, int n)
{
	__s64 start = now_ms();
	int i, ret;

	STORE(race->stop, 1);
	for (i = 0; i < n; i++) {
		while (child_state(pid[i]) != 'Z' && now_ms() - start < 300)
			usleep(1000);
		kill(pid[i], SIGKILL);
		ret = child_end(pid[i]);
		pid[i] = 0;
		EXPECT_TRUE(!ret || ret == -SIGKILL);
		EXPECT_LT(0UL, race->good[i]);
	}
	EXPECT_EQ(0, race->wrong[0]) {
		TH_LOG("%s", race->wrong);
	}
}

#endif /* VFIFO_OVERWRITING_ENDS_H */
