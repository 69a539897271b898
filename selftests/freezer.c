// SPDX-License-Identifier: GPL-2.0
/*
 * Sleeping readers and writers in a frozen cgroup do not take wake-ups.
 */
#include "vfifo_test.h"

FIXTURE(freezer)
{
	struct vfifo dev;
	int fd;			/* blocks */
	const char *group;	/* a cgroup, or NULL */
};

FIXTURE_SETUP(freezer)
{
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->fd = vfifo_open(O_RDWR);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(freezer)
{
	EXPECT_TRUE(cgroup_end(self->group));
	close(self->fd);
	vfifo_teardown(&self->dev);
}

static int group_add(const char *group, pid_t pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", pid);
	return file_put(group, "cgroup.procs", text);
}

static bool file_says(const char *group, const char *name, const char *word)
{
	return eventually(strstr(file_text(group, name), word));
}

/* Freezes a group of cgroup v2; true once that is done. */
static bool group_freeze(const char *group)
{
	return !file_put(group, "cgroup.freeze", "1") &&
	       file_says(group, "cgroup.events", "frozen 1");
}

static int group_thaw(const char *group)
{
	return file_put(group, "cgroup.freeze", "0");
}

/* A child that reads one byte; it exits with 0 if it gets one. */
static pid_t reader_start(int fd)
{
	pid_t pid = child_start(2 * DEADLINE);
	char c;

	if (!pid)
		_exit(read(fd, &c, 1) != 1);
	return pid;
}

/* The freezer of cgroup v1: a wake-up must not be spent on a frozen process. */
TEST_F_TIMEOUT(freezer, frozen_by_cgroup_v1, 60)
{
	const char *group = cgroup_begin("cgroup", "freezer");
	pid_t first, second;

	self->group = group;
	if (!group)
		SKIP(return, "no freezer of cgroup v1");

	first = reader_start(self->fd);
	ASSERT_TRUE(child_sleeps(first));
	second = reader_start(self->fd);
	ASSERT_TRUE(child_sleeps(second));
	EXPECT_EQ(0, group_add(group, first));
	EXPECT_EQ(0, file_put(group, "freezer.state", "FROZEN"));
	EXPECT_TRUE(file_says(group, "freezer.state", "FROZEN"));
	EXPECT_EQ(1, res(write(self->dev.fd, "x", 1)));
	EXPECT_EQ(0, child_end(second));

	EXPECT_EQ(0, file_put(group, "freezer.state", "THAWED"));
	EXPECT_TRUE(child_sleeps(first));
	EXPECT_EQ(1, res(write(self->dev.fd, "y", 1)));
	EXPECT_EQ(0, child_end(first));
}

TEST_F(freezer, frozen_by_cgroup_v2)
{
	const char *group = cgroup_begin("cgroup2", NULL);
	char buf[2 * PIPE_BUF] = "", c;
	pid_t reader, writer;

	self->group = group;
	if (!group)
		SKIP(return, "no cgroup2");

	reader = reader_start(self->fd);
	ASSERT_TRUE(child_sleeps(reader));
	EXPECT_EQ(0, group_add(group, reader));
	EXPECT_TRUE(group_freeze(group));

	/* Bytes that arrive meanwhile go to processes that are not frozen. */
	EXPECT_EQ(1, res(write(self->dev.fd, "x", 1)));
	EXPECT_EQ(1, res(read(self->dev.fd, &c, 1)));
	EXPECT_EQ(0, group_thaw(group));
	EXPECT_TRUE(file_says(group, "cgroup.events", "frozen 0"));
	EXPECT_TRUE(child_sleeps(reader));

	/* A byte that is queued when it thaws is for it. */
	EXPECT_TRUE(group_freeze(group));
	EXPECT_EQ(1, res(write(self->dev.fd, "x", 1)));
	EXPECT_EQ(0, group_thaw(group));
	EXPECT_EQ(0, child_end(reader));

	ASSERT_TRUE(put(&self->dev, self->dev.capacity, 0));
	writer = child_start(DEADLINE);
	if (!writer)
		_exit(write(self->fd, buf, sizeof(buf)) != sizeof(buf));
	ASSERT_TRUE(child_sleeps(writer));
	EXPECT_EQ(0, group_add(group, writer));
	EXPECT_TRUE(group_freeze(group));
	EXPECT_TRUE(get(&self->dev, sizeof(buf), 0));
	EXPECT_EQ(self->dev.capacity - (long)sizeof(buf), queued(self->dev.fd));
	EXPECT_EQ(0, group_thaw(group));
	EXPECT_EQ(0, child_end(writer));
	EXPECT_EQ(self->dev.capacity, queued(self->dev.fd));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
