// SPDX-License-Identifier: GPL-2.0
/* bench FILE|- BLOCK MILLISECONDS: MB/s between two processes, "-" for a pipe. */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	double from, seconds, limit;
	size_t size, total = 0;
	char *block;
	int ends[2];
	pid_t child;

	if (argc != 4)
		errx(2, "usage: bench FILE|- BLOCK MILLISECONDS");
	size = strtoul(argv[2], NULL, 0);
	limit = strtoul(argv[3], NULL, 0) / 1e3;
	block = calloc(1, size);
	if (!size || limit <= 0 || !block)
		errx(2, "a block and a number of milliseconds, please");

	if (!strcmp(argv[1], "-")) {
		if (pipe(ends))
			err(1, "pipe");
	} else {
		ends[0] = open(argv[1], O_RDONLY);
		ends[1] = open(argv[1], O_WRONLY);
		if (ends[0] < 0 || ends[1] < 0)
			err(1, "%s", argv[1]);
	}

	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child)
		for (;;)
			if (write(ends[1], block, size) <= 0)
				err(1, "write");
	/* The clock starts with the first block, so that fork() is not measured. */
	if (read(ends[0], block, size) <= 0)
		err(1, "read");
	from = now();
	do {
		ssize_t n = read(ends[0], block, size);

		if (n <= 0)
			err(1, "read");
		total += n;
		seconds = now() - from;
	} while (seconds < limit);
	kill(child, SIGKILL);
	if (waitpid(child, NULL, 0) != child)
		err(1, "waitpid");
	printf("%.1f\n", total / seconds / 1e6);
	return 0;
}
