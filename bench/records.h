/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Records: what is put in by one call comes out by one call. Every record has a number, and
 * every consumer checks it, so nothing gets lost unnoticed.
 *
 * All producers copy a record from their own memory, and all consumers copy it to theirs.
 */
#ifndef BENCH_RECORDS_H
#define BENCH_RECORDS_H

#include <mqueue.h>
#include <sys/socket.h>

#include "bpf.h"
#include "measure.h"

#define RECORD_SIZES	{ 64, 512, 4 * KIB }
#define LARGEST_RECORD	(4 * KIB)

/* ---- numbers ---- */

/* The first and the last 8 bytes. */
static inline void number(struct path *p, char *record, size_t size)
{
	memcpy(record, &p->number, sizeof(p->number));
	memcpy(record + size - sizeof(p->number), &p->number,
	       sizeof(p->number));
	p->number++;
}

static inline void expect(struct path *p, const char *record, size_t size)
{
	if (memcmp(record, &p->number, sizeof(p->number)) ||
	    memcmp(record + size - sizeof(p->number), &p->number,
		   sizeof(p->number)))
		errx(1, "%s: record %llu is missing or torn", p->way->name,
		     p->number);
	p->number++;
}

/* ---- moving a record ---- */

/* @err is a negative error number, or 0. */
static inline void check(const struct path *p, int err, const char *what)
{
	if (err) {
		errno = -err;
		fail(p, what);
	}
}

static inline void check_size(const struct path *p, ssize_t moved, size_t size,
			      const char *what)
{
	if (moved < 0)
		fail(p, what);
	if ((size_t)moved != size)
		errx(1, "%s: %s moved %zd bytes of %zu", p->way->name, what,
		     moved, size);
}

static inline size_t put_record(struct path *p, const char *buf, size_t size)
{
	count->calls++;
	check_size(p, write(p->in, buf, size), size, "write");
	return size;
}

static inline size_t get_record(struct path *p, char *buf, size_t size)
{
	count->calls++;
	check_size(p, read(p->out, buf, size), size, "read");
	return size;
}

static inline size_t put_mq(struct path *p, const char *buf, size_t size)
{
	count->calls++;
	if (mq_send(p->in, buf, size, 0))
		fail(p, "mq_send");
	return size;
}

static inline size_t get_mq(struct path *p, char *buf, size_t size)
{
	count->calls++;
	check_size(p, mq_receive(p->out, buf, size, NULL), size, "mq_receive");
	return size;
}

static inline size_t put_record_map(struct path *p, const char *buf,
				    size_t size)
{
	void *to = vfifo_producer_reserve_record(&p->producer, size);

	if (!to) {
		check(p, vfifo_producer_wait_record(&p->producer, size, -1),
		      "vfifo_producer_wait_record");
		to = vfifo_producer_reserve_record(&p->producer, size);
	}
	memcpy(to, buf, size);
	check(p, vfifo_producer_commit_record(&p->producer, size),
	      "vfifo_producer_commit_record");
	return size;
}

static inline size_t get_record_map(struct path *p, char *buf, size_t size)
{
	struct vfifo_view record;
	int err;

	err = vfifo_consumer_next_record(&p->consumer, &record);
	if (err == -EAGAIN) {
		check(p, vfifo_consumer_wait_record(&p->consumer, -1),
		      "vfifo_consumer_wait_record");
		err = vfifo_consumer_next_record(&p->consumer, &record);
	}
	check(p, err, "vfifo_consumer_next_record");
	check_size(p, record.len, size, "vfifo_consumer_next_record");
	memcpy(buf, record.data, record.len);
	check(p, vfifo_consumer_release_record(&p->consumer, &record),
	      "vfifo_consumer_release_record");
	return size;
}

/* The program numbers the records. */
static inline size_t put_bpf_records(struct path *p, const char *buf,
				     size_t size)
{
	return put_bpf(p, buf, size);
}

/* All that there are. */
static inline size_t get_bpf_records(struct path *p, char *buf, size_t size)
{
	p->bpf.to = buf;
	return bpf_consume(p) * size;
}

/* Callbacks of the consumer. The first one is for several records one after the other. */
static int copy_bpf_record(void *context, void *data, size_t size)
{
	struct path *p = context;

	if (size != p->bpf.size)
		return -1;
	memcpy(p->bpf.to, data, size);
	p->bpf.to += size;
	return 0;
}

static int receive_bpf_record(void *context, void *data, size_t size)
{
	struct path *p = context;

	if (size != p->bpf.size)
		return -1;
	memcpy(p->bpf.to, data, size);
	expect(p, p->bpf.to, size);
	count->done += size;
	return 0;
}

static inline size_t put_bpf_user(struct path *p, const char *buf, size_t size)
{
	void *to = bpf_reserve(p, size);

	while (!to) {
		bpf_sleep(p);
		to = bpf_reserve(p, size);
	}
	memcpy(to, buf, size);
	bpf_submit(p, to);
	return size;
}

/* All that there are, to the memory of the program. */
static inline size_t get_bpf_user(struct path *p, char *buf, size_t size)
{
	unsigned int records = bpf_drain(p);

	(void)buf;
	if (!records) {
		count->calls++;
		sched_yield();
	}
	return records * size;
}

/* ---- loops ---- */

#define RECORD_PRODUCER(x)						\
static void produce_##x(struct path *p, char *buf, size_t size)	\
{									\
	for (;;) {							\
		number(p, buf, size);					\
		count->done += put_##x(p, buf, size);			\
	}								\
}									\
static size_t do_put_##x(struct path *p, char *buf, size_t size)	\
{									\
	return put_##x(p, buf, size);					\
}

#define RECORD_CONSUMER(x)						\
static void consume_##x(struct path *p, char *buf, size_t size)	\
{									\
	for (;;) {							\
		get_##x(p, buf, size);					\
		expect(p, buf, size);					\
		count->done += size;					\
	}								\
}									\
static size_t do_get_##x(struct path *p, char *buf, size_t size)	\
{									\
	return get_##x(p, buf, size);					\
}

RECORD_PRODUCER(record)
RECORD_PRODUCER(record_map)
RECORD_PRODUCER(mq)
RECORD_PRODUCER(bpf_records)
RECORD_PRODUCER(bpf_user)
RECORD_CONSUMER(record)
RECORD_CONSUMER(record_map)
RECORD_CONSUMER(mq)

/* As ring_buffer__poll() of libbpf, again and again. */
static void consume_bpf_records(struct path *p, char *buf, size_t size)
{
	(void)size;
	p->bpf.sample = receive_bpf_record;
	p->bpf.to = buf;
	for (;;) {
		bpf_sleep(p);
		bpf_consume(p);
	}
}

/* As ring_buffer__consume(), again and again. */
static void consume_bpf_spinning(struct path *p, char *buf, size_t size)
{
	unsigned int spins = 0;

	(void)size;
	p->bpf.sample = receive_bpf_record;
	p->bpf.to = buf;
	for (;;)
		if (!bpf_consume(p))
			spin(&spins);
}

static size_t do_get_bpf_records(struct path *p, char *buf, size_t size)
{
	return get_bpf_records(p, buf, size);
}

/* The program checks the numbers. */
static void consume_bpf_user(struct path *p, char *buf, size_t size)
{
	for (;;)
		count->done += get_bpf_user(p, buf, size);
}

static size_t do_get_bpf_user(struct path *p, char *buf, size_t size)
{
	return get_bpf_user(p, buf, size);
}

static void start_bpf_consumer(struct path *p)
{
	p->bpf.sample = copy_bpf_record;
	bpf_wait_for(p, EPOLLIN);
}

static void start_bpf_producer(struct path *p)
{
	bpf_wait_for(p, EPOLLOUT);
}

static const struct port record_in = { NULL, produce_record, do_put_record };
static const struct port record_out = { NULL, consume_record, do_get_record };
static const struct port record_map_in = {
	claim_producer, produce_record_map, do_put_record_map
};
static const struct port record_map_out = {
	claim_consumer, consume_record_map, do_get_record_map
};
static const struct port mq_in = { NULL, produce_mq, do_put_mq };
static const struct port mq_out = { NULL, consume_mq, do_get_mq };
static const struct port bpf_records_in = {
	NULL, produce_bpf_records, do_put_bpf_records
};
static const struct port bpf_records_out = {
	start_bpf_consumer, consume_bpf_records, do_get_bpf_records
};
static const struct port bpf_spinning_out = {
	NULL, consume_bpf_spinning, do_get_bpf_records
};
static const struct port bpf_user_in = {
	start_bpf_producer, produce_bpf_user, do_put_bpf_user
};
static const struct port bpf_user_out = {
	NULL, consume_bpf_user, do_get_bpf_user
};

/* ---- opening ---- */

static void open_records(struct path *p, unsigned int number, size_t size)
{
	(void)size;
	open_kind(p, number, VFIFO_RECORDS);
}

/* Each packet takes a page of the pipe. */
static void open_packets(struct path *p, unsigned int number, size_t size)
{
	int ends[2];

	(void)number, (void)size;
	if (pipe2(ends, O_DIRECT | O_CLOEXEC) ||
	    fcntl(ends[1], F_SETPIPE_SZ, p->capacity) != (int)p->capacity)
		fail(p, "F_SETPIPE_SZ");
	p->out = ends[0];
	p->in = ends[1];
}

static void open_seqpacket(struct path *p, unsigned int number, size_t size)
{
	int ends[2], bytes = p->capacity;

	(void)number, (void)size;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) ||
	    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)))
		fail(p, "socketpair");
	p->out = ends[0];
	p->in = ends[1];
}

/* Messages of @size bytes that fill the capacity. Only root may have so many. */
static void open_mq(struct path *p, unsigned int number, size_t size)
{
	struct mq_attr attr = {
		.mq_maxmsg = p->capacity / size,
		.mq_msgsize = size,
	};
	char name[64];

	snprintf(name, sizeof(name), "/bench-%d-%u", (int)getpid(), number);
	p->in = mq_open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600,
			&attr);
	if (p->in < 0)
		fail(p, "mq_open");
	p->out = mq_open(name, O_RDONLY | O_CLOEXEC);
	if (p->out < 0 || mq_unlink(name))
		fail(p, name);
}

/* ---- time ---- */

static void run_records(const struct plan *plan, const struct way *way,
			unsigned long size, unsigned int ms)
{
	struct look took = stream(way, 1, 1, 1, CAPACITY, size, ms, 0, false);
	double records = (double)took.done / size;

	sample(plan->name, way->name, size, "ns", took.ns / records);
	sample(plan->name, way->name, size, "cpu-ns", took.cpu / records);
	sample(plan->name, way->name, size, "calls", took.calls / records);
}

/* ---- instructions ---- */

/* Fits into all buffers. */
#define SEVERAL		8
#define RECORD_REPEATS	51

static void move(const struct port *port, struct path *p, char *buf,
		 size_t size, unsigned int n)
{
	size_t done;

	for (done = 0; done < n * size;)
		done += port->once(p, buf + done, size);
}

/* A consumer in the kernel has only one place. */
static void compare(const struct path *p, const char *sent, const char *got,
		    size_t size, unsigned int n)
{
	const char *received = p->bpf.received;

	if (received ? memcmp(sent + (n - 1) * size, received, size) :
		       memcmp(sent, got, n * size))
		errx(1, "%s: what was put is not what came out", p->way->name);
}

/* Runs the end in the kernel, but does nothing with records. Returns how long that takes. */
static __u64 run_nothing(const struct way *way, struct path *in,
			 struct path *out, char *buf, size_t size,
			 unsigned int n)
{
	struct path *kernel = in->bpf.received ? out : in;
	int prog = kernel->bpf.prog;
	__u64 from, to;

	kernel->bpf.prog = kernel->bpf.nothing;
	from = stamp();
	move(kernel == in ? way->in : way->out, kernel, buf, size, n);
	to = stamp();
	kernel->bpf.prog = prog;
	return to - from;
}

/*
 * Puts @n records and then gets them, again and again. An end in the kernel is run by a system
 * call and a program, which do not count: in real use something else would run it.
 */
static void count_records(const struct plan *plan, const struct way *way,
			  size_t size, unsigned int n)
{
	static __u64 in[RECORD_REPEATS], out[RECORD_REPEATS];
	static __u64 none[RECORD_REPEATS], nothing[RECORD_REPEATS];
	static char sent[SEVERAL * LARGEST_RECORD];
	static char got[SEVERAL * LARGEST_RECORD];
	double empty, empty_run, in_each, out_each;
	struct path *p = &paths[0], other;
	__u64 from, between, to, calls, was = 0;
	unsigned int i, k;

	path_init(p, way, CAPACITY);
	p->batch = n;
	way->open(p, 0, size);
	other = *p;
	start(way->in, p);
	start(way->out, &other);
	if (p->bpf.nothing && bpf_run(p, p->bpf.nothing) != (int)n)
		errx(1, "%s: not on CPU 0", way->name);
	memset(sent, 0, sizeof(sent));
	for (i = 0; i < RECORD_REPEATS; i++) {
		for (k = 0; k < n; k++)
			number(p, sent + k * size, size);
		memset(got, 'x', n * size);
		calls = count->calls;
		from = stamp();
		to = stamp();
		none[i] = to - from;
		from = stamp();
		move(way->in, p, sent, size, n);
		between = stamp();
		move(way->out, &other, got, size, n);
		to = stamp();
		in[i] = between - from;
		out[i] = to - between;
		calls = count->calls - calls;
		/* The first of them also tells those who waited before. */
		if (i > 1 && calls != was)
			errx(1, "%s: %llu system calls, and then %llu",
			     way->name, was, calls);
		was = calls;
		compare(&other, sent, got, size, n);
		if (p->bpf.nothing)
			nothing[i] = run_nothing(way, p, &other, got, size, n);
	}
	stop(p, &other);
	path_close(p);
	empty = median(none, RECORD_REPEATS);
	empty_run = p->bpf.nothing ? median(nothing, RECORD_REPEATS) : empty;
	in_each = (median(in, RECORD_REPEATS) -
		   (p->bpf.received ? empty : empty_run)) / n;
	out_each = (median(out, RECORD_REPEATS) -
		    (p->bpf.received ? empty_run : empty)) / n;
	sample(plan->name, way->name, size, "in", in_each);
	sample(plan->name, way->name, size, "out", out_each);
	sample(plan->name, way->name, size, "both", in_each + out_each);
	if (n == 1)
		sample(plan->name, way->name, size, "calls", was);
}

static void run_record_instructions(const struct plan *plan,
				    const struct way *way, unsigned long size,
				    unsigned int ms)
{
	(void)ms;
	count_records(plan, way, size, 1);
}

/* While others are queued. */
static void run_queued_instructions(const struct plan *plan,
				    const struct way *way, unsigned long size,
				    unsigned int ms)
{
	(void)ms;
	count_records(plan, way, size, SEVERAL);
}

#endif /* BENCH_RECORDS_H */
