// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Removing a device that is in use: name, node and attributes go at once; open files and
 * mappings go on until they are closed, like those of an unlinked FIFO.
 */
#include <poll.h>

#include "vfifo_devices.h"
#include "vfifo_log.h"
#include "vfifo_trace.h"

#define NAME	TEST_PREFIX "gone"

FIXTURE(removal)
{
	struct vfifo dev;
	struct health health;
	pid_t pid;
};

FIXTURE_SETUP(removal)
{
	if (geteuid())
		SKIP(return, "only root can add devices");
	ASSERT_EQ(0, access(NEW_DEVICE, W_OK));
	ASSERT_EQ(0, access(DELETE_DEVICE, W_OK));
	devices_forget();
	health_begin(&self->health);
	device_use(NAME);
	ASSERT_EQ(0, device_add(NAME));
	ASSERT_EQ(0, vfifo_setup(&self->dev));
}

FIXTURE_TEARDOWN(removal)
{
	child_kill(&self->pid);
	close(self->dev.fd);
	devices_forget();
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
}

#define REMOVE() do {							\
	ASSERT_EQ(0, device_delete(NAME));				\
	ASSERT_EQ(NULL, device_left(NAME));				\
} while (0)

/* ---- files ---- */

TEST_F(removal, open_files_go_on)
{
	struct vfifo_info info = { .size = sizeof(info) };
	int other, zero = 0, fd;

	other = vfifo_open(O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, other);
	ASSERT_TRUE(put(&self->dev, 3000, 0));
	REMOVE();

	/* What was queued is there, and more can be queued, up to the capacity. */
	EXPECT_EQ(3000, queued(other));
	EXPECT_TRUE(put(&self->dev, self->dev.capacity - 3000, 3000));
	EXPECT_EQ(-1, write(other, &zero, 1));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_TRUE(get(&self->dev, self->dev.capacity, 0));

	/* So do ioctls and fdinfo. */
	EXPECT_EQ(0, ioctl(other, VFIFO_GET_INFO, &info));
	EXPECT_EQ((__u64)self->dev.capacity, info.capacity);
	EXPECT_TRUE(put(&self->dev, 10, 0));
	EXPECT_EQ(0, ioctl(other, VFIFO_CLEAR));
	EXPECT_EQ(0, queued(other));
	EXPECT_EQ(0, ioctl(other, VFIFO_NOTIFY));
	EXPECT_EQ(0, ioctl(other, VFIFO_SET_MODE, &zero));
	EXPECT_NE(NULL, strstr(fdinfo_text(other), "vfifo-size:\t0\n"));

	/* It cannot be opened again. */
	fd = open(format("/proc/self/fd/%d", other), O_RDWR | O_CLOEXEC);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(ENXIO, errno);
	close(other);
}

/* A device of the same name has nothing in common with the removed one. */
TEST_F(removal, name_is_used_again)
{
	int fd;

	ASSERT_TRUE(put(&self->dev, 100, 0));
	REMOVE();
	ASSERT_EQ(0, device_add(NAME));
	fd = vfifo_open(O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, queued(fd));
	EXPECT_EQ(3, write(fd, "new", 3));
	EXPECT_EQ(100, queued(self->dev.fd));
	EXPECT_EQ(3, attr_get("size"));
	EXPECT_TRUE(get(&self->dev, 100, 0));
	EXPECT_EQ(3, queued(fd));
	close(fd);
}

/* A descriptor of an attribute does not delay removal, and gives ENODEV after it. */
TEST_F(removal, open_attributes)
{
	int fd[3];
	char c;

	fd[0] = attr_open("size", O_RDONLY);
	fd[1] = attr_open("capacity", O_RDWR);
	fd[2] = attr_open("stats/bytes_read", O_RDONLY);
	REMOVE();
	EXPECT_EQ(-ENODEV, res(pread(fd[0], &c, 1, 0)));
	EXPECT_EQ(-ENODEV, res(pread(fd[1], &c, 1, 0)));
	EXPECT_EQ(-ENODEV, res(pwrite(fd[1], "4096", 4, 0)));
	EXPECT_EQ(-ENODEV, res(pread(fd[2], &c, 1, 0)));
	close(fd[0]);
	close(fd[1]);
	close(fd[2]);
}

/* Generation ends: nobody could turn it off by its attribute. */
TEST_F(removal, generator_is_off)
{
	char buf[4096];
	int one = 1;

	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_EQ(0, attr_set("mode", 1));
	ASSERT_TRUE(eventually(queued(self->dev.fd) > 0));
	REMOVE();
	EXPECT_NE(NULL, strstr(fdinfo_text(self->dev.fd), "vfifo-mode:\tmanual\n"));
	while (read(self->dev.fd, buf, sizeof(buf)) > 0)
		;

	/* It stays off: nobody could turn it off any more. */
	EXPECT_EQ(-ENODEV, res(ioctl(self->dev.fd, VFIFO_SET_MODE, &one)));
	EXPECT_NE(NULL, strstr(fdinfo_text(self->dev.fd), "vfifo-mode:\tmanual\n"));
}

/* ---- waiting ---- */

/* What is written after the removal reaches those who polled before it. */
TEST_F(removal, pollers_are_woken)
{
	struct epoll_event event;
	struct pollfd pfd;
	int ep, other;

	other = vfifo_open(O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, other);
	ep = epoll_for(other, EPOLLIN | EPOLLET);
	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	self->pid = child_start(2 * DEADLINE);
	if (!self->pid) {
		pfd = (struct pollfd){ .fd = other, .events = POLLIN };
		while (poll(&pfd, 1, -1) == 1 && !(pfd.revents & POLLIN))
			;
		_exit(pfd.revents & POLLIN ? 0 : 1);
	}
	ASSERT_TRUE(child_sleeps(self->pid));
	REMOVE();
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, DEADLINE * 1000));
	EXPECT_TRUE(event.events & EPOLLIN);
	EXPECT_EQ(0, child_end(self->pid));
	self->pid = 0;
	close(ep);
	close(other);
}

/* Adding to an epoll, and closing in either order, after the removal. */
TEST_F(removal, epoll_after_it)
{
	struct epoll_event event;
	int ep, other, order;

	for (order = 0; order < 2; order++) {
		if (order) {
			close(self->dev.fd);
			ASSERT_EQ(0, device_add(NAME));
			self->dev.fd = vfifo_open(O_RDWR | O_NONBLOCK);
		}
		other = vfifo_open(O_RDWR | O_NONBLOCK);
		REMOVE();
		ep = epoll_for(other, EPOLLIN);
		ASSERT_LE(0, ep);
		ASSERT_TRUE(put(&self->dev, 1, 0));
		EXPECT_EQ(1, epoll_wait(ep, &event, 1, DEADLINE * 1000));
		close(order ? ep : other);
		close(order ? other : ep);
	}
}

TEST_F(removal, signals_are_sent)
{
	int other = vfifo_open(O_RDWR | O_NONBLOCK);

	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(other, getpid()));
	REMOVE();
	while (signalled())
		;
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_TRUE(signalled());
	/* Off and on again, and closed while it is on. */
	ASSERT_EQ(0, fcntl(other, F_SETFL, O_NONBLOCK));
	while (signalled())
		;
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_FALSE(signalled());
	ASSERT_EQ(0, want_signals(other, getpid()));
	close(other);
	ASSERT_TRUE(put(&self->dev, 1, 0));
	EXPECT_FALSE(signalled());
}

/* ---- mappings ---- */

TEST_F(removal, mappings_go_on)
{
	size_t len = 2 * self->dev.capacity;
	char *data, *late;

	data = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, self->dev.fd, 0);
	ASSERT_NE(MAP_FAILED, data);
	REMOVE();
	/* Pages are faulted in after the removal, too. */
	data[len / 2 + 5] = 'x';
	EXPECT_EQ('x', data[5]);
	data[0] = 'a';
	ASSERT_EQ(1, write(self->dev.fd, "b", 1));
	EXPECT_EQ('b', data[0]);
	/* Another mapping can be made of the open file. */
	late = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, self->dev.fd, 0);
	ASSERT_NE(MAP_FAILED, late);
	EXPECT_EQ('b', late[len / 2]);
	munmap(late, len);

	/* The mapping alone keeps it, and its number. */
	close(self->dev.fd);
	self->dev.fd = -1;
	data[len - 1] = 'z';
	EXPECT_EQ('z', data[len / 2 - 1]);
	munmap(data, len);
}

TEST_F(removal, claims_go_on)
{
	struct vfifo_end *producer, *consumer;
	int other;

	other = vfifo_open(O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, other);
	producer = claim_end(&self->dev, true);
	ASSERT_NE(NULL, producer);
	REMOVE();

	/* The owner produces; another file reads, and cannot write. */
	store(producer, load(producer) + 4);
	EXPECT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	EXPECT_EQ(4, queued(other));
	EXPECT_EQ(-EBUSY, res(write(other, "x", 1)));

	/* The other end can be claimed after the removal, and both be released. */
	consumer = claim_end(&self->dev, false);
	ASSERT_NE(NULL, consumer);
	store(consumer, load(consumer) + 4);
	EXPECT_EQ(0, queued(other));
	munmap(producer, self->dev.page);
	munmap(consumer, self->dev.page);
	EXPECT_EQ(1, write(other, "x", 1));
	EXPECT_EQ(1, queued(self->dev.fd));

	/* An owner that dies. */
	self->pid = child_start(2 * DEADLINE);
	if (!self->pid) {
		if (claim_end(&self->dev, true))
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	EXPECT_EQ(-SIGKILL, child_end(self->pid));
	self->pid = 0;
	EXPECT_TRUE(eventually(write(other, "x", 1) == 1));
	close(other);
}

/* ---- tracing ---- */

TEST_F(removal, traced)
{
	struct tracer tracer = { 0 };
	const char *why = tracer_setup(_metadata, &tracer);
	char device[16];

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, tracer_store(&tracer, "events/vfifo/enable", "1"));
	/* Events name a device by its minor number. */
	snprintf(device, sizeof(device), "vfifo%u", minor(device_number(NAME)));
	ASSERT_TRUE(put(&self->dev, 5, 0));
	REMOVE();
	ASSERT_TRUE(get(&self->dev, 5, 0));
	device_use(device);
	EXPECT_LE(2, read_events(&tracer));
	if (tracer.count >= 2) {
		EXPECT_STREQ("produce", tracer.events[0].name);
		EXPECT_STREQ("consume", tracer.events[tracer.count - 1].name);
	}
	device_use(NAME);
	EXPECT_EQ(0, tracer_store(&tracer, "events/vfifo/enable", "0"));
	EXPECT_EQ(0, tracer_end(&tracer));
}

/* ---- at the same time ---- */

#define ROUNDS	OFTEN(200)

/* The device is opened in a child all the time; it either opens and works, or is gone. */
TEST_F(removal, while_it_is_opened)
{
	struct { unsigned int stop, opened; char wrong[64]; } *s;
	char c;
	int i, fd;

	s = shared(sizeof(*s));
	ASSERT_NE(NULL, s);
	self->pid = child_start(6 * DEADLINE);
	if (!self->pid) {
		while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
			fd = vfifo_open(O_RDWR | O_NONBLOCK);
			if (fd < 0 && errno != ENOENT && errno != ENXIO) {
				snprintf(s->wrong, sizeof(s->wrong), "open: %s",
					 strerror(errno));
				_exit(1);
			}
			if (fd < 0)
				continue;
			if (write(fd, "x", 1) != 1 || read(fd, &c, 1) != 1) {
				snprintf(s->wrong, sizeof(s->wrong), "it does not work");
				_exit(1);
			}
			__atomic_add_fetch(&s->opened, 1, __ATOMIC_SEQ_CST);
			close(fd);
		}
		_exit(0);
	}
	for (i = 0; i < ROUNDS; i++) {
		unsigned int before = s->opened;

		if (i % 4 == 0)
			ASSERT_TRUE(eventually(s->opened != before));
		REMOVE();
		ASSERT_EQ(0, device_add(NAME " capacity=1"));
	}
	__atomic_store_n(&s->stop, 1, __ATOMIC_SEQ_CST);
	EXPECT_EQ(0, child_end(self->pid)) {
		TH_LOG("%s", s->wrong);
	}
	self->pid = 0;
	TH_LOG("%d rounds, opened %u times", ROUNDS, s->opened);
	munmap(s, sizeof(*s));
}

/* Two children that write @text to @path at the same time: the sum of their errors. */
static int at_once(const char *path, const char *text, unsigned int *ready)
{
	pid_t pid[2];
	int i, sum = 0;

	*ready = 0;
	for (i = 0; i < 2; i++) {
		pid[i] = child_start(DEADLINE);
		if (pid[i])
			continue;
		/* Each waits for the other. */
		__atomic_add_fetch(ready, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(ready, __ATOMIC_SEQ_CST) < 2)
			sched_yield();
		_exit(-file_store(path, text));
	}
	for (i = 0; i < 2; i++)
		sum += child_end(pid[i]);
	return sum;
}

/* Of two that remove a device at the same time, one does; likewise when they add it. */
TEST_F(removal, twice_at_once)
{
	unsigned int *ready = shared(sizeof(*ready));
	int i;

	ASSERT_NE(NULL, ready);
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(ENOENT, at_once(DELETE_DEVICE, NAME, ready));
		ASSERT_EQ(NULL, device_left(NAME));
		ASSERT_EQ(EEXIST, at_once(NEW_DEVICE, NAME " capacity=1", ready));
	}
	munmap(ready, sizeof(*ready));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
