/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Part of inject_operations.h, which includes it: devices that are added and removed.
 */
#ifndef INJECT_DEVICES_H
#define INJECT_DEVICES_H

#define INJECTED	TEST_PREFIX "inject"

static int devices_before;

static void prepare_new_device(void)
{
	devices_before = devices_count();
}

static long run_new_device(void)
{
	return device_add(INJECTED " capacity=1 mode=auto period_ms=3600000 hangup=1 perm=0640");
}

/* Everything is there, or nothing. */
static const char *check_new_device(long ret)
{
	char path[PATH_MAX], c = 0;
	struct stat st;
	size_t i;
	int fd;

	if (ret < 0) {
		if (device_left(INJECTED))
			return wrong("%s is there", device_left(INJECTED));
		if (devices_count() != devices_before)
			return wrong("%d devices", devices_count());
		return NULL;
	}
	for (i = 0; i < ARRAY_SIZE(vfifo_attrs); i++) {
		snprintf(path, sizeof(path), VFIFO_CLASS "/" INJECTED "/%s",
			 vfifo_attrs[i].name);
		if (!path_text(path)[0])
			return wrong("%s is empty", vfifo_attrs[i].name);
	}
	if (strcmp(path_text(VFIFO_CLASS "/" INJECTED "/mode"), "1\n"))
		return wrong("the mode is not auto");
	if (strcmp(path_text(VFIFO_CLASS "/" INJECTED "/hangup"), "1\n"))
		return wrong("hangup is not 1");
	node_path(path, sizeof(path), INJECTED);
	if (stat(path, &st) || st.st_mode != (S_IFCHR | 0640))
		return wrong("the node is not there, or has another mode");
	fd = device_open(INJECTED, O_RDWR | O_NONBLOCK);
	if (fd < 0)
		return wrong("open: %s", strerror(errno));
	i = write(fd, "x", 1) != 1 || read(fd, &c, 1) != 1 || c != 'x';
	close(fd);
	return i ? wrong("it does not work") : NULL;
}

static void undo_new_device(void)
{
	device_delete(INJECTED);
}

static void prepare_delete_device(void)
{
	if (run_new_device())
		abort();
	s.fd = device_open(INJECTED, O_RDWR | O_NONBLOCK);
}

static long run_delete_device(void)
{
	return device_delete(INJECTED);
}

/* It is gone, or as before. Its open file goes on in any case. */
static const char *check_delete_device(long ret)
{
	char c = 0;

	if (write(s.fd, "x", 1) != 1 || read(s.fd, &c, 1) != 1 || c != 'x')
		return wrong("the open file does not work");
	if (ret < 0)
		return check_new_device(0);
	if (device_left(INJECTED))
		return wrong("%s is still there", device_left(INJECTED));
	return NULL;
}

static void undo_delete_device(void)
{
	close(s.fd);
	s.fd = -1;
	device_delete(INJECTED);
}

#endif /* INJECT_DEVICES_H */
