// SPDX-License-Identifier: GPL-2.0
/*
 * pipe(7) as the oracle: one random script of operations runs on a pipe and on a vfifo
 * of the same capacity, both non-blocking. After each operation its result, errno, the
 * bytes, FIONREAD and the poll bits are compared.
 *
 * They must be equal except for the differences listed here. When a difference has left
 * the two with different bytes, the test makes them equal again before it goes on.
 *
 * ROOM		A pipe counts pages, a vfifo bytes. In a pipe, a partly used page is room
 *		that cannot be used. So the pipe may take fewer bytes, return EAGAIN, not
 *		report POLLOUT, or refuse a smaller capacity with EBUSY. This is allowed
 *		only in this direction, only if the pipe itself says that it is full (no
 *		POLLOUT), and never while only whole pages have been moved since it was
 *		empty. The vfifo's result then depends on the number of queued bytes only.
 *		Equal again: the pipe gets the rest as soon as reads from both have made
 *		room; a capacity is set back.
 * FAULT	If user memory faults during a call, a pipe does not count the page that it
 *		was copying, a vfifo counts each byte that was copied. So the pipe may move
 *		fewer bytes, or return EFAULT. A vfifo may stop short of the first bad byte
 *		by less than what a processor copies at once.
 *		Equal again: the rest is read from the pipe and compared, or written to it.
 * PACKET	F_SETFL with O_DIRECT turns a pipe into a pipe of packets. A vfifo returns
 *		EINVAL and keeps its flags.
 * SIZE		F_GETPIPE_SZ and F_SETPIPE_SZ are for pipes. A vfifo returns EBADF; it has
 *		the attribute "capacity".
 * LARGEFILE	open(2) adds O_LARGEFILE to the flags, pipe2(2) does not.
 *
 * With the attribute "hangup" 0, both ends stay open, since end of file and SIGPIPE differ
 * as well. With 1 they do not: there both ends are closed and opened at random, and the pipe
 * is a named FIFO, with these differences:
 *
 * OPEN		A named FIFO refuses a writer if there is no reader (ENXIO), so the script does
 *		not open one then.
 * FIRST	A reader of a vfifo that never had a writer gets EAGAIN, that of a named FIFO
 *		the end of the file. poll(2) reports the same for both, except that a byte that
 *		was read is a writer for a vfifo only.
 * KEPT		When the last file is closed, a named FIFO loses its bytes, so the script closes
 *		it only if there are none.
 */
#include "oracle_calls.h"
#include "oracle_ends.h"

/* ---- transfers ---- */

/* A transfer: the call and its memory, of which the first @good bytes are accessible. */
struct transfer {
	long len;
	long good;
	bool vector;
	bool nowait;		/* RWF_NOWAIT instead of O_NONBLOCK */
	int segments;
	long seg[MAX_SEGMENTS];
};

static long pick_len(struct duel *d)
{
	static const int edges[] = { -2, -1, 0, 1, 2 };
	int edge = edges[pick(d, 5)];
	long len;

	if (d->mood.exact)
		return d->page * (1 + pick(d, 4));
	switch (d->mood.sizes ? d->mood.sizes : (int)pick(d, 8)) {
	case 1:
		len = pick(d, 16);
		break;
	case 2:
		len = PIPE_BUF + edge;
		break;
	case 3:
		len = d->cap - d->count + edge;		/* what fits */
		break;
	case 4:
		len = d->count + edge;			/* what is there */
		break;
	case 5:
		len = pick(d, at_most(d->cap, 64 << 10) * 5 / 4);
		break;
	case 6:
		len = d->page * (1 + pick(d, 3)) + edge;
		break;
	case 7:
		len = d->cap + edge;
		break;
	default:
		len = pick(d, 600);
	}
	/* Very large ones find no more and take long. */
	if (len > (128 << 10) && pick(d, 16))
		len = pick(d, 5000);
	return len < 0 ? 0 : at_most(len, d->in_len);
}

static void pick_transfer(struct duel *d, struct transfer *t)
{
	long left;
	int i;

	t->len = pick_len(d);
	t->good = t->len;
	t->vector = pick(d, 4) == 0;
	/* Named FIFOs do not support it. */
	t->nowait = pick(d, 16) == 0 && !d->hangup;
	if (!d->mood.exact && pick(d, 12) == 0) {
		/* At the first byte, near the start or the end, or anywhere. */
		switch (pick(d, 4)) {
		case 0:
			t->good = 0;
			break;
		case 1:
			t->good = at_most(t->len, pick(d, 4));
			break;
		case 2:
			t->good = t->len - at_most(t->len, 1 + pick(d, 4));
			break;
		default:
			t->good = t->len ? pick(d, t->len) : 0;
		}
		/* More than there is, and more than the kernel allows. */
		if (t->good > PIPE_BUF && pick(d, 8) == 0)
			t->len = HUGE_COUNT;
	}
	if (!t->vector && !t->nowait) {
		t->segments = 1;
		t->seg[0] = t->len;
		return;
	}
	t->segments = 1 + pick(d, MAX_SEGMENTS);
	for (left = t->len, i = 0; i < t->segments - 1; i++) {
		t->seg[i] = pick(d, 3) && left ? pick(d, left) : 0;
		left -= t->seg[i];
	}
	t->seg[i] = left;
}

/* The segments of a transfer, whose good bytes end at @end. */
static void make_iov(const struct transfer *t, char *end, struct iovec *iov)
{
	char *p = end - t->good;
	int i;

	for (i = 0; i < t->segments; i++) {
		iov[i].iov_base = p;
		iov[i].iov_len = t->seg[i];
		p += t->seg[i];
	}
}

static long transfer(const struct transfer *t, int fd, bool out, char *end)
{
	struct iovec iov[MAX_SEGMENTS];
	int flags = 0;
	long ret;

	make_iov(t, end, iov);
	if (t->nowait) {
		flags = fcntl(fd, F_GETFL);
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
		ret = res(out ? pwritev2(fd, iov, t->segments, -1, RWF_NOWAIT) :
				preadv2(fd, iov, t->segments, -1, RWF_NOWAIT));
		fcntl(fd, F_SETFL, flags);
		return ret;
	}
	if (t->vector)
		return res(out ? writev(fd, iov, t->segments) :
				 readv(fd, iov, t->segments));
	return res(out ? write(fd, iov[0].iov_base, iov[0].iov_len) :
			 read(fd, iov[0].iov_base, iov[0].iov_len));
}

/* Whether @ret is valid for a vfifo if only @good bytes are accessible. */
static bool fault_is_right(long ret, long good)
{
	long gap = good - moved(ret);

	return (ret > 0 || ret == -EFAULT) && gap >= 0 && gap < AT_ONCE;
}

static void describe(struct duel *d, const char *name, const struct transfer *t)
{
	snprintf(d->what, sizeof(d->what),
		 "%s%s of %ld bytes (%ld of them good) in %d segments, %ld of %ld queued",
		 name, t->nowait ? " (RWF_NOWAIT)" : "", t->len, t->good,
		 t->segments, d->count, d->cap);
	d->met[MET_VECTOR] += t->vector;
	d->met[MET_NOWAIT] += t->nowait;
}

static bool do_write(struct duel *d)
{
	long room = d->cap - d->count, want, got[2], ret[2];
	struct transfer t;
	char *end;
	int i;

	pick_transfer(d, &t);
	describe(d, "write", &t);
	d->met[MET_WRITE]++;

	/* Anywhere in the pool, or right before the bad page. */
	end = d->pool_end;
	if (t.good == t.len)
		end -= pick(d, d->pool_len - t.len + 1);
	for (i = 0; i < 2; i++) {
		ret[i] = transfer(&t, d->w[i], true, end);
		got[i] = moved(ret[i]);
		if (took(SIGPIPE) != (t.len && !readers(d)) || took(SIGPIPE))
			return WRONG(d, "%s: %ld, and the signal",
				     i ? "vfifo" : "pipe", ret[i]);
	}

	if (t.len && !readers(d)) {
		d->met[MET_EPIPE]++;
		return (ret[PIPE] == -EPIPE && ret[FIFO] == -EPIPE) ||
		       WRONG(d, "pipe %ld, vfifo %ld; no reader", ret[PIPE],
			     ret[FIFO]);
	}
	if (!t.len)
		want = 0;
	else if (t.len <= PIPE_BUF)
		want = t.len <= room ? t.len : -EAGAIN;
	else
		want = room ? at_most(t.len, room) : -EAGAIN;
	d->met[MET_WRITE_FULL] += want == -EAGAIN;
	d->met[MET_WRITE_PART] += want > 0 && want < t.len;

	if (want > t.good) {
		d->met[MET_WRITE_FAULT]++;
		if (!fault_is_right(ret[FIFO], t.good) || got[PIPE] > got[FIFO])
			goto wrong;
		if (ret[PIPE] == -EAGAIN && !d->mood.exact && pipe_is_full(d))
			d->met[MET_ROOM]++;
		else if (ret[PIPE] <= 0 && ret[PIPE] != -EFAULT)
			goto wrong;
		d->met[MET_FAULT] += ret[PIPE] != ret[FIFO];
	} else {
		if (ret[FIFO] != want)
			goto wrong;
		if (ret[PIPE] != want) {
			if (d->mood.exact || got[PIPE] >= got[FIFO] ||
			    (ret[PIPE] <= 0 && ret[PIPE] != -EAGAIN) ||
			    (t.len <= PIPE_BUF && ret[PIPE] != -EAGAIN) ||
			    !pipe_is_full(d))
				goto wrong;
			d->met[MET_ROOM]++;
		}
	}

	d->count += got[FIFO];
	return pipe_gets(d, end - t.good + got[PIPE], got[FIFO] - got[PIPE]);
wrong:
	return WRONG(d, "pipe %ld, vfifo %ld; bytes count for %ld", ret[PIPE],
		     ret[FIFO], want);
}

static bool do_read(struct duel *d)
{
	long want, got[2], ret[2], after;
	struct transfer t;
	int i;

	pick_transfer(d, &t);
	describe(d, "read", &t);
	d->met[MET_READ]++;

	want = at_most(t.len, d->count);
	if (t.len && !d->count) {
		want = at_end(d) ? 0 : -EAGAIN;
		d->met[MET_READ_EMPTY] += !at_end(d);
		d->met[MET_END] += at_end(d);
	}
	d->met[MET_END_QUEUED] += d->count && at_end(d);
	after = moved(want);
	for (i = 0; i < 2; i++) {
		/* The first byte that must not be stored to. */
		if (after < t.good)
			d->in_end[i][after - t.good] = 0x5a;
		ret[i] = transfer(&t, d->r[i], false, d->in_end[i]);
		got[i] = moved(ret[i]);
	}

	if (want > t.good) {
		d->met[MET_READ_FAULT]++;
		if (!fault_is_right(ret[FIFO], t.good) ||
		    got[PIPE] > got[FIFO] ||
		    (ret[PIPE] <= 0 && ret[PIPE] != -EFAULT))
			goto wrong;
		d->met[MET_FAULT] += ret[PIPE] != ret[FIFO];
	} else if (want == -EAGAIN && !writers(d)) {
		if (ret[FIFO] != want || ret[PIPE])
			goto wrong;
		d->met[MET_FIRST]++;
	} else if (ret[FIFO] != want || ret[PIPE] != want) {
		goto wrong;
	}
	for (i = 0; i < 2; i++) {
		if (after < t.good && d->in_end[i][after - t.good] != 0x5a)
			return WRONG(d, "%s: a byte too many was stored",
				     i ? "vfifo" : "pipe");
	}
	if (memcmp(d->in_end[PIPE] - t.good, d->in_end[FIFO] - t.good,
		   got[PIPE]))
		return WRONG(d, "different bytes");

	d->count -= got[FIFO];
	d->has_read = d->has_read || got[FIFO];
	return pipe_gives(d, d->in_end[FIFO] - t.good + got[PIPE],
			  got[FIFO] - got[PIPE]);
wrong:
	return WRONG(d, "pipe %ld, vfifo %ld; bytes count for %ld", ret[PIPE],
		     ret[FIFO], want);
}

/* ---- the script ---- */

static bool new_mood(struct duel *d)
{
	static const int writes[] = { 1, 3, 4, 5, 7 };

	d->mood.writes = writes[pick(d, ARRAY_SIZE(writes))];
	d->mood.sizes = pick(d, 3) ? 0 : pick(d, 8);
	d->mood.exact = pick(d, 4) == 0;
	/* Pages that are partly used would not be exact. */
	snprintf(d->what, sizeof(d->what), "taking all of %ld", d->count);
	if (!d->mood.exact)
		return true;
	if (readers(d) || !d->count)
		return drain(d);
	return do_open_all(d) && drain(d);
}

static bool operation(struct duel *d)
{
	unsigned long kind = pick(d, 1000);

	d->met[MET_EXACT] += d->mood.exact;
	if (d->hangup && pick(d, 12) == 0)
		return do_ends(d);
	if (kind == 0)
		return do_resize(d);
	if (kind < 5)
		return do_pipe_only(d);
	if (kind < 150)
		return do_call(d);
	if ((int)pick(d, 8) < d->mood.writes)
		return d->w[FIFO] < 0 || do_write(d);
	return d->r[FIFO] < 0 || do_read(d);
}

/* @len bytes of memory, whole pages, before much that is inaccessible: its end. */
static char *before_the_edge(long len, long page)
{
	char *p = mmap(NULL, len + HUGE_COUNT + page, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED || mprotect(p, len, PROT_READ | PROT_WRITE))
		return NULL;
	return p + len;
}

FIXTURE(oracle)
{
	struct duel d;
};

FIXTURE_VARIANT(oracle)
{
	int pages;			/* the capacity */
	int operations;
	bool hangup;			/* the attribute */
};

FIXTURE_VARIANT_ADD(oracle, one_page)
{
	.pages = 1,
	.operations = 30000,
};

FIXTURE_VARIANT_ADD(oracle, two_pages)
{
	.pages = 2,
	.operations = 20000,
};

FIXTURE_VARIANT_ADD(oracle, sixteen_pages)
{
	.pages = 16,
	.operations = 60000,
};

FIXTURE_VARIANT_ADD(oracle, hangup_one_page)
{
	.pages = 1,
	.operations = 40000,
	.hangup = true,
};

FIXTURE_VARIANT_ADD(oracle, hangup_sixteen_pages)
{
	.pages = 16,
	.operations = 60000,
	.hangup = true,
};

FIXTURE_SETUP(oracle)
{
	struct duel *d = &self->d;
	int fd[2], i;

	ASSERT_EQ(0, vfifo_setup(&d->dev));
	d->page = d->dev.page;
	d->cap = variant->pages * d->page;
	d->max_cap = d->cap;
	ASSERT_EQ(0, attr_set("capacity", d->cap));
	hold_signal(SIGPIPE);
	for (i = 0; i < 2; i++) {
		d->r[i] = -1;
		d->w[i] = -1;
		d->r2[i] = -1;
		d->w2[i] = -1;
	}
	ASSERT_EQ(0, pipe2(fd, O_NONBLOCK | O_CLOEXEC));
	if (res(fcntl(fd[1], F_SETPIPE_SZ, d->cap)) != d->cap)
		SKIP(return, "a pipe cannot have that size");
	d->hangup = variant->hangup;
	if (d->hangup) {
		close(fd[0]);
		close(fd[1]);
		ASSERT_EQ(0, attr_set("hangup", 1));
		/* It would be a reader and a writer. */
		close(d->dev.fd);
		d->dev.fd = -1;
		snprintf(d->dir, sizeof(d->dir), "/tmp/vfifo-XXXXXX");
		ASSERT_NE(NULL, mkdtemp(d->dir));
		snprintf(d->path, sizeof(d->path), "%s/fifo", d->dir);
		ASSERT_EQ(0, mkfifo(d->path, 0600));
		ASSERT_TRUE(do_open_all(d));
	} else {
		d->r[FIFO] = vfifo_open(O_RDONLY | O_NONBLOCK);
		d->w[FIFO] = vfifo_open(O_WRONLY | O_NONBLOCK);
		ASSERT_LE(0, d->r[FIFO]);
		ASSERT_LE(0, d->w[FIFO]);
		d->r[PIPE] = fd[0];
		d->w[PIPE] = fd[1];
		d->has_met = true;
	}

	fd[0] = open("/dev/null", O_RDONLY);
	ASSERT_LE(0, fd[0]);
	d->large = fcntl(fd[0], F_GETFL);
	close(fd[0]);

	d->in_len = d->cap + 3 * d->page;
	d->pool_len = 2 * d->in_len;
	d->pool_end = before_the_edge(d->pool_len, d->page);
	ASSERT_NE(NULL, d->pool_end);
	d->state = vfifo_seed;
	d->bad_count[0] = -1;
	d->bad_count[1] = IOV_MAX + 1;
	stream_fill(d->pool_end - d->pool_len, d->pool_len, 0);
	for (i = 0; i < 2; i++) {
		d->in_end[i] = before_the_edge(d->in_len, d->page);
		ASSERT_NE(NULL, d->in_end[i]);
		d->in[i] = d->in_end[i] - d->in_len;
	}
}

FIXTURE_TEARDOWN(oracle)
{
	int i;

	for (i = 0; i < 2; i++) {
		close(self->d.r[i]);
		close(self->d.w[i]);
		close(self->d.r2[i]);
		close(self->d.w2[i]);
	}
	if (self->d.hangup) {
		unlink(self->d.path);
		rmdir(self->d.dir);
		self->d.dev.fd = vfifo_open(O_RDWR | O_NONBLOCK);
		attr_set("hangup", 0);
	}
	vfifo_teardown(&self->d.dev);
}

TEST_F_TIMEOUT(oracle, script, 100)
{
	struct duel *d = &self->d;
	__s64 start = now_ms();
	int i;

	LOG_SEED();
	for (i = 0; i < variant->operations; i++) {
		bool good = i % 500 || new_mood(d);

		ASSERT_TRUE(good && operation(d) && same_state(d)) {
			TH_LOG("operation %d, %s: %s", i, d->what, d->why);
		}
	}
	ASSERT_TRUE(!d->hangup || do_open_all(d));
	ASSERT_TRUE(drain(d));
	EXPECT_TRUE(same_state(d));

	TH_LOG("%d operations compared, in %lld ms", variant->operations,
	       now_ms() - start);
	for (i = 0; i < (d->hangup ? MET_COUNT : MET_CLOSE); i++) {
		TH_LOG("%8ld %s", d->met[i], met_names[i]);
		/* With one page, the first hardly occurs. */
		if ((i == MET_ROOM_POLL && variant->pages == 1) ||
		    (i == MET_NOWAIT && d->hangup))
			continue;
		EXPECT_LT(0, d->met[i]);
	}
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
