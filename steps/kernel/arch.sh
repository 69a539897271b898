# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Kernels of the architectures that --arch names, which this machine compiles and emulates. Such a kernel is booted with the
# files of a Debian of its architecture (ARCH_ROOT), below which the guest also sees the clone and the cache, at the
# paths that they have here:
#
#	/            Debian's packages, unpacked; read-only here, with an overlay in the guest's memory
#	$ROOT        the clone, read-only
#	$CACHE       the cache, read-only
#	$GUEST_DIR   the command and what it leaves behind
#
# The virtme-ng guest of guest.sh is for this machine's own architecture.

# What --arch takes: the name of a folder of objects, the kernel's name of the architecture, the kernel image, Debian's
# name, QEMU and its processor, and the console.
ARCH_TABLE='
arm64  arm64  arch/arm64/boot/Image  arm64  qemu-system-aarch64  cortex-a72  ttyAMA0'

# arch_field N: that column of the table, from 1, for the architecture in use.
arch_field() { awk -v name="$ARCH" -v column="$1" '$1 == name { print $column }' <<<"$ARCH_TABLE"; }

# The kernel image below a folder of objects.
arch_image() { if [ -n "$ARCH" ]; then arch_field 3; else echo arch/x86/boot/bzImage; fi; }

# The file of the kernel's configuration.
arch_config() { echo "$ROOT/defconfig${ARCH:+.$ARCH}"; }

# make's arguments for it, one a line. The second is for the kselftests: this machine's linker knows only its own architecture.
arch_make() { [ -z "$ARCH" ] || printf '%s\n' "ARCH=$(arch_field 2)" USERLDFLAGS=-fuse-ld=lld; }

# The packages of Debian 12 that building and emulating it needs.
arch_packages() {
	[ -n "$ARCH" ] || return 0
	printf '%s\n' qemu-system-arm mmdebstrap "libc6-dev-$(arch_field 4)-cross" "libgcc-12-dev-$(arch_field 4)-cross"
}

arch_need() { # STEP
	local packages
	mapfile -t packages < <(arch_packages)
	[ ${#packages[@]} -eq 0 ] || deps_want_packages "$1" "${packages[@]}"
}

# What the kselftests and the runner use. Without the scripts of the packages, which would have to be run on that architecture,
# what is marked essential is not installed by itself.
ARCH_ROOT_PACKAGES=base-files,base-passwd,bash,bsdutils,coreutils,dash,debianutils,diffutils,findutils,grep,gzip,hostname,libc-bin,login,mawk,mount,ncurses-base,perl,procps,sed,tar,util-linux,bc,fio,gawk,iproute2,kmod,make,pv,python3,socat,strace

arch_make_root() { # FOLDER
	local archive
	archive=$(fetch_archive) || return
	mmdebstrap --mode=root --variant=extract --architectures="$(arch_field 4)" --include="$ARCH_ROOT_PACKAGES" \
		--aptopt='APT::Sandbox::User "root"' "$VERSION_BOX" "$1" \
		"deb [signed-by=$FETCH_KEYS] $archive $VERSION_BOX main" &&
		arch_finish_root "$1"
}

# What the packages' scripts would have done, and where the guest begins.
arch_finish_root() { # FOLDER
	local root=$1
	cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd" &&
		cp "$root/usr/share/base-passwd/group.master" "$root/etc/group" &&
		ln -sfn mawk "$root/usr/bin/awk" && mkdir -p "$root"/{proc,sys,dev,run,tmp,mnt,guest} || return
	cat >"$root/vfifo-init" <<-'END'
		#!/bin/bash
		export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root
		mount -t tmpfs tmpfs /mnt && mkdir /mnt/{up,work,root} &&
			mount -t overlay -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work overlay /mnt/root &&
			cd /mnt/root && pivot_root . mnt && exec chroot . /bin/bash /vfifo-go <dev/null
	END
	cat >"$root/vfifo-go" <<-'END'
		mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev
		mount -t tmpfs tmpfs /tmp; mount -t tmpfs tmpfs /run
		ln -sfn /proc/self/fd /dev/fd
		mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		mount -t tracefs tracefs /sys/kernel/tracing
		ip link set lo up
		share() { mkdir -p "$2"; mount -t 9p -o "version=9p2000.L,trans=virtio,access=any,msize=524288,$3" "$1" "$2"; }
		share guest /guest cache=none
		share clone "$(cat /guest/clone)" cache=loose,ro
		share cache "$(cat /guest/cache)" cache=loose,ro
		mount --bind /guest "$(cat /guest/here)"
		sh /guest/wrapper
		sync
		echo o >/proc/sysrq-trigger
		sleep 60
	END
	chmod +x "$root/vfifo-init"
}

# Sets ARCH_ROOT, the folder with the files of that architecture.
ARCH_ROOT=
arch_need_root() {
	ARCH_ROOT=$CACHE/root-$(arch_field 4)
	[ ! -e "$ARCH_ROOT/vfifo-init" ] || return 0
	[ "$(id -u)" -eq 0 ] || die "$COMMAND: unpacking the packages of Debian for $(arch_field 4) needs root, once: sudo $DOOR $COMMAND"
	need_space 1000 "the files of Debian for $(arch_field 4)"
	rm -rf "$ARCH_ROOT" "$ARCH_ROOT.new"
	must "$COMMAND: Debian for $(arch_field 4)" arch-root.log network arch_make_root "$ARCH_ROOT.new"
	mv "$ARCH_ROOT.new" "$ARCH_ROOT"
}

arch_need_guest() { [ -z "$ARCH" ] || { arch_need "$COMMAND" && arch_need_root; }; }

# arch_boot SECONDS: runs $GUEST_DIR/command in that machine, as guest_vng does in this one.
arch_boot() {
	local share access
	echo "$ROOT" >"$GUEST_DIR/clone"
	echo "$CACHE" >"$GUEST_DIR/cache"
	echo "$GUEST_DIR" >"$GUEST_DIR/here"
	set -- "$1" -M virt -cpu "$(arch_field 6)" -smp 2 -m "$GUEST_MEMORY" -nographic -nodefaults -no-reboot -serial stdio \
		-device virtio-rng-pci -kernel "$BUILD_DIR/$(arch_image)" \
		-append "console=$(arch_field 7) panic=-1 $(guest_kernel_options | paste -sd ' ') ro root=root rootfstype=9p $GUEST_HOST_FILES init=/vfifo-init"
	for share in "root $ARCH_ROOT" "clone $ROOT" "cache $CACHE" "guest $GUEST_DIR"; do
		access=,readonly=on
		[ "${share%% *}" != guest ] || access=
		set -- "$@" -virtfs "local,path=${share#* },mount_tag=${share%% *},security_model=none,multidevs=remap$access"
	done
	guest_watch_boot tcg "$GUEST_DIR/booted"
	exec timeout --kill-after=5 "$1" "$(arch_field 5)" -accel tcg "${@:2}"
}
