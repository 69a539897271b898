// SPDX-License-Identifier: GPL-2.0
/*
 * Owners of an end that are killed at any instant: published bytes are there,
 * unpublished bytes are not, and the next owner continues from there.
 */
#include "vfifo_test.h"
#include "vfifo_map.h"

#define KILLS		OFTEN(500)	/* in each test */

/*
 * The longest life of a child after it has opened its end, enough to get
 * something done.
 */
#define LIFE_US		(2000 * vfifo_scale())

#define WAIT_MS		(DEADLINE * 1000)

/* Progress of a child, readable after its death. */
struct diary {
	__u64 opened;		/* the position at which it opened, or -1 */
	__u64 begun;		/* the position it was about to publish */
	__u64 done;		/* the last one it has published */
};

/* The harness's name for the fixture's type. */
#define death_data	_test_data_death

FIXTURE(death)
{
	struct vfifo dev;
	struct diary *diary;
	__u64 random;
	__u64 at;		/* how far the survivor has come */
	__u64 next;		/* where the next child begins */
	long unborn, moved;	/* children that died early; bytes of all of them */
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
	self->next = self->at;
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

/* Waits until a child has opened its end, or died before. */
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

/*
 * Fills memory that must never be read: real values are stored only just before
 * publishing.
 */
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

	/*
	 * The previous owner's claim may outlast it briefly, while another
	 * process inspects its maps.
	 */
	while ((err = vfifo_producer_open(&p, vfifo_path())) == -EBUSY)
		usleep(100);
	if (err || p.map.position != at)
		return 1;
	note(&diary->opened, at);
	for (;;) {
		len = some(&random, longest);
		more = len + rnd(&random) % 50;
		err = vfifo_producer_wait(&p, more, WAIT_MS);
		if (err)
			return 2;
		to = vfifo_producer_reserve(&p, more);
		scribble(to, more);
		stream_fill(to, len, at);
		at += len;
		note(&diary->begun, at);
		err = vfifo_producer_commit(&p, len);
		note(&diary->done, at);
		if (err)
			return 3;
	}
}

/* Consumes the stream until it is killed. */
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
		err = vfifo_consumer_wait(&c, 1, WAIT_MS);
		if (err)
			return 2;
		from = vfifo_consumer_peek(&c, &len);
		most = some(&random, longest);
		if (len > most)
			len = most;
		if (!stream_equal(from, len, at))
			return 4;
		at += len;
		note(&diary->begun, at);
		err = vfifo_consumer_release(&c, len);
		note(&diary->done, at);
		if (err)
			return 3;
	}
}

/* ---- the survivor ---- */

/* Consumes up to @most bytes, if any: how many, or -errno. */
static ssize_t survivor_takes(struct vfifo *dev, struct vfifo_consumer *c,
			      bool mapped, size_t most, char *buf, __u64 at)
{
	const void *from = buf;
	ssize_t n;
	size_t len;
	int err;

	if (mapped) {
		from = vfifo_consumer_peek(c, &len);
		n = len < most ? len : most;
	} else {
		n = res(read(dev->fd, buf, most));
		if (n == -EAGAIN)
			return 0;
	}
	if (n > 0 && !stream_equal(from, n, at))
		return -EBADMSG;
	err = mapped ? vfifo_consumer_release(c, n) : 0;
	return err ? err : n;
}

/* Queues @most bytes if they fit: how many, or -errno. */
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
	n = vfifo_producer_room(p);
	if (n < (ssize_t)most)
		return n < 0 ? n : 0;
	stream_fill(vfifo_producer_reserve(p, most), most, at);
	err = vfifo_producer_commit(p, most);
	return err ? err : (ssize_t)most;
}

/* Serves or feeds the child as the survivor, once: how many bytes, or -errno. */
static ssize_t survivor_moves(struct death_data *self, bool producers, bool mapped)
{
	ssize_t n;

	if (producers)
		n = survivor_takes(&self->dev, &self->c, mapped,
				   some(&self->random, self->dev.capacity),
				   self->buf, self->at);
	else
		n = survivor_gives(&self->dev, &self->p, mapped,
				   some(&self->random, self->longest), self->buf,
				   self->at);
	if (n > 0)
		self->at += n;
	return n;
}

/* Starts a child, serves it for a random time, and kills it. */
static void kill_one(struct __test_metadata *_metadata, struct death_data *self,
		     bool producers, bool mapped, long i)
{
	__u64 start = self->next;
	__s64 until;
	pid_t pid;
	ssize_t n;

	note(&self->diary->opened, -1);
	note(&self->diary->begun, start);
	note(&self->diary->done, start);
	rnd(&self->random);
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(producers ? live_as_producer(self->diary, self->random,
						   start, self->longest) :
				  live_as_consumer(self->diary, self->random,
						   start, self->longest));
	/* One in eight dies while it opens the device. */
	if (i % 8)
		wait_for_birth(self->diary, pid);
	until = now_us() + rnd(&self->random) % LIFE_US;
	/* One in five gets no service, and dies with a full or empty FIFO, or asleep. */
	while (now_us() < until) {
		if (!(i % 5))
			continue;
		n = survivor_moves(self, producers, mapped);
		ASSERT_LE(0, n) {
			TH_LOG("kill %ld: %zd at %llu", i, n, self->at);
		}
	}
	kill(pid, SIGKILL);
	ASSERT_EQ(-SIGKILL, child_end(pid)) {
		TH_LOG("kill %ld, at %llu", i, start);
	}
	self->unborn += see(&self->diary->opened) != start;
}

/*
 * Takes over at the position that a dead child has published last, which it may not
 * have had the time to record.
 */
static void take_over(struct __test_metadata *_metadata, struct death_data *self,
		      __u64 position, long i)
{
	ASSERT_TRUE(position == see(&self->diary->done) ||
		    position == see(&self->diary->begun)) {
		TH_LOG("kill %ld: found %llu, it had published %llu, begun %llu",
		       i, position, see(&self->diary->done),
		       see(&self->diary->begun));
	}
	self->moved += position - self->next;
	self->next = position;
}

static void log_deaths(struct __test_metadata *_metadata, struct death_data *self)
{
	TH_LOG("%d killed, %ld of them while opening; %ld bytes moved", KILLS,
	       self->unborn, self->moved);
	EXPECT_LT(0, self->moved);
}

TEST_F_TIMEOUT(death, of_producers, 120)
{
	ssize_t n;
	long i;

	LOG_SEED();
	if (variant->mapped)
		ASSERT_EQ(0, vfifo_consumer_open_fd(&self->c, self->dev.fd));
	for (i = 0; i < KILLS; i++) {
		kill_one(_metadata, self, true, variant->mapped, i);
		/* Everything it has published, and no more. */
		do {
			n = survivor_takes(&self->dev, &self->c,
					   variant->mapped, self->dev.capacity,
					   self->buf, self->at);
			ASSERT_LE(0, n) {
				TH_LOG("kill %ld: %zd at %llu", i, n, self->at);
			}
			self->at += n;
		} while (n);
		take_over(_metadata, self, self->at, i);
		ASSERT_EQ(0, queued(self->dev.fd));
	}
	EXPECT_EQ(self->at, (__u64)attr_get("stats/bytes_written"));
	EXPECT_TRUE(eventually(!attr_get("producer_claimed")));
	log_deaths(_metadata, self);
	if (variant->mapped)
		vfifo_consumer_close(&self->c);
}

TEST_F_TIMEOUT(death, of_consumers, 120)
{
	ssize_t n;
	long i;

	LOG_SEED();
	if (variant->mapped)
		ASSERT_EQ(0, vfifo_producer_open_fd(&self->p, self->dev.fd));
	for (i = 0; i < KILLS; i++) {
		kill_one(_metadata, self, false, variant->mapped, i);
		n = queued(self->dev.fd);
		ASSERT_LE(0, n);
		take_over(_metadata, self, self->at - n, i);
		/* The next consumer is sometimes a read(), otherwise a claim. */
		if (n && i % 4 == 3) {
			ASSERT_TRUE(eventually(!attr_get("consumer_claimed")));
			n = res(read(self->dev.fd, self->buf,
				     some(&self->random, self->longest)));
			ASSERT_LT(0, n);
			ASSERT_TRUE(stream_equal(self->buf, n, self->next));
			self->next += n;
		}
	}
	EXPECT_TRUE(eventually(!attr_get("consumer_claimed")));
	log_deaths(_metadata, self);
	if (variant->mapped)
		vfifo_producer_close(&self->p);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
