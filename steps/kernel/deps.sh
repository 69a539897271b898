# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Installs what the kernel, the guest and the tests need: packages of Debian 12, bindgen with cargo, virtme-ng with pip,
# and the crates of the host tests, so that everything else works offline.

DEPS_PACKAGES=(
	# compilers and the tools that kbuild runs; this clang and this rustc are in bookworm-security
	rustc-web rust-web-src rustfmt-web rust-web-clippy cargo-web
	"clang-$VERSION_LLVM" "lld-$VERSION_LLVM" "llvm-$VERSION_LLVM"
	gcc libc6-dev make flex bison bc libelf-dev libssl-dev zlib1g-dev perl kmod cpio rsync xz-utils patch
	# what these scripts run
	g++ pkgconf git ca-certificates python3 python3-venv python3-ply python3-git util-linux procps busybox-static bats shellcheck mandoc
	dpkg-dev debhelper lintian
	# the guest, and programs that are tried on the device in it
	qemu-system-x86 iproute2 pv socat fio
)
# The commands that building a kernel and booting a guest need, for systems whose packages have other names.
DEPS_COMMANDS=(rustfmt cargo gcc make flex bison bc perl depmod cpio rsync xz patch git python3 busybox)
DEPS_LLVM=(clang ld.lld llvm-objcopy llvm-ar)
# Cargo workspaces whose crates are fetched once.
DEPS_CRATES=(host clients/rust clients/vfifoctl clients/python bench/native)

# In the clone, so that its .cargo/config.toml and those of the folders above it count.
deps_cargo() { (cd "$ROOT" && exec cargo "$@"); }

deps_venv() { # FOLDER REQUIREMENTS
	rm -rf "$1.new" "$1" &&
		python3 -m venv "$1.new" &&
		"$1.new/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$2" &&
		sed -i "1s,$1.new/,$1/," "$1".new/bin/* &&
		cp "$2" "$1.new/requirements.txt" &&
		mv "$1.new" "$1"
}

# The line for a system that is not Debian 12: what is missing, and the ways that remain.
deps_elsewhere() { # STEP MISSING...
	local where=''
	# See lib_path.
	[ "$EUID" -ne 0 ] || where=' where only root can write'
	die "$1: missing here: $(commas "${@:2}"); these scripts install packages only on Debian $VERSION_DEBIAN: install them by hand$where, or run this in a container of it (BUILDING.md has the command)"
}

deps_want_commands() {
	local missing suffix
	suffix=$(build_llvm)
	suffix=${suffix#1}
	mapfile -t missing < <(system_missing_commands "${RUSTC:-rustc}" "${DEPS_COMMANDS[@]}" "${DEPS_LLVM[@]/%/$suffix}" "$GUEST_QEMU")
	build_have_library || missing+=("the source of Rust's library")
	[ ${#missing[@]} -eq 0 ] || deps_elsewhere deps "${missing[@]}"
}

deps_want_packages() { # STEP PACKAGE...
	local step=$1 missing
	shift
	system_is_debian_12 || deps_elsewhere "$step" "$@"
	mapfile -t missing < <(system_missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" -eq 0 ] ||
		die "$step: ${#missing[@]} packages are missing; install them, or run this as root: $(system_packages_command "${missing[@]}")"
	must_install "$step" "${missing[@]}"
}

deps_have_bindgen() { "$CACHE/tools/bin/bindgen" --version 2>/dev/null | grep -qF " $VERSION_BINDGEN"; }
deps_have_venv() { cmp -s "$ROOT/steps/kernel/requirements.txt" "$CACHE/venv/requirements.txt"; }
deps_have_crates() { deps_fetch_crates --offline >/dev/null 2>&1; }

# deps_fetch_crates [--offline]: fetches the crates. With --offline, it succeeds only if nothing has to be downloaded. The
# user's settings for cargo, such as a mirror, are used.
deps_fetch_crates() {
	local folder target only config=${HOME:-/root}/.cargo/config.toml
	mkdir -p "$CARGO_HOME" && if [ -e "$config" ] && [ ! -e "$CARGO_HOME/config.toml" ]; then ln -s "$config" "$CARGO_HOME/"; fi
	target=$("$(build_rustc)" -vV | sed -n 's/^host: //p') || return
	for folder in "${DEPS_CRATES[@]}"; do
		[ -e "$ROOT/$folder/Cargo.toml" ] || continue
		only=(--target "$target")
		# maturin asks cargo about the crates for all targets.
		[ "$folder" != clients/python ] || only=()
		deps_cargo fetch --locked --color never "${only[@]}" --manifest-path "$ROOT/$folder/Cargo.toml" "$@" || return
	done
}

# As a part of "test", this gets everything that the other parts need.
deps_for_test() { [ -n "${VFIFO_RESULTS-}" ] && [ -z "$COUNT_OWN" ] && system_is_debian_12; }

# What has to be downloaded besides packages, one item per line.
deps_downloads() {
	local rust series
	deps_have_bindgen || echo "bindgen $VERSION_BINDGEN"
	deps_have_venv || echo "virtme-ng"
	deps_have_crates || echo "Rust crates"
	if deps_for_test; then
		for rust in $VERSION_RUSTC; do compilers_have_rust "$rust" || echo "rustc $rust"; done
		litmus_have_herd || echo herd7
		python_have_venv || echo "maturin and pytest"
	fi
	if series=$(tree_wanted_series) && ! (tree_find); then echo "the source of Linux $series"; fi
}

do_deps() {
	local from=$SECONDS packages missing item
	mapfile -t packages < <(arch_packages)
	if system_is_debian_12; then deps_want_packages deps "${DEPS_PACKAGES[@]}" "${packages[@]}"; else deps_want_commands; fi
	[ -z "${RUSTC-}" ] || build_have_library ||
		die "deps: RUSTC=$RUSTC has no source of Rust's library, which the kernel needs; install it, or unset RUSTC"
	mapfile -t missing < <(deps_downloads)
	[ ${#missing[@]} -eq 0 ] || say "deps: not in $CACHE yet, so the network is needed for: $(commas "${missing[@]}")"
	for item in ${missing[@]+"${missing[@]}"}; do
		case $item in
		bindgen*) must "deps: $item" deps-bindgen.log network \
			deps_cargo install --locked bindgen-cli --version "$VERSION_BINDGEN" --root "$CACHE/tools" --force --jobs "$JOBS" ;;
		virtme-ng) must "deps: $item" deps-venv.log network deps_venv "$CACHE/venv" "$ROOT/steps/kernel/requirements.txt" ;;
		'Rust crates') must "deps: $item" deps-crates.log network deps_fetch_crates ;;
		rustc*) compilers_find_rust "${item#rustc }" ;;
		herd7) litmus_get_herd ;;
		maturin*) python_get_venv deps ;;
		# The step fetch gets the source.
		*) ;;
		esac
	done
	done_step deps "$from" "packages, bindgen $VERSION_BINDGEN, virtme-ng and Rust crates are installed"
}
