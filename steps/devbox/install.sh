# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Installing with dkms, and removing what was installed. Everything that root installs here is root's, writable by nobody
# else, and built by root from files whose hashes are installed with it.

# Where the files of etc/ go. The rule takes effect at once, and gives access to a group that root has to create. The
# others are examples, for root to copy to /etc.
INSTALL_RULE=$SYSTEM/usr/lib/udev/rules.d/70-vfifo.rules
INSTALL_EXAMPLES=$SYSTEM/usr/share/doc/vfifo/examples

install_rule_is_ours() { grep -qs '^# Installed by vfifo[.]' "$INSTALL_RULE"; }

# The package vfifo-tools has the same rule. While it is installed, the file belongs to it.
install_rule_is_packaged() { grep -qsxF "${INSTALL_RULE#"$SYSTEM"}" "$SYSTEM/var/lib/dpkg/info/vfifo-tools.list"; }

install_files() {
	{ install_rule_is_packaged || install -D -m 644 "$ROOT/etc/70-vfifo.rules" "$INSTALL_RULE"; } && install -d -m 755 "$INSTALL_EXAMPLES" &&
		install -m 644 "$ROOT"/etc/vfifo.*.conf "$INSTALL_EXAMPLES/"
}

# Files in /etc stay: they are root's own.
install_forget_files() {
	local file
	install_rule_is_packaged || ! install_rule_is_ours || rm -f "$INSTALL_RULE"
	for file in "$ROOT"/etc/vfifo.*.conf; do rm -f "$INSTALL_EXAMPLES/$(basename "$file")"; done
	rmdir "$INSTALL_EXAMPLES" "$(dirname "$INSTALL_EXAMPLES")" 2>/dev/null || true
	for file in "$SYSTEM"/etc/mod{ules-load,probe}.d/vfifo.conf; do
		[ ! -e "$file" ] || say "devbox: $file is left, since --dkms did not make it; if you no longer need it: sudo rm $file"
	done
}

# install_stage FOLDER: the sources as dkms gets them. Prints the version, which is that of the content.
install_stage() {
	local folder folders=() releases=${VERSION_DEVBOX//./[.]} version
	for folder in rust-kernel samples-rust-vfifo trace uapi; do
		[ ! -d "$ROOT/$folder" ] || folders+=("$folder")
	done
	mkdir -p "$1"
	(cd "$ROOT" && {
		find "${folders[@]}" \( -name '*.rs' -o -name '*.[ch]' -o -name Kbuild \) ! -name '*.mod.c' ! -path 'samples-rust-vfifo/include/*' -type f -print0
		printf '%s\0' steps/versions.sh steps/system.sh steps/devbox/kdir.sh steps/devbox/dkms.sh
	} | tar c --null -T -) | tar x -C "$1" --no-same-owner --no-same-permissions
	version=1.$(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c -12)
	cat >"$1/dkms.conf" <<-END
		PACKAGE_NAME="vfifo"
		PACKAGE_VERSION="$version"
		MAKE[0]="bash steps/devbox/dkms.sh build \$kernelver"
		CLEAN="true"
		BUILT_MODULE_NAME[0]="rust_vfifo"
		BUILT_MODULE_LOCATION[0]="out"
		DEST_MODULE_LOCATION[0]="/updates/dkms"
		AUTOINSTALL="yes"
		BUILD_EXCLUSIVE_KERNEL="^(${releases// /|})[.]"
		BUILD_EXCLUSIVE_CONFIG="CONFIG_RUST"
		# A kernel for which something is missing is left out, with a message. If the build failed instead, so would the
		# installation of that kernel.
		[ -z "\${kernelver-}" ] || bash "\${BASH_SOURCE[0]%/*}/steps/devbox/dkms.sh" can "\$kernelver" || BUILD_EXCLUSIVE_KERNEL="^\$"
		POST_REMOVE="steps/devbox/dkms.sh gone \$kernelver"
	END
	(cd "$1" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum >SHA256SUMS)
	chown -R 0:0 "$1" && chmod -R u=rwX,go=rX "$1" && chmod 755 "$1/steps/devbox/dkms.sh"
	echo "$version"
}

# Whether a folder in /usr/src was installed by us. Its script is the mark; earlier versions had it elsewhere.
install_is_ours() { [ -e "$1/steps/devbox/dkms.sh" ] || [ -e "$1/steps/dkms.sh" ]; } # FOLDER

install_versions() { # one a line
	local folder
	for folder in "$SYSTEM"/usr/src/vfifo-*/; do
		if install_is_ours "$folder"; then basename "$folder" | sed 's/^vfifo-//'; fi
	done
}

install_forget() { # VERSION
	if [ -d "$SYSTEM/var/lib/dkms/vfifo/$1" ]; then dkms remove "vfifo/$1" --all || return; fi
	rm -rf "$SYSTEM/usr/src/vfifo-$1"
}

# The new version is built before the old one goes.
install_dkms() { # STAGED VERSION
	local old to=$SYSTEM/usr/src/vfifo-$2
	if [ -e "$to" ] && ! install_is_ours "$to"; then echo "$to exists and is not ours; move it away"; return 1; fi
	# Copied each time, which undoes whatever has happened to an installed copy.
	rm -rf "$to" "$to.new" && cp -a "$1" "$to.new" && mv "$to.new" "$to" &&
		if [ ! -d "$SYSTEM/var/lib/dkms/vfifo/$2" ]; then dkms add "vfifo/$2"; fi &&
		if [ -z "$(dkms status "vfifo/$2" -k "$KDIR_RELEASE")" ]; then dkms build "vfifo/$2" -k "$KDIR_RELEASE"; fi || return
	while read -r old; do
		[ "$old" = "$2" ] || install_forget "$old" || return
	done < <(install_versions)
	dkms install "vfifo/$2" -k "$KDIR_RELEASE"
}

# The metadata that dkms will use: made by root from the distribution's files. That of a user is not taken over, since
# root would run programs from it.
install_metadata() { # RELEASE
	kdir_check "$1" "$KDIR_SHARED"
	[ -z "$KDIR_READY" ] || return 0
	kdir_lock || die "devbox: another build of vfifo has not ended for 30 min ($KDIR_LOCK)"
	devbox_metadata "$1"
	kdir_unlock
}

install_run() { # RELEASE RUNNING
	local from=$SECONDS work version
	devbox_root_only "installing a module" --dkms
	system_need_command dkms
	[ ! -e "$INSTALL_RULE" ] || install_rule_is_ours ||
		die "devbox: $INSTALL_RULE exists and is not ours; move it to /etc/udev/rules.d, where it takes precedence"
	install_metadata "$1"
	# Where nobody but root can change it until it is in its place.
	work=$(mktemp -d "$SYSTEM/usr/src/.vfifo.XXXXXX") || die "devbox: cannot write to $SYSTEM/usr/src"
	LIB_SCRATCH+=("$work")
	version=$(install_stage "$work/vfifo")
	LIB_CHILD_FINISHES=dkms must "devbox: dkms" devbox-dkms.log "the first error is in the log" \
		install_dkms "$work/vfifo" "$version"
	dkms status "vfifo/$version" -k "$1" | grep -q installed ||
		die "devbox: dkms did not install vfifo $version for kernel $1 (log: $LOGS/devbox-dkms.log)"
	# Before the module is loaded, so that the rule applies to its devices.
	install_files || die "devbox: cannot write to $(dirname "$INSTALL_RULE") or $INSTALL_EXAMPLES"
	if [ "$1" = "$2" ] && ! modprobe rust_vfifo 2>"$LOGS/devbox-modprobe.log"; then
		[ -z "$(kdir_signatures)" ] || die "devbox: it is installed and signed, but its key is not trusted yet ($(kdir_signatures)); enrol it once: $(devbox_trust)"
		die "devbox: it is installed, but modprobe rust_vfifo failed: $(head -n 1 "$LOGS/devbox-modprobe.log")"
	fi
	say "devbox: it is not loaded at boot; to have that: sudo cp $INSTALL_EXAMPLES/vfifo.modules-load.conf /etc/modules-load.d/vfifo.conf"
	done_step devbox "$from" "vfifo $version is installed for kernel $1 and for later ones; uninstall it with: sudo ./build-kernel.sh devbox --remove"
}

install_remove() {
	local from=$SECONDS version
	devbox_root_only "removing a module" --remove
	[ -z "$(find "$SYSTEM/var/lib/dkms/vfifo" -mindepth 1 -print -quit 2>/dev/null)" ] || system_need_command dkms
	while read -r version; do
		LIB_CHILD_FINISHES=dkms must "devbox: removing vfifo $version" devbox-remove.log "the first error is in the log" \
			install_forget "$version"
	done < <(install_versions)
	install_forget_files
	rm -rf "$KDIR_SHARED"
	if [ -d "$SYSTEM/sys/module/rust_vfifo" ]; then
		rmmod rust_vfifo || die "devbox: vfifo is uninstalled, but still loaded, because a device is open; close it, then: sudo rmmod rust_vfifo"
	fi
	done_step devbox "$from" "vfifo is no longer installed or loaded"
}
