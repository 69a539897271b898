# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Which of the ways would work here, and what each lacks. Looks, and changes nothing.

# The line that a step would end with, or nothing.
trouble_of() { ("$@") 2>&1 >/dev/null | sed -n 's/^build-kernel.sh: //p' | head -n 1 || true; }

# Whether ./build-kernel.sh alone would get there.
emulator_trouble() {
	local missing free
	if ! command -v dpkg-query >/dev/null; then
		missing=$(missing_commands)
		[ -z "$missing" ] || die "packages are installed on Debian 12 only, and of what they hold these are missing here: $missing"
	else
		mapfile -t missing < <(missing_packages "${PACKAGES[@]}")
		if [ ${#missing[@]} -gt 0 ]; then
			on_debian_12 ||
				die "its packages are those of Debian 12, and ${#missing[@]} of them are missing here: ${missing[*]}"
			[ "$(id -u)" -eq 0 ] || die "packages are missing; get them: $(packages_command "${missing[@]}")"
		fi
	fi
	free=$(free_space "$CACHE")
	[ "$free" -ge 10000 ] || [ -e "$(built_kernel)" ] || die "it takes 10 GB, and $CACHE has $free MB free"
}

built_kernel() { printf '%s\n' "$CACHE"/linux-"${PIN%.*}".*/x86/arch/x86/boot/bzImage | tail -n 1; }

missing_commands() {
	local command missing=''
	for command in "clang-$LLVM_VERSION" "ld.lld-$LLVM_VERSION" rustc bindgen make flex bison bc "$QEMU" vng; do
		command -v "$command" >/dev/null || missing+=" $command"
	done
	echo "${missing# }"
}

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
	emulator_trouble
	# Where there are packages, these are among those of the step deps.
	command -v dpkg-query >/dev/null ||
		{ command -v bats && command -v shellcheck && command -v cargo; } >/dev/null ||
		die "the tests also need bats, shellcheck and cargo; install them"
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
