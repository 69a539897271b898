# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Everything, counted. Each part is a run of its own, so that none can take the summary with it.

part() { # NAME COMMAND...: a part that fails without a failed test is a failure itself
	local name=$1 status=0 before
	shift
	before=$(totals)
	say "== $name"
	in_group "$ROOT/build-kernel.sh" --jobs "$JOBS" --accel "$ACCEL" ${DEBUG:+"--$DEBUG"} ${TREE:+--tree "$TREE"} "$@" ||
		status=$?
	if [ "$status" -ne 0 ] && [ "$(totals | cut -d ' ' -f 2)" = "$(cut -d ' ' -f 2 <<<"$before")" ]; then
		result 0 1 0
	elif [ "$status" -eq 0 ] && [ "$(totals)" = "$before" ] && [ "${COUNTED:-1}" = 1 ]; then
		say "  FAILED   $name: no test ran"
		result 0 1 0
	fi
	return "$status"
}

# The kselftests that "test" runs in the debug kernel as well: they reach most of the driver in the time
# that everybody can wait. Without kmemleak, which would double it.
DEBUG_TESTS=(mmap claim faults privilege inject fuzz)

totals() { awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$VFIFO_RESULTS"; }

do_test() {
	local from=$SECONDS work step ready=1
	scratch work
	export VFIFO_RESULTS=$work/results
	: >"$VFIFO_RESULTS"
	for step in deps fetch patch build; do
		COUNTED=0 part "$step" "$step" || { ready=; break; }
	done
	if [ -n "$DEBUG" ]; then
		# The rest is the same whatever the kernel.
		[ -z "$ready" ] || part selftest selftest || true
	else
		if [ -n "$ready" ]; then
			part series series --check || true
			part selftest selftest || true
			part kunit kunit || true
			part compilers compilers || true
			part instructions bench --check || true
		fi
		part host host || true
		if [ -n "$ready" ] && DEBUG=debug COUNTED=0 part "build --debug" build; then
			DEBUG=debug VFIFO_KMEMLEAK=off part "selftest --debug" selftest "${DEBUG_TESTS[@]}" || true
		fi
	fi
	[ -n "$DEBUG" ] || say "test: left to ./build-kernel.sh test --debug: kmemleak, and the other kselftests in the kernel that checks itself"
	say "test: left to ./build-kernel.sh soak: $([ -n "$DEBUG" ] || echo "that, ")$SOAK_PARTS"
	summary test "$from"
}

summary() { # STEP START
	local passed failed skipped
	read -r passed failed skipped < <(totals)
	say "$1: took $(span $((SECONDS - $2))); logs in $LOGS"
	say "$passed passed, $failed failed$([ "$skipped" -eq 0 ] || echo ", $skipped skipped")"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

# The scripts, the manual page, the fragment, the door's own tests and what runs on the host.
do_host() {
	local from=$SECONDS work
	scratch work
	check "shellcheck" scripts_clean
	check "tests/mutants/ apply" mutants_apply
	check "mandoc" manual_clean
	check "the arithmetic of the benchmark" python3 "$ROOT/bench/test_bench.py"
	if find_tree; then check "Kconfig.fragment merges, nothing unmet" fragment_merges "$work"; fi
	use_objects
	if [ -e "$O/rust/libkernel.rmeta" ]; then check "the external module builds" external_builds "$work"; fi
	if [ -n "$SRC" ]; then
		# Its own lock and cache: these tests start the door.
		VFIFO_LOCKED="" VFIFO_TREE_TOOLS=$SRC logged "host: the door" bats.log bats --tap "$ROOT/tests" || true
		count door "$LOGS/bats.log" || CHECKS_FAILED=1
	fi
	if [ -e "$ROOT/host/Cargo.toml" ]; then cargo_tests host; fi
	if [ -e "$ROOT/clients/rust/Cargo.toml" ]; then cargo_tests clients/rust; fi
	[ "$CHECKS_FAILED" -eq 0 ] || die "host: not every test passed (logs: $LOGS)"
	done_step host "$from" "done"
}

# libtest LOG: passed, failed and ignored, in all.
libtest() {
	sed -nE 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed; ([0-9]+) ignored;.*/\1 \2 \3/p' "$1" |
		awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }'
}

# crate FOLDER COMMAND...: cargo in that folder; its objects are in the cache.
crate() {
	/usr/bin/cargo "$2" --locked --color never --manifest-path "$ROOT/$1/Cargo.toml" --target-dir "$CACHE/${1//\//-}" "${@:3}"
}

# count_libtest NAME STATUS LOG: counts what ran; a failed run without a failed test is one.
count_libtest() {
	local name=$1 status=$2 log=$3 figures
	figures=$(libtest "$log")
	# shellcheck disable=SC2086
	set -- $figures
	[ "$status" -eq 0 ] || [ "$2" -gt 0 ] || set -- "$1" 1 "$3"
	[ "$1" -gt 0 ] || set -- "$1" $(($2 > 0 ? $2 : 1)) "$3"
	result "$@"
	grep -aE '^test .* \.\.\. (FAILED|ignored)' "$log" | sed 's/^/  /' || true
	say "$name: $1 passed, $2 failed, $3 skipped"
	[ "$2" -eq 0 ]
}

cargo_tests() { # FOLDER
	local status=0 log=cargo-${1//\//-}.log
	logged "host: cargo test in $1" "$log" crate "$1" test || status=$?
	count_libtest "cargo, $1" "$status" "$LOGS/$log" || CHECKS_FAILED=1
}
