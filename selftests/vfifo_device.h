/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device under test: its node, its attributes, its bytes, and its mapped ends.
 */
#ifndef VFIFO_DEVICE_H
#define VFIFO_DEVICE_H

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <linux/vfifo.h>

#include "vfifo_files.h"

#define VFIFO_CLASS	"/sys/class/vfifo"

static inline const char *vfifo_name(void)
{
	const char *name = getenv("VFIFO_NAME");

	return name ? name : "vfifo0";
}

/* The node of the device @name: /dev/vfifoN, or /dev/vfifo/NAME for all other names. */
static inline void node_path(char *path, size_t size, const char *name)
{
	bool numbered = !strncmp(name, "vfifo", 5) && name[5] &&
			!name[5 + strspn(name + 5, "0123456789")];

	snprintf(path, size, "/dev/%s%s", numbered ? "" : "vfifo/", name);
}

static inline const char *vfifo_path(void)
{
	static char path[PATH_MAX];

	node_path(path, sizeof(path), vfifo_name());
	return path;
}

static inline int vfifo_open(int flags)
{
	return open(vfifo_path(), flags | O_CLOEXEC);
}

/* ---- attributes ---- */

static inline const char *attr_dir(void)
{
	static char dir[PATH_MAX / 2];

	snprintf(dir, sizeof(dir), VFIFO_CLASS "/%s", vfifo_name());
	return dir;
}

/* Every attribute of a device, those of the driver core first. */
static const struct {
	const char *name;
	mode_t mode;
} vfifo_attrs[] = {
	{ "dev", 0444 },
	{ "uevent", 0644 },
#define OWN_ATTRS	2	/* index of the driver's first */
	{ "framing", 0644 },
#define NUMBER_ATTRS	3	/* index of the first that is a number */
	{ "size", 0444 },
	{ "capacity", 0644 },
	{ "mode", 0644 },
	{ "period_ms", 0644 },
	{ "hangup", 0644 },
	{ "overwrite", 0644 },
	{ "producer_claimed", 0444 },
	{ "consumer_claimed", 0444 },
	{ "stats/bytes_written", 0444 },
	{ "stats/bytes_read", 0444 },
	{ "stats/bytes_cleared", 0444 },
	{ "stats/bytes_overwritten", 0444 },
	{ "stats/records_written", 0444 },
	{ "stats/records_read", 0444 },
	{ "stats/dropped", 0444 },
	{ "stats/reader_sleeps", 0444 },
	{ "stats/writer_sleeps", 0444 },
	{ "stats/notifies", 0444 },
	{ "stats/hangups", 0444 },
	{ "stats/position_errors", 0444 },
};

static inline void attr_path(char *path, size_t size, const char *attr)
{
	snprintf(path, size, "%s/%s", attr_dir(), attr);
}

static inline int attr_open(const char *attr, int flags)
{
	char path[PATH_MAX];

	attr_path(path, sizeof(path), attr);
	return open(path, flags | O_CLOEXEC);
}

/* The text of an attribute; "" if it cannot be read. */
static inline const char *attr_text(const char *attr)
{
	return file_text(attr_dir(), attr);
}

/*
 * An attribute that is one number and a newline; -1 if it is anything else. A
 * position that a test has moved past 2^63 is negative.
 */
static inline long attr_get(const char *attr)
{
	const char *text = attr_text(attr);
	char *end;
	long val;

	if (!isdigit((unsigned char)*text))
		return -1;
	errno = 0;
	val = strtoull(text, &end, 10);
	return errno || strcmp(end, "\n") ? -1 : val;
}

/* Stores @text with one write: 0, or the negative error number. */
static inline int attr_store(const char *attr, const char *text)
{
	return file_put(attr_dir(), attr, text);
}

static inline int attr_set(const char *attr, long val)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld\n", val);
	return attr_store(attr, text);
}

/* ---- a device in a known state ---- */

struct vfifo {
	int fd;			/* for reading and writing, O_NONBLOCK */
	long page;
	long capacity;
};

/* The period that every test starts with, in milliseconds. */
#define VFIFO_PERIOD	1000

/*
 * Turns generation off and drops what is queued: 0, or the negative error number.
 * A process that claimed an end may have died only a moment ago.
 */
static inline int vfifo_empty(int fd)
{
	int ret = attr_store("mode", "0");

	if (!ret)
		eventually((ret = res(ioctl(fd, VFIFO_CLEAR))) != -EBUSY);
	return ret;
}

/* Works whatever state an earlier test has left. */
static inline int vfifo_setup(struct vfifo *dev)
{
	int ret;

	dev->fd = vfifo_open(O_RDWR | O_NONBLOCK);
	if (dev->fd < 0)
		return -errno;
	ret = attr_set("hangup", 0);
	if (ret)
		return ret;
	dev->page = sysconf(_SC_PAGESIZE);
	dev->capacity = 16 * dev->page;
	ret = vfifo_empty(dev->fd);
	/* EBUSY while a mapping of an earlier test is being removed. */
	if (!ret)
		eventually((ret = attr_set("overwrite", 0)) != -EBUSY);
	if (!ret)
		eventually((ret = attr_store("framing", "stream")) != -EBUSY);
	if (!ret)
		ret = attr_set("period_ms", VFIFO_PERIOD);
	if (!ret && attr_get("capacity") != dev->capacity)
		eventually((ret = attr_set("capacity", dev->capacity)) !=
			   -EBUSY);
	return ret;
}

static inline void vfifo_teardown(struct vfifo *dev)
{
	attr_store("mode", "0");
	ioctl(dev->fd, VFIFO_CLEAR);
	close(dev->fd);
}

/* ---- bytes ---- */

/* The number of bytes that a read would find, or -errno. */
static inline long queued(int fd)
{
	int n = -1;

	return ioctl(fd, FIONREAD, &n) ? -errno : n;
}

/* Queues @len bytes of the stream, from @pos on: true if all went in. */
static inline bool put(struct vfifo *dev, long len, __u64 pos)
{
	char *buf = malloc(len);
	long done = 0, n;

	/* PIPE_BUF at most, so that every write is all or nothing. */
	stream_fill(buf, len, pos);
	while (done < len) {
		n = len - done < PIPE_BUF ? len - done : PIPE_BUF;
		if (write(dev->fd, buf + done, n) != n)
			break;
		done += n;
	}
	free(buf);
	return done == len;
}

/* Takes @len bytes: true if they are those of the stream from @pos on. */
static inline bool get(struct vfifo *dev, long len, __u64 pos)
{
	char *buf = malloc(len);
	long done = 0, n;
	bool same;

	while (done < len) {
		n = read(dev->fd, buf + done, len - done);
		if (n <= 0)
			break;
		done += n;
	}
	same = done == len && stream_equal(buf, len, pos);
	free(buf);
	return same;
}

/* ---- mapped ends ---- */

/* The page of an end at @offset, or NULL with errno. */
static inline struct vfifo_end *map_page(int fd, __u64 offset, int prot)
{
	void *p = mmap(NULL, sysconf(_SC_PAGESIZE), prot, MAP_SHARED, fd,
		       offset);

	return p == MAP_FAILED ? NULL : p;
}

/* Claims the producer's end, or the consumer's: its page, or NULL with errno. */
static inline struct vfifo_end *claim_end(struct vfifo *dev, bool producer)
{
	struct vfifo_info info = { .size = sizeof(info) };

	if (ioctl(dev->fd, VFIFO_GET_INFO, &info))
		return NULL;
	return map_page(dev->fd,
			producer ? info.producer_offset : info.consumer_offset,
			PROT_READ | PROT_WRITE);
}

static inline __u64 load(struct vfifo_end *end)
{
	return __atomic_load_n(&end->position, __ATOMIC_ACQUIRE);
}

static inline void store(struct vfifo_end *end, __u64 position)
{
	__atomic_store_n(&end->position, position, __ATOMIC_RELEASE);
}

/*
 * Bytes that the counters do not account for: 0 if nothing is claimed, and nobody reads
 * or writes now. Earlier tests in the same boot may have left any counts, and may have
 * moved the positions past 2^63.
 */
static inline long bytes_missing(void)
{
	__u64 gone = (__u64)attr_get("stats/bytes_read") +
		     attr_get("stats/bytes_cleared") +
		     attr_get("stats/bytes_overwritten");

	return attr_get("stats/bytes_written") - gone - attr_get("size");
}

/* ---- what else is known of an open file ---- */

/* The fdinfo of a descriptor of this process. */
static inline const char *fdinfo_text(int fd)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", fd);
	return file_text("/proc/self/fdinfo", name);
}

/* An epoll that watches @fd for @events. */
static inline int epoll_for(int fd, __u32 events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event)) {
		close(ep);
		return -1;
	}
	return ep;
}

#endif /* VFIFO_DEVICE_H */
