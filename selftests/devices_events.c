// SPDX-License-Identifier: GPL-2.0
/* Copyright (C) 2026 Seed 1f3ad1c2 maintainers. */
/*
 * What udev sees of devices that come and go: one "add" for each, when everything about
 * the device is as it will be, and one "remove".
 */
#include "vfifo_devices.h"
#include "vfifo_log.h"
#include "vfifo_uevents.h"

#define NAME	TEST_PREFIX "event"

FIXTURE(events)
{
	struct health health;
	struct uevent event;
	int sock;
	pid_t pid;
};

FIXTURE_SETUP(events)
{
	if (geteuid())
		SKIP(return, "only root can add devices");
	ASSERT_EQ(0, access(NEW_DEVICE, W_OK));
	ASSERT_EQ(0, access(DELETE_DEVICE, W_OK));
	devices_forget();
	health_begin(&self->health);
	self->sock = uevents_open();
	ASSERT_LE(0, self->sock);
	device_use(NAME);
}

FIXTURE_TEARDOWN(events)
{
	child_kill(&self->pid);
	run_alone(false);
	close(self->sock);
	devices_forget();
	EXPECT_HEALTHY(&self->health);
	health_end(&self->health);
}

/* Receives the next event of a device of this test, before @until: whether there is one. */
static bool next_event(int sock, struct uevent *event, __s64 until)
{
	const char *path, *name;
	struct pollfd pfd = { .fd = sock, .events = POLLIN };

	for (;;) {
		while (uevent_receive(sock, event) > 0) {
			path = uevent_value(event, "DEVPATH");
			name = strrchr(path, '/');
			if (strcmp(uevent_value(event, "SUBSYSTEM"), "vfifo"))
				continue;
			if (name && !strncmp(name + 1, TEST_PREFIX, strlen(TEST_PREFIX)))
				return true;
		}
		if (now_ms() >= until || poll(&pfd, 1, until - now_ms()) <= 0)
			return false;
	}
}

#define NEXT() next_event(self->sock, &self->event, now_ms() + DEADLINE * 1000)

/*
 * After the events of all calls that have returned, the kernel has no more to send: the
 * event of another device, which is asked for now, is the next of all.
 */
#define EXPECT_NO_EVENT() do {						\
	ASSERT_EQ(0, file_store("/sys/class/mem/null/uevent", "change"));	\
	EXPECT_TRUE(eventually(uevent_receive(self->sock, &self->event) > 0 &&	\
			       (!strcmp(uevent_value(&self->event, "DEVNAME"), "null") ||	\
				!strcmp(uevent_value(&self->event, "SUBSYSTEM"), "vfifo"))));	\
	EXPECT_STREQ("null", uevent_value(&self->event, "DEVNAME"));	\
} while (0)

#define EXPECT_VALUE(want, key)						\
	EXPECT_STREQ(want, uevent_value(&self->event, key))

/* What an event says of the device, except for its mode. */
#define EXPECT_DEVICE(action) do {					\
	EXPECT_VALUE(action, "ACTION");					\
	EXPECT_VALUE("/devices/virtual/vfifo/" NAME, "DEVPATH");	\
	EXPECT_VALUE("vfifo", "SUBSYSTEM");				\
	EXPECT_VALUE("vfifo/" NAME, "DEVNAME");				\
} while (0)

/* Opens the device and moves a byte through it. */
static bool works(void)
{
	int fd = vfifo_open(O_RDWR | O_NONBLOCK);
	char c = 0;
	bool ok;

	ok = fd >= 0 && write(fd, "x", 1) == 1 && read(fd, &c, 1) == 1 && c == 'x';
	close(fd);
	return ok;
}

/*
 * With real-time priority and on the same CPU, this process runs as soon as the event is
 * sent, before the process that adds the device can go on.
 */
TEST_F(events, settings_are_complete_at_add)
{
	long page = sysconf(_SC_PAGESIZE), rounds = OFTEN(50);
	char line[128];
	struct stat st;
	unsigned int i;
	long round;
	dev_t number;

	ASSERT_TRUE(stay_here());
	ASSERT_TRUE(run_alone(true));
	for (round = 0; round < rounds; round++) {
		snprintf(line, sizeof(line),
			 NAME " capacity=%ld mode=%s period_ms=%ld hangup=%ld perm=0%lo",
			 (1 + round % 4) * page, round % 2 ? "auto" : "manual",
			 3000000 + round, round / 2 % 2, 0600 + round % 64);
		self->pid = child_start(DEADLINE);
		if (!self->pid) {
			run_alone(false);
			_exit(-device_add(line));
		}
		ASSERT_TRUE(NEXT()) {
			TH_LOG("no event for '%s'", line);
		}
		/* First of all, before the other process runs again. */
		EXPECT_TRUE(works());
		EXPECT_DEVICE("add");
		/* Each attribute is there. */
		for (i = 0; i < ARRAY_SIZE(vfifo_attrs); i++) {
			EXPECT_NE('\0', attr_text(vfifo_attrs[i].name)[0]) {
				TH_LOG("%s", vfifo_attrs[i].name);
			}
		}
		EXPECT_LE((1 + round % 4) * page, attr_get("capacity"));
		EXPECT_GT(2 * (1 + round % 4) * page, attr_get("capacity"));
		EXPECT_EQ(round % 2, attr_get("mode"));
		EXPECT_EQ(3000000 + round, attr_get("period_ms"));
		EXPECT_EQ(round / 2 % 2, attr_get("hangup"));
		/* So is the node, with the mode that udev is told. */
		ASSERT_EQ(0, stat(vfifo_path(), &st));
		EXPECT_EQ((mode_t)(S_IFCHR | (0600 + round % 64)), st.st_mode);
		EXPECT_EQ(0600 + round % 64,
			  strtol(uevent_value(&self->event, "DEVMODE"), NULL, 8));
		number = makedev(atoi(uevent_value(&self->event, "MAJOR")),
				 atoi(uevent_value(&self->event, "MINOR")));
		EXPECT_EQ(number, st.st_rdev);
		EXPECT_EQ(number, device_number(NAME));
		/* It can be removed, although the process that adds it may not know yet. */
		EXPECT_EQ(0, device_delete(NAME));
		ASSERT_TRUE(NEXT());
		EXPECT_DEVICE("remove");
		EXPECT_EQ(NULL, device_left(NAME));
		EXPECT_EQ(0, child_end(self->pid));
		self->pid = 0;
		ASSERT_TRUE(__test_passed(_metadata));
	}
	run_alone(false);
	EXPECT_NO_EVENT();
}

/* A mode that nobody has chosen is left to udev. */
TEST_F(events, mode_is_told_if_it_was_chosen)
{
	ASSERT_EQ(0, device_add(NAME));
	ASSERT_TRUE(NEXT());
	EXPECT_DEVICE("add");
	EXPECT_VALUE("", "DEVMODE");
	EXPECT_EQ(0, device_delete(NAME));
	ASSERT_TRUE(NEXT());
	EXPECT_DEVICE("remove");

	ASSERT_EQ(0, device_add(NAME " perm=0600"));
	ASSERT_TRUE(NEXT());
	EXPECT_VALUE("0600", "DEVMODE");
	EXPECT_EQ(0, device_delete(NAME));
	ASSERT_TRUE(NEXT());
	EXPECT_NO_EVENT();
}

/* Bad lines and bad removals send nothing, nor does the last close. */
TEST_F(events, none_without_a_change)
{
	static const char *const bad[] = {
		"", "\n", "0", NAME, NAME " perm=0600", NAME "2 perm=9",
		NAME "2 capacity=1073741825", NAME "2 x", "vfifo0", "new_device",
	};
	size_t i;
	int fd;

	ASSERT_EQ(0, device_add(NAME));
	ASSERT_TRUE(NEXT());
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		device_add(bad[i]);
	device_delete(NAME "2");
	device_delete("");
	EXPECT_NO_EVENT();

	fd = vfifo_open(O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, device_delete(NAME));
	ASSERT_TRUE(NEXT());
	EXPECT_DEVICE("remove");
	close(fd);
	EXPECT_NO_EVENT();
}

/* Events of several devices come in the order of the calls, with rising numbers. */
TEST_F(events, order)
{
	unsigned long long last = 0, now;
	char want[64];
	int i, pass;

	for (i = 0; i < 20; i++)
		ASSERT_EQ(0, device_add(format(TEST_PREFIX "%d capacity=1", i)));
	for (i = 19; i >= 0; i--)
		ASSERT_EQ(0, device_delete(format(TEST_PREFIX "%d", i)));
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < 20; i++) {
			ASSERT_TRUE(NEXT());
			EXPECT_VALUE(pass ? "remove" : "add", "ACTION");
			snprintf(want, sizeof(want), "vfifo/" TEST_PREFIX "%d",
				 pass ? 19 - i : i);
			EXPECT_VALUE(want, "DEVNAME");
			now = strtoull(uevent_value(&self->event, "SEQNUM"), NULL, 10);
			EXPECT_LT(last, now);
			last = now;
		}
	}
	EXPECT_NO_EVENT();
}

/* User space may ask for the event of a device again, as udevadm trigger does. */
TEST_F(events, on_demand)
{
	ASSERT_EQ(0, device_add(NAME " perm=0604"));
	ASSERT_TRUE(NEXT());
	ASSERT_EQ(0, attr_store("uevent", "change"));
	ASSERT_TRUE(NEXT());
	EXPECT_DEVICE("change");
	EXPECT_VALUE("0604", "DEVMODE");
	EXPECT_NE(NULL, strstr(attr_text("uevent"), "DEVNAME=vfifo/" NAME "\n"));
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
