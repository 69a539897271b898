/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * For tests that add and remove devices. All their names begin with TEST_PREFIX, so that
 * what a failed test has left can be removed.
 */
#ifndef VFIFO_DEVICES_H
#define VFIFO_DEVICES_H

#include <dirent.h>
#include <sys/sysmacros.h>

#include "vfifo_test.h"

#define NEW_DEVICE	VFIFO_CLASS "/new_device"
#define DELETE_DEVICE	VFIFO_CLASS "/delete_device"

#define TEST_PREFIX	"test-"

/* How many numbers the driver has. */
#define NUMBERS		4096

/* The length of the longest name. */
#define MAX_NAME	31

/* Adds a device: 0, or the negative error number. */
static inline int device_add(const char *line)
{
	return file_store(NEW_DEVICE, line);
}

/* Removes a device: 0, or the negative error number. */
static inline int device_delete(const char *name)
{
	return file_store(DELETE_DEVICE, name);
}

/* Makes @name the device that the helpers of vfifo_device.h work with. */
static inline void device_use(const char *name)
{
	setenv("VFIFO_NAME", name, 1);
}

/* Opens the device @name. */
static inline int device_open(const char *name, int flags)
{
	char path[PATH_MAX];

	node_path(path, sizeof(path), name);
	return open(path, flags | O_CLOEXEC);
}

/* What is there of a device: NULL if nothing is, or one of its files. */
static inline const char *device_left(const char *name)
{
	static char path[PATH_MAX];
	struct stat st;

	node_path(path, sizeof(path), name);
	if (!lstat(path, &st))
		return path;
	snprintf(path, sizeof(path), VFIFO_CLASS "/%s", name);
	if (!lstat(path, &st))
		return path;
	snprintf(path, sizeof(path), "/sys/devices/virtual/vfifo/%s", name);
	return lstat(path, &st) ? NULL : path;
}

/* The device number of @name, from its attribute; 0 if there is none. */
static inline dev_t device_number(const char *name)
{
	unsigned int maj, min;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), VFIFO_CLASS "/%s/dev", name);
	if (sscanf(path_text(path), "%u:%u", &maj, &min) != 2)
		return 0;
	return makedev(maj, min);
}

/* Calls @each with the name of every device that begins with @prefix: how many. */
static inline int devices_each(const char *prefix, void (*each)(const char *name))
{
	DIR *dir = opendir(VFIFO_CLASS);
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		/* A device is a link there, and the attributes are files. */
		if (entry->d_type != DT_LNK ||
		    strncmp(entry->d_name, prefix, strlen(prefix)))
			continue;
		count++;
		if (each)
			each(entry->d_name);
	}
	closedir(dir);
	return count;
}

/* The number of all devices. */
static inline int devices_count(void)
{
	return devices_each("", NULL);
}

static inline void device_forget(const char *name)
{
	device_delete(name);
}

/* Removes all devices that tests have added. */
static inline void devices_forget(void)
{
	int passes = 1000;

	/* Removing one may make readdir() skip another. */
	while (devices_each(TEST_PREFIX, device_forget) && --passes)
		;
}

#endif /* VFIFO_DEVICES_H */
