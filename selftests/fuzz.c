// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer: random sequences of operations, each sequence in a process of its own. An
 * operation may return any result that is valid for it. Whatever a sequence does, the
 * device works afterwards and the kernel has not complained.
 *
 * A sequence that fails is shrunk while it still fails, and then printed in a form that
 * can be run again:
 *
 *	-t SECONDS	how long to run (10)
 *	-s SEED		repeat the sequences of an earlier run
 *	-c NUMBER	run only this one of them
 *	-r SEQUENCE	run this one, as it was printed; "-" reads it from stdin
 *
 * It is a failure if an operation returns an invalid result, or does not return; if more
 * bytes are queued than fit; if a counter decreases although no end was claimed; if a
 * mapping causes a bus error; if the device does not work, or still has references, once
 * the process has ended; or if the kernel logs a warning.
 */
#include "fuzz_sequence.h"
#include "vfifo_module.h"

/* Milliseconds in which a sequence has to make progress. */
#define HANG		20000

#define LONG_TEST	(24 * 60 * 60)

static unsigned int seconds = 10;
static const char *only_case, *replay;

/* Artificial failures, to test that they are found and shrunk. */
enum plant { NO_PLANT, PLANT_ANSWER, PLANT_HANG, PLANT_CRASH };

static enum plant plant;
static int hang_ms = HANG;

/* ---- running a sequence ---- */

/* Holds after every operation. */
static bool invariants(void)
{
	struct vfifo_info now = { .size = sizeof(now) };
	long n = queued(watch);

	if (n < 0 || n > MAX_CAP)
		return fail("FIONREAD: %ld", n);
	if (ioctl(watch, VFIFO_GET_INFO, &now) || now.version != 1 ||
	    now.capacity & (now.capacity - 1) ||
	    (long)now.capacity > MAX_CAP || (long)now.capacity < page)
		return fail("VFIFO_GET_INFO: capacity %llu", now.capacity);
	return true;
}

/* Fails artificially after an open, later a munmap, and later a seek. */
static void planted(int kind)
{
	static const int wanted[] = { OPEN, MUNMAP, SEEK };
	static unsigned int met;

	if (!plant || kind != wanted[met] || ++met < ARRAY_SIZE(wanted))
		return;
	switch (plant) {
	case PLANT_ANSWER:
		fail("planted");
		break;
	case PLANT_HANG:
		for (;;)
			pause();
	default:
		raise(SIGABRT);
	}
	met = 0;
}

static void run_in_child(const struct sequence *s)
{
	struct sigaction action = { .sa_handler = on_fault };
	int i;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	alarms();
	for (i = 0; i < FDS; i++)
		fds[i] = -1;
	memory = mmap(NULL, MEMORY + 4096, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(memory + MEMORY, 4096);
	/* For ioctls only: it must be neither a reader nor a writer. */
	watch = open("/dev/vfifo0", O_ACCMODE);
	info.size = sizeof(info);
	if (watch < 0 || ioctl(watch, VFIFO_GET_INFO, &info) ||
	    pipe2(pipes, O_NONBLOCK))
		fail("beginning: %s", strerror(errno));
	epfd = epoll_create1(0);
	for (i = 0; i < s->n && !outcome->failed; i++) {
		if (!kinds[s->op[i].kind].run(&s->op[i]) || !invariants())
			break;
		planted(s->op[i].kind);
		__atomic_add_fetch(&outcome->done, 1, __ATOMIC_SEQ_CST);
	}
	_exit(0);
}

/* Holds when the process has ended. */
static bool afterwards(struct health *health, long refs)
{
	struct vfifo_info end = { .size = sizeof(end) };
	char out[100], in[100];
	const char *trouble;
	int fd, mode = 0;

	/* The last reference to their memory may go a moment later. */
	if (!eventually(!attr_get("producer_claimed") &&
			!attr_get("consumer_claimed")))
		return fail("at the end: claimed");
	if (!eventually(references() == refs))
		return fail("at the end: %ld references, were %ld",
			    references(), refs);
	fd = open("/dev/vfifo0", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, VFIFO_SET_MODE, &mode) ||
	    ioctl(fd, VFIFO_CLEAR) || queued(fd))
		return fail("at the end: %s", strerror(errno));
	if (attr_store("capacity", "65536"))
		return fail("at the end: it cannot be resized");
	if (attr_store("hangup", "0"))
		return fail("at the end: hangup cannot be set");
	stream_fill(out, sizeof(out), 0);
	if (write(fd, out, sizeof(out)) != sizeof(out) ||
	    read(fd, in, sizeof(in)) != sizeof(in) ||
	    memcmp(in, out, sizeof(in)) || read(fd, in, 1) != -1 ||
	    errno != EAGAIN)
		return fail("at the end: it does not work");
	close(fd);
	fd = open("/dev/vfifo0", O_ACCMODE | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, VFIFO_GET_INFO, &end) ||
	    end.flags != (VFIFO_NO_READERS | VFIFO_NO_WRITERS))
		return fail("at the end: the flags are %llu", end.flags);
	close(fd);
	trouble = health_trouble(health);
	if (trouble)
		return fail("the kernel says: %s", trouble);
	return true;
}

/* Kills all processes of the sequence, and waits for them. */
static bool end_all(pid_t group)
{
	__s64 until = now_ms() + HANG;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
		kill(-group, SIGKILL);
		if (!pid) {
			if (now_ms() > until)
				return false;
			usleep(200);
		}
	}
	return true;
}

/* True if the sequence does not fail; else outcome->what says how it does. */
static bool run(const struct sequence *s, struct health *health)
{
	__u64 written = attr_get("stats/bytes_written"), now;
	long refs = references();
	unsigned int seen = 0;
	__s64 since = now_ms();
	bool claims = false;
	int status = 0, i;
	pid_t pid, got;

	for (i = 0; i < s->n; i++)
		claims |= s->op[i].kind == MMAP || s->op[i].kind == FORK;
	memset(outcome, 0, sizeof(*outcome));
	fflush(NULL);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run_in_child(s);
	}
	setpgid(pid, pid);
	while (!(got = waitpid(pid, &status, WNOHANG))) {
		if (__atomic_load_n(&outcome->done, __ATOMIC_SEQ_CST) != seen) {
			seen = outcome->done;
			since = now_ms();
		} else if (now_ms() - since > hang_ms) {
			fail("hangs after %u operations, %c", seen,
			     child_state(pid));
			break;
		}
		usleep(200);
	}
	if (got == pid && WIFSIGNALED(status))
		fail("died of signal %d after %u operations", WTERMSIG(status),
		     outcome->done);
	if (!end_all(pid)) {
		fail("cannot be killed");
		return false;
	}
	now = attr_get("stats/bytes_written");
	if (!claims && (__s64)(now - written) < 0)
		fail("bytes_written: %llu after %llu", now, written);
	afterwards(health, refs);
	return !outcome->failed;
}

/* ---- shrinking ---- */

/* The most runs that shrinking may take. */
#define TRIES	600

/* Whether the sequence fails in one of @times runs. */
static bool fails(const struct sequence *s, struct health *health, int times,
		  int *tries)
{
	while (times-- > 0 && *tries > 0) {
		--*tries;
		if (!run(s, health))
			return true;
	}
	return false;
}

/* Removes operations, and replaces numbers by 0, as long as the sequence fails. */
static void shrink(struct sequence *s, struct health *health)
{
	int tries = TRIES, times, size, from, i, field;
	char what[sizeof(outcome->what)];
	struct sequence less;
	unsigned int *number;
	bool progress;

	memcpy(what, outcome->what, sizeof(what));
	for (times = 1; times < 8 && !fails(s, health, times, &tries);)
		times *= 2;
	do {
		progress = false;
		for (size = s->n / 2; size > 0; size /= 2) {
			for (from = 0; from + size <= s->n;) {
				less = *s;
				less.n -= size;
				memmove(less.op + from, less.op + from + size,
					(less.n - from) * sizeof(*less.op));
				if (less.n && fails(&less, health, times,
						    &tries)) {
					*s = less;
					memcpy(what, outcome->what, sizeof(what));
					progress = true;
				} else {
					from += size;
				}
			}
		}
	} while (progress && tries > 0);
	for (i = 0; i < s->n; i++) {
		for (field = 0; field < 3; field++) {
			less = *s;
			number = field == 0 ? &less.op[i].a :
				 field == 1 ? &less.op[i].b : &less.op[i].c;
			if (!*number)
				continue;
			*number = 0;
			if (fails(&less, health, times, &tries)) {
				*s = less;
				memcpy(what, outcome->what, sizeof(what));
			}
		}
	}
	memset(outcome, 0, sizeof(*outcome));
	memcpy(outcome->what, what, sizeof(what));
}

/* ---- tests ---- */

FIXTURE(fuzz)
{
	struct vfifo dev;
	struct health health;
};

static void begin(struct __test_metadata *_metadata, struct vfifo *dev,
		  struct health *health)
{
	setenv("VFIFO_NAME", "vfifo0", 1);
	ASSERT_EQ(0, vfifo_setup(dev));
	/* So must this process be. */
	close(dev->fd);
	dev->fd = -1;
	page = dev->page;
	outcome = shared(sizeof(*outcome));
	ASSERT_NE(NULL, outcome);
	/* Orphans of a child become children of this process. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	health_begin(health);
}

FIXTURE_SETUP(fuzz)
{
	begin(_metadata, &self->dev, &self->health);
}

FIXTURE_TEARDOWN(fuzz)
{
	vfifo_teardown(&self->dev);
	health_end(&self->health);
}

TEST_F_TIMEOUT(fuzz, sequences, LONG_TEST)
{
	unsigned long count = 0, ops = 0, first = 0, last = -1UL;
	struct sequence s = { 0 }, full;
	__s64 start = now_ms();
	char text[65536];
	int n;

	if (replay) {
		if (!strcmp(replay, "-")) {
			n = fread(text, 1, sizeof(text) - 1, stdin);
			text[n] = '\0';
			replay = text;
		}
		ASSERT_TRUE(parse(&s, replay));
		for (n = 0; n < 20; n++) {
			ASSERT_TRUE(run(&s, &self->health)) {
				TH_LOG("%s", outcome->what);
			}
		}
		return;
	}
	LOG_SEED();
	if (only_case) {
		first = strtoul(only_case, NULL, 0);
		last = first;
	}
	for (count = first; count <= last; count++) {
		if (!only_case && now_ms() - start > seconds * 1000LL)
			break;
		generate(&s, mix64(vfifo_seed + count));
		if (run(&s, &self->health)) {
			ops += s.n;
			continue;
		}
		TH_LOG("-s %llu -c %lu: %s",
		       (unsigned long long)vfifo_seed, count, outcome->what);
		full = s;
		shrink(&s, &self->health);
		TH_LOG("%d operations, shrunk to %d: %s", full.n, s.n,
		       outcome->what);
		TH_LOG("-r '%s'", print(&s));
		ASSERT_TRUE(false);
	}
	TH_LOG("%lu sequences, %lu operations", count - first, ops);
	EXPECT_LT(0UL, count);
}

/* Printing and parsing are inverse. */
TEST_F(fuzz, text_is_the_sequence)
{
	struct sequence s = { 0 }, again = { 0 };
	__u64 i;

	for (i = 0; i < 100; i++) {
		generate(&s, mix64(vfifo_seed + i));
		ASSERT_TRUE(parse(&again, print(&s)));
		ASSERT_EQ(s.n, again.n);
		EXPECT_EQ(0, memcmp(s.op, again.op, s.n * sizeof(*s.op)));
	}
	EXPECT_FALSE(parse(&again, "open:1,2"));
	EXPECT_FALSE(parse(&again, "opens:1,2,3"));
	EXPECT_FALSE(parse(&again, "open:1,2,3 x"));
	EXPECT_FALSE(parse(&again, ""));
}

/* An artificial failure is found, and shrunk to the operations that cause it. */
FIXTURE(planted)
{
	struct vfifo dev;
	struct health health;
};

FIXTURE_VARIANT(planted)
{
	enum plant plant;
	const char *what;
};

FIXTURE_VARIANT_ADD(planted, answer)
{
	.plant = PLANT_ANSWER,
	.what = "planted",
};

FIXTURE_VARIANT_ADD(planted, hang)
{
	.plant = PLANT_HANG,
	.what = "hangs",
};

FIXTURE_VARIANT_ADD(planted, crash)
{
	.plant = PLANT_CRASH,
	.what = "died of signal",
};

FIXTURE_SETUP(planted)
{
	begin(_metadata, &self->dev, &self->health);
}

FIXTURE_TEARDOWN(planted)
{
	vfifo_teardown(&self->dev);
	health_end(&self->health);
}

TEST_F_TIMEOUT(planted, is_shrunk, 600)
{
	static const int wanted[] = { OPEN, MUNMAP, SEEK };
	struct sequence s = { 0 }, again;
	__u64 random = vfifo_seed;
	int i, j, gap;

	LOG_SEED();
	/* Puts the three operations into a random sequence. */
	generate(&s, rnd(&random));
	while (s.n < 20)
		generate(&s, rnd(&random));
	for (i = 0; i < s.n; i++)
		if (s.op[i].kind == FORK)
			s.op[i].kind = OPEN;
	/* Each run takes as long as the timeout, so the sequence is shorter. */
	gap = variant->plant == PLANT_HANG ? 2 : 6;
	for (i = 0, j = 2; i < 3; i++, j += gap)
		s.op[j].kind = wanted[i];
	if (variant->plant == PLANT_HANG)
		s.n = j;
	ASSERT_TRUE(run(&s, &self->health)) {
		TH_LOG("without: %s", outcome->what);
	}
	plant = variant->plant;
	/* In a slow kernel, an operation that does not hang may take two seconds. */
	if (plant == PLANT_HANG)
		hang_ms = vfifo_scale() > 1 ? 5000 : 3000;
	ASSERT_FALSE(run(&s, &self->health));
	EXPECT_EQ(0, strncmp(outcome->what, variant->what,
			     strlen(variant->what))) {
		TH_LOG("%s", outcome->what);
	}
	i = s.n;
	shrink(&s, &self->health);
	TH_LOG("%d operations, shrunk to: %s", i, print(&s));
	/* The three operations with zeroes, and the same failure. */
	ASSERT_EQ(3, s.n);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(wanted[i], s.op[i].kind);
		EXPECT_EQ(0U, s.op[i].a + s.op[i].b + s.op[i].c);
	}
	EXPECT_EQ(0, strncmp(outcome->what, variant->what,
			     strlen(variant->what)));
	ASSERT_TRUE(parse(&again, print(&s)));
	EXPECT_FALSE(run(&again, &self->health));
	plant = NO_PLANT;
	hang_ms = HANG;
	EXPECT_TRUE(run(&again, &self->health));
}

int main(int argc, char **argv)
{
	const char *t = take_option(&argc, argv, "-t"), *why = module_setup();

	only_case = take_option(&argc, argv, "-c");
	replay = take_option(&argc, argv, "-r");
	if (t)
		seconds = strtoul(t, NULL, 0);
	module_begin(why);
	return vfifo_main(argc, argv);
}
