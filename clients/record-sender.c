// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers
/*
 * record-sender [-r] [DEVICE [PICTURES]]: sends pictures of 640x480 pixels through a vfifo
 * as records, without a copy; with -r, receives them until the last one has come.
 *
 * The device has to have records, and room for a picture; as root:
 *
 *	echo 'video framing=record capacity=2097152' > /sys/class/vfifo/new_device
 *	record-sender -r /dev/vfifo/video &
 *	record-sender /dev/vfifo/video
 *
 * The other end can also call write(2) or read(2) once for each picture. See
 * vfifo_records.h for the rules.
 */
#include <stdio.h>
#include <stdlib.h>

#include "vfifo_records.h"

struct picture {
	__u32 number;		/* 1 for the first one */
	__u32 total;		/* the number of the last one */
	__u16 pixels[480][640];
};

static __u16 pixel(__u32 number, unsigned int x, unsigned int y)
{
	return (x + number) ^ (y << 8);
}

static int send_pictures(const char *device, __u32 total)
{
	const size_t size = sizeof(struct picture);
	struct vfifo_producer p;
	struct picture *picture;
	unsigned int x, y;
	__u32 i;
	int err;

	err = vfifo_producer_open(&p, device);
	for (i = 1; i <= total && !err; i++) {
		/* Sleep until there is room for all of it. */
		err = vfifo_producer_wait_record(&p, size, -1);
		if (err)
			break;

		/* Draw where the receiver will find it. */
		picture = vfifo_producer_reserve_record(&p, size);
		picture->number = i;
		picture->total = total;
		for (y = 0; y < 480; y++)
			for (x = 0; x < 640; x++)
				picture->pixels[y][x] = pixel(i, x, y);

		/* Queue it. The receiver sees all of it at once. */
		err = vfifo_producer_commit_record(&p, size);
	}
	if (err == -EMSGSIZE)
		fprintf(stderr, "%s has room for records of %zu bytes, and a picture has %zu\n",
			device, vfifo_producer_largest_record(&p), size);

	/* Pictures that were not received yet stay queued. */
	vfifo_producer_close(&p);
	return err;
}

static int receive_pictures(const char *device)
{
	unsigned long received = 0, wrong = 0;
	const struct picture *picture;
	__u32 number = 0, total = 1;
	struct vfifo_consumer c;
	struct vfifo_view r;
	unsigned int x, y;
	int err;

	err = vfifo_consumer_open(&c, device);
	while (!err && number < total) {
		/* Sleep until there is a picture. */
		err = vfifo_consumer_wait_record(&c, -1);
		if (!err)
			err = vfifo_consumer_next_record(&c, &r);
		if (!err && r.len != sizeof(*picture))
			err = -EBADMSG;
		if (err)
			break;

		/* Used in place. It stays there until we release it. */
		picture = r.data;
		number = picture->number;
		total = picture->total;
		for (y = 0; y < 480; y++)
			for (x = 0; x < 640; x++)
				wrong += picture->pixels[y][x] != pixel(number, x, y);
		received++;

		/* Done: give the room back to the sender. */
		err = vfifo_consumer_release_record(&c, &r);
	}
	/* All senders have gone, if the device's attribute "hangup" is 1. */
	if (err == -ENODATA)
		err = 0;

	/* Pictures not released are there for the next consumer. */
	vfifo_consumer_close(&c);
	printf("%lu pictures, %lu wrong pixels\n", received, wrong);
	return !err && wrong ? -EBADMSG : err;
}

int main(int argc, char **argv)
{
	int receive = argc > 1 && !strcmp(argv[1], "-r"), err;
	const char *device = argc > 1 + receive ? argv[1 + receive] : "/dev/vfifo0";
	__u32 total = argc > 2 + receive ? strtoul(argv[2 + receive], NULL, 0) : 100;

	err = receive ? receive_pictures(device) : send_pictures(device, total);
	if (err == -EOPNOTSUPP)
		fprintf(stderr, "%s: %s needs framing=record and overwrite=0\n", argv[0],
			device);
	else if (err)
		fprintf(stderr, "%s: %s: %s\n", argv[0], device, strerror(-err));
	return err ? 1 : 0;
}
