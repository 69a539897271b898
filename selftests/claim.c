// SPDX-License-Identifier: GPL-2.0
/*
 * The pages of the ends: what they show, and that a writable mapping of one is
 * the claim on that end, which is held by one at a time and given back however
 * its owner goes.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/uio.h>

#include "vfifo_test.h"

#ifndef MADV_DOFORK
#define MADV_DOFORK	11
#endif

FIXTURE(claim)
{
	struct vfifo dev;
	struct vfifo_info info;
	long cap, page;
};

FIXTURE_SETUP(claim)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	self->page = self->dev.page;
	self->info.size = sizeof(self->info);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_GET_INFO, &self->info));
}

FIXTURE_TEARDOWN(claim)
{
	vfifo_teardown(&self->dev);
}

enum side { PRODUCER, CONSUMER };

static const char * const claimed_attr[] = {
	"producer_claimed", "consumer_claimed",
};

static __u64 end_offset(struct vfifo_info *info, enum side side)
{
	return side == PRODUCER ? info->producer_offset : info->consumer_offset;
}

/* The page of an end, or NULL with errno. */
static struct vfifo_end *map_end(int fd, struct vfifo_info *info,
				 enum side side, int prot)
{
	return map_page(fd, end_offset(info, side), prot);
}

static int unmap_end(void *end)
{
	return munmap(end, sysconf(_SC_PAGESIZE));
}

/* What a claim gets: 0, with the claim gone again, or -errno. */
static int try_claim(int fd, struct vfifo_info *info, enum side side)
{
	struct vfifo_end *end = map_end(fd, info, side, PROT_READ | PROT_WRITE);

	if (!end)
		return -errno;
	return res(unmap_end(end));
}

/* ---- what may be mapped ---- */

TEST_F(claim, pages_show_positions)
{
	struct vfifo_end *head, *tail;
	unsigned char *bytes;
	__u64 start;
	long i;

	head = map_end(self->dev.fd, &self->info, PRODUCER, PROT_READ);
	tail = map_end(self->dev.fd, &self->info, CONSUMER, PROT_READ);
	ASSERT_TRUE(head && tail);
	start = load(head);
	EXPECT_EQ(start, load(tail));

	ASSERT_TRUE(put(&self->dev, 100, 0));
	EXPECT_EQ(start + 100, load(head));
	EXPECT_EQ(start, load(tail));
	ASSERT_TRUE(get(&self->dev, 30, 0));
	EXPECT_EQ(start + 100, load(head));
	EXPECT_EQ(start + 30, load(tail));
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_EQ(start + 100, load(tail));

	/* Nothing else is in the page. */
	bytes = (void *)head;
	for (i = sizeof(*head); i < self->page; i++)
		EXPECT_EQ(0, bytes[i]);
	for (i = 0; i < sizeof(head->reserved); i++)
		EXPECT_EQ(0, ((unsigned char *)head->reserved)[i]);
	EXPECT_EQ(0, head->reserved2);
	/* Who looks at one does not fetch the other's cache line. */
	EXPECT_EQ(128, (unsigned char *)&head->waiting - bytes);
	unmap_end(head);
	unmap_end(tail);
}

TEST_F(claim, only_whole_pages_of_ends_are_there)
{
	int sides[] = { PRODUCER, CONSUMER }, i, fd = self->dev.fd;
	__u64 off;

	for (i = 0; i < 2; i++) {
		off = end_offset(&self->info, sides[i]);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * self->page, PROT_READ,
					   MAP_SHARED, fd, off));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page, PROT_READ,
					   MAP_SHARED, fd, off + self->page));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page, PROT_READ,
					   MAP_SHARED, fd, off - self->page));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page,
					   PROT_READ | PROT_WRITE, MAP_PRIVATE,
					   fd, off));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page,
					   PROT_READ | PROT_EXEC, MAP_SHARED,
					   fd, off));
		EXPECT_EQ(EACCES, errno);
		EXPECT_EQ(0, attr_get(claimed_attr[sides[i]]));
	}
}

TEST_F(claim, descriptor_must_be_open_for_both)
{
	struct vfifo_end *end;
	int rd = vfifo_open(O_RDONLY), wr = vfifo_open(O_WRONLY), side;

	ASSERT_TRUE(rd >= 0 && wr >= 0);
	for (side = PRODUCER; side <= CONSUMER; side++) {
		EXPECT_EQ(-EACCES, try_claim(rd, &self->info, side));
		EXPECT_EQ(-EACCES, try_claim(wr, &self->info, side));
		EXPECT_EQ(NULL, map_end(wr, &self->info, side, PROT_READ));
		EXPECT_EQ(EACCES, errno);
		end = map_end(rd, &self->info, side, PROT_READ);
		ASSERT_NE(NULL, end);
		EXPECT_EQ(0, attr_get(claimed_attr[side]));
		unmap_end(end);
	}
	close(rd);
	close(wr);
}

TEST_F(claim, view_claims_nothing_and_stays_a_view)
{
	struct vfifo_end *view[3], *own;
	int side, i;

	for (side = PRODUCER; side <= CONSUMER; side++) {
		for (i = 0; i < 3; i++) {
			view[i] = map_end(self->dev.fd, &self->info, side,
					  PROT_READ);
			ASSERT_NE(NULL, view[i]);
		}
		EXPECT_EQ(0, attr_get(claimed_attr[side]));
		EXPECT_EQ(-EACCES, res(mprotect(view[0], self->page,
						PROT_READ | PROT_WRITE)));
		EXPECT_EQ(-EACCES, res(mprotect(view[0], self->page,
						PROT_READ | PROT_EXEC)));
		/* Beside a claim, too. */
		own = map_end(self->dev.fd, &self->info, side,
			      PROT_READ | PROT_WRITE);
		ASSERT_NE(NULL, own);
		EXPECT_EQ(load(own), load(view[1]));
		EXPECT_EQ(-EACCES, res(mprotect(view[2], self->page,
						PROT_WRITE)));
		unmap_end(own);
		for (i = 0; i < 3; i++)
			unmap_end(view[i]);
	}
}

/* ---- what a claim keeps others from ---- */

TEST_F(claim, one_at_a_time)
{
	struct vfifo_end *own;
	int side, fd = vfifo_open(O_RDWR);
	pid_t pid;

	ASSERT_LE(0, fd);
	for (side = PRODUCER; side <= CONSUMER; side++) {
		EXPECT_EQ(0, attr_get(claimed_attr[side]));
		own = map_end(self->dev.fd, &self->info, side,
			      PROT_READ | PROT_WRITE);
		ASSERT_NE(NULL, own);
		EXPECT_EQ(1, attr_get(claimed_attr[side]));
		EXPECT_EQ(0, attr_get(claimed_attr[!side]));
		EXPECT_EQ(-EBUSY, try_claim(self->dev.fd, &self->info, side));
		EXPECT_EQ(-EBUSY, try_claim(fd, &self->info, side));
		/* The other end is another claim. */
		EXPECT_EQ(0, try_claim(fd, &self->info, !side));
		pid = child_start(DEADLINE);
		if (!pid)
			_exit(-try_claim(fd, &self->info, side));
		EXPECT_EQ(EBUSY, child_end(pid));
		unmap_end(own);
		EXPECT_EQ(0, attr_get(claimed_attr[side]));
		EXPECT_EQ(0, try_claim(fd, &self->info, side));
	}
	close(fd);
}

TEST_F(claim, calls_of_a_claimed_end_are_busy)
{
	struct vfifo_end *own;
	int fds[2], on = 1;
	char c = 'c';

	ASSERT_EQ(0, pipe(fds));
	ASSERT_TRUE(put(&self->dev, 10, 0));
	own = map_end(self->dev.fd, &self->info, CONSUMER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	EXPECT_EQ(-EBUSY, res(read(self->dev.fd, &c, 1)));
	EXPECT_EQ(0, res(read(self->dev.fd, &c, 0)));
	EXPECT_EQ(-EBUSY, res(ioctl(self->dev.fd, VFIFO_CLEAR)));
	EXPECT_EQ(-EBUSY, res(splice(self->dev.fd, NULL, fds[1], NULL, 1, 0)));
	EXPECT_EQ(1, res(write(self->dev.fd, &c, 1)));
	EXPECT_EQ(11, queued(self->dev.fd));
	EXPECT_EQ(-EBUSY, attr_set("capacity", 2 * self->cap));
	unmap_end(own);
	EXPECT_TRUE(get(&self->dev, 10, 0));
	EXPECT_EQ(1, read(self->dev.fd, &c, 1));

	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	EXPECT_EQ(-EBUSY, res(write(self->dev.fd, &c, 1)));
	EXPECT_EQ(0, res(write(self->dev.fd, &c, 0)));
	ASSERT_EQ(1, write(fds[1], &c, 1));
	EXPECT_EQ(-EBUSY, res(splice(fds[0], NULL, self->dev.fd, NULL, 1, 0)));
	EXPECT_EQ(-EAGAIN, res(read(self->dev.fd, &c, 1)));
	EXPECT_EQ(0, res(ioctl(self->dev.fd, VFIFO_CLEAR)));
	EXPECT_EQ(-EBUSY, res(ioctl(self->dev.fd, VFIFO_SET_MODE, &on)));
	EXPECT_EQ(-EBUSY, attr_store("mode", "1"));
	EXPECT_EQ(0, attr_store("mode", "0"));
	EXPECT_EQ(0, attr_get("mode"));
	EXPECT_EQ(-EBUSY, attr_set("capacity", 2 * self->cap));
	unmap_end(own);
	EXPECT_EQ(0, ioctl(self->dev.fd, VFIFO_SET_MODE, &on));
	EXPECT_EQ(0, attr_set("capacity", 2 * self->cap));
	close(fds[0]);
	close(fds[1]);
}

TEST_F(claim, generation_is_dropped_meanwhile)
{
	struct vfifo_end *own;
	long dropped = attr_get("stats/dropped");
	char text[5];

	ASSERT_EQ(0, attr_set("period_ms", 1));
	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	unmap_end(own);
	ASSERT_EQ(0, attr_set("mode", 1));
	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	/* It is set already. */
	EXPECT_EQ(0, attr_set("mode", 1));
	EXPECT_TRUE(eventually(attr_get("stats/dropped") > dropped + 3));
	EXPECT_EQ(0, queued(self->dev.fd));
	unmap_end(own);
	EXPECT_TRUE(eventually(queued(self->dev.fd) >= 5));
	EXPECT_EQ(5, read(self->dev.fd, text, 5));
	EXPECT_EQ(0, memcmp(text, "AUTO ", 5));
}

/* Whoever sleeps at an end that is claimed must not sleep on for nothing. */
TEST_F(claim, sleepers_are_told)
{
	struct vfifo_end *own;
	int fd = vfifo_open(O_RDWR);
	char c, *big;
	pid_t pid;

	ASSERT_LE(0, fd);
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(-res(read(fd, &c, 1)));
	ASSERT_TRUE(child_sleeps(pid));
	own = map_end(self->dev.fd, &self->info, CONSUMER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	EXPECT_EQ(EBUSY, child_end(pid));
	unmap_end(own);

	/* All is full: nothing of it can be written. */
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(-res(write(fd, &c, 1)));
	ASSERT_TRUE(child_sleeps(pid));
	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	EXPECT_EQ(EBUSY, child_end(pid));
	unmap_end(own);

	/* Some of it was. */
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	big = calloc(2, self->cap);
	ASSERT_NE(NULL, big);
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(res(write(fd, big, 2 * self->cap)) != self->cap);
	ASSERT_TRUE(child_sleeps(pid));
	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	EXPECT_EQ(0, child_end(pid));
	unmap_end(own);
	free(big);
	close(fd);
}

/* Who owns the producer's end is told of any room, others of that for PIPE_BUF bytes. */
TEST_F(claim, pollers_are_told_that_less_room_will_do)
{
	struct pollfd p = { .fd = self->dev.fd, .events = POLLOUT };
	struct vfifo_end *own;
	pid_t pid;

	ASSERT_TRUE(put(&self->dev, self->cap - 100, 0));
	ASSERT_EQ(0, poll(&p, 1, 0));
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(poll(&p, 1, -1) != 1 || p.revents != POLLOUT);
	ASSERT_TRUE(child_sleeps(pid));
	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	EXPECT_EQ(0, child_end(pid));
	unmap_end(own);
}

TEST_F(claim, fdinfo_tells)
{
	struct vfifo_end *own;
	const char *text;

	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	text = fdinfo_text(self->dev.fd);
	EXPECT_NE(NULL, strstr(text, "\nvfifo-producer:\tclaimed\n"));
	EXPECT_NE(NULL, strstr(text, "\nvfifo-consumer:\tunclaimed\n"));
	unmap_end(own);
}

/* ---- how a claim ends ---- */

/* Has a child claim both ends and do @how with itself. */
static pid_t claiming_child(int fd, struct vfifo_info *info, void (*how)(void))
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe2(ready, O_CLOEXEC))
		return -1;
	pid = child_start(3 * DEADLINE);
	if (!pid) {
		if (!map_end(fd, info, PRODUCER, PROT_READ | PROT_WRITE) ||
		    !map_end(fd, info, CONSUMER, PROT_WRITE))
			_exit(99);
		if (write(ready[1], "r", 1) != 1)
			_exit(98);
		how();
		_exit(97);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1) {
		child_end(pid);
		pid = -1;
	}
	close(ready[0]);
	return pid;
}

/* Who looks at the maps of a process that ends keeps its claims for a moment. */
static bool both_claimed(int wanted)
{
	return attr_get("producer_claimed") == wanted &&
	       attr_get("consumer_claimed") == wanted;
}

static void wait_for_a_signal(void)
{
	for (;;)
		pause();
}

static void leave(void)
{
	exit(0);
}

static void run_sleep(void)
{
	execlp("sleep", "sleep", "60", NULL);
}

TEST_F(claim, ends_with_exit)
{
	pid_t pid = claiming_child(self->dev.fd, &self->info, leave);

	ASSERT_LT(0, pid);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(eventually(both_claimed(0)));
	EXPECT_EQ(0, try_claim(self->dev.fd, &self->info, PRODUCER));
	EXPECT_EQ(0, try_claim(self->dev.fd, &self->info, CONSUMER));
}

TEST_F(claim, ends_with_a_fatal_signal)
{
	int signals[] = { SIGKILL, SIGTERM, SIGSEGV };
	unsigned int i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		pid = claiming_child(self->dev.fd, &self->info,
				     wait_for_a_signal);
		ASSERT_LT(0, pid);
		EXPECT_TRUE(both_claimed(1));
		EXPECT_EQ(-EBUSY, try_claim(self->dev.fd, &self->info,
					    PRODUCER));
		kill(pid, signals[i]);
		EXPECT_EQ(-signals[i], child_end(pid));
		EXPECT_TRUE(eventually(both_claimed(0)));
	}
}

TEST_F(claim, ends_with_exec)
{
	pid_t pid = claiming_child(self->dev.fd, &self->info, run_sleep);

	ASSERT_LT(0, pid);
	EXPECT_TRUE(eventually(both_claimed(0)));
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-SIGKILL, child_end(pid));
}

TEST_F(claim, ends_when_something_else_is_mapped_there)
{
	struct vfifo_end *own;

	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	EXPECT_EQ(own, mmap(own, self->page, PROT_READ,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(0, attr_get("producer_claimed"));
	unmap_end(own);
}

TEST_F(claim, does_not_need_the_descriptor)
{
	int fd = vfifo_open(O_RDWR);
	struct vfifo_end *own;

	ASSERT_LE(0, fd);
	own = map_end(fd, &self->info, PRODUCER, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	close(fd);
	EXPECT_EQ(1, attr_get("producer_claimed"));
	store(own, load(own) + 1);
	EXPECT_EQ(1, queued(self->dev.fd));
	unmap_end(own);
	EXPECT_EQ(0, attr_get("producer_claimed"));
}

TEST_F(claim, is_not_inherited)
{
	struct vfifo_end *own;
	int done[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(done));
	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	EXPECT_EQ(-EINVAL, res(madvise(own, self->page, MADV_DOFORK)));
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		/* There is nothing at that address here. */
		if (msync(own, self->page, MS_ASYNC) == 0 || errno != ENOMEM)
			_exit(1);
		close(done[1]);
		_exit(read(done[0], &c, 1) != 0);
	}
	/* The child has the descriptor, and lives, but is no owner. */
	unmap_end(own);
	EXPECT_EQ(0, attr_get("producer_claimed"));
	EXPECT_EQ(0, try_claim(self->dev.fd, &self->info, PRODUCER));
	close(done[1]);
	EXPECT_EQ(0, child_end(pid));

	/* Nor does a child that ends take it along. */
	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(0);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(1, attr_get("producer_claimed"));
	unmap_end(own);
	close(done[0]);
}

static void *nothing(void *arg)
{
	return arg;
}

TEST_F(claim, belongs_to_the_process_not_a_thread)
{
	struct vfifo_end *own;
	pthread_t thread;

	own = map_end(self->dev.fd, &self->info, CONSUMER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	ASSERT_EQ(0, pthread_create(&thread, NULL, nothing, NULL));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(1, attr_get("consumer_claimed"));
	unmap_end(own);
}

TEST_F(claim, cannot_be_moved_grown_or_doubled)
{
	char *room = mmap(NULL, 4 * self->page, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfifo_end *own;

	ASSERT_NE(MAP_FAILED, room);
	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	EXPECT_EQ(MAP_FAILED, mremap(own, self->page, self->page,
				     MREMAP_MAYMOVE | MREMAP_FIXED,
				     room + self->page));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mremap(own, self->page, 2 * self->page,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(own, 0, self->page, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(own, self->page, self->page,
				     MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	EXPECT_EQ(EINVAL, errno);
	/* It is where it was, and what it was. */
	EXPECT_EQ(1, attr_get("producer_claimed"));
	store(own, load(own) + 1);
	EXPECT_EQ(1, queued(self->dev.fd));
	unmap_end(own);
	EXPECT_EQ(0, attr_get("producer_claimed"));
	munmap(room, 4 * self->page);
}

TEST_F(claim, stays_whatever_its_protection)
{
	struct vfifo_end *own;

	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	EXPECT_EQ(0, mprotect(own, self->page, PROT_NONE));
	EXPECT_EQ(1, attr_get("producer_claimed"));
	EXPECT_EQ(-EBUSY, try_claim(self->dev.fd, &self->info, PRODUCER));
	EXPECT_EQ(0, mprotect(own, self->page, PROT_READ));
	EXPECT_EQ(1, attr_get("producer_claimed"));
	EXPECT_EQ(0, mprotect(own, self->page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(-EACCES, res(mprotect(own, self->page,
					PROT_READ | PROT_EXEC)));
	store(own, load(own) + 1);
	EXPECT_EQ(1, queued(self->dev.fd));
	unmap_end(own);
}

/* A descriptor that came by a socket is as good, and no better. */
TEST_F(claim, descriptor_may_be_passed_on)
{
	struct vfifo_end *own;
	int socks[2], fd;
	pid_t pid;
	char c;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		close(self->dev.fd);
		close(socks[0]);
		fd = receive_fd(socks[1]);
		if (fd < 0 || try_claim(fd, &self->info, PRODUCER) != -EBUSY)
			_exit(1);
		if (write(socks[1], "b", 1) != 1 || read(socks[1], &c, 1) != 1)
			_exit(2);
		own = map_end(fd, &self->info, PRODUCER,
			      PROT_READ | PROT_WRITE);
		if (!own)
			_exit(3);
		store(own, load(own) + 3);
		_exit(0);
	}
	close(socks[1]);
	ASSERT_EQ(0, send_fd(socks[0], self->dev.fd));
	EXPECT_EQ(1, read(socks[0], &c, 1));
	unmap_end(own);
	EXPECT_EQ(1, write(socks[0], "g", 1));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(eventually(!attr_get("producer_claimed")));
	EXPECT_EQ(3, queued(self->dev.fd));
	close(socks[0]);
}

/* ---- who goes on from where ---- */

TEST_F(claim, what_was_published_is_there)
{
	struct vfifo_end *own;
	__u64 head;
	char *data;

	data = mmap(NULL, 2 * self->cap, PROT_READ | PROT_WRITE, MAP_SHARED,
		    self->dev.fd, 0);
	ASSERT_NE(MAP_FAILED, data);
	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	head = load(own);
	/* 300 bytes, of which 200 are published. */
	stream_fill(data + head % self->cap, 300, 0);
	store(own, head + 200);
	unmap_end(own);
	EXPECT_EQ(200, queued(self->dev.fd));
	/* The next producer goes on from there, by calls or not. */
	ASSERT_TRUE(put(&self->dev, 50, 200));
	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	EXPECT_EQ(head + 250, load(own));
	stream_fill(data + (head + 250) % self->cap, 50, 250);
	store(own, head + 300);
	EXPECT_TRUE(get(&self->dev, 300, 0));
	EXPECT_EQ(0, queued(self->dev.fd));
	unmap_end(own);
	munmap(data, 2 * self->cap);
}

TEST_F(claim, what_was_consumed_is_gone)
{
	struct vfifo_end *own;
	__u64 tail;
	char *data;

	data = mmap(NULL, 2 * self->cap, PROT_READ, MAP_SHARED, self->dev.fd,
		    0);
	ASSERT_NE(MAP_FAILED, data);
	ASSERT_TRUE(put(&self->dev, 300, 0));
	own = map_end(self->dev.fd, &self->info, CONSUMER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	tail = load(own);
	EXPECT_TRUE(stream_equal(data + tail % self->cap, 300, 0));
	store(own, tail + 100);
	EXPECT_EQ(200, queued(self->dev.fd));
	unmap_end(own);
	EXPECT_TRUE(get(&self->dev, 200, 100));
	munmap(data, 2 * self->cap);
}

TEST_F(claim, stats_count_what_owners_move)
{
	long written = attr_get("stats/bytes_written");
	long consumed = attr_get("stats/bytes_read");
	long notifies = attr_get("stats/notifies");
	struct vfifo_end *head, *tail;

	head = map_end(self->dev.fd, &self->info, PRODUCER,
		       PROT_READ | PROT_WRITE);
	tail = map_end(self->dev.fd, &self->info, CONSUMER,
		       PROT_READ | PROT_WRITE);
	ASSERT_TRUE(head && tail);
	store(head, load(head) + 20);
	store(tail, load(tail) + 15);
	EXPECT_EQ(written + 20, attr_get("stats/bytes_written"));
	EXPECT_EQ(consumed + 15, attr_get("stats/bytes_read"));
	EXPECT_EQ(5, attr_get("size"));
	EXPECT_EQ(0, ioctl(self->dev.fd, VFIFO_NOTIFY));
	EXPECT_EQ(notifies + 1, attr_get("stats/notifies"));
	unmap_end(head);
	unmap_end(tail);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_EQ(consumed + 15, attr_get("stats/bytes_read"));
}

/* ---- nothing else may hold the page ---- */

TEST_F(claim, page_cannot_be_pinned)
{
	struct vfifo_end *own;
	struct iovec local, remote;
	int fds[2], mem;
	char buf[16] = { 0 };

	own = map_end(self->dev.fd, &self->info, PRODUCER,
		      PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, own);
	store(own, load(own));
	ASSERT_EQ(0, pipe(fds));
	local.iov_base = own;
	local.iov_len = sizeof(*own);
	EXPECT_EQ(-EFAULT, res(vmsplice(fds[1], &local, 1, 0)));
	/* A copy is another matter. */
	EXPECT_EQ(sizeof(*own), write(fds[1], own, sizeof(*own)));
	local.iov_base = buf;
	local.iov_len = sizeof(buf);
	remote.iov_base = own;
	remote.iov_len = sizeof(buf);
	EXPECT_EQ(-EFAULT, res(process_vm_writev(getpid(), &local, 1, &remote,
						 1, 0)));
	/* As debuggers do it. */
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, mem);
	EXPECT_EQ(1, res(pread(mem, buf + 1, 1, (uintptr_t)buf)));
	EXPECT_EQ(-EIO, res(pread(mem, buf, 1, (uintptr_t)own)));
	EXPECT_EQ(-EIO, res(pwrite(mem, buf, 1, (uintptr_t)own)));
	close(mem);
	unmap_end(own);
	close(fds[0]);
	close(fds[1]);
}

/* ---- who waits ---- */

TEST_F(claim, whoever_waits_is_seen_to)
{
	struct vfifo_end *head, *tail;
	struct pollfd poll_in = { .fd = self->dev.fd, .events = POLLIN };
	struct pollfd poll_out = { .fd = self->dev.fd, .events = POLLOUT };
	int fd = vfifo_open(O_RDWR);
	pid_t pid;
	char c;

	ASSERT_LE(0, fd);
	head = map_end(self->dev.fd, &self->info, PRODUCER,
		       PROT_READ | PROT_WRITE);
	tail = map_end(self->dev.fd, &self->info, CONSUMER, PROT_READ);
	ASSERT_TRUE(head && tail);

	/* One that polls, until it is told of something. */
	EXPECT_EQ(0, poll(&poll_in, 1, 0));
	EXPECT_NE(0, __atomic_load_n(&tail->waiting, __ATOMIC_SEQ_CST));
	store(head, load(head) + 1);
	EXPECT_EQ(0, ioctl(fd, VFIFO_NOTIFY));
	EXPECT_EQ(0, __atomic_load_n(&tail->waiting, __ATOMIC_SEQ_CST));
	EXPECT_EQ(1, read(fd, &c, 1));
	EXPECT_EQ(0, __atomic_load_n(&tail->waiting, __ATOMIC_SEQ_CST));
	EXPECT_EQ(0, poll(&poll_in, 1, 0));
	EXPECT_NE(0, __atomic_load_n(&tail->waiting, __ATOMIC_SEQ_CST));

	/* The owner too. */
	EXPECT_EQ(1, poll(&poll_out, 1, 0));
	EXPECT_NE(0, __atomic_load_n(&head->waiting, __ATOMIC_SEQ_CST));

	/* One that sleeps, which is told in vain, and then not. */
	pid = child_start(2 * DEADLINE);
	if (!pid)
		_exit(read(fd, &c, 1) != 1);
	ASSERT_TRUE(child_sleeps(pid));
	EXPECT_NE(0, __atomic_load_n(&tail->waiting, __ATOMIC_SEQ_CST));
	EXPECT_EQ(0, ioctl(fd, VFIFO_NOTIFY));
	EXPECT_TRUE(eventually(__atomic_load_n(&tail->waiting,
					       __ATOMIC_SEQ_CST) != 0));
	EXPECT_TRUE(child_sleeps(pid));
	store(head, load(head) + 1);
	EXPECT_EQ(0, ioctl(fd, VFIFO_NOTIFY));
	EXPECT_EQ(0, child_end(pid));
	unmap_end(head);
	unmap_end(tail);
	close(fd);
}

/* Publishes @len bytes more as the header says: tells the other end if it waits. */
static void publish(int fd, struct vfifo_end *own, struct vfifo_end *peer,
		    long len)
{
	store(own, load(own) + len);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&peer->waiting, __ATOMIC_RELAXED))
		ioctl(fd, VFIFO_NOTIFY);
}

/* A mapped end need not know that the other one wants signals. */
TEST_F(claim, owners_cause_signals)
{
	int r = vfifo_open(O_RDONLY | O_NONBLOCK);
	int w = vfifo_open(O_WRONLY | O_NONBLOCK);
	struct vfifo_end *own, *peer;
	int i;

	ASSERT_LE(0, r);
	ASSERT_LE(0, w);
	hold_signal(SIGIO);
	ASSERT_EQ(0, want_signals(r, getpid()));
	own = map_end(self->dev.fd, &self->info, PRODUCER, PROT_READ | PROT_WRITE);
	peer = map_end(self->dev.fd, &self->info, CONSUMER, PROT_READ);
	ASSERT_NE(NULL, own);
	ASSERT_NE(NULL, peer);
	for (i = 0; i < 3; i++) {
		EXPECT_FALSE(signalled());
		publish(self->dev.fd, own, peer, 10);
		EXPECT_TRUE(signalled());
	}
	/* Also of what its owner told nobody of. */
	store(own, load(own) + 10);
	EXPECT_FALSE(signalled());
	unmap_end(own);
	EXPECT_TRUE(signalled());
	EXPECT_EQ(40, queued(r));
	unmap_end(peer);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	ASSERT_EQ(0, fcntl(r, F_SETFL, O_NONBLOCK));
	while (signalled())
		;

	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	ASSERT_EQ(0, want_signals(w, getpid()));
	own = map_end(self->dev.fd, &self->info, CONSUMER, PROT_READ | PROT_WRITE);
	peer = map_end(self->dev.fd, &self->info, PRODUCER, PROT_READ);
	ASSERT_NE(NULL, own);
	ASSERT_NE(NULL, peer);
	publish(self->dev.fd, own, peer, PIPE_BUF - 1);
	EXPECT_FALSE(signalled());
	for (i = 0; i < 3; i++) {
		publish(self->dev.fd, own, peer, 1);
		EXPECT_TRUE(signalled());
	}
	unmap_end(own);
	unmap_end(peer);
	close(r);
	close(w);
}

/* What the kernel does not know of, the next owner finds as the first one did. */
TEST_F(claim, leaves_a_clean_page)
{
	const size_t after = offsetof(struct vfifo_end, reserved2);
	struct vfifo_end *own;
	enum side side;
	long i, bad;
	char *bytes;

	for (side = PRODUCER; side <= CONSUMER; side++) {
		own = map_end(self->dev.fd, &self->info, side,
			      PROT_READ | PROT_WRITE);
		ASSERT_NE(NULL, own);
		memset(own->reserved, 0xaa, sizeof(own->reserved));
		memset((char *)own + after, 0xaa, self->page - after);
		unmap_end(own);
		own = map_end(self->dev.fd, &self->info, side, PROT_READ);
		ASSERT_NE(NULL, own);
		bytes = (char *)own;
		for (i = sizeof(own->position), bad = 0; i < self->page; i++)
			bad += bytes[i] != 0;
		EXPECT_EQ(0, bad);
		unmap_end(own);
	}
	/* The stream does not mind. */
	ASSERT_TRUE(put(&self->dev, 1000, 0));
	EXPECT_TRUE(get(&self->dev, 1000, 0));
}

/*
 * A consumer that makes room as fast as it is filled: the writer never sleeps,
 * and hears a signal all the same.
 */
TEST_F(claim, endless_room_does_not_hide_a_signal)
{
	const size_t much = 1UL << 30;
	struct vfifo_end *own, *peer;
	int status = 0;
	pid_t writer;
	void *bytes;
	__u64 start;
	long ret;

	own = map_end(self->dev.fd, &self->info, CONSUMER, PROT_READ | PROT_WRITE);
	peer = map_end(self->dev.fd, &self->info, PRODUCER, PROT_READ);
	ASSERT_NE(NULL, own);
	ASSERT_NE(NULL, peer);
	start = load(peer);
	writer = child_start(3 * DEADLINE);
	if (!writer) {
		int fd = vfifo_open(O_WRONLY);

		/* All of it is the page of zeroes. */
		bytes = mmap(NULL, much, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
			     MAP_NORESERVE, -1, 0);
		ASSERT_NE(MAP_FAILED, bytes);
		signal(SIGUSR1, no_op);
		ret = res(write(fd, bytes, much));
		EXPECT_LT(0, ret);
		EXPECT_GT((long)much, ret);
		_exit(0);
	}
	while (!waitpid(writer, &status, WNOHANG)) {
		store(own, load(peer));
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (__atomic_load_n(&peer->waiting, __ATOMIC_RELAXED))
			ioctl(self->dev.fd, VFIFO_NOTIFY);
		/* While bytes move it is in that call. */
		if (load(peer) != start)
			kill(writer, SIGUSR1);
	}
	EXPECT_EQ(0, status);
	unmap_end(own);
	unmap_end(peer);
}

/* A child that polls for @events until there are some: 0 if it is those. */
static pid_t polling_child(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	pid_t pid = child_start(2 * DEADLINE);

	if (!pid)
		_exit(poll(&p, 1, -1) != 1 || p.revents != events);
	return pid;
}

TEST_F(claim, death_tells_who_sleeps)
{
	int fd = vfifo_open(O_RDWR);
	struct vfifo_end *head;
	pid_t reader, poller;
	char buf[5];

	ASSERT_LE(0, fd);
	head = map_end(self->dev.fd, &self->info, PRODUCER,
		       PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, head);
	reader = child_start(2 * DEADLINE);
	if (!reader)
		_exit(read(fd, buf, sizeof(buf)) != sizeof(buf));
	poller = polling_child(fd, POLLIN);
	ASSERT_TRUE(child_sleeps(reader));
	ASSERT_TRUE(child_sleeps(poller));
	/* More than the one takes, so that there is some for the other. */
	store(head, load(head) + 2 * sizeof(buf));
	EXPECT_EQ('S', child_state(reader));
	EXPECT_EQ('S', child_state(poller));
	unmap_end(head);
	EXPECT_EQ(0, child_end(reader));
	EXPECT_EQ(0, child_end(poller));
	close(fd);
}

TEST_F(claim, death_tells_who_sleeps_for_room)
{
	int fd = vfifo_open(O_RDWR);
	struct vfifo_end *tail;
	pid_t writer, poller;
	char buf[PIPE_BUF] = "";

	ASSERT_LE(0, fd);
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	tail = map_end(self->dev.fd, &self->info, CONSUMER,
		       PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, tail);
	writer = child_start(2 * DEADLINE);
	if (!writer)
		_exit(write(fd, buf, sizeof(buf)) != sizeof(buf));
	poller = polling_child(fd, POLLOUT);
	ASSERT_TRUE(child_sleeps(writer));
	ASSERT_TRUE(child_sleeps(poller));
	store(tail, load(tail) + 2 * PIPE_BUF);
	EXPECT_EQ('S', child_state(writer));
	EXPECT_EQ('S', child_state(poller));
	unmap_end(tail);
	EXPECT_EQ(0, child_end(writer));
	EXPECT_EQ(0, child_end(poller));
	EXPECT_EQ(self->cap - PIPE_BUF, queued(fd));
	close(fd);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
