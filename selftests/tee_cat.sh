#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Common programs use a vfifo like a named pipe.

# The functions are called by name, which shellcheck cannot see.
# shellcheck disable=SC2317

DIR=$(dirname "$(readlink -f "$0")")
# shellcheck source-path=SCRIPTDIR source=vfifo_lib.sh
. "$DIR/vfifo_lib.sh"

echo_tee_head()
{
	echo "hello, vfifo" | limit tee "$dev" > "$tmp/tee" || return 1
	[ "$(cat "$tmp/tee")" = "hello, vfifo" ] || return 1
	eventually size_is 13 || return 1
	[ "$(limit head -n 1 "$dev")" = "hello, vfifo" ] || return 1
	eventually size_is 0
}

# cat gets no end of file, and shows each line as it comes.
cat_follows()
{
	local rc=0 pid

	timeout "$((3 * DEADLINE))" cat "$dev" > "$tmp/cat" &
	pid=$!
	echo "first" > "$dev"
	echo "first" > "$tmp/want"
	eventually cmp -s "$tmp/cat" "$tmp/want" || rc=1
	echo "second" >> "$dev"
	echo "second" >> "$tmp/want"
	eventually cmp -s "$tmp/cat" "$tmp/want" || rc=1
	kill -0 "$pid" 2> /dev/null || rc=1
	kill "$pid"
	wait "$pid" 2> /dev/null
	return "$rc"
}

dd_odd_blocks()
{
	limit dd if="$tmp/data" of="$dev" bs=777 count=20 status=none || return 1
	eventually size_is 15540 || return 1
	limit dd if="$dev" of="$tmp/out" bs=1111 count=15540 \
		iflag=fullblock,count_bytes status=none || return 1
	cmp -n 15540 "$tmp/data" "$tmp/out" && eventually size_is 0
}

# Many times the capacity.
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

dd_nonblock()
{
	local out

	out=$(LC_ALL=C limit dd if="$dev" iflag=nonblock count=1 2>&1 \
	      > /dev/null) && return 1
	[[ $out == *"Resource temporarily unavailable"* ]]
}

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

# The shell reports errors of the driver.
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
	echo "$hangup" > "$sys/hangup"
	rm -rf "$tmp"
}

tests="echo_tee_head cat_follows dd_odd_blocks dd_through dd_nonblock generation
       refusals"

# shellcheck disable=SC2086
set -- $tests
plan "$@"

period=$(cat "$sys/period_ms")
hangup=$(cat "$sys/hangup")
echo 0 > "$sys/hangup"
trap restore EXIT
head -c 1000000 /dev/urandom > "$tmp/data"

for t in "$@"; do
	fresh
	ktap_test_result "$t" "$t"
done
ktap_finished
