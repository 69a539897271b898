#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Programs that use pipes run unchanged on vfifos with hangup 1, and end. pipe_preload.so
# makes pipe(2) return a vfifo; the last tests use a device by its name.
#
# VFIFO_MODULE is the name of the module or the path of its .ko file, which this loads with
# enough devices.

# The functions are called by name, which shellcheck cannot see.
# shellcheck disable=SC2317

DIR=$(dirname "$(readlink -f "$0")")
# shellcheck source-path=SCRIPTDIR source=vfifo_lib.sh
. "$DIR/vfifo_lib.sh"
# shellcheck source-path=SCRIPTDIR source=module_lib.sh
. "$DIR/module_lib.sh"

DEVICES=12
preload=$(helper pipe_preload.so)

# on_vfifos COMMAND...: runs it with vfifos as pipes, for a limited time.
on_vfifos()
{
	LD_PRELOAD=$preload limit "$@"
}

# moved: how many bytes were written to all devices so far.
moved()
{
	cat $class/*/stats/bytes_written | awk '{ n += $1 } END { print n }'
}

sum()
{
	sha256sum "$@" | cut -d ' ' -f 1
}

# same SCRIPT [ARGUMENT...]: whether bash prints the same on vfifos as on pipes, and not nothing.
same()
{
	limit bash -c "$@" > "$tmp/want" 2> "$tmp/err" || return 1
	on_vfifos bash -c "$@" > "$tmp/out" 2>> "$tmp/err" || return 1
	[ -s "$tmp/out" ] && cmp "$tmp/want" "$tmp/out"
}

# ---- with the preloaded object ----

# The other tests rely on this one.
preload()
{
	on_vfifos python3 -E -S - <<- 'END'
		import errno
		import fcntl
		import os
		import signal
		import stat
		import sys

		ends = [os.pipe() for _ in range(100)]
		kinds = [stat.S_ISCHR(os.fstat(r).st_mode) for r, _ in ends]
		if sum(kinds) != 12 or not all(kinds[:12]):
		    sys.exit(f"{sum(kinds)} of the pipes are vfifos")
		for i, (r, w) in enumerate(ends):
		    os.write(w, b"%d" % i)
		for i, (r, w) in enumerate(ends):
		    if os.read(r, 100) != b"%d" % i:
		        sys.exit("the pipes are mixed up")
		    os.write(w, b"left")
		    os.close(w)
		    if i & 1 and os.read(r, 100) + os.read(r, 100) != b"left":
		        sys.exit("no end of file")
		    os.close(r)
		# The lowest numbers, the flags, and nothing that an earlier one has left.
		r, w = os.pipe2(os.O_NONBLOCK)
		if (r, w) != ends[0] or not stat.S_ISCHR(os.fstat(r).st_mode):
		    sys.exit(f"descriptors {r} and {w}, not {ends[0]}")
		if os.get_inheritable(r) is not True:
		    sys.exit("O_CLOEXEC")
		try:
		    os.read(r, 1)
		    sys.exit("something is queued")
		except BlockingIOError:
		    pass
		signal.signal(signal.SIGPIPE, signal.SIG_IGN)
		os.close(r)
		try:
		    os.write(w, b"x")
		    sys.exit("no EPIPE")
		except BrokenPipeError:
		    pass
		# For packets, it has to be a real one.
		r, w = os.pipe2(os.O_DIRECT)
		if not stat.S_ISFIFO(os.fstat(r).st_mode):
		    sys.exit("O_DIRECT")
	END
}

bash_pipeline()
{
	same 'seq 50000 | sort -rn | tac | grep -v 7 | tail -n 5000 | sed s/1/x/'
}

# The writer must get a SIGPIPE.
bash_reader_leaves()
{
	# shellcheck disable=SC2016
	same 'yes | head -n 1000 | wc -l; yes | sleep 0; echo "${PIPESTATUS[@]}"'
}

bash_substitutions()
{
	# shellcheck disable=SC2016
	same 'a=$(seq 20000 | wc -c); echo "$a $(echo inner $(echo outer))"
	      paste <(seq 3000) <(seq 3000 | tac) | md5sum
	      seq 3000 | tee >(cat > /dev/null) | md5sum'
}

bash_loops()
{
	# shellcheck disable=SC2016
	same 'seq 500 | while read -r n; do echo $((n * n)); done | {
		 s=0; while read -r n; do s=$((s + n)); done; echo $s; }
	      coproc cat; exec 5<&"${COPROC[0]}" 6>&"${COPROC[1]}"
	      exec {COPROC[0]}<&- {COPROC[1]}>&-
	      echo text >&6; exec 6>&-; cat <&5; wait'
}

tar_to_tar()
{
	mkdir "$tmp/copy" || return 1
	# shellcheck disable=SC2016
	on_vfifos bash -c 'set -o pipefail; tar -C "$1" -c tree | tar -C "$2" -x' \
		- "$tmp" "$tmp/copy" || return 1
	diff -r "$tmp/tree" "$tmp/copy/tree"
}

# tar itself starts the compressor, and reads what it says to its end.
tar_with_gzip()
{
	mkdir "$tmp/unpacked" || return 1
	on_vfifos tar -C "$tmp" -czf "$tmp/tree.tgz" tree || return 1
	on_vfifos tar -C "$tmp/unpacked" -xzf "$tmp/tree.tgz" || return 1
	diff -r "$tmp/tree" "$tmp/unpacked/tree"
}

gzip_both_ways()
{
	# shellcheck disable=SC2016
	same 'gzip -c < "$1" | gzip -dc | sha256sum' - "$tmp/data"
}

# The job server of make is a pipe that holds a byte for each job.
make_jobs()
{
	mkdir -p "$tmp/make/sub" || return 1
	cat > "$tmp/make/Makefile" <<- 'END'
		all: a b
		a b: ; +@$(MAKE) --no-print-directory -C sub T=$@
	END
	cat > "$tmp/make/sub/Makefile" <<- 'END'
		all: $(addprefix $(T)., 1 2 3 4 5 6 7 8 9 10)
		$(T).%: ; @echo start >> log; sleep 0.05; echo end >> log; echo $@ > $@
	END
	on_vfifos make -s -C "$tmp/make" -j 4 > "$tmp/out" 2> "$tmp/err" || return 1
	[ ! -s "$tmp/err" ] || return 1
	cat "$tmp"/make/sub/[ab].* | sort > "$tmp/out"
	printf '%s\n' {a,b}.{1..10} | sort | cmp - "$tmp/out" || return 1
	# Never more than four, and more than one at some time.
	awk '{ n += $1 == "start" ? 1 : -1; if (n > most) most = n }
	     END { exit !(n == 0 && most > 1 && most <= 4) }' "$tmp/make/sub/log"
}

python_subprocess()
{
	on_vfifos python3 -E -S - "$tmp/data" <<- 'END'
		import signal
		import subprocess
		import sys

		data = open(sys.argv[1], "rb").read()
		PIPE = subprocess.PIPE
		got = subprocess.run(["cat"], input=data, stdout=PIPE, check=True)
		if got.stdout != data:
		    sys.exit("run: different bytes")
		script = "cat; echo error >&2; exit 3"
		got = subprocess.Popen(["sh", "-c", script], stdin=PIPE, stdout=PIPE,
		                       stderr=PIPE)
		if got.communicate(data) != (data, b"error\n") or got.returncode != 3:
		    sys.exit("communicate")
		# A program that is not there is reported through a pipe.
		try:
		    subprocess.Popen(["/nowhere/at/all"])
		    sys.exit("no error")
		except FileNotFoundError:
		    pass
		first = subprocess.Popen(["yes"], stdout=PIPE)
		last = subprocess.Popen(["head", "-n", "3"], stdin=first.stdout, stdout=PIPE)
		first.stdout.close()
		if last.communicate()[0] != b"y\n" * 3 or first.wait() != -signal.SIGPIPE:
		    sys.exit("a chain of two")
		quick = subprocess.Popen(["true"], stdin=PIPE)
		quick.wait()
		try:
		    quick.stdin.write(data)
		    quick.stdin.flush()
		    sys.exit("no EPIPE")
		except BrokenPipeError:
		    pass
	END
}

python_asyncio()
{
	on_vfifos python3 -E -S - "$tmp/data" <<- 'END'
		import asyncio
		import os
		import sys

		data = open(sys.argv[1], "rb").read()

		async def copy(program):
		    child = await asyncio.create_subprocess_exec(
		        *program, stdin=asyncio.subprocess.PIPE,
		        stdout=asyncio.subprocess.PIPE)
		    out, _ = await child.communicate(data)
		    return out

		async def ends():
		    loop = asyncio.get_running_loop()
		    r, w = os.pipe()
		    reader = asyncio.StreamReader()
		    await loop.connect_read_pipe(
		        lambda: asyncio.StreamReaderProtocol(reader), open(r, "rb", 0))
		    transport, protocol = await loop.connect_write_pipe(
		        asyncio.streams.FlowControlMixin, open(w, "wb", 0))
		    writer = asyncio.StreamWriter(transport, protocol, None, loop)

		    async def send():
		        writer.write(data)
		        await writer.drain()
		        writer.close()

		    sender = asyncio.create_task(send())
		    got = await reader.read()
		    await sender
		    return got

		async def main():
		    got = await asyncio.gather(copy(["cat"]), copy(["cat"]), ends())
		    if any(part != data for part in got):
		        sys.exit("different bytes")

		asyncio.run(main())
	END
}

# Between bash's processes; node reads its input to the end.
node_streams()
{
	cat > "$tmp/stream.js" <<- 'END'
		const { Transform, pipeline } = require("node:stream");
		const upper = new Transform({
		    transform(chunk, encoding, done) {
		        done(null, chunk.toString().toUpperCase());
		    },
		});
		pipeline(process.stdin, upper, process.stdout, (error) => {
		    if (error) { console.error(error); process.exitCode = 1; }
		});
	END
	# shellcheck disable=SC2016
	same 'set -o pipefail; head -c 200000 "$1" | base64 | node "$2" | md5sum' \
		- "$tmp/data" "$tmp/stream.js"
}

# ---- a device by its name ----

# The reader comes first, and waits for its writer.
tar_through_a_device()
{
	local rc=0 pid

	mkdir "$tmp/device" || return 1
	limit tar -C "$tmp/device" -x < "$dev" &
	pid=$!
	limit tar -C "$tmp" -c tree > "$dev" || rc=1
	wait "$pid" || rc=1
	diff -r "$tmp/tree" "$tmp/device/tree" || rc=1
	return $rc
}

# The writer has gone before the reader comes; its bytes are queued.
one_after_the_other()
{
	limit head -c 10000 "$tmp/data" > "$dev" || return 1
	limit cat "$dev" > "$tmp/out" || return 1
	cmp -n 10000 "$tmp/data" "$tmp/out" || return 1
	[ "$(stat -c %s "$tmp/out")" -eq 10000 ]
}

several_writers()
{
	local rc=0 pid i

	limit sort -n "$dev" > "$tmp/out" &
	pid=$!
	exec 3> "$dev" || return 1
	for i in 0 1 2 3; do
		limit seq $((i * 1000 + 1)) $((i * 1000 + 1000)) > "$dev" || rc=1
	done
	kill -0 "$pid" || rc=1
	exec 3>&-
	wait "$pid" || rc=1
	seq 4000 | cmp - "$tmp/out" || rc=1
	return $rc
}

gzip_through_a_device()
{
	local rc=0 pid

	limit gzip -dc "$dev" > "$tmp/out" 2> "$tmp/err" &
	pid=$!
	limit gzip -c "$tmp/data" > "$dev" || rc=1
	wait "$pid" || rc=1
	cmp "$tmp/data" "$tmp/out" || rc=1
	return $rc
}

writer_gets_the_signal()
{
	limit yes > "$dev" &
	limit head -n 100 "$dev" > "$tmp/out" || return 1
	wait "$!"
	[ $? -eq $((128 + 13)) ] && [ "$(wc -l < "$tmp/out")" -eq 100 ]
}

# tail shows the last lines only when it has seen an end. With -f it then goes on.
tail_follows()
{
	local rc=0 pid

	limit seq 100 > "$dev" || return 1
	limit tail -n 2 "$dev" > "$tmp/out" || return 1
	[ "$(cat "$tmp/out")" = $'99\n100' ] || return 1

	timeout "$((3 * DEADLINE))" tail -s 0.05 -n 1 -f "$dev" > "$tmp/out" 2> "$tmp/err" &
	pid=$!
	limit seq 100 > "$dev" || rc=1
	eventually [ -s "$tmp/out" ] || rc=1
	[ "$(cat "$tmp/out")" = 100 ] || rc=1
	echo "more" > "$dev" || rc=1
	eventually grep -q more "$tmp/out" || rc=1
	[ "$(cat "$tmp/out")" = $'100\nmore' ] || rc=1
	kill "$pid" || rc=1
	wait "$pid" 2> /dev/null
	return $rc
}

# ---- all of them ----

show()
{
	[ ! -s "$tmp/err" ] || sed 's/^/# /' "$tmp/err"
}

restore()
{
	rm -rf "$tmp"
	module_restore
}

tests="preload:python3 bash_pipeline:bash bash_reader_leaves:bash bash_substitutions:bash
       bash_loops:bash tar_to_tar:tar tar_with_gzip:gzip gzip_both_ways:gzip
       make_jobs:make python_subprocess:python3 python_asyncio:python3
       node_streams:node tar_through_a_device:tar one_after_the_other:cat
       several_writers:sort gzip_through_a_device:gzip writer_gets_the_signal:yes
       tail_follows:tail"

# preloaded TEST: whether the test uses pipes, and not a device by its name.
preloaded()
{
	case $1 in
	*_device | one_after* | several_* | writer_* | tail_*) return 1 ;;
	esac
}

why=$(module_trouble) || {
	ktap_print_header
	ktap_skip_all "$why"
	exit "$KSFT_SKIP"
}
module_remember
if ! unload || ! load devices=$DEVICES hangup=1; then
	ktap_print_header
	ktap_exit_fail_msg "the module cannot be loaded with devices=$DEVICES hangup=1"
fi
# shellcheck disable=SC2086
set -- $tests
plan "$@"
trap restore EXIT

head -c 700001 /dev/urandom > "$tmp/data"
mkdir "$tmp/tree"
for i in 1 2 3 4 5 6 7 8; do
	mkdir "$tmp/tree/$i"
	head -c $((i * 33333)) "$tmp/data" > "$tmp/tree/$i/file"
	ln -s file "$tmp/tree/$i/link"
done

for t in "$@"; do
	rm -f "$tmp/out" "$tmp/err" "$tmp/want"
	# A reader that left early has left bytes, too.
	fresh
	if ! command -v "${t#*:}" > /dev/null; then
		ktap_test_skip "${t%:*}: ${t#*:} is not installed"
		continue
	fi
	t=${t%:*}
	was=$(moved)
	if ! "$t"; then
		show
		ktap_test_fail "$t"
	elif preloaded "$t" && [ "$(moved)" -le "$was" ]; then
		ktap_test_fail "$t: no byte went through a vfifo"
	else
		ktap_test_pass "$t"
	fi
done
ktap_finished
