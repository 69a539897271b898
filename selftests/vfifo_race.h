/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Racing processes: each repeats one step, as fast as it can, until it is told to stop.
 *
 * A race has a number of rounds. By default it runs as many as fit into SECONDS, up to
 * ROUNDS. "-n ROUNDS", or VFIFO_ROUNDS in the environment, runs exactly that many, however
 * long it takes; 10000 is a good number for a night.
 */
#ifndef VFIFO_RACE_H
#define VFIFO_RACE_H

#include "vfifo_module.h"

#define ROUNDS	500
#define SECONDS	4

/* Timeout of a test. It only ends what hangs: each round has a deadline of its own. */
#define FOREVER	(6 * 60 * 60)

static unsigned long rounds = ROUNDS;
static unsigned int seconds = SECONDS;

#define RACERS	6

/* Shared by all racers of a test. */
static struct race {
	unsigned int stop;
	unsigned int turn;		/* counts up, to hand over between processes */
	long holders[2];		/* of a claim, by end */
	unsigned long steps[RACERS];
	unsigned long good[RACERS];	/* steps that reached a device */
	char wrong[256];		/* what failed, if anything */
} *race;

#define LOAD(x)		__atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define STORE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_SEQ_CST)
#define ADD(x, v)	__atomic_add_fetch(&(x), v, __ATOMIC_SEQ_CST)

#define WRONG(...) (snprintf(race->wrong, sizeof(race->wrong), __VA_ARGS__), -1)

/* 1 if the step reached a device, 0 if there was none, -1 after WRONG(). */
typedef int (*racer_step)(int self, __u64 *random);

static inline bool race_begin(void)
{
	race = shared(sizeof(*race));
	return race;
}

static inline pid_t racer_start(racer_step step, int self)
{
	__u64 random = mix64(vfifo_seed + self);
	pid_t pid = child_start(FOREVER);
	int ret;

	if (pid)
		return pid;
	while (!LOAD(race->stop)) {
		ret = step(self, &random);
		if (ret < 0)
			_exit(1);
		ADD(race->steps[self], 1);
		/* There are few processors: leave them to the others. */
		if (ret)
			ADD(race->good[self], 1);
		else
			usleep(50 + rnd(&random) % 500);
	}
	_exit(0);
}

/*
 * Stops the first @n racers and expects each to have reached a device at least once.
 * Returns the number of their steps.
 */
static inline unsigned long racers_end(struct __test_metadata *_metadata,
				       pid_t *pid, int n)
{
	unsigned long steps = 0;
	int i;

	STORE(race->stop, 1);
	for (i = 0; i < n; i++) {
		EXPECT_EQ(0, child_end(pid[i])) {
			TH_LOG("%s", race->wrong);
		}
		pid[i] = 0;
		steps += race->steps[i];
		EXPECT_LT(0UL, race->good[i]);
	}
	return steps;
}

/* For a teardown: kills the racers that a failed test has left. */
static inline void racers_kill(pid_t *pid)
{
	int i;

	for (i = 0; i < RACERS; i++)
		child_kill(&pid[i]);
}

/* Whether to run another round after @done, of @wanted, within @limit seconds if any. */
static inline bool more_of(unsigned long wanted, unsigned int limit,
			   unsigned long done, __s64 start)
{
	return done < wanted && (!limit || now_ms() - start < limit * 1000LL);
}

static inline bool more(unsigned long done, __s64 start)
{
	return more_of(rounds, seconds, done, start);
}

/* How many of the first @racers have reached a device since @before. */
static inline int met(int racers, const unsigned long *before)
{
	int i, n = 0;

	for (i = 0; i < racers; i++)
		n += LOAD(race->good[i]) > before[i];
	return n;
}

/*
 * Whether a race may end: the first @racers have all reached a device and @also holds,
 * or it is too late to wait for that.
 */
static inline bool enough(int racers, bool also, __s64 start)
{
	static const unsigned long never[RACERS];

	return (also && met(racers, never) == racers) ||
	       now_ms() - start >= 6 * DEADLINE * 1000;
}

/* The number of steps that reached a device. */
static inline unsigned long found(void)
{
	unsigned long sum = 0;
	int i;

	for (i = 0; i < RACERS; i++)
		sum += LOAD(race->good[i]);
	return sum;
}

/* Lets a short, random time pass. */
static inline void jitter(__u64 *random)
{
	unsigned long spin = rnd(random) % 3000;

	switch (rnd(random) % 4) {
	case 0:
		sched_yield();
		break;
	case 1:
		usleep(rnd(random) % 500);
		break;
	default:
		while (spin--)
			asm volatile("" : : : "memory");
	}
}

/* Called first by main. */
static inline void race_options(int *argc, char **argv)
{
	const char *n = take_option(argc, argv, "-n");

	if (!n)
		n = getenv("VFIFO_ROUNDS");
	if (n) {
		rounds = strtoul(n, NULL, 0);
		seconds = 0;
	}
}

#endif /* VFIFO_RACE_H */
