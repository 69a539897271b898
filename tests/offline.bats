#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# What deps downloads, and the list that it prints before.
# shellcheck disable=SC2030,SC2031,SC2034

bats_require_minimum_version 1.5.0

setup() {
	unset "${!VFIFO_@}" "${!CARGO_@}"
	REAL=$(cd "$BATS_TEST_DIRNAME/.." && pwd -P)
	HERE=$BATS_TEST_TMPDIR
	ROOT=$HERE/clone CACHE=$HERE/cache TREE='' LOGS=$HERE JOBS=1
	mkdir -p "$ROOT/steps/kernel" "$CACHE" "$HERE/system/etc"
	cp "$REAL/steps/kernel/requirements.txt" "$ROOT/steps/kernel/"
	printf 'ID=debian\nVERSION_ID="12"\n' >"$HERE/system/etc/os-release"
	export VFIFO_SYSTEM=$HERE/system
	local file
	export CARGO_HOME=$CACHE/cargo
	for file in versions lib system kernel/tree kernel/fetch kernel/deps kernel/build kernel/compilers kernel/litmus kernel/python; do
		# shellcheck source=/dev/null
		. "$REAL/steps/$file.sh"
	done
	# As the door sets it.
	PATH=/usr/bin:/bin:$PATH
	command -v cargo >/dev/null || skip "needs cargo"
}

# crate FOLDER [DEPENDENCY VERSION]: makes a crate, with that dependency in its lock file.
crate() {
	mkdir -p "$ROOT/$1/src"
	: >"$ROOT/$1/src/lib.rs"
	printf '[package]\nname = "x"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n' >"$ROOT/$1/Cargo.toml"
	printf 'version = 4\n\n' >"$ROOT/$1/Cargo.lock"
	if [ $# -gt 1 ]; then
		printf '[dependencies]\n%s = "=%s"\n' "$2" "$3" >>"$ROOT/$1/Cargo.toml"
		printf '[[package]]\nname = "%s"\nversion = "%s"\nsource = "%s"\nchecksum = "%064d"\n\n' "$2" "$3" \
			"registry+https://github.com/rust-lang/crates.io-index" 0 >>"$ROOT/$1/Cargo.lock"
	fi
	printf '[[package]]\nname = "x"\nversion = "0.1.0"\n' >>"$ROOT/$1/Cargo.lock"
	[ $# -eq 1 ] || printf 'dependencies = [\n "%s",\n]\n' "$2" >>"$ROOT/$1/Cargo.lock"
}

# stand_in PROGRAM WHAT-IT-PRINTS
stand_in() {
	mkdir -p "$(dirname "$1")"
	printf '#!/bin/sh\necho "%s"\n' "$2" >"$1"
	chmod +x "$1"
}

@test "an empty cache: everything is named" {
	crate host libc 0.2.999
	run deps_downloads
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" = "bindgen $VERSION_BINDGEN
virtme-ng
Rust crates
the source of Linux ${VERSION_LINUX%.*}" ]
}

@test "a run of test also names its compilers and herd7" {
	export VFIFO_RESULTS=$HERE/results
	VERSION_RUSTC='1.1 1.2'
	stand_in "$CACHE/tools/rust-1.2/rustc" ""
	run deps_downloads
	echo "$output"
	[[ $output == *"rustc 1.1"* ]]
	[[ $output != *"rustc 1.2"* ]]
	[[ $output == *herd7* ]]
	[[ $output == *maturin* ]]
	stand_in "$CACHE/tools/herd/herd7" ""
	echo "$VERSION_HERD" >"$CACHE/tools/herd/wanted"
	mkdir -p "$ROOT/clients/python" "$CACHE/venv-python"
	echo "maturin==1.16.0" | tee "$ROOT/clients/python/requirements.txt" >"$CACHE/venv-python/requirements.txt"
	run deps_downloads
	[[ $output != *herd7* ]]
	[[ $output != *maturin* ]]
	echo "maturin==1.17.0" >"$ROOT/clients/python/requirements.txt"
	run deps_downloads
	[[ $output == *maturin* ]]
}

@test "a complete cache: nothing is named" {
	crate host
	stand_in "$CACHE/tools/bin/bindgen" "bindgen $VERSION_BINDGEN"
	mkdir -p "$CACHE/venv" "$CACHE/linux-$VERSION_LINUX/git/refs/vfifo"
	cp "$ROOT/steps/kernel/requirements.txt" "$CACHE/venv/"
	: >"$CACHE/linux-$VERSION_LINUX/git/refs/vfifo/base"
	run deps_downloads
	echo "$output"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "crates: a missing one is detected without the network" {
	crate host
	crate clients/rust libc 0.2.999
	run deps_have_crates
	[ "$status" -ne 0 ]
	rm -r "$ROOT/clients"
	run deps_have_crates
	[ "$status" -eq 0 ]
}

@test "crates: those for other systems are only needed for the Python package" {
	crate host
	crate clients/python
	deps_cargo() { echo "$*"; }
	run deps_fetch_crates
	[ "${#lines[@]}" -eq 2 ]
	[[ ${lines[0]} == *--target*/host/Cargo.toml ]]
	[[ ${lines[1]} == *clients/python/Cargo.toml && ${lines[1]} != *--target* ]]
}
