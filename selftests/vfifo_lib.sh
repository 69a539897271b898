# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced by the test scripts, with DIR set to their directory.

# shellcheck source=/dev/null
. "$DIR/../kselftest/ktap_helpers.sh"

# The device under test, and its attributes. A name that is not "vfifo" and a number has its
# node in a directory.
dev=/dev/${VFIFO_NAME:-vfifo0}
[[ $dev =~ ^/dev/vfifo[0-9]+$ ]] || dev=/dev/vfifo/$VFIFO_NAME
sys=/sys/class/vfifo/${VFIFO_NAME:-vfifo0}

# Seconds after which a program is killed, and an expected event is a failure.
DEADLINE=$((30 * ${VFIFO_SCALE:-1}))

# limit COMMAND...
limit()
{
	timeout "$DEADLINE" "$@"
}

# eventually COMMAND...: waits until it succeeds.
eventually()
{
	local end=$((SECONDS + DEADLINE))

	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# size_is N: whether N bytes are queued.
size_is()
{
	[ "$(cat "$sys/size")" -eq "$1" ]
}

# helper NAME: the path of that program, which may be in another build directory.
helper()
{
	if [ -x "$DIR/$1" ]; then echo "$DIR/$1"; else echo "$OUTPUT/$1"; fi
}

# plan TEST...: begins the output and creates the directory $tmp, which the caller removes.
# Skips all tests if the driver is not loaded.
plan()
{
	ktap_print_header
	if [ ! -d /sys/class/vfifo ]; then
		ktap_skip_all "no /sys/class/vfifo: load the driver first"
		exit "$KSFT_SKIP"
	fi
	ktap_set_plan $#
	# shellcheck disable=SC2034
	tmp=$(mktemp -d) || ktap_exit_fail_msg "no temporary directory"
}

# fresh: empties the FIFO and turns generation off.
fresh()
{
	echo 0 > "$sys/mode"
	dd if="$dev" of=/dev/null bs=1M iflag=nonblock 2> /dev/null
}
