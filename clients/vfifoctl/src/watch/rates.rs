// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! What changes between two looks at the devices: rates, and their history.

use crate::device::Device;
use crate::names;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The number of looks that are remembered.
const HISTORY: usize = 200;

/// The order of the devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// By name.
    Name,
    /// The fullest first.
    Fill,
    /// The highest rate first.
    Rate,
    /// The most sleeps first.
    Sleeps,
}

/// A device, and what has happened to it since the last look.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// The size of its buffer.
    pub capacity: u64,
    /// The number of bytes queued.
    pub queued: u64,
    /// Whether the producer's end is claimed.
    pub producer_claimed: bool,
    /// Whether the consumer's end is claimed.
    pub consumer_claimed: bool,
    /// Bytes written each second.
    pub written_per_second: f64,
    /// Bytes read each second.
    pub read_per_second: f64,
    /// Bytes overwritten each second. Absent if the driver does not count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overwritten_per_second: Option<f64>,
    /// How often a read had to sleep, each second.
    pub reader_sleeps_per_second: f64,
    /// How often a write had to sleep, each second.
    pub writer_sleeps_per_second: f64,
    /// The fill level at each look, in per mille; the newest is the last.
    #[serde(skip)]
    pub fill_history: VecDeque<u64>,
    /// The bytes written each second, at each look but the first.
    #[serde(skip)]
    pub rate_history: VecDeque<u64>,
    #[serde(skip)]
    stats: BTreeMap<String, u64>,
}

/// All devices that are watched.
#[derive(Debug, Default)]
pub struct Rates {
    /// The devices, ordered by name.
    pub rows: Vec<Row>,
}

impl Rates {
    /// Takes in another look, which is that much later than the one before.
    pub fn update(&mut self, devices: &[Device], elapsed: Duration) {
        let mut before: BTreeMap<_, _> = self
            .rows
            .drain(..)
            .map(|row| (row.name.clone(), row))
            .collect();
        self.rows = devices
            .iter()
            .map(|device| row(device, before.remove(&device.name), elapsed.as_secs_f64()))
            .collect();
    }

    /// The devices in that order.
    pub fn ordered(&self, order: Order) -> Vec<&Row> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        let key = |row: &Row| match order {
            Order::Name => 0.0,
            Order::Fill => row.queued as f64 / row.capacity.max(1) as f64,
            Order::Rate => row.written_per_second + row.read_per_second,
            Order::Sleeps => row.reader_sleeps_per_second + row.writer_sleeps_per_second,
        };
        rows.sort_by(|a, b| {
            key(b)
                .total_cmp(&key(a))
                .then_with(|| names::compare(&a.name, &b.name))
        });
        rows
    }
}

fn row(device: &Device, before: Option<Row>, seconds: f64) -> Row {
    // If a counter has gone back, this is another device of the same name.
    let before = before.filter(|before| {
        let counters = ["bytes_written", "reader_sleeps", "writer_sleeps"];
        counters
            .iter()
            .all(|counter| device.stat(counter) >= before.stats.get(*counter).copied().unwrap_or(0))
    });
    let rate = |counter: &str| {
        let now = device.stats.get(counter)?;
        let past = before.as_ref().and_then(|before| before.stats.get(counter));
        match past {
            // This counter can go back, see Documentation/ABI.
            Some(past) if seconds > 0.0 => Some(now.saturating_sub(*past) as f64 / seconds),
            _ => Some(0.0),
        }
    };
    let mut row = Row {
        name: device.name.clone(),
        capacity: device.capacity(),
        queued: device.queued(),
        producer_claimed: device.claimed("producer"),
        consumer_claimed: device.claimed("consumer"),
        written_per_second: rate("bytes_written").unwrap_or(0.0),
        read_per_second: rate("bytes_read").unwrap_or(0.0),
        overwritten_per_second: rate("bytes_overwritten"),
        reader_sleeps_per_second: rate("reader_sleeps").unwrap_or(0.0),
        writer_sleeps_per_second: rate("writer_sleeps").unwrap_or(0.0),
        fill_history: VecDeque::new(),
        rate_history: VecDeque::new(),
        stats: device.stats.clone(),
    };
    if let Some(before) = before {
        row.fill_history = before.fill_history;
        row.rate_history = before.rate_history;
        push(&mut row.rate_history, row.written_per_second as u64);
    }
    let fill = (u128::from(row.queued) * 1000).div_ceil(u128::from(row.capacity.max(1)));
    push(
        &mut row.fill_history,
        u64::try_from(fill).unwrap_or(1000).min(1000),
    );
    row
}

fn push(history: &mut VecDeque<u64>, value: u64) {
    if history.len() == HISTORY {
        history.pop_front();
    }
    history.push_back(value);
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A device with that fill level and these counters.
    pub fn device(name: &str, queued: u64, stats: &[(&str, u64)]) -> Device {
        let attributes = [("capacity", 65536), ("size", queued)];
        Device {
            name: name.into(),
            node: format!("/dev/{name}"),
            number: None,
            attributes: attributes
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .into(),
            stats: stats
                .iter()
                .map(|&(name, value)| (name.to_string(), value))
                .collect(),
        }
    }

    fn names(rates: &Rates, order: Order) -> Vec<&str> {
        rates
            .ordered(order)
            .iter()
            .map(|row| row.name.as_str())
            .collect()
    }

    #[test]
    fn rates_are_per_second() {
        let mut rates = Rates::default();
        rates.update(
            &[device(
                "a",
                0,
                &[("bytes_written", 100), ("reader_sleeps", 1)],
            )],
            Duration::ZERO,
        );
        assert_eq!(rates.rows[0].written_per_second, 0.0);
        let later = device("a", 50, &[("bytes_written", 300), ("reader_sleeps", 4)]);
        rates.update(&[later], Duration::from_millis(500));
        let row = &rates.rows[0];
        assert_eq!(row.written_per_second, 400.0);
        assert_eq!(row.reader_sleeps_per_second, 6.0);
        assert_eq!(row.writer_sleeps_per_second, 0.0);
        assert_eq!(row.overwritten_per_second, None);
        assert_eq!(row.rate_history, [400]);
        assert_eq!(row.fill_history.len(), 2);
    }

    #[test]
    fn another_device_of_the_same_name() {
        let mut rates = Rates::default();
        rates.update(&[device("a", 0, &[("bytes_written", 100)])], Duration::ZERO);
        rates.update(
            &[device("a", 0, &[("bytes_written", 5)])],
            Duration::from_secs(1),
        );
        assert_eq!(rates.rows[0].written_per_second, 0.0);
        assert_eq!(rates.rows[0].fill_history.len(), 1);
    }

    /// This counter goes back when the owner of a claim skips what was overwritten.
    #[test]
    fn overwritten_bytes_can_go_back() {
        let mut rates = Rates::default();
        rates.update(
            &[device("a", 0, &[("bytes_overwritten", 100)])],
            Duration::ZERO,
        );
        rates.update(
            &[device("a", 0, &[("bytes_overwritten", 60)])],
            Duration::from_secs(1),
        );
        assert_eq!(rates.rows[0].overwritten_per_second, Some(0.0));
        assert_eq!(rates.rows[0].fill_history.len(), 2);
    }

    #[test]
    fn devices_come_and_go() {
        let mut rates = Rates::default();
        rates.update(&[device("a", 0, &[]), device("b", 0, &[])], Duration::ZERO);
        rates.update(
            &[device("b", 0, &[]), device("c", 0, &[])],
            Duration::from_secs(1),
        );
        assert_eq!(names(&rates, Order::Name), ["b", "c"]);
        assert_eq!(rates.rows[0].fill_history.len(), 2);
        assert_eq!(rates.rows[1].fill_history.len(), 1);
    }

    #[test]
    fn orders() {
        let mut rates = Rates::default();
        let all = |scale: u64| {
            [
                device(
                    "a",
                    10,
                    &[("bytes_written", 30 * scale), ("reader_sleeps", 1)],
                ),
                device(
                    "b",
                    30,
                    &[("bytes_written", 10 * scale), ("reader_sleeps", 1)],
                ),
                device(
                    "c",
                    20,
                    &[("bytes_written", 20 * scale), ("reader_sleeps", scale)],
                ),
            ]
        };
        rates.update(&all(1), Duration::ZERO);
        rates.update(&all(5), Duration::from_secs(1));
        assert_eq!(names(&rates, Order::Name), ["a", "b", "c"]);
        assert_eq!(names(&rates, Order::Fill), ["b", "c", "a"]);
        assert_eq!(names(&rates, Order::Rate), ["a", "c", "b"]);
        assert_eq!(names(&rates, Order::Sleeps), ["c", "a", "b"]);
    }

    #[test]
    fn history_is_bounded() {
        let mut rates = Rates::default();
        for _ in 0..2 * HISTORY {
            rates.update(&[device("a", 1, &[])], Duration::from_secs(1));
        }
        assert_eq!(rates.rows[0].fill_history.len(), HISTORY);
        assert_eq!(rates.rows[0].rate_history.len(), HISTORY);
    }
}
