// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `vfifoctl watch` in a pseudo-terminal of 80 by 24 characters.

mod common;

use common::{Fake, PROGRAM};
use rustix::fs::{open, Mode, OFlags};
use rustix::process::{kill_process, Pid, Signal};
use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
use rustix::termios::{tcgetattr, tcsetwinsize, LocalModes, Winsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The program in its terminal.
struct Session {
    child: Child,
    keyboard: File,
    output: Receiver<Vec<u8>>,
    terminal: OwnedFd,
    screen: Screen,
}

fn start(fake: &Fake, arguments: &[&str]) -> Session {
    let controller =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let terminal = open(
        &*name,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal, size).unwrap();
    let end = || terminal.try_clone().unwrap();
    // setsid makes this the terminal of the process, instead of the one that the tests are run in.
    let child = Command::new("setsid")
        .args(["--ctty", PROGRAM, "--sysroot"])
        .arg(&fake.root)
        .args(arguments)
        .env("TERM", "xterm-256color")
        .env("LC_ALL", "C.UTF-8")
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap();
    let keyboard = File::from(controller);
    let mut from = keyboard.try_clone().unwrap();
    let (to, output) = channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(len @ 1..) = from.read(&mut bytes) {
            if to.send(bytes[..len].to_vec()).is_err() {
                break;
            }
        }
    });
    Session {
        child,
        keyboard,
        output,
        terminal,
        screen: Screen::default(),
    }
}

impl Session {
    /// Waits until the screen is as wanted.
    #[track_caller]
    fn until(&mut self, what: &str, wanted: impl Fn(&Screen) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !wanted(&self.screen) {
            match self.output.recv_timeout(Duration::from_millis(100)) {
                Ok(bytes) => self.screen.feed(&bytes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("the terminal is gone"),
            }
            assert!(
                Instant::now() < deadline,
                "{what}: {:#?}",
                self.screen.lines()
            );
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end, after which the terminal must be as it was.
    #[track_caller]
    fn ended(mut self) {
        self.until("the screen before, with a cursor", |screen| {
            !screen.other && !screen.hidden_cursor
        });
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let modes = tcgetattr(self.terminal.as_fd()).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO));
    }
}

/// What a terminal shows, as far as this program uses it.
#[derive(Default)]
struct Screen {
    cells: Vec<Vec<char>>,
    line: usize,
    column: usize,
    /// Whether it is the alternate screen.
    other: bool,
    hidden_cursor: bool,
    rest: Vec<u8>,
}

impl Screen {
    fn feed(&mut self, bytes: &[u8]) {
        self.rest.extend(bytes);
        // A character or a sequence may not be complete yet.
        let valid = match std::str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let text: Vec<char> = String::from_utf8_lossy(&self.rest[..valid])
            .chars()
            .collect();
        let mut used = 0;
        while let Some(&c) = text.get(used) {
            if c != '\x1b' {
                self.put(c);
                used += 1;
                continue;
            }
            let end = text[used..]
                .iter()
                .skip(2)
                .position(|c| c.is_ascii_alphabetic());
            let Some(end) = end.map(|end| used + 2 + end) else {
                break;
            };
            let arguments: String = text[used + 2..end].iter().collect();
            self.control(&arguments, text[end]);
            used = end + 1;
        }
        let used: usize = text[..used].iter().map(|c| c.len_utf8()).sum();
        self.rest.drain(..used);
    }

    fn put(&mut self, c: char) {
        match c {
            '\n' => self.line += 1,
            '\r' => self.column = 0,
            c => {
                self.cells
                    .resize(self.cells.len().max(self.line + 1), Vec::new());
                let line = &mut self.cells[self.line];
                line.resize(line.len().max(self.column + 1), ' ');
                line[self.column] = c;
                self.column += 1;
            }
        }
    }

    fn control(&mut self, arguments: &str, what: char) {
        match (arguments, what) {
            ("?1049", 'h' | 'l') => self.other = what == 'h',
            ("?25", 'h' | 'l') => self.hidden_cursor = what == 'l',
            (_, 'J') => self.cells.clear(),
            (_, 'H') => {
                let mut numbers = arguments
                    .split(';')
                    .map(|number| number.parse().unwrap_or(1));
                self.line = numbers.next().unwrap_or(1) - 1;
                self.column = numbers.next().unwrap_or(1) - 1;
            }
            _ => {}
        }
    }

    fn lines(&self) -> Vec<String> {
        let lines = self
            .cells
            .iter()
            .map(|line| line.iter().collect::<String>());
        lines.map(|line| line.trim_end().to_string()).collect()
    }

    fn starts(&self, line: usize, text: &str) -> bool {
        self.lines()
            .get(line)
            .is_some_and(|found| found.starts_with(text))
    }
}

fn devices(count: u32) -> Fake {
    let fake = Fake::new();
    for index in 0..count {
        let size = (index * 1000).to_string();
        fake.device(&format!("vfifo{index}"), index, &[("size", &size)]);
    }
    fake
}

#[test]
fn q_quits() {
    let fake = devices(3);
    let mut session = start(&fake, &["watch"]);
    session.until("the devices", |screen| screen.starts(4, "vfifo2 "));
    assert!(session.screen.other);
    let lines = session.screen.lines();
    assert_eq!(
        lines[0],
        "vfifoctl watch: 3 devices, every 1 s, sorted by name"
    );
    assert!(
        lines[2].starts_with("vfifo0          ░░░░░░░░░░   0      0 "),
        "{}",
        lines[2]
    );
    session.until("the keys", |screen| screen.starts(23, "q quit"));
    session.press("q");
    session.ended();
}

#[test]
fn keys_sort_and_scroll() {
    let fake = devices(40);
    let mut session = start(&fake, &["watch", "--sort", "fill"]);
    session.until("sorted by fill level", |screen| {
        screen.starts(2, "vfifo39 ")
    });
    session.press("n");
    session.until("sorted by name", |screen| screen.starts(2, "vfifo0 "));
    session.press("\x1b[B");
    session.until("a line down", |screen| screen.starts(2, "vfifo1 "));
    session.press("\x1b[6~");
    session.until("at the end", |screen| {
        screen.starts(2, "vfifo19 ") && screen.starts(22, "vfifo39 ")
    });
    // Ctrl-C is a key here.
    session.press("\x03");
    session.ended();
}

#[test]
fn devices_come_and_go() {
    let fake = devices(1);
    let mut session = start(&fake, &["watch", "--interval", "50ms"]);
    session.until("one device", |screen| {
        screen.starts(0, "vfifoctl watch: 1 device,")
    });
    fake.device("video", 7, &[]);
    session.until("another device", |screen| screen.starts(3, "video "));
    std::fs::rename(fake.path("sys/class/vfifo"), fake.path("gone")).unwrap();
    session.until("no driver", |screen| {
        screen.starts(3, "the driver is not loaded")
    });
    session.press("q");
    session.ended();
}

#[test]
fn a_signal_restores_the_terminal() {
    let fake = devices(1);
    let mut session = start(&fake, &["watch", "--interval", "1h"]);
    session.until("the screen", |screen| screen.starts(2, "vfifo0 "));
    // setsid has become the program.
    let pid = Pid::from_child(&session.child);
    kill_process(pid, Signal::Term).unwrap();
    session.ended();
}

#[test]
fn it_ends_after_some_looks() {
    let fake = devices(1);
    let mut session = start(&fake, &["watch", "--interval", "50ms", "--count", "3"]);
    session.until("the screen", |screen| screen.starts(2, "vfifo0 "));
    session.ended();
}
