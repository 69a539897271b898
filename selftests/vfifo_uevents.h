/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * The kernel's uevents, as udev gets them.
 */
#ifndef VFIFO_UEVENTS_H
#define VFIFO_UEVENTS_H

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>

/* An event: a headline and lines of the form KEY=value, each with a NUL at its end. */
struct uevent {
	char text[8192];
	ssize_t len;
};

/* A non-blocking socket that gets all events from now on; -1 with errno. */
static inline int uevents_open(void)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1,		/* events of the kernel */
	};
	int fd, size = 1 << 20;

	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    NETLINK_KOBJECT_UEVENT);
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

/* Receives an event without waiting: its length, or -1 with errno. */
static inline ssize_t uevent_receive(int fd, struct uevent *event)
{
	event->len = recv(fd, event->text, sizeof(event->text) - 1, 0);
	event->text[event->len < 0 ? 0 : event->len] = '\0';
	return event->len;
}

/* The value of @key; "" if the event does not have it. */
static inline const char *uevent_value(const struct uevent *event, const char *key)
{
	const char *line = event->text, *end = line + event->len;
	size_t len = strlen(key);

	for (; line < end; line += strlen(line) + 1) {
		if (!strncmp(line, key, len) && line[len] == '=')
			return line + len + 1;
	}
	return "";
}

#endif /* VFIFO_UEVENTS_H */
