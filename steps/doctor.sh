# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Which of the ways would work here, and what each lacks. Looks, and changes nothing.

# The first line that a step would end with, or nothing.
trouble_of() { ("$@") 2>&1 >/dev/null | sed -n 's/^build-kernel.sh: //p' | head -n 1 || true; }

# Nothing, or why ./build-kernel.sh alone would not get there.
emulator_trouble() {
	local missing free
	if ! command -v dpkg-query >/dev/null; then
		missing=$(missing_commands)
		[ -z "$missing" ] || die "packages are installed on Debian 12 only, and of what they hold these are missing here: $missing"
	else
		mapfile -t missing < <(missing_packages)
		if [ ${#missing[@]} -gt 0 ]; then
			# shellcheck disable=SC1091
			[ "$(. "$SYSTEM/etc/os-release" && echo "$ID ${VERSION_ID-}")" = "debian 12" ] ||
				die "its packages are those of Debian 12, and ${#missing[@]} of them are missing here: ${missing[*]}"
			[ "$(id -u)" -eq 0 ] || die "packages are missing; get them: sudo apt-get install --no-install-recommends ${missing[*]}"
		fi
	fi
	free=$(free_space "$CACHE")
	if ! (TREE='' find_tree); then
		[ "$free" -ge 10000 ] || die "it takes 10 GB, and $CACHE has $free MB free"
	fi
	true
}

missing_commands() {
	local command missing=''
	for command in clang-19 ld.lld-19 rustc bindgen make flex bison bc "$QEMU" vng; do
		command -v "$command" >/dev/null || missing+=" $command"
	done
	echo "${missing# }"
}

hacker_trouble() {
	emulator_trouble
	[ "$(. "$SYSTEM/etc/os-release" 2>/dev/null; echo "${ID-}")" != debian ] || return 0
	command -v bats >/dev/null && command -v shellcheck >/dev/null && command -v cargo >/dev/null ||
		die "the tests also need bats, shellcheck and cargo"
}

devbox_trouble() {
	kdir_check "$(uname -r)" "$KDIR_SHARED" "$CACHE/devbox"
	[ -n "$KDIR_READY" ] || [ "$(free_space "$CACHE")" -ge 1200 ] || die "it takes 1200 MB, and $CACHE has $(free_space "$CACHE") MB free"
	local enforced
	enforced=$(signatures_enforced)
	[ -z "$enforced" ] || die "it can be built, but $(unsigned_advice)"
}

diagnose() { # WAY COMMAND CHECK
	local trouble
	trouble=$(trouble_of "$3")
	printf '  %-9s %-24s %s\n' "$([ -z "$trouble" ] && echo works || echo lacks)" "$1" "$2"
	[ -z "$trouble" ] || printf '            %s\n' "$trouble"
}

do_doctor() {
	say "here: $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' "$SYSTEM/etc/os-release" 2>/dev/null || echo unknown), kernel $(uname -r), $(nproc) CPUs, $(free_space "$CACHE") MB free in $CACHE"
	diagnose "try it in an emulator" "./build-kernel.sh" emulator_trouble
	diagnose "load it on this box" "sudo ./build-kernel.sh devbox --load" devbox_trouble
	diagnose "build the kernel" "./build-kernel.sh build" emulator_trouble
	diagnose "hack on it" "./build-kernel.sh test" hacker_trouble
}
