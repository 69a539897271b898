/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The trace events that a test causes, recorded in a trace instance of its own.
 */
#ifndef VFIFO_TRACE_H
#define VFIFO_TRACE_H

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "vfifo_test.h"

#define TRACEFS		"/sys/kernel/tracing"

struct event {
	int pid;
	char name[16];		/* without the "vfifo_" */
	char text[100];		/* without the device */
};

/* A trace instance and the events read from it. */
struct tracer {
	char instance[64];
	struct event *events;
	int count;
};

static inline int tracer_store(struct tracer *tracer, const char *file, const char *str)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", tracer->instance, file);
	/* Truncating is what empties the file "trace". */
	return file_write(path, O_TRUNC, str);
}

/* Reads the events of the device into @tracer, oldest first: how many, or -1. */
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
 * A new instance inherits its options. This one does not record the names of tasks:
 * for that, the scheduler would be patched whenever an event is enabled, and old
 * versions of QEMU now and then crash a guest with several emulated processors that
 * patches running code ("int3").
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
 * Creates a trace instance, since others may be tracing as well. False with errno if
 * that fails; @why is set if tracing is impossible here.
 */
static inline bool tracer_begin(struct tracer *tracer, const char **why)
{
	memset(tracer, 0, sizeof(*tracer));
	*why = NULL;
	if (geteuid()) {
		*why = "only root can trace";
		return true;
	}
	/* Mounts made here end with this process. */
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
	/* This clock orders the events of two processors correctly. */
	return !tracer_store(tracer, "trace_clock", "counter");
}

/* For FIXTURE_SETUP(): NULL, or why the test has to be skipped. */
static inline const char *tracer_setup(struct __test_metadata *_metadata,
				       struct tracer *tracer)
{
	const char *why;

	ASSERT_TRUE(tracer_begin(tracer, &why)) {
		TH_LOG("no tracer: %s", strerror(errno));
	}
	return why;
}

/* Removes the instance: 0, or the negative error number. */
static inline int tracer_end(struct tracer *tracer)
{
	free(tracer->events);
	tracer->events = NULL;
	return tracer->instance[0] ? res(rmdir(tracer->instance)) : 0;
}

#endif /* VFIFO_TRACE_H */
