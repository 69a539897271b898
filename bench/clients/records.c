// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
/*
 * One end of a FIFO of records, with the C helpers: records produce|consume DEVICE SIZE COUNT
 *
 * The producer copies each record from its own memory, and the consumer copies it to its own and releases it. The
 * consumer prints how many seconds passed from the first record to the last.
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vfifo_records.h"

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void check(int error, const char *what)
{
	if (error) {
		errno = -error;
		err(1, "%s", what);
	}
}

static void produce(const char *device, const char *memory, size_t size, long count)
{
	struct vfifo_producer p;

	check(vfifo_producer_open(&p, device), device);
	while (count--) {
		check(vfifo_producer_wait_record(&p, size, -1), "wait");
		memcpy(vfifo_producer_reserve_record(&p, size), memory, size);
		check(vfifo_producer_commit_record(&p, size), "commit");
	}
	vfifo_producer_close(&p);
}

static void consume(const char *device, char *memory, size_t size, long count)
{
	struct vfifo_consumer c;
	struct vfifo_view view;
	double begin = 0;

	check(vfifo_consumer_open(&c, device), device);
	puts("ready");
	fflush(stdout);
	while (count--) {
		check(vfifo_consumer_wait_record(&c, -1), "wait");
		if (!begin)
			begin = now();
		check(vfifo_consumer_next_record(&c, &view), "next");
		if (view.len != size)
			errx(1, "a record of %zu bytes", view.len);
		memcpy(memory, view.data, size);
		check(vfifo_consumer_release_record(&c, &view), "release");
	}
	printf("%f\n", now() - begin);
	vfifo_consumer_close(&c);
}

int main(int argc, char **argv)
{
	size_t size = argc == 5 ? strtoul(argv[3], NULL, 0) : 0;
	char *memory = malloc(size ?: 1);

	if (!size || !memory)
		errx(2, "usage: records produce|consume DEVICE SIZE COUNT");
	memset(memory, 'x', size);
	if (!strcmp(argv[1], "produce"))
		produce(argv[2], memory, size, atol(argv[4]));
	else
		consume(argv[2], memory, size, atol(argv[4]));
	return 0;
}
