# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Compares the throughput of the clients, with records.

Both ends of the FIFO are programs in the same language, which copy each record from and to their own memory; the ways take
turns. Run this with the Python that has the package, as root, in the booted kernel. It prints the median of the rounds, and
the median of the ratios to the C helpers in the same round. "best" is the ratio of the fastest rounds, which other work on the
machine disturbs less.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys

CAPACITY = 1 << 20

# C and Python copy with memcpy, which uses "rep movsb" for records of this size. QEMU emulates that a byte at a time, about ten
# times slower than other copies, so it would hide everything else that they do.
ENVIRONMENT = {**os.environ, "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1000000000"}


def measure(command, device, size, count):
    """Megabytes a second."""
    arguments = [device, str(size), str(count)]
    with subprocess.Popen([*command, "consume", *arguments], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as consumer:
        consumer.stdout.readline()
        subprocess.run([*command, "produce", *arguments], check=True, env=ENVIRONMENT)
        seconds = float(consumer.stdout.readline())
    if consumer.returncode:
        raise SystemExit(f"{command} failed")
    # From the first record, so that starting the producer does not count.
    return (count - 1) * size / seconds / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("device")
    parser.add_argument("c", help="the program that is made of records.c")
    parser.add_argument("rust", help="the program that is made here by cargo build --release")
    parser.add_argument("--size", type=int, default=65536, help="bytes in a record (%(default)s)")
    parser.add_argument("--mebibytes", type=int, default=128, help="in each round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ways", default="C,crate,tokio,place,copy,aio", help="those to compare (%(default)s)")
    args = parser.parse_args()

    attributes = pathlib.Path("/sys/class/vfifo") / pathlib.Path(args.device).name
    (attributes / "capacity").write_text(str(CAPACITY))
    (attributes / "framing").write_text("record")
    python = [sys.executable, str(pathlib.Path(__file__).with_name("records.py"))]
    commands = {
        "C": [args.c],
        "crate": [args.rust, "crate"],
        "tokio": [args.rust, "tokio"],
        "place": [*python, "place"],
        "copy": [*python, "copy"],
        "aio": [*python, "aio"],
    }
    count = max(args.mebibytes * 1048576 // args.size, 2)
    got = {way: [] for way in args.ways.split(",")}
    for _ in range(args.rounds):
        for way, speeds in got.items():
            speeds.append(measure(commands[way], args.device, args.size, count))
            print(f"# {way}: {speeds[-1]:.1f} MB/s", file=sys.stderr, flush=True)
    print(f"{count} records of {args.size} bytes, capacity {CAPACITY}, {args.rounds} rounds")
    print("way          MB/s   ratio    best")
    base = got["C"]
    for way, speeds in got.items():
        ratio = statistics.median(speed / c for speed, c in zip(speeds, base, strict=True))
        print(f"{way:8} {statistics.median(speeds):8.1f} {ratio:7.3f} {max(speeds) / max(base):7.3f}")


if __name__ == "__main__":
    main()
