/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture and helpers of tests that map the pages of the ends themselves.
 */
#ifndef VFIFO_CLAIM_H
#define VFIFO_CLAIM_H

#include "vfifo_test.h"

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

static inline __u64 end_offset(struct vfifo_info *info, enum side side)
{
	return side == PRODUCER ? info->producer_offset : info->consumer_offset;
}

/* The page of an end, or NULL with errno. */
static inline struct vfifo_end *map_end(int fd, struct vfifo_info *info,
					enum side side, int prot)
{
	return map_page(fd, end_offset(info, side), prot);
}

static inline int unmap_end(void *end)
{
	return munmap(end, sysconf(_SC_PAGESIZE));
}

/* Claims an end and releases it again: 0, or -errno if the claim fails. */
static inline int try_claim(int fd, struct vfifo_info *info, enum side side)
{
	struct vfifo_end *end = map_end(fd, info, side, PROT_READ | PROT_WRITE);

	if (!end)
		return -errno;
	return res(unmap_end(end));
}

/* Maps the page of end @side of the device, or ends the test. */
#define MAP_END(side, prot) ({						\
	struct vfifo_end *__end = map_end(self->dev.fd, &self->info, side, prot); \
									\
	ASSERT_NE(NULL, __end);						\
	__end;								\
})

#define CLAIM(side)	MAP_END(side, PROT_READ | PROT_WRITE)
#define VIEW(side)	MAP_END(side, PROT_READ)

#endif /* VFIFO_CLAIM_H */
