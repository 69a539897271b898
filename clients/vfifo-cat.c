// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers
/*
 * vfifo-cat: copies a vfifo to standard output, or standard input to a vfifo.
 *
 * With -m there is only one copy: write(2) takes the bytes from the mapped buffer, or
 * read(2) stores them to it. If the attribute "overwrite" is 1, there is a second copy: old
 * bytes must not be dropped before new ones have arrived, and bytes that were overwritten
 * meanwhile must not be delivered.
 *
 * If the attribute "framing" is "record", each read or write of the device is a record. The
 * output consists of their payloads, one after the other.
 */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "vfifo_copy.h"

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

/* What a function for the device has returned. The end of the stream is not an error. */
static int device_error(int err)
{
	return err == -ENODATA ? 0 : complain(err, device);
}

/* At most @len bytes, a chunk, and what is left to copy. */
static size_t chunk(size_t len)
{
	if (len > CHUNK)
		len = CHUNK;
	return len < most - done ? len : most - done;
}

static bool finished(void)
{
	return done >= most || stopped();
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

/* Takes from standard input. Reports an error. */
static ssize_t take_input(void *to, size_t len)
{
	ssize_t n = take(STDIN_FILENO, to, len);

	return n < 0 ? complain(n, "standard input") : n;
}

/* Delivers all of it to standard output, even after a signal. */
static int give_output(const char *from, size_t len)
{
	ssize_t n;
	size_t at;

	for (at = 0; at < len; at += n) {
		n = give(STDOUT_FILENO, from + at, len - at);
		if (n == -EINTR)
			n = 0;
		else if (n < 0)
			return complain(n, "standard output");
	}
	moved(len);
	return 0;
}

/* ---- from standard input to a mapped end ---- */

static int bytes_in(struct vfifo_producer *p)
{
	ssize_t n;
	int err;

	while (!finished()) {
		err = vfifo_producer_wait(p, 1, -1);
		if (err)
			return device_error(err);
		n = vfifo_producer_room(p);
		if (n < 0)
			return device_error(n);
		n = take_input(vfifo_producer_reserve(p, n), chunk(n));
		if (n <= 0)
			return n;
		err = vfifo_producer_commit(p, n);
		if (err)
			return device_error(err);
		moved(n);
	}
	return 0;
}

static int records_in(struct vfifo_producer *p)
{
	/* As much as poll(2) waits for. With less, there would be many small records. */
	size_t largest = vfifo_producer_largest_record(p);
	size_t least = largest < PIPE_BUF ? largest : PIPE_BUF;
	ssize_t n;
	int err;

	while (!finished()) {
		err = vfifo_producer_wait_record(p, least, -1);
		if (err)
			return device_error(err);
		n = vfifo_producer_record_room(p);
		if (n < 0)
			return device_error(n);
		n = chunk(n);
		n = take_input(vfifo_producer_reserve_record(p, n), n);
		if (n <= 0)
			return n;
		err = vfifo_producer_commit_record(p, n);
		if (err)
			return device_error(err);
		moved(n);
	}
	return 0;
}

static int overwriting_in(struct vfifo_producer *p)
{
	bool records = vfifo_producer_kind(p) & VFIFO_RECORDS;
	size_t largest = records ? vfifo_producer_largest_record(p) :
				   vfifo_producer_capacity(p);
	char *buf = malloc(CHUNK);
	ssize_t n = 0;
	int err = 0;

	if (!buf)
		return complain(-ENOMEM, "standard input");
	while (!finished()) {
		n = take_input(buf, chunk(largest));
		if (n <= 0)
			break;
		/* This producer never waits, so it has to ask. */
		err = vfifo_producer_check_readers(p);
		if (!err && records)
			err = vfifo_producer_put_record(p, buf, n, -1);
		else if (!err)
			err = vfifo_producer_put(p, buf, n, -1);
		if (err) {
			device_error(err);
			break;
		}
		moved(n);
	}
	free(buf);
	return n < 0 ? n : err;
}

static int mapped_in(int fd)
{
	struct vfifo_producer p;
	int err;

	err = vfifo_producer_open_fd(&p, fd);
	if (err)
		return complain(err, device);
	switch (vfifo_producer_kind(&p)) {
	case 0:
		err = bytes_in(&p);
		break;
	case VFIFO_RECORDS:
		err = records_in(&p);
		break;
	default:
		err = overwriting_in(&p);
	}
	vfifo_producer_close(&p);
	return err;
}

/* ---- from a mapped end to standard output ---- */

static int bytes_out(struct vfifo_consumer *c)
{
	const void *from;
	size_t len;
	ssize_t n;
	int err;

	while (!finished()) {
		err = vfifo_consumer_wait(c, 1, -1);
		if (err)
			return device_error(err);
		from = vfifo_consumer_peek(c, &len);
		/* Bytes not written stay queued. */
		n = give(STDOUT_FILENO, from, chunk(len));
		if (n < 0)
			return complain(n, "standard output");
		err = vfifo_consumer_release(c, n);
		if (err)
			return device_error(err);
		moved(n);
	}
	return 0;
}

static int records_out(struct vfifo_consumer *c)
{
	struct vfifo_view r;
	int err;

	while (!finished()) {
		err = vfifo_consumer_wait_record(c, -1);
		if (!err)
			err = vfifo_consumer_next_record(c, &r);
		if (err)
			return device_error(err);
		/* A record is not divided. It stays queued. */
		if (r.len > most - done)
			break;
		err = give_output(r.data, r.len);
		if (err)
			return err;
		err = vfifo_consumer_release_record(c, &r);
		if (err)
			return device_error(err);
	}
	return 0;
}

static int overwriting_out(struct vfifo_consumer *c)
{
	bool records = vfifo_consumer_kind(c) & VFIFO_RECORDS;
	size_t size = records ? vfifo_consumer_largest_record(c) : CHUNK;
	char *buf = malloc(size);
	size_t want;
	ssize_t n;
	int err = 0;

	if (!buf)
		return complain(-ENOMEM, device);
	while (!finished() && !err) {
		want = size < most - done ? size : most - done;
		n = records ? vfifo_consumer_take_record(c, buf, want, -1) :
			      vfifo_consumer_take(c, buf, want, -1);
		/* It was overwritten during each attempt. */
		if (n == -ESTALE)
			continue;
		/* The record is larger than what is left to copy. It stays queued. */
		if (n == -EMSGSIZE)
			break;
		if (n < 0) {
			err = device_error(n);
			break;
		}
		err = give_output(buf, n);
	}
	free(buf);
	return err;
}

static int mapped_out(int fd)
{
	struct vfifo_consumer c;
	int err;

	err = vfifo_consumer_open_fd(&c, fd);
	if (err)
		return complain(err, device);
	switch (vfifo_consumer_kind(&c)) {
	case 0:
		err = bytes_out(&c);
		break;
	case VFIFO_RECORDS:
		err = records_out(&c);
		break;
	default:
		err = overwriting_out(&c);
	}
	vfifo_consumer_close(&c);
	return err;
}

/* ---- by system calls ---- */

/* The size of any record that the device @fd can have, or 0 if it is not a vfifo. */
static size_t largest_record(int fd)
{
	struct vfifo_info info;

	if (vfifo_map_info(fd, &info) || info.capacity > SSIZE_MAX)
		return 0;
	return info.capacity - sizeof(struct vfifo_record);
}

static int plain(int in, const char *in_name, int out, const char *out_name)
{
	size_t size = CHUNK, piece = SIZE_MAX, want, larger;
	char *buf = malloc(size), *more;
	ssize_t n, len, at;
	int err = 0;

	if (!buf)
		return complain(-ENOMEM, in_name);
	while (!finished() && !err) {
		want = size < most - done ? size : most - done;
		len = take(in, buf, want);
		if (len == -EMSGSIZE) {
			larger = largest_record(in);
			/* The next record is larger than what is left to copy. */
			if (larger && want < size)
				break;
			more = larger > size ? realloc(buf, larger) : NULL;
			if (more) {
				buf = more;
				size = larger;
				continue;
			}
		}
		if (len < 0)
			err = complain(len, in_name);
		if (len <= 0)
			break;
		/* Deliver all that was taken, even after a signal. */
		for (at = 0; at < len; at += n) {
			want = len - at;
			if (want > piece)
				want = piece;
			n = give(out, buf + at, want);
			if (n == -EMSGSIZE) {
				/* Larger than any record can be. */
				larger = largest_record(out);
				if (larger && larger < want) {
					piece = larger;
					n = 0;
					continue;
				}
			}
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
		"                   device whose attribute hangup is 0 has no end;\n"
		"                   a record that goes beyond N bytes stays queued\n"
		"  -r, --rate       show the rate every second and at the end\n"
		"  -h, --help       show this help\n"
		"\n"
		"If the attribute framing of DEVICE is record, each read from standard\n"
		"input becomes a record, or several if it is too long for one.\n"
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
