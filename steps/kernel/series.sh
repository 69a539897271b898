# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The patch series and the kernel tree that has it; series.py does the work.

# series_run COMMAND [ARGUMENT]...: that command of series.py, for the kernel tree in use.
series_run() {
	python3 "$ROOT/steps/kernel/series.py" --root "$ROOT" --kernel "$TREE_DIR" --version "$(tree_version "$TREE_SRC")" \
		--pinned "${VERSION_LINUX%.*}" --door "$DOOR" "$@" || { lib_said; return 1; }
}

# Prints the folder of the patch files for this tree's kernel.
series_folder() { if tree_is_pinned; then echo "$ROOT/patches"; else echo "$ROOT/patches/linux-$(tree_series)"; fi; }

do_patch() {
	local from=$SECONDS count
	tree_need
	count=$(series_run patch)
	done_step patch "$from" "$count patches in $TREE_SRC"
}

do_series() {
	local from=$SECONDS count folder
	tree_need
	case ${1-} in
	--tree) say "$TREE_SRC" ;;
	'')
		folder=$(series_folder)
		count=$(series_run format "$folder")
		done_step series "$from" "$count patches in ${folder#"$ROOT/"}/" ;;
	--save)
		[ -n "${2-}" ] || die "series --save needs the number of a patch"
		series_run save "$2" ;;
	--drop) series_run drop ;;
	--part)
		[ -n "${2-}" ] || die "series --part needs a name: $(commas $(series_run parts))"
		folder=$OUT/parts/$2
		series_run format-part "$2" "$folder" >/dev/null
		done_step series "$from" "the mails are in ${folder#"$ROOT/"}/; CONTRIBUTING.md says whom to send them to" ;;
	--check) series_check ;;
	--build) series_build ;;
	*) die "series: unknown argument $1; see --help" ;;
	esac
}
