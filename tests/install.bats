#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# "make install" and "make uninstall" in clients/, with a temporary folder, and a program built from what is installed.
# shellcheck disable=SC2030,SC2031

bats_require_minimum_version 1.5.0

setup() {
	unset "${!PKG_CONFIG@}" prefix DESTDIR CFLAGS MAKEFLAGS MAKELEVEL OUTPUT
	REAL=$(cd "$BATS_TEST_DIRNAME/.." && pwd -P)
	HERE=$BATS_TEST_TMPDIR
	# A copy, so that no objects are left in the repository.
	mkdir "$HERE/vfifo"
	cp -r "$REAL"/{clients,uapi,man,etc} "$HERE/vfifo/"
	rm -rf "$HERE"/vfifo/clients/{rust,vfifoctl/target}
	make -s -C "$HERE/vfifo/clients" clean
	CLIENTS=$HERE/vfifo/clients
	ROOT=$HERE/root
}

in_clients() { make -s -C "$CLIENTS" "$@" "DESTDIR=$ROOT"; } # TARGET [VARIABLE=VALUE]...
installed() { (cd "$ROOT" && find . -type f -printf '%m %P\n' | sort -k 2); }

# The arguments for the compiler that pkg-config prints.
flags() { # PREFIX
	PKG_CONFIG_LIBDIR=$ROOT$1/share/pkgconfig PKG_CONFIG_SYSROOT_DIR=$ROOT pkg-config --cflags vfifo
}

# The first example in C of README.md that uses the helpers.
example() {
	awk '/^```/ { if (inside && found) { printf "%s", text; exit } inside = $0 ~ /^```c$/; text = ""; found = 0; next }
		inside { text = text $0 "\n"; if (/vfifo_map[.]h/) found = 1 }' "$REAL/README.md"
}

@test "install: installs these files, in the usual folders" {
	in_clients install prefix=/usr
	[ "$(installed)" = "755 usr/bin/vfifo-cat
644 usr/include/vfifo/linux/vfifo.h
644 usr/include/vfifo/vfifo_map.h
644 usr/lib/udev/rules.d/70-vfifo.rules
644 usr/share/doc/vfifo/examples/consumer.c
644 usr/share/doc/vfifo/examples/producer.c
644 usr/share/doc/vfifo/examples/test_mmap.c
644 usr/share/doc/vfifo/examples/vfifo.modprobe.conf
644 usr/share/doc/vfifo/examples/vfifo.modules-load.conf
644 usr/share/man/man4/vfifo.4
644 usr/share/pkgconfig/vfifo.pc" ]
	cmp "$REAL/uapi/vfifo.h" "$ROOT/usr/include/vfifo/linux/vfifo.h"
	"$ROOT/usr/bin/vfifo-cat" --help
}

@test "install: /usr/local is the default, and each folder can be another one" {
	in_clients install
	[ -x "$ROOT/usr/local/bin/vfifo-cat" ]
	[ -z "$(find "$ROOT" -type f ! -path "$ROOT/usr/local/*")" ]
	rm -r "$ROOT"
	in_clients install prefix=/opt/v includedir=/inc mandir=/opt/v/man
	[ -e "$ROOT/inc/vfifo/vfifo_map.h" ]
	[ -e "$ROOT/opt/v/man/man4/vfifo.4" ]
	[[ $(flags /opt/v) == *"-I$ROOT/inc/vfifo "* ]]
}

@test "install: the example of README.md compiles with pkg-config" {
	command -v pkg-config || skip "pkg-config is not installed"
	in_clients install prefix=/usr
	example >"$HERE/hello.c"
	grep -q 'int main' "$HERE/hello.c"
	local flags
	read -ra flags <<<"$(flags /usr)"
	# Only what is installed is used: the clone has been removed.
	rm -r "$HERE/vfifo"
	# shellcheck disable=SC2154
	gcc -Wall -Wextra -Werror "${flags[@]}" -M "$HERE/hello.c" >"$HERE/headers"
	grep -q "$ROOT/usr/include/vfifo/linux/vfifo.h" "$HERE/headers"
	gcc -Wall -Wextra -Werror "${flags[@]}" -o "$HERE/hello" "$HERE/hello.c"
	# There is no device here.
	[ -e /dev/vfifo0 ] || run -1 "$HERE/hello"
	# The installed examples compile in the same way, and print which device is missing.
	for name in producer consumer test_mmap; do
		gcc -Wall -Wextra -Werror "${flags[@]}" -D_GNU_SOURCE -o "$HERE/$name" "$ROOT/usr/share/doc/vfifo/examples/$name.c"
		run -1 "$HERE/$name" "$HERE/none"
		[[ $output == *"$HERE/none: No such file or directory"* ]]
	done
}

@test "install: the header works in C++" {
	command -v g++ && command -v pkg-config || skip "g++ or pkg-config is not installed"
	in_clients install prefix=/usr
	printf '#include "vfifo_map.h"\nint main() { vfifo_producer p; return vfifo_producer_open(&p, "/none") != -ENOENT; }\n' >"$HERE/a.cc"
	local flags
	read -ra flags <<<"$(flags /usr)"
	g++ -Wall -Wextra -Werror "${flags[@]}" -o "$HERE/a" "$HERE/a.cc"
	"$HERE/a"
}

@test "uninstall: nothing of ours is left, and nothing else is removed" {
	in_clients install prefix=/usr
	mkdir -p "$ROOT/usr/share/doc/vfifo/examples"
	: >"$ROOT/usr/include/other.h"
	in_clients uninstall prefix=/usr
	[ "$(find "$ROOT" -type f)" = "$ROOT/usr/include/other.h" ]
	[ ! -e "$ROOT/usr/include/vfifo" ]
	[ ! -e "$ROOT/usr/share/doc/vfifo" ]
	# Uninstalling twice is not an error.
	in_clients uninstall prefix=/usr
	# A folder with other files is kept.
	in_clients install prefix=/usr
	: >"$ROOT/usr/share/doc/vfifo/mine"
	in_clients uninstall prefix=/usr
	[ -e "$ROOT/usr/share/doc/vfifo/mine" ]
	[ ! -e "$ROOT/usr/share/doc/vfifo/examples" ]
}

@test "install: vfifoctl, its manual page and completions; uninstall removes them" {
	# The door's tests build the program itself.
	cat >"$HERE/cargo" <<-'END'
		#!/bin/sh
		[ "$1 $2 $3 $4" = "build --release --locked --target-dir" ] || exit 1
		mkdir -p "$5/release"
		printf '#!/bin/sh\necho "$@"\n' >"$5/release/vfifoctl"
		chmod +x "$5/release/vfifoctl"
	END
	chmod +x "$HERE/cargo"
	unset CARGO_TARGET_DIR
	CLIENTS=$CLIENTS/vfifoctl
	in_clients all "CARGO=$HERE/cargo"
	# Nothing is built again, so root runs no cargo.
	in_clients install prefix=/usr CARGO=false
	[ "$(installed)" = "755 usr/bin/vfifoctl
644 usr/share/bash-completion/completions/vfifoctl
644 usr/share/fish/vendor_completions.d/vfifoctl.fish
644 usr/share/man/man1/vfifoctl.1
644 usr/share/zsh/site-functions/_vfifoctl" ]
	[ "$(cat "$ROOT/usr/share/zsh/site-functions/_vfifoctl")" = "completions zsh" ]
	[ "$(cat "$ROOT/usr/share/fish/vendor_completions.d/vfifoctl.fish")" = "completions fish" ]
	[ "$(cat "$ROOT/usr/share/bash-completion/completions/vfifoctl")" = "completions bash" ]
	in_clients uninstall prefix=/usr
	[ -z "$(find "$ROOT" -type f)" ]
}

@test "install: in a kernel tree, installs what exists there" {
	local tree=$HERE/linux
	mkdir -p "$tree/tools" "$tree/include/uapi/linux"
	mv "$CLIENTS" "$tree/tools/vfifo"
	cp "$REAL/uapi/vfifo.h" "$tree/include/uapi/linux/"
	rm -r "$HERE/vfifo"
	CLIENTS=$tree/tools/vfifo
	in_clients install prefix=/usr
	[ -x "$ROOT/usr/bin/vfifo-cat" ]
	cmp "$REAL/uapi/vfifo.h" "$ROOT/usr/include/vfifo/linux/vfifo.h"
	[ ! -e "$ROOT/usr/lib" ]
	in_clients uninstall prefix=/usr
	[ -z "$(find "$ROOT" -type f)" ]
}

@test "the files in etc/ have the right settings" {
	# Both kinds of names, and no mode in place of one that was chosen.
	[ "$(grep -v '^#' "$REAL/etc/70-vfifo.rules" | grep .)" = \
	  $'SUBSYSTEM=="vfifo", GROUP="vfifo"\nSUBSYSTEM=="vfifo", ENV{DEVMODE}=="", MODE="0660"' ]
	# Each file has one setting, with the names of the module and its parameters.
	[ "$(grep -v '^\(#\|$\)' "$REAL/etc/vfifo.modules-load.conf")" = rust_vfifo ]
	local setting parameter value
	setting=$(grep -v '^\(#\|$\)' "$REAL/etc/vfifo.modprobe.conf")
	[[ $setting == "options rust_vfifo "* ]]
	for parameter in ${setting#options rust_vfifo }; do
		value=${parameter#*=}
		# Octal in both places.
		[[ $value != 0?* ]] || value=0o${value#0}
		grep -A1 "^        ${parameter%=*}: u" "$REAL/samples-rust-vfifo/rust_vfifo.rs" | grep -q "default: $value,"
	done
}

@test "udev accepts the rule" {
	command -v udevadm || skip "udevadm is not installed"
	udevadm verify --help >/dev/null 2>&1 || skip "this udevadm cannot verify rules"
	udevadm verify --resolve-names=never "$REAL/etc/70-vfifo.rules"
}
