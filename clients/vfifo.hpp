// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers
//
// The ends of a vfifo for C++17: vfifo::Producer and vfifo::Consumer give their end back when
// they are destroyed. They can be moved, not copied. What the C headers say holds here as well.
//
// What is normal is a Status; all else is a std::system_error with the error number that the C
// function returns: its code() is, for example, std::errc::io_error in the error state.
#ifndef VFIFO_HPP
#define VFIFO_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "vfifo_copy.h"

namespace vfifo {

enum class [[nodiscard]] Status {
	ready,		// done, or there is what was asked for
	not_yet,	// nothing is queued, or there is no room; the timeout has expired
	ended,		// all writers, or all readers, have gone
	overtaken,	// the producer has overwritten what was looked at
};

// Throws if a C function has returned an error.
inline void require(long ret, const char *what)
{
	if (ret < 0)
		throw std::system_error(int(-ret), std::generic_category(), what);
}

// The same, but what is normal is a Status.
inline Status check(long ret, const char *what)
{
	switch (-ret) {
	case EAGAIN: return Status::not_yet;
	case ENODATA: case EPIPE: return Status::ended;
	case ESTALE: return Status::overtaken;
	}
	require(ret, what);
	return Status::ready;
}

// The same for a pointer. nullptr: nothing yet.
template <typename T> T *check(T *place, const char *what)
{
	if (!place && errno != EAGAIN)
		require(-errno, what);
	return place;
}

// What both ends have. get() is for the C functions that are not here.
template <typename Handle, bool IsProducer> class End {
public:
	explicit End(const std::string &path)
	{ require(vfifo_map_open(&end_.map, IsProducer, path.c_str()), path.c_str()); }
	explicit End(int fd) { require(vfifo_map_open_fd(&end_.map, IsProducer, fd, false), "fd"); }
	End(End &&other) noexcept : end_(other.end_) { other.end_ = Handle(); }
	End &operator=(End &&other) noexcept { return std::swap(end_, other.end_), *this; }
	~End() { vfifo_map_close(&end_.map); }

	int fd() const { return vfifo_map_fd(&end_.map); }
	std::size_t capacity() const { return end_.map.capacity; }
	std::size_t queued() const { return number(vfifo_map_queued(&end_.map, IsProducer)); }
	Handle *get() { return &end_; }

protected:
	static std::size_t number(ssize_t n) { return require(n, "vfifo"), std::size_t(n); }
	Handle end_ = Handle();
};

class Producer : public End<vfifo_producer, true> {
public:
	using End::End;
	// Copies: all bytes or none, or a record. Also for a producer that overwrites.
	Status put(std::string_view from, int timeout = -1)
	{ return check(vfifo_producer_put(&end_, from.data(), from.size(), timeout), "put"); }
	Status put_record(std::string_view r, int timeout = -1)
	{ return check(vfifo_producer_put_record(&end_, r.data(), r.size(), timeout), "put"); }
	// In place. nullptr: there is no room now.
	Status wait(std::size_t need, int timeout = -1)
	{ return check(vfifo_producer_wait(&end_, need, timeout), "wait"); }
	char *reserve(std::size_t len)
	{ return static_cast<char *>(check(vfifo_producer_reserve(&end_, len), "reserve")); }
	void commit(std::size_t len) { require(vfifo_producer_commit(&end_, len), "commit"); }
	Status wait_record(std::size_t len, int timeout = -1)
	{ return check(vfifo_producer_wait_record(&end_, len, timeout), "wait"); }
	char *reserve_record(std::size_t len)
	{ return static_cast<char *>(check(vfifo_producer_reserve_record(&end_, len), "reserve")); }
	void commit_record(std::size_t len)
	{ require(vfifo_producer_commit_record(&end_, len), "commit"); }
};

// The records that are queued, in place, each one once: an iterator, and its range.
struct Records {
	vfifo_consumer *consumer;	// none after the last one
	vfifo_view view = vfifo_view();

	Records begin() const { return ++Records(*this); }
	Records end() const { return {nullptr}; }
	bool operator!=(const Records &other) const { return consumer != other.consumer; }
	std::string_view operator*() const
	{ return {static_cast<const char *>(view.data), view.len}; }
	Records &operator++()
	{
		if (check(vfifo_consumer_next_record(consumer, &view), "record") != Status::ready)
			consumer = nullptr;
		return *this;
	}
};

class Consumer : public End<vfifo_consumer, false> {
public:
	using End::End;
	// Copies at most len bytes, or a record, also while the producer overwrites. Sets len.
	Status take(void *to, std::size_t &len, int timeout = -1)
	{ return taken(vfifo_consumer_take(&end_, to, len, timeout), len); }
	Status take_record(void *to, std::size_t &len, int timeout = -1)
	{ return taken(vfifo_consumer_take_record(&end_, to, len, timeout), len); }
	// In place. Empty: nothing is queued now.
	Status wait(std::size_t need = 1, int timeout = -1)
	{ return check(vfifo_consumer_wait(&end_, need, timeout), "wait"); }
	std::string_view peek()
	{
		std::size_t len;
		const void *from = check(vfifo_consumer_peek(&end_, &len), "peek");
		return {static_cast<const char *>(from), len};
	}
	void release(std::size_t len) { require(vfifo_consumer_release(&end_, len), "release"); }
	// Records in place: for (std::string_view r : consumer.records()), then release_records().
	// It ends with the last record that is queued.
	Status wait_record(int timeout = -1)
	{ return check(vfifo_consumer_wait_record(&end_, timeout), "wait"); }
	void release_records() { require(vfifo_consumer_release_records(&end_), "release"); }
	Records records() { return {&end_}; }
	std::size_t lost() const { return number(vfifo_consumer_lost(&end_)); }

private:
	static Status taken(ssize_t n, std::size_t &len)
	{ return len = n < 0 ? 0 : std::size_t(n), check(n, "take"); }
};

} // namespace vfifo

#endif // VFIFO_HPP
