# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What every script behind build-kernel.sh uses: messages, commands with a log, the end of a run, the cache and its lock.
#
# Rules for all files in steps/:
#   - A function is named after its file: guest_boot is in guest.sh. Functions that a file shares with all others, like
#     those below, may go without a prefix; tests/safe.bats has the list. A command NAME of build-kernel.sh is do_NAME.
#   - Variables of a file are in capitals and begin with its name too. Those of the door are ROOT, CACHE, OUT, LOGS,
#     JOBS, ACCEL, ARCH, DEBUG, TREE, DOOR, COMMAND. Everything else is local.
#   - A function prints its result. The few that set a variable say so in the comment above them.
#   - An error is one line: die "STEP: what failed; what to do".
#   - Whatever is removed or overwritten outside build/ must carry our mark; see lib_check_cache.

LIB_CHILD=''
# Whether the child may be killed when this run is interrupted. A package manager may not.
LIB_CHILD_FINISHES=''
# Whether the child is another run of this program.
LIB_CHILD_IS_RUN=''
# Another run of this program that goes on while this one does something else.
LIB_BESIDE=''
LIB_USERS_CACHE=''
LIB_SCRATCH=()

# The file that tells lib_on_exit that a failed run has said why, and the place where the last command failed.
LIB_SAID='' LIB_FAILED_AT=''
# 1 once the command has finished without an error; once this run has been interrupted. A function for the end of the run.
LIB_FINISHED='' LIB_INTERRUPTED='' LIB_AT_EXIT=''

say() { printf '%s\n' "$*"; }
die() { printf 'build-kernel.sh: %s\n' "$*" >&2; lib_said "$*"; exit 1; }
# For a command that fails after it has reported why in another way.
lib_said() { [ -z "$LIB_SAID" ] || printf '%s' "$*" >>"$LIB_SAID"; }
span() { if [ "$1" -ge 60 ]; then echo "$(($1 / 60)) min $(($1 % 60)) s"; else echo "$1 s"; fi; }
commas() { local IFS=,; sed 's/,/, /g' <<<"$*"; }
# done_step STEP START TEXT: the line that every step ends with.
done_step() { say "$1: $3 ($(span $((SECONDS - $2))))"; }

lib_child_runs() { kill -0 -- "-$LIB_CHILD" 2>/dev/null; }

lib_end_child() {
	[ -n "$LIB_CHILD" ] || return 0
	if [ -n "$LIB_CHILD_FINISHES" ] && lib_child_runs; then
		printf 'build-kernel.sh: waiting for %s to finish, since stopping it would leave packages half installed\n' \
			"$LIB_CHILD_FINISHES" >&2
		while lib_child_runs; do sleep 0.2; done
	fi
	kill -TERM -- "-$LIB_CHILD" 2>/dev/null || true
	# Another run of this program ends its own children, and may have to wait for one.
	while [ -n "$LIB_CHILD_IS_RUN" ] && lib_child_runs; do sleep 0.2; done
	for _ in {1..30}; do
		lib_child_runs || break
		sleep 0.1
	done
	kill -KILL -- "-$LIB_CHILD" 2>/dev/null || true
	LIB_CHILD=
}

lib_on_exit() {
	local status=$? said=$LIB_SAID line
	lib_end_child
	LIB_CHILD=$LIB_BESIDE LIB_CHILD_IS_RUN=1 lib_end_child
	# A command that was not expected to fail ends the run by "set -e", without a message.
	if [ "$status" -ne 0 ] && [ "$status" -lt 128 ] && [ -n "$said" ] && [ ! -e "$said" ]; then
		line="$COMMAND ended at $LIB_FAILED_AT, which is a fault of build-kernel.sh; please report this line"
		printf 'build-kernel.sh: %s\n' "$line" >&2
		lib_said "$line"
	fi
	[ -z "$LIB_AT_EXIT" ] || "$LIB_AT_EXIT"
	[ ${#LIB_SCRATCH[@]} -eq 0 ] || rm -rf -- "${LIB_SCRATCH[@]}"
	lib_hand_back
	[ -z "$said" ] || rm -f -- "$said"
}

lib_on_signal() {
	trap '' INT TERM HUP
	LIB_INTERRUPTED=1
	printf '\nbuild-kernel.sh: interrupted; run it again to continue\n' >&2
	exit $((128 + $1))
}

# After sudo, what this run has made in the user's clone and cache becomes the user's. The Debian in the cache, which root
# made for the emulator, stays root's.
lib_hand_back() {
	local folder folders=()
	[ "$(id -u)" -eq 0 ] && [ -n "${SUDO_UID-}" ] && [ "$SUDO_UID" != 0 ] || return 0
	if [ "$(stat -c %u "$ROOT")" = "$SUDO_UID" ]; then
		for folder in build patches series bench tests/results; do [ ! -d "$ROOT/$folder" ] || folders+=("$ROOT/$folder"); done
	fi
	[ -z "$LIB_USERS_CACHE" ] || folders+=("$LIB_USERS_CACHE")
	[ ${#folders[@]} -eq 0 ] ||
		find "${folders[@]}" -xdev \( \( -name 'devbox-b*' -o -name 'root-*' \) -prune \) -o \
			-user 0 -execdir chown -h --from=0 "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" {} + 2>/dev/null || true
}

# lib_make_cache: sets LIB_USERS_CACHE to what becomes the user's after sudo: the first folder that has to be made, or the
# cache itself, if it is in a place of theirs.
lib_make_cache() {
	local new=$CACHE
	while [ ! -e "$(dirname "$new")" ]; do new=$(dirname "$new"); done
	if [ "$(stat -c %u "$(dirname "$new")")" = "${SUDO_UID-}" ] || [ "$(stat -c %u "$CACHE" 2>/dev/null)" = "${SUDO_UID-}" ]; then
		LIB_USERS_CACHE=$new
	fi
	mkdir -p "$CACHE" 2>/dev/null || die "cannot write to $CACHE; set VFIFO_CACHE to a folder that you may write to"
}

# lib_start: one run at a time in a cache and in a build folder, and nothing left behind when it is interrupted. Until the
# owner of the cache has been checked, no program of it is run.
lib_start() {
	export PYTHONDONTWRITEBYTECODE=1
	# doctor only looks: it leaves nothing behind, and may run beside another run.
	if [ "$COMMAND" = doctor ]; then
		[ ! -e "$CACHE" ] || lib_check_owner
		export PATH=$LIB_PATH
		return
	fi
	trap lib_on_exit EXIT
	trap 'lib_on_signal 2' INT
	trap 'lib_on_signal 15' TERM
	trap 'lib_on_signal 1' HUP
	[ ! -L "$ROOT/build" ] && [ ! -L "$LOGS" ] || die "$LOGS is a link; remove it"
	lib_make_cache
	lib_check_owner
	export PATH=$LIB_PATH
	mkdir -p "$LOGS" 2>/dev/null || die "cannot write to $LOGS; use a clone that you may write to"
	case $CACHE/ in "$KDIR_SHARED"/*)
		die "VFIFO_CACHE=$CACHE is where devbox --dkms keeps what it makes, and --remove deletes it; set another folder" ;;
	esac
	lib_check_writable
	lib_check_cache
	lib_lock 9 "$CACHE/lock" "$CACHE" "wait for it, or set VFIFO_CACHE and use another clone"
	lib_lock 8 "$ROOT/build/lock" "$ROOT/build" "wait for it, or use another clone"
	lib_mark "$CACHE"
	lib_mark "$ROOT/build"
	LIB_SAID=$CACHE/tmp.said.$$
	set -E
	trap 'LIB_FAILED_AT="${BASH_SOURCE[0]#"$ROOT/"}, line $LINENO"' ERR
}

# lib_lock FD FILE FOLDER ADVICE: takes that lock, or uses the one that the run which started this one has taken with the
# same descriptor.
lib_lock() {
	local status=0 inherited=1
	[ ! -L "$2" ] || die "$2 is a link; remove it"
	[ "/proc/$$/fd/$1" -ef "$2" ] || { inherited=''; eval "exec $1>>\"\$2\""; }
	flock -n "$1" || status=$?
	case $status in
	0) ;;
	1) die "another run is using $3 ($(tail -n 1 "$2")); $4" ;;
	*) die "cannot lock $2; use a folder on a filesystem with locks" ;;
	esac
	[ -z "$inherited" ] || return 0
	echo "process $$, $COMMAND" >"$2"
	[ "$1" -ne 9 ] || lib_prune
}

# Removes the scratch folders of runs that were killed.
lib_prune() {
	local old
	old=$(find "$CACHE" -mindepth 1 -maxdepth 1 -name 'tmp.*' | wc -l)
	[ "$old" -gt 0 ] || return 0
	find "$CACHE" -mindepth 1 -maxdepth 1 -name 'tmp.*' -exec rm -rf {} +
	say "cache: removed $old temporary folders of runs that were killed" >&2
}

# As root, no program is run that somebody else could have put there: neither from their cache, nor from one below a folder
# that they can rename or write to.
lib_check_owner() {
	local path others=(! -user 0 ! -user "${SUDO_UID:-0}")
	[ "$(id -u)" -eq 0 ] || return 0
	path=$(lib_not_roots "$CACHE" "${SUDO_UID:-0}")
	[ -z "$path" ] || [ -z "$(find "$path" -maxdepth 0 "${others[@]}")" ] ||
		die "$path belongs to user $(stat -c %U "$path"), and root would run programs from it; set VFIFO_CACHE to a folder of root's"
	[ -z "$path" ] || die "others may write to $path, and root would run programs from it; set VFIFO_CACHE to another folder"
	for path in "$CACHE"/tools{,/bin,/rust-*,/herd} "$CACHE"/venv{,/bin} ${VFIFO_TEST_BIN:+"$VFIFO_TEST_BIN"}; do
		[ -e "$path" ] || continue
		path=$(find "$path" -maxdepth 1 \( \( "${others[@]}" \) -o \( ! -type l -perm /022 \) \) -print -quit)
		[ -z "$path" ] ||
			die "somebody else may have put $path there, and root would run it; remove $CACHE"
	done
}

# lib_not_roots FOLDER [UID]: prints the first of FOLDER and the folders above it in which a user other than root and UID
# could replace something, or nothing. What cannot be examined is printed as well.
lib_not_roots() {
	local path=$1 paths=("$1")
	while [[ $path = /?* ]]; do
		path=${path%/*}
		paths+=("${path:-/}")
	done
	# In a folder like /tmp, others cannot rename what is root's; the folder itself must not be like that.
	find "${paths[@]}" -maxdepth 0 \( \( ! -user 0 ! -user "${2:-0}" \) -o \
		\( -perm /022 \( ! -perm -1000 -o -samefile "$1" \) \) \) -print -quit 2>/dev/null || echo "$1"
}

# lib_path PATH: prints ":FOLDER" for each folder of PATH that this run may use after those of the system: all of them, but
# for root only folders whose programs nobody else can replace. Links are resolved, so what is checked is what is used.
lib_path() {
	local folder folders=() found=:$PATH: given=()
	if [ "$EUID" -ne 0 ]; then printf %s "${1:+:$1}"; return; fi
	IFS=: read -rd '' -a given <<<"$1:" || true
	for folder in "${given[@]}"; do [[ $folder != /* ]] || folders+=("$folder"); done
	[ ${#folders[@]} -gt 0 ] || return 0
	mapfile -d '' -t folders < <(realpath -ez -- "${folders[@]}" 2>/dev/null || true)
	for folder in ${folders[@]+"${folders[@]}"}; do
		[[ -d $folder && $folder != *:* && $found != *:$folder:* ]] || continue
		found+=$folder:
		[ -z "$(lib_not_roots "$folder")" ] || continue
		[ -n "$(find -L "$folder" -maxdepth 1 -type f \( ! -user 0 -o -perm /022 \) -print -quit)" ] || printf %s ":$folder"
	done
}

# Files that this user has to write may be root's after a run with sudo, or the disk may be read-only.
lib_check_writable() {
	local found
	found=$(find "$CACHE/lock" "$OUT" -type d,f ! -writable -print -quit 2>/dev/null || true)
	[ -n "$found" ] || return 0
	[ "$(id -u)" -ne 0 ] || die "cannot write to $found; is the disk mounted read-only?"
	die "cannot write to $found, which belongs to user $(stat -c %U "$found"); take it over: sudo chown -R $(id -un): $CACHE $OUT"
}

# The mark of a folder that these scripts have made and may remove. Backup programs know its name and first line.
LIB_MARK=CACHEDIR.TAG
LIB_MARK_TEXT='Signature: 8a477f597d28d172789f06886806bc55
# Made by build-kernel.sh of vfifo, which can make it again.'

lib_is_ours() { [ "$(cat "$1/$LIB_MARK" 2>/dev/null)" = "$LIB_MARK_TEXT" ]; } # FOLDER

lib_mark() { # FOLDER
	lib_is_ours "$1" || { printf '%s\n' "$LIB_MARK_TEXT" >"$1/$LIB_MARK.new" && mv "$1/$LIB_MARK.new" "$1/$LIB_MARK"; } 2>/dev/null ||
		die "cannot write to $1; is the disk full?"
}

# The first thing in the cache that these scripts did not put there, or nothing.
lib_stranger() {
	find "$CACHE" -mindepth 1 -maxdepth 1 ! -name 'linux-[0-9]*' ! -name 'tree-*' ! -name 'tmp.*' ! -name tools ! -name cargo \
		! -name 'venv*' ! -name host ! -name home ! -name 'clients-rust*' ! -name 'clients-vfifoctl*' ! -name 'clients-python*' ! -name bench-native ! -name lock ! -name 'kvm-*' \
		! -name devbox ! -name devbox-base ! -name 'devbox-b*.new' ! -name devbox-box ! -name 'devbox-box.*' ! -name 'root-*' ! -name "$LIB_MARK*" \
		-print -quit
}

# Refuses a cache that holds anything which is not ours. Earlier versions left no mark, but a lock with their line in it. A
# run that was killed at its very beginning may have left a lock and half a mark.
lib_check_cache() {
	lib_is_ours "$CACHE" || [ -z "$(find "$CACHE" -mindepth 1 ! -name lock ! -name home ! -name "$LIB_MARK*" -print -quit)" ] ||
		{ [ -z "$(lib_stranger)" ] && grep -qE '^process [0-9]+, [a-z]+$' "$CACHE/lock" 2>/dev/null; } ||
		die "$CACHE is not empty and was not made by this program, which removes files from its cache; set VFIFO_CACHE to an empty folder"
}

scratch() { # VAR: sets it to a folder that is removed when this run ends
	local _dir
	_dir=$(mktemp -d "$CACHE/tmp.XXXXXX") || die "cannot write to $CACHE"
	LIB_SCRATCH+=("$_dir")
	printf -v "$1" %s "$_dir"
}

# FOLDER, which need not exist yet: free space in MB
lib_free_space() {
	local dir=$1
	until [ -e "$dir" ]; do dir=$(dirname "$dir"); done
	df -Pm "$dir" | awk 'NR == 2 { print $4 }'
}

# need_space MB WHAT
need_space() {
	local free
	free=$(lib_free_space "$CACHE")
	[ "$free" -ge "$1" ] ||
		die "disk full: $2 needs $1 MB and $CACHE has $free MB free; free some space or set VFIFO_CACHE to another disk"
}

# Starts a command in a process group of its own, so that all of its processes can be ended. Sets LIB_CHILD.
lib_launch() { # LOG COMMAND...
	local log=$1
	shift
	set -m
	"$@" </dev/null >"$log" 2>&1 &
	LIB_CHILD=$!
	set +m
}

# in_group COMMAND...: starts another run of this program in a process group of its own, with its output unchanged.
in_group() {
	local status=0
	LIB_CHILD_IS_RUN=1
	set -m
	bash "$@" </dev/null &
	LIB_CHILD=$!
	set +m
	wait "$LIB_CHILD" || status=$?
	LIB_CHILD='' LIB_CHILD_IS_RUN=''
	return "$status"
}

lib_progress() { # LABEL LOG ELAPSED
	printf '%s: %s%s' "$1" "$(${PROGRESS:-lib_steps_made} "$2" "$3" 2>/dev/null || true)" "$(span "$3")"
}

# Counts the lines with which make and apt show their progress. The total is that of the last run.
lib_steps_made() { # LOG ELAPSED
	local steps total
	steps=$(grep -cE '^( +[A-Z][A-Z0-9]* |Get:|Unpacking |Setting up )' "$1" || true)
	[ "${steps:-0}" -gt 0 ] || return 0
	total=$(cat "$1.steps" 2>/dev/null || echo 0)
	if [ "$steps" -lt "$total" ]; then printf '%s of about %s steps, ' "$steps" "$total"; else printf '%s steps, ' "$steps"; fi
}

# logged LABEL LOG COMMAND...: returns the command's status.
logged() {
	local label=$1 log=$LOGS/$2 from=$SECONDS next=30 rc=0 tty='' steps
	shift 2
	[ -t 1 ] && tty=1
	lib_launch "$log" "$@"
	while kill -0 "$LIB_CHILD" 2>/dev/null; do
		if [ $((SECONDS - from)) -lt 3 ]; then sleep 0.1; continue; fi
		sleep 1
		if [ -n "$tty" ]; then
			printf '\r\033[K%s' "$(lib_progress "$label" "$log" $((SECONDS - from)))"
		elif [ $((SECONDS - from)) -ge "$next" ]; then
			say "$(lib_progress "$label" "$log" $((SECONDS - from)))"
			next=$((next + 30))
		fi
	done
	wait "$LIB_CHILD" || rc=$?
	LIB_CHILD=
	[ -z "$tty" ] || printf '\r\033[K'
	steps=$(grep -cE '^ +[A-Z][A-Z0-9]* ' "$log" || true)
	if [ "$rc" -eq 0 ] && [ "${steps:-0}" -gt 100 ]; then echo "$steps" >"$log.steps"; fi
	return "$rc"
}

# must LABEL LOG WHAT-TO-DO COMMAND...: like logged, and a failure ends this run with one line. WHAT-TO-DO may be
# "network": then the log decides.
must() {
	local label=$1 log=$2 advice=$3
	shift 3
	logged "$label" "$log" "$@" || {
		if [ "$advice" = network ] || grep -qaE 'No space left on device|ENOSPC' "$LOGS/$log"; then
			advice=$(system_why "$LOGS/$log")
		fi
		die "$label failed: $advice (log: $LOGS/$log)"
	}
}

# must_install STEP PACKAGE...: as root, installs them. An interrupt waits until the package manager is done.
must_install() {
	local step=$1 log=${1// /-}-apt.log
	shift
	need_space 3000 "installing the packages"
	must "$step: downloading $# packages" "$log" network system_download "$@"
	LIB_CHILD_FINISHES=apt-get must "$step: installing $# packages" "$log" network system_install "$@"
}
