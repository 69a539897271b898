// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers
/*
 * vfifo-cat: copies a vfifo to standard output, or standard input to a vfifo.
 *
 * With -m there is only one copy: write(2) takes the bytes from the mapped buffer, or
 * read(2) stores them to it.
 */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "vfifo_map.h"

/* The most bytes that one system call moves. */
#define CHUNK	(256 * 1024)

/* How often the rate is shown, in milliseconds. */
#define SHOW	1000

enum { FINE, FAILED, USAGE };

static const char *name = "vfifo-cat";
static const char *device = "/dev/vfifo0";
static bool rate;
static unsigned long long most = ULLONG_MAX, done;	/* bytes to copy, copied */

/* ---- signals ---- */

static int stop;	/* the signal that told us to stop */

/*
 * A signal interrupts a call that sleeps. One that arrives just before the call does
 * not, so an alarm sends another one a second later. A second ^C kills the program.
 */
static void on_signal(int sig)
{
	if (sig != SIGALRM)
		__atomic_store_n(&stop, sig, __ATOMIC_RELAXED);
	alarm(1);
}

static int stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void catch_signals(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	sigaction(SIGALRM, &action, NULL);
	action.sa_flags = SA_RESETHAND;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* ---- the rate ---- */

static long long begun, shown;
static unsigned long long done_shown;

static void show(long long from, long long to, unsigned long long bytes,
		 const char *what)
{
	double seconds = (to > from ? to - from : 1) / 1e3;

	fprintf(stderr, "%s: %llu bytes, %.1f MB/s%s\n", name, done,
		bytes / seconds / 1e6, what);
}

static void moved(size_t len)
{
	long long now;

	done += len;
	if (!rate)
		return;
	now = vfifo_map_now();
	if (now - shown < SHOW)
		return;
	show(shown, now, done - done_shown, "");
	shown = now;
	done_shown = done;
}

/* ---- copying: returns 0, or a negative error number after reporting it ---- */

static int complain(int err, const char *what)
{
	/* Being told to stop is not an error. */
	if (err != -EINTR || !stopped())
		fprintf(stderr, "%s: %s: %s\n", name, what, strerror(-err));
	return err;
}

static size_t chunk(size_t len)
{
	if (len > CHUNK)
		len = CHUNK;
	return len < most - done ? len : most - done;
}

/* read() and write() that return -errno. */
static ssize_t take(int fd, void *to, size_t len)
{
	ssize_t n = read(fd, to, len);

	return n < 0 ? -errno : n;
}

static ssize_t give(int fd, const void *from, size_t len)
{
	ssize_t n = write(fd, from, len);

	return n < 0 ? -errno : n;
}

static int mapped_in(int fd)
{
	struct vfifo_producer p;
	ssize_t n = 0;
	int err;

	err = vfifo_producer_open_fd(&p, fd);
	if (err)
		return complain(err, device);
	while (done < most && !stopped()) {
		err = vfifo_wait_room(&p, 1, -1);
		if (err) {
			complain(err, device);
			break;
		}
		n = vfifo_room(&p);
		if (n < 0) {
			err = complain(n, device);
			break;
		}
		n = take(STDIN_FILENO, vfifo_reserve(&p, n), chunk(n));
		if (n < 0)
			err = complain(n, "standard input");
		if (n <= 0)
			break;
		err = vfifo_commit(&p, n);
		if (err) {
			complain(err, device);
			break;
		}
		moved(n);
	}
	vfifo_producer_close(&p);
	return err;
}

static int mapped_out(int fd)
{
	struct vfifo_consumer c;
	const void *from;
	size_t len;
	ssize_t n;
	int err;

	err = vfifo_consumer_open_fd(&c, fd);
	if (err)
		return complain(err, device);
	while (done < most && !stopped()) {
		err = vfifo_wait_bytes(&c, 1, -1);
		/* The end of the stream, if the device's attribute "hangup" is 1. */
		if (err == -ENODATA) {
			err = 0;
			break;
		}
		if (err) {
			complain(err, device);
			break;
		}
		from = vfifo_peek(&c, &len);
		/* Bytes not written stay queued. */
		n = give(STDOUT_FILENO, from, chunk(len));
		if (n < 0) {
			err = complain(n, "standard output");
			break;
		}
		err = vfifo_release(&c, n);
		if (err) {
			complain(err, device);
			break;
		}
		moved(n);
	}
	vfifo_consumer_close(&c);
	return err;
}

static int plain(int in, const char *in_name, int out, const char *out_name)
{
	char *buf = malloc(CHUNK);
	ssize_t n, len, at;
	int err = 0;

	if (!buf)
		return complain(-ENOMEM, in_name);
	while (done < most && !stopped() && !err) {
		len = take(in, buf, chunk(CHUNK));
		if (len < 0)
			err = complain(len, in_name);
		if (len <= 0)
			break;
		/* Deliver all that was taken, even after a signal. */
		for (at = 0; at < len; at += n) {
			n = give(out, buf + at, len - at);
			if (n == -EINTR) {
				n = 0;
			} else if (n < 0) {
				err = complain(n, out_name);
				break;
			}
			moved(n);
		}
	}
	free(buf);
	return err;
}

/* ---- main ---- */

static void usage(FILE *to)
{
	fprintf(to,
		"Usage: %s [OPTION]... [DEVICE]\n"
		"Copy the vfifo DEVICE (default: /dev/vfifo0) to standard output.\n"
		"\n"
		"  -w, --write      copy standard input to DEVICE instead\n"
		"  -m, --mapped     map the device and use its buffer directly\n"
		"  -n, --bytes=N    stop after N bytes; the default is to stop at the\n"
		"                   end of standard input or of the stream; a\n"
		"                   device whose attribute hangup is 0 has no end\n"
		"  -r, --rate       show the rate every second and at the end\n"
		"  -h, --help       show this help\n"
		"\n"
		"The exit status is 0 if everything was copied, 1 after an error, and 2\n"
		"for a wrong argument. After SIGINT or SIGTERM, the program delivers the\n"
		"bytes that it has taken, and is then killed by that signal.\n",
		name);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "write", no_argument, NULL, 'w' },
		{ "mapped", no_argument, NULL, 'm' },
		{ "bytes", required_argument, NULL, 'n' },
		{ "rate", no_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ },
	};
	bool in = false, mapped = false;
	int opt, err, fd;
	char *end;

	while ((opt = getopt_long(argc, argv, "wmn:rh", options, NULL)) != -1) {
		switch (opt) {
		case 'w':
			in = true;
			break;
		case 'm':
			mapped = true;
			break;
		case 'n':
			errno = 0;
			most = strtoull(optarg, &end, 0);
			if (errno || end == optarg || *end || strchr(optarg, '-')) {
				fprintf(stderr, "%s: not a number: %s\n", name,
					optarg);
				return USAGE;
			}
			break;
		case 'r':
			rate = true;
			break;
		case 'h':
			usage(stdout);
			return FINE;
		default:
			usage(stderr);
			return USAGE;
		}
	}
	if (argc - optind > 1) {
		usage(stderr);
		return USAGE;
	}
	if (optind < argc)
		device = argv[optind];

	/* Claiming an end takes a file open for reading and writing. */
	fd = open(device, O_CLOEXEC | (mapped ? O_RDWR : in ? O_WRONLY :
							     O_RDONLY));
	if (fd < 0) {
		complain(-errno, device);
		return FAILED;
	}
	catch_signals();
	begun = vfifo_map_now();
	shown = begun;
	if (mapped)
		err = in ? mapped_in(fd) : mapped_out(fd);
	else if (in)
		err = plain(STDIN_FILENO, "standard input", fd, device);
	else
		err = plain(fd, device, STDOUT_FILENO, "standard output");
	close(fd);
	if (rate)
		show(begun, vfifo_map_now(), done, " in all");

	if (stopped()) {
		/* Let the shell know why. */
		signal(stopped(), SIG_DFL);
		raise(stopped());
	}
	return err ? FAILED : FINE;
}
