// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Overwriting the oldest in mode auto: generated messages overwrite as written ones do, so
 * none is dropped, and they go on when all readers have gone.
 */
#include "vfifo_overwriting_ends.h"

static const char message[] = "AUTO ";

#define LEN		((long)sizeof(message) - 1)

/* Generates messages of this device for at least @count bytes: how many there were. */
static long generate(struct overwriting_data *self, long count)
{
	__u64 from = attr_get("stats/bytes_written");

	if (attr_set("period_ms", 1) || attr_set("mode", 1))
		return -1;
	if (!eventually(attr_get("stats/bytes_written") - from >= (__u64)count))
		return -1;
	/* When this returns, there are no more. */
	if (attr_set("mode", 0))
		return -1;
	return (attr_get("stats/bytes_written") - from) / model_room(&self->m, LEN);
}

/* Reads a message, or @len bytes of it from byte @from on: true if it is right. */
static bool get_message(struct overwriting_data *self, long from, long len)
{
	char buf[LEN];

	if (res(read(self->fd, buf, self->m.records ? LEN : len)) != len)
		return false;
	model_read(&self->m, len);
	return !memcmp(buf, message + from, len);
}

TEST_F(overwriting, message_makes_way)
{
	struct model *m = &self->m;
	long dropped, count, i, left;

	ASSERT_EQ(0, use_capacity(self, self->page));
	dropped = attr_get("stats/dropped");
	ASSERT_TRUE(put_much(self, 2 * self->cap, 777));
	count = generate(self, 500);
	ASSERT_LT(0, count);
	for (i = 0; i < count; i++)
		model_written(m, LEN);
	EXPECT_AS(m);
	EXPECT_EQ(dropped, attr_get("stats/dropped"));
	/* First what is left of the others. */
	while (model_size(m) > count * model_room(m, LEN)) {
		left = model_size(m) - count * model_room(m, LEN);
		ASSERT_LT(0, model_get(m, self->fd, left < 777 ? left : 777));
	}
	for (i = 0; i < count && model_size(m); i++) {
		EXPECT_AS(m);
		ASSERT_TRUE(get_message(self, 0, LEN));
	}
	EXPECT_AS(m);
}

/* More messages than fit: the newest are there. */
TEST_F_TIMEOUT(overwriting, messages_alone, 60)
{
	struct model *m = &self->m;
	long dropped, count, i, phase;

	ASSERT_EQ(0, use_capacity(self, self->page));
	dropped = attr_get("stats/dropped");
	count = generate(self, self->cap + 500);
	ASSERT_LT(0, count);
	for (i = 0; i < count; i++)
		model_written(m, LEN);
	EXPECT_AS(m);
	EXPECT_LT(self->cap - model_room(m, LEN), model_size(m));
	EXPECT_EQ(dropped, attr_get("stats/dropped"));
	/* A stream may begin in the middle of a message. */
	phase = variant->records ? 0 : model_size(m) % LEN;
	if (phase)
		EXPECT_TRUE(get_message(self, LEN - phase, phase));
	for (i = model_size(m) / model_room(m, LEN); i; i--)
		ASSERT_TRUE(get_message(self, 0, LEN));
	EXPECT_AS(m);
}

TEST_F_TIMEOUT(overwriting, beside_a_writer_and_a_reader, 60)
{
	long dropped, read_before, i, ret;
	char buf[200];
	pid_t pid;

	ASSERT_EQ(0, use_capacity(self, self->page));
	dropped = attr_get("stats/dropped");
	read_before = attr_get("stats/bytes_read");
	pid = child_start(6 * DEADLINE);
	self->e.pid[0] = pid;
	if (!pid) {
		memset(buf, 'w', sizeof(buf));
		for (;;)
			if (write(self->fd, buf, 100) != 100)
				_exit(1);
	}
	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_EQ(0, attr_set("mode", 1));
	for (i = 0; i < OFTEN(2000); i++) {
		ret = res(read(self->fd, buf, sizeof(buf)));
		ASSERT_LT(0, ret);
		if (!variant->records)
			continue;
		/* Each record is one or the other. */
		ASSERT_TRUE(ret == LEN ? !memcmp(buf, message, LEN) :
					 ret == 100 && buf[0] == 'w' &&
					 !memcmp(buf, buf + 1, 99)) {
			TH_LOG("read %ld: %ld bytes", i, ret);
		}
	}
	ASSERT_EQ(0, attr_set("mode", 0));
	ASSERT_NE('Z', child_state(pid));
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	EXPECT_EQ(dropped, attr_get("stats/dropped"));
	EXPECT_LT(read_before, attr_get("stats/bytes_read"));
	EXPECT_EQ(0, bytes_missing());
}

/* While the producer's end is claimed, messages are dropped, and nothing makes way. */
TEST_F(overwriting, beside_a_claim)
{
	struct model *m = &self->m;
	struct producer p;
	long dropped;

	ASSERT_TRUE(put_much(self, 2 * self->cap, 777));
	ASSERT_EQ(0, attr_set("period_ms", VFIFO_PERIOD * 1000));
	ASSERT_EQ(0, attr_set("mode", 1));
	ASSERT_EQ(0, producer_open(&p, self->dev.fd));
	ASSERT_EQ(0, attr_set("period_ms", 1));
	dropped = attr_get("stats/dropped");
	EXPECT_TRUE(eventually(attr_get("stats/dropped") > dropped + 3));
	EXPECT_AS(m);
	/* Nothing is generated from here on. */
	ASSERT_EQ(0, attr_set("mode", 0));
	area_unmap(&p.area);
	dropped = attr_get("stats/dropped");
	EXPECT_AS(m);
	ASSERT_EQ(0, attr_set("mode", 1));
	EXPECT_TRUE(eventually(attr_get("stats/bytes_overwritten") > m->overwritten));
	EXPECT_EQ(dropped, attr_get("stats/dropped"));
	ASSERT_EQ(0, attr_set("mode", 0));
}

/* With hangup 1, the recorder of a writer ends with its readers, this one does not. */
TEST_F(overwriting, after_the_last_reader)
{
	long dropped, count;
	int r;

	ASSERT_TRUE(put_much(self, 2 * self->cap, 777));
	shut(&self->fd);
	shut(&self->dev.fd);
	ASSERT_EQ(0, attr_set("hangup", 1));
	self->dev.fd = OPEN(O_WRONLY | O_NONBLOCK);
	r = OPEN(O_RDONLY);
	close(r);
	EXPECT_EPIPE(write_one(self->dev.fd));
	dropped = attr_get("stats/dropped");
	count = generate(self, 200);
	EXPECT_LT(0, count);
	EXPECT_EQ(dropped, attr_get("stats/dropped"));
	EXPECT_FALSE(took(SIGPIPE));
	EXPECT_EPIPE(write_one(self->dev.fd));
	EXPECT_EQ(0, bytes_missing());
	EXPECT_LT(self->cap - model_room(&self->m, 777), attr_get("size"));
	shut(&self->dev.fd);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
