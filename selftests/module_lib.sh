# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced by the scripts that load and unload the module, after vfifo_lib.sh.
#
# VFIFO_MODULE is the name of the module or the path of its .ko file. A module that was
# loaded before is loaded again at exit, with as many devices of the same capacity, mode
# and hangup as vfifo0.

module=${VFIFO_MODULE:-rust_vfifo}
class=/sys/class/vfifo

name=$(basename "$module" .ko)
name=${name//-/_}

loaded()
{
	grep -q "^$name " /proc/modules 2> /dev/null
}

loader=modprobe
[ "$module" = "${module#*/}" ] || loader=insmod

# load [PARAMETER=VALUE...]
load()
{
	"$loader" "$module" "$@"
}

try_to_unload()
{
	! loaded || rmmod "$name" 2> /dev/null
}

# The reference of a process may go a moment after the process has ended.
unload()
{
	eventually try_to_unload
}

# attr N NAME
attr()
{
	cat "$class/vfifo$1/$2"
}

# mode N: the mode of that node.
mode()
{
	stat -c %a "/dev/vfifo$1"
}

# devices: the names of all devices. Beside them are the attributes of the class.
devices()
{
	find $class -mindepth 1 -type l -printf '%f\n' | sort
}

# module_trouble: fails, and says why, if the module cannot be loaded and unloaded.
module_trouble()
{
	if [ "$(id -u)" -ne 0 ]; then
		echo "only root can load modules"
	elif loaded && devices | grep -qv '^vfifo[0-9][0-9]*$'; then
		echo "devices were added, which this test would remove"
	elif loaded; then
		return 0
	elif [ -e $class ]; then
		echo "the driver is built in"
	elif [ ! -e "$module" ] && ! modprobe -q -n "$module"; then
		echo "there is no module $module"
	else
		return 0
	fi
	return 1
}

# module_remember: how the module is loaded now, for module_restore.
module_remember()
{
	before=
	loaded || return 0
	before="devices=$(devices | wc -l)"
	[ -c /dev/vfifo0 ] || return 0
	before+=" buffer_size=$(attr 0 capacity) hangup=$(attr 0 hangup) perm=0$(mode 0)"
}

module_restore()
{
	[ -n "$before" ] || return 0
	# shellcheck disable=SC2086
	unload && load $before
}
