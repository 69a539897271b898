# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The tour and the figures, in the booted kernel.

in_guest() { # STEP SECONDS COMMAND: its output is shown; anything but success ends this run
	local trouble
	guest "$2" "$3"
	trouble=$(guest_trouble)
	[ -z "$trouble" ] || die "$1: $trouble"
	[ "$GUEST_STATUS" = 0 ] || die "$1: failed with status $GUEST_STATUS, as shown above (log: $LOGS/console.log)"
}

build_bench() { clang-19 -O2 -Wall -Wextra -o "$O/vfifo-bench" "$ROOT/steps/bench.c"; }

do_bench() {
	need_tree
	use_objects
	local from=$SECONDS
	must "bench: compiling" bench-build.log "see the log" build_bench
	choose_accel
	in_guest bench 300 "bash '$ROOT/steps/bench.sh' $O/samples/rust/rust_vfifo.ko $O/vfifo-bench $ACCEL"
	done_step bench "$from" "done, by $ACCEL"
}

do_demo() {
	local from=$SECONDS
	do_deps
	do_fetch
	do_patch
	do_build
	in_guest demo 180 "bash '$ROOT/steps/tour.sh' $O/samples/rust/rust_vfifo.ko '$ROOT/steps'"
	say "demo: booted in $(cat "$GUEST/booted") s by $ACCEL"
	do_bench
	done_step demo "$from" "every stop of the tour held"
}
