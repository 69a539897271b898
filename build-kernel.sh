#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The one door: everything from an empty machine to a booted kernel with vfifo in it.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
CACHE=${VFIFO_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vfifo}
JOBS=$(nproc)
ACCEL=auto
DEBUG=''
TREE=''

# shellcheck source=steps/lib.sh
. "$ROOT/steps/lib.sh"
# shellcheck source=steps/deps.sh
. "$ROOT/steps/deps.sh"
# shellcheck source=steps/fetch.sh
. "$ROOT/steps/fetch.sh"
# shellcheck source=steps/series.sh
. "$ROOT/steps/series.sh"
# shellcheck source=steps/build.sh
. "$ROOT/steps/build.sh"
# shellcheck source=steps/guest.sh
. "$ROOT/steps/guest.sh"
# shellcheck source=steps/plain.sh
. "$ROOT/steps/plain.sh"
# shellcheck source=steps/kunit.sh
. "$ROOT/steps/kunit.sh"
# shellcheck source=steps/compilers.sh
. "$ROOT/steps/compilers.sh"
# shellcheck source=steps/matrix.sh
. "$ROOT/steps/matrix.sh"
# shellcheck source=steps/selftest.sh
. "$ROOT/steps/selftest.sh"
# shellcheck source=steps/shutdown.sh
. "$ROOT/steps/shutdown.sh"
# shellcheck source=steps/check.sh
. "$ROOT/steps/check.sh"
# shellcheck source=steps/demo.sh
. "$ROOT/steps/demo.sh"
# shellcheck source=steps/bench.sh
. "$ROOT/steps/bench.sh"
# shellcheck source=steps/test.sh
. "$ROOT/steps/test.sh"
# shellcheck source=steps/kdir.sh
. "$ROOT/steps/kdir.sh"
# shellcheck source=steps/devbox.sh
. "$ROOT/steps/devbox.sh"
# shellcheck source=steps/devbox_test.sh
. "$ROOT/steps/devbox_test.sh"
# shellcheck source=steps/deb.sh
. "$ROOT/steps/deb.sh"
# shellcheck source=steps/doctor.sh
. "$ROOT/steps/doctor.sh"
# shellcheck source=steps/soak.sh
. "$ROOT/steps/soak.sh"
# shellcheck source=steps/mutants.sh
. "$ROOT/steps/mutants.sh"

usage() {
	cat <<-TEXT
	usage: ./build-kernel.sh [OPTION]... [COMMAND [ARGUMENT]...]

	  demo        everything that is missing, then a tour of the driver in the booted kernel (default)
	  test        KUnit, kselftests in the booted kernel, host tests; one summary line
	  soak [MINUTES]
	              what takes a night: the debug kernel under stress-ng and trinity (10 minutes each by default),
	              long modes of the kselftests, "--kcsan selftest", mutants, shutdown, "series --build", matrix,
	              "deb --test", "devbox --test"; one summary line
	              soak MINUTES stress|trinity|long|rounds: that part alone; "rounds" is races in the ordinary
	              kernel, 1,000 rounds of each a minute given, the others are mostly for --debug

	  doctor      which of the ways to use this would work here, and what each lacks; changes nothing

	  devbox      build the module for the kernel that runs here, or --kernel RELEASE; changes nothing
	              --load: load it and take the tour; --dkms: install it, for later kernels too;
	              --remove: take it away; --test: all that in a Debian of its own, by emulation

	  deps        install the packages and tools
	  fetch       get the kernel source
	  patch       apply the series to it
	  build       build the kernel, the module and the kselftests into build/
	  deb         the kernel and its headers as Debian packages, in build/deb/
	              --config small|running|distro: whose configuration (default: small, that of build);
	              --test: also install and boot it in a Debian of its own
	  kunit       run the KUnit tests under UML; "kunit 1.85|1.96 llvm|gcc": built by that rustc and C compiler
	  matrix      that with each of these compilers, on Linux 7.3 and 7.2; a table at the end
	  compilers   compile abstractions, driver, doctests and external module by rustc 1.85 and 1.96, for kernels that
	              have every option they know of and for kernels that have none
	  selftest [PROGRAM]...
	              run the kselftests in the booted kernel, or those of them
	  shutdown    end systems whose devices are busy, in every way there is
	  mutants [NAME]...
	              put the bugs of tests/mutants/ in, one at a time: which test catches each, and which survived
	  bench       measure vfifo against a pipe and others, 4 min on two quiet processors, the first time 7
	              --quick: a few figures; --check: instructions are no more than in bench/baseline.json;
	              --baseline: write that; --profile: instructions of a write and a read by function
	  host        shellcheck, the tests of this program, and what else of "test" boots nothing
	  shell       a root shell in the booted kernel; "shell COMMAND" runs that and comes back
	  series      write patches/ from the sources
	              --check: patches/ is current, applies, and is clean; --build: every patch builds alone
	              --save NNNN: keep edits made by hand in the kernel tree as part of that patch
	              --drop: throw such edits away; --tree: print where the kernel tree is
	  clean       remove build/; "clean --all" also the cache

	  --tree DIR              use this source of Linux 7.3.y or 7.2.y (it is only read); --tree 7.2: Debian's
	  --jobs N                compile N files at once (default: $JOBS)
	  --accel auto|kvm|tcg    how QEMU runs the guest (default: auto, kvm where it really works)
	  --debug                 a kernel that checks itself: KASAN, UBSAN, lockdep, kmemleak and more; "test --debug"
	                          runs the kselftests in it
	  --kcsan                 the same for a kernel with KCSAN, which finds data races
	  --help                  this text

	Downloads and objects are kept in $CACHE (VFIFO_CACHE). VFIFO_SCALE=N gives the guest N times as long.
	TEXT
}

value() { [ -n "${2-}" ] || die "$1 needs a value; see --help"; }

command=
args=()
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	--tree=* | --jobs=* | --accel=*) set -- "${1%%=*}" "${1#*=}" "${@:2}"; continue ;;
	--tree)
		# "series --tree" asks; "--tree DIR" tells.
		if [ "$command" = series ] && [ $# -eq 1 ]; then args+=("$1"); shift; continue; fi
		value "$@"; TREE=$2; shift ;;
	--jobs) value "$@"; JOBS=$2; shift ;;
	--accel) value "$@"; ACCEL=$2; shift ;;
	--debug | --kcsan) DEBUG=${1#--} ;;
	-*)
		case $command in
		series | clean | devbox | deb | bench) args+=("$1") ;;
		shell) args+=("$@"); break ;;
		*) die "unknown option $1; see --help" ;;
		esac ;;
	*)
		if [ -z "$command" ]; then command=$1; else args+=("$1"); fi
		if [ "$command" = shell ]; then args+=("${@:2}"); break; fi ;;
	esac
	shift
done
command=${command:-demo}

[[ $JOBS =~ ^[1-9][0-9]{0,3}$ ]] || die "--jobs $JOBS: not a number of jobs"
[[ $SCALE =~ ^[1-9][0-9]?$ ]] || die "VFIFO_SCALE=$SCALE: not a number from 1 to 99"
case $ACCEL in auto | kvm | tcg) ;; *) die "--accel $ACCEL: not one of auto, kvm, tcg" ;; esac
case $command in
deps | fetch | patch | build | compilers | matrix | shutdown | demo | test | host | doctor)
	[ ${#args[@]} -eq 0 ] || die "$command takes no argument (${args[0]}); see --help" ;;
kunit)
	[ ${#args[@]} -eq 0 ] || [ ${#args[@]} -eq 2 ] || die "kunit takes no argument, or two: 1.85 or 1.96, and llvm or gcc; see --help" ;;
selftest | shell | series | clean | devbox | deb | soak | mutants | bench) ;;
*) die "unknown command $command; see --help" ;;
esac

OUT=$ROOT/build${DEBUG:+/$DEBUG}
[ -z "$DEBUG" ] || slow_guest
LOGS=$OUT/log
# What advice begins with.
DOOR="./build-kernel.sh${DEBUG:+ --$DEBUG}${TREE:+ --tree $TREE}"

# Read whole before it runs, so that this file may change meanwhile.
{
	start
	"do_$command" ${args[@]+"${args[@]}"}
	exit
}
