// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Mode auto: a message once a period, as if a piece of hardware had sent it.
//!
//! A timer stands in for the interrupt. It fires in atomic context and only queues a work item. The
//! work item runs in process context, where it may take the FIFO's lock.
//!
//! # Context
//!
//! The setters are called in process context, with no lock of the FIFO held, and may sleep. The
//! getters can be called from any context.

use super::fifo::{
    Fifo,
    Side, //
};
use kernel::{
    dynamic_debug::dynamic_pr_debug,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    ticker::{
        new_ticker,
        Tick,
        Ticker, //
    },
    time::Delta, //
};

/// The message that is generated.
const MESSAGE: &[u8] = b"AUTO ";

/// The initial period, in milliseconds.
pub(crate) const DEFAULT_PERIOD_MS: u32 = 1000;

/// Whether the generator is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Only writers produce.
    Manual,
    /// Writers and the generator produce.
    Auto,
}

impl Mode {
    /// The name of the mode, as the attribute takes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Manual => "manual",
            Mode::Auto => "auto",
        }
    }
}

/// The work of a tick.
struct Source {
    fifo: Arc<Fifo>,
}

impl Tick for Source {
    fn tick(&self) {
        self.fifo.generate(MESSAGE);
    }
}

/// The generator of a FIFO.
#[pin_data]
pub(crate) struct Generator {
    // Serializes changes of the settings. Not taken by the work item, so that it can be held while
    // waiting for the work item to end. Nor is it taken to read the settings, since that wait may
    // be long.
    #[pin]
    control: Mutex<()>,
    auto: Atomic<bool>,
    period_ms: Atomic<u32>,
    fifo: Arc<Fifo>,
    #[pin]
    ticker: Ticker<Source>,
}

impl Generator {
    /// Creates a generator for `fifo`, in manual mode, with a period of one second.
    pub(crate) fn new(fifo: Arc<Fifo>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            control <- new_mutex!((), "Generator::control"),
            auto: Atomic::new(false),
            period_ms: Atomic::new(DEFAULT_PERIOD_MS),
            ticker <- new_ticker!("Generator::ticker", Source { fifo: fifo.clone() }),
            fifo,
        })
    }

    /// The mode, which may change at any time.
    ///
    /// # Context
    ///
    /// Any.
    pub(crate) fn mode(&self) -> Mode {
        if self.auto.load(Relaxed) {
            Mode::Auto
        } else {
            Mode::Manual
        }
    }

    /// Sets the mode. When this returns after setting [`Mode::Manual`], nothing is generated any
    /// more: it waits for a message that is being generated.
    ///
    /// # Context
    ///
    /// Process context, no lock of the FIFO held. May sleep.
    ///
    /// # Errors
    ///
    /// For [`Mode::Auto`]: [`EBUSY`] while the producer's end is claimed, [`ENODEV`] if the device
    /// has been removed.
    pub(crate) fn set_mode(&self, mode: Mode) -> Result {
        let _control = self.control.lock();
        if mode == self.mode() {
            return Ok(());
        }
        // A removal is noted first, and then sets the mode to manual with `control` held. So either
        // this sees it, or the mode is set to manual afterwards.
        if mode == Mode::Auto && self.fifo.is_removed() {
            return Err(ENODEV);
        }
        if mode == Mode::Auto && self.fifo.is_claimed(Side::Producer) {
            return Err(EBUSY);
        }
        dynamic_pr_debug!(
            "{}: mode {} -> {}\n",
            self.fifo.name,
            self.mode().name(),
            mode.name()
        );
        self.auto.store(mode == Mode::Auto, Relaxed);
        // The generator counts as a writer from before its first message until after its last one.
        match mode {
            Mode::Manual => {
                self.ticker.stop();
                self.fifo.count_generator(false);
            }
            Mode::Auto => {
                self.fifo.count_generator(true);
                self.start();
            }
        }
        Ok(())
    }

    /// The period in milliseconds, which may change at any time.
    ///
    /// # Context
    ///
    /// Any.
    pub(crate) fn period_ms(&self) -> u32 {
        self.period_ms.load(Relaxed)
    }

    /// Sets the period, in milliseconds. The parser checks the limits; zero means the shortest
    /// period of a [`Ticker`]. A running ticker is restarted.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    pub(crate) fn set_period_ms(&self, period_ms: u32) {
        let _control = self.control.lock();
        dynamic_pr_debug!(
            "{}: period {} -> {} ms\n",
            self.fifo.name,
            self.period_ms(),
            period_ms
        );
        self.period_ms.store(period_ms, Relaxed);
        if self.mode() == Mode::Auto {
            self.start();
        }
    }

    /// Starts or restarts the ticker. The caller holds `control`.
    fn start(&self) {
        self.ticker
            .start(Delta::from_millis(self.period_ms().into()));
    }
}
