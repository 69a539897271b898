#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs in the guest: checks the state of the kernel before and after the tests, for problems that no test looks for.
#   audit.sh before FOLDER            records the state before the driver is loaded
#   audit.sh after FOLDER [CHECK]...  unloads the driver, compares, and prints the results as TAP
# Each CHECK (kmemleak, lockdep, objects) is one that this kernel must support; otherwise that is a failure.
set -uo pipefail

when=$1 folder=$2
shift 2
wanted=$*
debugfs=/sys/kernel/debug
leaks=$debugfs/kmemleak
objects=$debugfs/debug_objects/stats

object_warnings() { sed -nE 's/^warnings *: *([0-9]+).*/\1/p' "$objects"; }

if [ "$when" = before ]; then
	mkdir -p "$folder"
	mountpoint -q "$debugfs" || mount -t debugfs debugfs "$debugfs"
	cat /proc/sys/kernel/tainted >"$folder/tainted"
	if [ -e "$objects" ]; then object_warnings >"$folder/objects"; fi
	# If kmemleak is off or has disabled itself, the file exists but writing to it fails.
	# Leaks from booting are ignored, by their age: a scan to find them now would take long.
	if { echo scan=off >"$leaks"; } 2>/dev/null; then
		sed -nE '/^jiffies: /{s///p;q}' /proc/timer_list >"$folder/kmemleak"
	fi
	exit 0
fi

number=0
verdict() { # NAME TROUBLE: a description of what is wrong; empty if nothing is
	number=$((number + 1))
	if [ -z "$2" ]; then echo "ok $number $1"; return; fi
	printf '%s\n' "$2" | sed 's/^/# /'
	echo "not ok $number $1"
}

can() { # CHECK FILE: whether to run this check, which needs that file
	[ ! -e "$2" ] || return 0
	[[ " $wanted " != *" $1 "* ]] || verdict "this kernel has $1" "there is no $2"
	return 1
}

# Prints the leaks that kmemleak has found. Scans twice, since one scan may miss objects whose pointers are being moved.
# Waits first, since kmemleak does not report objects younger than 5 s.
lost() { # WHEN
	local found
	sleep 6
	echo scan >"$leaks"
	sleep 1
	echo scan >"$leaks"
	found=$(awk -v from="$(cat "$folder/kmemleak")" '
		function flush() { if (at >= from) printf "%s", block; block = ""; at = from }
		/^unreferenced object/ { flush() }
		match($0, /, jiffies [0-9]+/) { at = substr($0, RSTART + 10, RLENGTH - 10) + 0 }
		{ block = block $0 "\n" }
		END { flush() }
	' "$leaks")
	[ -z "$found" ] || printf '%s:\n%s\n' "$1" "$found"
}

loaded() { grep -q '^rust_vfifo ' /proc/modules; }

unloading() {
	local end=$((SECONDS + 20 * ${VFIFO_SCALE:-1})) said=
	while loaded; do
		said=$(rmmod rust_vfifo 2>&1)
		[ "$SECONDS" -lt "$end" ] || break
		sleep 0.2
	done
	if loaded; then
		echo "rmmod: $said"
		grep '^rust_vfifo ' /proc/modules
		grep -l vfifo /proc/[0-9]*/maps 2>/dev/null
		find /proc/[0-9]*/fd -lname '/dev/vfifo*' -printf '%p -> %l\n' 2>/dev/null
	fi
	ls -d /sys/class/vfifo /dev/vfifo* 2>/dev/null
	grep vfifo /proc/devices
}

# Tasks that are in uninterruptible sleep both now and 5 s later.
stuck() {
	local first
	first=$(ps -eo pid=,stat=,comm= | awk '$2 ~ /^D/ { print $1, $3 }' | sort)
	[ -n "$first" ] || return 0
	sleep $((5 * ${VFIFO_SCALE:-1}))
	comm -12 <(echo "$first") <(ps -eo pid=,stat=,comm= | awk '$2 ~ /^D/ { print $1, $3 }' | sort)
}

# New taint, except the two bits for out-of-tree and unsigned modules.
newly_tainted() {
	local was now new bit letters=PFSRMBUDAWCIOELKXTNJ
	was=$(cat "$folder/tainted") now=$(cat /proc/sys/kernel/tainted)
	new=$((now & ~was & ~0x3000))
	for ((bit = 0; bit < ${#letters}; bit++)); do
		((new >> bit & 1)) && echo "now $now, was $was: ${letters:bit:1}, see admin-guide/tainted-kernels.rst"
	done
}

echo "TAP version 13"
# First with the module loaded, so that addresses in it have symbols; then without.
found=
if [ -e "$folder/kmemleak" ]; then found=$(lost "with the driver loaded"); fi
verdict "the driver unloads and leaves nothing" "$(unloading)"
if can kmemleak "$folder/kmemleak"; then
	[ -n "$found" ] || found=$(lost "with the driver unloaded")
	verdict "kmemleak finds nothing" "$(head -n 40 <<<"$found")"
fi
if can lockdep /proc/lockdep_stats; then
	verdict "lockdep is still active" "$(grep 'debug_locks:' /proc/lockdep_stats | grep -vE ' 1$')"
fi
if can objects "$objects"; then
	verdict "no warnings about timers or work items" \
		"$([ "$(object_warnings)" = "$(cat "$folder/objects")" ] || cat "$objects")"
fi
verdict "no task is stuck in the kernel" "$(stuck)"
verdict "the kernel is not tainted" "$(newly_tainted)"
echo "1..$number"
