// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * producer [DEVICE [LINES]]: puts lines of text into a vfifo, without a copy.
 *
 * At the other end may be ./consumer, or cat. See vfifo_map.h for the rules.
 */
#include <stdio.h>
#include <stdlib.h>

#include "vfifo_map.h"

/* More than a line has. */
#define MOST	64

int main(int argc, char **argv)
{
	const char *device = argc > 1 ? argv[1] : "/dev/vfifo0";
	long lines = argc > 2 ? atol(argv[2]) : 10, i;
	struct vfifo_producer p;
	int err, len;

	/* From here on the producer's end is ours alone. */
	err = vfifo_producer_open(&p, device);

	for (i = 1; i <= lines && !err; i++) {
		/* Room for the longest line; sleeps while there is less. */
		err = vfifo_wait_room(&p, MOST, -1);
		if (err)
			break;

		/* The text is made where the consumer will find it. */
		len = snprintf(vfifo_reserve(&p, MOST), MOST,
			       "line %ld of %ld\n", i, lines);

		/* It was not there before, and is now: all at once. */
		err = vfifo_commit(&p, len);
	}

	/* What the consumer has not taken yet stays queued. */
	vfifo_producer_close(&p);
	if (err)
		fprintf(stderr, "%s: %s: %s\n", argv[0], device, strerror(-err));
	return err ? 1 : 0;
}
