#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""plot.py RESULTS FOLDER: draws the plots of RESULTS (JSON of bench.py) into FOLDER, as SVG and PNG."""

import io
import json
import os
import sys

import matplotlib

matplotlib.use("Agg")
# The same results give the same files.
matplotlib.rcParams.update({
    "svg.hashsalt": "vfifo", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3, "legend.frameon": False,
})

import matplotlib.pyplot as plt  # noqa: E402

from bench import PLOTS, size_name  # noqa: E402

# The label and the style of each way: ours in colour, the others in grey.
LOOKS = {
    "mapped": ("vfifo, mapped→mapped", "tab:red", "o", "-"),
    "write-mapped": ("vfifo, write→mapped", "tab:orange", "^", "-"),
    "mapped-read": ("vfifo, mapped→read", "tab:olive", "v", "-"),
    "vfifo": ("vfifo, write→read", "tab:blue", "s", "-"),
    "ring.rs": ("ring.rs", "tab:red", "o", "-"),
    "ring": ("ring in shared memory", "0.1", "o", "--"),
    "rtrb": ("rtrb, two threads", "0.1", "o", "--"),
    "memcpy": ("memcpy", "0.7", ".", ":"),
    "bpf": ("BPF ring buffer", "0.3", "d", "--"),
    "iceoryx2": ("iceoryx2", "0.3", "d", "--"),
    "pipe": ("pipe", "0.4", "s", "--"),
    "unix": ("AF_UNIX", "0.55", "x", "--"),
    "eventfd": ("eventfd", "0.55", "+", "--"),
    "twin": ("the same in C", "tab:cyan", "s", "--"),
    "iter": ("the same in C, by iterators", "tab:purple", "s", "--"),
    "bytewise": ("a byte at a time, in C", "0.75", ".", "--"),
    "records-mapped": ("vfifo records, mapped→mapped", "tab:red", "o", "-"),
    "records-write-mapped": ("vfifo records, write→mapped", "tab:orange", "^", "-"),
    "records-mapped-read": ("vfifo records, mapped→read", "tab:olive", "v", "-"),
    "records": ("vfifo records, write→read", "tab:blue", "s", "-"),
    "bpf-to-user": ("BPF, kernel→user", "0.3", "d", "--"),
    "bpf-to-kernel": ("BPF, user→kernel", "0.3", "d", ":"),
    "packets": ("pipe, O_DIRECT", "0.4", "s", "--"),
    "seqpacket": ("SOCK_SEQPACKET", "0.55", "x", "--"),
    "mq": ("POSIX mq", "0.7", "+", "--"),
    "over-records-mapped": ("overwriting records, mapped", "tab:pink", "o", "-"),
    "over-records": ("overwriting records, write", "tab:cyan", "s", "-"),
    "over-mapped": ("overwriting, mapped", "tab:pink", "o", "-"),
    "over": ("overwriting, write", "tab:cyan", "s", "-"),
}


def points(results, measure, way, quantity):
    """The rows of one line of a plot, by parameter."""
    rows = [row for row in results["results"]
            if (row["measure"], row["way"], row["quantity"]) == (measure, way, quantity)]
    return sorted(rows, key=lambda row: row["parameter"])


def curves(axes, results, measure, quantity, names, title, ylabel):
    """A line for each way, with bars for the middle half of the samples."""
    ticks = set()
    for way, (label, colour, marker, line) in LOOKS.items():
        rows = points(results, measure, way, quantity)
        if not rows:
            continue
        where = [row["parameter"] for row in rows]
        middle = [row["median"] for row in rows]
        spread = [[row["median"] - row["low"] for row in rows], [row["high"] - row["median"] for row in rows]]
        axes.errorbar(where, middle, yerr=spread, label=label, color=colour, marker=marker, linestyle=line,
                      markersize=4, linewidth=1.2, elinewidth=0.8)
        ticks.update(where)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sorted(ticks), [names(tick) for tick in sorted(ticks)], rotation=30, ha="right")
    axes.minorticks_off()
    axes.set_title(title, loc="left")
    axes.set_ylabel(ylabel)


def growth(axes, results, measure, title):
    curves(axes, results, measure, "instructions", str, title, "instructions")
    axes.set_xscale("log", base=10)
    axes.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    axes.minorticks_off()


def stacked(axes, results, measure, parameter, quantity, title, xlabel):
    """A horizontal bar for each way."""
    rows = [(LOOKS[way], row) for way in LOOKS for row in points(results, measure, way, quantity)
            if row["parameter"] == parameter]
    for (label, colour, _, _), row in reversed(rows):
        axes.barh(label, row["median"], color=colour, height=0.6,
                  xerr=[[row["median"] - row["low"]], [row["high"] - row["median"]]], error_kw={"elinewidth": 0.8})
        axes.annotate(f" {row['median']:,.0f}", (row["high"], label), va="center", fontsize=8)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.15)
    axes.set_title(title, loc="left")
    axes.set_xlabel(xlabel)


def save(figure, folder, name, results, where="guest"):
    assert name in PLOTS, f"bench.PLOTS lacks {name}"
    by = (f"{results['host']}, guest of {results['guest']} by {results['accelerator']}" if where == "guest"
          else f"{results['host']}")
    figure.text(0.99, 0.005, by, ha="right", va="bottom", fontsize=7, color="0.4")
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    # Without spaces at the ends of lines, which git warns about.
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    with open(os.path.join(folder, f"{name}.svg"), "w", encoding="utf-8") as file:
        file.writelines(line.rstrip() + "\n" for line in text.getvalue().splitlines())
    figure.savefig(os.path.join(folder, f"{name}.png"), dpi=150, metadata={"Software": None})
    plt.close(figure)


def one_plot(results, folder, name, measure, title, where="guest"):
    figure, axes = plt.subplots(figsize=(8, 4.5))
    curves(axes, results, measure, "MB/s", size_name, title, "MB/s")
    axes.set_xlabel("bytes moved at once")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    save(figure, folder, name, results, where)


def main(path, folder):
    with open(path, encoding="utf-8") as file:
        results = json.load(file)
    os.makedirs(folder, exist_ok=True)

    one_plot(results, folder, "throughput", "throughput", "Throughput, both ends busy, 64 KiB of buffer")
    one_plot(results, folder, "native", "native", "ring.rs on the host, with no guest, 64 KiB of buffer", "host")

    figure, (rates, few, many) = plt.subplots(3, 3, figsize=(11, 11))
    curves(rates[0], results, "capacity", "MB/s", size_name, "Capacity, 4 KiB blocks", "MB/s")
    curves(rates[1], results, "devices", "MB/s", str, "Many devices, 4 KiB blocks", "MB/s in all")
    curves(rates[2], results, "writers", "MB/s", str, "Many writers, 512 B blocks", "MB/s")
    growth(few[0], results, "growth-readers", "A write, while readers sleep")
    growth(few[1], results, "growth-writers", "A read, while writers sleep")
    growth(few[2], results, "growth-devices", "A write and a read, by devices")
    growth(many[0], results, "growth-pollers", "A write, while processes poll")
    growth(many[1], results, "growth-exclusive", "The same with EPOLLEXCLUSIVE")
    many[2].set_axis_off()
    for one in (*rates, *few, *many[:2]):
        one.legend(fontsize=8)
        one.set_ylim(bottom=one.get_ylim()[0] / 2)
    save(figure, folder, "scaling", results)

    figure, (calls, records) = plt.subplots(2, 3, figsize=(13, 6.4))
    stacked(calls[0], results, "instructions", 1, "both", "A write and a read of 1 B", "instructions")
    stacked(calls[1], results, "instructions", 4096, "both", "A write and a read of 4 KiB", "instructions")
    calls[1].set_xscale("log")
    stacked(calls[2], results, "wake", 2, "ns", "Round trip, both asleep", "ns")
    stacked(records[0], results, "record-instructions", 64, "both", "A record of 64 B", "instructions")
    stacked(records[1], results, "record-instructions", 4096, "both", "A record of 4 KiB", "instructions")
    stacked(records[2], results, "overwriting-instructions", 64, "in", "A write of 64 B", "instructions")
    save(figure, folder, "cost", results)

    missing = [name for name in PLOTS if not os.path.exists(os.path.join(folder, f"{name}.svg"))]
    assert not missing, f"bench.PLOTS names plots that are not drawn: {missing}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
