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

# The whole program in the manual page vfifo_map.3.
manual_example() {
	awk '/^[.]Ed/ { inside = 0 } inside { gsub(/\\e/, "\\"); print } /^[.]Bd -literal/ { inside = 1 }' "$REAL/man/vfifo_map.3"
}

# The functions that the headers have for programs.
functions() {
	sed -nE 's/^static inline .*[ *](vfifo_(producer|consumer)_[a-z_]+)\(.*/\1/p' "$CLIENTS"/*.h | sort
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
644 usr/include/vfifo/vfifo.hpp
644 usr/include/vfifo/vfifo_copy.h
644 usr/include/vfifo/vfifo_end.h
644 usr/include/vfifo/vfifo_map.h
644 usr/include/vfifo/vfifo_overwrite.h
644 usr/include/vfifo/vfifo_records.h
644 usr/lib/udev/rules.d/70-vfifo.rules
644 usr/share/doc/vfifo/examples/consumer.c
644 usr/share/doc/vfifo/examples/event-loop.c
644 usr/share/doc/vfifo/examples/lines.cc
644 usr/share/doc/vfifo/examples/producer.c
644 usr/share/doc/vfifo/examples/record-sender.c
644 usr/share/doc/vfifo/examples/recorder.c
644 usr/share/doc/vfifo/examples/test_mmap.c
644 usr/share/doc/vfifo/examples/vfifo.modprobe.conf
644 usr/share/doc/vfifo/examples/vfifo.modules-load.conf
644 usr/share/man/man1/vfifo-cat.1
644 usr/share/man/man3/vfifo_copy.3
644 usr/share/man/man3/vfifo_map.3
644 usr/share/man/man3/vfifo_overwrite.3
644 usr/share/man/man3/vfifo_records.3
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

@test "install: each function has a manual page, and each page only functions that exist" {
	in_clients install prefix=/usr
	local page name
	cd "$ROOT/usr/share/man/man3"
	[ "$(find . -type l -printf '%f\n' | sed 's/[.]3$//' | sort)" = "$(functions)" ]
	[ "$(functions | wc -l)" -ge 40 ]
	for page in vfifo_*.3; do
		# The link leads to the page of the header that has the function.
		name=$(readlink -e "$page")
		[[ $name == "$PWD"/vfifo_* ]]
		[ -L "$page" ] || continue
		name=$(basename "$name" .3)
		grep -qE "^static inline .*[ *]${page%.3}\(" "$CLIENTS/$name.h"
		grep -qxF ".Fo ${page%.3}" "$name.3"
	done
}

@test "the manual pages and the headers have the same table of errors" {
	local numbers
	numbers=$(sed -nE 's/^ \*  (E[A-Z]+)\t.*/\1/p' "$CLIENTS/vfifo_map.h")
	[ "$(wc -l <<<"$numbers")" -ge 12 ]
	for number in $numbers; do
		grep -qxF ".It Er $number" "$REAL/man/vfifo_map.3"
	done
	# They are those of the crate.
	sed -nE 's/^            Error::.* => libc::(E[A-Z]+),$/\1/p' "$REAL/clients/rust/src/error.rs" >"$HERE/crate"
	[ "$(wc -l <"$HERE/crate")" -ge 10 ]
	while read -r number; do
		grep -qx "$number" <<<"$numbers"
	done <"$HERE/crate"
}

@test "every struct has the same accessors, and every function says its side" {
	local side name
	for side in producer consumer; do
		for name in open open_fd close fd capacity kind queued; do
			functions | grep -qx "vfifo_${side}_$name"
		done
	done
	# What has no side is private.
	run ! grep -E '^static inline .*[ *]vfifo_[a-z_]+\(' <(grep -hvE '[ *]vfifo_(producer|consumer|map|record|overwrite|copy)_[a-z_]+\(' "$CLIENTS"/*.h)
}

@test "install: each header compiles alone, and twice, as C11, C++11 and C++17" {
	command -v g++ || skip "g++ is not installed"
	in_clients install prefix=/usr
	local include=$ROOT/usr/include/vfifo header base
	for header in "$include"/*.h; do
		base=$HERE/$(basename "$header" .h)
		printf '#include "%s"\n' "$header" "$header" >"$base.c"
		gcc -std=c11 -D_POSIX_C_SOURCE=200809L -pedantic -Wall -Wextra -Werror -I"$include" -c -o "$base.o" "$base.c"
		cp "$base.c" "$base.cc"
		g++ -std=c++11 -pedantic -Wall -Wextra -Werror -I"$include" -c -o "$base.o" "$base.cc"
		g++ -std=c++17 -pedantic -Wall -Wextra -Werror -I"$include" -c -o "$base.o" "$base.cc"
	done
	printf '#include "%s"\n' "$include/vfifo.hpp" "$include/vfifo.hpp" >"$HERE/hpp.cc"
	g++ -std=c++17 -pedantic -Wall -Wextra -Werror -I"$include" -c -o "$HERE/hpp.o" "$HERE/hpp.cc"
	[ "$(wc -l <"$include/vfifo.hpp")" -lt 150 ]
}

@test "install: the program in vfifo_map(3) compiles and prints what is wrong" {
	command -v pkg-config || skip "pkg-config is not installed"
	in_clients install prefix=/usr
	manual_example | sed "s,/dev/vfifo0,$HERE/none," >"$HERE/manual.c"
	local flags
	read -ra flags <<<"$(flags /usr)"
	gcc -Wall -Wextra -Werror "${flags[@]}" -o "$HERE/manual" "$HERE/manual.c"
	run -1 "$HERE/manual"
	[[ $output == *": No such file or directory" ]]
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
	for name in producer consumer test_mmap record-sender recorder event-loop; do
		gcc -Wall -Wextra -Werror "${flags[@]}" -D_GNU_SOURCE -o "$HERE/$name" "$ROOT/usr/share/doc/vfifo/examples/$name.c"
		local arguments=()
		[ "$name" != event-loop ] || arguments=("$HERE/socket")
		run -1 "$HERE/$name" "${arguments[@]}" "$HERE/none"
		[[ $output == *"$HERE/none: No such file or directory"* ]]
	done
}

@test "install: the headers work in C++, and the installed example compiles" {
	command -v g++ && command -v pkg-config || skip "g++ or pkg-config is not installed"
	in_clients install prefix=/usr
	printf '#include "vfifo_map.h"\nint main() { vfifo_producer p; return vfifo_producer_open(&p, "/none") != -ENOENT; }\n' >"$HERE/a.cc"
	local flags
	read -ra flags <<<"$(flags /usr)"
	g++ -Wall -Wextra -Werror "${flags[@]}" -o "$HERE/a" "$HERE/a.cc"
	"$HERE/a"
	g++ -std=c++17 -pedantic -Wall -Wextra -Werror "${flags[@]}" -o "$HERE/lines" "$ROOT/usr/share/doc/vfifo/examples/lines.cc"
	run -1 "$HERE/lines" "$HERE/none"
	[[ $output == *": $HERE/none: No such file or directory" ]]
}

@test "vfifo.hpp: the test for a device compiles" {
	command -v g++ || skip "g++ is not installed"
	in_clients install prefix=/usr
	g++ -std=c++17 -pedantic -Wall -Wextra -Werror -I"$ROOT/usr/include/vfifo" -o "$HERE/cxx" "$CLIENTS/tests/cxx.cc" -pthread
}

@test "uninstall: nothing of ours is left, and nothing else is removed" {
	in_clients install prefix=/usr
	mkdir -p "$ROOT/usr/share/doc/vfifo/examples"
	: >"$ROOT/usr/include/other.h"
	in_clients uninstall prefix=/usr
	[ "$(find "$ROOT" ! -type d)" = "$ROOT/usr/include/other.h" ]
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
