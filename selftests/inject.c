// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection. In each operation of inject_operations.h, and in loading the module,
 * the first allocation or copy from or to user memory fails, then the second one, and
 * so on until the operation succeeds without a failure. A call that fails must return
 * the right error and leave everything as it was.
 *
 * Needs CONFIG_FAULT_INJECTION and related options, see config. Loading has so many
 * points that only a random part is tried; with "-n 1" every point is.
 */
#include "inject_operations.h"
#include "vfifo_inject.h"
#include "vfifo_module.h"

/* Seconds for the points of loading, unless all are tried. */
#define SECONDS		20
#define LONG_TEST	(60 * 60)

static bool every_point;

FIXTURE(inject)
{
	struct health health;
};

FIXTURE_SETUP(inject)
{
	const char *why = knobs_setup();

	if (why)
		SKIP(return, "%s", why);
	health_begin(&self->health);
	nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, nth);
}

FIXTURE_TEARDOWN(inject)
{
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
}

TEST_F_TIMEOUT(inject, operations, LONG_TEST)
{
	unsigned int n, points, all = 0;
	const struct operation *op;
	const char *complaint;
	bool injected;
	long ret, refs, failed;
	size_t i;

	if (access(VFIFO_CLASS, F_OK))
		ASSERT_EQ(0, module_load("devices=1"));
	ASSERT_EQ(0, vfifo_setup(&s.dev));
	s.info.size = sizeof(s.info);
	ASSERT_EQ(0, ioctl(s.dev.fd, VFIFO_GET_INFO, &s.info));
	s.buf = malloc(65536);
	attr_set("period_ms", 3600000);
	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		op = &operations[i];
		points = 0;
		failed = 0;
		for (n = 1, injected = true; injected; n++) {
			ASSERT_EQ(0, ioctl(s.dev.fd, VFIFO_CLEAR));
			ASSERT_TRUE(put(&s.dev, QUEUED, 0));
			refs = references();
			if (op->prepare)
				op->prepare();
			arm(n);
			ret = op->run();
			injected = disarm();
			points += injected;
			failed += ret < 0;
			if (ret < 0) {
				EXPECT_TRUE(injected && (ret == -ENOMEM ||
							 ret == -EFAULT ||
							 ret == -op->error)) {
					TH_LOG("%s, point %u: %s", op->name, n,
					       strerror(-ret));
				}
			}
			complaint = op->check ? op->check(ret) : NULL;
			EXPECT_EQ(NULL, complaint) {
				TH_LOG("%s, point %u, returned %ld: %s",
				       op->name, n, ret, complaint);
			}
			if (op->undo)
				op->undo();
			/* The memory of a child may be freed a moment after its end. */
			EXPECT_TRUE(eventually(references() == refs)) {
				TH_LOG("%s, point %u: a reference", op->name,
				       n);
			}
			EXPECT_EQ(0, attr_set("capacity", s.dev.capacity)) {
				TH_LOG("%s, point %u: mapped", op->name, n);
			}
			ASSERT_TRUE(__test_passed(_metadata));
		}
		ASSERT_LE(0, ret);
		TH_LOG("%s: %u points, of which %ld failed it", op->name,
		       points, failed);
		all += points;
	}
	TH_LOG("%u points in %zu operations", all, ARRAY_SIZE(operations));
	/* A kernel that counts nothing would pass everything above. */
	EXPECT_LT(100U, all);
	vfifo_teardown(&s.dev);
}

/* ---- loading the module ---- */

/*
 * Calls the module notifiers. Two of them, event_define_fields() and
 * ddebug_module_notify(), treat a failed allocation as a bug and warn.
 */
#define WARNS	"blocking_notifier_call_chain_robust"

/* The addresses of a function: up to the next one, as the symbols are sorted. */
static bool function_range(const char *name, __u64 *start, __u64 *end)
{
	FILE *symbols = fopen("/proc/kallsyms", "re");
	char line[1024], is[512];

	*start = 0;
	*end = 0;
	while (symbols && *end <= *start && fgets(line, sizeof(line), symbols)) {
		if (*start)
			*end = strtoull(line, NULL, 16);
		else if (strstr(line, name) &&
			 sscanf(line, "%*x %*c %511s", is) == 1 &&
			 !strcmp(is, name))
			*start = strtoull(line, NULL, 16);
	}
	if (symbols)
		fclose(symbols);
	return *start && *end > *start;
}

/* Excludes what is allocated there: such points are not counted either. */
static int leave_out(__u64 start, __u64 end)
{
	static const char *const attrs[] = { "failslab", "fail_page_alloc" };
	char path[128], text[32];
	int ret = 0;
	size_t i;

	for (i = 0; !ret && i < ARRAY_SIZE(attrs); i++) {
		snprintf(path, sizeof(path), DEBUGFS "%s/reject-start",
			 attrs[i]);
		snprintf(text, sizeof(text), "%#llx", start);
		ret = file_store(path, text);
		snprintf(path, sizeof(path), DEBUGFS "%s/reject-end", attrs[i]);
		snprintf(text, sizeof(text), "%#llx", end);
		ret = ret ? ret : file_store(path, text);
	}
	return ret;
}

/* The number of points in loading the module; 0 if that fails. */
static unsigned int load_points(void)
{
	unsigned int left;
	char text[16] = "";
	int ret;

	arm(1000000);
	ret = module_load("devices=2 buffer_size=16384");
	ret = pread(nth, text, sizeof(text) - 1, 0) > 0 ? ret : -EIO;
	left = atoi(text);
	disarm();
	return ret || module_unload() ? 0 : 1000000 - left;
}

/* Whether a part of device @number is missing: NULL, or what. */
static const char *half_made(int number)
{
	char path[PATH_MAX], c = 0;
	size_t i;
	int fd;

	snprintf(path, sizeof(path), "/dev/vfifo%d", number);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return wrong("%s: %s", path, strerror(errno));
	if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
		return wrong("%s does not work", path);
	close(fd);
	for (i = 0; i < ARRAY_SIZE(vfifo_attrs); i++) {
		snprintf(path, sizeof(path), VFIFO_CLASS "/vfifo%d/%s", number,
			 vfifo_attrs[i].name);
		if (!path_text(path)[0])
			return wrong("%s is empty", path);
	}
	return NULL;
}

TEST_F_TIMEOUT(inject, load, LONG_TEST)
{
	unsigned int n, step = 1, all, points, tried = 0, failed = 0;
	__u64 random = vfifo_seed, from, to;
	const char *left;
	bool injected = true;
	__s64 start;
	long ret;

	LOG_SEED();
	ASSERT_TRUE(function_range(WARNS, &from, &to)) {
		TH_LOG("no address of " WARNS " in /proc/kallsyms");
	}
	ASSERT_EQ(0, module_unload());
	all = load_points();
	ASSERT_LT(0U, all);
	ASSERT_EQ(0, leave_out(from, to));
	start = now_ms();
	points = load_points();
	ASSERT_LT(0U, points);
	EXPECT_GT(all, points);
	TH_LOG("%u points; %u excluded in " WARNS "(), where the kernel warns",
	       all, all - points);
	/* As many as there is time for. */
	if (!every_point) {
		step = (now_ms() - start + 1) * points / (SECONDS * 1000) + 1;
		TH_LOG("one of about %u of the other %u points is tried", step, points);
	}
	for (n = 1; injected; n += step > 1 ? 1 + rnd(&random) % (2 * step) :
					      1) {
		arm(n);
		ret = module_load("devices=2 buffer_size=16384");
		injected = disarm();
		tried += injected;
		failed += ret < 0;
		if (ret < 0) {
			EXPECT_TRUE(injected && (ret == -ENOMEM ||
						 ret == -EFAULT)) {
				TH_LOG("point %u: %s", n, strerror(-ret));
			}
			left = module_left_behind();
			EXPECT_EQ(NULL, left) {
				TH_LOG("point %u left %s", n, left);
			}
		} else {
			/* Some points may fail without consequences. */
			left = half_made(0);
			left = left ? left : half_made(1);
			EXPECT_EQ(NULL, left) {
				TH_LOG("point %u: %s", n, left);
			}
			EXPECT_EQ(2, module_count(true));
			ASSERT_EQ(0, module_unload());
		}
		ASSERT_TRUE(__test_passed(_metadata));
	}
	EXPECT_EQ(0, ret);
	EXPECT_LT(0U, failed);
	TH_LOG("%u of %u points tried, of which %u failed it", tried, points,
	       failed);
}

/* ---- partial copies ---- */

#define COPIES		2000U
#define SEGMENTS	40
#define SEGMENT		30

struct copies {
	unsigned int faults, partial, whole;
	__u64 moved;
	char wrong[128];
};

static void copy_child(struct copies *c, bool writes)
{
	static char buf[SEGMENTS * SEGMENT];
	struct iovec iov[SEGMENTS];
	int i, j;
	long ret;

	if (file_store("/proc/self/make-it-fail", "1"))
		_exit(2);
	for (i = 0; i < (int)COPIES; i++) {
		/* Nothing but the system call copies user memory here. */
		for (j = 0; j < SEGMENTS; j++) {
			iov[j].iov_base = buf + j * SEGMENT;
			iov[j].iov_len = SEGMENT;
		}
		if (writes)
			stream_fill(buf, sizeof(buf), c->moved);
		ret = res(writes ? writev(s.dev.fd, iov, SEGMENTS) :
				   readv(s.dev.fd, iov, SEGMENTS));
		if (ret == -EAGAIN)
			break;
		if (ret == -EFAULT) {
			c->faults++;
			continue;
		}
		if (ret <= 0 || ret > (long)sizeof(buf) ||
		    (!writes && !stream_equal(buf, ret, c->moved))) {
			snprintf(c->wrong, sizeof(c->wrong), "call %d: %ld", i,
				 ret);
			_exit(1);
		}
		c->whole += ret == sizeof(buf);
		c->partial += ret < (long)sizeof(buf);
		c->moved += ret;
	}
	_exit(0);
}

TEST_F_TIMEOUT(inject, partial_copies, LONG_TEST)
{
	const char *probability = DEBUGFS "fail_usercopy/probability";
	struct copies *c = shared(sizeof(*c));
	static const char *const percent[] = { "1", "4", "100" };
	pid_t pid;
	size_t i;
	__u64 in;

	ASSERT_NE(NULL, c);
	if (access(VFIFO_CLASS, F_OK))
		ASSERT_EQ(0, module_load("devices=1"));
	ASSERT_EQ(0, vfifo_setup(&s.dev));
	for (i = 0; i < ARRAY_SIZE(percent); i++) {
		ASSERT_EQ(0, attr_set("capacity", 1 << 22));
		ASSERT_EQ(0, ioctl(s.dev.fd, VFIFO_CLEAR));
		ASSERT_EQ(0, file_store(probability, percent[i]));
		memset(c, 0, sizeof(*c));
		pid = child_start(60 * DEADLINE);
		if (!pid)
			copy_child(c, true);
		EXPECT_EQ(0, child_end(pid)) {
			TH_LOG("writes: %s", c->wrong);
		}
		/* The returned counts add up to what is queued. */
		in = c->moved;
		EXPECT_EQ((long)in, attr_get("size"));
		TH_LOG("%s %%: %u writes, %u partial, %u EFAULT", percent[i],
		       c->whole, c->partial, c->faults);
		if (!strcmp(percent[i], "100")) {
			EXPECT_EQ(COPIES, c->faults);
			EXPECT_TRUE(!in && put(&s.dev, 5000, 0));
			in = 5000;
		} else if (!strcmp(percent[i], "4")) {
			/* At 1 % the driver's retries hide the faults. */
			EXPECT_LT(0U, c->faults + c->partial);
		}
		memset(c, 0, sizeof(*c));
		pid = child_start(60 * DEADLINE);
		if (!pid)
			copy_child(c, false);
		EXPECT_EQ(0, child_end(pid)) {
			TH_LOG("reads: %s", c->wrong);
		}
		TH_LOG("%s %%: %u reads, %u partial, %u EFAULT", percent[i],
		       c->whole, c->partial, c->faults);
		EXPECT_EQ((long)(in - c->moved), attr_get("size"));
		/* The rest is read without faults. */
		ASSERT_EQ(0, file_store(probability, "0"));
		if (in > c->moved)
			EXPECT_TRUE(get(&s.dev, in - c->moved, c->moved));
	}
	vfifo_teardown(&s.dev);
}

/* ---- leaks ---- */

/* The name of this program, which kmemleak reports with an allocation. */
#define LEAKER	"vfifo_inject"

TEST_F_TIMEOUT(inject, nothing_leaks, LONG_TEST)
{
	const char *leaks = DEBUGFS "kmemleak", *text, *found;
	int i, unloaded;

	/* The write fails if kmemleak is disabled. */
	if (file_store(leaks, "scan"))
		SKIP(return, "no kmemleak");
	if (access(VFIFO_CLASS, F_OK))
		ASSERT_EQ(0, module_load("devices=1"));
	/* First with the module, while its symbols are known; then without. */
	for (unloaded = 0; unloaded < 2; unloaded++) {
		if (unloaded)
			ASSERT_EQ(0, module_unload());
		/* An object must look lost in two scans to be reported. */
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(0, file_store(leaks, "scan"));
			sleep(6);
		}
		ASSERT_EQ(0, file_store(leaks, "scan"));
		text = path_text(leaks);
		found = strstr(text, LEAKER);
		EXPECT_EQ(NULL, found) {
			TH_LOG("%s", text);
		}
		TH_LOG("kmemleak, %s: %s",
		       unloaded ? "unloaded" : "loaded",
		       text[0] ? text : "nothing");
	}
}

int main(int argc, char **argv)
{
	const char *n, *why;
	size_t i;

	/*
	 * The kernel copies the area of restartable sequences whenever it has
	 * preempted a task. If that copy fails, the task gets SIGSEGV.
	 */
	if (!getenv("GLIBC_TUNABLES")) {
		setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
		execv("/proc/self/exe", argv);
	}
	prctl(PR_SET_NAME, LEAKER);
	n = take_option(&argc, argv, "-n");
	why = module_setup();
	every_point = n && atoi(n) == 1;
	if (!why && access("/sys/kernel/debug/failslab", F_OK))
		why = "no failslab in debugfs: no CONFIG_FAULT_INJECTION";
	for (i = 0; !why && i < ARRAY_SIZE(knobs); i++)
		file_keep(knobs[i].path);
	module_begin(why);
	return vfifo_main(argc, argv);
}
