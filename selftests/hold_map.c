// SPDX-License-Identifier: GPL-2.0
/*
 * For module.sh: maps a freshly loaded device, closes it, and keeps the mapping
 * until standard input ends. Says "mapped" when the mapping is there, or what is
 * wrong.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	long page = sysconf(_SC_PAGESIZE), i;
	char c, *p;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: %s device\n", argv[0]);
		return 2;
	}
	fd = open(argv[1], O_RDWR);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	close(fd);
	for (i = 0; i < page; i++) {
		if (p[i]) {
			puts("not zero");
			return 1;
		}
	}
	p[0] = 1;
	puts("mapped");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return p[0] != 1;
}
