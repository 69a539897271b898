# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Boots the built kernel with virtme-ng on the host's files, and runs one command line in it.
# The command's output and status come back as files in a shared folder. That needs neither udev
# nor a terminal, and a missing status file tells a crash from an exit.

GUEST_QEMU=qemu-system-x86_64
GUEST_DIR=
GUEST_END=
GUEST_CONSOLE=console.log
# What a kernel prints if it has detected an error. SLUB prints "BUG kmalloc-64 (...)".
GUEST_TROUBLE='Kernel panic|BUG:|BUG [^ ]+ \(|kernel BUG at|panicked at|WARNING:|Oops|general protection fault|KASAN:|UBSAN:|KFENCE:|ODEBUG:|corruption|INFO: task .* blocked|INFO: trying to register|rcu: INFO:|possible circular locking|DEBUG_LOCKS|locking correctness validator|Unable to handle|detected stall|leak detector disabled'
# The factor for all deadlines (VFIFO_SCALE=3 for a busy machine), and kernel options. no_timer_check: on a busy
# machine, an emulated timer may be late when the kernel tests it, and the kernel would panic.
GUEST_SCALE=${VFIFO_SCALE:-1}
GUEST_MEMORY=1G
GUEST_KERNEL_OPTIONS=(oops=panic log_buf_len=1M no_timer_check)

# For kernels with sanitizers. These take time and memory, and an emulated processor on a busy machine can be idle
# for so long that it looks stuck. SLUB does not record the stacks of allocations (no U), which is slow and which KASAN
# does anyway. It checks only what kmalloc returns, where the driver gets its memory; checking everything would take a
# third of the time.
guest_slow() {
	GUEST_SCALE=$((6 * GUEST_SCALE))
	GUEST_MEMORY=2G
	GUEST_KERNEL_OPTIONS+=(page_poison=1 "slab_debug=-;FZP,kmalloc-*" watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=200)
}

# VFIFO_KMEMLEAK=off disables kmemleak, whose scans take minutes.
guest_kmemleak() { [ "$DEBUG" = debug ] && [ "${VFIFO_KMEMLEAK:-on}" != off ]; }

# One per line, without those for the root file system, which the caller adds.
guest_kernel_options() {
	printf '%s\n' "${GUEST_KERNEL_OPTIONS[@]}"
	[ "$DEBUG" != debug ] || guest_kmemleak || echo kmemleak=off
}

# "leak detector disabled" is not an error if kmemleak was disabled on the kernel's command line.
GUEST_TROUBLE_BUT_KMEMLEAK=${GUEST_TROUBLE/|leak detector disabled/}
guest_trouble_pattern() {
	if grep -qa 'ommand line: .*kmemleak=off' "$LOGS/$GUEST_CONSOLE"; then
		echo "$GUEST_TROUBLE_BUT_KMEMLEAK"
	else
		echo "$GUEST_TROUBLE"
	fi
}

# guest_vng_options ACCEL: sets VNG, a local variable of the caller.
guest_vng_options() {
	local option options
	mapfile -t options < <(guest_kernel_options)
	VNG=(vng --run "$BUILD_DIR/arch/x86/boot/bzImage" --user root --disable-microvm --force-9p --cpus 2 --memory "$GUEST_MEMORY"
		--name vfifo --append root=/dev/root)
	for option in "${options[@]}"; do VNG+=(--append "$option"); done
	[ "$1" = kvm ] || VNG+=(--disable-kvm)
	VNG+=(${GUEST_OPTIONS[@]+"${GUEST_OPTIONS[@]}"})
}

# The host's files do not change while a command runs, so the guest may cache them. Without a cache, each page of each
# program is transferred each time: Python took eight times as long to start.
GUEST_HOST_FILES=rootflags=version=9p2000.L,trans=virtio,access=any,msize=524288,cache=loose

# Seconds, times GUEST_SCALE, within which a guest must have booted. On a busy machine, an emulated processor sometimes
# loops forever while booting; without this limit, that would last until the guest's deadline.
GUEST_BOOT_SECONDS=100

# guest_watch_boot ACCEL FILE: ends this process, even after exec, if FILE is still empty by then.
guest_watch_boot() {
	local pid=$BASHPID from=$SECONDS limit=$((GUEST_BOOT_SECONDS * GUEST_SCALE))
	rm -f "$GUEST_DIR/stalled"
	[ "$1" = tcg ] || return 0
	{
		until [ -s "$2" ] || [ $((SECONDS - from)) -ge "$limit" ]; do
			sleep 1
			kill -0 "$pid" || exit
		done
		[ -s "$2" ] || { echo "$limit" >"$GUEST_DIR/stalled" && kill "$pid"; }
	} >/dev/null 2>&1 8>&- 9>&- &
}

guest_vng() { # SECONDS ACCEL: runs $GUEST_DIR/command; console in $GUEST_DIR/console
	local VNG
	guest_vng_options "$2"
	guest_watch_boot "$2" "$GUEST_DIR/booted"
	exec timeout --kill-after=5 "$1" "${VNG[@]}" --append "$GUEST_HOST_FILES" --verbose --rwdir="$GUEST_DIR" --cwd "$GUEST_DIR" \
		-- "sh $GUEST_DIR/wrapper"
}

# guest_start SECONDS: runs $GUEST_DIR/command in a guest of the architecture in use.
guest_start() { if [ -n "$ARCH" ]; then arch_boot "$1"; else guest_vng "$1" "$ACCEL"; fi; }

# guest_run SECONDS COMMAND: the command's status. GUEST_END is exit, crash or hang, and the output is
# in $GUEST_DIR/output, the console in $GUEST_DIR/console.
guest_run() {
	guest_prepare "$2"
	guest_boot "$1" guest_start "$1"
}

# guest_boot SECONDS COMMAND...: boots the guest that is prepared in $GUEST_DIR with that command, and shows its output.
guest_boot() {
	local from=$SECONDS shown
	lib_launch "$GUEST_DIR/console" "${@:2}"
	tail -f --pid="$LIB_CHILD" -s 0.2 "$GUEST_DIR/output" 2>/dev/null 8>&- 9>&- &
	shown=$!
	wait "$LIB_CHILD" || true
	LIB_CHILD=
	wait "$shown" || true
	guest_judge "$1"
	GUEST_SECONDS=$((SECONDS - from))
	# It had not started the command, so everything is still prepared.
	if guest_slipped; then AGAIN=1 guest_boot "$@"; fi
}

# Whether the emulator has failed while booting; prints a message if so. With two processors, QEMU may trap on an
# instruction that the kernel is patching at that moment (a static key). On a busy machine, it may deliver the first
# interrupt so early that the debug kernel reports it as an error of its own, or it may loop. If that happens before
# the guest has started the command, the guest is booted again, once. It cannot just go on: after such a report, the
# kernel disables some of its checks.
guest_slipped() {
	local what='Oops: int3'
	[ "$DEBUG" != debug ] || what=$(guest_trouble_pattern)
	[ -z "${AGAIN-}" ] && [ "$ACCEL" = tcg ] && [ ! -e "$GUEST_DIR/booted" ] || return
	if [ -e "$GUEST_DIR/stalled" ]; then
		say "guest: the emulated machine did not boot within $(cat "$GUEST_DIR/stalled") s; retrying once"
	elif what=$(guest_complaints | grep -aoE -m 1 "($what).*"); then
		say "guest: the kernel complained while the emulated machine booted ($what); retrying once"
	else
		return 1
	fi
}

# guest_run_logged LABEL LOG SECONDS COMMAND: the same for commands that take long. The output goes to the log, and the
# progress that is shown is the last line of the output that matches GUEST_AT.
guest_run_logged() {
	local from=$SECONDS PROGRESS=guest_at
	guest_prepare "$4"
	logged "$1" "$GUEST_CONSOLE" guest_start "$3" || true
	cp "$LOGS/$GUEST_CONSOLE" "$GUEST_DIR/console"
	cp "$GUEST_DIR/output" "$LOGS/$2"
	guest_judge "$3"
	GUEST_SECONDS=$((SECONDS - from))
	if guest_slipped; then AGAIN=1 guest_run_logged "$@"; fi
}

GUEST_AT='s/^# selftests: vfifo: ([^ ]+)$/\1, /p'
guest_at() { sed -nE "$GUEST_AT" "$GUEST_DIR/output" | tail -n 1; }

guest_prepare() { # COMMAND
	[ -e "$BUILD_DIR/$(arch_image)" ] || die "there is no kernel yet; run $DOOR build first"
	command -v "$GUEST_QEMU" >/dev/null || die "QEMU ($GUEST_QEMU) is missing; run ./build-kernel.sh deps as root"
	arch_need_guest
	guest_choose_accel
	guest_new "$1"
}

# The pattern of messages that the debug kernel must not have printed when the command starts; empty for other kernels.
guest_early_trouble() {
	if [ "$DEBUG" = debug ]; then echo "$GUEST_TROUBLE_BUT_KMEMLEAK"; fi
}

guest_new() { # COMMAND
	[ -n "$GUEST_DIR" ] || scratch GUEST_DIR
	find "$GUEST_DIR" -mindepth 1 -delete
	: >"$GUEST_DIR/output"
	printf '%s\n' "$1" >"$GUEST_DIR/command"
	guest_early_trouble >"$GUEST_DIR/early"
	cat >"$GUEST_DIR/wrapper" <<-END
		cd $GUEST_DIR
		! dmesg | grep -qaEf early || exit
		cut -d ' ' -f 1 /proc/uptime >booted
		bash ./command >output 2>&1 </dev/null
		echo \$? >status.new && sync && mv status.new status
	END
}

# Sets GUEST_STATUS and GUEST_END from the files of the guest, and keeps its console.
guest_judge() { # SECONDS
	GUEST_STATUS=$(cat "$GUEST_DIR/status" 2>/dev/null || true)
	cp "$GUEST_DIR/console" "$LOGS/$GUEST_CONSOLE"
	if grep -qaE 'Kernel panic' "$GUEST_DIR/console"; then
		GUEST_END=crash
	elif [ -n "$GUEST_STATUS" ]; then
		GUEST_END="exit"
	elif [ -e "$GUEST_DIR/booted" ] && ! grep -qa 'reboot: Power down' "$GUEST_DIR/console"; then
		GUEST_END=hang
	elif [ -e "$GUEST_DIR/booted" ]; then
		GUEST_END=crash
	else
		GUEST_END=unbooted
	fi
	[ "$GUEST_END" = exit ] || GUEST_STATUS=1
}

# Describes in one line what went wrong with the last guest; prints nothing if nothing did.
guest_trouble() {
	local line
	line=$(guest_complaints | grep -aoE "($GUEST_TROUBLE).*" | head -n 1 || true)
	case $GUEST_END in
	crash) echo "the guest kernel crashed: ${line:-it ended without a message} (log: $LOGS/$GUEST_CONSOLE)" ;;
	hang) echo "the guest hung and was killed: ${line:-the command did not end within its time} (log: $LOGS/$GUEST_CONSOLE)" ;;
	unbooted)
		if [ -n "$line" ]; then line="the guest kernel complained before it had booted: $line"
		else line="the guest did not boot within its time: QEMU said: $(tail -n 1 "$LOGS/$GUEST_CONSOLE" | tr -d '\r')"; fi
		echo "$line (log: $LOGS/$GUEST_CONSOLE)" ;;
	*) [ -z "$line" ] || echo "the guest kernel complained: $line (log: $LOGS/$GUEST_CONSOLE)" ;;
	esac
}

# fcntl() reads the flags of a file without the lock under which fasync_helper() changes them (fs/fcntl.c). KCSAN
# reports that for any driver with O_ASYNC.
GUEST_KNOWN_RACE='data-race in do_fcntl / fasync_(insert|remove)_entry'

# The complaints of the last guest's kernel, each up to the end of its call trace. KCSAN checks the whole kernel, so
# only its reports that mention the module count; the release of this kernel also contains "vfifo".
guest_complaints() {
	TROUBLE=$(guest_trouble_pattern) KNOWN_RACE=$GUEST_KNOWN_RACE awk '
		function flush() {
			if (kcsan && (block !~ /rust_vfifo/ || block ~ ENVIRON["KNOWN_RACE"])) block = ""
			printf "%s", block
			block = ""; left = 0; kcsan = 0
		}
		{ gsub(/\r|\033\[[0-9;]*m/, "") }
		!left && $0 ~ ENVIRON["TROUBLE"] { left = 50; kcsan = /BUG: KCSAN:/ }
		left {
			block = block $0 "\n"
			if (--left == 0 || /---\[ end (trace|Kernel panic)/ || /\] =====*$/) flush()
		}
		END { flush() }
	' "$LOGS/$GUEST_CONSOLE"
}

# /dev/kvm may exist and still not run a guest, so this tries to boot one, with a deadline. The result is cached until
# the machine is rebooted.
guest_choose_accel() {
	[ -z "$ARCH" ] || ACCEL=tcg
	[ "$ACCEL" = auto ] || return 0
	local known=$CACHE/kvm-probe boot
	boot=$(cat /proc/sys/kernel/random/boot_id)
	if [ "$(sed -n 1p "$known" 2>/dev/null)" != "$boot" ]; then
		ACCEL=tcg
		if [ -w /dev/kvm ]; then
			guest_new true
			lib_launch "$GUEST_DIR/console" guest_vng 20 kvm
			wait "$LIB_CHILD" || true
			LIB_CHILD=
			guest_judge 20
			[ "$GUEST_STATUS" != 0 ] || ACCEL=kvm
			[ "$ACCEL" = kvm ] || say "guest: /dev/kvm exists but does not run the guest; emulating instead"
		fi
		printf '%s\n%s\n' "$boot" "$ACCEL" >"$known.new" && mv "$known.new" "$known"
	fi
	ACCEL=$(sed -n 2p "$known")
}

guest_must() { # STEP SECONDS COMMAND: shows its output; any failure ends this run
	local trouble
	guest_run "$2" "$3"
	trouble=$(guest_trouble)
	[ -z "$trouble" ] || die "$1: $trouble"
	[ "$GUEST_STATUS" = 0 ] || die "$1: failed with status $GUEST_STATUS, as shown above (log: $LOGS/console.log)"
}

do_shell() {
	tree_need
	build_use_objects
	local VNG status=0
	if [ $# -gt 0 ]; then
		guest_run "${VFIFO_DEADLINE:-600}" "cd '$ROOT'; $*"
		local trouble
		trouble=$(guest_trouble)
		[ -z "$trouble" ] || die "shell: $trouble"
		lib_said
		exit "$GUEST_STATUS"
	fi
	[ -z "$ARCH" ] || die "shell: --arch runs one command: $DOOR shell COMMAND"
	[ -t 0 ] || die "shell: needs a terminal; to run one command: ./build-kernel.sh shell COMMAND"
	[ -e "$BUILD_DIR/$(arch_image)" ] || die "there is no kernel yet; run $DOOR build first"
	[ -n "$GUEST_DIR" ] || scratch GUEST_DIR
	guest_choose_accel
	guest_vng_options "$ACCEL"
	# Allow builds while the shell is open.
	flock -u 9 2>/dev/null || true
	flock -u 8 2>/dev/null || true
	say "shell: the module is $BUILD_DIR/samples/rust/rust_vfifo.ko; \"exit\" ends the guest"
	"${VNG[@]}" --cwd "$OUT" || status=$?
	lib_said
	exit "$status"
}
