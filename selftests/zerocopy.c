// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes that no system call copies: each kind of producer with each kind of consumer,
 * without a system call while both run; resizing with mapped ends; new memory that holds
 * no old bytes.
 */
#include <sys/ptrace.h>
#include <sys/syscall.h>

/* Needs linux/types.h, which the C library's sys/ptrace.h does not include. */
#include <linux/ptrace.h>

#include "vfifo_mapped.h"

/* ---- an end of either kind ---- */

struct end {
	bool mapped;
	int fd;			/* blocks */
	struct vfifo_producer p;
	struct vfifo_consumer c;
};

static int end_open(struct end *end, bool producer, bool mapped)
{
	end->mapped = mapped;
	end->fd = vfifo_open(O_RDWR);
	if (end->fd < 0)
		return -errno;
	if (!mapped)
		return 0;
	return producer ? vfifo_producer_open_fd(&end->p, end->fd) :
			  vfifo_consumer_open_fd(&end->c, end->fd);
}

static void end_close(struct end *end, bool producer)
{
	if (end->mapped && producer)
		vfifo_producer_close(&end->p);
	else if (end->mapped)
		vfifo_consumer_close(&end->c);
	close(end->fd);
}

/*
 * Queues @len bytes of the stream from @pos on, sleeping as needed: 0 or
 * -errno.
 */
static int give(struct end *end, size_t len, __u64 pos)
{
	size_t most = end->mapped ? vfifo_producer_capacity(&end->p) : len, n;
	char *buf;
	int err = 0;

	if (!end->mapped) {
		buf = malloc(len);
		stream_fill(buf, len, pos);
		n = write(end->fd, buf, len);
		free(buf);
		return n == len ? 0 : -errno;
	}
	for (; len && !err; len -= n, pos += n) {
		n = len < most ? len : most;
		err = wait_room(&end->p, n);
		if (err)
			break;
		stream_fill(vfifo_producer_reserve(&end->p, n), n, pos);
		err = vfifo_producer_commit(&end->p, n);
	}
	return err;
}

/*
 * Consumes between 1 and @most bytes, sleeping if there are none, and compares
 * them with the stream from @pos on. Returns their number, -EBADMSG if they
 * differ, or -errno.
 */
static ssize_t take(struct end *end, size_t most, __u64 pos)
{
	const void *from;
	ssize_t n;
	size_t len;
	char *buf;
	int err;

	if (!end->mapped) {
		buf = malloc(most);
		n = res(read(end->fd, buf, most));
		if (n > 0 && !stream_equal(buf, n, pos))
			n = -EBADMSG;
		free(buf);
		return n;
	}
	err = wait_bytes(&end->c, 1);
	if (err)
		return err;
	from = vfifo_consumer_peek(&end->c, &len);
	if (len > most)
		len = most;
	if (!stream_equal(from, len, pos))
		return -EBADMSG;
	err = vfifo_consumer_release(&end->c, len);
	return err ? err : (ssize_t)len;
}

/* ---- each kind of producer with each kind of consumer ---- */

FIXTURE(pair)
{
	struct vfifo dev;
	struct end in, out;
};

FIXTURE_VARIANT(pair)
{
	bool in, out;		/* mapped */
};

FIXTURE_VARIANT_ADD(pair, write_read)
{
	.in = false,
	.out = false,
};

FIXTURE_VARIANT_ADD(pair, write_mapped)
{
	.in = false,
	.out = true,
};

FIXTURE_VARIANT_ADD(pair, mapped_read)
{
	.in = true,
	.out = false,
};

FIXTURE_VARIANT_ADD(pair, mapped_mapped)
{
	.in = true,
	.out = true,
};

FIXTURE_SETUP(pair)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
}

FIXTURE_TEARDOWN(pair)
{
	end_close(&self->out, false);
	vfifo_teardown(&self->dev);
}

/* Enough bytes to wrap many times, in pieces of all sizes. */
TEST_F(pair, moves_everything)
{
	const __u64 total = 3 << 20;
	__u64 random = vfifo_seed, pos = 0;
	long cap = self->dev.capacity;
	ssize_t n;
	pid_t pid;
	int err;

	LOG_SEED();
	ASSERT_EQ(0, end_open(&self->out, false, variant->out));
	pid = child_start(3 * DEADLINE);
	if (!pid) {
		err = end_open(&self->in, true, variant->in);
		for (; !err && pos < total; pos += n) {
			n = 1 + rnd(&random) % (rnd(&random) % 2 ? 100 : 2 * cap);
			if (pos + n > total)
				n = total - pos;
			err = give(&self->in, n, pos);
		}
		EXPECT_EQ(0, err);
		_exit(err);
	}
	random++;
	while (pos < total) {
		n = take(&self->out, 1 + rnd(&random) %
			    (rnd(&random) % 2 ? 100 : 2 * cap), pos);
		ASSERT_LT(0, n) {
			TH_LOG("%zd at byte %llu", n, pos);
		}
		pos += n;
	}
	EXPECT_EQ(total, pos);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, queued(self->dev.fd));
}

/*
 * Most of the time the producer waits until the consumer has taken everything
 * and is asleep or about to sleep, and then goes on at once. Sometimes it fills
 * the FIFO and sleeps itself. A lost wake-up shows as one side that gets
 * nothing within its time.
 */
TEST_F_TIMEOUT(pair, loses_no_wakeup, 60)
{
	const __s64 until = now_ms() + 2000;
	__u64 random = vfifo_seed, pos = 0, rounds = 0;
	__u64 *taken = shared(2 * sizeof(*taken)), *end = taken + 1;
	long notifies, sleeps, cap = self->dev.page;
	ssize_t n = 0;
	pid_t pid;
	int err;

	LOG_SEED();
	ASSERT_NE(NULL, taken);
	*end = -1;
	/* The minimum capacity fills soonest. */
	ASSERT_EQ(0, attr_set("capacity", cap));
	notifies = attr_get("stats/notifies");
	sleeps = attr_get("stats/reader_sleeps") +
		 attr_get("stats/writer_sleeps");
	ASSERT_EQ(0, end_open(&self->out, false, variant->out));
	pid = child_start(3 * DEADLINE);
	if (!pid) {
		err = end_open(&self->in, true, variant->in);
		for (; !err && pos != *end; pos += n, rounds++) {
			n = 1 + rnd(&random) % (rounds % 8 ? 8 : 3 * cap);
			/*
			 * At least this many rounds, however slow the machine
			 * is.
			 */
			if (rounds >= 200 && now_ms() >= until)
				__atomic_store_n(end, pos + n, __ATOMIC_RELEASE);
			err = give(&self->in, n, pos);
			if (err || !(rounds % 3))
				continue;
			/* Awake, to be fast enough to meet the consumer. */
			while (__atomic_load_n(taken, __ATOMIC_ACQUIRE) !=
			       pos + n)
				sched_yield();
		}
		EXPECT_EQ(0, err);
		TH_LOG("%llu rounds", rounds);
		_exit(err);
	}
	random++;
	for (; pos != __atomic_load_n(end, __ATOMIC_ACQUIRE); pos += n) {
		if (!(rnd(&random) % 16))
			usleep(rnd(&random) % 200);
		n = take(&self->out, cap, pos);
		ASSERT_LT(0, n) {
			TH_LOG("%zd at byte %llu", n, pos);
		}
		__atomic_store_n(taken, pos + n, __ATOMIC_RELEASE);
	}
	EXPECT_EQ(0, child_end(pid));
	TH_LOG("%ld sleeps in read and write, %ld times VFIFO_NOTIFY",
	       attr_get("stats/reader_sleeps") +
	       attr_get("stats/writer_sleeps") - sleeps,
	       attr_get("stats/notifies") - notifies);
}

/* ---- zero system calls ---- */

/* A call without effect, by which both sides mark the counted part. */
#define MARK		SYS_getppid

#define RECORD		64

/* Sends or receives without ever going to sleep. */
static int run_in(struct end *in, int records)
{
	char buf[RECORD], *to;
	int i, err = 0;

	for (i = 0; i < records && !err; i++) {
		if (!in->mapped) {
			stream_fill(buf, RECORD, i * RECORD);
			err = write(in->fd, buf, RECORD) != RECORD;
			continue;
		}
		while (!(to = vfifo_producer_reserve(&in->p, RECORD)))
			vfifo_map_relax();
		stream_fill(to, RECORD, i * RECORD);
		err = vfifo_producer_commit(&in->p, RECORD);
	}
	return err;
}

static int run_out(struct end *out, int records)
{
	char buf[RECORD];
	const char *from;
	size_t len = 0;
	int i, err = 0;

	for (i = 0; i < records && !err; i++) {
		from = buf;
		if (!out->mapped)
			err = read(out->fd, buf, RECORD) != RECORD;
		else
			while (!(from = vfifo_consumer_peek(&out->c, &len)))
				vfifo_map_relax();
		if (!stream_equal(from, RECORD, i * RECORD))
			return -EBADMSG;
		if (out->mapped)
			err = vfifo_consumer_release(&out->c, RECORD);
	}
	return err;
}

/* Waits until the other child has come as far as @step. */
static void await_step(int *step, int wanted)
{
	while (__atomic_load_n(step, __ATOMIC_SEQ_CST) < wanted)
		vfifo_map_relax();
}

/*
 * A traced child, which starts and stops in step with a second one.
 *
 * Opening an end polls, so each side has to notify the other once. A first record
 * does that before the counted part, while the side that is notified stands still:
 * otherwise it may be faster than the call, which then has no news and changes
 * nothing.
 */
static pid_t start_traced(bool producer, bool mapped, int records, int *step)
{
	pid_t pid = child_start(5 * DEADLINE);
	struct end end;
	int err;

	if (pid)
		return pid;
	if (end_open(&end, producer, mapped) ||
	    ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(1);
	raise(SIGSTOP);
	await_step(step, producer ? 0 : 1);
	if (producer ? run_in(&end, 1) : run_out(&end, 1))
		_exit(3);
	__atomic_fetch_add(step, 1, __ATOMIC_SEQ_CST);
	await_step(step, 2);
	syscall(MARK);
	__atomic_fetch_add(step, 1, __ATOMIC_SEQ_CST);
	await_step(step, 4);
	err = producer ? run_in(&end, records) : run_out(&end, records);
	syscall(MARK);
	_exit(err ? 2 : 0);
}

/*
 * The number of system calls two ends make for @records records; -1 on failure.
 */
static long count_calls(bool mapped, int records)
{
	struct ptrace_syscall_info info;
	int *step = shared(sizeof(*step));
	pid_t pids[2], pid;
	bool counting[2] = {};
	int status, i, alive = 2;
	long calls = 0;

	for (i = 0; i < 2; i++) {
		pids[i] = start_traced(i, mapped, records, step);
		if (waitpid(pids[i], &status, 0) != pids[i] ||
		    !WIFSTOPPED(status))
			return -1;
		ptrace(PTRACE_SETOPTIONS, pids[i], NULL,
		       PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	}
	for (i = 0; i < 2; i++)
		ptrace(PTRACE_SYSCALL, pids[i], NULL, NULL);
	while (alive) {
		pid = waitpid(-1, &status, __WALL);
		i = pid == pids[1];
		if (pid < 0)
			return -1;
		if (!WIFSTOPPED(status)) {
			if (status)
				return -1;
			alive--;
			continue;
		}
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			ptrace(PTRACE_GET_SYSCALL_INFO, pid,
			       (void *)sizeof(info), &info);
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
				if (info.entry.nr == MARK)
					counting[i] = !counting[i];
				else
					calls += counting[i];
			}
			status = 0;
		}
		ptrace(PTRACE_SYSCALL, pid, NULL,
		       status ? WSTOPSIG(status) : 0);
	}
	return calls;
}

TEST_F_TIMEOUT(mapped, no_system_calls_while_both_run, 60)
{
	const int many = 50000, few = 2000;
	long mapped, plain;

	mapped = count_calls(true, many);
	plain = count_calls(false, few);
	TH_LOG("%d records of %d bytes mapped: %ld system calls", many, RECORD,
	       mapped);
	TH_LOG("%d records of %d bytes by write and read: %ld system calls", few,
	       RECORD, plain);
	/*
	 * Opening an end polls, so each side may have to notify the other once.
	 */
	EXPECT_GE(2, mapped);
	/* The same counter does see read() and write(). */
	EXPECT_EQ(2 * few, plain);
}

/* ---- resizing and clearing ---- */

TEST_F(mapped, resize_and_clear_before_and_after)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
		EXPECT_EQ(self->cap << round, (long)vfifo_producer_capacity(&p));
		ASSERT_EQ(0, commit(&p, 3000, 0));
		EXPECT_EQ(-EBUSY, attr_set("capacity", self->page));
		/* Only the consumer's end keeps others from clearing. */
		EXPECT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		EXPECT_EQ(self->cap << round, vfifo_producer_room(&p));
		ASSERT_EQ(0, commit(&p, 3000, 3000));
		vfifo_producer_close(&p);

		ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
		EXPECT_EQ(-EBUSY, attr_set("capacity", self->page));
		EXPECT_EQ(-EBUSY, res(ioctl(self->fd, VFIFO_CLEAR)));
		EXPECT_EQ(0, release(&c, 1000, 3000));
		vfifo_consumer_close(&c);

		/* Queued bytes are moved to their place in the new buffer. */
		ASSERT_EQ(0, attr_set("capacity", self->cap << (round + 1)));
		ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
		EXPECT_EQ(self->cap << (round + 1), (long)vfifo_consumer_capacity(&c));
		EXPECT_EQ(0, release(&c, 1000, 4000));
		vfifo_consumer_close(&c);
		EXPECT_EQ(1000, queued(self->fd));
		EXPECT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		EXPECT_EQ(0, queued(self->fd));
	}
}

/* ---- new memory ---- */

static long nonzero(const void *mem, size_t len)
{
	const __u8 *p = mem;
	long n = 0;
	size_t i;

	for (i = 0; i < len; i++)
		n += p[i] != 0;
	return n;
}

/*
 * Memory used before, by the FIFO or by others, is not visible in a new buffer.
 */
TEST_F_TIMEOUT(mapped, resized_buffer_holds_no_old_byte, 60)
{
	const long sizes[] = { 1, 256, 2, 16, 1024, 1, 64, 512 };
	struct vfifo_producer p;
	struct vfifo_consumer c;
	const long kept = 100;
	size_t len, at;
	unsigned int i;
	char *dirty;

	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	ASSERT_TRUE(put(&self->dev, kept, 0));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		len = sizes[i] * self->page;
		/* Makes sure that free pages are not all zero. */
		dirty = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, dirty);
		memset(dirty, 0xa5, 16 << 20);
		munmap(dirty, 16 << 20);

		ASSERT_EQ(0, attr_set("capacity", len));
		ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
		ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
		ASSERT_EQ(len, vfifo_producer_capacity(&p));
		/* Everything but the queued bytes, which may wrap. */
		at = c.map.position & (len - 1);
		EXPECT_TRUE(stream_equal(c.map.data + at, kept, 0));
		EXPECT_EQ(0, nonzero(c.map.data + at + kept, len - kept));
		EXPECT_EQ(0, nonzero(p.map.own + 1,
				     self->page - sizeof(*p.map.own)));
		EXPECT_EQ(0, nonzero(c.map.own + 1,
				     self->page - sizeof(*c.map.own)));
		EXPECT_EQ(0, nonzero(p.map.own->reserved,
				     sizeof(p.map.own->reserved)));
		EXPECT_EQ(0, nonzero(c.map.own->reserved,
				     sizeof(c.map.own->reserved)));
		EXPECT_TRUE(!p.map.own->reserved2);
		EXPECT_TRUE(!c.map.own->reserved2);
		memset(p.map.data + at + kept, 0xa5, len - kept);
		vfifo_producer_close(&p);
		vfifo_consumer_close(&c);
	}
	EXPECT_TRUE(get(&self->dev, kept, 0));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
