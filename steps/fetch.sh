# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The kernel source: K holds src (the tree), git (kept outside of it, so that kbuild sees no
# checkout) and the object directories. The index of git says what the tree should hold.

PIN=7.3.4
# What the series is known to apply to and to work on.
TREES='7.2 7.3'
K='' SRC='' GITD=''

kgit() { GIT_DIR=$GITD GIT_WORK_TREE=$SRC git -C "$SRC" -c core.compression=0 -c core.fsync=none -c gc.auto=0 "$@"; }

use_tree() { K=$1 SRC=$1/src GITD=$1/git; }

tree_version() { # DIR: 7.3.4, or nothing
	[ -f "$1/Makefile" ] && [ -f "$1/Kbuild" ] && [ -d "$1/kernel" ] || return 0
	awk -F ' *= *' '$1 == "VERSION" { v = $2 } $1 == "PATCHLEVEL" { p = $2 } $1 == "SUBLEVEL" { s = $2; exit }
		END { if (v != "") print v "." p "." s }' "$1/Makefile"
}

# Whether the tree is of the kernels that patches/ is for.
pinned() { [ "$(tree_series)" = "${PIN%.*}" ]; }
tree_series() { linux_series "$(tree_version "$SRC")"; }

# Which of Debian's kernels is wanted: the pinned one, or that of --tree X.Y.
debian_series() {
	case " $TREES " in
	*" ${TREE:-${PIN%.*}} "*) echo "${TREE:-${PIN%.*}}" ;;
	*) return 1 ;;
	esac
}

# Sets K to a tree that is already in the cache.
find_tree() {
	local dir series
	series=$(debian_series) || { import_tree; return; }
	for dir in "$CACHE/linux-$PIN" $(printf '%s\n' "$CACHE/linux-$series".* | sort -rV); do
		[[ $dir == "$CACHE/linux-$series".* ]] || continue
		if [ -e "$dir/git/refs/vfifo/base" ]; then use_tree "$dir"; return 0; fi
	done
	return 1
}

need_tree() { find_tree || die "there is no kernel tree in $CACHE; run $DOOR fetch first"; }

# adopt DIR: DIR/src becomes a tree with history; the rename at the end makes it count.
adopt() {
	use_tree "$1"
	git init -q --bare "$GITD" && kgit config core.bare false && mkdir -p "$GITD/info" &&
		kgit add -A -f && base_commit
}

base_commit() {
	local tree commit
	tree=$(kgit write-tree) &&
		commit=$(echo "Linux $(tree_version "$SRC")" | GIT_AUTHOR_NAME=Linux GIT_AUTHOR_EMAIL=linux@localhost \
			GIT_COMMITTER_NAME=Linux GIT_COMMITTER_EMAIL=linux@localhost GIT_AUTHOR_DATE='@0 +0000' \
			GIT_COMMITTER_DATE='@0 +0000' kgit commit-tree "$tree") &&
		kgit update-ref refs/vfifo/head "$commit" && kgit update-ref refs/vfifo/base "$commit"
}

ARCHIVE_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

# The archive that this machine already trusts.
debian_archive() {
	local uri
	[ -r "$ARCHIVE_KEYS" ] || { echo "no $ARCHIVE_KEYS; install debian-archive-keyring" >&2; return 1; }
	# shellcheck disable=SC2016,SC1091
	uri=$(. "$SYSTEM/etc/os-release" && apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
		awk -v suite="$VERSION_CODENAME" '$2 == suite { print $1; exit }')
	[ -n "$uri" ] || { echo "apt knows no Debian archive" >&2; return 1; }
	echo "$uri"
}

# It has newer kernels in a suite of its own; a private apt state reaches it and leaves the system's
# configuration alone.
download() { # DIR PACKAGE
	local dir=$1 uri keys=$ARCHIVE_KEYS
	uri=$(debian_archive) || return
	mkdir -p "$dir/lists/partial" "$dir/archives/partial"
	echo "deb [signed-by=$keys] $uri trixie-backports main" >"$dir/sources.list"
	local apt=(-q -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferencesparts=/dev/null -o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir"
		-o "APT::Sandbox::User=$(id -un)" -o APT::Update::Error-Mode=any -o Acquire::Retries=3)
	apt-get "${apt[@]}" update && cd "$dir" && apt-get "${apt[@]}" download "$2"
}

unpack() { # DIR
	cd "$1" && dpkg-deb --fsys-tarfile linux-source-*.deb | tar x --wildcards './usr/src/*.tar.xz' &&
		rm linux-source-*.deb && mkdir -p new/src &&
		xz -T0 -dc usr/src/linux-source-*.tar.xz | tar x -C new/src --strip-components=1 && rm -r usr &&
		adopt "$1/new"
}

do_fetch() {
	local from=$SECONDS dir version series
	series=$(debian_series) || series=
	if ! find_tree; then
		need_space 5000 "the kernel source"
		scratch dir
		must "fetch: Linux $series" fetch-download.log \
			"is the network up? A tree that you have: --tree DIR" download "$dir" "linux-source-$series"
		must "fetch: unpacking" fetch-unpack.log "see the log" unpack "$dir"
		version=$(tree_version "$dir/new/src")
		[ -n "$version" ] || die "fetch: the package holds no kernel tree (log: $LOGS/fetch-unpack.log)"
		rm -rf "$CACHE/linux-$version"
		mv "$dir/new" "$CACHE/linux-$version"
		use_tree "$CACHE/linux-$version"
	fi
	version=$(tree_version "$SRC")
	[ "$version" = "$PIN" ] || [ "$series" != "${PIN%.*}" ] || say "fetch: Linux $PIN is not to be had here; this is $version"
	done_step fetch "$from" "Linux $version in $SRC"
}

# --tree: the tree that the user names is read, never written.
import_tree() {
	local version name top dir
	[ -d "$TREE" ] || die "--tree $TREE: no such folder"
	TREE=$(cd "$TREE" && pwd -P)
	version=$(tree_version "$TREE")
	[ -n "$version" ] || die "--tree $TREE: not a Linux source tree"
	case " $TREES " in
	*" ${version%.*} "*) ;;
	*) die "--tree $TREE: this is Linux $version; the series is for ${TREES// /.y and }.y" ;;
	esac
	top=$(tree_git rev-parse --show-toplevel 2>/dev/null || true)
	if [ "$top" = "$TREE" ]; then
		name=tree-$(tree_git rev-parse 'HEAD^{tree}' | cut -c -16)
		[ -z "$(tree_git status --porcelain --untracked-files=no)" ] ||
			say "fetch: $TREE has changes that are not committed; its last commit is used" >&2
	else
		name=tree-$(echo "$TREE" | sha256sum | cut -c -16)
		if [ -e "$CACHE/$name/stamp" ] &&
			[ -n "$(find "$TREE" -newer "$CACHE/$name/stamp" -print -quit)" ]; then
			say "fetch: $TREE has changed; copying it again" >&2
			rm -rf "${CACHE:?}/$name"
		fi
	fi
	if [ ! -e "$CACHE/$name/git/refs/vfifo/base" ]; then
		need_space 5000 "a copy of $TREE"
		scratch dir
		touch "$dir/stamp"
		must "fetch: copying $TREE" fetch-copy.log "see the log" copy_tree "$dir" "$top"
		rm -rf "${CACHE:?}/$name"
		mv "$dir" "$CACHE/$name"
	fi
	use_tree "$CACHE/$name"
}

tree_git() { git -C "$TREE" --no-optional-locks -c "safe.directory=$TREE" -c core.autocrlf=false "$@"; }

copy_tree() { # DIR TOP
	mkdir "$1/src" &&
		if [ "$2" = "$TREE" ]; then
			GIT_INDEX_FILE=$1/index tree_git read-tree HEAD &&
				GIT_INDEX_FILE=$1/index tree_git checkout-index -q -a --prefix="$1/src/" && rm "$1/index"
		else
			rsync -a --exclude=/.git "$TREE/" "$1/src/" &&
				if [ -e "$1/src/.config" ] || [ -e "$1/src/include/generated" ]; then make -C "$1/src" mrproper; fi
		fi && adopt "$1"
}
