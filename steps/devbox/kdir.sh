# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The build folder of a kernel that the distribution has built, with its Rust metadata: that of the distribution's headers
# if they contain it, else one made from the distribution's source. Sourced by build-kernel.sh, dkms.sh and make.sh.

# Where dkms keeps the metadata it makes, and the lock of that folder.
KDIR_SHARED=$SYSTEM/var/cache/vfifo
KDIR_LOCK=$SYSTEM/run/vfifo-dkms.lock

# The kernel that is looked for, and what kdir_check finds. KDIR_TOOLS are make's arguments that name the C compiler,
# KDIR_COMMANDS the programs that this takes.
KDIR_RELEASE='' KDIR_HEADERS='' KDIR_CONFIG='' KDIR_RUSTC='' KDIR_CC='' KDIR_TOOLS=() KDIR_COMMANDS=() KDIR='' KDIR_LACKS=()
# Set if KDIR exists; if not, kdir_make makes it.
KDIR_READY=

# kdir_lacks WHAT COMMAND: ends with the line about it.
kdir_lacks() {
	local it=it
	[[ $1 != *" are missing" ]] || it=them
	die "kernel $KDIR_RELEASE: $1; install $it: $2"
}

# One build at a time in KDIR_SHARED: waits up to 30 min. Nobody but root can open the file, and so hold the lock.
kdir_lock() {
	mkdir -p "$(dirname "$KDIR_LOCK")" && (umask 077 && : >>"$KDIR_LOCK") && exec 7>>"$KDIR_LOCK" && flock -w 1800 7
}
kdir_unlock() { exec 7>&-; }

kdir_config_value() { sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$KDIR_CONFIG" | head -n 1; }

# A package as apt is told to install it, in the version that fits one that is installed.
kdir_as_new_as() { # PACKAGE INSTALLED-PACKAGE
	local version
	version=$(system_installed "$2")
	if [ -n "$version" ] && [ "$(apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" { print $2 }')" != "$version" ] &&
		system_apt_has "$1" "$version"; then
		echo "$1=$version"
	else
		echo "$1"
	fi
}

# How to install a kernel of Debian's that has Rust, or nothing if this Debian has none.
kdir_debian_kernel() {
	local suite candidate flavour=amd64 packages series="^(${VERSION_DEVBOX// /|})[.]"
	[[ $KDIR_RELEASE != *-cloud-amd64 ]] || flavour=cloud-amd64
	packages="linux-image-$flavour linux-headers-$flavour"
	suite=$(system_backports)
	candidate=$(apt-cache policy "linux-image-$flavour" 2>/dev/null | awk '$1 == "Candidate:" { print $2 }')
	if grep -qE "$series" <<<"$candidate"; then
		echo "install it: sudo apt-get install $packages"
	elif grep -qE "$series" <<<"$(system_apt_versions "linux-image-$flavour")"; then
		echo "install it: sudo apt-get install -t $suite $packages"
	elif [ "$suite" = trixie-backports ]; then
		echo "add $suite to apt's sources, then: sudo apt-get update && sudo apt-get install -t $suite $packages"
	fi
}

# Ends with what to do if a kernel does not take the module.
kdir_another() { # WHY
	local folder other fit='' get=''
	for folder in "$SYSTEM"/lib/modules/*/; do
		other=$(basename "$folder")
		case " $VERSION_DEVBOX " in *" $(version_series "$other") "*) ;; *) continue ;; esac
		if [ "$(KDIR_CONFIG=$(kdir_config_file "$other") kdir_config_value CONFIG_RUST)" = y ]; then fit=$other; fi
	done
	[ -z "$fit" ] || die "kernel $KDIR_RELEASE: $1; boot $fit, which is installed"
	[ "$(system_distribution)" != debian ] || get=$(kdir_debian_kernel)
	die "kernel $KDIR_RELEASE: $1; ${get:+boot one that does; $get}$([ -n "$get" ] || echo "try vfifo in an emulator: ./build-kernel.sh, in a container if this is not Debian $VERSION_DEBIAN (BUILDING.md)")"
}

kdir_headers() {
	local pkgbase
	KDIR_HEADERS=$SYSTEM/lib/modules/$KDIR_RELEASE/build
	[ -e "$KDIR_HEADERS/Makefile" ] && return
	[ -d "$SYSTEM/lib/modules/$KDIR_RELEASE" ] || die "kernel $KDIR_RELEASE is not installed: there is no $SYSTEM/lib/modules/$KDIR_RELEASE"
	case $(system_distribution) in
	debian | ubuntu) kdir_lacks "its headers are missing" "sudo apt-get install linux-headers-$KDIR_RELEASE" ;;
	arch)
		pkgbase=$(cat "$SYSTEM/lib/modules/$KDIR_RELEASE/pkgbase" 2>/dev/null || echo linux)
		kdir_lacks "its headers are missing" "$(system_install_command "$pkgbase-headers")" ;;
	fedora) kdir_lacks "its headers are missing" "$(system_install_command "kernel-devel-$KDIR_RELEASE")" ;;
	*) die "kernel $KDIR_RELEASE: its headers are missing ($KDIR_HEADERS); install them from where the kernel came from" ;;
	esac
}

kdir_config_file() { # RELEASE: the file with its configuration; /dev/null if that is nowhere
	local file
	for file in "$SYSTEM/lib/modules/$1/build/"{.config,include/config/auto.conf} "$SYSTEM/boot/config-$1" \
		"$SYSTEM/lib/modules/$1/config" /dev/null; do
		if [ -r "$file" ]; then echo "$file"; return; fi
	done
}

kdir_config() {
	KDIR_CONFIG=$(kdir_config_file "$KDIR_RELEASE")
	[ "$KDIR_CONFIG" != /dev/null ] || die "kernel $KDIR_RELEASE: its configuration was not found, neither in $KDIR_HEADERS nor in /boot"
	[ "$(kdir_config_value CONFIG_RUST)" = y ] || kdir_another "it was built without Rust support (CONFIG_RUST)"
}

# Sets KDIR_RUSTC. A compiler cannot read the metadata of another one, not even of another build of the same version.
kdir_rustc() {
	local wanted version candidate have what has
	wanted=$(kdir_config_value CONFIG_RUSTC_VERSION_TEXT)
	version=$(sed -n 's/^rustc \([0-9.]*\).*/\1/p' <<<"$wanted")
	[ -n "$version" ] || die "kernel $KDIR_RELEASE: $KDIR_CONFIG does not say which rustc it was built with"
	for candidate in ${RUSTC:+"$RUSTC"} /usr/bin/rustc "/usr/bin/rustc-${version%.*}" rustc; do
		if [ "$("$candidate" --version 2>/dev/null)" = "$wanted" ]; then
			KDIR_RUSTC=$(command -v "$candidate")
			return
		fi
	done
	have=$("${RUSTC:-rustc}" --version 2>/dev/null || echo none)
	what="it was built with $wanted, and the rustc here is $have"
	case $(system_distribution) in
	debian)
		has=$(system_apt_versions rustc | paste -sd ' ')
		version=$(sed -n "/^${version//./[.]}[+-]/{s/^/=/p;q}" <<<"$(system_apt_versions rustc)")
		[ -n "$version" ] || [ -z "$has" ] ||
			die "kernel $KDIR_RELEASE: $what; apt only has rustc $has; run sudo apt-get update, and if that does not help, upgrade the kernel"
		# Reported together with other missing packages.
		if [ "$have" = none ]; then KDIR_LACKS+=("rustc$version" "rust-src$version"); return; fi
		kdir_lacks "$what" "$(system_install_command "rustc$version" "rust-src$version")" ;;
	ubuntu) kdir_lacks "$what" "sudo apt-get install rustc-${version%.*} rust-${version%.*}-src bindgen" ;;
	arch)
		# Arch has one version of each package, so rustc may be ahead of the kernel until the kernel is rebuilt.
		[ "$(printf '%s\n' "${have% (*}" "rustc $version" | sort -V | tail -n 1)" = "rustc $version" ] ||
			die "kernel $KDIR_RELEASE: $what, which is newer; upgrade and boot (sudo pacman -Syu), and if there is no newer kernel yet, install the older rustc: sudo pacman -U /var/cache/pacman/pkg/rust{,-src}-*$version-*.pkg.tar.zst"
		kdir_lacks "$what" "sudo pacman -Syu rust rust-src" ;;
	fedora) kdir_lacks "$what" "$(system_install_command "rust-$version" "rust-src-$version")" ;;
	*) die "kernel $KDIR_RELEASE: $what; set RUSTC to the path of that rustc" ;;
	esac
}

# Sets KDIR_CC, KDIR_TOOLS and KDIR_COMMANDS. Another version of the C compiler does no harm; kbuild warns about it.
kdir_cc() {
	local version
	KDIR_CC=$(kdir_config_value CONFIG_CC_VERSION_TEXT)
	KDIR_CC=${KDIR_CC%% *} KDIR_TOOLS=("CC=$KDIR_CC") KDIR_COMMANDS=(make "$KDIR_CC")
	[ "$(kdir_config_value CONFIG_CC_IS_CLANG)" = y ] || return 0
	version=$(kdir_config_value CONFIG_CLANG_VERSION)
	version=-${version%????}
	command -v "clang$version" >/dev/null || ! command -v clang >/dev/null || version=
	KDIR_CC=clang$version KDIR_TOOLS=("LLVM=${version:-1}") KDIR_COMMANDS=(make "$KDIR_CC" "ld.lld$version" "llvm-ar$version")
}

kdir_has_metadata() { [ -e "$1/rust/libkernel.rmeta" ] && compgen -G "$1/rust/libmacros.*" >/dev/null; }

# kdir_check RELEASE FOLDER...: checks that the module can be built for that kernel, or ends with what is missing. Fast,
# and changes nothing but the variables above. Looks in each FOLDER for metadata that kdir_make has made; it would make it
# in the last.
kdir_check() {
	local folder
	KDIR_RELEASE=$1 KDIR_HEADERS='' KDIR_CONFIG='' KDIR_RUSTC='' KDIR='' KDIR_READY='' KDIR_LACKS=()
	shift
	case " $VERSION_DEVBOX " in
	*" $(version_series "$KDIR_RELEASE") "*) ;;
	*) kdir_another "the module is for Linux ${VERSION_DEVBOX// / or }" ;;
	esac
	kdir_headers
	kdir_config
	kdir_rustc
	kdir_cc
	if kdir_has_metadata "$KDIR_HEADERS"; then
		KDIR=$KDIR_HEADERS KDIR_READY=1
		kdir_needs "${KDIR_COMMANDS[@]}"
	else
		for folder; do
			KDIR=$folder/$KDIR_RELEASE
			if [ -n "$KDIR_RUSTC" ] && [ "$(cat "$KDIR/stamp" 2>/dev/null)" = "$(kdir_stamp)" ]; then KDIR_READY=1; break; fi
		done
		KDIR=$KDIR/obj
		kdir_debian
	fi
	kdir_report
}

# kdir_check_given FOLDER: the same for a build folder that the user names. It must contain the metadata.
kdir_check_given() {
	local file
	KDIR=$1 KDIR_HEADERS=$1 KDIR_READY=1 KDIR_CONFIG='' KDIR_RUSTC='' KDIR_LACKS=()
	KDIR_RELEASE=$(cat "$1/include/config/kernel.release" 2>/dev/null) ||
		die "$1 is not the build folder of a kernel: it has no include/config/kernel.release"
	for file in "$1/.config" "$1/include/config/auto.conf"; do
		[ -n "$KDIR_CONFIG" ] || [ ! -r "$file" ] || KDIR_CONFIG=$file
	done
	[ -n "$KDIR_CONFIG" ] || die "kernel $KDIR_RELEASE: its configuration is not in $1"
	case " $VERSION_SERIES " in
	*" $(version_series "$KDIR_RELEASE") "*) ;;
	*) die "kernel $KDIR_RELEASE: the module is for Linux ${VERSION_SERIES// / or }" ;;
	esac
	[ "$(kdir_config_value CONFIG_RUST)" = y ] || die "kernel $KDIR_RELEASE: it was built without Rust support (CONFIG_RUST)"
	kdir_rustc
	kdir_cc
	kdir_has_metadata "$1" ||
		die "kernel $KDIR_RELEASE: $1 has no Rust metadata (rust/libkernel.rmeta); build that kernel first, or run ./build-kernel.sh devbox for a kernel of the distribution"
	kdir_needs "${KDIR_COMMANDS[@]}"
	kdir_report
}

# Ends with the packages that are missing, if there are any.
kdir_report() {
	case ${#KDIR_LACKS[@]} in
	0) ;;
	1) kdir_lacks "a package is missing" "$(system_install_command "${KDIR_LACKS[@]}")" ;;
	*) kdir_lacks "${#KDIR_LACKS[@]} packages are missing" "$(system_install_command "${KDIR_LACKS[@]}")" ;;
	esac
}

# Where metadata may have been made: by dkms, by the user who called sudo, by this user. The last is where it is made.
kdir_folders() {
	local home
	echo "$KDIR_SHARED"
	if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER-}" ]; then
		home=$(getent passwd "$SUDO_USER" | cut -d : -f 6)
		[ -z "$home" ] || echo "$home/.cache/vfifo/devbox"
	fi
	echo "$CACHE/devbox"
}

# Notes the package of each command that is missing on Debian; ends with it elsewhere.
kdir_needs() { # COMMAND...
	local command package
	for command; do
		command -v "$command" >/dev/null && continue
		package=${command#x86_64-linux-gnu-}
		case $command in
		pahole) package=$(kdir_as_new_as pahole dwarves) ;;
		xz) package=xz-utils ;;
		ld.lld*) package=lld${command#ld.lld} ;;
		llvm-ar*) package=llvm${command#llvm-ar} ;;
		esac
		case $(system_distribution) in
		debian | ubuntu) KDIR_LACKS+=("$package") ;;
		*) kdir_lacks "$command is missing" "$(system_install_command "${package%-[0-9]*}")" ;;
		esac
	done
}

# What the metadata was made from. The last field is the version of how it is made and of who may have made it.
kdir_stamp() { printf '%s\n' "$(sha256sum <"$KDIR_CONFIG" | cut -c -32)" "$("$KDIR_RUSTC" --version)" 2; }

# Notes what is missing to make the metadata from Debian's source.
kdir_debian() {
	local source version has
	case $(system_distribution) in
	debian) ;;
	ubuntu) kdir_lacks "its headers have no Rust metadata" "sudo apt-get install linux-lib-rust-$KDIR_RELEASE" ;;
	*) die "kernel $KDIR_RELEASE: its headers have no Rust metadata ($KDIR_HEADERS/rust/libkernel.rmeta), and they can only be made from Debian's source" ;;
	esac
	kdir_needs "${KDIR_COMMANDS[@]}"
	[ -z "$KDIR_READY" ] || return 0
	source=linux-source-$(version_series "$KDIR_RELEASE")
	version=$(system_installed "linux-headers-$KDIR_RELEASE")
	has=$(system_installed "$source")
	if [ "$has" != "$version" ] || [ -z "$version" ]; then
		if [ -n "$version" ] && ! system_apt_has "$source" "$version"; then
			version=$(head -n 1 <<<"$(system_apt_versions "$source")")
			die "kernel $KDIR_RELEASE: apt no longer has its source${version:+, only that of $version}; upgrade: sudo apt-get install -t $(system_backports) linux-image-${KDIR_RELEASE#*-} linux-headers-${KDIR_RELEASE#*-}, and boot the new kernel"
		fi
		KDIR_LACKS+=("$source${version:+=$version}")
	fi
	kdir_needs bindgen flex bison bc xz perl python3 pahole
	[ -e "$SYSTEM/usr/include/stdio.h" ] || KDIR_LACKS+=(libc6-dev)
	[ -e "$SYSTEM/usr/include/libelf.h" ] || KDIR_LACKS+=("$(kdir_as_new_as libelf-dev libelf1t64)")
	[ -e "$SYSTEM/usr/include/openssl/opensslv.h" ] || KDIR_LACKS+=("$(kdir_as_new_as libssl-dev libssl3t64)")
	[ -z "$KDIR_RUSTC" ] || [ -e "$("$KDIR_RUSTC" --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs" ] ||
		KDIR_LACKS+=("$(kdir_as_new_as rust-src rustc)")
}

# Unpacks the fifth of the source that such a folder is made from. All Kconfig files are needed.
kdir_unpack() { # TARBALL FOLDER
	local top pattern leave=()
	top=$(basename "$1" .tar.xz)
	for pattern in 'Documentation/*/*' 'sound/*.[ch]' 'drivers/*.c' 'drivers/gpu/*.h' 'drivers/net/*.h' \
		'drivers/media/*.h' 'drivers/scsi/*.h' 'drivers/staging/*.h' 'fs/*.c' 'net/*.c' 'tools/testing/*' \
		'tools/perf/*' 'arch/*.dts*'; do
		leave+=("--exclude=$top/$pattern")
	done
	xz -T0 -dc "$1" | tar x -C "$2" --strip-components=1 "${leave[@]}"
}

kdir_kbuild() {
	make -C "$1/src" "O=$1/obj" "CC=$KDIR_CC" HOSTCC="${KDIR_CC#x86_64-linux-gnu-}" "RUSTC=$KDIR_RUSTC" \
		"LOCALVERSION=$2" -j "${JOBS:-$(nproc)}" "${@:3}"
}

# kdir_make: makes KDIR from the source package, which must be as Debian signed it. The stamp comes last and makes it
# count.
kdir_make() {
	local to=${KDIR%/obj} source version
	source=$SYSTEM/usr/src/linux-source-$(version_series "$KDIR_RELEASE").tar.xz
	if dpkg --root="${SYSTEM:-/}" --verify "linux-source-$(version_series "$KDIR_RELEASE")" 2>&1 | grep -F "$source"; then
		echo "$source is not as Debian's package has it; install the package again"
		return 1
	fi
	rm -rf "$to" && mkdir -p "$to/src" "$to/obj" &&
		kdir_unpack "$source" "$to/src" || return
	# Everything stays as it is, BUILD_SALT too, except the key, which is Debian's secret.
	sed 's/^CONFIG_MODULE_SIG_KEY=.*/CONFIG_MODULE_SIG_KEY=""/' "$KDIR_CONFIG" >"$to/obj/.config" || return
	version=$(make -s -C "$to/src" kernelversion) || return
	[ "$KDIR_RELEASE" != "${KDIR_RELEASE#"$version"}" ] || { echo "$source is Linux $version"; return 1; }
	kdir_kbuild "$to" "${KDIR_RELEASE#"$version"}" olddefconfig &&
		kdir_kbuild "$to" "${KDIR_RELEASE#"$version"}" prepare modules_prepare || return
	# A different configuration means different structures, and a module built for those would do harm.
	if ! diff <(kdir_settings "$KDIR_HEADERS") <(kdir_settings "$to/obj"); then
		echo "the result is not configured as the installed kernel; the lines above are the difference"
		return 1
	fi
	[ "$(cat "$to/obj/include/config/kernel.release")" = "$KDIR_RELEASE" ] || { echo "the result is not kernel $KDIR_RELEASE"; return 1; }
	cp "$KDIR_HEADERS/Module.symvers" "$to/obj/" && kdir_prune "$to" && kdir_stamp >"$to/stamp"
}

kdir_settings() { sed -n 's/^#define \(CONFIG_.*\)/\1/p' "$1/include/generated/autoconf.h" | grep -v '^CONFIG_MODULE_SIG_KEY ' | sort; }

# Keeps only what building a module needs.
kdir_prune() {
	find "$1/src" -mindepth 1 -maxdepth 1 -type d ! -name arch ! -name include ! -name scripts ! -name rust -exec rm -rf {} + &&
		find "$1/src/arch" -mindepth 1 -maxdepth 1 -type d ! -name x86 -exec rm -rf {} + &&
		find "$1" \( -name '*.o' -o -name '*.a' -o -name '*.c' -path '*/arch/*' \) -delete &&
		rm -rf "$1/obj/rust/host"
}

# kdir_module OUT ARGUMENT...: builds the module of the sources in $ROOT into the folder OUT.
kdir_module() { kdir_build "$1" modules -j "${JOBS:-$(nproc)}" "${@:2}"; }

# kdir_build OUT ARGUMENT...: runs make for the module, with those targets and options.
kdir_build() {
	mkdir -p "$1" && make -C "$KDIR" M="$ROOT/samples-rust-vfifo" MO="$1" "${KDIR_TOOLS[@]}" "RUSTC=$KDIR_RUSTC" "${@:2}"
}

# Why the running kernel would refuse an unsigned module, or nothing.
kdir_signatures() {
	local secure=''
	if [ "$(od -An -tu1 -j4 "$SYSTEM"/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c 2>/dev/null | tr -d ' ')" = 1 ]; then
		secure=' (Secure Boot is on)'
	fi
	if grep -qE '\[(integrity|confidentiality)\]' "$SYSTEM/sys/kernel/security/lockdown" 2>/dev/null; then
		echo "it is locked down$secure"
	elif [ "$(cat "$SYSTEM/sys/module/module/parameters/sig_enforce" 2>/dev/null)" = Y ]; then
		echo "module.sig_enforce is set$secure"
	fi
}
