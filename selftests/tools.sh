#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The programs of tools/vfifo, used with each other and with common programs.

# The functions are called by name, which shellcheck cannot see.
# shellcheck disable=SC2317

DIR=$(dirname "$(readlink -f "$0")")
# shellcheck source-path=SCRIPTDIR source=vfifo_lib.sh
. "$DIR/vfifo_lib.sh"

bin=$(dirname "$(helper vfifo-cat)")

# vfcat ARGUMENT...: runs vfifo-cat on the device
vfcat()
{
	limit "$bin/vfifo-cat" "$@" "$dev"
}

# lines N: the output of producer; numbered_lines N: the output of consumer.
lines()
{
	seq -f "line %.0f of $1" "$1"
}

numbered_lines()
{
	lines "$1" | awk '{ printf "%3d: %s\n", length(), $0 }'
}

producer_to_consumer()
{
	local pid rc=0

	limit "$bin/consumer" "$dev" 5000 > "$tmp/out" &
	pid=$!
	limit "$bin/producer" "$dev" 5000 || rc=1
	wait "$pid" || rc=1
	numbered_lines 5000 | cmp - "$tmp/out" || rc=1
	return "$rc"
}

producer_to_head()
{
	limit "$bin/producer" "$dev" 100 || return 1
	lines 100 > "$tmp/want"
	limit head -n 100 "$dev" | cmp - "$tmp/want"
}

echo_to_consumer()
{
	lines 3 > "$dev"
	limit "$bin/consumer" "$dev" 3 > "$tmp/out" || return 1
	numbered_lines 3 | cmp - "$tmp/out"
}

# Mapped and by system calls, in all combinations.
cat_to_cat()
{
	local size from to pid rc=0

	size=$(stat -c %s "$tmp/data")
	for from in "-w" "-wm"; do
		for to in "-n" "-mn"; do
			vfcat "$from" < "$tmp/data" &
			pid=$!
			vfcat "$to" "$size" > "$tmp/out" || rc=1
			wait "$pid" || rc=1
			cmp "$tmp/data" "$tmp/out" || rc=1
			eventually size_is 0 || rc=1
		done
	done
	return "$rc"
}

cat_takes_no_more_than_told()
{
	local how

	for how in "" "-m"; do
		# shellcheck disable=SC2086
		echo "0123456789" | vfcat -w $how -n 4 || return 1
		eventually size_is 4 || return 1
		# shellcheck disable=SC2086
		[ "$(vfcat $how -n 3)" = 012 ] || return 1
		eventually size_is 1 || return 1
		# shellcheck disable=SC2086
		vfcat $how -n 0 || return 1
		[ "$(vfcat -n 1)" = 3 ] || return 1
	done
}

cat_shows_the_rate()
{
	printf 1234567 | vfcat -wr 2> "$tmp/err" || return 1
	grep -q '^vfifo-cat: 7 bytes, [0-9.]* MB/s in all$' "$tmp/err" ||
		return 1
	[ "$(vfcat -mrn 7 2> "$tmp/err")" = 1234567 ] || return 1
	grep -q '^vfifo-cat: 7 bytes, [0-9.]* MB/s in all$' "$tmp/err"
}

# The bytes taken from the device have been written, and the others are still queued.
cat_ends_by_signal()
{
	local how signal pid rc=0

	echo "hello" > "$tmp/want"
	for how in "" "-m"; do
		for signal in INT TERM; do
			: > "$tmp/out"
			# shellcheck disable=SC2086
			"$bin/vfifo-cat" $how "$dev" > "$tmp/out" &
			pid=$!
			echo "hello" > "$dev"
			eventually cmp -s "$tmp/out" "$tmp/want" || rc=1
			kill -s "$signal" "$pid"
			wait "$pid" 2> /dev/null
			[ $? -eq $((128 + $(kill -l "$signal"))) ] || rc=1
			[ "$(cat "$sys/consumer_claimed")" -eq 0 ] || rc=1
			echo "later" > "$dev"
			[ "$(limit head -n 1 "$dev")" = later ] || rc=1
		done
	done
	return "$rc"
}

# end PID: kills the process and waits until its claim has ended.
end()
{
	kill "$1"
	wait "$1" 2> /dev/null
}

consumer_is_claimed()
{
	[ "$(cat "$sys/consumer_claimed")" -eq 1 ]
}

producer_is_claimed()
{
	[ "$(cat "$sys/producer_claimed")" -eq 1 ]
}

cat_says_what_is_wrong()
{
	local pid rc=0

	vfcat --help | grep -q "^Usage: " || return 1
	vfcat -x 2> "$tmp/err"
	[ $? -eq 2 ] || rc=1
	grep -q "^Usage: " "$tmp/err" || rc=1
	vfcat -n some 2> "$tmp/err"
	[ $? -eq 2 ] || rc=1
	vfcat "$dev" 2> "$tmp/err"
	[ $? -eq 2 ] || rc=1
	limit "$bin/vfifo-cat" /nonexistent 2> "$tmp/err"
	[ $? -eq 1 ] || rc=1
	grep -q "^vfifo-cat: /nonexistent: " "$tmp/err" || rc=1
	limit "$bin/vfifo-cat" -m /dev/null 2> "$tmp/err"
	[ $? -eq 1 ] || rc=1
	vfcat -n 1 > /dev/full 2> "$tmp/err" < /dev/null &
	pid=$!
	echo > "$dev"
	wait "$pid"
	[ $? -eq 1 ] || rc=1
	grep -q "^vfifo-cat: standard output: " "$tmp/err" || rc=1

	# One owner for each end.
	"$bin/vfifo-cat" -m "$dev" > /dev/null &
	pid=$!
	eventually consumer_is_claimed || rc=1
	vfcat -m 2> "$tmp/err"
	[ $? -eq 1 ] || rc=1
	grep -q "busy" "$tmp/err" || rc=1
	end "$pid"
	return "$rc"
}

# Permissions on the node are sufficient.
nobody_may()
{
	local mode rc=0

	mode=$(stat -c %a "$dev")
	chmod 666 "$dev"
	# The directory of the programs may be closed to other users.
	chmod 755 "$tmp"
	cp "$bin/vfifo-cat" "$tmp"
	echo "from nobody" | limit setpriv --reuid=65534 --clear-groups \
		"$tmp/vfifo-cat" -wm "$dev" || rc=1
	limit setpriv --reuid=65534 --clear-groups \
		"$tmp/vfifo-cat" -mn 12 "$dev" > "$tmp/out" || rc=1
	[ "$(cat "$tmp/out")" = "from nobody" ] || rc=1
	chmod "$mode" "$dev"
	limit setpriv --reuid=65534 --clear-groups \
		"$tmp/vfifo-cat" -m "$dev" 2> "$tmp/err"
	[ $? -eq 1 ] || rc=1
	grep -q "Permission denied" "$tmp/err" || rc=1
	return "$rc"
}

# pid_is PID STATE: whether the process is in that state, as /proc names it.
pid_is()
{
	grep -qs "^State:.*($2)" "/proc/$1/status"
}

# The program continues after SIGSTOP and SIGCONT.
cat_goes_on_after_a_stop()
{
	local pid rc=0

	"$bin/vfifo-cat" -m -n 6 "$dev" > "$tmp/out" &
	pid=$!
	for _ in 1 2 3; do
		eventually pid_is "$pid" sleeping || { end "$pid"; return 1; }
		kill -STOP "$pid"
		eventually pid_is "$pid" stopped || rc=1
		kill -CONT "$pid"
	done
	eventually pid_is "$pid" sleeping || { end "$pid"; return 1; }
	echo hello > "$dev" &
	limit tail --pid="$pid" -f /dev/null || { kill "$pid"; rc=1; }
	wait "$pid" || rc=1
	echo hello | cmp -s - "$tmp/out" || rc=1
	return $rc
}

# The line would have to stay queued, in the room that the writer needs.
consumer_refuses_too_long_a_line()
{
	local text rc=0

	head -c "$(($(cat "$sys/capacity") - 4000))" /dev/zero | tr '\0' a > "$dev"
	text=$(limit "$bin/consumer" "$dev" 1 2>&1) && rc=1
	[[ $text == *"Message too long"* ]] || rc=1
	return $rc
}

# A line that cannot be printed stays queued.
consumer_keeps_what_does_not_go_out()
{
	local rc=0

	echo hello > "$dev"
	limit "$bin/consumer" "$dev" 1 > /dev/full 2> /dev/null && rc=1
	size_is 6 || rc=1
	return $rc
}

# The store queues nothing, the commit does, and read(2) returns the bytes.
test_mmap_queues()
{
	local want text="Hello from a pointer"

	printf -v want '%s\n' "stored, and read back: $text" "queued: 0 bytes" "" \
		"reserved and stored; queued: 0 bytes" \
		"committed; queued: $((${#text} + 1)) bytes" \
		"read(2) returned: $text"
	limit "$bin/test_mmap" "$dev" > "$tmp/out" || return 1
	printf '%s' "$want" | cmp - "$tmp/out" || return 1
	# The ends are free again, and nothing is left.
	size_is 0 && [ "$(cat "$sys/producer_claimed")" -eq 0 ]
}

# Bytes that are queued are not overwritten.
test_mmap_needs_an_empty_fifo()
{
	local rc=0

	echo hello > "$dev"
	limit "$bin/test_mmap" "$dev" > "$tmp/out" 2> "$tmp/err" && rc=1
	[ ! -s "$tmp/out" ] || rc=1
	grep -qx "test_mmap: $dev: 6 bytes are queued; read them first" \
		"$tmp/err" || rc=1
	[ "$(limit head -n 1 "$dev")" = hello ] || rc=1
	return "$rc"
}

# It claims the producer's end, so an owner is in its way.
test_mmap_says_that_an_end_is_claimed()
{
	local pid rc=0

	"$bin/vfifo-cat" -wm "$dev" < "$tmp/fifo" &
	pid=$!
	# Keeps the program waiting for input.
	exec 4> "$tmp/fifo"
	eventually producer_is_claimed || rc=1
	limit "$bin/test_mmap" "$dev" > /dev/null 2> "$tmp/err" && rc=1
	grep -q "claiming the producer's end: Device or resource busy" \
		"$tmp/err" || rc=1
	exec 4>&-
	wait "$pid" || rc=1
	return "$rc"
}

# set_up FRAMING OVERWRITE CAPACITY HANGUP: for an empty device that nobody has mapped.
set_up()
{
	echo "$1" > "$sys/framing" && echo "$2" > "$sys/overwrite" &&
		echo "$3" > "$sys/capacity" && echo "$4" > "$sys/hangup"
}

restore()
{
	fresh
	# shellcheck disable=SC2086
	set_up $settings
}

record_sender_to_itself()
{
	local pid rc=0

	set_up record 0 2097152 0 || return 1
	limit "$bin/record-sender" -r "$dev" > "$tmp/out" &
	pid=$!
	limit "$bin/record-sender" "$dev" 5 || rc=1
	wait "$pid" || rc=1
	grep -qx "5 pictures, 0 wrong pixels" "$tmp/out" || rc=1
	return "$rc"
}

record_sender_says_what_is_wrong()
{
	local text rc=0

	set_up stream 0 65536 0 || return 1
	text=$(limit "$bin/record-sender" "$dev" 2>&1) && rc=1
	[[ $text == *"needs framing=record and overwrite=0"* ]] || rc=1
	set_up record 0 65536 0 || rc=1
	text=$(limit "$bin/record-sender" "$dev" 2>&1) && rc=1
	[[ $text == *"has room for records of 65528 bytes"* ]] || rc=1
	return "$rc"
}

# The oldest lines have made way, the newest are there in their order.
recorder_keeps_the_newest()
{
	local rc=0

	set_up record 1 4096 0 || return 1
	lines 1000 | limit "$bin/recorder" "$dev" || rc=1
	limit "$bin/recorder" --dump "$dev" > "$tmp/out" 2> "$tmp/err" || rc=1
	grep -q "bytes were overwritten" "$tmp/err" || rc=1
	sed 's/.* ago: //' "$tmp/out" > "$tmp/got"
	[ "$(wc -l < "$tmp/got")" -gt 50 ] || rc=1
	lines 1000 | tail -n "$(wc -l < "$tmp/got")" | cmp - "$tmp/got" || rc=1
	# They have been removed.
	[ -z "$(limit "$bin/recorder" --dump=100 "$dev")" ] || rc=1
	return "$rc"
}

recorder_says_what_is_wrong()
{
	local text rc=0

	set_up stream 0 65536 0 || return 1
	text=$(echo | limit "$bin/recorder" "$dev" 2>&1) && rc=1
	[[ $text == *"needs framing=record and overwrite=1"* ]] || rc=1
	return "$rc"
}

is_listening()
{
	[ -S "$tmp/socket" ]
}

has_counted()
{
	[ "$(limit python3 -E -S -c '
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
print(client.makefile().read(), end="")' "$tmp/socket")" = "$dev: $1" ]
}

# It counts what arrives, tells clients, and ends with the last writer.
event_loop_counts()
{
	local pid rc=0

	set_up stream 0 65536 1 || return 1
	limit "$bin/event-loop" "$tmp/socket" "$dev" > "$tmp/out" &
	pid=$!
	eventually is_listening || rc=1
	exec 4> "$dev"
	head -c 100000 /dev/zero >&4
	if command -v python3 > /dev/null; then
		eventually has_counted 100000 || rc=1
	fi
	exec 4>&-
	wait "$pid" || rc=1
	echo "$dev: ended after 100000 bytes" | cmp - "$tmp/out" || rc=1
	[ ! -e "$tmp/socket" ] || rc=1
	return "$rc"
}

event_loop_says_what_is_wrong()
{
	local text rc=0

	text=$(limit "$bin/event-loop" "$tmp/socket" /nonexistent 2>&1) && rc=1
	[ "$text" = "event-loop: /nonexistent: No such file or directory" ] || rc=1
	text=$(limit "$bin/event-loop" /nonexistent/socket "$dev" 2>&1) && rc=1
	[[ $text == "event-loop: /nonexistent/socket: "* ]] || rc=1
	return "$rc"
}

tests="producer_to_consumer producer_to_head echo_to_consumer cat_to_cat
       cat_goes_on_after_a_stop consumer_refuses_too_long_a_line
       consumer_keeps_what_does_not_go_out
       cat_takes_no_more_than_told cat_shows_the_rate cat_ends_by_signal
       cat_says_what_is_wrong test_mmap_queues test_mmap_needs_an_empty_fifo
       test_mmap_says_that_an_end_is_claimed nobody_may
       record_sender_to_itself record_sender_says_what_is_wrong
       recorder_keeps_the_newest recorder_says_what_is_wrong
       event_loop_counts event_loop_says_what_is_wrong"

# shellcheck disable=SC2086
set -- $tests
plan "$@"

export LC_ALL=C
settings=$(cat "$sys/framing" "$sys/overwrite" "$sys/capacity" "$sys/hangup")
trap 'restore; rm -rf "$tmp"' EXIT
head -c 1000000 /dev/urandom > "$tmp/data"
mkfifo "$tmp/fifo"

for t in "$@"; do
	fresh
	if [ "$t" = nobody_may ] && ! { [ "$(id -u)" -eq 0 ] &&
	   command -v setpriv > /dev/null; }; then
		ktap_test_skip "$t: needs root and setpriv"
		continue
	fi
	ktap_test_result "$t" "$t"
	restore
done
ktap_finished
