// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Records between a mapped end and plain calls, or between two mapped ends. The test maps
 * the data and the pages itself, and knows nothing but the layout in vfifo.h.
 *
 * "-n RECORDS" makes the tests with two processes move that many records.
 */
#include "vfifo_record.h"
#include "vfifo_waiters.h"

static long records;

/* ---- the layout ---- */

TEST_F(records, what_a_write_stores)
{
	static const long lens[] = { 1, 7, 8, 9, 100, 4096, 20001 };
	struct own_end end;
	struct vfifo_end *head;
	__u64 pos, oldest;
	long off;
	size_t i;

	head = view_end(self->fd, true);
	ASSERT_NE(NULL, head);
	ASSERT_TRUE(end_open(&end, &self->dev, false));
	pos = load(end.page);
	EXPECT_EQ(0, pos % 8);
	EXPECT_EQ(pos, load(head));
	oldest = __atomic_load_n(&head->oldest, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(lens[i], put_record(self->dev.fd, lens[i], i));
		EXPECT_EQ(raw_header(lens[i], 0), load_header(&end, pos));
		EXPECT_TRUE(has_record(&end, pos, lens[i], i));
		pos += 8 + (lens[i] + 7) / 8 * 8;
		EXPECT_EQ(pos, load(head));
	}
	/* Only a producer that overwrites stores this; it may have done so before. */
	EXPECT_EQ(oldest, __atomic_load_n(&head->oldest, __ATOMIC_RELAXED));
	/* The data is there twice. */
	for (off = 0; off < self->cap; off += 61)
		EXPECT_EQ(end.data[off], end.data[self->cap + off]);
	store(end.page, pos);
	EXPECT_EQ(0, attr_get("size"));
	end_close(&end);
	unmap_page(&head);
}

TEST_F(records, flags_say_so)
{
	struct vfifo_info info = { .size = sizeof(info) };
	struct own_end end;

	ASSERT_TRUE(end_open(&end, &self->dev, true));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_GET_INFO, &info));
	EXPECT_EQ(VFIFO_RECORDS, info.flags & (VFIFO_RECORDS | VFIFO_OVERWRITE |
					       VFIFO_BROKEN));
	EXPECT_EQ(256, offsetof(struct vfifo_end, oldest));
	EXPECT_EQ(8, sizeof(struct vfifo_record));
	end_close(&end);
}

/* ---- a mapped producer ---- */

TEST_F_TIMEOUT(records, every_length_from_a_producer, 60)
{
	struct own_end end;
	long len;

	ASSERT_EQ(0, attr_set("capacity", self->page));
	ASSERT_TRUE(end_open(&end, &self->dev, true));
	for (len = 1; len <= longest(self->page); len++) {
		publish_record(&end, len, len);
		ASSERT_EQ(len, queued(self->fd));
		ASSERT_TRUE(get_record(self->dev.fd, len, len)) {
			TH_LOG("%ld bytes", len);
		}
	}
	end_close(&end);
}

/* Several records, published with one store. */
TEST_F(records, many_at_once)
{
	long count = attr_get("stats/records_read"), i;
	struct own_end end;
	__u64 pos;

	ASSERT_TRUE(end_open(&end, &self->dev, true));
	pos = load(end.page);
	for (i = 0; i < 50; i++)
		pos = store_record(&end, pos, 1 + 20 * i, i);
	EXPECT_EQ(0, attr_get("size"));
	EXPECT_EQ(-EAGAIN, read_one(self->dev.fd));
	store(end.page, pos);
	for (i = 0; i < 50; i++)
		EXPECT_TRUE(get_record(self->dev.fd, 1 + 20 * i, i));
	EXPECT_EQ(-EAGAIN, read_one(self->dev.fd));
	EXPECT_EQ(count + 50, attr_get("stats/records_read"));
	end_close(&end);
}

TEST_F(records, limits_of_a_reader)
{
	struct own_end end;
	char tmp[10];

	ASSERT_TRUE(end_open(&end, &self->dev, true));
	publish_record(&end, longest(self->cap), 1);
	EXPECT_EQ(self->cap, attr_get("size"));
	EXPECT_EQ(-EMSGSIZE, res(read(self->fd, tmp, sizeof(tmp))));
	EXPECT_EQ(longest(self->cap), queued(self->fd));
	EXPECT_TRUE(get_record(self->fd, longest(self->cap), 1));
	publish_record(&end, 10, 2);
	publish_record(&end, 11, 3);
	EXPECT_EQ(10, queued(self->fd));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	EXPECT_EQ(0, queued(self->fd));
	publish_record(&end, 12, 4);
	EXPECT_TRUE(get_record(self->fd, 12, 4));
	/* Calls at its end are refused. */
	EXPECT_EQ(-EBUSY, write_one(self->fd));
	end_close(&end);
	EXPECT_EQ(1, write_one(self->fd));
}

/* A sleeping reader sets "waiting", and is woken by VFIFO_NOTIFY. */
TEST_F(records, reader_waits_for_a_producer)
{
	struct vfifo_end *tail;
	struct own_end end;
	int i;

	tail = view_end(self->fd, false);
	ASSERT_NE(NULL, tail);
	ASSERT_TRUE(end_open(&end, &self->dev, true));
	for (i = 0; i < 5; i++) {
		SLEEP_IN(&self->calls, 0, -1, get_record(self->fd, 600, i));
		EXPECT_NE(0, __atomic_load_n(&tail->waiting, __ATOMIC_SEQ_CST));
		/* There is nothing new yet. */
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
		EXPECT_STILL_SLEEPS(&self->calls, 0);
		publish_record(&end, 600, i);
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
		EXPECT_RETURNS(&self->calls, 0, true, 0);
	}
	end_close(&end);
	unmap_page(&tail);
}

/* ---- a mapped consumer ---- */

TEST_F_TIMEOUT(records, every_length_for_a_consumer, 60)
{
	struct own_end end;
	long len;
	__u64 pos;

	ASSERT_EQ(0, attr_set("capacity", self->page));
	ASSERT_TRUE(end_open(&end, &self->dev, false));
	pos = load(end.page);
	for (len = 1; len <= longest(self->page); len++) {
		ASSERT_EQ(len, put_record(self->dev.fd, len, len));
		ASSERT_TRUE(has_record(&end, pos, len, len)) {
			TH_LOG("%ld bytes at %llu", len, pos);
		}
		pos += room_of(len);
		store(end.page, pos);
	}
	EXPECT_EQ(0, attr_get("size"));
	end_close(&end);
}

/* FIONREAD and the size follow the owner, who may release several records at once. */
TEST_F(records, released_together)
{
	struct own_end end;
	__u64 pos;
	long i;

	ASSERT_TRUE(end_open(&end, &self->dev, false));
	pos = load(end.page);
	for (i = 0; i < 6; i++)
		ASSERT_EQ(100 + i, put_record(self->dev.fd, 100 + i, i));
	EXPECT_EQ(100, queued(self->fd));
	for (i = 0; i < 3; i++)
		pos += room_of(100 + i);
	store(end.page, pos);
	EXPECT_EQ(103, queued(self->fd));
	EXPECT_EQ(room_of(103) + room_of(104) + room_of(105), attr_get("size"));
	EXPECT_EQ(-EBUSY, read_one(self->fd));
	EXPECT_EQ(-EBUSY, res(ioctl(self->fd, VFIFO_CLEAR)));
	end_close(&end);
	for (i = 3; i < 6; i++)
		EXPECT_TRUE(get_record(self->fd, 100 + i, i));
}

TEST_F(records, writer_waits_for_a_consumer)
{
	struct vfifo_end *head;
	struct own_end end;

	head = view_end(self->fd, true);
	ASSERT_NE(NULL, head);
	ASSERT_EQ(8, put_record(self->fd, 8, 1));
	ASSERT_TRUE(fill_except(self->fd, self->cap - 16, 0, 2));
	ASSERT_TRUE(end_open(&end, &self->dev, false));
	SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, 9, 3));
	EXPECT_NE(0, __atomic_load_n(&head->waiting, __ATOMIC_SEQ_CST));
	store(end.page, load(end.page) + 16);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	/* Not enough. */
	EXPECT_STILL_SLEEPS(&self->calls, 0);
	EXPECT_EQ(-EAGAIN, put_record(self->dev.fd, 9, 4));
	store(end.page, load(end.page) + self->cap - 16);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	EXPECT_RETURNS(&self->calls, 0, 9, 0);
	EXPECT_TRUE(has_record(&end, load(end.page), 9, 3));
	end_close(&end);
	unmap_page(&head);
	EXPECT_TRUE(get_record(self->fd, 9, 3));
}

/* ---- two mapped ends ---- */

TEST_F_TIMEOUT(records, both_ends, 60)
{
	__u64 random = vfifo_seed, pos;
	struct own_end in, out;
	long len, i;

	LOG_SEED();
	ASSERT_TRUE(end_open(&in, &self->dev, true));
	ASSERT_TRUE(end_open(&out, &self->dev, false));
	for (i = 0; i < OFTEN(500); i++) {
		len = 1 + rnd(&random) % (i % 8 ? 500 : longest(self->cap));
		pos = load(in.page);
		publish_record(&in, len, i);
		EXPECT_EQ(len, queued(self->fd));
		ASSERT_EQ(pos, load(out.page));
		ASSERT_TRUE(has_record(&out, pos, len, i));
		store(out.page, load(in.page));
		ASSERT_EQ(0, attr_get("size"));
	}
	EXPECT_EQ(-EBUSY, write_one(self->fd));
	EXPECT_EQ(-EBUSY, read_one(self->fd));
	end_close(&in);
	end_close(&out);
}

/* ---- one process at each end ---- */

/* Lengths that both ends know. */
static long nth_length(long i, long cap)
{
	__u64 random = mix64(vfifo_seed ^ ((__u64)i << 20));

	return 1 + random % (random >> 60 ? 700 : longest(cap));
}

/* Waits for @events at an own end, which sets its own "waiting" and looks again. */
static void wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	poll(&p, 1, 20);
}

/* What an owner does when it has published: 0, or -errno. */
static int notify_if(int fd, struct vfifo_end *other)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&other->waiting, __ATOMIC_RELAXED))
		return 0;
	return res(ioctl(fd, VFIFO_NOTIFY));
}

static int produce_all(int fd, long count)
{
	struct vfifo dev = { .fd = fd };
	struct vfifo_end *tail = view_end(fd, false);
	struct own_end end;
	__u64 pos;
	long i, len;

	if (!tail || !end_open(&end, &dev, true))
		return 1;
	for (i = 0; i < count; i++) {
		len = nth_length(i, end.cap);
		pos = load(end.page);
		while (pos + room_of(len) - load(tail) > (__u64)end.cap)
			wait_for(fd, POLLOUT);
		publish_record(&end, len, i);
		if (notify_if(fd, tail))
			return 2;
	}
	return 0;
}

static int consume_all(int fd, long count)
{
	struct vfifo dev = { .fd = fd };
	struct vfifo_end *head = view_end(fd, true);
	struct own_end end;
	__u64 pos;
	long i, len;

	if (!head || !end_open(&end, &dev, false))
		return 1;
	for (i = 0; i < count; i++) {
		len = nth_length(i, end.cap);
		pos = load(end.page);
		while (load(head) == pos)
			wait_for(fd, POLLIN);
		if (!has_record(&end, pos, len, i))
			return 2;
		store(end.page, pos + room_of(len));
		if (notify_if(fd, head))
			return 3;
	}
	return 0;
}

static int write_all(int fd, long count, long cap)
{
	long i, len;

	for (i = 0; i < count; i++) {
		len = nth_length(i, cap);
		if (put_record(fd, len, i) != len)
			return 1;
	}
	return 0;
}

static int read_all(int fd, long count, long cap)
{
	long i;

	for (i = 0; i < count; i++)
		if (!get_record(fd, nth_length(i, cap), i))
			return 1;
	return 0;
}

/*
 * Waits until both have ended. If one has failed, or nothing is read any more, the other is
 * killed: NULL, or why.
 */
static const char *both_end(pid_t *pid)
{
	const char *why = NULL;
	long done = -1, now;
	__s64 since = 0;
	int i;

	while ((pid[0] || pid[1]) && !why) {
		for (i = 0; i < 2; i++) {
			if (!pid[i] || child_state(pid[i]) != 'Z')
				continue;
			if (child_end(pid[i]))
				why = i ? "the consumer failed" :
					  "the producer failed";
			pid[i] = 0;
		}
		now = attr_get("stats/bytes_read");
		if (now != done)
			since = now_ms();
		done = now;
		if (now_ms() - since > 6000 * DEADLINE)
			why = "nothing is read any more";
		usleep(2000);
	}
	child_kill(&pid[0]);
	child_kill(&pid[1]);
	return why;
}

/* Runs the two in processes of their own. */
static void run(struct __test_metadata *_metadata, bool maps_producer,
		bool maps_consumer)
{
	long cap = attr_get("capacity");
	const char *why;
	pid_t pid[2];
	int i, fd;

	for (i = 0; i < 2; i++) {
		pid[i] = child_start(6 * 60 * 60);
		ASSERT_LE(0, pid[i]);
		if (pid[i])
			continue;
		fd = vfifo_open(O_RDWR);
		if (i)
			_exit(maps_consumer ? consume_all(fd, records) :
					      read_all(fd, records, cap));
		_exit(maps_producer ? produce_all(fd, records) :
				      write_all(fd, records, cap));
	}
	why = both_end(pid);
	EXPECT_EQ(NULL, why) {
		TH_LOG("producer mapped: %d, consumer mapped: %d: %s",
		       maps_producer, maps_consumer, why);
	}
	EXPECT_TRUE(eventually(!attr_get("producer_claimed") &&
			       !attr_get("consumer_claimed")));
	EXPECT_EQ(0, attr_get("size"));
}

TEST_F_TIMEOUT(records, two_processes, 6 * 60 * 60)
{
	int how;

	LOG_SEED();
	ASSERT_EQ(0, attr_set("capacity", 2 * self->page));
	for (how = 0; how < 4; how++)
		run(_metadata, how & 1, how & 2);
}

int main(int argc, char **argv)
{
	const char *n = take_option(&argc, argv, "-n");

	records = n ? strtol(n, NULL, 0) : OFTEN(1500);
	return vfifo_main(argc, argv);
}
