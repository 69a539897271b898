#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# "deb --clients": what it gives to debhelper and what it does with the packages. "host" builds them.
# shellcheck disable=SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0
load common

setup() {
	a_door
	cp -r "$REAL/debian" "$REAL/etc" "$REAL/man" "$REAL/uapi" "$DOOR/"
	mkdir -p "$DOOR/clients/vfifoctl/src" "$DOOR/clients/vfifoctl/target" "$DOOR/clients/python" "$DOOR/clients/rust/src"
	: >"$DOOR/clients/vfifoctl/src/main.rs"
	: >"$DOOR/clients/vfifoctl/target/object"
	# Another distribution, so that no package is installed.
	mkdir -p "$HERE/system/etc"
	echo 'ID=fedora' >"$HERE/system/etc/os-release"
	export VFIFO_SYSTEM=$HERE/system CARGO_HOME=$HERE/cargo
	stub dh_prep 'exit 1'
	stub rustc 'echo "host: x86_64-unknown-linux-gnu"'
	stub cargo 'exit 0'
	stub lintian 'echo "$*" >>"'"$HERE"'/lintian"'
	stub dpkg-buildpackage 'pwd >"'"$HERE"'/built"; echo "$CARGO_NET_OFFLINE $*" >>"'"$HERE"'/built"
		find . -type f -printf "%P\n" >"'"$HERE"'/sources"
		for name in libvfifo-dev_'"${VERSION:-1}"'_all.deb vfifo-tools_1_amd64.deb vfifo_1_amd64.changes; do : >"../$name"; done'
}

@test "deb --clients: builds from a copy, without objects and without the network" {
	door deb --clients
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"sudo apt-get install $DOOR/build/deb/libvfifo-dev_1_all.deb $DOOR/build/deb/vfifo-tools_1_amd64.deb"* ]]
	[[ $(sed -n 1p "$HERE/built") == "$VFIFO_CACHE"/* ]]
	[[ $(sed -n 2p "$HERE/built") == "true "*--build=binary* ]]
	for file in debian/rules clients/vfifoctl/src/main.rs uapi/vfifo.h man/vfifo-cat.1 etc/70-vfifo.rules; do
		grep -qxF "$file" "$HERE/sources"
	done
	run ! grep -E '/target/|^clients/(rust|python)/' "$HERE/sources"
	grep -q 'vfifo_1_amd64.changes' "$HERE/lintian"
	# The clone has nothing new.
	[ -z "$(find "$DOOR" -newer "$HERE/sources" -type f ! -path "$DOOR/build/*")" ]
}

@test "deb --clients: replaces its own packages and no others" {
	mkdir -p "$DOOR/build/deb"
	: >"$DOOR/build/deb/linux-image-7_1_amd64.deb"
	: >"$DOOR/build/deb/mine.deb"
	echo linux-image-7_1_amd64.deb >"$DOOR/build/deb/made"
	door deb --clients
	[ "$status" -eq 0 ]
	sed -i 's/libvfifo-dev_1/libvfifo-dev_2/' "$VFIFO_TEST_BIN/dpkg-buildpackage"
	door deb --clients
	[ "$status" -eq 0 ]
	[ "$(cd "$DOOR/build/deb" && ls -- *.deb)" = "libvfifo-dev_2_all.deb
linux-image-7_1_amd64.deb
mine.deb
vfifo-tools_1_amd64.deb" ]
}

@test "deb --clients: what fails is reported, and leaves no packages" {
	stub lintian 'echo "W: vfifo-tools: no-manual-page"; exit 2'
	door deb --clients
	refused "deb: lintian failed: lintian complains about the packages"
	[ ! -e "$DOOR/build/deb" ]
	stub dpkg-buildpackage 'exit 2'
	door deb --clients
	refused "deb: packages of the clients failed: the first error is in the log"
	[ ! -e "$DOOR/build/deb" ]
}

@test "deb --clients: no configuration, and missing tools" {
	door deb --clients --config small
	refused "deb --clients: these packages are for any kernel; leave out --config"
	echo 'CLIENTS_TOOLS=(no-dh:debhelper no-lintian:lintian)' >>"$DOOR/steps/kernel/clients.sh"
	door deb --clients
	refused "deb: missing here: debhelper lintian; install them: sudo dnf install debhelper lintian"
}

@test "debian/: versions are those of the programs, and each binary and header has a manual page" {
	local version
	version=$(sed -n '1s/^vfifo (\(.*\)) .*/\1/p' "$REAL/debian/changelog")
	[ "$version" = "$(sed -n 's/^version = "\(.*\)"/\1/p' "$REAL/clients/vfifoctl/Cargo.toml")" ]
	[ "$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$REAL/clients/vfifoctl/Cargo.toml")" = \
		"$(sed -n 's/^Build-Depends:.* rustc (>= \([0-9.]*\)).*/\1/p' "$REAL/debian/control")" ]
	for page in vfifoctl.1 vfifo-cat.1 vfifo.4; do [ -e "$REAL/man/$page" ]; done
	[ -x "$REAL/debian/rules" ]
}
