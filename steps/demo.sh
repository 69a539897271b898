# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The tour and a few figures, in the booted kernel.

in_guest() { # STEP SECONDS COMMAND: its output is shown; anything but success ends this run
	local trouble
	guest "$2" "$3"
	trouble=$(guest_trouble)
	[ -z "$trouble" ] || die "$1: $trouble"
	[ "$GUEST_STATUS" = 0 ] || die "$1: failed with status $GUEST_STATUS, as shown above (log: $LOGS/console.log)"
}

do_demo() {
	local from=$SECONDS
	do_deps
	do_fetch
	do_patch
	do_build
	in_guest demo 180 "bash '$ROOT/steps/tour.sh' $O/samples/rust/rust_vfifo.ko '$ROOT/steps'"
	say "demo: booted in $(cat "$GUEST/booted") s by $ACCEL"
	do_bench --quick
	done_step demo "$from" "every stop of the tour held"
}
