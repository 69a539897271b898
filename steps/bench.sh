# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The benchmark: one boot in which time is measured, one in which instructions are counted, and what
# runs on the host. See bench/bench.py for what becomes of the samples.

BENCH=

# QEMU has "rep movsb" move a byte a step, where a processor moves a cache line or two. Without ERMS
# the kernel and the C library copy by words and vectors.
EMULATED='-cpu max,-erms'

build_bench() { # all|quick|profile: the programs in $BENCH
	mkdir -p "$BENCH" && "clang-$LLVM_VERSION" -O2 -Wall -Wextra -Werror -static "-I$ROOT/clients" -isystem "$O/usr/include" \
		-o "$BENCH/bench" "$ROOT/bench/bench.c" || return
	[ "$1" != profile ] || "clang-$LLVM_VERSION" -O2 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden \
		-o "$BENCH/profile.so" "$ROOT/bench/profile.c" || return
	[ "$1" = quick ] || kmake "M=$ROOT/bench/twin" "MO=$BENCH/twin" modules
}

# Samples are in $BENCH/WHAT afterwards.
bench_guest() { # SECONDS full|quick|instructions
	in_guest bench "$1" "bash '$ROOT/bench/guest.sh' $2 '$O/samples/rust/rust_vfifo.ko' '$BENCH'"
	rm -rf "${BENCH:?}/$2"
	cp -r "$GUEST" "$BENCH/$2"
}

# A clock that ticks once an instruction, and so is the same each time.
count_instructions() {
	local ACCEL=tcg GUEST_OPTIONS=(--cpus 1 "--qemu-opts=$EMULATED -icount shift=0")
	bench_guest 300 instructions
}

# By a plugin of QEMU's; so this is emulated, too.
profile() {
	local ACCEL=tcg GUEST_OPTIONS=(--cpus 1 "--qemu-opts=$EMULATED -plugin $BENCH/profile.so,counts=$BENCH/counts")
	rm -f "$BENCH"/counts.*
	bench_guest 300 profile
	mv "$BENCH"/counts.* "$BENCH/profile/"
	bench_py profile "$BENCH/profile"
}

measure_time() { # SECONDS full|quick
	local GUEST_OPTIONS=()
	choose_accel
	[ "$ACCEL" = kvm ] || GUEST_OPTIONS=("--qemu-opts=$EMULATED")
	bench_guest "$@"
}

bench_py() { python3 "$ROOT/bench/bench.py" "$@"; }

check_instructions() {
	local verdicts
	verdicts=$(bench_py check "$BENCH/instructions" "$ROOT/bench/baseline.json" || true)
	say "$verdicts"
	result "$(grep -c '^  ok ' <<<"$verdicts")" "$(grep -c '^  FAILED ' <<<"$verdicts")" 0
	! grep -qv '^  ok ' <<<"$verdicts" ||
		die "bench: vfifo takes more instructions than it did; if that must be: ./build-kernel.sh bench --baseline"
}

do_bench() {
	need_tree
	use_objects
	BENCH=$O/bench
	[ -z "$DEBUG" ] || die "bench: a kernel with --debug says nothing about the other"
	local from=$SECONDS what=${1:-full} kind=all PLOTS=$CACHE/venv-plots NATIVE=$CACHE/bench-native
	[ "$what" != --quick ] || kind=quick
	[ "$what" != --profile ] || kind=profile
	must "bench: compiling" bench-build.log "see the log" build_bench $kind
	# What is counted is emulated.
	case $what in --check | --baseline | --profile) ACCEL=tcg ;; esac
	case $what in
	--quick)
		measure_time 120 quick
		bench_py quick "$BENCH/quick" "$ACCEL" ;;
	--check) count_instructions && check_instructions ;;
	--profile) profile ;;
	--baseline) count_instructions && bench_py baseline "$BENCH/instructions" "$ROOT/bench/baseline.json" ;;
	full)
		if ! cmp -s "$ROOT/bench/requirements.txt" "$PLOTS/requirements.txt"; then
			must "bench: matplotlib" bench-venv.log "is the network up?" install_venv "$PLOTS" "$ROOT/bench/requirements.txt"
		fi
		must "bench: what runs on the host" bench-native.log "is the network up?" /usr/bin/cargo build --release \
			--locked --color never --manifest-path "$ROOT/bench/native/Cargo.toml" --target-dir "$NATIVE"
		measure_time 1800 full
		count_instructions
		say "  on the host"
		"$NATIVE/release/vfifo-bench" 9 100 "$BENCH/full/samples"
		cat "$BENCH/instructions/samples" >>"$BENCH/full/samples"
		bench_py report "$BENCH/full" "$ACCEL" "$ROOT/bench/results.json"
		python3 "$ROOT/bench/tables.py" write
		"$PLOTS/bin/python" "$ROOT/bench/plot.py" "$ROOT/bench/results.json" "$ROOT/bench" ;;
	*) die "bench: unknown argument $what; see --help" ;;
	esac
	done_step bench "$from" "done, by $ACCEL"
}
