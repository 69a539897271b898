// SPDX-License-Identifier: GPL-2.0
/*
 * Closing a file, or turning O_ASYNC off, while other processes cause SIGIO. After that,
 * the file sends no signal.
 */
#include "vfifo_race.h"

FIXTURE(close)
{
	struct vfifo dev;
	struct health health;
	pid_t pid[RACERS];
};

FIXTURE_SETUP(close)
{
	ASSERT_TRUE(race_begin());
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	health_begin(&self->health);
}

FIXTURE_TEARDOWN(close)
{
	racers_kill(self->pid);
	vfifo_teardown(&self->dev);
	health_end(&self->health);
}

static unsigned int signals;

static void count_signal(int sig)
{
	(void)sig;
	STORE(signals, signals + 1);
}

/* Adds or removes bytes, which is news for the other side. */
static int moves_bytes(int self, __u64 *random)
{
	static int fd = -1;
	char buf[100];
	long ret;

	(void)self;
	if (fd < 0)
		fd = vfifo_open(O_RDWR | O_NONBLOCK);
	memset(buf, 0, sizeof(buf));
	if (rnd(random) % 2)
		ret = res(write(fd, buf, 1 + rnd(random) % sizeof(buf)));
	else
		ret = res(read(fd, buf, 1 + rnd(random) % sizeof(buf)));
	return ret > 0 || ret == -EAGAIN ? 1 : WRONG("%s", strerror(-ret));
}

/* Ends the use of O_ASYNC in one of three ways. */
static void async_off(int fd, int how, int other)
{
	switch (how) {
	case 0:
		fcntl(fd, F_SETFL, O_NONBLOCK);
		break;
	case 1:
		dup2(other, fd);
		break;
	}
	close(fd);
}

TEST_F_TIMEOUT(close, against_signals, FOREVER)
{
	struct sigaction action = { .sa_handler = count_signal };
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	struct f_owner_ex owner = { F_OWNER_TID, syscall(SYS_gettid) };
	unsigned long done = 0, steps, late = 0;
	unsigned int before, total = 0;
	__u64 random = vfifo_seed;
	__s64 start;
	int fd, null;

	LOG_SEED();
	null = open("/dev/null", O_RDWR);
	ASSERT_EQ(0, sigaction(SIGIO, &action, NULL));
	self->pid[0] = racer_start(moves_bytes, 0);
	self->pid[1] = racer_start(moves_bytes, 1);
	start = now_ms();
	for (; more(done, start); done++) {
		STORE(signals, 0);
		fd = vfifo_open(modes[rnd(&random) % 3] | O_NONBLOCK);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, fcntl(fd, F_SETOWN_EX, &owner));
		ASSERT_EQ(0, fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK));
		if (rnd(&random) % 2)
			EXPECT_TRUE(eventually(LOAD(signals)));
		jitter(&random);
		async_off(fd, rnd(&random) % 3, null);
		/*
		 * Signals sent before the file was closed have been delivered
		 * by now. No more may come.
		 */
		before = LOAD(signals);
		total += before;
		steps = LOAD(race->good[0]);
		if (rnd(&random) % 4 == 0) {
			ASSERT_TRUE(eventually(LOAD(race->good[0]) > steps + 2));
			late += LOAD(signals) - before;
		}
	}
	EXPECT_EQ(0UL, late);
	EXPECT_LT(0U, total);
	TH_LOG("%lu rounds, %u signals, %lu transfers", done, total,
	       found());
	close(null);
	EXPECT_HEALTHY(&self->health);
}

int main(int argc, char **argv)
{
	race_options(&argc, argv);
	return vfifo_main(argc, argv);
}
