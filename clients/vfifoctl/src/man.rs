// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! The manual page and the completions, made from the definition of the command line.

use crate::cli::Cli;
use crate::error::{Error, Result, Status, STATUSES};
use crate::output;
use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;
use std::io;

/// The date of the page. It is not that of the build, so that the page depends only on the source.
const DATE: &str = "2026-11-30";

const HEAD: &str = r#".\" SPDX-License-Identifier: GPL-2.0 OR MIT
.\" Copyright (C) 2026 Seed 1f3ad1c2 maintainers
.\" Made by "vfifoctl man". To change it, edit the source in clients/vfifoctl/.
"#;

const NAME: &str = r#".SH NAME
vfifoctl \- list, add, remove, set and watch vfifo devices
.SH SYNOPSIS
"#;

const TAIL: &str = r#".SH JSON
With \fB\-\-json\fR,
.B list
prints an object with the fields
.IR devices ,
.I removed
(devices that were removed and are still open) and
.I processes_complete
(false if there may be processes that could not be examined),
.B show
one of these devices, and
.B watch
one object a line, with the time in seconds since 1970 and the devices.
Sizes are in bytes.
A field is absent if the driver does not have the attribute.
Later versions may add fields.
.SH LIMITATIONS
A process is found by its descriptors and mappings in
.IR /proc .
A claim is found by a writable mapping of the page of that end.
If a process has several descriptors of a device, it is not known which of them is the one behind its claim.
A process in another container is seen only from the host.
.SH FILES
.TP
.I /sys/class/vfifo/
The devices and their attributes.
.TP
.IR /dev/vfifoN ", " /dev/vfifo/NAME
The nodes.
.TP
.IR /proc/PID/fd ", " /proc/PID/fdinfo ", " /proc/PID/maps
The processes that use a device.
.SH EXAMPLES
.nf
# vfifoctl add video capacity=1M hangup=1 perm=0660
/dev/vfifo/video
# vfifoctl set video capacity=2M
$ vfifoctl wait video \-\-queued 64K \-\-timeout 10 && dd if=/dev/vfifo/video bs=64K count=1
$ vfifoctl list \-\-json | jq \-r '.devices[] | select(.percent > 90) | .name'
# vfifoctl remove video
.fi
.SH SEE ALSO
.BR vfifo (4),
.BR fifo (7),
.BR proc (5)
"#;

/// Prints the manual page.
pub fn page() -> Result {
    output::print(&text().map_err(|error| Error::io("the manual page", &error))?)
}

/// Prints completions.
pub fn completions(shell: clap_complete::Shell) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vfifoctl", &mut script);
    let script = String::from_utf8(script)
        .map_err(|_| Error::new(Status::Failed, "the completions are not UTF-8"))?;
    output::print(&script)
}

/// The page: one section for each command.
fn text() -> io::Result<String> {
    let command = without_help(Cli::command()).mut_subcommands(without_help);
    let page = Man::new(command.clone())
        .title("VFIFOCTL")
        .section("1")
        .date(DATE)
        .source(format!("vfifoctl {}", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut out = HEAD.as_bytes().to_vec();
    page.render_title(&mut out)?;
    out.extend(NAME.bytes());
    let commands: Vec<_> = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .collect();
    for (index, command) in commands.iter().enumerate() {
        let end = if index + 1 < commands.len() {
            ".br\n"
        } else {
            ""
        };
        out.extend(format!("{}\n{end}", synopsis(command)).bytes());
    }
    page.render_description_section(&mut out)?;
    out.extend(b".SH COMMANDS\n");
    for command in commands {
        out.extend(format!(".SS {}\n{}\n.PP\n", command.get_name(), synopsis(command)).bytes());
        let page = Man::new(command.clone());
        let mut part = Vec::new();
        page.render_description_section(&mut part)?;
        page.render_options_section(&mut part)?;
        // Each part begins with a line ".SH ...", which would end the section.
        for line in String::from_utf8_lossy(&part).lines() {
            if !line.starts_with(".SH ") && !line.starts_with(".ie ") && !line.starts_with(".el ") {
                out.extend(format!("{line}\n").bytes());
            }
        }
    }
    out.extend(b".SH EXIT STATUS\n");
    for (status, meaning) in STATUSES {
        out.extend(format!(".TP\n\\fB{status}\\fR\n{meaning}\n").bytes());
    }
    out.extend(TAIL.bytes());
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Options that every program has are not repeated for each command.
fn without_help(command: Command) -> Command {
    command.disable_help_flag(true).disable_version_flag(true)
}

/// A line such as `vfifoctl wait NAME [--timeout TIME]`.
fn synopsis(command: &Command) -> String {
    let mut text = format!("\\fBvfifoctl {}\\fR", command.get_name());
    for argument in command.get_positionals() {
        let name = value_name(argument);
        let many = match argument.get_num_args() {
            Some(range) if range.max_values() > 1 => "...",
            _ => "",
        };
        text += &match argument.is_required_set() {
            true => format!(" {name}{many}"),
            false => format!(" [{name}]{many}"),
        };
    }
    for option in command.get_opts().filter(|option| !option.is_hide_set()) {
        let long = option.get_long().unwrap_or_default();
        text += &match option.get_action().takes_values() {
            true => format!(" [\\fB\\-\\-{long}\\fR {}]", value_name(option)),
            false => format!(" [\\fB\\-\\-{long}\\fR]"),
        };
    }
    text
}

fn value_name(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let names: Vec<_> = names.iter().map(|name| format!("\\fI{name}\\fR")).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page in the repository is this one. `UPDATE=1 cargo test` writes it.
    #[test]
    fn the_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../man/vfifoctl.1");
        let text = text().unwrap();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            there == text,
            "man/vfifoctl.1 is not current; run: UPDATE=1 cargo test the_page_is_current"
        );
    }

    #[test]
    fn every_command_is_described() {
        let text = text().unwrap();
        for command in ["list", "show", "add", "remove", "set", "wait", "watch"] {
            assert!(text.contains(&format!(".SS {command}\n")), "{command}");
        }
        assert!(!text.contains(".SS man"));
        assert!(!text.contains("sysroot") && !text.contains("help"));
        // The exit statuses are all there.
        assert!(text.contains("\\fB6\\fR"));
    }
}
