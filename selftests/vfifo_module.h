/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests that load and unload the driver themselves, and for those that ask
 * what the kernel has to say.
 *
 * VFIFO_MODULE names the module, or is the path of its .ko file. What was loaded
 * before is loaded again afterwards, with as many devices of the same capacity.
 */
#ifndef VFIFO_MODULE_H
#define VFIFO_MODULE_H

#include <dirent.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "vfifo_test.h"

/* Seconds that a module may take to be loaded, or to be let go. */
#define MODULE_DEADLINE	(60 * vfifo_scale())

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

/* The whole of a small file, or "". */
static inline const char *path_text(const char *path)
{
	static char text[65536];
	size_t done = 0;
	ssize_t len;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		while ((len = read(fd, text + done,
				   sizeof(text) - 1 - done)) > 0)
			done += len;
		close(fd);
	}
	text[done] = '\0';
	return text;
}

/* Stores @text in the file with one write: 0, or the negative error number. */
static inline int file_store(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = res(write(fd, text, strlen(text)));
	close(fd);
	return ret < 0 ? ret : 0;
}

/* The number behind @name in a file of names and numbers; -1 if it isn't there. */
static inline long file_number(const char *path, const char *name)
{
	const char *line = path_text(path);
	size_t len = strlen(name);

	for (; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && !isalnum(line[len]) &&
		    line[len] != '_')
			return strtol(line + len + strspn(line + len, ": \t"),
				      NULL, 10);
	}
	return -1;
}

/* ---- what the kernel has to say ---- */

/* A bad page, a dead kernel, a warning, a lockup. */
#define TAINTS	(0x20 | 0x80 | 0x200 | 0x4000)

struct health {
	long tainted;
	int kmsg;		/* behind all that was there; -1 without right */
	char line[1024];
};

static inline long taint_bits(void)
{
	return strtol(path_text("/proc/sys/kernel/tainted"), NULL, 10) & TAINTS;
}

static inline void health_begin(struct health *health)
{
	health->tainted = taint_bits();
	health->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (health->kmsg >= 0)
		lseek(health->kmsg, 0, SEEK_END);
}

/* The first line of trouble since the last look, or NULL if all is well. */
static inline const char *health_trouble(struct health *health)
{
	static const char *const words[] = {
		"Kernel panic", "BUG", "WARNING:", "Oops", "KASAN:", "UBSAN:",
		"KFENCE:", "KCSAN:", "ODEBUG:", "general protection fault",
		"INFO: task ", "rcu: INFO:", "possible circular locking",
		"possible recursive locking", "inconsistent lock state",
		"suspicious RCU usage", "DEBUG_LOCKS", "Unable to handle",
		"detected stall", "refcount_t:", "Bad page", "soft lockup",
	};
	const char *found = NULL, *text;
	long now = taint_bits();
	ssize_t len;
	size_t i;

	for (;;) {
		char record[sizeof(health->line)];

		if (health->kmsg < 0)
			break;
		len = read(health->kmsg, record, sizeof(record) - 1);
		/* What was overwritten can't be had any more. */
		if (len < 0 && errno == EPIPE)
			continue;
		if (len <= 0)
			break;
		record[len] = '\0';
		text = strchr(record, ';');
		for (i = 0; text && !found && i < ARRAY_SIZE(words); i++) {
			if (!strstr(text, words[i]))
				continue;
			memcpy(health->line, text + 1, strlen(text));
			health->line[strcspn(health->line, "\n")] = '\0';
			found = health->line;
		}
	}
	if (!found && now & ~health->tainted) {
		snprintf(health->line, sizeof(health->line),
			 "tainted: %#lx, was %#lx", now, health->tainted);
		found = health->line;
	}
	health->tainted = now;
	return found;
}

static inline void health_end(struct health *health)
{
	if (health->kmsg >= 0)
		close(health->kmsg);
}

#define EXPECT_HEALTHY(health) do {					\
	const char *__trouble = health_trouble(health);			\
									\
	EXPECT_EQ(NULL, __trouble) {					\
		TH_LOG("the kernel says: %s", __trouble);		\
	}								\
} while (0)

/* ---- the module ---- */

static char module_name[64];
static int module_file = -1;
static long module_devices, module_capacity;

static inline bool module_loaded(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/initstate", module_name);
	return !access(path, F_OK);
}

/* How many references to it there are. */
static inline long references(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module_name);
	return strtol(path_text(path), NULL, 10);
}

/* How many devices there are. */
static inline int module_count(void)
{
	DIR *dir = opendir(VFIFO_CLASS);
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		count += !strncmp(entry->d_name, "vfifo", 5);
	closedir(dir);
	return count;
}

/* The file in memory, so that loading it does not depend on a disk. */
static inline int module_in_memory(const char *path)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), to, fd = -1;
	char buf[65536], self[64];
	ssize_t len;

	to = memfd_create("module", MFD_CLOEXEC);
	if (from >= 0 && to >= 0) {
		while ((len = read(from, buf, sizeof(buf))) > 0)
			if (write(to, buf, len) != len)
				break;
		/* Not the one for writing: nobody loads a busy file. */
		snprintf(self, sizeof(self), "/proc/self/fd/%d", to);
		if (!len)
			fd = open(self, O_RDONLY | O_CLOEXEC);
	}
	close(from);
	close(to);
	return fd;
}

/* To be called first: NULL, or why the module can't be loaded and unloaded. */
static inline const char *module_setup(void)
{
	const char *module = getenv("VFIFO_MODULE"), *base;
	char path[PATH_MAX], command[PATH_MAX];
	FILE *tool;
	size_t len;

	if (geteuid())
		return "only root can load modules";
	if (!module)
		module = "rust_vfifo";
	snprintf(path, sizeof(path), "%s", module);
	base = strrchr(path, '/');
	base = base ? base + 1 : path;
	snprintf(module_name, sizeof(module_name), "%.*s",
		 (int)strcspn(base, "."), base);
	for (len = 0; module_name[len]; len++)
		if (module_name[len] == '-')
			module_name[len] = '_';
	if (!strchr(path, '/')) {
		snprintf(command, sizeof(command), "modinfo -n %s 2>/dev/null",
			 module_name);
		tool = popen(command, "r");
		if (!tool || !fgets(path, sizeof(path), tool))
			path[0] = '\0';
		if (tool)
			pclose(tool);
		path[strcspn(path, "\n")] = '\0';
	}
	len = strlen(path);
	if (len < 3 || strcmp(path + len - 3, ".ko"))
		return "there is no .ko file of the module";
	module_file = module_in_memory(path);
	if (module_file < 0)
		return "the .ko file of the module can't be read";
	if (module_loaded()) {
		module_devices = module_count();
		module_capacity = attr_get("capacity");
	} else if (!access(VFIFO_CLASS, F_OK)) {
		return "the driver is built in";
	}
	return NULL;
}

/* 0, or the negative error number. */
static inline int module_load(const char *parameters)
{
	return res(syscall(SYS_finit_module, module_file, parameters, 0));
}

/* One attempt: 0, or the negative error number; EAGAIN if it is in use. */
static inline int module_try_unload(void)
{
	return res(syscall(SYS_delete_module, module_name, O_NONBLOCK));
}

/* As long as somebody uses it, this tries again. 0 if it is not loaded. */
static inline int module_unload(void)
{
	__s64 until = now_ms() + MODULE_DEADLINE * 1000;
	int ret;

	while ((ret = module_try_unload())) {
		if (ret == -ENOENT)
			return 0;
		/* EBUSY: it is just being loaded or unloaded by somebody. */
		if ((ret != -EAGAIN && ret != -EBUSY) || now_ms() > until)
			return ret;
		sched_yield();
	}
	return 0;
}

/* What must not be there while the module isn't. NULL if it isn't. */
static inline const char *module_left_behind(void)
{
	if (module_loaded())
		return "the module";
	if (!access(VFIFO_CLASS, F_OK))
		return VFIFO_CLASS;
	if (!access("/dev/vfifo0", F_OK))
		return "/dev/vfifo0";
	if (strstr(path_text("/proc/devices"), "vfifo"))
		return "a line in /proc/devices";
	return NULL;
}

/* Has all as it was before. */
static inline void module_restore(void)
{
	char parameters[128];

	if (module_file < 0 || !module_devices)
		return;
	if (module_unload())
		return;
	snprintf(parameters, sizeof(parameters), "devices=%ld buffer_size=%ld",
		 module_devices, module_capacity);
	module_load(parameters);
}

static pid_t module_main;

static inline void module_at_exit(void)
{
	/* A child that exits has nothing to clean up. */
	if (getpid() == module_main)
		module_restore();
}

/*
 * What main does before the tests, with the answer of module_setup(), or another
 * reason to skip all of them. At exit all is as it was before.
 */
static inline void module_begin(const char *why)
{
	if (why) {
		ksft_print_header();
		ksft_exit_skip("%s\n", why);
	}
	module_main = getpid();
	atexit(module_at_exit);
	/* The harness's programs want to find it. */
	if (access(VFIFO_CLASS, F_OK))
		module_load("");
}

/*
 * A look for a device that is not there makes the kernel run modprobe, which
 * takes long and finds nothing. Not here.
 */
#define MODPROBE	"/proc/sys/kernel/modprobe"

static inline void modprobe_off(void)
{
	file_keep(MODPROBE);
	file_store(MODPROBE, "\n");
}

#endif /* VFIFO_MODULE_H */
