/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The path that bytes take from one process to another, its two ends, and how far each
 * process has come.
 */
#ifndef BENCH_PATH_H
#define BENCH_PATH_H

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define KIB		1024UL
#define MIB		(KIB * KIB)

/* The capacity in all measures except that of capacities. */
#define CAPACITY	(64 * KIB)

/* ---- shared by the processes ---- */

/* The progress of one process. */
struct count {
	volatile __u64 done;	/* bytes, or operations */
	volatile __u64 calls;	/* system calls */
} __attribute__((aligned(128)));

static struct count *counts;
/* The one of this process. */
static struct count *count;

/* The system calls of mapped ends. */
#define epoll_wait(...)	(count->calls++, epoll_wait(__VA_ARGS__))
#define ioctl(...)	(count->calls++, ioctl(__VA_ARGS__))
#define poll(...)	(count->calls++, poll(__VA_ARGS__))
#include "vfifo_overwrite.h"
#undef epoll_wait
#undef ioctl
#undef poll

/* ---- a ring in shared memory and nothing else, as the limit ---- */

struct ring {
	__u64 *own, *peer;	/* head and tail, or the other way round */
	char *data;		/* twice in a row */
	__u64 position, seen;
};

/* ---- the BPF ring buffer ---- */

struct bpf {
	int prog;		/* what the end in the kernel does */
	int nothing;		/* the same without a record, or 0 */
	volatile __u64 *head, *tail;
	char *data;		/* twice in a row */
	int epoll;
	/* What the consumer calls for each record, and where it copies the next one. */
	int (*sample)(void *context, void *data, size_t size);
	char *to;
	size_t size;		/* of a record */
	/* What a consumer in the kernel has received: see RECEIVED_SIZE(). */
	char *received;
	size_t received_size;
};

/* ---- the path ---- */

struct way;

struct path {
	const struct way *way;
	size_t capacity;
	size_t piece;		/* the most that mapped ends copy at once */
	unsigned int batch;	/* records per call of a BPF program, or 0: many */
	__u64 number;		/* of the next record to put or get */
	int in, out;		/* descriptors to write to, and to read from */
	struct vfifo_producer producer;
	struct vfifo_consumer consumer;
	struct ring ring;
	__u64 *ring_head, *ring_tail;
	struct bpf bpf;
};

/* An end. @loop never returns, @once returns the number of bytes that it has moved. */
struct port {
	void (*start)(struct path *p);
	void (*loop)(struct path *p, char *buf, size_t size);
	size_t (*once)(struct path *p, char *buf, size_t size);
};

/* @number is the index of the path, @size the number of bytes moved at once. */
struct way {
	const char *name;
	void (*open)(struct path *p, unsigned int number, size_t size);
	const struct port *in, *out;
	size_t most;		/* the largest block, or 0 */
};

static inline void fail(const struct path *path, const char *what)
{
	err(1, "%s: %s", path->way->name, what);
}

static inline size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline void spin(unsigned int *spins)
{
	if (++*spins % 1024)
		vfifo_map_relax();
	else
		sched_yield();
}

static inline void start(const struct port *port, struct path *p)
{
	if (port->start)
		port->start(p);
}

/* ---- opening it ---- */

static void path_init(struct path *p, const struct way *way, size_t capacity)
{
	memset(p, 0, sizeof(*p));
	p->way = way;
	p->capacity = capacity;
	/* With a block that fills the buffer, the ends would take turns. */
	p->piece = capacity / 4;
	p->in = -1;
	p->out = -1;
}

static void path_open(struct path *p, const struct way *way,
		      unsigned int number, size_t capacity, size_t size)
{
	path_init(p, way, capacity);
	way->open(p, number, size);
}

static void path_close(struct path *p)
{
	const size_t page = sysconf(_SC_PAGESIZE);

	close(p->in);
	close(p->out);
	if (p->ring_head)
		munmap(p->ring_head, 2 * page + 2 * p->capacity);
	if (p->bpf.head) {
		munmap((void *)p->bpf.head, page + 2 * p->capacity);
		munmap((void *)p->bpf.tail, page);
	}
	if (p->bpf.nothing)
		close(p->bpf.nothing);
	if (p->bpf.received)
		munmap(p->bpf.received, p->bpf.received_size);
}

static void store(unsigned int number, const char *attr, const char *value)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/sys/class/vfifo/vfifo%u/%s", number,
		 attr);
	fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%s\n", value) < 0)
		err(1, "%s", name);
	close(fd);
}

/* @kind: VFIFO_RECORDS, VFIFO_OVERWRITE. The device may be of any kind yet. */
static void open_kind(struct path *p, unsigned int number, unsigned int kind)
{
	struct vfifo_info info;
	char text[64];

	snprintf(text, sizeof(text), "/dev/vfifo%u", number);
	p->in = open(text, O_RDWR | O_CLOEXEC);
	p->out = open(text, O_RDWR | O_CLOEXEC);
	if (p->in < 0 || p->out < 0)
		fail(p, text);
	if (ioctl(p->in, VFIFO_CLEAR) || vfifo_map_info(p->in, &info))
		fail(p, "ioctl");
	if (info.capacity != p->capacity) {
		snprintf(text, sizeof(text), "%zu", p->capacity);
		store(number, "capacity", text);
	}
	if ((info.flags ^ kind) & VFIFO_RECORDS)
		store(number, "framing",
		      kind & VFIFO_RECORDS ? "record" : "stream");
	if ((info.flags ^ kind) & VFIFO_OVERWRITE)
		store(number, "overwrite", kind & VFIFO_OVERWRITE ? "1" : "0");
}

static void claim_producer(struct path *p)
{
	errno = -vfifo_producer_open_fd(&p->producer, p->in);
	if (errno)
		fail(p, "vfifo_producer_open_fd");
}

static void claim_consumer(struct path *p)
{
	errno = -vfifo_consumer_open_fd(&p->consumer, p->out);
	if (errno)
		fail(p, "vfifo_consumer_open_fd");
}

/* Undoes start() at both ends, in the process that has called it. */
static void stop(struct path *in, struct path *out)
{
	if (in->producer.map.own)
		vfifo_producer_close(&in->producer);
	if (out->consumer.map.own)
		vfifo_consumer_close(&out->consumer);
	if (in->bpf.epoll)
		close(in->bpf.epoll);
	if (out->bpf.epoll)
		close(out->bpf.epoll);
}

#endif /* BENCH_PATH_H */
