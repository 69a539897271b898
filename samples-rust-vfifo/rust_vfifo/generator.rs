// SPDX-License-Identifier: GPL-2.0

//! Automatic generation: a message once a period, as if a piece of hardware had it to say.
//!
//! A timer stands in for the interrupt. It fires in atomic context and only queues a work item;
//! that runs in process context, where it may take the FIFO's lock.

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

/// What is generated.
const MESSAGE: &[u8] = b"AUTO ";

/// The period at first, in milliseconds.
const DEFAULT_PERIOD_MS: u32 = 1000;

/// Who produces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Writers only.
    Manual,
    /// Writers, and the generator.
    Auto,
}

impl Mode {
    /// Its name, as the attribute takes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Manual => "manual",
            Mode::Auto => "auto",
        }
    }
}

/// What the timer and the work item are for.
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
    // Excludes those who steer. Not taken by what is generated, so that it can be held while
    // waiting for that to end; nor to look at the settings, since that wait may be long.
    #[pin]
    control: Mutex<()>,
    auto: Atomic<bool>,
    period_ms: Atomic<u32>,
    fifo: Arc<Fifo>,
    #[pin]
    ticker: Ticker<Source>,
}

impl Generator {
    /// A generator for `fifo`, in manual mode, with a period of a second.
    pub(crate) fn new(fifo: Arc<Fifo>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            control <- new_mutex!((), "Generator::control"),
            auto: Atomic::new(false),
            period_ms: Atomic::new(DEFAULT_PERIOD_MS),
            ticker <- new_ticker!("Generator::ticker", Source { fifo: fifo.clone() }),
            fifo,
        })
    }

    /// The mode. It may change at any time.
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

    /// Sets the mode. Once that is [`Mode::Manual`], nothing is generated any more: this waits for
    /// what is being generated.
    ///
    /// # Context
    ///
    /// Process context, no lock of the FIFO held. May sleep.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] for [`Mode::Auto`] while the producer's end is claimed.
    pub(crate) fn set_mode(&self, mode: Mode) -> Result {
        let _control = self.control.lock();
        if mode == self.mode() {
            return Ok(());
        }
        if mode == Mode::Auto && self.fifo.is_claimed(Side::Producer) {
            return Err(EBUSY);
        }
        dynamic_pr_debug!(
            "vfifo{}: mode {} -> {}\n",
            self.fifo.index,
            self.mode().name(),
            mode.name()
        );
        self.auto.store(mode == Mode::Auto, Relaxed);
        match mode {
            Mode::Manual => self.ticker.stop(),
            Mode::Auto => self.start(),
        }
        Ok(())
    }

    /// The period, in milliseconds. It may change at any time.
    ///
    /// # Context
    ///
    /// Any.
    pub(crate) fn period_ms(&self) -> u32 {
        self.period_ms.load(Relaxed)
    }

    /// Sets the period, in milliseconds. The limits are for who parses it; zero is as short as a
    /// [`Ticker`] can. A running one is restarted.
    ///
    /// # Context
    ///
    /// Process context. May sleep.
    pub(crate) fn set_period_ms(&self, period_ms: u32) {
        let _control = self.control.lock();
        dynamic_pr_debug!(
            "vfifo{}: period {} -> {} ms\n",
            self.fifo.index,
            self.period_ms(),
            period_ms
        );
        self.period_ms.store(period_ms, Relaxed);
        if self.mode() == Mode::Auto {
            self.start();
        }
    }

    fn start(&self) {
        self.ticker
            .start(Delta::from_millis(self.period_ms().into()));
    }
}
