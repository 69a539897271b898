# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# Shared by the tests of build-kernel.sh: a copy of it, with a kernel tree of a few files and a series of two patches.

# Sets HERE, REAL, DOOR and VFIFO_CACHE; programs in VFIFO_TEST_BIN are found before all others.
a_door() {
	unset "${!VFIFO_@}" "${!GIT_@}" "${!SUDO_@}"
	HERE=$BATS_TEST_TMPDIR
	export VFIFO_CACHE=$HERE/cache VFIFO_TEST_BIN=$HERE/stubs
	REAL=$(cd "$BATS_TEST_DIRNAME/.." && pwd -P)
	DOOR=$HERE/door
	mkdir -p "$DOOR" "$VFIFO_CACHE" "$VFIFO_TEST_BIN"
	cp -r "$REAL/build-kernel.sh" "$REAL/steps" "$REAL/defconfig" "$DOOR/"
}

a_kernel() { # VERSION: sets LINUX
	LINUX=$HERE/linux
	mkdir -p "$LINUX/kernel" "$LINUX/samples/rust"
	printf '# a comment\nVERSION = %s\nPATCHLEVEL = %s\nSUBLEVEL = %s\nall:\n\tfalse\n' \
		"$(cut -d. -f1 <<<"$1")" "$(cut -d. -f2 <<<"$1")" "$(cut -d. -f3 <<<"$1")" >"$LINUX/Makefile"
	: >"$LINUX/Kbuild"
	echo 'int a;' >"$LINUX/kernel/a.c"
	seq 1 20 >"$LINUX/samples/rust/Kconfig"
	# As in Debian's tree.
	echo '/*' >"$LINUX/.gitignore"
}

a_series() {
	mkdir -p "$DOOR/series/0001-one" "$DOOR/series/0002-two" "$DOOR/code" "$DOOR/more"
	printf 'code\tsamples/rust\nmore\tmore\n' >"$DOOR/series/folders"
	: >"$DOOR/series/outside"
	printf 'name=A Name\nemail=name@example.org\ndate=1790000000 +0000\n' >"$DOOR/series/author"
	printf 'samples: one\n\nThe first.\n' >"$DOOR/series/0001-one/message"
	printf 'samples: two\n\nThe second.\n' >"$DOOR/series/0002-two/message"
	echo 'code/' >"$DOOR/series/0001-one/files"
	echo 'more/b.txt' >"$DOOR/series/0002-two/files"
	echo first >"$DOOR/code/a.rs"
	echo second >"$DOOR/more/b.txt"
}

door() { run "$DOOR/build-kernel.sh" "$@"; }
tree() { "$DOOR/build-kernel.sh" --tree "$LINUX" series --tree; }
stub() { printf '#!/bin/bash\n%s\n' "$2" >"$VFIFO_TEST_BIN/$1"; chmod +x "$VFIFO_TEST_BIN/$1"; } # NAME SCRIPT

# begins FILE [TENTHS]: waits until a program in the background has made that file, 20 s by default.
begins() {
	local tries=${2-200}
	while [ "$tries" -gt 0 ] && [ ! -e "$1" ]; do sleep 0.1; tries=$((tries - 1)); done
	[ -e "$1" ]
}

# terminated PID: SIGTERM ends that program, whose output is in $HERE/out.
terminated() {
	local result=0
	kill -TERM "$1"
	wait "$1" || result=$?
	cat "$HERE/out"
	[ "$result" -eq 143 ]
}

# refused TEXT...: the run failed with one line that contains all of these; only finished steps may be reported before it.
refused() {
	local text said=$output
	echo "$output"
	[ "$status" -ne 0 ]
	[ "$(grep -c '^build-kernel.sh: ' <<<"$output")" -eq 1 ]
	for text; do [[ $output == *"$text"* ]]; done
	if grep -Ev '^(build-kernel.sh|[a-z]+): ' <<<"$said"; then return 1; fi
}
