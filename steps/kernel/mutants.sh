# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Tests of the tests: each patch in tests/mutants/ adds one bug to the sources, and the tests that it names must
# detect it. These patches are not part of the series.
#
# Above its diff, a patch describes the bug, and has these lines:
#   Kernel: plain, or debug if only the debug kernel can detect the bug, or kmemleak if only its kmemleak can,
#     which takes longer than everything else
#   Test: the kselftest that should fail, with its options; there may be several of these lines

MUTANTS_DIR=$ROOT/tests/mutants

mutants_say() { sed -nE "/^---|^diff /q; s/^$2: *//p" "$MUTANTS_DIR/$1.patch"; } # NAME FIELD
mutants_kernel() { mutants_say "$1" Kernel | sed s/kmemleak/debug/; }
mutants_touch_kernel() { grep -q '^+++ b/rust-kernel/' "$MUTANTS_DIR/$1.patch"; }

# Prints on if any of the mutants needs kmemleak, otherwise off.
mutants_leak() { # NAMES
	local name
	for name in $1; do
		[ "$(mutants_say "$name" Kernel)" != kmemleak ] || { echo on; return; }
	done
	echo off
}

# The mutants for this kernel. Those that change only the module come first.
mutants_list() { # KERNEL [NAME]...
	local kernel=$1 patch name first='' last=''
	shift
	for name in "$@"; do
		[ -e "$MUTANTS_DIR/$name.patch" ] || die "mutants: there is no $name in ${MUTANTS_DIR#"$ROOT/"}/"
	done
	for patch in "$MUTANTS_DIR"/*.patch; do
		name=$(basename "$patch" .patch)
		[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
		[ "$(mutants_kernel "$name")" = "$kernel" ] || continue
		if mutants_touch_kernel "$name"; then last+="$name "; else first+="$name "; fi
	done
	echo "$first$last"
}

# Checks that all mutants still apply to the sources. Called by the host step.
mutants_apply() {
	local patch name status=0
	for patch in "$MUTANTS_DIR"/*.patch; do
		name=$(basename "$patch" .patch)
		[[ $(mutants_say "$name" Kernel) =~ ^(plain|debug|kmemleak)$ ]] && [ -n "$(mutants_say "$name" Test)" ] ||
			{ echo "$name: needs the lines Kernel: (plain, debug or kmemleak) and Test:"; status=1; }
		patch -p1 -s -f --dry-run -F 0 -d "$ROOT" -i "$patch" || { echo "$name: does not apply"; status=1; }
	done
	return $status
}

do_mutants() { # [NAME]...
	local kernel=plain names name start from=$SECONDS caught=0 survived=0 rest=''
	[ "$DEBUG" != kcsan ] || die "mutants: there are none for --kcsan; run it without that option"
	tree_need
	build_use_objects
	[ -z "$DEBUG" ] || kernel=debug
	names=$(mutants_list "$kernel" "$@")
	[ -n "$DEBUG" ] || rest=$(mutants_list debug "$@")
	[ -z "$rest" ] || [ -e "$TREE_DIR/x86-debug/arch/x86/boot/bzImage" ] ||
		die "mutants: some need the debug kernel, which has not been built; run $DOOR --debug build"
	if [ -n "$names" ]; then
		mutants_prepare "$names"
		for name in $names; do
			start=$SECONDS
			if mutants_try "$name"; then
				caught=$((caught + 1))
				count_result 1 0 0 "$name" $((SECONDS - start)) "kernel=$kernel" "by=$(paste -sd ';' <<<"$MUTANTS_BY" | tr '\t' ' ' | sed 's/;/; /g')"
			else
				survived=$((survived + 1))
				count_result 0 1 0 "$name" $((SECONDS - start)) "kernel=$kernel"
			fi
		done
		series_run recover
		trap lib_on_exit EXIT
		must "mutants: building without them again" mutants-build.log "run $DOOR build" build_make
		say "mutants: $caught caught, $survived survived, in the $kernel kernel ($(span $((SECONDS - from))))"
	fi
	if [ -n "$rest" ]; then
		# shellcheck disable=SC2086
		in_group "$ROOT/build-kernel.sh" --debug --jobs "$JOBS" --accel "$ACCEL" ${TREE:+--tree "$TREE"} mutants $rest ||
			survived=1
	fi
	[ "$survived" -eq 0 ] || die "mutants: some were not caught, as shown above"
}

# Sets MUTANTS_BASE, the commit of the series without a bug, and MUTANTS_WORK, a folder with what was built from it.
# The mutants are built in the usual folder of objects, since a copy would be rebuilt from scratch. Its kernel image is
# removed meanwhile, so that nobody boots a kernel with a bug, even if this run is killed.
mutants_prepare() { # NAMES
	[ -e "$BUILD_DIR/samples/rust/rust_vfifo.ko" ] && [ -e "$BUILD_DIR/arch/x86/boot/bzImage" ] ||
		die "there is no kernel yet; run $DOOR build first"
	[ -d "$BUILD_DIR/kselftest-installed/vfifo" ] || die "mutants: no kselftests are installed; run $DOOR build"
	series_run recover
	MUTANTS_BASE=$(series_run make)
	MUTANTS_BASE=${MUTANTS_BASE##*$'\n'}
	[ "$MUTANTS_BASE" = "$(tree_git rev-parse refs/vfifo/head)" ] ||
		die "mutants: the kernel tree is not up to date with the sources; run $DOOR patch, then build"
	series_run refuse-edits
	scratch MUTANTS_WORK
	must "mutants: building without them" mutants-build.log "the first error is in the log" build_make
	mutants_keep_kernel "$MUTANTS_WORK/good"
	cp "$BUILD_DIR/samples/rust/rust_vfifo.ko" "$BUILD_DIR/rust/kernel.o" "$MUTANTS_WORK/good/"
	mutants_without "$1" || die "mutants: the tests fail even without a bug, as shown above; correct that first"
	# If this run is killed before that, the next one restores the kernel tree.
	trap 'series_run recover; lib_on_exit' EXIT
	rm "$BUILD_DIR/arch/x86/boot/bzImage"
}

mutants_keep_kernel() { # FOLDER
	mkdir -p "$1/arch/x86/boot" && cp "$BUILD_DIR/arch/x86/boot/bzImage" "$1/arch/x86/boot/"
}

mutants_build() { # NAME
	local goal=samples/rust/rust_vfifo.ko status=0
	if mutants_touch_kernel "$1"; then goal=all; fi
	logged "mutants: $1" "mutant-$1-build.log" build_make "$goal" || status=1
	if mutants_touch_kernel "$1" && [ $status -eq 0 ]; then mutants_keep_kernel "$MUTANTS_WORK/bad"; fi
	rm -f "$BUILD_DIR/arch/x86/boot/bzImage"
	return $status
}

mutants_same_objects() {
	cmp -s "$BUILD_DIR/samples/rust/rust_vfifo.ko" "$MUTANTS_WORK/good/rust_vfifo.ko" && cmp -s "$BUILD_DIR/rust/kernel.o" "$MUTANTS_WORK/good/kernel.o"
}

# mutants_try NAME: applies the mutant, builds, and runs its tests. Succeeds if one of them fails. Sets MUTANTS_BY, the checks
# that have failed, one a line.
mutants_try() {
	local from=$SECONDS commit kernel=$MUTANTS_WORK/good
	MUTANTS_BY=
	commit=$(series_run mutant "$MUTANTS_BASE" "$MUTANTS_DIR/$1.patch" 2>&1) || { say "  FAILED   $1: ${commit#build-kernel.sh: }"; return 1; }
	series_run visit "$commit" "$MUTANTS_BASE" || exit
	mutants_build "$1" || { say "  FAILED   $1: does not build (log: $LOGS/mutant-$1-build.log)"; return 1; }
	if mutants_same_objects; then say "  FAILED   $1: the objects are the same as without it"; return 1; fi
	if mutants_touch_kernel "$1"; then kernel=$MUTANTS_WORK/bad; fi
	mutants_run_tests "$1" "$kernel" "$(mutants_say "$1" Test)" "$(mutants_leak "$1")"
	if [ "$GUEST_END" = unbooted ]; then say "  FAILED   $1: $(guest_trouble), so nothing was tested"; return 1; fi
	MUTANTS_BY=$(mutants_noticed | cut -c -110)
	if [ -z "$MUTANTS_BY" ]; then
		say "  SURVIVED $1 ($(span $((SECONDS - from)))): not detected by $(mutants_say "$1" Test | paste -sd ,)"
		return 1
	fi
	say "  caught   $1 ($(span $((SECONDS - from)))), by"
	printf '%s\n' "$MUTANTS_BY" | sed 's/^/             /'
}

# mutants_run_tests NAME KERNEL TESTS on|off: boots the kernel in that folder, with or without kmemleak, and runs the
# tests with the module that was built last, until one fails. If none fails, runs the audit.
mutants_run_tests() {
	local installed=$BUILD_DIR/kselftest-installed/vfifo module=$BUILD_DIR/samples/rust/rust_vfifo.ko checks=''
	local BUILD_DIR=$2 VFIFO_KMEMLEAK=$4
	checks=$(selftest_audit_checks)
	guest_run_logged "mutants: $1" "mutant-$1.log" "$((GUEST_SCALE * (120 + 120 * $(grep -c . <<<"$3"))))" "
		export VFIFO_MODULE=$module VFIFO_SCALE=$GUEST_SCALE
		folder=\$PWD number=0
		mkdir tests
		bash '$ROOT/steps/kernel/audit.sh' before audit
		insmod \$VFIFO_MODULE || exit 2
		cd $installed || exit 2
		while read -r program options; do
			echo \"# selftests: vfifo: \$program\"
			number=\$((number + 1))
			timeout -k 5 $((120 * GUEST_SCALE)) ./\$program \$options >\$folder/tests/\$number.\$program 2>&1 </dev/null || exit 1
		done <<<'$3'
		cd \$folder
		bash '$ROOT/steps/kernel/audit.sh' after audit $checks >audit/tap
	"
	cp "$LOGS/console.log" "$LOGS/mutant-$1-console.log"
}

# Lists the checks that failed in the last guest, one per line.
mutants_noticed() {
	local log name
	guest_complaints | grep -aoE "($GUEST_TROUBLE).*" | head -n 1 | sed 's/^/the kernel log: /' || true
	case $GUEST_END in crash) echo "the kernel crashed" ;; hang) echo "the guest hung" ;; esac
	if [ "$GUEST_END" = exit ] && [ "$GUEST_STATUS" = 2 ]; then echo "the module does not load"; fi
	for log in "$GUEST_DIR"/tests/*; do
		[ -e "$log" ] || continue
		name=${log##*/}
		sed -nE "s/^not ok [0-9]+ (.*)/${name#*.}: \\1/p" "$log" | head -n 3
	done
	# Only the last one can have failed.
	if [ "$GUEST_END" = exit ] && [ "$GUEST_STATUS" = 1 ] && ! grep -q '^not ok' "$log"; then
		echo "${name#*.}: ended with an error or was killed"
	fi
	sed -nE 's/^not ok [0-9]+ (.*)/audit: failed: \1/p' "$GUEST_DIR/audit/tap" 2>/dev/null || true
}

# Checks that without a bug no test fails, and that each of the tests runs.
mutants_without() { # NAMES
	local name tests by from=$SECONDS
	tests=$(for name in $1; do mutants_say "$name" Test; done | sort -u)
	mutants_run_tests none "$MUTANTS_WORK/good" "$tests" "$(mutants_leak "$1")"
	by=$(mutants_noticed)
	if [ -z "$by" ] && [ "$(grep -lE '^ok ' "$GUEST_DIR"/tests/* | wc -l)" -ne "$(wc -l <<<"$tests")" ]; then
		by="some of them did not run any test"
	fi
	if [ -n "$by" ]; then
		say "  FAILED   without a bug ($(paste -sd , <<<"$tests")):"
		printf '%s\n' "$by" | sed 's/^/             /'
		return 1
	fi
	say "  ok       without a bug: $(paste -sd , <<<"$tests")"
	count_result 1 0 0 "without a bug: $(paste -sd , <<<"$tests")" $((SECONDS - from))
}
