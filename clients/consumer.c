// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers
/*
 * consumer [DEVICE [LINES]]: takes lines of text out of a vfifo, without a copy,
 * and prints them with their lengths.
 *
 * A line must be at least PIPE_BUF bytes shorter than the capacity: while this
 * program waits for the end of a line, its beginning stays queued, and a writer may
 * need room for PIPE_BUF bytes to go on.
 *
 * The other end can be ./producer, or echo. See vfifo_map.h for the rules.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "vfifo_map.h"

int main(int argc, char **argv)
{
	const char *device = argc > 1 ? argv[1] : "/dev/vfifo0";
	long lines = argc > 2 ? atol(argv[2]) : 10;
	struct vfifo_consumer c;
	const char *text, *end;
	size_t len = 0, need;
	int err;

	/* From here on we are the only consumer. */
	err = vfifo_consumer_open(&c, device);
	setvbuf(stdout, NULL, _IOLBF, 0);

	while (lines > 0 && !err) {
		/*
		 * All that is queued, in one piece, even if it wraps around the
		 * end of the buffer.
		 */
		text = vfifo_consumer_peek(&c, &len);
		end = text ? memchr(text, '\n', len) : NULL;
		if (!end) {
			/* Not a whole line yet: sleep until there is more. */
			need = text ? len + 1 : 1;
			if (need + PIPE_BUF > vfifo_consumer_capacity(&c) + 1)
				err = -EMSGSIZE;
			else
				err = vfifo_consumer_wait(&c, need, -1);
			continue;
		}

		/* Used in place. It stays there until we release it. */
		len = end - text;
		printf("%3zu: ", len);
		fwrite(text, 1, len + 1, stdout);
		if (ferror(stdout)) {
			err = -EIO;
			break;
		}
		lines--;

		/* Printed: give the room back to the producer. */
		err = vfifo_consumer_release(&c, len + 1);
	}

	/* All writers have gone, if the device's attribute "hangup" is 1. */
	if (err == -ENODATA)
		err = 0;

	/* Bytes not released are there for the next consumer. */
	vfifo_consumer_close(&c);
	if (err)
		fprintf(stderr, "%s: %s: %s\n", argv[0], device, strerror(-err));
	return err ? 1 : 0;
}
