# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2153,SC2031
# The program behind "build-kernel.sh doctor": which ways to use vfifo work here, and what each is missing. It looks at
# both other programs' requirements and changes nothing.

# shellcheck source=steps/kernel/main.sh
. "$ROOT/steps/kernel/main.sh"
# shellcheck source=steps/devbox/devbox.sh
. "$ROOT/steps/devbox/devbox.sh"
# shellcheck source=steps/devbox/install.sh
. "$ROOT/steps/devbox/install.sh"

# Each check prints "yes" as its last line. A check that ends in any other way has not succeeded.

doctor_architecture() {
	[ "$(uname -m)" = "$VERSION_ARCH" ] || die "vfifo's kernel and module are only built for $VERSION_ARCH so far, and this is $(uname -m)"
}

# Whether ./build-kernel.sh would succeed.
doctor_emulator() {
	local missing free
	doctor_architecture
	if system_is_debian_12; then
		mapfile -t missing < <(system_missing_packages "${DEPS_PACKAGES[@]}")
		[ ${#missing[@]} -eq 0 ] || [ "$(id -u)" -eq 0 ] ||
			die "${#missing[@]} packages are missing: $(system_packages_command "${missing[@]}")"
	else
		deps_want_commands
	fi
	tree_wanted_series >/dev/null || [ -e "$TREE" ] || die "--tree $TREE: there is no such folder or file"
	if tree_wanted_series >/dev/null && ! tree_find; then
		fetch_archive >/dev/null 2>&1 ||
			die "none of apt's sources is an archive of Debian, which has the source of Linux $(tree_wanted_series); $(fetch_elsewhere)"
	fi
	free=$(lib_free_space "$CACHE")
	[ "$free" -ge 10000 ] || [ -n "$(doctor_built_kernel)" ] || die "10 GB of disk are needed, and $CACHE has $free MB free"
	echo yes
}

doctor_built_kernel() { find "$CACHE"/linux-"${VERSION_LINUX%.*}".*/x86/arch/x86/boot -maxdepth 1 -name bzImage 2>/dev/null || true; }

doctor_devbox() {
	local free enforced folders
	doctor_architecture
	mapfile -t folders < <(kdir_folders)
	kdir_check "$(uname -r)" "${folders[@]}"
	free=$(lib_free_space "$CACHE")
	[ -n "$KDIR_READY" ] || [ "$free" -ge 1200 ] || die "1200 MB of disk are needed, and $CACHE has $free MB free"
	enforced=$(kdir_signatures)
	[ -z "$enforced" ] || die "the module can be built, but $(devbox_unsigned_advice)"
	echo yes
}

doctor_dkms() {
	doctor_devbox >/dev/null
	# dkms uses only what root has made.
	kdir_check "$(uname -r)" "$KDIR_SHARED"
	system_need_command dkms
	echo yes
}

doctor_packages() {
	doctor_emulator >/dev/null
	# On Debian 12, they are installed if this is run as root.
	{ system_is_debian_12 && [ "$(id -u)" -eq 0 ]; } || deb_tools "${DEB_TOOLS[@]}"
	echo yes
}

doctor_hacker() {
	local missing
	doctor_emulator >/dev/null
	if ! system_is_debian_12; then
		mapfile -t missing < <(system_missing_commands bats shellcheck mandoc)
		[ ${#missing[@]} -eq 0 ] || die "the tests also need $(commas "${missing[@]}"); install them"
	fi
	echo yes
}

declare -A DOCTOR_SAID
doctor_way() { # WAY COMMAND CHECK
	local said status trouble=''
	# Not in a condition, where set -e would not count.
	set +e
	said=$(set -e; "$3" 2>&1)
	status=$?
	set -e
	if [ "$status" -ne 0 ] || [ "${said##*$'\n'}" != yes ]; then
		trouble=${said##*build-kernel.sh: }
		[[ $said == *"build-kernel.sh: "* ]] || trouble="the check failed: ${said##*$'\n'}"
		trouble=${trouble%%$'\n'*}
	fi
	printf '  %-7s %-26s %s\n' "$([ -z "$trouble" ] && echo works || echo lacks)" "$1" "$2"
	[ -n "$trouble" ] || return 0
	# If several ways have the same problem, it is printed once.
	printf '          %s\n' "${DOCTOR_SAID[$trouble]:-$trouble}"
	: "${DOCTOR_SAID[$trouble]:=see above: $1}"
}

do_doctor() {
	local name
	name=$(system_field PRETTY_NAME)
	say "here: ${name:-unknown system}, $(uname -m), kernel $(uname -r), $(nproc) CPUs, $(lib_free_space "$CACHE") MB free for $CACHE"
	doctor_way "try it in an emulator" "./build-kernel.sh" doctor_emulator
	doctor_way "load it on this box" "sudo ./build-kernel.sh devbox --load" doctor_devbox
	doctor_way "... and keep it" "sudo ./build-kernel.sh devbox --dkms" doctor_dkms
	doctor_way "the kernel as packages" "./build-kernel.sh deb" doctor_packages
	doctor_way "hack on it" "./build-kernel.sh test" doctor_hacker
}
