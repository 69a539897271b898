# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The end of a system whose vfifo devices are busy in every way: it must come.

# One guest for each way to end. QEMU ends with it; one that has to be ended hung.
do_shutdown() {
	tree_need
	build_use_objects
	local from=$SECONDS how failed=0 deadline=$((240 * GUEST_SCALE))
	local programs=$BUILD_DIR/kselftest-installed/vfifo
	[ -x "$programs/occupy" ] || die "shutdown: no kselftests are installed; run $DOOR build"
	for how in reboot poweroff kill panic; do
		guest_run "$deadline" "
			insmod $BUILD_DIR/samples/rust/rust_vfifo.ko devices=4 && exec $programs/occupy $how
		" >"$LOGS/shutdown.log"
		# On a machine without time to spare an emulated one may not come up.
		[ -e "$GUEST_DIR/booted" ] || guest_run "$deadline" "$(cat "$GUEST_DIR/command")" >"$LOGS/shutdown.log"
		cp "$LOGS/console.log" "$LOGS/shutdown-$how.log"
		if shutdown_judge "$how" "$deadline"; then
			say "  ok       $how with queued data, mapped ends and sleepers (guest time $GUEST_SECONDS s)"
			count_result 1 0 0 "$how" "$GUEST_SECONDS"
		else
			count_result 0 1 0 "$how" "$GUEST_SECONDS"
			failed=1
		fi
	done
	[ "$failed" -eq 0 ] || die "shutdown: not every system ended (logs: $LOGS/shutdown-*.log)"
	done_step shutdown "$from" "4 systems ended"
}

# The console's last words must be those of the end that was wanted, and no others of the kind.
shutdown_judge() { # HOW DEADLINE
	local wanted='reboot: Power down' trouble
	case $1 in
	reboot) wanted='reboot: Restarting system' ;;
	panic) wanted='Kernel panic - not syncing: sysrq triggered crash' ;;
	esac
	# shellcheck disable=SC2153
	trouble=$(grep -aoE "($(guest_trouble_pattern)).*" "$LOGS/console.log" | tr -d '\r' | head -n 1 || true)
	if ! grep -qx occupied "$LOGS/shutdown.log"; then
		say "  FAILED   $1: the devices could not be occupied: $(tail -n 1 "$LOGS/shutdown.log")"
	elif [ "$GUEST_SECONDS" -ge "$2" ]; then
		say "  FAILED   $1: the system hung"
	elif ! grep -qaF "$wanted" "$LOGS/console.log"; then
		say "  FAILED   $1: the console does not say \"$wanted\""
	elif [ -n "$trouble" ] && [ "${trouble#"$wanted"}" = "$trouble" ]; then
		say "  FAILED   $1: the kernel complained: $trouble"
	else
		return 0
	fi
	return 1
}
