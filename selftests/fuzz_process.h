/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The process that runs a sequence: its files, mappings and children, the memory that it
 * passes to calls, and how it reports a failure.
 */
#ifndef FUZZ_PROCESS_H
#define FUZZ_PROCESS_H

#include <stdarg.h>
#include <sys/time.h>

#include "vfifo_test.h"

#define MAX_OPS		64
#define FDS		6
#define MAPS		6
#define KIDS		4

struct op {
	int kind;
	unsigned int a, b, c;
};

struct sequence {
	int n;
	struct op op[MAX_OPS];
};

/* Shared memory in which the process reports. */
static struct outcome {
	unsigned int done;	/* operations that have returned */
	int failed;
	char what[200];
} *outcome;

struct map {
	char *p;
	size_t len;
	int prot;
	bool claim;
	bool whole;	/* not split, moved or resized since mmap */
};

static int fds[FDS], pipes[2], epfd, watch;
static struct map maps[MAPS];
static pid_t kids[KIDS];
static int depth;
static char *memory;		/* MEMORY bytes, then a page that is not mapped */
static long page;
static struct vfifo_info info;

#define MEMORY	(64 * 4096L)
#define MAX_CAP	1048576L

static unsigned int pick(__u64 *random, unsigned int n)
{
	return rnd(random) % n;
}

__printf(1, 2)
static bool fail(const char *fmt, ...)
{
	va_list args;

	if (__atomic_exchange_n(&outcome->failed, 1, __ATOMIC_SEQ_CST))
		return false;
	va_start(args, fmt);
	vsnprintf(outcome->what, sizeof(outcome->what), fmt, args);
	va_end(args);
	return false;
}

/* Whether @ret is a success, or one of the errors that follow, up to 0. */
static bool answer(const char *what, long ret, ...)
{
	bool ok = ret >= 0;
	va_list args;
	int error;

	va_start(args, ret);
	while (!ok && (error = va_arg(args, int)))
		ok = ret == -error;
	va_end(args);
	return ok || fail("%s: %s", what, strerror(-ret));
}

static void close_fd(int slot)
{
	if (fds[slot] >= 0)
		close(fds[slot]);
	fds[slot] = -1;
}

/* A buffer to read from or write to, valid or not. */
static void *place(__u64 *random, size_t *len)
{
	struct map *map = &maps[pick(random, MAPS)];
	size_t offset;
	static const size_t lens[] = {
		0, 1, 5, 100, 4095, 4096, 4097, 10000, 65536, 100000, 262144,
	};

	*len = lens[pick(random, ARRAY_SIZE(lens))];
	switch (pick(random, 12)) {
	case 0:
		return NULL;
	case 1:
		return (void *)-4096L;
	case 2:
		return memory + MEMORY - pick(random, 5000);
	case 3:
		*len = pick(random, 2) ? SIZE_MAX : SSIZE_MAX;
		return memory;
	case 4:
	case 5:
		/* The device's own memory, not past its end. */
		if (!map->p)
			return memory;
		offset = pick(random, map->len);
		if (*len > map->len - offset)
			*len = map->len - offset;
		return map->p + offset;
	default:
		return memory + pick(random, MEMORY - *len + 1);
	}
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* Interrupts calls that sleep. */
static void alarms(void)
{
	struct itimerval often = { { 0, 15000 }, { 0, 15000 } };
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGIO, &action, NULL);
	sigaction(SIGPIPE, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

#endif /* FUZZ_PROCESS_H */
