// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Calls that go through kernel memory, as theirs does not stay resident, and what others do
 * while such a call waits for a page: end a claim, change the settings, write. Whenever
 * that is, nothing is lost, torn or read twice, and a message goes to the first byte of the
 * buffer.
 */
#include "vfifo_overwriting_ends.h"
#include "vfifo_dropper.h"

/* Where a message is in that memory: in two pages. It is not longer than one. */
#define FROM		2100
#define LEN		4000

/* There are fewer faults than this. */
#define FAULTS		40

/* What the process does, and its thread meanwhile. */
static struct {
	int fd;
	bool records;
	bool again;		/* another message takes the place of the first one */
	bool kind;		/* the framing changes, and not "overwrite" */
	struct producer owner;
	__u64 start;		/* of what it has published */
	char *spare;
} scene;

/* The last byte of messages. */
static char *message(char last)
{
	memset(scene.spare, last, LEN);
	return scene.spare;
}

/* Called first: NULL, or why the test is skipped. */
static const char *begin(struct overwriting_data *self, bool records, struct dropper **d)
{
	*d = shared(sizeof(**d));
	if (!*d || !dropper_begin(*d))
		return "no memory";
	scene.fd = self->dev.fd;
	scene.records = records;
	scene.spare = malloc(self->cap);
	return no_userfaultfd((*d)->memory, MANY_PAGES * (*d)->page);
}

static void end(struct dropper *d)
{
	free(scene.spare);
	munmap(d->memory, MANY_PAGES * d->page);
	munmap(d, sizeof(*d));
}

static bool passes(struct overwriting_data *self)
{
	char *buf = self->m.buf;

	return write(self->dev.fd, "message", 8) == 8 && queued(self->dev.fd) == 8 &&
	       read(self->dev.fd, buf, 16) == 8 && !memcmp(buf, "message", 8);
}

/* ---- the end of a claim ---- */

/* The owner spoils what it has published, and leaves. */
static void owner_leaves(struct dropper *d)
{
	(void)d;
	if (scene.records)
		store_header(&scene.owner.area, scene.start, 0);
	else
		store(scene.owner.area.producer, scene.start);
	area_unmap(&scene.owner.area);
	if (scene.again && write(scene.fd, message('b'), LEN) != LEN)
		_exit(97);
}

/* In a process: publishes a message and reads it. Its exit status is the last byte. */
static int read_beside_an_owner(struct dropper *d)
{
	if (producer_open(&scene.owner, scene.fd))
		return 98;
	scene.start = scene.owner.head;
	if (!producer_room(&scene.owner, LEN + HEADER))
		return 98;
	memset(area_at(&scene.owner.area, scene.start) + (scene.records ? HEADER : 0),
	       'a', LEN);
	if (scene.records)
		store_header(&scene.owner.area, scene.start, raw_header(LEN, 0));
	producer_publish(&scene.owner, scene.records ? record_size(LEN) : LEN);
	if (!dropper_start(d))
		return 98;
	d->ret = res(read(scene.fd, d->memory + FROM, LEN));
	return d->ret == LEN ? d->memory[FROM + LEN - 1] : 0;
}

TEST_F_TIMEOUT(overwriting, claim_ends_under_a_reader, 200)
{
	const char *why;
	struct dropper *d;
	long left, want;
	int i, last;

	why = begin(self, variant->records, &d);
	if (why)
		SKIP(return, "%s", why);
	d->act = owner_leaves;
	for (i = 0; i < 4 * FAULTS; i++) {
		/* Every fault, and with each of the settings. */
		ASSERT_EQ(0, use_overwrite(self, i & 1));
		scene.again = i & 2;
		dropper_reset(d);
		d->act_at = 1 + i / 4;
		self->e.pid[0] = child_start(3 * DEADLINE);
		if (!self->e.pid[0])
			_exit(read_beside_an_owner(d));
		ASSERT_TRUE(eventually(child_state(self->e.pid[0]) == 'Z'));
		last = child_end(self->e.pid[0]);
		self->e.pid[0] = 0;
		ASSERT_TRUE(eventually(!attr_get("producer_claimed")));
		left = res(read(self->dev.fd, self->m.buf, 2 * LEN));
		ASSERT_TRUE((d->ret == LEN && last) || (d->ret == -EAGAIN && !last)) {
			TH_LOG("fault %d: %ld, status %d", d->act_at, d->ret, last);
		}
		/* It is the message that is gone now. */
		if (scene.again && d->met >= d->act_at && last != 'b')
			want = LEN;
		else
			want = -EAGAIN;
		ASSERT_EQ(want, left) {
			TH_LOG("fault %d: %ld with status %d", d->act_at, d->ret, last);
		}
		ASSERT_TRUE(left < 0 || self->m.buf[left - 1] == 'b');
		ASSERT_EQ(0, attr_get("size"));
		ASSERT_EQ(0, bytes_missing());
		ASSERT_TRUE(passes(self)) {
			TH_LOG("fault %d, overwrite %d", d->act_at, i & 1);
		}
		if (d->met < d->act_at && i % 4 == 3)
			break;
	}
	EXPECT_GT(4 * FAULTS, i);
	ASSERT_EQ(0, use_overwrite(self, true));
	end(d);
}

/* ---- a change of the settings ---- */

static void settings_change(struct dropper *d)
{
	(void)d;
	while (read(scene.fd, scene.spare, 2 * LEN) > 0)
		;
	if (scene.kind)
		attr_store("framing", scene.records ? "stream" : "record");
	else
		attr_set("overwrite", !attr_get("overwrite"));
	if (scene.again && write(scene.fd, message('b'), LEN) != LEN)
		_exit(97);
}

/* As before, whatever they were. */
static bool set_back(struct overwriting_data *self, bool overwrite)
{
	return !ioctl(self->dev.fd, VFIFO_CLEAR) &&
	       !attr_store("framing", scene.records ? "record" : "stream") &&
	       !use_overwrite(self, overwrite);
}

TEST_F_TIMEOUT(overwriting, settings_change_under_a_reader, 200)
{
	const char *why;
	struct dropper *d;
	int i, last;

	why = begin(self, variant->records, &d);
	if (why)
		SKIP(return, "%s", why);
	scene.again = true;
	d->act = settings_change;
	for (i = 0; i < 4 * FAULTS; i++) {
		ASSERT_TRUE(set_back(self, i & 1));
		scene.kind = i & 2;
		dropper_reset(d);
		d->act_at = 1 + i / 4;
		ASSERT_EQ(LEN, res(write(self->dev.fd, message('a'), LEN)));
		self->e.pid[0] = child_start(3 * DEADLINE);
		if (!self->e.pid[0]) {
			if (!dropper_start(d))
				_exit(98);
			d->ret = res(read(scene.fd, d->memory + FROM, 2 * LEN));
			_exit(d->ret == LEN ? d->memory[FROM + LEN - 1] : 0);
		}
		ASSERT_TRUE(eventually(child_state(self->e.pid[0]) == 'Z'));
		last = child_end(self->e.pid[0]);
		self->e.pid[0] = 0;
		ASSERT_EQ(LEN, d->ret) {
			TH_LOG("fault %d, %s", d->act_at,
			       scene.kind ? "framing" : "overwrite");
		}
		ASSERT_EQ(d->met < d->act_at ? 'a' : 'b', last) {
			TH_LOG("fault %d, %s", d->act_at,
			       scene.kind ? "framing" : "overwrite");
		}
		ASSERT_EQ(0, attr_get("size"));
		ASSERT_EQ(0, bytes_missing());
		if (d->met < d->act_at && i % 4 == 3)
			break;
	}
	EXPECT_GT(4 * FAULTS, i);
	ASSERT_TRUE(set_back(self, true));
	end(d);
}

TEST_F_TIMEOUT(overwriting, settings_change_under_a_writer, 200)
{
	const char *why;
	struct dropper *d;
	int i;

	why = begin(self, variant->records, &d);
	if (why)
		SKIP(return, "%s", why);
	scene.again = false;
	d->act = settings_change;
	for (i = 0; i < 4 * FAULTS; i++) {
		ASSERT_TRUE(set_back(self, i & 1));
		scene.kind = i & 2;
		dropper_reset(d);
		d->act_at = 1 + i / 4;
		self->e.pid[0] = child_start(3 * DEADLINE);
		if (!self->e.pid[0]) {
			if (!dropper_start(d))
				_exit(98);
			d->ret = res(write(scene.fd, d->memory + FROM, LEN));
			_exit(0);
		}
		ASSERT_TRUE(drops_end(&self->e.pid[0]));
		/* A stream may have been written in part, and taken by that thread. */
		if (d->ret != LEN && !variant->records && scene.kind &&
		    d->met >= d->act_at && d->ret > 0) {
			ASSERT_EQ(0, attr_get("size"));
			continue;
		}
		ASSERT_EQ(LEN, d->ret) {
			TH_LOG("fault %d, %s", d->act_at,
			       scene.kind ? "framing" : "overwrite");
		}
		if (attr_get("size") >= LEN) {
			ASSERT_EQ(LEN, res(read(scene.fd, self->m.buf, 2 * LEN)));
			ASSERT_TRUE(stream_equal(self->m.buf, LEN, FROM));
		}
		ASSERT_EQ(0, bytes_missing());
		if (d->met < d->act_at && i % 4 == 3)
			break;
	}
	EXPECT_GT(4 * FAULTS, i);
	ASSERT_TRUE(set_back(self, true));
	end(d);
}

/* ---- bad memory ---- */

/* The bytes before it count, and stay taken. A record is read as a whole or not at all. */
TEST_F_TIMEOUT(overwriting, page_turns_out_bad, 200)
{
	const char *why;
	struct dropper *d;
	long want;
	int i;

	why = begin(self, variant->records, &d);
	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < 2 * FAULTS; i++) {
		ASSERT_EQ(0, use_overwrite(self, i & 1));
		dropper_reset(d);
		d->bad_at = 1 + i / 2;
		ASSERT_EQ(LEN, res(write(self->dev.fd, message('a'), LEN)));
		self->e.pid[0] = child_start(3 * DEADLINE);
		if (!self->e.pid[0]) {
			if (!dropper_start(d))
				_exit(98);
			d->ret = res(read(scene.fd, d->memory + FROM, LEN));
			_exit(0);
		}
		ASSERT_TRUE(drops_end(&self->e.pid[0]));
		want = LEN;
		if (d->met >= d->bad_at)
			want = variant->records || d->bad <= d->memory + FROM ?
			       -EFAULT : d->bad - (d->memory + FROM);
		ASSERT_EQ(want, d->ret) {
			TH_LOG("fault %d, overwrite %d", d->bad_at, i & 1);
		}
		ASSERT_EQ(LEN - (want > 0 ? want : 0), queued(self->dev.fd));
		ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
		ASSERT_EQ(0, bytes_missing());
		if (d->met < d->bad_at && i % 2)
			break;
	}
	EXPECT_GT(2 * FAULTS, i);
	ASSERT_EQ(0, use_overwrite(self, true));
	end(d);
}

/* ---- writers ---- */

/* Every write replaces everything. A reader waits for one, and so always finds something. */
TEST_F_TIMEOUT(overwriting, everything_is_replaced_all_the_time, 200)
{
	long len = self->page - (variant->records ? HEADER : 0), i;
	const char *why;
	struct dropper *d;

	why = begin(self, variant->records, &d);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, use_capacity(self, self->page));
	ASSERT_EQ(len, res(write(self->dev.fd, message('a'), len)));
	self->e.pid[1] = child_start(18 * DEADLINE);
	while (!self->e.pid[1])
		if (write(self->fd, scene.spare, len) != len)
			_exit(1);
	dropper_reset(d);
	self->e.pid[0] = child_start(15 * DEADLINE);
	if (!self->e.pid[0]) {
		if (!dropper_start(d))
			_exit(98);
		for (i = 0; i < OFTEN(30); i++) {
			while (attr_get("size") <= 0)
				;
			d->ret = res(read(scene.fd, d->memory + FROM, len));
			if (d->ret <= 0)
				_exit(1);
		}
		_exit(0);
	}
	EXPECT_TRUE(eventually(child_state(self->e.pid[0]) == 'Z'));
	EXPECT_EQ(0, child_end(self->e.pid[0])) {
		TH_LOG("read: %ld after %d faults", d->ret, d->met);
	}
	self->e.pid[0] = 0;
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[1]));
	end(d);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
