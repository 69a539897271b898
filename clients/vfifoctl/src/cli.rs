// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! The command line.

use crate::settings::Setting;
use crate::units;
use crate::wait::Condition;
use crate::watch::Order;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// What scripts need most; the manual page has the whole list.
const EXIT_STATUS: &str = "\
Exit status: 0 success, 1 the kernel refused, 2 wrong command line, 3 no driver,
4 no such device, 5 not permitted, 6 timeout. vfifoctl(1) has more.";

/// Lists, adds, removes, sets and watches vfifo devices
///
/// A vfifo is a FIFO device, /dev/vfifoN or /dev/vfifo/NAME. This program shows what is in
/// /sys/class/vfifo and which processes use each device, and changes it. NAME is the name of a
/// device, such as vfifo0, or the path of its node.
///
/// Everybody can run list, show, wait and watch; add, remove and set are for root.
#[derive(Debug, Parser)]
#[command(
    name = "vfifoctl",
    version,
    max_term_width = 80,
    arg_required_else_help = true,
    after_long_help = EXIT_STATUS
)]
pub struct Cli {
    /// The folder that has sys, proc and dev, for tests
    #[arg(long, hide = true, global = true, value_name = "DIR")]
    pub sysroot: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List all devices and the processes that use them
    ///
    /// Prints a line for each device: its capacity, the number of bytes queued, how full it is in
    /// percent, its mode and framing ("-" if the driver has none), how many processes are readers
    /// (RD) and writers (WR), which ends are claimed (P: the producer's, C: the consumer's), and the
    /// processes, as COMMAND[PID]:USES. USES are r (reads), w (writes), P and C (has claimed that
    /// end), and m (has mapped the device without a claim).
    ///
    /// The processes are found in /proc. Without root, only those of the caller can be examined. A
    /// + after the number of readers and writers means that there may be more.
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the attributes, statistics and users of a device
    Show {
        /// The device
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a device and print the path of its node
    ///
    /// The device is /dev/vfifo/NAME, and exists until it is removed or the module is unloaded.
    /// The options are the attributes that can be written (capacity, hangup, mode, period_ms, and
    /// those of newer drivers, such as framing and overwrite), and perm, the mode of the node in
    /// octal. A capacity may have a unit: K, M or G.
    Add {
        /// The name: a letter, then letters, digits, "_", "-" and "."
        name: String,
        /// Settings of the device, such as capacity=1M hangup=1 perm=0660
        #[arg(value_name = "OPTION=VALUE", value_parser = Setting::parse)]
        options: Vec<Setting>,
    },
    /// Remove devices
    ///
    /// A device that is in use loses its name, its node and its attributes at once. Processes that
    /// have it open can go on until they close it.
    Remove {
        /// The devices
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Set attributes of a device
    ///
    /// The attributes are set in the order in which they are given, up to the first that fails.
    Set {
        /// The device
        name: String,
        /// The attributes and their values, such as capacity=1M hangup=1
        #[arg(value_name = "ATTRIBUTE=VALUE", value_parser = Setting::parse, required = true)]
        settings: Vec<Setting>,
    },
    /// Wait until a device is in some state
    ///
    /// Without an option, waits until there is something to read. The state is checked 20 times a
    /// second. The device is opened neither for reading nor for writing, so waiting does not change
    /// its stream. When this returns, another process may be faster and change the state again.
    Wait {
        /// The device
        name: String,
        #[command(flatten)]
        until: Until,
        /// Fail after this time, with exit status 6: seconds, or a number with ms, s, m or h
        #[arg(long, value_name = "TIME", value_parser = units::parse_time)]
        timeout: Option<Duration>,
    },
    /// Show devices as they change
    ///
    /// Shows a line for each device: its name, which ends are claimed (CL: P, C), how full it is,
    /// the bytes queued, the bytes written and read each second, how often reads and writes had to
    /// sleep each second (RSLEEP, WSLEEP), and a small graph of the last values.
    ///
    /// The keys are q (quit), n, f, r and s (sort by name, fill level, rate, sleeps), g (graph of
    /// the fill level or of the bytes written each second), and the arrows, Page Up, Page Down,
    /// Home and End, which scroll.
    Watch {
        /// The devices [default: all]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// The time between two looks: seconds, or a number with ms, s, m or h
        #[arg(long, short = 'n', value_name = "TIME", default_value = "1", value_parser = interval)]
        interval: Duration,
        /// The order at the beginning: name, fill, rate or sleeps
        #[arg(
            long,
            value_name = "ORDER",
            value_enum,
            default_value = "name",
            hide_possible_values = true
        )]
        sort: Order,
        /// End after that many looks
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
        /// Print a line of JSON for each look
        #[arg(long)]
        json: bool,
    },
    /// Print the manual page
    #[command(hide = true)]
    Man,
    /// Print completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What to wait for: one of these.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct Until {
    /// Until there is something to read
    #[arg(long)]
    readable: bool,
    /// Until a write of up to 4096 bytes (PIPE_BUF) need not wait for room
    #[arg(long)]
    writable: bool,
    /// Until all writers have left. Needs hangup=1, and permission to read and write the node. If
    /// there is no writer and nothing is queued, waits for a writer first
    #[arg(long)]
    hangup: bool,
    /// Until that many bytes are queued (K, M, G: units)
    #[arg(long, value_name = "BYTES", value_parser = units::parse_size)]
    queued: Option<u64>,
}

impl Until {
    /// The condition that was chosen.
    pub fn condition(&self) -> Condition {
        match self {
            Self {
                queued: Some(bytes),
                ..
            } => Condition::Queued(*bytes),
            Self { writable: true, .. } => Condition::Writable,
            Self { hangup: true, .. } => Condition::Hangup,
            _ => Condition::Readable,
        }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match units::parse_time(text)? {
        time if time < Duration::from_millis(50) => Err("the shortest interval is 50ms".into()),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    fn condition(options: &[&str]) -> Option<Condition> {
        let words = ["vfifoctl", "wait", "a"].iter().chain(options);
        match Cli::try_parse_from(words).ok()?.command {
            Command::Wait { until, .. } => Some(until.condition()),
            _ => None,
        }
    }

    #[test]
    fn conditions() {
        assert_eq!(condition(&[]), Some(Condition::Readable));
        assert_eq!(condition(&["--readable"]), Some(Condition::Readable));
        assert_eq!(condition(&["--writable"]), Some(Condition::Writable));
        assert_eq!(condition(&["--hangup"]), Some(Condition::Hangup));
        assert_eq!(
            condition(&["--queued", "4K"]),
            Some(Condition::Queued(4096))
        );
        assert_eq!(condition(&["--queued", "4K", "--hangup"]), None);
    }
}
