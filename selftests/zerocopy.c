// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes that no system call copies: mapped ends with each other and with plain
 * calls, how they sleep and wake, and what their memory can be used for. All of it
 * by the helpers that programs use.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* After linux/types.h, which the C library's sys/ptrace.h does not know. */
#include <linux/ptrace.h>

#include "vfifo_test.h"

/* Who is about to sleep is to do so, not to wait for luck. */
#define VFIFO_SPIN	0
#include "vfifo_map.h"

#define WAIT_MS		(DEADLINE * 1000)

/*
 * Waiting looks again when its time is over, and may then find what it should
 * have been woken for: that is too late.
 */
static int in_time(__s64 from, int err)
{
	return now_ms() - from < WAIT_MS ? err : -ETIMEDOUT;
}

static int wait_room(struct vfifo_producer *p, size_t need)
{
	__s64 from = now_ms();

	return in_time(from, vfifo_wait_room(p, need, WAIT_MS));
}

static int wait_bytes(struct vfifo_consumer *c, size_t need)
{
	__s64 from = now_ms();

	return in_time(from, vfifo_wait_bytes(c, need, WAIT_MS));
}

/* ---- an end of either kind, for whole tests ---- */

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

/* Queues @len bytes of the stream from @pos on, sleeping as needed: 0 or -errno. */
static int give(struct end *end, size_t len, __u64 pos)
{
	size_t most = end->mapped ? end->p.map.capacity : len, n;
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
		stream_fill(vfifo_reserve(&end->p, n), n, pos);
		err = vfifo_commit(&end->p, n);
	}
	return err;
}

/*
 * Takes from 1 to @most bytes, sleeping if there is none, and compares them with
 * those of the stream from @pos on: how many, or -errno, -EBADMSG if they differ.
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
	from = vfifo_peek(&end->c, &len);
	if (len > most)
		len = most;
	if (!stream_equal(from, len, pos))
		return -EBADMSG;
	err = vfifo_release(&end->c, len);
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

/* As many bytes as are worth it, in pieces of all sizes, wrapping all the time. */
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
 * The producer waits until the consumer has all, which then is about to sleep or
 * sleeps, and goes on at once; or fills the FIFO, and sleeps itself. A wake-up
 * that gets lost is a side that comes to nothing within its time.
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
	/* The smallest, so that it's full soon. */
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
			/* Fewer say nothing, however slow the machine is. */
			if (rounds >= 200 && now_ms() >= until)
				__atomic_store_n(end, pos + n, __ATOMIC_RELEASE);
			err = give(&self->in, n, pos);
			if (err || !(rounds % 3))
				continue;
			/* Not asleep: to be there when the other one is. */
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

/* Both say by this call, which does nothing, when to begin and to end counting. */
#define MARK		SYS_getppid

#define RECORD		64

/* Sends and receives without ever going to sleep. */
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
		while (!(to = vfifo_reserve(&in->p, RECORD)))
			vfifo_map_relax();
		stream_fill(to, RECORD, i * RECORD);
		err = vfifo_commit(&in->p, RECORD);
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
			while (!(from = vfifo_peek(&out->c, &len)))
				vfifo_map_relax();
		if (!stream_equal(from, RECORD, i * RECORD))
			return -EBADMSG;
		if (out->mapped)
			err = vfifo_release(&out->c, RECORD);
	}
	return err;
}

/* A child that is traced, and begins and ends together with another one. */
static pid_t start_traced(bool producer, bool mapped, int records, int *ready)
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
	syscall(MARK);
	__atomic_fetch_add(ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(ready, __ATOMIC_SEQ_CST) < 2)
		vfifo_map_relax();
	err = producer ? run_in(&end, records) : run_out(&end, records);
	syscall(MARK);
	_exit(err ? 2 : 0);
}

/* The number of system calls that two ends make for @records; -1 if they fail. */
static long count_calls(bool mapped, int records)
{
	struct ptrace_syscall_info info;
	int *ready = shared(sizeof(*ready));
	pid_t pids[2], pid;
	bool counting[2] = {};
	int status, i, alive = 2;
	long calls = 0;

	for (i = 0; i < 2; i++) {
		pids[i] = start_traced(i, mapped, records, ready);
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

FIXTURE(zerocopy)
{
	struct vfifo dev;
	long cap, page;
	int fd;			/* blocks */
};

FIXTURE_SETUP(zerocopy)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	self->page = self->dev.page;
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(zerocopy)
{
	close(self->fd);
	vfifo_teardown(&self->dev);
}

TEST_F_TIMEOUT(zerocopy, no_system_calls_while_both_run, 60)
{
	const int many = 50000, few = 2000;
	long mapped, plain;

	mapped = count_calls(true, many);
	plain = count_calls(false, few);
	TH_LOG("%d records of %d bytes mapped: %ld system calls", many, RECORD,
	       mapped);
	TH_LOG("%d records of %d bytes by write and read: %ld system calls", few,
	       RECORD, plain);
	/* To open an end is to poll: each may have to tell the other once. */
	EXPECT_GE(2, mapped);
	/* What can count these would have counted those. */
	EXPECT_EQ(2 * few, plain);
}

/* ---- polling ---- */

static int commit(struct vfifo_producer *p, size_t len, __u64 pos)
{
	void *to = vfifo_reserve(p, len);

	if (!to)
		return -EAGAIN;
	stream_fill(to, len, pos);
	return vfifo_commit(p, len);
}

static int release(struct vfifo_consumer *c, size_t len, __u64 pos)
{
	const void *from;
	size_t n;

	from = vfifo_peek(c, &n);
	if (n < len)
		return -EAGAIN;
	return stream_equal(from, len, pos) ? vfifo_release(c, len) : -EBADMSG;
}

/* What it says now, without waiting. */
static int says(int ep)
{
	struct epoll_event event = {};

	return epoll_wait(ep, &event, 1, 0) == 1 ? (int)event.events : 0;
}

TEST_F(zerocopy, poll_sees_a_mapped_producer)
{
	struct pollfd pfd = { .fd = self->fd, .events = POLLIN };
	int level, edge;
	struct vfifo_producer p;
	pid_t pid;

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->dev.fd));
	level = epoll_for(self->fd, EPOLLIN);
	edge = epoll_for(self->fd, EPOLLIN | EPOLLET);
	ASSERT_TRUE(level >= 0 && edge >= 0);
	EXPECT_EQ(0, says(level));
	EXPECT_EQ(0, says(edge));
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(poll(&pfd, 1, -1) != 1 || pfd.revents != POLLIN);
	ASSERT_TRUE(child_sleeps(pid));

	EXPECT_EQ(0, commit(&p, 10, 0));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(EPOLLIN, says(level));
	EXPECT_EQ(EPOLLIN, says(level));
	EXPECT_EQ(EPOLLIN, says(edge));
	EXPECT_EQ(0, says(edge));
	/* Each commit is news. */
	EXPECT_EQ(0, commit(&p, 10, 10));
	EXPECT_EQ(EPOLLIN, says(edge));
	EXPECT_EQ(0, says(edge));

	EXPECT_TRUE(get(&self->dev, 20, 0));
	EXPECT_EQ(0, says(level));
	vfifo_producer_close(&p);
	close(level);
	close(edge);
}

TEST_F(zerocopy, poll_sees_a_mapped_consumer)
{
	struct pollfd pfd = { .fd = self->fd, .events = POLLOUT };
	int level, edge;
	struct vfifo_consumer c;
	pid_t pid;

	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->dev.fd));
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	level = epoll_for(self->fd, EPOLLOUT);
	edge = epoll_for(self->fd, EPOLLOUT | EPOLLET);
	ASSERT_TRUE(level >= 0 && edge >= 0);
	EXPECT_EQ(0, says(level));
	EXPECT_EQ(0, says(edge));
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(poll(&pfd, 1, -1) != 1 || pfd.revents != POLLOUT);
	ASSERT_TRUE(child_sleeps(pid));

	/* To a writer less than that is no room. */
	EXPECT_EQ(0, release(&c, PIPE_BUF - 1, 0));
	EXPECT_EQ(0, says(level));
	EXPECT_EQ(0, says(edge));
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(0, release(&c, 1, PIPE_BUF - 1));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(EPOLLOUT, says(level));
	EXPECT_EQ(EPOLLOUT, says(level));
	EXPECT_EQ(EPOLLOUT, says(edge));
	EXPECT_EQ(0, says(edge));
	EXPECT_EQ(0, release(&c, 1, PIPE_BUF));
	EXPECT_EQ(EPOLLOUT, says(edge));
	EXPECT_EQ(0, says(edge));
	vfifo_consumer_close(&c);
	close(level);
	close(edge);
}

/* With an event loop of its own an owner polls as everyone does. */
TEST_F(zerocopy, owners_may_poll)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	int in, out;

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->dev.fd));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	in = epoll_for(p.map.fd, EPOLLOUT);
	out = epoll_for(c.map.fd, EPOLLIN | EPOLLET);
	ASSERT_TRUE(in >= 0 && out >= 0);
	EXPECT_EQ(EPOLLOUT, says(in));
	EXPECT_EQ(0, says(out));
	EXPECT_EQ(0, commit(&p, self->cap, 0));
	EXPECT_EQ(0, says(in));
	EXPECT_EQ(EPOLLIN, says(out));
	EXPECT_EQ(0, release(&c, self->cap, 0));
	EXPECT_EQ(EPOLLOUT, says(in));
	EXPECT_EQ(0, says(out));
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
	close(in);
	close(out);
}

/* What it says within a second; then it was told. */
static int hears(int ep)
{
	struct epoll_event event = {};

	return epoll_wait(ep, &event, 1, 1000) == 1 ? (int)event.events : 0;
}

/* The helpers wait, and open an end, next to an event loop that waits as well. */
TEST_F(zerocopy, owners_may_wait_and_poll)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	int in, out;

	/* Nothing for them: they are to be told. */
	ASSERT_EQ(0, attr_set("capacity", self->page));
	in = epoll_for(self->dev.fd, EPOLLOUT);
	out = epoll_for(self->fd, EPOLLIN);
	ASSERT_TRUE(in >= 0 && out >= 0);
	EXPECT_EQ(0, says(out));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	EXPECT_TRUE(put(&self->dev, self->page, 0));
	EXPECT_EQ(EPOLLIN, hears(out));
	EXPECT_EQ(0, says(in));
	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->dev.fd));
	EXPECT_EQ(0, release(&c, self->page, 0));
	EXPECT_EQ(EPOLLOUT, hears(in));

	EXPECT_EQ(0, says(out));
	EXPECT_EQ(-ETIMEDOUT, vfifo_wait_bytes(&c, 1, 50));
	EXPECT_EQ(0, commit(&p, self->page, 0));
	EXPECT_EQ(EPOLLIN, hears(out));

	EXPECT_EQ(0, says(in));
	EXPECT_EQ(-ETIMEDOUT, vfifo_wait_room(&p, 1, 50));
	EXPECT_EQ(0, release(&c, self->page, 0));
	EXPECT_EQ(EPOLLOUT, hears(in));
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
	close(in);
	close(out);
}

/* Who polls one end does not wait at the other, also with a file open for both. */
TEST_F(zerocopy, who_polls_waits_for_what_is_asked)
{
	struct pollfd pfd = { .fd = self->dev.fd };
	struct vfifo_producer p;
	struct vfifo_consumer c;
	int ep;

	/* To open an end is to poll; something new to each ends that. */
	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->dev.fd));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->dev.fd));
	ASSERT_EQ(0, commit(&p, 10, 0));
	ASSERT_EQ(0, release(&c, 10, 0));
	EXPECT_FALSE(p.map.own->waiting || c.map.own->waiting);
	pfd.events = POLLOUT;
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_TRUE(p.map.own->waiting && !c.map.own->waiting);
	ASSERT_EQ(0, commit(&p, 1, 10));
	ASSERT_EQ(0, release(&c, 1, 10));
	EXPECT_FALSE(p.map.own->waiting || c.map.own->waiting);
	pfd.events = POLLIN;
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	EXPECT_TRUE(!p.map.own->waiting && c.map.own->waiting);
	ASSERT_EQ(0, commit(&p, 1, 11));
	EXPECT_FALSE(p.map.own->waiting || c.map.own->waiting);
	ASSERT_EQ(0, release(&c, 1, 11));
	pfd.events = 0;
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	EXPECT_FALSE(p.map.own->waiting || c.map.own->waiting);
	pfd.events = POLLIN | POLLOUT;
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_TRUE(p.map.own->waiting && c.map.own->waiting);

	/* Once told, an epoll that nobody asks is no reason to be told again. */
	ep = epoll_for(self->dev.fd, EPOLLOUT | EPOLLIN);
	ASSERT_LE(0, ep);
	ASSERT_EQ(0, commit(&p, 10, 12));
	ASSERT_EQ(0, release(&c, 10, 12));
	EXPECT_FALSE(p.map.own->waiting || c.map.own->waiting);
	ASSERT_EQ(0, commit(&p, self->cap - 1, 22));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_NOTIFY));
	EXPECT_FALSE(p.map.own->waiting || c.map.own->waiting);
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
	close(ep);
}

/* What is waited for may be more than what is there already. */
TEST_F(zerocopy, waits_for_more_than_some)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	pid_t pid;

	pid = child_start(2 * DEADLINE);
	if (!pid) {
		EXPECT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
		EXPECT_EQ(0, wait_bytes(&c, 100));
		EXPECT_EQ(0, release(&c, 100, 0));
		_exit(0);
	}
	ASSERT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(put(&self->dev, 99, 0));
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(put(&self->dev, 1, 99));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(eventually(!attr_get("consumer_claimed")));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		EXPECT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
		EXPECT_EQ(0, wait_room(&p, 2 * PIPE_BUF));
		EXPECT_EQ(0, commit(&p, 2 * PIPE_BUF, self->cap));
		_exit(0);
	}
	ASSERT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(get(&self->dev, 2 * PIPE_BUF - 1, 0));
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_TRUE(get(&self->dev, 1, 2 * PIPE_BUF - 1));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(self->cap, queued(self->fd));
}

/* And less than PIPE_BUF, when there won't be more: here, for a long record. */
TEST_F(zerocopy, little_room_wakes_a_mapped_producer)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	pid_t pid;
	long cap;

	ASSERT_EQ(0, attr_set("capacity", PIPE_BUF));
	cap = attr_get("capacity");
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->dev.fd));
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		EXPECT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
		EXPECT_EQ(0, commit(&p, cap, 0));
		EXPECT_EQ(0, wait_room(&p, 100));
		EXPECT_EQ(0, commit(&p, 100, cap));
		_exit(0);
	}
	EXPECT_EQ(0, wait_bytes(&c, cap));
	ASSERT_TRUE(child_sleeps(pid));
	EXPECT_EQ(0, release(&c, 99, 0));
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(0, release(&c, 1, 99));
	EXPECT_EQ(0, wait_bytes(&c, cap));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, release(&c, cap, 100));
	vfifo_consumer_close(&c);
}

TEST_F(zerocopy, waits_no_longer_than_told)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	__s64 from = now_ms();

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	EXPECT_EQ(0, vfifo_wait_room(&p, self->cap, 0));
	EXPECT_EQ(-EINVAL, vfifo_wait_room(&p, self->cap + 1, 0));
	EXPECT_EQ(-EINVAL, vfifo_wait_bytes(&c, self->cap + 1, -1));
	EXPECT_EQ(-ETIMEDOUT, vfifo_wait_bytes(&c, 1, 0));
	EXPECT_EQ(-ETIMEDOUT, vfifo_wait_bytes(&c, 1, 50));
	EXPECT_LE(50, now_ms() - from);
	EXPECT_EQ(0, commit(&p, 1, 0));
	EXPECT_EQ(0, vfifo_wait_bytes(&c, 1, 0));
	from = now_ms();
	EXPECT_EQ(-ETIMEDOUT, vfifo_wait_bytes(&c, 2, 50));
	EXPECT_LE(50, now_ms() - from);
	EXPECT_EQ(-ETIMEDOUT, vfifo_wait_room(&p, self->cap, 50));
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
}

TEST_F(zerocopy, helpers_refuse_what_is_not_there)
{
	struct vfifo_producer p, second;
	struct vfifo_consumer c;
	size_t len = 1;

	EXPECT_EQ(-ENOENT, vfifo_producer_open(&p, "/nonexistent"));
	vfifo_producer_close(&p);
	EXPECT_EQ(-ENOTTY, vfifo_consumer_open(&c, "/dev/null"));
	EXPECT_EQ(-EBADF, vfifo_consumer_open_fd(&c, -1));
	vfifo_consumer_close(&c);

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
	EXPECT_EQ(-EBUSY, vfifo_producer_open_fd(&second, self->fd));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	EXPECT_EQ(NULL, vfifo_peek(&c, &len));
	EXPECT_EQ(0, (long)len);
	EXPECT_EQ(-EINVAL, vfifo_release(&c, 1));
	EXPECT_EQ(0, vfifo_release(&c, 0));
	EXPECT_EQ(NULL, vfifo_reserve(&p, self->cap + 1));
	EXPECT_NE(NULL, vfifo_reserve(&p, self->cap));
	EXPECT_EQ(-EINVAL, vfifo_commit(&p, self->cap + 1));
	EXPECT_EQ(0, vfifo_commit(&p, 0));
	EXPECT_EQ(self->cap, vfifo_room(&p));
	EXPECT_EQ(0, commit(&p, 10, 0));
	EXPECT_EQ(self->cap - 10, vfifo_room(&p));
	EXPECT_EQ(-EINVAL, vfifo_release(&c, 11));
	EXPECT_NE(NULL, vfifo_peek(&c, &len));
	EXPECT_EQ(10, (long)len);
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
	EXPECT_TRUE(get(&self->dev, 10, 0));
}

/* The other end may be anybody: its positions are checked here too. */
TEST_F(zerocopy, helpers_believe_no_wrong_position)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	size_t len;
	__u64 at;

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	ASSERT_EQ(0, commit(&p, 100, 0));
	EXPECT_NE(NULL, vfifo_peek(&c, &len));
	at = p.map.position;

	p.map.own->position = at - 1;
	EXPECT_EQ(-EIO, wait_bytes(&c, 101));
	p.map.own->position = at - 100 + self->cap + 1;
	EXPECT_EQ(-EIO, vfifo_wait_bytes(&c, 101, 0));
	p.map.own->position = at + (1ULL << 63);
	EXPECT_EQ(-EIO, wait_bytes(&c, 101));
	EXPECT_EQ(0, release(&c, 100, 0));
	EXPECT_EQ(NULL, vfifo_peek(&c, &len));
	p.map.own->position = at;
	EXPECT_EQ(-ETIMEDOUT, vfifo_wait_bytes(&c, 1, 0));

	c.map.own->position = at + 1;
	EXPECT_EQ(-EIO, wait_room(&p, self->cap));
	EXPECT_EQ(-EIO, vfifo_room(&p));
	c.map.own->position = at - 101;
	EXPECT_EQ(-EIO, vfifo_wait_room(&p, self->cap, 0));
	EXPECT_EQ(NULL, vfifo_reserve(&p, self->cap));
	c.map.own->position = at;
	EXPECT_EQ(self->cap, vfifo_room(&p));
	vfifo_producer_close(&p);
	vfifo_consumer_close(&c);
}

/* Nor sleep on what the kernel has found, though it is mended by then. */
TEST_F(zerocopy, helpers_say_that_it_is_broken)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	char byte = 0;

	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
	ASSERT_EQ(0, commit(&p, self->cap, 0));
	p.map.own->position++;
	EXPECT_EQ(-EIO, res(read(self->dev.fd, &byte, 1)));
	p.map.own->position--;
	EXPECT_EQ(-EIO, wait_room(&p, 1));
	vfifo_producer_close(&p);
	EXPECT_TRUE(get(&self->dev, self->cap, 0));

	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	c.map.own->position++;
	EXPECT_EQ(-EIO, res(write(self->dev.fd, &byte, 1)));
	c.map.own->position--;
	EXPECT_EQ(-EIO, wait_bytes(&c, 1));
	vfifo_consumer_close(&c);
	EXPECT_TRUE(put(&self->dev, 10, 0));
	EXPECT_TRUE(get(&self->dev, 10, 0));
}

/* Whether a child that sleeps ends, and well, by a signal that it catches. */
static bool interrupted(pid_t pid)
{
	return child_sleeps(pid) && !kill(pid, SIGUSR1) && !child_end(pid);
}

TEST_F(zerocopy, helpers_are_interrupted)
{
	struct sigaction action = { .sa_handler = no_op };
	struct vfifo_producer p;
	struct vfifo_consumer c;
	pid_t pid;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		EXPECT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
		EXPECT_EQ(-EINTR, wait_bytes(&c, 1));
		vfifo_consumer_close(&c);
		_exit(0);
	}
	EXPECT_TRUE(interrupted(pid));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		EXPECT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
		EXPECT_EQ(-EINTR, wait_room(&p, 1));
		vfifo_producer_close(&p);
		_exit(0);
	}
	EXPECT_TRUE(interrupted(pid));
}

/* ---- more than two ---- */

TEST_F(zerocopy, generated_bytes_for_a_mapped_consumer)
{
	static const char word[] = "AUTO ";
	struct vfifo_consumer c;
	const char *from;
	size_t len, done = 0, i;

	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_EQ(0, attr_store("mode", "1"));
	while (done < 500) {
		ASSERT_EQ(0, wait_bytes(&c, 5));
		from = vfifo_peek(&c, &len);
		len -= len % 5;
		for (i = 0; i < len; i++)
			ASSERT_EQ(word[i % 5], from[i]);
		ASSERT_EQ(0, vfifo_release(&c, len));
		done += len;
	}
	EXPECT_EQ(0, attr_store("mode", "0"));
	vfifo_consumer_close(&c);
}

#define CROWD		3
#define MESSAGES	6000

struct message {
	__u32 number;
	__u32 check;
	__u32 more[2];
};

/* Counts messages, each of which must arrive whole and once. */
static int tally(const void *from, size_t len, __u8 *seen)
{
	struct message message;
	size_t i;

	if (len % sizeof(message))
		return -EBADMSG;
	for (i = 0; i < len; i += sizeof(message)) {
		memcpy(&message, (const char *)from + i, sizeof(message));
		if (message.number >= MESSAGES ||
		    message.check != (__u32)mix64(message.number))
			return -EBADMSG;
		__atomic_fetch_add(&seen[message.number], 1, __ATOMIC_RELAXED);
	}
	return 0;
}

static bool each_once(const __u8 *seen)
{
	int i;

	for (i = 0; i < MESSAGES; i++)
		if (seen[i] != 1)
			return false;
	return true;
}

TEST_F(zerocopy, several_readers_of_a_mapped_producer)
{
	__u8 *seen = shared(MESSAGES);
	struct message *to, message = {};
	struct message buf[50];
	struct vfifo_producer p;
	pid_t pids[CROWD];
	__u64 random = vfifo_seed;
	__u32 n, i;
	int err = 0;
	ssize_t len;

	LOG_SEED();
	ASSERT_NE(NULL, seen);
	ASSERT_EQ(0, attr_set("capacity", self->page));
	for (i = 0; i < CROWD; i++) {
		pids[i] = child_start(2 * DEADLINE);
		if (pids[i])
			continue;
		while (!err) {
			n = 1 + rnd(&random) % ARRAY_SIZE(buf);
			len = read(self->fd, buf, n * sizeof(message));
			if (len <= 0)
				_exit(1);
			/* The last one for each says so. */
			if (!buf[len / sizeof(message) - 1].more[1])
				err = tally(buf, len, seen);
			else
				_exit(len != sizeof(message));
		}
		EXPECT_EQ(0, err);
		_exit(2);
	}
	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->dev.fd));
	while (message.number < MESSAGES) {
		n = 1 + rnd(&random) % 20;
		ASSERT_EQ(0, wait_room(&p, n * sizeof(message)));
		to = vfifo_reserve(&p, n * sizeof(message));
		for (i = 0; i < n && message.number < MESSAGES; i++) {
			message.check = mix64(message.number);
			to[i] = message;
			message.number++;
		}
		ASSERT_EQ(0, vfifo_commit(&p, i * sizeof(message)));
	}
	ASSERT_TRUE(eventually(!queued(self->dev.fd)));
	/* One at a time, so that each gets one. */
	for (i = 0; i < CROWD; i++) {
		ASSERT_EQ(0, wait_room(&p, sizeof(message)));
		to = vfifo_reserve(&p, sizeof(message));
		to->more[1] = 1;
		ASSERT_EQ(0, vfifo_commit(&p, sizeof(message)));
		ASSERT_TRUE(eventually(!queued(self->dev.fd)));
	}
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(0, child_end(pids[i]));
	EXPECT_TRUE(each_once(seen));
	vfifo_producer_close(&p);
}

TEST_F(zerocopy, several_writers_to_a_mapped_consumer)
{
	__u8 *seen = shared(MESSAGES);
	struct message buf[50];
	struct vfifo_consumer c;
	pid_t pids[CROWD];
	__u64 random = vfifo_seed;
	__u32 done = 0, n, i, number;
	const void *from;
	size_t len;

	LOG_SEED();
	ASSERT_NE(NULL, seen);
	ASSERT_EQ(0, attr_set("capacity", self->page));
	for (i = 0; i < CROWD; i++) {
		pids[i] = child_start(2 * DEADLINE);
		if (pids[i])
			continue;
		memset(buf, 0, sizeof(buf));
		for (number = i; number < MESSAGES;) {
			n = 1 + rnd(&random) % ARRAY_SIZE(buf);
			for (len = 0; len < n && number < MESSAGES; len++) {
				buf[len].number = number;
				buf[len].check = mix64(number);
				number += CROWD;
			}
			len *= sizeof(*buf);
			if (write(self->fd, buf, len) != (ssize_t)len)
				_exit(1);
		}
		_exit(0);
	}
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->dev.fd));
	while (done < MESSAGES) {
		ASSERT_EQ(0, wait_bytes(&c, 1));
		from = vfifo_peek(&c, &len);
		ASSERT_EQ(0, tally(from, len, seen));
		ASSERT_EQ(0, vfifo_release(&c, len));
		done += len / sizeof(*buf);
	}
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(0, child_end(pids[i]));
	EXPECT_TRUE(each_once(seen));
	EXPECT_EQ(NULL, vfifo_peek(&c, &len));
	vfifo_consumer_close(&c);
}

/* ---- resizing and clearing ---- */

TEST_F(zerocopy, resize_and_clear_before_and_after)
{
	struct vfifo_producer p;
	struct vfifo_consumer c;
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
		EXPECT_EQ(self->cap << round, (long)p.map.capacity);
		ASSERT_EQ(0, commit(&p, 3000, 0));
		EXPECT_EQ(-EBUSY, attr_set("capacity", self->page));
		/* The consumer's end is not the producer's. */
		EXPECT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		EXPECT_EQ(self->cap << round, vfifo_room(&p));
		ASSERT_EQ(0, commit(&p, 3000, 3000));
		vfifo_producer_close(&p);

		ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
		EXPECT_EQ(-EBUSY, attr_set("capacity", self->page));
		EXPECT_EQ(-EBUSY, res(ioctl(self->fd, VFIFO_CLEAR)));
		EXPECT_EQ(0, release(&c, 1000, 3000));
		vfifo_consumer_close(&c);

		/* What is queued moves to where it belongs in the new buffer. */
		ASSERT_EQ(0, attr_set("capacity", self->cap << (round + 1)));
		ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
		EXPECT_EQ(self->cap << (round + 1), (long)c.map.capacity);
		EXPECT_EQ(0, release(&c, 1000, 4000));
		vfifo_consumer_close(&c);
		EXPECT_EQ(1000, queued(self->fd));
		EXPECT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		EXPECT_EQ(0, queued(self->fd));
	}
}

/* ---- mapped memory as the memory of other calls ---- */

/* Lets bytes pass until the next one goes to @at, in a FIFO that is empty. */
static int move_to(struct vfifo_producer *p, struct vfifo_consumer *c, __u64 at)
{
	__u64 mask = p->map.capacity - 1;
	size_t n = (at - p->map.position) & mask, len;
	int err;

	if (vfifo_room(p) < 0 || !n || !vfifo_reserve(p, n))
		return 0;
	err = vfifo_commit(p, n);
	if (!err && vfifo_peek(c, &len))
		err = vfifo_release(c, n);
	return err;
}

FIXTURE(memory)
{
	struct vfifo dev;
	long cap, page;
	struct vfifo_producer p;
	struct vfifo_consumer c;
	char *to;		/* reserved: three pages that wrap */
	const char *from;	/* the same, to read */
	long len;
	int fds[2];
};

FIXTURE_SETUP(memory)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	self->page = self->dev.page;
	self->len = 3 * self->page;
	ASSERT_EQ(0, vfifo_producer_open_fd(&self->p, self->dev.fd));
	ASSERT_EQ(0, vfifo_consumer_open_fd(&self->c, self->dev.fd));
	ASSERT_EQ(0, move_to(&self->p, &self->c, -self->page));
	ASSERT_EQ(self->cap, vfifo_room(&self->p));
	self->to = vfifo_reserve(&self->p, self->len);
	ASSERT_NE(NULL, self->to);
}

FIXTURE_TEARDOWN(memory)
{
	vfifo_producer_close(&self->p);
	vfifo_consumer_close(&self->c);
	vfifo_teardown(&self->dev);
}

/* Queues them, and has self->from point at them. */
#define QUEUE() do {							\
	size_t __len;							\
	ASSERT_EQ(0, vfifo_commit(&self->p, self->len));		\
	self->from = vfifo_peek(&self->c, &__len);			\
	ASSERT_EQ(self->len, (long)__len);				\
} while (0)

TEST_F(memory, of_a_file)
{
	char *buf = malloc(self->len);
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	if (fd < 0)
		fd = memfd_create("vfifo", MFD_CLOEXEC);
	ASSERT_LE(0, fd);
	stream_fill(buf, self->len, 0);
	ASSERT_EQ(self->len, pwrite(fd, buf, self->len, 0));

	/* From the file into the FIFO, and from there to its end. */
	EXPECT_EQ(self->len, res(pread(fd, self->to, self->len, 0)));
	QUEUE();
	EXPECT_TRUE(stream_equal(self->from, self->len, 0));
	EXPECT_EQ(self->len, res(pwrite(fd, self->from, self->len, self->len)));
	EXPECT_EQ(self->len, res(pread(fd, buf, self->len, self->len)));
	EXPECT_TRUE(stream_equal(buf, self->len, 0));
	close(fd);
	free(buf);
}

TEST_F(memory, of_a_socket)
{
	struct iovec iov = { .iov_len = self->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	char *buf = malloc(self->len);

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->fds));
	stream_fill(buf, self->len, 0);
	EXPECT_EQ(self->len, res(write(self->fds[0], buf, self->len)));
	EXPECT_EQ(self->len, res(recv(self->fds[1], self->to, self->len,
				      MSG_WAITALL)));
	QUEUE();
	EXPECT_TRUE(stream_equal(self->from, self->len, 0));
	memset(buf, 0, self->len);
	iov.iov_base = (void *)self->from;
	EXPECT_EQ(self->len, res(sendmsg(self->fds[0], &msg, 0)));
	EXPECT_EQ(self->len, res(recv(self->fds[1], buf, self->len,
				      MSG_WAITALL)));
	EXPECT_TRUE(stream_equal(buf, self->len, 0));
	EXPECT_EQ(self->len, res(write(self->fds[0], self->from, self->len)));
	EXPECT_EQ(self->len, res(recv(self->fds[1], buf, self->len,
				      MSG_WAITALL)));
	close(self->fds[0]);
	close(self->fds[1]);
	free(buf);
}

/* The pipe gets the pages themselves, and keeps them for as long as it needs. */
TEST_F(memory, of_a_pipe)
{
	struct iovec iov = { .iov_len = self->len };
	char *buf = malloc(self->len);
	ssize_t n;

	ASSERT_EQ(0, pipe(self->fds));
	stream_fill(self->to, self->len, 0);
	QUEUE();
	iov.iov_base = (void *)self->from;
	EXPECT_EQ(self->len, res(vmsplice(self->fds[1], &iov, 1, 0)));
	/* No copy was made: what is stored now is what will be read. */
	stream_fill(self->to, 100, 7000);
	EXPECT_EQ(100, res(read(self->fds[0], buf, 100)));
	EXPECT_TRUE(stream_equal(buf, 100, 7000));

	/* Also when the buffer has become another one, and all is unmapped. */
	vfifo_producer_close(&self->p);
	vfifo_consumer_close(&self->c);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	ASSERT_EQ(0, attr_set("capacity", 4 * self->cap));
	ASSERT_TRUE(put(&self->dev, 4 * self->cap, 1 << 30));
	for (n = 100; n < self->len; n += 100) {
		long len = self->len - n < 100 ? self->len - n : 100;

		ASSERT_EQ(len, res(read(self->fds[0], buf, len)));
		ASSERT_TRUE(stream_equal(buf, len, n));
	}
	close(self->fds[0]);
	close(self->fds[1]);
	free(buf);
}

#define DISK	"/dev/ram0"

TEST_F(memory, of_direct_io)
{
	char *buf, *old;
	int fd;

	/* O_EXCL: not one that is mounted. */
	fd = open(DISK, O_RDWR | O_DIRECT | O_EXCL | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "can't open " DISK " (CONFIG_BLK_DEV_RAM): %s",
		     strerror(errno));
	ASSERT_EQ(0, posix_memalign((void **)&buf, self->page, self->len));
	ASSERT_EQ(0, posix_memalign((void **)&old, self->page, 2 * self->len));
	ASSERT_EQ(2 * self->len, pread(fd, old, 2 * self->len, 0));

	/* The disk's own transfers go to the FIFO and come from there. */
	stream_fill(buf, self->len, 0);
	EXPECT_EQ(self->len, res(pwrite(fd, buf, self->len, 0)));
	EXPECT_EQ(self->len, res(pread(fd, self->to, self->len, 0)));
	QUEUE();
	EXPECT_TRUE(stream_equal(self->from, self->len, 0));
	EXPECT_EQ(self->len, res(pwrite(fd, self->from, self->len, self->len)));
	memset(buf, 0, self->len);
	EXPECT_EQ(self->len, res(pread(fd, buf, self->len, self->len)));
	EXPECT_TRUE(stream_equal(buf, self->len, 0));

	EXPECT_EQ(2 * self->len, pwrite(fd, old, 2 * self->len, 0));
	close(fd);
	free(old);
	free(buf);
}

/* ---- nothing but what was written ---- */

static long nonzero(const void *mem, size_t len)
{
	const __u8 *p = mem;
	long n = 0;
	size_t i;

	for (i = 0; i < len; i++)
		n += p[i] != 0;
	return n;
}

/* Memory that was used, by the FIFO or by others, doesn't show through in it. */
TEST_F_TIMEOUT(zerocopy, resized_buffer_holds_no_old_byte, 60)
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
		/* Free pages are not zero by themselves after this. */
		dirty = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, dirty);
		memset(dirty, 0xa5, 16 << 20);
		munmap(dirty, 16 << 20);

		ASSERT_EQ(0, attr_set("capacity", len));
		ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
		ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->fd));
		ASSERT_EQ(len, p.map.capacity);
		/* But for what is queued, which may wrap. */
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
