/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of tests of both sides of a vfifo, each opened once, beside a named FIFO.
 */
#ifndef VFIFO_ENDS_H
#define VFIFO_ENDS_H

#include "vfifo_hangup.h"

FIXTURE(ends)
{
	struct ends e;
	long cap;
	int r, w;		/* O_NONBLOCK; -1 once a test has closed it */
	char *buf;		/* twice the capacity, from the stream */
};

FIXTURE_VARIANT(ends)
{
	bool named;
};

FIXTURE_VARIANT_ADD(ends, named_fifo)
{
	.named = true,
};

FIXTURE_VARIANT_ADD(ends, device)
{
	.named = false,
};

FIXTURE_SETUP(ends)
{
	self->r = -1;
	self->w = -1;
	self->buf = NULL;
	ASSERT_EQ(0, ends_begin(&self->e, variant->named));
	self->cap = self->e.cap;
	self->r = ends_open(&self->e, O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, self->r);
	self->w = ends_open(&self->e, O_WRONLY | O_NONBLOCK);
	ASSERT_LE(0, self->w);
	self->buf = malloc(2 * self->cap);
	ASSERT_NE(NULL, self->buf);
	stream_fill(self->buf, 2 * self->cap, 0);
}

FIXTURE_TEARDOWN(ends)
{
	shut(&self->r);
	shut(&self->w);
	free(self->buf);
	ends_end(&self->e);
}

#endif /* VFIFO_ENDS_H */
