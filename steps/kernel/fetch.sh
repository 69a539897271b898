# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Gets the kernel source: Debian's package, from an archive that apt already trusts. A tree or tar file that the user has
# is the other way (--tree); see tree.sh.

FETCH_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
FETCH_APT=()

# The address of an archive of Debian's that this machine uses. Ubuntu's keyring package brings Debian's keys too, so
# what counts is the origin that the archive's signed Release file states.
fetch_archive() {
	local uri
	[ -r "$SYSTEM$FETCH_KEYS" ] || { echo "$FETCH_KEYS is missing; install debian-archive-keyring" >&2; return 1; }
	# shellcheck disable=SC2016
	uri=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(ORIGIN)' 'Created-By: Packages')
	[ -n "$uri" ] || { echo "apt has no package lists yet; run: sudo apt-get update" >&2; return 1; }
	uri=$(awk -v suite="$(system_field VERSION_CODENAME)" '$2 == suite && $3 == "Debian" { print $1; exit }' <<<"$uri")
	[ -n "$uri" ] || { echo "none of apt's sources is an archive of Debian" >&2; return 1; }
	echo "$uri"
}

# A suite that is not this system's is reached with an apt state of its own, so the system's configuration stays as it is.
# apt checks the signature of the archive and the hash of the package.

# fetch_lists DIR SUITE: gets the package lists of that suite. Sets FETCH_APT, the options with which apt uses them.
fetch_lists() {
	local dir=$1 uri
	uri=$(fetch_archive) || return
	mkdir -p "$dir/lists/partial" "$dir/archives/partial"
	echo "deb [signed-by=$FETCH_KEYS] $uri $2 main" >"$dir/sources.list"
	FETCH_APT=(-q -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferencesparts=/dev/null -o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir"
		-o "APT::Sandbox::User=$(id -un)" -o APT::Update::Error-Mode=any -o Acquire::Retries=3)
	apt-get "${FETCH_APT[@]}" update
}

fetch_download() { # DIR PACKAGE
	fetch_lists "$1" "$VERSION_LINUX_SUITE" && cd "$1" && apt-get "${FETCH_APT[@]}" download "$2"
}

fetch_unpack() { # DIR
	cd "$1" && dpkg-deb --fsys-tarfile linux-source-*.deb | tar x --wildcards './usr/src/*.tar.xz' &&
		rm linux-source-*.deb && mkdir -p new/src &&
		xz -T0 -dc usr/src/linux-source-*.tar.xz | tar x -C new/src --strip-components=1 && rm -r usr &&
		tree_adopt "$1/new"
}

# Where to get the source if the archive does not have it any more.
fetch_elsewhere() {
	echo "get linux-$VERSION_LINUX.tar.xz from kernel.org, check its signature, and use it: ./build-kernel.sh --tree linux-$VERSION_LINUX.tar.xz"
}

do_fetch() {
	local from=$SECONDS dir version series log=$LOGS/fetch-download.log
	series=$(tree_wanted_series) || series=
	if ! tree_find; then
		need_space 5000 "the kernel source"
		scratch dir
		logged "fetch: Linux $series" fetch-download.log fetch_download "$dir" "linux-source-$series" ||
			die "fetch: Linux $series failed: $(fetch_why "$log") (log: $log)"
		must "fetch: unpacking" fetch-unpack.log "see the log" fetch_unpack "$dir"
		version=$(tree_version "$dir/new/src")
		[ "$(version_series "$version")" = "$series" ] ||
			die "fetch: linux-source-$series holds ${version:-no kernel tree}; $(fetch_elsewhere) (log: $LOGS/fetch-unpack.log)"
		rm -rf "$CACHE/linux-$version"
		mv "$dir/new" "$CACHE/linux-$version"
		tree_use "$CACHE/linux-$version"
	fi
	version=$(tree_version "$TREE_SRC")
	[ "$version" = "$VERSION_LINUX" ] || [ "$series" != "${VERSION_LINUX%.*}" ] ||
		say "fetch: the archive no longer has Linux $VERSION_LINUX; this is $version"
	done_step fetch "$from" "Linux $version in $TREE_SRC"
}

fetch_why() { # LOG
	if grep -q 'apt has no package lists' "$1"; then
		tail -n 1 "$1"
	elif grep -qE 'is missing; install|none of apt.s sources' "$1"; then
		echo "$(tail -n 1 "$1"); or $(fetch_elsewhere)"
	elif grep -qE 'Unable to locate package|404 +Not Found|does not have a Release file|not valid' "$1"; then
		echo "the archive no longer has it in $VERSION_LINUX_SUITE; $(fetch_elsewhere)"
	else
		system_why "$1"
	fi
}
