# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What takes longer than anybody waits for: the debug kernel under fire, and other machines' kernels.

SOAK_PARTS="stress-ng, trinity, the long modes of the kselftests, 1,000 rounds of each race a minute given, --kcsan, the mutants, shutdown, series --build, matrix, deb --test, devbox --test"
# What those parts want beside the packages of the step deps.
SOAK_PACKAGES=(stress-ng trinity mmdebstrap dpkg-dev debhelper)

do_soak() { # [MINUTES [PART]]
	local minutes=${1:-10} from=$SECONDS work
	[[ $minutes =~ ^[1-9][0-9]{0,3}$ ]] || die "soak $minutes: not a number of minutes; see --help"
	[ $# -le 2 ] || die "soak takes no argument $3; see --help"
	if [ -n "${2-}" ]; then
		case $2 in stress | trinity | long | rounds) ;; *) die "soak: unknown part $2 (stress, trinity, long, rounds)" ;; esac
		need_tree
		use_objects
		"soak_$2" "$minutes"
		return
	fi
	scratch work
	export VFIFO_RESULTS=$work/results
	: >"$VFIFO_RESULTS"
	want_packages soak "${SOAK_PACKAGES[@]}"
	if ready_kernels; then
		DEBUG=debug part "selftest --debug" selftest || true
		DEBUG=debug part stress-ng soak "$minutes" stress || true
		DEBUG=debug part trinity soak "$minutes" trinity || true
		DEBUG=debug part "long modes" soak "$minutes" long || true
		DEBUG='' part "rounds of races" soak "$minutes" rounds || true
		DEBUG=kcsan part KCSAN selftest || true
		DEBUG='' part mutants mutants || true
		DEBUG='' part shutdown shutdown || true
		DEBUG=debug part "shutdown --debug" shutdown || true
		DEBUG='' part series series --build || true
		DEBUG='' part matrix matrix || true
		DEBUG='' part "deb --test" deb --test || true
		DEBUG='' part "devbox --test" devbox --test || true
	fi
	summary soak "$from"
}

ready_kernels() {
	local step
	for step in deps fetch patch build; do
		DEBUG='' COUNTED=0 part "$step" "$step" || return
	done
	for step in debug kcsan; do
		DEBUG=$step COUNTED=0 part "build --$step" build || return
	done
}

soak_fire() { # PART MINUTES
	local from=$SECONDS seconds=$(($2 * 60)) status=0
	local GUEST_AT='s/^(not )?ok [0-9]+ (.*)/\2, /p'
	guest_logged "soak: $1 for $2 min" "soak-$1.log" $((seconds + 300 * SCALE)) "
		export VFIFO_SCALE=$SCALE
		$(audited "bash '$ROOT/steps/fire.sh' $1 $O/samples/rust/rust_vfifo.ko $seconds \$PWD/fire >\$PWD/tap")
		cat tap
	"
	rm -rf "${LOGS:?}/soak-$1"
	cp -r "$GUEST/fire" "$LOGS/soak-$1" 2>/dev/null || true
	cp "$GUEST/tap" "$LOGS/soak-$1.log" 2>/dev/null || : >"$LOGS/soak-$1.log"
	count "$1" "$LOGS/soak-$1.log" || status=1
	sed -nE 's/^# (stress-ng: metrc:|round)/  \1/p' "$LOGS/soak-$1.log" | tail -n 12
	audit_result "soak-$1" || status=1
	[ "$status" -eq 0 ] || die "soak: $1 found something (logs: $LOGS/soak-$1*)"
	done_step "soak: $1" "$from" "guest time $GUEST_SECONDS s by $ACCEL"
}

soak_stress() { soak_fire stress "$1"; }
soak_trinity() { soak_fire trinity "$1"; }

# The kselftests that go on for as long as they are told, and how they are told. Rounds that load the
# module take long in a kernel with sanitizers, so that most of them are for the ordinary one.
soak_long() { # MINUTES
	soak_programs "$1" "races -s random -n $(($1 * 50))" "limits -s random -n $1" \
		"fuzz -s random -t $(($1 * 60))" "inject -n 1"
}
soak_rounds() { soak_programs "$1" "races -s random -n $(($1 * 1000))"; }

soak_programs() { # MINUTES PROGRAM-AND-OPTIONS...
	local from=$SECONDS minutes=$1 list=$O/kselftest-installed/kselftest-list.txt program options run='' variables='' status=0
	shift
	while read -r program options; do
		grep -qxF "vfifo:$program" "$list" || die "soak: $program is not among the kselftests; run $DOOR build"
		variables+="KSELFTEST_${program^^}_ARGS='$options' "
		run+=" -t vfifo:$program"
	done < <(printf '%s\n' "$@")
	rm -rf "$LOGS/kselftest"
	guest_logged "soak: long modes" selftest.log $((minutes * 3600)) "
		export VFIFO_MODULE=$O/samples/rust/rust_vfifo.ko VFIFO_SCALE=$SCALE
		$(audited "insmod \$VFIFO_MODULE && $variables $O/kselftest-installed/run_kselftest.sh -o $((minutes * 3600)) \
			-p \$PWD/programs $run")
	"
	mkdir -p "$LOGS/kselftest"
	cp -r "$GUEST/programs/." "$LOGS/kselftest/" 2>/dev/null || true
	for program in $run; do
		case $program in vfifo:*) selftest_program "${program#vfifo:}" || status=1 ;; esac
	done
	audit_result soak-long || status=1
	[ "$status" -eq 0 ] || die "soak: the long modes found something (logs: $LOGS/kselftest/, $LOGS/console.log)"
	done_step "soak: long modes" "$from" "guest time $GUEST_SECONDS s by $ACCEL"
}
