#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Evaluates the samples of the benchmark: medians, their spread, ratios, and the bars.

bench.py report FOLDER ACCELERATOR RESULTS   reads the samples in FOLDER, prints tables, writes RESULTS (JSON)
bench.py quick FOLDER ACCELERATOR            the same for a short run: prints one table
bench.py records FOLDER                      prints the tables and bars of records alone
bench.py many FOLDER                         the same of many processes at once
bench.py check FOLDER BASELINE               fails if an instruction ratio is worse than in the baseline
bench.py baseline FOLDER BASELINE            writes the baseline
bench.py profile FOLDER CXXFILT              instructions of a write and a read by function; CXXFILT demangles
"""

import bisect
import json
import os
import platform
import re
import statistics
import subprocess
import sys

PAGE = 4096
# The plots that plot.py draws, each as SVG and PNG.
PLOTS = ("throughput", "native", "scaling", "cost")
SIZES = [1, 64, 512, 4096, 65536, 1048576]
RECORD_SIZES = [64, 512, 4096]
# How much worse than in the baseline a ratio may be. Instructions are counted, not timed, so this
# only allows for other compilers.
TOLERANCE = 0.05
# A time within this ratio counts as the same, if the instructions are no more.
NOISE = 0.97


def read_samples(lines):
    """{(measure, way, parameter, quantity): [value, ...]}, in the order in which they came."""
    samples = {}
    for line in lines:
        measure, way, parameter, quantity, value = line.rstrip("\n").split("\t")
        samples.setdefault((measure, way, int(parameter), quantity), []).append(float(value))
    return samples


def summary(values):
    """The median, and the limits of the middle half of the values."""
    values = sorted(values)
    if len(values) < 2:
        low = high = values[0]
    else:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": statistics.median(values), "low": low, "high": high, "samples": len(values)}


class Results:
    """Summaries by (measure, way, parameter, quantity)."""

    def __init__(self, samples):
        self.summaries = {key: summary(values) for key, values in samples.items()}

    @classmethod
    def from_json(cls, rows):
        """As results.json has them."""
        results = cls({})
        for row in rows:
            key = tuple(row[name] for name in ("measure", "way", "parameter", "quantity"))
            results.summaries[key] = {name: row[name] for name in ("median", "low", "high", "samples")}
        return results

    def median(self, measure, way, parameter, quantity):
        """The median, or None if there are no such samples."""
        found = self.summaries.get((measure, way, parameter, quantity))
        return found["median"] if found else None

    def parameters(self, measure):
        return sorted({key[2] for key in self.summaries if key[0] == measure})

    def ways(self, measure):
        return list(dict.fromkeys(key[1] for key in self.summaries if key[0] == measure))


def ratio(ours, theirs):
    """ours / theirs, or None if either is missing."""
    return None if ours is None or not theirs else ours / theirs


def size_name(size):
    """4096: 4 KiB."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


# ---- bars ----


def part(name, value, ours, theirs, unit, note=""):
    return {"of": name, "value": value, "ours": ours, "theirs": theirs, "unit": unit, "note": note}


def bar(text, wanted, parts, met=None):
    """A row of the table. `wanted` is (">=" or "<=", number); a part meets it, or has `met` say so."""
    sign, limit = wanted
    parts = [one for one in parts if one["value"] is not None]
    for one in parts:
        good = one["value"] >= limit if sign == ">=" else one["value"] <= limit
        one["met"] = good or bool(met and met(one))
    worst = (min if sign == ">=" else max)(parts, key=lambda one: one["value"], default=None)
    verdict = "not measured" if not parts else "met" if all(one["met"] for one in parts) else "missed"
    return {"bar": text, "wanted": f"{sign} {limit:g}", "worst": worst, "parts": parts, "verdict": verdict}


def rates(results, way, other, sizes, measure="throughput"):
    parts = []
    for size in sizes:
        ours = results.median(measure, way, size, "MB/s")
        theirs = results.median(measure, other, size, "MB/s")
        parts.append(part(size_name(size), ratio(ours, theirs), ours, theirs, "MB/s"))
    return parts


def fewer_instructions(results, other, sizes):
    """How many times the instructions of vfifo the other takes for a write and a read."""
    parts = []
    for size in sizes:
        ours = results.median("instructions", "vfifo", size, "both")
        theirs = results.median("instructions", other, size, "both")
        parts.append(part(f"{size_name(size)}, instructions", ratio(theirs, ours), ours, theirs, "instructions"))
    return parts


def twin_bar(results, twin, text):
    instructions = fewer_instructions(results, twin, SIZES)
    worst = min((one["value"] for one in instructions if one["value"]), default=0)
    times = rates(results, "vfifo", twin, SIZES)
    for size in results.parameters("pair"):
        ours, theirs = (results.median("pair", way, size, "ns") for way in ("vfifo", twin))
        times.append(part(f"{size_name(size)}, one thread", ratio(theirs, ours), ours, theirs, "ns"))
    return bar(text, (">=", 1.0), times + instructions,
               lambda one: one["unit"] != "instructions" and one["value"] >= NOISE and worst >= 1.0)


def wake_parts(results):
    parts = []
    for other in ("pipe", "eventfd"):
        for cpus in (1, 2):
            ours, theirs = (results.median("wake", way, cpus, "ns") for way in ("vfifo", other))
            name = f"{other}, {'one CPU' if cpus == 1 else 'two CPUs'}"
            parts.append(part(name, ratio(ours, theirs), ours, theirs, "ns"))
    return parts


def capacity_parts(results):
    """How far the rates from 64 KiB on are from the first, whichever way."""
    parts = []
    first = results.median("capacity", "vfifo", 65536, "MB/s")
    for capacity in results.parameters("capacity"):
        if capacity > 65536:
            rate = results.median("capacity", "vfifo", capacity, "MB/s")
            parts.append(part(size_name(capacity), ratio(rate, first), rate, first, "MB/s"))
    return parts


# The others that have records, as the bars call them.
RECORD_WAYS = {
    "bpf-to-user": "kernel→user", "bpf-to-kernel": "user→kernel", "seqpacket": "SOCK_SEQPACKET", "mq": "POSIX mq",
}
# How records are counted.
RECORD_COUNTS = {"record-instructions": "one at a time", "queued-instructions": "several queued"}


def record_parts(results, way, others):
    """How many times the instructions of the others a record takes."""
    parts = []
    for other in others:
        for measure, how in RECORD_COUNTS.items():
            for size in RECORD_SIZES:
                ours, theirs = (results.median(measure, one, size, "both") for one in (way, other))
                parts.append(part(f"{RECORD_WAYS[other]}, {size_name(size)}, {how}", ratio(ours, theirs), ours, theirs,
                                  "instructions"))
    return parts


def same_calls(results, way, others):
    """Fails if a record takes another number of system calls with one of the others."""
    for other in others:
        for size in RECORD_SIZES:
            ours, theirs = (results.median("record-instructions", one, size, "calls") for one in (way, other))
            if None not in (ours, theirs) and ours != theirs:
                raise SystemExit(f"a record of {size_name(size)} takes {number(ours)} system calls with {way}, but "
                                 f"{number(theirs)} with {other}: they cannot be compared")


def record_bars(results):
    by_calls = ["seqpacket", "mq"]
    same_calls(results, "records", by_calls)
    return [
        bar("records, mapped→mapped against the BPF ring buffer, instructions", ("<=", 1.0),
            record_parts(results, "records-mapped", ["bpf-to-user", "bpf-to-kernel"])),
        bar("records, write→read against SOCK_SEQPACKET and POSIX mq, instructions", ("<=", 1.0),
            record_parts(results, "records", by_calls)),
    ]


# The measures of many processes: what there are many of, and the size of a block.
MANY = {
    "devices": ("devices", 4096),
    "writers-64": ("writers", 64), "writers": ("writers", 512), "writers-4096": ("writers", 4096),
    "readers-64": ("readers", 64), "readers": ("readers", 512), "readers-4096": ("readers", 4096),
}


def many_parts(results, quantity):
    """How many times what as many pipes do, for each measure of many processes."""
    parts = []
    for measure, (many, size) in MANY.items():
        for n in results.parameters(measure):
            ours, theirs = (results.median(measure, way, n, quantity) for way in ("vfifo", "pipe"))
            parts.append(part(f"{n} {many}, {size_name(size)}", ratio(ours, theirs), ours, theirs, quantity))
    return parts


def many_bars(results):
    return [
        bar("many devices, writers or readers against pipes", (">=", 1.0), many_parts(results, "MB/s")),
        bar("context switches of these against pipes", ("<=", 1.0), many_parts(results, "switches/MiB")),
    ]


def bars(results, per_device):
    busy = SIZES[1:]
    near = [64, 512, 4096, 65536]
    mapped = rates(results, "mapped", "pipe", [4096, 65536])
    mixed = [dict(one, of=f"{name}, {one['of']}") for name, way in
             (("write→mapped", "write-mapped"), ("mapped→read", "mapped-read"))
             for one in rates(results, way, "pipe", busy)]
    one = results.median("devices", "vfifo", 1, "MB/s")
    many = results.median("devices", "vfifo", 64, "MB/s")
    return [
        bar("write→read against pipe", (">=", 1.0), rates(results, "vfifo", "pipe", busy)),
        twin_bar(results, "iter", "write→read against the C twin with the same calls, time and instructions"),
        twin_bar(results, "twin", "write→read against the C twin with read and write only"),
        bar("write→read against a byte at a time", (">=", 20), rates(results, "vfifo", "bytewise", [4096])),
        bar("mapped→mapped against a ring in shared memory", (">=", 0.95), rates(results, "mapped", "ring", near)),
        bar("mapped→mapped against pipe", (">=", 5), mapped),
        bar("the same where data is made and used", (">=", 5), rates(results, "made-mapped", "made-pipe",
                                                                     [4096, 65536], "made")),
        bar("one end mapped, against pipe", (">=", 1.5), mixed),
        bar("wake-up round trip against pipe and eventfd", ("<=", 1.0), wake_parts(results)),
        bar("capacity up to 64 MiB against 64 KiB", (">=", 0.9), capacity_parts(results)),
        bar("64 devices against one, in all", (">=", 0.9), [part("64 devices", ratio(many, one), many, one, "MB/s")]),
        bar("memory beyond the capacity, per device", ("<=", 3 * PAGE + 2048),
            [part("64 devices", per_device, per_device, None, "bytes")]),
        *many_bars(results),
        *record_bars(results),
    ]


# ---- memory ----


def slab_bytes(text):
    """The memory of the objects in /proc/slabinfo."""
    total = 0
    for line in text.splitlines()[2:]:
        fields = line.split()
        total += int(fields[1]) * int(fields[3])
    return total


def vmalloc_bytes(text):
    """The memory of the pages in /proc/vmallocinfo."""
    return PAGE * sum(int(pages) for pages in re.findall(r" pages=(\d+) vmalloc", text))


def per_device(folder, module, capacity):
    """Bytes that a device needs beyond its capacity: the difference between one device and 65."""
    totals = []
    for devices in (1, 65):
        total = 0
        for name, count in (("slabinfo", slab_bytes), ("vmallocinfo", vmalloc_bytes)):
            with open(os.path.join(folder, f"{name}.{module}.{devices}"), encoding="ascii") as file:
                total += count(file.read())
        totals.append(total)
    return (totals[1] - totals[0]) / 64 - capacity


# ---- tables ----


def number(value):
    """Three significant digits."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"


def table(title, head, rows):
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    print(f"\n{title}\n")
    for row in [head] + rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  " + "  ".join(cells).rstrip())


def cell(found):
    """A summary in a table."""
    if not found:
        return "-"
    spread = (found["high"] - found["low"]) / 2 / found["median"] if found["median"] else 0
    return number(found["median"]) + (f" ±{100 * spread:.0f}%" if found["samples"] > 1 else "")


def grid_rows(results, measure, quantity, names):
    """Ways down, parameters across: the head of a table, and its rows."""
    parameters = results.parameters(measure)
    rows = [[way] + [cell(results.summaries.get((measure, way, parameter, quantity))) for parameter in parameters]
            for way in results.ways(measure)]
    return [""] + [names(parameter) for parameter in parameters], rows


def grid(results, measure, quantity, title, names):
    head, rows = grid_rows(results, measure, quantity, names)
    if rows:
        table(title, head, rows)


def many_grids(measure):
    """The tables of a measure of many processes."""
    many, size = MANY[measure]

    def names(n):
        return f"{n} {many}"
    return {
        (measure, "MB/s"): (f"Throughput of many {many}, MB/s in all, {size_name(size)} blocks", names),
        (measure, "switches/MiB"): (f"Context switches of many {many}, per MiB, {size_name(size)} blocks", names),
        (measure, "wake-ups/MiB"): ("Wake-ups of that, per MiB", names),
        (measure, "lock-waits/MiB"): ("Waits for locks in that, per MiB", names),
        (measure, "IPIs/MiB"): ("Interrupts between CPUs of that, per MiB", names),
    }


# Every measure and quantity: the title of its table, and its columns.
GRIDS = {
    ("throughput", "MB/s"): ("Throughput, MB/s by block, both ends busy, 64 KiB of buffer", size_name),
    ("throughput", "cpu-us/MiB"): ("CPU time, µs per MiB, both ends", size_name),
    ("throughput", "calls/MiB"): ("System calls per MiB, both ends", size_name),
    ("made", "MB/s"): ("Throughput, MB/s, of data that is made and used: in place, or in buffers of one's own", size_name),
    ("made", "cpu-us/MiB"): ("CPU time of that, µs per MiB", size_name),
    ("made", "calls/MiB"): ("System calls of that per MiB", size_name),
    ("pair", "ns"): ("A write and a read by one thread, ns", size_name),
    ("wake", "ns"): ("Round trip between two that sleep, ns", lambda cpus: f"{cpus} CPU"),
    ("wake", "cpu-ns"): ("CPU time of that, ns", lambda cpus: f"{cpus} CPU"),
    ("capacity", "MB/s"): ("Throughput by capacity, MB/s, 4 KiB blocks", size_name),
    ("wake", "switches"): ("Context switches of a round trip", lambda cpus: f"{cpus} CPU"),
    ("wake", "wake-ups"): ("Wake-ups of that", lambda cpus: f"{cpus} CPU"),
    ("wake", "lock-waits"): ("Waits for locks in that", lambda cpus: f"{cpus} CPU"),
    ("wake", "IPIs"): ("Interrupts between CPUs of that", lambda cpus: f"{cpus} CPU"),
    **{key: grid for measure in MANY for key, grid in many_grids(measure).items()},
    ("records", "ns"): ("Time of a record, ns, both ends busy", size_name),
    ("records", "cpu-ns"): ("CPU time of that, ns, both ends", size_name),
    ("records", "calls"): ("System calls of that, both ends", size_name),
    ("overwriting", "ns"): ("Time of a write, ns: overwriting without a reader, and waiting for one", size_name),
    ("load", "us"): ("Loading the module, µs", lambda n: f"{n} device"),
    ("module", "bytes"): ("The module in memory, bytes", lambda n: f"{n} device"),
    ("instructions", "both"): ("Instructions of a write and a read, -icount", size_name),
    ("instructions", "in"): ("Instructions of a write", size_name),
    ("instructions", "out"): ("Instructions of a read", size_name),
    ("wake-instructions", "trip"): ("Instructions of a round trip, one CPU", size_name),
    ("record-instructions", "both"): ("Instructions of a record, one at a time", size_name),
    ("record-instructions", "in"): ("Instructions of putting it in", size_name),
    ("record-instructions", "out"): ("Instructions of getting it out", size_name),
    ("record-instructions", "calls"): ("System calls of that", size_name),
    ("queued-instructions", "both"): ("Instructions of a record, several queued", size_name),
    ("queued-instructions", "in"): ("Instructions of putting each of them in", size_name),
    ("queued-instructions", "out"): ("Instructions of getting each of them out", size_name),
    ("overwriting-instructions", "in"): ("Instructions of a write, overwriting and not", size_name),
    ("growth-readers", "instructions"): ("Instructions of a write of 8 B while readers sleep", str),
    ("growth-writers", "instructions"): ("Instructions of a read of 4 KiB while writers sleep", str),
    ("growth-pollers", "instructions"): ("Instructions of a write of 8 B while processes sleep in `epoll_wait`", str),
    ("growth-exclusive", "instructions"): ("The same with `EPOLLEXCLUSIVE`", str),
    ("growth-devices", "instructions"): ("Instructions of a write and a read of 8 B, by the number of devices", str),
    ("native", "MB/s"): ("On the host, with no guest: MB/s by block", size_name),
}


def print_results(results, accelerator):
    print(f"\nBy {accelerator}; the median, ± half of what the middle half of the samples spans")
    for (measure, quantity), (title, names) in GRIDS.items():
        grid(results, measure, quantity, title, names)


def bar_rows(rows):
    """Each bar with the part that does worst: the head of a table, and its rows."""
    lines = []
    for row in rows:
        worst = row["worst"]
        lines.append([row["bar"], row["wanted"], number(worst["value"]) if worst else "-", row["verdict"],
                      worst["of"] if worst else ""])
    return ["", "wanted", "is", "", "at"], lines


def missed_parts(row):
    return [one for one in row["parts"] if not one["met"]]


def print_bars(rows):
    head, lines = bar_rows(rows)
    width = max(len(line[4]) for line in lines)
    for line in [head] + lines:
        line[4] = line[4].ljust(width)
    table("Bars, each with the part that does worst", head, lines)
    for row in rows:
        if missed_parts(row) and len(row["parts"]) > 1:
            print(f"\n  missed: {row['bar']}")
            for one in missed_parts(row):
                print(f"    {one['of']}: {number(one['value'])}"
                      f" ({number(one['ours'])} against {number(one['theirs'])} {one['unit']})")


def write_json(path, content):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, ensure_ascii=False)
        file.write("\n")


def host_cpu():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def load(folder):
    with open(os.path.join(folder, "samples"), encoding="utf-8") as file:
        return Results(read_samples(file))


def report(folder, accelerator, output):
    results = load(folder)
    memory = {module: per_device(folder, module, 65536) for module in ("rust_vfifo",)}
    rows = bars(results, memory["rust_vfifo"])
    print_results(results, accelerator)
    print_bars(rows)
    with open(os.path.join(folder, "kernel"), encoding="utf-8") as file:
        kernel = file.read().strip()
    write_json(output, {
        "accelerator": accelerator, "host": host_cpu(), "guest": "2 CPUs, 1 GiB", "kernel": kernel,
        "memory per device": memory,
        "bars": rows,
        "results": [dict(zip(("measure", "way", "parameter", "quantity"), key), **values)
                    for key, values in results.summaries.items()],
    })


# ---- instructions, which are compared with a baseline ----

# For the smallest block, and for a page.
HELD = [(way, other, size) for way, other in (("vfifo", "pipe"), ("vfifo", "iter"), ("vfifo", "twin"), ("mapped", "ring"))
        for size in (1, 4096)]


def held_ratios(results):
    """How many times our instructions the other takes: more is better."""
    ratios = {}
    for way, other, size in HELD:
        ours, theirs = (results.median("instructions", one, size, "both") for one in (way, other))
        ratios[f"{way} against {other}, {size_name(size)}"] = ratio(theirs, ours)
    return ratios


def fallen(ratios, baseline):
    """[(name, is, was)] of the ratios that are worse than the baseline allows, or missing."""
    return [(name, ratios.get(name), was) for name, was in baseline.items()
            if ratios.get(name) is None or ratios[name] < was * (1 - TOLERANCE)]


def alone(folder, bars_of):
    """Prints what a part of a full run has measured."""
    results = load(folder)
    rows = [row for row in bars_of(results) if row["parts"]]
    for (measure, quantity), (title, names) in GRIDS.items():
        grid(results, measure, quantity, title, names)
    if rows:
        print_bars(rows)


def check(folder, path):
    ratios = held_ratios(load(folder))
    with open(path, encoding="utf-8") as file:
        baseline = json.load(file)
    bad = {name for name, _, _ in fallen(ratios, baseline)}
    for name, was in baseline.items():
        verdict = "FAILED " if name in bad else "ok     "
        print(f"  {verdict}  instructions, {name}: {number(ratios.get(name))} times as few (was {number(was)})")
    return 1 if bad else 0


# ---- where the instructions go ----


def read_symbols(lines):
    """[(address, name), ...] of /proc/kallsyms, by address; addresses of user space come before all of them."""
    symbols = [(0, "user space")]
    for line in lines:
        address, _, name = line.split("\t")[0].split(maxsplit=2)
        symbols.append((int(address, 16), name.strip()))
    return sorted(symbols)


def by_function(counts, symbols, times):
    """{name: instructions per call}, from "ADDRESS COUNT" lines, the most first."""
    addresses = [address for address, _ in symbols]
    totals = {}
    for line in counts:
        address, count = line.split()
        name = symbols[bisect.bisect_right(addresses, int(address, 16)) - 1][1]
        totals[name] = totals.get(name, 0) + int(count) / times
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


def demangle(names, tool):
    """{name: the path as it is written in the source}"""
    plain = subprocess.run([tool], input="\n".join(names), capture_output=True, text=True, check=True)
    return dict(zip(names, plain.stdout.splitlines()))


def profile(folder, cxxfilt):
    with open(os.path.join(folder, "symbols"), encoding="ascii") as file:
        symbols = read_symbols(file)
    runs = {}
    with open(os.path.join(folder, "runs"), encoding="ascii") as file:
        for index, line in enumerate(file):
            way, size, times = line.split()
            with open(os.path.join(folder, f"counts.{index}"), encoding="ascii") as counts:
                runs.setdefault(int(size), {})[way] = by_function(counts, symbols, int(times))
    for size, ways in runs.items():
        names = list(dict.fromkeys(name for functions in ways.values() for name in functions))
        names.sort(key=lambda name: -max(functions.get(name, 0) for functions in ways.values()))
        plain = demangle(names, cxxfilt)
        rows = [["all"] + [number(sum(functions.values())) for functions in ways.values()]]
        for name in names:
            row = [functions.get(name, 0) for functions in ways.values()]
            # Less is from interrupts.
            if max(row) >= 1:
                rows.append([plain[name]] + [f"{count:.0f}" if count >= 0.5 else "" for count in row])
        what = f"a write and a read of {size_name(size)}" if size else "a round trip of two that sleep, one CPU"
        table(f"Instructions of {what}, by function", [""] + list(ways), rows)


def main(arguments):
    command, *rest = arguments or [""]
    if command == "report" and len(rest) == 3:
        report(*rest)
    elif command == "quick" and len(rest) == 2:
        results = load(rest[0])
        grid(results, "throughput", "MB/s", f"Throughput, MB/s by block, 64 KiB of buffer, by {rest[1]}", size_name)
    elif command in ("records", "many") and len(rest) == 1:
        alone(*rest, {"records": record_bars, "many": many_bars}[command])
    elif command == "profile" and len(rest) == 2:
        profile(*rest)
    elif command == "check" and len(rest) == 2:
        return check(*rest)
    elif command == "baseline" and len(rest) == 2:
        write_json(rest[1], {name: round(value, 4) for name, value in held_ratios(load(rest[0])).items()})
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
