# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
# shellcheck shell=bash
# Checks the tests in litmus/ against the memory model of the kernel tree, with herd7. Its package is not in Debian 12, and
# needs newer libraries than those of Debian 12. So all are unpacked in the cache, and herd7 is run with these libraries.

# The command that runs herd7: that of the cache, or on another system than Debian 12 the system's.
litmus_herd() {
	local herd=$CACHE/tools/herd
	if [ "$(cat "$herd/wanted" 2>/dev/null)" = "$VERSION_HERD" ] && [ -x "$herd/herd7" ]; then
		echo "$herd/herd7"
	elif ! system_is_debian_12; then
		command -v herd7
	else
		return 1
	fi
}
litmus_have_herd() { litmus_herd >/dev/null; }

litmus_get_herd() {
	local name version there work
	need_space 400 herd7
	scratch work
	must "litmus: herd7" litmus-herd.log network litmus_unpack_herd "$work" "$work/herd"
	mkdir -p "$CACHE/tools"
	rm -rf "$CACHE/tools/herd"
	mv "$work/herd" "$CACHE/tools/herd"
	while read -r name version _; do
		there=$(sed -n "s/^$name //p" "$CACHE/tools/herd/packages")
		[ "$there" = "$version" ] || say "litmus: the archive no longer has $name $version; this is $there"
	done <<<"$VERSION_HERD"
}

# litmus_unpack_herd DOWNLOADS FOLDER: a package of the wanted version must have the wanted hash. If the archive has only
# another version, apt has checked that it has the hash that the archive has signed.
litmus_unpack_herd() {
	local name version hash there files download=$1 herd=$2
	mkdir -p "$herd" && fetch_lists "$download" "$VERSION_HERD_SUITE" || return
	while read -r name version hash; do
		there=$(apt-cache "${FETCH_APT[@]}" madison "$name" | awk -v version="$version" \
			'NR == 1 || $3 == version { found = $3 } END { print found }')
		[ -n "$there" ] || { echo "Unable to locate package $name"; return 1; }
		(cd "$download" && apt-get "${FETCH_APT[@]}" download "$name=$there") || return
		[ "$there" != "$version" ] || sha256sum -c <<<"$hash  $(echo "$download/$name"_*.deb)" ||
			{ echo "Hash Sum mismatch: $name $version"; return 1; }
		case $name in herdtools7) files=(./usr/bin/herd7 ./usr/share/herdtools7/herd) ;; *) files=('./usr/lib/*.so*') ;; esac
		dpkg-deb --fsys-tarfile "$download/$name"_*.deb | tar x -C "$herd" --no-same-owner --wildcards "${files[@]}" || return
		echo "$name $there" >>"$herd/packages"
	done <<<"$VERSION_HERD"
	cat >"$herd/herd7" <<-'END'
		#!/bin/sh
		here=$(dirname "$(readlink -f "$0")")
		exec "$here"/usr/lib/*-linux-gnu/ld-linux-*.so.* --library-path "$(echo "$here"/usr/lib/*-linux-gnu)" "$here/usr/bin/herd7" \
			-set-libdir "$here/usr/share/herdtools7/herd" "$@"
	END
	chmod +x "$herd/herd7" && "$herd/herd7" -version && echo "$VERSION_HERD" >"$herd/wanted"
}

do_litmus() { # [TEST]...
	local from=$SECONDS herd model test
	for test; do [ -e "$ROOT/litmus/$test.litmus" ] || die "litmus: there is no test $test in litmus/"; done
	tree_need
	model=$TREE_SRC/tools/memory-model
	[ -e "$model/linux-kernel.cfg" ] || die "litmus: $model is missing; use a complete kernel tree"
	if ! litmus_have_herd; then
		if ! system_is_debian_12; then
			count_skipped litmus "herd7 comes from packages of Debian, and this is another system; install herdtools7"
			return
		fi
		litmus_get_herd
	fi
	herd=$(litmus_herd)
	rm -rf "$LOGS/litmus"
	mkdir "$LOGS/litmus"
	python3 "$ROOT/steps/kernel/litmus.py" "$herd" "$model" "$LOGS/litmus" "${VFIFO_RESULTS:-/dev/null}" "$@" || COUNT_FAILED=1
	[ "$COUNT_FAILED" -eq 0 ] || die "litmus: some outcomes are not as expected, as shown above (logs: $LOGS/litmus)"
	done_step litmus "$from" "the memory model of Linux $(tree_version "$TREE_SRC"), by herd7 $("$herd" -version | cut -d , -f 1)"
}
