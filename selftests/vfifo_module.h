/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests that load and unload the driver.
 *
 * VFIFO_MODULE is the name of the module or the path of its .ko file. A module that
 * was loaded before is loaded again at exit, with as many devices of the same
 * capacity, mode and hangup as vfifo0. If devices were added at run time, the tests are skipped.
 */
#ifndef VFIFO_MODULE_H
#define VFIFO_MODULE_H

#include <dirent.h>
#include <sys/syscall.h>

#include "vfifo_log.h"

/* Seconds allowed for loading the module, or for the last reference to go. */
#define MODULE_DEADLINE	(60 * vfifo_scale())

static char module_name[64];
static int module_file = -1;
static bool module_was_loaded;
static long module_devices, module_capacity, module_hangup;
static mode_t module_perm;

static inline bool module_loaded(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/initstate", module_name);
	return !access(path, F_OK);
}

/* The number of references to the module. */
static inline long references(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module_name);
	return strtol(path_text(path), NULL, 10);
}

/* Whether a device of this name was made when the module was loaded. */
static inline bool module_made(const char *name)
{
	return !strncmp(name, "vfifo", 5) && name[5] &&
	       !name[5 + strspn(name + 5, "0123456789")];
}

/* The number of devices that were made at load (@made), or that were added later. */
static inline int module_count(bool made)
{
	DIR *dir = opendir(VFIFO_CLASS);
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		/* A device is a link there, and the attributes are files. */
		count += entry->d_type == DT_LNK &&
			 module_made(entry->d_name) == made;
	closedir(dir);
	return count;
}

/* A copy of the file in memory, so that loading it does not read a disk. */
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
		/* A file that is open for writing cannot be loaded. */
		snprintf(self, sizeof(self), "/proc/self/fd/%d", to);
		if (!len)
			fd = open(self, O_RDONLY | O_CLOEXEC);
	}
	close(from);
	close(to);
	return fd;
}

/* Called first: NULL, or why the module cannot be loaded and unloaded. */
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
		return "the .ko file of the module cannot be read";
	if (module_loaded()) {
		struct stat st;

		if (module_count(false))
			return "devices were added, which this test would remove";
		module_was_loaded = true;
		module_devices = module_count(true);
		if (module_devices) {
			module_capacity = attr_get("capacity");
			module_hangup = attr_get("hangup");
			if (!stat(vfifo_path(), &st))
				module_perm = st.st_mode & 0777;
		}
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

/* One attempt: 0, or the negative error number; EAGAIN while it is in use. */
static inline int module_try_unload(void)
{
	return res(syscall(SYS_delete_module, module_name, O_NONBLOCK));
}

/* Tries until nothing uses the module any more. 0 if it is not loaded. */
static inline int module_unload(void)
{
	__s64 until = now_ms() + MODULE_DEADLINE * 1000;
	int ret;

	while ((ret = module_try_unload())) {
		if (ret == -ENOENT)
			return 0;
		/* EBUSY: another process is loading or unloading it. */
		if ((ret != -EAGAIN && ret != -EBUSY) || now_ms() > until)
			return ret;
		sched_yield();
	}
	return 0;
}

/* Something that must be gone when the module is unloaded, or NULL. */
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

/* Loads the module as it was loaded before. */
static inline void module_restore(void)
{
	char parameters[128];

	if (module_file < 0 || !module_was_loaded)
		return;
	if (module_unload())
		return;
	snprintf(parameters, sizeof(parameters), "devices=%ld", module_devices);
	if (module_capacity > 0)
		snprintf(parameters + strlen(parameters),
			 sizeof(parameters) - strlen(parameters),
			 " buffer_size=%ld hangup=%ld", module_capacity,
			 module_hangup);
	if (module_perm)
		snprintf(parameters + strlen(parameters),
			 sizeof(parameters) - strlen(parameters),
			 " perm=0%o", module_perm);
	module_load(parameters);
}

static pid_t module_main;

static inline void module_at_exit(void)
{
	/* Not in a child that exits. */
	if (getpid() == module_main)
		module_restore();
}

/*
 * Called by main before the tests, with the answer of module_setup() or another
 * reason to skip all of them. Restores the module at exit.
 */
static inline void module_begin(const char *why)
{
	if (why) {
		ksft_print_header();
		ksft_exit_skip("%s\n", why);
	}
	module_main = getpid();
	atexit(module_at_exit);
	/* vfifo_main() looks for it. */
	if (access(VFIFO_CLASS, F_OK))
		module_load("");
}

/*
 * Opening the node of a device that is not there makes the kernel run modprobe, which
 * takes long and finds nothing. This turns it off.
 */
#define MODPROBE	"/proc/sys/kernel/modprobe"

static inline void modprobe_off(void)
{
	file_keep(MODPROBE);
	file_store(MODPROBE, "\n");
}

#endif /* VFIFO_MODULE_H */
