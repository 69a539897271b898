// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping a vfifo's buffer: queued bytes can be read and changed in place, and every
 * mapping that Documentation/misc-devices/vfifo.rst does not allow is refused.
 */
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <linux/futex.h>

#include "vfifo_test.h"

FIXTURE(mapping)
{
	struct vfifo dev;
	long cap, page;
	char *map;		/* the buffer, twice in a row */
};

static void *map_at(int fd, int prot, long len, off_t off)
{
	return mmap(NULL, len, prot, MAP_SHARED, fd, off);
}

/* Tries a mapping, and undoes it: 0, or -errno. */
static long try_map(int fd, int prot, int flags, long len, off_t off)
{
	void *p = mmap(NULL, len, prot, flags, fd, off);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, len);
	return 0;
}

FIXTURE_SETUP(mapping)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	self->page = self->dev.page;
	self->map = map_at(self->dev.fd, PROT_READ | PROT_WRITE, 2 * self->cap,
			   0);
	ASSERT_NE(MAP_FAILED, self->map);
}

FIXTURE_TEARDOWN(mapping)
{
	munmap(self->map, 2 * self->cap);
	vfifo_teardown(&self->dev);
}

/* The offset of the next byte, found by passing a byte through the empty FIFO. */
static long find_position(struct vfifo *dev, char *map)
{
	char c = 'x';
	char *found;

	memset(map, 0, dev->capacity);
	if (write(dev->fd, &c, 1) != 1)
		return -1;
	found = memchr(map, c, dev->capacity);
	if (!found || read(dev->fd, &c, 1) != 1 || c != 'x')
		return -1;
	return (found - map + 1) % dev->capacity;
}

/* Passes bytes through until the next one goes to offset @at. */
static bool move_position(struct vfifo *dev, char *map, long at)
{
	long pos = find_position(dev, map), n;

	if (pos < 0)
		return false;
	n = (at - pos + dev->capacity) % dev->capacity;
	return put(dev, n, 0) && get(dev, n, 0);
}

TEST_F(mapping, shows_what_was_written)
{
	long pos = find_position(&self->dev, self->map);

	ASSERT_LE(0, pos);
	ASSERT_TRUE(put(&self->dev, 1000, 0));
	EXPECT_TRUE(stream_equal(self->map + pos, 1000, 0));
	ASSERT_TRUE(get(&self->dev, 300, 0));
	ASSERT_TRUE(put(&self->dev, 1000, 1000));
	EXPECT_TRUE(stream_equal(self->map + pos + 300, 1700, 300));
	EXPECT_TRUE(get(&self->dev, 1700, 300));
}

TEST_F(mapping, stores_are_what_is_read)
{
	long pos = find_position(&self->dev, self->map);
	char buf[100];

	ASSERT_LE(0, pos);
	ASSERT_TRUE(put(&self->dev, 100, 0));
	stream_fill(self->map + pos, 100, 5000);
	EXPECT_EQ(100, res(read(self->dev.fd, buf, 100)));
	EXPECT_TRUE(stream_equal(buf, 100, 5000));
}

TEST_F(mapping, stores_alone_queue_nothing)
{
	stream_fill(self->map, self->cap, 0);
	EXPECT_EQ(0, queued(self->dev.fd));
	EXPECT_EQ(0, attr_get("size"));
	EXPECT_EQ(-EAGAIN, res(read(self->dev.fd, self->map, 1)));
}

TEST_F(mapping, is_the_same_memory_twice)
{
	char *a = self->map, *b = self->map + self->cap;
	long i;

	stream_fill(a, self->cap, 0);
	EXPECT_TRUE(stream_equal(b, self->cap, 0));
	stream_fill(b, self->cap, 1 << 30);
	EXPECT_TRUE(stream_equal(a, self->cap, 1 << 30));
	for (i = 0; i < self->cap; i += self->page / 2) {
		a[i] = 1;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		EXPECT_EQ(1, b[i]);
		b[i] = 2;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		EXPECT_EQ(2, a[i]);
	}
}

TEST_F(mapping, wrapped_bytes_are_in_one_piece)
{
	long at = self->cap - 10;
	char buf[100];

	ASSERT_TRUE(move_position(&self->dev, self->map, at));
	ASSERT_TRUE(put(&self->dev, 100, 0));
	EXPECT_TRUE(stream_equal(self->map + at, 100, 0));
	EXPECT_TRUE(stream_equal(self->map, 90, 10));
	stream_fill(self->map + at, 100, 5000);
	EXPECT_EQ(100, res(read(self->dev.fd, buf, 100)));
	EXPECT_TRUE(stream_equal(buf, 100, 5000));
}

TEST_F(mapping, full_buffer)
{
	long pos = find_position(&self->dev, self->map);

	ASSERT_LE(0, pos);
	ASSERT_TRUE(put(&self->dev, self->cap, 0));
	EXPECT_TRUE(stream_equal(self->map + pos, self->cap, 0));
	EXPECT_TRUE(get(&self->dev, self->cap, 0));
}

TEST_F(mapping, at_an_offset)
{
	char *p;

	p = map_at(self->dev.fd, PROT_READ, self->cap, 3 * self->page);
	ASSERT_NE(MAP_FAILED, p);
	stream_fill(self->map, self->cap, 0);
	EXPECT_TRUE(stream_equal(p, self->cap - 3 * self->page,
				 3 * self->page));
	EXPECT_TRUE(stream_equal(p + self->cap - 3 * self->page,
				 3 * self->page, 0));
	munmap(p, self->cap);
}

TEST_F(mapping, is_shared_by_processes)
{
	pid_t pid;
	char *p;
	int fd;

	stream_fill(self->map, self->page, 0);
	pid = child_start(DEADLINE);
	if (!pid) {
		/* The inherited mapping, and a new one. */
		EXPECT_TRUE(stream_equal(self->map, self->page, 0));
		fd = vfifo_open(O_RDWR);
		p = map_at(fd, PROT_READ | PROT_WRITE, self->cap, 0);
		EXPECT_NE(MAP_FAILED, p) {
			_exit(1);
		}
		EXPECT_TRUE(stream_equal(p, self->page, 0));
		stream_fill(p, self->page, 10000);
		EXPECT_TRUE(stream_equal(self->map, self->page, 10000));
		stream_fill(self->map + self->page, self->page, 20000);
		_exit(0);
	}
	EXPECT_EQ(0, child_end(pid));
	EXPECT_TRUE(stream_equal(self->map, self->page, 10000));
	EXPECT_TRUE(stream_equal(self->map + self->page, self->page, 20000));
}

TEST_F(mapping, outlives_its_descriptor)
{
	int fd = vfifo_open(O_RDWR);
	char *p;
	long pos;

	ASSERT_LE(0, fd);
	p = map_at(fd, PROT_READ | PROT_WRITE, 2 * self->cap, 0);
	ASSERT_NE(MAP_FAILED, p);
	close(fd);
	pos = find_position(&self->dev, self->map);
	ASSERT_LE(0, pos);
	ASSERT_TRUE(put(&self->dev, 100, 0));
	EXPECT_TRUE(stream_equal(p + pos, 100, 0));
	p[pos] ^= 1;
	EXPECT_FALSE(stream_equal(self->map + pos, 1, 0));
	munmap(p, 2 * self->cap);
}

TEST_F(mapping, unmapped_in_pieces)
{
	char *p;

	p = map_at(self->dev.fd, PROT_READ | PROT_WRITE, self->cap, 0);
	ASSERT_NE(MAP_FAILED, p);
	stream_fill(self->map, self->cap, 0);
	ASSERT_EQ(0, munmap(p + self->page, self->page));
	EXPECT_TRUE(stream_equal(p, self->page, 0));
	EXPECT_TRUE(stream_equal(p + 2 * self->page, self->cap - 2 * self->page,
				 2 * self->page));
	ASSERT_EQ(0, munmap(p, self->page));
	EXPECT_TRUE(stream_equal(p + 2 * self->page, self->page,
				 2 * self->page));
	ASSERT_EQ(0, munmap(p + 2 * self->page, self->cap - 2 * self->page));
}

TEST_F(mapping, private_is_refused)
{
	const int prot = PROT_READ | PROT_WRITE;

	EXPECT_EQ(-EINVAL, try_map(self->dev.fd, PROT_READ, MAP_PRIVATE,
				   self->cap, 0));
	EXPECT_EQ(-EINVAL, try_map(self->dev.fd, prot, MAP_PRIVATE, self->cap,
				   0));
}

TEST_F(mapping, exec_is_refused)
{
	const int rwx = PROT_READ | PROT_WRITE | PROT_EXEC;
	long ret;

	ret = try_map(self->dev.fd, PROT_READ | PROT_EXEC, MAP_SHARED,
		      self->cap, 0);
	EXPECT_TRUE(ret == -EACCES || ret == -EPERM);
	ret = try_map(self->dev.fd, rwx, MAP_SHARED, self->cap, 0);
	EXPECT_TRUE(ret == -EACCES || ret == -EPERM);

	EXPECT_EQ(-EACCES, res(mprotect(self->map, self->page,
					PROT_READ | PROT_EXEC)));
	EXPECT_EQ(-EACCES, res(mprotect(self->map, 2 * self->cap, rwx)));
}

TEST_F(mapping, needs_the_access_that_it_gives)
{
	int r = vfifo_open(O_RDONLY), w = vfifo_open(O_WRONLY);
	const int prot = PROT_READ | PROT_WRITE;
	char *p;

	ASSERT_LE(0, r);
	ASSERT_LE(0, w);
	EXPECT_EQ(-EACCES, try_map(r, prot, MAP_SHARED, self->cap, 0));
	EXPECT_EQ(-EACCES, try_map(r, PROT_WRITE, MAP_SHARED, self->cap, 0));
	/* A mapping for writing is always readable as well. */
	EXPECT_EQ(-EACCES, try_map(w, prot, MAP_SHARED, self->cap, 0));
	EXPECT_EQ(-EACCES, try_map(w, PROT_WRITE, MAP_SHARED, self->cap, 0));

	p = map_at(r, PROT_READ, self->cap, 0);
	ASSERT_NE(MAP_FAILED, p);
	stream_fill(self->map, self->page, 0);
	EXPECT_TRUE(stream_equal(p, self->page, 0));
	EXPECT_EQ(-EACCES, res(mprotect(p, self->cap, prot)));
	munmap(p, self->cap);
	close(r);
	close(w);
}

TEST_F(mapping, stays_inside_the_buffer)
{
	const long cap = self->cap, page = self->page;
	const int fd = self->dev.fd, r = PROT_READ, shd = MAP_SHARED;

	EXPECT_EQ(0, try_map(fd, r, shd, page, 0));
	EXPECT_EQ(0, try_map(fd, r, shd, 1, 0));
	EXPECT_EQ(0, try_map(fd, r, shd, cap, 0));
	EXPECT_EQ(0, try_map(fd, r, shd, cap + page, 0));
	EXPECT_EQ(0, try_map(fd, r, shd, 2 * cap, 0));
	EXPECT_EQ(-EINVAL, try_map(fd, r, shd, 2 * cap + 1, 0));
	EXPECT_EQ(-EINVAL, try_map(fd, r, shd, 2 * cap + page, 0));
	EXPECT_EQ(-EINVAL, try_map(fd, r, shd, 64 * cap, 0));

	EXPECT_EQ(0, try_map(fd, r, shd, cap, cap));
	EXPECT_EQ(-EINVAL, try_map(fd, r, shd, cap + page, cap));
	EXPECT_EQ(0, try_map(fd, r, shd, page, 2 * cap - page));
	EXPECT_EQ(-EINVAL, try_map(fd, r, shd, 2 * page, 2 * cap - page));
	EXPECT_EQ(-EINVAL, try_map(fd, r, shd, page, 2 * cap));
	/* Sums that overflow a signed or a shifted offset. */
	EXPECT_EQ(-EINVAL, try_map(fd, r, shd, 2 * page, LLONG_MAX - page + 1));
	EXPECT_EQ(-EINVAL, try_map(fd, r, shd, page, 1LL << 62));
}

TEST_F(mapping, does_not_grow)
{
	char *p;

	p = map_at(self->dev.fd, PROT_READ | PROT_WRITE, self->cap, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(MAP_FAILED, mremap(p, self->cap, self->cap + self->page,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(p, self->cap, 8 * self->cap,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	stream_fill(self->map, self->cap, 0);
	EXPECT_TRUE(stream_equal(p, self->cap, 0));
	munmap(p, self->cap);
}

TEST_F(mapping, moves_and_shrinks)
{
	long cap = self->cap, page = self->page;
	char *p, *room;

	stream_fill(self->map, cap, 0);
	room = mmap(NULL, 2 * cap, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	ASSERT_NE(MAP_FAILED, room);
	p = map_at(self->dev.fd, PROT_READ | PROT_WRITE, 2 * cap, 0);
	ASSERT_NE(MAP_FAILED, p);
	/* A mapping that was moved before its first access has its pages as well. */
	ASSERT_EQ(room, mremap(p, 2 * cap, 2 * cap,
			       MREMAP_MAYMOVE | MREMAP_FIXED, room));
	EXPECT_TRUE(stream_equal(room, cap, 0));
	EXPECT_TRUE(stream_equal(room + cap, cap, 0));
	ASSERT_EQ(room, mremap(room, 2 * cap, page, 0));
	EXPECT_TRUE(stream_equal(room, page, 0));
	EXPECT_EQ(-1, msync(room + page, page, MS_ASYNC));
	EXPECT_EQ(ENOMEM, errno);
	/* The rest still counts as a mapping. */
	munmap(self->map, 2 * cap);
	EXPECT_EQ(-EBUSY, attr_set("capacity", 2 * cap));
	munmap(room, page);
	EXPECT_EQ(0, attr_set("capacity", 2 * cap));
	self->map = MAP_FAILED;
}

/* The flags of the mapping at @p in /proc/self/smaps. */
static const char *vm_flags(void *p)
{
	static char line[256];
	FILE *file = fopen("/proc/self/smaps", "r");
	bool here = false;
	unsigned long start, end;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)p;
		if (here && !strncmp(line, "VmFlags:", 8)) {
			fclose(file);
			return line;
		}
	}
	if (file)
		fclose(file);
	return "";
}

TEST_F(mapping, is_not_dumped)
{
	const char *flags = vm_flags(self->map);

	EXPECT_NE(NULL, strstr(flags, " dd ")) {
		TH_LOG("%s", flags);
	}
	EXPECT_NE(NULL, strstr(flags, " de ")) {
		TH_LOG("%s", flags);
	}
	/* And this cannot be changed. */
	EXPECT_EQ(-EINVAL, res(madvise(self->map, self->page, MADV_DODUMP)));
}

/* Every mapping does, whether inherited or partly unmapped. */
TEST_F(mapping, keeps_the_capacity)
{
	const long cap = self->cap;
	int *go = shared(sizeof(*go));
	pid_t pid;

	ASSERT_NE(NULL, go);
	EXPECT_EQ(-EBUSY, attr_set("capacity", 2 * cap));
	EXPECT_EQ(-EBUSY, attr_set("capacity", cap / 2));
	EXPECT_EQ(cap, attr_get("capacity"));

	pid = child_start(DEADLINE);
	if (!pid) {
		while (!__atomic_load_n(go, __ATOMIC_SEQ_CST))
			usleep(1000);
		_exit(0);
	}
	ASSERT_EQ(0, munmap(self->map, cap));
	EXPECT_EQ(-EBUSY, attr_set("capacity", 2 * cap));
	ASSERT_EQ(0, munmap(self->map + cap, cap));
	/* The child still has all of it. */
	EXPECT_EQ(-EBUSY, attr_set("capacity", 2 * cap));
	EXPECT_EQ(cap, attr_get("capacity"));
	__atomic_store_n(go, 1, __ATOMIC_SEQ_CST);
	EXPECT_EQ(0, child_end(pid));

	/* The last reference to the child's memory may go a moment later. */
	EXPECT_TRUE(eventually(!attr_set("capacity", 2 * cap)));
	EXPECT_EQ(2 * cap, attr_get("capacity"));
	self->map = map_at(self->dev.fd, PROT_READ, 4 * cap, 0);
	EXPECT_NE(MAP_FAILED, self->map);
	EXPECT_EQ(-EINVAL, try_map(self->dev.fd, PROT_READ, MAP_SHARED,
				   4 * cap + self->page, 0));
	munmap(self->map, 4 * cap);
	EXPECT_EQ(0, attr_set("capacity", cap));
}

/* The old contents of memory must not be visible. */
TEST_F(mapping, new_memory_is_zero)
{
	const long cap = 4 * self->cap;
	char *p;
	long i;

	ASSERT_EQ(0, munmap(self->map, 2 * self->cap));
	ASSERT_EQ(0, attr_set("capacity", cap));
	p = map_at(self->dev.fd, PROT_READ, cap, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < cap && !p[i]; i++)
		;
	EXPECT_EQ(cap, i);
	munmap(p, cap);
}

/* The pages are ordinary ones, which can be passed to other files without a copy. */
TEST_F(mapping, feeds_other_system_calls)
{
	struct iovec iov = { self->map, self->page };
	char *buf = malloc(self->page);
	int p[2];

	ASSERT_EQ(0, pipe(p));
	stream_fill(self->map, self->page, 0);
	EXPECT_EQ(self->page, res(write(p[1], self->map, self->page)));
	EXPECT_EQ(self->page, res(read(p[0], buf, self->page)));
	EXPECT_TRUE(stream_equal(buf, self->page, 0));

	EXPECT_EQ(self->page, res(vmsplice(p[1], &iov, 1, 0)));
	EXPECT_EQ(self->page, res(read(p[0], buf, self->page)));
	EXPECT_TRUE(stream_equal(buf, self->page, 0));
	close(p[0]);
	close(p[1]);
	free(buf);
}

/* The pages belong to no file, so they cannot identify a futex between processes. */
TEST_F(mapping, has_futexes_for_threads_only)
{
	EXPECT_EQ(-EFAULT, res(syscall(SYS_futex, self->map, FUTEX_WAKE, 1,
				       NULL, NULL, 0)));
	EXPECT_EQ(0, res(syscall(SYS_futex, self->map,
				 FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL,
				 0)));
}

/* The device copies from and to its own buffer, without a deadlock. */
TEST_F(mapping, of_the_device_itself_as_a_buffer)
{
	char *p;

	ASSERT_TRUE(move_position(&self->dev, self->map, 0));
	stream_fill(self->map + self->cap / 2, PIPE_BUF, 0);
	/* A new mapping, whose pages were not accessed yet. */
	p = map_at(self->dev.fd, PROT_READ | PROT_WRITE, self->cap, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(PIPE_BUF, res(write(self->dev.fd, p + self->cap / 2,
				      PIPE_BUF)));
	EXPECT_TRUE(stream_equal(p, PIPE_BUF, 0));
	munmap(p, self->cap);

	p = map_at(self->dev.fd, PROT_READ | PROT_WRITE, self->cap, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(PIPE_BUF, res(read(self->dev.fd, p + self->cap / 4,
				     PIPE_BUF)));
	EXPECT_TRUE(stream_equal(self->map + self->cap / 4, PIPE_BUF, 0));

	/* The result of a copy onto itself is undefined, but it ends. */
	EXPECT_EQ(self->cap, res(write(self->dev.fd, self->map + 1,
				       self->cap)));
	EXPECT_EQ(self->cap, res(read(self->dev.fd, self->map + 3, self->cap)));
	munmap(p, self->cap);
}

/* Overwriting bytes while they pass does not change the counts. */
TEST_F(mapping, scribbling_does_not_confuse_the_device)
{
	pid_t pid = child_start(DEADLINE);
	char buf[PIPE_BUF];
	int i;

	if (!pid) {
		for (;;)
			memset(self->map, rand(), self->cap);
	}
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(PIPE_BUF, res(write(self->dev.fd, buf, PIPE_BUF)));
		ASSERT_EQ(PIPE_BUF, queued(self->dev.fd));
		ASSERT_EQ(PIPE_BUF, res(read(self->dev.fd, buf, PIPE_BUF)));
	}
	EXPECT_EQ(0, queued(self->dev.fd));
	EXPECT_EQ(-SIGKILL, child_kill(&pid));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
