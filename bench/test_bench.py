#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of the benchmark's arithmetic, on samples with known answers, and of its tables and plots."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import bench
import tables


def results(rows):
    return bench.Results(bench.read_samples("\t".join(map(str, row)) for row in rows))


class Summaries(unittest.TestCase):
    def test_median_and_quartiles(self):
        self.assertEqual(bench.summary([5, 1, 3, 2, 4]), {"median": 3, "low": 2, "high": 4, "samples": 5})

    def test_even_number(self):
        self.assertEqual(bench.summary([4, 1, 2, 3])["median"], 2.5)

    def test_one_sample_has_no_spread(self):
        self.assertEqual(bench.summary([7]), {"median": 7, "low": 7, "high": 7, "samples": 1})

    def test_an_outlier_moves_nothing(self):
        self.assertEqual(bench.summary([10, 11, 12, 13, 1000])["median"], 12)

    def test_samples_are_told_apart(self):
        found = results([("pair", "pipe", 1, "ns", 5), ("pair", "pipe", 64, "ns", 9), ("pair", "pipe", 1, "ns", 7)])
        self.assertEqual(found.median("pair", "pipe", 1, "ns"), 6)
        self.assertEqual(found.median("pair", "pipe", 64, "ns"), 9)
        self.assertIsNone(found.median("pair", "twin", 64, "ns"))


class Ratios(unittest.TestCase):
    def test_ratio(self):
        self.assertEqual(bench.ratio(3, 2), 1.5)
        self.assertIsNone(bench.ratio(None, 2))
        self.assertIsNone(bench.ratio(3, None))
        self.assertIsNone(bench.ratio(3, 0))

    def test_rates_are_ours_by_theirs(self):
        found = results([("throughput", "vfifo", 64, "MB/s", 30), ("throughput", "pipe", 64, "MB/s", 20)])
        self.assertEqual(bench.rates(found, "vfifo", "pipe", [64])[0]["value"], 1.5)

    def test_fewer_instructions_are_better(self):
        found = results([("instructions", "vfifo", 1, "both", 500), ("instructions", "twin", 1, "both", 1000)])
        self.assertEqual(bench.fewer_instructions(found, "twin", [1])[0]["value"], 2)


class Verdicts(unittest.TestCase):
    @staticmethod
    def part(value, unit="MB/s"):
        return bench.part("some", value, value, 1, unit)

    def test_worst_part_decides(self):
        row = bench.bar("", (">=", 1.0), [self.part(1.5), self.part(0.99)])
        self.assertEqual((row["verdict"], row["worst"]["value"]), ("missed", 0.99))
        row = bench.bar("", ("<=", 1.0), [self.part(0.5), self.part(1.0)])
        self.assertEqual((row["verdict"], row["worst"]["value"]), ("met", 1.0))

    def test_what_was_not_measured_meets_nothing(self):
        self.assertEqual(bench.bar("", (">=", 1.0), [self.part(None)])["verdict"], "not measured")

    def twin(self, time, instructions):
        return bench.twin_bar(results([
            ("throughput", "vfifo", 64, "MB/s", time), ("throughput", "twin", 64, "MB/s", 1),
            ("instructions", "vfifo", 64, "both", 1000), ("instructions", "twin", 64, "both", 1000 * instructions),
        ]), "twin", "")["verdict"]

    def test_noise_counts_only_if_the_instructions_agree(self):
        self.assertEqual(self.twin(1.0, 1.0), "met")
        self.assertEqual(self.twin(0.98, 1.0), "met")
        self.assertEqual(self.twin(0.96, 1.0), "missed")
        self.assertEqual(self.twin(0.98, 0.99), "missed")
        self.assertEqual(self.twin(1.1, 0.99), "missed")

    def test_baseline(self):
        was = {"a": 1.0, "b": 2.0}
        self.assertEqual(bench.fallen({"a": 0.951, "b": 3.0}, was), [])
        self.assertEqual([name for name, _, _ in bench.fallen({"a": 0.949, "b": 2.0}, was)], ["a"])
        self.assertEqual([name for name, _, _ in bench.fallen({"a": 1.0}, was)], ["b"])


class Records(unittest.TestCase):
    @staticmethod
    def rows(**calls):
        return [("record-instructions", way, 64, quantity, value) for way, both in
                (("records-mapped", 200), ("bpf-to-user", 250), ("records", 1000), ("seqpacket", 2000), ("mq", 900))
                for quantity, value in (("both", both), ("calls", calls.get(way, 2)))]

    def test_less_is_better(self):
        mapped, by_calls = bench.record_bars(results(self.rows()))
        self.assertEqual((mapped["verdict"], mapped["worst"]["value"]), ("met", 0.8))
        self.assertEqual((by_calls["verdict"], by_calls["worst"]["of"]), ("missed", "POSIX mq, 64 B, one at a time"))
        self.assertEqual([one["value"] for one in by_calls["parts"]], [0.5, 1000 / 900])

    def test_both_ways_to_count_are_bars(self):
        rows = self.rows() + [("queued-instructions", way, 4096, "both", value)
                              for way, value in (("records-mapped", 150), ("bpf-to-user", 100), ("bpf-to-kernel", 300))]
        mapped, _ = bench.record_bars(results(rows))
        self.assertEqual([(one["of"], one["met"]) for one in mapped["parts"]],
                         [("kernel→user, 64 B, one at a time", True), ("kernel→user, 4 KiB, several queued", False),
                          ("user→kernel, 4 KiB, several queued", True)])

    def test_a_direction_that_was_not_measured_meets_nothing(self):
        for row in bench.record_bars(results([])):
            self.assertEqual(row["verdict"], "not measured")

    def test_other_numbers_of_system_calls_are_refused(self):
        with self.assertRaisesRegex(SystemExit, "64 B takes 2.00 system calls with records, but 3.00 with mq"):
            bench.record_bars(results(self.rows(mq=3)))

    def test_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "samples"), "w", encoding="utf-8") as file:
                file.writelines("\t".join(map(str, row)) + "\n" for row in self.rows())
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                self.assertEqual(bench.main(["records", folder]), 0)
        self.assertIn("Instructions of a record, one at a time", said.getvalue())
        self.assertNotIn("several queued\n", said.getvalue())
        self.assertIn("POSIX mq, 64 B, one at a time: 1.11 (1000 against 900 instructions)", said.getvalue())


class Memory(unittest.TestCase):
    def test_slabs(self):
        text = "slabinfo - version: 2.1\n# name ...\nkmalloc-64  10 20 64 64 1 : x\ndentry 3 21 192 21 1 : x\n"
        self.assertEqual(bench.slab_bytes(text), 10 * 64 + 3 * 192)

    def test_vmalloc_counts_pages_and_not_addresses(self):
        text = "0x0-0x11000 69632 alloc+0x1 pages=16 vmalloc N0=16\n0x0-0x3000 12288 pci phys=f0 ioremap\n"
        self.assertEqual(bench.vmalloc_bytes(text), 16 * 4096)


class Profiles(unittest.TestCase):
    def test_instructions_belong_to_the_symbol_before_them(self):
        symbols = bench.read_symbols(["ffff20 t b\n", "ffff10 T a\n", "ffff30 t c\t[module]\n"])
        counts = ["401000 7", "ffff10 10", "ffff1f 5", "ffff20 8", "ffff34 30"]
        self.assertEqual(bench.by_function(counts, symbols, 10), {"c": 3, "a": 1.5, "b": 0.8, "user space": 0.7})


class Tables(unittest.TestCase):
    """Published tables are made from results.json."""

    def test_every_measure_has_a_table(self):
        with open(os.path.join(tables.ROOT, "bench", "bench.c"), encoding="utf-8") as file:
            measures = set(re.findall(r'\{ "([\w-]+)", run_', file.read()))
        self.assertGreater(len(measures), 10)
        self.assertEqual(measures - {measure for measure, _ in bench.GRIDS}, set())

    @classmethod
    def setUpClass(cls):
        cls.content = json.loads(tables.read(tables.RESULTS))

    def test_are_current(self):
        self.assertEqual(list(tables.outdated()), [], "python3 bench/tables.py write brings them up to date")

    def test_none_is_left_out(self):
        self.assertEqual(sorted(tables.markers(tables.read("bench/README.md"))), sorted(tables.TABLES))
        self.assertEqual(sorted(tables.HEADINGS), sorted(tables.TABLES))

    def test_every_bar_is_shown(self):
        text = tables.all_bars(self.content)
        for row in self.content["bars"]:
            self.assertIn(f"| {row['bar']} | {row['wanted']} |", text)
        self.assertEqual(text.count("**missed**"), sum(row["verdict"] == "missed" for row in self.content["bars"]))
        self.assertEqual(tables.missed(self.content).count("\n") - 2,
                         sum(not one["met"] for row in self.content["bars"] for one in row["parts"]))

    def test_every_measurement_is_shown(self):
        text = tables.measured(self.content)
        for row in self.content["results"]:
            self.assertIn(bench.cell(row), text)
        with self.assertRaises(SystemExit):
            tables.measured({"results": [dict(self.content["results"][0], quantity="apples")]})

    def test_a_changed_figure_is_noticed(self):
        for path in tables.FILES:
            text = tables.read(path)
            for name in tables.markers(text):
                begin = text.index(f"<!-- begin {name}:")
                digit = next(found for found in range(text.index("-->", begin), len(text)) if text[found].isdigit())
                wrong = text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1:]
                self.assertEqual(tables.current(wrong, self.content), text, f"{path}, {name}")


def snapshot(folder):
    """{path: bytes} of all files below."""
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


class Outputs(unittest.TestCase):
    """Results go to the given folder, and into the repository only with "save"."""

    def setUp(self):
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        # A clone with the files that "save" writes to, and the folder of a run.
        self.root = os.path.join(work.name, "clone")
        self.run = os.path.join(self.root, "build", "bench")
        os.makedirs(self.run)
        os.makedirs(os.path.join(self.root, "bench"))
        for name in tables.FILES + tuple(f"bench/{name}" for name in tables.SAVED):
            shutil.copyfile(os.path.join(tables.ROOT, name), os.path.join(self.root, name))
        self.content = json.loads(tables.read(tables.RESULTS))
        self.content["host"] = "Another Processor"

    def finish_run(self):
        bench.write_json(os.path.join(self.run, "results.json"), self.content)
        for name in tables.SAVED[1:]:
            with open(os.path.join(self.run, name), "w", encoding="utf-8") as file:
                file.write(f"new {name}\n")

    def refused(self, text):
        before = snapshot(os.path.join(self.root, "bench"))
        with self.assertRaisesRegex(SystemExit, text):
            tables.save(self.run, self.root)
        self.assertEqual(snapshot(os.path.join(self.root, "bench")), before)

    def test_report_writes_only_its_output(self):
        samples = os.path.join(self.root, "samples")
        os.makedirs(samples)
        for name, text in (("samples", "throughput\tvfifo\t64\tMB/s\t30\nthroughput\tpipe\t64\tMB/s\t20\n"),
                           ("kernel", "7.3.4\n"),
                           *((f"slabinfo.rust_vfifo.{n}", f"version\n# name\na {n} {n} 64 64 1\n") for n in (1, 65)),
                           *((f"vmallocinfo.rust_vfifo.{n}", f"0x0 1 a pages={16 * n} vmalloc\n") for n in (1, 65))):
            with open(os.path.join(samples, name), "w", encoding="utf-8") as file:
                file.write(text)
        before = snapshot(self.root)
        output = os.path.join(self.root, "build", "deeper", "results.json")
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(bench.main(["report", samples, "tcg", output]), 0)
        after = snapshot(self.root)
        written = json.loads(after.pop("build/deeper/results.json"))
        self.assertEqual(after, before)
        self.assertEqual(written["memory per device"], {"rust_vfifo": 64.0})
        self.assertEqual(written["bars"][0]["worst"]["value"], 1.5)

    def test_show_prints_every_table(self):
        self.finish_run()
        before = snapshot(self.root)
        shown = subprocess.run([sys.executable, tables.__file__, "show", "build/bench/results.json"], cwd=self.root,
                               capture_output=True, text=True, check=True).stdout
        for table in tables.TABLES.values():
            self.assertIn(table(self.content), shown)
        self.assertEqual(snapshot(self.root), before)

    def test_save_takes_over_results_tables_and_plots(self):
        self.finish_run()
        self.assertEqual(tables.main(["save", self.run, self.root]), 0)
        self.assertEqual(json.loads(tables.read(tables.RESULTS, self.root)), self.content)
        for name in tables.SAVED[1:]:
            self.assertEqual(tables.read(f"bench/{name}", self.root), f"new {name}\n")
        self.assertIn("Another Processor; guest", tables.read("bench/README.md", self.root))
        self.assertEqual(tables.check(self.root), 0)

    def test_save_without_a_full_run(self):
        self.refused("results.json does not exist; a full run makes it")

    def test_save_of_a_run_that_drew_no_plots(self):
        self.finish_run()
        os.unlink(os.path.join(self.run, "cost.png"))
        self.refused("cost.png does not exist")

    def test_save_of_a_run_that_ended_before_its_plots(self):
        self.finish_run()
        os.utime(os.path.join(self.run, "cost.svg"), (1, 1))
        self.refused("cost.svg is older than")

    def test_save_of_results_that_make_no_tables(self):
        self.content["results"][0]["quantity"] = "apples"
        self.finish_run()
        self.refused("apples")

    def test_check_names_the_file(self):
        self.finish_run()
        shutil.copyfile(os.path.join(self.run, "results.json"), os.path.join(self.root, tables.RESULTS))
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(tables.check(self.root), 1)
        self.assertIn("bench/README.md differ", said.getvalue())

    def test_every_plot_is_in_the_repository(self):
        drawn = sorted(name for name in os.listdir(os.path.join(tables.ROOT, "bench")) if name.endswith((".svg", ".png")))
        self.assertEqual(drawn, sorted(tables.SAVED[1:]))


class Words(unittest.TestCase):
    def test_sizes(self):
        self.assertEqual([bench.size_name(size) for size in (1, 512, 4096, 1 << 20)], ["1 B", "512 B", "4 KiB", "1 MiB"])

    def test_numbers(self):
        self.assertEqual([bench.number(n) for n in (None, 0.1234, 1.234, 12.34, 123.4)],
                         ["-", "0.123", "1.23", "12.3", "123"])


if __name__ == "__main__":
    unittest.main()
