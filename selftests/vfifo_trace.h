/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The events that a test causes, by a tracer of its own.
 */
#ifndef VFIFO_TRACE_H
#define VFIFO_TRACE_H

#include "vfifo_test.h"

#define TRACEFS		"/sys/kernel/tracing"

/* The whole of a file, to be freed; NULL if it can't be read. */
static inline char *whole_file(const char *path)
{
	size_t len = 0, size = 1 << 16;
	char *buf = malloc(size);
	ssize_t n = -1;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, buf + len, size - 1 - len)) > 0) {
		len += n;
		if (len == size - 1) {
			size *= 2;
			buf = realloc(buf, size);
		}
	}
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(buf);
		return NULL;
	}
	buf[len] = '\0';
	return buf;
}

/* Writes @str to a file that exists: 0, or the negative error number. */
static inline int file_store(const char *path, const char *str)
{
	ssize_t len = strlen(str), ret;
	int fd;

	/* Truncating is what empties the file "trace". */
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = res(write(fd, str, len));
	close(fd);
	if (ret < 0)
		return ret;
	return ret == len ? 0 : -EIO;
}

struct event {
	int pid;
	char name[16];		/* without the "vfifo_" */
	char text[100];		/* without the device */
};

/* A tracer of our own, and what it has recorded. */
struct tracer {
	char instance[64];
	struct event *events;
	int count;
};

static inline int tracer_store(struct tracer *tracer, const char *file, const char *str)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", tracer->instance, file);
	return file_store(path, str);
}

/* Reads what was recorded for the device into @tracer, oldest first. */
static inline int read_events(struct tracer *tracer)
{
	char path[PATH_MAX], device[32], *all, *line, *save, *p, *q;
	struct event *e;

	snprintf(path, sizeof(path), "%s/trace", tracer->instance);
	all = whole_file(path);
	if (!all)
		return -1;
	snprintf(device, sizeof(device), "%s ", vfifo_name());
	free(tracer->events);
	tracer->events = NULL;
	tracer->count = 0;
	for (line = strtok_r(all, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		p = strstr(line, ": vfifo_");
		if (*line == '#' || !p)
			continue;
		if (!(tracer->count & 63))
			tracer->events = realloc(tracer->events, sizeof(*e) *
					       (tracer->count + 64));
		e = &tracer->events[tracer->count];
		memset(e, 0, sizeof(*e));
		/* "task-pid [cpu] flags time: vfifo_name: vfifoN text" */
		q = strstr(line, " [");
		while (q && q > line && q[-1] != '-')
			q--;
		e->pid = q ? atoi(q) : -1;
		if (sscanf(p, ": vfifo_%15[a-z]: ", e->name) != 1)
			continue;
		q = strstr(p + 2, ": ") + 2;
		if (strncmp(q, device, strlen(device)))
			continue;
		snprintf(e->text, sizeof(e->text), "%s", q + strlen(device));
		tracer->count++;
	}
	free(all);
	return tracer->count;
}

/*
 * A new instance is as the others are. This one does without the names of the
 * tasks, for which the scheduler would be patched whenever an event is enabled:
 * on several emulated processors, old versions of QEMU now and then make a crash
 * ("int3") of patching code that is running.
 */
static inline int make_instance(const char *path)
{
	const char *option = TRACEFS "/options/record-cmd";
	char *before = whole_file(option);
	int ret;

	file_store(option, "0");
	ret = res(mkdir(path, 0700));
	if (before)
		file_store(option, before);
	free(before);
	return ret;
}

/*
 * Begins tracing in an instance of its own, since others may trace as well. False
 * if that fails, with errno; @why says why there can be none, if there can't.
 */
static inline bool tracer_begin(struct tracer *tracer, const char **why)
{
	memset(tracer, 0, sizeof(*tracer));
	*why = NULL;
	if (geteuid()) {
		*why = "only root can trace";
		return true;
	}
	/* What is mounted here is gone with this process. */
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	if (mount("none", TRACEFS, "tracefs", 0, NULL) && errno != EBUSY) {
		*why = "no tracefs";
		return true;
	}
	if (access(TRACEFS "/events", F_OK)) {
		*why = "this kernel has no trace events";
		return true;
	}
	snprintf(tracer->instance, sizeof(tracer->instance),
		 TRACEFS "/instances/vfifo-test-%d", getpid());
	if (make_instance(tracer->instance)) {
		tracer->instance[0] = '\0';
		return false;
	}
	/* This clock puts events of two processors in their right order. */
	return !tracer_store(tracer, "trace_clock", "counter");
}

/* Ends it: 0, or the negative error number. */
static inline int tracer_end(struct tracer *tracer)
{
	free(tracer->events);
	tracer->events = NULL;
	return tracer->instance[0] ? res(rmdir(tracer->instance)) : 0;
}

#endif /* VFIFO_TRACE_H */
