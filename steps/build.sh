# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The x86-64 kernel, the module and the installed kselftests.

O=
# Which rustc compiles; see find_rust.
RUST_TOOLS=(RUSTC=/usr/bin/rustc)

# Fixed names keep the objects of two machines the same.
kmake() {
	KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=vfifo KBUILD_BUILD_HOST=vfifo \
		make -C "$SRC" "O=$O" "LLVM=-$LLVM_VERSION" "${RUST_TOOLS[@]}" -j "$JOBS" "$@"
}

use_objects() { O=$K/x86${DEBUG:+-$DEBUG}; }

configure() { configure_as build olddefconfig "$ROOT/defconfig" ${DEBUG:+"$ROOT/steps/$DEBUG.config"}; }

# configure_as STEP TARGET FILE...: makes $O/.config of these files by olddefconfig or allnoconfig, unless it is that.
configure_as() {
	local step=$1 target=$2 wanted=$O/.vfifo-defconfig lost
	shift 2
	mkdir -p "$O"
	cat "$@" >"$wanted.new"
	if [ -e "$O/.config" ] && cmp -s "$wanted.new" "$wanted" && [ -z "$(unmet "$wanted")" ]; then rm "$wanted.new"; return; fi
	cp "$wanted.new" "$O/.config"
	must "$step: configuration" "$step-config.log" "see the log" kmake KCONFIG_ALLCONFIG="$wanted.new" "$target"
	# A line that Kconfig dropped would otherwise be found out much later.
	lost=$(unmet "$wanted.new")
	[ -z "$lost" ] || die "$step: $lost is not met by this tree; see ${*: -1}"
	mv "$wanted.new" "$wanted"
}

# The first option of FILE that $O/.config lacks. Of two lines for an option the last counts.
unmet() { # FILE
	{ grep -E '^CONFIG_[A-Z0-9_]+=' "$1" | tac | awk -F = '!seen[$1]++' | grep -vxFf "$O/.config" || true; } | head -n 1
}

# merge_fragment FILE: that configuration and what vfifo needs, as $O/.config; says what of that is not met.
merge_fragment() {
	local option
	(cd "$SRC" && scripts/kconfig/merge_config.sh -m -O "$O" "$1" "$ROOT/Kconfig.fragment") &&
		kmake -s olddefconfig || return
	while read -r option; do
		grep -qxF "$option" "$O/.config" || { echo "$option is not met in this configuration"; return 1; }
	done < <(grep '^CONFIG_' "$ROOT/Kconfig.fragment")
}

install_selftests() {
	# A stale program would otherwise still be run.
	rm -rf "$O/kselftest-installed"
	kmake -s headers_install &&
		kmake -C "$SRC/tools/testing/selftests" TARGETS=vfifo "KSFT_INSTALL_PATH=$O/kselftest-installed" FORCE_TARGETS=1 install
}

do_build() {
	need_tree
	use_objects
	local from=$SECONDS module=$O/samples/rust/rust_vfifo.ko
	recover_tree
	[ -e "$O/arch/x86/boot/bzImage" ] || need_space 1500 "the objects of the kernel"
	configure
	must "build: kernel and module" build.log "the first error is in the log" kmake
	[ -e "$module" ] || die "build: the configuration made no rust_vfifo.ko (log: $LOGS/build.log)"
	must "build: kselftests" build-kselftest.log "the first error is in the log" install_selftests
	ln -sfn "$O/arch/x86/boot/bzImage" "$OUT/bzImage"
	ln -sfn "$module" "$OUT/rust_vfifo.ko"
	ln -sfn "$O/kselftest-installed" "$OUT/kselftest"
	done_step build "$from" "build/${DEBUG:+$DEBUG/}bzImage, rust_vfifo.ko and kselftest/"
}

do_clean() {
	case ${1-} in
	'') rm -rf "$ROOT/build"; say "clean: build/ is gone" ;;
	--all)
		[ -z "$(find "$CACHE" -mindepth 1 -maxdepth 1 ! -name 'linux-*' ! -name 'tree-*' ! -name 'tmp.*' \
			! -name tools ! -name 'venv*' ! -name host ! -name 'clients-rust*' ! -name bench-native ! -name lock ! -name 'kvm-*' ! -name 'devbox*' \
			-print -quit)" ] ||
			die "clean: $CACHE holds things that are not ours; remove it by hand"
		rm -rf "$ROOT/build" "$CACHE"
		say "clean: build/ and $CACHE are gone" ;;
	*) die "clean takes --all or nothing" ;;
	esac
}
