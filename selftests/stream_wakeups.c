// SPDX-License-Identifier: GPL-2.0
/*
 * Which sleeping processes a transfer wakes: enough of them, and no more.
 */
#include <poll.h>

#include "vfifo_stream.h"

#define SLEEPERS	4

/*
 * Whether the process is asleep and has not run since @before was recorded. A
 * call that woke it made it runnable before returning, so either it has run
 * since, or it is not asleep now.
 */
static bool slept_on(pid_t pid, long before)
{
	return before >= 0 && child_asleep(pid) && switches(pid) == before;
}

/* How many of the sleepers have exited; -1 if any other was woken. */
static int ended(const pid_t *pid, const long *before)
{
	int i, n = 0;

	for (i = 0; i < SLEEPERS; i++) {
		if (child_state(pid[i]) == 'Z')
			n++;
	}
	for (i = 0; i < SLEEPERS; i++) {
		if (child_state(pid[i]) != 'Z' && !slept_on(pid[i], before[i]))
			return -1;
	}
	return n;
}

/*
 * Starts all sleepers: writers of PIPE_BUF bytes from @buf, or readers if it is NULL.
 * Readers use the stack, which is resident: a reader that has to fault its memory in
 * lets others go first.
 */
static bool sleepers_start(int fd, const char *buf, pid_t *pid, long *before)
{
	char tmp[100];
	int i;

	for (i = 0; i < SLEEPERS; i++) {
		pid[i] = child_start(DEADLINE);
		if (!pid[i] && buf)
			_exit(write(fd, buf, PIPE_BUF) != PIPE_BUF);
		if (!pid[i])
			_exit(read(fd, tmp, sizeof(tmp)) != 1);
		if (!child_sleeps(pid[i]))
			return false;
	}
	for (i = 0; i < SLEEPERS; i++)
		before[i] = switches(pid[i]);
	return true;
}

TEST_F(stream, one_byte_wakes_one_reader)
{
	long sleeps = attr_get("stats/reader_sleeps"), before[SLEEPERS];
	pid_t pid[SLEEPERS];
	int i, n;

	ASSERT_TRUE(sleepers_start(self->fd, NULL, pid, before));
	/* Each of them slept exactly once. */
	EXPECT_EQ(sleeps + SLEEPERS, attr_get("stats/reader_sleeps"));

	for (n = 1; n <= SLEEPERS; n++) {
		EXPECT_EQ(1, res(write(self->w, "x", 1)));
		EXPECT_TRUE(eventually(ended(pid, before) == n));
		EXPECT_EQ(n, ended(pid, before));
		EXPECT_EQ(0, queued(self->r));
	}
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	EXPECT_EQ(sleeps + SLEEPERS, attr_get("stats/reader_sleeps"));
}

TEST_F(stream, one_read_wakes_one_writer)
{
	long sleeps = attr_get("stats/writer_sleeps"), before[SLEEPERS];
	pid_t pid[SLEEPERS];
	int i, n;

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	ASSERT_TRUE(sleepers_start(self->fd, self->buf, pid, before));
	EXPECT_EQ(sleeps + SLEEPERS, attr_get("stats/writer_sleeps"));

	for (n = 1; n <= SLEEPERS; n++) {
		/* Free space that is too small for all of them wakes none. */
		EXPECT_EQ(PIPE_BUF - 1, res(read(self->r, self->buf, PIPE_BUF - 1)));
		EXPECT_EQ(n - 1, ended(pid, before));
		EXPECT_EQ(1, res(read(self->r, self->buf, 1)));
		EXPECT_TRUE(eventually(ended(pid, before) == n));
		EXPECT_EQ(n, ended(pid, before));
		EXPECT_EQ(self->cap, queued(self->r));
	}
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	EXPECT_EQ(sleeps + SLEEPERS, attr_get("stats/writer_sleeps"));
}

/* A sleeping call and a sleeping poller at the same end. */
struct sleeping {
	pid_t call, poller;
	long calls, polls;	/* how often they went to sleep */
};

/*
 * Starts both: a reader of @fd and a poller of @end for bytes, or, if @buf is not NULL,
 * a writer of 2 * PIPE_BUF bytes and a poller for room.
 */
static bool sleeping_begin(struct sleeping *s, int fd, int end, const char *buf)
{
	struct pollfd pfd = { .fd = end, .events = buf ? POLLOUT : POLLIN };
	char c;

	s->call = child_start(DEADLINE);
	if (!s->call && buf)
		_exit(write(fd, buf, 2 * PIPE_BUF) != 2 * PIPE_BUF);
	if (!s->call)
		_exit(read(fd, &c, 1) != 1);
	s->poller = child_start(DEADLINE);
	if (!s->poller)
		_exit(poll(&pfd, 1, -1) != 1);
	if (!child_sleeps(s->call) || !child_sleeps(s->poller))
		return false;
	s->calls = switches(s->call);
	s->polls = switches(s->poller);
	return true;
}

/* Kills both; false if one was woken before. */
static bool sleeping_end(struct sleeping *s)
{
	bool slept = slept_on(s->call, s->calls) &&
		     slept_on(s->poller, s->polls);

	kill(s->call, SIGKILL);
	kill(s->poller, SIGKILL);
	return child_end(s->call) == -SIGKILL &&
	       child_end(s->poller) == -SIGKILL && slept;
}

TEST_F(stream, nobody_is_woken_for_nothing)
{
	char *bad = mmap(NULL, self->dev.page, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), c;
	struct sleeping s;

	ASSERT_NE(MAP_FAILED, bad);
	ASSERT_TRUE(sleeping_begin(&s, self->fd, self->r, NULL));
	EXPECT_EQ(-EAGAIN, res(read(self->r, &c, 1)));
	EXPECT_EQ(0, res(write(self->w, &c, 0)));
	EXPECT_EQ(-EFAULT, res(write(self->w, bad, 10)));
	EXPECT_EQ(-EFAULT, res(write(self->w, bad, PIPE_BUF + 10)));
	EXPECT_EQ(0, res(ioctl(self->r, VFIFO_CLEAR)));
	EXPECT_EQ(0, attr_set("capacity", 2 * self->cap));
	EXPECT_EQ(0, attr_set("capacity", self->cap));
	EXPECT_EQ(-EAGAIN, res(splice(self->pipe[0], NULL, self->w, NULL, 10,
				      SPLICE_F_NONBLOCK)));
	EXPECT_TRUE(sleeping_end(&s));

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	ASSERT_TRUE(sleeping_begin(&s, self->fd, self->w, self->buf));
	EXPECT_EQ(-EAGAIN, res(write(self->w, &c, 1)));
	EXPECT_EQ(-EAGAIN, res(write(self->w, self->buf, self->cap)));
	EXPECT_EQ(0, res(read(self->r, &c, 0)));
	EXPECT_EQ(-EFAULT, res(read(self->r, bad, 10)));
	EXPECT_EQ(PIPE_BUF - 1, res(read(self->r, self->buf, PIPE_BUF - 1)));
	EXPECT_EQ(PIPE_BUF - 1, res(write(self->w, self->buf, PIPE_BUF - 1)));
	EXPECT_TRUE(sleeping_end(&s));
	EXPECT_EQ(self->cap, queued(self->r));
	munmap(bad, self->dev.page);
}

/*
 * Two readers sleep, and the first is killed while it is woken. Either it has
 * consumed the byte, or the wake-up is passed on to the second. A byte left
 * queued beside a sleeping reader is a lost wake-up.
 */
TEST_F_TIMEOUT(stream, killed_sleeper_takes_no_wakeup, 60)
{
	pid_t pid[2];
	int i, j;

	for (i = 0; i < 40; i++) {
		for (j = 0; j < 2; j++) {
			pid[j] = child_start(2 * DEADLINE);
			if (!pid[j]) {
				char c;

				_exit(read(self->fd, &c, 1) != 1);
			}
			ASSERT_TRUE(child_sleeps(pid[j]));
		}
		if (i % 2)
			kill(pid[0], SIGKILL);
		EXPECT_EQ(1, res(write(self->w, "x", 1)));
		if (!(i % 2))
			kill(pid[0], SIGKILL);
		child_end(pid[0]);
		ASSERT_TRUE(eventually(({
			if (child_state(pid[1]) == 'S' && !queued(self->r))
				EXPECT_EQ(1, res(write(self->w, "x", 1)));
			child_state(pid[1]) == 'Z';
		})));
		ASSERT_EQ(0, child_end(pid[1]));
		ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	}
}

TEST_F(stream, killed_large_write_leaves_its_start)
{
	long room;
	pid_t pid;

	ASSERT_TRUE(put(&self->dev, 1000, 0));
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(write(self->fd, self->buf + 1000, 2 * self->cap) < 0);
	EXPECT_TRUE(eventually(queued(self->r) == self->cap));
	EXPECT_TRUE(child_sleeps(pid));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_TRUE(get(&self->dev, self->cap, 0));
	EXPECT_EQ(0, queued(self->r));

	/* No dead writer still holds back others. */
	for (room = self->cap; room; room -= PIPE_BUF)
		EXPECT_EQ(PIPE_BUF, res(write(self->w, self->buf, PIPE_BUF)));
	EXPECT_EQ(-EAGAIN, res(write(self->w, self->buf, 1)));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
