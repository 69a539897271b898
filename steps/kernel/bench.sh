# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The benchmark: one boot to measure time, two to count instructions, and a program that runs on the host.
# bench/bench.py evaluates the samples.

BENCH_DIR=

# QEMU executes "rep movsb" one byte at a time, while a processor moves whole cache lines. Without ERMS,
# the kernel and the C library copy with words and vectors instead.
EMULATED='-cpu max,-erms'

bench_build() { # all|quick|profile: the programs in $BENCH_DIR
	mkdir -p "$BENCH_DIR" && "$(build_tool clang)" -O2 -Wall -Wextra -Werror -static "-I$ROOT/clients" -isystem "$BUILD_DIR/usr/include" \
		-o "$BENCH_DIR/bench" "$ROOT/bench/bench.c" || return
	[ "$1" != profile ] || "$(build_tool clang)" -O2 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden \
		-o "$BENCH_DIR/profile.so" "$ROOT/bench/profile.c" || return
	[ "$1" = quick ] || build_make "M=$ROOT/bench/twin" "MO=$BENCH_DIR/twin" modules
}

# The samples are in $BENCH_DIR/full, quick, instructions or growth afterwards.
bench_guest() { # SECONDS full|quick|instructions|growth|profile
	guest_must bench "$1" "bash '$ROOT/bench/guest.sh' $2 '$BUILD_DIR/samples/rust/rust_vfifo.ko' '$BENCH_DIR'"
	rm -rf "${BENCH_DIR:?}/$2"
	cp -r "$GUEST_DIR" "$BENCH_DIR/$2"
}

# With -icount, the clock ticks once per instruction, so the result is the same each time.
bench_instructions() { # [instructions|growth]
	local ACCEL=tcg GUEST_OPTIONS=(--cpus 1 "--qemu-opts=$EMULATED -icount shift=0")
	bench_guest 600 "${1:-instructions}"
}

# Uses a plugin of QEMU, which also needs emulation.
bench_profile() {
	local ACCEL=tcg GUEST_OPTIONS=(--cpus 1 "--qemu-opts=$EMULATED -plugin $BENCH_DIR/profile.so,counts=$BENCH_DIR/counts")
	rm -f "$BENCH_DIR"/counts.*
	bench_guest 300 profile
	mv "$BENCH_DIR"/counts.* "$BENCH_DIR/profile/"
	bench_py profile "$BENCH_DIR/profile" "$(build_tool llvm-cxxfilt)"
}

bench_time() { # SECONDS full|quick
	local GUEST_OPTIONS=()
	guest_choose_accel
	[ "$ACCEL" = kvm ] || GUEST_OPTIONS=("--qemu-opts=$EMULATED")
	bench_guest "$@"
}

bench_py() { python3 "$ROOT/bench/bench.py" "$@"; }

bench_check() { # START
	local verdicts
	verdicts=$(bench_py check "$BENCH_DIR/instructions" "$ROOT/bench/baseline.json" || true)
	say "$verdicts"
	count_result "$(grep -c '^  ok ' <<<"$verdicts")" "$(grep -c '^  FAILED ' <<<"$verdicts")" 0 "bench --check" $((SECONDS - $1))
	! grep -qv '^  ok ' <<<"$verdicts" ||
		die "bench: vfifo takes more instructions than before; if that is intended: ./build-kernel.sh bench --baseline"
}

# Copies the results of the last full run from build/ to bench/.
bench_save() {
	local from=$SECONDS problem
	problem=$(python3 "$ROOT/bench/tables.py" save "$OUT/bench" 2>&1) || die "bench --save: $(tail -n 1 <<<"$problem")"
	done_step bench "$from" "bench/ has the results, tables and plots of $OUT/bench; commit them"
}

do_bench() {
	if [ "${1-}" = --save ]; then bench_save; return; fi
	tree_need
	build_use_objects
	BENCH_DIR=$BUILD_DIR/bench
	[ -z "$DEBUG" ] || die "bench: the debug kernels are too slow to be compared; run it without --debug and --kcsan"
	local from=$SECONDS what=${1:-full} kind=all PLOTS=$CACHE/venv-plots NATIVE=$CACHE/bench-native
	[ "$what" != --quick ] || kind=quick
	[ "$what" != --profile ] || kind=profile
	must "bench: compiling" bench-build.log "see the log" bench_build $kind
	# Counting needs emulation.
	case $what in --check | --baseline | --profile) ACCEL=tcg ;; esac
	case $what in
	--quick)
		bench_time 120 quick
		bench_py quick "$BENCH_DIR/quick" "$ACCEL" ;;
	--check) bench_instructions && bench_check "$from" ;;
	--profile) bench_profile ;;
	--baseline) bench_instructions && bench_py baseline "$BENCH_DIR/instructions" "$ROOT/bench/baseline.json" ;;
	full)
		if ! cmp -s "$ROOT/bench/requirements.txt" "$PLOTS/requirements.txt"; then
			must "bench: matplotlib" bench-venv.log network deps_venv "$PLOTS" "$ROOT/bench/requirements.txt"
		fi
		must "bench: the program for the host" bench-native.log network deps_cargo build --release \
			--locked --features iceoryx2 --color never --manifest-path "$ROOT/bench/native/Cargo.toml" --target-dir "$NATIVE"
		bench_time 1800 full
		bench_instructions
		bench_instructions growth
		say "  on the host"
		"$NATIVE/release/vfifo-bench" 9 100 "$BENCH_DIR/full/samples"
		cat "$BENCH_DIR/instructions/samples" "$BENCH_DIR/growth/samples" >>"$BENCH_DIR/full/samples"
		bench_py report "$BENCH_DIR/full" "$ACCEL" "$OUT/bench/results.json"
		python3 "$ROOT/bench/tables.py" show "$OUT/bench/results.json" >"$OUT/bench/tables.md"
		"$PLOTS/bin/python" "$ROOT/bench/plot.py" "$OUT/bench/results.json" "$OUT/bench"
		say "bench: results, tables and plots are in $OUT/bench; to copy them to bench/: $DOOR bench --save" ;;
	*) die "bench: unknown argument $what; see --help" ;;
	esac
	done_step bench "$from" "done, with $ACCEL"
}
