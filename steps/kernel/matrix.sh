# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Other compilers and kernel versions: for each combination, builds a kernel for UML and runs KUnit in it.

MATRIX_COMPILERS='llvm gcc'
# The other LLVM. Without arguments, kunit uses that of the pinned kernel.
MATRIX_PACKAGES=("clang-$VERSION_LLVM_OTHER" "lld-$VERSION_LLVM_OTHER" "llvm-$VERSION_LLVM_OTHER")

# matrix_use_compilers RUSTC COMPILER: has kunit build with these, in a separate folder.
matrix_use_compilers() {
	case " $VERSION_RUSTC " in *" $1 "*) ;; *) die "kunit $1: not one of the versions of rustc: $VERSION_RUSTC" ;; esac
	case " $MATRIX_COMPILERS " in *" ${2-} "*) ;; *) die "kunit $1 ${2-}: the second argument is the C compiler, llvm or gcc" ;; esac
	[ "$2" = gcc ] || command -v "clang-$VERSION_LLVM_OTHER" >/dev/null || deps_want_packages matrix "${MATRIX_PACKAGES[@]}"
	compilers_find_rust "$1"
	KUNIT_OBJECTS=um-$1-$2
	matrix_borrow_objects "$2"
	KUNIT_MAKE=(KRUSTFLAGS=-Dwarnings "${BUILD_RUST[@]}")
	case $2 in
	llvm) KUNIT_MAKE+=("LLVM=-$VERSION_LLVM_OTHER") ;;
	gcc) KUNIT_MAKE+=(CC=gcc) ;;
	esac
	KUNIT_COMPILER=$(matrix_compiler "$2")
	KUNIT_COMPILED_BY="rustc $1, $KUNIT_COMPILER"
}

matrix_compiler() { if [ "$1" = gcc ]; then echo "gcc $(gcc -dumpversion)"; else echo "clang $VERSION_LLVM_OTHER"; fi; }

# Starts from the objects of another KUnit kernel that was built with this C compiler, if there is one. The objects from
# C do not depend on rustc, and kbuild rebuilds the others.
matrix_borrow_objects() { # COMPILER
	local to=$TREE_DIR/$KUNIT_OBJECTS from others=("$TREE_DIR"/um-*-"$1"/linux)
	[ ! -e "$to" ] || return 0
	for from in "${others[@]}"; do
		[ -e "$from" ] || continue
		need_space 1500 "the objects of the KUnit kernel"
		rm -rf "$to.new" && cp -a "${from%/linux}" "$to.new" && mv "$to.new" "$to" && return
		die "kunit: cannot copy $from"
	done
}

do_matrix() {
	local from=$SECONDS start rust_version compiler tree log status linux failures failed=0 row rows=()
	local trees=()
	# The pinned kernel first. With --tree, that tree alone.
	if [ -n "$TREE" ]; then trees=("$TREE"); else mapfile -t trees < <(tr ' ' '\n' <<<"$VERSION_SERIES" | sort -rV); fi
	for tree in "${trees[@]}"; do
		for rust_version in $VERSION_RUSTC; do
			for compiler in $MATRIX_COMPILERS; do
				start=$SECONDS status=0 failures=$(count_failures)
				log=$LOGS/matrix-$(basename "$tree")-$rust_version-$compiler.log
				matrix_one "$tree" "$rust_version" "$compiler" "$log" || status=$?
				linux=$(sed -n 's/^fetch: Linux \([0-9.]*\) in .*/\1/p' "$log")
				row=$(sed -n 's/^kunit: \([0-9]* passed.*\)$/\1/p' "$log" | tail -n 1)
				if [ $status -ne 0 ]; then
					failed=$((failed + 1))
					# A failed build has no test output.
					[ "$(count_failures)" != "$failures" ] ||
						count_result 0 1 0 kunit $((SECONDS - start)) "linux=${linux:-$tree}" "rustc=$rust_version" \
							"compiler=$(matrix_compiler "$compiler")"
					row="FAILED ${row:-$(sed -n 's/^build-kernel.sh: //p' "$log" | tail -n 1)}"
				fi
				rows+=("$(printf '%-9s %-8s %-9s %-14s %s' "$linux" "$rust_version" "$compiler" "$(span $((SECONDS - start)))" "$row")")
				say "matrix: ${rows[-1]}"
			done
		done
	done
	printf '\n%-9s %-8s %-9s %-14s %s\n' Linux rustc C took KUnit
	printf '%s\n' "${rows[@]}"
	[ $failed -eq 0 ] || die "matrix: $failed of ${#rows[@]} failed (logs: $LOGS/matrix-*.log)"
	done_step matrix "$from" "${#rows[@]} kernels built, all tests passed"
}

# In a separate run of this program, as in the step test.
matrix_one() { # TREE RUSTC COMPILER LOG
	local step
	: >"$4"
	for step in fetch patch "kunit $2 $3"; do
		# shellcheck disable=SC2086
		in_group "$ROOT/build-kernel.sh" --jobs "$JOBS" --tree "$1" $step >>"$4" 2>&1 || return
	done
}
