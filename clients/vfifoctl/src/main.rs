// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! vfifoctl: shows and changes FIFO devices.
//!
//! | files | |
//! |---|---|
//! | `cli`, `man` | the command line, and the manual page that is made from it |
//! | `list`, `show`, `change`, `wait`, `watch` | the commands |
//! | `device`, `processes`, `maps`, `info` | what sysfs, `/proc` and the ioctl tell |
//! | `root` | where these are; tests use another folder |
//! | `settings`, `names`, `units` | words and numbers of the command line |
//! | `error`, `explain` | what errors mean |
//! | `report`, `table`, `output` | JSON and text |

mod change;
mod cli;
mod device;
mod error;
mod explain;
mod info;
mod list;
mod man;
mod maps;
mod names;
mod output;
mod processes;
mod report;
mod root;
mod settings;
mod show;
mod table;
mod units;
mod wait;
mod watch;

use clap::Parser;
use cli::{Cli, Command};
use error::Result;
use root::Root;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.text.is_empty() {
                output::note(&error.text);
            }
            ExitCode::from(error.status as u8)
        }
    }
}

fn run(cli: Cli) -> Result {
    let root = &Root::new(cli.sysroot);
    match cli.command {
        Command::List { json } => list::run(root, json),
        Command::Show { name, json } => show::run(root, &name, json),
        Command::Add { name, options } => change::add(root, &name, &options),
        Command::Remove { names } => change::remove(root, &names),
        Command::Set { name, settings } => change::set(root, &name, &settings),
        Command::Wait {
            name,
            until,
            timeout,
        } => wait::run(root, &name, until.condition(), timeout),
        Command::Watch {
            names,
            interval,
            sort,
            count,
            json,
        } => {
            let options = watch::Options {
                names,
                interval,
                order: sort,
                count,
                json,
            };
            watch::run(root, &options)
        }
        Command::Man => man::page(),
        Command::Completions { shell } => man::completions(shell),
    }
}
