// SPDX-License-Identifier: GPL-2.0
/*
 * Uses four devices in every possible way, and then ends the system as its argument says:
 * reboot, poweroff, kill (all processes, then power off) or panic. The caller watches
 * from outside that the system really ends.
 *
 * vfifo0: both ends mapped, bytes moving at full speed
 * vfifo1: readers and pollers asleep, one with O_ASYNC
 * vfifo2: full, writers asleep
 * vfifo3: generating every millisecond, and full
 */
#include <poll.h>
#include <sys/reboot.h>

#include "vfifo_test.h"

static int device(int number)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfifo%d", number);
	fd = open(path, O_RDWR);
	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static void attribute(int number, const char *name, const char *text)
{
	char path[64];
	int ret;

	snprintf(path, sizeof(path), VFIFO_CLASS "/vfifo%d/%s", number, name);
	ret = file_store(path, text);
	if (ret) {
		fprintf(stderr, "%s: %s\n", path, strerror(-ret));
		exit(1);
	}
}

static struct vfifo_end *page_of(int fd, __u64 offset, int prot)
{
	struct vfifo_end *end = map_page(fd, offset, prot);

	if (!end) {
		perror("mmap");
		exit(1);
	}
	return end;
}

/* One end of vfifo0, until the process is killed. */
static void mapped_end(bool producer)
{
	struct vfifo_info info = { .size = sizeof(info) };
	int fd = device(0);
	struct pollfd pfd = { fd, producer ? POLLOUT : POLLIN, 0 };
	struct vfifo_end *own, *peer;
	__u64 at, n;
	char *data;

	if (ioctl(fd, VFIFO_GET_INFO, &info))
		exit(1);
	own = page_of(fd, producer ? info.producer_offset :
				     info.consumer_offset,
		      PROT_READ | PROT_WRITE);
	peer = page_of(fd, producer ? info.consumer_offset :
				      info.producer_offset, PROT_READ);
	data = mmap(NULL, 2 * info.capacity, PROT_READ | PROT_WRITE, MAP_SHARED,
		    fd, 0);
	if (data == MAP_FAILED)
		exit(1);
	at = own->position;
	for (;;) {
		n = load(peer);
		n = producer ? info.capacity - (at - n) : n - at;
		if (n < (producer ? PIPE_BUF : 1)) {
			/* poll(2) sets the flag that this end waits. */
			poll(&pfd, 1, -1);
			continue;
		}
		memset(data + at % info.capacity, at, producer ? n : 0);
		at += n;
		store(own, at);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (__atomic_load_n(&peer->waiting, __ATOMIC_RELAXED))
			ioctl(fd, VFIFO_NOTIFY);
	}
}

static void reads(void)
{
	char buf[10];

	if (read(device(1), buf, sizeof(buf)) < 0)
		exit(1);
}

static void polls(void)
{
	struct pollfd pfd = { device(1), POLLIN, 0 };

	fcntl(pfd.fd, F_SETOWN, getpid());
	fcntl(pfd.fd, F_SETFL, O_ASYNC);
	poll(&pfd, 1, -1);
}

static void write_bytes(size_t len)
{
	static char buf[100000];

	if (write(device(2), buf, len) < 0)
		exit(1);
}

static void writes(void)
{
	write_bytes(10);
}

static void writes_a_lot(void)
{
	write_bytes(100000);
}

static void fill(int number)
{
	static char buf[PIPE_BUF];
	int fd = device(number);

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
}

/* The number of bytes that have passed through vfifo0. */
static long moved(void)
{
	return strtol(path_text(VFIFO_CLASS "/vfifo0/stats/bytes_read"), NULL, 10);
}

int main(int argc, char **argv)
{
	void (*const sleepers[])(void) = {
		reads, reads, reads, polls, writes, writes, writes_a_lot,
	};
	pid_t pid[ARRAY_SIZE(sleepers)];
	size_t i;

	if (argc != 2) {
		fprintf(stderr, "usage: %s reboot|poweroff|kill|panic\n",
			argv[0]);
		return 2;
	}
	fill(2);
	fill(3);
	attribute(3, "period_ms", "1");
	attribute(3, "mode", "1");
	for (i = 0; i < ARRAY_SIZE(sleepers); i++) {
		pid[i] = fork();
		if (!pid[i]) {
			sleepers[i]();
			exit(1);
		}
	}
	if (!fork())
		mapped_end(true);
	if (!fork())
		mapped_end(false);
	for (i = 0; i < ARRAY_SIZE(sleepers); i++) {
		if (!child_sleeps(pid[i])) {
			fprintf(stderr, "process %zu does not sleep\n", i);
			return 1;
		}
	}
	if (!eventually(moved() > 10000000)) {
		fprintf(stderr, "nothing moves\n");
		return 1;
	}
	puts("occupied");
	fflush(stdout);
	if (!strcmp(argv[1], "kill"))
		kill(-1, SIGKILL);
	if (!strcmp(argv[1], "reboot"))
		reboot(RB_AUTOBOOT);
	else if (strcmp(argv[1], "panic"))
		reboot(RB_POWER_OFF);
	i = open("/proc/sysrq-trigger", O_WRONLY);
	if (write(i, "c", 1) != 1)
		perror("sysrq");
	return 1;
}
