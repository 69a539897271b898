# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Everything about the sources that needs no build.

CHECKS_FAILED=0

# check NAME COMMAND...: one counted check; its output is shown when it fails.
check() {
	local name=$1 log=$LOGS/check.log
	shift
	if logged "$name" check.log "$@"; then
		say "  ok       $name"
		result 1 0 0
	else
		say "  FAILED   $name"
		sed -e 's/^/           /' "$log" | head -n 40
		result 0 1 0
		CHECKS_FAILED=1
	fi
}

patches_current() { diff -r -u --exclude='.*' --exclude='linux-*' "$(patches_dir)" "$1"; }

# In a repository of its own that borrows the objects, with only the touched files checked out.
patches_apply() { # WORK
	local tree=$1/am
	kgit diff-tree -r --name-only --no-renames "${COMMITS[0]}" "${COMMITS[-1]}" >"$1/touched" || return
	git init -q "$tree" && echo "$GITD/objects" >"$tree/.git/objects/info/alternates" || return
	(
		cd "$tree" || exit
		git config user.name "$(series_line name)"
		git config user.email "$(series_line email)"
		git config core.fsync none
		git config gc.auto 0
		git update-ref HEAD "${COMMITS[0]}" &&
			sed 's,^,/,' "$1/touched" | git sparse-checkout set --no-cone --stdin &&
			git read-tree -m -u HEAD && { pinned || git am -q "$(patches_dir)"/*.patch; } &&
			git am -q $(pinned || echo -C1) "$ROOT"/patches/*.patch &&
			[ "$(git rev-parse 'HEAD^{tree}')" = "$(git rev-parse "${COMMITS[-1]}^{tree}")" ]
	) || { echo "git am patches/*.patch on the kernel's own tree does not give the tree that is built"; return 1; }
}

# Where there is no repository: what checkpatch asks one, the next check asks better.
checkpatch_clean() { # WORK
	cd "$1" || return
	local ignore=()
	# What comes before the series has no entry in MAINTAINERS yet.
	pinned || ignore=(--ignore FILE_PATH_CHANGES)
	printf '%s\0' "$(patches_dir)"/*.patch |
		xargs -0 -P "$JOBS" -n 1 perl "$SRC/scripts/checkpatch.pl" "--root=$SRC" --strict --no-summary --terse "${ignore[@]}"
}

spdx_valid() { # WORK
	cd "$1/am" && xargs -d '\n' python3 "$SRC/scripts/spdxcheck.py" <"$1/touched"
}

rust_formatted() {
	local files
	mapfile -t files < <(printf '%s\n' "${!KERNEL[@]}" | grep '\.rs$' | sort)
	files+=(rust-kernel/external.rs)
	cd "$ROOT" && rustfmt --check --config-path "$SRC/.rustfmt.toml" "${files[@]}"
}

no_unsafe() { python3 "$ROOT/steps/no_unsafe.py" "$ROOT"/samples-rust-vfifo; }

scripts_clean() {
	cd "$ROOT" && shellcheck -x build-kernel.sh && shellcheck -x steps/{tour,dkms,audit,fire}.sh bench/guest.sh .ci/run tests/*.bats selftests/*.sh
}

manual_clean() { mandoc -T lint -W warning "$ROOT"/man/*.[1-9]; }

# The module with the abstractions in it, though this kernel has them: that they compile outside, too.
external_builds() { # WORK
	mkdir "$1/external" && kmake KRUSTFLAGS=-Dwarnings VFIFO_EXTERNAL=1 \
		M="$ROOT/samples-rust-vfifo" MO="$1/external" modules && [ -e "$1/external/rust_vfifo.ko" ]
}

# Whoever adds an abstraction, or a constant to the bindings, is to think of the external module.
external_complete() {
	local file name status=0
	cd "$ROOT" || return
	for file in rust-kernel/*.rs; do
		name=$(basename "$file" .rs)
		[ "$name" = external ] || grep -q "^pub mod $name;" rust-kernel/external.rs ||
			{ echo "rust-kernel/external.rs does not have the module $name"; status=1; }
	done
	while read -r name; do
		grep -q "pub const $name:" rust-kernel/external.rs && grep -q "static_assert($name ==" rust-kernel/external.c ||
			{ echo "rust-kernel/external.rs and external.c do not have the constant $name"; status=1; }
	done < <(sed -n 's/^+.* RUST_CONST_HELPER_\([A-Z0-9_]*\) = .*/\1/p' series/*/edits.diff)
	return $status
}

# The fragment must hold in a configuration that is not ours.
fragment_merges() { # WORK
	local O=$1/config
	kmake -s x86_64_defconfig && merge_fragment "$O/.config"
}

check_series() {
	local from=$SECONDS work
	make_series
	scratch work
	mkdir "$work/patches"
	format_series "$work/patches"
	check "patches/ is what the sources give" patches_current "$work/patches"
	check "git am patches/*.patch gives the tree that is built" patches_apply "$work"
	check "checkpatch --strict" checkpatch_clean "$work"
	check "SPDX lines" spdx_valid "$work"
	check "rustfmt" rust_formatted
	check "no unsafe in samples-rust-vfifo" no_unsafe
	check "the external module has all of it" external_complete
	check "the cover letter says which patch needs which" python3 "$ROOT/steps/graph.py"
	[ $CHECKS_FAILED -eq 0 ] || die "series: not clean, as shown above; patches/ is written by ./build-kernel.sh series"
	done_step "series --check" "$from" "$((${#COMMITS[@]} - 1)) patches are current, apply and are clean"
}

# Slow: every commit of the series in an object directory of its own.
build_series() {
	local i subject from=$SECONDS
	make_series
	recover_tree
	refuse_edits
	O=$K/x86-each
	need_space 1500 "a second set of objects"
	# Most objects are the same for every patch.
	if [ -e "$K/x86/vmlinux" ] && [ ! -e "$O" ]; then cp -a "$K/x86" "$O.new" && mv "$O.new" "$O"; fi
	trap 'move_tree "${COMMITS[-1]}"; on_exit' EXIT
	for ((i = 1; i < ${#COMMITS[@]}; i++)); do
		subject=$(kgit log -1 --format=%s "${COMMITS[i]}")
		move_tree "${COMMITS[i]}"
		mkdir -p "$O"
		cp "$ROOT/defconfig" "$O/.config"
		must "series --build: configuration" series-build.log "see the log" kmake olddefconfig
		# What a patch can break: the kernel crate, which "prepare" compiles, and what is built on it.
		must "series --build: $i $subject" series-build.log "the first error is in the log" \
			kmake KRUSTFLAGS=-Dwarnings prepare samples/rust/
		say "  ok       $i/$((${#COMMITS[@]} - 1)) $subject"
		result 1 0 0
	done
	done_step "series --build" "$from" "every patch builds"
}
