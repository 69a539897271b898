# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The build folder of a kernel that somebody else has built, with Rust metadata in it: the folder
# of the distribution's headers if that has it, else one made of the distribution's source. Used by
# the door, and by dkms without it.

# Where the system is: not only in /, for tests.
SYSTEM=${VFIFO_SYSTEM-}
RELEASES='7.3'

# Where dkms keeps what it makes.
KDIR_SHARED=$SYSTEM/var/cache/vfifo

# What is looked for, and what kdir_check finds; KTOOLS is what make is to be told of what compiles C,
# KCOMMANDS what has to be here for that.
RELEASE='' HEADERS='' CONFIG='' KRUSTC='' KCC='' KTOOLS=() KCOMMANDS=() KDIR='' KDIR_LACKS=()
# Whether KDIR is there; if not, kdir_make makes it.
KDIR_READY=

# lacks WHAT COMMAND: ends with the one line about it.
lacks() {
	local it=it
	[[ $1 != *" are missing" ]] || it=them
	die "kernel $RELEASE: $1; get $it: $2"
}

linux_series() { sed -n 's/^\([0-9]*\.[0-9]*\).*/\1/p' <<<"$1"; }

distribution() { # what to know the package manager by
	# shellcheck disable=SC1091
	(. "$SYSTEM/etc/os-release" 2>/dev/null && case " $ID ${ID_LIKE-} " in
	*' ubuntu '*) echo ubuntu ;;
	*' debian '*) echo debian ;;
	*' arch '*) echo arch ;;
	*' fedora '*) echo fedora ;;
	*) echo other ;;
	esac) || echo other
}

install_command() { # PACKAGE...: as people install them here
	case $(distribution) in
	debian | ubuntu) echo "sudo apt-get install --no-install-recommends $*" ;;
	arch) echo "sudo pacman -S $*" ;;
	fedora) echo "sudo dnf install $*" ;;
	*) echo "by the package manager of this system" ;;
	esac
}

debian_suite() { # VERSION_CODENAME, to name the backports by
	# shellcheck disable=SC1091
	(. "$SYSTEM/etc/os-release" && echo "$VERSION_CODENAME-backports")
}

config() { sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$CONFIG" | head -n 1; }

# The version of a package whose files are there, else nothing. When dkms runs, apt is in the middle of its work, and has
# unpacked more than it has configured.
installed() {
	dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
		sed -nE 's/^(installed|unpacked|half-configured|triggers-[a-z]+) //p' || true
}

apt_versions() { apt-cache madison "$1" 2>/dev/null | awk '{ print $3 }' || true; } # PACKAGE: the newest first
apt_has() { grep -qxF "$2" <<<"$(apt_versions "$1")"; }                            # PACKAGE VERSION

# How to have apt install a package in the version that goes with one which is there.
as_new_as() { # PACKAGE INSTALLED-PACKAGE
	local version
	version=$(installed "$2")
	if [ -n "$version" ] && [ "$(apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" { print $2 }')" != "$version" ] &&
		apt_has "$1" "$version"; then
		echo "$1=$version"
	else
		echo "$1"
	fi
}

# How to get a kernel of Debian's that has Rust, or nothing if there is none for this Debian.
debian_kernel() {
	local suite candidate flavour=amd64 packages series="^(${RELEASES// /|})[.]"
	[[ $RELEASE != *-cloud-amd64 ]] || flavour=cloud-amd64
	packages="linux-image-$flavour linux-headers-$flavour"
	suite=$(debian_suite)
	candidate=$(apt-cache policy "linux-image-$flavour" 2>/dev/null | awk '$1 == "Candidate:" { print $2 }')
	if grep -qE "$series" <<<"$candidate"; then
		echo "get it: sudo apt-get install $packages"
	elif grep -qE "$series" <<<"$(apt_versions "linux-image-$flavour")"; then
		echo "get it: sudo apt-get install -t $suite $packages"
	elif [ "$suite" = trixie-backports ]; then
		echo "add $suite to apt's sources, then: sudo apt-get update && sudo apt-get install -t $suite $packages"
	fi
}

# Ends with what to do on a kernel that does not take the module.
kdir_another() { # WHY
	local folder other fit='' get=''
	for folder in "$SYSTEM"/lib/modules/*/; do
		other=$(basename "$folder")
		case " $RELEASES " in *" $(linux_series "$other") "*) ;; *) continue ;; esac
		if [ "$(CONFIG=$(config_of "$other") config CONFIG_RUST)" = y ]; then fit=$other; fi
	done
	[ -z "$fit" ] || die "kernel $RELEASE: $1; boot $fit, which is installed here"
	[ "$(distribution)" != debian ] || get=$(debian_kernel)
	die "kernel $RELEASE: $1; boot one that does, ${get:-or try it in an emulator: ./build-kernel.sh}"
}

kdir_headers() {
	local pkgbase
	HEADERS=$SYSTEM/lib/modules/$RELEASE/build
	[ -e "$HEADERS/Makefile" ] && return
	[ -d "$SYSTEM/lib/modules/$RELEASE" ] || die "there is no kernel $RELEASE here: $SYSTEM/lib/modules/$RELEASE is missing"
	case $(distribution) in
	debian | ubuntu) lacks "its headers are missing" "sudo apt-get install linux-headers-$RELEASE" ;;
	arch)
		pkgbase=$(cat "$SYSTEM/lib/modules/$RELEASE/pkgbase" 2>/dev/null || echo linux)
		lacks "its headers are missing" "$(install_command "$pkgbase-headers")" ;;
	fedora) lacks "its headers are missing" "$(install_command "kernel-devel-$RELEASE")" ;;
	*) die "kernel $RELEASE: its headers are missing ($HEADERS); get them where the kernel is from" ;;
	esac
}

config_of() { # RELEASE: the file with its configuration; /dev/null if that is nowhere
	local file
	for file in "$SYSTEM/lib/modules/$1/build/"{.config,include/config/auto.conf} "$SYSTEM/boot/config-$1" \
		"$SYSTEM/lib/modules/$1/config" /dev/null; do
		if [ -r "$file" ]; then echo "$file"; return; fi
	done
}

kdir_config() {
	CONFIG=$(config_of "$RELEASE")
	[ "$CONFIG" != /dev/null ] || die "kernel $RELEASE: its configuration is nowhere to be found (not in $HEADERS, not in /boot)"
	[ "$(config CONFIG_RUST)" = y ] || kdir_another "it was built without Rust (CONFIG_RUST), so it takes no Rust module"
}

# Sets KRUSTC. Metadata of one compiler cannot be read by another, not even by another build of the same version.
kdir_rustc() {
	local wanted version candidate have what has
	wanted=$(config CONFIG_RUSTC_VERSION_TEXT)
	version=$(sed -n 's/^rustc \([0-9.]*\).*/\1/p' <<<"$wanted")
	[ -n "$version" ] || die "kernel $RELEASE: $CONFIG does not say which rustc it was built with"
	for candidate in ${RUSTC:+"$RUSTC"} /usr/bin/rustc "/usr/bin/rustc-${version%.*}" rustc; do
		if [ "$("$candidate" --version 2>/dev/null)" = "$wanted" ]; then
			KRUSTC=$(command -v "$candidate")
			return
		fi
	done
	have=$("${RUSTC:-rustc}" --version 2>/dev/null || echo none)
	what="it was built by $wanted, and the one here is $have"
	case $(distribution) in
	debian)
		has=$(apt_versions rustc | paste -sd ' ')
		version=$(sed -n "/^${version//./[.]}[+-]/{s/^/=/p;q}" <<<"$(apt_versions rustc)")
		[ -n "$version" ] || [ -z "$has" ] ||
			die "kernel $RELEASE: $what; of rustc apt has only $has; first sudo apt-get update, and if it still has only that, upgrade the kernel"
		# Along with what else is missing.
		if [ "$have" = none ]; then KDIR_LACKS+=("rustc$version" "rust-src$version"); return; fi
		lacks "$what" "$(install_command "rustc$version" "rust-src$version")" ;;
	ubuntu) lacks "$what" "sudo apt-get install rustc-${version%.*} rust-${version%.*}-src bindgen" ;;
	arch)
		# It has one version of each package: the rustc may be ahead of the kernel until that is built anew.
		[ "$(printf '%s\n' "${have% (*}" "rustc $version" | sort -V | tail -n 1)" = "rustc $version" ] ||
			die "kernel $RELEASE: $what, which is newer; upgrade and boot (sudo pacman -Syu), and if there is no newer kernel yet, take the older rustc: sudo pacman -U /var/cache/pacman/pkg/rust{,-src}-*$version-*.pkg.tar.zst"
		lacks "$what" "sudo pacman -Syu rust rust-src" ;;
	fedora) lacks "$what" "$(install_command "rust-$version" "rust-src-$version")" ;;
	*) die "kernel $RELEASE: $what; name the right one: RUSTC=…" ;;
	esac
}

# Sets KCC, the compiler for C, and KTOOLS. Another version of it does no harm, and kbuild says so.
kdir_cc() {
	local version
	KCC=$(config CONFIG_CC_VERSION_TEXT)
	KCC=${KCC%% *} KTOOLS=("CC=$KCC") KCOMMANDS=(make "$KCC")
	[ "$(config CONFIG_CC_IS_CLANG)" = y ] || return 0
	version=$(config CONFIG_CLANG_VERSION)
	version=-${version%????}
	command -v "clang$version" >/dev/null || ! command -v clang >/dev/null || version=
	KCC=clang$version KTOOLS=("LLVM=${version:-1}") KCOMMANDS=(make "$KCC" "ld.lld$version" "llvm-ar$version")
}

has_metadata() { [ -e "$1/rust/libkernel.rmeta" ] && compgen -G "$1/rust/libmacros.*" >/dev/null; }

# kdir_check RELEASE FOLDER...: that the module can be built for that kernel. Fast, and changes nothing.
# Folders that kdir_make has made are looked for in each FOLDER; the last is where it would.
kdir_check() {
	local folder
	RELEASE=$1 HEADERS='' CONFIG='' KRUSTC='' KDIR='' KDIR_READY='' KDIR_LACKS=()
	shift
	case " $RELEASES " in
	*" $(linux_series "$RELEASE") "*) ;;
	*) kdir_another "the module is for Linux ${RELEASES// / or }, and this one does not take it" ;;
	esac
	kdir_headers
	kdir_config
	kdir_rustc
	kdir_cc
	if has_metadata "$HEADERS"; then
		KDIR=$HEADERS KDIR_READY=1
		kdir_needs "${KCOMMANDS[@]}"
	else
		for folder; do
			KDIR=$folder/$RELEASE
			if [ -n "$KRUSTC" ] && [ "$(cat "$KDIR/stamp" 2>/dev/null)" = "$(kdir_stamp)" ]; then KDIR_READY=1; break; fi
		done
		KDIR=$KDIR/obj
		kdir_debian
	fi
	case ${#KDIR_LACKS[@]} in
	0) ;;
	1) lacks "a package is missing" "$(install_command "${KDIR_LACKS[@]}")" ;;
	*) lacks "${#KDIR_LACKS[@]} packages are missing" "$(install_command "${KDIR_LACKS[@]}")" ;;
	esac
}

# That what a command needs is there; on Debian its package is noted if it is not.
kdir_needs() { # COMMAND...
	local command package
	for command; do
		command -v "$command" >/dev/null && continue
		package=${command#x86_64-linux-gnu-}
		case $command in
		pahole) package=$(as_new_as pahole dwarves) ;;
		xz) package=xz-utils ;;
		ld.lld*) package=lld${command#ld.lld} ;;
		llvm-ar*) package=llvm${command#llvm-ar} ;;
		esac
		case $(distribution) in
		debian | ubuntu) KDIR_LACKS+=("$package") ;;
		*) lacks "$command is missing" "$(install_command "${package%-[0-9]*}")" ;;
		esac
	done
}

kdir_stamp() { printf '%s\n' "$(sha256sum <"$CONFIG" | cut -c -32)" "$("$KRUSTC" --version)" 1; }

# What it takes to make the metadata from Debian's source.
kdir_debian() {
	local source version has
	case $(distribution) in
	debian) ;;
	ubuntu) lacks "its headers have no Rust metadata" "sudo apt-get install linux-lib-rust-$RELEASE" ;;
	*) die "kernel $RELEASE: its headers have no Rust metadata ($HEADERS/rust/libkernel.rmeta), and only Debian's source is known here" ;;
	esac
	kdir_needs "${KCOMMANDS[@]}"
	[ -z "$KDIR_READY" ] || return 0
	source=linux-source-$(linux_series "$RELEASE")
	version=$(installed "linux-headers-$RELEASE")
	has=$(installed "$source")
	if [ "$has" != "$version" ] || [ -z "$version" ]; then
		if [ -n "$version" ] && ! apt_has "$source" "$version"; then
			version=$(head -n 1 <<<"$(apt_versions "$source")")
			die "kernel $RELEASE: its source can't be had any more${version:+, only that of $version}; upgrade: sudo apt-get install -t $(debian_suite) linux-image-${RELEASE#*-} linux-headers-${RELEASE#*-}, and boot that"
		fi
		KDIR_LACKS+=("$source${version:+=$version}")
	fi
	kdir_needs bindgen flex bison bc xz perl python3 pahole
	[ -e "$SYSTEM/usr/include/stdio.h" ] || KDIR_LACKS+=(libc6-dev)
	[ -e "$SYSTEM/usr/include/libelf.h" ] || KDIR_LACKS+=("$(as_new_as libelf-dev libelf1t64)")
	[ -e "$SYSTEM/usr/include/openssl/opensslv.h" ] || KDIR_LACKS+=("$(as_new_as libssl-dev libssl3t64)")
	[ -z "$KRUSTC" ] || [ -e "$("$KRUSTC" --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs" ] ||
		KDIR_LACKS+=("$(as_new_as rust-src rustc)")
}

# Of the source, what such a folder is made from: a fifth. All Kconfig files are needed.
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

kmake_metadata() {
	make -C "$1/src" "O=$1/obj" "CC=$KCC" HOSTCC="${KCC#x86_64-linux-gnu-}" "RUSTC=$KRUSTC" \
		"LOCALVERSION=$2" -j "${JOBS:-$(nproc)}" "${@:3}"
}

# kdir_make: makes KDIR. The stamp, which comes last, makes it count.
kdir_make() {
	local to=${KDIR%/obj} source version
	source=$SYSTEM/usr/src/linux-source-$(linux_series "$RELEASE").tar.xz
	rm -rf "$to" && mkdir -p "$to/src" "$to/obj" &&
		kdir_unpack "$source" "$to/src" || return
	# BUILD_SALT and the rest stay as they are; only the key is not to be had.
	sed 's/^CONFIG_MODULE_SIG_KEY=.*/CONFIG_MODULE_SIG_KEY=""/' "$CONFIG" >"$to/obj/.config" || return
	version=$(make -s -C "$to/src" kernelversion) || return
	[ "$RELEASE" != "${RELEASE#"$version"}" ] || { echo "$source is Linux $version"; return 1; }
	kmake_metadata "$to" "${RELEASE#"$version"}" olddefconfig &&
		kmake_metadata "$to" "${RELEASE#"$version"}" prepare modules_prepare || return
	# With another configuration structures are others, and a module built for them would do harm.
	if ! diff <(kdir_settings "$HEADERS") <(kdir_settings "$to/obj"); then
		echo "what comes out is not the kernel that is there; the lines above are the difference"
		return 1
	fi
	[ "$(cat "$to/obj/include/config/kernel.release")" = "$RELEASE" ] || { echo "what comes out is not $RELEASE"; return 1; }
	cp "$HEADERS/Module.symvers" "$to/obj/" && kdir_prune "$to" && kdir_stamp >"$to/stamp"
}

# kdir_adopt: takes over, for good, what somebody has made elsewhere.
kdir_adopt() {
	local from=${KDIR%/obj} to=$KDIR_SHARED/$RELEASE
	rm -rf "$to" "$to.new" && mkdir -p "$KDIR_SHARED" && cp -a "$from" "$to.new" && chown -R 0:0 "$to.new" &&
		sed -i "s,$from/,$to/,g" "$to.new/obj/Makefile" && ln -sfn "$to/src" "$to.new/obj/source" && mv "$to.new" "$to"
}

kdir_settings() { sed -n 's/^#define \(CONFIG_.*\)/\1/p' "$1/include/generated/autoconf.h" | grep -v '^CONFIG_MODULE_SIG_KEY ' | sort; }

# Leaves what modules need.
kdir_prune() {
	find "$1/src" -mindepth 1 -maxdepth 1 -type d ! -name arch ! -name include ! -name scripts ! -name rust -exec rm -rf {} + &&
		find "$1/src/arch" -mindepth 1 -maxdepth 1 -type d ! -name x86 -exec rm -rf {} + &&
		find "$1" \( -name '*.o' -o -name '*.a' -o -name '*.c' -path '*/arch/*' \) -delete &&
		rm -rf "$1/obj/rust/host"
}

# kdir_module OUT ARGUMENT...: builds the module of the sources in $ROOT into the folder OUT.
kdir_module() {
	mkdir -p "$1" && make -C "$KDIR" M="$ROOT/samples-rust-vfifo" MO="$1" "${KTOOLS[@]}" "RUSTC=$KRUSTC" \
		-j "${JOBS:-$(nproc)}" modules "${@:2}"
}

# Why the running kernel would refuse a module of ours, or nothing.
signatures_enforced() {
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
