# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Proof of the net: each patch in tests/mutants/ puts one bug into the sources, and the tests that it
# names must notice. They are not part of the series: what they are a test of is these tests.
#
# Before its diff, a patch says what the bug is, and in lines of their own
#   Kernel: plain, or debug where only a kernel that checks itself can notice; kmemleak, if that by its
#     kmemleak, which takes longer than all the rest
#   Test: the program of the kselftests that should fail, with its options; may come more than once

MUTANTS_DIR=$ROOT/tests/mutants

mutants_say() { sed -nE "/^---|^diff /q; s/^$2: *//p" "$MUTANTS_DIR/$1.patch"; } # NAME FIELD
mutants_kernel() { mutants_say "$1" Kernel | sed s/kmemleak/debug/; }
mutants_touch_kernel() { grep -q '^+++ b/rust-kernel/' "$MUTANTS_DIR/$1.patch"; }

# Whether one of them needs kmemleak: on or off.
mutants_leak() { # NAMES
	local name
	for name in $1; do
		[ "$(mutants_say "$name" Kernel)" != kmemleak ] || { echo on; return; }
	done
	echo off
}

# Those of this kernel; those that need no more than another module come first.
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

# Whether they still fit the sources: asked by the host step, since nothing else would tell.
mutants_apply() {
	local patch name status=0
	for patch in "$MUTANTS_DIR"/*.patch; do
		name=$(basename "$patch" .patch)
		[[ $(mutants_say "$name" Kernel) =~ ^(plain|debug|kmemleak)$ ]] && [ -n "$(mutants_say "$name" Test)" ] ||
			{ echo "$name: does not say Kernel: plain, debug or kmemleak, and Test:"; status=1; }
		patch -p1 -s -f --dry-run -F 0 -d "$ROOT" -i "$patch" || { echo "$name: does not apply"; status=1; }
	done
	return $status
}

do_mutants() { # [NAME]...
	local kernel=plain names name start from=$SECONDS caught=0 survived=0 rest=''
	[ "$DEBUG" != kcsan ] || die "mutants: there are none for --kcsan"
	tree_need
	build_use_objects
	[ -z "$DEBUG" ] || kernel=debug
	names=$(mutants_list "$kernel" "$@")
	[ -n "$DEBUG" ] || rest=$(mutants_list debug "$@")
	[ -z "$rest" ] || [ -e "$TREE_DIR/x86-debug/arch/x86/boot/bzImage" ] ||
		die "mutants: some need the debug kernel, which is not there; run $DOOR --debug build"
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
		must "mutants: without them again" mutants-build.log "run $DOOR build" build_make
		say "mutants: $caught caught, $survived survived, by the $kernel kernel ($(span $((SECONDS - from))))"
	fi
	if [ -n "$rest" ]; then
		# shellcheck disable=SC2086
		in_group "$ROOT/build-kernel.sh" --debug --jobs "$JOBS" --accel "$ACCEL" ${TREE:+--tree "$TREE"} mutants $rest ||
			survived=1
	fi
	[ "$survived" -eq 0 ] || die "mutants: not all were caught"
}

# Sets BASE, the series without a bug, and WORK, which has what was built from that. The objects are
# used in place, since a copy elsewhere would be built again; nobody can boot them meanwhile, nor after
# a run that was ended in the middle, before they are what the sources give.
mutants_prepare() { # NAMES
	[ -e "$BUILD_DIR/samples/rust/rust_vfifo.ko" ] && [ -e "$BUILD_DIR/arch/x86/boot/bzImage" ] ||
		die "there is no kernel yet; run $DOOR build first"
	[ -d "$BUILD_DIR/kselftest-installed/vfifo" ] || die "mutants: no kselftests are installed; run $DOOR build"
	series_run recover
	MUTANTS_BASE=$(series_run make)
	MUTANTS_BASE=${MUTANTS_BASE##*$'\n'}
	[ "$MUTANTS_BASE" = "$(tree_git rev-parse refs/vfifo/head)" ] ||
		die "mutants: the kernel tree is not what the sources give; run $DOOR patch, and build"
	series_run refuse-edits
	scratch MUTANTS_WORK
	must "mutants: without them" mutants-build.log "the first error is in the log" build_make
	mutants_keep_kernel "$MUTANTS_WORK/good"
	cp "$BUILD_DIR/samples/rust/rust_vfifo.ko" "$BUILD_DIR/rust/kernel.o" "$MUTANTS_WORK/good/"
	mutants_without "$1" || die "mutants: the tests fail without a bug, as shown above, so they prove nothing"
	# If this run is killed before that, the next one takes the kernel tree back.
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
	if mutants_same_objects; then say "  FAILED   $1: changes nothing that is compiled"; return 1; fi
	if mutants_touch_kernel "$1"; then kernel=$MUTANTS_WORK/bad; fi
	mutants_run_tests "$1" "$kernel" "$(mutants_say "$1" Test)" "$(mutants_leak "$1")"
	if [ "$GUEST_END" = unbooted ]; then say "  FAILED   $1: $(guest_trouble), so nothing was tested"; return 1; fi
	MUTANTS_BY=$(mutants_noticed | cut -c -110)
	if [ -z "$MUTANTS_BY" ]; then
		say "  SURVIVED $1 ($(span $((SECONDS - from)))): unnoticed by $(mutants_say "$1" Test | paste -sd ,)"
		return 1
	fi
	say "  caught   $1 ($(span $((SECONDS - from)))), by"
	printf '%s\n' "$MUTANTS_BY" | sed 's/^/             /'
}

# run_tests NAME KERNEL TESTS on|off: in the kernel of that folder, with or without kmemleak, with the
# module that was built last; until one fails, and if none does the audit.
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

# What the last guest noticed, one check a line.
mutants_noticed() {
	local log name
	guest_complaints | grep -aoE "($GUEST_TROUBLE).*" | head -n 1 | sed 's/^/the kernel log: /' || true
	case $GUEST_END in crash) echo "the kernel died" ;; hang) echo "the guest hung" ;; esac
	if [ "$GUEST_END" = exit ] && [ "$GUEST_STATUS" = 2 ]; then echo "the module does not load"; fi
	for log in "$GUEST_DIR"/tests/*; do
		[ -e "$log" ] || continue
		name=${log##*/}
		sed -nE "s/^not ok [0-9]+ (.*)/${name#*.}: \\1/p" "$log" | head -n 3
	done
	# Only the last can have failed.
	if [ "$GUEST_END" = exit ] && [ "$GUEST_STATUS" = 1 ] && ! grep -q '^not ok' "$log"; then
		echo "${name#*.}: did not end well"
	fi
	sed -nE 's/^not ok [0-9]+ (.*)/audit: not so: \1/p' "$GUEST_DIR/audit/tap" 2>/dev/null || true
}

# That nobody notices anything without a bug, and that the tests are there.
mutants_without() { # NAMES
	local name tests by from=$SECONDS
	tests=$(for name in $1; do mutants_say "$name" Test; done | sort -u)
	mutants_run_tests none "$MUTANTS_WORK/good" "$tests" "$(mutants_leak "$1")"
	by=$(mutants_noticed)
	if [ -z "$by" ] && [ "$(grep -lE '^ok ' "$GUEST_DIR"/tests/* | wc -l)" -ne "$(wc -l <<<"$tests")" ]; then
		by="not each of them has run a test"
	fi
	if [ -n "$by" ]; then
		say "  FAILED   without a bug ($(paste -sd , <<<"$tests")):"
		printf '%s\n' "$by" | sed 's/^/             /'
		return 1
	fi
	say "  ok       without a bug: $(paste -sd , <<<"$tests")"
	count_result 1 0 0 "without a bug: $(paste -sd , <<<"$tests")" $((SECONDS - from))
}
