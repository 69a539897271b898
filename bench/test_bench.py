#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The arithmetic of the benchmark, on samples whose answers are known, and what is made from its results."""

import json
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
    """Those that people read are made from results.json."""

    @classmethod
    def setUpClass(cls):
        cls.content = json.loads(tables.read(tables.RESULTS))

    def test_are_current(self):
        self.assertEqual(list(tables.outdated()), [], "python3 bench/tables.py write brings them up to date")

    def test_none_is_left_out(self):
        self.assertEqual(sorted(tables.markers(tables.read("bench/README.md"))), sorted(tables.TABLES))
        self.assertEqual(tables.markers(tables.read("README.md")), ["bars"])

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


class Words(unittest.TestCase):
    def test_sizes(self):
        self.assertEqual([bench.size_name(size) for size in (1, 512, 4096, 1 << 20)], ["1 B", "512 B", "4 KiB", "1 MiB"])

    def test_numbers(self):
        self.assertEqual([bench.number(n) for n in (None, 0.1234, 1.234, 12.34, 123.4)],
                         ["-", "0.123", "1.23", "12.3", "123"])


if __name__ == "__main__":
    unittest.main()
