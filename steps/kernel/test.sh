# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# All tests, with one summary. Each part is a separate run of this program, so that there is a summary even if one dies.

test_part() { # NAME COMMAND...: a part that fails without a failed test is a failure itself
	local name=$1 status=0 before lines from=$SECONDS
	shift
	before=$(count_totals) lines=$(count_lines)
	say "== $name"
	in_group "$ROOT/build-kernel.sh" --jobs "$JOBS" --accel "$ACCEL" ${DEBUG:+"--$DEBUG"} ${TREE:+--tree "$TREE"} "$@" ||
		status=$?
	if [ "$status" -ne 0 ] && [ "$(count_failures)" = "$(cut -d ' ' -f 2 <<<"$before")" ]; then
		count_result 0 1 0 "$name" 0
	elif [ "$status" -eq 0 ] && [ "$(count_totals)" = "$before" ] && [ "${TEST_COUNTED:-1}" = 1 ]; then
		say "  FAILED   $name: no test ran"
		count_result 0 1 0 "$name: no test ran" 0
	fi
	count_result 0 0 0 "$name" $((SECONDS - from)) "group=$(($(count_lines) - lines))"
	return "$status"
}

# The kselftests that "test" also runs in the debug kernel: they reach most of the driver in a few minutes. kmemleak, which
# would double the time, is off.
TEST_DEBUG=(mmap claim claim_peers faults privilege inject fuzz hangup_mapped hangup_load devices_removal devices_end)

do_test() {
	local from=$SECONDS step ready=1
	count_start
	# Downloads come first, so that a missing network ends the run here and not later.
	for step in deps fetch patch build; do
		TEST_COUNTED=0 test_part "$step" "$step" || { ready=; break; }
	done
	if [ -z "$ready" ] && [[ $step != patch && $step != build ]]; then
		say "test: did not start, because something that it needs could not be downloaded, as shown above"
		count_summary test "$from"
		return
	fi
	if [ -n "$DEBUG" ]; then
		# The other parts do not depend on the kernel.
		[ -z "$ready" ] || test_part selftest selftest || true
	else
		if [ -n "$ready" ]; then
			test_part series series --check || true
			test_part selftest selftest || true
			test_part kunit kunit || true
			test_part compilers compilers || true
			test_part instructions bench --check || true
		fi
		test_part host host || true
		if [ -n "$ready" ] && DEBUG=debug TEST_COUNTED=0 test_part "build --debug" build; then
			DEBUG=debug VFIFO_KMEMLEAK=off test_part "selftest --debug" selftest "${TEST_DEBUG[@]}" || true
		fi
	fi
	[ -n "$DEBUG" ] || say "test: left to ./build-kernel.sh test --debug: kmemleak, and the other kselftests in the debug kernel"
	say "test: left to ./build-kernel.sh soak: $([ -n "$DEBUG" ] || echo "that, ")$SOAK_PARTS"
	count_summary test "$from"
}
