// SPDX-License-Identifier: GPL-2.0
/*
 * Moves bytes between processes in every way that is compared, and writes the
 * results to a file, one sample per line: measure, way, parameter, quantity,
 * value, separated by tabs.
 *
 *	bench full|quick|records|many ROUNDS MILLISECONDS FILE	samples, round by round
 *	bench instructions|record-instructions|growth FILE	with a time stamp that
 *					counts instructions
 *	bench load MODULE ROUNDS FILE	how long a module takes to load
 *	bench profile WAY BYTES TIMES	writes and reads for profile.c to count; with
 *					0 bytes, round trips
 *
 * Each sample is taken with new processes, each pinned to a processor, and a
 * parent that only reads their counters twice. Each way has one turn in each
 * round, and the first way changes from round to round.
 *
 * The measures of records are also part of "full" and "instructions".
 */
#define _GNU_SOURCE
#include <limits.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "bpf.h"
#include "growth.h"
#include "measure.h"
#include "overwrite.h"
#include "path.h"
#include "profile.h"
#include "records.h"

/* ---- moving bytes ---- */

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
		to = vfifo_producer_reserve(&p->producer, n);
		if (!to) {
			if (vfifo_producer_wait(&p->producer, n, -1))
				fail(p, "vfifo_producer_wait");
			to = vfifo_producer_reserve(&p->producer, n);
		}
		if (made)
			make(to, n);
		else
			memcpy(to, buf + done, n);
		if (vfifo_producer_commit(&p->producer, n))
			fail(p, "vfifo_producer_commit");
	}
	return size;
}

/* With @made, bytes are used in place. */
static inline __attribute__((always_inline)) size_t
get_piece(struct path *p, char *buf, size_t size, bool made)
{
	const void *from;
	size_t n;

	from = vfifo_consumer_peek(&p->consumer, &n);
	if (!from) {
		if (vfifo_consumer_wait(&p->consumer, 1, -1))
			fail(p, "vfifo_consumer_wait");
		from = vfifo_consumer_peek(&p->consumer, &n);
	}
	n = min_size(n, min_size(size, p->piece));
	if (made)
		use(from, n);
	else
		memcpy(buf, from, n);
	if (vfifo_consumer_release(&p->consumer, n))
		fail(p, "vfifo_consumer_release");
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

static void open_vfifo(struct path *p, unsigned int number, size_t size)
{
	(void)size;
	open_kind(p, number, 0);
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

/* ---- jobs of the processes ---- */

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

/* ---- time ---- */

static double mb_per_s(const struct look *look)
{
	return look->done * 1e3 / look->ns;
}

static void run_throughput(const struct plan *plan, const struct way *way,
			   unsigned long size, unsigned int ms)
{
	struct look took = stream(way, 1, 1, 1, CAPACITY, size, ms, 0, false);
	double mib = (double)took.done / MIB;

	sample(plan->name, way->name, size, "MB/s", mb_per_s(&took));
	sample(plan->name, way->name, size, "cpu-us/MiB", took.cpu / 1e3 / mib);
	sample(plan->name, way->name, size, "calls/MiB", took.calls / mib);
}

/* At least the whole buffer is used once. */
static void run_capacity(const struct plan *plan, const struct way *way,
			 unsigned long capacity, unsigned int ms)
{
	struct look took = stream(way, 1, 1, 1, capacity, 4 * KIB, ms, capacity,
				  false);

	sample(plan->name, way->name, capacity, "MB/s", mb_per_s(&took));
}

/* What is measured of many processes at once. */
static void sample_many(const struct plan *plan, const struct way *way,
			unsigned long n, const struct look *took)
{
	sample(plan->name, way->name, n, "MB/s", mb_per_s(took));
	sample_events(plan->name, way->name, n, took, MIB, "/MiB");
}

static void run_devices(const struct plan *plan, const struct way *way,
			unsigned long n, unsigned int ms)
{
	struct look took = stream(way, n, 1, 1, CAPACITY, 4 * KIB, 2 * ms, 0,
				  true);

	sample_many(plan, way, n, &took);
}

/* The name of a plan for one block size ends in it; 512 bytes are written by default. */
static size_t size_of_plan(const struct plan *plan)
{
	const char *size = strrchr(plan->name, '-');

	return size ? strtoul(size + 1, NULL, 10) : 512;
}

static void run_writers(const struct plan *plan, const struct way *way,
			unsigned long n, unsigned int ms)
{
	struct look took = stream(way, 1, 1, n, CAPACITY, size_of_plan(plan), ms,
				  0, true);

	sample_many(plan, way, n, &took);
}

static void run_readers(const struct plan *plan, const struct way *way,
			unsigned long n, unsigned int ms)
{
	struct look took = stream(way, 1, n, 1, CAPACITY, size_of_plan(plan), ms,
				  0, true);

	sample_many(plan, way, n, &took);
}

static void run_pair(const struct plan *plan, const struct way *way,
		     unsigned long size, unsigned int ms)
{
	struct look took;

	path_open(&paths[0], way, 0, CAPACITY, size);
	jobs[0] = (struct job){ pair, &paths[0], NULL, size, 0, true, 0 };
	took = measure(jobs, 1, ms / 2, 0, false);
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
	took = measure(jobs, 2, ms, 0, true);
	path_close(&paths[0]);
	path_close(&paths[1]);
	sample(plan->name, way->name, cpus, "ns", (double)took.ns / took.done);
	sample(plan->name, way->name, cpus, "cpu-ns",
	       (double)took.cpu / took.done);
	sample_events(plan->name, way->name, cpus, &took, 1, "");
}

/* ---- instructions ---- */

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
	stop(p, &other);
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
	{ "records", open_records, &record_in, &record_out, 0 },
	{ "records-write-mapped", open_records, &record_in, &record_map_out, 0 },
	{ "records-mapped-read", open_records, &record_map_in, &record_out, 0 },
	{ "records-mapped", open_records, &record_map_in, &record_map_out, 0 },
	{ "bpf-to-user", open_bpf_records, &bpf_records_in, &bpf_records_out, 0 },
	{ "bpf-spinning", open_bpf_spinning, &bpf_records_in, &bpf_spinning_out,
	  0 },
	{ "bpf-to-kernel", open_bpf_user, &bpf_user_in, &bpf_user_out, 0 },
	{ "packets", open_packets, &record_in, &record_out, 0 },
	{ "seqpacket", open_seqpacket, &record_in, &record_out, 0 },
	{ "mq", open_mq, &mq_in, &mq_out, 0 },
	{ "over", open_over, &record_in, NULL, 0 },
	{ "over-mapped", open_over, &over_map_in, NULL, 0 },
	{ "over-records", open_over_records, &record_in, NULL, 0 },
	{ "over-records-mapped", open_over_records, &over_record_map_in, NULL,
	  0 },
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

#define RECORD_WAYS							\
	"records", "records-write-mapped", "records-mapped-read",	\
	"records-mapped", "bpf-to-user", "bpf-to-kernel", "packets",	\
	"seqpacket", "mq"
/* Each one that overwrites, and the same with a reader. */
#define OVER_WAYS							\
	{ "over", "vfifo", "over-mapped", "mapped",			\
	  "over-records", "records", "over-records-mapped",		\
	  "records-mapped" }
#define RECORD_PLANS							\
	{ "records", run_records, { RECORD_WAYS, "bpf-spinning" },	\
	  RECORD_SIZES },						\
	{ "overwriting", run_overwriting, OVER_WAYS, RECORD_SIZES }
#define RECORD_INSTRUCTIONS						\
	{ "record-instructions", run_record_instructions,		\
	  { RECORD_WAYS }, RECORD_SIZES },				\
	{ "queued-instructions", run_queued_instructions,		\
	  { RECORD_WAYS }, RECORD_SIZES },				\
	{ "overwriting-instructions", run_overwriting_instructions,	\
	  OVER_WAYS, RECORD_SIZES }

#define MANY	{ "vfifo", "pipe", "twin" }, { 1, 2, 4, 8 }
#define MANY_PLANS							\
	{ "devices", run_devices, { "vfifo", "pipe" },			\
	  { 1, 4, 16, 64, 256 } },					\
	{ "writers-64", run_writers, MANY },				\
	{ "writers", run_writers, MANY },				\
	{ "writers-4096", run_writers, MANY },				\
	{ "readers-64", run_readers, MANY },				\
	{ "readers", run_readers, MANY },				\
	{ "readers-4096", run_readers, MANY }

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
	MANY_PLANS,
	RECORD_PLANS,
	{ NULL, NULL, { NULL }, { 0 } },
};

static const struct plan many[] = {
	MANY_PLANS,
	{ "wake", run_wake, { "vfifo", "pipe", "eventfd", "twin" }, { 1, 2 } },
	{ NULL, NULL, { NULL }, { 0 } },
};

static const struct plan records[] = {
	RECORD_PLANS,
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
	RECORD_INSTRUCTIONS,
	{ NULL, NULL, { NULL }, { 0 } },
};

#define GROWTH	{ "vfifo", "pipe" }, { 1, 10, 100, 1000 }

static const struct plan growth[] = {
	{ "growth-readers", run_waiting, GROWTH },
	{ "growth-writers", run_waiting, GROWTH },
	{ "growth-pollers", run_waiting, GROWTH },
	{ "growth-exclusive", run_waiting, GROWTH },
	{ "growth-devices", run_beside, GROWTH },
	{ NULL, NULL, { NULL }, { 0 } },
};

static const struct plan record_instructions[] = {
	RECORD_INSTRUCTIONS,
	{ NULL, NULL, { NULL }, { 0 } },
};

/* Says so once if not. */
static bool possible(const struct way *way)
{
	static bool said;

	if (way->open != open_bpf_user || bpf_has_jit())
		return true;
	if (!said)
		printf("  %s: not measured, this kernel has no BPF JIT\n",
		       way->name);
	said = true;
	return false;
}

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
				if ((!way->most ||
				     plan->params[param] <= way->most) &&
				    possible(way))
					plan->run(plan, way,
						  plan->params[param], ms);
			}
		}
	}
}

static void rounds(const struct plan *plan, unsigned int n, unsigned int ms)
{
	__u64 from = clock_ns(CLOCK_MONOTONIC);
	unsigned int round;

	run_before_others();
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

struct plans {
	const char *name;
	const struct plan *plan;
};

static const struct plans times[] = {
	{ "full", full }, { "quick", quick }, { "records", records },
	{ "many", many }, { NULL, NULL },
};

static const struct plans counted[] = {
	{ "instructions", instructions },
	{ "record-instructions", record_instructions },
	{ "growth", growth },
	{ NULL, NULL },
};

static const struct plan *plan_named(const struct plans *plans,
				     const char *name)
{
	while (plans->name && strcmp(plans->name, name))
		plans++;
	return plans->plan;
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
	const struct plan *plan;

	counts = mmap(NULL, (MOST_JOBS + 1) * sizeof(*counts),
		      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (counts == MAP_FAILED)
		err(1, "mmap");
	count = &counts[MOST_JOBS];
	plan = plan_named(argc == 5 ? times : counted, what);
	if (plan && argc == 5) {
		open_samples(argv[4]);
		events_open();
		rounds(plan, atoi(argv[2]), atoi(argv[3]));
	} else if (plan && argc == 3) {
		open_samples(argv[2]);
		pin(0);
		run_plan(plan, 0, 0);
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
