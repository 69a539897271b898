/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes that are measured, and the samples that come of it.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <signal.h>
#include <time.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "events.h"
#include "path.h"

#define MOST_PATHS	256
#define MOST_JOBS	1000
#define LARGEST		MIB
/* Seconds without any byte moved, after which this gives up. */
#define PATIENCE	20

/* ---- jobs of the processes ---- */

struct job {
	void (*run)(struct job *job, char *buf);
	struct path *path, *back;
	size_t size;
	int cpu;
	bool counts;		/* its progress is measured */
	pid_t pid;
};

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
	/* See events.h. Seen at other times, so with their own number of what is done. */
	struct events events;
	__u64 seen;
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

static void look_at_events(struct look *look, const struct job *jobs,
			   unsigned int n)
{
	unsigned int i;

	look->events = events_now();
	for (i = 0; i < n; i++) {
		look->events.switches += switches_of(jobs[i].pid);
		if (jobs[i].counts)
			look->seen += counts[i].done;
	}
}

static bool all_move(const struct job *jobs, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (jobs[i].counts && !counts[i].done)
			return false;
	return true;
}

/* This process must not have to wait for those that it measures. */
static void run_before_others(void)
{
	struct sched_param priority = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority))
		err(1, "sched_setscheduler");
}

static void ended_early(const struct job *job)
{
	errx(1, "%s: a process ended early", job->path->way->name);
}

static void patience(__u64 since, const struct job *job)
{
	if (waitpid(-1, NULL, WNOHANG) > 0)
		ended_early(job);
	if (clock_ns(CLOCK_MONOTONIC) - since > PATIENCE * 1000000000ULL)
		errx(1, "%s, %zu bytes: it hangs", job->path->way->name,
		     job->size);
}

/* Counts events of @n jobs for @ms milliseconds. */
static void count_events(const struct job *jobs, unsigned int n, unsigned int ms,
			 struct look *took)
{
	struct look before = { 0 }, after = { 0 };
	__u64 from = clock_ns(CLOCK_MONOTONIC);

	events_switch(true);
	look_at_events(&before, jobs, n);
	do {
		patience(from, jobs);
		usleep(ms * 1000);
		after.seen = 0;
		look_at_events(&after, jobs, n);
	} while (after.seen == before.seen);
	events_switch(false);
	took->events = events_since(after.events, before.events);
	took->seen = after.seen - before.seen;
}

/*
 * Measures @n jobs for @ms milliseconds, and until @least is done. Then counts their
 * events for as long if @events is set.
 */
static struct look measure(struct job *jobs, unsigned int n, unsigned int ms,
			   __u64 least, bool events)
{
	__u64 from = clock_ns(CLOCK_MONOTONIC), limit;
	struct look before, after, took;
	unsigned int i;
	int status;

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
	took = (struct look){
		.ns = after.ns - before.ns,
		.cpu = after.cpu - before.cpu,
		.done = after.done - before.done,
		.calls = after.calls - before.calls,
	};
	if (events)
		count_events(jobs, n, ms, &took);
	for (i = 0; i < n; i++)
		kill(jobs[i].pid, SIGKILL);
	for (i = 0; i < n; i++) {
		if (waitpid(jobs[i].pid, &status, 0) != jobs[i].pid)
			err(1, "waitpid");
		if (!WIFSIGNALED(status))
			ended_early(jobs);
	}
	return took;
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

/* How often something happened for each @unit of what was done. */
static void sample_events(const char *measure, const char *way,
			  unsigned long param, const struct look *look,
			  double unit, const char *per)
{
	const struct events *events = &look->events;
	const struct {
		const char *name;
		__u64 count;
	} all[] = {
		{ "switches", events->switches },
		{ "wake-ups", events->wakes },
		{ "lock-waits", events->waits },
		{ "IPIs", events->ipis },
	};
	char quantity[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		snprintf(quantity, sizeof(quantity), "%s%s", all[i].name, per);
		sample(measure, way, param, quantity,
		       all[i].count * unit / look->seen);
	}
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

/*
 * Moves bytes through @n paths, each with @readers readers and @writers writers. See
 * measure().
 */
static struct look stream(const struct way *way, unsigned int n,
			  unsigned int readers, unsigned int writers,
			  size_t capacity, size_t size, unsigned int ms,
			  __u64 least, bool events)
{
	unsigned int i, j = 0, r, w;
	struct look took;

	for (i = 0; i < n; i++) {
		path_open(&paths[i], way, i, capacity, size);
		for (r = 0; r < readers; r++)
			jobs[j++] = (struct job){ consume, &paths[i], NULL,
						  size, (i + r + 1) % 2, true,
						  0 };
		for (w = 0; w < writers && way->in; w++)
			jobs[j++] = (struct job){ produce, &paths[i], NULL,
						  size, (i + w) % 2, false, 0 };
	}
	took = measure(jobs, j, ms, least, events);
	for (i = 0; i < n; i++)
		path_close(&paths[i]);
	return took;
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

/* Each one takes as many instructions as the others, but for a few with an interrupt. */
#define REPEATS	101

#endif /* BENCH_MEASURE_H */
