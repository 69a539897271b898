#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# In the guest: bench.sh MODULE BENCH ACCELERATOR. The best of three, because a guest shares its host.
set -euo pipefail
insmod "$1"
best() { # FILE BENCH BLOCK
	for _ in 1 2 3; do "$2" "$1" "$3" 500; done | sort -rn | sed -n 1p
}
printf '\nMB/s between two processes, 64 KiB of buffer, %s, the best of three:\n\n' "$3"
printf '  %9s %9s %9s %7s\n' block pipe vfifo ratio
for block in 64 1024 4096 65536; do
	pipe=$(best - "$2" "$block")
	vfifo=$(best /dev/vfifo0 "$2" "$block")
	awk -v b="$block" -v p="$pipe" -v v="$vfifo" 'BEGIN { printf "  %9d %9.1f %9.1f %7.2f\n", b, p, v, v / p }'
done
rmmod rust_vfifo
