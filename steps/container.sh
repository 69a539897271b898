#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The entry point of the container: runs /vfifo/build-kernel.sh as the owner of the clone, so that files
# in build/ and in the cache belong to that user. In a rootless container the owner is the container's root.
set -eu

fail() { echo "container: $*" >&2; exit 1; }

[ -x build-kernel.sh ] ||
	fail "there is no clone of the repository in $PWD; add to the command: -v \"\$PWD\":/vfifo"
uid=$(stat -c %u .)
gid=$(stat -c %g .)
if [ "$(id -u)" -ne 0 ] || [ "$uid" -eq 0 ]; then
	exec ./build-kernel.sh "$@"
fi

getent group "$gid" >/dev/null || groupadd --gid "$gid" vfifo
getent passwd "$uid" >/dev/null ||
	useradd --uid "$uid" --gid "$gid" --home-dir "$VFIFO_CACHE/home" --no-create-home --no-log-init vfifo
# A new volume belongs to root, and one from another user's runs to that user.
if [ "$(stat -c %u "$VFIFO_CACHE")" -ne "$uid" ]; then
	chown -R "$uid:$gid" "$VFIFO_CACHE"
fi
mkdir -p "$VFIFO_CACHE/home"
chown "$uid:$gid" "$VFIFO_CACHE/home"
export HOME="$VFIFO_CACHE/home"
groups=--clear-groups
if [ -c /dev/kvm ]; then groups=--groups=$(stat -c %g /dev/kvm); fi
exec setpriv --reuid="$uid" --regid="$gid" "$groups" ./build-kernel.sh "$@"
