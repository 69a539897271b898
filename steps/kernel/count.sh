# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Results: each part of a run adds a line to the file VFIFO_RESULTS, in the format that results.py describes.

# 1 once a check of this run has failed.
COUNT_FAILED=0
# 1 if the file of results was made by this run. Otherwise it belongs to the run that started this one.
COUNT_OWN=''
# KEY=VALUE that count_result adds to each line.
COUNT_MORE=()

count_start() {
	local work
	[ -z "$COUNT_OWN" ] || return 0
	scratch work
	export VFIFO_RESULTS=$work/results
	: >"$VFIFO_RESULTS"
	COUNT_OWN=1
}

# check NAME COMMAND...: one counted check; its output is shown when it fails. host runs beside other commands with checks.
check() {
	local name=$1 log=check-$COMMAND.log from=$SECONDS
	shift
	if logged "$name" "$log" "$@"; then
		say "  ok       $name"
		count_result 1 0 0 "$name" $((SECONDS - from))
	else
		say "  FAILED   $name"
		sed -e 's/^/           /' "$LOGS/$log" | head -n 40
		count_result 0 1 0 "$name" $((SECONDS - from))
		COUNT_FAILED=1
	fi
}

# count_tap SUITE FILE [SECONDS [KEY=VALUE]...]: counts the tests in that output, and names those that did not pass.
count_tap() {
	python3 "$ROOT/steps/kernel/ktap.py" "$TREE_SRC/tools/testing/kunit" "${VFIFO_RESULTS:-/dev/null}" "$@"
}

# count_result PASSED FAILED SKIPPED NAME SECONDS [KEY=VALUE]...: a result without test output.
count_result() {
	local IFS=$'\t'
	set -- "$@" ${COUNT_MORE[@]+"${COUNT_MORE[@]}"}
	printf '%s\n' "$*" >>"${VFIFO_RESULTS:-/dev/null}"
}

# count_skipped TEST [REASON]: shows and counts a test that did not run.
count_skipped() {
	say "  skipped  $1${2:+: $2}"
	count_result 0 0 1 "$1" 0 "skip=$1" "reason=${2-}"
}

# There is no file before the first result.
count_read() { cat "${VFIFO_RESULTS:-/dev/null}" 2>/dev/null || true; }
count_lines() { count_read | wc -l; }
count_totals() { count_read | awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }'; }
# Compared before and after a part, this tells whether a failed part has counted a failure.
count_failures() { count_totals | cut -d ' ' -f 2; }

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

# count_libtest NAME STATUS LOG SECONDS: counts the tests that ran; a failed run without a failed test is one failure.
count_libtest() {
	local skipped
	mapfile -t skipped < <(sed -nE 's/^test (.*) \.\.\. ignored(, )?(.*)/skip=\1\nreason=\3/p' "$3" | tr '\t' ' ')
	grep -aE '^test .* \.\.\. (FAILED|ignored)' "$3" | sed 's/^/  /' || true
	count_sums "$1" "$2" "$4" "$(count_libtest_sums "$3")" ${skipped[@]+"${skipped[@]}"}
}

# count_pytest_sums LOG: passed, failed and skipped, from the last line.
count_pytest_sums() {
	sed -nE 's/^(=+ )?([0-9]+ [a-z]+(, [0-9]+ [a-z]+)*) in [0-9].*/\2/p' "$1" | tail -n 1 | sed 's/, /\n/g' |
		awk '{ n[$2] = $1 } END { print n["passed"] + 0, n["failed"] + n["error"] + n["errors"] + 0, n["skipped"] + 0 }'
}

# count_pytest NAME STATUS LOG SECONDS: the same for pytest.
count_pytest() {
	local skipped
	mapfile -t skipped < <(sed -nE 's/^SKIPPED \[[0-9]+\] ([^ ]*): (.*)/skip=\1\nreason=\2/p' "$3" | tr '\t' ' ')
	grep -aE '^(FAILED|ERROR|SKIPPED) ' "$3" | sed 's/^/  /' || true
	count_sums "$1" "$2" "$4" "$(count_pytest_sums "$3")" ${skipped[@]+"${skipped[@]}"}
}

# count_sums NAME STATUS SECONDS "PASSED FAILED SKIPPED" [KEY=VALUE]...: counts a program with many tests.
count_sums() {
	local name=$1 status=$2 seconds=$3 sums=$4 more=("${@:5}")
	# shellcheck disable=SC2086
	set -- $sums
	[ "$status" -eq 0 ] || [ "$2" -gt 0 ] || set -- "$1" 1 "$3"
	[ "$1" -gt 0 ] || set -- "$1" $(($2 > 0 ? $2 : 1)) "$3"
	count_result "$@" "$name" "$seconds" ${more[@]+"${more[@]}"}
	say "$name: $1 passed, $2 failed, $3 skipped"
	[ "$2" -eq 0 ]
}
