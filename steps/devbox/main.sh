# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The program behind "build-kernel.sh devbox": builds, loads, installs and removes the module on this machine. It runs
# nothing from the cache, since it is often run as root.

LIB_PATH=$PATH

# shellcheck source=steps/devbox/kdir.sh
. "$ROOT/steps/devbox/kdir.sh"
# shellcheck source=steps/devbox/devbox.sh
. "$ROOT/steps/devbox/devbox.sh"
# shellcheck source=steps/devbox/install.sh
. "$ROOT/steps/devbox/install.sh"
