// SPDX-License-Identifier: GPL-2.0
/*
 * Many threads asleep in calls on one vfifo: whatever wakes them, none is left behind.
 *
 * Some of the variants always have a thousand sleepers; with "-n 1", all of them.
 */
#include <poll.h>
#include <pthread.h>

#include "vfifo_limits.h"

static int sleepers_max = 200;

enum sleep { READS, WRITES_A_BYTE, WRITES_A_LOT, POLLS };
enum wake { BY_ONE_CALL, BY_MANY_CALLS, BY_CLEAR, BY_CLAIM, BY_SIGNAL };

FIXTURE(sleepers)
{
	struct health health;
	int fd;			/* O_NONBLOCK */
	int sleeper;		/* the descriptor the sleepers use */
	long cap;
	pthread_t *threads;
	long *result;
};

FIXTURE_VARIANT(sleepers)
{
	enum sleep sleep;
	enum wake wake;
	long result;
	bool many;		/* MANY in every run */
};

FIXTURE_VARIANT_ADD(sleepers, readers_one_write)
{
	.sleep = READS,
	.wake = BY_ONE_CALL,
	.result = 1,
	.many = true,
};

FIXTURE_VARIANT_ADD(sleepers, readers_writes)
{
	.sleep = READS,
	.wake = BY_MANY_CALLS,
	.result = 1,
};

FIXTURE_VARIANT_ADD(sleepers, readers_claim)
{
	.sleep = READS,
	.wake = BY_CLAIM,
	.result = -EBUSY,
};

FIXTURE_VARIANT_ADD(sleepers, readers_signal)
{
	.sleep = READS,
	.wake = BY_SIGNAL,
	.result = -EINTR,
};

FIXTURE_VARIANT_ADD(sleepers, writers_one_read)
{
	.sleep = WRITES_A_BYTE,
	.wake = BY_ONE_CALL,
	.result = 1,
	.many = true,
};

FIXTURE_VARIANT_ADD(sleepers, writers_reads)
{
	.sleep = WRITES_A_BYTE,
	.wake = BY_MANY_CALLS,
	.result = 1,
};

FIXTURE_VARIANT_ADD(sleepers, writers_clear)
{
	.sleep = WRITES_A_BYTE,
	.wake = BY_CLEAR,
	.result = 1,
};

FIXTURE_VARIANT_ADD(sleepers, writers_claim)
{
	.sleep = WRITES_A_BYTE,
	.wake = BY_CLAIM,
	.result = -EBUSY,
};

FIXTURE_VARIANT_ADD(sleepers, large_writers_reads)
{
	.sleep = WRITES_A_LOT,
	.wake = BY_MANY_CALLS,
	.result = PIPE_BUF,
};

FIXTURE_VARIANT_ADD(sleepers, pollers)
{
	.sleep = POLLS,
	.wake = BY_ONE_CALL,
	.result = 1,
	.many = true,
};

FIXTURE_SETUP(sleepers)
{
	health_begin(&self->health);
	ASSERT_EQ(0, module_unload());
	ASSERT_EQ(0, module_load("devices=1"));
	self->fd = vfifo_open(O_RDWR | O_NONBLOCK);
	self->sleeper = vfifo_open(O_RDWR);
	ASSERT_TRUE(self->fd >= 0 && self->sleeper >= 0);
	self->cap = attr_get("capacity");
	self->threads = calloc(MANY, sizeof(*self->threads));
	self->result = calloc(MANY, sizeof(*self->result));
}

FIXTURE_TEARDOWN(sleepers)
{
	close(self->fd);
	close(self->sleeper);
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
}

static struct {
	int fd;
	enum sleep sleep;
	int ready, done;
} dormitory;

static void *sleeper(void *arg)
{
	struct pollfd pfd = { .fd = dormitory.fd, .events = POLLIN };
	static char page[PIPE_BUF];
	long *result = arg;
	char c;

	__atomic_add_fetch(&dormitory.ready, 1, __ATOMIC_SEQ_CST);
	switch (dormitory.sleep) {
	case READS:
		*result = res(read(dormitory.fd, &c, 1));
		break;
	case WRITES_A_BYTE:
		*result = res(write(dormitory.fd, page, 1));
		break;
	case WRITES_A_LOT:
		*result = res(write(dormitory.fd, page, sizeof(page)));
		break;
	case POLLS:
		*result = res(poll(&pfd, 1, -1));
		break;
	}
	__atomic_add_fetch(&dormitory.done, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* How many threads of this process sleep. The driver does not count pollers. */
static int asleep(enum sleep sleep)
{
	struct dirent *entry;
	char path[300], *p;
	int count = 0;
	DIR *dir;

	if (sleep != POLLS)
		return attr_get(sleep == READS ? "stats/reader_sleeps" :
						 "stats/writer_sleeps");
	dir = opendir("/proc/self/task");
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/stat",
			 entry->d_name);
		p = strrchr(path_text(path), ')');
		count += p && p[2] == 'S';
	}
	closedir(dir);
	return count;
}

static int done(void)
{
	return __atomic_load_n(&dormitory.done, __ATOMIC_SEQ_CST);
}

TEST_F_TIMEOUT(sleepers, all_wake, LONG_TEST)
{
	struct sigaction action = { .sa_handler = no_op };
	struct vfifo_info info = { .size = sizeof(info) };
	int many = variant->many ? MANY : sleepers_max, started;
	bool writes = variant->sleep == WRITES_A_BYTE ||
		      variant->sleep == WRITES_A_LOT;
	struct vfifo_end *own = NULL;
	char *buf = calloc(1, self->cap);
	__s64 start, end;
	pthread_attr_t attr;
	long i, left;

	sigaction(SIGUSR1, &action, NULL);
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_GET_INFO, &info));
	for (i = 0; writes && i < self->cap; i += PIPE_BUF)
		ASSERT_EQ(PIPE_BUF, write(self->fd, buf, PIPE_BUF));
	dormitory.fd = self->sleeper;
	dormitory.sleep = variant->sleep;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (started = 0; started < many; started++)
		if (pthread_create(&self->threads[started], &attr, sleeper,
				   &self->result[started]))
			break;
	ASSERT_EQ(many, started);
	EXPECT_TRUE(eventually_long(asleep(variant->sleep) == many));
	EXPECT_EQ(0, done());

	start = now_ms();
	switch (variant->wake) {
	case BY_ONE_CALL:
		i = writes ? read(self->fd, buf, self->cap) :
			     write(self->fd, buf, many);
		EXPECT_EQ(writes ? self->cap : many, i);
		break;
	case BY_MANY_CALLS:
		/*
		 * Each call wakes one sleeper at most. Writers are woken while
		 * there is room for PIPE_BUF bytes.
		 */
		left = variant->sleep == WRITES_A_LOT ? many * PIPE_BUF : many;
		if (variant->sleep == WRITES_A_BYTE)
			left += PIPE_BUF;
		while (left > 0) {
			i = writes ? res(read(self->fd, buf, left / many + 1)) :
				     res(write(self->fd, buf, 1));
			ASSERT_TRUE(i > 0 || i == -EAGAIN);
			left -= i > 0 ? i : 0;
			if (now_ms() - start > LONG_WAIT * 1000)
				break;
		}
		break;
	case BY_CLEAR:
		EXPECT_EQ(0, ioctl(self->fd, VFIFO_CLEAR));
		break;
	case BY_CLAIM:
		own = map_page(self->fd,
			       writes ? info.producer_offset :
					info.consumer_offset,
			       PROT_READ | PROT_WRITE);
		EXPECT_NE(NULL, own);
		break;
	case BY_SIGNAL:
		for (i = 0; i < many; i++)
			pthread_kill(self->threads[i], SIGUSR1);
		break;
	}
	EXPECT_TRUE(eventually_long(done() == many)) {
		TH_LOG("%d were not woken", many - done());
	}
	end = now_ms();
	/* Threads that still sleep cannot be joined. */
	ASSERT_EQ(many, done());
	for (i = 0; i < many; i++) {
		pthread_join(self->threads[i], NULL);
		EXPECT_EQ(variant->result, self->result[i]);
	}
	TH_LOG("%d woken in %lld ms", many, end - start);
	if (own)
		munmap(own, sysconf(_SC_PAGESIZE));
	free(buf);
}

int main(int argc, char **argv)
{
	const char *n = take_option(&argc, argv, "-n"), *why = module_setup();

	if (n)
		sleepers_max = MANY;
	module_begin(why);
	return vfifo_main(argc, argv);
}
