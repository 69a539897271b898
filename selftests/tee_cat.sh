#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Ordinary programs use a vfifo as they would a named pipe.

DIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=/dev/null
. "$DIR/../kselftest/ktap_helpers.sh"

name=${VFIFO_NAME:-vfifo0}
dev=/dev/$name
sys=/sys/class/vfifo/$name

# Seconds after which a program that should have ended is ended.
DEADLINE=$((20 * ${VFIFO_SCALE:-1}))

# Called by name below, which shellcheck can't see.
# shellcheck disable=SC2317
limit()
{
	timeout "$DEADLINE" "$@"
}

# size_becomes N: waits until N bytes are queued.
# shellcheck disable=SC2317
size_becomes()
{
	local end=$((SECONDS + DEADLINE))

	until [ "$(cat "$sys/size")" -eq "$1" ]; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# file_becomes FILE WANTED: waits until both have the same content.
# shellcheck disable=SC2317
file_becomes()
{
	local end=$((SECONDS + DEADLINE))

	until cmp -s "$1" "$2"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# shellcheck disable=SC2317
echo_tee_head()
{
	echo "hello, vfifo" | limit tee "$dev" > "$tmp/tee" || return 1
	[ "$(cat "$tmp/tee")" = "hello, vfifo" ] || return 1
	size_becomes 13 || return 1
	[ "$(limit head -n 1 "$dev")" = "hello, vfifo" ] || return 1
	size_becomes 0
}

# There is no end of file: cat goes on, and shows each line as it comes.
# shellcheck disable=SC2317
cat_follows()
{
	local rc=0 pid

	timeout "$((3 * DEADLINE))" cat "$dev" > "$tmp/cat" &
	pid=$!
	echo "first" > "$dev"
	echo "first" > "$tmp/want"
	file_becomes "$tmp/cat" "$tmp/want" || rc=1
	echo "second" >> "$dev"
	echo "second" >> "$tmp/want"
	file_becomes "$tmp/cat" "$tmp/want" || rc=1
	kill -0 "$pid" 2> /dev/null || rc=1
	kill "$pid"
	wait "$pid" 2> /dev/null
	return "$rc"
}

# shellcheck disable=SC2317
dd_odd_blocks()
{
	limit dd if="$tmp/data" of="$dev" bs=777 count=20 status=none || return 1
	size_becomes 15540 || return 1
	limit dd if="$dev" of="$tmp/out" bs=1111 count=15540 \
		iflag=fullblock,count_bytes status=none || return 1
	cmp -n 15540 "$tmp/data" "$tmp/out" && size_becomes 0
}

# Many times what the buffer holds.
# shellcheck disable=SC2317
dd_through()
{
	local rc=0 pid

	limit dd if="$tmp/data" of="$dev" bs=70001 status=none &
	pid=$!
	limit head -c 1000000 "$dev" > "$tmp/out" || rc=1
	wait "$pid" || rc=1
	cmp "$tmp/data" "$tmp/out" || rc=1
	return "$rc"
}

# shellcheck disable=SC2317
dd_nonblock()
{
	local out

	out=$(LC_ALL=C limit dd if="$dev" iflag=nonblock count=1 2>&1 \
	      > /dev/null) && return 1
	[[ $out == *"Resource temporarily unavailable"* ]]
}

# shellcheck disable=SC2317
generation()
{
	local rc=0

	echo 20 > "$sys/period_ms" || return 1
	echo auto > "$sys/mode" || return 1
	[ "$(limit head -c 15 "$dev")" = "AUTO AUTO AUTO " ] || rc=1
	echo manual > "$sys/mode" || rc=1
	[ "$(cat "$sys/mode")" = 0 ] || rc=1
	return "$rc"
}

# What the shell says when the driver refuses.
# shellcheck disable=SC2317
refusals()
{
	local out

	out=$(LC_ALL=C bash -c 'echo 2 > "$1"' - "$sys/mode" 2>&1) && return 1
	[[ $out == *"Invalid argument"* ]] || return 1
	out=$(LC_ALL=C bash -c 'echo 0 > "$1"' - "$sys/period_ms" 2>&1) &&
		return 1
	[[ $out == *"out of range"* ]]
}

restore()
{
	echo 0 > "$sys/mode"
	echo "$period" > "$sys/period_ms"
	rm -rf "$tmp"
}

tests="echo_tee_head cat_follows dd_odd_blocks dd_through dd_nonblock generation
       refusals"

ktap_print_header
if [ ! -d /sys/class/vfifo ]; then
	ktap_skip_all "no /sys/class/vfifo: load the driver first"
	exit "$KSFT_SKIP"
fi
# shellcheck disable=SC2086
set -- $tests
ktap_set_plan $#

tmp=$(mktemp -d) || ktap_exit_fail_msg "no temporary directory"
period=$(cat "$sys/period_ms")
trap restore EXIT
head -c 1000000 /dev/urandom > "$tmp/data"

for t in "$@"; do
	# Each starts with an empty FIFO that nobody else fills.
	echo 0 > "$sys/mode"
	dd if="$dev" of=/dev/null bs=1M iflag=nonblock 2> /dev/null
	ktap_test_result "$t" "$t"
done
ktap_finished
