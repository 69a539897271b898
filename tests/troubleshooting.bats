#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The messages in TROUBLESHOOTING.md are those of the scripts, the clients and the driver.
# shellcheck disable=SC2016

bats_require_minimum_version 1.5.0

setup() {
	REAL=$(cd "$BATS_TEST_DIRNAME/.." && pwd -P)
}

# messages HEADING: the texts in backquotes in the first column below that heading, one per line; "..." splits a text.
messages() {
	awk -v heading="## $1" '/^## /{ on = $0 == heading } on && /^\|/ { split($0, cell, / \| /); print cell[1] }' \
		"$REAL/TROUBLESHOOTING.md" | grep -o '`[^`]*`' | tr -d '`' | sed 's/[.][.][.]/\n/g' |
		sed 's/^[ ,;]*//; s/[ ,;]*$//' | grep '[a-z]'
}

# exist FILE...: whether each line of the input is in one of these files. Prints those that are not.
exist() {
	local text status=0
	while IFS= read -r text; do
		grep -rqF -- "$text" "$@" || { echo "no message has: $text"; status=1; }
	done
	return $status
}

@test "TROUBLESHOOTING.md: building the module" {
	[ "$(messages 'Building the module' | wc -l)" -ge 12 ]
	messages 'Building the module' | exist "$REAL/steps/devbox"
}

@test "TROUBLESHOOTING.md: the emulator and build-kernel.sh" {
	[ "$(messages 'The emulator and build-kernel.sh' | wc -l)" -ge 12 ]
	messages 'The emulator and build-kernel.sh' | exist "$REAL/steps" "$REAL/build-kernel.sh"
}

@test "TROUBLESHOOTING.md: functions and programs of clients/" {
	messages 'Mapped ends' | grep -oE 'vfifo_[a-z]+(_[a-z]+)?|bytes are queued; read them first' | sort -u >"$BATS_TEST_TMPDIR/names"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/names")" -ge 4 ]
	exist "$REAL/clients/vfifo_map.h" "$REAL/clients/test_mmap.c" <"$BATS_TEST_TMPDIR/names"
}
