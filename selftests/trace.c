// SPDX-License-Identifier: GPL-2.0
/*
 * What a vfifo tells those who debug: its tracepoints, its messages for dynamic
 * debug, and nothing when nobody asked. Messages that were turned on are off
 * afterwards.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "vfifo_trace.h"

#define CONTROL		"/proc/dynamic_debug/control"
#define MODULE		"rust_vfifo"
#define NOBODY		65534

/* Where no memory is. Not static, so that the compiler does not see through it. */
void *nowhere = (void *)16;

/* What @fmt gives, until the next call. */
static __printf(1, 2) const char *text(const char *fmt, ...)
{
	static char buf[PATH_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	return buf;
}

/* ---- tracepoints ---- */

FIXTURE(trace)
{
	struct vfifo dev;
	struct tracer tracer;
	__u64 head;		/* positions at the beginning */
	__u64 tail;
	int fd;			/* one that blocks */
};

#define STORE(file, str) tracer_store(&self->tracer, file, str)
#define FORGET() STORE("trace", "\n")

#define EXPECT_EVENT(i, _pid, _name, fmt, ...) do {			\
	struct event __e = { .name = "none" };				\
	int __i = (i);							\
	if (__i < self->tracer.count)					\
		__e = self->tracer.events[__i];				\
	EXPECT_STREQ(_name, __e.name) { TH_LOG("event %d", __i); }	\
	EXPECT_STREQ(text(fmt, __VA_ARGS__), __e.text) {		\
		TH_LOG("event %d, %s", __i, __e.name);			\
	}								\
	EXPECT_EQ(_pid, __e.pid) { TH_LOG("event %d", __i); }		\
} while (0)

FIXTURE_SETUP(trace)
{
	const char *why = NULL;

	ASSERT_TRUE(tracer_begin(&self->tracer, &why)) {
		TH_LOG("no tracer: %s", strerror(errno));
	}
	if (why)
		SKIP(return, "%s", why);

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->head = attr_get("stats/bytes_written");
	self->tail = (__u64)attr_get("stats/bytes_read") +
		     attr_get("stats/bytes_cleared");
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
			EXPECT_NE(NULL, strstr(all, text("\tfield:%s;",
							 events[i].fields[j]))) {
				TH_LOG("%s: %s", path, events[i].fields[j]);
			}
		}
		EXPECT_EQ(j, n) { TH_LOG("%s", path); }
		EXPECT_NE(NULL, strstr(all, text("print fmt: %s,",
						 events[i].format))) {
			TH_LOG("%s:\n%s", path, all);
		}
		free(all);
	}
}

/* Does one of everything. */
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
	 * One event for each part that the other end has while the rest is still
	 * copied, also where it wraps around the end of the buffer.
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

	/* Those of splice(2) are write and read. */
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

	/* What moves nothing is no transfer. */
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

TEST_F(trace, sleeping_writers)
{
	long size = self->dev.capacity;
	int i, sleeps = 0, all = 0, one = 0;
	char buf[100] = "";
	pid_t pid, two[2];

	/*
	 * The first to sleep is woken when there is as much as it needs. Of the
	 * others, all are, as long as there is less than any of them would take.
	 */
	ASSERT_TRUE(put(&self->dev, size, 0));
	ASSERT_EQ(0, STORE("events/vfifo/enable", "1"));
	for (i = 0; i < 2; i++) {
		two[i] = child_start(DEADLINE);
		if (!two[i])
			_exit(write(self->fd, buf, 100) != 100);
		ASSERT_TRUE(child_sleeps(two[i]));
	}
	ASSERT_TRUE(get(&self->dev, 50, 0));
	ASSERT_TRUE(child_sleeps(two[1]));
	ASSERT_TRUE(get(&self->dev, 50, 50));
	EXPECT_EQ(0, child_end(two[0]));
	ASSERT_TRUE(child_sleeps(two[1]));
	ASSERT_TRUE(get(&self->dev, 100, 100));
	EXPECT_EQ(0, child_end(two[1]));
	read_events(&self->tracer);
	for (i = 0; i < self->tracer.count; i++) {
		sleeps += !strcmp(self->tracer.events[i].name, "sleep");
		all += !strcmp(self->tracer.events[i].name, "wake") &&
		       !strcmp(self->tracer.events[i].text, "producer all");
		one += !strcmp(self->tracer.events[i].name, "wake") &&
		       !strcmp(self->tracer.events[i].text, "producer one");
	}
	EXPECT_EVENT(0, two[0], "sleep", "%s needed=100", "producer");
	EXPECT_EQ(2, sleeps);
	EXPECT_EQ(2, all);
	EXPECT_EQ(1, one);
	ASSERT_EQ(0, FORGET());

	/* One that wants much is content with PIPE_BUF, and so is any. */
	pid = child_start(DEADLINE);
	if (!pid) {
		char *big = calloc(1, PIPE_BUF + 1);

		_exit(write(self->fd, big, PIPE_BUF + 1) != PIPE_BUF + 1);
	}
	ASSERT_TRUE(child_sleeps(pid));
	ASSERT_TRUE(get(&self->dev, PIPE_BUF + 1, 200));
	EXPECT_EQ(0, child_end(pid));
	ASSERT_LE(2, read_events(&self->tracer));
	EXPECT_EVENT(0, pid, "sleep", "%s needed=%d", "producer", PIPE_BUF);
	one = 0;
	for (i = 0; i < self->tracer.count; i++)
		one += !strcmp(self->tracer.events[i].name, "wake") &&
		       !strcmp(self->tracer.events[i].text, "producer one");
	EXPECT_LE(1, one);
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

	/* Who sleeps is sent away. */
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

	ASSERT_EQ(0, STORE("events/vfifo/filter", text("index != %d", index)));
	use(&self->dev);
	EXPECT_EQ(0, read_events(&self->tracer));

	ASSERT_EQ(0, STORE("events/vfifo/filter", text("index == %d", index)));
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

/* What two processes do at a time is recorded without a gap, and in order. */
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

/* ---- messages ---- */

struct message {
	int level;
	char text[500];
};

/* The messages with @what in them that came since the last call. */
static int messages(int kmsg, const char *what, struct message *found, int max)
{
	char record[8192], *p;
	unsigned int prio;
	int count = 0;
	ssize_t n;

	for (;;) {
		n = read(kmsg, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;	/* the oldest have gone */
		if (n < 0)
			break;
		record[n] = '\0';
		p = strchr(record, ';');
		if (!p || sscanf(record, "%u,", &prio) != 1)
			continue;
		p[strcspn(p, "\n")] = '\0';
		if (!strstr(p, what))
			continue;
		if (count < max) {
			found[count].level = prio & 7;
			snprintf(found[count].text, sizeof(found->text), "%s",
				 p + 1);
		}
		count++;
	}
	return count;
}

static int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

FIXTURE(dyndbg)
{
	struct vfifo dev;
	struct message m[16];
	int kmsg;
};

FIXTURE_SETUP(dyndbg)
{
	if (access(CONTROL, F_OK))
		SKIP(return, "this kernel has no dynamic debug");
	if (geteuid())
		SKIP(return, "only root can steer dynamic debug");
	ASSERT_EQ(0, file_store(CONTROL, "module " MODULE " =_"));
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->kmsg = kmsg_open();
	ASSERT_LE(0, self->kmsg);
}

FIXTURE_TEARDOWN(dyndbg)
{
	if (self->kmsg > 0) {
		EXPECT_EQ(0, file_store(CONTROL, "module " MODULE " =_"));
		close(self->kmsg);
		vfifo_teardown(&self->dev);
	}
}

#define MESSAGES(what) \
	messages(self->kmsg, what, self->m, ARRAY_SIZE(self->m))
#define EXPECT_MESSAGE(i, fmt, ...) do {				\
	struct message *__m = &self->m[i];				\
	EXPECT_STREQ(text(fmt, __VA_ARGS__), __m->text);		\
	EXPECT_EQ(7, __m->level);					\
} while (0)

/* Does all that has a message, and leaves things as they were. */
static void change(struct vfifo *dev)
{
	put(dev, 7, 0);
	ioctl(dev->fd, VFIFO_CLEAR);
	attr_set("capacity", 2 * dev->capacity);
	attr_set("capacity", dev->capacity);
	attr_set("period_ms", 3600000);
	attr_store("mode", "1");
	attr_store("mode", "1");
	attr_store("mode", "0");
	attr_set("period_ms", VFIFO_PERIOD);
	munmap(claim_end(dev, true), dev->page);
	munmap(claim_end(dev, false), dev->page);
}

TEST_F(dyndbg, silent_unless_enabled)
{
	change(&self->dev);
	EXPECT_EQ(0, MESSAGES("vfifo")) { TH_LOG("%s", self->m[0].text); }

	ASSERT_EQ(0, file_store(CONTROL, "module " MODULE " +p"));
	change(&self->dev);
	EXPECT_EQ(11, MESSAGES("vfifo"));

	ASSERT_EQ(0, file_store(CONTROL, "module " MODULE " -p"));
	change(&self->dev);
	EXPECT_EQ(0, MESSAGES("vfifo")) { TH_LOG("%s", self->m[0].text); }
}

TEST_F(dyndbg, messages)
{
	const char *name = vfifo_name();
	long size = self->dev.capacity;
	__u64 position;

	ASSERT_EQ(0, file_store(CONTROL, "module " MODULE " +p"));
	change(&self->dev);
	ASSERT_EQ(11, MESSAGES("vfifo"));
	EXPECT_MESSAGE(0, MODULE ": %s: cleared 7 bytes", name);
	EXPECT_MESSAGE(1, MODULE ": %s: capacity %ld -> %ld", name, size, 2 * size);
	EXPECT_MESSAGE(2, MODULE ": %s: capacity %ld -> %ld", name, 2 * size, size);
	EXPECT_MESSAGE(3, MODULE ": %s: period %d -> 3600000 ms", name,
		       VFIFO_PERIOD);
	EXPECT_MESSAGE(4, MODULE ": %s: mode manual -> auto", name);
	EXPECT_MESSAGE(5, MODULE ": %s: mode auto -> manual", name);
	EXPECT_MESSAGE(6, MODULE ": %s: period 3600000 -> %d ms", name,
		       VFIFO_PERIOD);
	/* Nothing is queued, so both are there. */
	position = attr_get("stats/bytes_written");
	EXPECT_MESSAGE(7, MODULE ": %s: producer claimed at %llu", name, position);
	EXPECT_MESSAGE(8, MODULE ": %s: producer released at %llu", name, position);
	EXPECT_MESSAGE(9, MODULE ": %s: consumer claimed at %llu", name, position);
	EXPECT_MESSAGE(10, MODULE ": %s: consumer released at %llu", name, position);
}

/* The line of a place in the file that lists them; 0 if it isn't there. */
static unsigned int site(const char *format, char *file, char *function,
			 char *flags)
{
	char *all = whole_file(CONTROL), *line, *save, module[64];
	unsigned int lineno = 0;

	for (line = strtok_r(all, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!strstr(line, format))
			continue;
		if (sscanf(line, "%255[^:]:%u [%63[^]]]%255s =%15s", file,
			   &lineno, module, function, flags) == 5 &&
		    !strcmp(module, MODULE))
			break;
		lineno = 0;
	}
	free(all);
	return lineno;
}

TEST_F(dyndbg, sites)
{
	char file[256], function[256], flags[16], *p;
	unsigned int lineno;

	lineno = site("\"vfifo{}: cleared {} bytes\\n\"", file, function, flags);
	ASSERT_NE(0U, lineno);
	EXPECT_STREQ("_", flags);
	/* As an external module, the driver may be a module of another crate. */
	p = strstr(function, MODULE "::");
	EXPECT_STREQ(MODULE "::fifo", p ? p : function);
	p = strrchr(file, '/');
	EXPECT_STREQ("/fifo.rs", p ? p : file);

	/* One of them, in each of the ways that can name it. */
	ASSERT_EQ(0, file_store(CONTROL, "format cleared +p"));
	change(&self->dev);
	EXPECT_EQ(1, MESSAGES("vfifo"));
	EXPECT_NE(0U, site("cleared", file, function, flags));
	EXPECT_STREQ("p", flags);
	ASSERT_EQ(0, file_store(CONTROL, text("file %s line %u -p", file, lineno)));
	change(&self->dev);
	EXPECT_EQ(0, MESSAGES("vfifo"));
	ASSERT_EQ(0, file_store(CONTROL, "func *" MODULE "::generator +p"));
	change(&self->dev);
	EXPECT_EQ(4, MESSAGES("vfifo"));
	ASSERT_EQ(0, file_store(CONTROL, "file generator.rs =_"));
	change(&self->dev);
	EXPECT_EQ(0, MESSAGES("vfifo"));
	ASSERT_EQ(0, file_store(CONTROL, "module other_vfifo +p"));
	change(&self->dev);
	EXPECT_EQ(0, MESSAGES("vfifo"));
}

TEST_F(dyndbg, flags)
{
	char file[256], function[256], flags[16];
	unsigned int lineno;

	lineno = site("cleared", file, function, flags);
	ASSERT_NE(0U, lineno);

	ASSERT_EQ(0, file_store(CONTROL, "format cleared +pmfslt"));
	EXPECT_EQ(lineno, site("cleared", file, function, flags));
	EXPECT_STREQ("pmfslt", flags);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	ASSERT_EQ(1, MESSAGES("vfifo"));
	EXPECT_MESSAGE(0, "[%d] " MODULE ":%s:%s:%u: " MODULE ": %s: cleared 0 bytes",
		       getpid(), function, file, lineno, vfifo_name());

	/* Flags without "p" do nothing by themselves. */
	ASSERT_EQ(0, file_store(CONTROL, "format cleared -p"));
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_EQ(0, MESSAGES("vfifo"));

	ASSERT_EQ(0, file_store(CONTROL, "format cleared =pd"));
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_EQ(1, MESSAGES("Call Trace:"));
}

/* ---- silence ---- */

/* All that an open file allows, and what it refuses, as often as one likes. */
static void pester(struct vfifo *dev)
{
	struct vfifo_end *end;
	long size = dev->capacity;
	int fd = dev->fd;
	char buf[100] = "";
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	int i, one = 1, zero = 0, pipes[2];
	void *map;

	if (pipe(pipes))
		return;
	for (i = 0; i < 20; i++) {
		write(fd, buf, sizeof(buf));
		read(fd, buf, 50);
		write(fd, nowhere, 1);
		read(fd, nowhere, 1);
		read(fd, nowhere, 1UL << 40);
		splice(fd, NULL, pipes[1], NULL, 10, SPLICE_F_NONBLOCK);
		splice(pipes[0], NULL, fd, NULL, 10, SPLICE_F_NONBLOCK);
		ioctl(fd, VFIFO_SET_MODE, &one);
		ioctl(fd, VFIFO_SET_MODE, &zero);
		ioctl(fd, VFIFO_SET_MODE, (void *)16);
		ioctl(fd, VFIFO_CLEAR);
		ioctl(fd, VFIFO_NOTIFY);
		ioctl(fd, VFIFO_GET_INFO, (void *)16);
		ioctl(fd, FIONREAD, (void *)16);
		ioctl(fd, _IO('k', 99));
		ioctl(fd, ~0UL);
		poll(&p, 1, 0);
		fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC);
		fcntl(fd, F_SETFL, O_NONBLOCK);
		lseek(fd, 1, SEEK_SET);
		pwrite(fd, buf, 1, 1);
		ftruncate(fd, 1);
		fsync(fd);
		mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
		mmap(NULL, size, PROT_EXEC, MAP_SHARED, fd, 0);
		mmap(NULL, 4 * size, PROT_READ, MAP_SHARED, fd, 0);
		mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 1L << 40);
		end = claim_end(dev, i & 1);
		if (end) {
			end->position += i << 20;
			claim_end(dev, i & 1);
			write(fd, buf, 1);
			read(fd, buf, 1);
			poll(&p, 1, 0);
			ioctl(fd, VFIFO_CLEAR);
			munmap(end, dev->page);
		}
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			continue;
		*(char *)map = 'x';
		mprotect(map, size, PROT_EXEC);
		attr_set("capacity", 2 * size);
		if (mremap(map, size, 4 * size, MREMAP_MAYMOVE) == MAP_FAILED)
			munmap(map, size);
		attr_set("capacity", 0);
		attr_store("capacity", "many");
		attr_store("mode", "7");
		attr_store("period_ms", "-1");
		attr_text("size");
	}
}

/* There is no way for a user to fill the log. */
TEST(quiet)
{
	struct message m[1];
	struct vfifo dev;
	int kmsg;
	pid_t pid;

	/* If somebody asked for messages, that is something else. */
	file_store(CONTROL, "module " MODULE " =_");
	kmsg = kmsg_open();
	if (kmsg < 0)
		SKIP(return, "/dev/kmsg: %s", strerror(errno));
	ASSERT_EQ(0, vfifo_setup(&dev));
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		if (!geteuid() && (setgroups(0, NULL) || setgid(NOBODY) ||
				   setuid(NOBODY)))
			_exit(2);
		pester(&dev);
		_exit(0);
	}
	EXPECT_EQ(0, child_end(pid));
	vfifo_teardown(&dev);
	EXPECT_EQ(0, messages(kmsg, "vfifo", m, 1)) {
		TH_LOG("%s", m[0].text);
	}
	close(kmsg);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
