# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The program behind all other commands of build-kernel.sh: the patched kernel, its tests, and the patch series. Each
# command do_NAME is in the file of that name, or in a related one.

# The cache has fixed versions of bindgen and virtme-ng. A rustup toolchain has no library source for the kernel;
# Debian's in /usr/bin does.
LIB_PATH=${VFIFO_TEST_BIN:+$VFIFO_TEST_BIN:}$CACHE/tools/bin:$PATH:$CACHE/venv/bin

# Crates are fetched into the cache once; the user's settings for cargo still count.
if [ -z "${CARGO_HOME-}" ]; then
	export CARGO_HOME=$CACHE/cargo
fi

# shellcheck source=steps/kernel/count.sh
. "$ROOT/steps/kernel/count.sh"
# shellcheck source=steps/kernel/results.sh
. "$ROOT/steps/kernel/results.sh"
# shellcheck source=steps/kernel/tree.sh
. "$ROOT/steps/kernel/tree.sh"
# shellcheck source=steps/kernel/deps.sh
. "$ROOT/steps/kernel/deps.sh"
# shellcheck source=steps/kernel/fetch.sh
. "$ROOT/steps/kernel/fetch.sh"
# shellcheck source=steps/kernel/series.sh
. "$ROOT/steps/kernel/series.sh"
# shellcheck source=steps/kernel/series_check.sh
. "$ROOT/steps/kernel/series_check.sh"
# shellcheck source=steps/kernel/arch.sh
. "$ROOT/steps/kernel/arch.sh"
# shellcheck source=steps/kernel/build.sh
. "$ROOT/steps/kernel/build.sh"
# shellcheck source=steps/kernel/guest.sh
. "$ROOT/steps/kernel/guest.sh"
# shellcheck source=steps/kernel/plain.sh
. "$ROOT/steps/kernel/plain.sh"
# shellcheck source=steps/kernel/kunit.sh
. "$ROOT/steps/kernel/kunit.sh"
# shellcheck source=steps/kernel/compilers.sh
. "$ROOT/steps/kernel/compilers.sh"
# shellcheck source=steps/kernel/litmus.sh
. "$ROOT/steps/kernel/litmus.sh"
# shellcheck source=steps/kernel/python.sh
. "$ROOT/steps/kernel/python.sh"
# shellcheck source=steps/kernel/matrix.sh
. "$ROOT/steps/kernel/matrix.sh"
# shellcheck source=steps/kernel/selftest.sh
. "$ROOT/steps/kernel/selftest.sh"
# shellcheck source=steps/kernel/shutdown.sh
. "$ROOT/steps/kernel/shutdown.sh"
# shellcheck source=steps/kernel/demo.sh
. "$ROOT/steps/kernel/demo.sh"
# shellcheck source=steps/kernel/bench.sh
. "$ROOT/steps/kernel/bench.sh"
# shellcheck source=steps/kernel/test.sh
. "$ROOT/steps/kernel/test.sh"
# shellcheck source=steps/kernel/host.sh
. "$ROOT/steps/kernel/host.sh"
# shellcheck source=steps/kernel/box.sh
. "$ROOT/steps/kernel/box.sh"
# shellcheck source=steps/kernel/deb.sh
. "$ROOT/steps/kernel/deb.sh"
# shellcheck source=steps/kernel/clients.sh
. "$ROOT/steps/kernel/clients.sh"
# shellcheck source=steps/kernel/soak.sh
. "$ROOT/steps/kernel/soak.sh"
# shellcheck source=steps/kernel/mutants.sh
. "$ROOT/steps/kernel/mutants.sh"
# "devbox --test" and "deb" look at the kernels of a Debian in an emulator as devbox does.
# shellcheck source=steps/devbox/kdir.sh
. "$ROOT/steps/devbox/kdir.sh"

do_devbox() {
	[ "$*" = --test ] || die "devbox --test takes no other argument ($*): it tries the kernels of Debian"
	box_test
}

[ -z "$ARCH" ] || GUEST_QEMU=$(arch_field 5)
[ -z "$DEBUG" ] || guest_slow
