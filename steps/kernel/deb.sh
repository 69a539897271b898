# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The patched kernel as Debian packages, which install beside the distribution's kernel. They are built with the
# kernel's own bindeb-pkg. It leaves Rust metadata out of the headers, so that is added here.

# The programs that bindeb-pkg needs, each with its Debian package.
DEB_TOOLS=(dpkg-buildpackage:dpkg-dev dh_prep:debhelper rsync:rsync kmod:kmod)

do_deb() {
	local config='' clients='' test='' from=$SECONDS release folder
	while [ $# -gt 0 ]; do
		case $1 in
		--clients) clients=1 ;;
		--test) test=1 ;;
		--config=*) config=${1#*=} ;;
		--config) door_value "$@"; config=$2; shift ;;
		*) die "deb: unknown argument $1; it takes --clients, --config running, distro or small, and --test" ;;
		esac
		shift
	done
	if [ -n "$clients" ]; then
		[ -z "$config" ] || die "deb --clients: these packages are for any kernel; leave out --config"
		clients_deb ${test:+--test}
		return
	fi
	config=${config:-small}
	case $config in running | distro | small) ;; *) die "deb --config $config: not one of running, distro, small" ;; esac
	[ "$config" != running ] || [ -n "$(deb_running_file)" ] ||
		die "deb --config running: the configuration of the running kernel is in none of $(deb_running_files | paste -sd ' '); use --config distro instead"
	# On other systems than Debian 12, these have to be installed by hand.
	if system_is_debian_12; then deps_want_packages deb "${DEB_TOOLS[@]#*:}"; else deb_tools "${DEB_TOOLS[@]}"; fi
	[ -z "$test" ] || box_needs "deb --test"
	# And the tree has to be given with --tree.
	tree_find || { do_deps; do_fetch; }
	do_patch
	# The small kernel is that of "build", with the same objects. bindeb-pkg writes the packages to the folder above them.
	build_use_objects
	if [ "$config" = small ]; then
		need_space 2500 "the objects of the kernel, and the packages"
		build_configure
	else
		deb_objects "$config"
		logged "deb: configuration" deb-config.log deb_configure "$config" ||
			die "deb: configuration failed: $(tail -n 1 "$LOGS/deb-config.log") (log: $LOGS/deb-config.log)"
		need_space 25000 "a kernel with all modules of a distribution"
	fi
	folder=$(dirname "$BUILD_DIR")
	rm -f "$folder"/linux-*.{deb,buildinfo,changes}
	must "deb: packages" deb.log "the first error is in the log" \
		build_make bindeb-pkg DPKG_FLAGS=-d KDEB_CHANGELOG_DIST=unstable KDEB_COMPRESS=zstd
	release=$(cat "$BUILD_DIR/include/config/kernel.release")
	must "deb: adding Rust metadata to the headers" deb-headers.log "see the log" deb_metadata "$folder" "$release"
	mkdir -p "$OUT/deb"
	deb_forget made
	# Not linux-libc-dev: it would replace the distribution's, and nothing needs it.
	mv "$folder"/linux-{image,headers}-"$release"_*.deb "$OUT/deb/"
	(cd "$OUT/deb" && printf '%s\n' linux-{image,headers}-"$release"_*.deb >made)
	rm -f "$folder"/linux-*.{deb,buildinfo,changes}
	done_step deb "$from" "$(cd "$OUT" && echo deb/linux-*.deb) are kernel $release; install them with: sudo apt-get install $OUT/deb/linux-*.deb"
	[ -z "$test" ] || { clients_deb; deb_test "$release"; }
}

# Installs the packages in a Debian 13 beside Debian's own kernel, and boots both kernels.
deb_test() { # RELEASE
	local from=$SECONDS stock work
	[ "$ACCEL" != auto ] || ACCEL=tcg
	scratch work
	COUNT_MORE=("kernel=$1")
	check "Debian's own configuration accepts the driver" deb_distro_configures
	box_new
	stock=$(box_release amd64)
	mkdir -p "$BOX/root/deb" "$work/system/etc" "$work/system/lib/modules/$1"
	cp "$OUT"/deb/linux-*.deb "$BOX/root/deb/"
	check "the packages install" box_run root "apt-get install -y --no-install-recommends ~/deb/*.deb"
	check "Debian's kernel is still installed" test -s "$BOX/boot/vmlinuz-$1" -a -s "$BOX/boot/vmlinuz-$stock"

	# The compilers for this kernel are installed here, not in the box.
	cp "$BOX/etc/os-release" "$work/system/etc/"
	ln -s "$BOX/usr/src/linux-headers-$1" "$work/system/lib/modules/$1/build"
	check "the module builds with the headers" env VFIFO_SYSTEM="$work/system" "$ROOT/build-kernel.sh" devbox --kernel "$1"
	cp "$OUT/devbox/$1/rust_vfifo.ko" "$BOX/root/"
	cp -r "$ROOT/steps" "$BOX/root/steps"
	BOX_FILES=9p
	box_guest "modprobe, and the tour with the included module" 300 "$1" "" "
		set -e
		modprobe rust_vfifo
		echo hello >/dev/vfifo0
		[ \"\$(head -n 1 /dev/vfifo0)\" = hello ]
		rmmod rust_vfifo
		bash ~/steps/tour/tour.sh /lib/modules/$1/kernel/samples/rust/rust_vfifo.ko"
	box_guest "the tour with the external module" 300 "$1" "" "bash ~/steps/tour/tour.sh ~/rust_vfifo.ko"
	clients_check box_guest "vfifoctl and vfifo-cat use a device" 120 "$1" "" "
		set -e
		modprobe rust_vfifo
		vfifoctl list --json | grep -q '\"vfifo0\"'
		echo hello | vfifo-cat -w
		[ \"\$(vfifo-cat -m -n 6)\" = hello ]"
	BOX_FILES=virtiofs
	box_guest "Debian's kernel boots as before" 120 "$stock" "" "[ \"\$(uname -r)\" = $stock ]"
	check "the packages are removed" box_run root "apt-get remove -y linux-image-$1 linux-headers-$1"
	check "nothing is left behind" test ! -e "$BOX/boot/vmlinuz-$1" -a ! -e "$BOX/lib/modules/$1"
	[ $COUNT_FAILED -eq 0 ] || die "deb --test: some checks failed, as shown above"
	rm -rf "$BOX"
	done_step "deb --test" "$from" "kernel $1 beside $stock in a Debian 13"
}

# Removes the packages that are listed in that file by the last run, and no others.
deb_forget() { # FILE
	local file
	[ -e "$OUT/deb/$1" ] || return 0
	while read -r file; do rm -f "$OUT/deb/$file"; done <"$OUT/deb/$1"
	rm "$OUT/deb/$1"
}

deb_tools() { # PROGRAM:PACKAGE...
	local tool missing=()
	for tool; do
		command -v "${tool%%:*}" >/dev/null || missing+=("${tool#*:}")
	done
	[ ${#missing[@]} -eq 0 ] ||
		die "deb: missing here: ${missing[*]}; install them: $(system_packages_command "${missing[@]}")"
}

deb_objects() { BUILD_DIR=$TREE_DIR/deb-$1/objects && mkdir -p "$BUILD_DIR"; } # CONFIG

# Takes the configuration of another kernel and adds what vfifo needs. Its keys belong to the distribution, so modules
# are signed with a key that is made for this build. Debug information would be ten times the size of everything else,
# and MODVERSIONS of Rust code depends on it.
deb_configure() { # CONFIG
	"deb_$1_config" >"$BUILD_DIR/.config.new" &&
		"$TREE_SRC/scripts/config" --file "$BUILD_DIR/.config.new" --set-str LOCALVERSION -vfifo --disable LOCALVERSION_AUTO \
			--set-str SYSTEM_TRUSTED_KEYS '' --set-str SYSTEM_REVOCATION_KEYS '' --set-str BUILD_SALT '' \
			--set-str MODULE_SIG_KEY certs/signing_key.pem --enable DEBUG_INFO_NONE \
			--disable DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT --disable DEBUG_INFO_DWARF4 --disable DEBUG_INFO_DWARF5 \
			--disable MODVERSIONS &&
		build_merge_fragment "$BUILD_DIR/.config.new"
}

# Compiling this configuration takes hours. This only checks that it keeps all of Debian's drivers, and names no file
# that only Debian has.
deb_distro_configures() {
	local setting BUILD_DIR lost
	deb_objects distro && deb_configure distro || return
	for setting in 'CONFIG_SYSTEM_TRUSTED_KEYS=""' 'CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"' 'CONFIG_LOCALVERSION="-vfifo"'; do
		grep -qxF "$setting" "$BUILD_DIR/.config" || { echo "$setting is not in the configuration"; return 1; }
	done
	lost=$(comm -23 <(sed -n 's/=m$//p' "$BUILD_DIR/.config.new" | sort) <(sed -n 's/=[my]$//p' "$BUILD_DIR/.config" | sort))
	[ -s "$BUILD_DIR/.config.new" ] && [ -z "$lost" ] || { echo "these modules of Debian's configuration are missing:"; echo "$lost"; return 1; }
}

# The files where the configuration of the running kernel may be.
deb_running_files() {
	local release
	release=$(uname -r)
	printf '%s\n' "$SYSTEM/boot/config-$release" "$SYSTEM/proc/config.gz" "$SYSTEM/lib/modules/$release"/{config,build/.config}
}
deb_running_file() {
	local file
	while read -r file; do
		[ ! -r "$file" ] || { echo "$file"; return; }
	done < <(deb_running_files)
}
deb_running_config() { zcat -f "$(deb_running_file)"; }

# Debian's configuration of the same version, from the package linux-config.
deb_distro_config() {
	local work
	work=$TREE_DIR/deb-distro/config
	rm -rf "$work" && mkdir -p "$work" && fetch_download "$work" "linux-config-$(tree_series)" >&2 &&
		dpkg-deb -x "$work"/linux-config-*.deb "$work/x" &&
		xz -dc "$work/x/usr/src/linux-config-$(tree_series)/config.amd64_none_amd64.xz"
}

# Adds to the package of headers what an external module in Rust needs.
deb_metadata() { # FOLDER RELEASE
	local deb work=$1/headers target
	deb=$(find "$1" -maxdepth 1 -name "linux-headers-$2_*.deb") && [ -n "$deb" ] || return
	rm -rf "$work" && dpkg-deb --raw-extract "$deb" "$work" || return
	target=$work/usr/src/linux-headers-$2
	(cd "$BUILD_DIR" && find rust \( -name '*.rmeta' -o -name '*.so' -o -name 'generated_*.rs' -o -name 'helpers*.bc' \) -print0 |
		tar c --null -T -) | tar x -C "$target" &&
		[ -e "$target/rust/libkernel.rmeta" ] &&
		cp "$BUILD_DIR/.config" "$target/.config" &&
		(cd "$work" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums) &&
		dpkg-deb --root-owner-group -Zzstd --build "$work" "$deb" && rm -r "$work"
}
