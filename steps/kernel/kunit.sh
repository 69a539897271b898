# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# KUnit under UML, with the tree's own tool. Clippy is run here and not in the kernel of "build", because its compiler
# optimises less, and that kernel is benchmarked. Warnings in Rust code are errors.

# The folder of the objects, and make's arguments. matrix sets others.
KUNIT_OBJECTS=um KUNIT_MAKE=()
KUNIT_COMPILED_BY='' KUNIT_COMPILER=''

kunit_py() {
	local options option
	cd "$TREE_SRC" || return
	options=("--build_dir=$TREE_DIR/$KUNIT_OBJECTS" "--kunitconfig=$TREE_SRC/samples/rust/rust_vfifo")
	for option in "${KUNIT_MAKE[@]}"; do options+=(--make_options "$option"); done
	case $1 in
	config) python3 tools/testing/kunit/kunit.py config "${options[@]}" ;;
	build) python3 tools/testing/kunit/kunit.py build "${options[@]}" --jobs "$JOBS" ;;
	# ktap.py counts the raw text, as for all other tests.
	exec) python3 tools/testing/kunit/kunit.py exec --timeout 300 --raw_output=all \
		"--build_dir=$TREE_DIR/$KUNIT_OBJECTS" "--kunitconfig=$TREE_SRC/samples/rust/rust_vfifo" ;;
	esac
}

do_kunit() { # [RUSTC COMPILER]
	tree_need
	local from=$SECONDS rust
	mapfile -t rust < <(build_rust)
	KUNIT_MAKE=("LLVM=$(build_llvm)" "${rust[@]}" CLIPPY=1 KRUSTFLAGS=-Dwarnings)
	KUNIT_COMPILER="clang $VERSION_LLVM, with clippy"
	[ $# -eq 0 ] || matrix_use_compilers "$@"
	[ -e "$TREE_SRC/samples/rust/rust_vfifo/.kunitconfig" ] || die "kunit: the series has not been applied to the kernel tree; run $DOOR patch"
	[ -e "$TREE_DIR/$KUNIT_OBJECTS/linux" ] || need_space 1500 "the objects of the KUnit kernel"
	must "kunit: configuration" kunit-config.log "see the log" kunit_py kdir_config_value
	must "kunit: UML kernel" kunit-build.log "the first error is in the log" kunit_py build
	logged "kunit: tests" kunit.log kunit_py exec || true
	count_tap kunit "$LOGS/kunit.log" $((SECONDS - from)) "linux=$(tree_version "$TREE_SRC")" "rustc=$(build_rust_version)" \
		"compiler=$KUNIT_COMPILER" || die "kunit: some tests failed, as shown above (log: $LOGS/kunit.log)"
	done_step kunit "$from" "Linux $(tree_version "$TREE_SRC")${KUNIT_COMPILED_BY:+, $KUNIT_COMPILED_BY}"
}

