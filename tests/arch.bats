#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
# The option "--arch": which commands take it, and what they are given. Compilers and emulators are stand-ins.
# shellcheck disable=SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0
load common

setup() {
	a_door
	a_kernel 7.3.4
	door --tree "$LINUX" fetch
	TREE_DIR=$(dirname "$(tree)")
}

# A folder of objects and of files with which a guest of that architecture can be started.
a_guest() { # ARCH IMAGE DEBIAN'S-NAME QEMU
	mkdir -p "$TREE_DIR/$1/$(dirname "$2")" "$VFIFO_CACHE/root-$3"
	: >"$TREE_DIR/$1/$2"
	: >"$VFIFO_CACHE/root-$3/vfifo-init"
	stub dpkg-query 'echo installed'
	stub "$4" 'printf "%s\n" "$@" >"'"$HERE"'/arguments"
		for a; do case $a in *mount_tag=guest,*) g=${a#*path=}; g=${g%%,*} ;; esac; done
		sh "$g/wrapper"; echo "reboot: Power down"'
}

@test "an architecture that there is not" {
	door --arch sparc build
	refused "--arch sparc: not one of x86_64, arm64"
	door --arch
	refused "--arch needs a value"
}

@test "commands that are only for this machine's architecture" {
	local command
	for command in kunit mutants bench deb devbox demo test "series --check" shutdown compilers matrix soak; do
		# shellcheck disable=SC2086
		door --arch arm64 $command
		refused "${command%% *} is only for x86_64"
	done
}

@test "x86_64 is the default" {
	door --tree "$LINUX" --arch x86_64 series --tree
	echo "$output"
	[ "$status" -eq 0 ] && [ "$output" = "$TREE_DIR/src" ]
}

@test "a kernel that has not been built, with the command that builds it" {
	stub dpkg-query 'echo installed'
	door --tree "$LINUX" --arch arm64 shell true
	refused "run ./build-kernel.sh --arch arm64 --tree $LINUX build first"
}

@test "the guest of another architecture runs the command and returns its status" {
	local arch image debian qemu
	while read -r arch image debian qemu; do
		a_guest "$arch" "$image" "$debian" "$qemu"
		door --tree "$LINUX" --arch "$arch" shell 'echo hello; exit 7'
		echo "$output"
		[ "$status" -eq 7 ]
		[[ $output == *hello* ]]
		grep -qx -- "$TREE_DIR/$arch/$image" "$HERE/arguments"
		grep -q "path=$DOOR,mount_tag=clone,.*readonly=on" "$HERE/arguments"
		grep -q "path=$VFIFO_CACHE/root-$debian,mount_tag=root,.*readonly=on" "$HERE/arguments"
	done <<-END
		arm64 arch/arm64/boot/Image arm64 qemu-system-aarch64
	END
}

@test "make is told the architecture" {
	local configured
	stub dpkg-query 'echo installed'
	stub make 'printf "%s\n" "$@" >>"'"$HERE"'/arguments"; exit 1'
	cp "$REAL"/defconfig.* "$DOOR/"
	door --tree "$LINUX" --arch arm64 build
	refused "build: configuration failed"
	grep -qx ARCH=arm64 "$HERE/arguments"
	configured=$(cat "$TREE_DIR/arm64/.config")
	[[ $configured == *CONFIG_SERIAL_AMBA_PL011=y* ]]
	: >"$HERE/arguments"
	door --tree "$LINUX" build
	run ! grep '^ARCH=' "$HERE/arguments"
}
