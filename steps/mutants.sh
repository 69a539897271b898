# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Proof of the net: each patch in tests/mutants/ puts one bug into the sources, and the tests that it
# names must notice. They are not part of the series: what they are a test of is these tests.
#
# Before its diff, a patch says what the bug is, and in lines of their own
#   Kernel: plain, or debug where only a kernel that checks itself can notice; kmemleak, if that by its
#     kmemleak, which takes longer than all the rest
#   Test: the program of the kselftests that should fail, with its options; may come more than once

MUTANTS=$ROOT/tests/mutants

mutant_says() { sed -nE "/^---|^diff /q; s/^$2: *//p" "$MUTANTS/$1.patch"; } # NAME FIELD
mutant_files() { sed -nE 's,^\+\+\+ b/([^[:space:]]+).*,\1,p' "$MUTANTS/$1.patch"; }
mutant_kernel() { mutant_says "$1" Kernel | sed s/kmemleak/debug/; }
touches_kernel() { mutant_files "$1" | grep -q '^rust-kernel/'; }

# Whether one of them needs kmemleak: on or off.
leaks() { # NAMES
	local name
	for name in $1; do
		[ "$(mutant_says "$name" Kernel)" != kmemleak ] || { echo on; return; }
	done
	echo off
}

# Those of this kernel; those that need no more than another module come first.
list_mutants() { # KERNEL [NAME]...
	local kernel=$1 patch name first='' last=''
	shift
	for name in "$@"; do
		[ -e "$MUTANTS/$name.patch" ] || die "mutants: there is no $name in ${MUTANTS#"$ROOT/"}/"
	done
	for patch in "$MUTANTS"/*.patch; do
		name=$(basename "$patch" .patch)
		[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
		[ "$(mutant_kernel "$name")" = "$kernel" ] || continue
		if touches_kernel "$name"; then last+="$name "; else first+="$name "; fi
	done
	echo "$first$last"
}

# Whether they still fit the sources: asked by the host step, since nothing else would tell.
mutants_apply() {
	local patch name status=0
	for patch in "$MUTANTS"/*.patch; do
		name=$(basename "$patch" .patch)
		[[ $(mutant_says "$name" Kernel) =~ ^(plain|debug|kmemleak)$ ]] && [ -n "$(mutant_says "$name" Test)" ] ||
			{ echo "$name: does not say Kernel: plain, debug or kmemleak, and Test:"; status=1; }
		patch -p1 -s -f --dry-run -F 0 -d "$ROOT" -i "$patch" || { echo "$name: does not apply"; status=1; }
	done
	return $status
}

do_mutants() { # [NAME]...
	local kernel=plain names name from=$SECONDS caught=0 survived=0 rest=''
	[ "$DEBUG" != kcsan ] || die "mutants: there are none for --kcsan"
	need_tree
	use_objects
	[ -z "$DEBUG" ] || kernel=debug
	names=$(list_mutants "$kernel" "$@")
	[ -n "$DEBUG" ] || rest=$(list_mutants debug "$@")
	[ -z "$rest" ] || [ -e "$K/x86-debug/arch/x86/boot/bzImage" ] ||
		die "mutants: some need the debug kernel, which is not there; run $DOOR --debug build"
	if [ -n "$names" ]; then
		prepare_mutants "$names"
		for name in $names; do
			if mutant "$name"; then
				caught=$((caught + 1)) && result 1 0 0
			else
				survived=$((survived + 1)) && result 0 1 0
			fi
		done
		end_mutants
		trap on_exit EXIT
		must "mutants: without them again" mutants-build.log "run $DOOR build" kmake
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
# used in place, since a copy elsewhere would be built anew; nobody can boot them meanwhile, nor after
# a run that was ended in the middle, before they are what the sources give.
prepare_mutants() { # NAMES
	[ -e "$O/samples/rust/rust_vfifo.ko" ] && [ -e "$O/arch/x86/boot/bzImage" ] ||
		die "there is no kernel yet; run $DOOR build first"
	[ -d "$O/kselftest-installed/vfifo" ] || die "mutants: no kselftests are installed; run $DOOR build"
	recover_tree
	make_series
	BASE=${COMMITS[-1]}
	[ "$BASE" = "$(kgit rev-parse refs/vfifo/head)" ] ||
		die "mutants: the kernel tree is not what the sources give; run $DOOR patch, and build"
	refuse_edits
	map_files
	scratch WORK
	must "mutants: without them" mutants-build.log "the first error is in the log" kmake
	keep_kernel "$WORK/good"
	cp "$O/samples/rust/rust_vfifo.ko" "$O/rust/kernel.o" "$WORK/good/"
	unmutated "$1" || die "mutants: the tests fail without a bug, as shown above, so they prove nothing"
	trap 'end_mutants; on_exit' EXIT
	rm "$O/arch/x86/boot/bzImage"
}

keep_kernel() { # FOLDER
	mkdir -p "$1/arch/x86/boot" && cp "$O/arch/x86/boot/bzImage" "$1/arch/x86/boot/"
}

# Should even this not happen, K/moving says to the next run where the tree belongs.
end_mutants() { move_tree "$BASE"; }

# The commit that is the series and this bug, as the last line of the output.
mutated() { # NAME
	local file
	rm -rf "$WORK/sources" "$WORK/index"
	for file in $(mutant_files "$1"); do
		mkdir -p "$WORK/sources/${file%/*}" && cp "$ROOT/$file" "$WORK/sources/$file" || return
	done
	patch -p1 -s -f -F 0 -d "$WORK/sources" -i "$MUTANTS/$1.patch" || return
	igit "$WORK/index" read-tree "$BASE" || return
	for file in $(mutant_files "$1"); do
		igit "$WORK/index" update-index --cacheinfo \
			"100644,$(kgit hash-object -w --no-filters "$WORK/sources/$file"),${KERNEL[$file]}" || return
	done
	echo "mutant $1" | GIT_AUTHOR_NAME=m GIT_AUTHOR_EMAIL=m@localhost GIT_COMMITTER_NAME=m \
		GIT_COMMITTER_EMAIL=m@localhost kgit commit-tree "$(igit "$WORK/index" write-tree)" -p "$BASE"
}

build_mutant() { # NAME
	local goal=samples/rust/rust_vfifo.ko status=0
	if touches_kernel "$1"; then goal=all; fi
	logged "mutants: $1" "mutant-$1-build.log" kmake "$goal" || status=1
	if touches_kernel "$1" && [ $status -eq 0 ]; then keep_kernel "$WORK/bad"; fi
	rm -f "$O/arch/x86/boot/bzImage"
	return $status
}

same_objects() {
	cmp -s "$O/samples/rust/rust_vfifo.ko" "$WORK/good/rust_vfifo.ko" && cmp -s "$O/rust/kernel.o" "$WORK/good/kernel.o"
}

# mutant NAME: puts it in, builds, and has its tests run: whether one noticed.
mutant() {
	local from=$SECONDS commit by kernel=$WORK/good
	commit=$(mutated "$1") || { say "  FAILED   $1: ${commit:-does not apply}"; return 1; }
	move_tree "${commit##*$'\n'}"
	echo "$BASE" >"$K/moving"
	build_mutant "$1" || { say "  FAILED   $1: does not build (log: $LOGS/mutant-$1-build.log)"; return 1; }
	if same_objects; then say "  FAILED   $1: changes nothing that is compiled"; return 1; fi
	if touches_kernel "$1"; then kernel=$WORK/bad; fi
	run_tests "$1" "$kernel" "$(mutant_says "$1" Test)" "$(leaks "$1")"
	if [ "$GUEST_END" = unbooted ]; then say "  FAILED   $1: $(guest_trouble), so nothing was tested"; return 1; fi
	by=$(noticed)
	if [ -z "$by" ]; then
		say "  SURVIVED $1 ($(span $((SECONDS - from)))): unnoticed by $(mutant_says "$1" Test | paste -sd ,)"
		return 1
	fi
	say "  caught   $1 ($(span $((SECONDS - from)))), by"
	printf '%s\n' "$by" | cut -c -110 | sed 's/^/             /'
}

# run_tests NAME KERNEL TESTS on|off: in the kernel of that folder, with or without kmemleak, with the
# module that was built last; until one fails, and if none does the audit.
run_tests() {
	local installed=$O/kselftest-installed/vfifo module=$O/samples/rust/rust_vfifo.ko checks=''
	local O=$2 VFIFO_KMEMLEAK=$4
	checks=$(debug_checks)
	guest_logged "mutants: $1" "mutant-$1.log" "$((SCALE * (120 + 120 * $(grep -c . <<<"$3"))))" "
		export VFIFO_MODULE=$module VFIFO_SCALE=$SCALE
		folder=\$PWD number=0
		mkdir tests
		bash '$ROOT/steps/audit.sh' before audit
		insmod \$VFIFO_MODULE || exit 2
		cd $installed || exit 2
		while read -r program options; do
			echo \"# selftests: vfifo: \$program\"
			number=\$((number + 1))
			timeout -k 5 $((120 * SCALE)) ./\$program \$options >\$folder/tests/\$number.\$program 2>&1 </dev/null || exit 1
		done <<<'$3'
		cd \$folder
		bash '$ROOT/steps/audit.sh' after audit $checks >audit/tap
	"
	cp "$LOGS/console.log" "$LOGS/mutant-$1-console.log"
}

# What the last guest noticed, one check a line.
noticed() {
	local log name
	complaints | grep -aoE "($TROUBLE).*" | head -n 1 | sed 's/^/the kernel log: /' || true
	case $GUEST_END in crash) echo "the kernel died" ;; hang) echo "the guest hung" ;; esac
	if [ "$GUEST_END" = exit ] && [ "$GUEST_STATUS" = 2 ]; then echo "the module does not load"; fi
	for log in "$GUEST"/tests/*; do
		[ -e "$log" ] || continue
		name=${log##*/}
		sed -nE "s/^not ok [0-9]+ (.*)/${name#*.}: \\1/p" "$log" | head -n 3
	done
	# Only the last can have failed.
	if [ "$GUEST_END" = exit ] && [ "$GUEST_STATUS" = 1 ] && ! grep -q '^not ok' "$log"; then
		echo "${name#*.}: did not end well"
	fi
	sed -nE 's/^not ok [0-9]+ (.*)/audit: not so: \1/p' "$GUEST/audit/tap" 2>/dev/null || true
}

# That nobody notices anything without a bug, and that the tests are there.
unmutated() { # NAMES
	local name tests by
	tests=$(for name in $1; do mutant_says "$name" Test; done | sort -u)
	run_tests none "$WORK/good" "$tests" "$(leaks "$1")"
	by=$(noticed)
	if [ -z "$by" ] && [ "$(grep -lE '^ok ' "$GUEST"/tests/* | wc -l)" -ne "$(wc -l <<<"$tests")" ]; then
		by="not each of them has run a test"
	fi
	if [ -n "$by" ]; then
		say "  FAILED   without a bug ($(paste -sd , <<<"$tests")):"
		printf '%s\n' "$by" | sed 's/^/             /'
		return 1
	fi
	say "  ok       without a bug: $(paste -sd , <<<"$tests")"
	result 1 0 0
}
