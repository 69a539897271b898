# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Tests "devbox" as a user would run it, in a separate Debian 13 with Debian's own kernels ("the box").
# The module is built, installed and upgraded there, and tried with these kernels: QEMU boots them with
# the box as the root file system.

BOX=''
# How the guest accesses the files of the box: virtiofs or 9p, whichever is built into its kernel.
BOX_FILES=virtiofs
# What a kernel developer has installed, and the programs that the kselftests run on the device.
BOX_PACKAGES=ca-certificates,gcc,libc6-dev,make,python3,procps,rsync,pv,socat,fio,util-linux,passwd,kmod
BOX_TESTS=/usr/lib/vfifo-kselftest

# box_run USER COMMAND-LINE: runs it in the box. For root, the environment is as if dev had used sudo.
box_run() {
	unshare --mount --pid --fork --propagation private bash -c '
		mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount -t tmpfs tmpfs "$1/tmp" &&
			cp /etc/resolv.conf "$1/etc/resolv.conf" &&
			exec env -i SUDO_USER=dev "SUDO_UID=$(chroot "$1" id -u dev)" "SUDO_GID=$(chroot "$1" id -g dev)" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
				DEBIAN_FRONTEND=noninteractive HOME="$(chroot "$1" sh -c "echo ~$2")" \
				chroot "$1" setpriv --reuid "$2" --regid "$2" --init-groups bash -c "cd && $3"' \
		box "$BOX" "$1" "$2"
}

# The packages that making and booting a box needs and that are missing here.
box_missing() {
	command -v mmdebstrap >/dev/null || echo mmdebstrap
	command -v "$GUEST_QEMU" >/dev/null || echo qemu-system-x86
	if ! box_find_virtiofsd; then if system_is_debian_12; then echo qemu-system-common; else echo virtiofsd; fi; fi
}

box_find_virtiofsd() { # sets BOX_VIRTIOFSD
	for BOX_VIRTIOFSD in "$SYSTEM"/usr/libexec/virtiofsd "$SYSTEM"/usr/lib/qemu/virtiofsd; do
		[ ! -x "$BOX_VIRTIOFSD" ] || return 0
	done
	BOX_VIRTIOFSD=
	return 1
}

box_needs() { # COMMAND
	local missing
	[ "$(id -u)" -eq 0 ] || die "$1: making a separate Debian needs root: sudo ./build-kernel.sh $1"
	mapfile -t missing < <(box_missing)
	case ${#missing[@]}$(system_distribution) in
	0*) ;;
	*debian | *ubuntu)
		must_install "$1" "${missing[@]}"
		mapfile -t missing < <(box_missing) ;;
	esac
	box_find_virtiofsd && [ ${#missing[@]} -eq 0 ] ||
		die "$1: missing here: ${missing[*]}; install them: $(system_packages_command "${missing[@]}")"
}

# A Debian 13 with the kernel of its backports and without vfifo.
box_make() { # FOLDER
	local archive keys=$FETCH_KEYS
	archive=$(fetch_archive) || return
	mmdebstrap --variant=important --include="$BOX_PACKAGES" --aptopt='APT::Sandbox::User "root"' "$VERSION_BOX" "$1" \
		"deb [signed-by=$keys] $archive $VERSION_BOX main" "deb [signed-by=$keys] $archive $VERSION_BOX_BACKPORTS main" || return
	apt-config dump | grep '^Acquire::.*::Proxy ' >"$1/etc/apt/apt.conf.d/90proxy"
	BOX=$1
	# Keep the downloaded packages for the next box.
	echo 'Binary::apt::APT::Keep-Downloaded-Packages "true"; APT::Keep-Downloaded-Packages "true";' >"$1/etc/apt/apt.conf.d/90keep"
	rm -f "$1/etc/apt/apt.conf.d/docker-clean"
	chroot "$1" useradd -m dev &&
		box_run root "apt-get -q update && apt-get -q install -y --no-install-recommends -t $VERSION_BOX_BACKPORTS \
			linux-image-amd64 linux-headers-amd64"
}

box_new() {
	local base=$CACHE/devbox-base
	if [ ! -e "$base" ]; then
		need_space 4000 "a Debian 13"
		rm -rf "$base.new"
		must "devbox: a Debian 13" devbox-box.log "see the log" box_make "$base.new"
		mv "$base.new" "$base"
	fi
	BOX=$CACHE/devbox-box
	rm -rf "$BOX"
	need_space 6000 "a Debian 13 to build in"
	must "devbox: copying it" devbox-box.log "see the log" cp -a --reflink=auto "$base" "$BOX"
	# The files that a clone has.
	mkdir "$BOX/home/dev/vfifo"
	(cd "$ROOT" && find . \( -name .git -o -path ./build -o -path ./host/target \) -prune -o -type f -print0 |
		tar c --null -T -) | tar x -C "$BOX/home/dev/vfifo"
	chroot "$BOX" chown -R dev: /home/dev
}

# box_follow USER ARGUMENT...: runs devbox, and the commands that it prints, until it succeeds.
box_follow() {
	local user=$1 said advice _ status
	shift
	for _ in {1..8}; do
		echo "\$ ./build-kernel.sh devbox $*"
		status=0
		box_run "$user" "cd ~dev/vfifo && ./build-kernel.sh --jobs $JOBS devbox $*" >"$BOX_SAID" 2>&1 || status=$?
		cat "$BOX_SAID"
		[ $status -ne 0 ] || return 0
		said=$(grep '^build-kernel.sh: ' "$BOX_SAID")
		advice=$(sed -nE 's/.*; install (it|them): sudo //p' <<<"$said")
		if [ "$(wc -l <<<"$said")" -ne 1 ] || [ -z "$advice" ]; then return 1; fi
		echo "# $advice"
		box_run root "${advice/install/install -y}" || return
	done
	echo "it still fails after 8 attempts"
	return 1
}

# Builds the kselftests in the box, from Debian's kernel source and ours.
box_selftests() { # RELEASE
	local series
	series=$(version_series "$1")
	box_run root "
		set -e
		mkdir -p t/usr/include/linux && cd t
		tar xf /usr/src/linux-source-$series.tar.xz --strip-components=1 --wildcards --no-wildcards-match-slash \
			'*/tools/testing/selftests/*.*' '*/tools/testing/selftests/Makefile' \
			'*/tools/testing/selftests/kselftest/*' '*/tools/scripts/*' '*/tools/build/*' '*/scripts/subarch.include'
		cp -r ~dev/vfifo/selftests tools/testing/selftests/vfifo
		cp -r ~dev/vfifo/clients tools/vfifo
		cp ~dev/vfifo/uapi/*.h usr/include/linux/
		make -C tools/testing/selftests TARGETS=vfifo FORCE_TARGETS=1 KHDR_INCLUDES=-isystem\ \$PWD/usr/include \
			KSFT_INSTALL_PATH=$BOX_TESTS install"
}

# box_boot SECONDS RELEASE APPEND COMMAND: like guest_run, with a kernel of the box and its files.
box_boot() {
	local seconds=$(($1 * GUEST_SCALE))
	GUEST_DIR=$BOX/guest
	mkdir -p "$GUEST_DIR"
	find "$GUEST_DIR" -mindepth 1 -delete
	: >"$GUEST_DIR/output"
	printf '%s\n' "$4" >"$GUEST_DIR/command"
	cat >"$GUEST_DIR/init" <<-'END'
		#!/bin/bash
		export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root
		mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /tmp; mount -t tmpfs tmpfs /run
		mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
		ln -sfn /proc/self/fd /dev/fd
		mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm
		mount -t securityfs securityfs /sys/kernel/security; mount -t tracefs tracefs /sys/kernel/tracing
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		ip link set lo up
		cd /guest
		cut -d ' ' -f 1 /proc/uptime >booted
		setsid bash ./command >output 2>&1 </dev/null
		echo $? >status.new && sync && mv status.new status
		sync
		echo o >/proc/sysrq-trigger
		sleep 60
	END
	chmod +x "$GUEST_DIR/init"
	guest_boot "$seconds" box_qemu "$seconds" "$2" "$3"
}

box_qemu() { # SECONDS RELEASE APPEND
	local socket=$BOX.socket daemon accel=(-accel tcg -cpu max)
	local machine=(-M q35 -smp 2 -m 1G -nographic -nodefaults -no-reboot -serial stdio -device virtio-rng-pci
		-kernel "$BOX/boot/vmlinuz-$2") append
	append="console=ttyS0 panic=-1 $(guest_kernel_options | paste -sd ' ') rw root=box init=/guest/init $3"
	[ "$ACCEL" != kvm ] || accel=(-accel kvm -cpu host)
	if [ "$BOX_FILES" = 9p ]; then
		exec timeout --kill-after=5 "$1" "$GUEST_QEMU" "${accel[@]}" "${machine[@]}" \
			-virtfs "local,path=$BOX,mount_tag=box,security_model=none,multidevs=remap" \
			-append "$append rootfstype=9p rootflags=trans=virtio,version=9p2000.L,msize=262144"
	fi
	rm -f "$socket"
	"$BOX_VIRTIOFSD" "--socket-path=$socket" -o "source=$BOX" -o sandbox=chroot -o cache=always &
	daemon=$!
	for _ in {1..100}; do [ -S "$socket" ] && break; sleep 0.1; done
	# Without a process group of its own, so that it ends with the rest.
	timeout --foreground --kill-after=5 "$1" "$GUEST_QEMU" "${accel[@]}" "${machine[@]}" \
		-object memory-backend-memfd,id=memory,size=1G,share=on -numa node,memdev=memory \
		-chardev "socket,id=files,path=$socket" -device vhost-user-fs-pci,chardev=files,tag=box \
		-append "$append rootfstype=virtiofs"
	kill "$daemon" 2>/dev/null || true
	wait "$daemon" || true
}

box_guest() { # NAME SECONDS RELEASE APPEND COMMAND: counts as a test, which fails if the kernel complains
	local trouble COUNT_MORE=("kernel=$3")
	say "-- $1, kernel $3"
	box_boot "$2" "$3" "$4" "$5"
	trouble=$(guest_trouble)
	if [ -z "$trouble" ] && [ "$GUEST_STATUS" = 0 ]; then
		say "  ok       $1, $GUEST_SECONDS s"
		count_result 1 0 0 "$1" "$GUEST_SECONDS"
	else
		say "  FAILED   $1: ${trouble:-status $GUEST_STATUS}"
		count_result 0 1 0 "$1" "$GUEST_SECONDS"
		COUNT_FAILED=1
	fi
}

# Whether everything that --dkms installed is gone.
box_is_clean() {
	[ -d "$BOX/lib/modules" ] && [ -d "$BOX/usr/src" ] && [ ! -e "$BOX/var/cache/vfifo" ] &&
		[ ! -e "$BOX/usr/lib/udev/rules.d/70-vfifo.rules" ] && [ ! -e "$BOX/usr/share/doc/vfifo" ] &&
		[ -z "$(find "$BOX/lib/modules" "$BOX/usr/src" -name 'rust_vfifo*' -o -name 'vfifo-*')" ]
}

# Kselftests that need something that Debian's kernel does not have are skipped, and listed. "suspend" needs a
# different machine.
box_kselftests() { # NAME RELEASE
	box_guest "$1" 2400 "$2" "" "
		set -e
		modprobe rust_vfifo
		export VFIFO_MODULE=~dev/vfifo/build/devbox/$2/rust_vfifo.ko VFIFO_SCALE=$GUEST_SCALE
		$BOX_TESTS/run_kselftest.sh$(selftest_override) -S vfifo:suspend -p /guest/programs | tee /guest/verdicts
		grep -q '^ok ' /guest/verdicts && ! grep -q '^not ok ' /guest/verdicts"
	mkdir -p "$LOGS/devbox-$2"
	cp -r "$GUEST_DIR/programs/." "$LOGS/devbox-$2/" 2>/dev/null || true
	box_count_kselftests "$LOGS/devbox-$2" "$2"
	grep -haE '# SKIP|^not ok' "$LOGS/devbox-$2"/* 2>/dev/null | sed 's/^#* */           /' || true
}

# The tests in these programs, by their own count. There need not be a kernel tree with a parser here.
box_count_kselftests() { # FOLDER RELEASE
	local passed failed skipped
	read -r passed failed < <(cat "$1"/* 2>/dev/null | grep -aoE 'Totals: .*' | tr ':' ' ' |
		awk '{ p += $3; f += $5 } END { print p + 0, f + 0 }')
	mapfile -t skipped < <(grep -aH ' # SKIP' "$1"/* 2>/dev/null | tr -d '\r' | tr '\t' ' ' | sed -nE \
		-e 's|^.*/([^/:]+):(# )?ok [0-9]+ (- )?(.*) # SKIP ?(.*)|skip=\1: \4\nreason=\5|p' \
		-e 's|^.*/([^/:]+):(# )?1\.\.0 # SKIP ?(.*)|skip=\1\nreason=\3|p')
	say "           $passed tests passed, $failed failed, $((${#skipped[@]} / 2)) skipped according to the programs"
	count_result "$passed" "$failed" $((${#skipped[@]} / 2)) "the tests in the kselftests" 0 "kernel=$2" ${skipped[@]+"${skipped[@]}"}
}

box_release() { # FLAVOUR: the newest kernel of that flavour in the box
	find "$BOX/boot" -name "vmlinuz-*+*[0-9]-$1" -printf '%f\n' | sed 's/^vmlinuz-//' | sort -V | tail -n 1
}

box_dkms() { box_run root "dkms status vfifo" | grep ': installed'; }
box_dkms_has() { box_dkms | tee /dev/stderr | grep -qF "$1"; }

box_test() {
	local from=$SECONDS release cloud first second work
	box_needs "devbox --test"
	[ "$ACCEL" != auto ] || ACCEL=tcg
	scratch work
	BOX_SAID=$work/said
	box_new
	release=$(box_release amd64)
	say "devbox: the box has kernel $release"
	COUNT_MORE=("kernel=$release")

	check "a user can build it by following devbox's advice" box_follow dev --kernel "$release"
	grep '^[$#] ' "$LOGS/check-$COMMAND.log" | sed 's/^/           /'
	[ $COUNT_FAILED -eq 0 ] || die "devbox --test: there is no module to test; see above (log: $LOGS/check-$COMMAND.log)"
	check "make in samples-rust-vfifo builds it" box_run dev "
		cd vfifo/samples-rust-vfifo && make KDIR=/lib/modules/$release/build && modinfo -F alias rust_vfifo.ko | grep -qx vfifo &&
			make KDIR=/lib/modules/$release/build INSTALL_MOD_PATH=\$HOME/root modules_install && make clean &&
			find ~/root -name 'rust_vfifo.ko*' | grep . && [ ! -e rust_vfifo.ko ]"
	check "the kselftests are built" box_selftests "$release"
	check "dkms installs it" box_follow root --kernel "$release" --dkms
	first=$(box_dkms)
	echo '// Another version.' >>"$BOX/home/dev/vfifo/samples-rust-vfifo/rust_vfifo/generator.rs"
	check "dkms upgrades it" box_follow root --kernel "$release" --dkms
	second=$(box_dkms)
	check "the old version is gone" test "$(wc -l <<<"$second")" -eq 1 -a "$first" != "$second" \
		-a "$(find "$BOX/usr/src" -maxdepth 1 -name 'vfifo-*' | wc -l)" -eq 1
	check "another kernel is installed" box_run root "apt-get install -y --no-install-recommends -t $VERSION_BOX_BACKPORTS \
		linux-headers-cloud-amd64 linux-image-cloud-amd64"
	cloud=$(box_release cloud-amd64)
	check "dkms has built it for $cloud" box_dkms_has "$cloud"

	box_guest "devbox --load" 300 "$release" "" "cd ~dev/vfifo && ./build-kernel.sh devbox --load && rmmod rust_vfifo"
	box_guest "the tour, cloud flavour" 300 "$cloud" "" "
		module=\$(modinfo -n rust_vfifo) && bash ~dev/vfifo/steps/tour/tour.sh \$module && modprobe rust_vfifo"
	box_kselftests "kselftests" "$release"
	box_guest "an unsigned module is refused" 300 "$release" "module.sig_enforce=1" "
		cd ~dev/vfifo
		! insmod build/devbox/*/rust_vfifo.ko && ! said=\$(./build-kernel.sh devbox --load 2>&1)
		echo \"\$said\"; grep -q 'module.sig_enforce is set' <<<\"\$said\""
	box_guest "--remove unloads it" 600 "$release" "" "
		set -e
		modprobe vfifo
		[ -c /dev/vfifo0 ]
		~dev/vfifo/build-kernel.sh devbox --remove
		[ ! -e /sys/module/rust_vfifo ]
		! modprobe rust_vfifo"
	check "nothing is left behind" box_is_clean
	[ $COUNT_FAILED -eq 0 ] || die "devbox --test: some checks failed, as shown above"
	rm -rf "$BOX"
	done_step "devbox --test" "$from" "Debian 13, kernels $release and $cloud, with $ACCEL"
}
