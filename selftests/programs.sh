#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Common programs move data through a vfifo, and its checksum does not change.

# The functions are called by name, which shellcheck cannot see.
# shellcheck disable=SC2317

DIR=$(dirname "$(readlink -f "$0")")
# shellcheck source-path=SCRIPTDIR source=vfifo_lib.sh
. "$DIR/vfifo_lib.sh"

# Many times the capacity, and not a multiple of anything.
LEN=600011

sum()
{
	sha256sum "$@" | cut -d ' ' -f 1
}

# arrived: whether $tmp/out is the data that was sent, and the device is empty.
arrived()
{
	[ "$(sum "$tmp/out")" = "$want" ] && size_is 0
}

# both WRITER READER: runs the two functions at the same time.
both()
{
	local rc=0 pid

	"$1" &
	pid=$!
	"$2" > "$tmp/out" || rc=1
	wait "$pid" || rc=1
	arrived || rc=1
	return "$rc"
}

w_cat()
{
	limit cat "$tmp/data" > "$dev"
}

has_all()
{
	[ "$(stat -c %s "$tmp/out")" -ge "$LEN" ]
}

# cat never gets an end of file. It is killed when it has copied everything.
test_cat()
{
	local rc=0 pid

	timeout "$((2 * DEADLINE))" cat "$dev" > "$tmp/out" &
	pid=$!
	w_cat || rc=1
	eventually has_all || rc=1
	kill "$pid"
	wait "$pid" 2> /dev/null
	arrived || rc=1
	return "$rc"
}

w_dd_odd()
{
	limit dd if="$tmp/data" of="$dev" bs=4097 status=none
}

r_dd_odd()
{
	limit dd if="$dev" bs=1237 count="$LEN" iflag=count_bytes,fullblock \
		status=none
}

w_dd_large()
{
	limit dd if="$tmp/data" of="$dev" bs=333331 status=none
}

r_dd_large()
{
	limit dd if="$dev" bs=99991 count="$LEN" iflag=count_bytes,fullblock \
		status=none
}

test_dd_odd_blocks()
{
	both w_dd_odd r_dd_odd
}

test_dd_large_blocks()
{
	both w_dd_large r_dd_large
}

# Repeatedly, since dd ends whenever the device is empty.
r_dd_nonblock()
{
	local end=$((SECONDS + DEADLINE)) had=0 n

	while [ "$had" -lt "$LEN" ]; do
		[ "$SECONDS" -lt "$end" ] || return 1
		LC_ALL=C dd if="$dev" bs=5003 iflag=nonblock \
			2> "$tmp/dd" > "$tmp/part"
		n=$(stat -c %s "$tmp/part")
		cat "$tmp/part"
		had=$((had + n))
		if [ "$n" -eq 0 ]; then
			grep -q "temporarily unavailable" "$tmp/dd" || return 1
		fi
	done
}

test_dd_nonblock()
{
	both w_dd_large r_dd_nonblock
}

w_tee()
{
	limit tee "$dev" < "$tmp/data" > "$tmp/tee" &&
		[ "$(sum "$tmp/tee")" = "$want" ]
}

r_head()
{
	limit head -c "$LEN" "$dev"
}

test_tee()
{
	both w_tee r_head
}

w_pv()
{
	limit pv -q "$tmp/data" > "$dev"
}

r_pv()
{
	limit pv -q -S -s "$LEN" "$dev"
}

test_pv()
{
	both w_pv r_pv
}

w_socat()
{
	# shellcheck disable=SC2094
	limit socat -u "PIPE:$tmp/fifo,rdonly" "OPEN:$dev,wronly" &
	limit cp "$tmp/data" "$tmp/fifo" || return 1
	wait "$!"
}

r_socat()
{
	limit socat -u "OPEN:$dev,rdonly,readbytes=$LEN" STDOUT
}

test_socat()
{
	rm -f "$tmp/fifo"
	mkfifo "$tmp/fifo" || return 1
	both w_socat r_socat
}

r_socat_pipe()
{
	local rc=0

	limit cat "$tmp/fifo" &
	limit socat -u "OPEN:$dev,rdonly,nonblock,readbytes=$LEN" \
		"PIPE:$tmp/fifo,wronly" || rc=1
	wait "$!" || rc=1
	return "$rc"
}

# From a non-blocking device to a pipe.
test_socat_nonblock()
{
	rm -f "$tmp/fifo"
	mkfifo "$tmp/fifo" || return 1
	both w_dd_large r_socat_pipe
}

# One process uses both ends with a selector.
test_python_selectors()
{
	limit python3 -E -S - "$tmp/data" "$dev" "$tmp/out" <<- 'END' || return 1
		import os
		import selectors
		import sys

		data = open(sys.argv[1], "rb").read()
		out = open(sys.argv[3], "wb")
		r = os.open(sys.argv[2], os.O_RDONLY | os.O_NONBLOCK)
		w = os.open(sys.argv[2], os.O_WRONLY | os.O_NONBLOCK)
		selector = selectors.DefaultSelector()
		selector.register(r, selectors.EVENT_READ)
		selector.register(w, selectors.EVENT_WRITE)
		sent = had = 0
		while had < len(data):
		    ready = selector.select(10)
		    if not ready:
		        sys.exit("nothing is ready")
		    for key, _ in ready:
		        if key.fd == w:
		            sent += os.write(w, data[sent:sent + 7001])
		            if sent == len(data):
		                selector.unregister(w)
		        else:
		            part = os.read(r, 5003)
		            out.write(part)
		            had += len(part)
		try:
		    os.read(r, 1)
		    sys.exit("more was read than written")
		except BlockingIOError:
		    pass
	END
	arrived
}

# One process splices from a pipe to the device, another from the device to a pipe.
test_python_splice()
{
	limit python3 -E -S - "$tmp/data" "$dev" "$tmp/out" <<- 'END' || return 1
		import os
		import sys

		size = os.stat(sys.argv[1]).st_size
		r, w = os.pipe()
		child = os.fork()
		if child == 0:
		    src = os.open(sys.argv[1], os.O_RDONLY)
		    dst = os.open(sys.argv[2], os.O_WRONLY)
		    while True:
		        n = os.splice(src, w, 20011)
		        if n == 0:
		            os._exit(0)
		        while n:
		            n -= os.splice(r, dst, n)
		src = os.open(sys.argv[2], os.O_RDONLY)
		dst = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
		own_r, own_w = os.pipe()
		had = 0
		while had < size:
		    n = os.splice(src, own_w, 30011)
		    had += n
		    while n:
		        n -= os.splice(own_r, dst, n)
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
	END
	arrived
}

# One job writes blocks with checksums, and another reads and verifies them.
test_fio()
{
	local options

	options="--filename=$dev --ioengine=io_uring --iodepth=1 --bs=3072
		 --size=1536k --io_size=1536k --verify=crc32c --output=$tmp/fio
		 --verify_fatal=1 --allow_file_create=0"
	# shellcheck disable=SC2086
	limit fio $options --name=writer --rw=write --do_verify=0 \
		--name=reader --rw=read > "$tmp/err" 2>&1 || return 1
	grep -q "reader.*err= 0" "$tmp/fio" || return 1
	[ "$(cat "$sys/size")" -eq 0 ]
}

show()
{
	local file

	for file in err fio; do
		[ ! -s "$tmp/$file" ] || sed 's/^/# /' "$tmp/$file"
	done
}

restore()
{
	echo "$hangup" > "$sys/hangup"
	rm -rf "$tmp"
}

tests="cat:cat dd_odd_blocks:dd dd_large_blocks:dd dd_nonblock:dd tee:tee pv:pv
       socat:socat socat_nonblock:socat python_selectors:python3
       python_splice:python3 fio:fio"

# shellcheck disable=SC2086
set -- $tests
plan "$@"

hangup=$(cat "$sys/hangup")
trap restore EXIT
echo 0 > "$sys/hangup"
head -c "$LEN" /dev/urandom > "$tmp/data"
want=$(sum "$tmp/data")

for t in "$@"; do
	fresh
	rm -f "$tmp/out" "$tmp/err" "$tmp/fio"
	if ! command -v "${t#*:}" > /dev/null; then
		ktap_test_skip "${t%:*}: ${t#*:} is not installed"
		continue
	fi
	if "test_${t%:*}"; then
		ktap_test_pass "${t%:*}"
	else
		show
		ktap_test_fail "${t%:*}"
	fi
done
ktap_finished
