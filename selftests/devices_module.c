// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * Devices that are added and removed, and the module: it is not unloaded while a removed
 * device is open, and takes all devices with it when it goes.
 */
#include "vfifo_devices.h"
#include "vfifo_module.h"

#define NAME	TEST_PREFIX "mod"

FIXTURE(unload)
{
	struct health health;
	pid_t pid;
};

FIXTURE_SETUP(unload)
{
	ASSERT_EQ(0, module_unload());
	health_begin(&self->health);
}

FIXTURE_TEARDOWN(unload)
{
	child_kill(&self->pid);
	module_unload();
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
}

static const char *all_left(void)
{
	const char *left = module_left_behind();

	return left || access("/dev/vfifo", F_OK) ? left : "/dev/vfifo";
}

TEST_F(unload, removes_all)
{
	int i;

	ASSERT_EQ(0, module_load("devices=2"));
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, device_add(format(TEST_PREFIX "%d capacity=1", i)));
	EXPECT_EQ(52, devices_count());
	ASSERT_EQ(0, module_unload());
	EXPECT_EQ(NULL, all_left());
}

/* The devices that exist from the start can be removed like others. */
TEST_F(unload, numbered_devices)
{
	char c;
	int fd;

	ASSERT_EQ(0, module_load("devices=2"));
	fd = device_open("vfifo0", O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, write(fd, "a", 1));
	EXPECT_EQ(0, device_delete("vfifo0"));
	EXPECT_EQ(NULL, device_left("vfifo0"));
	EXPECT_EQ(-ENOENT, device_delete("vfifo0"));
	EXPECT_EQ(1, read(fd, &c, 1));
	EXPECT_EQ(0, minor(device_number("vfifo1")) - 1);

	/* Neither the name nor, for long, the number is given to others. */
	EXPECT_EQ(-EINVAL, device_add("vfifo0"));
	ASSERT_EQ(0, device_add(NAME));
	EXPECT_EQ(2U, minor(device_number(NAME)));
	close(fd);
	ASSERT_EQ(0, device_add(TEST_PREFIX "2"));
	EXPECT_EQ(3U, minor(device_number(TEST_PREFIX "2")));
	EXPECT_EQ(0, device_delete("vfifo1"));
	ASSERT_EQ(0, module_unload());
	EXPECT_EQ(NULL, all_left());
}

/* Whether a reader of the device sees an end when the only writer has left, or -errno. */
static int hangs_up(const char *name)
{
	int r = device_open(name, O_RDONLY | O_NONBLOCK);
	int w = device_open(name, O_WRONLY | O_NONBLOCK);
	char c;
	int ret;

	close(w);
	ret = res(read(r, &c, 1));
	close(r);
	if (ret == -EAGAIN)
		return 0;
	return ret ? ret : 1;
}

/* What the line does not say of a device is what the parameters of the module say. */
TEST_F(unload, parameters_are_the_defaults)
{
	long page = sysconf(_SC_PAGESIZE);
	struct stat st;
	char other[64];
	int hangup;

	for (hangup = 0; hangup < 2; hangup++) {
		ASSERT_EQ(0, module_load(format("devices=1 buffer_size=%ld hangup=%d perm=0640",
						4 * page, hangup)));
		EXPECT_EQ(hangup, hangs_up("vfifo0"));
		ASSERT_EQ(0, device_add(NAME));
		device_use(NAME);
		EXPECT_EQ(4 * page, attr_get("capacity"));
		EXPECT_EQ(hangup, attr_get("hangup"));
		EXPECT_EQ(hangup, hangs_up(NAME));
		ASSERT_EQ(0, stat(vfifo_path(), &st));
		EXPECT_EQ(S_IFCHR | 0640, st.st_mode);

		/* An option takes precedence over a parameter. */
		snprintf(other, sizeof(other), TEST_PREFIX "2 capacity=%ld hangup=%d perm=0604",
			 page, !hangup);
		ASSERT_EQ(0, device_add(other));
		device_use(TEST_PREFIX "2");
		EXPECT_EQ(page, attr_get("capacity"));
		EXPECT_EQ(!hangup, attr_get("hangup"));
		EXPECT_EQ(!hangup, hangs_up(TEST_PREFIX "2"));
		ASSERT_EQ(0, stat(vfifo_path(), &st));
		EXPECT_EQ(S_IFCHR | 0604, st.st_mode);
		ASSERT_EQ(0, module_unload());
	}
	/* Without parameters, a device does not hang up. */
	ASSERT_EQ(0, module_load("devices=0"));
	ASSERT_EQ(0, device_add(NAME));
	EXPECT_EQ(0, hangs_up(NAME));
}

FIXTURE(keeps)
{
	struct health health;
	int fd;
	char *data;
};

FIXTURE_VARIANT(keeps)
{
	bool mapped, claimed;
};

FIXTURE_VARIANT_ADD(keeps, open)
{
	.mapped = false,
};

FIXTURE_VARIANT_ADD(keeps, mapped)
{
	.mapped = true,
};

FIXTURE_VARIANT_ADD(keeps, claimed)
{
	.mapped = true,
	.claimed = true,
};

FIXTURE_SETUP(keeps)
{
	ASSERT_EQ(0, module_unload());
	health_begin(&self->health);
	self->fd = -1;
}

FIXTURE_TEARDOWN(keeps)
{
	if (self->data)
		munmap(self->data, sysconf(_SC_PAGESIZE));
	close(self->fd);
	module_unload();
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
}

/* A removed device whose file is open, or mapped, keeps the module, and nothing else. */
TEST_F(keeps, module)
{
	struct vfifo_info info = { .size = sizeof(info) };
	size_t page = sysconf(_SC_PAGESIZE);

	ASSERT_EQ(0, module_load("devices=0"));
	ASSERT_EQ(0, device_add(NAME));
	self->fd = device_open(NAME, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioctl(self->fd, VFIFO_GET_INFO, &info));
	if (variant->mapped) {
		self->data = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd,
				  variant->claimed ? info.producer_offset :
						     info.data_offset);
		ASSERT_NE(MAP_FAILED, self->data);
		close(self->fd);
		self->fd = -1;
	}
	ASSERT_EQ(0, device_delete(NAME));
	EXPECT_EQ(0, devices_count());
	EXPECT_EQ(-EAGAIN, module_try_unload());
	/* The class works as before. */
	EXPECT_EQ(0, device_add(TEST_PREFIX "other"));
	EXPECT_EQ(0, device_delete(TEST_PREFIX "other"));
	if (variant->mapped) {
		__atomic_store_n(self->data + page - 1, 1, __ATOMIC_RELAXED);
		munmap(self->data, page);
		self->data = NULL;
	} else {
		EXPECT_EQ(1, write(self->fd, "x", 1));
		close(self->fd);
		self->fd = -1;
	}
	ASSERT_EQ(0, module_unload());
	EXPECT_EQ(NULL, all_left());
}

/*
 * Unloading waits for a call that is adding or removing a device, and none succeeds after
 * it. The moment differs from one round to the next.
 */
TEST_F(unload, while_devices_come_and_go)
{
	struct { unsigned int done, met; } *s = shared(sizeof(*s));
	int round, ret, fd, rounds = OFTEN(40);
	__u64 random = vfifo_seed;

	LOG_SEED();
	ASSERT_NE(NULL, s);
	/* Usually one round in eight meets a call: go on until one has. */
	for (round = 0; round < rounds || (!s->met && round < 20 * rounds); round++) {
		ASSERT_EQ(0, module_load("devices=1 buffer_size=4096"));
		s->done = 0;
		self->pid = child_start(2 * DEADLINE);
		if (!self->pid) {
			/* Held open: the file may outlive the module, but does nothing then. */
			fd = open(NEW_DEVICE, O_WRONLY | O_CLOEXEC);
			if (fd < 0)
				_exit(errno);
			for (;;) {
				ret = res(write(fd, NAME, strlen(NAME)));
				if (ret < 0)
					break;
				ret = device_delete(NAME);
				if (ret < 0)
					break;
				__atomic_add_fetch(&s->done, 1, __ATOMIC_SEQ_CST);
			}
			/* The driver is going (ENODEV), or the file has gone (ENOENT). */
			s->met += ret == -ENODEV;
			_exit(ret == -ENODEV || ret == -ENOENT ? 0 : -ret);
		}
		ASSERT_TRUE(eventually(__atomic_load_n(&s->done, __ATOMIC_SEQ_CST)));
		usleep(rnd(&random) % 5000);
		ASSERT_EQ(0, module_unload());
		EXPECT_EQ(0, child_end(self->pid));
		self->pid = 0;
		ASSERT_EQ(NULL, all_left());
	}
	/* Calls were under way, and were refused. */
	EXPECT_LT(0U, s->met);
	TH_LOG("%u of %d children were refused by a driver that was going", s->met, round);
	munmap(s, sizeof(*s));
}

int main(int argc, char **argv)
{
	module_begin(module_setup());
	return vfifo_main(argc, argv);
}
