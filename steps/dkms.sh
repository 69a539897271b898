#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run by dkms, in a copy of the sources that ./build-kernel.sh devbox --dkms has made:
#	steps/dkms.sh can RELEASE	whether all is there that the next takes; else says what is missing
#	steps/dkms.sh build RELEASE	the module for that kernel, in out/
#	steps/dkms.sh gone RELEASE	the module of that kernel has been removed
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# What dkms sets for modules in C; make would take these for its own.
unset KERNELRELEASE CC LD ARCH M MO O
export LC_ALL=C.UTF-8
die() { printf 'vfifo: %s\n' "$*" >&2; exit 1; }
# shellcheck source=steps/kdir.sh
. "$ROOT/steps/kdir.sh"

case $1 in
can) kdir_check "$2" "$KDIR_SHARED" ;;
build)
	# Metadata is large, and made again in minutes: only that of kernels which are there is kept.
	for folder in "$KDIR_SHARED"/*/; do
		[ -d "/lib/modules/$(basename "$folder")" ] || rm -rf "$folder"
	done
	kdir_check "$2" "$KDIR_SHARED"
	[ -n "$KDIR_READY" ] || kdir_make || die "no Rust metadata for $2, see above"
	kdir_module "$ROOT/out" ;;
gone)
	# Who has the device open keeps it until then; nothing is lost by that.
	[ "$2" != "$(uname -r)" ] || [ ! -d /sys/module/rust_vfifo ] || rmmod rust_vfifo ;;
esac
