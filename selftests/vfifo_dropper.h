/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Memory of which never two pages are resident. So no copy without page faults succeeds, and
 * calls that move more than one page go through kernel memory in the end.
 */
#ifndef VFIFO_DROPPER_H
#define VFIFO_DROPPER_H

#include <pthread.h>

#include "vfifo_faults.h"

#define MANY_PAGES	17

/* Shared with the process whose memory is dropped. */
struct dropper {
	char *memory;
	long page;
	int uffd;
	char *present;		/* the only resident page */
	int met, drops;		/* faults, and pages dropped */
	int bad_at;		/* the number of the fault whose page turns out bad */
	char *bad;		/* that page */
	int act_at;		/* the number of the fault at which this is called; 0: each */
	void (*act)(struct dropper *d);	/* or NULL */
	long ret;
};

/* Called first, for shared memory: false if there is not enough memory. */
static inline bool dropper_begin(struct dropper *d)
{
	memset(d, 0, sizeof(*d));
	d->page = sysconf(_SC_PAGESIZE);
	d->memory = mmap(NULL, MANY_PAGES * d->page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return d->memory != MAP_FAILED;
}

/* Called before the process is started. */
static inline void dropper_reset(struct dropper *d)
{
	d->present = NULL;
	d->met = 0;
	d->drops = 0;
	d->bad_at = 0;
	d->bad = NULL;
	d->act_at = 0;
	d->ret = LONG_MIN;
}

/*
 * A thread that provides each page that is accessed, and drops the one that it provided
 * before.
 */
static inline void *dropper_run(void *arg)
{
	struct dropper *d = arg;
	char *bytes = malloc(d->page), *at;
	struct uffdio_range range = { .len = d->page };
	struct uffdio_copy copy = { .len = d->page };
	struct pollfd p = { .fd = d->uffd, .events = POLLIN };
	struct uffd_msg msg;

	for (;;) {
		poll(&p, 1, -1);
		if (read(d->uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		at = (char *)(unsigned long)
		     (msg.arg.pagefault.address & -d->page);
		if (++d->met == d->bad_at) {
			mprotect(at, d->page, PROT_NONE);
			d->bad = at;
			range.start = (unsigned long)at;
			ioctl(d->uffd, UFFDIO_WAKE, &range);
			continue;
		}
		if (d->act && (!d->act_at || d->met == d->act_at))
			d->act(d);
		if (d->present && d->present != at) {
			madvise(d->present, d->page, MADV_DONTNEED);
			d->drops++;
		}
		stream_fill(bytes, d->page, at - d->memory);
		copy.dst = (unsigned long)at;
		copy.src = (unsigned long)bytes;
		copy.copy = 0;
		d->present = at;
		ioctl(d->uffd, UFFDIO_COPY, &copy);
	}
	return NULL;
}

/* Called in the process. */
static inline bool dropper_start(struct dropper *d)
{
	pthread_t thread;
	int error;

	d->uffd = missing(d->memory, MANY_PAGES * d->page, &error);
	return d->uffd >= 0 && !pthread_create(&thread, NULL, dropper_run, d);
}

/*
 * In the process: whether the last page of @len bytes, which were read to @buf, is still
 * there, and has the bytes of the stream that belong there. The first one is that at @pos.
 */
static inline bool dropper_last_page(struct dropper *d, char *buf, long len, __u64 pos)
{
	char *page = d->memory + (buf + len - 1 - d->memory) / d->page * d->page;
	char *from = page < buf ? buf : page;

	return d->present == page &&
	       stream_equal(from, buf + len - from, pos + (from - buf));
}

/* Whether that process ends with status 0. */
static inline bool drops_end(pid_t *pid)
{
	pid_t p = *pid;

	if (!eventually(child_state(p) == 'Z'))
		return false;
	*pid = 0;
	return !child_end(p);
}

/* ---- without userfaultfd: threads that only drop memory ---- */

#define DROPPERS	2

struct careless {
	char *memory;
	long len;
	bool stop;
	pthread_t threads[DROPPERS];
};

static inline void *careless_run(void *arg)
{
	struct careless *c = arg;

	while (!__atomic_load_n(&c->stop, __ATOMIC_SEQ_CST))
		madvise(c->memory, c->len, MADV_DONTNEED);
	return NULL;
}

/* Starts them for that memory, which must not move: whether it could. */
static inline bool careless_start(struct careless *c)
{
	int i;

	c->stop = false;
	for (i = 0; i < DROPPERS; i++)
		if (pthread_create(&c->threads[i], NULL, careless_run, c))
			return false;
	return true;
}

static inline void careless_stop(struct careless *c)
{
	int i;

	__atomic_store_n(&c->stop, true, __ATOMIC_SEQ_CST);
	for (i = 0; i < DROPPERS; i++)
		pthread_join(c->threads[i], NULL);
}

/* The first byte that is neither of the stream nor of dropped memory; or -1. */
static inline long wrong_byte(const char *buf, long len, __u64 pos)
{
	long i;

	for (i = 0; i < len; i++)
		if (buf[i] && (__u8)buf[i] != stream_byte(pos + i))
			return i;
	return -1;
}

#endif /* VFIFO_DROPPER_H */
