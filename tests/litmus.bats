#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
# The command "litmus": where herd7 comes from, and what is counted. herd7 and the archive are stand-ins; the tests of
# litmus.py are in test_litmus.py.
# shellcheck disable=SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0
load common

setup() {
	a_door
	a_kernel 7.3.4
	mkdir -p "$LINUX/tools/memory-model" "$DOOR/litmus" "$DOOR/code" "$HERE/system/etc"
	: >"$LINUX/tools/memory-model/linux-kernel.cfg"
	echo 'fn give() {}' >"$DOOR/code/a.rs"
	printf 'C one\n\n(*\n * Result: Never\n *\n * Code:\n *   code/a.rs: give()\n *)\n\n{}\n\tsmp_mb(); // [give]\n' >"$DOOR/litmus/one.litmus"
	export VFIFO_SYSTEM=$HERE/system VFIFO_RESULTS=$HERE/results
	is debian 12
	[ "$(df -Pm "$VFIFO_CACHE" | awk 'NR == 2 { print $4 }')" -ge 6000 ] || skip "no room on this disk"
	door --tree "$LINUX" fetch
}

is() { printf 'ID=%s\nVERSION_ID="%s"\nVERSION_CODENAME=here\n' "$@" >"$HERE/system/etc/os-release"; } # ID VERSION

ok() { echo "$output"; [ "$status" -eq 0 ]; }

# What herd7 prints: that outcome for the test, and Sometimes for its variants.
a_herd() { # OUTCOME
	printf '%s\n' '#!/bin/sh' '[ "$1" != -version ] || { echo "7.58, Rev: exported"; exit; }' 'shift 2' \
		'for file; do name=$(basename "$file" .litmus); outcome=Sometimes; [ "$name" != one ] || outcome='"$1" \
		'echo "Test $name Allowed"; echo "Observation $name $outcome 1 2"; done'
}

# An archive with these versions, each package with a file that says it; the door is changed to want their hashes.
an_archive() { # HERDTOOLS7 LIBC6 LIBGMP10
	local name version root=$HERE/root
	rm -rf "$HERE/archive" "$root"
	mkdir -p "$HERE/archive" "$root/usr/bin" "$root/usr/share/herdtools7/herd" "$root/usr/lib/x-linux-gnu"
	a_herd Never >"$root/usr/bin/herd7"
	: >"$root/usr/share/herdtools7/herd/stdlib.cat"
	# Stands for the dynamic linker.
	printf '#!/bin/sh\nshift 2; program=$1; shift 3; exec sh "$program" "$@"\n' >"$root/usr/lib/x-linux-gnu/ld-linux-x.so.2"
	chmod +x "$root/usr/lib/x-linux-gnu/ld-linux-x.so.2"
	: >"$root/usr/lib/x-linux-gnu/libgmp.so.10"
	for name in herdtools7 libc6 libgmp10; do
		echo "$name $1" >>"$HERE/archive/versions"
		tar cf "$HERE/archive/${name}_$1_x.deb" -C "$root" ./usr
		shift
	done
	VERSION_HERD=''
	while read -r name version; do
		VERSION_HERD+="$name $version $(sha256sum <"$HERE/archive/${name}_${version}_x.deb" | cut -d ' ' -f 1)"$'\n'
	done <"$HERE/archive/versions"
	VERSION_HERD=${VERSION_HERD%$'\n'}
	wants "$VERSION_HERD"
	ARCHIVE=$HERE/archive
	stub apt-get 'ARCHIVE=$(dirname "$0")/../archive; case "$*" in
		indextargets*) echo "http://archive/debian here Debian" ;;
		*" update") : ;;
		*" download "*) package=${*: -1}; cp "$ARCHIVE/${package%%=*}_${package#*=}_x.deb" . && echo "$package" >>"$ARCHIVE/downloaded" ;;
		esac'
	stub apt-cache 'ARCHIVE=$(dirname "$0")/../archive; grep "^${*: -1} " "$ARCHIVE/versions" | while read -r name version; do echo "$name | $version | http://archive/debian"; done'
	stub dpkg-deb 'cat "$2"'
	mkdir -p "$HERE/system/usr/share/keyrings"
	: >"$HERE/system/usr/share/keyrings/debian-archive-keyring.gpg"
}

wants() { printf "VERSION_HERD='%s'\n" "$1" >>"$DOOR/steps/versions.sh"; } # PACKAGES

litmus() { : >"$VFIFO_RESULTS"; door --tree "$LINUX" litmus "$@"; }

@test "litmus: herd7 is unpacked in the cache, once" {
	an_archive 7.58-2 2.43-7 6.3
	litmus
	ok
	[[ $output == *"  ok       one  Never; Sometimes without give"* ]]
	[[ $output == *"litmus: the memory model of Linux 7.3.4, by herd7 7.58 ("* ]]
	[ "$(cut -f -4 "$VFIFO_RESULTS")" = $'2\t0\t0\tlitmus one' ]
	[ "$(cat "$ARCHIVE/downloaded")" = $'herdtools7=7.58-2\nlibc6=2.43-7\nlibgmp10=6.3' ]
	[ -z "$(ls -d "$VFIFO_CACHE"/tmp.* 2>/dev/null)" ]
	# From now on without the network.
	stub apt-get 'exit 1'
	litmus one
	ok
	# Until other versions are wanted.
	wants 'herdtools7 7.59-1 0'
	litmus
	refused "litmus: herd7 failed"
}

@test "litmus: the archive has other versions" {
	an_archive 7.58-2 2.44-1 6.3
	wants "${VERSION_HERD//2.44-1/2.43-7}"
	litmus
	ok
	[[ $output == *"litmus: the archive no longer has libc6 2.43-7; this is 2.44-1"* ]]
	[ "$(cat "$ARCHIVE/downloaded")" = $'herdtools7=7.58-2\nlibc6=2.44-1\nlibgmp10=6.3' ]
	litmus
	ok
	[[ $output != *archive* ]]
}

@test "litmus: a package with another hash, and one that does not exist" {
	an_archive 7.58-2 2.43-7 6.3
	echo >>"$ARCHIVE/libc6_2.43-7_x.deb"
	litmus
	refused "litmus: herd7 failed: what was downloaded does not have the expected hash"
	[ ! -e "$VFIFO_CACHE/tools/herd" ]
	sed -i /libgmp10/d "$ARCHIVE/versions"
	wants "libgmp10 6.3 0"
	litmus
	refused "apt's sources do not have it: Unable to locate package libgmp10"
}

@test "litmus: other outcomes are failures" {
	is arch 1
	a_herd Sometimes >"$VFIFO_TEST_BIN/herd7"
	chmod +x "$VFIFO_TEST_BIN/herd7"
	litmus
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"  FAILED   one"*"one: Sometimes; expected: Never"* ]]
	[[ $output == *"litmus: some outcomes are not as expected, as shown above"* ]]
	[ "$(cut -f -4 "$VFIFO_RESULTS")" = $'1\t1\t0\tlitmus one' ]
	[ -e "$DOOR/build/log/litmus/one.log" ]
}

@test "litmus: on another system, that system's herd7 is used, or it is skipped" {
	is arch 1
	a_herd Never >"$VFIFO_TEST_BIN/herd7"
	chmod +x "$VFIFO_TEST_BIN/herd7"
	litmus
	ok
	[ "$(cut -f -4 "$VFIFO_RESULTS")" = $'2\t0\t0\tlitmus one' ]
	rm "$VFIFO_TEST_BIN/herd7"
	command -v herd7 >/dev/null && skip "this system has herd7"
	litmus
	ok
	[ "$(cut -f -4 "$VFIFO_RESULTS")" = $'0\t0\t1\tlitmus' ]
	[[ $output == *"  skipped  litmus: herd7 comes from packages of Debian, and this is another system; install herdtools7"* ]]
}

@test "litmus: an unknown test, and no kernel tree" {
	litmus two
	refused "litmus: there is no test two in litmus/"
	litmus ../code/a
	refused "litmus: there is no test ../code/a in litmus/"
	door litmus
	refused "there is no kernel tree" "build-kernel.sh fetch"
}
