#!/bin/bash -p
# SPDX-License-Identifier: GPL-2.0
# Takes vfifo from an empty machine to a booted kernel. This file checks its surroundings and its options, and starts one
# of two programs: steps/devbox/main.sh (the module on this machine: small, often run as root) or steps/kernel/main.sh
# (the patched kernel, its tests and the patch series).
set -euo pipefail

# A clean environment: ARCH, MAKEFLAGS, KCFLAGS, CDPATH, GIT_* and so on would reach the build. What remains
# identifies the user and describes the network. Functions of the caller are dropped as well.
for name in $(compgen -A function); do unset -f "$name"; done
for name in $(compgen -e); do
	case $name in
	BASH* | SHELLOPTS | UID | EUID | PPID | _ | PWD | OLDPWD | SHLVL) ;;
	PATH | HOME | USER | LOGNAME | SHELL | TERM | COLUMNS | LINES | XDG_CACHE_HOME | SUDO_UID | SUDO_GID | SUDO_USER) ;;
	VFIFO_CACHE | VFIFO_SCALE | VFIFO_SYSTEM | VFIFO_RESULTS | VFIFO_KMEMLEAK | VFIFO_TREE_TOOLS | VFIFO_DEADLINE | VFIFO_TEST_*) ;;
	http_proxy | https_proxy | ftp_proxy | all_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | FTP_PROXY | ALL_PROXY | NO_PROXY) ;;
	PIP_* | *_CA_BUNDLE | CARGO_HTTP_* | CARGO_NET_* | CARGO_REGISTR* | CARGO_SOURCE_* | RUSTUP_HOME | RUSTUP_TOOLCHAIN) ;;
	RUSTC | RUST_LIB_SRC | CARGO_HOME | SSL_CERT_FILE | SSL_CERT_DIR | TMPDIR)
		# They have to mean the same in another folder.
		[[ ${!name} != */* || ${!name} = /* ]] || printf -v "$name" %s "$PWD/${!name}" ;;
	*) unset "$name" ;;
	esac
done
# The system's own programs come first. Only root can make /run/current-system, where those of NixOS are. The caller's
# folders are added below.
callers_path=$PATH
PATH=${VFIFO_TEST_BIN:+$VFIFO_TEST_BIN:}/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin
export LC_ALL=C.UTF-8 TZ=UTC GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
umask 022

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
JOBS=$(nproc)
ACCEL=auto
ARCH=''
DEBUG=''
TREE=''

# shellcheck source=steps/versions.sh
. "$ROOT/steps/versions.sh"
# shellcheck source=steps/lib.sh
. "$ROOT/steps/lib.sh"
# shellcheck source=steps/system.sh
. "$ROOT/steps/system.sh"
PATH=$PATH$(lib_path "$callers_path")
CACHE=$(system_cache)

door_usage() {
	cat <<-TEXT
	usage: ./build-kernel.sh [OPTION]... [COMMAND [ARGUMENT]...]

	  demo        install and build whatever is needed, then take a tour of the driver in the booted kernel (default)
	  test        KUnit, kselftests in the booted kernel, host tests; ends with one summary line
	  soak [MINUTES]
	              tests that take hours: the debug kernel under stress-ng and trinity (10 minutes each by default),
	              long modes of the kselftests, "--kcsan selftest", mutants, shutdown, "series --build", matrix,
	              "deb --test", "devbox --test"; ends with one summary line
	              soak MINUTES stress|trinity|long|rounds: only that part; "rounds" runs races_* in the ordinary kernel,
	              1,000 rounds of each for each minute; the others are meant for --debug

	  doctor      check which ways to use vfifo work here and what each is missing; changes nothing

	  devbox      build the module for the running kernel, or for --kernel RELEASE; installs nothing
	              --load: load it and take the tour; --dkms: install it, for later kernels too;
	              --remove: uninstall it; --test: do all of that in a Debian in an emulator

	  deps        install the packages and tools
	  fetch       get the kernel source
	  patch       apply the series to it
	  build       build the kernel, the module and the kselftests into build/
	  deb         build the kernel and its headers as Debian packages into build/deb/
	              --config small|running|distro: which configuration (default: small, the one of build);
	              --clients: instead, build the headers, vfifoctl and vfifo-cat as packages, for any kernel;
	              --test: also install and boot it in a Debian in an emulator; with --clients, install, use and remove those
	  kunit       run the KUnit tests under UML; "kunit 1.85|1.96 llvm|gcc": built with that rustc and C compiler
	  matrix      run the KUnit tests with each of these compilers, on Linux 7.3 and 7.2, and print a table
	  compilers   compile abstractions, driver, doctests and external module with rustc 1.85 and 1.96, for kernels with
	              every option that they use and for kernels with none
	  selftest [PROGRAM]...
	              run all kselftests, or the named ones, in the booted kernel
	  shutdown    reboot, power off, kill and crash a system while the devices are in use
	  mutants [NAME]...
	              add the bugs in tests/mutants/, one at a time, and check that the tests detect them
	  bench       measure vfifo against a pipe and others, 10 min on two idle processors, 13 the first time; results,
	              tables and plots go to build/bench/
	              --save: replace those in bench/ with the last run's; --quick: a few figures; --check: instruction
	              counts are no higher than in bench/baseline.json; --baseline: write that file; --profile:
	              instructions of a write and a read by function
	  litmus [TEST]...
	              check the tests in litmus/, or the named ones, against the kernel's memory model
	  host        shellcheck, the tests of this program, and everything else of "test" that boots nothing
	  results     print tables of the runs in build/results/, where each whole run of a command of the tests leaves a record
	              --save [NAME]...: copy the records of passing runs to tests/results/, and write the tables in TESTING.md
	              and BUILDING.md
	  shell       open a root shell in the booted kernel; "shell COMMAND" runs that and returns
	  series      write patches/ from the sources
	              --check: patches/ is current, applies, and is clean; --build: every patch builds, with doctests and links
	              --part NAME: write the mails of a part that can be sent alone to build/parts/NAME/
	              --save NNNN: keep edits made by hand in the kernel tree as part of that patch
	              --drop: discard such edits; --tree: print where the kernel tree is
	  clean       remove build/; "clean --all" also removes the cache

	  --tree DIR|FILE|7.2     use this source of Linux 7.3.y or 7.2.y, a folder (only read) or a tar file; 7.2: Debian's
	  --jobs N                compile N files at once (default: $JOBS)
	  --accel auto|kvm|tcg    how QEMU runs the guest (default: auto, kvm if it really works)
	  --arch arm64            the kernel, the kselftests and the guest are of that architecture, compiled and emulated
	                          here; for deps, build, selftest and shell
	  --debug                 use the debug kernel: KASAN, UBSAN, lockdep, kmemleak and more; "test --debug" runs all
	                          kselftests in it
	  --kcsan                 use the KCSAN kernel, which detects data races
	  --help                  this text

	Downloads and objects are kept in $CACHE (VFIFO_CACHE). VFIFO_SCALE=N gives the guest N times as long. RUSTC=FILE
	compiles Rust code with that rustc.
	TEXT
}

door_value() { [ -n "${2-}" ] || die "$1 needs a value; see --help"; }

# kbuild, QEMU and the patch programs do not accept others, and some fail only after an hour.
door_check_name() { # PATH ADVICE
	[[ $1 =~ ^[A-Za-z0-9/._+@-]+$ ]] ||
		die "the folder $1 has a character in its name other than letters, digits and . _ + @ -, which the kernel's build does not accept; $2"
}

COMMAND=
args=()
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) door_usage; exit 0 ;;
	--arch=* | --tree=* | --jobs=* | --accel=*) set -- "${1%%=*}" "${1#*=}" "${@:2}"; continue ;;
	--tree)
		# "series --tree" prints the tree; "--tree DIR" sets it.
		if [ "$COMMAND" = series ] && [ $# -eq 1 ]; then args+=("$1"); shift; continue; fi
		door_value "$@"; TREE=$2; shift ;;
	--arch) door_value "$@"; ARCH=$2; shift ;;
	--jobs) door_value "$@"; JOBS=$2; shift ;;
	--accel) door_value "$@"; ACCEL=$2; shift ;;
	--debug | --kcsan) DEBUG=${1#--} ;;
	-*)
		case $COMMAND in
		series | clean | devbox | deb | bench | results) args+=("$1") ;;
		shell) args+=("$@"); break ;;
		*) die "unknown option $1; see --help" ;;
		esac ;;
	*)
		if [ -z "$COMMAND" ]; then COMMAND=$1; else args+=("$1"); fi
		if [ "$COMMAND" = shell ]; then args+=("${@:2}"); break; fi ;;
	esac
	shift
done
COMMAND=${COMMAND:-demo}

[[ $JOBS =~ ^[1-9][0-9]{0,3}$ ]] || die "--jobs $JOBS: not a number of jobs"
[[ ${VFIFO_SCALE:-1} =~ ^[1-9][0-9]?$ ]] || die "VFIFO_SCALE=$VFIFO_SCALE: not a number from 1 to 99"
case $ACCEL in auto | kvm | tcg) ;; *) die "--accel $ACCEL: not one of auto, kvm, tcg" ;; esac
[[ -z $ARCH || " $VERSION_ARCHES " == *" $ARCH "* ]] || die "--arch $ARCH: not one of ${VERSION_ARCHES// /, }"
[ "$ARCH" != "$VERSION_ARCH" ] || ARCH=''
case $COMMAND:$ARCH in
*: | deps:* | fetch:* | patch:* | build:* | selftest:* | shell:* | clean:*) ;;
*) die "$COMMAND is only for $VERSION_ARCH; --arch is for deps, build, selftest and shell" ;;
esac
case $COMMAND in
deps | fetch | patch | build | compilers | matrix | shutdown | demo | test | host | doctor)
	[ ${#args[@]} -eq 0 ] || die "$COMMAND takes no argument (${args[0]}); see --help" ;;
kunit)
	[ ${#args[@]} -eq 0 ] || [ ${#args[@]} -eq 2 ] || die "kunit takes no argument, or two: 1.85 or 1.96, and llvm or gcc; see --help" ;;
selftest | shell | series | clean | devbox | deb | soak | mutants | bench | results | litmus) ;;
*) die "unknown command $COMMAND; see --help" ;;
esac
door_check_name "$ROOT" "move this repository"
door_check_name "$CACHE" "set VFIFO_CACHE to another folder"
if [ -n "$TREE" ] && [[ " $VERSION_SERIES " != *" $TREE "* ]]; then
	[ -e "$TREE" ] || die "--tree $TREE: there is no such folder or file"
	TREE=$(realpath "$TREE")
	door_check_name "$TREE" "move that tree"
fi

OUT=$ROOT/build${ARCH:+/$ARCH}${DEBUG:+/$DEBUG}
LOGS=$OUT/log
# How advice names this program.
DOOR="./build-kernel.sh${ARCH:+ --arch $ARCH}${DEBUG:+ --$DEBUG}${TREE:+ --tree $TREE}"
# Relative names have been resolved, and a .git folder here must not configure the git commands below.
cd /

# Read whole before it runs, so that this file may change meanwhile.
{
	case $COMMAND in
	doctor) program=steps/doctor.sh ;;
	devbox) if [[ " ${args[*]} " == *" --test "* ]]; then program=steps/kernel/main.sh; else program=steps/devbox/main.sh; fi ;;
	*) program=steps/kernel/main.sh ;;
	esac
	# shellcheck source=steps/kernel/main.sh
	. "$ROOT/$program"
	lib_start
	[ "$program" != steps/kernel/main.sh ] || results_start ${args[@]+"${args[@]}"}
	"do_$COMMAND" ${args[@]+"${args[@]}"}
	LIB_FINISHED=1
	exit
}
