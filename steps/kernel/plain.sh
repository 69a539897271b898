# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Boots the same kernel in a plain machine: no virtio, two serial ports, twice the memory, and an initramfs
# with a few files instead of the host's file system. It is for tests that cannot run in the other guest:
# 9P over virtio does not survive a suspend.

# plain_guest SECONDS PROGRAM...: runs these installed kselftests; the results are those of guest_run.
plain_guest() {
	local deadline=$1 root cpu=max all=("$@")
	shift
	guest_choose_accel
	guest_new true
	root=$GUEST_DIR/root
	plain_root "$root" "$@" || die "selftest: cannot make the initramfs; the disk may be full"
	[ "$ACCEL" = tcg ] || cpu=host
	lib_launch "$GUEST_DIR/console" plain_boot "$deadline" "$cpu"
	wait "$LIB_CHILD" || true
	LIB_CHILD=
	if grep -qa . "$GUEST_DIR/output"; then : >"$GUEST_DIR/booted"; fi
	sed -n 's/^status \([0-9]*\)\r*$/\1/p' "$GUEST_DIR/output" >"$GUEST_DIR/status"
	[ -s "$GUEST_DIR/status" ] || rm "$GUEST_DIR/status"
	guest_judge "$deadline"
	if guest_slipped; then AGAIN=1 plain_guest "${all[@]}"; fi
}

plain_boot() { # SECONDS CPU
	guest_watch_boot "$ACCEL" "$GUEST_DIR/output"
	exec timeout --kill-after=5 "$1" "$GUEST_QEMU" -accel "$ACCEL" -cpu "$2" -smp 2 \
		-m "$((2 * ${GUEST_MEMORY%G}))G" -kernel "$BUILD_DIR/arch/x86/boot/bzImage" -initrd "$GUEST_DIR/initrd" \
		-append "console=ttyS0 panic=-1 $(guest_kernel_options | paste -sd ' ')" \
		-nodefaults -display none -no-reboot -serial stdio -serial "file:$GUEST_DIR/output"
}

plain_root() { # FOLDER PROGRAM...
	local root=$1 program library
	shift
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,lib64} &&
		cp /bin/busybox "$root/bin/" && cp "$BUILD_DIR/samples/rust/rust_vfifo.ko" "$root/" || return
	for program in "$@"; do
		cp "$BUILD_DIR/kselftest-installed/vfifo/${program%% *}" "$root/" || return
		for library in $(ldd "$root/${program%% *}" | grep -oE '/[^ ]+'); do
			mkdir -p "$root${library%/*}" && cp -L "$library" "$root$library" || return
		done
	done
	printf '%s\n' "$@" >"$root/programs"
	guest_early_trouble >"$root/early"
	echo "export VFIFO_SCALE=$GUEST_SCALE VFIFO_MODULE=/rust_vfifo.ko" >"$root/environment"
	cat >"$root/init" <<-'END'
		#!/bin/busybox sh
		busybox=/bin/busybox
		$busybox mount -t proc proc /proc
		$busybox mount -t sysfs sysfs /sys
		$busybox mount -t devtmpfs devtmpfs /dev
		! $busybox dmesg | $busybox grep -qEf /early || $busybox reboot -f
		exec >/dev/ttyS1 2>&1 </dev/null
		. /environment
		status=0
		$busybox insmod /rust_vfifo.ko || status=1
		while read -r program; do
			echo "== ${program%% *}"
			/$program || status=1
		done </programs
		echo "status $status"
		$busybox reboot -f
	END
	chmod +x "$root/init" && (cd "$root" && find . | cpio --quiet -o -H newc >"$GUEST_DIR/initrd")
}
