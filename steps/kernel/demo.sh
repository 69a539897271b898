# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The tour and a few figures, in the booted kernel.

do_demo() {
	local from=$SECONDS
	do_deps
	do_fetch
	do_patch
	do_build
	guest_must demo 180 "bash '$ROOT/steps/tour/tour.sh' $BUILD_DIR/samples/rust/rust_vfifo.ko"
	say "demo: booted in $(cat "$GUEST_DIR/booted") s by $ACCEL"
	do_bench --quick
	done_step demo "$from" "every stop of the tour held"
}
