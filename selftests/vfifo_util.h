/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Results of system calls, deadlines, and reproducible random choices.
 */
#ifndef VFIFO_UTIL_H
#define VFIFO_UTIL_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <linux/types.h>

/*
 * VFIFO_SCALE multiplies every deadline, including those of the harness. Set it for
 * kernels that are slow because of sanitizers.
 */
static inline int vfifo_scale(void)
{
	const char *text = getenv("VFIFO_SCALE");
	int scale = text ? atoi(text) : 1;

	return scale < 1 ? 1 : scale;
}

/* A number of repetitions, reduced on a slow kernel. */
#define OFTEN(times)	((times) / vfifo_scale())

/*
 * Seconds allowed for anything that should happen at once. It is generous, because
 * processors may be emulated, but below the harness's 30 s, so that a test which
 * reaches it still reports the failure and cleans up.
 */
#define DEADLINE	(10 * vfifo_scale())

/* The result of a system call as one value: what it returned, or -errno. */
static inline long res(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* The error number of a function that returns a pointer; 0 if it does not return NULL. */
#define NULL_ERRNO(call) (errno = 0, (call) ? 0 : errno)

static inline __s64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Evaluates @cond until it is true; false if that takes longer than DEADLINE. */
#define eventually(cond) ({						\
	__s64 __until = now_ms() + DEADLINE * 1000;			\
	bool __ok;							\
	while (!(__ok = !!(cond)) && now_ms() < __until)		\
		usleep(1000);						\
	__ok;								\
})

/* ---- random numbers and recognisable bytes ---- */

static __u64 vfifo_seed = 1;

static inline __u64 mix64(__u64 x)
{
	x = (x ^ (x >> 32)) * 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 29)) * 0xd6e8feb86659fd93ULL;
	return x ^ (x >> 32);
}

static inline __u64 rnd(__u64 *state)
{
	return mix64(++*state);
}

/* The byte at position @pos of an endless stream that never repeats. */
static inline __u8 stream_byte(__u64 pos)
{
	return mix64(vfifo_seed ^ (pos >> 3)) >> (8 * (pos & 7));
}

static inline void stream_fill(void *buf, size_t len, __u64 pos)
{
	__u8 *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = stream_byte(pos + i);
}

static inline bool stream_equal(const void *buf, size_t len, __u64 pos)
{
	const __u8 *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != stream_byte(pos + i))
			return false;
	return true;
}

#endif /* VFIFO_UTIL_H */
