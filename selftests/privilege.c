// SPDX-License-Identifier: GPL-2.0
/*
 * Permissions: without any on the node nothing is possible, and permission to read or to
 * write allows that and no more. No output of the driver contains a kernel address, and
 * no buffer contains old memory.
 */
#include <dirent.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

#include "vfifo_log.h"

FIXTURE(privilege)
{
	struct vfifo dev;
	struct vfifo_info info;
	char path[64];
	mode_t mode;		/* of the node, before the test */
};

FIXTURE_SETUP(privilege)
{
	struct stat st;

	if (geteuid())
		SKIP(return, "only root can change to another user");
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->info.size = sizeof(self->info);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_GET_INFO, &self->info));
	snprintf(self->path, sizeof(self->path), "/dev/%s", vfifo_name());
	ASSERT_EQ(0, stat(self->path, &st));
	self->mode = st.st_mode & 07777;
	ASSERT_TRUE(put(&self->dev, 100, 0));
}

FIXTURE_TEARDOWN(privilege)
{
	if (self->path[0])
		chmod(self->path, self->mode);
	vfifo_teardown(&self->dev);
}

/* In a child of nobody_start(): logs a failure and sets @wrong, its exit status. */
#define NOBODY_EXPECT(error, call) do {					\
	long __got = res((long)(call));					\
									\
	EXPECT_EQ(-(error), __got) {					\
		TH_LOG("%s", #call);					\
		wrong = 1;						\
	}								\
} while (0)

static long map(int fd, size_t len, int prot, __u64 offset)
{
	void *p = mmap(NULL, len, prot, MAP_SHARED, fd, offset);

	if (p == MAP_FAILED)
		return -1;
	munmap(p, len);
	return 0;
}

/* The result of mprotect for a mapping made with @prot. */
static long protect(int fd, size_t len, int prot, int later, __u64 offset)
{
	void *p = mmap(NULL, len, prot, MAP_SHARED, fd, offset);
	long ret;
	int error;

	if (p == MAP_FAILED)
		return -1;
	ret = mprotect(p, len, later);
	error = errno;
	munmap(p, len);
	errno = error;
	return ret;
}

/* Opens an open file again, by its name in /proc. */
static int reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

#define RW	(PROT_READ | PROT_WRITE)

TEST_F(privilege, without_permission)
{
	struct stat st;
	int fd, wrong = 0;
	pid_t pid;

	/* The mode that devtmpfs sets. */
	ASSERT_EQ(0, stat(self->path, &st));
	EXPECT_EQ(0600U, st.st_mode & 0777);
	pid = nobody_start(2 * DEADLINE);
	if (!pid) {
		NOBODY_EXPECT(EACCES, vfifo_open(O_RDONLY));
		NOBODY_EXPECT(EACCES, vfifo_open(O_WRONLY));
		NOBODY_EXPECT(EACCES, vfifo_open(O_RDWR));
		NOBODY_EXPECT(EACCES, vfifo_open(O_RDONLY | O_NONBLOCK));
		NOBODY_EXPECT(EACCES, access(self->path, R_OK));
		NOBODY_EXPECT(EPERM, chmod(self->path, 0666));
		NOBODY_EXPECT(EPERM, chown(self->path, NOBODY, NOBODY));
		/* O_PATH needs no permission, and allows no use. */
		fd = vfifo_open(O_PATH);
		NOBODY_EXPECT(0, fd < 0 ? fd : 0);
		NOBODY_EXPECT(EBADF, read(fd, &st, 1));
		NOBODY_EXPECT(EBADF, ioctl(fd, VFIFO_NOTIFY));
		NOBODY_EXPECT(EACCES, reopen(fd, O_RDONLY));
		_exit(wrong);
	}
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(100, queued(self->dev.fd));
}

/* Attributes can be read by all users and written by root only. */
TEST_F(privilege, attributes_are_for_root)
{
	static const char *const attrs[] = {
		"capacity", "mode", "period_ms", "hangup", "framing", "overwrite",
		"uevent",
	};
	char path[PATH_MAX];
	int wrong = 0;
	pid_t pid;
	size_t i;

	/* Permissions of the node make no difference. */
	ASSERT_EQ(0, chmod(self->path, 0666));
	pid = nobody_start(2 * DEADLINE);
	if (!pid) {
		for (i = 0; i < ARRAY_SIZE(attrs); i++) {
			attr_path(path, sizeof(path), attrs[i]);
			NOBODY_EXPECT(EACCES, attr_open(attrs[i], O_WRONLY));
			NOBODY_EXPECT(EACCES, attr_open(attrs[i], O_RDWR));
			NOBODY_EXPECT(EACCES, truncate(path, 0));
			NOBODY_EXPECT(EPERM, chmod(path, 0666));
			NOBODY_EXPECT(0, -(attr_open(attrs[i], O_RDONLY) < 0));
		}
		_exit(wrong);
	}
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, attr_get("mode"));
	EXPECT_EQ(self->dev.capacity, attr_get("capacity"));
}

TEST_F(privilege, with_permission_to_read)
{
	size_t page = self->dev.page, cap = self->dev.capacity;
	int wrong = 0, on = 1, fd, pipes[2];
	struct vfifo_info *info = &self->info;
	struct iovec iov;
	char buf[4] = "";
	pid_t pid;

	ASSERT_EQ(0, chmod(self->path, 0444));
	pid = nobody_start(2 * DEADLINE);
	if (!pid) {
		NOBODY_EXPECT(EACCES, vfifo_open(O_WRONLY));
		NOBODY_EXPECT(EACCES, vfifo_open(O_RDWR));
		fd = vfifo_open(O_RDONLY | O_NONBLOCK);
		if (fd < 0 || pipe(pipes))
			_exit(98);
		NOBODY_EXPECT(EACCES, reopen(fd, O_RDWR));
		NOBODY_EXPECT(EACCES, reopen(fd, O_WRONLY));
		/* No call adds bytes. */
		iov.iov_base = buf;
		iov.iov_len = 1;
		NOBODY_EXPECT(EBADF, write(fd, buf, 1));
		NOBODY_EXPECT(EBADF, write(fd, buf, 0));
		NOBODY_EXPECT(EBADF, writev(fd, &iov, 1));
		NOBODY_EXPECT(EBADF, pwritev2(fd, &iov, 1, -1, 0));
		if (write(pipes[1], buf, 1) != 1)
			_exit(97);
		NOBODY_EXPECT(EBADF, splice(pipes[0], NULL, fd, NULL, 1, 0));
		NOBODY_EXPECT(EBADF, ioctl(fd, VFIFO_SET_MODE, &on));
		NOBODY_EXPECT(EBADF, ioctl(fd, VFIFO_SET_MODE, NULL));
		/* Nor does a mapping, now or after mprotect. */
		NOBODY_EXPECT(EACCES, map(fd, cap, RW, 0));
		NOBODY_EXPECT(EACCES, map(fd, cap, PROT_WRITE, 0));
		NOBODY_EXPECT(EACCES, map(fd, page, RW, info->producer_offset));
		NOBODY_EXPECT(EACCES, map(fd, page, RW, info->consumer_offset));
		NOBODY_EXPECT(EACCES, protect(fd, cap, PROT_READ, RW, 0));
		NOBODY_EXPECT(EACCES, protect(fd, cap, PROT_NONE, RW, 0));
		NOBODY_EXPECT(EACCES, protect(fd, page, PROT_READ, RW,
					      info->producer_offset));
		NOBODY_EXPECT(EACCES, protect(fd, page, PROT_READ, RW,
					      info->consumer_offset));
		/* Everything can be read. */
		NOBODY_EXPECT(0, map(fd, 2 * cap, PROT_READ, 0));
		NOBODY_EXPECT(0, map(fd, page, PROT_READ,
				     info->producer_offset));
		NOBODY_EXPECT(0, map(fd, page, PROT_READ,
				     info->consumer_offset));
		NOBODY_EXPECT(0, ioctl(fd, VFIFO_GET_INFO, info));
		NOBODY_EXPECT(0, ioctl(fd, VFIFO_NOTIFY));
		if (read(fd, buf, 4) != 4 || !stream_equal(buf, 4, 0))
			_exit(96);
		/* A reader may drop all bytes. */
		NOBODY_EXPECT(0, ioctl(fd, VFIFO_CLEAR));
		_exit(wrong);
	}
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, attr_get("mode"));
	EXPECT_EQ(0, queued(self->dev.fd));
	EXPECT_EQ(0, attr_get("producer_claimed"));
	EXPECT_EQ(0, attr_get("consumer_claimed"));
}

TEST_F(privilege, with_permission_to_write)
{
	size_t page = self->dev.page, cap = self->dev.capacity;
	struct vfifo_info *info = &self->info;
	int wrong = 0, off = 0, fd, pipes[2];
	struct iovec iov;
	char buf[4] = "";
	pid_t pid;

	ASSERT_EQ(0, chmod(self->path, 0222));
	pid = nobody_start(2 * DEADLINE);
	if (!pid) {
		NOBODY_EXPECT(EACCES, vfifo_open(O_RDONLY));
		NOBODY_EXPECT(EACCES, vfifo_open(O_RDWR));
		fd = vfifo_open(O_WRONLY | O_NONBLOCK);
		if (fd < 0 || pipe(pipes))
			_exit(98);
		NOBODY_EXPECT(EACCES, reopen(fd, O_RDWR));
		NOBODY_EXPECT(EACCES, reopen(fd, O_RDONLY));
		iov.iov_base = buf;
		iov.iov_len = 1;
		NOBODY_EXPECT(EBADF, read(fd, buf, 1));
		NOBODY_EXPECT(EBADF, readv(fd, &iov, 1));
		NOBODY_EXPECT(EBADF, preadv2(fd, &iov, 1, -1, 0));
		NOBODY_EXPECT(EBADF, splice(fd, NULL, pipes[1], NULL, 1, 0));
		NOBODY_EXPECT(EBADF, ioctl(fd, VFIFO_CLEAR));
		/* A mapping is never only for writing. */
		NOBODY_EXPECT(EACCES, map(fd, cap, PROT_WRITE, 0));
		NOBODY_EXPECT(EACCES, map(fd, cap, RW, 0));
		NOBODY_EXPECT(EACCES, map(fd, cap, PROT_READ, 0));
		NOBODY_EXPECT(EACCES, map(fd, cap, PROT_NONE, 0));
		NOBODY_EXPECT(EACCES, map(fd, page, PROT_WRITE,
					  info->producer_offset));
		NOBODY_EXPECT(EACCES, map(fd, page, PROT_READ,
					  info->consumer_offset));
		NOBODY_EXPECT(0, ioctl(fd, VFIFO_SET_MODE, &off));
		NOBODY_EXPECT(0, ioctl(fd, VFIFO_GET_INFO, info));
		NOBODY_EXPECT(0, ioctl(fd, VFIFO_NOTIFY));
		if (write(fd, buf, 4) != 4)
			_exit(96);
		_exit(wrong);
	}
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(104, queued(self->dev.fd));
	EXPECT_TRUE(get(&self->dev, 100, 0));
}

/* A file that root has opened stays usable after a change of user. */
TEST_F(privilege, file_is_what_counts)
{
	pid_t pid = nobody_start(2 * DEADLINE);
	int wrong = 0;
	char c;

	if (!pid) {
		NOBODY_EXPECT(0, map(self->dev.fd, self->dev.page, RW,
				     self->info.producer_offset));
		NOBODY_EXPECT(0, -(read(self->dev.fd, &c, 1) != 1));
		NOBODY_EXPECT(0, ioctl(self->dev.fd, VFIFO_CLEAR));
		/* But it cannot be opened again. */
		NOBODY_EXPECT(EACCES, reopen(self->dev.fd, O_RDONLY));
		_exit(wrong);
	}
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(0, queued(self->dev.fd));
}

/* ---- no mapping is executable ---- */

TEST_F(privilege, never_executable)
{
	__u64 offset[] = {
		0, self->info.producer_offset, self->info.consumer_offset,
	};
	int prot[] = { PROT_EXEC, PROT_READ | PROT_EXEC, RW | PROT_EXEC };
	size_t page = self->dev.page, i, j;
	int fd = self->dev.fd, error;
	struct statvfs st;

	ASSERT_EQ(0, statvfs(self->path, &st));
	error = st.f_flag & ST_NOEXEC ? -EPERM : -EACCES;
	for (i = 0; i < ARRAY_SIZE(offset); i++) {
		for (j = 0; j < ARRAY_SIZE(prot); j++) {
			EXPECT_EQ(error, res(map(fd, page, prot[j],
						 offset[i])));
			EXPECT_EQ(-EACCES, res(protect(fd, page, PROT_READ,
						       prot[j], offset[i])));
			EXPECT_EQ(-EACCES, res(protect(fd, page, RW, prot[j],
						       offset[i])));
		}
	}
	EXPECT_EQ(0, attr_get("producer_claimed"));
	EXPECT_EQ(0, attr_get("consumer_claimed"));
}

/* Old programs, for which readable implies executable, cannot map it. */
TEST_F(privilege, read_does_not_imply_exec)
{
	struct statvfs st;
	long wanted;
	pid_t pid;

	ASSERT_EQ(0, statvfs(self->path, &st));
	wanted = st.f_flag & ST_NOEXEC ? 0 : -EACCES;
	pid = child_start(DEADLINE);
	if (!pid) {
		personality(READ_IMPLIES_EXEC);
		EXPECT_EQ(wanted, res(map(self->dev.fd, self->dev.page,
					  PROT_READ, 0)));
		_exit(!__test_passed(_metadata));
	}
	EXPECT_EQ(0, child_end(pid));
}

/* ---- no output contains a kernel address ---- */

/*
 * Whether the text contains a kernel address, hexadecimal or decimal: on 64 bits a
 * number in the upper half, on 32 bits one in the upper quarter.
 */
static bool has_address(const char *text)
{
	const __u64 kernel = sizeof(long) == 8 ? 1ULL << 63 : 3ULL << 30;
	const __u64 top = sizeof(long) == 8 ? ~0ULL : ~0U;
	const char *p = text, *end;
	__u64 value;

	while (*p) {
		if (!isxdigit((unsigned char)*p)) {
			p++;
			continue;
		}
		if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
			p += 2;
		for (end = p; isxdigit((unsigned char)*end); end++)
			;
		/* A hashed pointer would also be found; none is needed either. */
		if (end - p == 2 * sizeof(long)) {
			value = strtoull(p, NULL, 16);
			if (value >= kernel && value < top - 4095)
				return true;
		}
		if (sizeof(long) == 8 && end - p >= 19 && end - p <= 20) {
			errno = 0;
			value = strtoull(p, NULL, 10);
			if (!errno && value >= kernel)
				return true;
		}
		p = end;
	}
	return false;
}

TEST(addresses_are_recognised)
{
	if (sizeof(long) == 8) {
		EXPECT_TRUE(has_address("at ffff888012345678!"));
		EXPECT_TRUE(has_address("x=0xffffffffc0001000\n"));
		EXPECT_TRUE(has_address("FFFFC90000123000"));
		EXPECT_TRUE(has_address("size 18446612682139992064"));
	} else {
		EXPECT_TRUE(has_address("at c0123456!"));
	}
	EXPECT_FALSE(has_address("248:0\n65536 vfifo0 add 4294967296"));
	EXPECT_FALSE(has_address("00007fffdeadb000-00007fffdeadc000"));
	EXPECT_FALSE(has_address("ffffffffffffffff"));
}

/* Checks all files below @path: how many there were. */
static int look_through(struct __test_metadata *_metadata, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char name[PATH_MAX];
	int count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(name, sizeof(name), "%s/%s", path,
			     entry->d_name) >= (int)sizeof(name))
			continue;
		EXPECT_FALSE(has_address(name)) {
			TH_LOG("%s", name);
		}
		if (entry->d_type == DT_DIR) {
			count += look_through(_metadata, name);
		} else if (entry->d_type == DT_REG) {
			count++;
			/* Positions are set by owners, so they may be any number. */
			if (!strncmp(entry->d_name, "bytes_", 6))
				continue;
			EXPECT_FALSE(has_address(path_text(name))) {
				TH_LOG("%s: %s", name, path_text(name));
			}
		}
	}
	closedir(dir);
	return count;
}

/* Checks the lines of the log that are about vfifo: how many, or -errno. */
static int look_through_log(struct __test_metadata *_metadata)
{
	int fd = log_open(), count = 0;
	char *text, *at;

	if (fd < 0)
		return -errno;
	lseek(fd, 0, SEEK_SET);
	while ((text = log_next(fd, NULL))) {
		if (!strstr(text, "vfifo"))
			continue;
		count++;
		/* The position at which a claim began or ended may be any number. */
		at = strstr(text, "ed at ");
		if (at && at[6 + strspn(at + 6, "0123456789")] == '\0')
			*at = '\0';
		EXPECT_FALSE(has_address(text)) {
			TH_LOG("log: %s", text);
		}
	}
	close(fd);
	return count;
}

TEST_F(privilege, no_addresses)
{
	struct vfifo_end *own;
	char path[PATH_MAX];
	void *data;

	/* With a mapping and a claim, so that there is something to report. */
	data = mmap(NULL, 2 * self->dev.capacity, RW, MAP_SHARED, self->dev.fd,
		    0);
	own = map_page(self->dev.fd, self->info.producer_offset, RW);
	ASSERT_TRUE(data != MAP_FAILED && own);
	snprintf(path, sizeof(path), VFIFO_CLASS "/%s/", vfifo_name());
	EXPECT_LE(14, look_through(_metadata, path));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->dev.fd);
	EXPECT_NE(NULL, strstr(path_text(path), "vfifo-size"));
	EXPECT_FALSE(has_address(path_text(path)));
	EXPECT_FALSE(has_address(path_text("/proc/devices")));
	/* And in the error state. */
	own->position += 1ULL << 40;
	EXPECT_EQ(-EIO, res(read(self->dev.fd, path, 1)));
	munmap(own, self->dev.page);
	munmap(data, 2 * self->dev.capacity);
	EXPECT_LE(0, look_through_log(_metadata));
}

/* ---- no buffer contains old memory ---- */

static bool all_zero(const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

/* A new buffer is all zeroes. */
TEST_F(privilege, new_memory_is_empty)
{
	static const int pages[] = { 64, 1, 16, 256, 2 };
	char *data, buf[200];
	size_t cap, i;

	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		cap = pages[i] * self->dev.page;
		ASSERT_EQ(0, attr_set("capacity", cap));
		data = mmap(NULL, 2 * cap, PROT_READ, MAP_SHARED, self->dev.fd,
			    0);
		ASSERT_NE(MAP_FAILED, data);
		EXPECT_TRUE(all_zero(data, 2 * cap));
		munmap(data, 2 * cap);
		/* Bytes that must not be in the next buffer. */
		ASSERT_TRUE(put(&self->dev, self->dev.page, 0));
		ASSERT_TRUE(get(&self->dev, self->dev.page, 0));
	}
	/* VFIFO_GET_INFO leaves the rest of a larger struct alone. */
	memset(buf, 0x5a, sizeof(buf));
	((struct vfifo_info *)buf)->size = sizeof(buf);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_GET_INFO, buf));
	for (i = sizeof(struct vfifo_info); i < sizeof(buf); i++)
		EXPECT_EQ(0x5a, buf[i]);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
