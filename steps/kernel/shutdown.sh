# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Checks that a system can be rebooted, powered off, killed and crashed while its devices are in use in every way.

# Boots one guest for each way to end it. QEMU ends with the guest; if it has to be killed, the guest hung.
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
		# On a busy machine, an emulated guest may not boot; try again.
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
	[ "$failed" -eq 0 ] || die "shutdown: some systems did not end as they should (logs: $LOGS/shutdown-*.log)"
	done_step shutdown "$from" "4 systems ended as they should"
}

# The console must end with the message that is expected, and have no complaints.
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
