// SPDX-License-Identifier: GPL-2.0
/*
 * VFIFO_GET_INFO: what it returns, and that its structure can grow in the kernel or in
 * programs first.
 */
#include "vfifo_test.h"

#define INFO(size)	_IOC(_IOC_READ | _IOC_WRITE, 'k', 3, size)

/* The size of the first version of the structure. */
#define FIRST_SIZE	40

/* Larger than any version. */
#define MUCH		256

FIXTURE(info)
{
	struct vfifo dev;
	long page;
	__u32 known;		/* bytes that the kernel can fill */
	char all[MUCH];		/* what it fills them with */
};

FIXTURE_SETUP(info)
{
	__u32 size = MUCH;

	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->page = self->dev.page;
	memcpy(self->all, &size, sizeof(size));
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_GET_INFO, self->all));
	memcpy(&self->known, self->all, sizeof(self->known));
	ASSERT_LE(FIRST_SIZE, self->known);
	ASSERT_GT(MUCH, self->known);
}

FIXTURE_TEARDOWN(info)
{
	vfifo_teardown(&self->dev);
}

/* Sizes of a program's structure, which are part of the command. */
static const __u32 sizes[] = {
	8, 9, 12, 16, 24, 32, 39, 40, 41, 48, 56, 64, 72, 255, 256, 257, 4096,
	(1 << _IOC_SIZEBITS) - 1,
};

/* Whether the bytes @from to @to are 0x5a, as before the call. */
static bool untouched(const char *bytes, size_t from, size_t to)
{
	for (; from < to; from++)
		if (bytes[from] != 0x5a)
			return false;
	return true;
}

/* The ioctl, possibly as a 32-bit program makes it: 0, or the negative error number. */
static long call(int fd, unsigned int cmd, char *arg, bool compat)
{
#ifdef __x86_64__
	if (compat)
		return ioctl32(fd, cmd, arg);
#endif
	return res(ioctl(fd, cmd, arg));
}

TEST_F(info, says_what_can_be_mapped)
{
	struct vfifo_info info = { .size = sizeof(info) };

	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_GET_INFO, &info));
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_EQ(1, info.version);
	EXPECT_EQ(self->dev.capacity, (long)info.capacity);
	EXPECT_EQ(0, info.data_offset);
	EXPECT_LE(2 * info.capacity, info.producer_offset);
	EXPECT_LE(2 * info.capacity, info.consumer_offset);
	EXPECT_NE(info.producer_offset, info.consumer_offset);
	EXPECT_EQ(0, info.producer_offset % self->page);
	EXPECT_EQ(0, info.consumer_offset % self->page);
	/* Everything, the page included, must be mappable on a 32-bit kernel. */
	EXPECT_GT(UINT32_MAX - self->page, info.producer_offset);
	EXPECT_GT(UINT32_MAX - self->page, info.consumer_offset);
}

TEST_F(info, is_for_every_descriptor)
{
	int flags[] = { O_RDONLY, O_WRONLY, O_RDWR };
	struct vfifo_info info;
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fd = vfifo_open(flags[i]);
		ASSERT_LE(0, fd);
		info.size = sizeof(info);
		EXPECT_EQ(0, ioctl(fd, VFIFO_GET_INFO, &info));
		EXPECT_EQ(0, memcmp((char *)&info + 4, self->all + 4,
				    FIRST_SIZE - 4));
		EXPECT_EQ(0, ioctl(fd, VFIFO_NOTIFY));
		close(fd);
	}
}

/*
 * With @size in it, @cmd fills as much of @got as the kernel knows, and leaves the rest of
 * its @len bytes alone.
 */
static void expect_filled(struct __test_metadata *_metadata,
			  struct _test_data_info *self, unsigned int cmd,
			  char *got, size_t len, __u32 size, bool compat)
{
	__u32 filled = size < self->known ? size : self->known, said;
	long ret;

	memset(got, 0x5a, len);
	memcpy(got, &size, sizeof(size));
	ret = call(self->dev.fd, cmd, got, compat);
	ASSERT_EQ(0, ret) {
		TH_LOG("command of %u bytes, size %u", _IOC_SIZE(cmd), size);
	}
	memcpy(&said, got, sizeof(said));
	EXPECT_EQ(filled, said);
	EXPECT_EQ(0, memcmp(got + 4, self->all + 4, filled - 4));
	EXPECT_TRUE(untouched(got, filled, len));
}

/* As from programs that were compiled with a shorter or longer structure. */
TEST_F(info, structure_of_any_size)
{
	char *got = calloc(1, 1 << _IOC_SIZEBITS);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		expect_filled(_metadata, self, INFO(sizes[i]), got,
			      1 << _IOC_SIZEBITS, sizes[i], false);
	free(got);
}

/* The size in the structure counts, not the one in the command. */
TEST_F(info, stored_size_decides)
{
	__u32 stored[] = { 8, 12, 24, 39, 40, 41, 48, MUCH, 1 << 20, ~0U };
	char got[2 * MUCH];
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(stored); j++)
			expect_filled(_metadata, self, INFO(sizes[i]), got,
				      sizeof(got), stored[j], false);
	}
}

TEST_F(info, stored_size_too_small)
{
	char got[MUCH];
	unsigned int i;
	__u32 size;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size = 0; size < 8; size++) {
			memset(got, 0x5a, sizeof(got));
			memcpy(got, &size, sizeof(size));
			ASSERT_EQ(-EINVAL, res(ioctl(self->dev.fd,
						     INFO(sizes[i]), got)))
				TH_LOG("command of %u, size %u", sizes[i], size);
			EXPECT_EQ(0, memcmp(got, &size, sizeof(size)));
			EXPECT_EQ(0x5a, got[4]);
		}
	}
}

TEST_F(info, other_commands)
{
	const unsigned int both = _IOC_READ | _IOC_WRITE;
	char got[MUCH] = "";
	__u32 size = MUCH;
	unsigned int i, nr;

	memcpy(got, &size, sizeof(size));
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(-ENOTTY, res(ioctl(self->dev.fd, INFO(i), got)))
			TH_LOG("size %u", i);
	}
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		const unsigned long commands[] = {
			_IOC(_IOC_NONE, 'k', 3, sizes[i]),
			_IOC(_IOC_READ, 'k', 3, sizes[i]),
			_IOC(_IOC_WRITE, 'k', 3, sizes[i]),
			_IOC(both, 'j', 3, sizes[i]),
			_IOC(both, 'l', 3, sizes[i]),
			_IOC(both, 'K', 3, sizes[i]),
			_IOC(both, 0, 3, sizes[i]),
		};

		for (nr = 0; nr < ARRAY_SIZE(commands); nr++) {
			EXPECT_EQ(-ENOTTY, res(ioctl(self->dev.fd,
						     commands[nr], got)))
				TH_LOG("command %u of size %u", nr, sizes[i]);
		}
		for (nr = 0; nr < 256; nr++) {
			if (nr == 3)
				continue;
			EXPECT_EQ(-ENOTTY, res(ioctl(self->dev.fd,
						     _IOC(both, 'k', nr,
							  sizes[i]), got)))
				TH_LOG("number %u, size %u", nr, sizes[i]);
		}
	}
	EXPECT_EQ(0, memcmp(got, &size, sizeof(size)));
	EXPECT_EQ(0, got[4]);
}

/* Only the bytes that are filled must be accessible, and all of these. */
TEST_F(info, bad_memory)
{
	char *edge = half_mapped(self->page), *at;
	__u32 need[] = { 8, 24, FIRST_SIZE, self->known, self->known + 8, ~0U };
	__u32 size, filled, there;
	unsigned int i, j;

	ASSERT_NE(NULL, edge);
	edge += self->page;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		const unsigned long cmd = INFO(sizes[i]);

		EXPECT_EQ(-EFAULT, res(ioctl(self->dev.fd, cmd, NULL)));
		EXPECT_EQ(-EFAULT, res(ioctl(self->dev.fd, cmd, -4096L)));
		for (there = 0; there < 4; there++)
			EXPECT_EQ(-EFAULT, res(ioctl(self->dev.fd, cmd,
						     edge - there)));
		for (j = 0; j < ARRAY_SIZE(need); j++) {
			size = need[j];
			filled = size < self->known ? size : self->known;
			for (there = 4; there <= filled + 4; there++) {
				at = edge - there;
				memset(at, 0, there);
				memcpy(at, &size, sizeof(size));
				ASSERT_EQ(there < filled ? -EFAULT : 0,
					  res(ioctl(self->dev.fd, cmd, at)))
					TH_LOG("%u of %u bytes, command of %u",
					       there, size, sizes[i]);
			}
		}
		/* Memory that is read-only. */
		at = edge - self->page;
		size = FIRST_SIZE;
		memcpy(at, &size, sizeof(size));
		ASSERT_EQ(0, mprotect(at, self->page, PROT_READ));
		EXPECT_EQ(-EFAULT, res(ioctl(self->dev.fd, cmd, at)));
		ASSERT_EQ(0, mprotect(at, self->page, PROT_READ | PROT_WRITE));
	}
	munmap(edge - self->page, 2 * self->page);
}

#ifdef __x86_64__
TEST_F(info, from_32_bit_programs)
{
	unsigned int i;
	__u32 size;
	char *arg;

	if (!runs_32_bit())
		SKIP(return, "the kernel does not run 32-bit programs");
	arg = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, arg);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size = sizes[i] < MUCH ? sizes[i] : MUCH;
		expect_filled(_metadata, self, INFO(sizes[i]), arg, self->page,
			      size, true);
		size = 7;
		memcpy(arg, &size, sizeof(size));
		EXPECT_EQ(-EINVAL, ioctl32(self->dev.fd, INFO(sizes[i]), arg));
		EXPECT_EQ(-ENOTTY, ioctl32(self->dev.fd,
					   _IOC(_IOC_READ, 'k', 3, sizes[i]),
					   arg));
		EXPECT_EQ(-EFAULT, ioctl32(self->dev.fd, INFO(sizes[i]), NULL));
	}
	for (i = 0; i < 8; i++)
		EXPECT_EQ(-ENOTTY, ioctl32(self->dev.fd, INFO(i), arg));
	munmap(arg, self->page);
}
#endif

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
