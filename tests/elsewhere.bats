#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# What build-kernel.sh prints on other systems than Debian 12, without the network, and when a download fails.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034

bats_require_minimum_version 1.5.0
load common

setup() {
	a_door
	a_kernel 7.3.4
	a_series
	export VFIFO_SYSTEM=$HERE/system
	mkdir -p "$VFIFO_SYSTEM/etc"
	debian_12
}

os() { printf '%s\n' "$@" >"$VFIFO_SYSTEM/etc/os-release"; }
debian_12() { os ID=debian 'VERSION_ID="12"' VERSION_CODENAME=bookworm 'PRETTY_NAME="Debian GNU/Linux 12"'; }
keyring() { mkdir -p "$VFIFO_SYSTEM/usr/share/keyrings"; : >"$VFIFO_SYSTEM/usr/share/keyrings/debian-archive-keyring.gpg"; }
# Everything that Debian 12 needs is installed.
installed() { stub dpkg-query 'echo installed'; stub id 'echo 1000'; }
way() { grep -A1 "^  $1  *$2 " <<<"$output"; } # works|lacks WAY

@test "doctor: another architecture is reported first, and nothing works there" {
	installed
	stub uname 'case $1 in -m) echo aarch64;; -r) echo 7.3.4-arm64;; *) exec /usr/bin/uname "$@";; esac'
	door doctor
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(grep -c '^  works' <<<"$output")" -eq 0 ]
	way lacks "try it in an emulator" | grep -q 'only built for x86_64 so far, and this is aarch64'
	[ "$(grep -c '^  lacks' <<<"$output")" -eq 5 ]
}

@test "doctor: a check that cannot be made has not succeeded" {
	# The programs that the checks use are missing as well.
	mkdir "$HERE/empty"
	ln -s /usr/bin/{bash,dirname,nproc,cat,sed,realpath,id,stat,find} "$HERE/empty/"
	sed -i "s,^PATH=.*,PATH=$HERE/empty," "$DOOR/build-kernel.sh"
	for system in debian_12 "os ID=ubuntu" "os ID=void" "rm -f $VFIFO_SYSTEM/etc/os-release"; do
		$system
		run "$HERE/empty/bash" "$DOOR/build-kernel.sh" doctor
		echo "$output"
		[[ $output == *"  lacks   try it"* ]]
		run ! grep '^  works' <<<"$output"
	done
}

@test "doctor: an Ubuntu with Debian's keys has no archive of Debian" {
	os ID=ubuntu ID_LIKE=debian 'VERSION_ID="24.04"' VERSION_CODENAME=noble
	keyring
	installed
	stub apt-get '[ "$1" != indextargets ] || echo "http://archive/ubuntu noble Ubuntu"'
	local command
	for command in rustc rustfmt cargo gcc make flex bison bc perl depmod cpio rsync xz patch git python3 busybox qemu-system-x86_64 \
		clang-22 ld.lld-22 llvm-objcopy-22 llvm-ar-22 bats shellcheck mandoc; do
		stub $command "echo $HERE/sysroot"
	done
	mkdir -p "$HERE/sysroot/lib/rustlib/src/rust/library"
	door doctor
	echo "$output"
	way lacks "try it in an emulator" | grep -q "none of apt's sources is an archive of Debian, .*get linux-7.3.4.tar.xz from kernel.org"
	door fetch
	refused "none of apt's sources is an archive of Debian; or get linux-7.3.4.tar.xz from kernel.org" "--tree linux-7.3.4.tar.xz"
	[[ $output != *network* ]]
	stub apt-get 'exit 0'
	door fetch
	refused "fetch: Linux 7.3 failed: apt has no package lists yet; run: sudo apt-get update"
	# With the same codename and Debian's origin, it has one.
	stub apt-get '[ "$1" != indextargets ] || echo "http://archive/debian noble Debian"'
	mkdir -p "$VFIFO_CACHE/linux-7.3.4/x86/arch/x86/boot"
	: >"$VFIFO_CACHE/linux-7.3.4/x86/arch/x86/boot/bzImage"
	door doctor
	echo "$output"
	way works "try it in an emulator"
}

@test "other distributions: what is missing, and the ways that remain" {
	stub rustc 'exit 1'
	local system
	for system in ubuntu fedora arch nixos void; do
		os "ID=$system"
		# clang of a version that does not exist.
		sed -i 's/^VERSION_LLVM=.*/VERSION_LLVM=999/' "$DOOR/steps/versions.sh"
		door deps
		refused "deps: missing here: " "clang-999" "; these scripts install packages only on Debian 12" "in a container of it (BUILDING.md has the command)"
	done
}

@test "clang without a version in its name is used if it has rustc's LLVM" {
	# shellcheck source=/dev/null
	for file in versions lib system kernel/build; do . "$DOOR/steps/$file.sh"; done
	VERSION_LLVM=999
	PATH=$VFIFO_TEST_BIN:$PATH
	stub rustc 'printf "rustc 1.96.0\nLLVM version: 21.1.3\n"'
	stub clang 'echo "clang version 21.1.8 (Fedora 21.1.8-1.fc43)"'
	[ "$(build_llvm)" = 1 ]
	[ "$(build_tool clang)" = clang ]
	stub clang 'echo "Ubuntu clang version 20.1.2 (1)"'
	[ "$(build_llvm)" = -999 ]
	[ "$(build_tool ld.lld)" = ld.lld-999 ]
	stub clang-999 'exit 0'
	stub clang 'echo "clang version 21.1.8"'
	[ "$(build_llvm)" = -999 ]
}

# A Rust in FOLDER, whose programs have names with that SUFFIX; VFIFO_TEST_BIN comes before the system's.
rust() { # FOLDER [SUFFIX]
	local tool
	mkdir -p "$1"
	for tool in rustc rustdoc clippy-driver; do
		printf '#!/bin/sh\ncase $1 in --print) echo %s/sysroot ;; *) echo %s ;; esac\n' "$HERE" "$tool" >"$1/$tool${2-}"
		chmod +x "$1/$tool${2-}"
	done
}

@test "the kernel is built with the rustc in PATH, or with RUSTC" {
	local file
	# shellcheck source=/dev/null
	for file in versions lib system kernel/build kernel/compilers; do . "$DOOR/steps/$file.sh"; done
	unset RUSTC RUST_LIB_SRC
	CACHE=$HERE/cache
	rust "$HERE/local/bin"
	PATH=$HERE/local/bin:$PATH
	[ "$(build_rust)" = "RUSTC=$HERE/local/bin/rustc" ]
	# Its tools go with it, also by a name with a version.
	rust "$HERE/opt/bin"
	rust "$HERE/opt/bin" -1.96
	RUSTC=$HERE/opt/bin/rustc
	[ "$(build_rust)" = "RUSTC=$HERE/opt/bin/rustc
HOSTRUSTC=$HERE/opt/bin/rustc
RUSTDOC=$HERE/opt/bin/rustdoc
CLIPPY_DRIVER=$HERE/opt/bin/clippy-driver" ]
	PATH=$HERE/opt/bin:$PATH RUSTC=rustc-1.96
	[ "$(build_rust | tail -n 1)" = "CLIPPY_DRIVER=$HERE/opt/bin/clippy-driver-1.96" ]
	# Without the source of Rust's library, no kernel is built.
	run ! build_have_library
	mkdir -p "$HERE/sysroot/lib/rustlib/src/rust/library"
	build_have_library
	RUST_LIB_SRC=$HERE/nowhere
	run ! build_have_library
	RUST_LIB_SRC=$HERE/sysroot build_have_library
	# compilers takes it if it is of the version, and never by another name than rustc.
	stub rustc 'echo "rustc 1.96.0 (a stub)"'
	RUSTC=$VFIFO_TEST_BIN/rustc
	[ "$(compilers_rust 1.96)" = "$VFIFO_TEST_BIN" ]
	[ "$(compilers_rust 1.85)" = "$HERE/cache/tools/rust-1.85" ]
	mv "$VFIFO_TEST_BIN/rustc" "$VFIFO_TEST_BIN/rustc-1.96"
	RUSTC=$VFIFO_TEST_BIN/rustc-1.96
	[ "$(compilers_rust 1.96)" = "$HERE/cache/tools/rust-1.96" ]
}

@test "no step names a rustc or cargo of its own" {
	run ! grep -nE '/usr/bin/(cargo|rustc|rustdoc)' "$REAL"/steps/*.sh "$REAL"/steps/kernel/*.sh
}

@test "build and deps use RUSTC" {
	rust "$HERE/opt/bin"
	stub make 'echo "$*" >>"$(dirname "$0")/../made"; exit 1'
	RUSTC=$HERE/opt/bin/rustc door --tree "$LINUX" build
	[ "$status" -ne 0 ]
	grep -q " RUSTC=$HERE/opt/bin/rustc HOSTRUSTC=$HERE/opt/bin/rustc RUSTDOC=$HERE/opt/bin/rustdoc " "$HERE/made"
	installed
	RUSTC=$HERE/opt/bin/rustc door --tree "$LINUX" deps
	refused "deps: RUSTC=$HERE/opt/bin/rustc has no source of Rust's library"
	os ID=void
	RUSTC=$HERE/opt/nothing door --tree "$LINUX" deps
	refused "deps: missing here: $HERE/opt/nothing, " "the source of Rust's library"
}

@test "why a download failed" {
	# shellcheck source=/dev/null
	. "$DOOR/steps/system.sh"
	unset http_proxy https_proxy
	why() { cat >"$HERE/log"; system_why "$HERE/log"; }
	[[ $(why <<<"E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 12 (apt)") == *"holds apt's lock"* ]]
	[[ $(why <<<"E: The repository 'http://x trixie-backports Release' does not have a Release file.") == *"no longer has this release"* ]]
	[[ $(why <<<"E: Release file for http://x is expired (invalid since 3d).") == *"the clock is wrong"* ]]
	[[ $(why <<<"E: Failed to fetch http://x/a.deb  Hash Sum mismatch") == *"expected hash"* ]]
	[[ $(why <<<"ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.") == *"first error is in the log"* ]]
	[[ $(why <<<"error: checksum for a v1.0.0 changed between lock files") == *"expected hash"* ]]
	[[ $(why <<<"E: Unable to locate package rustc-web") == *"apt's sources do not have it: Unable to locate package rustc-web" ]]
	[[ $(why <<<"Err:1 http://x 404  Not Found [IP: 1.2.3.4 80]") == *"no longer has a file"* ]]
	[[ $(why <<<"W: Failed to fetch http://x  Temporary failure resolving 'x'") == *"no answer from the network"* ]]
	[[ $(why <<<"error: failed to get \`clap\`: Could not connect to server") == *"no answer from the network"* ]]
	[[ $(why <<<"407  Proxy Authentication Required") == *"the proxy of apt refuses"* ]]
	export https_proxy=http://proxy:3128
	[[ $(why <<<"Received HTTP code 407 from proxy after CONNECT") == *"the proxy http://proxy:3128 refuses"* ]]
	[[ $(why <<<"Could not connect to proxy:3128") == *"through the proxy http://proxy:3128"* ]]
	[[ $(why <<<"cc: error: No space left on device") == "the disk is full; "* ]]
	[[ $(why <<<"error: could not compile") == "the first error is in the log" ]]
}

@test "--tree: a tar file, with its hash for comparison" {
	tar cJf "$HERE/linux-7.3.4.tar.xz" -C "$HERE" linux
	door --tree "$HERE/linux-7.3.4.tar.xz" patch
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"the SHA-256 of $HERE/linux-7.3.4.tar.xz is $(sha256sum <"$HERE/linux-7.3.4.tar.xz" | cut -d ' ' -f 1)"* ]]
	[ "$(cat "$VFIFO_CACHE"/tree-*/src/samples/rust/a.rs)" = first ]
	# Unpacked once.
	door --tree "$HERE/linux-7.3.4.tar.xz" patch
	[ "$status" -eq 0 ]
	[[ $output != *SHA-256* ]]
	echo "not a tar file" >"$HERE/x.tar"
	door --tree "$HERE/x.tar" fetch
	refused "it must be a tar file of a Linux release"
	tar cf "$HERE/x.tar" -C "$HERE" door
	door --tree "$HERE/x.tar" fetch
	refused "there is no Linux source tree in this file"
}

@test "test without the network stops before it starts" {
	installed
	stub cargo 'exit 1'
	echo 'deps_have_bindgen() { :; }; deps_have_venv() { :; }' >>"$DOOR/steps/kernel/deps.sh"
	mkdir -p "$DOOR/host"
	: >"$DOOR/host/Cargo.toml"
	stub cargo 'echo "error: failed to get \`clap\`: Could not resolve host" >&2; exit 101'
	door --tree "$LINUX" test
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"deps: Rust crates failed: no answer from the network"* ]]
	[[ $output == *"test: did not start, because something that it needs could not be downloaded"* ]]
	[[ $output == *$'\n0 passed, 1 failed' ]]
	[[ $output != *"== selftest"* ]]
}

@test "host without a kernel tree counts the skipped tests" {
	cat >>"$DOOR/steps/kernel/host.sh" <<<'check() { :; }; host_cargo() { :; }; python_host() { :; }'
	cat >>"$DOOR/steps/kernel/tree.sh" <<<'tree_find() { return 1; }'
	VFIFO_RESULTS=$HERE/results door host
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(grep -c '^  skipped  ' <<<"$output")" -eq 3 ]
	[ "$(cut -f -3 "$HERE/results")" = $'0\t0\t1\n0\t0\t1\n0\t0\t1' ]
	grep -qxF $'0\t0\t1\tthe external module builds\t0\tskip=the external module builds\treason=there is no kernel; run ./build-kernel.sh build' \
		"$HERE/results"
}
