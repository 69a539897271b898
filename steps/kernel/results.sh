# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
# shellcheck shell=bash
# A whole run of one of the commands below leaves a record, build/results/NAME.json, when it ends. results.py writes it,
# and makes the tables of the documents from the records in tests/results/.

# The name of this run's record, and the line of the file of results after which its own begin.
RESULTS_NAME='' RESULTS_FROM=0
# Of the time when it began.
RESULTS_STATE='' RESULTS_DATE=''

# Prints the name of the record, or nothing if this run leaves none: another command, a part of one, or another kernel.
results_name() { # ARGUMENT...
	[ -z "$TREE" ] || return 0
	case "${DEBUG:+--$DEBUG }$COMMAND${*:+ $*}" in
	test | demo) if (tree_find); then echo "$COMMAND"; else echo "$COMMAND-empty"; fi ;;
	matrix | mutants | shutdown) echo "$COMMAND" ;;
	"--debug test" | "--debug shutdown") echo "$COMMAND-debug" ;;
	"--kcsan selftest") echo selftest-kcsan ;;
	"series --build" | "devbox --test" | "deb --test") echo "$COMMAND-${1#--}" ;;
	soak) echo soak ;;
	"soak "*) [ $# -ne 1 ] || echo soak ;;
	esac
}

# Prints that command as a person would type it.
results_command() { # ARGUMENT...
	local settings='' text="$COMMAND${*:+ $*}"
	[ "$DEBUG" != debug ] || [ -z "${VFIFO_KMEMLEAK-}" ] || settings="VFIFO_KMEMLEAK=$VFIFO_KMEMLEAK "
	[ -z "${VFIFO_SCALE-}" ] || settings+="VFIFO_SCALE=$VFIFO_SCALE "
	case $RESULTS_NAME in
	test-debug) text="test --debug" ;;
	*) text="${DEBUG:+--$DEBUG }$text" ;;
	esac
	echo "$settings$text"
}

results_git() { git -C "$ROOT" --no-optional-locks -c core.fsmonitor=false -c "safe.directory=$ROOT" "$@"; }

# Prints the commit of the clone, and whether files differ from it: "COMMIT false". Nothing if there is no commit.
results_state() {
	local commit changes modified=true
	[ "$(results_git rev-parse --show-toplevel 2>/dev/null)" = "$ROOT" ] &&
		commit=$(results_git rev-parse --verify -q HEAD) || return 0
	! changes=$(results_git status --porcelain) || [ -n "$changes" ] || modified=false
	echo "$commit $modified"
}

# Whether what was tested may have been built from other sources. Commands that are not listed build it themselves.
results_is_stale() {
	local built
	case $RESULTS_NAME in selftest-kcsan | shutdown*) ;; *) return 1 ;; esac
	built=$(cat "$BUILD_DIR/.vfifo-built" 2>/dev/null)
	[ -z "$built" ] || [ "$built" != "$(series_run make 2>/dev/null | tail -n 1)" ]
}

# Prints how guests were run, if there were any.
results_accelerator() {
	case $RESULTS_NAME in matrix | series-build) return ;; esac
	if [ "$ACCEL" = auto ]; then sed -n 2p "$CACHE/kvm-probe" 2>/dev/null; else echo "$ACCEL"; fi
}

results_start() { # ARGUMENT...
	RESULTS_NAME=$(results_name "$@")
	[ -n "$RESULTS_NAME" ] || return 0
	[ ! -L "$ROOT/build/results" ] || die "$ROOT/build/results is a link; remove it"
	RESULTS_COMMAND=$(results_command "$@")
	RESULTS_STATE=$(results_state)
	RESULTS_DATE=$(date +%F)
	if [[ $COMMAND = @(test|soak) || -z ${VFIFO_RESULTS-} ]]; then count_start; fi
	RESULTS_FROM=$(count_lines)
	LIB_AT_EXIT=results_record
}

# At the end of a run, however it ends, unless it was interrupted.
results_record() {
	local state commit modified stale=false kernel=''
	[ -z "$LIB_INTERRUPTED" ] || return 0
	state=$(results_state)
	read -r commit modified <<<"$RESULTS_STATE" || true
	# Files that change while a run uses them leave it open what was tested.
	[ "$state" = "$RESULTS_STATE" ] || modified=true
	[ -z "$LIB_FINISHED" ] || ! results_is_stale || stale=true
	# The kernels of the Debian in the emulator are named by each check.
	[ "$RESULTS_NAME" = devbox-test ] || kernel=$(tree_find && tree_version "$TREE_SRC") || true
	tail -n +$((RESULTS_FROM + 1)) "$VFIFO_RESULTS" |
		python3 "$ROOT/steps/kernel/results.py" record "$ROOT/build/results/$RESULTS_NAME.json" "command=$RESULTS_COMMAND" \
			"date=$RESULTS_DATE" "commit=$commit" "modified=${modified:-false}" "stale=$stale" "kernel=$kernel" \
			"accelerator=$(results_accelerator)" "processors=$(nproc)" \
			"memory=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)" "seconds=$SECONDS" \
			"finished=$([ -z "$LIB_FINISHED" ] || echo true)" "error=$(cat "$LIB_SAID" 2>/dev/null)" ||
		say "results: the record of this run could not be written to $ROOT/build/results"
}

do_results() { # [--save [NAME]...]
	local from=$SECONDS problem
	case ${1-} in
	'')
		problem=$(python3 "$ROOT/steps/kernel/results.py" show "$ROOT/build/results" 2>&1) || die "results: ${problem##*$'\n'}"
		say "$problem" ;;
	--save)
		problem=$(python3 "$ROOT/steps/kernel/results.py" save "$ROOT" "${@:2}" 2>&1) || {
			[[ $problem == *"  refused  "* ]] || die "results --save: ${problem##*$'\n'}"
			say "$problem"
			die "results --save: not every record was saved, as shown above; name those to save: $DOOR results --save NAME..."
		}
		say "$problem"
		done_step results "$from" "tests/results/ has these records, and the tables are written; commit them" ;;
	*) die "results: unknown argument $1; see --help" ;;
	esac
}
