#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs in the guest: guest.sh full|quick|instructions|growth|profile VFIFO.KO BENCH-FOLDER. Leaves its samples in this folder.
# What is part of full and instructions for records alone is records and record-instructions; of full for many processes at
# once, many.
set -euo pipefail
what=$1 vfifo=$2 bench=$3/bench twin=$3/twin/twin.ko

# Records the kernel's memory use with that many devices.
memory() { # MODULE FILE DEVICES
	insmod "$2" "devices=$3"
	# Other programs that look at /dev use memory for a moment.
	sleep 1
	echo 3 >/proc/sys/vm/drop_caches
	cat /proc/slabinfo >"slabinfo.$1.$3"
	cat /proc/vmallocinfo >"vmallocinfo.$1.$3"
	size=$(cat "/sys/module/$1/coresize")
	rmmod "$1"
}

[ -e /sys/kernel/tracing/events ] || mount -t tracefs none /sys/kernel/tracing
uname -r >kernel
case $what in
full)
	for module in "$vfifo" "$twin"; do
		"$bench" load "$module" 9 samples
		# First once unrecorded: the first load leaves memory in use that is not freed.
		name=$(basename "$module" .ko)
		for devices in 65 1 65; do memory "$name" "$module" $devices; done
		printf 'module\t%s\t1\tbytes\t%s\n' "$name" "$size" >>samples
	done
	insmod "$vfifo" devices=256
	insmod "$twin"
	"$bench" full "${ROUNDS:-9}" "${MILLISECONDS:-100}" samples
	;;
many)
	insmod "$vfifo" devices=256
	insmod "$twin"
	"$bench" many "${ROUNDS:-9}" "${MILLISECONDS:-100}" samples
	;;
records)
	insmod "$vfifo" devices=2
	"$bench" records "${ROUNDS:-9}" "${MILLISECONDS:-100}" samples
	;;
record-instructions)
	insmod "$vfifo" devices=2
	"$bench" record-instructions samples
	;;
quick)
	insmod "$vfifo"
	"$bench" quick 3 50 samples
	;;
instructions)
	insmod "$vfifo" devices=2
	insmod "$twin"
	"$bench" instructions samples
	;;
growth)
	insmod "$vfifo" devices=1
	"$bench" growth samples
	;;
profile)
	insmod "$vfifo" devices=2
	insmod "$twin"
	grep -v ' [Aa] ' /proc/kallsyms >symbols
	run() { # BYTES WAY...: of 0 bytes: round trips
		for way in "${@:2}"; do
			"$bench" profile "$way" "$1" 1000
			echo "$way $1 1000" >>runs
		done
	}
	run 64 vfifo pipe twin iter
	run 4096 vfifo pipe twin iter
	run 0 vfifo pipe twin iter eventfd
	;;
esac
