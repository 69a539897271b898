// SPDX-License-Identifier: GPL-2.0
/*
 * For module.sh: maps everything of a new device, closes the file, and keeps the mappings
 * until standard input ends. Prints "mapped" if they exist and contain only zeroes, or
 * what is wrong.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/vfifo.h>

/* Maps @len bytes at @offset, which must be zero; NULL after a message. */
static char *map_zero(int fd, int prot, size_t len, off_t offset)
{
	char *p = mmap(NULL, len, prot, MAP_SHARED, fd, offset);
	size_t i;

	if (p == MAP_FAILED) {
		perror("mmap");
		return NULL;
	}
	for (i = 0; i < len; i++) {
		if (p[i]) {
			puts("not zero");
			return NULL;
		}
	}
	return p;
}

int main(int argc, char **argv)
{
	struct vfifo_info info = { .size = sizeof(info) };
	long page = sysconf(_SC_PAGESIZE);
	char c, *p;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: %s device\n", argv[0]);
		return 2;
	}
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || ioctl(fd, VFIFO_GET_INFO, &info)) {
		perror(argv[1]);
		return 1;
	}
	p = map_zero(fd, PROT_READ | PROT_WRITE, info.capacity,
		     info.data_offset);
	if (!p || !map_zero(fd, PROT_READ, page, info.producer_offset) ||
	    !map_zero(fd, PROT_READ, page, info.consumer_offset))
		return 1;
	close(fd);
	p[0] = 1;
	puts("mapped");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return p[0] != 1;
}
