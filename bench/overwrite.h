/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Producers that overwrite the oldest bytes or records, at full speed and without a reader.
 * They are compared with producers that wait, and have a reader.
 */
#ifndef BENCH_OVERWRITE_H
#define BENCH_OVERWRITE_H

#include "measure.h"
#include "records.h"

static inline size_t put_over_map(struct path *p, const char *buf, size_t size)
{
	void *to;

	check(p, vfifo_producer_overwrite(&p->producer, size, &to), "vfifo_producer_overwrite");
	memcpy(to, buf, size);
	check(p, vfifo_producer_commit(&p->producer, size), "vfifo_producer_commit");
	return size;
}

static inline size_t put_over_record_map(struct path *p, const char *buf,
					 size_t size)
{
	void *to;

	check(p, vfifo_producer_overwrite_record(&p->producer, size, &to),
	      "vfifo_producer_overwrite_record");
	memcpy(to, buf, size);
	check(p, vfifo_producer_commit_record(&p->producer, size),
	      "vfifo_producer_commit_record");
	return size;
}

RECORD_PRODUCER(over_map)
RECORD_PRODUCER(over_record_map)

/* By system calls, overwriting looks like any other write: see record_in. */
static const struct port over_map_in = {
	claim_producer, produce_over_map, do_put_over_map
};
static const struct port over_record_map_in = {
	claim_producer, produce_over_record_map, do_put_over_record_map
};

static void open_over(struct path *p, unsigned int number, size_t size)
{
	(void)size;
	open_kind(p, number, VFIFO_OVERWRITE);
}

static void open_over_records(struct path *p, unsigned int number, size_t size)
{
	(void)size;
	open_kind(p, number, VFIFO_OVERWRITE | VFIFO_RECORDS);
}

/*
 * What is left must be the last @done / @size blocks or records that fit, whole and in order.
 * A producer that was killed may have put one more than it has counted, or may have made room
 * for one and not put it.
 */
static void check_left(struct path *p, size_t size, __u64 done)
{
	const bool records = p->way->open == open_over_records;
	const size_t each = records ? vfifo_record_size(size) : size;
	size_t fit = p->capacity / each, left = 0;
	static char buf[CAPACITY];
	ssize_t got, at;

	if (fcntl(p->out, F_SETFL, O_NONBLOCK))
		fail(p, "F_SETFL");
	for (;;) {
		got = read(p->out, buf, records ? size : sizeof(buf));
		if (got < 0 && errno == EAGAIN)
			break;
		if (got <= 0 || got % size)
			errx(1, "%s: %zd bytes are left", p->way->name, got);
		if (!left)
			memcpy(&p->number, buf, sizeof(p->number));
		for (at = 0; at < got; at += size, left++)
			expect(p, buf + at, size);
	}
	if (left > fit || left + 1 < fit || p->number < done / size ||
	    p->number > done / size + 1)
		errx(1, "%s: %zu of %zu are left, the last one is %llu of %llu",
		     p->way->name, left, fit, p->number, done / size);
}

/* With a consumer, that of the other measures. */
static void run_overwriting(const struct plan *plan, const struct way *way,
			    unsigned long size, unsigned int ms)
{
	struct path *p = &paths[0];
	struct look took;

	if (way->out) {
		took = stream(way, 1, 1, 1, CAPACITY, size, ms, 0, false);
	} else {
		path_open(p, way, 0, CAPACITY, size);
		jobs[0] = (struct job){ produce, p, NULL, size, 0, true, 0 };
		took = measure(jobs, 1, ms, 2 * CAPACITY, false);
		check_left(p, size, counts[0].done);
		path_close(p);
	}
	sample(plan->name, way->name, size, "ns",
	       (double)took.ns * size / took.done);
}

/* Of a write alone: the buffer is full, or a read follows. */
static void run_overwriting_instructions(const struct plan *plan,
					 const struct way *way,
					 unsigned long size, unsigned int ms)
{
	static __u64 in[RECORD_REPEATS], none[RECORD_REPEATS];
	static char buf[LARGEST_RECORD];
	struct path *p = &paths[0], other;
	unsigned int i, full;
	__u64 from, to;

	(void)ms;
	path_open(p, way, 0, CAPACITY, size);
	other = *p;
	start(way->in, p);
	if (way->out)
		start(way->out, &other);
	full = way->out ? 0 : CAPACITY / size;
	for (i = 0; i < full + RECORD_REPEATS; i++) {
		number(p, buf, size);
		from = stamp();
		to = stamp();
		none[i % RECORD_REPEATS] = to - from;
		from = stamp();
		way->in->once(p, buf, size);
		to = stamp();
		in[i % RECORD_REPEATS] = to - from;
		if (way->out)
			way->out->once(&other, buf, size);
	}
	stop(p, &other);
	if (!way->out)
		check_left(p, size, p->number * size);
	path_close(p);
	sample(plan->name, way->name, size, "in",
	       (double)median(in, RECORD_REPEATS) -
	       median(none, RECORD_REPEATS));
}

#endif /* BENCH_OVERWRITE_H */
