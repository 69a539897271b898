# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The installed kselftests, run in the booted kernel by the tree's own runner, and the tests of the Rust crate, of vfifo.hpp,
# of vfifoctl and of the Python package that need a device.

# Their names, folders, and arguments for cargo.
SELFTEST_CRATES=(
	"crate clients/rust --features tokio --test device"
	"crate_tokio clients/rust --features tokio --test device_tokio"
	"vfifoctl clients/vfifoctl --test device"
)

do_selftest() { # [PROGRAM]...
	tree_need
	build_use_objects
	local from=$SECONDS list=$BUILD_DIR/kselftest-installed/kselftest-list.txt test crate crates=true failed=0 which='-S vfifo:suspend'
	[ -s "$list" ] || die "selftest: none are installed; run $DOOR build"
	if [ $# -gt 0 ]; then
		which=
		for test; do
			grep -qxF "vfifo:$test" "$list" || die "selftest: there is no $test in $list"
			which+=" -t vfifo:$test"
		done
	fi
	rm -rf "$LOGS/kselftest"
	if [ $# -eq 0 ] && [ -z "$ARCH" ]; then
		selftest_build_cxx
		crates+=$'\n'"timeout $((60 * GUEST_SCALE)) $BUILD_DIR/cxx >programs/cxx 2>&1"
		for crate in "${SELFTEST_CRATES[@]}"; do
			# shellcheck disable=SC2086
			selftest_build_crate $crate
			crates+=$'\n'"$(selftest_run_crate "${crate%% *}")"
		done
		python_need selftest
		crates+=$'\n'"$(python_run_device)"
	fi
	guest_run_logged selftest selftest.log "$((1800 * GUEST_SCALE))" "
		export VFIFO_MODULE=$BUILD_DIR/samples/rust/rust_vfifo.ko VFIFO_SCALE=$GUEST_SCALE
		$([ -n "$DEBUG" ] || echo "export KSELFTEST_LIMITS_ARGS='-F memory'")
		$(selftest_audited "insmod \$VFIFO_MODULE && $BUILD_DIR/kselftest-installed/run_kselftest.sh$(selftest_override) $which -p \$PWD/programs
			$crates")
	"
	mkdir -p "$LOGS/kselftest"
	cp -r "$GUEST_DIR/programs/." "$LOGS/kselftest/" 2>/dev/null || true
	while IFS=: read -r _ test; do
		[[ " $* " == *" $test "* ]] || { [ $# -eq 0 ] && [ "$test" != suspend ]; } || continue
		selftest_program "$test" "$(selftest_seconds "$test")" || failed=1
	done <"$list"
	selftest_audit_result selftest || failed=1
	if [ $# -eq 0 ] && [ -n "$ARCH" ]; then
		for test in "${SELFTEST_CRATES[@]%% *}" cxx python "suspend (2 GiB)" "system (2 GiB)" "limits (2 GiB)"; do
			count_skipped "selftest $test" "runs only on $VERSION_ARCH so far"
		done
	elif [ $# -eq 0 ]; then
		for crate in "${SELFTEST_CRATES[@]%% *}"; do
			touch "$LOGS/kselftest/$crate"
			count_libtest "selftest $crate" "$(cat "$GUEST_DIR/$crate.status" 2>/dev/null || echo 1)" \
				"$LOGS/kselftest/$crate" "$(selftest_seconds "$crate")" || failed=1
		done
		touch "$LOGS/kselftest/cxx" "$LOGS/kselftest/python"
		count_tap "selftest cxx" "$LOGS/kselftest/cxx" "$(selftest_seconds cxx)" || failed=1
		count_pytest "selftest python" "$(cat "$GUEST_DIR/python.status" 2>/dev/null || echo 1)" \
			"$LOGS/kselftest/python" "$(selftest_seconds python)" || failed=1
		selftest_plain || failed=1
	fi
	[ $failed -eq 0 ] || die "selftest: some tests failed, as shown above (log: $LOGS/selftest.log, $LOGS/kselftest/)"
	done_step selftest "$from" "guest time $GUEST_SECONDS s, with $ACCEL"
}

# How long a program of the last guest ran. Programs run one after the other, and each ends by writing to its log.
selftest_seconds() { # NAME
	find "$GUEST_DIR/booted" "$GUEST_DIR/programs" -type f -printf '%T@ %f\n' 2>/dev/null | sort -n |
		awk -v name="$1" '$2 == name && before { seconds = $1 - before } { before = $1 } END { printf "%.0f\n", seconds }'
}

# The limit in the tests' own settings is for kernels that are not slowed down.
selftest_override() { [ "$GUEST_SCALE" -eq 1 ] || echo " -o $((300 * GUEST_SCALE))"; }

# What the audit must be able to check in this kernel.
selftest_audit_checks() {
	[ "$DEBUG" = debug ] || return 0
	echo "lockdep objects$(! guest_kmemleak || echo " kmemleak")"
}

# selftest_audited COMMAND: prints that command between the two halves of the audit, for the guest.
selftest_audited() {
	local checks
	checks=$(selftest_audit_checks)
	cat <<-END
		bash '$ROOT/steps/kernel/audit.sh' before audit
		$1
		status=\$?
		echo '# selftests: vfifo: audit'
		bash '$ROOT/steps/kernel/audit.sh' after audit $checks >audit/tap
		(exit \$status)
	END
}

# selftest_audit_result STEP: counts the results of the audit, and complaints of the guest's kernel.
selftest_audit_result() {
	local status=0
	if [ "$GUEST_END" = exit ]; then
		cp "$GUEST_DIR/audit/tap" "$LOGS/$1-audit.log" 2>/dev/null || : >"$LOGS/$1-audit.log"
		count_tap "$1 audit" "$LOGS/$1-audit.log" || status=1
	fi
	selftest_trouble "$1" || status=1
	return $status
}

# Compiles the test of vfifo.hpp that needs a device.
selftest_build_cxx() {
	must "selftest: the test of clients/vfifo.hpp" cxx-build.log "the first error is in the log" \
		g++ -std=c++17 -O2 -Wall -Wextra -pedantic -Werror "-I$ROOT/clients" -isystem "$BUILD_DIR/usr/include" -pthread \
		-o "$BUILD_DIR/cxx" "$ROOT/clients/tests/cxx.cc"
}

# Compiles the tests of a crate that need a device. This is done here, since the guest is slow.
selftest_build_crate() { # NAME FOLDER ARGUMENT...
	local log=$1-build.log
	must "selftest: the tests of $2 ($1)" "$log" "the first error is in the log" host_crate "$2" test --no-run "${@:3}"
	[ -x "$(selftest_crate "$1")" ] || die "selftest: the path of the test $1 is not in cargo's output (log: $LOGS/$log)"
}

# Prints the path of the program that this has built. cargo prints it relative to its current folder, the clone.
selftest_crate() { # NAME
	local program
	program=$(sed -nE 's/^ *Executable .* \((.*)\)$/\1/p' "$LOGS/$1-build.log")
	(cd "$ROOT" && realpath -m "$program")
}

# Prints the commands that run it in the guest.
selftest_run_crate() { # NAME
	echo "VFIFO_DEVICE=/dev/vfifo0 timeout $((180 * GUEST_SCALE)) $(selftest_crate "$1") >programs/$1 2>&1; echo \$? >$1.status"
}

# Shows and counts what went wrong with the last guest. Succeeds if nothing did.
selftest_trouble() { # STEP
	local trouble
	trouble=$(guest_trouble)
	[ -n "$trouble" ] || return 0
	say "  FAILED   $1: $trouble"
	guest_complaints | head -n 120 | sed 's/^/           /'
	count_result 0 1 0 "$1: the guest" 0
	return 1
}

# The tests that need a machine that can be suspended, or that has more memory than the largest buffer.
selftest_plain() {
	local GUEST_CONSOLE=console-plain.log log=$LOGS/selftest-plain.log failed=0 seconds=$GUEST_SECONDS from=$SECONDS
	local programs=(suspend "system -r memory.the_largest_capacity") program missing=''
	# Without a memory cgroup, the test uses up all memory. A guest that loads its programs over 9P would be too slow then.
	[ -n "$DEBUG" ] || programs+=("limits -f memory")
	if [ "$DEBUG" = kcsan ]; then
		count_skipped "selftest suspend (2 GiB): suspend.memory" "the KCSAN kernel does not suspend to RAM, with or without vfifo"
		programs[0]="suspend -V memory"
	fi
	plain_guest "$((300 * GUEST_SCALE))" "${programs[@]}"
	tr -d '\r' <"$GUEST_DIR/output" >"$log"
	awk -v folder="$LOGS/kselftest" '/^== / { file = folder "/plain-" $2; printf "" > file; next } file { print > file }' "$log"
	for program in "${programs[@]%% *}"; do
		if [ -e "$LOGS/kselftest/plain-$program" ]; then
			count_tap "selftest $program (2 GiB)" "$LOGS/kselftest/plain-$program" || failed=1
		else
			missing+=" $program"
		fi
	done
	if ! selftest_trouble "selftest, plain"; then
		failed=1
	elif [ -n "$missing" ]; then
		count_result 0 1 0 "selftest, plain: did not run:$missing" 0
		failed=1
	fi
	[ -z "$missing" ] || say "  FAILED   selftest, plain: did not run:$missing"
	GUEST_SECONDS=$((seconds + SECONDS - from))
	return $failed
}

# The runner's verdict on a program is its exit status; the program's TAP output has the single tests.
selftest_program() { # NAME SECONDS
	local log=$LOGS/kselftest/$1 verdict name="selftest $1"
	verdict=$(grep -aE "^(not )?ok [0-9]+ selftests: [^ ]+: $1( |\$)" "$LOGS/selftest.log" | head -n 1 || true)
	# A program that cannot run here prints the reason instead of a plan.
	if [[ $verdict == ok*'# SKIP'* ]] && grep -qaE '^(# )?1\.\.0 # SKIP' "$log"; then
		count_skipped "$name" "$(sed -nE 's/^(# )?1\.\.0 # SKIP //p' "$log" | head -n 1)"
		return 0
	fi
	if grep -qaE '^(# )?(TAP version|KTAP version|1\.\.[0-9])' "$log" 2>/dev/null; then
		if ! count_tap "$name" "$log" "$2"; then return 1; fi
		case $verdict in
		ok*) return 0 ;;
		'') say "  FAILED   $name: it did not end" ;;
		*) say "  FAILED   $name: ${verdict#not }" ;;
		esac
		count_result 0 1 0 "$name: its end" 0
		return 1
	fi
	case $verdict in
	ok*'# SKIP'*) count_skipped "$name" ;;
	ok*) count_result 1 0 0 "$name" "$2"; say "$name: passed" ;;
	'') say "  FAILED   $name: it did not run"; count_result 0 1 0 "$name" 0; return 1 ;;
	*) say "  FAILED   $name: ${verdict#not }"; count_result 0 1 0 "$name" "$2"; return 1 ;;
	esac
}
