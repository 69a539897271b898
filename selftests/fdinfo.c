// SPDX-License-Identifier: GPL-2.0
/*
 * What /proc/PID/fdinfo tells about an open vfifo.
 */
#include "vfifo_stream.h"

static bool has_line(const char *text, const char *name, const char *value)
{
	char line[100];

	snprintf(line, sizeof(line), "\n%s:\t%s\n", name, value);
	return strstr(text, line);
}

TEST_F(stream, settings)
{
	char value[32];
	int fd;

	ASSERT_TRUE(put(&self->dev, 12345, 0));
	ASSERT_EQ(0, attr_set("period_ms", 3600000));
	snprintf(value, sizeof(value), "%ld", self->cap);
	fd = vfifo_open(O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(has_line(fdinfo_text(fd), "vfifo-size", "12345"));
	EXPECT_TRUE(has_line(fdinfo_text(fd), "vfifo-capacity", value));
	EXPECT_TRUE(has_line(fdinfo_text(fd), "vfifo-mode", "manual"));
	/* A stream has no position. */
	EXPECT_EQ(0, strncmp(fdinfo_text(fd), "pos:\t0\n", 7));
	close(fd);

	ASSERT_EQ(0, attr_set("mode", 1));
	ASSERT_EQ(0, attr_set("capacity", 2 * self->cap));
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
	snprintf(value, sizeof(value), "%ld", 2 * self->cap);
	EXPECT_TRUE(has_line(fdinfo_text(self->r), "vfifo-size", "0"));
	EXPECT_TRUE(has_line(fdinfo_text(self->r), "vfifo-capacity", value));
	EXPECT_TRUE(has_line(fdinfo_text(self->r), "vfifo-mode", "auto"));
}

TEST_F(stream, claims)
{
	struct vfifo_end *own = claim_end(&self->dev, true);
	const char *text;

	ASSERT_NE(NULL, own);
	text = fdinfo_text(self->dev.fd);
	EXPECT_TRUE(has_line(text, "vfifo-producer", "claimed"));
	EXPECT_TRUE(has_line(text, "vfifo-consumer", "unclaimed"));
	munmap(own, self->dev.page);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
