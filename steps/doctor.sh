# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Which of the ways would work here, and what each lacks. Looks, and changes nothing.

# The line that a step would end with, or nothing.
trouble_of() { ("$@") 2>&1 >/dev/null | sed -n 's/^build-kernel.sh: //p' | head -n 1 || true; }

# Whether ./build-kernel.sh alone would get there.
emulator_trouble() {
	local missing free
	if on_debian_12; then
		mapfile -t missing < <(missing_packages "${PACKAGES[@]}")
		[ ${#missing[@]} -eq 0 ] || [ "$(id -u)" -eq 0 ] ||
			die "packages are missing; get them: $(packages_command "${missing[@]}")"
	else
		want_commands
	fi
	if debian_series >/dev/null; then
		find_tree || debian_archive >/dev/null 2>&1 ||
			die "apt has no archive of Debian to get the source of Linux $(debian_series) from; take a tree that you have: --tree DIR"
	fi
	free=$(free_space "$CACHE")
	[ "$free" -ge 10000 ] || [ -e "$(built_kernel)" ] || die "it takes 10 GB, and $CACHE has $free MB free"
}

built_kernel() { printf '%s\n' "$CACHE"/linux-"${PIN%.*}".*/x86/arch/x86/boot/bzImage | tail -n 1; }

devbox_trouble() {
	local free enforced
	local folders
	mapfile -t folders < <(devbox_folders)
	kdir_check "$(uname -r)" "${folders[@]}"
	free=$(free_space "$CACHE")
	[ -n "$KDIR_READY" ] || [ "$free" -ge 1200 ] || die "it takes 1200 MB, and $CACHE has $free MB free"
	enforced=$(signatures_enforced)
	[ -z "$enforced" ] || die "it can be built, but $(unsigned_advice)"
}

dkms_trouble() {
	devbox_trouble
	here dkms
}

packages_trouble() {
	emulator_trouble
	# What root gets on Debian 12 is no trouble.
	{ on_debian_12 && [ "$(id -u)" -eq 0 ]; } || deb_tools
}

hacker_trouble() {
	local missing
	emulator_trouble
	! on_debian_12 || return 0
	mapfile -t missing < <(missing_commands bats shellcheck mandoc)
	[ ${#missing[@]} -eq 0 ] || die "the tests also need $(commas "${missing[@]}"); install them"
}

declare -A DIAGNOSED
diagnose() { # WAY COMMAND CHECK
	local trouble
	trouble=$(trouble_of "$3")
	printf '  %-7s %-26s %s\n' "$([ -z "$trouble" ] && echo works || echo lacks)" "$1" "$2"
	[ -n "$trouble" ] || return 0
	# What two ways lack is said once.
	printf '          %s\n' "${DIAGNOSED[$trouble]:-$trouble}"
	: "${DIAGNOSED[$trouble]:=as said of: $1}"
}

do_doctor() {
	say "here: $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' "$SYSTEM/etc/os-release" 2>/dev/null || echo unknown), kernel $(uname -r), $(nproc) CPUs, $(free_space "$CACHE") MB free for $CACHE"
	diagnose "try it in an emulator" "./build-kernel.sh" emulator_trouble
	diagnose "load it on this box" "sudo ./build-kernel.sh devbox --load" devbox_trouble
	diagnose "... and keep it" "sudo ./build-kernel.sh devbox --dkms" dkms_trouble
	diagnose "the kernel as packages" "./build-kernel.sh deb" packages_trouble
	diagnose "hack on it" "./build-kernel.sh test" hacker_trouble
}
