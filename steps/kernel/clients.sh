# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# "deb --clients": headers and programs for users as Debian packages, beside the module that "devbox --dkms" installs.
# debhelper builds them, as the files in debian/ say.

CLIENTS_TOOLS=(dpkg-buildpackage:dpkg-dev dh_prep:debhelper lintian:lintian)
# A copy of the sources, and the objects of cargo. The copy has the same name each time, so that they are not compiled again.
CLIENTS_WORK=$CACHE/clients-vfifoctl-deb

clients_deb() { # [--test]
	local from=$SECONDS
	if system_is_debian_12; then
		deps_want_packages "deb --clients" rustc-web cargo-web gcc libc6-dev make python3 "${CLIENTS_TOOLS[@]#*:}"
	else
		deb_tools cargo:cargo rustc:rustc "${CLIENTS_TOOLS[@]}"
	fi
	[ $# -eq 0 ] || box_needs "deb --clients --test"
	deps_have_crates || must "deb: Rust crates" deps-crates.log network deps_fetch_crates
	need_space 600 "the objects of vfifoctl"
	must "deb: packages of the clients" deb-clients.log "the first error is in the log" clients_packages
	must "deb: lintian" deb-lintian.log "lintian complains about the packages" clients_lintian
	mkdir -p "$OUT/deb"
	deb_forget made-clients
	(cd "$CLIENTS_WORK" && printf '%s\n' *.deb >"$OUT/deb/made-clients" && mv ./*.deb "$OUT/deb/")
	done_step "deb --clients" "$from" \
		"headers and tools are in $OUT/deb; install them with: sudo apt-get install $(sed "s,^,$OUT/deb/," "$OUT/deb/made-clients" | paste -sd ' ')"
	[ $# -eq 0 ] || clients_test
}

# Builds them without the network. The clone stays as it is.
clients_packages() {
	local source=$CLIENTS_WORK/source
	rm -rf "$source" "$CLIENTS_WORK"/*.{deb,buildinfo,changes} && mkdir -p "$source" &&
		(cd "$ROOT" && tar c --exclude=clients/{rust,python} --exclude=target --exclude=__pycache__ clients debian etc man uapi) |
		tar x -C "$source" --no-same-owner &&
		(cd "$source" && exec env CARGO_NET_OFFLINE=true CARGO_TARGET_DIR="$CLIENTS_WORK/target" \
			DEB_BUILD_OPTIONS="parallel=$JOBS" dpkg-buildpackage --build=binary --no-sign -d)
}

# Whatever it reports is a failure, except for remarks that it makes only if asked to.
clients_lintian() {
	lintian --allow-root --fail-on error,warning,info --display-info --tag-display-limit 0 "$CLIENTS_WORK"/*.changes
}

# A part of "host".
clients_host() {
	local missing
	mapfile -t missing < <(system_missing_commands "${CLIENTS_TOOLS[@]%%:*}")
	if [ ${#missing[@]} -gt 0 ]; then
		count_skipped "debian/: the packages" "missing here: $(commas "${missing[@]}"); run $DOOR deb --clients"
	else
		check "debian/: the packages are built" clients_packages
		check "debian/: lintian" clients_lintian
	fi
}

# clients_files FOLDER: the names, modes and owners of all files in that system, except logs and what apt has downloaded.
clients_files() {
	(cd "$1" && find . -xdev \( -path ./var/log -o -path ./var/cache -o -path ./var/lib/apt -o -path ./root/deb -o -path ./guest \) -prune -o \
		-printf '%M %u:%g %p %l\n' | sort)
}

# In a Debian 13: installs them, uses them, and removes them again.
clients_test() {
	local from=$SECONDS
	box_new
	clients_check
	[ $COUNT_FAILED -eq 0 ] || die "deb --clients --test: some checks failed, as shown above"
	rm -rf "$BOX"
	done_step "deb --clients --test" "$from" "installed, used and removed in a Debian 13"
}

# The checks that "deb --test" makes as well, with COMMAND in between.
clients_check() { # [COMMAND...]
	local work file
	scratch work
	mkdir -p "$BOX/root/deb/clients"
	while read -r file; do cp "$OUT/deb/$file" "$BOX/root/deb/clients/"; done <"$OUT/deb/made-clients"
	check "pkgconf and man-db are installed" box_run root "apt-get install -y --no-install-recommends pkgconf man-db g++"
	clients_files "$BOX" >"$work/before"
	check "the clients' packages install" box_run root "apt-get install -y --no-install-recommends ~/deb/clients/*.deb"
	check "vfifoctl and vfifo-cat start" box_run dev 'vfifoctl --version && vfifo-cat --help'
	check "there are manual pages" box_run dev 'man -w 1 vfifoctl && man -w 1 vfifo-cat && man -w 4 vfifo && man -w 3 vfifo_producer_reserve'
	check "the installed examples compile" box_run dev '
		set -e
		mkdir examples && cd examples
		for file in /usr/share/doc/libvfifo-dev/examples/*.c*; do
			case $file in *.cc) compile="g++ -std=c++17" ;; *) compile="gcc -D_GNU_SOURCE" ;; esac
			$compile -Wall -Wextra -Werror -o "$(basename "$file" | sed "s/[.].*//")" "$file" $(pkg-config --cflags vfifo)
		done
		[ -x producer ] && [ -x lines ]'
	[ $# -eq 0 ] || "$@"
	rm -rf "$BOX/home/dev/examples"
	check "the clients' packages are purged" box_run root "apt-get purge -y libvfifo-dev vfifo-tools"
	clients_files "$BOX" >"$work/after"
	check "no file of the clients is left" diff "$work/before" "$work/after"
}
