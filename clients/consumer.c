// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * consumer [DEVICE [LINES]]: takes lines of text out of a vfifo, without a copy,
 * and prints them with their lengths. Lines have to be PIPE_BUF shorter than the
 * capacity: while we wait for the end of one, its beginning stays queued, and who
 * writes may need that much room to go on.
 *
 * At the other end may be ./producer, or echo. See vfifo_map.h for the rules.
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

	/* From here on the consumer's end is ours alone. */
	err = vfifo_consumer_open(&c, device);
	setvbuf(stdout, NULL, _IOLBF, 0);

	while (lines > 0 && !err) {
		/*
		 * Whatever is queued, in one piece; a line that wraps around the
		 * end of the buffer is no special case.
		 */
		text = vfifo_peek(&c, &len);
		end = text ? memchr(text, '\n', len) : NULL;
		if (!end) {
			/* Not even a line yet: sleep until there is more. */
			need = text ? len + 1 : 1;
			if (need + PIPE_BUF > c.map.capacity + 1)
				err = -EMSGSIZE;
			else
				err = vfifo_wait_bytes(&c, need, -1);
			continue;
		}

		/* It is used in place, and stays there as long as we like. */
		len = end - text;
		printf("%3zu: ", len);
		fwrite(text, 1, len + 1, stdout);
		if (ferror(stdout)) {
			err = -EIO;
			break;
		}
		lines--;

		/* It is out, and now the producer may have the room again. */
		err = vfifo_release(&c, len + 1);
	}

	/* What we have not released is there for the next consumer. */
	vfifo_consumer_close(&c);
	if (err)
		fprintf(stderr, "%s: %s: %s\n", argv[0], device, strerror(-err));
	return err ? 1 : 0;
}
