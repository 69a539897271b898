// SPDX-License-Identifier: GPL-2.0
/*
 * Several processes that store to the attributes of one device at once.
 */
#include "vfifo_stream.h"

#define STORERS	3
#define LOOKS	300

FIXTURE(storm)
{
	struct vfifo dev;
	int *stop;
};

FIXTURE_VARIANT(storm)
{
	const char *attr;
	/* What each storer alternates between; sizes that are not rounded. */
	long value[STORERS][2];
};

FIXTURE_VARIANT_ADD(storm, mode)
{
	.attr = "mode",
	.value = { { 0, 1 }, { 1, 0 }, { 1, 1 } },
};

FIXTURE_VARIANT_ADD(storm, hangup)
{
	.attr = "hangup",
	.value = { { 0, 1 }, { 1, 0 }, { 1, 1 } },
};

FIXTURE_VARIANT_ADD(storm, overwrite)
{
	.attr = "overwrite",
	.value = { { 0, 1 }, { 1, 0 }, { 1, 1 } },
};

/* All digits differ, so that a mixture matches no value. */
FIXTURE_VARIANT_ADD(storm, period)
{
	.attr = "period_ms",
	.value = { { 1, 3333333 }, { 222222, 44444 }, { 555, 3600000 } },
};

FIXTURE_VARIANT_ADD(storm, capacity)
{
	.attr = "capacity",
	.value = { { 65536, 131072 }, { 262144, 524288 }, { 1048576, 65536 } },
};

FIXTURE_SETUP(storm)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->stop = shared(sizeof(*self->stop));
	ASSERT_NE(NULL, self->stop);
}

FIXTURE_TEARDOWN(storm)
{
	munmap(self->stop, sizeof(*self->stop));
	vfifo_teardown(&self->dev);
}

static bool stopped(int *stop)
{
	return __atomic_load_n(stop, __ATOMIC_SEQ_CST);
}

/*
 * Stores are atomic: a reader sees one of the stored values, never a mixture,
 * and in the end one of those stored last. The file stays open, to store as
 * often as possible.
 */
TEST_F_TIMEOUT(storm, each_store_is_whole, 60)
{
	__s64 until = now_ms() + DEADLINE * 1000;
	bool seen[2 * STORERS] = {}, last;
	int kinds = 0, i, j, fd, len;
	pid_t pid[STORERS];
	char text[32];
	long val;

	LOG_SEED();
	ASSERT_TRUE(put(&self->dev, 5000, 0));
	ASSERT_EQ(0, attr_set(variant->attr, variant->value[0][0]));
	for (i = 0; i < STORERS; i++) {
		__u64 state = vfifo_seed + i;

		pid[i] = child_start(5 * DEADLINE);
		if (pid[i])
			continue;
		fd = attr_open(variant->attr, O_WRONLY);
		do {
			last = stopped(self->stop);
			val = variant->value[i][last || rnd(&state) & 1];
			len = snprintf(text, sizeof(text), "%ld\n", val);
			/* The newline is optional. */
			len -= rnd(&state) & 1;
			EXPECT_EQ(len, res(pwrite(fd, text, len, 0))) {
				_exit(1);
			}
		} while (!last);
		_exit(0);
	}
	/* Until several values have been seen. */
	for (j = 0; j < LOOKS || kinds < 2; j++) {
		ASSERT_GT(until, now_ms());
		val = attr_get(variant->attr);
		for (i = 0; i < 2 * STORERS; i++) {
			if (val == variant->value[i / 2][i % 2])
				break;
		}
		ASSERT_GT(2 * STORERS, i) {
			TH_LOG("%s: %ld", variant->attr, val);
		}
		kinds += !seen[i];
		seen[i] = true;
		sched_yield();
	}
	__atomic_store_n(self->stop, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < STORERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	val = attr_get(variant->attr);
	EXPECT_TRUE(val == variant->value[0][1] || val == variant->value[1][1] ||
		    val == variant->value[2][1]) {
		TH_LOG("%s at the end: %ld", variant->attr, val);
	}
	ASSERT_EQ(0, attr_store("mode", "0"));
	EXPECT_TRUE(get(&self->dev, 5000, 0));
}

/*
 * Several processes change all settings while bytes pass through, except those with which
 * they would not be the same bytes.
 */
TEST_F_TIMEOUT(stream, storm_of_settings, 60)
{
	long page = self->dev.page, total = 16 * self->cap;
	__u64 state = vfifo_seed, pos = 0;
	pid_t pid[STORERS + 1];
	long busy = 0, len;
	char buf[6000];
	int *stop = shared(sizeof(*stop)), i, n;

	ASSERT_NE(NULL, stop);
	LOG_SEED();
	for (i = 0; i < STORERS; i++) {
		pid[i] = child_start(5 * DEADLINE);
		if (pid[i])
			continue;
		state = mix64(vfifo_seed + i);
		while (!stopped(stop)) {
			n = attr_set("period_ms", 1000000 + rnd(&state) % 1000000);
			if (!n)
				n = attr_set("mode", rnd(&state) % 2);
			if (!n)
				n = attr_set("hangup", rnd(&state) % 2);
			if (n)
				_exit(1);
			/* More may be queued than the new size holds. */
			n = attr_set("capacity", page << rnd(&state) % 6);
			if (n && n != -EBUSY)
				_exit(2);
		}
		_exit(0);
	}
	pid[STORERS] = child_start(5 * DEADLINE);
	if (!pid[STORERS]) {
		state = ~vfifo_seed;
		while (pos < (__u64)total) {
			len = 1 + rnd(&state) % sizeof(buf);
			if (len > total - (long)pos)
				len = total - pos;
			stream_fill(buf, len, pos);
			if (write(self->fd, buf, len) != len)
				_exit(1);
			pos += len;
		}
		_exit(0);
	}
	while (pos < (__u64)total) {
		len = res(read(self->fd, buf, 1 + rnd(&state) % sizeof(buf)));
		ASSERT_LT(0, len);
		ASSERT_TRUE(stream_equal(buf, len, pos)) {
			TH_LOG("%ld bytes at %llu", len, (unsigned long long)pos);
		}
		pos += len;
		/* A full FIFO cannot shrink. */
		if (rnd(&state) % 16 == 0) {
			usleep(rnd(&state) % 2000);
			n = attr_set("capacity", page << rnd(&state) % 6);
			ASSERT_TRUE(!n || n == -EBUSY);
			busy += !!n;
		}
	}
	__atomic_store_n(stop, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i <= STORERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	EXPECT_EQ(0, queued(self->fd));
	TH_LOG("%ld resizes refused", busy);
	munmap(stop, sizeof(*stop));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
