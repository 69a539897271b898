/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A control group for one test.
 */
#ifndef VFIFO_CGROUP_H
#define VFIFO_CGROUP_H

#include <sys/mount.h>
#include <sys/stat.h>

#include "vfifo_files.h"

/*
 * Creates a group in the cgroup hierarchy of @type with @options, which is mounted
 * for it; NULL if there is no such hierarchy.
 */
static inline const char *cgroup_begin(const char *type, const char *options)
{
	static char group[64];
	char mnt[32] = "/tmp/vfifo-cgroup-XXXXXX";

	if (!mkdtemp(mnt))
		return NULL;
	snprintf(group, sizeof(group), "%s/vfifo-test", mnt);
	if (!mount("none", mnt, type, 0, options)) {
		/* An earlier run may have left one that was still in use. */
		if (!mkdir(group, 0700) || errno == EEXIST)
			return group;
		umount(mnt);
	}
	rmdir(mnt);
	return NULL;
}

/* Removes @group, frozen or not, or does nothing for NULL; whether it is gone. */
static inline bool cgroup_end(const char *group)
{
	char mnt[64];
	bool gone;

	if (!group)
		return true;
	file_put(group, "freezer.state", "THAWED");
	file_put(group, "cgroup.freeze", "0");
	/* Processes that have exited may take a moment to leave it. */
	gone = eventually(!rmdir(group));
	snprintf(mnt, sizeof(mnt), "%s", group);
	*strrchr(mnt, '/') = '\0';
	gone &= !umount(mnt);
	rmdir(mnt);
	return gone;
}

#endif /* VFIFO_CGROUP_H */
