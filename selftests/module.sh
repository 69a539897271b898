#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Loading and unloading the vfifo driver: parameters, and who keeps it loaded.
#
# VFIFO_MODULE names the module, or is the path of its .ko file. What was loaded
# before is loaded again afterwards, with as many devices of the same capacity.

DIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=/dev/null
. "$DIR/../kselftest/ktap_helpers.sh"

module=${VFIFO_MODULE:-rust_vfifo}
class=/sys/class/vfifo
DEADLINE=20

# Built elsewhere than here, and not installed.
hold_map=$DIR/hold_map
[ -x "$hold_map" ] || hold_map=$OUTPUT/hold_map

name=$(basename "$module" .ko)
name=${name//-/_}

loaded()
{
	grep -q "^$name " /proc/modules 2> /dev/null
}

# load [PARAMETER=VALUE...]
load()
{
	case $module in
	*/*)	insmod "$module" "$@" ;;
	*)	modprobe "$module" "$@" ;;
	esac
}

# The reference of a process that has just ended may take a moment to go.
unload()
{
	local end=$((SECONDS + DEADLINE))

	while loaded; do
		rmmod "$name" 2> /dev/null && return 0
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# stays_loaded: rmmod says that the module is in use, and means it.
# shellcheck disable=SC2317
stays_loaded()
{
	local out

	out=$(LC_ALL=C rmmod "$name" 2>&1) && return 1
	[[ $out == *"in use"* || $out == *"temporarily unavailable"* ]] || {
		echo "# $out"
		return 1
	}
	loaded && [ -c /dev/vfifo0 ]
}

# attr N NAME
attr()
{
	cat "$class/vfifo$1/$2"
}

# shellcheck disable=SC2317
defaults()
{
	load || return 1
	[ "$(ls $class)" = vfifo0 ] || return 1
	[ -c /dev/vfifo0 ] || return 1
	[ "$(attr 0 capacity)" -eq 65536 ] || [ "$(getconf PAGESIZE)" -gt 65536 ] ||
		return 1
	[ "$(attr 0 size)" -eq 0 ] || return 1
	[ "$(attr 0 mode)" -eq 0 ] || return 1
	[ "$(attr 0 period_ms)" -eq 1000 ] || return 1
	[ "$(attr 0 stats/bytes_written)" -eq 0 ] || return 1
	[ "$(attr 0 stats/dropped)" -eq 0 ]
}

# shellcheck disable=SC2317
unloading_leaves_nothing()
{
	load devices=3 || return 1
	[ -c /dev/vfifo2 ] || return 1
	unload || return 1
	[ ! -e $class ] || return 1
	! compgen -G "/dev/vfifo*" > /dev/null || return 1
	! grep -q vfifo /proc/devices
}

# shellcheck disable=SC2317
several_devices()
{
	local i

	load devices=4 || return 1
	[ "$(find $class -mindepth 1 | wc -l)" -eq 4 ] || return 1
	[ "$(cat $class/*/dev | sort -u | wc -l)" -eq 4 ] || return 1
	for i in 0 1 2 3; do
		[ -c /dev/vfifo$i ] || return 1
		printf "%$((i + 1))s" "" > /dev/vfifo$i || return 1
	done
	echo 16384 > $class/vfifo1/capacity || return 1
	echo 77 > $class/vfifo2/period_ms || return 1
	for i in 0 1 2 3; do
		[ "$(attr $i size)" -eq $((i + 1)) ] || return 1
	done
	[ "$(attr 2 capacity)" -ne 16384 ] || [ "$(getconf PAGESIZE)" -gt 4096 ] ||
		return 1
	[ "$(attr 3 period_ms)" -eq 1000 ]
}

# shellcheck disable=SC2317
size_is_rounded_up()
{
	local page

	page=$(getconf PAGESIZE)
	load buffer_size=1 || return 1
	[ "$(attr 0 capacity)" -eq "$page" ] || return 1
	unload || return 1
	load "buffer_size=$((page + 1))" || return 1
	[ "$(attr 0 capacity)" -eq $((2 * page)) ] || return 1
	unload || return 1
	load "buffer_size=$((64 * page))" || return 1
	[ "$(attr 0 capacity)" -eq $((64 * page)) ]
}

# shellcheck disable=SC2317
bad_parameters()
{
	local p out rc=0

	for p in buffer_size=0 buffer_size=1073741825 buffer_size=4294967296 \
		 buffer_size=18446744073709551616 buffer_size=-1 \
		 buffer_size=many buffer_size= \
		 devices=0 devices=257 devices=-1 devices=some; do
		if out=$(LC_ALL=C load "$p" 2>&1); then
			echo "# $p was accepted"
			rc=1
			unload || return 1
			continue
		fi
		# Beyond 64 bits, the parser of numbers may have its own word.
		if [[ $out != *"Invalid "* && $out != *"out of range"* ]]; then
			echo "# $p: $out"
			rc=1
		fi
		if loaded || [ -e $class ] || [ -e /dev/vfifo0 ]; then
			echo "# $p left something behind"
			rc=1
		fi
	done
	return $rc
}

# shellcheck disable=SC2317
open_file_keeps_it()
{
	local rc=0

	load || return 1
	exec 3<> /dev/vfifo0 || return 1
	stays_loaded || rc=1
	echo "still here" >&3 || rc=1
	[ "$(attr 0 size)" -eq 11 ] || rc=1
	exec 3>&-
	unload || rc=1
	return $rc
}

# shellcheck disable=SC2317
mapping_keeps_it()
{
	local rc=0 said input

	load || return 1
	coproc HOLD { exec timeout "$DEADLINE" "$hold_map" /dev/vfifo0; }
	read -r -t "$DEADLINE" said <&"${HOLD[0]}"
	if [ "$said" != mapped ]; then
		echo "# hold_map: $said"
		rc=1
	fi
	stays_loaded || rc=1
	input=${HOLD[1]}
	exec {input}>&-
	wait "$HOLD_PID" || rc=1
	unload || rc=1
	return $rc
}

# shellcheck disable=SC2317
sleeping_reader_keeps_it()
{
	local rc=0 pid end=$((SECONDS + DEADLINE))

	load || return 1
	head -c 1 /dev/vfifo0 > /dev/null &
	pid=$!
	until [ "$(readlink "/proc/$pid/fd/3" "/proc/$pid/fd/0" |
		   grep -c vfifo0)" -gt 0 ]; do
		[ "$SECONDS" -lt "$end" ] || break
		sleep 0.05
	done
	stays_loaded || rc=1
	kill "$pid"
	wait "$pid" 2> /dev/null
	unload || rc=1
	return $rc
}

# An attribute that somebody has open is cut off, and doesn't hold up unloading.
# shellcheck disable=SC2317
open_attribute_does_not_keep_it()
{
	local rc=0

	load || return 1
	exec 3< $class/vfifo0/size || return 1
	unload || rc=1
	cat <&3 > /dev/null 2>&1 && rc=1
	exec 3>&-
	return $rc
}

# shellcheck disable=SC2317
unloading_while_generating()
{
	local i

	for i in 1 2 3 4 5; do
		load devices=2 || return 1
		echo 1 > $class/vfifo0/period_ms || return 1
		echo 1 > $class/vfifo1/period_ms || return 1
		echo 1 > $class/vfifo0/mode || return 1
		echo 1 > $class/vfifo1/mode || return 1
		[ "$(timeout "$DEADLINE" head -c "$((5 * i))" /dev/vfifo1 |
		     wc -c)" -eq $((5 * i)) ] || return 1
		unload || return 1
	done
}

# shellcheck disable=SC2317
no_kernel_warning()
{
	# Bits 7 and 9: the kernel has died, or has warned.
	[ $((($(cat /proc/sys/kernel/tainted) & ~tainted) & 0x280)) -eq 0 ]
}

# shellcheck disable=SC2317
restore()
{
	[ -n "$before" ] || return 0
	# shellcheck disable=SC2086
	unload && load $before
}

skip()
{
	ktap_skip_all "$1"
	exit "$KSFT_SKIP"
}

tests="defaults unloading_leaves_nothing several_devices size_is_rounded_up
       bad_parameters open_file_keeps_it mapping_keeps_it
       sleeping_reader_keeps_it open_attribute_does_not_keep_it
       unloading_while_generating no_kernel_warning"

ktap_print_header
[ "$(id -u)" -eq 0 ] || skip "only root can load modules"
before=
if loaded; then
	before="devices=$(find $class -mindepth 1 | wc -l)"
	before+=" buffer_size=$(attr 0 capacity)"
elif [ -e $class ]; then
	skip "the driver is built in"
elif [ ! -e "$module" ] && ! modprobe -q -n "$module"; then
	skip "there is no module $module"
fi
# shellcheck disable=SC2086
set -- $tests
ktap_set_plan $#
tainted=$(cat /proc/sys/kernel/tainted)
trap restore EXIT

for t in "$@"; do
	# Whoever runs this closed the device, so it must be possible.
	if ! unload; then
		ktap_test_fail "$t: the module can't be unloaded"
		continue
	fi
	ktap_test_result "$t" "$t"
done
unload
ktap_finished
