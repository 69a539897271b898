#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# In the guest: guest.sh full|quick|instructions VFIFO.KO BENCH-FOLDER. Leaves its samples in this folder.
set -euo pipefail
what=$1 vfifo=$2 bench=$3/bench twin=$3/twin/twin.ko

# What the kernel's objects and pages come to with so many devices.
memory() { # MODULE FILE DEVICES
	insmod "$2" "devices=$3"
	# What /dev is asked for by others comes and goes.
	sleep 1
	echo 3 >/proc/sys/vm/drop_caches
	cat /proc/slabinfo >"slabinfo.$1.$3"
	cat /proc/vmallocinfo >"vmallocinfo.$1.$3"
	rmmod "$1"
}

uname -r >kernel
case $what in
full)
	for module in "$vfifo" "$twin"; do
		"$bench" load "$module" 9 samples
		# The first ones leave things behind that stay.
		for devices in 65 1 65; do memory "$(basename "$module" .ko)" "$module" $devices; done
	done
	insmod "$vfifo" devices=64
	insmod "$twin"
	"$bench" full "${ROUNDS:-9}" "${MILLISECONDS:-100}" samples
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
esac
