# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The module on this machine, for a kernel that the distribution has built: builds it and loads it.

do_devbox() {
	local release='' action='' running from=$SECONDS
	while [ $# -gt 0 ]; do
		case $1 in
		--kernel=*) release=${1#*=}; [ -n "$release" ] || die "--kernel needs a value; see --help" ;;
		--kernel) door_value "$@"; release=$2; shift ;;
		--load | --dkms | --remove | --test)
			[ -z "$action" ] || die "devbox takes one of $action and $1 at a time"
			action=$1 ;;
		*) die "devbox: unknown argument $1; it takes --kernel RELEASE, --load, --dkms, --remove, --test" ;;
		esac
		shift
	done
	[ -z "$release" ] || [[ $release =~ ^[A-Za-z0-9][A-Za-z0-9._+~-]*$ ]] ||
		die "--kernel $release: this is not a kernel release as uname -r prints it"
	running=$(uname -r)
	release=${release:-$running}
	case $action in
	--remove) install_remove; return ;;
	--dkms) install_run "$release" "$running"; return ;;
	--load) devbox_may_load "$release" "$running" ;;
	esac
	devbox_build "$release"
	if [ "$action" = --load ]; then devbox_load; return; fi
	done_step devbox "$from" "$DEVBOX_MODULE is for kernel $release"
	if [ "$release" = "$running" ] && [ -n "$(kdir_signatures)" ]; then say "devbox: $(devbox_unsigned_advice)"; fi
}

# devbox_build RELEASE: the module, after the metadata of that kernel if need be. Sets DEVBOX_MODULE.
devbox_build() {
	local out=$OUT/devbox/$1 folders
	mapfile -t folders < <(kdir_folders)
	kdir_check "$1" "${folders[@]}"
	devbox_metadata "$1"
	must "devbox: module" devbox-module.log "the first error is in the log" kdir_module "$out"
	DEVBOX_MODULE=$out/rust_vfifo.ko
	[ "$(modinfo -F vermagic "$DEVBOX_MODULE" | cut -d ' ' -f 1)" = "$1" ] ||
		die "devbox: $DEVBOX_MODULE came out for kernel $(modinfo -F vermagic "$DEVBOX_MODULE"), not for $1 (log: $LOGS/devbox-module.log)"
}

devbox_metadata() { # RELEASE
	[ -z "$KDIR_READY" ] || return 0
	mkdir -p "$(dirname "${KDIR%/obj}")"
	CACHE=$(dirname "${KDIR%/obj}") need_space 1200 "the Rust metadata of a kernel"
	must "devbox: Rust metadata of kernel $1" devbox-metadata.log "the first error is in the log" kdir_make
}

devbox_root_only() { # WHAT-FOR OPTION
	[ "$(id -u)" -eq 0 ] || die "devbox: $1 needs root: sudo ./build-kernel.sh devbox $2"
}

# How the key that dkms signs with is enrolled. dkms makes one with the first module if there is none.
devbox_trust() {
	local certificate=/var/lib/dkms/mok.pub file
	[ "$(system_distribution)" != ubuntu ] || certificate=/var/lib/shim-signed/mok/MOK.der
	for file in "$SYSTEM"/etc/dkms/framework.conf{,.d/*.conf}; do
		[ -r "$file" ] || continue
		# shellcheck disable=SC1090,SC2034
		certificate=$(set +eu; mok_certificate=$certificate kernelver=$(uname -r); . "$file" >/dev/null; echo "$mok_certificate")
	done
	echo "sudo mokutil --import $certificate, then reboot and confirm"
}

devbox_unsigned_advice() {
	echo "the running kernel loads only modules signed with a key that it trusts ($(kdir_signatures)), and this one is not signed; install it with sudo ./build-kernel.sh devbox --dkms, which signs it, and enrol the key of dkms once: $(devbox_trust)"
}

devbox_may_load() { # RELEASE RUNNING
	[ "$1" = "$2" ] || die "devbox --load: kernel $1 is not the one that is running ($2)"
	devbox_root_only "loading a module" --load
	[ ! -d "$SYSTEM/sys/module/rust_vfifo" ] || die "devbox: rust_vfifo is already loaded; unload it first: sudo rmmod rust_vfifo"
	[ -z "$(kdir_signatures)" ] || die "devbox: $(devbox_unsigned_advice)"
	# The tour needs it.
	system_need_command python3
}

devbox_load() {
	local from=$SECONDS
	[ ! -e "$SYSTEM/sys/module/rust_vfifo" ] || die "devbox: rust_vfifo is already loaded; unload it first: sudo rmmod rust_vfifo"
	TOUR_SHARED=1 bash "$ROOT/steps/tour/tour.sh" "$DEVBOX_MODULE" || die "devbox: a check of the tour failed, as shown above"
	insmod "$DEVBOX_MODULE" || die "devbox: insmod $DEVBOX_MODULE failed; see dmesg"
	done_step devbox "$from" "$DEVBOX_MODULE is loaded until the next boot; unload it with: sudo rmmod rust_vfifo"
}
