# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What every step uses: one-line failures, logged commands that show progress, the lock.

CHILD=''
SCRATCH=()
# A later command of a sourced script must not see the caller's repository or its configuration.
unset "${!GIT_@}"
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C.UTF-8 TZ=UTC
# A rustup toolchain has no library source for the kernel; the distribution's does.
TOOLPATH=$CACHE/tools/bin:/usr/bin:/usr/sbin:/bin:/sbin:$CACHE/venv/bin

say() { printf '%s\n' "$*"; }
die() { printf 'build-kernel.sh: %s\n' "$*" >&2; exit 1; }
span() { if [ "$1" -ge 60 ]; then echo "$(($1 / 60)) min $(($1 % 60)) s"; else echo "$1 s"; fi; }
commas() { local IFS=,; sed 's/,/, /g' <<<"$*"; }
# done_step STEP START TEXT: the one line that every step leaves.
done_step() { say "$1: $3 ($(span $((SECONDS - $2))))"; }

end_child() {
	[ -n "$CHILD" ] || return 0
	kill -TERM -- "-$CHILD" 2>/dev/null || true
	for _ in {1..30}; do
		kill -0 -- "-$CHILD" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL -- "-$CHILD" 2>/dev/null || true
	CHILD=
}

on_exit() {
	end_child
	[ ${#SCRATCH[@]} -eq 0 ] || rm -rf -- "${SCRATCH[@]}"
}

on_signal() {
	trap '' INT TERM HUP
	printf '\nbuild-kernel.sh: interrupted; run it again to go on from here\n' >&2
	exit $((128 + $1))
}

# start: one run at a time in a cache, and nothing left behind when it is interrupted.
start() {
	export PATH=$TOOLPATH PYTHONDONTWRITEBYTECODE=1
	# Said here, since it would be after all was fetched.
	local folder cache=$CACHE
	[[ $cache = /* ]] || cache=$PWD/$cache
	for folder in "$ROOT" "$cache"; do
		case $folder in *[[:space:]:]*)
			die "kbuild takes no folder with a space or a colon in its name: $folder; $([ "$folder" = "$ROOT" ] && echo move this repository || echo set VFIFO_CACHE to another)" ;;
		esac
	done
	# Who only looks leaves nothing behind, and may do so while another run works.
	[ "$command" != doctor ] || return 0
	trap on_exit EXIT
	trap 'on_signal 2' INT
	trap 'on_signal 15' TERM
	trap 'on_signal 1' HUP
	mkdir -p "$CACHE" "$LOGS" 2>/dev/null ||
		die "cannot write to $CACHE or $LOGS; set VFIFO_CACHE to a folder that you may write"
	CACHE=$(cd "$CACHE" && pwd -P)
	[ "$CACHE" != "$KDIR_SHARED" ] ||
		die "VFIFO_CACHE=$CACHE is where devbox --dkms keeps what it makes, and --remove deletes it; set another folder"
	not_ours
	[ -z "${VFIFO_LOCKED:-}" ] || return 0
	exec 9>>"$CACHE/lock"
	flock -n 9 || die "another run is using $CACHE ($(tail -n 1 "$CACHE/lock")); wait for it, or set VFIFO_CACHE in another clone, since build/ is in use as well"
	echo "process $$, $command" >"$CACHE/lock"
	# The test step runs the others as children under its own lock.
	export VFIFO_LOCKED=1
}

# After sudo, what this user is to write may be root's.
not_ours() {
	local found
	found=$(find "$CACHE/lock" "$OUT" -type d,f ! -writable -print -quit 2>/dev/null || true)
	[ -z "$found" ] || die "cannot write to $found, which is of user $(stat -c %U "$found"); take it over: sudo chown -R $(id -un): $CACHE $OUT"
}

scratch() { # VAR: a folder that is gone when this run ends
	local _dir
	_dir=$(mktemp -d "$CACHE/tmp.XXXXXX") || die "cannot write to $CACHE"
	SCRATCH+=("$_dir")
	printf -v "$1" %s "$_dir"
}

# FOLDER: in MB, also where it is yet to be made
free_space() {
	local dir=$1
	until [ -e "$dir" ]; do dir=$(dirname "$dir"); done
	df -Pm "$dir" | awk 'NR == 2 { print $4 }'
}

# need_space MB WHAT
need_space() {
	local free
	free=$(free_space "$CACHE")
	[ "$free" -ge "$1" ] ||
		die "disk full: $2 needs $1 MB and $CACHE has $free MB free; make room or set VFIFO_CACHE to another disk"
}

# Starts a command in a process group of its own, so that all of it can be ended; sets CHILD.
launch() {
	local log=$1
	shift
	set -m
	"$@" </dev/null >"$log" 2>&1 &
	CHILD=$!
	set +m
}

# in_group COMMAND...: the same, but waits for it, and leaves the output alone.
in_group() {
	local status=0
	set -m
	"$@" </dev/null &
	CHILD=$!
	set +m
	wait "$CHILD" || status=$?
	CHILD=
	return "$status"
}

progress() { # LABEL LOG ELAPSED
	printf '%s: %s%s' "$1" "$(${PROGRESS:-steps_made} "$2" 2>/dev/null || true)" "$(span "$3")"
}

steps_made() { # LOG
	local steps
	steps=$(grep -cE '^ +[A-Z][A-Z0-9]* ' "$1" || true)
	[ "${steps:-0}" -eq 0 ] || printf '%s steps, ' "$steps"
}

# logged LABEL LOG COMMAND...: returns the command's status.
logged() {
	local label=$1 log=$LOGS/$2 from=$SECONDS next=30 rc=0 tty=
	shift 2
	[ -t 1 ] && tty=1
	launch "$log" "$@"
	while kill -0 "$CHILD" 2>/dev/null; do
		if [ $((SECONDS - from)) -lt 3 ]; then sleep 0.1; continue; fi
		sleep 1
		if [ -n "$tty" ]; then
			printf '\r\033[K%s' "$(progress "$label" "$log" $((SECONDS - from)))"
		elif [ $((SECONDS - from)) -ge "$next" ]; then
			say "$(progress "$label" "$log" $((SECONDS - from)))"
			next=$((next + 30))
		fi
	done
	wait "$CHILD" || rc=$?
	CHILD=
	[ -z "$tty" ] || printf '\r\033[K'
	return "$rc"
}

# must LABEL LOG WHAT-TO-DO COMMAND...: like logged, and a failure ends this run with one line.
must() {
	local label=$1 log=$2 advice=$3
	shift 3
	logged "$label" "$log" "$@" || {
		if grep -qaE 'No space left on device|ENOSPC' "$LOGS/$log"; then
			die "$label failed: the disk is full; make room and run it again (log: $LOGS/$log)"
		fi
		die "$label failed; $advice (log: $LOGS/$log)"
	}
}
