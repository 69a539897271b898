// SPDX-License-Identifier: GPL-2.0
/*
 * The debug messages of a vfifo, and that dynamic debug can select each of them by
 * module, file, line, function and format. All of them are off afterwards.
 */
#include "vfifo_log.h"

#define CONTROL		"/proc/dynamic_debug/control"
#define MODULE		"rust_vfifo"

struct message {
	int level;
	char text[500];
};

/* The messages that contain @what since the last call; the first @max in @found. */
static int messages(int log, const char *what, struct message *found, int max)
{
	const char *text;
	int count = 0, level;

	while ((text = log_next(log, &level))) {
		if (!strstr(text, what))
			continue;
		if (count < max) {
			found[count].level = level;
			snprintf(found[count].text, sizeof(found->text), "%s",
				 text);
		}
		count++;
	}
	return count;
}

FIXTURE(dyndbg)
{
	struct vfifo dev;
	struct message m[24];
	int log;
};

FIXTURE_SETUP(dyndbg)
{
	if (access(CONTROL, F_OK))
		SKIP(return, "this kernel has no dynamic debug");
	if (geteuid())
		SKIP(return, "only root can control dynamic debug");
	ASSERT_EQ(0, file_store(CONTROL, "module " MODULE " =_"));
	ASSERT_EQ(0, vfifo_setup(&self->dev));
	self->log = log_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(dyndbg)
{
	if (self->log > 0) {
		EXPECT_EQ(0, file_store(CONTROL, "module " MODULE " =_"));
		close(self->log);
		vfifo_teardown(&self->dev);
	}
}

#define MESSAGES(what) \
	messages(self->log, what, self->m, ARRAY_SIZE(self->m))
#define EXPECT_MESSAGE(i, fmt, ...) do {				\
	struct message *__m = &self->m[i];				\
	EXPECT_STREQ(format(fmt, __VA_ARGS__), __m->text);		\
	EXPECT_EQ(7, __m->level);					\
} while (0)

/* Makes every change that has a message, and undoes it. */
static void change(struct vfifo *dev)
{
	put(dev, 7, 0);
	ioctl(dev->fd, VFIFO_CLEAR);
	attr_set("capacity", 2 * dev->capacity);
	attr_set("capacity", dev->capacity);
	attr_set("period_ms", 3600000);
	attr_store("mode", "1");
	attr_store("mode", "1");
	attr_store("mode", "0");
	attr_set("period_ms", VFIFO_PERIOD);
	attr_set("hangup", 1);
	attr_set("hangup", 0);
	attr_set("overwrite", 1);
	attr_set("overwrite", 0);
	attr_store("framing", "record");
	attr_store("framing", "stream");
	munmap(claim_end(dev, true), dev->page);
	munmap(claim_end(dev, false), dev->page);
}

TEST_F(dyndbg, silent_unless_enabled)
{
	change(&self->dev);
	EXPECT_EQ(0, MESSAGES("vfifo")) { TH_LOG("%s", self->m[0].text); }

	ASSERT_EQ(0, file_store(CONTROL, "module " MODULE " +p"));
	change(&self->dev);
	EXPECT_EQ(17, MESSAGES("vfifo"));

	ASSERT_EQ(0, file_store(CONTROL, "module " MODULE " -p"));
	change(&self->dev);
	EXPECT_EQ(0, MESSAGES("vfifo")) { TH_LOG("%s", self->m[0].text); }
}

TEST_F(dyndbg, messages)
{
	const char *name = vfifo_name();
	long size = self->dev.capacity;
	__u64 position;

	ASSERT_EQ(0, file_store(CONTROL, "module " MODULE " +p"));
	change(&self->dev);
	ASSERT_EQ(17, MESSAGES("vfifo"));
	EXPECT_MESSAGE(0, MODULE ": %s: cleared 7 bytes", name);
	EXPECT_MESSAGE(1, MODULE ": %s: capacity %ld -> %ld", name, size, 2 * size);
	EXPECT_MESSAGE(2, MODULE ": %s: capacity %ld -> %ld", name, 2 * size, size);
	EXPECT_MESSAGE(3, MODULE ": %s: period %d -> 3600000 ms", name,
		       VFIFO_PERIOD);
	EXPECT_MESSAGE(4, MODULE ": %s: mode manual -> auto", name);
	EXPECT_MESSAGE(5, MODULE ": %s: mode auto -> manual", name);
	EXPECT_MESSAGE(6, MODULE ": %s: period 3600000 -> %d ms", name,
		       VFIFO_PERIOD);
	EXPECT_MESSAGE(7, MODULE ": %s: hangup 0 -> 1", name);
	EXPECT_MESSAGE(8, MODULE ": %s: hangup 1 -> 0", name);
	EXPECT_MESSAGE(9, MODULE ": %s: overwrite 0 -> 1", name);
	EXPECT_MESSAGE(10, MODULE ": %s: overwrite 1 -> 0", name);
	EXPECT_MESSAGE(11, MODULE ": %s: framing stream -> record", name);
	EXPECT_MESSAGE(12, MODULE ": %s: framing record -> stream", name);
	/* Nothing is queued, so both ends are at the same position. */
	position = attr_get("stats/bytes_written");
	EXPECT_MESSAGE(13, MODULE ": %s: producer claimed at %llu", name, position);
	EXPECT_MESSAGE(14, MODULE ": %s: producer released at %llu", name, position);
	EXPECT_MESSAGE(15, MODULE ": %s: consumer claimed at %llu", name, position);
	EXPECT_MESSAGE(16, MODULE ": %s: consumer released at %llu", name, position);
}

/* The line number of a message in the control file's list; 0 if it is not there. */
static unsigned int site(const char *format, char *file, char *function,
			 char *flags)
{
	char *all = whole_file(CONTROL), *line, *save, module[64];
	unsigned int lineno = 0;

	for (line = strtok_r(all, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!strstr(line, format))
			continue;
		if (sscanf(line, "%255[^:]:%u [%63[^]]]%255s =%15s", file,
			   &lineno, module, function, flags) == 5 &&
		    !strcmp(module, MODULE))
			break;
		lineno = 0;
	}
	free(all);
	return lineno;
}

TEST_F(dyndbg, sites)
{
	char file[256], function[256], flags[16], *p;
	unsigned int lineno;

	lineno = site("\"{}: cleared {} bytes\\n\"", file, function, flags);
	ASSERT_NE(0U, lineno);
	EXPECT_STREQ("_", flags);
	/* In an external module, the path may begin with another crate. */
	p = strstr(function, MODULE "::");
	EXPECT_STREQ(MODULE "::fifo::clear", p ? p : function);
	p = strrchr(file, '/');
	EXPECT_STREQ("/clear.rs", p ? p : file);

	/* Messages selected in each of the possible ways. */
	ASSERT_EQ(0, file_store(CONTROL, "format cleared +p"));
	change(&self->dev);
	EXPECT_EQ(1, MESSAGES("vfifo"));
	EXPECT_NE(0U, site("cleared", file, function, flags));
	EXPECT_STREQ("p", flags);
	ASSERT_EQ(0, file_store(CONTROL, format("file %s line %u -p", file, lineno)));
	change(&self->dev);
	EXPECT_EQ(0, MESSAGES("vfifo"));
	ASSERT_EQ(0, file_store(CONTROL, "func *" MODULE "::generator +p"));
	change(&self->dev);
	EXPECT_EQ(4, MESSAGES("vfifo"));
	ASSERT_EQ(0, file_store(CONTROL, "file generator.rs =_"));
	change(&self->dev);
	EXPECT_EQ(0, MESSAGES("vfifo"));
	ASSERT_EQ(0, file_store(CONTROL, "module other_vfifo +p"));
	change(&self->dev);
	EXPECT_EQ(0, MESSAGES("vfifo"));
}

TEST_F(dyndbg, flags)
{
	char file[256], function[256], flags[16];
	unsigned int lineno;

	lineno = site("cleared", file, function, flags);
	ASSERT_NE(0U, lineno);

	ASSERT_EQ(0, file_store(CONTROL, "format cleared +pmfslt"));
	EXPECT_EQ(lineno, site("cleared", file, function, flags));
	EXPECT_STREQ("pmfslt", flags);
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	ASSERT_EQ(1, MESSAGES("vfifo"));
	EXPECT_MESSAGE(0, "[%d] " MODULE ":%s:%s:%u: " MODULE ": %s: cleared 0 bytes",
		       getpid(), function, file, lineno, vfifo_name());

	/* The other flags do nothing without "p". */
	ASSERT_EQ(0, file_store(CONTROL, "format cleared -p"));
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_EQ(0, MESSAGES("vfifo"));

	ASSERT_EQ(0, file_store(CONTROL, "format cleared =pd"));
	ASSERT_EQ(0, ioctl(self->dev.fd, VFIFO_CLEAR));
	EXPECT_EQ(1, MESSAGES("Call Trace:"));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
