# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# "series --check" and "series --build".

series_patches_current() { diff -r -u --exclude='.*' --exclude='linux-*' "$(series_folder)" "$1"; }

# In a repository of its own that borrows the objects, with only the touched files checked out.
series_patches_apply() { # WORK COMMITS PATCH...: the commits, one a line, that of the unpatched kernel first
	local tree=$1/am base=${2%%$'\n'*} last=${2##*$'\n'}
	tree_git diff-tree -r --name-only --no-renames "$base" "$last" >"$1/touched" || return
	git init -q "$tree" && echo "$TREE_GIT/objects" >"$tree/.git/objects/info/alternates" || return
	(
		cd "$tree" || exit
		git config user.name vfifo
		git config user.email vfifo@localhost
		git config core.fsync none
		git config gc.auto 0
		git update-ref HEAD "$base" &&
			sed 's,^,/,' "$1/touched" | git sparse-checkout set --no-cone --stdin &&
			git read-tree -m -u HEAD && { tree_is_pinned || git am -q "$(series_folder)"/*.patch; } &&
			git am -q $(tree_is_pinned || echo -C1) "${@:3}" &&
			[ "$(git rev-parse 'HEAD^{tree}')" = "$(git rev-parse "$last^{tree}")" ]
	) || { echo "git am of these patches on the kernel's own tree does not give the tree that is built"; return 1; }
}

# The mails of a part that can be sent without the rest.
series_part_applies() { # WORK PART
	local commits patches
	mkdir -p "$1/mails" && commits=$(series_run make-part "$2") && patches=$(series_run format-part "$2" "$1/mails") || return
	mapfile -t patches <<<"$patches"
	series_patches_apply "$1" "$commits" "${patches[@]}"
}

# Where there is no repository: what checkpatch asks one, the next check asks better.
series_checkpatch() { # WORK
	cd "$1" || return
	# Entries in MAINTAINERS are checked for all patches together, by maintained.py.
	printf '%s\0' "$(series_folder)"/*.patch |
		xargs -0 -P "$JOBS" -n 1 perl "$TREE_SRC/scripts/checkpatch.pl" "--root=$TREE_SRC" --strict --no-summary --terse --ignore FILE_PATH_CHANGES
}

series_spdx() { # WORK
	cd "$1/am" && xargs -d '\n' python3 "$TREE_SRC/scripts/spdxcheck.py" <"$1/touched"
}

series_rustfmt() {
	local files
	files=$(series_run list-files | cut -f 2 | grep '\.rs$') || return
	cd "$ROOT" && xargs -d '\n' rustfmt --check --config-path "$TREE_SRC/.rustfmt.toml" <<<"$files"$'\n'rust-kernel/external.rs
}

series_no_unsafe() { python3 "$ROOT/steps/kernel/no_unsafe.py" "$ROOT"/samples-rust-vfifo; }

# external.rs must have every abstraction, constant and helper that the series adds to the kernel.
series_external_complete() {
	local file name outer status=0
	cd "$ROOT" || return
	# Files that other files declare are not looked at: without them, nothing compiles.
	for file in rust-kernel/*.rs rust-kernel/*/*.rs; do
		name=$(basename "$file" .rs) outer=$(dirname "$file")
		[ "$name" != external ] || continue
		[ ! -e "$outer.rs" ] || continue
		case $outer in
		rust-kernel) grep -q "^pub mod $name;" rust-kernel/external.rs ;;
		*) sed -n "/^pub mod ${outer##*/} {/,/^}/p" rust-kernel/external.rs | grep -q "^    pub mod $name;" ;;
		esac || { echo "rust-kernel/external.rs does not have the module of $file"; status=1; }
	done
	while read -r name; do
		grep -q "pub const $name:" rust-kernel/external.rs && grep -q "static_assert($name ==" rust-kernel/external.c ||
			{ echo "rust-kernel/external.rs and external.c do not have the constant $name"; status=1; }
	done < <(sed -n 's/^+.* RUST_CONST_HELPER_\([A-Z0-9_]*\) = .*/\1/p' series/*/edits.diff)
	while read -r name; do
		grep -q "link_name = \"$name\"" rust-kernel/external.rs && grep -q "^[a-z].* $name(.*)$" rust-kernel/external.c ||
			{ echo "rust-kernel/external.rs and external.c do not have the helper $name"; status=1; }
	done < <(sed -n 's/^+__rust_helper .*\<\(rust_helper_[a-z0-9_]*\)(.*/\1/p' series/*/edits.diff)
	return $status
}

series_have_older() { # SERIES
	local TREE=$1 TREE_DIR TREE_SRC TREE_GIT
	tree_find
}

# The same two checks on an older kernel, which needs its tree but builds nothing.
series_older_takes_it() { # SERIES WORK
	local TREE=$1 commits
	tree_find && mkdir "$2" && commits=$(series_run make-patches "$2/patches") && series_patches_current "$2/patches" &&
		series_patches_apply "$2" "$commits" "$ROOT"/patches/*.patch
}

series_check() {
	local from=$SECONDS work commits older part parts=''
	scratch work
	commits=$(series_run make-patches "$work/patches")
	check "patches/ is what the sources give" series_patches_current "$work/patches"
	check "git am patches/*.patch gives the tree that is built" series_patches_apply "$work" "$commits" \
		"$ROOT"/patches/*.patch
	check "checkpatch --strict" series_checkpatch "$work"
	check "every added file is in MAINTAINERS" python3 "$ROOT/steps/kernel/maintained.py" "$ROOT"/patches/*.patch
	check "SPDX lines" series_spdx "$work"
	check "rustfmt" series_rustfmt
	check "no unsafe in samples-rust-vfifo" series_no_unsafe
	check "the external module has all of it" series_external_complete
	check "the cover letters name all patches, and which needs which" python3 "$ROOT/steps/kernel/graph.py"
	! tree_is_pinned || parts=$(series_run parts)
	for part in $parts; do
		check "part $part applies alone" series_part_applies "$work/$part" "$part"
	done
	for older in ${VERSION_SERIES//"${VERSION_LINUX%.*}"/}; do
		[ -z "$TREE" ] || continue
		if series_have_older "$older"; then
			check "Linux $older takes the series" series_older_takes_it "$older" "$work/$older"
		else
			count_skipped "Linux $older takes the series" "its source is not in the cache; run ./build-kernel.sh --tree $older fetch"
		fi
	done
	[ $COUNT_FAILED -eq 0 ] || die "series: not clean, as shown above; patches/ is written by ./build-kernel.sh series"
	done_step "series --check" "$from" "$(($(wc -l <<<"$commits") - 1)) patches are current, apply and are clean"
}

series_build_selftests() {
	build_make -s headers_install && build_make -C "$TREE_SRC/tools/testing/selftests" TARGETS=vfifo FORCE_TARGETS=1
}

# What make runs as rustdoc. The documents of the kernel crate need no others: links to these are found in the metadata.
series_write_rustdoc() { # FILE RUSTDOC
	printf '#!/bin/sh\ncase " $* " in *" --crate-name kernel "*) exec %s "$@" ;; esac\n' "$2" >"$1" && chmod +x "$1"
}

# Links of documents to items and to files of the tree. A link to an item that does not exist is a warning of rustdoc, and
# KRUSTFLAGS makes it an error; one to a file that does not exist is a warning of make.
series_rustdoc() { # ARGUMENT-OF-MAKE...
	build_make "$@" rustdoc 2>&1 | awk '{ print } /^warning: srctree\/ link/ { found = 1 } END { exit found }'
}

# series_build_one LABEL BEFORE COMMIT HOME: what a patch can break, built in the tree with this patch and those before it: the
# kernel crate, which "prepare" compiles, its doctests and documents, what is built on it, and the selftests.
series_build_one() {
	local from=$SECONDS log=series-build.log make=(KRUSTFLAGS=-Dwarnings "RUSTDOC=$BUILD_DIR/rustdoc-kernel") built=', doctests'
	series_run visit "$3" "$4"
	# Options that this patch does not have yet are ignored. Of two lines for an option the last counts, so vfifo is a module.
	cat "$ROOT/kunit/.kunitconfig" "$ROOT/defconfig" >"$BUILD_DIR/.config"
	must "series --build: configuration" "$log" "see the log" build_make olddefconfig
	if [ -e "$TREE_SRC/tools/testing/selftests/vfifo" ]; then
		must "series --build: $1, selftests" "$log" "the first error is in the log" series_build_selftests
		built+=', selftests'
	fi
	must "series --build: $1" "$log" "the first error is in the log" build_make "${make[@]}" prepare samples/rust/
	grep -qxF CONFIG_RUST_KERNEL_DOCTESTS=y "$BUILD_DIR/.config" ||
		die "series --build: $1: the configuration has no doctests; see kunit/.kunitconfig"
	must "series --build: $1, doctests" "$log" "the first error is in the log" \
		build_make "${make[@]}" rust/doctests_kernel_generated.o rust/doctests_kernel_generated_kunit.o
	if [ -n "$(tree_git diff-tree -r --name-only "$2" "$3" -- rust include)" ]; then
		must "series --build: $1, links of rustdoc" "$log" "the first error or warning is in the log" series_rustdoc "${make[@]}"
		built+=', rustdoc'
	fi
	say "  ok       $1$built"
	count_result 1 0 0 "$1" $((SECONDS - from))
}

# Slow: every commit of the series in an object directory of its own, and each part that can be sent alone.
series_build() {
	local i commits home part parts='' subject count from=$SECONDS
	series_run recover
	commits=$(series_run make)
	mapfile -t commits <<<"$commits"
	count=$((${#commits[@]} - 1)) home=${commits[-1]}
	series_run refuse-edits
	BUILD_DIR=$TREE_DIR/x86-each
	need_space 1500 "a second set of objects"
	# Most objects are the same for every patch.
	if [ -e "$TREE_DIR/x86/vmlinux" ] && [ ! -e "$BUILD_DIR" ]; then cp -a "$TREE_DIR/x86" "$BUILD_DIR.new" && mv "$BUILD_DIR.new" "$BUILD_DIR"; fi
	mkdir -p "$BUILD_DIR"
	series_write_rustdoc "$BUILD_DIR/rustdoc-kernel" "$(build_rust_tool rustdoc)"
	trap 'series_run recover; lib_on_exit' EXIT
	for ((i = 1; i <= count; i++)); do
		subject=$(tree_git log -1 --format=%s "${commits[i]}")
		series_build_one "$i/$count $subject" "${commits[i - 1]}" "${commits[i]}" "$home"
	done
	! tree_is_pinned || parts=$(series_run parts)
	for part in $parts; do
		commits=$(series_run make-part "$part")
		mapfile -t commits <<<"$commits"
		series_build_one "part $part alone" "${commits[0]}" "${commits[-1]}" "$home"
	done
	done_step "series --build" "$from" "every patch builds, and each part alone"
}
