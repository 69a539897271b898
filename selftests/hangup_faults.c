// SPDX-License-Identifier: GPL-2.0
/*
 * End of stream while a call waits for its memory: the other side leaves during a page
 * fault, and the call must not sleep for it afterwards.
 */
#include "vfifo_faults.h"
#include "vfifo_hangup.h"

FIXTURE(faults)
{
	struct ends e;
	struct faulty f;
	int r, w;		/* these block */
};

FIXTURE_VARIANT(faults)
{
	bool pieces;
};

FIXTURE_VARIANT_ADD(faults, read_write)
{
	.pieces = false,
};

FIXTURE_VARIANT_ADD(faults, readv_writev)
{
	.pieces = true,
};

FIXTURE_SETUP(faults)
{
	const char *why;

	self->r = -1;
	self->w = -1;
	ASSERT_EQ(0, ends_begin(&self->e, false));
	ASSERT_TRUE(faulty_begin(&self->f));
	why = no_userfaultfd(self->f.memory, PAGES * self->f.page);
	if (why)
		SKIP(return, "%s", why);
	self->r = ends_open(&self->e, O_RDONLY);
	self->w = ends_open(&self->e, O_WRONLY);
	ASSERT_TRUE(self->r >= 0 && self->w >= 0);
}

FIXTURE_TEARDOWN(faults)
{
	faulty_end(&self->f);
	shut(&self->r);
	shut(&self->w);
	ends_end(&self->e);
}

/* In the child: makes the call, as the only one of its side. */
#define CALL(other, writes, fd, len) do {				\
	struct outcome *__out = self->e.out;				\
									\
	close(other);							\
	__out->ret = res(transfer(variant->pieces, writes, fd,		\
				  self->f.memory, len));		\
	for (__out->signals = 0; took(SIGPIPE);)			\
		__out->signals++;					\
	_exit(0);							\
} while (0)

/* It is woken for a byte that another reader takes. */
TEST_F_TIMEOUT(faults, reader_without_its_byte, 60)
{
	long sleeps = attr_get("stats/reader_sleeps");
	int r2;

	self->e.out->ret = RUNNING;
	if (!faulty_start(&self->f, 0))
		CALL(self->w, false, self->r, 100);
	ASSERT_LE(0, self->f.monitor);
	ASSERT_TRUE(eventually(attr_get("stats/reader_sleeps") > sleeps));
	ASSERT_TRUE(child_sleeps(self->f.pid));
	ASSERT_EQ(1, write_one(self->w));
	ASSERT_NE(0UL, fault_met(self->f.monitor));
	r2 = OPEN(O_RDONLY | O_NONBLOCK);
	ASSERT_EQ(1, read_one(r2));
	shut(&self->w);
	EXPECT_EQ(0, read_one(r2));
	EXPECT_EQ(0, give_all(&self->f, 0)) {
		TH_LOG("the read sleeps again");
	}
	EXPECT_EQ(0, self->e.out->ret);
	close(r2);
}

/* The bytes of a writer that has left are still there after the fault. */
TEST_F_TIMEOUT(faults, reader_with_the_last_bytes, 60)
{
	self->e.out->ret = RUNNING;
	ASSERT_TRUE(fd_put(self->w, 100, 0));
	if (!faulty_start(&self->f, 0))
		CALL(self->w, false, self->r, 2 * self->f.page);
	ASSERT_TRUE(faulty_sleeps(&self->f));
	shut(&self->w);
	EXPECT_EQ(0, give_all(&self->f, 0));
	EXPECT_EQ(100, self->e.out->ret);
}

/* A large write. Whether it still moves the page that it has faulted for is open. */
TEST_F_TIMEOUT(faults, writer_without_its_reader, 60)
{
	long page = self->f.page;

	self->e.out->ret = RUNNING;
	ASSERT_EQ(0, attr_set("capacity", page));
	if (!faulty_start(&self->f, 1))
		CALL(self->r, true, self->w, PAGES * page);
	/* Its first page fills the FIFO. It faults when it is woken for the next one. */
	ASSERT_LE(0, self->f.monitor);
	ASSERT_TRUE(eventually(attr_get("size") == page));
	ASSERT_TRUE(child_sleeps(self->f.pid));
	ASSERT_TRUE(fd_get(self->r, page, 0));
	ASSERT_TRUE(faulty_sleeps(&self->f));
	ASSERT_EQ(RUNNING, self->e.out->ret);
	shut(&self->r);
	EXPECT_EQ(0, give_all(&self->f, page)) {
		TH_LOG("the write sleeps, without a reader");
	}
	EXPECT_EQ(page + attr_get("size"), self->e.out->ret);
	EXPECT_EQ(1, self->e.out->signals);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
