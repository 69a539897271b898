# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The sources are the truth. The series is commits made from them by plumbing, so that it is the
# same on every machine; the kernel tree is moved to the last of them.

SERIES=$ROOT/series
DIFF=(diff-tree -p --full-index --no-renames --no-ext-diff --no-textconv --diff-algorithm=myers
	--src-prefix=a/ --dst-prefix=b/)
declare -A OWNER KERNEL
COMMITS=()

# What an older kernel lacks is in linux-X.Y/, and comes first.
series_dirs() {
	find "$SERIES" "$SERIES/linux-$(tree_series)" -mindepth 1 -maxdepth 1 -type d \
		-name '[0-9][0-9][0-9][0-9]-*' -printf '%f\t%p\n' 2>/dev/null | sort | cut -f 2-
}
series_line() { sed -n "s/^$1=//p" "$SERIES/author"; }
lines() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$1"; }

# Fills KERNEL[repository path]=kernel path for every file of the mapped folders.
map_files() {
	local folder target file pattern
	KERNEL=()
	while read -r folder target; do
		[ -d "$ROOT/$folder" ] || continue
		while read -r file; do
			KERNEL[$file]=$target/${file#"$folder/"}
		done < <(cd "$ROOT" && find "$folder" -type f ! -name '*~' ! -name '.*.sw?' ! -name '*.orig' ! -name '*.rej' \
			! -name '*.o' ! -name '*.ko' ! -name '*.cmd' ! -name '*.mod' ! -name '*.mod.c' ! -name '*.symvers' \
			! -name modules.order ! -name '*.pyc')
	done < <(lines "$SERIES/folders")
	while read -r pattern; do
		for file in "${!KERNEL[@]}"; do
			# shellcheck disable=SC2053
			[[ $file != $pattern ]] || unset "KERNEL[$file]"
		done
	done < <(lines "$SERIES/outside")
}

# Fills OWNER[repository path]=patch folder; every file has exactly one.
own_files() {
	local dir pattern file pass
	OWNER=()
	for pass in exact pattern; do
		local -A claimed=()
		while read -r dir; do
			[ -e "$dir/files" ] || continue
			while read -r pattern; do
				if [ -n "${KERNEL[$pattern]-}" ]; then
					[ $pass = exact ] || continue
					[ -z "${OWNER[$pattern]-}" ] ||
						die "series: $pattern is in both ${OWNER[$pattern]##*/} and ${dir##*/}"
					OWNER[$pattern]=$dir
					continue
				fi
				[ $pass = pattern ] || continue
				[ ! -d "$ROOT/$pattern" ] || pattern="${pattern%/}/*"
				local found=
				for file in "${!KERNEL[@]}"; do
					# shellcheck disable=SC2053
					[[ $file == $pattern ]] || continue
					found=1
					[ -z "${claimed[$file]-}" ] || [ "${claimed[$file]}" = "$dir" ] ||
						die "series: $file is in both ${claimed[$file]##*/} and ${dir##*/}"
					claimed[$file]=$dir
				done
				[ -n "$found" ] || die "series: ${dir##*/}/files names $pattern, which is not there"
			done < <(lines "$dir/files")
		done < <(series_dirs)
		for file in "${!claimed[@]}"; do
			OWNER[$file]=${OWNER[$file]:-${claimed[$file]}}
		done
	done
	for file in "${!KERNEL[@]}"; do
		[ -n "${OWNER[$file]-}" ] || die "series: $file is in no patch; name it in a series/NNNN-*/files or in series/outside"
	done
}

# igit INDEX COMMAND...: git on an index of its own, away from the tree.
igit() { GIT_INDEX_FILE=$1 kgit "${@:2}"; }

# apply_edits INDEX DIFF LOG
apply_edits() {
	igit "$1" apply --cached --whitespace=nowarn "$2" >"$3" 2>&1 ||
		igit "$1" apply --cached --3way --whitespace=nowarn "$2" >"$3" 2>&1 ||
		{ ! pinned && igit "$1" apply --cached -C1 --whitespace=nowarn "$2" >"$3" 2>&1; }
}

# The commits of the series as the sources are now, into COMMITS; [0] is the kernel's own.
make_series() { # [EMPTY-OK]
	local dir work index file mode number=0 tree name email date stamp message
	map_files
	own_files
	scratch work
	index=$work/index
	name=$(series_line name) email=$(series_line email) date=$(series_line date)
	COMMITS=("$(kgit rev-parse refs/vfifo/base)")
	igit "$index" read-tree "${COMMITS[0]}"
	while read -r dir; do
		number=$((number + 1))
		for file in "${!OWNER[@]}"; do
			[ "${OWNER[$file]}" = "$dir" ] || continue
			mode=100644
			[ ! -x "$ROOT/$file" ] || mode=100755
			printf '%s %s\t%s\n' "$mode" "$(kgit hash-object -w --no-filters "$ROOT/$file")" "${KERNEL[$file]}"
		done >"$work/files"
		igit "$index" update-index --index-info <"$work/files"
		if [ -s "$dir/edits.diff" ]; then
			apply_edits "$index" "$dir/edits.diff" "$LOGS/series-apply.log" ||
				die "series: ${dir##*/}/edits.diff does not apply to Linux $(tree_version "$SRC") (log: $LOGS/series-apply.log)"
		fi
		[ -s "$dir/message" ] || die "series: ${dir##*/} has no message"
		tree=$(igit "$index" write-tree)
		[ -n "${1-}" ] || [ "$tree" != "$(kgit rev-parse "${COMMITS[-1]}^{tree}")" ] ||
			die "series: ${dir##*/} changes nothing; name its files in ${dir##*/}/files"
		stamp="$((${date%% *} + number)) ${date#* }"
		message=$(git interpret-trailers --trailer "Signed-off-by: $name <$email>" "$dir/message")
		COMMITS+=("$(printf '%s\n' "$message" | GIT_AUTHOR_NAME=$name GIT_AUTHOR_EMAIL=$email GIT_AUTHOR_DATE=$stamp \
			GIT_COMMITTER_NAME=$name GIT_COMMITTER_EMAIL=$email GIT_COMMITTER_DATE=$stamp \
			kgit commit-tree "$tree" -p "${COMMITS[-1]}")")
	done < <(series_dirs)
	[ ${#COMMITS[@]} -gt 1 ] || die "series: series/ holds no patch"
}

# Those for another kernel than the pinned one are what comes before the series.
format_series() { # DIR
	local last=${COMMITS[-1]} numbered=--numbered first=1
	if ! pinned; then
		last=${COMMITS[$(series_dirs | grep -c "^$SERIES/linux-")]} numbered=--no-numbered first=0
	fi
	kgit format-patch -q -o "$1" --zero-commit --no-signature --full-index --no-renames --no-ext-diff --no-textconv \
		--diff-algorithm=myers --stat=75 "$numbered" "--start-number=$first" --subject-prefix=PATCH --no-attach --no-thread --no-cover-letter \
		--src-prefix=a/ --dst-prefix=b/ "${COMMITS[0]}..$last"
}

# Where those of this tree's kernel are.
patches_dir() { if pinned; then echo "$ROOT/patches"; else echo "$ROOT/patches/linux-$(tree_series)"; fi; }

# Files that nobody put into the kernel tree. Its own .gitignore is of no use: Debian's ignores all.
strangers() {
	kgit ls-files "$@" -o -x '*.py[co]' -x '*~' -x '.*.sw?' -x '*.orig' -x '*.rej' -x '*.o' -x '.*.cmd' -x tags -x 'cscope.*'
}

# Edits in the kernel tree that no patch has, one path a line.
tree_edits() {
	kgit update-index -q --refresh >/dev/null || true
	kgit diff-files --name-only
	strangers
}

# The file here that a kernel path comes from, if any.
source_of() {
	local file
	for file in "${!KERNEL[@]}"; do
		[ "${KERNEL[$file]}" != "$1" ] || { echo "$file"; return; }
	done
}

move_tree() { # COMMIT: only files that differ are written, so that make does little
	local old
	old=$(kgit rev-parse refs/vfifo/head)
	echo "$1" >"$K/moving"
	kgit read-tree -m -u "$old" "$1" >"$LOGS/patch.log" 2>&1 || {
		rm "$K/moving"
		if grep -q 'No space left' "$LOGS/patch.log"; then die "patch: the disk is full (log: $LOGS/patch.log)"; fi
		die "patch: cannot move $SRC (log: $LOGS/patch.log)"
	}
	kgit update-ref refs/vfifo/head "$1"
	rm "$K/moving"
}

# After a run that ended in the middle of a move.
recover_tree() {
	rm -f "$GITD/index.lock"
	[ -e "$K/moving" ] || return 0
	if kgit cat-file -e "$(cat "$K/moving")^{commit}" 2>/dev/null; then
		kgit read-tree --reset -u "$(cat "$K/moving")"
		kgit update-ref refs/vfifo/head "$(cat "$K/moving")"
	fi
	rm "$K/moving"
}

refuse_edits() {
	local path from edits
	mapfile -t edits < <(tree_edits)
	[ ${#edits[@]} -gt 0 ] || return 0
	path=${edits[0]}
	map_files
	from=$(source_of "$path")
	[ -z "$from" ] || die "patch: $SRC/$path was edited by hand; edit $from here, then ./build-kernel.sh series --drop"
	die "patch: $SRC/$path was edited by hand; keep that with ./build-kernel.sh series --save NNNN, or series --drop it"
}

do_patch() {
	local from=$SECONDS
	need_tree
	recover_tree
	make_series
	if [ "$(kgit rev-parse refs/vfifo/head)" != "${COMMITS[-1]}" ] || [ -n "$(tree_edits)" ]; then
		refuse_edits
		move_tree "${COMMITS[-1]}"
	fi
	done_step patch "$from" "$((${#COMMITS[@]} - 1)) patches in $SRC"
}

do_series() {
	local from=$SECONDS dir
	need_tree
	case ${1-} in
	--tree) say "$SRC" ;;
	'')
		make_series
		scratch dir
		format_series "$dir"
		mkdir -p "$(patches_dir)"
		rsync -rc --delete --include='*.patch' --exclude='*' "$dir/" "$(patches_dir)/"
		done_step series "$from" "$(find "$dir" -name '*.patch' | wc -l) patches in $(realpath --relative-to="$ROOT" "$(patches_dir)")/" ;;
	--save) [ -n "${2-}" ] || die "series --save needs the number of a patch"; recover_tree; save_edits "$2" ;;
	--drop)
		recover_tree
		strangers -z | (cd "$SRC" && xargs -0r rm -f --)
		kgit read-tree --reset -u "$(kgit rev-parse refs/vfifo/head)"
		say "series: $SRC is as the series has it" ;;
	--try) make_series empty-ok ;;
	--check) check_series ;;
	--build) build_series ;;
	*) die "series: unknown argument $1; see --help" ;;
	esac
}

# Writes edits.diff of the patch folder $1 as the difference of two trees, our own files left out.
write_edits() { # DIR OLD NEW
	local file ours=()
	for file in "${KERNEL[@]}"; do ours+=(":(exclude,literal)$file"); done
	kgit "${DIFF[@]}" -r "$2" "$3" -- . "${ours[@]}" >"$1/edits.diff"
	[ -s "$1/edits.diff" ] || rm "$1/edits.diff"
}

save_edits() { # NUMBER
	local patch work edits path from tree i=0 dir
	patch=$(series_dirs | grep -E "/0*$1-" || true)
	[ "$(grep -c . <<<"$patch")" = 1 ] || die "series: there is no patch $1 in series/"
	# Their edits are those of the pinned kernel.
	pinned || [[ $patch == */linux-*/* ]] ||
		die "series: ${patch##*/} is for Linux ${PIN%.*}, and this tree is $(tree_version "$SRC"); save in one of series/linux-$(tree_series)/"
	map_files
	mapfile -t edits < <(tree_edits)
	[ ${#edits[@]} -gt 0 ] || die "series: nothing in $SRC was edited"
	for path in "${edits[@]}"; do
		from=$(source_of "$path")
		[ -z "$from" ] || die "series: $path comes from $from; edit it there"
	done
	scratch work
	cp "$GITD/index" "$work/index"
	printf '%s\0' "${edits[@]}" | igit "$work/index" update-index --add --remove -z --stdin
	tree=$(igit "$work/index" write-tree)
	kgit "${DIFF[@]}" -r refs/vfifo/head "$tree" -- "${edits[@]}" >"$work/new.diff"
	make_series empty-ok
	while read -r dir; do
		i=$((i + 1))
		[ "$dir" != "$patch" ] || break
	done < <(series_dirs)
	igit "$work/patched" read-tree "${COMMITS[i]}"
	apply_edits "$work/patched" "$work/new.diff" "$LOGS/series-apply.log" ||
		die "series: these edits change lines that ${patch##*/} does not have yet; save them in a later patch (log: $LOGS/series-apply.log)"
	tree=$(igit "$work/patched" write-tree)
	cp -r "$SERIES" "$work/before"
	write_edits "$patch" "${COMMITS[i - 1]}" "$tree"
	# In a process of its own, because a later patch may no longer apply: then nothing has happened.
	"$0" ${TREE:+--tree "$TREE"} series --try || {
		rm -f "$patch/edits.diff"
		[ ! -e "$work/before/${patch#"$SERIES/"}/edits.diff" ] || cp "$work/before/${patch#"$SERIES/"}/edits.diff" "$patch/"
		die "series: with these edits a later patch does not apply; nothing was saved"
	}
	make_series empty-ok
	i=0
	while read -r dir; do
		i=$((i + 1))
		[ ! -e "$dir/edits.diff" ] || { ! pinned && [[ $dir != */linux-*/* ]]; } ||
			write_edits "$dir" "${COMMITS[i - 1]}" "${COMMITS[i]}"
	done < <(series_dirs)
	printf '%s\0' "${edits[@]}" | kgit update-index --add --remove -z --stdin
	echo "${COMMITS[-1]}" >"$K/moving"
	recover_tree
	say "series: ${#edits[@]} edited files are now part of ${patch##*/}; ./build-kernel.sh series writes patches/"
}
