#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run by samples-rust-vfifo/Makefile: make.sh KDIR OUT modules|modules_install
# KDIR is the build folder of a kernel, OUT the folder for the objects.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
export LC_ALL=C.UTF-8
# shellcheck source=steps/versions.sh
. "$ROOT/steps/versions.sh"
# shellcheck source=steps/lib.sh
. "$ROOT/steps/lib.sh"
die() { printf 'vfifo: %s\n' "$*" >&2; exit 1; }
# shellcheck source=steps/system.sh
. "$ROOT/steps/system.sh"
# shellcheck source=steps/devbox/kdir.sh
. "$ROOT/steps/devbox/kdir.sh"

folder=${1%/} out=$2 target=$3
CACHE=$(system_cache)
# As root, kbuild writes to OUT even to install.
trap lib_hand_back EXIT
case $folder in
"$SYSTEM"/lib/modules/*/build)
	release=$(basename "$(dirname "$folder")")
	mapfile -t folders < <(kdir_folders)
	kdir_check "$release" "${folders[@]}"
	[ -n "$KDIR_READY" ] || die "kernel $release: its headers have no Rust metadata; make it once: ./build-kernel.sh devbox$([ "$release" = "$(uname -r)" ] || echo " --kernel $release")" ;;
*) kdir_check_given "$folder" ;;
esac
# kbuild refuses OUT if there are objects beside the sources.
[ ! -e "$ROOT/samples-rust-vfifo/modules.order" ] ||
	die "samples-rust-vfifo has objects of make -C KDIR M=...; remove them: make clean"

case $target in
modules) kdir_build "$out" modules ;;
modules_install)
	[ -e "$out/modules.order" ] || die "nothing is built yet; run make first"
	arguments=()
	# kbuild prints an OpenSSL error if it cannot read the key. A distribution does not ship its key.
	[ -f "$KDIR/$(kdir_config_value CONFIG_MODULE_SIG_KEY)" ] || arguments+=(CONFIG_MODULE_SIG_ALL=)
	kdir_build "$out" modules_install "${arguments[@]}"
	# kbuild skips depmod if there is no System.map, which Debian's headers do not have.
	[ -e "$KDIR/System.map" ] || PATH=$PATH:/usr/sbin:/sbin depmod ${INSTALL_MOD_PATH:+-b "$INSTALL_MOD_PATH"} "$KDIR_RELEASE" ;;
*) die "make.sh: unknown target $target" ;;
esac
