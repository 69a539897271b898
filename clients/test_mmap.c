// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers
/*
 * test_mmap [DEVICE]: stores text in the buffer of a vfifo through a pointer and
 * reads it back; then stores it again where the next bytes go, and queues it.
 *
 * Storing changes memory and nothing else: no reader wakes up, and size stays as it
 * is. Bytes are queued when the producer's position moves past them. Only the owner of
 * the producer's end may move it. See vfifo_map.h.
 *
 * The FIFO has to be empty, since the first store may hit bytes that are queued.
 */
#include <stdio.h>
#include <sys/ioctl.h>

#include "vfifo_map.h"

static const char text[] = "Hello from a pointer\n";
static const size_t len = sizeof(text) - 1;

/* The attribute size, by a system call. */
static int queued(int fd)
{
	int bytes;

	return ioctl(fd, FIONREAD, &bytes) ? -1 : bytes;
}

static int failed(const char *what, int err)
{
	fprintf(stderr, "test_mmap: %s: %s\n", what, strerror(err));
	return 1;
}

/* Any file that is open for both may map the data, at offset 0, and store to it. */
static int store_and_read_back(int fd)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *data;
	int differs;

	data = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return failed("mmap", errno);
	memcpy(data, text, len);
	differs = memcmp(data, text, len);
	printf("stored, and read back: %.*s", (int)len, data);
	printf("queued: %d bytes\n\n", queued(fd));
	munmap(data, page);
	return differs ? failed("reading back", EIO) : 0;
}

/* The same memory, by its owner: this is how bytes are queued without write(2). */
static int store_and_queue(int fd)
{
	struct vfifo_producer p;
	char *to;
	int err;

	/* Claim the producer's end: from here on, write(2) by others gets EBUSY. */
	err = vfifo_producer_open_fd(&p, fd);
	if (err)
		return failed("claiming the producer's end", -err);

	/* Reserve the place of the next bytes. There is room: the FIFO is empty. */
	to = vfifo_producer_reserve(&p, len);
	if (to) {
		memcpy(to, text, len);
		printf("reserved and stored; queued: %d bytes\n", queued(fd));
		/* Move the position past them, and wake a reader that sleeps. */
		err = vfifo_producer_commit(&p, len);
		printf("committed; queued: %d bytes\n", queued(fd));
	}

	/* Give the end back. What is committed stays queued. */
	vfifo_producer_close(&p);
	return !to || err ? failed("queueing", to ? -err : ENOSPC) : 0;
}

/* Any reader gets them; it need not know about mappings. */
static int read_them(int fd)
{
	char line[sizeof(text)];
	ssize_t n = read(fd, line, len);

	if (n < 0)
		return failed("read", errno);
	printf("read(2) returned: %.*s", (int)n, line);
	return (size_t)n != len || memcmp(line, text, len) ?
		failed("what was read", EIO) : 0;
}

int main(int argc, char **argv)
{
	const char *device = argc > 1 ? argv[1] : "/dev/vfifo0";
	int fd, bytes, ret;

	/* Non-blocking: if somebody else reads the bytes, say so instead of waiting. */
	fd = open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return failed(device, errno);
	bytes = queued(fd);
	if (bytes < 0)
		return failed(device, errno);
	if (bytes > 0) {
		fprintf(stderr, "test_mmap: %s: %d bytes are queued; read them first\n",
			device, bytes);
		return 1;
	}
	ret = store_and_read_back(fd) || store_and_queue(fd) || read_them(fd);
	close(fd);
	return ret;
}
