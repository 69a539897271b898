// SPDX-License-Identifier: GPL-2.0
/*
 * When the stream has not ended: races in which a queue looks empty, or a side looks
 * deserted, and never was; claims that end, files that were never open, and children
 * that have inherited one.
 */
#include <sys/time.h>

#include "vfifo_hangup.h"
#include "vfifo_inject.h"
#include "vfifo_race.h"
#include "vfifo_waiters.h"

/* The page that a claim on the consumer's end maps. */
static __u64 consumer_offset;

static int pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

FIXTURE(end)
{
	struct ends e;
	int own, r, w;		/* -1 if not open */
	struct vfifo_producer p;
	struct vfifo_consumer c;
	pid_t pid[RACERS];
};

FIXTURE_SETUP(end)
{
	struct vfifo_info info = { .size = sizeof(info) };
	int any;

	self->own = -1;
	self->r = -1;
	self->w = -1;
	memset(&self->p, 0, sizeof(self->p));
	memset(&self->c, 0, sizeof(self->c));
	memset(self->pid, 0, sizeof(self->pid));
	ASSERT_TRUE(race_begin());
	ASSERT_EQ(0, ends_begin(&self->e, false));
	any = open(self->e.path, O_ACCMODE | O_CLOEXEC);
	ASSERT_EQ(0, ioctl(any, VFIFO_GET_INFO, &info));
	close(any);
	consumer_offset = info.consumer_offset;
}

FIXTURE_TEARDOWN(end)
{
	racers_kill(self->pid);
	vfifo_producer_close(&self->p);
	vfifo_consumer_close(&self->c);
	shut(&self->own);
	shut(&self->r);
	shut(&self->w);
	ends_end(&self->e);
}

/* ---- races ---- */

/*
 * On the same CPU as the reader: takes it away from there for some microseconds, between
 * any two of its instructions.
 */
static int interrupt(int self, __u64 *random)
{
	static bool ready;
	int burn;

	(void)self;
	if (!ready && (pin(0) || !run_alone(true)))
		return WRONG("no real-time priority: %s", strerror(errno));
	ready = true;
	burn = rnd(random) % 10000;
	while (burn--)
		asm volatile("" : : : "memory");
	/* Half the time, twice in the same call. */
	usleep(rnd(random) % 2 ? 1 : rnd(random) % 100);
	return 1;
}

/*
 * A reader that takes nothing: where it reads to, nothing is mapped. While bytes are
 * queued, it gets EFAULT.
 */
static int look_for_the_end(int self, __u64 *random)
{
	static int fd = -1;
	static char *bad;
	long ret;

	(void)self;
	(void)random;
	if (fd < 0) {
		pin(0);
		fd = vfifo_open(O_RDONLY | O_NONBLOCK);
		bad = mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	}
	ret = res(read(fd, bad, 1));
	if (ret == -EAGAIN || ret == -EFAULT || ret == -EBUSY)
		return 1;
	/* The writer exits when the race ends. */
	if (!ret && LOAD(race->stop))
		return 1;
	return WRONG("a read has returned %ld, and there was no end", ret);
}

/* There are bytes whenever there is no writer, and a writer whenever there are none. */
static int never_end(int self, __u64 *random)
{
	static int r = -1, w = -1;
	char buf[64];

	(void)self;
	(void)random;
	if (w < 0) {
		pin(sysconf(_SC_NPROCESSORS_ONLN) - 1);
		r = vfifo_open(O_RDONLY | O_NONBLOCK);
		w = vfifo_open(O_WRONLY | O_NONBLOCK);
	}
	if (write(w, buf, 5) != 5)
		return WRONG("write: %s", strerror(errno));
	close(w);
	w = vfifo_open(O_WRONLY | O_NONBLOCK);
	if (write(w, buf, 10) != 10)
		return WRONG("second write: %s", strerror(errno));
	if (read(r, buf, sizeof(buf)) != 15)
		return WRONG("the read did not get all");
	return 1;
}

/* The only writer, unless it has the consumer's end, and then reads fail with EBUSY. */
static int claim_and_release(int self, __u64 *random)
{
	static int fd = -1;
	void *page;

	(void)self;
	(void)random;
	if (fd < 0) {
		pin(sysconf(_SC_NPROCESSORS_ONLN) - 1);
		fd = vfifo_open(O_RDWR | O_NONBLOCK);
	}
	page = map_page(fd, consumer_offset, PROT_READ | PROT_WRITE);
	if (!page)
		return WRONG("claim: %s", strerror(errno));
	munmap(page, sysconf(_SC_PAGESIZE));
	return 1;
}

#define RACE(writer) do {						\
	__s64 __start;							\
									\
	self->pid[0] = racer_start(writer, 0);				\
	self->pid[1] = racer_start(look_for_the_end, 1);		\
	self->pid[2] = racer_start(interrupt, 2);			\
	__start = now_ms();						\
	while (!race->wrong[0] &&					\
	       (now_ms() - __start < SECONDS * 1000 ||			\
		!enough(3, true, __start)))				\
		usleep(10000);						\
	TH_LOG("%lu steps", racers_end(_metadata, self->pid, 3));	\
} while (0)

/* With another reader, "head" and "tail" that are equal may never have been so at once. */
TEST_F_TIMEOUT(end, empty_and_deserted_at_different_times, FOREVER)
{
	RACE(never_end);
}

/* What makes the last writer leave is that it becomes the consumer. */
TEST_F_TIMEOUT(end, claimed_and_not_ended, FOREVER)
{
	RACE(claim_and_release);
}

/* ---- a side that is taken back ---- */

/* In a child: an owner that lives until it is killed. */
static long own_consumer(struct ends *e)
{
	struct vfifo_consumer c;
	int ret = vfifo_consumer_open(&c, e->path);

	return ret ? ret : pause();
}

static long own_producer(struct ends *e)
{
	struct vfifo_producer p;
	int ret = vfifo_producer_open(&p, e->path);

	return ret ? ret : pause();
}

/* The next consumer waits for the first producer, as the one before did. */
TEST_F(end, consumer_takes_over_before_anybody_has_produced)
{
	SLEEP_IN(&self->e, 0, -1, own_consumer(&self->e));
	self->own = OPEN(O_RDWR);
	EXPECT_EQ(-EBUSY, vfifo_consumer_open_fd(&self->c, self->own));
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	ASSERT_TRUE(eventually(vfifo_consumer_open_fd(&self->c, self->own) !=
			       -EBUSY));
	EXPECT_EQ(0, poll_now(self->own, POLLIN));
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait(&self->c, 1, 0));
	/* One that comes is met. */
	self->w = OPEN(O_WRONLY);
	shut(&self->w);
	EXPECT_EQ(POLLHUP, poll_now(self->own, POLLIN));
	EXPECT_EQ(-ENODATA, vfifo_consumer_wait(&self->c, 1, 0));
}

/* The other writer goes on without a reader, as it has begun. */
TEST_F(end, writer_beside_a_producer_that_exits)
{
	SLEEP_IN(&self->e, 0, -1, own_producer(&self->e));
	self->w = OPEN(O_WRONLY | O_NONBLOCK);
	EXPECT_EQ(-EBUSY, write_one(self->w));
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	ASSERT_TRUE(eventually(attr_get("producer_claimed") == 0));
	EXPECT_EQ(1, write_one(self->w));
	EXPECT_FALSE(took(SIGPIPE));
	EXPECT_EQ(POLLOUT, poll_now(self->w, POLLOUT));
	self->r = OPEN(O_RDONLY);
	EXPECT_EQ(1, read_one(self->r));
	shut(&self->r);
	EXPECT_EPIPE(write_one(self->w));
}

/* A file that is opened after the claim has ended meets the one that is there. */
TEST_F(end, side_that_was_taken_back_is_there)
{
	self->own = OPEN(O_RDWR);
	ASSERT_EQ(0, vfifo_consumer_open_fd(&self->c, self->own));
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	vfifo_consumer_close(&self->c);
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	self->w = OPEN(O_RDONLY | O_NONBLOCK);
	shut(&self->own);
	/* The first has met nobody. The second has. */
	EXPECT_EQ(-EAGAIN, read_one(self->r));
	EXPECT_EQ(0, poll_now(self->r, POLLIN));
	EXPECT_EQ(0, read_one(self->w));
	EXPECT_EQ(POLLHUP, poll_now(self->w, POLLIN));
}

/* ---- files that were never open, and those that stay open ---- */

/* The one allocation that fails comes before the file counts. */
TEST_F(end, failed_open_is_no_close)
{
	unsigned int n, failed = 0;
	const char *why = knobs_setup();
	long hangups = attr_get("stats/hangups");
	bool injected = true;

	if (why)
		SKIP(return, "%s", why);
	nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, nth);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	for (n = 1; injected; n++) {
		shut(&self->w);
		EXPECT_EQ(hangups, attr_get("stats/hangups"));
		EXPECT_EQ(-EAGAIN, read_one(self->r)) {
			TH_LOG("point %u", n);
		}
		arm(n);
		self->w = open(self->e.path, O_WRONLY | O_CLOEXEC);
		injected = disarm();
		failed += self->w < 0;
		/* A point may fail and the open succeed. Then it was open. */
		if (injected && self->w >= 0) {
			shut(&self->w);
			shut(&self->r);
			self->r = OPEN(O_RDONLY | O_NONBLOCK);
			hangups = attr_get("stats/hangups");
		}
		ASSERT_TRUE(__test_passed(_metadata));
	}
	/* The path, the file, and two objects of the driver. */
	EXPECT_LE(3U, failed);
	ASSERT_LE(0, self->w);
	close(nth);
}

/* The same for a claim through the last writer. */
TEST_F(end, failed_claim_is_no_close)
{
	unsigned int n, failed = 0;
	const char *why = knobs_setup();
	long hangups = attr_get("stats/hangups");
	bool injected = true;
	void *page;

	if (why)
		SKIP(return, "%s", why);
	nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, nth);
	self->own = OPEN(O_RDWR);
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	for (n = 1; injected; n++) {
		arm(n);
		page = map_page(self->own, consumer_offset,
				PROT_READ | PROT_WRITE);
		injected = disarm();
		failed += !page;
		/* A point may fail and the claim succeed. Then the writer has left. */
		hangups += !!page;
		EXPECT_EQ(hangups, attr_get("stats/hangups")) {
			TH_LOG("point %u", n);
		}
		EXPECT_EQ(page ? -EBUSY : -EAGAIN, read_one(self->r));
		if (page)
			munmap(page, sysconf(_SC_PAGESIZE));
		ASSERT_TRUE(__test_passed(_metadata));
	}
	/* An area, and two objects of the driver. */
	EXPECT_LE(3U, failed);
	close(nth);
}

/*
 * A child of a mapped producer, which has closed the descriptor. It must not keep the file
 * open by the mappings of its parent.
 */
TEST_F(end, mappings_are_not_inherited)
{
	pid_t *grandchild = shared(sizeof(*grandchild)), pid;
	char buf[16];

	ASSERT_NE(NULL, grandchild);
	self->e.pid[0] = child_start(6 * DEADLINE);
	if (!self->e.pid[0]) {
		if (vfifo_producer_open(&self->p, self->e.path))
			_exit(1);
		pid = fork();
		if (!pid) {
			alarm(6 * DEADLINE);
			close(vfifo_producer_fd(&self->p));
			close(self->p.map.epoll);
			for (;;)
				pause();
		}
		*grandchild = pid;
		if (pid < 0 || !vfifo_producer_reserve(&self->p, 10) ||
		    vfifo_producer_commit(&self->p, 10))
			_exit(2);
		pause();
	}
	ASSERT_TRUE(eventually(attr_get("size") == 10));
	self->r = OPEN(O_RDONLY | O_NONBLOCK);
	ASSERT_TRUE(child_sleeps(self->e.pid[0]));
	ASSERT_TRUE(child_sleeps(*grandchild));
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	EXPECT_EQ(10, res(read(self->r, buf, sizeof(buf))));
	EXPECT_TRUE(eventually(read_one(self->r) == 0)) {
		TH_LOG("the file is still open");
	}
	kill(*grandchild, SIGKILL);
	munmap(grandchild, sizeof(*grandchild));
}

/* ---- a look ---- */

/* A timeout of zero never sleeps, so no signal interrupts it. */
TEST_F(end, look_is_not_interrupted)
{
	struct itimerval often = {
		.it_interval.tv_usec = 50, .it_value.tv_usec = 50,
	}, never = { 0 };
	struct sigaction action = { .sa_handler = no_op };
	__s64 until;
	int ret;

	self->own = OPEN(O_RDWR);
	ASSERT_EQ(0, vfifo_consumer_open_fd(&self->c, self->own));
	/* Without SA_RESTART. */
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	until = now_ms() + SECONDS * 1000;
	do {
		ret = vfifo_consumer_wait(&self->c, 1, 0);
	} while (ret == -EAGAIN && now_ms() < until);
	setitimer(ITIMER_REAL, &never, NULL);
	EXPECT_EQ(-EAGAIN, ret);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
