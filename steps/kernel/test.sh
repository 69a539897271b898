# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# All tests, with one summary. Each part is a separate run of this program, so that there is a summary even if one dies.

# The folder with the output and the results of the part that runs beside others, or nothing.
TEST_BESIDE=''

# Starts host, which boots nothing, beside the parts that do: an emulator leaves some of the processors idle. Its output is
# shown when it is its turn.
test_start_host() {
	scratch TEST_BESIDE
	: >"$TEST_BESIDE/results"
	set -m
	VFIFO_RESULTS=$TEST_BESIDE/results nice -n 19 bash "$ROOT/build-kernel.sh" --jobs "$JOBS" ${TREE:+--tree "$TREE"} host \
		</dev/null >"$TEST_BESIDE/output" 2>&1 &
	LIB_BESIDE=$!
	set +m
}

test_wait_for_host() {
	local status=0
	wait "$LIB_BESIDE" || status=$?
	LIB_BESIDE=''
	cat "$TEST_BESIDE/output"
	cat "$TEST_BESIDE/results" >>"$VFIFO_RESULTS"
	return "$status"
}

test_run() { # COMMAND...
	if [ "$1" = host ] && [ -n "$LIB_BESIDE" ]; then
		test_wait_for_host
	else
		in_group "$ROOT/build-kernel.sh" --jobs "$JOBS" --accel "$ACCEL" ${DEBUG:+"--$DEBUG"} ${TREE:+--tree "$TREE"} "$@"
	fi
}

test_part() { # NAME COMMAND...: a part that fails without a failed test is a failure itself
	local name=$1 status=0 before lines from=$SECONDS
	shift
	before=$(count_totals) lines=$(count_lines)
	say "== $name"
	test_run "$@" || status=$?
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
TEST_DEBUG=(mmap claim faults privilege hangup_load devices_removal records_death overwrite_death)

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
			test_start_host
			test_part series series --check || true
			test_part selftest selftest || true
			test_part kunit kunit || true
			test_part compilers compilers || true
			test_part instructions bench --check || true
		fi
		test_part host host || true
		test_part litmus litmus || true
		if [ -n "$ready" ] && DEBUG=debug TEST_COUNTED=0 test_part "build --debug" build; then
			DEBUG=debug VFIFO_KMEMLEAK=off test_part "selftest --debug" selftest "${TEST_DEBUG[@]}" || true
		fi
	fi
	[ -n "$DEBUG" ] || say "test: left to ./build-kernel.sh test --debug: kmemleak, and the other kselftests in the debug kernel"
	say "test: left to ./build-kernel.sh soak: $([ -n "$DEBUG" ] || echo "that, ")$SOAK_PARTS"
	count_summary test "$from"
}
