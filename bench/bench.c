// SPDX-License-Identifier: GPL-2.0
/*
 * Moves bytes between processes in every way that is compared, and writes the
 * results to a file, one sample per line: measure, way, parameter, quantity,
 * value, separated by tabs.
 *
 *	bench full|quick ROUNDS MILLISECONDS FILE	samples, round by round
 *	bench instructions FILE		with a time stamp that counts instructions
 *	bench load MODULE ROUNDS FILE	how long a module takes to load
 *	bench profile WAY BYTES TIMES	writes and reads for profile.c to count; with
 *					0 bytes, round trips
 *
 * Each sample is taken with new processes, each pinned to a processor, and a
 * parent that only reads their counters twice. Each way has one turn in each
 * round, and the first way changes from round to round.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/bpf.h>

#include "profile.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define KIB		1024UL
#define MIB		(KIB * KIB)

/* The capacity in all measures except that of capacities. */
#define CAPACITY	(64 * KIB)
#define MOST_PATHS	64
#define MOST_JOBS	(2 * MOST_PATHS)
#define LARGEST		MIB
/* Seconds without any byte moved, after which this gives up. */
#define PATIENCE	20

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
#include "vfifo_map.h"
#undef epoll_wait
#undef ioctl

/* ---- a ring in shared memory and nothing else, as the limit ---- */

struct ring {
	__u64 *own, *peer;	/* head and tail, or the other way round */
	char *data;		/* twice in a row */
	__u64 position, seen;
};

/* ---- the BPF ring buffer ---- */

struct bpf {
	int prog;
	const volatile __u64 *head;
	volatile __u64 *tail;
	const char *data;
};

/* ---- the path that bytes take ---- */

struct way;

struct path {
	const struct way *way;
	size_t capacity;
	size_t piece;		/* the most that mapped ends copy at once */
	int in, out;		/* descriptors to write to, and to read from */
	struct vfifo_producer producer;
	struct vfifo_consumer consumer;
	struct ring ring;
	__u64 *ring_head, *ring_tail;
	struct bpf bpf;
};

static void fail(const struct path *path, const char *what);

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t put_fd(struct path *p, const char *buf, size_t size)
{
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = write(p->in, buf + done, size - done);
		count->calls++;
		if (n <= 0)
			fail(p, "write");
		done += n;
	}
	return size;
}

static inline size_t get_fd(struct path *p, char *buf, size_t size)
{
	ssize_t n = read(p->out, buf, size);

	count->calls++;
	if (n <= 0)
		fail(p, "read");
	return n;
}

/* Stands for what real programs do with the bytes besides moving them. */
static inline void make(void *to, size_t size)
{
	memset(to, (int)count->done, size);
}

static inline void use(const void *from, size_t size)
{
	__u64 sum = 0, word;
	size_t i;

	for (i = 0; i + sizeof(word) <= size; i += sizeof(word)) {
		memcpy(&word, (const char *)from + i, sizeof(word));
		sum += word;
	}
	for (; i < size; i++)
		sum += ((const unsigned char *)from)[i];
	asm volatile("" : : "r" (sum));
}

/* With @made, there is no other buffer: bytes are made in place. */
static inline __attribute__((always_inline)) size_t
put_pieces(struct path *p, const char *buf, size_t size, bool made)
{
	size_t done, n;
	void *to;

	for (done = 0; done < size; done += n) {
		n = min_size(size - done, p->piece);
		to = vfifo_reserve(&p->producer, n);
		if (!to) {
			if (vfifo_wait_room(&p->producer, n, -1))
				fail(p, "vfifo_wait_room");
			to = vfifo_reserve(&p->producer, n);
		}
		if (made)
			make(to, n);
		else
			memcpy(to, buf + done, n);
		if (vfifo_commit(&p->producer, n))
			fail(p, "vfifo_commit");
	}
	return size;
}

/* With @made, bytes are used in place. */
static inline __attribute__((always_inline)) size_t
get_piece(struct path *p, char *buf, size_t size, bool made)
{
	const void *from;
	size_t n;

	from = vfifo_peek(&p->consumer, &n);
	if (!from) {
		if (vfifo_wait_bytes(&p->consumer, 1, -1))
			fail(p, "vfifo_wait_bytes");
		from = vfifo_peek(&p->consumer, &n);
	}
	n = min_size(n, min_size(size, p->piece));
	if (made)
		use(from, n);
	else
		memcpy(buf, from, n);
	if (vfifo_release(&p->consumer, n))
		fail(p, "vfifo_release");
	return n;
}

static inline size_t put_map(struct path *p, const char *buf, size_t size)
{
	return put_pieces(p, buf, size, false);
}

static inline size_t get_map(struct path *p, char *buf, size_t size)
{
	return get_piece(p, buf, size, false);
}

static inline size_t put_made_map(struct path *p, const char *buf, size_t size)
{
	return put_pieces(p, buf, size, true);
}

static inline size_t get_made_map(struct path *p, char *buf, size_t size)
{
	return get_piece(p, buf, size, true);
}

static inline size_t put_made_fd(struct path *p, char *buf, size_t size)
{
	make(buf, size);
	return put_fd(p, buf, size);
}

static inline size_t get_made_fd(struct path *p, char *buf, size_t size)
{
	size_t n = get_fd(p, buf, size);

	use(buf, n);
	return n;
}

static inline void spin(unsigned int *spins)
{
	if (++*spins % 1024)
		vfifo_map_relax();
	else
		sched_yield();
}

static inline size_t put_ring(struct path *p, const char *buf, size_t size)
{
	struct ring *ring = &p->ring;
	unsigned int spins = 0;
	size_t done, n;

	for (done = 0; done < size; done += n) {
		n = min_size(size - done, p->piece);
		while (p->capacity - (ring->position - ring->seen) < n) {
			ring->seen = __atomic_load_n(ring->peer,
						     __ATOMIC_ACQUIRE);
			if (p->capacity - (ring->position - ring->seen) < n)
				spin(&spins);
		}
		memcpy(ring->data + (ring->position & (p->capacity - 1)),
		       buf + done, n);
		ring->position += n;
		__atomic_store_n(ring->own, ring->position, __ATOMIC_RELEASE);
	}
	return size;
}

static inline size_t get_ring(struct path *p, char *buf, size_t size)
{
	struct ring *ring = &p->ring;
	unsigned int spins = 0;
	size_t n;

	while (ring->seen == ring->position) {
		ring->seen = __atomic_load_n(ring->peer, __ATOMIC_ACQUIRE);
		if (ring->seen == ring->position)
			spin(&spins);
	}
	n = min_size(ring->seen - ring->position, min_size(size, p->piece));
	memcpy(buf, ring->data + (ring->position & (p->capacity - 1)), n);
	ring->position += n;
	__atomic_store_n(ring->own, ring->position, __ATOMIC_RELEASE);
	return n;
}

static long sys_bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* Each run of the program puts a batch of records. */
static inline size_t put_bpf(struct path *p, const char *buf, size_t size)
{
	union bpf_attr attr;

	(void)buf;
	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = p->bpf.prog;
	count->calls++;
	if (sys_bpf(BPF_PROG_TEST_RUN, &attr))
		fail(p, "BPF_PROG_TEST_RUN");
	if (!attr.test.retval)
		sched_yield();
	return attr.test.retval * size;
}

static inline size_t get_bpf(struct path *p, char *buf, size_t size)
{
	__u64 tail = *p->bpf.tail;
	unsigned int spins = 0;
	const __u32 *record;

	while (__atomic_load_n(p->bpf.head, __ATOMIC_ACQUIRE) == tail)
		spin(&spins);
	record = (const __u32 *)(p->bpf.data + (tail & (p->capacity - 1)));
	while (__atomic_load_n(record, __ATOMIC_ACQUIRE) & BPF_RINGBUF_BUSY_BIT)
		spin(&spins);
	memcpy(buf, (const char *)record + BPF_RINGBUF_HDR_SZ, size);
	tail += (size + BPF_RINGBUF_HDR_SZ + 7) & ~7UL;
	__atomic_store_n(p->bpf.tail, tail, __ATOMIC_RELEASE);
	return size;
}

/* For comparison: one process copies to a buffer of the same size without waiting. */
static inline size_t get_memcpy(struct path *p, char *buf, size_t size)
{
	struct ring *ring = &p->ring;
	size_t n = min_size(size, p->piece);

	memcpy(ring->data + (ring->position & (p->capacity - 1)), buf, n);
	ring->position += n;
	return n;
}

/* Loops with a single operation, so that nothing else is measured. */
#define PRODUCER(x)							\
static void produce_##x(struct path *p, char *buf, size_t size)	\
{									\
	for (;;)							\
		count->done += put_##x(p, buf, size);		\
}									\
static size_t do_put_##x(struct path *p, char *buf, size_t size)	\
{									\
	return put_##x(p, buf, size);					\
}

#define CONSUMER(x)							\
static void consume_##x(struct path *p, char *buf, size_t size)	\
{									\
	for (;;)							\
		count->done += get_##x(p, buf, size);		\
}									\
static size_t do_get_##x(struct path *p, char *buf, size_t size)	\
{									\
	return get_##x(p, buf, size);					\
}

PRODUCER(fd)
PRODUCER(map)
PRODUCER(made_fd)
PRODUCER(made_map)
PRODUCER(ring)
PRODUCER(bpf)
CONSUMER(fd)
CONSUMER(map)
CONSUMER(made_fd)
CONSUMER(made_map)
CONSUMER(ring)
CONSUMER(bpf)
CONSUMER(memcpy)

/* ---- opening them ---- */

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

static void ring_producer(struct path *p)
{
	p->ring.own = p->ring_head;
	p->ring.peer = p->ring_tail;
}

static void ring_consumer(struct path *p)
{
	p->ring.own = p->ring_tail;
	p->ring.peer = p->ring_head;
}

struct port {
	void (*start)(struct path *p);
	void (*loop)(struct path *p, char *buf, size_t size);
	size_t (*once)(struct path *p, char *buf, size_t size);
};

static const struct port write_fd = { NULL, produce_fd, do_put_fd };
static const struct port read_fd = { NULL, consume_fd, do_get_fd };
static const struct port map_in = { claim_producer, produce_map, do_put_map };
static const struct port map_out = { claim_consumer, consume_map, do_get_map };
static const struct port made_write = { NULL, produce_made_fd, do_put_made_fd };
static const struct port made_read = { NULL, consume_made_fd, do_get_made_fd };
static const struct port made_in = {
	claim_producer, produce_made_map, do_put_made_map
};
static const struct port made_out = {
	claim_consumer, consume_made_map, do_get_made_map
};
static const struct port ring_in = { ring_producer, produce_ring, do_put_ring };
static const struct port ring_out = { ring_consumer, consume_ring, do_get_ring };
static const struct port bpf_in = { NULL, produce_bpf, do_put_bpf };
static const struct port bpf_out = { NULL, consume_bpf, do_get_bpf };
static const struct port copy_out = { NULL, consume_memcpy, do_get_memcpy };

/* @number is the index of the path, @size the number of bytes moved at once. */
struct way {
	const char *name;
	void (*open)(struct path *p, unsigned int number, size_t size);
	const struct port *in, *out;
	size_t most;		/* the largest block, or 0 */
};

static void fail(const struct path *path, const char *what)
{
	err(1, "%s: %s", path->way->name, what);
}

static void store(const char *attr, unsigned long value)
{
	int fd = open(attr, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || dprintf(fd, "%lu\n", value) < 0)
		err(1, "%s", attr);
	close(fd);
}

static void open_vfifo(struct path *p, unsigned int number, size_t size)
{
	struct vfifo_info info;
	char name[64];

	(void)size;
	snprintf(name, sizeof(name), "/dev/vfifo%u", number);
	p->in = open(name, O_RDWR | O_CLOEXEC);
	p->out = open(name, O_RDWR | O_CLOEXEC);
	if (p->in < 0 || p->out < 0)
		fail(p, name);
	if (ioctl(p->in, VFIFO_CLEAR) || vfifo_map_info(p->in, &info))
		fail(p, "ioctl");
	if (info.capacity == p->capacity)
		return;
	snprintf(name, sizeof(name), "/sys/class/vfifo/vfifo%u/capacity",
		 number);
	store(name, p->capacity);
}

static void open_pipe(struct path *p, unsigned int number, size_t size)
{
	int ends[2];

	(void)number, (void)size;
	if (pipe2(ends, O_CLOEXEC) ||
	    fcntl(ends[1], F_SETPIPE_SZ, p->capacity) != (int)p->capacity)
		fail(p, "F_SETPIPE_SZ");
	p->out = ends[0];
	p->in = ends[1];
}

static void open_unix(struct path *p, unsigned int number, size_t size)
{
	int ends[2], bytes = p->capacity;

	(void)number, (void)size;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) ||
	    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)))
		fail(p, "socketpair");
	p->out = ends[0];
	p->in = ends[1];
}

static void open_eventfd(struct path *p, unsigned int number, size_t size)
{
	(void)number, (void)size;
	p->in = eventfd(0, EFD_CLOEXEC);
	p->out = dup(p->in);
	if (p->in < 0 || p->out < 0)
		fail(p, "eventfd");
}

static void open_twin(struct path *p, unsigned int number, size_t size)
{
	char name[32], rest[256];

	(void)size;
	snprintf(name, sizeof(name), "/dev/%s%u", p->way->name, number);
	p->in = open(name, O_WRONLY | O_CLOEXEC);
	p->out = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (p->in < 0 || p->out < 0)
		fail(p, name);
	while (read(p->out, rest, sizeof(rest)) > 0)
		;
	fcntl(p->out, F_SETFL, 0);
}

static void open_ring(struct path *p, unsigned int number, size_t size)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	int fd = memfd_create("ring", MFD_CLOEXEC);
	const int rw = PROT_READ | PROT_WRITE;
	char *area;

	(void)number, (void)size;
	if (fd < 0 || ftruncate(fd, 2 * page + p->capacity))
		fail(p, "memfd_create");
	area = mmap(NULL, 2 * page + 2 * p->capacity, rw, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED ||
	    mmap(area + 2 * page + p->capacity, p->capacity, rw,
		 MAP_SHARED | MAP_FIXED, fd, 2 * page) == MAP_FAILED)
		fail(p, "mmap");
	p->ring_head = (__u64 *)area;
	p->ring_tail = (__u64 *)(area + page);
	p->ring.data = area + 2 * page;
	p->in = fd;
}

/* The array has the contents of the records. */
static int bpf_map(enum bpf_map_type type, unsigned int size)
{
	union bpf_attr attr = { .map_type = type, .max_entries = size };

	if (type == BPF_MAP_TYPE_ARRAY) {
		attr.key_size = 4;
		attr.value_size = size;
		attr.max_entries = 1;
	}
	return sys_bpf(BPF_MAP_CREATE, &attr);
}

#define INSN(c, d, s, o, i)						\
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), \
			    .off = (o), .imm = (i) })
#define MOVE(d, s)	INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i)	INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, i)	INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define LOAD(d, s, i)	INSN(BPF_LD | BPF_DW | BPF_IMM, d, s, 0, i), \
			INSN(0, 0, 0, 0, 0)

/* Puts @batch records of @size bytes, and returns how many of them fitted. */
static int bpf_program(int ring, int array, unsigned int size, int batch)
{
	const struct bpf_insn insns[] = {
		SET(BPF_REG_6, 0),
		LOAD(BPF_REG_1, BPF_PSEUDO_MAP_FD, ring),
		LOAD(BPF_REG_2, BPF_PSEUDO_MAP_VALUE, array),
		SET(BPF_REG_3, size),
		/* The consumer spins, so it need not be woken. */
		SET(BPF_REG_4, BPF_RB_NO_WAKEUP),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ringbuf_output),
		INSN(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 2, 0),
		ADD(BPF_REG_6, 1),
		INSN(BPF_JMP | BPF_JLT | BPF_K, BPF_REG_6, 0, -10, batch),
		MOVE(BPF_REG_0, BPF_REG_6),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SYSCALL,
		.insns = (unsigned long)insns,
		.insn_cnt = ARRAY_SIZE(insns),
		.license = (unsigned long)"GPL",
		.prog_flags = BPF_F_SLEEPABLE,
	};

	return sys_bpf(BPF_PROG_LOAD, &attr);
}

static void open_bpf(struct path *p, unsigned int number, size_t size)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	int array = bpf_map(BPF_MAP_TYPE_ARRAY, size);
	char *pages;

	(void)number;
	p->in = bpf_map(BPF_MAP_TYPE_RINGBUF, p->capacity);
	if (array < 0 || p->in < 0)
		fail(p, "BPF_MAP_CREATE");
	/* Many records per run, so that the call itself matters little. */
	p->out = bpf_program(p->in, array, size,
			     size < 16 * KIB / 64 ? 64 : 16 * KIB / size);
	if (p->out < 0)
		fail(p, "BPF_PROG_LOAD");
	close(array);
	p->bpf.prog = p->out;
	p->bpf.tail = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED,
			   p->in, 0);
	pages = mmap(NULL, page + 2 * p->capacity, PROT_READ, MAP_SHARED,
		     p->in, page);
	if (p->bpf.tail == MAP_FAILED || pages == MAP_FAILED)
		fail(p, "mmap");
	p->bpf.head = (__u64 *)pages;
	p->bpf.data = pages + page;
}

static void path_open(struct path *p, const struct way *way,
		      unsigned int number, size_t capacity, size_t size)
{
	memset(p, 0, sizeof(*p));
	p->way = way;
	p->capacity = capacity;
	/* With a block that fills the buffer, the ends would take turns. */
	p->piece = capacity / 4;
	p->in = -1;
	p->out = -1;
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
}

/* ---- jobs of the processes ---- */

struct job {
	void (*run)(struct job *job, char *buf);
	struct path *path, *back;
	size_t size;
	int cpu;
	bool counts;		/* its progress is measured */
	pid_t pid;
};

static void start(const struct port *port, struct path *p)
{
	if (port->start)
		port->start(p);
}

static void produce(struct job *job, char *buf)
{
	start(job->path->way->in, job->path);
	job->path->way->in->loop(job->path, buf, job->size);
}

static void consume(struct job *job, char *buf)
{
	start(job->path->way->out, job->path);
	job->path->way->out->loop(job->path, buf, job->size);
}

/* Bytes through one path and back through another, asleep in between. */
static void ping(struct job *job, char *buf)
{
	struct path *there = job->path, *back = job->back;

	start(back->way->out, back);
	start(there->way->in, there);
	for (;;) {
		there->way->in->once(there, buf, job->size);
		back->way->out->once(back, buf, job->size);
		count->done++;
	}
}

static void echo(struct job *job, char *buf)
{
	struct path *there = job->path, *back = job->back;

	start(there->way->out, there);
	start(back->way->in, back);
	for (;;) {
		there->way->out->once(there, buf, job->size);
		back->way->in->once(back, buf, job->size);
	}
}

/* Into a path and out again, with nobody at the other end. */
static void pair(struct job *job, char *buf)
{
	const struct port *in = job->path->way->in, *out = job->path->way->out;
	struct path *p = job->path, other = *p;
	size_t got;

	start(in, p);
	start(out, &other);
	for (;;) {
		in->once(p, buf, job->size);
		for (got = 0; got < job->size;)
			got += out->once(&other, buf, job->size);
		count->done++;
	}
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "sched_setaffinity");
}

static void job_start(struct job *job, struct count *its)
{
	char *buf;

	memset(its, 0, sizeof(*its));
	job->pid = fork();
	if (job->pid < 0)
		err(1, "fork");
	if (job->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (job->cpu >= 0)
		pin(job->cpu);
	buf = aligned_alloc(KIB, LARGEST);
	if (!buf)
		err(1, "malloc");
	memset(buf, 'x', job->size);
	count = its;
	job->run(job, buf);
	_exit(0);
}

static __u64 clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		err(1, "clock_gettime");
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

struct look {
	__u64 ns, cpu, done, calls;
};

static struct look look(const struct job *jobs, unsigned int n)
{
	struct look look = { .ns = clock_ns(CLOCK_MONOTONIC) };
	clockid_t clock;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (jobs[i].counts)
			look.done += counts[i].done;
		look.calls += counts[i].calls;
		if (!clock_getcpuclockid(jobs[i].pid, &clock))
			look.cpu += clock_ns(clock);
	}
	return look;
}

static bool all_move(const struct job *jobs, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (jobs[i].counts && !counts[i].done)
			return false;
	return true;
}

static void patience(__u64 since, const struct job *job)
{
	if (waitpid(-1, NULL, WNOHANG) > 0)
		errx(1, "%s: a process ended early", job->path->way->name);
	if (clock_ns(CLOCK_MONOTONIC) - since > PATIENCE * 1000000000ULL)
		errx(1, "%s, %zu bytes: it hangs", job->path->way->name,
		     job->size);
}

/* Measures @n jobs for @ms milliseconds, and until @least is done. */
static struct look measure(struct job *jobs, unsigned int n, unsigned int ms,
			   __u64 least)
{
	__u64 from = clock_ns(CLOCK_MONOTONIC), limit;
	struct look before, after;
	unsigned int i;

	for (i = 0; i < n; i++)
		job_start(&jobs[i], &counts[i]);
	while (!all_move(jobs, n)) {
		patience(from, jobs);
		usleep(1000);
	}
	/* Let the first page faults pass. */
	usleep(5000);
	before = look(jobs, n);
	limit = before.ns;
	do {
		patience(limit, jobs);
		usleep(ms * 1000);
		after = look(jobs, n);
	} while (after.done - before.done < least || after.done == before.done);
	for (i = 0; i < n; i++)
		kill(jobs[i].pid, SIGKILL);
	for (i = 0; i < n; i++)
		if (waitpid(jobs[i].pid, NULL, 0) != jobs[i].pid)
			err(1, "waitpid");
	return (struct look){ after.ns - before.ns, after.cpu - before.cpu,
			      after.done - before.done,
			      after.calls - before.calls };
}

/* ---- samples ---- */

static FILE *samples;
static struct path paths[MOST_PATHS];
static struct job jobs[MOST_JOBS];

static void sample(const char *measure, const char *way, unsigned long param,
		   const char *quantity, double value)
{
	fprintf(samples, "%s\t%s\t%lu\t%s\t%.9g\n", measure, way, param,
		quantity, value);
	fflush(samples);
}

struct plan;

/* A measure, with its ways and parameters. */
struct plan {
	const char *name;
	void (*run)(const struct plan *plan, const struct way *way,
		    unsigned long param, unsigned int ms);
	const char *ways[16];
	unsigned long params[16];
};

/* Moves bytes through @n paths, each with one reader and @writers writers. */
static struct look stream(const struct way *way, unsigned int n,
			  unsigned int writers, size_t capacity, size_t size,
			  unsigned int ms, __u64 least)
{
	unsigned int i, j = 0, w;
	struct look took;

	for (i = 0; i < n; i++) {
		path_open(&paths[i], way, i, capacity, size);
		jobs[j++] = (struct job){ consume, &paths[i], NULL, size,
					  (i + 1) % 2, true, 0 };
		for (w = 0; w < writers && way->in; w++)
			jobs[j++] = (struct job){ produce, &paths[i], NULL,
						  size, (i + w) % 2, false, 0 };
	}
	took = measure(jobs, j, ms, least);
	for (i = 0; i < n; i++)
		path_close(&paths[i]);
	return took;
}

static double mb_per_s(const struct look *look)
{
	return look->done * 1e3 / look->ns;
}

static void run_throughput(const struct plan *plan, const struct way *way,
			   unsigned long size, unsigned int ms)
{
	struct look took = stream(way, 1, 1, CAPACITY, size, ms, 0);
	double mib = (double)took.done / MIB;

	sample(plan->name, way->name, size, "MB/s", mb_per_s(&took));
	sample(plan->name, way->name, size, "cpu-us/MiB", took.cpu / 1e3 / mib);
	sample(plan->name, way->name, size, "calls/MiB", took.calls / mib);
}

/* At least the whole buffer is used once. */
static void run_capacity(const struct plan *plan, const struct way *way,
			 unsigned long capacity, unsigned int ms)
{
	struct look took = stream(way, 1, 1, capacity, 4 * KIB, ms, capacity);

	sample(plan->name, way->name, capacity, "MB/s", mb_per_s(&took));
}

static void run_devices(const struct plan *plan, const struct way *way,
			unsigned long n, unsigned int ms)
{
	struct look took = stream(way, n, 1, CAPACITY, 4 * KIB, 2 * ms, 0);

	sample(plan->name, way->name, n, "MB/s", mb_per_s(&took));
}

static void run_writers(const struct plan *plan, const struct way *way,
			unsigned long n, unsigned int ms)
{
	struct look took = stream(way, 1, n, CAPACITY, 512, ms, 0);

	sample(plan->name, way->name, n, "MB/s", mb_per_s(&took));
}

static void run_pair(const struct plan *plan, const struct way *way,
		     unsigned long size, unsigned int ms)
{
	struct look took;

	path_open(&paths[0], way, 0, CAPACITY, size);
	jobs[0] = (struct job){ pair, &paths[0], NULL, size, 0, true, 0 };
	took = measure(jobs, 1, ms / 2, 0);
	path_close(&paths[0]);
	sample(plan->name, way->name, size, "ns", (double)took.ns / took.done);
}

/* On @cpus processors. An eventfd needs 8 bytes. */
static void run_wake(const struct plan *plan, const struct way *way,
		     unsigned long cpus, unsigned int ms)
{
	const size_t size = 8;
	struct look took;

	path_open(&paths[0], way, 0, CAPACITY, size);
	path_open(&paths[1], way, 1, CAPACITY, size);
	jobs[0] = (struct job){ ping, &paths[0], &paths[1], size, 0, true, 0 };
	jobs[1] = (struct job){ echo, &paths[0], &paths[1], size, cpus - 1,
				false, 0 };
	took = measure(jobs, 2, ms, 0);
	path_close(&paths[0]);
	path_close(&paths[1]);
	sample(plan->name, way->name, cpus, "ns", (double)took.ns / took.done);
	sample(plan->name, way->name, cpus, "cpu-ns",
	       (double)took.cpu / took.done);
}

/* ---- instructions ---- */

static __u64 stamp(void)
{
	__u32 low, high;

	asm volatile("lfence; rdtsc; lfence" : "=a" (low), "=d" (high));
	return (__u64)high << 32 | low;
}

static int by_value(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

static __u64 median(__u64 *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[n / 2];
}

#define REPEATS	201

/* Uses the median, since there may be interrupts in between. */
static void run_instructions(const struct plan *plan, const struct way *way,
			     unsigned long size, unsigned int ms)
{
	static __u64 in[REPEATS], out[REPEATS], both[REPEATS], none[REPEATS];
	struct path *p = &paths[0], other;
	static char buf[64 * KIB];
	__u64 empty, from, between, to;
	unsigned int i;

	(void)ms;
	path_open(p, way, 0, CAPACITY, size);
	other = *p;
	start(way->in, p);
	start(way->out, &other);
	for (i = 0; i < REPEATS; i++) {
		from = stamp();
		to = stamp();
		none[i] = to - from;
		from = stamp();
		way->in->once(p, buf, size);
		between = stamp();
		way->out->once(&other, buf, size);
		to = stamp();
		in[i] = between - from;
		out[i] = to - between;
		both[i] = to - from;
	}
	if (p->producer.map.own)
		vfifo_producer_close(&p->producer);
	if (other.consumer.map.own)
		vfifo_consumer_close(&other.consumer);
	path_close(p);
	empty = median(none, REPEATS);
	sample(plan->name, way->name, size, "in", median(in, REPEATS) - empty);
	sample(plan->name, way->name, size, "out",
	       median(out, REPEATS) - empty);
	sample(plan->name, way->name, size, "both",
	       median(both, REPEATS) - 2 * empty);
}

/* Starts a process that sends back through paths[1] what comes through paths[0]. */
static void echo_start(const struct way *way, size_t size, struct job *job)
{
	path_open(&paths[0], way, 0, CAPACITY, size);
	path_open(&paths[1], way, 1, CAPACITY, size);
	*job = (struct job){ echo, &paths[0], &paths[1], size, 0, false, 0 };
	job_start(job, &counts[0]);
	start(way->in, &paths[0]);
	start(way->out, &paths[1]);
}

static void echo_end(const struct job *job)
{
	kill(job->pid, SIGKILL);
	if (waitpid(job->pid, NULL, 0) != job->pid)
		err(1, "waitpid");
	path_close(&paths[0]);
	path_close(&paths[1]);
}

/* A round trip, including the switches between the two processes. */
static void run_wake_instructions(const struct plan *plan,
				  const struct way *way, unsigned long size,
				  unsigned int ms)
{
	static __u64 took[REPEATS];
	static char buf[64] = { 1 };	/* an eventfd does not send 0 */
	struct job job;
	unsigned int i;
	__u64 from;

	(void)ms;
	echo_start(way, size, &job);
	for (i = 0; i < REPEATS; i++) {
		from = stamp();
		way->in->once(&paths[0], buf, size);
		way->out->once(&paths[1], buf, size);
		took[i] = stamp() - from;
	}
	echo_end(&job);
	sample(plan->name, way->name, size, "trip", median(took, REPEATS));
}

/* ---- the plans ---- */

static const struct way ways[] = {
	{ "vfifo", open_vfifo, &write_fd, &read_fd, 0 },
	{ "write-mapped", open_vfifo, &write_fd, &map_out, 0 },
	{ "mapped-read", open_vfifo, &map_in, &read_fd, 0 },
	{ "mapped", open_vfifo, &map_in, &map_out, 0 },
	{ "made-mapped", open_vfifo, &made_in, &made_out, 0 },
	{ "made-pipe", open_pipe, &made_write, &made_read, 0 },
	{ "pipe", open_pipe, &write_fd, &read_fd, 0 },
	{ "unix", open_unix, &write_fd, &read_fd, 0 },
	{ "eventfd", open_eventfd, &write_fd, &read_fd, 0 },
	{ "twin", open_twin, &write_fd, &read_fd, 0 },
	{ "iter", open_twin, &write_fd, &read_fd, 0 },
	{ "bytewise", open_twin, &write_fd, &read_fd, 0 },
	{ "ring", open_ring, &ring_in, &ring_out, 0 },
	/* A record and its header must fit. */
	{ "bpf", open_bpf, &bpf_in, &bpf_out, 4 * KIB },
	{ "memcpy", open_ring, NULL, &copy_out, 0 },
};

static const struct way *way_named(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ways); i++)
		if (!strcmp(ways[i].name, name))
			return &ways[i];
	errx(1, "no way %s", name);
}

#define SIZES	{ 1, 64, 512, 4 * KIB, 64 * KIB, MIB }

static const struct plan full[] = {
	{ "throughput", run_throughput,
	  { "vfifo", "pipe", "twin", "iter", "write-mapped", "mapped-read",
	    "mapped", "ring", "unix", "bytewise", "bpf", "memcpy" }, SIZES },
	{ "made", run_throughput, { "made-mapped", "made-pipe" }, SIZES },
	{ "pair", run_pair,
	  { "vfifo", "pipe", "twin", "iter", "unix", "bytewise", "mapped",
	    "ring" },
	  { 1, 64, 512, 4 * KIB } },
	{ "wake", run_wake,
	  { "vfifo", "pipe", "eventfd", "twin", "unix", "mapped" }, { 1, 2 } },
	{ "capacity", run_capacity, { "vfifo", "pipe", "mapped" },
	  { 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB,
	    64 * MIB } },
	{ "devices", run_devices, { "vfifo", "pipe" }, { 1, 4, 16, 64 } },
	{ "writers", run_writers, { "vfifo", "pipe", "twin" }, { 1, 2, 4, 8 } },
	{ NULL, NULL, { NULL }, { 0 } },
};

static const struct plan quick[] = {
	{ "throughput", run_throughput,
	  { "vfifo", "pipe", "write-mapped", "mapped-read", "mapped" },
	  { 64, 4 * KIB, 64 * KIB } },
	{ NULL, NULL, { NULL }, { 0 } },
};

static const struct plan instructions[] = {
	{ "instructions", run_instructions,
	  { "vfifo", "pipe", "twin", "iter", "bytewise", "unix",
	    "write-mapped", "mapped-read", "mapped", "ring" }, { 1, 64, 512, 4 * KIB } },
	{ "wake-instructions", run_wake_instructions,
	  { "vfifo", "pipe", "eventfd", "twin" }, { 8 } },
	{ NULL, NULL, { NULL }, { 0 } },
};

static void run_plan(const struct plan *plan, unsigned int round,
		     unsigned int ms)
{
	unsigned int n, param, i;
	const struct way *way;

	for (; plan->name; plan++) {
		for (n = 0; n < ARRAY_SIZE(plan->ways) && plan->ways[n]; n++)
			;
		for (param = 0; plan->params[param]; param++) {
			for (i = 0; i < n; i++) {
				way = way_named(plan->ways[(i + round) % n]);
				if (!way->most ||
				    plan->params[param] <= way->most)
					plan->run(plan, way,
						  plan->params[param], ms);
			}
		}
	}
}

static void rounds(const struct plan *plan, unsigned int n, unsigned int ms)
{
	struct sched_param priority = { .sched_priority = 1 };
	__u64 from = clock_ns(CLOCK_MONOTONIC);
	unsigned int round;

	/* This process must not have to wait for those that it measures. */
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority))
		err(1, "sched_setscheduler");
	for (round = 0; round < n; round++) {
		run_plan(plan, round, ms);
		printf("  round %u of %u, %llu s\n", round + 1, n,
		       (clock_ns(CLOCK_MONOTONIC) - from) / 1000000000);
		fflush(stdout);
	}
}

static void load(const char *module, unsigned int n)
{
	int fd = open(module, O_RDONLY | O_CLOEXEC);
	char name[NAME_MAX + 1];
	const char *base;
	unsigned int i;
	__u64 from;

	base = strrchr(module, '/') ? strrchr(module, '/') + 1 : module;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(base, "."), base);
	if (fd < 0)
		err(1, "%s", module);
	for (i = 0; i < n; i++) {
		from = clock_ns(CLOCK_MONOTONIC);
		if (syscall(SYS_finit_module, fd, "", 0))
			err(1, "finit_module: %s", module);
		sample("load", name, 1, "us",
		       (clock_ns(CLOCK_MONOTONIC) - from) / 1e3);
		if (syscall(SYS_delete_module, name, O_NONBLOCK))
			err(1, "delete_module: %s", name);
	}
	close(fd);
}

#define BYTES(...)	#__VA_ARGS__
#define MARK(end)	MARK_BYTES(PROFILE_MARK(end))
#define MARK_BYTES(...)	asm volatile(".byte " BYTES(__VA_ARGS__) ::: "memory")

/* Writes and reads, or makes round trips, after as many of them to warm up. */
static void profile(const struct way *way, size_t size, unsigned int times)
{
	struct path *in = &paths[0], *out = &paths[1], other;
	static char buf[LARGEST] = { 1 };
	struct job job;
	unsigned int i;

	if (size > CAPACITY / 4)
		errx(1, "not a size: %zu", size);
	if (size) {
		path_open(in, way, 0, CAPACITY, size);
		out = &other;
		other = *in;
		start(way->in, in);
		start(way->out, out);
	} else {
		echo_start(way, 8, &job);
	}
	for (i = 0; i < 2 * times; i++) {
		if (i == times)
			MARK(0);
		way->in->once(in, buf, size ?: 8);
		way->out->once(out, buf, size ?: 8);
	}
	MARK(1);
	if (!size)
		echo_end(&job);
}

static void open_samples(const char *path)
{
	samples = fopen(path, "ae");
	if (!samples)
		err(1, "%s", path);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	counts = mmap(NULL, (MOST_JOBS + 1) * sizeof(*counts),
		      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (counts == MAP_FAILED)
		err(1, "mmap");
	count = &counts[MOST_JOBS];
	if (argc == 5 && (!strcmp(what, "full") || !strcmp(what, "quick"))) {
		open_samples(argv[4]);
		rounds(strcmp(what, "full") ? quick : full, atoi(argv[2]),
		       atoi(argv[3]));
	} else if (argc == 3 && !strcmp(what, "instructions")) {
		open_samples(argv[2]);
		pin(0);
		run_plan(instructions, 0, 0);
	} else if (argc == 5 && !strcmp(what, "profile")) {
		pin(0);
		profile(way_named(argv[2]), strtoul(argv[3], NULL, 0),
			atoi(argv[4]));
		return 0;
	} else if (argc == 5 && !strcmp(what, "load")) {
		open_samples(argv[4]);
		load(argv[2], atoi(argv[3]));
	} else {
		errx(2, "see the head of bench.c");
	}
	if (fclose(samples))
		err(1, "samples");
	return 0;
}
