// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Devices that are added and removed at run time: names, options, what is refused, and
 * how many there can be. Removing a device that is in use is in devices_removal.c.
 */
#include <grp.h>

#include "vfifo_devices.h"
#include "vfifo_log.h"

/* How many devices there must be room for. */
#define MANY		1000
#define LONG_TEST	600

FIXTURE(devices)
{
	struct health health;
	int before;
};

FIXTURE_SETUP(devices)
{
	if (geteuid())
		SKIP(return, "only root can add devices");
	ASSERT_EQ(0, access(NEW_DEVICE, W_OK));
	ASSERT_EQ(0, access(DELETE_DEVICE, W_OK));
	devices_forget();
	health_begin(&self->health);
	self->before = devices_count();
}

FIXTURE_TEARDOWN(devices)
{
	devices_forget();
	EXPECT_EQ(self->before, devices_count());
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
}

/* ---- one device ---- */

/* Whether @len bytes that are written to @fd come back. */
static bool passes(int fd, size_t len)
{
	char in[64], out[64];

	memset(out, 0, sizeof(out));
	stream_fill(in, len, 0);
	return write(fd, in, len) == (ssize_t)len &&
	       read(fd, out, sizeof(out)) == (ssize_t)len &&
	       stream_equal(out, len, 0);
}

TEST_F(devices, added_and_removed)
{
	const char *name = TEST_PREFIX "a";
	char path[PATH_MAX], target[PATH_MAX];
	struct stat st;
	ssize_t len;
	size_t i;
	int fd;

	ASSERT_EQ(NULL, device_left(name));
	ASSERT_EQ(0, device_add(TEST_PREFIX "a\n"));
	ASSERT_EQ(self->before + 1, devices_count());

	/* The node, which has no alias outside of the directory. */
	ASSERT_EQ(0, stat("/dev/vfifo/" TEST_PREFIX "a", &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_gid);
	EXPECT_EQ(device_number(name), st.st_rdev);
	EXPECT_NE(0, stat("/dev/" TEST_PREFIX "a", &st));
	len = readlink(VFIFO_CLASS "/" TEST_PREFIX "a", target, sizeof(target) - 1);
	ASSERT_LT(0, len);
	target[len] = '\0';
	EXPECT_STREQ("../../devices/virtual/vfifo/" TEST_PREFIX "a", target);

	/* Attributes, and what they say at first. */
	device_use(name);
	for (i = 0; i < ARRAY_SIZE(vfifo_attrs); i++) {
		attr_path(path, sizeof(path), vfifo_attrs[i].name);
		EXPECT_EQ(0, stat(path, &st)) {
			TH_LOG("no %s", path);
		}
		EXPECT_EQ(S_IFREG | vfifo_attrs[i].mode, st.st_mode) {
			TH_LOG("%s", path);
		}
	}
	EXPECT_EQ(0, attr_get("size"));
	EXPECT_EQ(0, attr_get("mode"));
	EXPECT_EQ(1000, attr_get("period_ms"));
	EXPECT_EQ(0, attr_get("stats/bytes_written"));

	fd = device_open(name, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(passes(fd, 40));
	EXPECT_EQ(40, attr_get("stats/bytes_written"));
	close(fd);

	/* Removal is complete when the call returns, and the name is free. */
	EXPECT_EQ(0, device_delete(TEST_PREFIX "a\n"));
	EXPECT_EQ(NULL, device_left(name));
	EXPECT_EQ(self->before, devices_count());
	EXPECT_EQ(-ENOENT, device_delete(name));
	EXPECT_EQ(0, device_add(name));
	EXPECT_EQ(0, attr_get("stats/bytes_written"));
	EXPECT_EQ(0, device_delete(name));
}

TEST_F(devices, options)
{
	long page = sysconf(_SC_PAGESIZE);
	struct stat st;
	char line[128];

	snprintf(line, sizeof(line), TEST_PREFIX "o capacity=%ld %s", 3 * page,
		 "mode=auto period_ms=3600000 hangup=1 perm=0640");
	ASSERT_EQ(0, device_add(line));
	device_use(TEST_PREFIX "o");
	EXPECT_EQ(4 * page, attr_get("capacity"));
	EXPECT_EQ(1, attr_get("mode"));
	EXPECT_EQ(3600000, attr_get("period_ms"));
	EXPECT_EQ(1, attr_get("hangup"));
	ASSERT_EQ(0, stat(vfifo_path(), &st));
	EXPECT_EQ(S_IFCHR | 0640, st.st_mode);

	/* The generator runs: at the end of a period a message is there. */
	EXPECT_EQ(0, attr_set("period_ms", 1));
	EXPECT_TRUE(eventually(attr_get("size") > 0));

	/* Any order and any amount of space; what is not given is as usual. */
	snprintf(line, sizeof(line), " \t%sp  perm=6\tperiod_ms=0x10 hangup=0 \tcapacity=%ld\t\n",
		 TEST_PREFIX, page);
	ASSERT_EQ(0, device_add(line));
	device_use(TEST_PREFIX "p");
	EXPECT_EQ(page, attr_get("capacity"));
	EXPECT_EQ(0, attr_get("mode"));
	EXPECT_EQ(16, attr_get("period_ms"));
	EXPECT_EQ(0, attr_get("hangup"));
	ASSERT_EQ(0, stat(vfifo_path(), &st));
	EXPECT_EQ(S_IFCHR | 0006, st.st_mode);
}

/* ---- refusals ---- */

static const struct bad_line {
	const char *line;
	int error;
} bad_lines[] = {
	/* names */
	{ "\n", EINVAL },
	{ "\t\n", EINVAL },
	{ ".", EINVAL },
	{ "..", EINVAL },
	{ "0test", EINVAL },
	{ "-test", EINVAL },
	{ "_test", EINVAL },
	{ "test/a", EINVAL },
	{ "../test", EINVAL },
	{ "test!a", EINVAL },
	{ "test:a", EINVAL },
	{ "test\xc3\xa9", EINVAL },
	{ "test\177", EINVAL },
	{ "test-a\ntest-b\n", EINVAL },
	{ "new_device", EINVAL },
	{ "delete_device", EINVAL },
	{ "vfifo0", EINVAL },
	{ "vfifo1", EINVAL },
	{ "vfifo00", EINVAL },
	{ "vfifo4095", EINVAL },
	{ "vfifo99999999999999999999999999", EINVAL },
	{ "test-aaaaaaaaaaaaaaaaaaaaaaaaaaaa", EINVAL },	/* 32 */
	/* options */
	{ "test-a b", EINVAL },
	{ "test-a capacity", EINVAL },
	{ "test-a capacity 4096", EINVAL },
	{ "test-a capacity=", EINVAL },
	{ "test-a capacity =4096", EINVAL },
	{ "test-a capacity=4096 capacity=4096", EINVAL },
	{ "test-a =", EINVAL },
	{ "test-a size=0", EINVAL },
	{ "test-a dev=1:3", EINVAL },
	{ "test-a uevent=add", EINVAL },
	{ "test-a Capacity=4096", EINVAL },
	{ "test-a capacity=4096,mode=auto", EINVAL },
	{ "capacity=4096", EINVAL },
	{ "capacity=4096 test-a", EINVAL },
	/* values */
	{ "test-a capacity=0", EINVAL },
	{ "test-a capacity=-1", EINVAL },
	{ "test-a capacity=64k", EINVAL },
	{ "test-a capacity=1073741825", ERANGE },
	{ "test-a capacity=18446744073709551616", ERANGE },
	{ "test-a mode=2", EINVAL },
	{ "test-a mode=Auto", EINVAL },
	{ "test-a mode=", EINVAL },
	{ "test-a period_ms=0", ERANGE },
	{ "test-a period_ms=3600001", ERANGE },
	{ "test-a period_ms=soon", EINVAL },
	{ "test-a hangup=2", EINVAL },
	{ "test-a hangup=-1", EINVAL },
	{ "test-a hangup=", EINVAL },
	{ "test-a hangup=yes", EINVAL },
	{ "test-a hangup=0 hangup=1", EINVAL },
	{ "test-a perm=", EINVAL },
	{ "test-a perm=0", ERANGE },
	{ "test-a perm=1000", ERANGE },
	{ "test-a perm=4755", ERANGE },
	{ "test-a perm=8", EINVAL },
	{ "test-a perm=0x180", EINVAL },
	{ "test-a perm=rw", EINVAL },
	/* The first error counts, wherever it is. */
	{ "test-a perm=0600 mode=auto period_ms=5 capacity=no", EINVAL },
	/* in use */
	{ "test-used", EEXIST },
	{ "test-used capacity=4096 perm=0600", EEXIST },
};

/* All names in a directory, in no order but always the same for the same contents. */
static long directory(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	long sum = 0;
	const char *p;
	__u64 hash;

	while (dir && (entry = readdir(dir))) {
		/* Other devices may come and go in /dev. */
		if (!strcmp(path, "/dev") && strncmp(entry->d_name, "vfifo", 5) &&
		    strncmp(entry->d_name, TEST_PREFIX, strlen(TEST_PREFIX)))
			continue;
		hash = 0;
		for (p = entry->d_name; *p; p++)
			hash = mix64(hash + (__u8)*p);
		sum += hash;
	}
	if (dir)
		closedir(dir);
	return sum;
}

TEST_F(devices, bad_lines)
{
	static const char *const dirs[] = {
		VFIFO_CLASS, "/sys/devices/virtual/vfifo", "/sys/dev/char",
		"/dev", "/dev/vfifo",
	};
	long was[ARRAY_SIZE(dirs)];
	size_t i, j;
	char *line;

	ASSERT_EQ(0, device_add(TEST_PREFIX "used"));
	for (j = 0; j < ARRAY_SIZE(dirs); j++)
		was[j] = directory(dirs[j]);
	for (i = 0; i < ARRAY_SIZE(bad_lines); i++) {
		EXPECT_EQ(-bad_lines[i].error, device_add(bad_lines[i].line)) {
			TH_LOG("line '%s'", bad_lines[i].line);
		}
		for (j = 0; j < ARRAY_SIZE(dirs); j++) {
			EXPECT_EQ(was[j], directory(dirs[j])) {
				TH_LOG("line '%s' changed %s",
				       bad_lines[i].line, dirs[j]);
			}
		}
	}

	/* A write of no byte does nothing; a line as long as a page may be cut off. */
	EXPECT_EQ(0, device_add(""));
	line = malloc(sysconf(_SC_PAGESIZE) + 1);
	memset(line, ' ', sysconf(_SC_PAGESIZE));
	memcpy(line, "test-a", 6);
	line[sysconf(_SC_PAGESIZE)] = '\0';
	EXPECT_EQ(-EINVAL, device_add(line));
	line[sysconf(_SC_PAGESIZE) - 1] = '\0';
	EXPECT_EQ(0, device_add(line));
	free(line);
}

/* A write of text that contains NUL bytes. */
static int write_bytes(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	ret = fd < 0 ? -errno : res(write(fd, text, len));
	close(fd);
	return ret;
}

#define WRITE(path, text) write_bytes(path, text, sizeof(text) - 1)

/* Nothing is ignored after a NUL byte, unless it is the end of the line. */
TEST_F(devices, nul_bytes)
{
	EXPECT_EQ(-EINVAL, WRITE(NEW_DEVICE, "test-a\0 perm=0600"));
	EXPECT_EQ(-EINVAL, WRITE(NEW_DEVICE, "test-a\0\ntest-b"));
	EXPECT_EQ(-EINVAL, WRITE(NEW_DEVICE, "\0test-a"));
	EXPECT_EQ(-EINVAL, WRITE(NEW_DEVICE, "\0"));
	EXPECT_EQ(self->before, devices_count());
	EXPECT_EQ(7, WRITE(NEW_DEVICE, "test-a\0"));
	EXPECT_EQ(8, WRITE(NEW_DEVICE, "test-b\0\n"));
	EXPECT_EQ(-EINVAL, WRITE(DELETE_DEVICE, "test-a\0test-b"));
	EXPECT_EQ(self->before + 2, devices_count());
	EXPECT_EQ(7, WRITE(DELETE_DEVICE, "test-a\0"));
	EXPECT_EQ(8, WRITE(DELETE_DEVICE, "test-b\n\0"));
}

/* Each attribute that can be written is an option, and no other is. */
TEST_F(devices, options_are_the_writable_attributes)
{
	char line[256];
	size_t i;

	ASSERT_EQ(0, device_add(TEST_PREFIX "from"));
	device_use(TEST_PREFIX "from");
	for (i = OWN_ATTRS; i < ARRAY_SIZE(vfifo_attrs); i++) {
		bool writable = vfifo_attrs[i].mode & 0200;

		snprintf(line, sizeof(line), TEST_PREFIX "to %s=%s",
			 vfifo_attrs[i].name, attr_text(vfifo_attrs[i].name));
		line[strcspn(line, "\n")] = '\0';
		EXPECT_EQ(writable ? 0 : -EINVAL, device_add(line)) {
			TH_LOG("%s", line);
		}
		EXPECT_EQ(writable ? 0 : -ENOENT, device_delete(TEST_PREFIX "to"));
	}
}

TEST_F(devices, bad_removals)
{
	static const struct bad_line bad[] = {
		{ "\n", EINVAL },
		{ "test-used x", EINVAL },
		{ " test-used", EINVAL },
		{ "test-used ", EINVAL },
		{ "test-used\ntest-used", EINVAL },
		{ "../vfifo0", EINVAL },
		{ "new_device", EINVAL },
		{ "delete_device", EINVAL },
		{ "test-aaaaaaaaaaaaaaaaaaaaaaaaaaaa", EINVAL },
		{ "test-use", ENOENT },
		{ "test-used2", ENOENT },
		{ "Test-used", ENOENT },
		{ "vfifo99999", ENOENT },
		{ "vfifo00", ENOENT },
	};
	size_t i;

	ASSERT_EQ(0, device_add(TEST_PREFIX "used"));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-bad[i].error, device_delete(bad[i].line)) {
			TH_LOG("line '%s'", bad[i].line);
		}
	}
	EXPECT_EQ(self->before + 1, devices_count());
	EXPECT_EQ(0, device_delete(TEST_PREFIX "used"));
}

TEST_F(devices, names_at_their_limits)
{
	static const char all[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
	char name[MAX_NAME + 2];
	size_t i, len;

	/* Each allowed character, each length. */
	for (i = 0; i < sizeof(all) - 1; i++) {
		snprintf(name, sizeof(name), TEST_PREFIX "%c", all[i]);
		EXPECT_EQ(0, device_add(name)) {
			TH_LOG("%s", name);
		}
		EXPECT_EQ(0, device_delete(name));
	}
	for (len = strlen(TEST_PREFIX) + 1; len <= MAX_NAME + 1; len++) {
		memset(name, 'x', sizeof(name));
		memcpy(name, TEST_PREFIX, strlen(TEST_PREFIX));
		name[len] = '\0';
		EXPECT_EQ(len <= MAX_NAME ? 0 : -EINVAL, device_add(name)) {
			TH_LOG("%zu characters", len);
		}
	}
	/* They are different devices, although each name begins like the next. */
	EXPECT_EQ(self->before + MAX_NAME - (int)strlen(TEST_PREFIX),
		  devices_count());
}

/* ---- permissions ---- */

TEST_F(devices, only_root)
{
	struct stat st;
	int i, status;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, stat(i ? DELETE_DEVICE : NEW_DEVICE, &st));
		EXPECT_EQ(S_IFREG | 0200, st.st_mode);
		EXPECT_EQ(0, st.st_uid);
	}
	ASSERT_EQ(0, device_add(TEST_PREFIX "all perm=0666"));
	ASSERT_EQ(0, device_add(TEST_PREFIX "root"));
	pid = nobody_start(DEADLINE);
	if (!pid) {
		status = device_add(TEST_PREFIX "x") != -EACCES;
		status |= (device_delete(TEST_PREFIX "all") != -EACCES) << 1;
		status |= (device_open(TEST_PREFIX "all", O_RDWR) < 0) << 2;
		status |= (device_open(TEST_PREFIX "root", O_RDWR) != -1 ||
			   errno != EACCES) << 3;
		_exit(status);
	}
	EXPECT_EQ(0, child_end(pid));
}

/* ---- numbers ---- */

TEST_F(devices, number_is_kept_until_the_last_close)
{
	char again[64];
	dev_t number;
	int fd;

	ASSERT_EQ(0, device_add(TEST_PREFIX "1"));
	number = device_number(TEST_PREFIX "1");
	fd = device_open(TEST_PREFIX "1", O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, device_delete(TEST_PREFIX "1"));

	/* A device of the same name is another one. */
	ASSERT_EQ(0, device_add(TEST_PREFIX "1"));
	EXPECT_NE(number, device_number(TEST_PREFIX "1"));

	/* The old one cannot be opened again, by whatever path. */
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	EXPECT_EQ(-1, open(again, O_RDWR | O_CLOEXEC));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_TRUE(passes(fd, 10));
	close(fd);

	/* The number is free now, but all others are used before it. */
	EXPECT_EQ(0, device_add(TEST_PREFIX "2"));
	EXPECT_NE(number, device_number(TEST_PREFIX "2"));
}

/* A node made with mknod() does not lead to the device that is added next. */
TEST_F(devices, number_without_a_device)
{
	/* Not in /tmp, which may be mounted with "nodev". */
	char path[] = "/dev/" TEST_PREFIX "node-XXXXXX";
	dev_t number;
	int fd;

	ASSERT_EQ(0, device_add(TEST_PREFIX "n"));
	number = device_number(TEST_PREFIX "n");
	ASSERT_NE(NULL, mkdtemp(path));
	ASSERT_EQ(0, chdir(path));
	ASSERT_EQ(0, mknod("node", S_IFCHR | 0600, number));
	fd = open("node", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_EQ(0, device_delete(TEST_PREFIX "n"));
	EXPECT_EQ(-ENXIO, res(open("node", O_RDWR | O_NONBLOCK | O_CLOEXEC)));
	EXPECT_EQ(0, device_add(TEST_PREFIX "m"));
	EXPECT_EQ(-ENXIO, res(open("node", O_RDWR | O_NONBLOCK | O_CLOEXEC)));
	unlink("node");
	ASSERT_EQ(0, chdir("/"));
	rmdir(path);
}

/* ---- many ---- */

static int add_many(const char *prefix, int from, int count)
{
	char line[64];
	int i, ret;

	for (i = from; i < count; i++) {
		snprintf(line, sizeof(line), TEST_PREFIX "%s%d capacity=1",
			 prefix, i);
		ret = device_add(line);
		if (ret)
			return ret == -ENOSPC ? i : ret;
	}
	return i;
}

TEST_F_TIMEOUT(devices, a_thousand, LONG_TEST)
{
	__s64 start = now_ms();
	char name[64];
	int fd[MANY];
	int i;

	if (self->before + MANY > NUMBERS)
		SKIP(return, "there are many devices already");
	ASSERT_EQ(MANY, add_many("k", 0, MANY));
	EXPECT_EQ(self->before + MANY, devices_count());
	TH_LOG("added %d in %lld ms", MANY, now_ms() - start);

	/* Each is a device of its own. */
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), TEST_PREFIX "k%d", i);
		fd[i] = device_open(name, O_RDWR | O_NONBLOCK);
		ASSERT_LE(0, fd[i]) {
			TH_LOG("%s: %s", name, strerror(errno));
		}
		ASSERT_EQ((long)sizeof(i), write(fd[i], &i, sizeof(i)));
		/* Half of them are removed while they are open. */
		if (i % 2)
			ASSERT_EQ(0, device_delete(name));
	}
	EXPECT_EQ(self->before + MANY / 2, devices_count());
	for (i = 0; i < MANY; i++) {
		int got = -1;

		ASSERT_EQ((long)sizeof(got), read(fd[i], &got, sizeof(got)));
		ASSERT_EQ(i, got);
		close(fd[i]);
	}
	start = now_ms();
	devices_forget();
	EXPECT_EQ(self->before, devices_count());
	TH_LOG("removed %d in %lld ms", MANY / 2, now_ms() - start);
}

TEST_F_TIMEOUT(devices, numbers_run_out, LONG_TEST)
{
	int room = NUMBERS - self->before, done;
	dev_t number;
	int fd;

	if (vfifo_scale() > 1)
		SKIP(return, "takes too long on this kernel");
	done = add_many("n", 0, NUMBERS + 1);
	EXPECT_EQ(room, done);
	EXPECT_EQ(-ENOSPC, device_add(TEST_PREFIX "x"));
	EXPECT_EQ(NULL, device_left(TEST_PREFIX "x"));

	/* A removed device makes room for one, after its last close. */
	number = device_number(TEST_PREFIX "n1000");
	fd = device_open(TEST_PREFIX "n1000", O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, device_delete(TEST_PREFIX "n1000"));
	EXPECT_EQ(-ENOSPC, device_add(TEST_PREFIX "x capacity=1"));
	close(fd);
	EXPECT_TRUE(eventually(!device_add(TEST_PREFIX "x capacity=1")));
	EXPECT_EQ(number, device_number(TEST_PREFIX "x"));
	EXPECT_EQ(-ENOSPC, device_add(TEST_PREFIX "y"));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
