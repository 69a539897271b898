# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The installed kselftests, by the tree's own runner, in the booted kernel.

do_selftest() {
	need_tree
	use_objects
	local from=$SECONDS list=$O/kselftest-installed/kselftest-list.txt test failed=0 trouble
	[ -s "$list" ] || die "selftest: none are installed; run ./build-kernel.sh build"
	rm -rf "$LOGS/kselftest"
	guest "$((DEBUG ? 1800 : 600))" "
		export VFIFO_MODULE=$O/samples/rust/rust_vfifo.ko
		insmod \$VFIFO_MODULE && $O/kselftest-installed/run_kselftest.sh -p \$PWD/programs
	" >"$LOGS/selftest.log"
	mkdir -p "$LOGS/kselftest"
	cp -r "$GUEST/programs/." "$LOGS/kselftest/" 2>/dev/null || true
	while IFS=: read -r _ test; do
		selftest_program "$test" || failed=1
	done <"$list"
	trouble=$(guest_trouble)
	if [ -n "$trouble" ]; then
		say "  FAILED   selftest: $trouble"
		result 0 1 0
		failed=1
	fi
	[ $failed -eq 0 ] || die "selftest: not every test passed (log: $LOGS/selftest.log, $LOGS/kselftest/)"
	done_step selftest "$from" "guest time $GUEST_SECONDS s by $ACCEL"
}

# The runner's verdict on a program comes from its exit status; what ran inside it, from its TAP.
selftest_program() { # NAME
	local log=$LOGS/kselftest/$1 verdict name="selftest $1"
	verdict=$(grep -aE "^(not )?ok [0-9]+ selftests: [^ ]+: $1( |\$)" "$LOGS/selftest.log" | head -n 1 || true)
	if grep -qaE '^(# )?(TAP version|KTAP version|1\.\.[0-9])' "$log" 2>/dev/null; then
		if ! count "$name" "$log"; then return 1; fi
		case $verdict in
		ok*) return 0 ;;
		'') say "  FAILED   $name: it never ended" ;;
		*) say "  FAILED   $name: ${verdict#not }" ;;
		esac
		result 0 1 0
		return 1
	fi
	case $verdict in
	ok*'# SKIP'*) say "  skipped  $name"; result 0 0 1 ;;
	ok*) result 1 0 0; say "$name: passed" ;;
	'') say "  FAILED   $name: it never ran"; result 0 1 0; return 1 ;;
	*) say "  FAILED   $name: ${verdict#not }"; result 0 1 0; return 1 ;;
	esac
}
