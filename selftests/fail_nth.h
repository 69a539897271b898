/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Has the n-th allocation of a task fail, with CONFIG_FAULT_INJECTION: see
 * Documentation/fault-injection/fault-injection.rst
 */
#ifndef VFIFO_FAIL_NTH_H
#define VFIFO_FAIL_NTH_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"

#define FAIL_DEBUGFS	"/sys/kernel/debug/"

struct fail_knob {
	const char *path, *value;
	char old[16];
};

static struct fail_knob fail_knobs[] = {
	{ .path = FAIL_DEBUGFS "failslab/ignore-gfp-wait", .value = "N" },
	{ .path = FAIL_DEBUGFS "failslab/verbose", .value = "0" },
	{ .path = FAIL_DEBUGFS "fail_page_alloc/ignore-gfp-wait", .value = "N" },
	{ .path = FAIL_DEBUGFS "fail_page_alloc/ignore-gfp-highmem", .value = "N" },
	{ .path = FAIL_DEBUGFS "fail_page_alloc/min-order", .value = "0" },
	{ .path = FAIL_DEBUGFS "fail_page_alloc/verbose", .value = "0" },
};

/* Open all the time, since opening it would be an allocation that counts. */
static int fail_fd = -1;

static inline ssize_t fail_file(const char *path, int flags, char *text, size_t len)
{
	int fd = open(path, flags | O_CLOEXEC);
	ssize_t ret = -1;

	if (fd >= 0) {
		ret = flags == O_RDONLY ? read(fd, text, len) :
					  write(fd, text, len);
		close(fd);
	}
	return ret;
}

/* Puts all back. */
static inline void fail_restore(void)
{
	size_t i;

	close(fail_fd);
	for (i = 0; i < ARRAY_SIZE(fail_knobs); i++) {
		if (fail_knobs[i].old[0])
			fail_file(fail_knobs[i].path, O_WRONLY, fail_knobs[i].old,
				  strlen(fail_knobs[i].old));
	}
}

/* Has all kinds of allocations count, or returns the reason why that can't be. */
static inline const char *fail_setup(void)
{
	struct fail_knob *knob;
	char value[2];
	size_t i;

	fail_fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_fd < 0)
		return "no /proc/self/fail-nth: needs CONFIG_FAULT_INJECTION";
	for (i = 0; i < ARRAY_SIZE(fail_knobs); i++) {
		knob = &fail_knobs[i];
		strcpy(value, knob->value);
		memset(knob->old, 0, sizeof(knob->old));
		if (fail_file(knob->path, O_RDONLY, knob->old,
			      sizeof(knob->old) - 1) <= 0 ||
		    fail_file(knob->path, O_WRONLY, value, 1) != 1) {
			fail_restore();
			return "no failslab or fail_page_alloc in debugfs";
		}
	}
	return NULL;
}

/* Has the @n-th allocation from now on fail; with 0, none. */
static inline void fail_nth(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	if (pwrite(fail_fd, text, len, 0) != len)
		abort();
}

/* How many are left to go until one fails, which none does now. */
static inline int fail_left(void)
{
	char text[16] = "";

	if (pread(fail_fd, text, sizeof(text) - 1, 0) <= 0)
		abort();
	fail_nth(0);
	return atoi(text);
}

#endif /* VFIFO_FAIL_NTH_H */
