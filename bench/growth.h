/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * What one call costs while many wait, or beside many devices: instructions, with
 * QEMU's -icount and one processor.
 */
#ifndef BENCH_GROWTH_H
#define BENCH_GROWTH_H

#include <sys/resource.h>

#include "measure.h"
#include "path.h"

#define GROWTH_REPEATS	11
/* Of blocks, where those that wait read. Those that write wait for a page. */
#define GROWTH_SIZE	8

/* ---- those that wait ---- */

static void wait_by_epoll(struct job *job, char *buf, __u32 how)
{
	struct epoll_event event = { .events = EPOLLIN | how };
	int epoll = epoll_create1(EPOLL_CLOEXEC), out = job->path->out;

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, out, &event))
		fail(job->path, "epoll");
	for (;;) {
		if (epoll_wait(epoll, &event, 1, -1) < 0)
			fail(job->path, "epoll_wait");
		if (read(out, buf, job->size) < 0 && errno != EAGAIN)
			fail(job->path, "read");
	}
}

static void wait_by_level(struct job *job, char *buf)
{
	wait_by_epoll(job, buf, 0);
}

static void wait_exclusively(struct job *job, char *buf)
{
	wait_by_epoll(job, buf, EPOLLEXCLUSIVE);
}

/* What waits at one end of a path, and is waited for by one call at the other end. */
struct waiting {
	const char *plan;
	void (*run)(struct job *job, char *buf);
	size_t size;
	bool writes;		/* so a read is measured */
	bool polls;
};

static const struct waiting waitings[] = {
	{ "growth-readers", consume, GROWTH_SIZE, false, false },
	{ "growth-writers", produce, 4 * KIB, true, false },
	{ "growth-pollers", wait_by_level, GROWTH_SIZE, false, true },
	{ "growth-exclusive", wait_exclusively, GROWTH_SIZE, false, true },
};

static const struct waiting *waiting_of(const struct plan *plan)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waitings); i++)
		if (!strcmp(waitings[i].plan, plan->name))
			return &waitings[i];
	errx(1, "nothing waits in %s", plan->name);
}

/* The letter after the name, which is in parentheses. */
static bool is_asleep(pid_t pid)
{
	char path[64], line[512] = "";
	const char *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file || !fgets(line, sizeof(line), file))
		err(1, "%s", path);
	fclose(file);
	end = strrchr(line, ')');
	return end && end[1] == ' ' && end[2] == 'S';
}

static void until_asleep(const struct job *all, unsigned int n)
{
	__u64 from = clock_ns(CLOCK_MONOTONIC);
	unsigned int i;

	for (i = 0; i < n; i++) {
		while (!is_asleep(all[i].pid)) {
			patience(from, all);
			usleep(1000);
		}
	}
}

/* ---- measuring ---- */

static __u64 cost_of_stamps(void)
{
	__u64 took[REPEATS], from;
	unsigned int i;

	for (i = 0; i < REPEATS; i++) {
		from = stamp();
		took[i] = stamp() - from;
	}
	return median(took, REPEATS);
}

static void run_waiting(const struct plan *plan, const struct way *way,
			unsigned long n, unsigned int ms)
{
	const struct waiting *waiting = waiting_of(plan);
	const struct port *port = waiting->writes ? way->out : way->in;
	__u64 took[GROWTH_REPEATS], from, empty = cost_of_stamps();
	struct path *p = &paths[0];
	static char buf[4 * KIB];
	unsigned int i;

	(void)ms;
	run_before_others();
	path_open(p, way, 0, CAPACITY, waiting->size);
	if (waiting->polls && fcntl(p->out, F_SETFL, O_NONBLOCK))
		fail(p, "F_SETFL");
	for (i = 0; i < n; i++) {
		jobs[i] = (struct job){ waiting->run, p, NULL, waiting->size,
					0, false, 0 };
		job_start(&jobs[i], &counts[i]);
	}
	for (i = 0; i < GROWTH_REPEATS; i++) {
		until_asleep(jobs, n);
		from = stamp();
		port->once(p, buf, waiting->size);
		took[i] = stamp() - from;
	}
	for (i = 0; i < n; i++)
		kill(jobs[i].pid, SIGKILL);
	for (i = 0; i < n; i++)
		if (waitpid(jobs[i].pid, NULL, 0) != jobs[i].pid)
			err(1, "waitpid");
	path_close(p);
	sample(plan->name, way->name, n, "instructions",
	       median(took, GROWTH_REPEATS) - empty);
}

/* Adds or removes a device beside the first one. */
static void store_device(const char *attr, unsigned int i)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/class/vfifo/%s", attr);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "beside%u\n", i) < 0)
		err(1, "%s", path);
	close(fd);
}

/* A write and a read of one device while there are @n. */
static void run_beside(const struct plan *plan, const struct way *way,
		       unsigned long n, unsigned int ms)
{
	__u64 took[GROWTH_REPEATS], from, empty = cost_of_stamps();
	const bool is_pipe = strcmp(way->name, "vfifo");
	static struct path beside[1000], first;
	struct rlimit most = { 4096, 4096 };
	static char buf[GROWTH_SIZE];
	unsigned int i;

	(void)ms;
	if (n > ARRAY_SIZE(beside) || setrlimit(RLIMIT_NOFILE, &most))
		err(1, "RLIMIT_NOFILE");
	for (i = 1; i < n; i++) {
		if (is_pipe)
			path_open(&beside[i], way, i, CAPACITY, sizeof(buf));
		else
			store_device("new_device", i);
	}
	path_open(&first, way, 0, CAPACITY, sizeof(buf));
	for (i = 0; i < GROWTH_REPEATS; i++) {
		from = stamp();
		way->in->once(&first, buf, sizeof(buf));
		way->out->once(&first, buf, sizeof(buf));
		took[i] = stamp() - from;
	}
	path_close(&first);
	for (i = 1; i < n; i++) {
		if (is_pipe)
			path_close(&beside[i]);
		else
			store_device("delete_device", i);
	}
	sample(plan->name, way->name, n, "instructions",
	       median(took, GROWTH_REPEATS) - empty);
}

#endif /* BENCH_GROWTH_H */
