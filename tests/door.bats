#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# build-kernel.sh itself, on a copy with a kernel tree of a few files: what it refuses, its messages, and that it makes
# the same series each time.
# shellcheck disable=SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0

load common

setup() {
	TOOLS=${VFIFO_TREE_TOOLS-}
	a_door
	a_kernel 7.3.4
	a_series
}

teardown() { umount "$VFIFO_CACHE" 2>/dev/null || true; }

@test "--help names every command and option" {
	door --help
	[ "$status" -eq 0 ]
	for word in demo test soak doctor devbox deps fetch patch build deb kunit compilers matrix selftest shutdown mutants bench \
		results shell series clean litmus --check --clients --tree --jobs --accel --debug --kcsan; do
		[[ $output == *"$word"* ]]
	done
	# This word is in other lines as well.
	grep -q '^  host ' <<<"$output"
}

@test "an unknown command" { door nonsense; refused "unknown command nonsense"; }
@test "an unknown option" { door --nonsense; refused "unknown option --nonsense"; }
@test "an option without its value" { door --jobs; refused "--jobs needs a value"; }
@test "an invalid number of jobs" { door --jobs many build; refused "--jobs many"; }
@test "an unknown accelerator" { door --accel=warp build; refused "--accel warp"; }
@test "an invalid scale" { VFIFO_SCALE=0.5 door build; refused "VFIFO_SCALE=0.5: not a number"; }
@test "an extra argument" { door build this; refused "build takes no argument"; }
@test "an unknown argument of series" { door --tree "$LINUX" series --nonsense; refused "unknown argument --nonsense"; }
@test "soak: an invalid time" { door soak long; refused "soak long: not a number of minutes"; }
@test "soak: an unknown part" { door soak 1 everything; refused "unknown part everything"; }
@test "soak: an extra argument" { door soak 1 stress me; refused "unknown argument me"; }
@test "mutants for KCSAN" { door --kcsan mutants; refused "there are none for --kcsan"; }
@test "--tree that does not exist" { door --tree "$HERE/no" fetch; refused "there is no such folder or file"; }
@test "--tree that is not a kernel" { mkdir "$HERE/x"; door --tree "$HERE/x" fetch; refused "not a Linux source tree"; }
@test "no kernel tree yet" { door series --check; refused "build-kernel.sh fetch"; }

@test "--tree of the wrong version" {
	a_kernel 6.12.1
	door --tree "$LINUX" fetch
	refused "Linux 6.12.1, and the series is for 7.2.y and 7.3.y"
}

@test "a cache that cannot be written" {
	: >"$HERE/file"
	VFIFO_CACHE=$HERE/file/cache door fetch
	refused "set VFIFO_CACHE"
}

@test "a cache in the folder of dkms" {
	mkdir -p "$HERE/system/var/cache/vfifo"
	VFIFO_SYSTEM=$HERE/system VFIFO_CACHE=$HERE/system/var/cache/vfifo door fetch
	refused "set another folder"
}

@test "names that kbuild does not accept" {
	local name
	for name in 'a b' a:b 'a"b' "a'b" 'a&b' 'a(b' 'a$b' 'a\b' 'a,b' 'a%b'; do
		VFIFO_CACHE=$HERE/$name door fetch
		refused "the folder $HERE/$name has a character in its name"
		[[ $output == *"; set VFIFO_CACHE to another folder" ]]
		[ ! -e "$HERE/$name" ]
		mv "$DOOR" "$HERE/$name"
		run "$HERE/$name/build-kernel.sh" fetch
		refused "the folder $HERE/$name has a character in its name"
		[[ $output == *"; move this repository" ]]
		mv "$HERE/$name" "$DOOR"
		mv "$LINUX" "$HERE/$name"
		door --tree "$HERE/$name" fetch
		refused "; move that tree"
		mv "$HERE/$name" "$LINUX"
	done
	mkdir "$HERE/a b"
	cd "$HERE/a b"
	VFIFO_CACHE=cache door fetch
	refused "set VFIFO_CACHE"
	# All others work.
	mv "$DOOR" "$HERE/a+b@c.d-e_F9"
	run "$HERE/a+b@c.d-e_F9/build-kernel.sh" --tree "$LINUX" patch
	[ "$status" -eq 0 ]
}

@test "a full disk" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to mount a small disk"
	mount -t tmpfs -o size=1m,mode=700 none "$VFIFO_CACHE" 2>/dev/null || skip "no mount here"
	door --tree "$LINUX" fetch
	refused "disk full"
}

@test "a disk that becomes full during a step is reported as such" {
	source_lib
	run must step log "advice" sh -c 'echo "cc: error: No space left on device"; exit 1'
	[ "$status" -eq 1 ]
	[[ $output == *"the disk is full"* ]]
}

source_lib() {
	local step
	export CACHE=$VFIFO_CACHE LOGS=$HERE
	# shellcheck source=/dev/null
	for step in versions lib system; do . "$REAL/steps/$step.sh"; done
}

@test "a second run at the same time" {
	door --tree "$LINUX" fetch
	exec 8>>"$VFIFO_CACHE/lock"
	flock 8
	door --tree "$LINUX" patch
	refused "; wait for it, or set VFIFO_CACHE and use another clone"
	exec 8>&-
	door --tree "$LINUX" patch
	[ "$status" -eq 0 ]
}

@test "no network" {
	# An archive that does not answer.
	cat >"$VFIFO_TEST_BIN/apt-get" <<-'END'
	#!/bin/sh
	[ "$1" != indextargets ] || { . /etc/os-release; echo "http://127.0.0.1:9/debian $VERSION_CODENAME Debian"; exit; }
	exec /usr/bin/apt-get -o Acquire::Retries=0 -o Acquire::http::Proxy=false "$@"
	END
	chmod +x "$VFIFO_TEST_BIN/apt-get"
	[ "$(df -Pm "$VFIFO_CACHE" | awk 'NR == 2 { print $4 }')" -ge 5000 ] || skip "no room on this disk"
	door fetch
	refused "no answer from the network"
	[ -z "$(ls -d "$VFIFO_CACHE"/linux-* "$VFIFO_CACHE"/tmp.* 2>/dev/null)" ]
}

@test "missing packages, not root" {
	printf '#!/bin/sh\ncase "$*" in *flex*) exit 1;; esac\necho installed\n' >"$VFIFO_TEST_BIN/dpkg-query"
	printf '#!/bin/sh\necho 1000\n' >"$VFIFO_TEST_BIN/id"
	chmod +x "$VFIFO_TEST_BIN"/*
	mkdir -p "$HERE/system/etc"
	printf 'ID=debian\nVERSION_ID="12"\n' >"$HERE/system/etc/os-release"
	VFIFO_SYSTEM=$HERE/system door deps
	refused "sudo apt-get update && sudo apt-get install --no-install-recommends flex"
}

@test "packages that apt cannot download" {
	mkdir -p "$HERE/system/etc"
	printf '#!/bin/sh\ncase "$*" in *clang-*) exit 1;; esac\necho installed\n' >"$VFIFO_TEST_BIN/dpkg-query"
	printf '#!/bin/sh\necho 0\n' >"$VFIFO_TEST_BIN/id"
	printf '#!/bin/sh\ncase "$*" in *install*) echo "E: Unable to locate package clang-22"; exit 100;; esac\n' >"$VFIFO_TEST_BIN/apt-get"
	chmod +x "$VFIFO_TEST_BIN"/*
	printf 'ID=debian\nVERSION_ID="12"\n' >"$HERE/system/etc/os-release"
	[ "$(df -Pm "$VFIFO_CACHE" | awk 'NR == 2 { print $4 }')" -ge 3000 ] || skip "no room on this disk"
	VFIFO_SYSTEM=$HERE/system door deps
	refused "apt's sources do not have it: Unable to locate package clang-"
}

# A cache with everything that booting a guest needs.
booted_by() { # SCRIPT that stands for virtme-ng
	door --tree "$LINUX" fetch
	local dir
	dir=$(dirname "$(tree)")
	mkdir -p "$dir"/x86{,-debug}/arch/x86/boot "$VFIFO_TEST_BIN"
	tee "$dir"/x86{,-debug}/arch/x86/boot/bzImage </dev/null
	printf '#!/bin/bash\nfor a; do case $a in --rwdir=*) g=${a#*=};; esac; done\n%s\n' "$1" >"$VFIFO_TEST_BIN/vng"
	printf '#!/bin/sh\nexit 0\n' >"$VFIFO_TEST_BIN/qemu-system-x86_64"
	chmod +x "$VFIFO_TEST_BIN"/*
}

@test "the guest's status is returned" {
	booted_by 'sh "$g/wrapper"; echo "reboot: Power down"'
	door --tree "$LINUX" --accel tcg shell 'echo hello; exit 7'
	[ "$status" -eq 7 ]
	[[ $output == *hello* ]]
}

@test "a guest that crashes" {
	booted_by 'echo 1 >"$g/booted"; echo "Kernel panic - not syncing: Fatal exception"'
	door --tree "$LINUX" --accel tcg shell true
	refused "the guest kernel crashed: Kernel panic - not syncing"
}

@test "a guest is booted again, once, if the emulator fails while booting" {
	booted_by 'n=$(cat "$g/../n" 2>/dev/null); echo "$n." >"$g/../n"
		[ -n "$n" ] || { echo "Oops: int3: 0000"; echo "Kernel panic - not syncing"; exit; }
		sh "$g/wrapper"; echo "reboot: Power down"'
	door --tree "$LINUX" --accel tcg shell 'echo hello'
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"retrying once"*hello* ]]
	booted_by 'echo "Oops: int3: 0000"; echo "Kernel panic - not syncing"'
	door --tree "$LINUX" --accel tcg shell true
	[ "$status" -ne 0 ]
	[[ $output == *"the guest kernel crashed"* ]]
}

# The guest's dmesg prints the same as its console.
@test "a debug kernel that complains while booting is booted again, once" {
	local line='[    0.005608] BUG: KASAN: wild-memory-access in rcu_is_watching+0x1d/0x40'
	printf '#!/bin/sh\ncat "%s"\n' "$HERE/dmesg" >"$HERE/dmesg.sh"
	booted_by 'n=$(cat "$g/../n" 2>/dev/null); echo "$n." >"$g/../n"
		: >"$g/../../dmesg"; [ -n "$n" ] || echo "$VFIFO_TEST_EARLY" | tee "$g/../../dmesg"
		sh "$g/wrapper"; echo "$VFIFO_TEST_LATE"; echo "reboot: Power down"'
	install "$HERE/dmesg.sh" "$VFIFO_TEST_BIN/dmesg"
	VFIFO_TEST_EARLY=$line door --tree "$LINUX" --accel tcg --debug shell 'echo hello'
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" = $'guest: the kernel complained while the emulated machine booted (BUG: KASAN: wild-memory-access in rcu_is_watching+0x1d/0x40); retrying once\nhello' ]
	[ "$(cat "$VFIFO_CACHE/n")" = .. ]
	# Later complaints count, whether or not that happened.
	echo . >"$VFIFO_CACHE/n"
	VFIFO_TEST_LATE=$line door --tree "$LINUX" --accel tcg --debug shell true
	refused "the guest kernel complained: BUG: KASAN: wild-memory-access"
	rm "$VFIFO_CACHE/n"
	VFIFO_TEST_EARLY=$line VFIFO_TEST_LATE=${line/wild-memory-access/use-after-free} door --tree "$LINUX" --accel tcg --debug shell true
	refused "the guest kernel complained: BUG: KASAN: use-after-free"
	# It complains the second time as well, so nothing was tested.
	booted_by 'echo "$VFIFO_TEST_EARLY" | tee "$g/../../dmesg"; sh "$g/wrapper"; echo "reboot: Power down"'
	VFIFO_TEST_EARLY=$line door --tree "$LINUX" --accel tcg --debug shell 'echo hello'
	refused "the guest kernel complained before it had booted: BUG: KASAN: wild-memory-access"
	[[ $output != *hello* ]]
	# Without emulation, it is an error of the kernel.
	VFIFO_TEST_EARLY=$line door --tree "$LINUX" --accel kvm --debug shell 'echo hello'
	refused "the guest kernel complained before it had booted: BUG: KASAN: wild-memory-access"
	[[ $output != *"retrying"* ]]
}

@test "a guest that hangs while booting is booted again, once" {
	sed -i 's/^GUEST_BOOT_SECONDS=.*/GUEST_BOOT_SECONDS=6/' "$DOOR/steps/kernel/guest.sh"
	booted_by 'n=$(cat "$g/../n" 2>/dev/null); echo "$n." >"$g/../n"
		[ -n "$n" ] || exec sleep 500
		sh "$g/wrapper"; sleep 3; echo "reboot: Power down"'
	door --tree "$LINUX" --accel tcg shell 'sleep 5; echo hello'
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" = $'guest: the emulated machine did not boot within 6 s; retrying once\nhello' ]
	booted_by 'echo "e820: register RAM buffer"; exec sleep 500'
	door --tree "$LINUX" --accel tcg shell 'echo hello'
	[[ $output == *"retrying once"* ]]
	refused "did not boot within its time: QEMU said: e820: register RAM buffer"
	# No process is left that watches the guest or keeps the lock.
	door --tree "$LINUX" patch
	[ "$status" -eq 0 ]
}

# plain SCRIPT: what is printed and counted for a plain guest that this script replaces.
plain() {
	export CACHE=$VFIFO_CACHE ROOT=$DOOR LOGS=$HERE/log DEBUG='' VFIFO_RESULTS=$HERE/results GUEST_SECONDS=0
	# shellcheck source=/dev/null
	for step in versions lib system kernel/count kernel/guest kernel/selftest; do . "$REAL/steps/$step.sh"; done
	scratch GUEST_DIR
	mkdir -p "$LOGS/kselftest"
	: >"$VFIFO_RESULTS"
	eval "plain_guest() { $1; cp \"\$GUEST_DIR/console\" \"\$LOGS/\$GUEST_CONSOLE\"; }"
	count_tap() { cat "$2" >/dev/null && count_result 1 0 0 "$1" 0; }
	run selftest_plain
	echo "$output"
	rm -rf "$GUEST_DIR"
}

@test "a plain guest that runs nothing is one failure, and names what did not run" {
	plain 'GUEST_END=unbooted; echo e820 >"$GUEST_DIR/console"; : >"$GUEST_DIR/output"'
	[ "$status" -ne 0 ]
	[[ $output == *"FAILED   selftest, plain: the guest did not boot within its time: QEMU said: e820"* ]]
	[[ $output == *"FAILED   selftest, plain: did not run: suspend system limits"* ]]
	[ "$(cut -f -4 "$VFIFO_RESULTS")" = $'0\t1\t0\tselftest, plain: the guest' ]
	# A successful exit is not enough either.
	plain 'GUEST_END=exit; : >"$GUEST_DIR/console"; printf "== suspend\\nok\\n== system\\nok\\n" >"$GUEST_DIR/output"'
	[ "$status" -ne 0 ]
	[[ $output == *"FAILED   selftest, plain: did not run: limits"* ]]
	[ "$(cut -f -3 "$VFIFO_RESULTS")" = $'1\t0\t0\n1\t0\t0\n0\t1\t0' ]
	[ "$(tail -n 1 "$VFIFO_RESULTS" | cut -f 4)" = "selftest, plain: did not run: limits" ]
}

@test "a guest that succeeds with a warning" {
	booted_by 'sh "$g/wrapper"; echo "WARNING: mm/x.c:1 at y"; echo "reboot: Power down"'
	door --tree "$LINUX" --accel tcg shell true
	refused "the guest kernel complained: WARNING: mm/x.c"
}

# splat LINE...: the console of a guest, with these lines in the middle.
splat() {
	export CACHE=$VFIFO_CACHE ROOT=$DOOR LOGS=$HERE DEBUG=debug
	# shellcheck source=/dev/null
	. "$REAL/steps/kernel/guest.sh"
	printf '[    1.000000] %s\r\n' "rust_vfifo: loaded" "$@" "rust_vfifo: unloaded" >"$LOGS/console.log"
}

@test "a complaint of the kernel is shown to its end" {
	splat "WARNING: mm/x.c:1 at y+0x1/0x2" "Call Trace:" " z+0x3/0x4" "---[ end trace 0000000000000000 ]---" "free"
	[ "$(guest_complaints | cut -c 16-)" = $'WARNING: mm/x.c:1 at y+0x1/0x2\nCall Trace:\n z+0x3/0x4\n---[ end trace 0000000000000000 ]---' ]
	splat "=====================" "BUG kmalloc-64 (Tainted: G    B): Poison overwritten" "-----" "======================"
	[ "$(guest_complaints | grep -c .)" -eq 3 ]
	splat "nothing at all" "..MP-BIOS bug: 8254 timer not connected to IO-APIC" "rcu: INFORMATION"
	[ -z "$(guest_complaints)" ]
}

@test "every kind of complaint is recognized" {
	local line
	for line in "BUG: KASAN: slab-use-after-free in a+0x1/0x2" "UBSAN: array-index-out-of-bounds in a.c:1:2" \
		"WARNING: possible circular locking dependency detected" "BUG: sleeping function called from invalid context at a.c:1" \
		"ODEBUG: free active (active state 0) object: 1 object type: hrtimer hint: a" "list_del corruption. prev->next" \
		"INFO: task a:1 blocked for more than 120 seconds." "rust_kernel: panicked at rust/kernel/a.rs:1:2:" \
		"pagealloc: memory corruption" "kernel BUG at a.c:1!" "Oops: general protection fault" \
		"turning off the locking correctness validator." "kmemleak: Kernel memory leak detector disabled"; do
		splat "$line"
		echo "$line"
		[ -n "$(guest_complaints)" ]
	done
}

@test "reports of KCSAN count if they name the driver" {
	# The name of the kernel's release does not count.
	splat ======== "BUG: KCSAN: data-race in a / b" "read to 1 by task 2 on cpu 0:" " a+0x1/0x2" \
		"CPU: 0 UID: 0 PID: 1 Comm: a Not tainted 7.3.4-vfifo-kcsan #2" ======== \
		======== "BUG: KCSAN: data-race in c / d" "read to 1 by task 2 on cpu 0:" " d+0x1/0x2 [rust_vfifo]" ========
	[ "$(guest_complaints | grep -c 'BUG: KCSAN: data-race in c / d')" -eq 1 ]
	[ "$(guest_complaints | grep -c 'BUG: KCSAN')" -eq 1 ]
	# The kernel's own race does not count.
	splat ======== "BUG: KCSAN: data-race in do_fcntl / fasync_insert_entry" " fasync_insert_entry+0x1/0x2" " d+0x1/0x2 [rust_vfifo]" ======== \
		======== "BUG: KCSAN: data-race in d / do_fcntl" " d+0x1/0x2 [rust_vfifo]" ========
	[[ $(guest_complaints | grep 'BUG: KCSAN') == *"BUG: KCSAN: data-race in d / do_fcntl" ]]
	[ "$(guest_complaints | grep -c 'BUG: KCSAN')" -eq 1 ]
}

# parts_of ARGUMENT...: the parts that build-kernel.sh would run.
parts_of() {
	printf 'test_part() { echo "part $DEBUG: ${*:2}"; count_result 1 0 0 "$1" 0; }\ndeps_want_packages() { :; }\ntest_start_host() { :; }\n' >>"$DOOR/steps/kernel/soak.sh"
	door --tree "$LINUX" fetch
	door --tree "$LINUX" "$@"
	echo "$output"
	[ "$status" -eq 0 ]
	parts=$(sed -n 's/^part //p' <<<"$output" | paste -sd ,)
}

@test "test --debug runs what depends on the kernel, and prints what is left" {
	parts_of test --debug
	[ "$parts" = "debug: deps,debug: fetch,debug: patch,debug: build,debug: selftest" ]
	[[ $output == *"left to ./build-kernel.sh soak: stress-ng, trinity"* ]]
	[[ $output == *$'\n5 passed, 0 failed' ]]
}

# parts_are HOST: the parts of "test" only say that they ran; HOST is what host does.
parts_are() {
	local step
	for step in deps patch build series selftest kunit compilers bench litmus; do
		printf 'do_%s() { say "ran %s"; count_result 1 0 0 x 0; }\n' "$step" "$step" >>"$DOOR/steps/kernel/soak.sh"
	done
	printf 'do_host() { %s; }\ndeps_want_packages() { :; }\n' "$1" >>"$DOOR/steps/kernel/soak.sh"
	door --tree "$LINUX" fetch
}

# parts_that_run HOST: "test" with them.
parts_that_run() {
	parts_are "$1"
	door --tree "$LINUX" test
	echo "$output"
}

@test "test shows and counts what host did beside other parts when it is its turn" {
	parts_that_run 'say "ran host at $(nice)"; count_result 20 0 0 x 0'
	[ "$status" -eq 0 ]
	[[ $output == *$'== instructions\nran bench\n== host\nran host at 19\n== litmus\n'* ]]
	[[ $output == *$'\n31 passed, 0 failed' ]]
}

@test "host fails beside other parts" {
	parts_that_run 'count_result 3 2 0 x 0; die "host: two tests failed"'
	[ "$status" -eq 1 ]
	[[ $output == *$'== host\nbuild-kernel.sh: host: two tests failed\n== litmus\n'* ]]
	[[ $output == *$'\n14 passed, 2 failed' ]]
}

@test "host dies beside other parts" {
	parts_that_run 'kill -9 $$'
	[ "$status" -eq 1 ]
	[[ $output == *$'\n11 passed, 1 failed' ]]
}

@test "Ctrl-C also ends host beside other parts" {
	parts_are 'echo $$ >"$CACHE/pid.new"; mv "$CACHE/pid.new" "$CACHE/pid"; sleep 600'
	echo 'do_selftest() { sleep 600; }' >>"$DOOR/steps/kernel/soak.sh"
	"$DOOR/build-kernel.sh" --tree "$LINUX" test >"$HERE/out" 2>&1 3>&- &
	local pid=$!
	begins "$VFIFO_CACHE/pid" 600
	terminated "$pid"
	gone "$(cat "$VFIFO_CACHE/pid")"
	[ -z "$(ls -d "$VFIFO_CACHE"/tmp.* 2>/dev/null)" ]
}

@test "test runs everything in the ordinary kernel, and prints what is left" {
	local TEST_DEBUG
	# shellcheck source=/dev/null
	. "$REAL/steps/kernel/test.sh"
	parts_of test
	[ "$parts" = ": deps,: fetch,: patch,: build,: series --check,: selftest,: kunit,: compilers,: bench --check,: host,: litmus,debug: build,debug: selftest ${TEST_DEBUG[*]}" ]
	[[ $output == *"left to ./build-kernel.sh test --debug: kmemleak, and the other kselftests"* ]]
	[[ $output == *"left to ./build-kernel.sh soak: that, stress-ng, trinity"* ]]
}

@test "soak uses the debug kernel where it is needed" {
	parts_of soak 3
	[[ ,$parts, == *",: build,debug: build,kcsan: build,debug: selftest,debug: soak 3 stress,debug: soak 3 trinity,debug: soak 3 long,"* ]]
	[[ ,$parts, == *",: soak 3 rounds,kcsan: selftest,: mutants,: shutdown,debug: shutdown,: series --build,: matrix,: deb --test,: devbox --test,"* ]]
	[[ $output == *" passed, 0 failed" ]]
}

# a_mutant SED-SCRIPT: makes a patch with one bug.
a_mutant() {
	mkdir -p "$DOOR/tests/mutants"
	sed "$1" "$DOOR/code/a.rs" >"$HERE/bad"
	{ printf 'A bug.\n\nKernel: plain\nTest: a\n\n'
		diff -u --label a/code/a.rs --label b/code/a.rs "$DOOR/code/a.rs" "$HERE/bad" || true
	} >"$DOOR/tests/mutants/one.patch"
}

@test "mutants that do not exist, and no kernel" {
	a_mutant s/first/second/
	door mutants
	refused "run ./build-kernel.sh fetch first"
	door --tree "$LINUX" patch
	door --tree "$LINUX" mutants
	refused "run ./build-kernel.sh --tree $LINUX build first"
	door --tree "$LINUX" --debug shell true
	refused "run ./build-kernel.sh --debug --tree $LINUX build first"
	door --tree "$LINUX" mutants two
	refused "there is no two in tests/mutants/"
}

@test "a mutant that no longer applies" {
	a_mutant s/first/second/
	export ROOT=$DOOR
	# shellcheck source=/dev/null
	. "$REAL/steps/kernel/mutants.sh"
	mutants_apply
	echo changed >"$DOOR/code/a.rs"
	run mutants_apply
	[ "$status" -ne 0 ]
	[[ $output == *"one: does not apply"* ]]
	a_mutant s/changed/second/
	sed -i '/^Test/d' "$DOOR/tests/mutants/one.patch"
	run mutants_apply
	[ "$status" -ne 0 ]
	[[ $output == *"one: needs the lines Kernel:"* ]]
}

@test "a mutant whose guest did not boot is not caught" {
	export ROOT=$DOOR CACHE=$VFIFO_CACHE LOGS=$HERE DEBUG='' MUTANTS_BASE=0 VFIFO_RESULTS=$HERE/results MUTANTS_WORK=$HERE TREE_DIR=$HERE BUILD_DIR=$HERE
	local step
	# shellcheck source=/dev/null
	for step in versions lib kernel/count kernel/guest kernel/mutants; do . "$REAL/steps/$step.sh"; done
	echo e820 >"$LOGS/$GUEST_CONSOLE"
	series_run() { echo 1; }
	mutants_build() { :; }
	mutants_same_objects() { false; }
	mutants_touch_kernel() { false; }
	mutants_say() { echo a; }
	mutants_leak() { :; }
	for end in unbooted hang; do
		mutants_run_tests() { export GUEST_END=$end GUEST_DIR=$HERE/guest; }
		mkdir -p "$HERE/guest/tests"
		: >"$HERE/guest/console"
		run mutants_try one
		echo "$output"
		if [ "$end" = hang ]; then
			[ "$status" -eq 0 ]
			mutants_try one
			[ "$MUTANTS_BY" = "the guest hung" ]
			[[ $output == *"caught   one"*"the guest hung"* ]]
		else
			[ "$status" -ne 0 ]
			[[ $output == *"FAILED   one: the guest did not boot within its time: QEMU said: e820"*"nothing was tested" ]]
		fi
	done
}

@test "the tests that SECURITY.md names exist" {
	local name program named=0
	while IFS=: read -r program name; do
		echo "$program:$name"
		named=$((named + 1))
		[ ! -e "$REAL/selftests/$program.c" ] || program+=.c
		[ -e "$REAL/selftests/$program" ]
		[ -z "$name" ] || grep -qE "\b${name# }\b" "$REAL/selftests/$program"
	done < <(grep '^|' "$REAL/SECURITY.md" | grep -oE '`[a-z_.]+(: [a-z_]+)?`' | tr -d '`' | grep -vx 'program\|soak')
	[ "$named" -gt 20 ]
}

@test "a guest that hangs" {
	booted_by 'echo 1 >"$g/booted"; sleep 60'
	VFIFO_DEADLINE=8 door --tree "$LINUX" --accel tcg shell true
	refused "the guest hung"
}

@test "a guest that never boots" {
	booted_by 'sleep 60'
	VFIFO_DEADLINE=1 door --tree "$LINUX" --accel tcg shell true
	refused "did not boot"
}

@test "QEMU is missing" {
	booted_by true
	rm "$VFIFO_TEST_BIN/qemu-system-x86_64"
	cat >>"$DOOR/steps/kernel/guest.sh" <<<'GUEST_QEMU=qemu-that-is-not-there'
	door --tree "$LINUX" --accel tcg shell true
	refused "is missing"
}

# gone PID: waits until that process has ended. One that has not been reaped yet has ended too.
gone() {
	local state
	for _ in {1..100}; do
		state=$(ps -o stat= -p "$1") || return 0
		case $state in Z*) return 0 ;; esac
		sleep 0.1
	done
	return 1
}

@test "Ctrl-C ends everything, and the next run works" {
	booted_by 'echo $$ >"$g/../pid.new"; mv "$g/../pid.new" "$g/../pid"; sleep 600'
	"$DOOR/build-kernel.sh" --tree "$LINUX" --accel tcg shell true >"$HERE/out" 2>&1 3>&- &
	local pid=$!
	begins "$VFIFO_CACHE/pid" 600
	[ -s "$VFIFO_CACHE/pid" ]
	terminated "$pid"
	grep -q '^build-kernel.sh: interrupted' "$HERE/out"
	gone "$(cat "$VFIFO_CACHE/pid")"
	[ -z "$(ls -d "$VFIFO_CACHE"/tmp.* 2>/dev/null)" ]
	door --tree "$LINUX" patch
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "the user's tree is not touched" {
	(cd "$LINUX" && git init -q && git add -A -f && git -c user.name=a -c user.email=a@b commit -qm x)
	echo change >>"$LINUX/Kbuild"
	before=$(cd "$LINUX" && find . -printf '%p %T@ %s\n' | sort | sha256sum)
	door --tree "$LINUX" patch
	[ "$status" -eq 0 ]
	[[ $output == *"not committed"* ]]
	[ "$before" = "$(cd "$LINUX" && find . -printf '%p %T@ %s\n' | sort | sha256sum)" ]
	[ ! -s "$(tree)/Kbuild" ]
	[ "$(cat "$(tree)/samples/rust/a.rs")" = first ]
}

@test "an interrupted patch step is finished by the next run" {
	door --tree "$LINUX" patch
	k=$(dirname "$(tree)")
	GIT_DIR=$k/git git rev-parse refs/vfifo/head >"$k/moving"
	: >"$k/git/index.lock"
	rm "$(tree)/more/b.txt"
	door --tree "$LINUX" patch
	[ "$status" -eq 0 ]
	[ -e "$(tree)/more/b.txt" ]
}

@test "the series is the same every time, and git am gives the tree" {
	door --tree "$LINUX" series
	[ "$status" -eq 0 ]
	[ "$(ls "$DOOR/patches")" = $'0001-samples-one.patch\n0002-samples-two.patch' ]
	grep -q '^Signed-off-by: A Name <name@example.org>$' "$DOOR/patches/0001-samples-one.patch"
	cp -r "$DOOR/patches" "$HERE/first"
	rm -rf "$VFIFO_CACHE"/tree-*
	GIT_AUTHOR_NAME=other TZ=Asia/Tokyo door --tree "$LINUX" series
	diff -r "$HERE/first" "$DOOR/patches"
	door --tree "$LINUX" patch
	(cd "$LINUX" && git init -q && git add -A -f && git -c user.name=a -c user.email=a@b commit -qm x &&
		git -c user.name=a -c user.email=a@b am -q "$DOOR"/patches/*.patch)
	diff -r --exclude=.git "$LINUX" "$(tree)"
}

@test "series --build builds every patch, and restores the kernel tree" {
	[ "$(df -Pm "$VFIFO_CACHE" | awk 'NR == 2 { print $4 }')" -ge 1500 ] || skip "no room on this disk"
	cat >>"$DOOR/steps/kernel/build.sh" <<-'END'
		build_make() {
			local rustdoc
			case " $* " in
			*" prepare "*)
				(cd "$TREE_SRC" && echo samples/rust/*.rs rust/more/*) >>"$ROOT/made"
				[ ! -e "$ROOT/fails" ] || [ -e "$TREE_SRC/rust/more/b.txt" ] ;;
			*" rust/doctests_kernel_generated.o "*) echo doctests >>"$ROOT/made"; [ ! -e "$ROOT/fails" ] ;;
			*" rustdoc "*)
				rustdoc=${2#RUSTDOC=}
				[ -z "$("$rustdoc" --crate-name core)" ] && "$rustdoc" --version --crate-name kernel >/dev/null || return
				echo rustdoc >>"$ROOT/made"
				if [ -e "$ROOT/warning" ]; then cat "$ROOT/warning"; fi
				[ ! -e "$ROOT/fails" ] ;;
			esac
		}
	END
	mkdir -p "$DOOR/kunit" "$DOOR/series/parts/second"
	echo CONFIG_RUST_KERNEL_DOCTESTS=y >"$DOOR/kunit/.kunitconfig"
	# Only the second patch is of rust/.
	printf 'code\tsamples/rust\nmore\trust/more\n' >"$DOOR/series/folders"
	echo 0002-two >"$DOOR/series/parts/second/patches"
	: >"$DOOR/series/parts/second/cover-letter"
	door --tree "$LINUX" patch
	door --tree "$LINUX" series --build
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"ok       1/2 samples: one, doctests"$'\n'*"ok       2/2 samples: two, doctests, rustdoc"$'\n'* ]]
	[[ $output == *"ok       part second alone, doctests, rustdoc"$'\n'* ]]
	diff "$DOOR/made" - <<-'END'
		samples/rust/a.rs rust/more/*
		doctests
		samples/rust/a.rs rust/more/b.txt
		doctests
		rustdoc
		samples/rust/*.rs rust/more/b.txt
		doctests
		rustdoc
	END
	[ -e "$(tree)/rust/more/b.txt" ]
	# A link to a file that is not there is a mere warning of make.
	echo "warning: srctree/ link to include/linux/nothing.h does not exist" >"$DOOR/warning"
	door --tree "$LINUX" series --build
	[[ $output == *"series --build: 2/2 samples: two, links of rustdoc failed: the first error or warning is in the log"* ]]
	rm "$DOOR/warning"
	: >"$DOOR/fails"
	door --tree "$LINUX" series --build
	refused "series --build: 1/2 samples: one failed"
	[ -e "$(tree)/rust/more/b.txt" ]
	[ ! -e "$(tree)/../moving" ]
	# Without doctests, nothing would be checked.
	rm "$DOOR/fails"
	echo '# CONFIG_RUST_KERNEL_DOCTESTS is not set' >"$DOOR/kunit/.kunitconfig"
	door --tree "$LINUX" series --build
	refused "the configuration has no doctests"
}

@test "an older kernel: its own patches come first, and the series is the same" {
	a_kernel 7.3.4
	sed -i '/^5$/i half' "$LINUX/samples/rust/Kconfig"
	door --tree "$LINUX" patch
	sed -i 's/^7$/seven/' "$(tree)/samples/rust/Kconfig"
	door --tree "$LINUX" series --save 0001
	door --tree "$LINUX" series
	[ "$status" -eq 0 ]
	cp -r "$DOOR/patches" "$HERE/pinned"
	cp -r "$DOOR/series/0001-one" "$HERE/one"

	# Two lines away from the edit, the older kernel differs.
	a_kernel 7.2.1
	mkdir -p "$DOOR/series/linux-7.2/0000-zero"
	printf 'samples: zero\n\nFor Linux 7.2 only.\n' >"$DOOR/series/linux-7.2/0000-zero/message"
	door --tree "$LINUX" patch
	refused "0000-zero changes nothing"
	cat >"$DOOR/series/linux-7.2/0000-zero/edits.diff" <<-'END'
	diff --git a/kernel/a.c b/kernel/a.c
	--- a/kernel/a.c
	+++ b/kernel/a.c
	@@ -1 +1,2 @@
	 int a;
	+int b;
	END
	door --tree "$LINUX" series
	[ "$status" -eq 0 ]
	[ "$(ls "$DOOR/patches/linux-7.2")" = 0000-samples-zero.patch ]
	door --tree "$LINUX" patch
	[ "$(sed -n '/^seven$/=' "$(tree)/samples/rust/Kconfig")" = 7 ]

	# Edits for that kernel are saved only to its own patches.
	sed -i 's/^9$/nine/' "$(tree)/samples/rust/Kconfig"
	door --tree "$LINUX" series --save 0001
	refused "save to a patch in series/linux-7.2/"
	door --tree "$LINUX" series --save 0000
	echo "$output"
	[ "$status" -eq 0 ]
	grep -q '^+nine$' "$DOOR/series/linux-7.2/0000-zero/edits.diff"
	diff -r "$HERE/one" "$DOOR/series/0001-one"
	door --tree "$LINUX" series
	diff -r --exclude=linux-7.2 "$HERE/pinned" "$DOOR/patches"

	cp -r "$(tree)" "$HERE/patched"
	(cd "$LINUX" && git init -q && git add -A -f && git -c user.name=a -c user.email=a@b commit -qm x &&
		git -c user.name=a -c user.email=a@b am -q "$DOOR"/patches/linux-7.2/*.patch &&
		git -c user.name=a -c user.email=a@b am -q -C1 "$DOOR"/patches/*.patch)
	diff -r --exclude=.git "$LINUX" "$HERE/patched"
}

@test "kunit: unknown compilers" {
	door --tree "$LINUX" fetch
	door --tree "$LINUX" kunit 1.85
	refused "kunit takes no argument, or two"
	door --tree "$LINUX" kunit 1.2 gcc
	refused "not one of the versions of rustc"
	door --tree "$LINUX" kunit 1.85 tcc
	refused "llvm or gcc"
}

@test "kunit: starts from objects of the same C compiler" {
	K=$HERE/k
	mkdir -p "$K"/um-1.96-{gcc,llvm}
	echo gcc >"$K/um-1.96-gcc/linux"
	borrow() { # RUSTC COMPILER
		CACHE=$VFIFO_CACHE TREE_DIR=$HERE/k bash -euc 'for s in versions lib kernel/matrix; do . "$1/$s.sh"; done; KUNIT_OBJECTS=um-$2-$3; matrix_borrow_objects "$3"' x "$DOOR/steps" "$@"
	}
	# An incomplete kernel is not used.
	borrow 1.85 llvm
	[ ! -e "$K/um-1.85-llvm" ]
	borrow 1.85 gcc
	[ "$(cat "$K/um-1.85-gcc/linux")" = gcc ]
	echo llvm >"$K/um-1.96-llvm/linux"
	borrow 1.85 llvm
	[ "$(cat "$K/um-1.85-llvm/linux")" = llvm ]
	# Existing objects stay.
	echo gcc-1.85 >"$K/um-1.85-gcc/linux"
	borrow 1.85 gcc
	[ "$(cat "$K/um-1.85-gcc/linux")" = gcc-1.85 ]
}

# Stubs for rustc 1.85 and 1.96, and for kbuild.
compilers_stubs() {
	local version
	# This makes the cache ours.
	door --tree "$LINUX" fetch
	mkdir -p "$HERE/system/etc" "$LINUX/samples/rust/rust_vfifo"
	[ -e "$HERE/system/etc/os-release" ] || printf 'ID=debian\nVERSION_ID="12"\n' >"$HERE/system/etc/os-release"
	: >"$LINUX/samples/rust/rust_vfifo/.kunitconfig"
	for version in 1.85 1.96; do
		! grep -q arch "$HERE/system/etc/os-release" || break
		mkdir -p "$VFIFO_CACHE/tools/rust-$version"
		printf '#!/bin/sh\necho "rustc %s.0 (a stub)"\n' "$version" >"$VFIFO_CACHE/tools/rust-$version/rustc"
		chmod +x "$VFIFO_CACHE/tools/rust-$version/rustc"
	done
	echo CONFIG_RUST=y >"$DOOR/defconfig"
	cat >"$DOOR/steps/kernel/small.config" <<-'END'
		CONFIG_RUST=y
		# CONFIG_SYSFS is not set
	END
	cat >>"$DOOR/steps/kernel/build.sh" <<-'END'
		build_make() {
			local rustc=${BUILD_RUST[0]#RUSTC=} target=${*: -1} arg dir=$BUILD_DIR fails
			rustc=$("${VFIFO_TEST_RUSTC:-$rustc}" --version | cut -d ' ' -f 2)
			for arg; do case $arg in M=* | MO=*) dir=${arg#*=} ;; esac; done
			case $target in
			*config)
				mkdir -p "$BUILD_DIR/include/config"
				[ ! -e "$ROOT/sysfs" ] || echo CONFIG_SYSFS=y >>"$BUILD_DIR/.config"
				echo "CONFIG_RUSTC_VERSION_TEXT=rustc $rustc" >"$BUILD_DIR/include/config/auto.conf"
				return ;;
			esac
			[[ " $* " == *" KRUSTFLAGS=-Dwarnings "* ]] || return
			echo "$rustc ${BUILD_DIR##*-} $target" >>"$ROOT/made"
			if [ "$target" = newer.o ]; then
				grep -q 'let text = kernel::prelude::fmt!' "$dir/newer.rs" || return
				if [[ $rustc == 1.85.* ]] && [ ! -e "$ROOT/lenient" ]; then echo 'error[E0716]: temporary value'; return 1; fi
			fi
			for fails in "$ROOT"/fails/*; do
				if [ "$rustc ${BUILD_DIR##*-} $target" = "$(cat "$fails" 2>/dev/null)" ]; then
					printf '  CC a.o\n  RUSTC b.o\nerror[E0658]: use of unstable library feature\n'
					return 1
				fi
			done
			case $target in samples/rust/) target=samples/rust/rust_vfifo/root.o ;; rust_vfifo.o) target=rust_vfifo/root.o ;; esac
			mkdir -p "$(dirname "$dir/$target")" && echo "rustc version $rustc" >"$dir/$target"
		}
	END
	echo 'compilers_clients() { [[ ${BUILD_RUST[0]} == */rust-1.85/rustc ]] && [ ! -e "$ROOT/client" ]; }' >>"$DOOR/steps/kernel/compilers.sh"
	VFIFO_SYSTEM=$HERE/system door --tree "$LINUX" fetch
}

# Runs the step compilers. Sets counted to: passed failed skipped.
compilers() {
	[ -e "$HERE/results" ] || compilers_stubs
	: >"$HERE/results"
	: >"$DOOR/made"
	VFIFO_RESULTS=$HERE/results VFIFO_SYSTEM=$HERE/system door --tree "$LINUX" compilers
	echo "$output"
	counted=$(awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$HERE/results")
}

@test "compilers: each kernel with its rustc" {
	compilers
	[ "$status" -eq 0 ]
	[ "$counted" = "13 0 0" ]
	diff "$DOOR/made" - <<-'END'
		1.85.0 full samples/rust/
		1.85.0 full rust/doctests_kernel_generated.o
		1.85.0 full rust_vfifo.o
		1.85.0 full newer.o
		1.85.0 small samples/rust/
		1.85.0 small rust_vfifo.o
		1.85.0 small newer.o
		1.96.0 small samples/rust/
		1.96.0 small rust_vfifo.o
		1.96.0 small newer.o
	END
}

@test "compilers: fails wherever one rustc does not compile something" {
	compilers
	[ "$status" -eq 0 ]
	mkdir "$DOOR/fails"
	local one count=0
	while read -r one; do
		count=$((count + 1))
		echo "$one" >"$DOOR/fails/one"
		compilers
		[ "$status" -ne 0 ]
		[ "$counted" = "12 1 0" ]
		[ "$(grep -c '^  FAILED ' <<<"$output")" -eq 1 ]
		# Only the errors of the compiler are shown.
		[[ $output == *"FAILED   rustc ${one%%.0 *}, "*"error[E0658]: use of unstable library feature"* ]]
		[[ $output != *"CC a.o"* ]]
		[[ $output == *"compilers: some checks failed, as shown above"* ]]
	done < <(grep -v newer "$DOOR/made")
	[ $count -eq 7 ]
	rm "$DOOR/fails/one"
	: >"$DOOR/client"
	compilers
	[ "$status" -ne 0 ]
	[ "$counted" = "12 1 0" ]
	[[ $output == *"FAILED   rustc 1.85: clients/rust"* ]]
}

@test "compilers: fails if another rustc was used" {
	# Another rustc than the step asked for.
	mkdir -p "$HERE/wrong"
	printf '#!/bin/sh\necho "rustc 1.96.0 (a stub)"\n' >"$HERE/wrong/rustc"
	chmod +x "$HERE/wrong/rustc"
	VFIFO_TEST_RUSTC=$HERE/wrong/rustc compilers
	[ "$status" -ne 0 ]
	[[ $output == *"the kernel is not configured for rustc 1.85"* ]]
	[[ $output == *"FAILED   rustc 1.85, full kernel: code for a newer rustc than 1.85 is refused"*"it compiles"* ]]
	# An old rustc that accepts everything.
	rm -r "$VFIFO_CACHE"/tree-*/x86-*
	: >"$DOOR/lenient"
	compilers
	[ "$status" -ne 0 ]
	[ "$counted" = "11 2 0" ]
	rm "$DOOR/lenient"
	# A configuration without Rust, while the objects of earlier runs are still there.
	rm "$VFIFO_CACHE"/tree-*/x86-1.85-full/include/config/auto.conf
	compilers
	[ "$status" -ne 0 ]
	[[ $output == *"the kernel is not configured for rustc 1.85"* ]]
	# If Kconfig has dropped an option, the kernel is configured again.
	sed -i /RUST/d "$VFIFO_CACHE"/tree-*/x86-1.85-full/.config
	compilers
	[ "$status" -eq 0 ]
	# An option that is on where it should be off.
	rm -r "$VFIFO_CACHE"/tree-*/x86-*
	: >"$DOOR/sysfs"
	compilers
	[ "$status" -ne 0 ]
	[[ $output == *"FAILED   rustc 1.85, small kernel: the options are off"*CONFIG_SYSFS=y* ]]
}

@test "compilers: skipped without the packages of Debian 12" {
	mkdir -p "$HERE/system/etc"
	printf 'ID=arch\n' >"$HERE/system/etc/os-release"
	compilers
	[ "$status" -eq 0 ]
	[ "$counted" = "0 0 1" ]
	[[ $output == *"  skipped  compilers: rustc 1.85 comes from packages of Debian 12, and this is another system"* ]]
}

@test "matrix: the table shows what failed" {
	cat >>"$DOOR/steps/kernel/kunit.sh" <<-'END'
		do_kunit() {
			[ "$*" != "1.85 gcc" ] || [ ! -e "$ROOT/fails" ] || die "kunit: UML kernel failed; see the log"
			say "kunit: 3 passed, 0 failed"
		}
	END
	door --tree "$LINUX" matrix
	echo "$output"
	[ "$status" -eq 0 ]
	table=$(sed '1,/^Linux /d' <<<"$output" | sed '$d' | awk '{ print $1, $2, $3, $(NF - 3), $(NF - 2) }')
	[ "$table" = $'7.3.4 1.85 llvm 3 passed,\n7.3.4 1.85 gcc 3 passed,\n7.3.4 1.96 llvm 3 passed,\n7.3.4 1.96 gcc 3 passed,' ]
	: >"$DOOR/fails"
	VFIFO_RESULTS=$HERE/results door --tree "$LINUX" matrix
	echo "$output"
	[ "$status" -ne 0 ]
	grep -qE '^7\.3\.4 +1\.85 +gcc .* FAILED kunit: UML kernel failed' <<<"$output"
	[ "$(sed '1,/^Linux /d' <<<"$output" | grep -c '3 passed, 0 failed')" -eq 3 ]
	[[ $output == *"matrix: 1 of 4 failed"* ]]
	# What was not built is a failure, which is counted once.
	grep -qE $'^0\t1\t0\tkunit\t[0-9]+\tlinux=7.3.4\trustc=1.85\tcompiler=gcc [0-9.]+$' "$HERE/results"
	[ "$(wc -l <"$HERE/results")" -eq 1 ]
	sed -i 's/die "kunit: UML kernel failed; see the log"/{ count_result 0 2 0 kunit 1; &; }/' "$DOOR/steps/kernel/kunit.sh"
	VFIFO_RESULTS=$HERE/more door --tree "$LINUX" matrix
	[ "$(cat "$HERE/more")" = $'0\t2\t0\tkunit\t1' ]
}

@test "a patch that does not apply" {
	cat >"$DOOR/series/0002-two/edits.diff" <<-'END'
	diff --git a/samples/rust/Kconfig b/samples/rust/Kconfig
	--- a/samples/rust/Kconfig
	+++ b/samples/rust/Kconfig
	@@ -1,3 +1,4 @@
	 not
	 what
	+new
	 is there
	END
	door --tree "$LINUX" patch
	refused "0002-two/edits.diff does not apply"
	[ ! -e "$(tree)/samples/rust/a.rs" ]
}

@test "edits in the kernel tree are refused, saved or dropped" {
	door --tree "$LINUX" patch
	sed -i 's/^5$/five/' "$(tree)/samples/rust/Kconfig"
	door --tree "$LINUX" patch
	refused "keep that with ./build-kernel.sh --tree $LINUX series --save NNNN"
	door --tree "$LINUX" series --save
	refused "needs the number of a patch"
	door --tree "$LINUX" series --save 1
	[ "$status" -eq 0 ]
	grep -q '^+five$' "$DOOR/series/0001-one/edits.diff"
	door --tree "$LINUX" patch
	[ "$status" -eq 0 ]
	echo mess >>"$(tree)/Kbuild"
	door --tree "$LINUX" series --drop
	[ "$status" -eq 0 ]
	[ ! -s "$(tree)/Kbuild" ]
	door --tree "$LINUX" series --save 1
	refused "nothing was edited"
}

@test "the results of tests are counted correctly" {
	door --tree "$LINUX" fetch
	[ -n "$TOOLS" ] || skip "needs the kernel tree (VFIFO_TREE_TOOLS)"
	counted() { # EXPECTED [ARGUMENT]...: passed failed skipped of the log on stdin
		cat >"$HERE/log"
		rm -f "$HERE/results"
		run python3 "$REAL/steps/kernel/ktap.py" "$TOOLS/tools/testing/kunit" "$HERE/results" suite "$HERE/log" "${@:2}"
		[ "$(tr '\t' ' ' <"$HERE/results")" = "$1" ]
	}
	printf 'TAP version 13\n1..3\nok 1 a\nok 2 b # SKIP why\tnot\nnot ok 3 c\n' | counted "1 1 1 suite 0 skip=suite: b reason=why not"
	printf '# TAP version 13\n# 1..2\n# ok 1 a\n# ok 2 b\n' | counted "2 0 0 suite 0"
	printf '1..2\nok 1 a\nok 2 b # skip why\n' | counted "1 0 1 suite 0 skip=suite: b reason=why"
	# The plan comes last.
	printf 'TAP version 13\nok 1 a\nnot ok 2 b\n1..2\n' | counted "1 1 0 suite 0"
	printf 'TAP version 13\nok 1 a\n1..2\n' | counted "1 1 0 suite 0"
	# Output that ends early, is empty, or has no test.
	printf 'TAP version 13\n1..3\nok 1 a\n' | counted "1 2 0 suite 0"
	: | counted "0 1 0 suite 0"
	printf 'TAP version 13\n1..0\n' | counted "0 1 0 suite 0"
	# With a time and a key.
	printf 'TAP version 13\n1..1\nok 1 a\n' | counted "1 0 0 suite 7 rustc=1.85.0" 7 rustc=1.85.0
}
