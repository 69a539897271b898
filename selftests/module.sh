#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Loading and unloading the module: its parameters, its uevents, and what keeps it loaded.
#
# VFIFO_MODULE is the name of the module or the path of its .ko file. A module that was
# loaded before is loaded again at exit, with as many devices of the same capacity, mode and
# hangup. If devices were added at run time, the tests are skipped.

# The functions are called by name, which shellcheck cannot see.
# shellcheck disable=SC2317

DIR=$(dirname "$(readlink -f "$0")")
# shellcheck source-path=SCRIPTDIR source=vfifo_lib.sh
. "$DIR/vfifo_lib.sh"
# shellcheck source-path=SCRIPTDIR source=module_lib.sh
. "$DIR/module_lib.sh"

hold_map=$(helper hold_map)
uevents=$(helper uevents)

# stays_loaded: whether rmmod fails because the module is in use, and nothing changes.
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

defaults()
{
	load || return 1
	[ "$(devices)" = vfifo0 ] || return 1
	[ -c /dev/vfifo0 ] || return 1
	[ "$(attr 0 capacity)" -eq 65536 ] || [ "$(getconf PAGESIZE)" -gt 65536 ] ||
		return 1
	[ "$(attr 0 size)" -eq 0 ] || return 1
	[ "$(attr 0 mode)" -eq 0 ] || return 1
	[ "$(attr 0 period_ms)" -eq 1000 ] || return 1
	[ "$(attr 0 hangup)" -eq 0 ] || return 1
	[ "$(attr 0 stats/bytes_written)" -eq 0 ] || return 1
	[ "$(attr 0 stats/dropped)" -eq 0 ]
}

unloading_leaves_nothing()
{
	load devices=3 || return 1
	[ -c /dev/vfifo2 ] || return 1
	unload || return 1
	[ ! -e $class ] || return 1
	! compgen -G "/dev/vfifo*" > /dev/null || return 1
	! grep -q vfifo /proc/devices
}

# "modprobe vfifo" is to find it, like the device and its class.
alias_is_vfifo()
{
	modinfo -F alias "$module" | grep -qx vfifo
}

several_devices()
{
	local i

	load devices=4 || return 1
	[ "$(devices | wc -l)" -eq 4 ] || return 1
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

no_device()
{
	load devices=0 || return 1
	[ -z "$(devices)" ] || return 1
	! compgen -G "/dev/vfifo*" > /dev/null || return 1
	[ -e $class/new_device ] && [ -e $class/delete_device ]
}

perm_is_the_mode()
{
	load || return 1
	[ "$(mode 0)" = 600 ] || return 1
	unload || return 1
	load perm=0640 devices=2 || return 1
	[ "$(mode 0)" = 640 ] && [ "$(mode 1)" = 640 ] || return 1
	unload || return 1
	# Without a 0 in front the number is decimal. The log shows what it means.
	says "perm=0670" perm=440 || return 1
	[ "$(mode 0)" = 670 ]
}

# Files of the class that are open do not keep the module, and do nothing after it has gone.
open_class_file_does_not_keep_it()
{
	local rc=0

	load devices=0 || return 1
	exec 3> $class/new_device || return 1
	unload || rc=1
	LC_ALL=C printf 'test-late\n' 2>&1 >&3 | grep -q "No such device" || rc=1
	exec 3>&-
	unloaded || rc=1
	return $rc
}

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

# The initial value of the attribute, for every device.
hangup_parameter()
{
	local i

	load devices=3 hangup=1 || return 1
	for i in 0 1 2; do
		[ "$(attr $i hangup)" -eq 1 ] || return 1
	done
	# It is not only shown.
	limit cat /dev/vfifo1 > /dev/null &
	echo "text" > /dev/vfifo1 || return 1
	wait "$!" || return 1
	echo 0 > $class/vfifo1/hangup || return 1
	[ "$(attr 0 hangup)" -eq 1 ] || return 1
	[ "$(attr 1 hangup)" -eq 0 ] || return 1
	unload || return 1
	load hangup=0 || return 1
	[ "$(attr 0 hangup)" -eq 0 ]
}

# mark_log: marks the end of the log. logged TEXT: whether it contains TEXT since then. No mark is
# the beginning of another one.
mark_log()
{
	marks=$((marks + 1))
	mark="module.sh: $$: mark $marks;"
	echo "$mark" > /dev/kmsg
}

logged()
{
	dmesg | sed "1,/$mark/d" | grep -qF "$1"
}

bad_parameters()
{
	local p out rc=0

	for p in buffer_size=0 buffer_size=1073741825 buffer_size=4294967296 \
		 buffer_size=18446744073709551616 buffer_size=-1 \
		 buffer_size=many buffer_size= \
		 devices=257 devices=-1 devices=some \
		 perm=0 perm=512 perm=666 perm=-1 perm=rw perm= \
		 hangup=2 hangup=-1 hangup=yes hangup=; do
		mark_log || rc=1
		if out=$(LC_ALL=C load "$p" 2>&1); then
			echo "# $p was accepted"
			rc=1
			unload || return 1
			continue
		fi
		# Beyond 64 bits, the parser of numbers has an error of its own.
		if [[ $out != *"Invalid "* && $out != *"out of range"* ]]; then
			echo "# $p: $out"
			rc=1
		fi
		# If it is not a number, or does not fit, the parser logs that.
		if ! logged "$p is not within " &&
		   ! logged "$p is not 0 or 1" &&
		   ! logged "invalid for parameter \`${p%=*}'"; then
			echo "# $p: the log does not say why"
			rc=1
		fi
		if loaded || [ -e $class ] || [ -e /dev/vfifo0 ]; then
			echo "# $p left something behind"
			rc=1
		fi
	done
	return $rc
}

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

# The old contents of memory are not visible in a new device.
new_device_holds_no_old_byte()
{
	local file i rc=0 mib=$((16 / ${VFIFO_SCALE:-1}))

	[ "$mib" -gt 0 ] || mib=1
	for i in 1 2; do
		file=$(mktemp) || return 1
		yes "not zero" | head -c "$((2 * mib))M" > "$file"
		rm "$file"
		load "buffer_size=$((mib << 20))" devices=2 || return 1
		[ "$(timeout "$DEADLINE" "$hold_map" /dev/vfifo0 < /dev/null)" = \
		  mapped ] || rc=1
		[ "$(timeout "$DEADLINE" "$hold_map" /dev/vfifo1 < /dev/null)" = \
		  mapped ] || rc=1
		yes "not zero" | dd of=/dev/vfifo0 bs=64K \
			count=$((16 * mib)) status=none \
			iflag=fullblock
		unload || return 1
	done
	return $rc
}

# has_it_open PID
has_it_open()
{
	readlink "/proc/$1/fd/3" "/proc/$1/fd/0" | grep -q vfifo0
}

sleeping_reader_keeps_it()
{
	local rc=0 pid

	load || return 1
	head -c 1 /dev/vfifo0 > /dev/null &
	pid=$!
	eventually has_it_open "$pid" || rc=1
	stays_loaded || rc=1
	kill "$pid"
	wait "$pid" 2> /dev/null
	unload || rc=1
	return $rc
}

# unloaded: whether nothing of the module is left.
unloaded()
{
	if loaded || [ -e $class ] || [ -e /sys/devices/virtual/vfifo ] ||
	   compgen -G "/dev/vfifo*" > /dev/null ||
	   grep -q vfifo /proc/devices; then
		echo "# something is left of the module"
		return 1
	fi
}

# heard ACTION COUNT COMMAND...: whether the command causes exactly these uevents.
heard()
{
	local action=$1 count=$2 said input rc=0

	shift 2
	# Long, since failure_half_way uses memory that the host may have to allocate first.
	coproc HEAR { exec timeout "$((8 * DEADLINE))" "$uevents" "$action" "$count"; }
	exec {said}<&"${HEAR[0]}"
	input=${HEAR[1]}
	local pid=$HEAR_PID line
	read -r -t "$DEADLINE" line <&"$said"
	if [ "$line" != ready ]; then
		echo "# uevents: $line"
		rc=1
	fi
	"$@" || rc=1
	exec {input}>&-
	sed 's/^/# /' <&"$said"
	exec {said}<&-
	wait "$pid" || rc=1
	return $rc
}

events_of_loading()
{
	heard add 256 load devices=256
}

events_of_unloading()
{
	load devices=256 || return 1
	heard remove 256 unload
}

# User space may request the event of a device again.
event_on_demand()
{
	load || return 1
	heard add 1 sh -c "echo add > $class/vfifo0/uevent"
}

# kilobytes NAME: a line of /proc/meminfo.
kilobytes()
{
	sed -n "s/^$1: *\([0-9]*\) kB/\1/p" /proc/meminfo
}

# loading_fails PARAMETER...: true if loading fails. If the OOM killer runs nevertheless, it
# kills the loading process first.
loading_fails()
{
	! (
		echo 1000 > /proc/self/oom_score_adj
		exec "$loader" "$module" "$@"
	) 2> /dev/null
}

# Memory runs out when some of the devices have been created. None of them is announced.
failure_half_way()
{
	local total size

	total=$(kilobytes MemTotal)
	if [ "$total" -gt 4194304 ] || [ "$(kilobytes SwapTotal)" -gt 0 ]; then
		echo "# not with that much memory"
		return "$KSFT_SKIP"
	fi
	# A power of two, so that 64 devices need at least all memory.
	size=4096
	while [ $((size * 64)) -lt "$((total * 1024))" ]; do
		size=$((2 * size))
	done
	heard add 0 loading_fails devices=256 "buffer_size=$size" || return 1
	unloaded || return 1
	load devices=2 || return 1
	[ -c /dev/vfifo1 ] && [ ! -e /dev/vfifo2 ]
}

# An open attribute does not delay unloading, and cannot be read after it.
open_attribute_does_not_keep_it()
{
	local rc=0

	load || return 1
	exec 3< $class/vfifo0/size || return 1
	unload || rc=1
	LC_ALL=C cat <&3 2>&1 | grep -q "No such device" || rc=1
	exec 3>&-
	return $rc
}

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

# says TEXT PARAMETER...: whether loading writes TEXT to the log.
says()
{
	local text=$1

	shift
	mark_log && load "$@" && logged "$text"
}

# Debug messages that are enabled while the module is loaded.
dyndbg_parameter()
{
	local text="$name: vfifo1: capacity "

	says "$text" devices=2 && return 1
	unload || return 1
	says "$text" devices=2 dyndbg=+p || return 1
	unload || return 1
	says "$text" devices=2 dyndbg='"format nothing +p"' && return 1
	[ -c /dev/vfifo1 ]
}

no_kernel_warning()
{
	# Bits 7 and 9: an oops, or a warning.
	[ $((($(cat /proc/sys/kernel/tainted) & ~tainted) & 0x280)) -eq 0 ]
}

skip()
{
	ktap_skip_all "$1"
	exit "$KSFT_SKIP"
}

tests="defaults unloading_leaves_nothing alias_is_vfifo several_devices no_device
       perm_is_the_mode open_class_file_does_not_keep_it size_is_rounded_up
       hangup_parameter bad_parameters open_file_keeps_it mapping_keeps_it
       new_device_holds_no_old_byte sleeping_reader_keeps_it
       open_attribute_does_not_keep_it unloading_while_generating
       events_of_loading events_of_unloading event_on_demand failure_half_way
       dyndbg_parameter no_kernel_warning"

ktap_print_header
why=$(module_trouble) || skip "$why"
module_remember
# shellcheck disable=SC2086
set -- $tests
ktap_set_plan $#
tainted=$(cat /proc/sys/kernel/tainted)
marks=0
trap module_restore EXIT

for t in "$@"; do
	# Nothing uses the device between tests, so this must succeed.
	if ! unload; then
		ktap_test_fail "$t: the module cannot be unloaded"
		continue
	fi
	if [ "$t" = dyndbg_parameter ] && [ ! -e /proc/dynamic_debug ]; then
		ktap_test_skip "$t: this kernel has no dynamic debug"
		continue
	fi
	if [ "$t" = alias_is_vfifo ] && ! command -v modinfo > /dev/null; then
		ktap_test_skip "$t: modinfo is not installed"
		continue
	fi
	"$t"
	case $? in
	0)		ktap_test_pass "$t" ;;
	"$KSFT_SKIP")	ktap_test_skip "$t" ;;
	*)		ktap_test_fail "$t" ;;
	esac
done
unload
ktap_finished
