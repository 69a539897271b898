// SPDX-License-Identifier: GPL-2.0
/*
 * For module.sh: listens to the uevents of vfifo devices until standard input ends.
 * Prints "ready" when it listens, and then what is wrong.
 *
 * At the first "add", all devices must exist with all attributes, and must open.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "vfifo_test.h"
#include "vfifo_uevents.h"

#define MAX_DEVICES	256

static int bad;
static int seen[MAX_DEVICES];

#define WRONG(...) do {		\
	printf(__VA_ARGS__);	\
	putchar('\n');		\
	bad = 1;		\
} while (0)

/* The text of an attribute, which must not be empty. */
static const char *get_attr(const char *dir, const char *name)
{
	const char *text;

	errno = 0;
	text = file_text(dir, name);
	if (!*text)
		WRONG("%s/%s: %s", dir, name, errno ? strerror(errno) : "empty");
	return text;
}

/* Checks a device at the time of the first event. */
static void check_device(int n)
{
	unsigned int maj, min;
	const char *text;
	char path[128];
	struct stat st;
	size_t i;
	int fd;

	snprintf(path, sizeof(path), VFIFO_CLASS "/vfifo%d", n);
	for (i = 0; i < ARRAY_SIZE(vfifo_attrs); i++) {
		text = get_attr(path, vfifo_attrs[i].name);
		if (!i && sscanf(text, "%u:%u", &maj, &min) != 2)
			return;
	}
	snprintf(path, sizeof(path), "/dev/vfifo%d", n);
	if (stat(path, &st)) {
		WRONG("%s: %s", path, strerror(errno));
		return;
	}
	if (st.st_mode != (S_IFCHR | 0600) || st.st_uid || st.st_gid)
		WRONG("%s: mode %o of %u:%u", path, st.st_mode, st.st_uid,
		      st.st_gid);
	if (st.st_rdev != makedev(maj, min))
		WRONG("%s: not number %u:%u", path, maj, min);
	fd = open(path, O_RDWR);
	if (fd < 0)
		WRONG("%s: open: %s", path, strerror(errno));
	close(fd);
}

static void check_event(const struct uevent *event, const char *action, int count)
{
	const char *name = uevent_value(event, "DEVNAME"), *msg = event->text;
	char want[64], text[64];
	struct stat st;
	static bool looked;
	int n = -1;

	if (strcmp(uevent_value(event, "SUBSYSTEM"), "vfifo"))
		return;
	/* The last device, which could be late, is checked first. */
	if (!looked && !strcmp(action, "add")) {
		looked = true;
		for (n = count - 1; n >= 0; n--)
			check_device(n);
	}
	sscanf(name, "vfifo%d", &n);
	if (strcmp(uevent_value(event, "ACTION"), action) || n < 0 || n >= count) {
		WRONG("unexpected: %s", msg);
		return;
	}
	if (seen[n]++)
		WRONG("twice: %s", msg);
	snprintf(text, sizeof(text), "vfifo%d", n);
	if (strcmp(name, text))
		WRONG("DEVNAME=%s", name);
	snprintf(want, sizeof(want), "/devices/virtual/vfifo/vfifo%d", n);
	if (strcmp(uevent_value(event, "DEVPATH"), want))
		WRONG("%s: DEVPATH=%s", name, uevent_value(event, "DEVPATH"));

	snprintf(text, sizeof(text), "%s:%s", uevent_value(event, "MAJOR"),
		 uevent_value(event, "MINOR"));
	snprintf(want, sizeof(want), "/dev/vfifo%d", n);
	if (*uevent_value(event, "DEVMODE"))
		WRONG("%s: DEVMODE=%s", name, uevent_value(event, "DEVMODE"));
	if (!strcmp(action, "add") && !stat(want, &st)) {
		snprintf(want, sizeof(want), "%u:%u", major(st.st_rdev),
			 minor(st.st_rdev));
		if (strcmp(text, want))
			WRONG("%s: number %s, not %s", name, text, want);
	} else {
		unsigned int maj, min;

		if (sscanf(text, "%u:%u", &maj, &min) != 2)
			WRONG("%s: number '%s'", name, text);
	}
}

int main(int argc, char **argv)
{
	struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };
	struct sched_param first = { .sched_priority = 1 };
	int null = open("/sys/class/mem/null/uevent", O_WRONLY);
	static struct uevent event;
	bool done = false;
	int count, i, fd;
	ssize_t len;

	count = argc == 3 ? atoi(argv[2]) : -1;
	if (count < 0 || count > MAX_DEVICES) {
		fprintf(stderr, "usage: %s add|remove count\n", argv[0]);
		return 2;
	}
	fd = uevents_open();
	if (fd < 0) {
		perror("netlink");
		return 1;
	}
	/*
	 * To check the devices between the first event and the second, this must be quick.
	 * Do everything once before, with another device.
	 */
	if (sched_setscheduler(0, SCHED_FIFO, &first)) {
		perror("sched_setscheduler");
		return 1;
	}
	len = null < 0 || write(null, "add", 3) != 3 ?
		      -1 : uevent_receive(fd, &event);
	if (len <= 0) {
		perror("/sys/class/mem/null");
		return 1;
	}
	close(null);
	check_event(&event, argv[1], count);
	for (i = 0; i < 2; i++)
		get_attr("/sys/class/mem/null", vfifo_attrs[i].name);
	puts("ready");
	fflush(stdout);

	p[0].fd = fd;
	p[1].fd = STDIN_FILENO;
	while (!done) {
		poll(p, 2, -1);
		/* Events sent before the input ended are still read. */
		done = p[1].revents;
		while ((len = uevent_receive(fd, &event)) > 0)
			check_event(&event, argv[1], count);
		if (len < 0 && errno != EAGAIN) {
			WRONG("recv: %s", strerror(errno));
			done = true;
		}
	}
	for (i = 0; i < count; i++) {
		if (!seen[i])
			WRONG("no %s of vfifo%d", argv[1], i);
	}
	return bad;
}
