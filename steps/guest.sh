# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Boots the built kernel with virtme-ng, the host's files inside, and runs one command line in it.
# The command's output and status come back as files of a shared folder: that needs neither udev
# nor a terminal, and "no status" is what tells a crash from an exit.

QEMU=qemu-system-x86_64
GUEST=
GUEST_END=
CONSOLE=console.log
# What a kernel says that has something to complain about. "BUG kmalloc-64 (…)" is SLUB's way.
TROUBLE='Kernel panic|BUG:|BUG [^ ]+ \(|kernel BUG at|panicked at|WARNING:|Oops|general protection fault|KASAN:|UBSAN:|KFENCE:|ODEBUG:|corruption|INFO: task .* blocked|INFO: trying to register|rcu: INFO:|possible circular locking|DEBUG_LOCKS|locking correctness validator|Unable to handle|detected stall|leak detector disabled'
# How much longer everything may take (VFIFO_SCALE=3 for a busy machine), and what else the kernel is
# told: an emulated timer on a busy machine may be late when the kernel tries it, which is a panic.
SCALE=${VFIFO_SCALE:-1}
MEMORY=1G
KERNEL_OPTIONS=(oops=panic log_buf_len=1M no_timer_check)

# For kernels with sanitizers: they take time and memory, and a processor that is emulated on a busy
# machine may well do nothing for as long as one that is stuck. Stacks are dear: KASAN keeps those of
# allocations, so that SLUB need not (no U). SLUB watches over what kmalloc gives out, as the driver has
# its memory from there; all the others' would take a third of the time.
slow_guest() {
	SCALE=$((6 * SCALE))
	MEMORY=2G
	KERNEL_OPTIONS+=(page_poison=1 "slab_debug=-;FZP,kmalloc-*" watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=200)
}

# VFIFO_KMEMLEAK=off does without kmemleak, whose scans take minutes.
kmemleak() { [ "$DEBUG" = debug ] && [ "${VFIFO_KMEMLEAK:-on}" != off ]; }

# One a line. What is the root file system is said by who boots.
kernel_options() {
	printf '%s\n' "${KERNEL_OPTIONS[@]}"
	[ "$DEBUG" != debug ] || kmemleak || echo kmemleak=off
}

# That kmemleak is disabled is nothing to complain of where that kernel was told so.
TROUBLE_BUT_KMEMLEAK=${TROUBLE/|leak detector disabled/}
trouble() {
	if grep -qa 'ommand line: .*kmemleak=off' "$LOGS/$CONSOLE"; then
		echo "$TROUBLE_BUT_KMEMLEAK"
	else
		echo "$TROUBLE"
	fi
}

vng_options() { # ACCEL
	local option options
	mapfile -t options < <(kernel_options)
	VNG=(vng --run "$O/arch/x86/boot/bzImage" --user root --disable-microvm --force-9p --cpus 2 --memory "$MEMORY"
		--name vfifo --append root=/dev/root)
	for option in "${options[@]}"; do VNG+=(--append "$option"); done
	[ "$1" = kvm ] || VNG+=(--disable-kvm)
	VNG+=(${GUEST_OPTIONS[@]+"${GUEST_OPTIONS[@]}"})
}

# The host's files do not change while a command runs, so the guest may keep what it has seen of them.
# Else each page of each program is asked for each time: Python took eight times as long to start.
HOST_FILES=rootflags=version=9p2000.L,trans=virtio,access=any,msize=524288,cache=loose

# Seconds, times SCALE, until a guest must have begun. Now and then a processor that is emulated on a busy
# machine goes round and round instead, and would do so until the end of the guest's time.
BOOT_SECONDS=100

# watch_boot ACCEL FILE: ends this process, whatever it becomes, if by then nothing is in FILE.
watch_boot() {
	local pid=$BASHPID from=$SECONDS limit=$((BOOT_SECONDS * SCALE))
	rm -f "$GUEST/stalled"
	[ "$1" = tcg ] || return 0
	{
		until [ -s "$2" ] || [ $((SECONDS - from)) -ge "$limit" ]; do
			sleep 1
			kill -0 "$pid" || exit
		done
		[ -s "$2" ] || { echo "$limit" >"$GUEST/stalled" && kill "$pid"; }
	} >/dev/null 2>&1 9>&- &
}

boot() { # SECONDS ACCEL: runs $GUEST/command; console in $GUEST/console
	local VNG
	vng_options "$2"
	watch_boot "$2" "$GUEST/booted"
	exec timeout --kill-after=5 "$1" "${VNG[@]}" --append "$HOST_FILES" --verbose --rwdir="$GUEST" --cwd "$GUEST" \
		-- "sh $GUEST/wrapper"
}

# guest SECONDS COMMAND: the command's status. GUEST_END is exit, crash or hang, and the output is
# in $GUEST/output, the console in $GUEST/console.
guest() {
	prepare_guest "$2"
	boot_guest "$1" boot "$1" "$ACCEL"
}

# boot_guest SECONDS COMMAND...: boots, by that command, the guest that is prepared in $GUEST; shows its output as it comes.
boot_guest() {
	local from=$SECONDS shown
	launch "$GUEST/console" "${@:2}"
	tail -f --pid="$CHILD" -s 0.2 "$GUEST/output" 2>/dev/null 9>&- &
	shown=$!
	wait "$CHILD" || true
	CHILD=
	wait "$shown" || true
	judge "$1"
	GUEST_SECONDS=$((SECONDS - from))
	# It has not begun with anything, so that it is still prepared.
	if emulator_slipped; then AGAIN=1 boot_guest "$@"; fi
}

# QEMU's emulation of two processors may trap on an instruction that the kernel is just patching (a
# static key), and on a busy machine it lets a first interrupt come so early that the debug kernel takes
# it for a fault of its own; or nothing goes on. When that happens before a guest has begun with anything
# of ours, it is begun anew, once: what complained so early no longer checks all that it should.
emulator_slipped() {
	local what='Oops: int3'
	[ "$DEBUG" != debug ] || what=$(trouble)
	[ -z "${AGAIN-}" ] && [ "$ACCEL" = tcg ] && [ ! -e "$GUEST/booted" ] || return
	if [ -e "$GUEST/stalled" ]; then
		say "guest: emulated, it had not booted after $(cat "$GUEST/stalled") s; once more"
	elif what=$(complaints | grep -aoE -m 1 "($what).*"); then
		say "guest: emulated, the kernel complained while it booted ($what); once more"
	else
		return 1
	fi
}

# guest_logged LABEL LOG SECONDS COMMAND: the same for what takes long. The output goes to the log,
# and what is shown is how far it is: the last line of the output that matches GUEST_AT.
guest_logged() {
	local from=$SECONDS PROGRESS=guest_at
	prepare_guest "$4"
	logged "$1" "$CONSOLE" boot "$3" "$ACCEL" || true
	cp "$LOGS/$CONSOLE" "$GUEST/console"
	cp "$GUEST/output" "$LOGS/$2"
	judge "$3"
	GUEST_SECONDS=$((SECONDS - from))
	if emulator_slipped; then AGAIN=1 guest_logged "$@"; fi
}

GUEST_AT='s/^# selftests: vfifo: ([^ ]+)$/\1, /p'
guest_at() { sed -nE "$GUEST_AT" "$GUEST/output" | tail -n 1; }

prepare_guest() { # COMMAND
	[ -e "$O/arch/x86/boot/bzImage" ] || die "there is no kernel yet; run $DOOR build first"
	command -v "$QEMU" >/dev/null || die "QEMU ($QEMU) is missing; run ./build-kernel.sh deps as root"
	choose_accel
	new_guest "$1"
}

# What a guest of the debug kernel must not have said by the time it begins; for others, nothing.
early_trouble() {
	if [ "$DEBUG" = debug ]; then echo "$TROUBLE_BUT_KMEMLEAK"; fi
}

new_guest() { # COMMAND
	[ -n "$GUEST" ] || scratch GUEST
	find "$GUEST" -mindepth 1 -delete
	: >"$GUEST/output"
	printf '%s\n' "$1" >"$GUEST/command"
	early_trouble >"$GUEST/early"
	cat >"$GUEST/wrapper" <<-END
		cd $GUEST
		! dmesg | grep -qaEf early || exit
		cut -d ' ' -f 1 /proc/uptime >booted
		bash ./command >output 2>&1 </dev/null
		echo \$? >status.new && sync && mv status.new status
	END
}

# The console is kept, whatever happened.
judge() { # SECONDS
	GUEST_STATUS=$(cat "$GUEST/status" 2>/dev/null || true)
	cp "$GUEST/console" "$LOGS/$CONSOLE"
	if grep -qaE 'Kernel panic' "$GUEST/console"; then
		GUEST_END=crash
	elif [ -n "$GUEST_STATUS" ]; then
		GUEST_END="exit"
	elif [ -e "$GUEST/booted" ] && ! grep -qa 'reboot: Power down' "$GUEST/console"; then
		GUEST_END=hang
	elif [ -e "$GUEST/booted" ]; then
		GUEST_END=crash
	else
		GUEST_END=unbooted
	fi
	[ "$GUEST_END" = exit ] || GUEST_STATUS=1
}

# What a person should hear about the last guest, or nothing when all is well.
guest_trouble() {
	local line
	line=$(complaints | grep -aoE "($TROUBLE).*" | head -n 1 || true)
	case $GUEST_END in
	crash) echo "the guest kernel crashed: ${line:-it ended without a word} (log: $LOGS/$CONSOLE)" ;;
	hang) echo "the guest hung and was ended: ${line:-no answer within its time} (log: $LOGS/$CONSOLE)" ;;
	unbooted)
		if [ -n "$line" ]; then line="the guest kernel complained before it had booted: $line"
		else line="the guest did not boot within its time: QEMU said: $(tail -n 1 "$LOGS/$CONSOLE" | tr -d '\r')"; fi
		echo "$line (log: $LOGS/$CONSOLE)" ;;
	*) [ -z "$line" ] || echo "the guest kernel complained: $line (log: $LOGS/$CONSOLE)" ;;
	esac
}

# fcntl() looks at the flags of a file without the lock under which fasync_helper() changes them (fs/fcntl.c),
# which KCSAN says of any driver with O_ASYNC.
KNOWN_RACE='data-race in do_fcntl / fasync_(insert|remove)_entry'

# What the last guest complained of, in its own words: each complaint with what follows it, up to the
# end of its call trace. KCSAN watches the whole kernel, in whose name is a vfifo, too; only what it says
# of the driver counts.
complaints() {
	TROUBLE=$(trouble) KNOWN_RACE=$KNOWN_RACE awk '
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
	' "$LOGS/$CONSOLE"
}

# /dev/kvm may open and then never run the guest, so only a boot with a deadline counts. The
# answer holds until this machine boots again.
choose_accel() {
	[ "$ACCEL" = auto ] || return 0
	local known=$CACHE/kvm-probe boot
	boot=$(cat /proc/sys/kernel/random/boot_id)
	if [ "$(sed -n 1p "$known" 2>/dev/null)" != "$boot" ]; then
		ACCEL=tcg
		if [ -w /dev/kvm ]; then
			new_guest true
			launch "$GUEST/console" boot 20 kvm
			wait "$CHILD" || true
			CHILD=
			judge 20
			[ "$GUEST_STATUS" != 0 ] || ACCEL=kvm
			[ "$ACCEL" = kvm ] || say "guest: /dev/kvm is there but does not run the guest; emulating"
		fi
		printf '%s\n%s\n' "$boot" "$ACCEL" >"$known.new" && mv "$known.new" "$known"
	fi
	ACCEL=$(sed -n 2p "$known")
}

do_shell() {
	need_tree
	use_objects
	local VNG status=0
	if [ $# -gt 0 ]; then
		guest "${VFIFO_DEADLINE:-600}" "cd '$ROOT'; $*"
		local trouble
		trouble=$(guest_trouble)
		[ -z "$trouble" ] || die "shell: $trouble"
		exit "$GUEST_STATUS"
	fi
	[ -t 0 ] || die "shell: needs a terminal; to run one command: ./build-kernel.sh shell COMMAND"
	[ -e "$O/arch/x86/boot/bzImage" ] || die "there is no kernel yet; run $DOOR build first"
	[ -n "$GUEST" ] || scratch GUEST
	choose_accel
	vng_options "$ACCEL"
	# A build may go on while a shell is open.
	flock -u 9 2>/dev/null || true
	say "shell: the module is $O/samples/rust/rust_vfifo.ko; \"exit\" ends the guest"
	"${VNG[@]}" --cwd "$OUT" || status=$?
	exit "$status"
}
