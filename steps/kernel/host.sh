# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The tests that boot nothing: the scripts, the manual page, the configuration fragment, the ring, the Rust crate,
# vfifoctl and the Python package.

do_host() {
	local from=$SECONDS start work test
	scratch work
	check "shellcheck" host_shellcheck
	check "tests/mutants/ apply" mutants_apply
	check "mandoc" host_mandoc
	for test in "$ROOT"/bench/test_*.py "$ROOT"/tests/test_*.py; do check "${test#"$ROOT/"}" python3 "$test"; done
	check "licences" python3 "$ROOT/steps/kernel/licences.py"
	check "links of the documents, sizes of files" python3 "$ROOT/steps/kernel/documents.py"
	check "pictures" python3 "$ROOT/pictures/draw.py" --check
	if tree_find; then
		check "Kconfig.fragment merges and every option is met" host_fragment_merges "$work"
	else
		count_skipped "Kconfig.fragment merges" "there is no kernel tree; run $DOOR fetch"
	fi
	build_use_objects
	if [ -e "$BUILD_DIR/rust/libkernel.rmeta" ]; then
		check "the external module builds" host_external_builds "$work"
	else
		count_skipped "the external module builds" "there is no kernel; run $DOOR build"
	fi
	if [ -n "$TREE_SRC" ]; then
		start=$SECONDS
		VFIFO_TREE_TOOLS=$TREE_SRC logged "host: build-kernel.sh" bats.log bats --tap "$ROOT/tests" || true
		count_tap build-kernel.sh "$LOGS/bats.log" $((SECONDS - start)) || COUNT_FAILED=1
	else
		count_skipped "the tests of build-kernel.sh" "their results are read by a program of the kernel tree; run $DOOR fetch"
	fi
	host_cargo host
	host_cargo clients/rust --all-features
	check "clients/rust: package" host_package
	check "clients/rust: documentation" host_documentation
	check "clients/rust: rustfmt" deps_cargo fmt --manifest-path "$ROOT/clients/rust/Cargo.toml" --check
	host_clippy clients/rust --all-features --all-targets
	host_cargo clients/vfifoctl
	python_host
	clients_host
	[ "$COUNT_FAILED" -eq 0 ] || die "host: some tests failed, as shown above (logs: $LOGS)"
	done_step host "$from" "done"
}

# host_crate FOLDER COMMAND...: cargo in that folder; its objects are in the cache.
host_crate() {
	deps_cargo "$2" --locked --color never --manifest-path "$ROOT/$1/Cargo.toml" --target-dir "$CACHE/${1//\//-}" "${@:3}"
}

host_cargo() { # FOLDER [ARGUMENT]...
	local status=0 log=cargo-${1//\//-}.log from=$SECONDS
	logged "host: cargo test in $1" "$log" host_crate "$1" test "${@:2}" || status=$?
	count_libtest "cargo, $1" "$status" "$LOGS/$log" $((SECONDS - from)) || COUNT_FAILED=1
}

host_clippy() { # FOLDER [ARGUMENT]...
	if deps_cargo clippy --version >/dev/null 2>&1; then
		check "$1: clippy" host_crate "$1" clippy "${@:2}" -- -Dwarnings
	else
		count_skipped "$1: clippy" "there is no clippy for this cargo"
	fi
}

# What crates.io would get. It is built from the package, without optional features, and includes the driver's files.
host_package() {
	RUSTFLAGS=-Dwarnings host_crate clients/rust package --offline --allow-dirty || return
	host_crate clients/rust package --offline --allow-dirty --list | grep -xF src/ring/record.rs
}

host_documentation() { RUSTDOCFLAGS=-Dwarnings host_crate clients/rust doc --all-features --no-deps; }

host_shellcheck() {
	cd "$ROOT" && shellcheck -x build-kernel.sh steps/doctor.sh steps/container.sh steps/devbox/{dkms,make}.sh steps/tour/tour.sh steps/kernel/{audit,fire}.sh \
		bench/guest.sh .ci/run tests/*.bash tests/*.bats selftests/*.sh
}

host_mandoc() { mandoc -T lint -W warning "$ROOT"/man/*.[1-9]; }

# With the abstractions in the module, although this kernel has them: they have to compile outside of it as well.
host_external_builds() { # WORK
	mkdir "$1/external" && build_make KRUSTFLAGS=-Dwarnings VFIFO_EXTERNAL=1 \
		M="$ROOT/samples-rust-vfifo" MO="$1/external" modules && [ -e "$1/external/rust_vfifo.ko" ]
}

# The fragment has to work with a configuration that is not ours.
host_fragment_merges() { # WORK
	local BUILD_DIR=$1/config
	build_make -s x86_64_defconfig && build_merge_fragment "$BUILD_DIR/.config"
}
