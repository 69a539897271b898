#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# "devbox" on simulated systems of a few files: what it looks at, what it refuses, and which command it prints.
# ./build-kernel.sh devbox --test runs it on a real system.
# shellcheck disable=SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0
load common

R=7.3.4+deb13-amd64
RUSTC_TEXT='rustc 1.85.1 (4eb161250 2025-03-15) (built from a source tarball)'

setup() {
	a_door
	unset RUSTC
	export VFIFO_SYSTEM=$HERE/system
	S=$VFIFO_SYSTEM
	BUILD=$S/lib/modules/$R/build
	STUBS=$VFIFO_TEST_BIN
	mkdir -p "$S/etc" "$BUILD/include/generated" "$S/usr/src"
	cp -r "$REAL"/{rust-kernel,samples-rust-vfifo,trace,uapi,etc} "$DOOR/"
	printf 'ID=debian\nVERSION_CODENAME=trixie\n' >"$S/etc/os-release"
	: >"$BUILD/Makefile"
	printf 'CONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT="%s"\nCONFIG_CC_VERSION_TEXT="stub-cc (a compiler) 1"\n' \
		"$RUSTC_TEXT" >"$BUILD/.config"
	stub uname "case \$1 in -m) echo x86_64;; *) echo $R;; esac"
	stub id 'echo 1000'
	stub stub-cc 'exit 0'
	stub rustc "case \$1 in --version) echo '$RUSTC_TEXT';; --print) echo $HERE/sysroot;; esac"
	export RUSTC=$STUBS/rustc
	stub apt-cache 'exit 0'
	stub dpkg-query 'exit 1'
	stub dpkg 'exit 0'
	stub modinfo "echo '$R SMP preempt'"
	# A stub for kbuild: writes a module to the given folder.
	stub make 'echo "make $*" >>"'"$HERE"'/made"; for a; do case $a in MO=*) : >"${a#MO=}/rust_vfifo.ko";; esac; done'
}

metadata() { mkdir -p "$BUILD/rust"; : >"$BUILD/rust/libkernel.rmeta"; : >"$BUILD/rust/libmacros.so"; }
os() { printf 'ID=%s\nVERSION_CODENAME=x\n' "$1" >"$S/etc/os-release"; }
devbox() { run "$DOOR/build-kernel.sh" devbox "$@"; }
ok() { echo "$output"; [ "$status" -eq 0 ]; }

refused() { # TEXT...: one line with all of that in it
	echo "$output"
	[ "$status" -ne 0 ]
	[ "$(wc -l <<<"$output")" -eq 1 ]
	local text
	for text; do [[ $output == "build-kernel.sh: "*"$text"* ]]; done
}

@test "devbox: an unknown argument" { devbox --nonsense; refused "unknown argument --nonsense"; }
@test "devbox: two actions at once" { devbox --load --dkms; refused "one of --load and --dkms"; }
@test "devbox: --kernel without its value" { devbox --kernel; refused "--kernel needs a value"; }
@test "devbox: --kernel that is a path" { devbox --kernel ../x; refused "not a kernel release"; }
@test "devbox: a kernel that is not installed" { devbox --kernel=7.3.9; refused "kernel 7.3.9 is not installed"; }
@test "devbox: a kernel that is too old" {
	os arch
	devbox --kernel 6.12.1-1-generic
	refused "6.12.1-1-generic: the module is for Linux" "boot $R, which is installed"
	# The installed kernel would not work either.
	echo '# CONFIG_RUST is not set' >"$BUILD/.config"
	devbox --kernel 6.12.1-1-generic
	refused "try vfifo in an emulator: ./build-kernel.sh, in a container"
}

@test "devbox: a kernel that is too old, on Debian" {
	rm -r "$S/lib/modules/$R"
	printf 'ID=debian\nVERSION_CODENAME=bookworm\n' >"$S/etc/os-release"
	devbox --kernel 6.12.48+deb13-amd64
	refused "try vfifo in an emulator: ./build-kernel.sh, in a container"
	printf 'ID=debian\nVERSION_CODENAME=trixie\n' >"$S/etc/os-release"
	devbox --kernel 6.12.48+deb13-amd64
	refused "add trixie-backports to apt's sources, then: sudo apt-get update && sudo apt-get install -t trixie-backports linux-image-amd64 linux-headers-amd64"
	stub apt-cache 'case "$*" in
		"policy linux-image-"*) echo "  Candidate: 6.12.48-1";;
		"madison linux-image-"*) printf " $2 | 7.3.4-1~bpo13+1 | x\n $2 | 6.12.48-1 | x\n";;
		esac'
	devbox --kernel 6.12.48+deb13-cloud-amd64
	refused "install it: sudo apt-get install -t trixie-backports linux-image-cloud-amd64 linux-headers-cloud-amd64"
	stub apt-cache '[ "$1" != policy ] || echo "  Candidate: 7.3.4-1"'
	devbox --kernel 6.12.48+deb13-amd64
	refused "install it: sudo apt-get install linux-image-amd64 linux-headers-amd64"
}

@test "devbox: headers are missing" {
	rm -r "$BUILD"
	devbox
	refused "kernel $R: its headers are missing; install them: sudo apt-get install linux-headers-$R"
	os fedora
	devbox
	refused "sudo dnf install kernel-devel-$R"
	os arch
	echo linux-zen >"$S/lib/modules/$R/pkgbase"
	devbox
	refused "sudo pacman -S linux-zen-headers"
	os gentoo
	devbox
	refused "install them from where the kernel came from"
}

@test "devbox: a kernel without Rust" {
	echo '# CONFIG_RUST is not set' >"$BUILD/.config"
	devbox
	refused "built without Rust" "sudo apt-get install -t trixie-backports linux-image-amd64"
	os arch
	devbox
	refused "built without Rust"
}

@test "devbox: a kernel without a configuration" {
	rm "$BUILD/.config"
	devbox
	refused "its configuration was not found"
	mkdir "$S/boot"
	echo '# CONFIG_RUST is not set' >"$S/boot/config-$R"
	devbox
	refused "built without Rust"
}

@test "devbox: another rustc, or none" {
	stub rustc 'echo "rustc 1.96.0 (abc)"'
	stub apt-cache '[ "$1 $2" = "madison rustc" ] && printf " rustc | 1.90.0-1 | x\n rustc | 1.85.1+dfsg1-1 | x\n"'
	devbox
	refused "built with $RUSTC_TEXT" "the rustc here is rustc 1.96.0 (abc)" \
		"sudo apt-get install --no-install-recommends rustc=1.85.1+dfsg1-1 rust-src=1.85.1+dfsg1-1"
	# Another build of the same version, which cannot read this metadata.
	stub rustc 'echo "rustc 1.85.1 (4eb161250 2025-03-15)"'
	devbox
	refused "the rustc here is rustc 1.85.1"
	stub apt-cache '[ "$1 $2" != "madison rustc" ] || printf " rustc | 1.96.0-2 | x\n rustc | 1.90.0-1 | x\n"'
	devbox
	refused "apt only has rustc 1.96.0-2 1.90.0-1" "sudo apt-get update"
	os ubuntu
	RUSTC=/nowhere devbox
	refused "sudo apt-get install rustc-1.85"
	os arch
	stub rustc 'echo "rustc 1.84.1 (e71f9a9a9 2025-01-27) (Arch Linux rust 1:1.84.1-1)"'
	devbox
	refused "sudo pacman -Syu rust rust-src"
	# Newer than the kernel's: upgrading rustc would not help.
	stub rustc 'echo "rustc 1.86.0 (05f9846f8 2025-03-31) (Arch Linux rust 1:1.86.0-1)"'
	devbox
	refused "which is newer" "sudo pacman -U /var/cache/pacman/pkg/rust{,-src}-*1.85.1-*"
}

@test "devbox: the C compiler is missing" {
	metadata
	sed -i 's/stub-cc/missing-cc-19/' "$BUILD/.config"
	devbox
	refused "a package is missing; install it: sudo apt-get install --no-install-recommends missing-cc-19"
	os fedora
	devbox
	refused "missing-cc-19 is missing; install it: sudo dnf install missing-cc"
	os arch
	devbox
	refused "sudo pacman -S missing-cc"
	os gentoo
	devbox
	refused "missing-cc-19 is missing; install it: use the package manager of this system for missing-cc"
}

@test "devbox: files that an earlier run with sudo has left" {
	metadata
	local as=()
	# Without this capability, root has to respect the mode as well.
	[ "$(/usr/bin/id -u)" -ne 0 ] || as=(setpriv --bounding-set -dac_override)
	mkdir -p "$DOOR/build/log"
	: >"$DOOR/build/log/devbox-module.log"
	chmod 444 "$DOOR/build/log/devbox-module.log"
	run "${as[@]}" "$DOOR/build-kernel.sh" devbox
	refused "cannot write to $DOOR/build/log/devbox-module.log" "sudo chown -R " ": $VFIFO_CACHE $DOOR/build"
	rm -f "$DOOR/build/log/devbox-module.log"
	echo "process 1, devbox" >"$VFIFO_CACHE/lock"
	chmod 444 "$VFIFO_CACHE/lock"
	run "${as[@]}" "$DOOR/build-kernel.sh" devbox
	refused "cannot write to $VFIFO_CACHE/lock"
	chmod 644 "$VFIFO_CACHE/lock"
	run "${as[@]}" "$DOOR/build-kernel.sh" devbox
	ok
}

@test "devbox: headers that have metadata are used as they are" {
	metadata
	os arch
	devbox
	ok
	[[ $output == *"rust_vfifo.ko is for kernel $R"* ]]
	grep -q "^make -C $BUILD M=$DOOR/samples-rust-vfifo " "$HERE/made"
	[ ! -e "$VFIFO_CACHE/devbox" ]
}

@test "devbox: a kernel that was compiled with clang" {
	metadata
	printf 'CONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT="%s"\nCONFIG_CC_IS_CLANG=y\nCONFIG_CLANG_VERSION=190107\n%s\n' \
		"$RUSTC_TEXT" 'CONFIG_CC_VERSION_TEXT="Debian clang version 19.1.7 (3)"' >"$BUILD/.config"
	stub clang-19 'exit 0'
	stub ld.lld-19 'exit 0'
	stub llvm-ar-19 'exit 0'
	devbox
	ok
	grep -q "^make -C $BUILD .* LLVM=-19 " "$HERE/made"
	# The compiler alone is not enough.
	sed -i 's/CLANG_VERSION=190107/CLANG_VERSION=310100/' "$BUILD/.config"
	stub clang-31 'exit 0'
	devbox
	refused "sudo apt-get install --no-install-recommends lld-31 llvm-31"
	os fedora
	devbox
	refused "ld.lld-31 is missing; install it: sudo dnf install lld"
}

# Runs make in the folder of the driver. The make that it calls is the stub.
module() { run env "PATH=$STUBS:$PATH" /usr/bin/make -s -C "$DOOR/samples-rust-vfifo" "KDIR=$BUILD" "$@"; }

module_refused() { # TEXT...: one line with all of that in it, and make's own
	echo "$output"
	[ "$status" -ne 0 ]
	[ "$(grep -c '^vfifo: ' <<<"$output")" -eq 1 ]
	local text
	for text; do [[ $output == *"vfifo: "*"$text"* ]]; done
	[ ! -e "$DOOR/samples-rust-vfifo/rust_vfifo.ko" ]
}

@test "make in samples-rust-vfifo: builds, installs, cleans" {
	local before
	metadata
	before=$(find "$DOOR/samples-rust-vfifo" | sort)
	module
	ok
	[ -e "$DOOR/samples-rust-vfifo/rust_vfifo.ko" ]
	grep -qx "make -C $BUILD M=$DOOR/samples-rust-vfifo MO=$DOOR/build/module CC=stub-cc RUSTC=$STUBS/rustc modules" "$HERE/made"
	module modules_install
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"vfifo: nothing is built yet; run make first"* ]]
	: >"$DOOR/build/module/modules.order"
	# Debian's headers have neither a key nor a System.map, so kbuild neither signs nor runs depmod.
	stub depmod 'echo "depmod $*" >>"'"$HERE"'/depmod"'
	INSTALL_MOD_PATH=$HERE/root module modules_install
	ok
	grep -qx "make -C $BUILD .* modules_install CONFIG_MODULE_SIG_ALL=" "$HERE/made"
	[ "$(cat "$HERE/depmod")" = "depmod -b $HERE/root $R" ]
	echo 'CONFIG_MODULE_SIG_KEY="certs/key.pem"' >>"$BUILD/.config"
	mkdir "$BUILD/certs"
	: >"$BUILD/certs/key.pem"
	: >"$BUILD/System.map"
	rm "$HERE/depmod" "$HERE/made"
	module modules_install
	ok
	grep -qx "make -C $BUILD .* modules_install" "$HERE/made"
	[ ! -e "$HERE/depmod" ]
	: >"$DOOR/samples-rust-vfifo/modules.order"
	module modules
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"remove them: make clean"* ]]
	module clean
	ok
	[ ! -e "$DOOR/build/module" ]
	[ "$(find "$DOOR/samples-rust-vfifo" | sort)" = "$before" ]
}

@test "make in samples-rust-vfifo: after sudo, the files are the user's" {
	[ "$(/usr/bin/id -u)" -eq 0 ] || skip "needs root to change the owner"
	metadata
	chown -R 1000:1000 "$DOOR"
	stub id 'echo 0'
	SUDO_UID=1000 SUDO_GID=1000 module
	ok
	[ -e "$DOOR/build/module/rust_vfifo.ko" ]
	[ -z "$(find "$DOOR/build" -user 0)" ]
}

@test "make in samples-rust-vfifo: help, and the running kernel is the default" {
	run env "PATH=$STUBS:$PATH" /usr/bin/make -s -C "$DOOR/samples-rust-vfifo" help
	ok
	local target
	for target in modules_install clean KDIR= "/lib/modules/$R/build"; do [[ $output == *"$target"* ]]; done
}

@test "make in samples-rust-vfifo: explains what is missing as devbox does" {
	echo '# CONFIG_RUST is not set' >"$BUILD/.config"
	module
	module_refused "kernel $R: it was built without Rust support"
	rm -r "$BUILD"
	module
	module_refused "its headers are missing; install them: sudo apt-get install linux-headers-$R"
	os fedora
	mkdir -p "$BUILD"
	: >"$BUILD/Makefile"
	printf 'CONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT="%s"\nCONFIG_CC_VERSION_TEXT="stub-cc 1"\n' "$RUSTC_TEXT" >"$BUILD/.config"
	module
	module_refused "its headers have no Rust metadata"
	[ ! -e "$HERE/made" ]
}

@test "make in samples-rust-vfifo: on Debian, with the metadata that devbox has made" {
	debian
	debian_source
	module
	module_refused "its headers have no Rust metadata; make it once: ./build-kernel.sh devbox"
	devbox
	ok
	module
	ok
	grep -q "^make -C $VFIFO_CACHE/devbox/$R/obj M=$DOOR/samples-rust-vfifo MO=$DOOR/build/module " "$HERE/made"
}

@test "make in samples-rust-vfifo: KDIR" {
	local folder=$HERE/objects
	module "KDIR=$folder"
	module_refused "$folder is not the build folder of a kernel"
	mkdir -p "$folder/include/config"
	echo 7.3.4-mine >"$folder/include/config/kernel.release"
	module "KDIR=$folder"
	module_refused "kernel 7.3.4-mine: its configuration is not in $folder"
	cp "$BUILD/.config" "$folder/include/config/auto.conf"
	module "KDIR=$folder"
	module_refused "has no Rust metadata (rust/libkernel.rmeta); build that kernel first"
	mkdir "$folder/rust"
	: >"$folder/rust/libkernel.rmeta"
	: >"$folder/rust/libmacros.so"
	module "KDIR=$folder"
	ok
	grep -q "^make -C $folder M=$DOOR/samples-rust-vfifo " "$HERE/made"
	rm "$DOOR/samples-rust-vfifo/rust_vfifo.ko"
	echo 6.12.0 >"$folder/include/config/kernel.release"
	module "KDIR=$folder"
	module_refused "kernel 6.12.0: the module is for Linux 7.2 or 7.3"
}

@test "devbox: a module that came out for another kernel" {
	metadata
	stub modinfo 'echo 7.3.5 SMP'
	devbox
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"came out for kernel 7.3.5 SMP, not for $R"* ]]
}

@test "devbox: no metadata, and no way to make it" {
	os ubuntu
	devbox
	refused "sudo apt-get install linux-lib-rust-$R"
	os fedora
	devbox
	refused "its headers have no Rust metadata"
}

# A Debian with everything that is needed; tests remove parts of it.
debian() {
	local command
	for command in bindgen flex bison bc xz pahole perl python3; do stub $command 'exit 0'; done
	mkdir -p "$S/usr/include/openssl" "$HERE/sysroot/lib/rustlib/src/rust/library/core/src"
	: >"$S/usr/include/stdio.h"
	: >"$S/usr/include/libelf.h"
	: >"$S/usr/include/openssl/opensslv.h"
	: >"$HERE/sysroot/lib/rustlib/src/rust/library/core/src/lib.rs"
	SOURCE=1
	dpkg_query
}

dpkg_query() {
	stub dpkg-query "case \"\$*\" in
		*linux-headers-*) echo 'installed 7.3.4-1~bpo13+1';;
		*linux-source-*) echo 'installed 7.3.4-$SOURCE~bpo13+1';;
		*libelf1t64*) echo 'installed 0.194-1~bpo13+1';;
		*) exit 1;; esac"
}

# A source package of a few files, and a stub for kbuild that makes metadata from it.
debian_source() {
	mkdir -p "$HERE/tar/linux-source-7.3/drivers"
	echo x >"$HERE/tar/linux-source-7.3/drivers/a.c"
	echo x >"$HERE/tar/linux-source-7.3/drivers/Kconfig"
	tar c -C "$HERE/tar" linux-source-7.3 | /usr/bin/xz >"$S/usr/src/linux-source-7.3.tar.xz"
	rm "$STUBS/xz"
	printf '#define CONFIG_RUST 1\n#define CONFIG_MODULE_SIG_KEY "theirs"\n' >"$BUILD/include/generated/autoconf.h"
	: >"$BUILD/Module.symvers"
	stub make 'echo "make $*" >>"'"$HERE"'/made"
		for a; do case $a in MO=*) : >"${a#MO=}/rust_vfifo.ko";; O=*) o=${a#O=};; kernelversion) echo 7.3.4;; esac; done
		case "$*" in
		*modules_prepare)
			[ ! -e "'"$HERE"'/fails" ] || exit 1
			mkdir -p "$o/include/generated" "$o/include/config" "$2/arch/x86" "$2/lib"
			cp "'"$HERE"'/autoconf.h" "$o/include/generated/"
			echo "include $2/Makefile" >"$o/Makefile"
			ln -s "$2" "$o/source"
			echo '"$R"' >"$o/include/config/kernel.release" ;;
		esac'
	printf '#define CONFIG_MODULE_SIG_KEY ""\n#define CONFIG_RUST 1\n' >"$HERE/autoconf.h"
}

@test "devbox: on Debian, packages are named with the version that fits" {
	debian
	SOURCE=0
	dpkg_query
	rm "$S/usr/include/libelf.h" "$S/usr/include/stdio.h" "$HERE/sysroot/lib/rustlib/src/rust/library/core/src/lib.rs"
	stub apt-cache 'case "$*" in
		"madison linux-source-7.3") echo " linux-source-7.3 | 7.3.4-1~bpo13+1 | x";;
		"policy libelf-dev") echo "  Candidate: 0.192-4";;
		"madison libelf-dev") printf " libelf-dev | 0.194-1~bpo13+1 | x\n libelf-dev | 0.192-4 | x\n";;
		esac'
	devbox
	refused "kernel $R: 4 packages are missing; install them: sudo apt-get install --no-install-recommends linux-source-7.3=7.3.4-1~bpo13+1 libc6-dev libelf-dev=0.194-1~bpo13+1 rust-src"
}

@test "devbox: on Debian, with nothing installed" {
	debian
	rm -r "${S:?}/usr" "$STUBS"/{bindgen,flex,bison,bc,pahole,rustc}
	stub dpkg-query 'case "$*" in *linux-headers-*) echo "installed 7.3.4-1~bpo13+1";; *) exit 1;; esac'
	stub apt-cache 'case "$*" in
		"madison linux-source-7.3") echo " linux-source-7.3 | 7.3.4-1~bpo13+1 | x";;
		"madison rustc") echo " rustc | 1.85.1+dfsg1-1 | x";;
		esac'
	# Files of this machine, rather than of the simulated one, do not count.
	mkdir "$HERE/bin"
	ln -s /usr/bin/{bash,sed,awk,grep,cat,head,wc,sha256sum,cut,mkdir,rm,mv,dirname,flock,df,nproc,mktemp,tail,find,paste,sort} "$HERE/bin/"
	sed -i "s,^LIB_PATH=.*,LIB_PATH=$STUBS:$HERE/bin," "$DOOR"/steps/*/main.sh
	sed -i "s,/usr/bin/rustc,/nowhere," "$DOOR/steps/devbox/kdir.sh"
	devbox
	refused "11 packages are missing; install them: sudo apt-get install --no-install-recommends rustc=1.85.1+dfsg1-1 rust-src=1.85.1+dfsg1-1 linux-source-7.3=7.3.4-1~bpo13+1 bindgen flex bison bc" \
		"libc6-dev libelf-dev libssl-dev"
}

@test "devbox: on Debian, the source of an older kernel" {
	debian
	SOURCE=2
	dpkg_query
	stub apt-cache '[ "$1" != madison ] || echo " $2 | 7.3.6-1~bpo13+1 | x"'
	devbox
	refused "apt no longer has its source, only that of 7.3.6-1~bpo13+1" \
		"sudo apt-get install -t trixie-backports linux-image-amd64 linux-headers-amd64"
}

@test "devbox: on Debian, metadata is made once" {
	debian
	debian_source
	devbox
	ok
	K=$VFIFO_CACHE/devbox/$R
	grep -q "^make -C $K/src O=$K/obj CC=stub-cc .* LOCALVERSION=+deb13-amd64 .*modules_prepare" "$HERE/made"
	[ -e "$K/obj/Module.symvers" ]
	[ ! -e "$K/src/drivers" ]
	rm "$HERE/made"
	devbox
	ok
	run ! grep -q modules_prepare "$HERE/made"
	# A kernel of the same name with another configuration needs new metadata.
	echo CONFIG_NEW=y >>"$BUILD/.config"
	devbox
	ok
	grep -q modules_prepare "$HERE/made"
}

@test "devbox: on Debian, incomplete metadata is made again" {
	debian
	debian_source
	touch "$HERE/fails"
	devbox
	[ "$status" -ne 0 ]
	[[ $output == *"the first error is in the log"* ]]
	rm "$HERE/fails"
	devbox
	ok
}

@test "devbox: metadata for a slightly different configuration is refused" {
	debian
	debian_source
	echo '#define CONFIG_SMP 1' >>"$HERE/autoconf.h"
	devbox
	echo "$output"
	[ "$status" -ne 0 ]
	grep -q '> CONFIG_SMP 1' "$DOOR/build/log/devbox-metadata.log"
	[ ! -e "$VFIFO_CACHE/devbox/$R/stamp" ]
}

@test "devbox --load: fails before building if the module cannot be loaded" {
	metadata
	devbox --load
	refused "loading a module needs root: sudo ./build-kernel.sh devbox --load"
	stub id 'echo 0'
	devbox --load --kernel 7.3.9
	refused "kernel 7.3.9 is not the one that is running"
	mkdir -p "$S/sys/module/rust_vfifo"
	devbox --load
	refused "sudo rmmod rust_vfifo"
	rm -r "$S/sys/module/rust_vfifo"
	# The tour is partly in Python.
	mkdir "$HERE/bin"
	ln -s /usr/bin/{bash,sed,grep,cat,head,wc,dirname,basename,flock,mkdir,rm,mv,find,od,tr,tail,stat,id} "$HERE/bin/"
	sed -i "s,^LIB_PATH=.*,LIB_PATH=$STUBS:$HERE/bin," "$DOOR"/steps/*/main.sh
	devbox --load
	refused "python3 is missing; install it: sudo apt-get install --no-install-recommends python3"
	[ ! -e "$HERE/made" ]
}

@test "devbox --load: explains enforced signatures" {
	metadata
	stub id 'echo 0'
	mkdir -p "$S/sys/module/module/parameters" "$S/sys/kernel/security" "$S/sys/firmware/efi/efivars"
	echo Y >"$S/sys/module/module/parameters/sig_enforce"
	devbox --load
	refused "only modules signed with a key that it trusts (module.sig_enforce is set)" "sudo mokutil --import"
	printf '\6\0\0\0\1' >"$S/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	echo 'none [integrity] confidentiality' >"$S/sys/kernel/security/lockdown"
	devbox --load
	refused "it is locked down (Secure Boot is on)"
	# The message has the path that dkms uses on that system.
	[[ $output == *"sudo mokutil --import /var/lib/dkms/mok.pub, "* ]]
	os ubuntu
	devbox --load
	refused "sudo mokutil --import /var/lib/shim-signed/mok/MOK.der, "
	mkdir -p "$S/etc/dkms/framework.conf.d"
	echo '# mok_certificate=/no' >"$S/etc/dkms/framework.conf"
	echo 'mok_certificate="/keys/$kernelver.der"' >"$S/etc/dkms/framework.conf.d/mine.conf"
	devbox --load
	refused "sudo mokutil --import /keys/$R.der, "
	os debian
	# Building works, and mentions the problem.
	devbox
	ok
	[[ $output == *"loads only modules signed"* ]]
	echo N >"$S/sys/module/module/parameters/sig_enforce"
	echo '[none] integrity confidentiality' >"$S/sys/kernel/security/lockdown"
	devbox
	ok
	[[ $output != *signed* ]]
}

@test "devbox --load: takes the tour, and leaves the module loaded" {
	metadata
	stub id 'echo 0'
	stub insmod 'echo "insmod $*"'
	echo 'echo "tour of $1"' >"$DOOR/steps/tour/tour.sh"
	devbox --load
	ok
	[[ $output == *"tour of $DOOR/build/devbox/$R/rust_vfifo.ko"*"insmod $DOOR/build/devbox/$R/rust_vfifo.ko"* ]]
	echo 'false' >"$DOOR/steps/tour/tour.sh"
	devbox --load
	[ "$status" -ne 0 ]
	[[ $output == *"a check of the tour failed"* ]]
}

# A stub with the part of dkms that is used.
with_dkms() {
	stub id 'echo 0'
	stub modprobe 'exit 0'
	stub dkms 'echo "dkms $*" >>"'"$HERE"'/dkms"; D="'"$S"'/var/lib/dkms/$2"
		case $1 in add) mkdir -p "$D";; remove) rm -r "$D";; install) touch "$D/installed";;
		status) [ ! -e "$D/installed" ] || echo "$2, $R, x86_64: installed";; esac'
}

@test "devbox --dkms: not root, or no dkms" {
	metadata
	devbox --dkms
	refused "installing a module needs root"
	stub id 'echo 0'
	[ -z "$(PATH=/usr/bin:/usr/sbin command -v dkms)" ] || skip "dkms is installed here"
	devbox --dkms
	refused "sudo apt-get install --no-install-recommends dkms"
}

@test "devbox --dkms: installs, upgrades, removes" {
	metadata
	with_dkms
	# Objects that make -C KDIR M=... has left there.
	mkdir -p "$DOOR/samples-rust-vfifo/include/uapi/linux"
	: >"$DOOR/samples-rust-vfifo/include/uapi/linux/vfifo.h"
	devbox --dkms
	ok
	first=$(ls "$S/usr/src")
	[[ $first == vfifo-1.* ]]
	(
		export kernelver=$R PATH=$STUBS:$PATH
		# shellcheck source=/dev/null
		. "$S/usr/src/$first/dkms.conf"
		[ "$PACKAGE_NAME-$PACKAGE_VERSION" = "$first" ]
		[[ $R =~ $BUILD_EXCLUSIVE_KERNEL && ! 7.30.1 =~ $BUILD_EXCLUSIVE_KERNEL && ! 6.12.1 =~ $BUILD_EXCLUSIVE_KERNEL ]]
		[ "${MAKE[0]}" = "bash steps/devbox/dkms.sh build $R" ]
		[ -x "$S/usr/src/$first/${POST_REMOVE%% *}" ]
	)
	# If something is missing for a kernel, installing that kernel does not fail.
	(
		export kernelver=7.3.5 PATH=$STUBS:$PATH
		# shellcheck source=/dev/null
		. "$S/usr/src/$first/dkms.conf" 2>"$HERE/said"
		[[ ! $kernelver =~ $BUILD_EXCLUSIVE_KERNEL ]]
		grep -q '^vfifo: kernel 7.3.5 is not installed' "$HERE/said"
	)
	# The sources are there, and no objects.
	[ ! -e "$S/usr/src/$first/samples-rust-vfifo/include" ]
	cmp "$DOOR/rust-kernel/external.rs" "$S/usr/src/$first/rust-kernel/external.rs"
	[ -e "$S/usr/src/$first/samples-rust-vfifo/Kbuild" ]
	(cd "$S/usr/src/$first" && sha256sum --quiet --strict -c SHA256SUMS)
	# shellcheck disable=SC2013,SC2016
	for file in $(grep -o '$(src)/\.\./[a-z/-]*[.][a-z]*' "$DOOR/samples-rust-vfifo/Kbuild" | sort -u); do
		[ -e "$S/usr/src/$first/${file#*../}" ]
	done
	# The same again does nothing.
	: >"$HERE/dkms"
	devbox --dkms
	ok
	[ "$(ls "$S/usr/src")" = "$first" ]
	run ! grep -E 'add|build|remove' "$HERE/dkms"
	# Other sources are another version, which replaces the first.
	echo '// new' >>"$DOOR/rust-kernel/mm/mmap.rs"
	devbox --dkms
	ok
	second=$(ls "$S/usr/src")
	[[ $second == vfifo-1.* && $second != *$'\n'* && $second != "$first" ]]
	grep -q "^dkms remove vfifo/${first#vfifo-} --all" "$HERE/dkms"
	devbox --remove
	ok
	[ -z "$(find "$S/usr/src" "$S/var/lib/dkms/vfifo" -mindepth 1)" ]
	[ -z "$(find "$S" -name '*vfifo.*')" ]
}

@test "devbox --dkms: installs the udev rule and the examples, but does not load the module at boot" {
	local rule=$S/usr/lib/udev/rules.d/70-vfifo.rules examples=$S/usr/share/doc/vfifo/examples
	metadata
	with_dkms
	# The rule is installed before the module creates its nodes.
	stub modprobe '[ -e "'"$rule"'" ]'
	devbox --dkms
	ok
	[[ $output == *"it is not loaded at boot; to have that: sudo cp $examples/vfifo.modules-load.conf /etc/modules-load.d/vfifo.conf"* ]]
	cmp "$REAL/etc/70-vfifo.rules" "$rule"
	cmp "$REAL/etc/vfifo.modules-load.conf" "$examples/vfifo.modules-load.conf"
	cmp "$REAL/etc/vfifo.modprobe.conf" "$examples/vfifo.modprobe.conf"
	[ "$(stat -c %a "$rule" "$examples"/* | sort -u)" = 644 ]
	[ -z "$(find "$S/etc" -name '*vfifo*')" ]
	# --remove does not undo what the user has enabled.
	mkdir -p "$S/etc/modules-load.d"
	cp "$examples/vfifo.modules-load.conf" "$S/etc/modules-load.d/vfifo.conf"
	devbox --remove
	ok
	[[ $output == *"$S/etc/modules-load.d/vfifo.conf is left"*"sudo rm $S/etc/modules-load.d/vfifo.conf"* ]]
	[[ $output != *modprobe.d* ]]
	[ ! -e "$rule" ]
	[ ! -e "$S/usr/share/doc/vfifo" ]
	[ -e "$S/etc/modules-load.d/vfifo.conf" ]
}

@test "devbox --dkms and --remove: a udev rule and documents that are not ours" {
	local rule=$S/usr/lib/udev/rules.d/70-vfifo.rules
	metadata
	with_dkms
	mkdir -p "${rule%/*}" "$S/usr/share/doc/vfifo"
	echo '# mine' >"$rule"
	: >"$S/usr/share/doc/vfifo/theirs"
	devbox --dkms
	refused "$rule exists and is not ours; move it to /etc/udev/rules.d"
	[ ! -e "$HERE/dkms" ]
	devbox --remove
	ok
	[ "$(cat "$rule")" = '# mine' ]
	[ -e "$S/usr/share/doc/vfifo/theirs" ]
}

@test "devbox --dkms and --remove: the udev rule of the package vfifo-tools" {
	local rule=$S/usr/lib/udev/rules.d/70-vfifo.rules list=$S/var/lib/dpkg/info/vfifo-tools.list
	metadata
	with_dkms
	mkdir -p "${rule%/*}" "${list%/*}"
	{ cat "$REAL/etc/70-vfifo.rules"; echo '# packaged'; } >"$rule"
	printf '%s\n' /usr/lib/udev/rules.d /usr/lib/udev/rules.d/70-vfifo.rules >"$list"
	devbox --dkms
	ok
	grep -qx '# packaged' "$rule"
	[ -e "$S/usr/share/doc/vfifo/examples/vfifo.modprobe.conf" ]
	devbox --remove
	ok
	grep -qx '# packaged' "$rule"
	# Without that package it is replaced and removed.
	rm "$list"
	devbox --dkms
	ok
	cmp "$REAL/etc/70-vfifo.rules" "$rule"
	devbox --remove
	ok
	[ ! -e "$rule" ]
}

@test "devbox --dkms: what root installs belongs to root, and was made by root" {
	[ "$(/usr/bin/id -u)" -eq 0 ] || skip "needs root to change the owner"
	debian
	debian_source
	# A user's clone, and metadata that the user has made.
	devbox
	ok
	chown -R 1000:1000 "$DOOR" "$VFIFO_CACHE/devbox"
	chmod -R g+w "$DOOR"
	with_dkms
	: >"$HERE/made"
	devbox --dkms
	ok
	local sources K=$S/var/cache/vfifo/$R
	sources=$(echo "$S"/usr/src/vfifo-*)
	[ -z "$(find "$sources" "$S/var/cache/vfifo" \( ! -user 0 -o ! -group 0 -o -perm /022 \) ! -type l)" ]
	# The user's metadata was not used.
	grep -q "^make -C $K/src O=$K/obj .*modules_prepare" "$HERE/made"
	# Files that are changed there afterwards are not built.
	echo '$(shell touch evil)' >>"$sources/samples-rust-vfifo/Kbuild"
	: >"$HERE/made"
	run env PATH="$STUBS:$PATH" bash "$sources/steps/devbox/dkms.sh" build "$R"
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"vfifo: the files in $sources are not those that were installed; install them again: ./build-kernel.sh devbox --dkms" ]]
	[ ! -s "$HERE/made" ]
	# Installing again corrects it.
	devbox --dkms
	ok
	run ! grep -r evil "$sources"
	run env PATH="$STUBS:$PATH" bash "$sources/steps/devbox/dkms.sh" build "$R"
	ok
	[ -s "$HERE/made" ]
}

@test "devbox --dkms: a modified source package is refused" {
	debian
	debian_source
	with_dkms
	stub dpkg "echo '??5?????? $S/usr/src/linux-source-7.3.tar.xz'"
	devbox --dkms
	[ "$status" -ne 0 ]
	grep -q "is not as Debian's package has it; install the package again" "$DOOR/build/log/devbox-metadata.log"
	[ "$(ls "$S/usr/src")" = linux-source-7.3.tar.xz ]
}

@test "devbox --dkms and --remove: files that are not ours stay" {
	metadata
	with_dkms
	mkdir -p "$S/usr/src/vfifo-2.0"
	echo theirs >"$S/usr/src/vfifo-2.0/dkms.conf"
	devbox --dkms
	ok
	devbox --remove
	ok
	[ "$(ls "$S/usr/src")" = vfifo-2.0 ]
	[ "$(cat "$S/usr/src/vfifo-2.0/dkms.conf")" = theirs ]
}

@test "devbox --dkms: waits for another build" {
	metadata
	with_dkms
	devbox --dkms
	ok
	local sources
	sources=$(echo "$S"/usr/src/vfifo-*)
	sed -i 's/flock -w 1800/flock -w 1/' "$sources/steps/devbox/kdir.sh"
	mkdir -p "$S/run"
	exec 6>>"$S/run/vfifo-dkms.lock"
	flock 6
	run env PATH="$STUBS:$PATH" bash "$sources/steps/devbox/dkms.sh" build "$R" 6>&-
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"another build of vfifo has not ended"* ]]
}

@test "devbox --dkms: a key that is not trusted yet" {
	metadata
	with_dkms
	stub modprobe 'echo "modprobe: ERROR: Key was rejected by service" >&2; exit 1'
	mkdir -p "$S/sys/module/module/parameters"
	echo Y >"$S/sys/module/module/parameters/sig_enforce"
	devbox --dkms
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"its key is not trusted yet"*"mokutil --import /var/lib/dkms/mok.pub"* ]]
}

@test "devbox --remove: a device is open" {
	with_dkms
	mkdir -p "$S/sys/module/rust_vfifo"
	stub rmmod 'exit 1'
	mkdir -p "$S/var/cache/vfifo/$R"
	devbox --remove
	[ "$status" -ne 0 ]
	[[ $output == *"still loaded"* ]]
	# Everything else was removed.
	[ ! -e "$S/var/cache/vfifo" ]
}

@test "devbox --remove: dkms is no longer installed" {
	[ -z "$(PATH=/usr/bin:/usr/sbin command -v dkms)" ] || skip "dkms is installed here"
	stub id 'echo 0'
	mkdir -p "$S/usr/src/vfifo-1.0/steps/devbox" "$S/var/lib/dkms/vfifo/1.0"
	: >"$S/usr/src/vfifo-1.0/steps/devbox/dkms.sh"
	devbox --remove
	refused "dkms is missing; install it: sudo apt-get install --no-install-recommends dkms"
	[ -e "$S/usr/src/vfifo-1.0" ]
	rm -r "$S/var/lib/dkms/vfifo/1.0"
	devbox --remove
	ok
	[ ! -e "$S/usr/src/vfifo-1.0" ]
}

@test "doctor: prints what works and what is missing; leaves nothing behind" {
	metadata
	os arch
	before=$(find "$HERE" | sort)
	run "$DOOR/build-kernel.sh" doctor
	ok
	[[ $output == *"kernel $R"* ]]
	grep -q '^  works   load it on this box ' <<<"$output"
	stub rustc 'echo "rustc 1.96.0 (abc)"'
	run "$DOOR/build-kernel.sh" doctor
	ok
	grep -A1 '^  lacks   load it on this box ' <<<"$output" | grep -q 'built with rustc 1.85.1 .*sudo pacman'
	grep -A1 '^  lacks   ... and keep it ' <<<"$output" | grep -qx '          see above: load it on this box'
	[ "$(grep -c 'built with rustc 1.85.1' <<<"$output")" -eq 1 ]
	[ "$(find "$HERE" | sort)" = "$before" ]
}

@test "doctor: missing packages" {
	printf 'ID=debian\nVERSION_ID="12"\n' >"$S/etc/os-release"
	run "$DOOR/build-kernel.sh" doctor
	ok
	grep -A1 '^  lacks   try it in an emulator ' <<<"$output" | grep -q 'sudo apt-get update && sudo apt-get install --no-install-recommends .*clang-'
	grep -A1 '^  lacks   hack on it ' <<<"$output" | grep -q 'see above: try it in an emulator'
	stub dpkg-query 'echo installed'
	run "$DOOR/build-kernel.sh" doctor
	ok
	run ! grep -q 'packages are missing: .*clang-' <<<"$output"
}

@test "deps: on other systems, the programs are enough" {
	stub id 'echo 0'
	stub apt-get 'echo "$*" >>"'"$HERE"'/apt"; exit 100'
	echo 'DEPS_COMMANDS=(bash no-cc no-ld) DEPS_LLVM=()' >>"$DOOR/steps/kernel/deps.sh"
	for os in ubuntu fedora; do
		printf 'ID=%s\nVERSION_ID="26.10"\n' $os >"$S/etc/os-release"
		run "$DOOR/build-kernel.sh" deps
		refused "missing here: no-cc, no-ld, " "the source of Rust's library; these scripts install packages only on Debian 12" "in a container of it"
	done
	# As after a first run. cargo and pip make the rest, as on Debian 12.
	mkdir -p "$HERE/sysroot/lib/rustlib/src/rust/library" "$VFIFO_CACHE/venv"
	for command in no-cc no-ld qemu-system-x86_64; do stub $command 'exit 0'; done
	mkdir -p "$VFIFO_CACHE/tools/bin"
	printf '#!/bin/sh\necho bindgen %s\n' "$(sed -n 's/^VERSION_BINDGEN=//p' "$DOOR/steps/versions.sh")" >"$VFIFO_CACHE/tools/bin/bindgen"
	chmod +x "$VFIFO_CACHE/tools/bin/bindgen"
	cp "$DOOR/steps/kernel/requirements.txt" "$VFIFO_CACHE/venv/"
	run "$DOOR/build-kernel.sh" deps
	ok
	[ ! -e "$HERE/apt" ]
}

@test "doctor: on other systems" {
	os fedora
	echo 'DEPS_COMMANDS=(bash no-cc) DEPS_LLVM=()' >>"$DOOR/steps/kernel/deps.sh"
	# Enough free space, whatever this machine has.
	mkdir -p "$HERE/sysroot/lib/rustlib/src/rust/library" "$VFIFO_CACHE/linux-7.3.4/x86/arch/x86/boot"
	: >"$VFIFO_CACHE/linux-7.3.4/x86/arch/x86/boot/bzImage"
	for command in qemu-system-x86_64 bats shellcheck mandoc; do stub $command 'exit 0'; done
	stub apt-get 'exit 127'
	run "$DOOR/build-kernel.sh" doctor
	ok
	grep -A1 '^  lacks   try it in an emulator ' <<<"$output" | grep -q 'missing here: no-cc; these'
	stub no-cc 'exit 0'
	run "$DOOR/build-kernel.sh" doctor
	ok
	grep -A1 '^  lacks   try it in an emulator ' <<<"$output" | grep -q 'Linux 7.3; get linux-7.3.4.tar.xz from kernel.org'
	run "$DOOR/build-kernel.sh" --tree "$HERE" doctor
	ok
	grep -q '^  works   try it in an emulator ' <<<"$output"
	grep -q '^  works   hack on it ' <<<"$output"
	mkdir -p "$VFIFO_CACHE/linux-7.3.4/git/refs/vfifo/base"
	run "$DOOR/build-kernel.sh" doctor
	ok
	grep -q '^  works   try it in an emulator ' <<<"$output"
}

@test "deb: on other systems" {
	os fedora
	echo 'DEB_TOOLS=(no-dpkg:dpkg-dev no-dh:debhelper)' >>"$DOOR/steps/kernel/deb.sh"
	run "$DOOR/build-kernel.sh" deb
	refused "deb: missing here: dpkg-dev debhelper; install them: sudo dnf install dpkg-dev debhelper"
}

@test "devbox --test: not root, or missing programs" {
	devbox --test
	refused "needs root"
	stub id 'echo 0'
	cat >>"$DOOR/steps/kernel/guest.sh" <<<'GUEST_QEMU=qemu-that-is-not-there'
	# The packages have other names there, so nothing is installed.
	os fedora
	devbox --test
	refused "qemu-system-x86" "sudo dnf install "
}

@test "devbox --test: a guest is booted again, once, if the emulator fails while booting" {
	cat >"$HERE/box" <<-'END'
		set -eu
		for step in versions lib system kernel/guest kernel/box; do . "$DOOR/steps/$step.sh"; done
		BOX=$HERE/root
		box_qemu() {
			echo "after $1 s" >>"$BOX/boots"
			if [ "$(wc -l <"$BOX/boots")" -le "$SLIPS" ]; then echo "Oops: int3: 0000"; echo "Kernel panic - not syncing"; return; fi
			cd "$GUEST_DIR" && : >booted && bash ./command >output && echo $? >status
		}
		box_boot 60 "$R" "" "echo hello"
		echo "end: $GUEST_END"
	END
	export CACHE=$VFIFO_CACHE DOOR R HERE LOGS=$HERE ACCEL=tcg DEBUG='' VFIFO_SCALE=2 SLIPS=1
	mkdir "$HERE/root"
	run bash "$HERE/box"
	ok
	[[ $output == *"retrying once"*hello*"end: exit" ]]
	[ "$(cat "$HERE/root/boots")" = $'after 120 s\nafter 120 s' ]
	rm "$HERE/root/boots"
	SLIPS=2 run bash "$HERE/box"
	ok
	[[ $output == *"end: crash" ]]
	[ "$(wc -l <"$HERE/root/boots")" -eq 2 ]
}

@test "devbox --test: installs the missing packages" {
	cat >"$HERE/box" <<-'END'
		set -eu
		for step in versions lib system kernel/guest devbox/kdir kernel/fetch kernel/box; do . "$DOOR/steps/$step.sh"; done
		box_needs "devbox --test"
		echo "virtiofsd: $BOX_VIRTIOFSD"
	END
	# A stub for apt that installs what it is asked for.
	stub apt-get 'echo "apt-get $*" >>"$HERE/apt"
		[ ! -e "$HERE/offline" ] || exit 100
		put() { mkdir -p "${1%/*}"; printf "#!/bin/sh\n" >"$1"; chmod +x "$1"; }
		for a; do case $a in
		mmdebstrap) put "$STUBS/mmdebstrap" ;;
		qemu-system-x86) put "$STUBS/qemu-system-x86_64" ;;
		qemu-system-common) put "$S/usr/lib/qemu/virtiofsd" ;;
		virtiofsd) put "$S/usr/libexec/virtiofsd" ;;
		esac; done'
	stub id 'echo 0'
	mkdir "$HERE/bin"
	ln -s /usr/bin/{bash,sh,sed,awk,grep,cat,head,tail,dirname,mkdir,chmod,df,sleep} "$HERE/bin/"
	export CACHE=$VFIFO_CACHE DOOR HERE STUBS S LOGS=$HERE GUEST_SCALE=1
	needs() { PATH=$STUBS:$HERE/bin run "$HERE/bin/bash" "$HERE/box"; }
	installed() { grep -- '--no-install-recommends' "$HERE/apt" | grep -v -- --download-only | sed 's/.*--no-install-recommends //'; }

	printf 'ID=debian\nVERSION_ID="12"\n' >"$S/etc/os-release"
	: >"$HERE/offline"
	needs
	[ "$status" -ne 0 ]
	[[ $output == *"build-kernel.sh: devbox --test: downloading 3 packages failed: "* ]]
	rm "$HERE/offline" "$HERE/apt"
	needs
	ok
	[[ $output == *"virtiofsd: $S/usr/lib/qemu/virtiofsd" ]]
	[ "$(installed)" = "mmdebstrap qemu-system-x86 qemu-system-common" ]
	# What is installed is not installed again.
	rm "$HERE/apt"
	needs
	ok
	[ ! -e "$HERE/apt" ]

	# Debian 13 has a separate package for virtiofsd.
	printf 'ID=debian\nVERSION_ID="13"\n' >"$S/etc/os-release"
	rm -r "$S/usr/lib/qemu"
	needs
	ok
	[ "$(installed)" = virtiofsd ]
	# Other distributions have other package names.
	os arch
	rm "$S/usr/libexec/virtiofsd" "$HERE/apt"
	needs
	refused "devbox --test: missing here: virtiofsd; install them: sudo pacman -S virtiofsd"
	[ ! -e "$HERE/apt" ]
}

@test "devbox --test: a kernel of the box gets the options of every guest, and one root=" {
	cat >"$HERE/box" <<-'END'
		set -eu
		for step in versions lib system kernel/guest kernel/box; do . "$DOOR/steps/$step.sh"; done
		BUILD_DIR=$HERE BOX=$HERE/root BOX_VIRTIOFSD=true
		[ -z "$DEBUG" ] || guest_slow
		guest_kernel_options >"$HERE/options"
		guest_vng_options tcg
		printf '%s\n' "${VNG[@]}" >"$HERE/vng"
		(BOX_FILES=$FILES && box_qemu 60 "$R" "last=1")
	END
	stub qemu-system-x86_64 'while [ "$1" != -append ]; do shift; done; printf "%s\n" $2'
	stub sleep 'exit 0'
	export CACHE=$VFIFO_CACHE DOOR R HERE LOGS=$HERE ACCEL=tcg DEBUG FILES PATH=$STUBS:$PATH
	for DEBUG in '' debug; do
		for FILES in 9p virtiofs; do
			run bash "$HERE/box"
			ok
			[ "$(wc -l <"$HERE/options")" -ge 3 ]
			[ -z "$(sort "$HERE/options" | comm -23 - <(sort <<<"$output"))" ]
			[ "$(grep '^root=' <<<"$output")" = root=box ]
			grep -qx last=1 <<<"$output"
			[ -z "$(sort "$HERE/options" | comm -23 - <(sort "$HERE/vng"))" ]
			[ "$(grep '^root=' "$HERE/vng")" = root=/dev/root ]
		done
	done
}

@test "deb: an unknown configuration, and one that does not exist" {
	run "$DOOR/build-kernel.sh" deb --config=mine
	refused "deb --config mine: not one of running, distro, small"
	rm "$BUILD/.config"
	run "$DOOR/build-kernel.sh" deb --config running
	# The message names each place where it is looked for.
	local said
	refused "the configuration of the running kernel is in none of " "--config distro"
	read -ra said <<<"$(sed 's/.* in none of //; s/;.*//' <<<"$output")"
	[ ${#said[@]} -ge 4 ]
	for file in "${said[@]}"; do
		mkdir -p "${file%/*}"
		: >"$file"
		run "$DOOR/build-kernel.sh" deb --config running
		[[ $output != *"the running kernel is in none of"* ]]
		rm "$file"
	done
}

@test "deb: each configuration has its function" {
	local config
	# shellcheck source=/dev/null
	. "$DOOR/steps/kernel/deb.sh"
	for config in running distro; do declare -F "deb_${config}_config"; done
	grep -q '"deb_$1_config"' "$DOOR/steps/kernel/deb.sh"
}
