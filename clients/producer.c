// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers
/*
 * producer [DEVICE [LINES]]: puts lines of text into a vfifo, without a copy.
 *
 * The other end can be ./consumer, or cat. See vfifo_map.h for the rules.
 */
#include <stdio.h>
#include <stdlib.h>

#include "vfifo_map.h"

/* No line is longer. */
#define MOST	64

int main(int argc, char **argv)
{
	const char *device = argc > 1 ? argv[1] : "/dev/vfifo0";
	long lines = argc > 2 ? atol(argv[2]) : 10, i;
	struct vfifo_producer p;
	int err, len;

	/* From here on we are the only producer. */
	err = vfifo_producer_open(&p, device);

	for (i = 1; i <= lines && !err; i++) {
		/* Sleep until there is room for the longest line. */
		err = vfifo_producer_wait(&p, MOST, -1);
		if (err)
			break;

		/* Write the text to where the consumer will find it. */
		len = snprintf(vfifo_producer_reserve(&p, MOST), MOST,
			       "line %ld of %ld\n", i, lines);

		/* Queue it. The consumer sees all of it at once. */
		err = vfifo_producer_commit(&p, len);
	}

	/* Bytes that the consumer has not taken yet stay queued. */
	vfifo_producer_close(&p);
	if (err)
		fprintf(stderr, "%s: %s: %s\n", argv[0], device, strerror(-err));
	return err ? 1 : 0;
}
