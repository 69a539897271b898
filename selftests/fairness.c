// SPDX-License-Identifier: GPL-2.0
/*
 * No writer starves. Once a writer has slept longest, all others together write
 * at most one capacity until that writer is served. Then they are held back as
 * if the FIFO were full: calls sleep or return EAGAIN, generated messages are
 * dropped, and poll(2) agrees. When the longest sleeper is served or gives up,
 * the others continue at once.
 *
 * All steps happen in a known order, so no test depends on timing.
 */
#include "vfifo_faults.h"
#include "vfifo_uring.h"

#define SLEEPERS	3
#define OTHER		60	/* what others write at a time */
#define RUNNING		LONG_MIN

/*
 * What others may write until the next sleeper has noticed that it is its turn.
 */
#define SLACK		PIPE_BUF

/* The harness's name for the fixture's type. */
#define fairness_data	_test_data_fairness

FIXTURE(fairness)
{
	struct vfifo dev;
	struct faulty f;
	struct ring ring;
	int fd;			/* blocks */
	long cap;
	long head;		/* position when sleeper 0 became the longest sleeper */
	char *seen;		/* all bytes read so far */
	long seen_len, seen_max;
	long *ret;		/* shared: results of the sleepers' calls */
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
	for (i = 0; i < SLEEPERS; i++)
		child_kill(&self->pid[i]);
	attr_store("mode", "0");
	EXPECT_EQ(0, bytes_missing());
	if (self->ring.fd >= 0)
		ring_close(&self->ring);
	munmap(self->ret, SLEEPERS * sizeof(*self->ret));
	free(self->seen);
	close(self->fd);
	vfifo_teardown(&self->dev);
}

/* The bytes of sleeper @i. */
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

/* Whether the call of sleeper @i has returned @value. */
static bool returned(struct fairness_data *self, int i, long value)
{
	if (!eventually(child_state(self->pid[i]) == 'Z'))
		return false;
	child_end(self->pid[i]);
	self->pid[i] = 0;
	return self->ret[i] == value;
}

static bool all_returned(struct fairness_data *self, long value)
{
	int i;

	for (i = 0; i < SLEEPERS; i++)
		if (!returned(self, i, value))
			return false;
	return true;
}

/* Reads and records up to @len bytes: how many there were. */
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

/* How many bytes of others were read before the first of sleeper @i. */
static long others_before(struct fairness_data *self, int i)
{
	long n, count = 0;

	for (n = 0; n < self->seen_len && self->seen[n] != letter(i); n++)
		count += self->seen[n] == NOISE;
	return count;
}

/*
 * Fills the FIFO and starts sleeper 0, which writes @len bytes. From here on
 * others may write one capacity.
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
 * Others write @size bytes at a time until that is refused: how many in all, with
 * @total from before. Ends with more than the capacity if nothing is refused.
 */
static long write_until_refused(struct fairness_data *self, long size, long total)
{
	while (total <= self->cap &&
	       write_letters(self->dev.fd, NOISE, size) == size)
		total += size;
	return total;
}

/*
 * Reads @size bytes and writes as many, repeatedly, so that there is never more
 * free space than that, until a write is refused. Returns the bytes written;
 * more than @most if no write was refused.
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
 * The same to the last byte: afterwards others can write nothing at all. At
 * least 1000 bytes are free then, but fewer than a sleeper of PIPE_BUF needs.
 */
#define STEAL_ALL() do {						\
	long __n = steal(self, OTHER, self->cap);			\
									\
	ASSERT_GE(self->cap, __n) {					\
		TH_LOG("others are not held back: %ld bytes", __n);	\
	}								\
	ASSERT_EQ(1000, take(self, 1000));				\
	__n = write_until_refused(self, 1, __n);			\
	ASSERT_GE(self->cap, __n);					\
	ASSERT_GE(self->head + self->cap,				\
		  attr_get("stats/bytes_written"));			\
} while (0)

/* ---- plain and non-blocking writers ---- */

static const struct {
	long len;		/* of the sleeper */
	long size;		/* of the others */
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
			TH_LOG("a writer of %ld bytes sleeps, others write %ld at a time",
			       sizes[i].len, sizes[i].size);
		}
		EXPECT_GE(self->head + self->cap,
			  attr_get("stats/bytes_written"));
		/* At most as much as it takes to serve the sleeper. */
		while (self->seen_len < 8 * self->cap &&
		       child_state(self->pid[0]) != 'Z')
			if (take(self, OTHER) <= 0)
				usleep(1000);
		EXPECT_TRUE(returned(self, 0, sizes[i].len));
		take_all(self);
		EXPECT_GE(self->cap, others_before(self, 0));
		/* Nothing is held back any more. */
		EXPECT_EQ(PIPE_BUF, write_letters(self->dev.fd, NOISE,
						  PIPE_BUF));
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	}
}

/* Sleepers are served in order, and each has the same right in its turn. */
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
	EXPECT_TRUE(all_returned(self, PIPE_BUF));
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
 * The sleeper has been woken but cannot run, because the test runs on the same
 * CPU. So there is plenty of room that others must not use. poll(2) must not
 * report it, and must report it later without being asked again. What polls is
 * open for writing only: a file open for both is woken by bytes, too.
 */
TEST_F(fairness, poll_agrees)
{
	long others = 0, before, n, empty = -1;
	bool told, level, edge;
	int ep[2], out;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(set), &set));
	hold_signal(SIGIO);
	out = vfifo_open(O_WRONLY | O_NONBLOCK);
	ASSERT_LE(0, out);
	/* Little to do: after a second, the scheduler would let the sleeper run. */
	self->cap = 2 * PIPE_BUF;
	ASSERT_EQ(0, attr_set("capacity", self->cap));
	ASSERT_TRUE(begin(self, PIPE_BUF));
	if (!run_alone(true))
		SKIP(return, "no real-time priority");
	do {
		before = others;
		take_all(self);
		others = write_until_refused(self, OTHER, others);
	} while (others > before && others <= self->cap);
	take_all(self);
	others = write_until_refused(self, 1, others);
	take_all(self);
	empty = queued(self->fd);
	told = out_is_told(self->dev.fd);
	ep[0] = epoll_for(out, EPOLLOUT);
	ep[1] = epoll_for(out, EPOLLOUT | EPOLLET);
	level = epoll_told(ep[0]);
	edge = epoll_told(ep[1]);
	n = write_letters(self->dev.fd, NOISE, PIPE_BUF);
	want_signals(out, getpid());
	while (signalled())
		;
	run_alone(false);

	EXPECT_GE(self->cap, others);
	EXPECT_EQ(0, empty);
	EXPECT_EQ(-EAGAIN, n);
	EXPECT_FALSE(told);
	EXPECT_FALSE(level);
	EXPECT_FALSE(edge);
	/* Once the sleeper is served, everyone is told. */
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
	EXPECT_TRUE(eventually(epoll_told(ep[0])));
	EXPECT_TRUE(eventually(epoll_told(ep[1])));
	EXPECT_TRUE(eventually(signalled()));
	EXPECT_TRUE(out_is_told(self->dev.fd));
	EXPECT_EQ(PIPE_BUF, write_letters(self->dev.fd, NOISE, PIPE_BUF));
	close(ep[0]);
	close(ep[1]);
	close(out);
}

/* Without a sleeper, all free space is usable. */
TEST_F(fairness, nothing_is_held_back_without_a_sleeper)
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

/* ---- sleepers that give up ---- */

/* Other writers sleep although there is room for them. */
#define HOLD_OTHERS_BACK() do {						\
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
	HOLD_OTHERS_BACK();
	kill(self->pid[0], SIGKILL);
	EXPECT_OTHERS_GO_ON();
}

TEST_F(fairness, sleeper_is_interrupted)
{
	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_BACK();
	kill(self->pid[0], SIGUSR1);
	EXPECT_OTHERS_GO_ON();
	EXPECT_TRUE(returned(self, 0, -EINTR));
}

/* When it continues, it starts again behind the others, with the same right. */
TEST_F(fairness, sleeper_is_stopped)
{
	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_BACK();
	kill(self->pid[0], SIGSTOP);
	EXPECT_OTHERS_GO_ON();
	EXPECT_TRUE(eventually(child_state(self->pid[0]) == 'T'));
	kill(self->pid[0], SIGCONT);
	ASSERT_TRUE(child_sleeps(self->pid[0]));
	EXPECT_GE(self->cap, steal(self, OTHER, self->cap));
	take_all(self);
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
}

/* The next sleeper is now the longest. */
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
 * The sleeper has room, but has to fault its memory in, which may take any
 * time. Meanwhile everyone who was held back continues, and is told.
 */
TEST_F_TIMEOUT(fairness, sleeper_waits_for_its_memory, 100)
{
	long sleeps = attr_get("stats/writer_sleeps");
	char *zero = calloc(1, self->cap), own[100], got[PIPE_BUF];
	int uffd, error = 0, ep[2], out, i;

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
	out = vfifo_open(O_WRONLY | O_NONBLOCK);
	ASSERT_LE(0, out);
	ASSERT_TRUE(sleeper_start(self, 1, OTHER));
	ep[0] = epoll_for(out, EPOLLOUT);
	ep[1] = epoll_for(out, EPOLLOUT | EPOLLET);
	EXPECT_FALSE(epoll_told(ep[0]));
	EXPECT_FALSE(epoll_told(ep[1]));
	memset(own, NOISE, sizeof(own));
	error = ring_open(&self->ring);
	if (!error) {
		prepare(&self->ring, IORING_OP_WRITE, self->fd, own, OTHER, 1);
		ASSERT_TRUE(submit(&self->ring));
		EXPECT_EQ(0, completions(&self->ring));
	}
	ASSERT_EQ(0, want_signals(out, getpid()));
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
	close(out);
	free(zero);
}

/* ---- other producers, consumers and events ---- */

/* Generated messages count as other writers, and are dropped. */
TEST_F_TIMEOUT(fairness, generation_is_held_back, 100)
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
	/* There was room for a message. */
	EXPECT_LE(5, self->cap - queued(self->fd));
	take_all(self);
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
}

/* Releases @len bytes more as a mapped consumer does: 0 or -1. */
static int release_bytes(int fd, struct vfifo_end *own, long len)
{
	store(own, load(own) + len);
	return ioctl(fd, VFIFO_NOTIFY);
}

/* A mapped consumer releases a few bytes at a time. */
TEST_F_TIMEOUT(fairness, mapped_consumer, 100)
{
	struct vfifo_end *own;
	long others = 0, given = 0, n = 0;

	ASSERT_TRUE(begin(self, PIPE_BUF));
	own = claim_end(&self->dev, false);
	ASSERT_NE(NULL, own);
	while (others <= self->cap) {
		ASSERT_EQ(0, release_bytes(self->dev.fd, own, 7));
		given += 7;
		n = write_letters(self->dev.fd, NOISE, 7);
		if (n != 7)
			break;
		others += n;
	}
	EXPECT_GE(self->cap, others);
	EXPECT_GE(self->head + self->cap, attr_get("stats/bytes_written"));
	for (; given < others + PIPE_BUF; given += 7)
		ASSERT_EQ(0, release_bytes(self->dev.fd, own, 7));
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
	store(own, load(own) + 7);
	EXPECT_EQ(7, write_letters(self->dev.fd, NOISE, 7));
	munmap(own, self->dev.page);
}

TEST_F(fairness, capacity_grows)
{
	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_BACK();
	ASSERT_EQ(0, attr_set("capacity", 2 * self->cap));
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
	EXPECT_OTHERS_GO_ON();
}

TEST_F(fairness, cleared)
{
	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_BACK();
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_TRUE(returned(self, 0, PIPE_BUF));
	EXPECT_OTHERS_GO_ON();
}

/* Sleepers get EBUSY, and hold nobody back after the claim. */
TEST_F(fairness, producer_is_claimed)
{
	struct vfifo_end *own;

	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_BACK();
	own = claim_end(&self->dev, true);
	ASSERT_NE(NULL, own);
	EXPECT_TRUE(all_returned(self, -EBUSY));
	munmap(own, self->dev.page);
	EXPECT_EQ(500, write_letters(self->dev.fd, NOISE, 500));
}

/* A claim of the other end changes nothing. */
TEST_F(fairness, consumer_is_claimed)
{
	struct vfifo_end *own;

	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_BACK();
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

/* In the error state sleepers get EIO, and hold nobody back afterwards. */
TEST_F(fairness, consumer_breaks_it)
{
	struct vfifo_end *own;

	ASSERT_TRUE(begin(self, PIPE_BUF));
	HOLD_OTHERS_BACK();
	own = claim_end(&self->dev, false);
	ASSERT_NE(NULL, own);
	store(own, load(own) + 2 * self->cap);
	EXPECT_EQ(-EIO, write_letters(self->dev.fd, NOISE, 1));
	EXPECT_TRUE(all_returned(self, -EIO));
	munmap(own, self->dev.page);
	EXPECT_EQ(500, write_letters(self->dev.fd, NOISE, 500));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
