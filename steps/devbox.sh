# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The module on this box: for a kernel that the distribution has built, and that stays as it is.

DEVBOX_USAGE='devbox takes --kernel VERSION, --load, --dkms, --remove, --test; see --help'

do_devbox() {
	local release='' action='' from=$SECONDS
	while [ $# -gt 0 ]; do
		case $1 in
		--kernel=*) release=${1#*=}; [ -n "$release" ] || die "--kernel needs a value; see --help" ;;
		--kernel) value "$@"; release=$2; shift ;;
		--load | --dkms | --remove | --test)
			[ -z "$action" ] || die "devbox takes one of $action and $1 at a time"
			action=$1 ;;
		*) die "devbox: unknown argument $1; $DEVBOX_USAGE" ;;
		esac
		shift
	done
	case $release in */* | .*) die "--kernel $release: not the release of a kernel, as uname -r prints it" ;; esac
	case $action in
	--test) devbox_test "$release"; return ;;
	--remove) devbox_remove; return ;;
	esac
	local running
	running=$(uname -r)
	release=${release:-$running}
	case $action in
	--load) devbox_may_load "$release" "$running" ;;
	--dkms) devbox_may_install ;;
	esac
	devbox_build "$release" "$action"
	case $action in
	--load) devbox_load ;;
	--dkms) devbox_install "$running" ;;
	*)
		done_step devbox "$from" "$MODULE is for kernel $release"
		if [ "$release" = "$running" ] && [ -n "$(signatures_enforced)" ]; then say "devbox: $(unsigned_advice)"; fi ;;
	esac
}

# Sets MODULE.
devbox_build() { # RELEASE ACTION
	local out=$OUT/devbox/$1 folders
	mapfile -t folders < <(devbox_folders)
	# What dkms needs it must have for itself.
	[ "$2" != --dkms ] || folders+=("$KDIR_SHARED")
	kdir_check "$1" "${folders[@]}"
	if [ "$2" = --dkms ] && [ -n "$KDIR_READY" ] && [[ $KDIR != "$KDIR_SHARED"/* && $KDIR != "$HEADERS" ]]; then
		must "devbox: copying the Rust metadata of kernel $1" devbox-metadata.log "see the log" kdir_adopt
		KDIR=$KDIR_SHARED/$1/obj
	fi
	if [ -z "$KDIR_READY" ]; then
		mkdir -p "$(dirname "${KDIR%/obj}")"
		CACHE=$(dirname "${KDIR%/obj}") need_space 1200 "the Rust metadata of a kernel"
		must "devbox: Rust metadata of kernel $1" devbox-metadata.log "the first error is in the log" kdir_make
	fi
	must "devbox: module" devbox-module.log "the first error is in the log" kdir_module "$out"
	MODULE=$out/rust_vfifo.ko
	[ "$(modinfo -F vermagic "$MODULE" | cut -d ' ' -f 1)" = "$1" ] ||
		die "devbox: $MODULE came out for kernel $(modinfo -F vermagic "$MODULE"), not for $1 (log: $LOGS/devbox-module.log)"
}

# Where metadata may have been made: by dkms, by this user, by who called sudo. New one is made in the last.
devbox_folders() {
	local home
	echo "$KDIR_SHARED"
	if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER-}" ]; then
		home=$(getent passwd "$SUDO_USER" | cut -d : -f 6)
		[ -z "$home" ] || echo "$home/.cache/vfifo/devbox"
	fi
	echo "$CACHE/devbox"
}

root_only() { # WHAT FOR
	[ "$(id -u)" -eq 0 ] || die "devbox: $1 needs root: sudo ./build-kernel.sh devbox $2"
}

# How the key by which dkms signs comes to be trusted. dkms makes it with the first module, if it is not there.
trust_dkms() {
	local certificate=/var/lib/dkms/mok.pub file
	[ "$(distribution)" != ubuntu ] || certificate=/var/lib/shim-signed/mok/MOK.der
	for file in "$SYSTEM"/etc/dkms/framework.conf{,.d/*.conf}; do
		[ -r "$file" ] || continue
		# shellcheck disable=SC1090,SC2034
		certificate=$(set +eu; mok_certificate=$certificate kernelver=$(uname -r); . "$file" >/dev/null; echo "$mok_certificate")
	done
	echo "sudo mokutil --import $certificate, boot, and confirm"
}

unsigned_advice() {
	local advice
	advice="install it with sudo ./build-kernel.sh devbox --dkms, which signs it, and have the key of dkms trusted, once: $(trust_dkms)"
	echo "the running kernel loads only modules signed by a key that it trusts: $(signatures_enforced). This one is not; $advice"
}

devbox_may_load() { # RELEASE RUNNING
	[ "$1" = "$2" ] || die "devbox --load: kernel $1 is not the one that runs ($2)"
	root_only "loading a module" --load
	[ ! -d "$SYSTEM/sys/module/rust_vfifo" ] || die "devbox: rust_vfifo is loaded already; unload it first: sudo rmmod rust_vfifo"
	[ -z "$(signatures_enforced)" ] || die "devbox: $(unsigned_advice)"
	# The tour needs it.
	here python3
}

devbox_load() {
	local from=$SECONDS
	[ ! -e "$SYSTEM/sys/module/rust_vfifo" ] || die "devbox: rust_vfifo is loaded already"
	TOUR_SHARED=1 bash "$ROOT/steps/tour.sh" "$MODULE" "$ROOT/steps" || die "devbox: not every stop of the tour held, as shown above"
	insmod "$MODULE" || die "devbox: insmod $MODULE failed; dmesg says why"
	done_step devbox "$from" "loaded $MODULE until the next boot; take it away with: sudo rmmod rust_vfifo"
}

devbox_may_install() {
	root_only "installing a module" --dkms
	here dkms
}

here() { # COMMAND
	command -v "$1" >/dev/null || die "devbox: $1 is missing; get it: $(install_command "$1")"
}

# What dkms gets. The version is that of the content.
dkms_stage() { # FOLDER: sets VERSION
	local folder folders=() releases=${RELEASES//./[.]}
	for folder in rust-kernel samples-rust-vfifo trace uapi; do
		[ ! -d "$ROOT/$folder" ] || folders+=("$folder")
	done
	mkdir -p "$1/steps"
	(cd "$ROOT" && find "${folders[@]}" \( -name '*.rs' -o -name '*.[ch]' -o -name Kbuild \) ! -name '*.mod.c' -print0 |
		tar c --null -T -) | tar x -C "$1"
	cp "$ROOT/steps/kdir.sh" "$ROOT/steps/dkms.sh" "$1/steps/"
	VERSION=1.$(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c -12)
	cat >"$1/dkms.conf" <<-END
		PACKAGE_NAME="vfifo"
		PACKAGE_VERSION="$VERSION"
		MAKE[0]="bash steps/dkms.sh build \$kernelver"
		CLEAN="true"
		BUILT_MODULE_NAME[0]="rust_vfifo"
		BUILT_MODULE_LOCATION[0]="out"
		DEST_MODULE_LOCATION[0]="/updates/dkms"
		AUTOINSTALL="yes"
		BUILD_EXCLUSIVE_KERNEL="^(${releases// /|})[.]"
		BUILD_EXCLUSIVE_CONFIG="CONFIG_RUST"
		# A kernel for which something is missing is left out, and it is said what. If the build failed instead, so would
		# the installation of that kernel.
		[ -z "\${kernelver-}" ] || bash "\${BASH_SOURCE[0]%/*}/steps/dkms.sh" can "\$kernelver" || BUILD_EXCLUSIVE_KERNEL="^\$"
		POST_REMOVE="steps/dkms.sh gone \$kernelver"
	END
}

dkms_versions() { find "$SYSTEM/usr/src" -mindepth 1 -maxdepth 1 -type d -name 'vfifo-*' -printf '%f\n' | sed 's/^vfifo-//' | sort; }

dkms_forget() { # VERSION
	if [ -d "$SYSTEM/var/lib/dkms/vfifo/$1" ]; then dkms remove "vfifo/$1" --all || return; fi
	rm -rf "$SYSTEM/usr/src/vfifo-$1"
}

# The new version is built before the old one goes.
dkms_install() { # STAGED VERSION
	local old
	if [ ! -d "$SYSTEM/usr/src/vfifo-$2" ]; then cp -a "$1" "$SYSTEM/usr/src/vfifo-$2"; fi &&
		if [ ! -d "$SYSTEM/var/lib/dkms/vfifo/$2" ]; then dkms add "vfifo/$2"; fi &&
		if [ -z "$(dkms status "vfifo/$2" -k "$RELEASE")" ]; then dkms build "vfifo/$2" -k "$RELEASE"; fi || return
	while read -r old; do
		[ "$old" = "$2" ] || dkms_forget "$old" || return
	done < <(dkms_versions)
	dkms install "vfifo/$2" -k "$RELEASE"
}

devbox_install() { # RUNNING
	local from=$SECONDS work VERSION
	scratch work
	dkms_stage "$work/vfifo"
	must "devbox: dkms" devbox-dkms.log "see the log" dkms_install "$work/vfifo" "$VERSION"
	dkms status "vfifo/$VERSION" -k "$RELEASE" | grep -q installed ||
		die "devbox: dkms did not install vfifo $VERSION for kernel $RELEASE (log: $LOGS/devbox-dkms.log)"
	if [ "$RELEASE" = "$1" ] && ! modprobe rust_vfifo 2>"$LOGS/devbox-modprobe.log"; then
		[ -z "$(signatures_enforced)" ] || die "devbox: it is installed and signed, but the key is not trusted yet: $(signatures_enforced). Once: $(trust_dkms)"
		die "devbox: it is installed, but modprobe rust_vfifo failed: $(head -n 1 "$LOGS/devbox-modprobe.log")"
	fi
	done_step devbox "$from" "vfifo $VERSION is installed for kernel $RELEASE, and will be for kernels to come; sudo ./build-kernel.sh devbox --remove takes it away"
}

devbox_remove() {
	local from=$SECONDS version
	root_only "removing a module" --remove
	[ -z "$(find "$SYSTEM/var/lib/dkms/vfifo" -mindepth 1 -print -quit 2>/dev/null)" ] || here dkms
	while read -r version; do
		must "devbox: removing vfifo $version" devbox-remove.log "see the log" dkms_forget "$version"
	done < <(dkms_versions)
	rm -rf "$KDIR_SHARED"
	if [ -d "$SYSTEM/sys/module/rust_vfifo" ]; then
		rmmod rust_vfifo || die "devbox: vfifo is removed, but still loaded, since somebody has a device open; later: sudo rmmod rust_vfifo"
	fi
	done_step devbox "$from" "nothing of vfifo is installed or loaded any more"
}
