# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The kernel, the module and the installed kselftests.

# Where the objects are. Set by build_use_objects and by the steps that have objects of their own.
BUILD_DIR=
# make's arguments that name the rustc and its tools; empty for those of build_rust. compilers_find_rust sets others.
BUILD_RUST=()

# The rustc that builds the kernel: the user's RUSTC, or the first in PATH, where the system's comes before one of rustup,
# which has no source of Rust's library.
build_rustc() { command -v "${RUSTC:-rustc}" || echo "${RUSTC:-rustc}"; }

# build_rust_tool NAME: the program of that name which belongs to this rustc, or the one in PATH.
build_rust_tool() {
	local rustc tool
	rustc=$(build_rustc)
	tool=${rustc%/*}/$1${rustc##*/rustc}
	if [[ $rustc == */rustc* && -x $tool ]]; then echo "$tool"; else command -v "$1" || echo "$1"; fi
}

# Whether that rustc has the source of Rust's library, which is compiled for the kernel.
build_have_library() {
	local sysroot
	if [ -n "${RUST_LIB_SRC-}" ]; then [ -d "$RUST_LIB_SRC" ]; return; fi
	sysroot=$("$(build_rustc)" --print sysroot 2>/dev/null) && [ -n "$sysroot" ] && [ -d "$sysroot/lib/rustlib/src/rust/library" ]
}

# make's arguments, one a line: the rustc, and those of its tools that PATH does not find.
build_rust() {
	local one tool
	echo "RUSTC=$(build_rustc)"
	for one in HOSTRUSTC:rustc RUSTDOC:rustdoc CLIPPY_DRIVER:clippy-driver; do
		tool=$(build_rust_tool "${one#*:}")
		[ "$tool" = "$(command -v "${one#*:}")" ] || echo "${one%:*}=$tool"
	done
}

# The value of make's LLVM=: tools with the version in their names, as in Debian, or tools without it if they are of
# rustc's LLVM version.
build_llvm() {
	local clang rustc
	if ! command -v "clang-$VERSION_LLVM" >/dev/null && command -v clang >/dev/null; then
		clang=$(clang --version 2>/dev/null | sed -nE 's/.*version ([0-9]+)\..*/\1/p' | head -n 1)
		rustc=$("$(build_rustc)" --version --verbose 2>/dev/null | sed -nE 's/^LLVM version: ([0-9]+)\..*/\1/p')
		if [ -n "$clang" ] && [ "$clang" = "$rustc" ]; then echo 1; return; fi
	fi
	echo "-$VERSION_LLVM"
}

# build_tool NAME: the name of that LLVM tool on this system.
build_tool() { local suffix; suffix=$(build_llvm); echo "$1${suffix#1}"; }

# The version of the rustc in use.
build_rust_version() {
	local rustc=${BUILD_RUST[0]:-$(build_rustc)}
	"${rustc#RUSTC=}" --version | cut -d ' ' -f 2
}

# Fixed names keep the objects of two machines identical.
build_make() {
	local rust=(${BUILD_RUST[@]+"${BUILD_RUST[@]}"})
	[ ${#rust[@]} -gt 0 ] || mapfile -t rust < <(build_rust)
	mapfile -t -O ${#rust[@]} rust < <(arch_make)
	KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=vfifo KBUILD_BUILD_HOST=vfifo \
		make -C "$TREE_SRC" "O=$BUILD_DIR" "LLVM=$(build_llvm)" "${rust[@]}" -j "$JOBS" "$@"
}

build_use_objects() { BUILD_DIR=$TREE_DIR/${ARCH:-x86}${DEBUG:+-$DEBUG}; }

build_configure() { build_configure_as build olddefconfig "$(arch_config)" ${DEBUG:+"$ROOT/steps/kernel/$DEBUG.config"}; }

# build_configure_as STEP TARGET FILE...: makes $BUILD_DIR/.config from these files by olddefconfig or allnoconfig unless it is up to date.
build_configure_as() {
	local step=$1 target=$2 wanted=$BUILD_DIR/.vfifo-defconfig lost
	shift 2
	mkdir -p "$BUILD_DIR"
	cat "$@" >"$wanted.new"
	if [ -e "$BUILD_DIR/.config" ] && cmp -s "$wanted.new" "$wanted" && [ -z "$(build_unmet "$wanted")" ]; then rm "$wanted.new"; return; fi
	cp "$wanted.new" "$BUILD_DIR/.config"
	must "$step: configuration" "$step-config.log" "see the log" build_make KCONFIG_ALLCONFIG="$wanted.new" "$target"
	# Kconfig drops lines that it cannot meet without a message.
	lost=$(build_unmet "$wanted.new")
	[ -z "$lost" ] || die "$step: $lost cannot be met in this tree; see ${*: -1}"
	mv "$wanted.new" "$wanted"
}

# The first option of FILE that is not in $BUILD_DIR/.config. If an option has several lines, the last one counts.
build_unmet() { # FILE
	{ grep -E '^CONFIG_[A-Z0-9_]+=' "$1" | tac | awk -F = '!seen[$1]++' | grep -vxFf "$BUILD_DIR/.config" || true; } | head -n 1
}

# build_merge_fragment FILE: writes that configuration plus what vfifo needs to $BUILD_DIR/.config. If an option is not
# met, prints it and fails.
build_merge_fragment() {
	local option
	(cd "$TREE_SRC" && scripts/kconfig/merge_config.sh -m -O "$BUILD_DIR" "$1" "$ROOT/Kconfig.fragment") &&
		build_make -s olddefconfig || return
	while read -r option; do
		grep -qxF "$option" "$BUILD_DIR/.config" || { echo "$option is not met in this configuration"; return 1; }
	done < <(grep '^CONFIG_' "$ROOT/Kconfig.fragment")
}

build_install_selftests() {
	# Otherwise, programs that were removed from the sources would still be run.
	rm -rf "$BUILD_DIR/kselftest-installed"
	build_make -s headers_install &&
		build_make -C "$TREE_SRC/tools/testing/selftests" TARGETS=vfifo "KSFT_INSTALL_PATH=$BUILD_DIR/kselftest-installed" FORCE_TARGETS=1 install
}

# Notes which commit of the series has been built, unless the kernel tree has edits. See results_is_stale.
build_stamp() {
	! series_run refuse-edits >/dev/null 2>&1 || tree_git rev-parse refs/vfifo/head >"$BUILD_DIR/.vfifo-built"
}

do_build() {
	tree_need
	build_use_objects
	arch_need build
	local from=$SECONDS module=$BUILD_DIR/samples/rust/rust_vfifo.ko
	rm -f "$BUILD_DIR/.vfifo-built"
	series_run recover
	[ -e "$BUILD_DIR/$(arch_image)" ] || need_space 1500 "the objects of the kernel"
	build_configure
	must "build: kernel and module" build.log "the first error is in the log" build_make
	[ -e "$module" ] || die "build: there is no rust_vfifo.ko; see the configuration (log: $LOGS/build.log)"
	must "build: kselftests" build-kselftest.log "the first error is in the log" build_install_selftests
	ln -sfn "$BUILD_DIR/$(arch_image)" "$OUT/$(basename "$(arch_image)")"
	ln -sfn "$module" "$OUT/rust_vfifo.ko"
	ln -sfn "$BUILD_DIR/kselftest-installed" "$OUT/kselftest"
	build_stamp
	done_step build "$from" "${OUT#"$ROOT/"}/$(basename "$(arch_image)"), rust_vfifo.ko and kselftest/"
}

# Removes only what carries our mark, and nothing at all if something else is in there; see lib_check_cache.
do_clean() {
	local stranger
	case ${1-} in
	'') rm -rf "$ROOT/build"; say "clean: build/ is removed" ;;
	--all)
		stranger=$(lib_stranger)
		[ -z "$stranger" ] || die "clean: $stranger was not made by this program; move it away, or remove $CACHE by hand"
		lib_is_ours "$CACHE" || die "clean: $CACHE was not made by this program; remove it by hand"
		rm -rf "$ROOT/build"
		# The folder itself may be a disk of its own.
		find "$CACHE" -xdev -mindepth 1 -delete && { rmdir "$CACHE" 2>/dev/null || true; }
		say "clean: build/ and $CACHE are removed" ;;
	*) die "clean: unknown argument $1; it takes only --all" ;;
	esac
}
