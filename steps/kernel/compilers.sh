# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Compiles all Rust code with the oldest rustc that the kernel supports and with the newest, for two kernels: "full" has
# every option that the code uses, "small" has none of them.
#
#          rustc 1.85   rustc 1.96
#   full   here         in other steps: "build" (x86-64, driver as a module), "kunit" (UML, driver built in, KUnit
#                       tests and doctests; -Dwarnings and clippy), "host" (the external module; -Dwarnings)
#   small  here         here
#
# This makes only objects, and links no kernel. The step "matrix" also runs code that rustc 1.85 has compiled.

# The kernel's minimum (scripts/min-tool-version.sh), and the newest that Debian 12 has in any of its suites.
COMPILERS_OLDEST=${VERSION_RUSTC%% *} COMPILERS_NEWEST=${VERSION_RUSTC##* }

# compilers_rust X.Y: the folder of that rustc. If it is not the system's, it is unpacked in the cache.
compilers_rust() {
	local rustc
	rustc=$(build_rustc)
	if [[ $rustc == */rustc ]] && "$rustc" --version 2>/dev/null | grep -q "^rustc ${1//./[.]}[.]"; then
		echo "${rustc%/rustc}"
	else
		echo "$CACHE/tools/rust-$1"
	fi
}
compilers_have_rust() { [ -x "$(compilers_rust "$1")/rustc" ]; } # X.Y

# compilers_find_rust X.Y: downloads that rustc if necessary. Sets BUILD_RUST, the arguments of make that name it.
compilers_find_rust() {
	local rust
	rust=$(compilers_rust "$1")
	if [ ! -x "$rust/rustc" ]; then
		need_space 1500 "rustc $1"
		rm -rf "$rust.new"
		must "rustc $1" rustc.log network compilers_unpack_rust "$1" "$rust.new"
		mv "$rust.new" "$rust"
	fi
	BUILD_RUST=("RUSTC=$rust/rustc" "HOSTRUSTC=$rust/rustc" "RUSTDOC=$rust/rustdoc")
}

# Only one version of Debian's rustc can be installed. Another one is unpacked in the cache, with the LLVM that it needs.
compilers_unpack_rust() { # X.Y FOLDER
	local version package tool llvm apt=(apt-get -q -o "APT::Sandbox::User=$(id -un)")
	# With old package lists the download fails.
	[ "$(id -u)" -ne 0 ] || "${apt[@]}" update || return
	version=$(apt-cache madison rustc-web | awk -v series="$1." 'index($3, series) == 1 { print $3; exit }')
	[ -n "$version" ] || { echo "apt knows no rustc-web $1"; return 1; }
	mkdir -p "$2" && cd "$2" &&
		"${apt[@]}" download "rustc-web=$version" "libstd-rust-web-dev=$version" "rust-web-src=$version" \
			"libstd-rust-web-$1=$version" || return
	llvm=$(dpkg-deb -f libstd-rust-web-"$1"_*.deb Depends | grep -o 'libllvm[0-9]*') && "${apt[@]}" download "$llvm" || return
	for package in *.deb; do
		dpkg-deb -x "$package" . && rm "$package" || return
	done
	for tool in rustc rustdoc; do
		cat >"$tool" <<-'END'
			#!/bin/sh
			here=$(dirname "$(readlink -f "$0")")
			LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu) exec "$here/usr/bin/$(basename "$0")" "$@"
		END
		chmod +x "$tool" && "./$tool" --version || return
	done
}

do_compilers() {
	local from=$SECONDS
	tree_need
	series_run recover
	if ! system_is_debian_12 && [ ! -x "$CACHE/tools/rust-$COMPILERS_OLDEST/rustc" ]; then
		count_skipped compilers "rustc $COMPILERS_OLDEST comes from packages of Debian 12, and this is another system"
		return
	fi
	compilers_all "$COMPILERS_OLDEST" full
	check "rustc $COMPILERS_OLDEST: clients/rust, clients/vfifoctl and clients/python" compilers_clients clients/rust clients/vfifoctl clients/python
	compilers_all "$COMPILERS_OLDEST" small
	compilers_all "$COMPILERS_NEWEST" small
	[ "$COUNT_FAILED" -eq 0 ] || die "compilers: some checks failed, as shown above (logs: $LOGS/compilers-*.log)"
	done_step compilers "$from" "rustc $COMPILERS_OLDEST and $COMPILERS_NEWEST compile everything"
}

compilers_all() { # RUSTC full|small
	local name="rustc $1, $2 kernel" log=compilers-$1-$2 work
	compilers_find_rust "$1"
	BUILD_DIR=$TREE_DIR/x86-$1-$2
	[ -e "$BUILD_DIR" ] || need_space 500 "the objects of a kernel"
	scratch work
	if [ "$2" = full ]; then
		# That option needs a clang with the same LLVM as rustc.
		grep -v '^CONFIG_RUST_INLINE_HELPERS=' "$ROOT/defconfig" >"$work/defconfig"
		build_configure_as compilers olddefconfig "$work/defconfig" "$TREE_SRC/samples/rust/rust_vfifo/.kunitconfig"
	else
		build_configure_as compilers allnoconfig "$ROOT/steps/kernel/small.config"
		check "$name: the options are off" compilers_options_off "$ROOT/steps/kernel/small.config"
	fi
	check "$name: abstractions and driver" compilers_compile "$log" "$1" samples/rust/rust_vfifo/root.o samples/rust/
	[ "$2" = small ] ||
		check "$name: doctests" compilers_compile "$log-doctests" "$1" rust/doctests_kernel_generated.o rust/doctests_kernel_generated.o
	check "$name: external module" compilers_compile "$log-external" "$1" "$work/external/rust_vfifo/root.o" \
		VFIFO_EXTERNAL=1 M="$ROOT/samples-rust-vfifo" MO="$work/external" rust_vfifo.o
	# The checks above prove nothing if the wrong rustc did the work.
	mkdir "$work/newer"
	compilers_newer_rust "$work/newer"
	if [ "$1" = "$COMPILERS_NEWEST" ]; then
		check "$name: code for a newer rustc than $COMPILERS_OLDEST compiles" compilers_compile "$log-newer" "$1" "$work/newer/newer.o" M="$work/newer" newer.o
	else
		check "$name: code for a newer rustc than $COMPILERS_OLDEST is refused" compilers_refuse "$log-newer" "error[E0716]" M="$work/newer" newer.o
	fi
}

# compilers_compile LOG RUSTC OBJECT MAKE-ARGUMENT...: compiles, and fails on a warning or if OBJECT was not made by that
# rustc.
compilers_compile() {
	local log=$LOGS/$1.log wanted=$2 object=$3
	shift 3
	if ! build_make KRUSTFLAGS=-Dwarnings "$@" >"$log" 2>&1; then
		# Only the errors. If there is no error of a compiler, the reason is in the last lines.
		if grep -q 'error[:[]' "$log"; then sed -n '/error[:[]/,/^make/p' "$log"; else tail -n 20 "$log"; fi
		return 1
	fi
	# Kconfig disables Rust without a message if it does not accept a tool, and older objects may still be there.
	grep -qE "^CONFIG_RUSTC_VERSION_TEXT=\"?rustc ${wanted//./[.]}[.]" "$BUILD_DIR/include/config/auto.conf" ||
		{ echo "the kernel is not configured for rustc $wanted"; return 1; }
	cd "$BUILD_DIR" && grep -qa "rustc version ${wanted//./[.]}[.]" "$object" || { echo "$object was not made by rustc $wanted"; return 1; }
}

# The crate for programs, without and with its features, vfifoctl, and the native part of the Python package, with all tests
# and examples. They support the same oldest rustc.
compilers_clients() { # FOLDER...
	local folder what
	for folder; do
		grep -qxF "rust-version = \"$COMPILERS_OLDEST\"" "$ROOT/$folder/Cargo.toml" || { echo "$folder/Cargo.toml does not say rust-version = \"$COMPILERS_OLDEST\""; return 1; }
		for what in "" "--all-features --all-targets --test *"; do
			[ -z "$what" ] || [ -d "$ROOT/$folder/examples" ] || compgen -G "$ROOT/$folder/tests/*/*.rs" >/dev/null || continue
			# shellcheck disable=SC2086
			(set -f && cd "$ROOT" && env "${BUILD_RUST[@]}" RUSTFLAGS=-Dwarnings cargo check $what --locked --color never \
				--manifest-path "$ROOT/$folder/Cargo.toml" --target-dir "$CACHE/${folder//\//-}-$COMPILERS_OLDEST") || return
		done
	done
}

# compilers_refuse LOG ERROR MAKE-ARGUMENT...: fails unless compiling ends with that error.
compilers_refuse() {
	local log=$LOGS/$1.log error=$2
	shift 2
	! build_make KRUSTFLAGS=-Dwarnings "$@" >"$log" 2>&1 || { echo "it compiles"; return 1; }
	grep -qF "$error" "$log" || { echo "it does not compile, but for another reason than $error:"; cat "$log"; return 1; }
}

compilers_options_off() { # FILE
	local option status=0
	for option in $(sed -n 's/^# \(CONFIG_[A-Z0-9_]*\) is not set$/\1/p' "$1"); do
		! grep "^$option=" "$BUILD_DIR/.config" || status=1
	done
	return $status
}

# A module that needs rustc 1.89: it keeps the result of fmt!() in a variable.
compilers_newer_rust() { # FOLDER
	echo 'obj-m := newer.o' >"$1/Kbuild"
	cat >"$1/newer.rs" <<-'END'
		//! Needs rustc 1.89.
		/// Formats a number.
		pub fn newer(value: u32) {
		    let text = kernel::prelude::fmt!("{}\n", value);
		    core::hint::black_box(text);
		}
	END
}
