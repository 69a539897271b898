# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The kernel tree in the cache. TREE_DIR holds src (the source), git (its repository, kept outside of the source so that
# kbuild sees no checkout) and the object folders. The index of that repository says what the tree should hold. A tree
# counts once git/refs/vfifo/base exists.

TREE_DIR='' TREE_SRC='' TREE_GIT=''

tree_git() { GIT_DIR=$TREE_GIT GIT_WORK_TREE=$TREE_SRC git -C "$TREE_SRC" -c core.compression=0 -c core.fsync=none -c gc.auto=0 "$@"; }

tree_use() { TREE_DIR=$1 TREE_SRC=$1/src TREE_GIT=$1/git; }

tree_version() { # DIR: 7.3.4, or nothing
	[ -f "$1/Makefile" ] && [ -f "$1/Kbuild" ] && [ -d "$1/kernel" ] || return 0
	awk -F ' *= *' '$1 == "VERSION" { v = $2 } $1 == "PATCHLEVEL" { p = $2 } $1 == "SUBLEVEL" { s = $2; exit }
		END { if (v != "") print v "." p "." s }' "$1/Makefile"
}

# Whether the tree is of the kernels that patches/ is for.
tree_is_pinned() { [ "$(tree_series)" = "${VERSION_LINUX%.*}" ]; }

tree_series() { version_series "$(tree_version "$TREE_SRC")"; }

# Which of Debian's kernels is wanted: the pinned one, or that of --tree X.Y.
tree_wanted_series() {
	case " $VERSION_SERIES " in
	*" ${TREE:-${VERSION_LINUX%.*}} "*) echo "${TREE:-${VERSION_LINUX%.*}}" ;;
	*) return 1 ;;
	esac
}

# Sets TREE_DIR, TREE_SRC and TREE_GIT to a tree that is already in the cache.
tree_find() {
	local dir series
	series=$(tree_wanted_series) || { tree_import; return; }
	for dir in "$CACHE/linux-$VERSION_LINUX" $(printf '%s\n' "$CACHE/linux-$series".* | sort -rV); do
		[[ $dir == "$CACHE/linux-$series".* ]] || continue
		if [ -e "$dir/git/refs/vfifo/base" ]; then tree_use "$dir"; return 0; fi
	done
	return 1
}

tree_need() { tree_find || die "there is no kernel tree in $CACHE; run $DOOR fetch first"; }

# DIR: DIR/src becomes a tree with history; the rename at the end makes it count.
tree_adopt() {
	tree_use "$1"
	git init -q --bare "$TREE_GIT" && tree_git config core.bare false && mkdir -p "$TREE_GIT/info" &&
		tree_git add -A -f && tree_base_commit
}

tree_base_commit() {
	local tree commit
	tree=$(tree_git write-tree) &&
		commit=$(echo "Linux $(tree_version "$TREE_SRC")" | GIT_AUTHOR_NAME=Linux GIT_AUTHOR_EMAIL=linux@localhost \
			GIT_COMMITTER_NAME=Linux GIT_COMMITTER_EMAIL=linux@localhost GIT_AUTHOR_DATE='@0 +0000' \
			GIT_COMMITTER_DATE='@0 +0000' tree_git commit-tree "$tree") &&
		tree_git update-ref refs/vfifo/head "$commit" && tree_git update-ref refs/vfifo/base "$commit"
}

# --tree: a folder or a tar file of the user's, which is only read. Works on a copy in the cache, named by its content.
tree_import() {
	local version name top='' dir
	tree_forget_old
	if [ -f "$TREE" ]; then
		name=tree-$(sha256sum <"$TREE" | cut -c -16)
	else
		version=$(tree_version "$TREE")
		[ -n "$version" ] || die "--tree $TREE: this is not a Linux source tree"
		tree_check_version "$version"
		top=$(tree_users_git rev-parse --show-toplevel 2>/dev/null || true)
		if [ "$top" = "$TREE" ]; then
			name=tree-$(tree_users_git rev-parse 'HEAD^{tree}' | cut -c -16)
			[ -z "$(tree_users_git status --porcelain --untracked-files=no)" ] ||
				say "fetch: $TREE has changes that are not committed; its last commit is used" >&2
		else
			name=tree-$(echo "$TREE" | sha256sum | cut -c -16)
			if [ -e "$CACHE/$name/stamp" ] &&
				[ -n "$(find "$TREE" -newer "$CACHE/$name/stamp" -print -quit)" ]; then
				say "fetch: $TREE has changed; copying it again" >&2
				rm -rf "${CACHE:?}/$name"
			fi
		fi
	fi
	if [ ! -e "$CACHE/$name/git/refs/vfifo/base" ]; then
		need_space 5000 "a copy of $TREE"
		scratch dir
		touch "$dir/stamp"
		if [ -f "$TREE" ]; then
			must "fetch: unpacking $TREE" fetch-copy.log "it must be a tar file of a Linux release" tree_untar "$dir"
			version=$(tree_version "$dir/src")
			[ -n "$version" ] || die "--tree $TREE: there is no Linux source tree in this file"
			tree_check_version "$version"
			say "fetch: the SHA-256 of $TREE is $(sha256sum <"$TREE" | cut -d ' ' -f 1); compare it with the one that kernel.org publishes" >&2
		else
			must "fetch: copying $TREE" fetch-copy.log "see the log" tree_copy "$dir" "$top"
		fi
		rm -rf "${CACHE:?}/$name"
		mv "$dir" "$CACHE/$name"
	fi
	touch -c "$CACHE/$name"
	tree_use "$CACHE/$name"
}

tree_check_version() { # VERSION
	case " $VERSION_SERIES " in
	*" ${1%.*} "*) ;;
	*) die "--tree $TREE: this is Linux $1, and the series is for ${VERSION_SERIES// /.y and }.y" ;;
	esac
}

# Copies of trees that no run has used for 30 days.
tree_forget_old() {
	local old
	while read -r old; do
		rm -rf "$old"
		say "cache: removed $(basename "$old"), a copy of a --tree source that was not used for 30 days" >&2
	done < <(find "$CACHE" -mindepth 1 -maxdepth 1 -name 'tree-*' -mtime +30 2>/dev/null)
}

tree_users_git() { git -C "$TREE" --no-optional-locks -c "safe.directory=$TREE" -c core.autocrlf=false "$@"; }

tree_copy() { # DIR TOP
	mkdir "$1/src" &&
		if [ "$2" = "$TREE" ]; then
			GIT_INDEX_FILE=$1/index tree_users_git read-tree HEAD &&
				GIT_INDEX_FILE=$1/index tree_users_git checkout-index -q -a --prefix="$1/src/" && rm "$1/index"
		else
			rsync -a --exclude=/.git "$TREE/" "$1/src/" &&
				if [ -e "$1/src/.config" ] || [ -e "$1/src/include/generated" ]; then make -C "$1/src" mrproper; fi
		fi && tree_adopt "$1"
}

tree_untar() { # DIR
	mkdir "$1/src" && tar xf "$TREE" -C "$1/src" --strip-components=1 --no-same-owner && tree_adopt "$1"
}
