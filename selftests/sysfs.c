// SPDX-License-Identifier: GPL-2.0
/*
 * The attributes of a vfifo: what they show and accept, and that refused values
 * change nothing.
 */
#include <poll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "vfifo_test.h"

FIXTURE(sysfs)
{
	struct vfifo dev;
};

FIXTURE_SETUP(sysfs)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
}

FIXTURE_TEARDOWN(sysfs)
{
	vfifo_teardown(&self->dev);
}

TEST_F(sysfs, files)
{
	char path[PATH_MAX];
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vfifo_attrs); i++) {
		attr_path(path, sizeof(path), vfifo_attrs[i].name);
		EXPECT_EQ(0, stat(path, &st)) {
			TH_LOG("%s: %s", path, strerror(errno));
			continue;
		}
		EXPECT_EQ(S_IFREG | vfifo_attrs[i].mode, st.st_mode) {
			TH_LOG("%s", path);
		}
		if (i < NUMBER_ATTRS)
			continue;
		/* A number and a newline, for shell scripts. */
		EXPECT_NE(-1, attr_get(vfifo_attrs[i].name)) {
			TH_LOG("%s: '%s'", path,
			       attr_text(vfifo_attrs[i].name));
		}
	}
}

TEST_F(sysfs, device_node)
{
	char path[PATH_MAX], text[4100], line[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/dev/%s", vfifo_name());
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(S_IFCHR | 0600, (int)st.st_mode);
	EXPECT_EQ(0, (int)st.st_uid);

	snprintf(text, sizeof(text), "%u:%u\n", major(st.st_rdev),
		 minor(st.st_rdev));
	EXPECT_STREQ(text, attr_text("dev"));

	/* udev creates the node from these. */
	snprintf(text, sizeof(text), "\n%s", attr_text("uevent"));
	snprintf(line, sizeof(line), "\nMAJOR=%u\n", major(st.st_rdev));
	EXPECT_NE(NULL, strstr(text, line));
	snprintf(line, sizeof(line), "\nMINOR=%u\n", minor(st.st_rdev));
	EXPECT_NE(NULL, strstr(text, line));
	snprintf(line, sizeof(line), "\nDEVNAME=%s\n", vfifo_name());
	EXPECT_NE(NULL, strstr(text, line));
}

/* Even for root, so that mistakes are noticed. */
TEST_F(sysfs, read_only_files)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vfifo_attrs); i++) {
		if (vfifo_attrs[i].mode & 0222)
			continue;
		EXPECT_EQ(-EACCES, res(attr_open(vfifo_attrs[i].name,
						 O_WRONLY))) {
			TH_LOG("%s", vfifo_attrs[i].name);
		}
	}
}

TEST_F(sysfs, other_users_only_look)
{
	pid_t pid = nobody_start(DEADLINE);
	size_t i;

	if (!pid) {
		EXPECT_EQ(-EACCES, res(vfifo_open(O_RDONLY)));
		for (i = 0; i < ARRAY_SIZE(vfifo_attrs); i++) {
			EXPECT_NE('\0', attr_text(vfifo_attrs[i].name)[0]);
			if (i >= NUMBER_ATTRS)
				EXPECT_NE(-1, attr_get(vfifo_attrs[i].name));
			EXPECT_EQ(-EACCES, res(attr_open(vfifo_attrs[i].name,
							 O_WRONLY))) {
				TH_LOG("%s", vfifo_attrs[i].name);
			}
		}
		_exit(0);
	}
	EXPECT_EQ(0, child_end(pid));
}

TEST_F(sysfs, size_is_what_is_queued)
{
	EXPECT_EQ(0, attr_get("size"));
	ASSERT_TRUE(put(&self->dev, 12345, 0));
	EXPECT_EQ(12345, attr_get("size"));
	ASSERT_TRUE(get(&self->dev, 45, 0));
	EXPECT_EQ(12300, attr_get("size"));
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_EQ(0, attr_get("size"));
	ASSERT_TRUE(put(&self->dev, self->dev.capacity, 0));
	EXPECT_EQ(self->dev.capacity, attr_get("size"));
}

TEST_F(sysfs, stats_count_bytes)
{
	long written = attr_get("stats/bytes_written");
	long got = attr_get("stats/bytes_read");
	long cleared = attr_get("stats/bytes_cleared");
	long dropped = attr_get("stats/dropped");
	long readers = attr_get("stats/reader_sleeps");
	long writers = attr_get("stats/writer_sleeps");
	struct pollfd p = { .fd = self->dev.fd };
	char c;

	ASSERT_TRUE(put(&self->dev, 10000, 0));
	EXPECT_EQ(written + 10000, attr_get("stats/bytes_written"));
	EXPECT_EQ(got, attr_get("stats/bytes_read"));
	ASSERT_TRUE(get(&self->dev, 10000, 0));
	EXPECT_EQ(written + 10000, attr_get("stats/bytes_written"));
	EXPECT_EQ(got + 10000, attr_get("stats/bytes_read"));

	/* Failed calls are not counted, and no call has slept. */
	EXPECT_EQ(-EAGAIN, res(read(self->dev.fd, &c, 1)));
	p.events = POLLIN;
	EXPECT_EQ(0, poll(&p, 1, 10));
	ASSERT_TRUE(put(&self->dev, self->dev.capacity, 0));
	EXPECT_EQ(-EAGAIN, res(write(self->dev.fd, "x", 1)));
	p.events = POLLOUT;
	EXPECT_EQ(0, poll(&p, 1, 10));
	EXPECT_EQ(readers, attr_get("stats/reader_sleeps"));
	EXPECT_EQ(writers, attr_get("stats/writer_sleeps"));
	EXPECT_EQ(written + 10000 + self->dev.capacity,
		  attr_get("stats/bytes_written"));
	EXPECT_EQ(got + 10000, attr_get("stats/bytes_read"));
	EXPECT_EQ(dropped, attr_get("stats/dropped"));

	/* Cleared bytes are not counted as read. */
	EXPECT_EQ(cleared, attr_get("stats/bytes_cleared"));
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_EQ(cleared + self->dev.capacity, attr_get("stats/bytes_cleared"));
	EXPECT_EQ(got + 10000, attr_get("stats/bytes_read"));
}

/* A message that does not fit is not generated, but counted. */
TEST_F(sysfs, stats_count_what_was_dropped)
{
	long used = self->dev.capacity - 4;
	long dropped = attr_get("stats/dropped");

	ASSERT_TRUE(put(&self->dev, used, 0));
	ASSERT_EQ(0, attr_set("period_ms", 10));
	ASSERT_EQ(0, attr_store("mode", "1"));
	EXPECT_TRUE(eventually(attr_get("stats/dropped") >= dropped + 3));
	EXPECT_EQ(used, attr_get("size"));
	ASSERT_EQ(0, attr_store("mode", "0"));
	EXPECT_TRUE(get(&self->dev, used, 0));
	EXPECT_EQ(0, attr_get("size"));
}

TEST_F(sysfs, capacity_is_rounded_up)
{
	long page = self->dev.page;
	char text[32];

	EXPECT_EQ(0, attr_store("capacity", "1"));
	EXPECT_EQ(page, attr_get("capacity"));
	EXPECT_EQ(0, attr_set("capacity", page));
	EXPECT_EQ(page, attr_get("capacity"));
	EXPECT_EQ(0, attr_set("capacity", page + 1));
	EXPECT_EQ(2 * page, attr_get("capacity"));
	EXPECT_EQ(0, attr_set("capacity", 5 * page));
	EXPECT_EQ(8 * page, attr_get("capacity"));

	/* A trailing newline makes no difference. */
	snprintf(text, sizeof(text), "%ld", 2 * page);
	EXPECT_EQ(0, attr_store("capacity", text));
	EXPECT_EQ(2 * page, attr_get("capacity"));
}

/* One below, at and above every power of two up to 16 MiB. */
TEST_F(sysfs, capacity_rounding_at_the_edges)
{
	long page = self->dev.page, power;

	for (power = page; power <= 16L << 20; power *= 2) {
		EXPECT_EQ(0, attr_set("capacity", power - 1));
		EXPECT_EQ(power, attr_get("capacity"));
		EXPECT_EQ(0, attr_set("capacity", power));
		EXPECT_EQ(power, attr_get("capacity"));
		EXPECT_EQ(0, attr_set("capacity", power + 1));
		EXPECT_EQ(2 * power, attr_get("capacity"));
	}
	for (power = 1; power < page; power *= 2) {
		EXPECT_EQ(0, attr_set("capacity", power));
		EXPECT_EQ(page, attr_get("capacity"));
		EXPECT_EQ(0, attr_set("capacity", power + 1));
		EXPECT_EQ(page, attr_get("capacity"));
	}
	EXPECT_EQ(-ERANGE, attr_set("capacity", (1L << 30) + 1));
}

/* Numbers as in C, with at most one trailing newline. */
TEST_F(sysfs, forms_of_numbers)
{
	static const char *const forms[] = {
		"131072", "131072\n", "+131072", "0x20000", "0X20000\n",
		"0400000", "00000400000", "0x0000000000020000",
	};
	static const char *const no_forms[] = {
		"0b100000000000000000", "0o400000", "131_072", "0x", "0x20000g",
		"++131072", "+-1", "08", " 131072", "131072 ", "+", "",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		ASSERT_EQ(0, attr_set("capacity", self->dev.capacity));
		EXPECT_EQ(0, attr_store("capacity", forms[i])) {
			TH_LOG("'%s'", forms[i]);
		}
		EXPECT_EQ(131072, attr_get("capacity"));
		ASSERT_EQ(0, attr_set("period_ms", 1000));
		EXPECT_EQ(0, attr_store("period_ms", forms[i]));
		EXPECT_EQ(131072, attr_get("period_ms"));
	}
	for (i = 0; i < ARRAY_SIZE(no_forms); i++) {
		/* Writing nothing stores nothing. */
		int ret = no_forms[i][0] ? -EINVAL : 0;

		EXPECT_EQ(ret, attr_store("capacity", no_forms[i])) {
			TH_LOG("'%s'", no_forms[i]);
		}
		EXPECT_EQ(ret, attr_store("period_ms", no_forms[i])) {
			TH_LOG("'%s'", no_forms[i]);
		}
	}
	EXPECT_EQ(131072, attr_get("capacity"));
	EXPECT_EQ(131072, attr_get("period_ms"));
}

TEST_F(sysfs, capacity_is_what_fits)
{
	long cap;

	for (cap = self->dev.page; cap <= 4 * self->dev.capacity; cap *= 4) {
		ASSERT_EQ(0, attr_set("capacity", cap));
		ASSERT_TRUE(put(&self->dev, cap, 0));
		EXPECT_EQ(-EAGAIN, res(write(self->dev.fd, "x", 1)));
		EXPECT_EQ(cap, attr_get("size"));
		EXPECT_TRUE(get(&self->dev, cap, 0));
	}
}

TEST_F(sysfs, resize_keeps_what_is_queued)
{
	long cap = self->dev.capacity, page = self->dev.page, pos = cap - 100;

	/* Queued bytes that straddle the end of the buffer. */
	ASSERT_TRUE(put(&self->dev, pos, 0));
	ASSERT_TRUE(get(&self->dev, pos, 0));
	ASSERT_TRUE(put(&self->dev, page, pos));

	EXPECT_EQ(0, attr_set("capacity", 4 * cap));
	EXPECT_EQ(page, attr_get("size"));
	ASSERT_TRUE(put(&self->dev, 4 * cap - page, pos + page));
	EXPECT_EQ(4 * cap, attr_get("size"));
	ASSERT_TRUE(get(&self->dev, 4 * cap - page, pos));
	pos += 4 * cap - page;

	/* Shrink until they just fit. */
	EXPECT_EQ(0, attr_set("capacity", page));
	EXPECT_EQ(page, attr_get("capacity"));
	EXPECT_EQ(page, attr_get("size"));
	EXPECT_EQ(-EAGAIN, res(write(self->dev.fd, "x", 1)));
	EXPECT_TRUE(get(&self->dev, page, pos));
}

TEST_F(sysfs, resize_loses_nothing)
{
	long cap = self->dev.capacity;

	ASSERT_TRUE(put(&self->dev, cap / 2 + 1, 0));
	EXPECT_EQ(-EBUSY, attr_set("capacity", cap / 2));
	EXPECT_EQ(cap, attr_get("capacity"));
	EXPECT_TRUE(get(&self->dev, 1, 0));
	EXPECT_EQ(0, attr_set("capacity", cap / 2));
	EXPECT_TRUE(get(&self->dev, cap / 2, 1));
}

TEST_F(sysfs, growing_wakes_writers)
{
	long cap = self->dev.capacity;
	int fd = vfifo_open(O_WRONLY);
	pid_t pid;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(put(&self->dev, cap, 0));
	pid = child_start(DEADLINE);
	if (!pid)
		_exit(write(fd, "x", 1) != 1);
	EXPECT_TRUE(child_sleeps(pid));
	EXPECT_EQ(0, attr_set("capacity", 2 * cap));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(cap + 1, attr_get("size"));
	close(fd);
}

TEST_F(sysfs, mode_words)
{
	static const char *const manual[] = { "0", "0\n", "manual", "manual\n" };
	static const char *const automatic[] = { "1", "1\n", "auto", "auto\n" };
	size_t i;

	ASSERT_EQ(0, attr_set("period_ms", 3600000));
	EXPECT_STREQ("0\n", attr_text("mode"));
	for (i = 0; i < ARRAY_SIZE(manual); i++) {
		EXPECT_EQ(0, attr_store("mode", automatic[i]));
		EXPECT_STREQ("1\n", attr_text("mode"));
		EXPECT_EQ(0, attr_store("mode", automatic[i]));
		EXPECT_STREQ("1\n", attr_text("mode"));
		EXPECT_EQ(0, attr_store("mode", manual[i]));
		EXPECT_STREQ("0\n", attr_text("mode"));
	}
}

TEST_F(sysfs, period_range)
{
	EXPECT_EQ(0, attr_store("period_ms", "1"));
	EXPECT_STREQ("1\n", attr_text("period_ms"));
	EXPECT_EQ(0, attr_store("period_ms", "3600000\n"));
	EXPECT_STREQ("3600000\n", attr_text("period_ms"));
}

/* Stores @len bytes with one write, including any NUL, as some programs do. */
static ssize_t store_bytes(const char *attr, const char *bytes, size_t len)
{
	char path[PATH_MAX];
	ssize_t ret;
	int fd;

	attr_path(path, sizeof(path), attr);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = res(write(fd, bytes, len));
	close(fd);
	return ret;
}

/* A NUL ends the text. */
TEST_F(sysfs, nul)
{
	EXPECT_EQ(2, store_bytes("period_ms", "7", 2));
	EXPECT_STREQ("7\n", attr_text("period_ms"));
	EXPECT_EQ(3, store_bytes("period_ms", "8\n", 3));
	EXPECT_STREQ("8\n", attr_text("period_ms"));
	EXPECT_EQ(3, store_bytes("period_ms", "9\0\n", 3));
	EXPECT_STREQ("9\n", attr_text("period_ms"));
	EXPECT_EQ(7, store_bytes("period_ms", "6\0006ms\xff", 7));
	EXPECT_STREQ("6\n", attr_text("period_ms"));
	EXPECT_EQ(-EINVAL, store_bytes("period_ms", "", 1));
	EXPECT_EQ(-EINVAL, store_bytes("period_ms", "\0005", 3));
	EXPECT_EQ(-EINVAL, store_bytes("period_ms", "5\n\n", 4));
	EXPECT_STREQ("6\n", attr_text("period_ms"));

	ASSERT_EQ(0, attr_set("period_ms", 3600000));
	EXPECT_EQ(5, store_bytes("mode", "auto", 5));
	EXPECT_STREQ("1\n", attr_text("mode"));
	EXPECT_EQ(8, store_bytes("mode", "manual\n", 8));
	EXPECT_STREQ("0\n", attr_text("mode"));
}

/* Values that must be refused, by attribute and error. */

FIXTURE(refused)
{
	struct vfifo dev;
};

FIXTURE_VARIANT(refused)
{
	const char *attr;
	int err;
	const char *text[16];
};

FIXTURE_VARIANT_ADD(refused, capacity_nonsense)
{
	.attr = "capacity",
	.err = -EINVAL,
	.text = {
		"0", "0\n", "\n", " ", "x", "abc\n", "8192x", "8192 8192",
		"8192\n\n", "8192\n4096", "8,192", "1e4", "8192.0", "8 k", "-",
	},
};

FIXTURE_VARIANT_ADD(refused, capacity_too_large)
{
	.attr = "capacity",
	.err = -ERANGE,
	.text = {
		"1073741825", "2147483648\n", "4294967296",
		/* These would be valid if truncated to 32 or 64 bits. */
		"4295032832", "18446744073709551616", "18446744073709617152",
		"9223372036854775808", "18446744073709551615",
		"100000000000000000000000000000000000000000000008192",
	},
};

FIXTURE_VARIANT_ADD(refused, mode)
{
	.attr = "mode",
	.err = -EINVAL,
	.text = {
		"2", "-1", "10", "01", "\n", " ", "1 ", "1\n\n", "1 1", "AUTO",
		"aut", "autox", "auto manual", "on", "manua", "18446744073709551617",
	},
};

FIXTURE_VARIANT_ADD(refused, hangup)
{
	.attr = "hangup",
	.err = -EINVAL,
	.text = {
		"2", "-1", "01", "00", "\n", " ", "1 ", "1\n\n", "1 1", "on",
		"true", "0x1", "+1", "4294967297", "18446744073709551617",
	},
};

FIXTURE_VARIANT_ADD(refused, overwrite)
{
	.attr = "overwrite",
	.err = -EINVAL,
	.text = {
		"2", "-1", "01", "00", "\n", " ", "1 ", "1\n\n", "1 1", "on",
		"true", "0x1", "+1", "4294967297", "18446744073709551617",
	},
};

FIXTURE_VARIANT_ADD(refused, framing)
{
	.attr = "framing",
	.err = -EINVAL,
	.text = {
		"0", "1", "2", "\n", " ", "record ", "record\n\n", " stream", "Stream",
		"RECORD", "records", "recor", "stream record", "byte",
	},
};

FIXTURE_VARIANT_ADD(refused, period_nonsense)
{
	.attr = "period_ms",
	.err = -EINVAL,
	.text = {
		"\n", " ", "x", "ten\n", "10ms", "10 ms", "10\n\n", "1.5", "-",
		"1000,0", "1e3",
	},
};

FIXTURE_VARIANT_ADD(refused, period_out_of_range)
{
	.attr = "period_ms",
	.err = -ERANGE,
	.text = {
		"0", "0\n", "3600001", "4294967297\n", "18446744073709551617",
		"9223372036854775808", "100000000000000000000000000000000000001",
	},
};

FIXTURE_SETUP(refused)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
}

FIXTURE_TEARDOWN(refused)
{
	vfifo_teardown(&self->dev);
}

TEST_F(refused, and_nothing_changes)
{
	long was = attr_get(variant->attr);
	size_t i;

	ASSERT_TRUE(put(&self->dev, 5000, 0));
	for (i = 0; i < ARRAY_SIZE(variant->text) && variant->text[i]; i++) {
		EXPECT_EQ(variant->err,
			  attr_store(variant->attr, variant->text[i])) {
			TH_LOG("%s: '%s'", variant->attr, variant->text[i]);
		}
		EXPECT_EQ(was, attr_get(variant->attr)) {
			TH_LOG("%s: '%s'", variant->attr, variant->text[i]);
		}
	}
	EXPECT_TRUE(get(&self->dev, 5000, 0));
	EXPECT_EQ(0, queued(self->dev.fd));
}

/* Longer than any number, and full of bytes without a terminator. */
TEST_F(refused, long_texts)
{
	long was = attr_get(variant->attr);
	char text[4096];

	memset(text, '1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	EXPECT_GT(0, attr_store(variant->attr, text));
	memset(text, 0xff, sizeof(text) - 1);
	EXPECT_EQ(-EINVAL, attr_store(variant->attr, text));
	EXPECT_EQ(was, attr_get(variant->attr));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
