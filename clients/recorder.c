// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers
/*
 * recorder [--dump[=SECONDS]] [DEVICE]: a flight recorder. Puts each line of its input into
 * a vfifo, with the time. It never waits: when the device is full, the oldest lines make
 * way. With --dump it prints those of the last seconds, and removes all lines.
 *
 * The device has to have records, and to overwrite; as root:
 *
 *	echo 'flight framing=record overwrite=1' > /sys/class/vfifo/new_device
 *	dmesg --follow | recorder /dev/vfifo/flight &
 *	recorder --dump=30 /dev/vfifo/flight
 *
 * What was recorded is in the device, so it can be read even if the recorder has been
 * killed. See vfifo_overwrite.h and vfifo_copy.h for the rules.
 */
#include <stdio.h>
#include <stdlib.h>

#include "vfifo_copy.h"

/* No line is longer; the rest is cut off. */
#define MOST	1000

struct entry {
	__s64 when;		/* in milliseconds */
	char text[MOST];	/* as much of it as the record has */
};

#define BEFORE_TEXT	offsetof(struct entry, text)

static __s64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

static int record(const char *device)
{
	struct vfifo_producer p;
	struct entry entry;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int err;

	err = vfifo_producer_open(&p, device);
	while (!err) {
		len = getline(&line, &size, stdin);
		if (len < 0)
			break;
		if (len > 0 && line[len - 1] == '\n')
			len--;
		if (len > MOST)
			len = MOST;
		entry.when = now_ms();
		memcpy(entry.text, line, len);

		/* Queue it. As many of the oldest lines as necessary are dropped. */
		err = vfifo_producer_put_record(&p, &entry, BEFORE_TEXT + len, 0);

		/* With "hangup" 1, this is the end when all readers have gone. */
		if (!err)
			err = vfifo_producer_check_readers(&p);
	}
	free(line);
	vfifo_producer_close(&p);
	return err == -EPIPE ? 0 : err;
}

static int dump(const char *device, double seconds)
{
	struct vfifo_consumer c;
	struct entry entry;
	__s64 now, age = 0;
	ssize_t len;

	len = vfifo_consumer_open(&c, device);
	/* Stop at a line that is recorded after this. Otherwise this might not end. */
	now = now_ms();
	while (len >= 0 && age >= 0) {
		/* A copy, as the recorder goes on. It was intact when it was made. */
		len = vfifo_consumer_take_record(&c, &entry, sizeof(entry), 0);
		/* It was overwritten during each attempt, so there are newer ones. */
		if (len == -ESTALE)
			len = 0;
		else if (len >= 0 && len < (ssize_t)BEFORE_TEXT)
			len = -EBADMSG;
		if (len <= 0)
			continue;
		age = now - entry.when;
		if (age <= seconds * 1000)
			printf("%9.3f s ago: %.*s\n", (age > 0 ? age : 0) / 1e3,
			       (int)(len - BEFORE_TEXT), entry.text);
	}
	if (vfifo_consumer_lost(&c) > 0)
		fprintf(stderr, "%s: %lld bytes were overwritten\n", device,
			(long long)vfifo_consumer_lost(&c));
	vfifo_consumer_close(&c);
	/* There are no more, and maybe the recorder has gone. */
	return len > 0 || len == -EAGAIN || len == -ENODATA ? 0 : len;
}

int main(int argc, char **argv)
{
	int dumps = argc > 1 && !strncmp(argv[1], "--dump", 6), err;
	const char *device = argc > 1 + dumps ? argv[1 + dumps] : "/dev/vfifo0";

	if (dumps)
		err = dump(device, argv[1][6] == '=' ? atof(argv[1] + 7) : 10);
	else
		err = record(device);
	if (err == -EOPNOTSUPP)
		fprintf(stderr, "%s: %s needs framing=record and overwrite=1\n", argv[0],
			device);
	else if (err)
		fprintf(stderr, "%s: %s: %s\n", argv[0], device, strerror(-err));
	return err ? 1 : 0;
}
