// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * The attribute "framing": what it accepts and when, as an option of a new device, and
 * what a change means for calls that are under way.
 */
#include "vfifo_devices.h"
#include "vfifo_race.h"
#include "vfifo_record.h"

#define STREAM	"stream"
#define RECORD	"record"

/* Stores @framing, which is not the present value. */
static int change_to(const char *framing)
{
	return attr_store("framing", framing);
}

static long flags(int fd)
{
	struct vfifo_info info = { .size = sizeof(info) };

	return ioctl(fd, VFIFO_GET_INFO, &info) ? -errno : (long)info.flags;
}

/* ---- values ---- */

TEST_F(records, values)
{
	static const char *const good[] = {
		STREAM, RECORD, RECORD "\n", STREAM "\n", STREAM, RECORD "\n", RECORD,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_EQ(0, attr_store("framing", good[i]));
		EXPECT_TRUE(framing_is(good[i][0] == 's' ? STREAM : RECORD));
		EXPECT_EQ(good[i][0] == 's' ? 0 : VFIFO_RECORDS,
			  flags(self->fd) & (VFIFO_RECORDS | VFIFO_OVERWRITE));
	}
}

TEST_F(records, refused)
{
	static const char *const bad[] = {
		"\n", " ", "0", "1", "s", "streams", "strea", "Stream", "STREAM",
		" " RECORD, RECORD " ", RECORD "\n\n", "records", "recor", "Record",
		"record stream", "stream\nrecord", "record,", "none", "byte",
	};
	char text[4000];
	size_t i;
	int set;

	memset(text, 'r', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (set = 0; set < 2; set++) {
		const char *now = set ? STREAM : RECORD;

		ASSERT_EQ(0, attr_store("framing", now));
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			EXPECT_EQ(-EINVAL, attr_store("framing", bad[i])) {
				TH_LOG("\"%s\"", bad[i]);
			}
			ASSERT_TRUE(framing_is(now));
		}
		EXPECT_EQ(-EINVAL, attr_store("framing", text));
		EXPECT_TRUE(framing_is(now));
	}
}

/* ---- when it can be changed ---- */

TEST_F(records, busy_while_queued)
{
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(3, put_record(self->fd, 3, 1));
		EXPECT_EQ(-EBUSY, change_to(STREAM));
		EXPECT_EQ(0, attr_store("framing", RECORD));
		EXPECT_TRUE(framing_is(RECORD));
		EXPECT_EQ(-EMSGSIZE, read_one(self->fd));
		EXPECT_EQ(-EBUSY, change_to(STREAM));
		EXPECT_TRUE(i ? !ioctl(self->fd, VFIFO_CLEAR) :
				get_record(self->fd, 3, 1));
		ASSERT_EQ(0, change_to(STREAM));

		ASSERT_EQ(3, put_record(self->fd, 3, 2));
		EXPECT_EQ(-EBUSY, change_to(RECORD));
		EXPECT_EQ(0, attr_store("framing", STREAM));
		EXPECT_EQ(1, read_one(self->fd));
		EXPECT_EQ(2, queued(self->fd));
		EXPECT_EQ(-EBUSY, change_to(RECORD));
		if (i)
			ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		EXPECT_EQ(i ? -EAGAIN : 1, read_one(self->dev.fd));
		EXPECT_EQ(i ? -EAGAIN : 1, read_one(self->dev.fd));
		ASSERT_EQ(0, change_to(RECORD));
	}
}

TEST_F(records, busy_while_mapped)
{
	const struct {
		int what;		/* the data, the producer's or the consumer's page */
		int prot;
	} maps[] = {
		{ 0, PROT_READ }, { 0, PROT_READ | PROT_WRITE },
		{ 1, PROT_READ }, { 1, PROT_READ | PROT_WRITE },
		{ 2, PROT_READ }, { 2, PROT_READ | PROT_WRITE },
	};
	struct vfifo_info info = { .size = sizeof(info) };
	size_t i, len;
	void *p;
	int set;

	ASSERT_EQ(0, ioctl(self->fd, VFIFO_GET_INFO, &info));
	for (set = 0; set < 2; set++) {
		const char *now = set ? STREAM : RECORD;

		ASSERT_EQ(0, attr_store("framing", now));
		for (i = 0; i < ARRAY_SIZE(maps); i++) {
			len = maps[i].what ? self->page : 2 * self->cap;
			p = mmap(NULL, len, maps[i].prot, MAP_SHARED, self->fd,
				 !maps[i].what ? info.data_offset :
				 maps[i].what == 1 ? info.producer_offset :
						     info.consumer_offset);
			ASSERT_NE(MAP_FAILED, p);
			EXPECT_EQ(-EBUSY, change_to(set ? RECORD : STREAM));
			EXPECT_EQ(0, attr_store("framing", now));
			EXPECT_TRUE(framing_is(now));
			ASSERT_EQ(0, munmap(p, len));
			/* And back. */
			EXPECT_EQ(0, change_to(set ? RECORD : STREAM));
			EXPECT_EQ(0, change_to(now));
		}
	}
	ASSERT_EQ(0, attr_store("framing", RECORD));
}

/* A change to records makes the positions multiples of 8, and nothing else. */
TEST_F(records, rounds_positions_up)
{
	__u64 before, after, count;
	long i;

	for (i = 0; i < 24; i++) {
		ASSERT_EQ(0, change_to(STREAM));
		ASSERT_EQ(1 + i % 9, put_record(self->fd, 1 + i % 9, i));
		ASSERT_TRUE(get_record(self->fd, 1 + i % 9, i));
		before = attr_get("stats/bytes_written");
		count = attr_get("stats/bytes_read");
		ASSERT_EQ(0, change_to(RECORD));
		after = attr_get("stats/bytes_written");
		EXPECT_EQ((before + 7) / 8 * 8, after);
		EXPECT_EQ(0, attr_get("size"));
		EXPECT_EQ(count, (__u64)attr_get("stats/bytes_read"));
		EXPECT_EQ(0, bytes_missing());
		ASSERT_EQ(10, put_record(self->fd, 10, i));
		EXPECT_TRUE(get_record(self->fd, 10, i));
		/* Nor does the present value, or a change back, move anything. */
		EXPECT_EQ(0, attr_store("framing", RECORD));
		EXPECT_EQ(after + room_of(10),
			  (__u64)attr_get("stats/bytes_written"));
	}
	ASSERT_EQ(0, change_to(STREAM));
	EXPECT_EQ(after + room_of(10), attr_get("stats/bytes_written"));
	ASSERT_EQ(0, change_to(RECORD));
}

/* ---- devices that are made with it ---- */

TEST_F(records, option_of_a_new_device)
{
	const char *name = TEST_PREFIX "framing", *other = getenv("VFIFO_NAME");
	static const char *const bad[] = {
		"framing", "framing=", "framing=Record", "framing=1",
		"framing=record framing=record", "framing=record framing=stream",
		"framing=records capacity=8192",
	};
	char path[PATH_MAX];
	size_t i;
	int fd;

	if (geteuid())
		SKIP(return, "only root can add devices");
	if (access(NEW_DEVICE, F_OK))
		SKIP(return, "no " NEW_DEVICE);
	devices_forget();
	snprintf(path, sizeof(path), VFIFO_CLASS "/%s/framing", name);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, device_add(format("%s %s", name, bad[i])));
		EXPECT_EQ(NULL, device_left(name));
	}
	/* The default does not depend on other devices. */
	ASSERT_EQ(0, device_add(name));
	EXPECT_STREQ("stream\n", path_text(path));
	ASSERT_EQ(0, device_delete(name));
	ASSERT_EQ(0, device_add(format("%s framing=stream", name)));
	EXPECT_STREQ("stream\n", path_text(path));
	ASSERT_EQ(0, device_delete(name));

	ASSERT_EQ(0, device_add(format("%s capacity=8192 framing=record", name)));
	EXPECT_STREQ("record\n", path_text(path));
	fd = device_open(name, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	EXPECT_EQ(VFIFO_RECORDS, flags(fd) & (VFIFO_RECORDS | VFIFO_OVERWRITE));
	EXPECT_EQ(8184, put_record(fd, 8184, 1));
	EXPECT_EQ(-EMSGSIZE, put_record(fd, 8185, 1));
	EXPECT_EQ(-EMSGSIZE, read_one(fd));
	EXPECT_TRUE(get_record(fd, 8184, 1));
	/* It stays so when the device is removed. */
	ASSERT_EQ(9, put_record(fd, 9, 2));
	ASSERT_EQ(0, device_delete(name));
	EXPECT_EQ(9, queued(fd));
	EXPECT_EQ(-EMSGSIZE, read_one(fd));
	EXPECT_TRUE(get_record(fd, 9, 2));
	close(fd);

	/* The first device has nothing to do with it. */
	if (!other)
		EXPECT_TRUE(framing_is(RECORD));
	devices_forget();
}

/* ---- calls that are under way ---- */

/* Whether change_between() works for children that are started from now on. */
static bool can_run_alone(void)
{
	bool can = stay_here() && run_alone(true);

	run_alone(false);
	return can;
}

/*
 * Drops what is queued and changes the framing, before a sleeping writer queues more: it
 * is on the same CPU, and cannot run meanwhile.
 */
static bool change_between(int fd, const char *framing)
{
	int ret = -1;
	bool done;

	run_alone(true);
	done = eventually(!ioctl(fd, VFIFO_CLEAR) &&
			  (ret = change_to(framing)) != -EBUSY);
	run_alone(false);
	return done && !ret;
}

/* A write that has written something ends with that. */
TEST_F(records, large_write_ends)
{
	long total = 1 << 24, before;
	char *buf = calloc(1, total);
	struct outcome *out = &self->calls.out[0];

	ASSERT_NE(NULL, buf);
	if (!can_run_alone())
		SKIP(return, "no real-time priority");
	ASSERT_EQ(0, change_to(STREAM));
	before = attr_get("stats/bytes_written");
	ASSERT_EQ(0, before % 8);
	SLEEP_IN(&self->calls, 0, -1, write(self->fd, buf, total));
	EXPECT_EQ(self->cap, queued(self->fd));
	ASSERT_TRUE(change_between(self->fd, RECORD));
	ASSERT_TRUE(ends_returned(&self->calls, 0));
	EXPECT_LE(self->cap, out->ret);
	EXPECT_GT(total, out->ret);
	/* What it has written in all, and up to 7 bytes to a multiple of 8. */
	EXPECT_EQ((out->ret + 7) / 8 * 8,
		  attr_get("stats/bytes_written") - before);
	EXPECT_EQ(0, attr_get("size"));
	EXPECT_EQ(0, bytes_missing());
	EXPECT_EQ(-EAGAIN, read_one(self->dev.fd));
	free(buf);
}

/* One that has written nothing is a record from then on, or too long for one. */
TEST_F(records, sleeping_write_becomes_a_record)
{
	const long lens[] = { 3000, 30000, longest(self->cap), self->cap };
	size_t i;
	long len;

	if (!can_run_alone())
		SKIP(return, "no real-time priority");
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		len = lens[i];
		ASSERT_EQ(0, attr_store("framing", STREAM));
		ASSERT_TRUE(put(&self->dev, self->cap, 0));
		SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, len, i));
		ASSERT_TRUE(change_between(self->fd, RECORD));
		if (len == self->cap) {
			EXPECT_RETURNS(&self->calls, 0, -EMSGSIZE, 0);
			EXPECT_EQ(0, attr_get("size"));
			break;
		}
		EXPECT_RETURNS(&self->calls, 0, len, 0);
		EXPECT_EQ(len, queued(self->fd));
		EXPECT_TRUE(get_record(self->dev.fd, len, i));
	}
}

/* A sleeping write of a record becomes one of bytes, whatever its length. */
TEST_F(records, sleeping_record_becomes_bytes)
{
	static const long lens[] = { 1, 3000, PIPE_BUF, PIPE_BUF + 1, 40000 };
	size_t i;

	if (!can_run_alone())
		SKIP(return, "no real-time priority");
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, attr_store("framing", RECORD));
		ASSERT_TRUE(fill_except(self->fd, self->cap, 0, 1));
		SLEEP_IN(&self->calls, 0, -1, put_record(self->fd, lens[i], i));
		ASSERT_TRUE(change_between(self->fd, STREAM));
		EXPECT_RETURNS(&self->calls, 0, lens[i], 0);
		EXPECT_EQ(lens[i], queued(self->fd));
		EXPECT_TRUE(get(&self->dev, lens[i], RECORD_POS(i)));
	}
	EXPECT_EQ(0, queued(self->fd));
	ASSERT_EQ(0, attr_store("framing", RECORD));
}

/*
 * Somebody else has used the room before a sleeping writer looks again. So it waits for
 * what it needs now: any room at all, or none ever.
 */
TEST_F(records, sleeping_writers_need_something_else)
{
	long len = 50000, rest;
	char *buf = calloc(1, self->cap);

	ASSERT_NE(NULL, buf);
	if (!can_run_alone())
		SKIP(return, "no real-time priority");
	/* A record becomes bytes, of which a part fits. */
	ASSERT_TRUE(fill_except(self->fd, self->cap, 0, 1));
	SLEEP_IN(&self->calls, 0, -1, write(self->fd, buf, len));
	run_alone(true);
	ioctl(self->fd, VFIFO_CLEAR);
	EXPECT_EQ(0, change_to(STREAM));
	rest = res(write(self->dev.fd, buf, 40000));
	run_alone(false);
	ASSERT_EQ(40000, rest);
	EXPECT_TRUE(eventually(queued(self->fd) == self->cap)) {
		TH_LOG("%ld bytes are queued", queued(self->fd));
	}
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	EXPECT_RETURNS(&self->calls, 0, len, 0);
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));

	/* Bytes become a record, which is too long. */
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	SLEEP_IN(&self->calls, 0, -1, write(self->fd, buf, self->cap));
	run_alone(true);
	ioctl(self->fd, VFIFO_CLEAR);
	EXPECT_EQ(0, change_to(RECORD));
	rest = put_record(self->dev.fd, longest(self->cap), 1);
	run_alone(false);
	ASSERT_EQ(longest(self->cap), rest);
	EXPECT_RETURNS(&self->calls, 0, -EMSGSIZE, 0);
	EXPECT_TRUE(get_record(self->dev.fd, longest(self->cap), 1));
	free(buf);
}

/* Readers sleep on, and get what comes next. */
TEST_F(records, readers_sleep_through_it)
{
	SLEEP_IN(&self->calls, 0, -1, get_record(self->fd, 500, 1));
	SLEEP_IN(&self->calls, 1, -1, get_record(self->fd, 500, 1));
	ASSERT_EQ(0, change_to(STREAM));
	EXPECT_STILL_SLEEPS(&self->calls, 0);
	EXPECT_STILL_SLEEPS(&self->calls, 1);
	ASSERT_EQ(500, put_record(self->fd, 500, 1));
	EXPECT_TRUE(eventually(!queued(self->fd)));
	ASSERT_EQ(0, change_to(RECORD));
	ASSERT_EQ(500, put_record(self->fd, 500, 1));
	EXPECT_RETURNS(&self->calls, 0, true, 0);
	EXPECT_RETURNS(&self->calls, 1, true, 0);
}

/* ---- everything at once ---- */

static int step_change(int self __always_unused, __u64 *random)
{
	const char *framing = rnd(random) % 2 ? STREAM : RECORD;
	int ret = attr_store("framing", framing);

	if (ret && ret != -EBUSY)
		return WRONG("framing %s: %d", framing, ret);
	jitter(random);
	return !ret;
}

static int step_write(int self, __u64 *random)
{
	static char buf[3 << 16];
	static int fd = -1;
	size_t len = 1 + rnd(random) % (rnd(random) % 4 ? 300 : sizeof(buf));
	long ret;

	if (fd < 0)
		fd = vfifo_open(O_WRONLY | O_NONBLOCK);
	ret = res(write(fd, buf, len));
	if (ret != -EAGAIN && ret != -EMSGSIZE && (ret <= 0 || ret > (long)len))
		return WRONG("racer %d: write %zu: %ld", self, len, ret);
	jitter(random);
	return ret > 0;
}

static int step_read(int self, __u64 *random)
{
	static char buf[1 << 17];
	static int fd = -1;
	size_t len = rnd(random) % 4 ? sizeof(buf) : 1 + rnd(random) % 300;
	long ret;

	if (fd < 0)
		fd = vfifo_open(O_RDONLY | O_NONBLOCK);
	if (!(rnd(random) % 8))
		ioctl(fd, VFIFO_CLEAR);
	ret = res(read(fd, buf, len));
	if (ret != -EAGAIN && ret != -EMSGSIZE && (ret <= 0 || ret > (long)len))
		return WRONG("racer %d: read %zu: %ld", self, len, ret);
	return ret > 0;
}

/* What is mapped stays of one kind. */
static int step_map(int self, __u64 *random)
{
	struct vfifo_end *view;
	static int fd = -1;
	long before;

	if (fd < 0)
		fd = vfifo_open(O_RDWR);
	view = view_end(fd, rnd(random) % 2);
	if (!view)
		return WRONG("racer %d: mmap: %d", self, errno);
	before = flags(fd) & VFIFO_RECORDS;
	jitter(random);
	if ((flags(fd) & VFIFO_RECORDS) != before)
		return WRONG("racer %d: changed while mapped", self);
	if (before && load(view) % 8)
		return WRONG("racer %d: position %llu", self, load(view));
	unmap_page(&view);
	usleep(rnd(random) % 2000);
	return 1;
}

TEST_F_TIMEOUT(records, changed_all_the_time, FOREVER)
{
	static const racer_step steps[] = {
		step_change, step_write, step_read, step_write, step_read, step_map,
	};
	pid_t pid[ARRAY_SIZE(steps)];
	unsigned long done = 0;
	__s64 start;
	size_t i;

	LOG_SEED();
	ASSERT_TRUE(race_begin());
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		pid[i] = racer_start(steps[i], i);
	start = now_ms();
	do {
		usleep(10000);
		done++;
	} while (more(done, start) || !enough(ARRAY_SIZE(steps), true, start));
	racers_end(_metadata, pid, ARRAY_SIZE(steps));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	ASSERT_EQ(0, attr_store("framing", RECORD));
}

int main(int argc, char **argv)
{
	race_options(&argc, argv);
	return vfifo_main(argc, argv);
}
