/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all tests of vfifo share: the harness, the helpers, and main.
 *
 * The tests use /dev/vfifo0, or the device named by VFIFO_NAME. Bytes that are queued
 * there are lost. Mode, period, capacity and hangup are restored at exit, even if a test
 * was killed. Random choices are the same in each run, unless "-s SEED" comes first on the
 * command line; "-s random" picks a seed and logs it.
 * VFIFO_SCALE=N multiplies all deadlines by N.
 */
#ifndef VFIFO_TEST_H
#define VFIFO_TEST_H

#include "kselftest_harness.h"

#include "vfifo_cgroup.h"
#include "vfifo_device.h"
#include "vfifo_files.h"
#include "vfifo_process.h"
#include "vfifo_util.h"

/* The formatted text, until the next call. */
__printf(1, 2)
static inline const char *format(const char *fmt, ...)
{
	static char buf[PATH_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	return buf;
}

/* ---- files that are restored at exit ---- */

static struct {
	char *path, *text;
} *kept;

static int kept_count;
static pid_t kept_by;

static inline bool kept_is_so(int i)
{
	return !strcmp(file_text("", kept[i].path + 1), kept[i].text);
}

/* A test that was killed, or skipped half way, has had no teardown. */
static inline void files_put_back(void)
{
	int changed = 0, i, fd;

	/* Not in a child that exits. */
	if (getpid() != kept_by)
		return;
	for (i = 0; i < kept_count; i++)
		changed += !kept_is_so(i);
	if (!changed)
		return;
	/* More may be queued than fitted before. */
	fd = vfifo_open(O_RDONLY | O_NONBLOCK);
	vfifo_empty(fd);
	close(fd);
	for (i = kept_count - 1; i >= 0; i--)
		if (!kept_is_so(i))
			eventually(file_put("", kept[i].path + 1,
					    kept[i].text) != -EBUSY);
}

/* Called by main for each file that tests write to. A missing file is ignored. */
static inline void file_keep(const char *path)
{
	const char *text = file_text("", path + 1);

	if (!*text)
		return;
	if (!kept) {
		kept_by = getpid();
		atexit(files_put_back);
	}
	kept = realloc(kept, (kept_count + 1) * sizeof(*kept));
	kept[kept_count].path = strdup(path);
	kept[kept_count++].text = strdup(text);
}

/* ---- main ---- */

/* Takes "@name value" out of the arguments: the value, or NULL. */
static inline const char *take_option(int *argc, char **argv, const char *name)
{
	const char *value = NULL;
	int i;

	for (i = 1; i + 1 < *argc; i++) {
		if (strcmp(argv[i], name))
			continue;
		value = argv[i + 1];
		memmove(argv + i, argv + i + 2,
			(*argc - i - 1) * sizeof(*argv));
		*argc -= 2;
		break;
	}
	return value;
}

static inline int vfifo_main(int argc, char **argv)
{
	static const char *const attrs[] = {
		"mode", "period_ms", "capacity", "hangup", "framing", "overwrite",
	};
	struct __fixture_metadata *f;
	struct __test_metadata *t;
	char path[PATH_MAX];
	size_t i;

	for (f = __fixture_list; f; f = f->next)
		for (t = f->tests; t; t = t->next)
			t->timeout *= vfifo_scale();
	if (argc > 2 && !strcmp(argv[1], "-s")) {
		vfifo_seed = strcmp(argv[2], "random") ?
			     strtoull(argv[2], NULL, 0) :
			     mix64(now_ms() ^ ((__u64)getpid() << 40)) >> 32;
		argv[2] = argv[0];
		argc -= 2;
		argv += 2;
	}
	if (access(VFIFO_CLASS, F_OK)) {
		ksft_print_header();
		ksft_exit_skip("no " VFIFO_CLASS ": load the driver first\n");
	}
	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		attr_path(path, sizeof(path), attrs[i]);
		file_keep(path);
	}
	return test_harness_run(argc, argv);
}

/* Logs how to repeat a random test. */
#define LOG_SEED() TH_LOG("random choices: -s %llu", (unsigned long long)vfifo_seed)

#endif /* VFIFO_TEST_H */
