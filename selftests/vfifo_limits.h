/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests that do something a thousand times, and so take long.
 */
#ifndef VFIFO_LIMITS_H
#define VFIFO_LIMITS_H

#include "vfifo_module.h"

#define MANY		1000	/* open files, sleepers */

/* Seconds for the whole test, and for one wait in it. */
#define LONG_TEST	600
#define LONG_WAIT	(120 * vfifo_scale())

#define eventually_long(cond) ({					\
	__s64 __end = now_ms() + LONG_WAIT * 1000;			\
	bool __done;							\
	while (!(__done = !!(cond)) && now_ms() < __end)		\
		usleep(10000);						\
	__done;								\
})

#endif /* VFIFO_LIMITS_H */
