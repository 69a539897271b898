// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `vfifoctl watch`: the devices as they change, on a screen or as lines of JSON.

mod keys;
mod rates;
mod screen;
#[cfg(test)]
mod tests;

use crate::device::Device;
use crate::error::{Error, Result, Status};
use crate::names;
use crate::output;
use crate::root::Root;
use ratatui::crossterm::event::{self, Event};
pub use rates::Order;
use rates::{Rates, Row};
use screen::{Action, View};
use serde::Serialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// What to watch, and how.
#[derive(Debug)]
pub struct Options {
    /// The devices; all if empty.
    pub names: Vec<String>,
    /// The time between two looks.
    pub interval: Duration,
    /// The order at the beginning.
    pub order: Order,
    /// The number of looks, if it is limited.
    pub count: Option<u64>,
    /// Lines of JSON instead of a screen.
    pub json: bool,
}

/// Watches until a key, a signal, or the number of looks ends it.
pub fn run(root: &Root, options: &Options) -> Result {
    // An unknown name, or a driver that is not loaded, is an error only at the beginning.
    root.class()?;
    for name in &options.names {
        Device::find(root, name)?;
    }
    if options.json {
        return lines(root, options);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let text = "watch needs a terminal; use \"vfifoctl watch --json\" or \"vfifoctl list\"";
        return Err(Error::new(Status::Usage, text));
    }
    let failed = |error: io::Error| Error::io("the terminal", &error);
    // Without this, a signal would leave the terminal as it is while the screen is drawn.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&stop)).map_err(failed)?;
    }
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let result = screen(root, options, &mut terminal, &stop);
    // This shows the cursor.
    drop(terminal);
    ratatui::restore();
    result.map_err(failed)
}

/// How long it can take until a signal is noticed.
const REACTION: Duration = Duration::from_millis(200);

fn screen(
    root: &Root,
    options: &Options,
    terminal: &mut ratatui::DefaultTerminal,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut view = View {
        rates: Rates::default(),
        order: options.order,
        graph_of_rate: false,
        top: 0,
        interval: options.interval,
        unicode: unicode(),
        message: String::new(),
    };
    let mut last = Instant::now();
    let mut looks = 0;
    loop {
        let now = Instant::now();
        let (devices, message) = look(root, &options.names);
        view.rates.update(&devices, now - last);
        view.message = message;
        (last, looks) = (now, looks + 1);
        loop {
            view.bound(terminal.size()?.height);
            terminal.draw(|frame| view.draw(frame))?;
            let left = options.interval.saturating_sub(last.elapsed());
            if left.is_zero() {
                break;
            }
            if event::poll(left.min(REACTION))? {
                if let Event::Key(key) = event::read()? {
                    match keys::action(key) {
                        Some(Action::Quit) => return Ok(()),
                        Some(action) => view.act(action, terminal.size()?.height),
                        None => {}
                    }
                }
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
        if options.count.is_some_and(|count| looks >= count) {
            return Ok(());
        }
    }
}

/// The devices that are watched, and what to say if there are none.
fn look(root: &Root, wanted: &[String]) -> (Vec<Device>, String) {
    match Device::all(root) {
        Ok(mut devices) => {
            let wanted: Vec<_> = wanted.iter().map(|name| names::device_name(name)).collect();
            devices.retain(|device| wanted.is_empty() || wanted.contains(&device.name.as_str()));
            let message = match wanted.as_slice() {
                [] => "There are no devices. To add one: sudo vfifoctl add NAME",
                _ => "The devices have been removed.",
            };
            (devices, message.into())
        }
        Err(error) => (Vec::new(), error.text),
    }
}

/// Whether the locale has the characters of bars.
fn unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty());
    let locale = locale.unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[derive(Serialize)]
struct Line<'a> {
    /// Seconds since 1970.
    time: f64,
    devices: &'a [Row],
}

fn lines(root: &Root, options: &Options) -> Result {
    let mut rates = Rates::default();
    let mut last = Instant::now();
    let mut looks = 0;
    loop {
        let now = Instant::now();
        rates.update(&look(root, &options.names).0, now - last);
        last = now;
        let time = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        output::print_json_line(&Line {
            time: (time.as_secs_f64() * 1000.0).round() / 1000.0,
            devices: &rates.rows,
        })?;
        looks += 1;
        if options.count.is_some_and(|count| looks >= count) {
            return Ok(());
        }
        std::thread::sleep(options.interval.saturating_sub(last.elapsed()));
    }
}
