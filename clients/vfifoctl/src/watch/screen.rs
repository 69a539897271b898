// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! The screen of `vfifoctl watch`: a title, a line for each device, and the keys.

use super::rates::{Order, Rates, Row};
use crate::names::printable;
use crate::units;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::Frame;
use std::collections::VecDeque;
use std::time::Duration;

/// What is shown, and how.
#[derive(Debug)]
pub struct View {
    /// The devices.
    pub rates: Rates,
    /// Their order.
    pub order: Order,
    /// Whether the small graph shows the rate instead of the fill level.
    pub graph_of_rate: bool,
    /// The first device that is shown.
    pub top: usize,
    /// The time between two looks.
    pub interval: Duration,
    /// Whether the terminal has characters beyond ASCII.
    pub unicode: bool,
    /// What is shown if there are no devices.
    pub message: String,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ends the program.
    Quit,
    /// Changes the order.
    Order(Order),
    /// Changes what the graph shows.
    Graph,
    /// Moves down by that many lines, or up.
    Lines(isize),
    /// Moves down by that many screens, or up.
    Pages(isize),
    /// Moves to the first device.
    First,
    /// Moves to the last device.
    Last,
}

/// The columns before the graph: the title, the width, and whether it is of numbers.
const COLUMNS: [(&str, usize, bool); 9] = [
    ("NAME", 12, false),
    ("CL", 2, false),
    ("FILL", 10, false),
    ("%", 3, true),
    ("QUEUED", 6, true),
    ("IN/S", 5, true),
    ("OUT/S", 5, true),
    ("RSLEEP", 6, true),
    ("WSLEEP", 6, true),
];

const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_BARS: [char; 9] = [' ', '_', '.', ':', '-', '=', '+', '*', '#'];

impl View {
    /// Does what a key asks for, on a screen of that height. `Quit` is not handled here.
    pub fn act(&mut self, action: Action, height: u16) {
        let page = lines(height).max(1);
        let moved = |lines: isize| self.top.saturating_add_signed(lines);
        match action {
            Action::Quit => {}
            Action::Order(order) => (self.order, self.top) = (order, 0),
            Action::Graph => self.graph_of_rate = !self.graph_of_rate,
            Action::Lines(lines) => self.top = moved(lines),
            Action::Pages(pages) => self.top = moved(pages.saturating_mul(page as isize)),
            Action::First => self.top = 0,
            Action::Last => self.top = usize::MAX,
        }
        self.bound(height);
    }

    /// Keeps the screen full if there are enough devices.
    pub fn bound(&mut self, height: u16) {
        let most = self.rates.rows.len().saturating_sub(lines(height));
        self.top = self.top.min(most);
    }

    /// Draws the screen.
    pub fn draw(&self, frame: &mut Frame) {
        let area = frame.area();
        let buffer = frame.buffer_mut();
        if area.height == 0 {
            return;
        }
        self.title(area, buffer);
        if area.height >= 3 {
            self.columns(line(area, 1), buffer);
            self.keys(line(area, area.height - 1), buffer);
        }
        let rows = self.rates.ordered(self.order);
        if rows.is_empty() && area.height > 3 {
            let message = line(area, 3);
            buffer.set_stringn(
                message.x,
                message.y,
                &self.message,
                area.width.into(),
                Style::new(),
            );
        }
        let shown = rows.iter().skip(self.top).take(lines(area.height));
        for (index, row) in (2u16..).zip(shown) {
            self.device(row, line(area, index), buffer);
        }
    }

    fn title(&self, area: Rect, buffer: &mut Buffer) {
        let count = self.rates.rows.len();
        let (first, last) = (self.top + 1, (self.top + lines(area.height)).min(count));
        let shown = match count {
            1 => "1 device".to_string(),
            count if last - self.top.min(last) < count => {
                format!("devices {first}-{last} of {count}")
            }
            count => format!("{count} devices"),
        };
        let order = match self.order {
            Order::Name => "name",
            Order::Fill => "fill level",
            Order::Rate => "rate",
            Order::Sleeps => "sleeps",
        };
        let every = self.interval.as_secs_f64();
        let text = format!("vfifoctl watch: {shown}, every {every} s, sorted by {order}");
        let style = Style::new().add_modifier(Modifier::BOLD);
        buffer.set_stringn(area.x, area.y, text, area.width.into(), style);
    }

    fn columns(&self, area: Rect, buffer: &mut Buffer) {
        let graph = if self.graph_of_rate {
            "IN/S OVER TIME"
        } else {
            "FILL OVER TIME"
        };
        let mut pen = Pen::new(area, Style::new().fg(Color::Black).bg(Color::Gray));
        for (title, width, right) in COLUMNS {
            pen.cell(buffer, title, width, right);
        }
        let width = pen.left();
        pen.cell(buffer, graph, width, false);
        // The whole line has the colour of the background.
        buffer.set_style(area, pen.style);
    }

    fn keys(&self, area: Rect, buffer: &mut Buffer) {
        let arrows = if self.unicode { "↑↓" } else { "up/down" };
        let graph = if self.graph_of_rate { "fill" } else { "rate" };
        let text = format!(
            "q quit  sort: n name, f fill, r rate, s sleeps  g graph of {graph}  {arrows} scroll"
        );
        let style = Style::new().add_modifier(Modifier::DIM);
        buffer.set_stringn(area.x, area.y, text, area.width.into(), style);
    }

    fn device(&self, row: &Row, area: Rect, buffer: &mut Buffer) {
        let mut pen = Pen::new(area, Style::new());
        let claims = match (row.producer_claimed, row.consumer_claimed) {
            (true, true) => "PC",
            (true, false) => "P",
            (false, true) => "C",
            (false, false) => "",
        };
        let rate = |rate: f64| units::bytes(rate.max(0.0) as u64);
        let percent = units::percent(row.queued, row.capacity);
        let colour = match percent {
            0..=74 => Color::Green,
            75..=89 => Color::Yellow,
            _ => Color::Red,
        };
        pen.cell(
            buffer,
            &shortened(&row.name, COLUMNS[0].1, self.unicode),
            COLUMNS[0].1,
            false,
        );
        pen.cell(buffer, claims, COLUMNS[1].1, false);
        pen.styled(Style::new().fg(colour)).cell(
            buffer,
            &self.bar(percent, COLUMNS[2].1),
            COLUMNS[2].1,
            false,
        );
        pen.styled(Style::new());
        let numbers = [
            percent.to_string(),
            units::bytes(row.queued),
            rate(row.written_per_second),
            rate(row.read_per_second),
            units::count(row.reader_sleeps_per_second),
            units::count(row.writer_sleeps_per_second),
        ];
        for (number, (_, width, right)) in numbers.iter().zip(&COLUMNS[3..]) {
            pen.cell(buffer, number, *width, *right);
        }
        let width = pen.left();
        let graph = match self.graph_of_rate {
            true => self.graph(
                &row.rate_history,
                row.rate_history.iter().copied().max().unwrap_or(0),
                width,
            ),
            false => self.graph(&row.fill_history, 1000, width),
        };
        pen.styled(Style::new().fg(Color::Cyan))
            .cell(buffer, &graph, width, false);
    }

    /// A bar of that many percent, in a column of that width.
    fn bar(&self, percent: u64, width: usize) -> String {
        let (full, empty) = if self.unicode {
            ('█', '░')
        } else {
            ('#', '.')
        };
        let filled = match percent {
            0 => 0,
            percent => (percent as usize * width / 100).max(1),
        };
        (0..width)
            .map(|at| if at < filled { full } else { empty })
            .collect()
    }

    /// The newest values, one a character, the last one at the right.
    fn graph(&self, history: &VecDeque<u64>, most: u64, width: usize) -> String {
        let bars = if self.unicode { BARS } else { ASCII_BARS };
        let shown = history.len().min(width);
        let values = history.iter().skip(history.len() - shown);
        let bars = values.map(|&value| match value {
            0 => bars[0],
            // A value that is not 0 can be seen.
            value => bars[(value.min(most) * 8 / most.max(1)).clamp(1, 8) as usize],
        });
        " ".repeat(width - shown) + &bars.collect::<String>()
    }
}

/// The number of devices that a screen of that height shows.
fn lines(height: u16) -> usize {
    usize::from(height.saturating_sub(3))
}

fn line(area: Rect, index: u16) -> Rect {
    Rect {
        y: area.y + index,
        height: 1,
        ..area
    }
}

fn shortened(name: &str, width: usize, unicode: bool) -> String {
    let name = printable(name);
    if name.chars().count() <= width {
        return name;
    }
    let end = if unicode { '…' } else { '~' };
    name.chars().take(width - 1).chain([end]).collect()
}

/// Writes cells from left to right, as far as the line goes.
struct Pen {
    area: Rect,
    at: usize,
    style: Style,
}

impl Pen {
    fn new(area: Rect, style: Style) -> Self {
        Self { area, at: 0, style }
    }

    fn styled(&mut self, style: Style) -> &mut Self {
        self.style = style;
        self
    }

    /// The number of characters that are left in the line.
    fn left(&self) -> usize {
        usize::from(self.area.width).saturating_sub(self.at)
    }

    fn cell(&mut self, buffer: &mut Buffer, text: &str, width: usize, right: bool) {
        let fill = width.saturating_sub(text.chars().count());
        let start = self.at + if right { fill } else { 0 };
        let room = usize::from(self.area.width).saturating_sub(start);
        if let (true, Ok(start)) = (room > 0, u16::try_from(start)) {
            let place = Position::new(self.area.x + start, self.area.y);
            buffer.set_stringn(place.x, place.y, text, room.min(width), self.style);
        }
        self.at += width + 1;
    }
}
