// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Overwriting the oldest, and owners that move positions so far that they seem to be before
 * others, or back to where they have been. Calls that wait get an error, the end or a
 * message, and can be killed. When both claims have ended, there is nothing left of it.
 */
#include "vfifo_overwriting_ends.h"
#include "vfifo_overwrite.h"

#define LEN		100

/* Half of all positions: the first one that seems to be before the one that it is added to. */
#define FAR		((__u64)LLONG_MIN)

static bool is_broken(int fd)
{
	return flags_of(fd) & VFIFO_BROKEN;
}

/* Everything up to @pos is gone. */
static void all_gone(struct area *a, __u64 pos)
{
	store_oldest(a->producer, pos);
	store(a->producer, pos);
}

/*
 * Whether the call of child 0 comes to an end when it is killed. If not, @fd is used to free
 * it.
 */
static bool can_be_killed(struct overwriting_data *self, int fd)
{
	bool can;

	kill(self->e.pid[0], SIGKILL);
	can = eventually(child_state(self->e.pid[0]) == 'Z');
	if (!can)
		ioctl(fd, VFIFO_CLEAR);
	child_kill(&self->e.pid[0]);
	return can;
}

#define EXPECT_ENDS(fd, value) do {					\
	const long __value = (value);					\
									\
	if (eventually(child_state(self->e.pid[0]) == 'Z')) {		\
		EXPECT_RETURNS(&self->e, 0, __value, 0);		\
	} else {							\
		EXPECT_EQ(__value, self->e.out[0].ret) {		\
			TH_LOG("it goes on");				\
		}							\
		EXPECT_TRUE(can_be_killed(self, fd)) {			\
			TH_LOG("not even a signal ends it");		\
		}							\
	}								\
} while (0)

/* With nothing queued, everything is as it always is. */
static const char *is_odd(struct overwriting_data *self)
{
	char in[8] = "message", out[16] = "";

	if (bytes_missing())
		return format("%ld bytes are missing", bytes_missing());
	if (attr_get("size") || queued(self->fd))
		return format("%ld bytes are queued", attr_get("size"));
	if (is_broken(self->fd) ||
	    self->errors != attr_get("stats/position_errors"))
		return "an error";
	if (poll_now(self->fd, POLLIN | POLLOUT) != POLLOUT)
		return format("poll: %#x", poll_now(self->fd, POLLIN | POLLOUT));
	if (res(read(self->dev.fd, out, 16)) != -EAGAIN)
		return "a read finds something";
	if (write(self->fd, in, 8) != 8 || queued(self->fd) != 8 ||
	    read(self->fd, out, 16) != 8 || memcmp(in, out, 8))
		return "a message does not pass";
	return NULL;
}

#define EXPECT_ORDINARY(fmt, ...) do {					\
	const char *__odd = is_odd(self);				\
									\
	EXPECT_EQ(NULL, __odd) {					\
		TH_LOG("%s", __odd);					\
		TH_LOG(fmt, ##__VA_ARGS__);				\
	}								\
} while (0)

/* ---- while a producer is there ---- */

TEST_F_TIMEOUT(overwriting, sleeper_beside_a_far_producer, 60)
{
	struct area a;
	__u64 tail;

	self->breaks = true;
	ASSERT_EQ(0, area_map(&a, self->dev.fd, PRODUCES));
	tail = load(a.consumer);
	SLEEP_IN(&self->e, 0, -1, read(self->fd, self->m.buf, LEN));
	all_gone(&a, tail + FAR - 8);
	EXPECT_EQ(-EAGAIN, res(read(self->dev.fd, self->m.buf, LEN)));
	EXPECT_EQ(POLLOUT | POLLERR, poll_now(self->fd, POLLIN | POLLOUT));
	EXPECT_STILL_SLEEPS(&self->e, 0);
	all_gone(&a, tail + FAR);
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_NOTIFY));
	EXPECT_ENDS(self->fd, -EIO);
	EXPECT_TRUE(is_broken(self->fd));
	area_unmap(&a);
	self->errors = attr_get("stats/position_errors");
	EXPECT_ORDINARY("afterwards");
}

TEST_F(overwriting, helper_beside_a_far_producer)
{
	struct vfifo_consumer c;
	struct timespec used;
	struct area a;
	__u64 tail;

	self->breaks = true;
	ASSERT_EQ(0, area_map(&a, self->dev.fd, PRODUCES));
	ASSERT_EQ(0, vfifo_consumer_open(&c, vfifo_path()));
	tail = load(a.consumer);
	all_gone(&a, tail + FAR - 8);
	EXPECT_EQ(-EAGAIN, vfifo_consumer_wait_look(&c, 0));
	all_gone(&a, tail + FAR);
	ASSERT_EQ(0, clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used));
	used.tv_nsec += used.tv_sec * 1000000000;
	EXPECT_EQ(-EIO, vfifo_consumer_wait_look(&c, 1000));
	tail = used.tv_nsec;
	ASSERT_EQ(0, clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used));
	EXPECT_GT(100000000, used.tv_nsec + used.tv_sec * 1000000000 - tail);
	vfifo_consumer_close(&c);
	area_unmap(&a);
	EXPECT_ORDINARY("afterwards");
}

/* ---- when claims have ended ---- */

/* Owners that move everything far away, and leave in any order. */
static bool far_away(struct overwriting_data *self, int how)
{
	struct area p, c;
	__u64 tail;

	if (area_map(&c, self->dev.fd, how == 3 ? CONSUMES : 0) ||
	    area_map(&p, self->dev.fd, PRODUCES))
		return false;
	tail = load(p.consumer);
	all_gone(&p, tail + FAR - 8);
	area_unmap(&p);
	if (how == 0)		/* calls do the rest */
		return area_unmap(&c), true;
	if (area_map(&p, self->dev.fd, PRODUCES))
		return false;
	if (how == 2 || how == 4) {
		area_unmap(&c);
		if (area_map(&c, self->dev.fd, CONSUMES))
			return false;
	}
	all_gone(&p, load(p.producer) + (how == 3 ? FAR - 8 : 8));
	area_unmap(how == 4 ? &c : &p);
	area_unmap(how == 4 ? &p : &c);
	return true;
}

TEST_F_TIMEOUT(overwriting, owners_went_far_away, 120)
{
	int how;

	for (how = 0; how < 5; how++) {
		ASSERT_TRUE(far_away(self, how));
		EXPECT_ORDINARY("case %d", how);
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		self->errors = attr_get("stats/position_errors");

		/* Readers sleep, and get what is written. */
		ASSERT_TRUE(far_away(self, how));
		self->e.out[0].ret = RUNNING;
		self->e.pid[0] = child_start(6 * DEADLINE);
		if (!self->e.pid[0]) {
			self->e.out[0].ret = res(read(self->fd, self->m.buf, LEN));
			_exit(0);
		}
		EXPECT_TRUE(child_sleeps(self->e.pid[0])) {
			TH_LOG("case %d", how);
		}
		EXPECT_TRUE(can_be_killed(self, self->fd)) {
			TH_LOG("case %d", how);
		}
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));

		ASSERT_TRUE(far_away(self, how));
		self->e.pid[0] = child_start(6 * DEADLINE);
		if (!self->e.pid[0]) {
			self->e.out[0].ret = res(read(self->fd, self->m.buf, LEN));
			_exit(0);
		}
		usleep(50000);
		ASSERT_EQ(8, write(self->dev.fd, "message", 8));
		EXPECT_ENDS(self->fd, 8);
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	}
}

/* With "hangup", it is the end of the stream. */
TEST_F_TIMEOUT(overwriting, end_of_stream_far_away, 60)
{
	int fd, how;

	for (how = 1; how < 5; how++) {
		fd = OPEN(O_RDONLY);
		ASSERT_TRUE(far_away(self, how));
		ASSERT_EQ(0, attr_set("hangup", 1));
		shut(&self->fd);
		shut(&self->dev.fd);
		self->e.out[0].ret = RUNNING;
		self->e.pid[0] = child_start(6 * DEADLINE);
		if (!self->e.pid[0]) {
			self->e.out[0].ret = res(read(fd, self->m.buf, LEN));
			_exit(0);
		}
		EXPECT_ENDS(fd, 0);
		ASSERT_EQ(0, attr_set("hangup", 0));
		ASSERT_EQ(0, ioctl(fd, VFIFO_CLEAR));
		close(fd);
		self->fd = vfifo_open(O_RDWR);
		ASSERT_LE(0, self->fd);
		self->dev.fd = vfifo_open(O_RDWR | O_NONBLOCK);
		ASSERT_LE(0, self->dev.fd);
	}
}

/* ---- back to where it was ---- */

/*
 * A producer cannot take back what the kernel has read, even if somebody claims the other
 * end meanwhile and moves nothing.
 */
TEST_F_TIMEOUT(overwriting, head_that_was_read_before_both, 60)
{
	const __s64 back[] = {
		-record_size(LEN), -(1 + record_size(LEN) / 2) / 8 * 8, 8 - FAR, FAR,
		1LL << 40, -1, 0,
	};
	__u64 lost, nread, head;
	struct producer p;
	struct consumer c;
	int i, k;

	for (i = 0; i < (int)ARRAY_SIZE(back); i++) {
		for (k = 0; k < 4; k++) {
			ASSERT_EQ(0, producer_open(&p, self->dev.fd));
			ASSERT_EQ(0, producer_put(&p, LEN));
			head = p.head;
			ASSERT_EQ(LEN, res(read(self->fd, self->m.buf, LEN)));
			nread = attr_get("stats/bytes_read");
			lost = attr_get("stats/bytes_overwritten");
			ASSERT_EQ(0, consumer_open(&c, self->dev.fd));
			store(p.area.producer, head + back[i]);
			if (k & 1)
				area_unmap(&p.area);
			area_unmap(&c.area);
			if (!(k & 1))
				area_unmap(&p.area);
			if (k & 2) {
				/* And another producer that does nothing. */
				ASSERT_EQ(0, producer_open(&p, self->dev.fd));
				area_unmap(&p.area);
			}
			EXPECT_EQ(head, (__u64)attr_get("stats/bytes_written"));
			EXPECT_EQ(nread, (__u64)attr_get("stats/bytes_read"));
			EXPECT_EQ(lost, (__u64)attr_get("stats/bytes_overwritten"));
			EXPECT_ORDINARY("%lld, order %d", back[i], k);
			ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
			self->errors = attr_get("stats/position_errors");
		}
	}
}

/* ---- records that only look like some ---- */

/* A consumer stops in a payload, at what looks like a header, but no other one follows. */
TEST_F(overwriting, consumer_leaves_in_a_payload)
{
	struct consumer c;
	char fake[400];
	__u64 raw = raw_header(8, 0), cleared, head;
	int i;

	if (!variant->records)
		SKIP(return, "for records");
	memset(fake, 0xff, sizeof(fake));
	memcpy(fake, &raw, sizeof(raw));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(400, write(self->fd, fake, 400));
		ASSERT_EQ(LEN, write(self->fd, bytes_at(0), LEN));
		cleared = attr_get("stats/bytes_cleared");
		head = attr_get("stats/bytes_written");
		ASSERT_EQ(0, consumer_open(&c, self->dev.fd));
		store(c.area.consumer, c.tail + HEADER);
		area_unmap(&c.area);
		EXPECT_EQ(head, (__u64)attr_get("stats/bytes_written"));
		EXPECT_EQ(cleared + 400 + record_size(LEN),
			  (__u64)attr_get("stats/bytes_cleared"));
		/* A writer would come there as well. */
		if (i)
			ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		EXPECT_ORDINARY("afterwards");
	}
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
