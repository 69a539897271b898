# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Facts about the system that this runs on: which distribution, which packages, how to install one. Also sourced by
# dkms.sh without lib.sh, so it uses nothing but die().

# The root of the system. Tests set another one.
SYSTEM=${VFIFO_SYSTEM-}

# Where downloads and objects are kept.
system_cache() {
	local cache=${VFIFO_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vfifo}
	# With links resolved, so that what is checked is what is used.
	realpath -m -- "$cache"
}

system_field() { # NAME: that field of os-release, or nothing
	# shellcheck disable=SC1091
	(unset "$1"; . "$SYSTEM/etc/os-release" 2>/dev/null && printf '%s\n' "${!1-}") || true
}

system_distribution() { # the family, which decides the package manager
	case " $(system_field ID) $(system_field ID_LIKE) " in
	*' ubuntu '*) echo ubuntu ;;
	*' debian '*) echo debian ;;
	*' arch '*) echo arch ;;
	*' fedora '*) echo fedora ;;
	*' nixos '*) echo nixos ;;
	*) echo other ;;
	esac
}

# Packages of the names and versions in deps.sh exist only there. Derivatives have another ID.
system_is_debian_12() { [ "$(system_field ID) $(system_field VERSION_ID)" = "debian $VERSION_DEBIAN" ]; }

system_install_command() { # PACKAGE...: how people install them here
	case $(system_distribution) in
	debian | ubuntu) echo "sudo apt-get install --no-install-recommends $*" ;;
	arch) echo "sudo pacman -S $*" ;;
	fedora) echo "sudo dnf install $*" ;;
	nixos) echo "nix-shell -p $*" ;;
	*) echo "use the package manager of this system for $*" ;;
	esac
}

# The same with fresh package lists: old ones name files that the archive no longer has.
system_packages_command() { # PACKAGE...
	case $(system_distribution) in
	debian | ubuntu) echo "sudo apt-get update && $(system_install_command "$@")" ;;
	*) system_install_command "$@" ;;
	esac
}

system_backports() { echo "$(system_field VERSION_CODENAME)-backports"; }

# The version of a package whose files are there, else nothing. While apt runs dkms, packages are unpacked but not yet
# configured; those count.
system_installed() { # PACKAGE
	dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
		sed -nE 's/^(installed|unpacked|half-configured|triggers-[a-z]+) //p' || true
}

system_apt_versions() { apt-cache madison "$1" 2>/dev/null | awk '{ print $3 }' || true; } # PACKAGE: newest first
system_apt_has() { grep -qxF "$2" <<<"$(system_apt_versions "$1")"; }                     # PACKAGE VERSION

system_missing_packages() { # PACKAGE...
	local package
	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
	done
}

system_missing_commands() { # COMMAND...
	local command
	for command in "$@"; do command -v "$command" >/dev/null || echo "$command"; done
}

system_need_command() { # COMMAND
	command -v "$1" >/dev/null || die "devbox: $1 is missing; install it: $(system_install_command "$1")"
}

# Waits up to ten minutes for another apt to finish.
system_apt() { DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 "$@"; }

# Downloads may be interrupted, unpacking may not.
system_download() { system_apt update && system_apt install -y --no-install-recommends --download-only "$@"; } # PACKAGE...
system_install() { system_apt install -y --no-install-recommends "$@"; }                                     # PACKAGE...

# Why a download or installation failed, in a few words, from its log.
system_why() { # LOG
	local log=$1 proxy=${https_proxy:-${http_proxy-}}
	if grep -qaE 'No space left on device|ENOSPC' "$log"; then
		echo "the disk is full; free some space and run it again"
	elif grep -qaE 'Could not get lock|Unable to lock|is another process using it' "$log"; then
		echo "another package manager holds apt's lock; wait for it and run it again"
	elif grep -qaiE '(407|Proxy Authentication)|[Pp]roxy.*(refused|failed|error)|[Cc]ould not resolve proxy|tunnel.*failed' "$log"; then
		echo "the proxy ${proxy:-of apt} refuses or is down; check http_proxy and https_proxy"
	elif grep -qaE 'Release file.*(expired|not valid)|does not have a Release file' "$log"; then
		echo "the archive no longer has this release, or the clock is wrong; check apt's sources and the date"
	elif grep -qaE 'Hash Sum mismatch|do not match the hashes|checksum.*(changed|mismatch)|WRONG HASH' "$log"; then
		echo "what was downloaded does not have the expected hash; a mirror or proxy may hold an old or damaged copy, so try again later"
	elif grep -qaE 'Unable to locate package|has no installation candidate|Version .* was not found' "$log"; then
		echo "apt's sources do not have it: $(grep -aoE -m 1 '(Unable to locate package [^ ]+|Package .[^ ]+. has no installation candidate|Version .*was not found)' "$log")"
	elif grep -qaiE '404 +Not Found' "$log"; then
		echo "the archive no longer has a file that the package lists name; run apt-get update, and if it persists, see BUILDING.md for other sources"
	elif grep -qaiE 'Temporary failure resolving|Could not (resolve|connect)|Connection (refused|timed out|failed)|Network is unreachable|failed to (download|lookup|fetch)|Max retries|Name or service not known|NewConnectionError' "$log"; then
		echo "no answer from the network${proxy:+ through the proxy $proxy}; if there is none, see BUILDING.md for working offline"
	else
		echo "the first error is in the log"
	fi
}
