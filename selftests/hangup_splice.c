// SPDX-License-Identifier: GPL-2.0
/*
 * End of stream for splice(2) and sendfile(2). A named FIFO is the reference.
 */
#include <sys/sendfile.h>

#include "vfifo_hangup.h"

FIXTURE(spliced)
{
	struct ends e;
	long cap;
	int r, w;		/* these block */
	int pipe[2];		/* blocks as well, or splicing between pipes would not */
	char *buf;
};

FIXTURE_VARIANT(spliced)
{
	bool named;
};

FIXTURE_VARIANT_ADD(spliced, named_fifo)
{
	.named = true,
};

FIXTURE_VARIANT_ADD(spliced, device)
{
	.named = false,
};

FIXTURE_SETUP(spliced)
{
	ASSERT_EQ(0, ends_begin(&self->e, variant->named));
	self->cap = self->e.cap;
	self->r = ends_open(&self->e, O_RDONLY);
	self->w = ends_open(&self->e, O_WRONLY);
	ASSERT_TRUE(self->r >= 0 && self->w >= 0);
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	self->buf = malloc(2 * self->cap);
	ASSERT_NE(NULL, self->buf);
	stream_fill(self->buf, 2 * self->cap, 0);
}

FIXTURE_TEARDOWN(spliced)
{
	free(self->buf);
	close(self->pipe[0]);
	close(self->pipe[1]);
	shut(&self->r);
	shut(&self->w);
	ends_end(&self->e);
}

TEST_F(spliced, end_of_file)
{
	char tmp[100];

	ASSERT_TRUE(fd_put(self->w, 100, 0));
	shut(&self->w);
	EXPECT_EQ(60, res(splice(self->r, NULL, self->pipe[1], NULL, 60, 0)));
	EXPECT_EQ(40, res(splice(self->r, NULL, self->pipe[1], NULL, 100, 0)));
	EXPECT_EQ(0, res(splice(self->r, NULL, self->pipe[1], NULL, 100, 0)));
	EXPECT_EQ(0, res(splice(self->r, NULL, self->pipe[1], NULL, 100,
				SPLICE_F_NONBLOCK)));
	EXPECT_EQ(100, res(read(self->pipe[0], tmp, sizeof(tmp))));
	EXPECT_TRUE(stream_equal(tmp, 100, 0));
	EXPECT_EQ(0, queued(self->pipe[0]));
}

TEST_F(spliced, sleeps_for_the_end)
{
	SLEEP_IN(&self->e, 0, self->w,
		 splice(self->r, NULL, self->pipe[1], NULL, 100, 0));
	shut(&self->w);
	EXPECT_RETURNS(&self->e, 0, 0, 0);
	EXPECT_EQ(0, read_one(self->r));
}

TEST_F(spliced, broken_pipe)
{
	ASSERT_EQ(100, res(write(self->pipe[1], self->buf, 100)));
	EXPECT_EQ(10, res(splice(self->pipe[0], NULL, self->w, NULL, 10, 0)));
	shut(&self->r);
	EXPECT_EPIPE(splice(self->pipe[0], NULL, self->w, NULL, 50, 0));
	EXPECT_EPIPE(splice(self->pipe[0], NULL, self->w, NULL, 50,
			    SPLICE_F_NONBLOCK));
	/* Nothing of them is lost. */
	EXPECT_EQ(90, queued(self->pipe[0]));
	EXPECT_EQ(10, queued(self->w));
}

TEST_F(spliced, sleeps_for_the_error)
{
	ASSERT_TRUE(fd_put(self->w, self->cap, 0));
	ASSERT_EQ(100, res(write(self->pipe[1], self->buf, 100)));
	SLEEP_IN(&self->e, 0, self->r,
		 splice(self->pipe[0], NULL, self->w, NULL, 100, 0));
	shut(&self->r);
	EXPECT_RETURNS(&self->e, 0, -EPIPE, 1);
	EXPECT_EQ(100, queued(self->pipe[0]));
}

TEST_F(spliced, killed_while_it_splices)
{
	SLEEP_IN(&self->e, 0, self->w,
		 splice(self->r, NULL, self->pipe[1], NULL, 100, 0));
	shut(&self->r);
	EXPECT_EQ(-SIGKILL, child_kill(&self->e.pid[0]));
	EXPECT_EPIPE(write_one(self->w));
}

TEST_F(spliced, sendfile)
{
	int file = memfd_create("data", MFD_CLOEXEC);
	off_t from = 0;

	ASSERT_LE(0, file);
	ASSERT_EQ(2 * self->cap, res(write(file, self->buf, 2 * self->cap)));
	EXPECT_EQ(1000, res(sendfile(self->w, file, &from, 1000)));
	EXPECT_TRUE(fd_get(self->r, 1000, 0));
	shut(&self->r);
	EXPECT_EPIPE(sendfile(self->w, file, &from, 1000));
	EXPECT_EQ(1000, from);
	self->r = OPEN(O_RDONLY);
	/* To a pipe, sendfile() moves what fits, and does not sleep. */
	if (variant->named) {
		close(file);
		return;
	}
	SLEEP_IN(&self->e, 0, self->r,
		 sendfile(self->w, file, &from, 2 * self->cap));
	shut(&self->r);
	EXPECT_TRUE(ends_returned(&self->e, 0));
	EXPECT_GE(self->cap, self->e.out[0].ret);
	EXPECT_EQ(self->cap, queued(self->w));
	close(file);
}

/* From a file through a vfifo and a pipe, to an end. */
TEST_F(spliced, to_the_end)
{
	int in = memfd_create("in", MFD_CLOEXEC);
	long had = 0, n = 0, left;
	const int times = 20;
	pid_t pid;
	int i;

	ASSERT_LE(0, in);
	pid = child_start(4 * DEADLINE);
	if (!pid) {
		close(self->r);
		for (i = 0; i < times; i++) {
			off_t from = 0;

			if (res(write(in, self->buf, 2 * self->cap)) < 0)
				_exit(1);
			for (left = 2 * self->cap; left; left -= n) {
				n = res(sendfile(self->w, in, &from, left));
				if (n <= 0)
					_exit(2);
			}
			lseek(in, 0, SEEK_SET);
		}
		_exit(0);
	}
	shut(&self->w);
	while ((n = res(splice(self->r, NULL, self->pipe[1], NULL, 10000, 0))) > 0) {
		had += n;
		for (; n; n -= left) {
			left = res(read(self->pipe[0], self->buf, n));
			ASSERT_LT(0, left);
		}
	}
	EXPECT_EQ(0, n);
	EXPECT_EQ(times * 2 * self->cap, had);
	EXPECT_EQ(0, child_end(pid));
	close(in);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
