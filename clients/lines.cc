// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers
//
// lines [-r] [DEVICE]: puts the lines of standard input into a vfifo, each as a record; with -r,
// prints them, until all writers have gone. As root:
//
//	echo 'lines framing=record hangup=1' > /sys/class/vfifo/new_device
//	lines -r /dev/vfifo/lines &
//	seq 10 | lines /dev/vfifo/lines
//
// An example in C++17: make -C clients lines. See vfifo.hpp for the rules.

#include <iostream>
#include <string>

#include "vfifo.hpp"

static void put_lines(const std::string &device)
{
	vfifo::Producer producer(device);

	// A record has at least one byte, so the newline is a part of it.
	for (std::string line; std::getline(std::cin, line);)
		if (producer.put_record(line + '\n') == vfifo::Status::ended)
			return;
}

static void print_lines(const std::string &device)
{
	vfifo::Consumer consumer(device);

	while (consumer.wait_record() == vfifo::Status::ready) {
		// In place: a view is valid until the records are released.
		for (std::string_view line : consumer.records())
			std::cout << line;
		std::cout.flush();
		consumer.release_records();
	}
}

int main(int argc, char **argv)
{
	const bool prints = argc > 1 && argv[1] == std::string("-r");
	const char *device = argc > 1 + prints ? argv[1 + prints] : "/dev/vfifo0";

	try {
		prints ? print_lines(device) : put_lines(device);
	} catch (const std::system_error &error) {
		std::cerr << argv[0] << ": " << device << ": " << error.code().message() << '\n';
		if (error.code() == std::errc::operation_not_supported)
			std::cerr << argv[0] << ": the device needs framing=record\n";
		return 1;
	}
	return 0;
}
