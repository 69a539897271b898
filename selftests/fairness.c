// SPDX-License-Identifier: GPL-2.0
/*
 * No writer starves: from the moment that somebody is the writer who has slept
 * longest until that writer is served, all others together write at most as much as
 * the capacity. They are then held up as if the FIFO was full: calls sleep or get
 * EAGAIN, generated messages are dropped, and poll(2) says the same. Whoever gives
 * that right up lets the others go on at once.
 *
 * Everything here happens in a known order, so nothing depends on time.
 */
#include "vfifo_faults.h"
#include "vfifo_uring.h"

#define SLEEPERS	3
#define OTHER		60	/* what others write at a time */
#define RUNNING		LONG_MIN

/* What others may write until the next in line has noticed that it is its turn. */
#define SLACK		PIPE_BUF

/* The name that the harness gives to the fixture. */
#define fairness_data	_test_data_fairness

FIXTURE(fairness)
{
	struct vfifo dev;
	struct faulty f;
	struct ring ring;
	int fd;			/* one that blocks */
	long cap;
	long head;		/* when the longest sleeper was one */
	char *seen;		/* what was read since */
	long seen_len, seen_max;
	long *ret;		/* shared: of the sleepers' calls */
	pid_t pid[SLEEPERS];
};

FIXTURE_SETUP(fairness)
{
	int i;

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	ASSERT_TRUE(faulty_begin(&self->f));
	self->ring.fd = -1;
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->cap = self->dev.capacity;
	self->seen_max = 16 * self->cap;
	self->seen = malloc(self->seen_max);
	ASSERT_NE(NULL, self->seen);
	self->ret = shared(SLEEPERS * sizeof(*self->ret));
	ASSERT_NE(NULL, self->ret);
	for (i = 0; i < SLEEPERS; i++)
		self->ret[i] = RUNNING;
}

FIXTURE_TEARDOWN(fairness)
{
	int i;

	faulty_end(&self->f);
	for (i = 0; i < SLEEPERS; i++) {
		if (self->pid[i] <= 0)
			continue;
		kill(self->pid[i], SIGKILL);
		waitpid(self->pid[i], NULL, 0);
	}
	attr_store("mode", "0");
	EXPECT_EQ(attr_get("stats/bytes_written"),
		  attr_get("stats/bytes_read") +
		  attr_get("stats/bytes_cleared") + attr_get("size"));
	if (self->ring.fd >= 0)
		ring_close(&self->ring);
	munmap(self->ret, SLEEPERS * sizeof(*self->ret));
	free(self->seen);
	close(self->fd);
	vfifo_teardown(&self->dev);
}

/* The bytes of sleeper @i, and of the others. */
static char letter(int i)
{
	return 'A' + i;
}

#define NOISE	'.'

static long write_letters(int fd, char c, long len)
{
	char *buf = malloc(len);
	long ret;

	memset(buf, c, len);
	ret = res(write(fd, buf, len));
	free(buf);
	return ret;
}

/* Starts sleeper @i, which writes @len bytes; false if it does not sleep. */
static bool sleeper_start(struct fairness_data *self, int i, long len)
{
	self->pid[i] = child_start(10 * DEADLINE);
	if (!self->pid[i]) {
		struct sigaction sa = { .sa_handler = no_op };

		sigaction(SIGUSR1, &sa, NULL);
		self->ret[i] = write_letters(self->fd, letter(i), len);
		_exit(0);
	}
	return child_sleeps(self->pid[i]);
}

/* Whether its call has returned, with @value. */
static bool returned(struct fairness_data *self, int i, long value)
{
	if (!eventually(child_state(self->pid[i]) == 'Z'))
		return false;
	child_end(self->pid[i]);
	self->pid[i] = 0;
	return self->ret[i] == value;
}

/* Reads up to @len bytes, and remembers them: how many there were. */
static long take(struct fairness_data *self, long len)
{
	long n, done = 0;

	if (len > self->seen_max - self->seen_len)
		len = self->seen_max - self->seen_len;
	while (done < len) {
		n = read(self->dev.fd, self->seen + self->seen_len, len - done);
		if (n <= 0)
			break;
		self->seen_len += n;
		done += n;
	}
	return done;
}

static void take_all(struct fairness_data *self)
{
	while (take(self, self->cap) > 0)
		;
}

/* How many bytes of others were seen before the first of sleeper @i. */
static long others_before(struct fairness_data *self, int i)
{
	long n, count = 0;

	for (n = 0; n < self->seen_len && self->seen[n] != letter(i); n++)
		count += self->seen[n] == NOISE;
	return count;
}

/*
 * A full FIFO, and sleeper 0 that writes @len bytes. From here on others may write
 * as much as the capacity.
 */
static bool begin(struct fairness_data *self, long len)
{
	char *zero = calloc(1, self->cap);
	bool full;

	full = res(write(self->dev.fd, zero, self->cap)) == self->cap;
	free(zero);
	if (!full || !sleeper_start(self, 0, len))
		return false;
	self->head = attr_get("stats/bytes_written");
	return true;
}

/*
 * Reads @size bytes and writes as many, again and again, so that there is never
 * more room than that, until writing is refused. How many bytes were written; if it
 * is more than @most, that was not refused.
 */
static long steal(struct fairness_data *self, long size, long most)
{
	long total = 0, n;

	while (total <= most) {
		take(self, size);
		n = write_letters(self->dev.fd, NOISE, size);
		if (n != size)
			break;
		total += n;
	}
	return total;
}

/*
 * The same, to the last byte: afterwards others can write nothing at all. There is
 * then room for 1000 bytes or more, which is too little for a sleeper of PIPE_BUF.
 */
#define STEAL_ALL() do {						\
	long __n = steal(self, OTHER, self->cap);			\
									\
	ASSERT_GE(self->cap, __n) {					\
		TH_LOG("others are not held up: %ld bytes", __n);	\
	}								\
	ASSERT_EQ(1000, take(self, 1000));				\
	while (__n <= self->cap &&					\
	       write_letters(self->dev.fd, NOISE, 1) == 1)		\
		__n++;							\
	ASSERT_GE(self->cap, __n);					\
	ASSERT_GE(self->head + self->cap,				\
		  attr_get("stats/bytes_written"));			\
} while (0)

/* ---- plain and non-blocking writers ---- */

static const struct {
	long len;		/* the sleeper's */
	long size;		/* the others' */
} sizes[] = {
	{ PIPE_BUF, OTHER },
	{ PIPE_BUF, 1000 },
	{ PIPE_BUF, 1 },
	{ 1000, OTHER },
	{ 61, OTHER },
	{ 81920, OTHER },	/* not atomic */
};

TEST_F_TIMEOUT(fairness, others_write_no_more_than_the_capacity, 200)
{
	long others;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		self->seen_len = 0;
		self->ret[0] = RUNNING;
		ASSERT_TRUE(begin(self, sizes[i].len));
		others = steal(self, sizes[i].size, self->cap);
		EXPECT_GE(self->cap, others) {
			TH_LOG("%ld bytes sleep, %ld at a time go on",
			       sizes[i].len, sizes[i].size);
		}
		EXPECT_GE(self->head + self->cap,
			  attr_get("stats/bytes_written"));
		/* As much as is needed at most, of what is queued. */
		while (self->seen_len < 8 * self->cap &&
		       child_state(self->pid[0]) != 'Z')
			if (take(self, OTHER) <= 0)
				usleep(1000);
		EXPECT_TRUE(returned(self, 0, sizes[i].len));
		take_all(self);
		EXPECT_GE(self->cap, others_before(self, 0));
		/* Then nobody is held up any more. */
		EXPECT_EQ(PIPE_BUF, write_letters(self->dev.fd, NOISE,
						  PIPE_BUF));
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	}
}

/* Sleepers are served in their order, and each has the same right in its turn. */
TEST_F_TIMEOUT(fairness, sleepers_in_a_row, 100)
{
	long first[SLEEPERS], noise = 0, before = 0, i;
	int next = 0;

	ASSERT_TRUE(begin(self, PIPE_BUF));
	for (i = 1; i < SLEEPERS; i++)
		ASSERT_TRUE(sleeper_start(self, i, PIPE_BUF));
	while (self->seen_len < 12 * self->cap &&
	       child_state(self->pid[SLEEPERS - 1]) != 'Z') {
		if (take(self, OTHER) <= 0)
			usleep(1000);
		write_letters(self->dev.fd, NOISE, OTHER);
	}
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_TRUE(returned(self, i, PIPE_BUF));
	take_all(self);
	for (i = 0; i < self->seen_len; i++) {
		noise += self->seen[i] == NOISE;
		if (next == SLEEPERS || self->seen[i] != letter(next))
			continue;
		first[next] = i;
		EXPECT_GE(self->cap + SLACK, noise - before) {
			TH_LOG("before sleeper %d", next);
		}
		before = noise;
		next++;
	}
	ASSERT_EQ(SLEEPERS, next);
	EXPECT_TRUE(first[0] < first[1] && first[1] < first[2]);
}

static bool out_is_told(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && p.revents & POLLOUT;
}

static bool epoll_told(int ep)
{
	struct epoll_event event;

	return epoll_wait(ep, &event, 1, 0) == 1;
}

/*
 * The sleeper has been woken, but can't run: the test does, on the same CPU. So there
 * is all the room in the world, and others may not use it. poll(2) must not say that
 * they may; nor may anyone have to ask again to find out when they can.
 */
TEST_F(fairness, poll_agrees)
{
	long others = 0, n, empty = -1;
	bool told, level, edge;
	int ep[2];
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(set), &set));
	hold_signal(SIGIO);
	ASSERT_TRUE(begin(self, PIPE_BUF));
	if (!run_alone(true))
		SKIP(return, "no real-time priority");
	while (others <= self->cap) {
		take_all(self);
		n = write_letters(self->dev.fd, NOISE, OTHER);
		if (n != OTHER)
			break;
		others += n;
		while (others <= self->cap &&
		       write_letters(self->dev.fd, NOISE, OTHER) == OTHER)
			others += OTHER;
	}
	take_all(self);
	while (others <= self->cap &&
	       write_letters(self->dev.fd, NOISE, 1) == 1)
		others++;
	take_all(self);
	empty = queued(self->fd);
	told = out_is_told(self->dev.fd);
	ep[0] = epoll_for(self->dev.fd, EPOLLOUT);
	ep[1] = epoll_for(self->dev.fd, EPOLLOUT | EPOLLET);
	level = epoll_told(ep[0]);
	edge = epoll_told(ep[1]);
	n = write_letters(self->dev.fd, NOISE, PIPE_BUF);
	want_signals(self->dev.fd, getpid());
	while (signalled())
		;
	run_alone(false);

	EXPECT_GE(self->cap, others);
	EXPECT_EQ(0, empty);
	EXPECT_EQ(-EAGAIN, n);
	EXPECT_FALSE(told);
	EXPECT_FALSE(level);
	EXPECT_FALSE(edge);
	/* Once the sleeper is served everybody is told. */
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
	EXPECT_TRUE(eventually(epoll_told(ep[0])));
	EXPECT_TRUE(eventually(epoll_told(ep[1])));
	EXPECT_TRUE(eventually(signalled()));
	EXPECT_TRUE(out_is_told(self->dev.fd));
	EXPECT_EQ(PIPE_BUF, write_letters(self->dev.fd, NOISE, PIPE_BUF));
	close(ep[0]);
	close(ep[1]);
}

/* Without a sleeper in the way, room is what it was. */
TEST_F(fairness, nothing_is_held_up_without_a_sleeper)
{
	long cap = self->cap, i;

	ASSERT_TRUE(put(&self->dev, cap, 0));
	for (i = 0; i < 3 * cap; i += PIPE_BUF) {
		ASSERT_EQ(PIPE_BUF, take(self, PIPE_BUF));
		ASSERT_TRUE(out_is_told(self->dev.fd));
		ASSERT_EQ(PIPE_BUF, write_letters(self->dev.fd, NOISE,
						  PIPE_BUF));
		ASSERT_FALSE(out_is_told(self->dev.fd));
	}
}

/* ---- who gives the right up ---- */

/* Others that sleep, although there is room for them. */
#define HOLD_OTHERS_UP() do {						\
	STEAL_ALL();							\
	ASSERT_TRUE(sleeper_start(self, 1, 60));			\
	ASSERT_TRUE(sleeper_start(self, 2, 200));			\
	EXPECT_LE(260, self->cap - queued(self->fd));			\
	ASSERT_EQ(-EAGAIN, write_letters(self->dev.fd, NOISE, 1));	\
	ASSERT_EQ(RUNNING, self->ret[1]);				\
	ASSERT_EQ(RUNNING, self->ret[2]);				\
} while (0)

#define EXPECT_OTHERS_GO_ON() do {					\
	EXPECT_TRUE(returned(self, 1, 60));				\
	EXPECT_TRUE(returned(self, 2, 200));				\
	EXPECT_EQ(100, write_letters(self->dev.fd, NOISE, 100));	\
} while (0)

TEST_F(fairness, sleeper_is_killed)
{
	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_UP();
	kill(self->pid[0], SIGKILL);
	EXPECT_OTHERS_GO_ON();
}

TEST_F(fairness, sleeper_is_interrupted)
{
	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_UP();
	kill(self->pid[0], SIGUSR1);
	EXPECT_OTHERS_GO_ON();
	EXPECT_TRUE(returned(self, 0, -EINTR));
}

/* It begins again when it goes on, behind the others, and has its right again. */
TEST_F(fairness, sleeper_is_stopped)
{
	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_UP();
	kill(self->pid[0], SIGSTOP);
	EXPECT_OTHERS_GO_ON();
	EXPECT_TRUE(eventually(child_state(self->pid[0]) == 'T'));
	kill(self->pid[0], SIGCONT);
	ASSERT_TRUE(child_sleeps(self->pid[0]));
	EXPECT_GE(self->cap, steal(self, OTHER, self->cap));
	take_all(self);
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
}

/* The next in line is now the one that has slept longest. */
TEST_F(fairness, next_sleeper_has_the_same_right)
{
	ASSERT_TRUE(begin(self, PIPE_BUF));
	ASSERT_TRUE(sleeper_start(self, 1, PIPE_BUF));
	STEAL_ALL();
	kill(self->pid[0], SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(self->pid[0]));
	self->pid[0] = 0;
	EXPECT_LT(0, write_letters(self->dev.fd, NOISE, 1));
	EXPECT_GE(self->cap + SLACK, steal(self, OTHER, self->cap + SLACK));
	take_all(self);
	EXPECT_TRUE(returned(self, 1, PIPE_BUF));
	take_all(self);
	EXPECT_GE(2 * self->cap + SLACK, others_before(self, 1));
}

/*
 * The sleeper was served by room, but its memory is missing, and that may take any
 * time: everybody who was held up goes on meanwhile, and is told of it.
 */
TEST_F_TIMEOUT(fairness, sleeper_waits_for_its_memory, 100)
{
	long sleeps = attr_get("stats/writer_sleeps");
	char *zero = calloc(1, self->cap), own[100], got[PIPE_BUF];
	int uffd, error = 0, ep[2], i;

	uffd = missing(self->f.memory, PAGES * self->f.page, &error);
	if (uffd < 0)
		SKIP(return, "no userfaultfd: %s", strerror(error));
	close(uffd);
	ASSERT_EQ(self->cap, write(self->dev.fd, zero, self->cap));
	if (!faulty_start(&self->f, 0))
		_exit(write(self->fd, self->f.memory, PIPE_BUF) != PIPE_BUF);
	ASSERT_LE(0, self->f.monitor);
	ASSERT_TRUE(eventually(attr_get("stats/writer_sleeps") > sleeps));
	ASSERT_TRUE(child_sleeps(self->f.pid));
	self->head = attr_get("stats/bytes_written");
	STEAL_ALL();

	hold_signal(SIGIO);
	ASSERT_TRUE(sleeper_start(self, 1, OTHER));
	ep[0] = epoll_for(self->dev.fd, EPOLLOUT);
	ep[1] = epoll_for(self->dev.fd, EPOLLOUT | EPOLLET);
	EXPECT_FALSE(epoll_told(ep[0]));
	EXPECT_FALSE(epoll_told(ep[1]));
	memset(own, NOISE, sizeof(own));
	error = ring_open(&self->ring);
	if (!error) {
		prepare(&self->ring, IORING_OP_WRITE, self->fd, own, OTHER, 1);
		ASSERT_TRUE(submit(&self->ring));
		EXPECT_EQ(0, completions(&self->ring));
	}
	ASSERT_EQ(0, want_signals(self->dev.fd, getpid()));
	while (signalled())
		;

	ASSERT_EQ(2 * PIPE_BUF, take(self, 2 * PIPE_BUF));
	ASSERT_NE(0UL, fault_met(self->f.monitor));
	EXPECT_TRUE(eventually(epoll_told(ep[0])));
	EXPECT_TRUE(eventually(epoll_told(ep[1])));
	EXPECT_TRUE(eventually(signalled()));
	EXPECT_TRUE(returned(self, 1, OTHER));
	if (!error)
		EXPECT_EQ(OTHER, completion(&self->ring, NULL, NULL));
	EXPECT_EQ(100, write_letters(self->dev.fd, NOISE, 100));
	EXPECT_NE('Z', child_state(self->f.pid));

	take_all(self);
	EXPECT_EQ(0, give_all(&self->f, 5000));
	EXPECT_EQ(PIPE_BUF, read(self->dev.fd, got, PIPE_BUF));
	EXPECT_TRUE(stream_equal(got, PIPE_BUF, 5000));
	for (i = 0; i < 2; i++)
		close(ep[i]);
	free(zero);
}

/* ---- other producers and consumers, and other occasions ---- */

/* Generated messages count as those of others, and are dropped. */
TEST_F_TIMEOUT(fairness, generation_is_held_up, 100)
{
	long dropped, n;

	self->cap = 2 * PIPE_BUF;
	ASSERT_EQ(0, attr_set("capacity", self->cap));
	ASSERT_TRUE(begin(self, PIPE_BUF));
	for (n = 0; n < self->cap - 2 * OTHER; n += OTHER) {
		ASSERT_EQ(OTHER, take(self, OTHER));
		ASSERT_EQ(OTHER, write_letters(self->dev.fd, NOISE, OTHER));
	}
	ASSERT_EQ(1000, take(self, 1000));
	dropped = attr_get("stats/dropped");
	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_EQ(0, attr_store("mode", "1"));
	EXPECT_TRUE(eventually(attr_get("stats/dropped") > dropped));
	EXPECT_EQ(0, attr_store("mode", "0"));
	EXPECT_GE(self->head + self->cap, attr_get("stats/bytes_written"));
	/* There was room for it. */
	EXPECT_LE(5, self->cap - queued(self->fd));
	take_all(self);
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
}

/* A mapped consumer gives room back a few bytes at a time. */
TEST_F_TIMEOUT(fairness, mapped_consumer, 100)
{
	struct vfifo_end *own;
	long others = 0, given = 0, n = 0;
	__u64 tail;

	ASSERT_TRUE(begin(self, PIPE_BUF));
	own = claim_end(&self->dev, false);
	ASSERT_NE(NULL, own);
	tail = load(own);
	while (others <= self->cap) {
		store(own, tail + (given += 7));
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
		n = write_letters(self->dev.fd, NOISE, 7);
		if (n != 7)
			break;
		others += n;
	}
	EXPECT_GE(self->cap, others);
	EXPECT_GE(self->head + self->cap, attr_get("stats/bytes_written"));
	while (given < others + PIPE_BUF) {
		store(own, tail + (given += 7));
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	}
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
	store(own, tail + given + 7);
	EXPECT_EQ(7, write_letters(self->dev.fd, NOISE, 7));
	munmap(own, self->dev.page);
}

TEST_F(fairness, capacity_grows)
{
	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_UP();
	ASSERT_EQ(0, attr_set("capacity", 2 * self->cap));
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
	EXPECT_OTHERS_GO_ON();
}

TEST_F(fairness, cleared)
{
	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_UP();
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
	EXPECT_OTHERS_GO_ON();
}

/* Sleepers get EBUSY, and nothing of them is left when the claim ends. */
TEST_F(fairness, producer_is_claimed)
{
	struct vfifo_end *own;

	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_UP();
	own = claim_end(&self->dev, true);
	ASSERT_NE(NULL, own);
	EXPECT_TRUE(returned(self, 0, -EBUSY));
	EXPECT_TRUE(returned(self, 1, -EBUSY));
	EXPECT_TRUE(returned(self, 2, -EBUSY));
	munmap(own, self->dev.page);
	EXPECT_EQ(500, write_letters(self->dev.fd, NOISE, 500));
}

/* A claim of the other end changes nothing. */
TEST_F(fairness, consumer_is_claimed)
{
	struct vfifo_end *own;

	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_UP();
	own = claim_end(&self->dev, false);
	ASSERT_NE(NULL, own);
	EXPECT_EQ(-EAGAIN, write_letters(self->dev.fd, NOISE, 1));
	munmap(own, self->dev.page);
	EXPECT_EQ(-EAGAIN, write_letters(self->dev.fd, NOISE, 1));
	EXPECT_EQ(RUNNING, self->ret[0]);
	take_all(self);
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
	EXPECT_OTHERS_GO_ON();
}

/* In the error state sleepers get EIO, and nothing of them is left afterwards. */
TEST_F(fairness, consumer_breaks_it)
{
	struct vfifo_end *own;

	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_UP();
	own = claim_end(&self->dev, false);
	ASSERT_NE(NULL, own);
	store(own, load(own) + 2 * self->cap);
	EXPECT_EQ(-EIO, write_letters(self->dev.fd, NOISE, 1));
	EXPECT_TRUE(returned(self, 0, -EIO));
	EXPECT_TRUE(returned(self, 1, -EIO));
	EXPECT_TRUE(returned(self, 2, -EIO));
	munmap(own, self->dev.page);
	EXPECT_EQ(500, write_letters(self->dev.fd, NOISE, 500));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
