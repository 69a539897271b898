// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * The attribute "overwrite": its values, when it can change, and what a change does to
 * those who wait and to what is queued.
 */
#include "vfifo_devices.h"
#include "vfifo_overwriting_ends.h"

#define LEN		777

/* The flags that VFIFO_GET_INFO returns for one file. */
static __u64 info_flags(int fd)
{
	struct vfifo_info info = { .size = sizeof(info) };

	return ioctl(fd, VFIFO_GET_INFO, &info) ? 0 : info.flags;
}

/* Fills a FIFO that does not overwrite, except for less than a message. */
static bool fill(struct overwriting_data *self)
{
	while (self->m.cap - model_size(&self->m) >= model_room(&self->m, LEN))
		if (model_put(&self->m, self->dev.fd, LEN) != LEN)
			return false;
	return model_put(&self->m, self->dev.fd, LEN) == -EAGAIN;
}

/* ---- values ---- */

TEST_F(overwriting, values)
{
	static const char *const good[] = { "0", "1", "1\n", "1", "0\n", "0", "1" };
	static const char *const bad[] = {
		"\n", "2", "-1", "01", "00", "0x1", "1 ", " 1", "1\n\n", "on", "yes",
		"true", "y", "+1", "11", "0 1",
	};
	size_t i, now;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_EQ(0, attr_store("overwrite", good[i]));
		EXPECT_EQ(good[i][0] - '0', attr_get("overwrite"));
		EXPECT_EQ(good[i][0] == '1' ? VFIFO_OVERWRITE : 0,
			  info_flags(self->fd) & VFIFO_OVERWRITE);
	}
	for (now = 0; now < 2; now++) {
		ASSERT_EQ(0, attr_set("overwrite", now));
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			EXPECT_EQ(-EINVAL, attr_store("overwrite", bad[i])) {
				TH_LOG("'%s'", bad[i]);
			}
			EXPECT_EQ(now, attr_get("overwrite"));
		}
	}
}

TEST_F(overwriting, new_device)
{
	const char *dir = VFIFO_CLASS "/" TEST_PREFIX "recorder";
	const char *name = TEST_PREFIX "recorder";
	const char *framing = variant->records ? "record" : "stream";
	char line[128], buf[100] = { 0 };
	long i, sum = 0;
	int fd;

	if (access(NEW_DEVICE, W_OK))
		SKIP(return, "cannot add devices");
	devices_forget();
	ASSERT_EQ(0, device_add(name));
	EXPECT_EQ(0, strcmp(file_text(dir, "overwrite"), "0\n"));
	ASSERT_EQ(0, device_delete(name));
	EXPECT_EQ(-EINVAL, device_add(TEST_PREFIX "recorder overwrite=2"));
	EXPECT_EQ(NULL, device_left(name));

	snprintf(line, sizeof(line), "%s overwrite=1 framing=%s capacity=%ld", name,
		 framing, self->page);
	ASSERT_EQ(0, device_add(line));
	EXPECT_EQ(0, strcmp(file_text(dir, "overwrite"), "1\n"));
	fd = device_open(name, O_RDWR | O_NONBLOCK);
	EXPECT_LE(0, fd);
	for (i = 0; i < 2 * self->page; i += sizeof(buf))
		EXPECT_EQ((long)sizeof(buf), res(write(fd, buf, sizeof(buf))));
	while (read(fd, buf, sizeof(buf)) > 0)
		sum++;
	EXPECT_EQ(variant->records ? self->page / record_size(sizeof(buf)) :
				     self->page / (long)sizeof(buf) + 1, sum);
	close(fd);
	EXPECT_EQ(0, device_delete(name));
}

/* ---- what is mapped ---- */

/* Maps something: its address, or MAP_FAILED. */
static void *map_something(struct overwriting_data *self, int what, size_t *len)
{
	struct vfifo_info info = { .size = sizeof(info) };
	int prot = what & 1 ? PROT_READ | PROT_WRITE : PROT_READ;
	__u64 offset;

	if (ioctl(self->fd, VFIFO_GET_INFO, &info))
		return MAP_FAILED;
	*len = self->page;
	offset = what / 2 ? info.producer_offset : info.data_offset;
	if (what / 2 == 2)
		offset = info.consumer_offset;
	return mmap(NULL, *len, prot, MAP_SHARED, self->fd, offset);
}

#define THINGS	6

TEST_F(overwriting, mapped)
{
	int what, now;
	size_t len;
	void *p;

	ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
	for (what = 0; what < 2 * THINGS; what++) {
		now = what / THINGS;
		ASSERT_EQ(0, attr_set("overwrite", now));
		p = map_something(self, what % THINGS, &len);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(0, attr_set("overwrite", now));
		EXPECT_EQ(-EBUSY, attr_set("overwrite", !now));
		EXPECT_EQ(-EINVAL, attr_set("overwrite", 2));
		EXPECT_EQ(now, attr_get("overwrite"));
		munmap(p, len);
		EXPECT_EQ(0, attr_set("overwrite", !now));
	}
	ASSERT_EQ(0, attr_set("overwrite", 1));
	EXPECT_AS(&self->m);
	EXPECT_TRUE(model_drained(&self->m, self->dev.fd));
}

TEST_F(overwriting, mapped_by_another_process)
{
	int ready[2];
	pid_t pid;
	size_t len;
	char c;

	ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
	pid = child_start(4 * DEADLINE);
	if (!pid) {
		if (map_something(self, 0, &len) == MAP_FAILED ||
		    write(ready[1], "m", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	EXPECT_EQ(-EBUSY, attr_set("overwrite", 0));
	EXPECT_EQ(0, attr_set("overwrite", 1));
	EXPECT_EQ(-SIGKILL, child_kill(&pid));
	EXPECT_TRUE(eventually(attr_set("overwrite", 0) != -EBUSY));
	EXPECT_EQ(0, attr_get("overwrite"));
}

/* "oldest" is where the first byte is, from the change on. */
TEST_F(overwriting, oldest_in_the_page)
{
	struct area a;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(put_much(self, 2 * self->cap, LEN));
		ASSERT_EQ(0, area_map(&a, self->fd, 0));
		EXPECT_EQ(self->m.head, load(a.producer));
		EXPECT_EQ(self->m.tail, load_oldest(a.producer));
		area_unmap(&a);
		ASSERT_EQ(0, use_overwrite(self, 0));
		ASSERT_EQ(0, area_map(&a, self->fd, 0));
		EXPECT_EQ(self->m.tail, load(a.consumer));
		area_unmap(&a);
		ASSERT_LT(0, model_get(&self->m, self->dev.fd, LEN));
		ASSERT_EQ(0, use_overwrite(self, 1));
		ASSERT_EQ(0, area_map(&a, self->fd, 0));
		EXPECT_EQ(self->m.tail, load_oldest(a.producer));
		EXPECT_EQ(self->m.tail, load(a.consumer));
		area_unmap(&a);
		EXPECT_AS(&self->m);
	}
}

/* ---- from 0 to 1 ---- */

TEST_F(overwriting, switched_on_wakes_writers)
{
	const long len = 100, large = 2 * PIPE_BUF;
	struct model *m = &self->m;
	long sum;
	int i;

	self->waits = true;
	ASSERT_EQ(0, use_overwrite(self, 0));
	ASSERT_TRUE(fill(self));
	while (model_put(m, self->dev.fd, 1) == 1)
		;
	SLEEP_IN(&self->e, 0, -1, write(self->fd, bytes_at(0), len));
	SLEEP_IN(&self->e, 1, -1, write(self->fd, bytes_at(0), PIPE_BUF));
	SLEEP_IN(&self->e, 2, -1, write(self->fd, bytes_at(0), large));
	SLEEP_IN(&self->e, 3, -1, write(self->fd, bytes_at(0), len + 1));
	EXPECT_AS(m);
	ASSERT_EQ(0, use_overwrite(self, 1));
	EXPECT_RETURNS(&self->e, 0, len, 0);
	EXPECT_RETURNS(&self->e, 1, PIPE_BUF, 0);
	EXPECT_RETURNS(&self->e, 2, large, 0);
	EXPECT_RETURNS(&self->e, 3, len + 1, 0);
	sum = model_room(m, len) + model_room(m, PIPE_BUF) + model_room(m, large) +
	      model_room(m, len + 1);
	EXPECT_EQ(m->head + sum, (__u64)attr_get("stats/bytes_written"));
	EXPECT_EQ(0, bytes_missing());
	for (i = 0; i < 3; i++)
		EXPECT_EQ(50, res(write(self->fd, bytes_at(0), 50)));
}

TEST_F(overwriting, switched_on_wakes_pollers)
{
	const enum wait_by by[] = { BY_POLL, BY_EPOLL, BY_SELECT, BY_NESTED_EPOLL };
	struct waiters w;
	size_t i;

	ASSERT_EQ(0, use_overwrite(self, 0));
	ASSERT_TRUE(fill(self));
	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(self->dev.fd, getpid()));
	signalled();
	ASSERT_TRUE(waiters_begin(&w));
	for (i = 0; i < ARRAY_SIZE(by); i++)
		ASSERT_TRUE(waiter_start(&w, by[i], self->dev.fd, POLLOUT, NULL));
	ASSERT_TRUE(waiter_start(&w, BY_EPOLL, self->dev.fd, EPOLLOUT | EPOLLET,
				 NULL));
	ASSERT_EQ(0, told_all(&w));
	EXPECT_FALSE(signalled());
	ASSERT_EQ(0, use_overwrite(self, 1));
	EXPECT_EQ(w.count, told_all(&w));
	EXPECT_TRUE(signalled());
	waiters_end(&w);
	EXPECT_AS(&self->m);
}

/* ---- from 1 to 0 ---- */

TEST_F(overwriting, switched_off_with_bytes_gone)
{
	struct model *m = &self->m;
	long i;

	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(put_much(self, 3 * self->cap, LEN + i));
		if (i & 1) {
			ASSERT_TRUE(model_reduced(m, self->dev.fd,
						  self->cap - 2 * PIPE_BUF, LEN + i));
			EXPECT_AS(m);
			ASSERT_EQ(0, use_overwrite(self, 0));
			EXPECT_AS(m);
			ASSERT_TRUE(fill(self));
		}
		ASSERT_EQ(0, use_overwrite(self, 0));
		EXPECT_EQ(-EAGAIN, model_put(m, self->dev.fd, PIPE_BUF));
		EXPECT_EQ(POLLIN, poll_now(self->dev.fd, POLLIN | POLLOUT));
		EXPECT_AS(m);
		if (i & 2)
			ASSERT_TRUE(model_drained(m, self->dev.fd));
		ASSERT_EQ(0, use_overwrite(self, 1));
		EXPECT_AS(m);
	}
	EXPECT_TRUE(model_drained(m, self->dev.fd));
	EXPECT_AS(m);
}

/* A call that is under way waits from then on, and goes on when it is switched back. */
TEST_F_TIMEOUT(overwriting, switched_under_a_writer, 60)
{
	long len = variant->records ? 1000 : 3 * self->cap, done = 0;
	struct outcome *out = self->e.out;
	__u64 written;
	pid_t pid;
	int i;

	self->waits = true;
	pid = child_start(6 * DEADLINE);
	self->e.pid[0] = pid;
	if (!pid) {
		while ((out->ret = res(write(self->fd, bytes_at(0), len))) == len)
			out->signals++;
		_exit(1);
	}
	for (i = 0; i < 20; i++) {
		written = attr_get("stats/bytes_written");
		ASSERT_TRUE(eventually(attr_get("stats/bytes_written") - written >
				       2 * self->cap));
		ASSERT_EQ(0, attr_set("overwrite", 0));
		ASSERT_TRUE(child_sleeps(pid));
		written = attr_get("stats/bytes_written");
		EXPECT_GE(self->cap, attr_get("size"));
		EXPECT_LT(self->cap - (variant->records ? record_size(len) : 1),
			  attr_get("size"));
		EXPECT_EQ(0, bytes_missing());
		EXPECT_EQ(written, (__u64)attr_get("stats/bytes_written"));
		done = out->signals;
		ASSERT_EQ(0, attr_set("overwrite", 1));
		ASSERT_TRUE(eventually(out->signals > done));
	}
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	EXPECT_EQ(len, out->ret);
}

TEST_F(overwriting, switched_under_a_reader)
{
	struct model *m = &self->m;
	int i;

	SLEEP_IN(&self->e, 0, -1, model_reads(m, self->fd, LEN));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, use_overwrite(self, i & 1));
		EXPECT_STILL_SLEEPS(&self->e, 0);
	}
	ASSERT_EQ(LEN, model_put(m, self->dev.fd, LEN));
	EXPECT_RETURNS(&self->e, 0, LEN, 0);
	model_read(m, LEN);
	EXPECT_AS(m);
}

/* ---- beside the others ---- */

TEST_F(overwriting, beside_the_others)
{
	ASSERT_EQ(0, attr_set("hangup", 1));
	ASSERT_EQ(0, attr_set("capacity", 2 * self->cap));
	EXPECT_EQ(1, attr_get("overwrite"));
	ASSERT_EQ(0, attr_set("overwrite", 0));
	EXPECT_EQ(1, attr_get("hangup"));
	EXPECT_EQ(2 * self->cap, attr_get("capacity"));
	EXPECT_EQ(0, strcmp(attr_text("framing"),
			    variant->records ? "record\n" : "stream\n"));
	EXPECT_EQ(0, attr_get("mode"));
	EXPECT_EQ(VFIFO_HANGUP | (variant->records ? VFIFO_RECORDS : 0),
		  info_flags(self->fd));
	ASSERT_EQ(0, attr_set("overwrite", 1));
	EXPECT_EQ(VFIFO_HANGUP | (variant->records ? VFIFO_RECORDS : 0) |
		  VFIFO_OVERWRITE, info_flags(self->fd));
}

/* The framing changes only while nothing is queued, whatever is gone. */
TEST_F(overwriting, framing_changes)
{
	const char *const names[] = { "stream", "record" };
	struct model *m = &self->m;
	bool records = variant->records;
	struct counts c, now;
	int i;

	for (i = 0; i < 6; i++) {
		ASSERT_TRUE(put_much(self, i % 3 * self->cap + 1, LEN));
		EXPECT_EQ(-EBUSY, attr_store("framing", names[!records]));
		EXPECT_EQ(0, attr_store("framing", names[records]));
		EXPECT_AS(m);
		ASSERT_TRUE(model_drained(m, self->dev.fd));
		c = counts_now();
		records = !records;
		ASSERT_EQ(0, attr_store("framing", names[records]));
		now = counts_now();
		/* Positions are rounded up. */
		EXPECT_EQ(c.overwritten, now.overwritten);
		EXPECT_EQ(c.read, now.read);
		EXPECT_EQ(records ? (c.written + 7) / 8 * 8 : c.written, now.written);
		EXPECT_EQ(0, bytes_missing());
		m->records = records;
		m->head = now.written;
		m->tail = now.written;
		m->cleared = now.cleared;
		EXPECT_AS(m);
	}
	/* For the teardown. */
	EXPECT_EQ(variant->records, records);
}

/* ---- many changes ---- */

/* Nobody sees a state in between, whatever is asked and how often. */
TEST_F_TIMEOUT(overwriting, changes_are_not_seen, 60)
{
	long keep, next, i, n;
	struct counts c;
	pid_t pid;

	ASSERT_TRUE(put_much(self, 3 * self->cap, LEN));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	ASSERT_EQ(500, res(write(self->fd, bytes_at(0), 500)));
	ASSERT_EQ(100, res(write(self->fd, bytes_at(0), 100)));
	keep = attr_get("size");
	next = queued(self->fd);
	c = counts_now();
	pid = child_start(6 * DEADLINE);
	self->e.pid[0] = pid;
	if (!pid) {
		for (i = 0; !attr_set("overwrite", i & 1); i++)
			;
		_exit(1);
	}
	for (i = 0; i < OFTEN(10000); i++) {
		n = poll_now(self->dev.fd, POLLIN | POLLOUT);
		ASSERT_EQ(POLLIN | POLLOUT, n) {
			TH_LOG("look %ld: poll returns %#lx", i, n);
		}
		ASSERT_EQ(next, queued(self->fd)) {
			TH_LOG("look %ld", i);
		}
		ASSERT_EQ(keep, attr_get("size")) {
			TH_LOG("look %ld", i);
		}
		ASSERT_EQ(c.overwritten, (__u64)attr_get("stats/bytes_overwritten"));
		ASSERT_EQ(c.read, (__u64)attr_get("stats/bytes_read"));
	}
	ASSERT_NE('Z', child_state(pid));
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	ASSERT_EQ(0, attr_set("overwrite", 1));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
