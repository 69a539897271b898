#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs in the guest: stress programs that know nothing about vfifo. Prints the results as TAP.
#   fire.sh stress|trinity MODULE SECONDS LOGS
set -uo pipefail

part=$1 module=$2 seconds=$3 logs=$4
number=0 pids=()

verdict() { # STATUS NAME
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then echo "ok $number $2"; else echo "not ok $number $2 # status $1"; fi
}

# begin NAME COMMAND...: starts it, with its output in a log.
begin() {
	local name=$1
	shift
	"$@" >"$logs/$name.log" 2>&1 </dev/null &
	pids+=("$! $name")
}

# Everything that was started has to end by itself, soon after its time is up.
collect() { # ACCEPTED-STATUSES
	local pid name status end=$((SECONDS + seconds + 120 * ${VFIFO_SCALE:-1}))
	for pid in "${pids[@]}"; do
		name=${pid#* } pid=${pid%% *}
		while kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$end" ]; do sleep 1; done
		kill -KILL "$pid" 2>/dev/null
		wait "$pid"
		status=$?
		[[ " $1 " != *" $status "* ]] || status=0
		verdict "$status" "$name"
		[ "$status" -eq 0 ] || tail -n 20 "$logs/$name.log" | sed 's/^/# /'
	done
	pids=()
}

# Moves bytes through every device, so that there are transfers to disturb.
traffic() {
	local end=$((SECONDS + seconds)) i
	while [ "$SECONDS" -lt "$end" ]; do
		for i in 0 1; do
			timeout 5 dd if=/dev/urandom of=/dev/vfifo$i bs=$((RANDOM % 9000 + 1)) count=20 status=none
			timeout 5 dd if=/dev/vfifo$i of=/dev/null bs=$((RANDOM % 9000 + 1)) count=20 status=none
		done
	done
	true
}

# Stores valid and invalid values to the attributes, as root.
stores() {
	local end=$((SECONDS + seconds)) words=(0 1 manual auto 4096 65536 1048576 1 17 -1 '' x 99999999999999999999
		0x10000 010 ' 1' $'1\n\n' "$(head -c 5000 /dev/zero | tr '\0' 9)")
	local files=(/sys/class/vfifo/vfifo?/{mode,period_ms,hangup,capacity,size,stats/dropped,power/control})
	while [ "$SECONDS" -lt "$end" ]; do
		printf %s "${words[RANDOM % ${#words[@]}]}" 2>/dev/null >"${files[RANDOM % ${#files[@]}]}"
	done
	true
}

# The stressor walks all of /sys, so the devices' folder is mounted there.
only_our_sysfs() {
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount --bind /sys/devices/virtual/vfifo /sys && exec "$@"' sh "$@"
}

part_stress() {
	local i
	cd /tmp || exit
	for i in 0 1; do
		begin "stress-ng --dev on vfifo$i" \
			stress-ng --dev 2 --dev-file "/dev/vfifo$i" --timeout "$seconds" --metrics-brief
	done
	begin "stress-ng --sysfs on its attributes" \
		only_our_sysfs stress-ng --sysfs 1 --timeout "$seconds" --metrics-brief
	# These use files of their own; they only keep the machine busy.
	begin "stress-ng --mmap --poll --splice" \
		stress-ng --mmap 1 --mmap-bytes 16m --poll 1 --splice 1 --timeout "$seconds" --metrics-brief
	begin "reads and writes" traffic
	begin "stores to attributes" stores
	collect "0"
}

# The system calls that the device handles, and those on its mappings and descriptors. They are listed because
# trinity's groups leave out read, write, ioctl and mmap.
SYSCALLS=(read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 ioctl fcntl lseek
	poll ppoll select epoll_ctl splice tee vmsplice sendfile copy_file_range
	mmap mremap munmap mprotect madvise msync mlock mincore remap_file_pages process_vm_readv process_vm_writev
	open openat dup dup2 dup3 newfstat fsync ftruncate fallocate flock fadvise64 readahead sync_file_range
	io_setup io_submit io_cancel io_uring_setup io_uring_register)

# Runs trinity as the user nobody, with access to the devices: it is to break the driver, not the machine. Many
# children are needed, since most of them sleep for bytes until their alarm. trinity looks for files in a folder, so
# the nodes are in a folder of their own. The folder is a tmpfs: on an overlay, trinity would skip the nodes, because
# it takes them for files of another file system.
trinity_runs() {
	local i round=0 end=$((SECONDS + seconds)) victims=/tmp/victims numbers status
	mkdir -p "$victims" /tmp/trinity && chmod 777 /tmp/trinity && mount -t tmpfs victims "$victims" || return
	for i in 0 1; do
		IFS=: read -r -a numbers <"/sys/class/vfifo/vfifo$i/dev"
		mknod -m 666 "$victims/vfifo$i" c "${numbers[@]}"
	done
	cd /tmp/trinity || return
	while [ "$SECONDS" -lt "$end" ]; do
		round=$((round + 1))
		# In rounds, because trinity gets slow when its children have used up their resources.
		timeout -s INT -k $((20 * ${VFIFO_SCALE:-1})) $((end - SECONDS < 120 ? end - SECONDS : 120)) \
			setpriv --reuid 65534 --regid 65534 --clear-groups \
			trinity -q -l off -C 16 -s "$round" -V "$victims" --enable-fds=pseudo,pipes,eventfd,epoll \
			"${SYSCALLS[@]/#/-c}" >round.log 2>&1
		status=$?
		cat round.log
		# It must have found both nodes and their folder, and have run until the timeout.
		grep -q "Added 3 filenames from $victims" round.log && [ "$status" = 124 ] || return
		echo "round $round, seed $round: $(sed -nE 's/^\[main\] (Ran .*)/\1/p' round.log)"
		# The next round should find the devices empty.
		for i in 0 1; do timeout 5 dd if=/dev/vfifo$i of=/dev/null iflag=nonblock status=none; done
	done
	[ "$round" -gt 0 ]
}

part_trinity() {
	begin "trinity on the devices" trinity_runs
	begin "reads and writes" traffic
	begin "stores to attributes" stores
	collect "0"
}

echo "TAP version 13"
mkdir -p "$logs"
insmod "$module" devices=2
verdict $? "insmod"
"part_$part"
# After all this, each device still has to work.
for i in 0 1; do
	echo 0 >/sys/class/vfifo/vfifo$i/mode
	timeout 20 dd if=/dev/vfifo$i of=/dev/null bs=1M iflag=nonblock status=none 2>/dev/null
	echo "hello $i" >/dev/vfifo$i
	[ "$(timeout 20 head -n 1 /dev/vfifo$i)" = "hello $i" ]
	verdict $? "vfifo$i still works"
done
grep -h '^stress-ng: metrc' "$logs"/*.log | sed 's/^/# /'
grep -h '^round' "$logs"/*.log | sed 's/^/# /'
echo "1..$number"
