// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Many writers and readers at once: each record is read once and whole, and those of one
 * writer in the order in which they were written. Every byte is checked.
 *
 * "-n RECORDS" makes each writer write that many records.
 */
#include <pthread.h>

#include "vfifo_record.h"
#include "vfifo_waiters.h"

#define MOST_WRITERS	8
#define MOST_READERS	6
#define MOST_RECORDS	100000

static unsigned long records;	/* 0: as many as take a few seconds */

/* The start of each record. The rest is the stream from a position that follows from it. */
struct head {
	__u32 sum;		/* of all other bytes */
	__u16 writer;
	__u16 magic;
	__u32 number;
	__u32 len;		/* of the whole record */
};

#define MAGIC	0x7ec0

struct tally {
	long tickets;		/* records that no reader has asked for yet */
	char wrong[256];
	__u8 seen[MOST_WRITERS][MOST_RECORDS];
};

enum how {
	BLOCKING,
	POLLING,
	EPOLLING,
	VECTORS,
};

struct load {
	const char *name;
	int writers, readers;
	enum how how;
	long largest;		/* the length of the largest record */
	long capacity;		/* in pages */
};

static const struct load loads[] = {
	{ "one of each", 1, 1, BLOCKING, 3000, 16 },
	{ "small records", 4, 3, BLOCKING, 60, 1 },
	{ "small records, polling", 4, 3, POLLING, 60, 1 },
	{ "atomic records", 4, 3, BLOCKING, PIPE_BUF, 4 },
	{ "atomic records, polling", 4, 3, POLLING, PIPE_BUF, 4 },
	{ "large records", 4, 3, BLOCKING, 40000, 16 },
	{ "large records in pieces", 4, 3, VECTORS, 40000, 16 },
	{ "large records, with epoll", 3, 3, EPOLLING, 12000, 4 },
	{ "the longest records", 4, 2, BLOCKING, -1, 4 },
	{ "many writers", MOST_WRITERS, 1, BLOCKING, 2000, 2 },
	{ "many readers", 2, MOST_READERS, BLOCKING, 500, 2 },
};

static __u32 sum_of(const struct head *head)
{
	const __u8 *p = (const __u8 *)head;
	__u64 sum = vfifo_seed;
	long i;

	for (i = sizeof(head->sum); i < head->len; i++)
		sum = (sum ^ p[i]) * 0x100000001b3ULL;
	return sum ^ (sum >> 32);
}

/* One call, with poll(2) or epoll(7) before it is repeated, or in three pieces. */
static long transfer(enum how how, int fd, int ep, bool out, void *buf, long len)
{
	struct pollfd p = { .fd = fd, .events = out ? POLLOUT : POLLIN };
	struct iovec iov[] = {
		{ buf, 5 }, { (char *)buf + 5, (len - 5) / 2 },
		{ (char *)buf + 5 + (len - 5) / 2, len - 5 - (len - 5) / 2 },
	};
	struct epoll_event event;
	long ret;

	for (;;) {
		if (how == VECTORS)
			ret = res(out ? writev(fd, iov, 3) : readv(fd, iov, 3));
		else
			ret = res(out ? write(fd, buf, len) : read(fd, buf, len));
		if (ret != -EAGAIN || how == BLOCKING || how == VECTORS)
			return ret;
		/* More than a record that poll promises may not fit yet. */
		if (out && len > PIPE_BUF)
			usleep(200);
		if (how == POLLING ? poll(&p, 1, -1) < 0 :
				     epoll_wait(ep, &event, 1, -1) < 0)
			return -errno;
	}
}

#define FAIL(...) (snprintf(tally->wrong, sizeof(tally->wrong), __VA_ARGS__), 1)

static long largest_of(const struct load *load)
{
	return load->largest < 0 ? longest(attr_get("capacity")) : load->largest;
}

static int write_all(const struct load *load, struct tally *tally, int self,
		     unsigned long count)
{
	int flags = load->how == POLLING || load->how == EPOLLING ? O_NONBLOCK : 0;
	int fd = vfifo_open(O_WRONLY | flags), ep = epoll_for(fd, EPOLLOUT);
	__u64 random = mix64(vfifo_seed + self);
	long most = largest_of(load), len, ret;
	struct head *head = malloc(most);
	unsigned long i;

	for (i = 0; i < count; i++) {
		len = rnd(&random) % 3 ? rnd(&random) % 300 : rnd(&random) % most;
		if (!(rnd(&random) % 16))
			len = most;
		if (len < (long)sizeof(*head))
			len = sizeof(*head);
		if (len > most)
			len = most;
		head->writer = self;
		head->magic = MAGIC;
		head->number = i;
		head->len = len;
		stream_fill(head + 1, len - sizeof(*head),
			    ((__u64)self << 56) + ((__u64)i << 24));
		head->sum = sum_of(head);
		ret = transfer(load->how, fd, ep, true, head, len);
		if (ret != len)
			return FAIL("writer %d, record %lu: %ld of %ld", self, i,
				    ret, len);
	}
	return 0;
}

static int read_some(const struct load *load, struct tally *tally, int self,
		     unsigned long count)
{
	int flags = load->how == POLLING || load->how == EPOLLING ? O_NONBLOCK : 0;
	int fd = vfifo_open(O_RDONLY | flags), ep = epoll_for(fd, EPOLLIN);
	/* Readers whose buffers have different sizes. */
	long most = largest_of(load) + 100 * self, last[MOST_WRITERS], ret;
	struct head *head = malloc(most);
	int i;

	for (i = 0; i < MOST_WRITERS; i++)
		last[i] = -1;
	while (__atomic_fetch_sub(&tally->tickets, 1, __ATOMIC_RELAXED) > 0) {
		ret = transfer(load->how, fd, ep, false, head, most);
		if (ret < (long)sizeof(*head) || ret != head->len ||
		    head->magic != MAGIC || head->sum != sum_of(head))
			return FAIL("reader %d: %ld bytes, header: %u", self, ret,
				    head->len);
		if (head->writer >= load->writers || head->number >= count)
			return FAIL("reader %d: writer %u, record %u", self,
				    head->writer, head->number);
		if ((long)head->number <= last[head->writer])
			return FAIL("reader %d: writer %u, record %u after %ld",
				    self, head->writer, head->number,
				    last[head->writer]);
		last[head->writer] = head->number;
		__atomic_fetch_add(&tally->seen[head->writer][head->number], 1,
				   __ATOMIC_RELAXED);
	}
	return 0;
}

/* How many records each writer writes: fewer if they are large. */
static unsigned long count_of(const struct load *load)
{
	if (records)
		return records;
	return OFTEN(load->largest < 0 || load->largest > PIPE_BUF ? 150 : 800);
}

/*
 * Waits until all children have ended. If one has failed, or nothing is read any more,
 * the others are killed: NULL, or why.
 */
static const char *all_end(pid_t *pid, int n, struct tally *tally)
{
	const char *why = NULL;
	__s64 since = now_ms();
	long left = -1;
	int i, alive;

	do {
		alive = 0;
		for (i = 0; i < n; i++) {
			if (pid[i] && child_state(pid[i]) == 'Z') {
				if (child_end(pid[i]))
					why = tally->wrong;
				pid[i] = 0;
			}
			alive += pid[i] != 0;
		}
		if (left != __atomic_load_n(&tally->tickets, __ATOMIC_RELAXED)) {
			left = __atomic_load_n(&tally->tickets, __ATOMIC_RELAXED);
			since = now_ms();
		}
		if (now_ms() - since > 6000 * DEADLINE)
			why = "nothing is read any more";
		usleep(2000);
	} while (alive && !why);
	for (i = 0; i < n; i++)
		child_kill(&pid[i]);
	return why;
}

TEST_F_TIMEOUT(records, integrity, 6 * 60 * 60)
{
	struct tally *tally = shared(sizeof(*tally));
	pid_t pid[MOST_WRITERS + MOST_READERS];
	const struct load *load;
	unsigned long count, j;
	long written, done;
	const char *why;
	int i, all;

	LOG_SEED();
	ASSERT_NE(NULL, tally);
	for (load = loads; load < loads + ARRAY_SIZE(loads); load++) {
		count = count_of(load);
		memset(tally, 0, sizeof(*tally));
		tally->tickets = load->writers * count;
		ASSERT_EQ(0, attr_set("capacity", load->capacity * self->page));
		written = attr_get("stats/records_written");
		done = attr_get("stats/records_read");
		all = load->writers + load->readers;
		for (i = 0; i < all; i++) {
			pid[i] = child_start(6 * 60 * 60);
			ASSERT_LE(0, pid[i]);
			if (!pid[i] && i < load->writers)
				_exit(write_all(load, tally, i, count));
			if (!pid[i])
				_exit(read_some(load, tally, i - load->writers,
						count));
		}
		why = all_end(pid, all, tally);
		ASSERT_EQ(NULL, why) {
			TH_LOG("%s: %s", load->name, why);
		}
		for (i = 0; i < load->writers; i++) {
			for (j = 0; j < count; j++) {
				ASSERT_EQ(1, tally->seen[i][j]) {
					TH_LOG("%s: writer %d, record %lu",
					       load->name, i, j);
				}
			}
		}
		EXPECT_EQ(0, attr_get("size"));
		EXPECT_EQ(written + load->writers * count,
			  attr_get("stats/records_written"));
		EXPECT_EQ(done + load->writers * count,
			  attr_get("stats/records_read"));
	}
	munmap(tally, sizeof(*tally));
}

/* ---- threads that share one open file ---- */

#define THREADS	3

static struct shared_file {
	int fd;
	long left;		/* records that are to be read */
	long lens[THREADS];	/* of the records of each writer */
	long bad;
} file;

static void *write_same(void *arg)
{
	long self = (long)arg, i;

	for (i = 0; i < OFTEN(300); i++)
		if (put_record(file.fd, file.lens[self], self) != file.lens[self])
			__atomic_fetch_add(&file.bad, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void *read_same(void *arg __always_unused)
{
	char buf[20000];
	long n, i;

	while (__atomic_fetch_sub(&file.left, 1, __ATOMIC_SEQ_CST) > 0) {
		n = res(read(file.fd, buf, sizeof(buf)));
		for (i = 0; i < THREADS && n != file.lens[i]; i++)
			;
		if (i == THREADS || !stream_equal(buf, n, RECORD_POS(i)))
			__atomic_fetch_add(&file.bad, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

TEST_F_TIMEOUT(records, one_file_for_all, 120)
{
	static const long lens[THREADS] = { 33, 5000, 19999 };
	pthread_t threads[2 * THREADS];
	long i;

	ASSERT_EQ(0, attr_set("capacity", 8 * self->page));
	file.fd = self->fd;
	file.left = THREADS * OFTEN(300);
	memcpy(file.lens, lens, sizeof(lens));
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_create(&threads[2 * i], NULL, write_same,
					    (void *)i));
		ASSERT_EQ(0, pthread_create(&threads[2 * i + 1], NULL, read_same,
					    NULL));
	}
	for (i = 0; i < 2 * THREADS; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, file.bad);
	EXPECT_EQ(0, attr_get("size"));
}

int main(int argc, char **argv)
{
	const char *n = take_option(&argc, argv, "-n");

	if (n)
		records = strtoul(n, NULL, 0);
	if (records > MOST_RECORDS)
		records = MOST_RECORDS;
	return vfifo_main(argc, argv);
}
