/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of tests that use a vfifo as a byte stream, beside a pipe.
 */
#ifndef VFIFO_STREAM_H
#define VFIFO_STREAM_H

#include "vfifo_test.h"

FIXTURE(stream)
{
	struct vfifo dev;
	long cap;
	int fd;			/* for reading and writing, blocks */
	int r, w;		/* one direction each, O_NONBLOCK */
	int pipe[2];		/* O_NONBLOCK, the same capacity */
	char *buf;		/* four times the capacity, from the stream */
};

FIXTURE_SETUP(stream)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->cap = self->dev.capacity;
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
	self->r = vfifo_open(O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, self->r);
	self->w = vfifo_open(O_WRONLY | O_NONBLOCK);
	ASSERT_LE(0, self->w);
	ASSERT_EQ(0, pipe2(self->pipe, O_NONBLOCK | O_CLOEXEC));
	ASSERT_EQ(self->cap, fcntl(self->pipe[1], F_SETPIPE_SZ, self->cap));
	self->buf = malloc(4 * self->cap);
	ASSERT_NE(NULL, self->buf);
	stream_fill(self->buf, 4 * self->cap, 0);
}

FIXTURE_TEARDOWN(stream)
{
	free(self->buf);
	close(self->pipe[0]);
	close(self->pipe[1]);
	close(self->fd);
	close(self->r);
	close(self->w);
	vfifo_teardown(&self->dev);
}

#endif /* VFIFO_STREAM_H */
