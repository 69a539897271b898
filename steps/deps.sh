# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The packages of Debian 12, bindgen by cargo, virtme-ng by pip.

# That of rustc-web: kbuild can then inline the small functions of C into Rust (RUST_INLINE_HELPERS).
LLVM_VERSION=22
PACKAGES=(
	# compilers and what kbuild runs; clang and this rustc are in bookworm-security
	rustc-web rust-web-src rustfmt-web rust-web-clippy cargo-web
	"clang-$LLVM_VERSION" "lld-$LLVM_VERSION" "llvm-$LLVM_VERSION"
	gcc libc6-dev make flex bison bc libelf-dev libssl-dev zlib1g-dev perl kmod cpio rsync xz-utils patch
	# what the door itself runs
	git ca-certificates python3 python3-venv python3-ply python3-git util-linux procps busybox-static bats shellcheck mandoc
	# the guest, and programs that are tried on the device in it
	qemu-system-x86 iproute2 pv socat fio
)
# What of that the kernel and the guest do not do without, for systems whose packages have other names.
COMMANDS=(
	rustc rustfmt cargo "clang-$LLVM_VERSION" "ld.lld-$LLVM_VERSION" "llvm-objcopy-$LLVM_VERSION"
	gcc make flex bison bc perl depmod cpio rsync xz patch git python3 busybox
)
BINDGEN=0.72.1

missing_packages() { # PACKAGE...
	local package
	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
	done
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update && apt-get -q install -y --no-install-recommends "$@"
}

# What gets them as root. Lists as old as the machine name files that the archive has no more.
packages_command() { # PACKAGE...
	case $(distribution) in
	debian | ubuntu) echo "sudo apt-get update && $(install_command "$@")" ;;
	*) install_command "$@" ;;
	esac
}

install_venv() { # FOLDER REQUIREMENTS
	rm -rf "$1.new" "$1" &&
		python3 -m venv "$1.new" &&
		"$1.new/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$2" &&
		sed -i "1s,$1.new/,$1/," "$1".new/bin/* &&
		cp "$2" "$1.new/requirements.txt" &&
		mv "$1.new" "$1"
}

# Where packages of these names and versions are to be had.
on_debian_12() {
	# shellcheck disable=SC1091
	[ "$(. "$SYSTEM/etc/os-release" && echo "$ID ${VERSION_ID-}")" = "debian 12" ]
}

missing_commands() { # COMMAND...
	local command
	for command in "$@"; do command -v "$command" >/dev/null || echo "$command"; done
}

want_commands() {
	local missing
	mapfile -t missing < <(missing_commands "${COMMANDS[@]}" "$QEMU")
	[ -d "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ] || missing+=("the source of Rust's library")
	[ ${#missing[@]} -eq 0 ] ||
		die "deps: its packages are those of Debian 12, and of what they hold this is missing here: $(commas "${missing[@]}"); install it by hand, or do without: ./build-kernel.sh devbox"
}

want_packages() { # STEP PACKAGE...
	local step=$1 missing
	shift
	command -v dpkg-query >/dev/null ||
		die "$step: this is not Debian; install by hand what steps/$step.sh lists, then use the other commands"
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	on_debian_12 ||
		die "$step: its packages are those of Debian 12, and ${#missing[@]} of them are missing here: ${missing[*]}; without them there is: ./build-kernel.sh devbox"
	[ "$(id -u)" -eq 0 ] ||
		die "$step: not root, and these packages are missing; install them with: $(packages_command "${missing[@]}")"
	need_space 3000 "installing the packages"
	must "$step: ${#missing[@]} packages" "$step-apt.log" "is the network up, and is bookworm-security among apt's sources?" install_packages "${missing[@]}"
}

do_deps() {
	local from=$SECONDS
	# Elsewhere they come by hand.
	if on_debian_12; then want_packages deps "${PACKAGES[@]}"; else want_commands; fi
	if ! "$CACHE/tools/bin/bindgen" --version 2>/dev/null | grep -qF " $BINDGEN"; then
		must "deps: bindgen $BINDGEN" deps-bindgen.log "is the network up?" \
			/usr/bin/cargo install --locked bindgen-cli --version "$BINDGEN" --root "$CACHE/tools" --force --jobs "$JOBS"
	fi
	if ! cmp -s "$ROOT/steps/requirements.txt" "$CACHE/venv/requirements.txt"; then
		must "deps: virtme-ng" deps-venv.log "is the network up?" install_venv "$CACHE/venv" "$ROOT/steps/requirements.txt"
	fi
	done_step deps "$from" "packages, bindgen $BINDGEN and virtme-ng are there"
}
