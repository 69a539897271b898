# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Tests that take hours: stress tests in the debug kernel, long modes of the kselftests, and tests with other kernels.

SOAK_PARTS="stress-ng, trinity, the long modes of the kselftests, 1,000 rounds of each race for each minute, --kcsan, the mutants, shutdown, series --build, matrix, deb --test, devbox --test"
# The packages that these parts need besides those of the step deps.
SOAK_PACKAGES=(stress-ng trinity mmdebstrap dpkg-dev debhelper)

do_soak() { # [MINUTES [PART]]
	local minutes=${1:-10} from=$SECONDS
	[[ $minutes =~ ^[1-9][0-9]{0,3}$ ]] || die "soak $minutes: not a number of minutes; see --help"
	[ $# -le 2 ] || die "soak: unknown argument $3; see --help"
	if [ -n "${2-}" ]; then
		case $2 in stress | trinity | long | rounds) ;; *) die "soak: unknown part $2 (stress, trinity, long, rounds)" ;; esac
		tree_need
		build_use_objects
		"soak_$2" "$minutes"
		return
	fi
	count_start
	deps_want_packages soak "${SOAK_PACKAGES[@]}"
	if soak_build_kernels; then
		DEBUG=debug test_part "selftest --debug" selftest || true
		DEBUG=debug test_part stress-ng soak "$minutes" stress || true
		DEBUG=debug test_part trinity soak "$minutes" trinity || true
		DEBUG=debug test_part "long modes" soak "$minutes" long || true
		DEBUG='' test_part "rounds of races" soak "$minutes" rounds || true
		DEBUG=kcsan test_part KCSAN selftest || true
		DEBUG='' test_part mutants mutants || true
		DEBUG='' test_part shutdown shutdown || true
		DEBUG=debug test_part "shutdown --debug" shutdown || true
		DEBUG='' test_part series series --build || true
		DEBUG='' test_part matrix matrix || true
		DEBUG='' test_part "deb --test" deb --test || true
		DEBUG='' test_part "devbox --test" devbox --test || true
	fi
	count_summary soak "$from"
}

soak_build_kernels() {
	local step
	for step in deps fetch patch build; do
		DEBUG='' TEST_COUNTED=0 test_part "$step" "$step" || return
	done
	for step in debug kcsan; do
		DEBUG=$step TEST_COUNTED=0 test_part "build --$step" build || return
	done
}

soak_fire() { # PART MINUTES
	local from=$SECONDS seconds=$(($2 * 60)) status=0
	local GUEST_AT='s/^(not )?ok [0-9]+ (.*)/\2, /p'
	guest_run_logged "soak: $1 for $2 min" "soak-$1.log" $((seconds + 300 * GUEST_SCALE)) "
		export VFIFO_SCALE=$GUEST_SCALE
		$(selftest_audited "bash '$ROOT/steps/kernel/fire.sh' $1 $BUILD_DIR/samples/rust/rust_vfifo.ko $seconds \$PWD/fire >\$PWD/tap")
		cat tap
	"
	rm -rf "${LOGS:?}/soak-$1"
	cp -r "$GUEST_DIR/fire" "$LOGS/soak-$1" 2>/dev/null || true
	cp "$GUEST_DIR/tap" "$LOGS/soak-$1.log" 2>/dev/null || : >"$LOGS/soak-$1.log"
	count_tap "$1" "$LOGS/soak-$1.log" "$GUEST_SECONDS" || status=1
	sed -nE 's/^# (stress-ng: metrc:|round)/  \1/p' "$LOGS/soak-$1.log" | tail -n 12
	selftest_audit_result "soak-$1" || status=1
	[ "$status" -eq 0 ] || die "soak: $1 failed, as shown above (logs: $LOGS/soak-$1*)"
	done_step "soak: $1" "$from" "guest time $GUEST_SECONDS s, with $ACCEL"
}

soak_stress() { soak_fire stress "$1"; }
soak_trinity() { soak_fire trinity "$1"; }

# The kselftests that have an option for their duration, with that option. Rounds that load the module take long
# in a kernel with sanitizers, so most rounds run in the ordinary one.
SOAK_RACES=(races_load races_devices races_resize races_close hangup_load)
soak_long() { # MINUTES
	soak_programs "$1" "${SOAK_RACES[@]/%/ -s random -n $(($1 * 50))}" "limits -s random -n $1" \
		"limits_sleepers -n 1" "fuzz -s random -t $(($1 * 60))" "inject -n 1"
}
soak_rounds() { soak_programs "$1" "${SOAK_RACES[@]/%/ -s random -n $(($1 * 1000))}"; }

soak_programs() { # MINUTES PROGRAM-AND-OPTIONS...
	local from=$SECONDS minutes=$1 list=$BUILD_DIR/kselftest-installed/kselftest-list.txt program options run='' variables='' status=0
	shift
	while read -r program options; do
		grep -qxF "vfifo:$program" "$list" || die "soak: there is no kselftest $program; run $DOOR build"
		variables+="KSELFTEST_${program^^}_ARGS='$options' "
		run+=" -t vfifo:$program"
	done < <(printf '%s\n' "$@")
	rm -rf "$LOGS/kselftest"
	guest_run_logged "soak: long modes" selftest.log $((minutes * 3600)) "
		export VFIFO_MODULE=$BUILD_DIR/samples/rust/rust_vfifo.ko VFIFO_SCALE=$GUEST_SCALE
		$(selftest_audited "insmod \$VFIFO_MODULE && $variables $BUILD_DIR/kselftest-installed/run_kselftest.sh -o $((minutes * 3600)) \
			-p \$PWD/programs $run")
	"
	mkdir -p "$LOGS/kselftest"
	cp -r "$GUEST_DIR/programs/." "$LOGS/kselftest/" 2>/dev/null || true
	for program in $run; do
		program=${program#vfifo:}
		[ "$program" = -t ] || selftest_program "$program" "$(selftest_seconds "$program")" || status=1
	done
	selftest_audit_result soak-long || status=1
	[ "$status" -eq 0 ] || die "soak: the long modes failed, as shown above (logs: $LOGS/kselftest/, $LOGS/console.log)"
	done_step "soak: long modes" "$from" "guest time $GUEST_SECONDS s, with $ACCEL"
}
