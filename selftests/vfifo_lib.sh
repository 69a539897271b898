# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts here have in common. It is sourced by them, with DIR set to where they are.

# shellcheck source=/dev/null
. "$DIR/../kselftest/ktap_helpers.sh"

# The device that is used, and its attributes.
dev=/dev/${VFIFO_NAME:-vfifo0}
sys=/sys/class/vfifo/${VFIFO_NAME:-vfifo0}

# Seconds after which a program that should have ended is ended, and what should have come has not.
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

# helper NAME: where that program is, perhaps built elsewhere and not installed.
helper()
{
	if [ -x "$DIR/$1" ]; then echo "$DIR/$1"; else echo "$OUTPUT/$1"; fi
}

# plan TEST...: begins the output, and makes the folder $tmp, which the caller removes. Skips all if
# there is no driver.
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

# fresh: for a test to start with an empty FIFO that nobody else fills.
fresh()
{
	echo 0 > "$sys/mode"
	dd if="$dev" of=/dev/null bs=1M iflag=nonblock 2> /dev/null
}
