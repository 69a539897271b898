// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers
//
// cxx: vfifo.hpp on a real device, which it adds. Needs root. Prints TAP.

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "vfifo.hpp"
#include "vfifo.hpp"

using vfifo::Consumer;
using vfifo::Producer;
using vfifo::Status;

static_assert(!std::is_copy_constructible_v<Producer> && !std::is_copy_assignable_v<Producer>);
static_assert(std::is_nothrow_move_constructible_v<Consumer>);
static_assert(std::is_nothrow_move_assignable_v<Consumer>);

static int failures;

#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			std::printf("# line %d: %s\n", __LINE__, #condition);                      \
			failures++;                                                                \
		}                                                                                  \
	} while (0)

static void control(const char *file, const std::string &text)
{
	std::ofstream stream(std::string("/sys/class/vfifo/") + file);

	stream << text << std::flush;
	if (!stream)
		std::printf("# cannot write \"%s\" to %s\n", text.c_str(), file);
}

// A device for one test.
struct Device {
	std::string path = "/dev/vfifo/cxx";

	explicit Device(const std::string &options) { control("new_device", "cxx " + options); }
	~Device() { control("delete_device", "cxx"); }
};

// The error of a call that throws, or 0.
static int error_of(const std::function<void()> &call)
{
	try {
		call();
	} catch (const std::system_error &error) {
		return error.code().value();
	}
	return 0;
}

static void bytes_in_place()
{
	Device device("capacity=4096");
	Producer p(device.path);
	Consumer c(device.path);

	EXPECT(p.capacity() == 4096 && c.capacity() == 4096 && p.fd() >= 0 && c.fd() >= 0);
	EXPECT(c.peek().empty());
	EXPECT(c.wait(1, 0) == Status::not_yet);
	char *to = p.reserve(5);
	EXPECT(to);
	std::copy_n("hello", 5, to);
	p.commit(5);
	EXPECT(p.queued() == 5 && c.queued() == 5);
	EXPECT(c.wait() == Status::ready);
	EXPECT(c.peek() == "hello");
	c.release(5);
	EXPECT(c.queued() == 0);
	EXPECT(p.reserve(4096));
	p.commit(4096);
	EXPECT(!p.reserve(1));
	EXPECT(p.wait(1, 10) == Status::not_yet);
}

static void copies()
{
	Device device("capacity=4096");
	Producer p(device.path);
	Consumer c(device.path);
	char buf[100];
	std::size_t len = sizeof(buf);

	EXPECT(c.take(buf, len, 0) == Status::not_yet && len == 0);
	EXPECT(p.put("hello") == Status::ready);
	len = 3;
	EXPECT(c.take(buf, len) == Status::ready && std::string_view(buf, len) == "hel");
	len = sizeof(buf);
	EXPECT(c.take(buf, len) == Status::ready && std::string_view(buf, len) == "lo");
	EXPECT(p.put(std::string(4096, 'x'), 0) == Status::ready);
	EXPECT(p.put("x", 0) == Status::not_yet);
}

static void records()
{
	Device device("framing=record");
	Producer p(device.path);
	Consumer c(device.path);
	std::vector<std::string> got;
	char buf[100];
	std::size_t len = sizeof(buf);

	for (std::string_view r : c.records())
		got.emplace_back(r);
	EXPECT(got.empty());
	EXPECT(p.put_record("one") == Status::ready);
	EXPECT(p.wait_record(3, 0) == Status::ready);
	char *to = p.reserve_record(10);
	EXPECT(to);
	std::copy_n("two", 3, to);
	p.commit_record(3);
	EXPECT(c.wait_record() == Status::ready);
	for (std::string_view r : c.records())
		got.emplace_back(r);
	EXPECT((got == std::vector<std::string>{"one", "two"}));
	c.release_records();
	EXPECT(c.queued() == 0);
	EXPECT(p.put_record("three") == Status::ready);
	EXPECT(c.take_record(buf, len) == Status::ready && std::string_view(buf, len) == "three");
}

static void overwriting()
{
	Device device("framing=record overwrite=1 capacity=4096");
	Producer p(device.path);
	Consumer c(device.path);
	char buf[100];
	std::size_t len = sizeof(buf);

	for (int i = 0; i < 1000; i++)
		EXPECT(p.put_record(std::to_string(i), 0) == Status::ready);
	EXPECT(c.take_record(buf, len) == Status::ready && len == 3);
	EXPECT(c.lost() == (1000 - 256) * 16);

	// The C functions can be used as well.
	vfifo_glance g;
	EXPECT(vfifo::check(vfifo_consumer_look_record(c.get(), &g), "look") == Status::ready);
	for (int i = 0; i < 1000; i++)
		EXPECT(p.put_record(std::to_string(i), 0) == Status::ready);
	EXPECT(vfifo::check(vfifo_consumer_check(c.get()), "check") == Status::overtaken);
}

static void ended()
{
	Device device("hangup=1 capacity=4096");
	Consumer c(device.path);

	{
		Producer p(device.path);
		EXPECT(p.put("last") == Status::ready);
	}
	EXPECT(c.wait(4) == Status::ready);
	EXPECT(c.wait(5) == Status::ended);
	c.release(c.peek().size());
	Producer p(device.path);
	EXPECT(p.put(std::string(4096, 'x')) == Status::ready);
	{
		Consumer gone(std::move(c));
	}
	EXPECT(p.put("x") == Status::ended);
}

static void exceptions()
{
	Device device("framing=record");
	Producer p(device.path);
	Consumer c(device.path);

	EXPECT(error_of([&] { Producer second(device.path); }) == EBUSY);
	EXPECT(error_of([] { Producer none("/dev/vfifo/none"); }) == ENOENT);
	EXPECT(error_of([] { Consumer none("/dev/null"); }) == ENOTTY);
	EXPECT(error_of([] { Consumer none(-1); }) == EBADF);
	EXPECT(error_of([&] { p.reserve(1); }) == EOPNOTSUPP);
	EXPECT(error_of([&] { c.peek(); }) == EOPNOTSUPP);
	EXPECT(error_of([&] { p.reserve_record(p.capacity()); }) == EMSGSIZE);
	EXPECT(error_of([&] { p.commit_record(1); }) == EINVAL);
	EXPECT(p.put_record("x") == Status::ready);
	memset(vfifo_map_at(&p.get()->map, c.get()->map.position), 0xff, 8);
	EXPECT(error_of([&] { for (auto r : c.records()) (void)r; }) == EIO);
	try {
		Producer none("/dev/vfifo/none");
	} catch (const std::system_error &error) {
		EXPECT(error.code() == std::errc::no_such_file_or_directory);
		EXPECT(std::string(error.what()).find("/dev/vfifo/none") == 0);
	}
}

static void moves()
{
	Device device("");
	Producer p(device.path), q(std::move(p));

	EXPECT(p.fd() < 0 && p.capacity() == 0 && q.fd() >= 0);
	EXPECT(error_of([&] { p.reserve(1); }) == EBADF);
	EXPECT(error_of([&] { (void)p.queued(); }) == EBADF);
	EXPECT(q.put("x") == Status::ready);
	p = std::move(q);
	EXPECT(p.put("y") == Status::ready && p.queued() == 2);
	{
		Producer last(std::move(p));
		EXPECT(error_of([&] { Producer second(device.path); }) == EBUSY);
	}
	// Destroyed, so the end is free again, and the bytes are still there.
	Consumer c(device.path);
	Producer again(device.path);
	EXPECT(c.peek() == "xy");
}

static void two_threads()
{
	Device device("framing=record hangup=1");
	Consumer c(device.path);
	long expected = 0;

	std::thread producer([path = device.path] {
		Producer p(path);
		for (long i = 0; i < 20000; i++)
			EXPECT(p.put_record({reinterpret_cast<char *>(&i), sizeof(i)}) == Status::ready);
	});
	Status status;
	while ((status = c.wait_record(10000)) == Status::ready || (status == Status::ended && !expected)) {
		for (std::string_view r : c.records()) {
			long i = -1;
			memcpy(&i, r.data(), std::min(r.size(), sizeof(i)));
			EXPECT(i == expected++);
		}
		c.release_records();
	}
	EXPECT(status == Status::ended && expected == 20000);
	producer.join();
}

int main()
{
	const std::pair<const char *, void (*)()> tests[] = {
		{"bytes_in_place", bytes_in_place}, {"copies", copies}, {"records", records},
		{"overwriting", overwriting},	    {"ended", ended},	{"exceptions", exceptions},
		{"moves", moves},		    {"two_threads", two_threads},
	};
	int number = 0, failed = 0;

	std::printf("TAP version 13\n1..%zu\n", std::size(tests));
	for (auto [name, test] : tests) {
		failures = 0;
		try {
			test();
		} catch (const std::exception &error) {
			std::printf("# %s\n", error.what());
			failures++;
		}
		std::printf("%sok %d %s\n", failures ? "not " : "", ++number, name);
		failed += failures != 0;
	}
	return failed != 0;
}
