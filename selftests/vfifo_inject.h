/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault injection: makes one allocation, or one copy from or to user memory, of this task
 * fail. Needs CONFIG_FAULT_INJECTION and related options, see config.
 */
#ifndef VFIFO_INJECT_H
#define VFIFO_INJECT_H

#include "vfifo_files.h"

static const struct knob {
	const char *path, *value;
} knobs[] = {
#define DEBUGFS	"/sys/kernel/debug/"
	{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
	{ DEBUGFS "failslab/verbose", "0" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ DEBUGFS "fail_page_alloc/min-order", "0" },
	{ DEBUGFS "fail_page_alloc/verbose", "0" },
	{ DEBUGFS "fail_usercopy/verbose", "0" },
	{ DEBUGFS "fail_usercopy/task-filter", "Y" },
	{ DEBUGFS "fail_usercopy/interval", "1" },
	{ DEBUGFS "fail_usercopy/times", "-1" },
	{ DEBUGFS "fail_usercopy/space", "0" },
	{ DEBUGFS "fail_usercopy/probability", "0" },
	{ DEBUGFS "failslab/reject-start", "0" },
	{ DEBUGFS "failslab/reject-end", "0" },
	{ DEBUGFS "fail_page_alloc/reject-start", "0" },
	{ DEBUGFS "fail_page_alloc/reject-end", "0" },
	/* Otherwise loading and unloading mostly wait for grace periods. */
	{ "/sys/kernel/rcu_expedited", "1" },
};

/* fail-nth of this task, always open, so that opening it is not counted. */
static int nth = -1;

/* NULL, or what is missing. */
static inline const char *knobs_setup(void)
{
	static char why[128];
	size_t i;

	if (access("/proc/self/fail-nth", W_OK))
		return "no /proc/self/fail-nth: no CONFIG_FAULT_INJECTION";
	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		if (file_store(knobs[i].path, knobs[i].value)) {
			snprintf(why, sizeof(why), "no %s", knobs[i].path);
			return why;
		}
	}
	return NULL;
}

/* Starts counting points in this task; number @n fails. */
static inline void arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(nth, text, len, 0) != len)
		abort();
}

/* Stops counting. Whether a point has failed. */
static inline bool disarm(void)
{
	char text[16] = "1";
	bool injected;

	/*
	 * The read itself is a point, since it copies to user memory. It returns the
	 * count from before that; if that was 1, it is this copy that fails.
	 */
	injected = pread(nth, text, sizeof(text) - 1, 0) > 0 && text[0] == '0';
	while (pwrite(nth, "0", 1, 0) != 1)
		if (errno != EFAULT)
			abort();
	return injected;
}

#endif /* VFIFO_INJECT_H */
