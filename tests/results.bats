#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
# Which runs leave a record, what is in it, and which records may be saved. The commands are replaced by short ones.
# shellcheck disable=SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0
load common

setup() {
	a_door
	a_kernel 7.3.4
	a_series
	printf '/build/\n' >"$DOOR/.gitignore"
	cp "$REAL"/{TESTING,BUILDING,README}.md "$DOOR/"
	# Without the figures that are saved in this repository.
	python3 "$DOOR/steps/kernel/results.py" write "$DOOR"
	commands 'do_mutants() { count_result 1 0 0 one 3 kernel=plain "by=a: reads"; count_skipped two "no memory"; }'
	RESULTS=$DOOR/build/results
}

commands() { printf '%s\n' "$@" >>"$DOOR/steps/kernel/main.sh"; } # FUNCTION...

a_git() { git -C "$DOOR" -c user.name=A -c user.email=a@example.org "$@"; }
a_clone() { a_git init -q; a_commit; }
a_commit() { a_git add -A; a_git commit -q --allow-empty -m "a commit"; }

# Puts the kernel tree in the place where it is found without --tree.
a_tree() {
	door --tree "$LINUX" fetch
	[ "$status" -eq 0 ]
	mv "$VFIFO_CACHE"/tree-* "$VFIFO_CACHE/linux-7.3.4"
}

# NAME KEY...: these values of a record.
value() { python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(*[r[key] for key in sys.argv[2:]])' "$RESULTS/$1.json" "${@:2}"; }
left() { (cd "$RESULTS" 2>/dev/null && echo *) || true; }

ok() { echo "$output"; [ "$status" -eq 0 ]; }

@test "a whole run leaves a record" {
	a_clone
	a_tree
	VFIFO_SCALE=2 door --accel tcg mutants
	ok
	[ "$(left)" = mutants.json ]
	[ "$(value mutants result passed failed skipped commit modified stale)" = "passed 1 0 1 $(a_git rev-parse HEAD) False False" ]
	[ "$(value mutants command kernel accelerator error)" = "VFIFO_SCALE=2 mutants 7.3.4 tcg " ]
	[ "$(value mutants processors)" = "$(nproc)" ]
	[[ $(value mutants date) =~ ^20[0-9]{2}-[0-9]{2}-[0-9]{2}$ ]]
	[ "$(value mutants memory)" -gt 0 ]
	[[ $(value mutants parts) == *"'kernel': 'plain', 'by': 'a: reads'"*"'skips': [{'test': 'two', 'reason': 'no memory'}]"* ]]
	door results
	ok
	[[ $output == *"| one | plain | a: reads | 3 s |"* ]]
	[[ $output == *"| two | no memory | \`mutants\` |"* ]]
}

@test "a run that fails leaves a record that says so, in place of an earlier one" {
	a_clone
	door mutants
	ok
	commands 'do_mutants() { count_result 1 0 0 one 3; count_result 0 1 0 two 3; die "mutants: not all were caught"; }'
	a_commit
	door mutants
	[ "$status" -ne 0 ]
	[ "$(value mutants result passed failed finished error)" = "failed 1 1 False mutants: not all were caught" ]
	door results --save
	[ "$status" -ne 0 ]
	[[ $output == *"  refused  mutants: mutants: not all were caught"* ]]
	[ ! -e "$DOOR/tests/results" ]
	# Also one that ends where it should not, and one that finds nothing to test.
	commands 'do_mutants() { count_result 1 0 0 one 3; false; }'
	door mutants
	[ "$status" -ne 0 ]
	[ "$(value mutants result failed)" = "failed 0" ]
	[[ $(value mutants error) == "mutants ended at steps/kernel/main.sh, line "* ]]
	commands 'do_mutants() { :; }'
	door mutants
	ok
	[ "$(value mutants result passed finished)" = "failed 0 True" ]
}

@test "a part of a command, another kernel, and what is interrupted leave no record" {
	commands 'do_soak() { count_result 1 0 0 a 0; }; do_deb() { count_result 1 0 0 a 0; }; do_series() { :; }' \
		'do_selftest() { count_result 1 0 0 a 0; }; tree_need() { :; }'
	local command
	for command in "mutants one" "--debug mutants" "--tree $LINUX mutants" "soak 1 stress" deb "deb --config small" series selftest \
		"selftest mmap" "--debug selftest" "--kcsan selftest mmap"; do
		# shellcheck disable=SC2086
		door $command
		ok
		[ -z "$(left)" ]
	done
	door soak 1
	ok
	[ "$(left)" = soak.json ]
	[ "$(value soak command)" = "soak 1" ]

	door mutants
	cp "$RESULTS/mutants.json" "$HERE/before"
	commands 'do_mutants() { count_result 0 1 0 one 0; : >"$ROOT/build/begun"; sleep 600 & LIB_CHILD=$!; wait $!; }'
	"$DOOR/build-kernel.sh" mutants >"$HERE/out" 2>&1 3>&- &
	local pid=$!
	begins "$DOOR/build/begun"
	terminated "$pid"
	cmp "$HERE/before" "$RESULTS/mutants.json"
}

@test "test: the parts are runs of their own, in groups" {
	a_tree
	commands 'do_deps() { :; }; do_fetch() { :; }; do_patch() { :; }; do_build() { :; }' \
		'do_selftest() { count_result 2 0 0 "selftest a" 4; count_skipped "selftest b" why; }'
	VFIFO_KMEMLEAK=off door test --debug
	ok
	[ "$(left)" = test-debug.json ]
	[ "$(value test-debug command passed failed skipped)" = "VFIFO_KMEMLEAK=off test --debug 2 0 1" ]
	door results
	[[ $output == *"| selftest b | why | \`test --debug\` |"* ]]
	python3 - "$RESULTS/test-debug.json" <<-'END'
		import json, sys
		parts = json.load(open(sys.argv[1]))["parts"]
		assert [part["name"] for part in parts] == ["deps", "fetch", "patch", "build", "selftest"], parts
		assert [part["name"] for part in parts[4]["parts"]] == ["selftest a", "selftest b"], parts
		assert (parts[4]["passed"], parts[4]["skipped"]) == (2, 1), parts
	END
	# A part that dies is a failure of the whole.
	commands 'do_selftest() { count_result 2 0 0 "selftest a" 4; die "selftest: disk full"; }'
	door test --debug
	[ "$status" -ne 0 ]
	[ "$(value test-debug result passed failed)" = "failed 2 1" ]
}

@test "test with an empty cache has a record of its own" {
	commands 'test_part() { count_result 1 0 0 "$1" 0; }'
	door test
	ok
	[ "$(left)" = test-empty.json ]
	a_tree
	door test
	ok
	[ "$(left)" = "test-empty.json test.json" ]
}

@test "soak also leaves the records of the commands that it runs" {
	a_clone
	commands 'do_deps() { :; }; do_fetch() { :; }; do_patch() { :; }; do_build() { :; }; deps_want_packages() { :; }' \
		'tree_need() { :; }; soak_stress() { count_result 1 0 0 stress 1; }' \
		'soak_trinity() { soak_stress; }; soak_long() { soak_stress; }; soak_rounds() { soak_stress; }' \
		'do_selftest() { count_result 5 0 0 a 1; }; do_shutdown() { count_result 4 0 0 a 1; }; do_series() { count_result 3 0 0 a 1; }' \
		'do_matrix() { count_result 8 0 0 a 1 linux=7.3.4 rustc=1.85.0 "compiler=gcc 12"; }' \
		'do_deb() { count_result 6 0 0 a 1; }; do_devbox() { count_result 7 0 0 a 1 kernel=7.3.4+x; }'
	door soak 1
	ok
	[ "$(left)" = "deb-test.json devbox-test.json matrix.json mutants.json selftest-kcsan.json series-build.json shutdown-debug.json shutdown.json soak.json" ]
	[ "$(value matrix passed)" = 8 ]
	[ "$(value deb-test passed command)" = "6 deb --test" ]
	[ "$(value shutdown-debug passed command)" = "4 --debug shutdown" ]
	[ "$(value selftest-kcsan passed command)" = "5 --kcsan selftest" ]
	# 5 of each of two kernels, 4 parts of soak, 1 mutant, and the others.
	[ "$(value soak passed skipped)" = "$((5 + 5 + 4 + 1 + 4 + 4 + 3 + 8 + 6 + 7)) 1" ]
	# No guest was booted for these.
	[ -z "$(value matrix accelerator)" ]
}

@test "saving: passing runs of a clean commit, and the tables" {
	a_clone
	door results --save
	refused "results --save: build/results/*.json does not exist; a whole run makes it"
	door mutants
	door results --save
	ok
	[[ $output == *"  saved    mutants"*"results: tests/results/ has these records, and the tables are written; commit them"* ]]
	cmp "$RESULTS/mutants.json" "$DOOR/tests/results/mutants.json"
	grep -qF '| one | plain | a: reads | 3 s |' "$DOOR/TESTING.md"
	python3 "$DOOR/steps/kernel/results.py" check "$DOOR"
	# The tables and records that are not committed yet count as changes.
	door mutants
	door results --save
	[ "$status" -ne 0 ]
	[[ $output == *"  refused  mutants: the clone had changes that were not committed; commit them, and run it again"* ]]
	[ "$(grep -c '^build-kernel.sh: ' <<<"$output")" -eq 1 ]
	a_commit
	door mutants
	door results --save mutants
	ok
	door results --save test
	refused "results --save: build/results/test.json does not exist; a whole run makes it"
	door results --nonsense
	refused "results: unknown argument --nonsense"
}

@test "saving: not a clone, and a repository around it" {
	door mutants
	[ -z "$(value mutants commit)" ]
	door results --save
	[ "$status" -ne 0 ]
	[[ $output == *"  refused  mutants: the clone was not a git repository"* ]]
	# The commit of another repository says nothing about these files.
	git -C "$HERE" init -q
	git -C "$HERE" -c user.name=A -c user.email=a@example.org commit -q --allow-empty -m x
	door mutants
	[ -z "$(value mutants commit)" ]
}

@test "saving: files that changed while a run used them" {
	commands 'do_mutants() { count_result 1 0 0 one 3; bash "$ROOT/build/meanwhile"; }'
	a_clone
	mkdir -p "$DOOR/build"
	echo true >"$DOOR/build/meanwhile"
	door mutants
	ok
	[ "$(value mutants modified)" = False ]
	printf 'echo edit >>%s/code/a.rs\n' "$DOOR" >"$DOOR/build/meanwhile"
	door mutants
	[ "$(value mutants modified)" = True ]
	# A commit that does not leave anything uncommitted is a change, too.
	a_commit
	printf 'git -C %s -c user.name=A -c user.email=a@b commit -q --allow-empty -m x\n' "$DOOR" >"$DOOR/build/meanwhile"
	door mutants
	[ "$(value mutants modified)" = True ]
	door results --save
	[ "$status" -ne 0 ]
	[[ $output == *"  refused  mutants: the clone had changes"* ]]
}

@test "saving: a kernel that was built from other sources" {
	a_clone
	a_tree
	commands 'build_configure() { mkdir -p "$BUILD_DIR/samples/rust"; : >"$BUILD_DIR/samples/rust/rust_vfifo.ko"; }' \
		'build_make() { :; }; need_space() { :; }; do_shutdown() { tree_need; build_use_objects; count_result 1 0 0 panic 3; }'
	a_commit
	door shutdown
	ok
	[ "$(value shutdown stale)" = True ]
	door patch
	door build
	ok
	door shutdown
	[ "$(value shutdown stale modified)" = "False False" ]
	# The sources change, and the kernel does not.
	echo more >>"$DOOR/code/a.rs"
	a_commit
	door shutdown
	[ "$(value shutdown stale modified)" = "True False" ]
	door results --save
	[ "$status" -ne 0 ]
	[[ $output == *"  refused  shutdown: the kernel was not built from the sources of that commit; run patch and build"* ]]
	door patch
	door build
	door shutdown
	[ "$(value shutdown stale)" = False ]
	door results --save
	ok
	# Edits in the kernel tree are in no commit.
	echo edit >>"$VFIFO_CACHE/linux-7.3.4/src/kernel/a.c"
	door build
	ok
	a_commit
	door shutdown
	[ "$(value shutdown stale modified)" = "True False" ]
}

@test "a folder for records that is a link" {
	mkdir -p "$DOOR/build" "$HERE/elsewhere"
	ln -s "$HERE/elsewhere" "$RESULTS"
	door mutants
	refused "$RESULTS is a link; remove it"
	[ -z "$(ls "$HERE/elsewhere")" ]
}

@test "after sudo, records are the user's" {
	[ "$(/usr/bin/id -u)" -eq 0 ] || skip "needs root to make files of another user"
	a_clone
	mkdir "$DOOR/tests"
	chmod 755 "$BATS_RUN_TMPDIR" "$HERE"
	chown -R 1000:1000 "$DOOR"
	SUDO_UID=1000 SUDO_GID=1000 door mutants
	ok
	[ "$(value mutants commit modified)" = "$(git -C "$DOOR" -c safe.directory="$DOOR" rev-parse HEAD) False" ]
	SUDO_UID=1000 SUDO_GID=1000 door results --save
	ok
	[ -z "$(find "$DOOR" ! -user 1000)" ]
}

@test "deb does not install what only test needs" {
	commands 'do_deb() { deps_for_test && echo "for test"; count_result 1 0 0 a 0; }; system_is_debian_12() { :; }'
	door deb --test
	ok
	[[ $output != *"for test"* ]]
	# As a part of another run, it is as before.
	: >"$HERE/results"
	VFIFO_RESULTS=$HERE/results door deb --test
	[[ $output == *"for test"* ]]
	[ "$(cat "$HERE/results")" = $'1\t0\t0\ta\t0' ]
	[ "$(value deb-test passed)" = 1 ]
}

@test "the time of each kselftest is taken from its log" {
	export ROOT=$DOOR CACHE=$VFIFO_CACHE LOGS=$HERE DEBUG=''
	local step
	# shellcheck source=/dev/null
	for step in versions lib system kernel/count kernel/guest kernel/selftest; do . "$REAL/steps/$step.sh"; done
	export GUEST_DIR=$HERE/guest
	mkdir -p "$GUEST_DIR/programs"
	touch -d @1000 "$GUEST_DIR/booted"
	touch -d @1007.4 "$GUEST_DIR/programs/poll"
	touch -d @1020 "$GUEST_DIR/programs/crate"
	[ "$(selftest_seconds poll) $(selftest_seconds crate) $(selftest_seconds booted) $(selftest_seconds none)" = "7 13 0 0" ]
	rm "$GUEST_DIR/booted"
	[ "$(selftest_seconds poll)" = 0 ]
}

@test "the results of pytest" {
	export ROOT=$DOOR CACHE=$VFIFO_CACHE LOGS=$HERE DEBUG='' VFIFO_RESULTS=$HERE/results
	local step
	# shellcheck source=/dev/null
	for step in versions lib system kernel/count; do . "$REAL/steps/$step.sh"; done
	printf '..s.\nSKIPPED [1] tests/test_types.py:10: could not import mypy: No module\n== 1 failed in the middle ==\n3 passed, 1 skipped in 0.19s\n' >"$HERE/log"
	count_pytest "pytest, x" 0 "$HERE/log" 2
	printf 'FAILED tests/test_a.py::test_b - AssertionError\n===== 1 failed, 2 passed, 1 warning, 2 errors in 62.73s (0:01:02) =====\n' >"$HERE/log"
	run count_pytest "pytest, y" 1 "$HERE/log" 63
	[ "$status" -eq 1 ]
	[[ $output == *"FAILED tests/test_a.py::test_b"* ]]
	# It died, or collected nothing.
	: >"$HERE/log"
	run count_pytest "pytest, z" 139 "$HERE/log" 1
	[ "$status" -eq 1 ]
	echo "no tests ran in 0.01s" >"$HERE/log"
	run count_pytest "pytest, none" 0 "$HERE/log" 1
	[ "$status" -eq 1 ]
	[ "$(cat "$VFIFO_RESULTS")" = $'3\t0\t1\tpytest, x\t2\tskip=tests/test_types.py:10\treason=could not import mypy: No module
2\t3\t0\tpytest, y\t63
0\t1\t0\tpytest, z\t1
0\t1\t0\tpytest, none\t1' ]
}

@test "ignored tests of cargo, and skipped tests of kselftests in a Debian" {
	export ROOT=$DOOR CACHE=$VFIFO_CACHE LOGS=$HERE DEBUG='' VFIFO_RESULTS=$HERE/results
	local step
	# shellcheck source=/dev/null
	for step in versions lib system kernel/count kernel/guest kernel/box; do . "$REAL/steps/$step.sh"; done
	printf 'test a ... ok\ntest b ... ignored, takes\thours\ntest c ... ignored\n\ntest result: ok. 1 passed; 0 failed; 2 ignored; 0 measured\n' >"$HERE/log"
	count_libtest "cargo, host" 0 "$HERE/log" 12
	[ "$(cat "$VFIFO_RESULTS")" = $'1\t0\t2\tcargo, host\t12\tskip=b\treason=takes hours\tskip=c\treason=' ]
	rm "$VFIFO_RESULTS"
	mkdir "$HERE/programs"
	printf '# TAP version 13\n# 1..3\n# ok 1 a\n# ok 2 b # SKIP no key\n# ok 3 c\n# # Totals: pass:2 fail:0 xfail:0 xpass:0 skip:1 error:0\n' \
		>"$HERE/programs/poll"
	printf '# 1..0 # SKIP no tracing\n' >"$HERE/programs/trace"
	box_count_kselftests "$HERE/programs" 7.3.4+x
	[ "$(cat "$VFIFO_RESULTS")" = $'2\t0\t2\tthe tests in the kselftests\t0\tkernel=7.3.4+x\tskip=poll: b\treason=no key\tskip=trace\treason=no tracing' ]
}

@test "the version of rustc, the system's and another one" {
	mkdir "$HERE/old"
	stub rustc 'echo "rustc 1.96.1 (a b)"'
	printf '#!/bin/sh\necho "rustc 1.85.0 (c d)"\n' >"$HERE/old/rustc"
	chmod +x "$HERE/old/rustc"
	commands 'do_fetch() { build_rust_version; }'
	door fetch
	ok
	[ "$output" = 1.96.1 ]
	commands "BUILD_RUST=(RUSTC=$HERE/old/rustc HOSTRUSTC=$HERE/old/rustc)"
	door fetch
	ok
	[ "$output" = 1.85.0 ]
}

@test "demo counts the checks of the tour, and fails without their number" {
	# The line that the tour ends with, as the tour itself prints it.
	grep '^printf .*"\$checked" "\$failed"$' "$DOOR/steps/tour/tour.sh" >"$HERE/last"
	commands "do_demo() { GUEST_DIR=$HERE; demo_tour; cat \"\$VFIFO_RESULTS\"; }" \
		"guest_must() { (checked=7 failed=0; . $HERE/last) >$HERE/output; }"
	VFIFO_RESULTS=$HERE/counted door demo
	ok
	[[ $output == *$'7\t0\t0\ttour\t'* ]]
	commands "guest_must() { echo something else >$HERE/output; }"
	VFIFO_RESULTS=$HERE/counted door demo
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"the tour did not say how many checks it made"* ]]
}
