// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of a mapped FIFO as the buffer of other system calls: files, sockets,
 * pipes, and direct I/O, all of them across the end of the buffer.
 */
#include <sys/socket.h>
#include <sys/uio.h>

#include "vfifo_test.h"
#include "vfifo_map.h"

/* Advances both ends of an empty FIFO until the next byte goes to @at. */
static int move_to(struct vfifo_producer *p, struct vfifo_consumer *c, __u64 at)
{
	__u64 mask = p->map.capacity - 1;
	size_t n = (at - p->map.position) & mask, len;
	int err;

	if (vfifo_producer_room(p) < 0 || !n || !vfifo_producer_reserve(p, n))
		return 0;
	err = vfifo_producer_commit(p, n);
	if (!err && vfifo_consumer_peek(c, &len))
		err = vfifo_consumer_release(c, n);
	return err;
}

FIXTURE(memory)
{
	struct vfifo dev;
	long cap, page;
	struct vfifo_producer p;
	struct vfifo_consumer c;
	char *to;		/* reserved: three pages, which wrap */
	const char *from;	/* the same memory, for reading */
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
	ASSERT_EQ(self->cap, vfifo_producer_room(&self->p));
	self->to = vfifo_producer_reserve(&self->p, self->len);
	ASSERT_NE(NULL, self->to);
}

FIXTURE_TEARDOWN(memory)
{
	vfifo_producer_close(&self->p);
	vfifo_consumer_close(&self->c);
	vfifo_teardown(&self->dev);
}

/* Queues the reserved bytes and sets self->from to them. */
#define QUEUE() do {							\
	size_t __len;							\
	ASSERT_EQ(0, vfifo_producer_commit(&self->p, self->len));		\
	self->from = vfifo_consumer_peek(&self->c, &__len);			\
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

	/*
	 * From the file into the FIFO, and from there to the end of the file.
	 */
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

/* The pipe references the pages themselves, for as long as it needs them. */
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
	/* No copy was made: a store is visible to the reader of the pipe. */
	stream_fill(self->to, 100, 7000);
	EXPECT_EQ(100, res(read(self->fds[0], buf, 100)));
	EXPECT_TRUE(stream_equal(buf, 100, 7000));

	/* Also after the buffer was replaced and everything unmapped. */
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

	/* O_EXCL: fails if it is mounted. */
	fd = open(DISK, O_RDWR | O_DIRECT | O_EXCL | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "cannot open " DISK " (CONFIG_BLK_DEV_RAM): %s",
		     strerror(errno));
	ASSERT_EQ(0, posix_memalign((void **)&buf, self->page, self->len));
	ASSERT_EQ(0, posix_memalign((void **)&old, self->page, 2 * self->len));
	ASSERT_EQ(2 * self->len, pread(fd, old, 2 * self->len, 0));

	/* The disk transfers to and from the FIFO's memory. */
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

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
