/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading and writing small files: attributes, and the files of proc, debugfs and
 * tracefs.
 */
#ifndef VFIFO_FILES_H
#define VFIFO_FILES_H

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "vfifo_util.h"

/* Writes @text with one write: 0, or the negative error number. */
static inline int file_write(const char *path, int flags, const char *text)
{
	ssize_t len = strlen(text), ret;
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags);

	if (fd < 0)
		return -errno;
	ret = res(write(fd, text, len));
	close(fd);
	if (ret < 0)
		return ret;
	return ret == len ? 0 : -EIO;
}

static inline int file_store(const char *path, const char *text)
{
	return file_write(path, 0, text);
}

/* The same, for the file @name in @dir. */
static inline int file_put(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return file_store(path, text);
}

/* What one read of the file returns; "" if it cannot be read. */
static inline const char *file_text(const char *dir, const char *name)
{
	static char text[4096];
	char path[PATH_MAX];
	ssize_t len = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[len < 0 ? 0 : len] = '\0';
	return text;
}

/* A whole file of any size, to be freed; NULL if it cannot be read. */
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

/* The first 64 KiB of a file, until the next call; "" if it cannot be read. */
static inline const char *path_text(const char *path)
{
	static char text[65536];
	size_t done = 0;
	ssize_t len;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		while ((len = read(fd, text + done,
				   sizeof(text) - 1 - done)) > 0)
			done += len;
		close(fd);
	}
	text[done] = '\0';
	return text;
}

/* The number after @name in a file of names and numbers; -1 if there is none. */
static inline long file_number(const char *path, const char *name)
{
	const char *line = path_text(path);
	size_t len = strlen(name);

	for (; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && !isalnum(line[len]) &&
		    line[len] != '_')
			return strtol(line + len + strspn(line + len, ": \t"),
				      NULL, 10);
	}
	return -1;
}

/* A file in memory with these contents, for reading from its beginning; or -1. */
static inline int memory_file(const char *buf, long len)
{
	int fd = memfd_create("vfifo", MFD_CLOEXEC);

	if (fd >= 0 && (write(fd, buf, len) != len || lseek(fd, 0, SEEK_SET))) {
		close(fd);
		return -1;
	}
	return fd;
}

#endif /* VFIFO_FILES_H */
