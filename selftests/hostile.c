// SPDX-License-Identifier: GPL-2.0
/*
 * Owners that store wrong positions. Others get EIO until the FIFO is cleared or the
 * claim ends, and nothing else happens.
 */
#include <poll.h>

#include "vfifo_test.h"

/*
 * The number of wrong positions in each random test. Many of them need a new mapping,
 * which takes longest of all on a slow kernel.
 */
#define CASES	OFTEN(OFTEN(600000))

/*
 * Whether a random test continues. After a minute, a slow machine may stop with a
 * sixtieth of what is wanted.
 */
static bool more_cases(long done, long wanted, __s64 start)
{
	return done < wanted && (done < wanted / 60 ||
				 now_ms() - start < 6 * DEADLINE * 1000);
}

FIXTURE(hostile)
{
	struct vfifo dev;
	struct vfifo_end *own;
	__u64 cap;
};

FIXTURE_VARIANT(hostile)
{
	bool producer;
};

FIXTURE_VARIANT_ADD(hostile, producer)
{
	.producer = true,
};

FIXTURE_VARIANT_ADD(hostile, consumer)
{
	.producer = false,
};

static void unclaim(struct vfifo *dev, struct vfifo_end **own)
{
	if (*own)
		munmap(*own, dev->page);
	*own = NULL;
}

FIXTURE_SETUP(hostile)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	/* Bytes in the middle of the buffer. */
	ASSERT_TRUE(put(&self->dev, 1000, 0));
	self->own = claim_end(&self->dev, variant->producer);
	ASSERT_NE(NULL, self->own);
}

FIXTURE_TEARDOWN(hostile)
{
	unclaim(&self->dev, &self->own);
	vfifo_teardown(&self->dev);
}

/* A system call at the end that is not claimed. */
static long other_end(int fd, bool producer, char *c)
{
	return res(producer ? read(fd, c, 1) : write(fd, c, 1));
}

/* Whether the attribute shows a possible size. */
static bool size_is_possible(long cap)
{
	long size = attr_get("size");

	return size >= 0 && size <= cap;
}

TEST_F(hostile, every_kind_of_wrong_position)
{
	__u64 at = load(self->own), far[] = {
		self->cap, self->cap + 1, 1ULL << 32, 1ULL << 63,
		(1ULL << 63) - 1,
	};
	struct pollfd pfd = { .fd = self->dev.fd, .events = POLLIN | POLLOUT };
	unsigned int i;
	long errors;
	char c = 0;
	int back;

	/* So that the other end has seen the position. */
	ASSERT_EQ(1, other_end(self->dev.fd, variant->producer, &c));
	for (i = 0; i < 2 * ARRAY_SIZE(far); i++) {
		back = i & 1;
		errors = attr_get("stats/position_errors");
		store(self->own, back ? at - far[i / 2] : at + far[i / 2]);
		EXPECT_EQ(-EIO, other_end(self->dev.fd, variant->producer, &c));
		EXPECT_EQ(-EIO, other_end(self->dev.fd, variant->producer, &c));
		EXPECT_EQ(errors + 1, attr_get("stats/position_errors"));
		EXPECT_EQ(1, poll(&pfd, 1, 0));
		EXPECT_EQ(POLLERR | POLLIN | POLLOUT, pfd.revents);
		EXPECT_TRUE(size_is_possible(self->cap));
		/* A correct position does not end the error state. */
		store(self->own, at);
		EXPECT_EQ(-EIO, other_end(self->dev.fd, variant->producer, &c));
		EXPECT_EQ(-EBUSY, other_end(self->dev.fd, !variant->producer,
					    &c));
		if (!variant->producer) {
			EXPECT_EQ(-EBUSY, res(ioctl(self->dev.fd,
						    VFIFO_CLEAR)));
			break;
		}
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
		EXPECT_EQ(-EAGAIN, other_end(self->dev.fd, true, &c));
		store(self->own, ++at);
		EXPECT_EQ(1, other_end(self->dev.fd, true, &c));
	}
	unclaim(&self->dev, &self->own);
	EXPECT_EQ(-EAGAIN, res(ioctl(self->dev.fd, VFIFO_CLEAR)) ?:
			   res(read(self->dev.fd, &c, 1)));
	EXPECT_TRUE(put(&self->dev, 500, 7));
	EXPECT_TRUE(get(&self->dev, 500, 7));
}

/* Cleared bytes do not count as read, however many there seem to be. */
TEST_F(hostile, clearing_is_not_reading)
{
	__u64 at = load(self->own);
	__u64 wrong[] = { at - 10, at + 2 * self->cap, at };
	unsigned int i;
	long taken;
	char c = 0;

	ASSERT_EQ(1, other_end(self->dev.fd, variant->producer, &c));
	taken = attr_get("stats/bytes_read");
	for (i = 0; variant->producer && i < ARRAY_SIZE(wrong); i++) {
		store(self->own, wrong[i]);
		EXPECT_EQ(-EIO, other_end(self->dev.fd, true, &c));
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
		EXPECT_EQ(taken, attr_get("stats/bytes_read"));
	}
	/* With a claimed consumer's end, only its owner removes bytes. */
	store(self->own, at + 5);
	EXPECT_EQ(1, other_end(self->dev.fd, variant->producer, &c));
	EXPECT_EQ(taken + (variant->producer ? 1 : 5),
		  attr_get("stats/bytes_read"));
}

/* One byte back from a position that was seen. */
TEST_F(hostile, backwards)
{
	__u64 at = load(self->own);
	char c = 0;

	store(self->own, at + 10);
	ASSERT_EQ(1, other_end(self->dev.fd, variant->producer, &c));
	store(self->own, at + 9);
	EXPECT_EQ(-EIO, other_end(self->dev.fd, variant->producer, &c));
}

/* Nor may it go back before the start of the claim, even if nobody has seen it since. */
TEST_F(hostile, behind_the_start_of_the_claim)
{
	long size = 1000, errors = attr_get("stats/position_errors");
	__u64 at;
	char c = 0;

	if (!variant->producer) {
		unclaim(&self->dev, &self->own);
		ASSERT_TRUE(get(&self->dev, 400, 0));
		size -= 400;
		self->own = claim_end(&self->dev, variant->producer);
		ASSERT_NE(NULL, self->own);
	}
	at = load(self->own);
	store(self->own, at - 100);
	EXPECT_EQ(-EIO, other_end(self->dev.fd, variant->producer, &c));
	EXPECT_EQ(errors + 1, attr_get("stats/position_errors"));
	unclaim(&self->dev, &self->own);
	EXPECT_EQ(size, queued(self->dev.fd));
	EXPECT_TRUE(get(&self->dev, size, 1000 - size));

	/* Also if nobody sees it before the claim ends. */
	ASSERT_TRUE(put(&self->dev, 1000, 0));
	if (!variant->producer)
		ASSERT_TRUE(get(&self->dev, 400, 0));
	self->own = claim_end(&self->dev, variant->producer);
	ASSERT_NE(NULL, self->own);
	store(self->own, load(self->own) - 100);
	unclaim(&self->dev, &self->own);
	EXPECT_EQ(size, queued(self->dev.fd));
	EXPECT_TRUE(get(&self->dev, size, 1000 - size));
}

/* The end of the claim restores the last correct position. */
TEST_F(hostile, end_of_the_claim_mends_it)
{
	__u64 at = load(self->own);
	char c = 0;

	store(self->own, at + 10);
	ASSERT_EQ(1, other_end(self->dev.fd, variant->producer, &c));
	store(self->own, at - 1);
	EXPECT_EQ(-EIO, other_end(self->dev.fd, variant->producer, &c));
	unclaim(&self->dev, &self->own);
	if (variant->producer) {
		/* One byte was read above. */
		EXPECT_EQ(1009, queued(self->dev.fd));
		EXPECT_TRUE(get(&self->dev, 999, 1));
	} else {
		/* One was written. */
		EXPECT_EQ(991, queued(self->dev.fd));
		EXPECT_TRUE(get(&self->dev, 990, 10));
	}
}

/* In the error state, generated messages are dropped, and cause no further errors. */
TEST_F(hostile, generation_is_dropped_meanwhile)
{
	long errors = attr_get("stats/position_errors"), dropped, written;
	char c = 0;

	ASSERT_EQ(0, attr_set("period_ms", 1));
	if (variant->producer) {
		/* Mode auto cannot be set while the producer's end is claimed. */
		unclaim(&self->dev, &self->own);
		ASSERT_EQ(0, attr_set("mode", 1));
		self->own = claim_end(&self->dev, variant->producer);
		ASSERT_NE(NULL, self->own);
	} else {
		ASSERT_EQ(0, attr_set("mode", 1));
	}
	store(self->own, load(self->own) + (1ULL << 40));
	EXPECT_EQ(-EIO, other_end(self->dev.fd, variant->producer, &c));
	dropped = attr_get("stats/dropped");
	EXPECT_TRUE(eventually(attr_get("stats/dropped") > dropped + 3));
	EXPECT_EQ(errors + 1, attr_get("stats/position_errors"));

	/* Generation continues after the error state. */
	unclaim(&self->dev, &self->own);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	written = attr_get("stats/bytes_written");
	EXPECT_TRUE(eventually(attr_get("stats/bytes_written") > written));
	EXPECT_EQ(0, attr_set("mode", 0));
}

/* A sleeper gets the error after VFIFO_NOTIFY. */
TEST_F(hostile, sleeper_gets_the_error)
{
	int fd = vfifo_open(O_RDWR);
	pid_t pid;
	char c;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(variant->producer ? !ioctl(fd, VFIFO_CLEAR) :
		    put(&self->dev, self->cap - 1000, 0));
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(-other_end(fd, variant->producer, &c));
	ASSERT_TRUE(child_sleeps(pid));
	store(self->own, load(self->own) + (1ULL << 40));
	ASSERT_EQ(0, ioctl(fd, VFIFO_NOTIFY));
	EXPECT_EQ(EIO, child_end(pid));
	close(fd);
}

/* A random position, near or far. */
static __u64 odd_position(__u64 *random, __u64 at, __u64 cap)
{
	__u64 r = rnd(random);

	switch (rnd(random) % 8) {
	case 0:
		return at + r % (cap + 2);
	case 1:
		return at - r % (cap + 2);
	case 2:
		return at + cap - 2 + r % 5;
	case 3:
		return r;
	case 4:
		return -1ULL - r % 3;
	case 5:
		return at + (1ULL << (r % 64));
	case 6:
		return at - (1ULL << (r % 64));
	default:
		return at + r % 3;
	}
}

/*
 * Results are exactly as Documentation/misc-devices/vfifo.rst says: a position is
 * accepted if there are 0 to capacity bytes between the two, and if it has not gone back.
 */
TEST_F_TIMEOUT(hostile, answers_are_exact, 120)
{
	__u64 random = vfifo_seed ^ variant->producer, own, peer, seen, pos;
	__s64 start = now_ms();
	long errors = attr_get("stats/position_errors"), broken = 0, i, ret;
	bool ok;
	char c = 0;

	LOG_SEED();
	/* The position of the other end follows from the bytes queued. */
	own = load(self->own);
	peer = variant->producer ? own - 1000 : own + 1000;
	seen = own;
	ASSERT_EQ(1, other_end(self->dev.fd, variant->producer, &c));
	peer++;
	for (i = 0; more_cases(i, CASES, start); i++) {
		pos = odd_position(&random, seen, self->cap);
		store(self->own, pos);
		ret = other_end(self->dev.fd, variant->producer, &c);
		if (variant->producer)
			ok = pos - peer <= self->cap &&
			     pos - peer >= seen - peer;
		else
			ok = peer - pos <= self->cap &&
			     peer - pos <= peer - seen;
		if (!ok) {
			ASSERT_EQ(-EIO, ret) {
				TH_LOG("case %ld: %llx after %llx, other %llx",
				       i, pos, seen, peer);
			}
			broken++;
			/* Both ways out of the error state. */
			if (variant->producer && i % 16) {
				ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
				peer = pos;
				seen = pos;
				continue;
			}
			unclaim(&self->dev, &self->own);
			self->own = claim_end(&self->dev, variant->producer);
			ASSERT_NE(NULL, self->own);
			ASSERT_EQ(seen, load(self->own));
			continue;
		}
		seen = pos;
		if (pos == (variant->producer ? peer : peer - self->cap)) {
			ASSERT_EQ(-EAGAIN, ret);
			continue;
		}
		ASSERT_EQ(1, ret);
		peer++;
	}
	EXPECT_EQ(errors + broken, attr_get("stats/position_errors"));
	TH_LOG("%ld positions, of which %ld were wrong", i, broken);
}

/* Stores positions at full speed until it is killed. */
static void storm(struct vfifo_end *own, __u64 random, __u64 cap,
		  __u64 *count)
{
	__u64 at = load(own);

	for (;;) {
		store(own, odd_position(&random, at, cap));
		if (!(rnd(&random) % 64))
			own->waiting = rnd(&random);
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	}
}

/* The kernel stays within bounds while positions change during its copies. */
TEST_F_TIMEOUT(hostile, full_speed, 120)
{
	__u64 *count = shared(sizeof(*count)), calls = 0, random = vfifo_seed;
	struct itimerspec every = { { 0, 20000000 }, { 0, 20000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
				  .sigev_signo = SIGALRM };
	struct sigaction action = { .sa_handler = no_op };
	int fd = vfifo_open(O_RDWR), other;
	char *buf = malloc(2 * self->cap);
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT };
	__s64 start = now_ms();
	timer_t timer;
	size_t len;
	pid_t pid;
	long ret;

	LOG_SEED();
	ASSERT_TRUE(count && buf && fd >= 0);
	unclaim(&self->dev, &self->own);
	pid = child_start(10 * DEADLINE);
	if (!pid) {
		self->own = claim_end(&self->dev, variant->producer);
		if (!self->own)
			_exit(1);
		storm(self->own, random, self->cap, count);
	}
	/* Interrupts calls that sleep. */
	sigaction(SIGALRM, &action, NULL);
	ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &event, &timer));
	ASSERT_EQ(0, timer_settime(timer, 0, &every, NULL));
	while (__atomic_load_n(count, __ATOMIC_RELAXED) < 2 * CASES ||
	       more_cases(calls, OFTEN(20000), start)) {
		len = 1 + rnd(&random) % (2 * self->cap);
		switch (rnd(&random) % 8) {
		case 0:
			ret = poll(&pfd, 1, 0);
			ASSERT_TRUE(ret == 0 || ret == 1);
			break;
		case 1:
			ret = queued(fd);
			ASSERT_TRUE(ret >= 0 && ret <= (long)self->cap);
			break;
		case 2:
			ASSERT_TRUE(size_is_possible(self->cap));
			break;
		case 3:
			/* A claimed consumer's end cannot be cleared. */
			ret = res(ioctl(fd, VFIFO_CLEAR));
			ASSERT_TRUE(variant->producer ? ret == 0 :
							ret == -EBUSY || !ret);
			break;
		case 4:
			ASSERT_EQ(0, ioctl(fd, VFIFO_NOTIFY));
			break;
		default:
			other = rnd(&random) % 2 ? fd : self->dev.fd;
			ret = res(variant->producer ? read(other, buf, len) :
						      write(other, buf, len));
			ASSERT_TRUE(ret == -EIO || ret == -EAGAIN ||
				    ret == -EINTR ||
				    (ret > 0 && ret <= (long)len)) {
				TH_LOG("call %llu: %ld of %zu", calls, ret,
				       len);
			}
		}
		calls++;
		if (kill(pid, 0) || child_state(pid) == 'Z')
			break;
	}
	timer_delete(timer);
	EXPECT_EQ(-SIGKILL, child_kill(&pid));
	TH_LOG("%llu positions, %llu calls", *count, calls);
	/* The claim ends, possibly a moment after the process. */
	EXPECT_TRUE(eventually(!attr_get(variant->producer ?
					 "producer_claimed" :
					 "consumer_claimed")));
	EXPECT_EQ(0, ioctl(fd, VFIFO_CLEAR));
	EXPECT_TRUE(put(&self->dev, self->cap, 3));
	EXPECT_TRUE(get(&self->dev, self->cap, 3));
	free(buf);
	close(fd);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
