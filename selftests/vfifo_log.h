/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's log, and whether the kernel has complained in it.
 */
#ifndef VFIFO_LOG_H
#define VFIFO_LOG_H

#include "vfifo_test.h"

/* The log from now on; -1 without permission. */
static inline int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/*
 * The text of the next record with its log level, until the next call; NULL if there
 * is none. Records that were overwritten before they were read are skipped.
 */
static inline char *log_next(int fd, int *level)
{
	static char record[8192];
	unsigned int prio;
	ssize_t len;
	char *text;

	while (fd >= 0) {
		len = read(fd, record, sizeof(record) - 1);
		if (len < 0 && errno == EPIPE)
			continue;
		if (len <= 0)
			break;
		record[len] = '\0';
		text = strchr(record, ';');
		if (!text || sscanf(record, "%u,", &prio) != 1)
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (level)
			*level = prio & 7;
		return text + 1;
	}
	return NULL;
}

/* ---- complaints ---- */

/* The taints of a bad page, an oops, a warning and a lockup. */
#define TAINTS	(0x20 | 0x80 | 0x200 | 0x4000)

struct health {
	long tainted;
	int log;
	char line[1024];
};

static inline long taint_bits(void)
{
	return strtol(path_text("/proc/sys/kernel/tainted"), NULL, 10) & TAINTS;
}

static inline void health_begin(struct health *health)
{
	health->tainted = taint_bits();
	health->log = log_open();
}

/* The first complaint since the last call, or NULL. */
static inline const char *health_trouble(struct health *health)
{
	static const char *const words[] = {
		"Kernel panic", "BUG", "WARNING:", "Oops", "KASAN:", "UBSAN:",
		"KFENCE:", "KCSAN:", "ODEBUG:", "general protection fault",
		"INFO: task ", "rcu: INFO:", "possible circular locking",
		"possible recursive locking", "inconsistent lock state",
		"suspicious RCU usage", "DEBUG_LOCKS", "Unable to handle",
		"detected stall", "refcount_t:", "Bad page", "soft lockup",
	};
	const char *found = NULL, *text;
	long now = taint_bits();
	size_t i;

	while ((text = log_next(health->log, NULL))) {
		for (i = 0; !found && i < ARRAY_SIZE(words); i++) {
			if (!strstr(text, words[i]))
				continue;
			snprintf(health->line, sizeof(health->line), "%s", text);
			found = health->line;
		}
	}
	if (!found && now & ~health->tainted) {
		snprintf(health->line, sizeof(health->line),
			 "tainted: %#lx, was %#lx", now, health->tainted);
		found = health->line;
	}
	health->tainted = now;
	return found;
}

static inline void health_end(struct health *health)
{
	if (health->log >= 0)
		close(health->log);
}

#define EXPECT_HEALTHY(health) do {					\
	const char *__trouble = health_trouble(health);			\
									\
	EXPECT_EQ(NULL, __trouble) {					\
		TH_LOG("the kernel says: %s", __trouble);		\
	}								\
} while (0)

#endif /* VFIFO_LOG_H */
