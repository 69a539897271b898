/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Counts what processes that wait for each other cost besides instructions: context
 * switches, wake-ups, waits for a lock, and interrupts between processors.
 *
 * A tracepoint that is counted makes each wake-up slower, so it is only counted while
 * no time is measured.
 */
#ifndef BENCH_EVENTS_H
#define BENCH_EVENTS_H

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

struct events {
	__u64 switches;		/* of the processes that are measured */
	__u64 wakes;		/* sleepers made runnable, by anybody */
	__u64 waits;		/* for a lock that is held, by anybody */
	__u64 ipis;		/* rescheduling and function call interrupts */
};

#define TRACEFS		"/sys/kernel/tracing/events/"
#define MOST_CPUS	8

/* Counters of a tracepoint, one for each processor. */
struct tracepoint {
	const char *name;
	int fds[MOST_CPUS];
	unsigned int cpus;
};

static struct tracepoint wakeup = { .name = "sched/sched_wakeup" };
static struct tracepoint contention = { .name = "lock/contention_begin" };

static void tracepoint_open(struct tracepoint *point)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.disabled = 1,
	};
	unsigned int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	char path[128], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), TRACEFS "%s/id", point->name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		err(1, "%s", path);
	close(fd);
	attr.config = strtoull(text, NULL, 10);
	if (cpus > MOST_CPUS)
		errx(1, "more than %u processors", MOST_CPUS);
	for (; point->cpus < cpus; point->cpus++) {
		fd = syscall(SYS_perf_event_open, &attr, -1, point->cpus, -1,
			     PERF_FLAG_FD_CLOEXEC);
		if (fd < 0)
			err(1, "perf_event_open: %s", point->name);
		point->fds[point->cpus] = fd;
	}
}

static __u64 tracepoint_count(const struct tracepoint *point)
{
	__u64 count, total = 0;
	unsigned int i;

	for (i = 0; i < point->cpus; i++) {
		if (read(point->fds[i], &count, sizeof(count)) != sizeof(count))
			err(1, "%s", point->name);
		total += count;
	}
	return total;
}

static void events_open(void)
{
	tracepoint_open(&wakeup);
	tracepoint_open(&contention);
}

static void tracepoint_switch(const struct tracepoint *point, bool on)
{
	unsigned int i;

	for (i = 0; i < point->cpus; i++)
		if (ioctl(point->fds[i], on ? PERF_EVENT_IOC_ENABLE :
					     PERF_EVENT_IOC_DISABLE, 0))
			err(1, "%s", point->name);
}

static void events_switch(bool on)
{
	tracepoint_switch(&wakeup, on);
	tracepoint_switch(&contention, on);
}

/* The sum of the numbers in the lines of /proc/interrupts that begin with RES: or CAL: */
static __u64 ipis_now(void)
{
	FILE *file = fopen("/proc/interrupts", "re");
	char line[1024], *at, *end;
	__u64 count, total = 0;

	if (!file)
		err(1, "/proc/interrupts");
	while (fgets(line, sizeof(line), file)) {
		at = line + strspn(line, " ");
		if (strncmp(at, "RES:", 4) && strncmp(at, "CAL:", 4))
			continue;
		for (at += 4;; at = end) {
			count = strtoull(at, &end, 10);
			if (end == at)
				break;
			total += count;
		}
	}
	fclose(file);
	return total;
}

/* Voluntary and involuntary ones. */
static __u64 switches_of(pid_t pid)
{
	char path[64], line[256];
	__u64 count, total = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %llu", &count) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %llu", &count) == 1)
			total += count;
	fclose(file);
	return total;
}

static struct events events_now(void)
{
	return (struct events){
		.wakes = tracepoint_count(&wakeup),
		.waits = tracepoint_count(&contention),
		.ipis = ipis_now(),
	};
}

static struct events events_since(struct events now, struct events then)
{
	return (struct events){
		.switches = now.switches - then.switches,
		.wakes = now.wakes - then.wakes,
		.waits = now.waits - then.waits,
		.ipis = now.ipis - then.ipis,
	};
}

#endif /* BENCH_EVENTS_H */
