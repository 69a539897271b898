// SPDX-License-Identifier: GPL-2.0
/*
 * The trace events of a vfifo: their names and fields, when they are recorded, and with
 * which values. The driver's debug messages are tested in dyndbg.c.
 */
#include <poll.h>
#include <sys/uio.h>

#include "vfifo_trace.h"

/* Not static, so that the compiler does not see that there is no memory. */
void *nowhere = (void *)16;

FIXTURE(trace)
{
	struct vfifo dev;
	struct tracer tracer;
	__u64 head;		/* positions at the start */
	__u64 tail;
	int fd;			/* a blocking one */
};

#define STORE(file, str) tracer_store(&self->tracer, file, str)
#define FORGET() STORE("trace", "\n")

#define EXPECT_EVENT(i, _pid, _name, fmt, ...) do {			\
	struct event __e = { .name = "none" };				\
	int __i = (i);							\
	if (__i < self->tracer.count)					\
		__e = self->tracer.events[__i];				\
	EXPECT_STREQ(_name, __e.name) { TH_LOG("event %d", __i); }	\
	EXPECT_STREQ(format(fmt, __VA_ARGS__), __e.text) {		\
		TH_LOG("event %d, %s", __i, __e.name);			\
	}								\
	EXPECT_EQ(_pid, __e.pid) { TH_LOG("event %d", __i); }		\
} while (0)

FIXTURE_SETUP(trace)
{
	const char *why = tracer_setup(_metadata, &self->tracer);

	if (why)
		SKIP(return, "%s", why);

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->head = attr_get("stats/bytes_written");
	self->tail = (__u64)attr_get("stats/bytes_read") +
		     attr_get("stats/bytes_cleared") +
		     attr_get("stats/bytes_overwritten");
	ASSERT_EQ(self->head, self->tail);
}

FIXTURE_TEARDOWN(trace)
{
	if (self->dev.fd > 0) {
		close(self->fd);
		vfifo_teardown(&self->dev);
	}
	EXPECT_EQ(0, tracer_end(&self->tracer));
}

static const struct {
	const char *name;
	const char *fields[6];
	const char *format;
} events[] = {
	{
		"vfifo_produce",
		{ "u64 position", "u32 bytes", "unsigned int index", "unsigned int by" },
		"\"vfifo%u position=%llu bytes=%u by=%s\"",
	}, {
		"vfifo_consume",
		{ "u64 position", "u32 bytes", "unsigned int index", "unsigned int by" },
		"\"vfifo%u position=%llu bytes=%u by=%s\"",
	}, {
		"vfifo_sleep",
		{ "unsigned int index", "unsigned int end", "u32 needed" },
		"\"vfifo%u %s needed=%u\"",
	}, {
		"vfifo_wake",
		{ "unsigned int index", "unsigned int end", "unsigned int whom" },
		"\"vfifo%u %s %s\"",
	}, {
		"vfifo_claim",
		{ "u64 position", "unsigned int index", "unsigned int end" },
		"\"vfifo%u %s position=%llu\"",
	}, {
		"vfifo_release",
		{ "u64 position", "unsigned int index", "unsigned int end" },
		"\"vfifo%u %s position=%llu\"",
	}, {
		"vfifo_broken",
		{ "u64 head", "u64 tail", "unsigned int index" },
		"\"vfifo%u head=%llu tail=%llu\"",
	},
};

TEST_F(trace, formats)
{
	char path[PATH_MAX], *all, *p;
	size_t i;
	int j, n;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(path, sizeof(path), "%s/events/vfifo/%s/format",
			 self->tracer.instance, events[i].name);
		all = whole_file(path);
		ASSERT_NE(NULL, all) { TH_LOG("%s: %m", path); }

		n = 0;
		for (p = all; (p = strstr(p, "\tfield:")); p++)
			n++;
		for (p = all; (p = strstr(p, " common_")); p++)
			n--;
		for (j = 0; events[i].fields[j]; j++) {
			p = strstr(all, format("\tfield:%s;", events[i].fields[j]));
			EXPECT_NE(NULL, p) {
				TH_LOG("%s: %s", path, events[i].fields[j]);
			}
		}
		EXPECT_EQ(j, n) { TH_LOG("%s", path); }
		p = strstr(all, format("print fmt: %s,", events[i].format));
		EXPECT_NE(NULL, p) {
			TH_LOG("%s:\n%s", path, all);
		}
		free(all);
	}
}

/* A write, a read and a clear: three events. */
static void use(struct vfifo *dev)
{
	put(dev, 10, 0);
	get(dev, 4, 0);
	ioctl(dev->fd, VFIFO_CLEAR);
}

TEST_F(trace, nothing_unless_enabled)
{
	use(&self->dev);
	EXPECT_EQ(0, read_events(&self->tracer));

	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	use(&self->dev);
	EXPECT_EQ(3, read_events(&self->tracer));

	ASSERT_EQ(0, STORE("events/vfifo/enable", "0"));
	use(&self->dev);
	EXPECT_EQ(3, read_events(&self->tracer));
}

TEST_F(trace, each_alone)
{
	ASSERT_EQ(0, STORE("events/vfifo/vfifo_consume/enable", "1"));
	use(&self->dev);
	ASSERT_EQ(2, read_events(&self->tracer));
	EXPECT_STREQ("consume", self->tracer.events[0].name);
	EXPECT_STREQ("consume", self->tracer.events[1].name);
}

TEST_F(trace, transfers)
{
	__u64 head = self->head, tail = self->tail;
	long size = self->dev.capacity;
	const long part = 16 * 1024;
	pid_t me = getpid();
	long n = 0, len;
	int fds[2];
	char c;

	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	ASSERT_TRUE(put(&self->dev, 6, 0));
	ASSERT_TRUE(get(&self->dev, 4, 0));
	ASSERT_TRUE(put(&self->dev, 3000, 6));
	ASSERT_TRUE(get(&self->dev, 3002, 4));
	ASSERT_EQ(4, read_events(&self->tracer));
	EXPECT_EVENT(0, me, "produce", "position=%llu bytes=6 by=write", head);
	EXPECT_EVENT(1, me, "consume", "position=%llu bytes=4 by=read", tail);
	EXPECT_EVENT(2, me, "produce", "position=%llu bytes=3000 by=write", head + 6);
	EXPECT_EVENT(3, me, "consume", "position=%llu bytes=3002 by=read", tail + 4);
	ASSERT_EQ(0, FORGET());

	/*
	 * A large transfer has one event for each part, which the other end can use
	 * while the rest is copied. That includes parts that wrap around.
	 */
	head += 3006;
	tail += 3006;
	{
		char *buf = malloc(2 * size);

		stream_fill(buf, 2 * size, 0);
		ASSERT_EQ(size, res(write(self->dev.fd, buf, 2 * size)));
		ASSERT_EQ(size, res(read(self->dev.fd, buf, 2 * size)));
		free(buf);
	}
	ASSERT_LT(part, size);
	ASSERT_EQ(2 * size / part, read_events(&self->tracer));
	for (; n < size; n += part) {
		len = size - n < part ? size - n : part;
		EXPECT_EVENT(n / part, me, "produce",
			     "position=%llu bytes=%ld by=write", head + n, len);
		EXPECT_EVENT((size + n) / part, me, "consume",
			     "position=%llu bytes=%ld by=read", tail + n, len);
	}
	ASSERT_EQ(0, FORGET());

	/* splice(2) is traced as write and read. */
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(6, write(fds[1], "splice", 6));
	EXPECT_EQ(6, res(splice(fds[0], NULL, self->dev.fd, NULL, 6, 0)));
	EXPECT_EQ(6, res(splice(self->dev.fd, NULL, fds[1], NULL, 6, 0)));
	ASSERT_EQ(2, read_events(&self->tracer));
	EXPECT_EVENT(0, me, "produce", "position=%llu bytes=6 by=write", head + size);
	EXPECT_EVENT(1, me, "consume", "position=%llu bytes=6 by=read", tail + size);
	ASSERT_EQ(0, FORGET());
	close(fds[0]);
	close(fds[1]);

	/* A call that moves nothing is not traced. */
	EXPECT_EQ(-EAGAIN, res(read(self->dev.fd, &c, 1)));
	EXPECT_EQ(-EFAULT, res(write(self->dev.fd, nowhere, 1)));
	EXPECT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_EQ(0, res(write(self->dev.fd, &c, 0)));
	EXPECT_EQ(0, read_events(&self->tracer));
	ASSERT_TRUE(put(&self->dev, 1, 0));
	ASSERT_EQ(0, FORGET());
	EXPECT_EQ(-EFAULT, res(read(self->dev.fd, nowhere, 1)));
	EXPECT_EQ(0, read_events(&self->tracer));
}

TEST_F(trace, clearing)
{
	ASSERT_TRUE(put(&self->dev, 700, 0));
	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	ASSERT_EQ(1, read_events(&self->tracer));
	EXPECT_EVENT(0, getpid(), "consume", "position=%llu bytes=700 by=clear",
		     self->tail);
}

/* What was overwritten before has no event, and lies before what is cleared. */
TEST_F(trace, clearing_while_overwriting)
{
	long cap = self->dev.capacity;
	__u64 pos = self->head;

	ASSERT_EQ(0, attr_set("overwrite", 1));
	for (; pos < self->head + 3 * cap; pos += cap / 2)
		ASSERT_TRUE(put(&self->dev, cap / 2, pos));
	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	ASSERT_EQ(1, read_events(&self->tracer));
	EXPECT_EVENT(0, getpid(), "consume", "position=%llu bytes=%ld by=clear",
		     pos - cap, cap);
	/* Everything is gone: nothing is cleared. */
	ASSERT_EQ(0, FORGET());
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_EQ(0, read_events(&self->tracer));
	ASSERT_EQ(0, attr_set("overwrite", 0));
}

TEST_F(trace, generation)
{
	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	ASSERT_EQ(0, attr_set("period_ms", 5));
	ASSERT_EQ(0, attr_store("mode", "auto"));
	EXPECT_TRUE(eventually(queued(self->dev.fd) >= 10));
	ASSERT_EQ(0, attr_store("mode", "manual"));
	ASSERT_LE(2, read_events(&self->tracer));
	EXPECT_EVENT(0, self->tracer.events[0].pid, "produce",
		     "position=%llu bytes=5 by=auto", self->head);
	EXPECT_EVENT(1, self->tracer.events[1].pid, "produce",
		     "position=%llu bytes=5 by=auto", self->head + 5);
	EXPECT_NE(getpid(), self->tracer.events[0].pid);
	EXPECT_EQ(self->tracer.count, queued(self->dev.fd) / 5);
}

TEST_F(trace, sleeping_reader)
{
	pid_t me = getpid(), pid;
	char c;

	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(read(self->fd, &c, 1) != 1);
	ASSERT_TRUE(child_sleeps(pid));
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_EQ(0, child_end(pid));

	ASSERT_EQ(4, read_events(&self->tracer));
	EXPECT_EVENT(0, pid, "sleep", "%s needed=1", "consumer");
	EXPECT_EVENT(1, me, "produce", "position=%llu bytes=1 by=write", self->head);
	EXPECT_EVENT(2, me, "wake", "%s one", "consumer");
	EXPECT_EVENT(3, pid, "consume", "position=%llu bytes=1 by=read", self->tail);
}

/* The events of that name, and with that text if any. */
static int count_events(struct tracer *tracer, const char *name, const char *text)
{
	int i, n = 0;

	for (i = 0; i < tracer->count; i++)
		n += !strcmp(tracer->events[i].name, name) &&
		     (!text || !strcmp(tracer->events[i].text, text));
	return n;
}

TEST_F(trace, sleeping_writers)
{
	long size = self->dev.capacity;
	char buf[100] = "";
	pid_t pid, two[2];
	int i;

	/*
	 * One sleeper is woken when there is room for PIPE_BUF bytes, and the next
	 * one when there is as much again.
	 */
	ASSERT_TRUE(put(&self->dev, size, 0));
	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	for (i = 0; i < 2; i++) {
		two[i] = child_start(DEADLINE);
		if (!two[i])
			_exit(write(self->fd, buf, 100) != 100);
		ASSERT_TRUE(child_sleeps(two[i]));
	}
	ASSERT_TRUE(get(&self->dev, 200, 0));
	ASSERT_TRUE(child_sleeps(two[0]));
	ASSERT_TRUE(child_sleeps(two[1]));
	ASSERT_TRUE(get(&self->dev, PIPE_BUF - 200, 200));
	EXPECT_EQ(0, child_end(two[0]));
	ASSERT_TRUE(child_sleeps(two[1]));
	ASSERT_TRUE(get(&self->dev, 100, PIPE_BUF));
	EXPECT_EQ(0, child_end(two[1]));
	ASSERT_TRUE(put(&self->dev, PIPE_BUF - 100, size));
	read_events(&self->tracer);
	EXPECT_EVENT(0, two[0], "sleep", "%s needed=100", "producer");
	EXPECT_EQ(2, count_events(&self->tracer, "sleep", NULL));
	EXPECT_EQ(0, count_events(&self->tracer, "wake", "producer all"));
	EXPECT_EQ(2, count_events(&self->tracer, "wake", "producer one"));
	ASSERT_EQ(0, FORGET());

	/* A writer of more than PIPE_BUF bytes needs PIPE_BUF bytes of room. */
	pid = child_start(DEADLINE);
	if (!pid) {
		char *big = calloc(1, PIPE_BUF + 1);

		_exit(write(self->fd, big, PIPE_BUF + 1) != PIPE_BUF + 1);
	}
	ASSERT_TRUE(child_sleeps(pid));
	ASSERT_TRUE(get(&self->dev, PIPE_BUF + 1, PIPE_BUF + 100));
	EXPECT_EQ(0, child_end(pid));
	ASSERT_LE(2, read_events(&self->tracer));
	EXPECT_EVENT(0, pid, "sleep", "%s needed=%d", "producer", PIPE_BUF);
	EXPECT_LE(1, count_events(&self->tracer, "wake", "producer one"));
}

/* Only the writer that has the turn is woken if its record is all that fits. */
TEST_F(trace, no_room_for_two_records)
{
	static const long lens[2] = { PIPE_BUF, 2000 };
	long i, n = 0;
	char buf[PIPE_BUF] = "";
	pid_t two[2];

	ASSERT_EQ(0, attr_set("capacity", 2 * PIPE_BUF));
	ASSERT_EQ(0, attr_store("framing", "record"));
	ASSERT_EQ(PIPE_BUF, write(self->dev.fd, buf, PIPE_BUF));
	ASSERT_EQ(PIPE_BUF - 16, write(self->dev.fd, buf, PIPE_BUF - 16));
	for (i = 0; i < 2; i++) {
		two[i] = child_start(DEADLINE);
		if (!two[i])
			_exit(write(self->fd, buf, lens[i]) != lens[i]);
		ASSERT_TRUE(child_sleeps(two[i]));
	}
	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	ASSERT_EQ(PIPE_BUF, read(self->dev.fd, buf, PIPE_BUF));
	EXPECT_EQ(0, child_end(two[0]));
	EXPECT_TRUE(child_sleeps(two[1]));
	ASSERT_LT(0, read_events(&self->tracer));
	for (i = 0; i < self->tracer.count; i++)
		n += self->tracer.events[i].pid == getpid() &&
		     !strcmp(self->tracer.events[i].name, "wake");
	EXPECT_EQ(1, n);
	EXPECT_EQ(-SIGKILL, child_kill(&two[1]));
	EXPECT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_EQ(0, attr_store("framing", "stream"));
}

TEST_F(trace, polling_reader)
{
	struct pollfd p = { .fd = self->fd, .events = POLLIN };
	pid_t me = getpid(), pid;

	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(poll(&p, 1, -1) != 1);
	ASSERT_TRUE(child_sleeps(pid));
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_EQ(0, child_end(pid));

	ASSERT_EQ(2, read_events(&self->tracer));
	EXPECT_EVENT(0, me, "produce", "position=%llu bytes=1 by=write", self->head);
	EXPECT_EVENT(1, me, "wake", "%s pollers", "consumer");
}

TEST_F(trace, claims)
{
	struct vfifo_end *end;
	pid_t me = getpid(), pid;
	char c;

	ASSERT_TRUE(put(&self->dev, 100, 0));
	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	end = claim_end(&self->dev, true);
	ASSERT_NE(NULL, end);
	store(end, self->head + 110);
	ASSERT_EQ(0, munmap(end, self->dev.page));

	end = claim_end(&self->dev, false);
	ASSERT_NE(NULL, end);
	store(end, self->tail + 110);
	ASSERT_EQ(0, munmap(end, self->dev.page));

	ASSERT_EQ(4, read_events(&self->tracer));
	EXPECT_EVENT(0, me, "claim", "producer position=%llu", self->head + 100);
	EXPECT_EVENT(1, me, "release", "producer position=%llu", self->head + 110);
	EXPECT_EVENT(2, me, "claim", "consumer position=%llu", self->tail);
	EXPECT_EVENT(3, me, "release", "consumer position=%llu", self->tail + 110);
	ASSERT_EQ(0, FORGET());

	/* A claim ends the sleep of a reader. */
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(read(self->fd, &c, 1) != -1 || errno != EBUSY);
	ASSERT_TRUE(child_sleeps(pid));
	end = claim_end(&self->dev, false);
	ASSERT_NE(NULL, end);
	EXPECT_EQ(0, child_end(pid));
	ASSERT_EQ(3, read_events(&self->tracer));
	EXPECT_EVENT(0, pid, "sleep", "%s needed=1", "consumer");
	EXPECT_EVENT(1, me, "claim", "consumer position=%llu", self->tail + 110);
	EXPECT_EVENT(2, me, "wake", "%s all", "consumer");
	munmap(end, self->dev.page);
}

TEST_F(trace, wrong_position)
{
	__u64 wrong = self->head + self->dev.capacity + 1;
	struct vfifo_end *end;
	pid_t me = getpid();
	char c;

	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	end = claim_end(&self->dev, true);
	ASSERT_NE(NULL, end);
	store(end, wrong);
	EXPECT_EQ(-EIO, res(read(self->dev.fd, &c, 1)));
	munmap(end, self->dev.page);

	ASSERT_EQ(3, read_events(&self->tracer));
	EXPECT_EVENT(0, me, "claim", "producer position=%llu", self->head);
	EXPECT_EVENT(1, me, "broken", "head=%llu tail=%llu", wrong, self->tail);
	EXPECT_EVENT(2, me, "release", "producer position=%llu", self->head);
}

TEST_F(trace, filters)
{
	int index = atoi(vfifo_name() + strlen("vfifo"));

	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));

	ASSERT_EQ(0, STORE("events/vfifo/filter", format("index != %d", index)));
	use(&self->dev);
	EXPECT_EQ(0, read_events(&self->tracer));

	ASSERT_EQ(0, STORE("events/vfifo/filter", format("index == %d", index)));
	use(&self->dev);
	EXPECT_EQ(3, read_events(&self->tracer));
	ASSERT_EQ(0, STORE("events/vfifo/filter", "0"));
	ASSERT_EQ(0, FORGET());

	ASSERT_EQ(0, STORE("events/vfifo/vfifo_consume/filter",
			   "bytes > 4 && by == 3"));
	use(&self->dev);
	ASSERT_EQ(2, read_events(&self->tracer));
	EXPECT_STREQ("produce", self->tracer.events[0].name);
	EXPECT_EVENT(1, getpid(), "consume", "position=%llu bytes=6 by=clear",
		     self->tail + 24);

	EXPECT_EQ(-EINVAL, STORE("events/vfifo/vfifo_wake/filter", "bytes > 1"));
}

/* Transfers of two concurrent processes are recorded completely and in order. */
TEST_F(trace, complete)
{
	const long total = 400000;
	__u64 position, produced = self->head, consumed = self->tail;
	__u64 state = vfifo_seed;
	unsigned int bytes;
	char *buf, end[8];
	long done, n;
	pid_t pid;
	int i;

	LOG_SEED();
	buf = malloc(total);
	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	pid = child_start(3 * DEADLINE);
	if (!pid) {
		for (done = 0; done < total; done += n) {
			n = read(self->fd, buf, 1 + rnd(&state) % 20000);
			if (n <= 0)
				_exit(1);
		}
		_exit(0);
	}
	for (done = 0; done < total; done += n) {
		n = 1 + rnd(&state) % 20000;
		if (n > total - done)
			n = total - done;
		ASSERT_EQ(n, write(self->fd, buf, n));
	}
	EXPECT_EQ(0, child_end(pid));
	free(buf);

	ASSERT_LT(0, read_events(&self->tracer));
	for (i = 0; i < self->tracer.count; i++) {
		struct event *e = &self->tracer.events[i];

		if (sscanf(e->text, "position=%llu bytes=%u by=%7s", &position,
			   &bytes, end) != 3)
			continue;
		if (!strcmp(e->name, "produce")) {
			ASSERT_EQ(produced, position);
			ASSERT_STREQ("write", end);
			ASSERT_EQ(getpid(), e->pid);
			produced += bytes;
		} else {
			ASSERT_EQ(consumed, position);
			ASSERT_STREQ("read", end);
			ASSERT_EQ(pid, e->pid);
			consumed += bytes;
		}
		ASSERT_LE(consumed, produced);
		ASSERT_LE(produced - consumed, (__u64)self->dev.capacity);
	}
	EXPECT_EQ(self->head + total, produced);
	EXPECT_EQ(self->tail + total, consumed);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
