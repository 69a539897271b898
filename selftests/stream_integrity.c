// SPDX-License-Identifier: GPL-2.0
/*
 * Several writers and readers at once: no record is lost, duplicated, torn or reordered.
 */
#include <poll.h>

#include "vfifo_test.h"

#define WRITERS	4
#define READERS	3
#define RECORDS	1000		/* per writer */

struct record {
	__u64 sum;		/* of all following bytes */
	__u32 writer;
	__u32 number;
	__u8 payload[];
};

struct tally {
	int tickets;		/* records not yet claimed by a reader */
	int seen[WRITERS][RECORDS];
};

FIXTURE(records)
{
	struct vfifo dev;
	struct tally *tally;
	long len;		/* of each record */
};

FIXTURE_VARIANT(records)
{
	bool polls;
};

FIXTURE_VARIANT_ADD(records, blocking)
{
	.polls = false,
};

FIXTURE_VARIANT_ADD(records, polling)
{
	.polls = true,
};

FIXTURE_SETUP(records)
{
	__u64 state = vfifo_seed;

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->tally = shared(sizeof(*self->tally));
	ASSERT_NE(NULL, self->tally);
	self->tally->tickets = WRITERS * RECORDS;
	/* Atomic sizes; odd, so that records straddle the end of the buffer. */
	self->len = (64 + rnd(&state) % (PIPE_BUF - 64)) | 1;
}

FIXTURE_TEARDOWN(records)
{
	munmap(self->tally, sizeof(*self->tally));
	vfifo_teardown(&self->dev);
}

static __u64 record_sum(const struct record *rec, long len)
{
	const __u8 *p = (const __u8 *)rec;
	__u64 sum = vfifo_seed;
	long i;

	for (i = sizeof(rec->sum); i < len; i++)
		sum = (sum ^ p[i]) * 0x100000001b3ULL;
	return sum;
}

/* One read or write, which uses poll() if the descriptor does not block. */
static long transfer(int fd, bool out, void *buf, long len)
{
	struct pollfd p = { .fd = fd, .events = out ? POLLOUT : POLLIN };
	long ret;

	for (;;) {
		ret = res(out ? write(fd, buf, len) : read(fd, buf, len));
		if (ret != -EAGAIN)
			return ret;
		if (poll(&p, 1, -1) < 0)
			return -errno;
	}
}

TEST_F_TIMEOUT(records, integrity, 60)
{
	int flags = variant->polls ? O_NONBLOCK : 0;
	pid_t pid[WRITERS + READERS];
	int i, j;

	LOG_SEED();
	for (i = 0; i < WRITERS + READERS; i++) {
		bool out = i < WRITERS;
		long last[WRITERS];
		struct record *rec;
		int fd;

		pid[i] = child_start(5 * DEADLINE);
		ASSERT_LE(0, pid[i]);
		if (pid[i])
			continue;

		fd = vfifo_open(flags | (out ? O_WRONLY : O_RDONLY));
		EXPECT_LE(0, fd);
		rec = malloc(self->len);
		for (j = 0; out && j < RECORDS; j++) {
			rec->writer = i;
			rec->number = j;
			stream_fill(rec->payload, self->len - sizeof(*rec),
				    ((__u64)i << 32) + j * PIPE_BUF);
			rec->sum = record_sum(rec, self->len);
			EXPECT_EQ(self->len,
				  transfer(fd, true, rec, self->len)) {
				_exit(1);
			}
		}
		for (j = 0; j < WRITERS; j++)
			last[j] = -1;
		while (!out && __atomic_fetch_sub(&self->tally->tickets, 1,
						  __ATOMIC_RELAXED) > 0) {
			EXPECT_EQ(self->len,
				  transfer(fd, false, rec, self->len)) {
				_exit(1);
			}
			EXPECT_EQ(record_sum(rec, self->len), rec->sum) {
				_exit(1);
			}
			EXPECT_GT(WRITERS, (int)rec->writer) {
				_exit(1);
			}
			EXPECT_LT(last[rec->writer], (long)rec->number) {
				_exit(1);
			}
			last[rec->writer] = rec->number;
			__atomic_add_fetch(&self->tally->seen[rec->writer]
					   [rec->number % RECORDS], 1,
					   __ATOMIC_RELAXED);
		}
		_exit(0);
	}

	for (i = 0; i < WRITERS + READERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	for (i = 0; i < WRITERS; i++) {
		for (j = 0; j < RECORDS; j++) {
			ASSERT_EQ(1, self->tally->seen[i][j]) {
				TH_LOG("writer %d, record %d", i, j);
			}
		}
	}
	EXPECT_EQ(0, queued(self->dev.fd));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
