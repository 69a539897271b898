# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The tour and a short benchmark, in the booted kernel.

demo_step() { # COMMAND [ARGUMENT]...
	local from=$SECONDS
	"do_$1" "${@:2}"
	count_result 0 0 0 "$1" $((SECONDS - from))
}

demo_tour() {
	local from=$SECONDS checks
	guest_must demo 180 "bash '$ROOT/steps/tour/tour.sh' $BUILD_DIR/samples/rust/rust_vfifo.ko"
	checks=$(sed -nE 's/^([0-9]+) checks, 0 failed$/\1/p' "$GUEST_DIR/output")
	[ -n "$checks" ] || die "demo: the tour did not say how many checks it made (output: $GUEST_DIR/output)"
	count_result "$checks" 0 0 tour $((SECONDS - from))
}

do_demo() {
	local from=$SECONDS step
	for step in deps fetch patch build; do demo_step $step; done
	demo_tour
	say "demo: booted in $(cat "$GUEST_DIR/booted") s, with $ACCEL"
	demo_step bench --quick
	done_step demo "$from" "all checks of the tour passed"
}
