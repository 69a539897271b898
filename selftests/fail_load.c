// SPDX-License-Identifier: GPL-2.0
/*
 * For module.sh: loads a module again and again, and has the first allocation of
 * that fail, then the second, and so on until all have failed once. Each time,
 * nothing may be left behind. Ends with 4 if the kernel can't inject failures.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "fail_nth.h"

/* Whether the file has @word in it. */
static bool has(const char *path, const char *word)
{
	static char text[1 << 16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len, done = 0;

	while (fd >= 0 && done < (ssize_t)sizeof(text) - 1 &&
	       (len = read(fd, text + done, sizeof(text) - 1 - done)) > 0)
		done += len;
	close(fd);
	text[done] = '\0';
	return strstr(text, word);
}

/* What a module that isn't loaded has left; NULL if it is nothing. */
static const char *left_behind(const char *name)
{
	char path[64];

	if (!access("/sys/class/vfifo", F_OK))
		return "/sys/class/vfifo";
	if (!access("/sys/devices/virtual/vfifo", F_OK))
		return "/sys/devices/virtual/vfifo";
	if (!access("/dev/vfifo0", F_OK) || !access("/dev/vfifo1", F_OK))
		return "/dev/vfifo*";
	if (has("/proc/devices", "vfifo"))
		return "/proc/devices";
	snprintf(path, sizeof(path), "%s ", name);
	if (has("/proc/modules", path))
		return "/proc/modules";
	return NULL;
}

static int unload(const char *name)
{
	int tries;

	for (tries = 0; tries < 1000; tries++) {
		if (!syscall(SYS_delete_module, name, O_NONBLOCK))
			return 0;
		usleep(10000);
	}
	return -1;
}

int main(int argc, char **argv)
{
	int file, n, ret, err, left = 0, failed = 0, survived = 0;
	bool bad = false;
	const char *reason, *what;

	if (argc != 4) {
		fprintf(stderr, "usage: %s file.ko name parameters\n", argv[0]);
		return 2;
	}
	file = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (file < 0) {
		perror(argv[1]);
		return 1;
	}
	reason = fail_setup();
	if (reason) {
		puts(reason);
		return 4;
	}
	for (n = 1; !bad; n++) {
		fail_nth(n);
		ret = syscall(SYS_finit_module, file, argv[3], 0);
		err = errno;
		left = fail_left();
		if (ret) {
			failed++;
		} else {
			survived++;
			if (access("/dev/vfifo0", F_OK) ||
			    access("/sys/class/vfifo/vfifo1/stats/dropped", F_OK)) {
				printf("allocation %d: loaded in part\n", n);
				bad = true;
			}
			if (unload(argv[2])) {
				printf("allocation %d: can't be unloaded\n", n);
				bad = true;
			}
		}
		what = left_behind(argv[2]);
		if (what) {
			printf("allocation %d: %s is left\n", n, what);
			bad = true;
		}
		if (ret && (left || err != ENOMEM)) {
			printf("allocation %d: %s\n", n, strerror(err));
			bad = true;
		}
		if (left)
			break;
	}
	fail_restore();
	close(file);
	printf("%d loads failed, %d did without\n", failed, survived);
	return bad || failed < 100;
}
