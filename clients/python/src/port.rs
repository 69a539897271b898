// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! An end that Python objects share: the end itself, and what it has lent.

use crate::error::{broken_by_fork, busy, refused, to_py};
use crate::fork::Process;
use crate::held::{Held, Lends};
use crate::loan::Loan;
use crate::timeout::Timeout;
use crate::views::{Refused, Turn, Views};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_int;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;
use vfifo::Error;

/// What all ends can do.
pub(crate) trait Wait: Lends {
    fn capacity(&self) -> usize;
    fn fd(&self) -> RawFd;
    /// See [`vfifo::Pollable`].
    fn news(&self) -> RawFd;
    fn ask(&mut self, need: usize) -> vfifo::Result<()>;
    fn wait(&mut self, need: usize, timeout: Option<Duration>) -> vfifo::Result<()>;
}

pub(crate) struct Port<E: Wait> {
    /// `None` if it was closed. It is locked while something is done with the end, also while that
    /// waits, without the interpreter.
    held: Mutex<Option<Held<E>>>,
    pub(crate) views: Views,
    pub(crate) capacity: usize,
    fd: RawFd,
    news: RawFd,
    process: Process,
}

type Guard<'a, E> = MutexGuard<'a, Option<Held<E>>>;

/// The end, for one thing to do. What was lent before is over.
pub(crate) struct Use<'a, E: Wait> {
    held: Guard<'a, E>,
    pub(crate) turn: Turn,
}

impl<E: Wait> Port<E> {
    pub(crate) fn new(end: E) -> Self {
        Self {
            capacity: end.capacity(),
            fd: end.fd(),
            news: end.news(),
            held: Mutex::new(Some(Held::new(end))),
            views: Views::default(),
            process: Process::this(),
        }
    }

    fn lock(&self) -> PyResult<Guard<'_, E>> {
        if !self.process.is_this() {
            return Err(broken_by_fork());
        }
        match self.held.try_lock() {
            Ok(held) => Ok(held),
            // A panic in the crate. The end can still be closed.
            Err(TryLockError::Poisoned(held)) => Ok(held.into_inner()),
            Err(TryLockError::WouldBlock) => Err(busy()),
        }
    }

    /// Does something with the end, which ends what it has lent.
    pub(crate) fn start(&self) -> PyResult<Use<'_, E>> {
        let held = self.lock()?;
        let turn = self.views.next().map_err(refused)?;
        match *held {
            Some(_) => Ok(Use { held, turn }),
            None => Err(refused(Refused::Closed)),
        }
    }

    /// Lets `f` do something with what was lent in that turn.
    pub(crate) fn with<T>(
        &self,
        turn: Turn,
        f: impl for<'a> FnOnce(&mut E::Loan<'a>) -> T,
    ) -> PyResult<T> {
        let mut held = self.lock()?;
        self.views.check(turn).map_err(refused)?;
        let result = held.as_mut().and_then(|held| held.with(f));
        result.ok_or_else(|| refused(Refused::Over))
    }

    /// Lets `f` use up what was lent in that turn: nobody has a view of it.
    pub(crate) fn finish<T>(
        &self,
        turn: Turn,
        f: impl for<'a> FnOnce(E::Loan<'a>) -> T,
    ) -> PyResult<T> {
        let mut held = self.lock()?;
        self.views.end(turn).map_err(refused)?;
        let result = held.as_mut().and_then(|held| held.take(f));
        result.ok_or_else(|| refused(Refused::Over))
    }

    /// Gives up what was lent in that turn, at once or when the last view of it goes.
    pub(crate) fn give_up(&self, turn: Turn) {
        if let Ok(mut held) = self.lock() {
            if self.views.end(turn).is_ok() {
                if let Some(held) = held.as_mut() {
                    held.end();
                }
            }
        }
    }

    /// Gives the end back.
    pub(crate) fn close(&self) -> PyResult<()> {
        let mut held = self.lock()?;
        self.views.close().map_err(refused)?;
        *held = None;
        Ok(())
    }

    /// Gives the end back when the last view has gone.
    pub(crate) fn close_later(&self) -> PyResult<()> {
        let mut held = self.lock()?;
        if self.views.close_later() {
            *held = None;
        }
        Ok(())
    }

    /// Exports what was lent to Python, as a view that belongs to `owner`.
    ///
    /// # Safety
    ///
    /// The arguments are those of `__getbuffer__`. The loan is from this port, and of memory that
    /// can be stored to unless it is `read_only`.
    pub(crate) unsafe fn view(
        &self,
        loan: &Loan,
        read_only: bool,
        owner: Bound<'_, PyAny>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("there is no place for the view"));
        }
        // SAFETY: By the safety requirements. An exporter that fails has to do this.
        unsafe { (*view).obj = std::ptr::null_mut() };
        if !self.process.is_this() {
            return Err(broken_by_fork());
        }
        self.views.add(loan.turn).map_err(refused)?;
        // SAFETY: By the safety requirements. The memory stays mapped as long as the view exists:
        // the view owns a reference to `owner`, which owns one to `self`, and as long as the view
        // is counted, `self` keeps the end.
        let ret = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                owner.as_ptr(),
                loan.start().cast(),
                loan.len() as ffi::Py_ssize_t,
                read_only.into(),
                flags,
            )
        };
        match ret {
            0 => Ok(()),
            _ => {
                self.unview();
                Err(PyErr::fetch(owner.py()))
            }
        }
    }

    /// One view less.
    pub(crate) fn unview(&self) {
        if self.views.remove() {
            // It was closed, so nobody has locked it. If somebody had, it would be dropped later.
            if let Ok(mut held) = self.lock() {
                *held = None;
            }
        }
    }

    fn open(&self) -> PyResult<()> {
        match self.views.is_closed() {
            false => Ok(()),
            true => Err(refused(Refused::Closed)),
        }
    }

    pub(crate) fn fd(&self) -> PyResult<RawFd> {
        self.open().map(|()| self.fd)
    }

    pub(crate) fn news(&self) -> PyResult<RawFd> {
        self.open().map(|()| self.news)
    }

    pub(crate) fn ask(&self, need: usize) -> PyResult<bool> {
        match self.start()?.end().ask(need) {
            Err(Error::NotYet) => Ok(false),
            result => result.map(|()| true).map_err(to_py),
        }
    }

    pub(crate) fn wait(&self, py: Python<'_>, need: usize, timeout: &Timeout) -> PyResult<()> {
        self.start()?.wait(py, need, timeout)
    }
}

impl<E: Wait> Use<'_, E> {
    fn held(&mut self) -> &mut Held<E> {
        self.held.as_mut().expect("`Port::start` has seen it")
    }

    pub(crate) fn end(&mut self) -> &mut E {
        self.held().end()
    }

    pub(crate) fn wait(&mut self, py: Python<'_>, need: usize, timeout: &Timeout) -> PyResult<()> {
        let end = self.end();
        timeout.retry(py, |left| end.wait(need, left))
    }

    /// Lends something. Waits for `need` bytes first if there is not enough yet.
    pub(crate) fn lend<T>(
        &mut self,
        py: Python<'_>,
        need: usize,
        timeout: &Timeout,
        borrow: impl for<'a> Fn(&'a mut E) -> vfifo::Result<(E::Loan<'a>, T)>,
    ) -> PyResult<T> {
        // Without a system call, and without leaving the interpreter, if both ends keep up.
        match self.held().lend(&borrow) {
            Err(Error::NotYet) => {}
            result => return result.map_err(to_py),
        }
        self.wait(py, need, timeout)?;
        self.held().lend(borrow).map_err(to_py)
    }

    /// Calls `f`. If there is not enough for it yet, waits for `need` bytes first.
    pub(crate) fn once<T>(
        &mut self,
        py: Python<'_>,
        need: usize,
        timeout: &Timeout,
        mut f: impl FnMut(&mut E) -> PyResult<Option<T>>,
    ) -> PyResult<T> {
        loop {
            if let Some(result) = f(self.end())? {
                return Ok(result);
            }
            self.wait(py, need, timeout)?;
        }
    }
}
