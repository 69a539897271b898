// SPDX-License-Identifier: GPL-2.0
/*
 * The pages of the ends: what may be mapped, and that a writable mapping is a claim.
 * Only one process holds it at a time, and it ends however its owner ends.
 */
#include <pthread.h>
#include <sys/uio.h>

#include "vfifo_claim.h"

#ifndef MADV_DOFORK
#define MADV_DOFORK	11
#endif

static const char * const claimed_attr[] = {
	"producer_claimed", "consumer_claimed",
};

/* ---- what may be mapped ---- */

TEST_F(claim, pages_show_positions)
{
	struct vfifo_end *head, *tail;
	unsigned char *bytes;
	__u64 start;
	long i;

	head = VIEW(PRODUCER);
	tail = VIEW(CONSUMER);
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
	/* The flag is in another cache line than the position. */
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
		for (i = 0; i < 3; i++)
			view[i] = VIEW(side);
		EXPECT_EQ(0, attr_get(claimed_attr[side]));
		EXPECT_EQ(-EACCES, res(mprotect(view[0], self->page,
						PROT_READ | PROT_WRITE)));
		EXPECT_EQ(-EACCES, res(mprotect(view[0], self->page,
						PROT_READ | PROT_EXEC)));
		/* Also while the end is claimed. */
		own = CLAIM(side);
		EXPECT_EQ(load(own), load(view[1]));
		EXPECT_EQ(-EACCES, res(mprotect(view[2], self->page,
						PROT_WRITE)));
		unmap_end(own);
		for (i = 0; i < 3; i++)
			unmap_end(view[i]);
	}
}

/* ---- what a claim excludes ---- */

TEST_F(claim, one_at_a_time)
{
	struct vfifo_end *own;
	int side, fd = vfifo_open(O_RDWR);
	pid_t pid;

	ASSERT_LE(0, fd);
	for (side = PRODUCER; side <= CONSUMER; side++) {
		EXPECT_EQ(0, attr_get(claimed_attr[side]));
		own = CLAIM(side);
		EXPECT_EQ(1, attr_get(claimed_attr[side]));
		EXPECT_EQ(0, attr_get(claimed_attr[!side]));
		EXPECT_EQ(-EBUSY, try_claim(self->dev.fd, &self->info, side));
		EXPECT_EQ(-EBUSY, try_claim(fd, &self->info, side));
		/* The other end can still be claimed. */
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
	own = CLAIM(CONSUMER);
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

	own = CLAIM(PRODUCER);
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
	own = CLAIM(PRODUCER);
	unmap_end(own);
	ASSERT_EQ(0, attr_set("mode", 1));
	own = CLAIM(PRODUCER);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	/* It is in this mode already. */
	EXPECT_EQ(0, attr_set("mode", 1));
	EXPECT_TRUE(eventually(attr_get("stats/dropped") > dropped + 3));
	EXPECT_EQ(0, queued(self->dev.fd));
	unmap_end(own);
	EXPECT_TRUE(eventually(queued(self->dev.fd) >= 5));
	EXPECT_EQ(5, read(self->dev.fd, text, 5));
	EXPECT_EQ(0, memcmp(text, "AUTO ", 5));
}

/* ---- how a claim ends ---- */

/* A child claims both ends and then runs @how. */
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

/*
 * A process that inspects the maps of an exiting one delays the release for a
 * moment.
 */
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

	own = CLAIM(PRODUCER);
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
	own = CLAIM(PRODUCER);
	EXPECT_EQ(-EINVAL, res(madvise(own, self->page, MADV_DOFORK)));
	pid = child_start(2 * DEADLINE);
	if (!pid) {
		/* Nothing is mapped at that address here. */
		if (msync(own, self->page, MS_ASYNC) == 0 || errno != ENOMEM)
			_exit(1);
		close(done[1]);
		_exit(read(done[0], &c, 1) != 0);
	}
	/* The child has the descriptor, but does not own the claim. */
	unmap_end(own);
	EXPECT_EQ(0, attr_get("producer_claimed"));
	EXPECT_EQ(0, try_claim(self->dev.fd, &self->info, PRODUCER));
	close(done[1]);
	EXPECT_EQ(0, child_end(pid));

	/* Nor does the exit of a child end the claim. */
	own = CLAIM(PRODUCER);
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

	own = CLAIM(CONSUMER);
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
	own = CLAIM(PRODUCER);
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
	/* It is unchanged, and at its old address. */
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

	own = CLAIM(PRODUCER);
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

/* A descriptor received over a socket has the same rights, no more. */
TEST_F(claim, descriptor_may_be_passed_on)
{
	struct vfifo_end *own;
	int socks[2], fd;
	pid_t pid;
	char c;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	own = CLAIM(PRODUCER);
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

/* ---- no other reference to the page ---- */

TEST_F(claim, page_cannot_be_pinned)
{
	struct vfifo_end *own;
	struct iovec local, remote;
	int fds[2], mem;
	char buf[16] = { 0 };

	own = CLAIM(PRODUCER);
	store(own, load(own));
	ASSERT_EQ(0, pipe(fds));
	local.iov_base = own;
	local.iov_len = sizeof(*own);
	EXPECT_EQ(-EFAULT, res(vmsplice(fds[1], &local, 1, 0)));
	/* Copying from the page is allowed. */
	EXPECT_EQ(sizeof(*own), write(fds[1], own, sizeof(*own)));
	local.iov_base = buf;
	local.iov_len = sizeof(buf);
	remote.iov_base = own;
	remote.iov_len = sizeof(buf);
	EXPECT_EQ(-EFAULT, res(process_vm_writev(getpid(), &local, 1, &remote,
						 1, 0)));
	/* The interface that debuggers use. */
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

/*
 * Whatever an owner stored elsewhere in the page is gone when the claim ends.
 */
TEST_F(claim, leaves_a_clean_page)
{
	const size_t after = offsetof(struct vfifo_end, reserved2);
	struct vfifo_end *own;
	enum side side;
	long i, bad;
	char *bytes;

	for (side = PRODUCER; side <= CONSUMER; side++) {
		own = CLAIM(side);
		memset(own->reserved, 0xaa, sizeof(own->reserved));
		memset((char *)own + after, 0xaa, self->page - after);
		unmap_end(own);
		own = VIEW(side);
		bytes = (char *)own;
		for (i = sizeof(own->position), bad = 0; i < self->page; i++)
			bad += bytes[i] != 0;
		EXPECT_EQ(0, bad);
		unmap_end(own);
	}
	/* The stream is not affected. */
	ASSERT_TRUE(put(&self->dev, 1000, 0));
	EXPECT_TRUE(get(&self->dev, 1000, 0));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
