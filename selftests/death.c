// SPDX-License-Identifier: GPL-2.0
/*
 * Owners of an end that are killed at any instant: what they had published is
 * there, what they had not is not, and the next one goes on from there.
 */
#include "vfifo_test.h"
#include "vfifo_map.h"

/* For each kind of survivor, so twice as many for each end. */
#define KILLS		OFTEN(500)

/* How long each lives at most, once it has begun; long enough to get something done. */
#define LIFE_US		(2000 * vfifo_scale())

#define WAIT_MS		(DEADLINE * 1000)

/* What a child has done, for who finds it dead. */
struct diary {
	__u64 opened;		/* where it began, if not -1 */
	__u64 begun;		/* the position it was about to publish */
	__u64 done;		/* the one that it had */
};

FIXTURE(death)
{
	struct vfifo dev;
	struct diary *diary;
	__u64 random, at;	/* at: how far the survivor has come */
	struct vfifo_producer p;
	struct vfifo_consumer c;
	char *buf;
	long longest;
};

FIXTURE_VARIANT(death)
{
	bool mapped;		/* the survivor */
};

FIXTURE_VARIANT_ADD(death, among_plain_calls)
{
	.mapped = false,
};

FIXTURE_VARIANT_ADD(death, among_mapped_ends)
{
	.mapped = true,
};

FIXTURE_SETUP(death)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->longest = self->dev.capacity / 4;
	self->diary = shared(sizeof(*self->diary));
	ASSERT_NE(NULL, self->diary);
	self->buf = malloc(self->dev.capacity);
	ASSERT_NE(NULL, self->buf);
	self->random = vfifo_seed;
	self->at = attr_get("stats/bytes_written");
}

FIXTURE_TEARDOWN(death)
{
	free(self->buf);
	vfifo_teardown(&self->dev);
}

static __u64 see(__u64 *entry)
{
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

static void note(__u64 *entry, __u64 at)
{
	__atomic_store_n(entry, at, __ATOMIC_RELEASE);
}

/* Until a child has opened its end, or died of that. */
static void wait_for_birth(struct diary *diary, pid_t pid)
{
	siginfo_t info = {};

	while (see(&diary->opened) == (__u64)-1 && !info.si_pid) {
		sched_yield();
		waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT);
	}
}

static __s64 now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static size_t some(__u64 *random, long longest)
{
	return 1 + rnd(random) % (rnd(random) % 2 ? 50 : longest);
}

/* What is never to be seen: the next value of each byte comes only just before. */
static void scribble(void *mem, size_t len)
{
	memset(mem, 0xee, len);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Publishes the stream until it is killed. */
static int live_as_producer(struct diary *diary, __u64 random, __u64 at,
			    long longest)
{
	struct vfifo_producer p;
	size_t len, more;
	char *to;
	int err;

	/* The last one may not have gone yet, if somebody looks at its maps. */
	while ((err = vfifo_producer_open(&p, vfifo_path())) == -EBUSY)
		usleep(100);
	if (err || p.map.position != at)
		return 1;
	note(&diary->opened, at);
	for (;;) {
		len = some(&random, longest);
		more = len + rnd(&random) % 50;
		err = vfifo_wait_room(&p, more, WAIT_MS);
		if (err)
			return 2;
		to = vfifo_reserve(&p, more);
		scribble(to, more);
		stream_fill(to, len, at);
		at += len;
		note(&diary->begun, at);
		err = vfifo_commit(&p, len);
		note(&diary->done, at);
		if (err)
			return 3;
	}
}

/* Takes the stream, likewise. */
static int live_as_consumer(struct diary *diary, __u64 random, __u64 at,
			    long longest)
{
	struct vfifo_consumer c;
	const void *from;
	size_t len, most;
	int err;

	while ((err = vfifo_consumer_open(&c, vfifo_path())) == -EBUSY)
		usleep(100);
	if (err || c.map.position != at)
		return 1;
	note(&diary->opened, at);
	for (;;) {
		err = vfifo_wait_bytes(&c, 1, WAIT_MS);
		if (err)
			return 2;
		from = vfifo_peek(&c, &len);
		most = some(&random, longest);
		if (len > most)
			len = most;
		if (!stream_equal(from, len, at))
			return 4;
		at += len;
		note(&diary->begun, at);
		err = vfifo_release(&c, len);
		note(&diary->done, at);
		if (err)
			return 3;
	}
}

/* Takes what there is, up to a random number of bytes: how many, or -errno. */
static ssize_t survivor_takes(struct vfifo *dev, struct vfifo_consumer *c,
			      bool mapped, size_t most, char *buf, __u64 at)
{
	const void *from = buf;
	ssize_t n;
	size_t len;
	int err;

	if (mapped) {
		from = vfifo_peek(c, &len);
		n = len < most ? len : most;
	} else {
		n = res(read(dev->fd, buf, most));
		if (n == -EAGAIN)
			return 0;
	}
	if (n > 0 && !stream_equal(from, n, at))
		return -EBADMSG;
	err = mapped ? vfifo_release(c, n) : 0;
	return err ? err : n;
}

TEST_F_TIMEOUT(death, of_producers, 120)
{
	long cap = self->dev.capacity, published = 0, unborn = 0, i;
	__s64 until;
	pid_t pid;
	ssize_t n;
	__u64 at;

	LOG_SEED();
	if (variant->mapped)
		ASSERT_EQ(0, vfifo_consumer_open_fd(&self->c, self->dev.fd));
	for (i = 0; i < KILLS; i++) {
		at = self->at;
		note(&self->diary->opened, -1);
		note(&self->diary->begun, at);
		note(&self->diary->done, at);
		rnd(&self->random);
		pid = child_start(2 * DEADLINE);
		if (!pid)
			_exit(live_as_producer(self->diary, self->random, at,
					       self->longest));
		/* Every now and then it dies while it opens the device. */
		if (i % 8)
			wait_for_birth(self->diary, pid);
		until = now_us() + rnd(&self->random) % LIFE_US;
		/* Some die in a FIFO that is full, and some asleep. */
		while (now_us() < until) {
			if (!(i % 5))
				continue;
			n = survivor_takes(&self->dev, &self->c,
					   variant->mapped,
					   some(&self->random, cap), self->buf,
					   self->at);
			ASSERT_LE(0, n) {
				TH_LOG("kill %ld: %zd at %llu", i, n, self->at);
			}
			self->at += n;
		}
		kill(pid, SIGKILL);
		ASSERT_EQ(-SIGKILL, child_end(pid)) {
			TH_LOG("kill %ld, at %llu", i, at);
		}
		unborn += see(&self->diary->opened) != at;
		do {
			n = survivor_takes(&self->dev, &self->c,
					   variant->mapped, cap, self->buf,
					   self->at);
			ASSERT_LE(0, n) {
				TH_LOG("kill %ld: %zd at %llu", i, n, self->at);
			}
			self->at += n;
		} while (n);
		/* It may have died before it could tell that it's done. */
		ASSERT_TRUE(self->at == see(&self->diary->done) ||
			    self->at == see(&self->diary->begun)) {
			TH_LOG("kill %ld: got up to %llu, it had done %llu, begun %llu",
			       i, self->at, see(&self->diary->done),
			       see(&self->diary->begun));
		}
		ASSERT_EQ(0, queued(self->dev.fd));
		published += self->at - at;
	}
	EXPECT_EQ(self->at, (__u64)attr_get("stats/bytes_written"));
	EXPECT_TRUE(eventually(!attr_get("producer_claimed")));
	TH_LOG("%d killed, %ld of them while opening; %ld bytes published",
	       KILLS, unborn, published);
	EXPECT_LT(0, published);
	if (variant->mapped)
		vfifo_consumer_close(&self->c);
}

/* Queues up to @most bytes if they fit: how many, or -errno. */
static ssize_t survivor_gives(struct vfifo *dev, struct vfifo_producer *p,
			      bool mapped, size_t most, char *buf, __u64 at)
{
	ssize_t n;
	int err;

	if (!mapped) {
		stream_fill(buf, most, at);
		n = res(write(dev->fd, buf, most));
		return n == -EAGAIN ? 0 : n;
	}
	n = vfifo_room(p);
	if (n < (ssize_t)most)
		return n < 0 ? n : 0;
	stream_fill(vfifo_reserve(p, most), most, at);
	err = vfifo_commit(p, most);
	return err ? err : (ssize_t)most;
}

TEST_F_TIMEOUT(death, of_consumers, 120)
{
	long consumed = 0, unborn = 0, i;
	__u64 head = self->at, at;
	__s64 until;
	pid_t pid;
	ssize_t n;

	LOG_SEED();
	if (variant->mapped)
		ASSERT_EQ(0, vfifo_producer_open_fd(&self->p, self->dev.fd));
	for (i = 0; i < KILLS; i++) {
		at = self->at;
		note(&self->diary->opened, -1);
		note(&self->diary->begun, at);
		note(&self->diary->done, at);
		rnd(&self->random);
		pid = child_start(2 * DEADLINE);
		if (!pid)
			_exit(live_as_consumer(self->diary, self->random, at,
					       self->longest));
		if (i % 8)
			wait_for_birth(self->diary, pid);
		until = now_us() + rnd(&self->random) % LIFE_US;
		while (now_us() < until) {
			if (!(i % 5))
				continue;
			n = survivor_gives(&self->dev, &self->p,
					   variant->mapped,
					   some(&self->random, self->longest),
					   self->buf, head);
			ASSERT_LE(0, n) {
				TH_LOG("kill %ld: %zd at %llu", i, n, head);
			}
			head += n;
		}
		kill(pid, SIGKILL);
		ASSERT_EQ(-SIGKILL, child_end(pid)) {
			TH_LOG("kill %ld, at %llu", i, at);
		}
		unborn += see(&self->diary->opened) != at;
		n = queued(self->dev.fd);
		ASSERT_LE(0, n);
		self->at = head - n;
		ASSERT_TRUE(self->at == see(&self->diary->done) ||
			    self->at == see(&self->diary->begun)) {
			TH_LOG("kill %ld: took up to %llu, it had done %llu, begun %llu",
			       i, self->at, see(&self->diary->done),
			       see(&self->diary->begun));
		}
		consumed += self->at - at;
		/* The next one is sometimes a call, else a claim. */
		if (n && i % 4 == 3) {
			ASSERT_TRUE(eventually(!attr_get("consumer_claimed")));
			n = res(read(self->dev.fd, self->buf,
				     some(&self->random, self->longest)));
			ASSERT_LT(0, n);
			ASSERT_TRUE(stream_equal(self->buf, n, self->at));
			self->at += n;
		}
	}
	EXPECT_TRUE(eventually(!attr_get("consumer_claimed")));
	TH_LOG("%d killed, %ld of them while opening; %ld bytes consumed",
	       KILLS, unborn, consumed);
	EXPECT_LT(0, consumed);
	if (variant->mapped)
		vfifo_producer_close(&self->p);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
