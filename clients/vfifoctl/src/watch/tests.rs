// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! The screen, drawn on a terminal in memory.

use super::rates::tests::device;
use super::rates::{Order, Rates};
use super::screen::{Action, View};
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use ratatui::Terminal;
use std::time::Duration;

fn view(rates: Rates) -> View {
    View {
        rates,
        order: Order::Name,
        graph_of_rate: false,
        top: 0,
        interval: Duration::from_secs(1),
        unicode: true,
        message: "There are no devices.".into(),
    }
}

fn drawn(view: &View, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view.draw(frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let cells: Vec<_> = buffer.content.iter().map(|cell| cell.symbol()).collect();
    cells
        .chunks(width)
        .map(|line| line.concat().trim_end().to_string())
        .collect()
}

/// Devices as they could be: one in a steady state, one that fills up, one that is idle.
fn example() -> Rates {
    let mut rates = Rates::default();
    for look in 0..40u64 {
        let waves = [2, 9, 24, 40, 52, 60, 49, 31, 14, 5];
        let mut audio = device(
            "audio",
            0,
            &[
                ("bytes_written", look * 192_000),
                ("bytes_read", look * 192_000),
                ("reader_sleeps", look * 47),
                ("writer_sleeps", 0),
            ],
        );
        audio.attributes.insert(
            "size".into(),
            (waves[look as usize % 10] * 1024).to_string(),
        );
        let mut capture = device(
            "capture",
            0,
            &[
                ("bytes_written", look * 31_457_280),
                ("bytes_read", look * 31_200_000),
                ("reader_sleeps", look * 6),
                ("writer_sleeps", look * look / 4),
            ],
        );
        capture
            .attributes
            .insert("capacity".into(), "16777216".into());
        capture
            .attributes
            .insert("size".into(), (look * 410_000).to_string());
        capture
            .attributes
            .insert("producer_claimed".into(), "1".into());
        let events = device(
            "events",
            6,
            &[
                ("bytes_written", 6),
                ("bytes_read", 0),
                ("reader_sleeps", 0),
                ("writer_sleeps", 0),
            ],
        );
        let mut video = device(
            "video",
            0,
            &[
                ("bytes_written", look * 5_242_880),
                ("bytes_read", look * 5_242_880),
                ("reader_sleeps", look * 2),
                ("writer_sleeps", look * 3),
            ],
        );
        video.attributes.insert("capacity".into(), "1048576".into());
        video
            .attributes
            .insert("size".into(), (786_432 + (look % 4) * 30_000).to_string());
        video
            .attributes
            .insert("producer_claimed".into(), "1".into());
        video
            .attributes
            .insert("consumer_claimed".into(), "1".into());
        rates.update(&[audio, capture, events, video], Duration::from_secs(1));
    }
    rates
}

#[test]
fn the_screen_has_80_by_24_characters() {
    let lines = lines(&drawn(&view(example()), 80, 24));
    assert_eq!(lines.len(), 24);
    assert_eq!(
        lines[0],
        "vfifoctl watch: 4 devices, every 1 s, sorted by name"
    );
    assert_eq!(
        lines[1],
        "NAME         CL FILL         % QUEUED  IN/S OUT/S RSLEEP WSLEEP FILL OVER TIME"
    );
    assert_eq!(
        lines[2],
        "audio           █░░░░░░░░░   7     5K  188K  188K     47      0 ▆▇▆▃▁▁▁▁▃▅▆▇▆▃▁▁"
    );
    assert_eq!(
        lines[3],
        "capture      P  █████████░  95    15M   30M   30M      6     19 ▄▄▅▅▅▅▅▆▆▆▆▆▇▇▇▇"
    );
    assert_eq!(
        lines[4],
        "events          █░░░░░░░░░   1      6     0     0      0      0 ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁"
    );
    assert!(
        lines[5].starts_with("video        PC ████████░░  83   856K    5M    5M      2      3"),
        "{}",
        lines[5]
    );
    assert!(lines[6..23].iter().all(String::is_empty));
    assert!(lines[23].starts_with("q quit  sort: n name, f fill"));
}

/// The picture in README.md is of this screen. `UPDATE=1 cargo test` writes its source.
#[test]
fn the_picture_is_current() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../pictures/vfifoctl.screen"
    );
    let mut view = view(example());
    view.act(Action::Order(Order::Fill), 10);
    let buffer = drawn(&view, 80, 10);
    let colours = buffer.content.iter().map(|cell| match (cell.fg, cell.bg) {
        (_, Color::Gray) => 't',
        (Color::Green, _) => 'g',
        (Color::Yellow, _) => 'y',
        (Color::Red, _) => 'r',
        (Color::Cyan, _) => 'c',
        _ if cell.modifier.contains(Modifier::BOLD) => 'b',
        _ if cell.modifier.contains(Modifier::DIM) => 'd',
        _ => '.',
    });
    let colours: Vec<char> = colours.collect();
    let mut text = "\
# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers
# A screen of vfifoctl: its text, then the colour of each character. Made by a test of clients/vfifoctl.
"
    .to_string();
    for line in lines(&buffer) {
        text += &format!("|{line}\n");
    }
    for line in colours.chunks(80) {
        text += &format!(":{}\n", line.iter().collect::<String>());
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == text,
        "pictures/vfifoctl.screen is not current; run: UPDATE=1 cargo test the_picture_is_current, then pictures/draw.py"
    );
}

#[test]
fn the_graph_of_the_rate() {
    let mut view = view(example());
    view.act(Action::Graph, 24);
    let lines = lines(&drawn(&view, 80, 24));
    assert!(lines[1].ends_with("IN/S OVER TIME"));
    assert!(lines[2].ends_with(&"█".repeat(16)));
    assert!(lines[4].ends_with(" 0"), "{}", lines[4]);
    assert!(lines[23].contains("g graph of fill"));
}

#[test]
fn colours_show_the_fill_level() {
    let buffer = drawn(&view(example()), 80, 24);
    let colour = |line: u16| buffer[(16, line)].fg;
    assert_eq!(
        [2, 3, 4, 5].map(colour),
        [Color::Green, Color::Red, Color::Green, Color::Yellow]
    );
}

#[test]
fn ascii() {
    let mut view = view(example());
    view.unicode = false;
    let lines = lines(&drawn(&view, 80, 24));
    assert!(lines.iter().all(|line| line.is_ascii()));
    assert!(lines[2].contains("#.........   7"));
}

fn many(count: u64) -> Rates {
    let mut rates = Rates::default();
    let devices: Vec<_> = (0..count)
        .map(|index| device(&format!("vfifo{index}"), index, &[]))
        .collect();
    rates.update(&devices, Duration::ZERO);
    rates
}

#[test]
fn scrolling() {
    let mut view = view(many(50));
    let first = |view: &View| {
        lines(&drawn(view, 80, 24))[2]
            .split(' ')
            .next()
            .unwrap()
            .to_string()
    };
    let title = |view: &View| lines(&drawn(view, 80, 24))[0].clone();
    assert_eq!(first(&view), "vfifo0");
    assert!(title(&view).contains("devices 1-21 of 50"));
    view.act(Action::Lines(1), 24);
    assert_eq!(first(&view), "vfifo1");
    view.act(Action::Pages(1), 24);
    assert_eq!(first(&view), "vfifo22");
    view.act(Action::Last, 24);
    assert_eq!(first(&view), "vfifo29");
    assert!(title(&view).contains("devices 30-50 of 50"));
    view.act(Action::Lines(5), 24);
    assert_eq!(first(&view), "vfifo29");
    view.act(Action::Pages(-9), 24);
    assert_eq!(first(&view), "vfifo0");
    view.act(Action::Lines(7), 24);
    view.act(Action::Order(Order::Fill), 24);
    assert_eq!(first(&view), "vfifo49");
    // Fewer devices than before.
    view.act(Action::Last, 24);
    view.rates
        .update(&[device("a", 0, &[])], Duration::from_secs(1));
    view.bound(24);
    assert_eq!(first(&view), "a");
    assert!(title(&view).contains("1 device,"));
}

#[test]
fn no_devices() {
    let lines = lines(&drawn(&view(Rates::default()), 80, 24));
    assert!(lines[0].contains("0 devices"));
    assert_eq!(lines[3], "There are no devices.");
}

#[test]
fn any_size() {
    let mut view = view(many(5));
    for width in (1..100).step_by(3) {
        for height in 1..8 {
            view.act(Action::Last, height);
            drawn(&view, width, height);
        }
    }
}

#[test]
fn long_and_hostile_names() {
    let mut rates = Rates::default();
    let mut claimed = device("a-name-of-31-characters-abcdefg", 0, &[]);
    claimed
        .attributes
        .insert("consumer_claimed".into(), "1".into());
    rates.update(&[claimed, device("b\x1b[2J", 0, &[])], Duration::ZERO);
    let lines = lines(&drawn(&view(rates), 80, 24));
    assert!(lines[2].starts_with("a-name-of-3… C "), "{}", lines[2]);
    assert!(lines[3].starts_with("b?[2J "));
}
