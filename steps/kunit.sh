# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# KUnit under UML by the tree's own tool. Clippy sees the code here, because this kernel is never
# measured (clippy's compiler optimises less). A warning in Rust code is an error; C has its own.

KUNIT_OBJECTS=um KUNIT_MAKE=("LLVM=-$LLVM_VERSION" RUSTC=/usr/bin/rustc CLIPPY=1 KRUSTFLAGS=-Dwarnings)
COMPILED_BY=''

kunit_py() {
	local options option
	cd "$SRC" || return
	options=("--build_dir=$K/$KUNIT_OBJECTS" "--kunitconfig=$SRC/samples/rust/rust_vfifo")
	for option in "${KUNIT_MAKE[@]}"; do options+=(--make_options "$option"); done
	case $1 in
	config) python3 tools/testing/kunit/kunit.py config "${options[@]}" ;;
	build) python3 tools/testing/kunit/kunit.py build "${options[@]}" --jobs "$JOBS" ;;
	# The raw text is counted by ktap.py, as every other test is.
	exec) python3 tools/testing/kunit/kunit.py exec --timeout 300 --raw_output=all \
		"--build_dir=$K/$KUNIT_OBJECTS" "--kunitconfig=$SRC/samples/rust/rust_vfifo" ;;
	esac
}

do_kunit() { # [RUSTC COMPILER]
	need_tree
	local from=$SECONDS
	[ $# -eq 0 ] || use_compilers "$@"
	[ -e "$SRC/samples/rust/rust_vfifo/.kunitconfig" ] || die "kunit: the kernel tree has no series in it; run $DOOR patch"
	[ -e "$K/$KUNIT_OBJECTS/linux" ] || need_space 1500 "the objects of the KUnit kernel"
	must "kunit: configuration" kunit-config.log "see the log" kunit_py config
	must "kunit: UML kernel" kunit-build.log "the first error is in the log" kunit_py build
	logged "kunit: tests" kunit.log kunit_py exec || true
	count kunit "$LOGS/kunit.log" || die "kunit: not every test passed (log: $LOGS/kunit.log)"
	done_step kunit "$from" "Linux $(tree_version "$SRC")${COMPILED_BY:+, $COMPILED_BY}"
}

# count SUITE FILE: names what failed; the figures are added up by the test step.
count() {
	python3 "$ROOT/steps/ktap.py" "$SRC/tools/testing/kunit" "${VFIFO_RESULTS:-/dev/null}" "$1" "$2"
}
# A result that no test output stands for.
result() { # PASSED FAILED SKIPPED
	printf '%s\t%s\t%s\n' "$@" >>"${VFIFO_RESULTS:-/dev/null}"
}
