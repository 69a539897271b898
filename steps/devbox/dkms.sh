#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run by dkms, as root, in the copy of the sources that ./build-kernel.sh devbox --dkms has installed:
#	dkms.sh can RELEASE	checks that the module can be built for that kernel, or says what is missing
#	dkms.sh build RELEASE	builds it into out/
#	dkms.sh gone RELEASE	unloads it, after the module of that kernel has been removed
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# dkms sets these for modules in C, and make would take them for its own.
unset KERNELRELEASE CC LD ARCH M MO O MAKEFLAGS KCFLAGS CDPATH
export LC_ALL=C.UTF-8
umask 022
die() { printf 'vfifo: %s\n' "$*" >&2; exit 1; }
# shellcheck source=steps/versions.sh
. "$ROOT/steps/versions.sh"
# shellcheck source=steps/system.sh
. "$ROOT/steps/system.sh"
# shellcheck source=steps/devbox/kdir.sh
. "$ROOT/steps/devbox/kdir.sh"

case $1 in
can) kdir_check "$2" "$KDIR_SHARED" ;;
build)
	# dkms may build for two kernels at once, and --dkms may run beside it.
	kdir_lock || die "another build of vfifo has not ended for 30 min ($KDIR_LOCK)"
	(cd "$ROOT" && sha256sum --quiet --strict -c SHA256SUMS) ||
		die "the files in $ROOT are not those that were installed; install them again: ./build-kernel.sh devbox --dkms"
	# Metadata is large and takes minutes to make: only that of installed kernels is kept.
	for folder in "$KDIR_SHARED"/*/; do
		[ -d "/lib/modules/$(basename "$folder")" ] || rm -rf "$folder"
	done
	kdir_check "$2" "$KDIR_SHARED"
	[ -n "$KDIR_READY" ] || kdir_make || die "the Rust metadata of kernel $2 could not be made; the first error is above"
	kdir_module "$ROOT/out" ;;
gone)
	# If somebody has the device open, the module stays until then; nothing is lost.
	[ "$2" != "$(uname -r)" ] || [ ! -d /sys/module/rust_vfifo ] || rmmod rust_vfifo ;;
esac
