// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers
/*
 * event-loop SOCKET DEVICE...: one thread that serves many vfifos and a socket by epoll. It
 * counts the bytes that arrive at the devices, and tells whoever connects to the Unix
 * socket:
 *
 *	event-loop /tmp/counts /dev/vfifo0 /dev/vfifo1 &
 *	socat - UNIX-CONNECT:/tmp/counts
 *
 * It ends when all writers of all devices have gone, which only happens if their attribute
 * "hangup" is 1. See vfifo_map.h for the rules.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vfifo_map.h"

struct fifo {
	const char *device;
	struct vfifo_consumer c;
	unsigned long long count;
};

static int failed(const char *what, int err)
{
	fprintf(stderr, "event-loop: %s: %s\n", what, strerror(err));
	return 1;
}

/* Takes what has arrived. Returns 0, or a negative error number: -ENODATA at the end. */
static int take(struct fifo *fifo)
{
	size_t len;
	int err;

	/* A program that does something with the bytes would do it between these. */
	if (vfifo_consumer_peek(&fifo->c, &len)) {
		fifo->count += len;
		err = vfifo_consumer_release(&fifo->c, len);
		if (err)
			return err;
	}
	/* Nothing more yet? Or never? This does not sleep. */
	err = vfifo_consumer_wait(&fifo->c, 1, 0);
	return err == -EAGAIN ? 0 : err;
}

static void tell(int listener, const struct fifo *fifos, int n)
{
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC), i;

	/* If the client has gone already, send() fails, and there is nobody to tell. */
	for (i = 0; i < n && client >= 0; i++) {
		char line[4200];
		int len = snprintf(line, sizeof(line), "%s: %llu\n", fifos[i].device,
				   fifos[i].count);

		send(client, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	if (client >= 0)
		close(client);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return -1;
	return listen(fd, 8) ? -1 : fd;
}

int main(int argc, char **argv)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), n = argc - 2, open_fifos = n;
	struct epoll_event event = { .events = EPOLLIN };
	struct fifo *fifos, *fifo;
	int listener, i, err;

	if (n < 1) {
		fprintf(stderr, "Usage: event-loop SOCKET DEVICE...\n");
		return 2;
	}
	fifos = calloc(n, sizeof(*fifos));
	listener = listen_at(argv[1]);
	if (!fifos || listener < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event))
		return failed(argv[1], errno);
	for (i = 0; i < n; i++) {
		fifo = &fifos[i];
		fifo->device = argv[i + 2];
		err = vfifo_consumer_open(&fifo->c, fifo->device);
		event.data.ptr = fifo;
		if (!err && epoll_ctl(epoll, EPOLL_CTL_ADD, vfifo_consumer_fd(&fifo->c), &event))
			err = -errno;
		if (err)
			return failed(fifo->device, -err);
	}

	while (open_fifos) {
		if (epoll_wait(epoll, &event, 1, -1) < 0)
			return failed("epoll_wait", errno);
		fifo = event.data.ptr;
		if (!fifo) {
			tell(listener, fifos, n);
			continue;
		}
		err = take(fifo);
		if (err == -ENODATA) {
			printf("%s: ended after %llu bytes\n", fifo->device, fifo->count);
			vfifo_consumer_close(&fifo->c);
			open_fifos--;
		} else if (err) {
			return failed(fifo->device, -err);
		}
	}
	unlink(argv[1]);
	return 0;
}
