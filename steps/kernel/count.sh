# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Verdicts: what passed, failed and was skipped is added up over all parts of a run in the file VFIFO_RESULTS.

# 1 once a check of this run has failed.
COUNT_FAILED=0

# check NAME COMMAND...: one counted check; its output is shown when it fails.
check() {
	local name=$1 log=$LOGS/check.log
	shift
	if logged "$name" check.log "$@"; then
		say "  ok       $name"
		count_result 1 0 0
	else
		say "  FAILED   $name"
		sed -e 's/^/           /' "$log" | head -n 40
		count_result 0 1 0
		COUNT_FAILED=1
	fi
}

# count_tap SUITE FILE: names what failed; the figures are added up by the test step.
count_tap() {
	python3 "$ROOT/steps/kernel/ktap.py" "$TREE_SRC/tools/testing/kunit" "${VFIFO_RESULTS:-/dev/null}" "$1" "$2"
}

# A result that no test output stands for.
count_result() { # PASSED FAILED SKIPPED
	printf '%s\t%s\t%s\n' "$@" >>"${VFIFO_RESULTS:-/dev/null}"
}

count_totals() { awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$VFIFO_RESULTS"; }

count_summary() { # STEP START
	local passed failed skipped
	read -r passed failed skipped < <(count_totals)
	say "$1: took $(span $((SECONDS - $2))); logs in $LOGS"
	say "$passed passed, $failed failed$([ "$skipped" -eq 0 ] || echo ", $skipped skipped")"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] || { lib_said; return 1; }
}

# count_libtest_sums LOG: passed, failed and ignored, in all.
count_libtest_sums() {
	sed -nE 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed; ([0-9]+) ignored;.*/\1 \2 \3/p' "$1" |
		awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }'
}

# count_libtest NAME STATUS LOG: counts what ran; a failed run without a failed test is one.
count_libtest() {
	local name=$1 status=$2 log=$3 figures
	figures=$(count_libtest_sums "$log")
	# shellcheck disable=SC2086
	set -- $figures
	[ "$status" -eq 0 ] || [ "$2" -gt 0 ] || set -- "$1" 1 "$3"
	[ "$1" -gt 0 ] || set -- "$1" $(($2 > 0 ? $2 : 1)) "$3"
	count_result "$@"
	grep -aE '^test .* \.\.\. (FAILED|ignored)' "$log" | sed 's/^/  /' || true
	say "$name: $1 passed, $2 failed, $3 skipped"
	[ "$2" -eq 0 ]
}
