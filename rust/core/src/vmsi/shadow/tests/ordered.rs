//! Loom's atomics, with a cell for each store.
//!
//! Where one thread stores and another exchanges, loom does not know which was the last, and lets a
//! load answer either. Here each store has a cell of its own, which is written once with the
//! ordering that the code asks for. Which cell is the last is told by an atomic that is changed by
//! exchanges alone, and that orders nothing.
//!
//! What a load finds, and what it has seen of other memory then, is what the code's own ordering
//! gives. Only an exchange gives less: what was released before its own store is not passed on.

use super::super::Ordering;
use loom::sync::atomic;
use std::sync::atomic::AtomicUsize;
use std::vec::Vec;

/// More stores than a test makes to one atomic.
const CELLS: usize = 16;

#[derive(Debug)]
pub(in super::super) struct AtomicU64 {
    cells: Vec<atomic::AtomicU64>,
    /// How many cells are in use. Loom's threads take turns, so that this needs no look at all
    /// interleavings.
    used: AtomicUsize,
    last: atomic::AtomicUsize,
}

impl Default for AtomicU64 {
    fn default() -> Self {
        Self::new(0)
    }
}

impl AtomicU64 {
    pub(in super::super) fn new(value: u64) -> Self {
        // A thread may only reach a cell that was made before the thread was.
        let cells: Vec<_> = (0..CELLS).map(|_| atomic::AtomicU64::new(value)).collect();
        Self {
            cells,
            used: AtomicUsize::new(1),
            last: atomic::AtomicUsize::new(0),
        }
    }

    /// Writes a new cell, which nothing leads to yet.
    fn write(&self, value: u64, order: Ordering) -> usize {
        let cell = self.used.fetch_add(1, Ordering::Relaxed);
        self.cells[cell].store(value, order);
        cell
    }

    /// Reads a cell that was found. An exchange reads what was stored there for certain; it adds
    /// nothing of its own.
    fn read(&self, cell: usize, order: Ordering) -> u64 {
        let order = match order {
            Ordering::Acquire | Ordering::AcqRel => Ordering::Acquire,
            Ordering::Relaxed | Ordering::Release => Ordering::Relaxed,
            order => panic!("{order:?} is not modelled"),
        };
        self.cells[cell].fetch_add(0, order)
    }

    pub(in super::super) fn load(&self, order: Ordering) -> u64 {
        self.read(self.last.load(Ordering::Relaxed), order)
    }

    fn swap(&self, value: u64, order: Ordering) -> u64 {
        let cell = self.write(value, order);
        self.read(self.last.swap(cell, Ordering::Relaxed), order)
    }

    pub(in super::super) fn store(&self, value: u64, order: Ordering) {
        let cell = self.write(value, order);
        self.last.swap(cell, Ordering::Relaxed);
    }

    pub(in super::super) fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        let cell = self.write(new, success);
        let mut last = self.last.fetch_add(0, Ordering::Relaxed);
        loop {
            let found = self.read(last, Ordering::Relaxed);
            if found != old {
                return Err(self.read(last, failure));
            }
            match self
                .last
                .compare_exchange(last, cell, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(last) => return Ok(self.read(last, success)),
                Err(other) => last = other,
            }
        }
    }
}

#[derive(Debug, Default)]
pub(in super::super) struct AtomicU32(AtomicU64);

impl AtomicU32 {
    pub(in super::super) fn new(value: u32) -> Self {
        Self(AtomicU64::new(value.into()))
    }

    pub(in super::super) fn load(&self, order: Ordering) -> u32 {
        self.0.load(order) as u32
    }

    pub(in super::super) fn store(&self, value: u32, order: Ordering) {
        self.0.store(value.into(), order);
    }

    pub(in super::super) fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value.into(), order) as u32
    }
}

/// What one thread releases is not passed on by the relaxed store of another that has found it.
#[test]
fn a_relaxed_store_releases_nothing() {
    use loom::sync::Arc;
    use loom::thread;
    use std::sync::atomic::AtomicBool;

    let missed = std::sync::Arc::new(AtomicBool::new(false));
    let noted = missed.clone();
    loom::model(move || {
        let both = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
        let (first, second) = (both.clone(), both.clone());
        let first = thread::spawn(move || {
            first.0.store(1, Ordering::Relaxed);
            first.1.store(1, Ordering::Release);
        });
        let second = thread::spawn(move || {
            if second.1.load(Ordering::Relaxed) == 1 {
                second.1.store(2, Ordering::Relaxed);
            }
        });
        let (data, flag) = &*both;
        match flag.load(Ordering::Acquire) {
            0 => (),
            1 => assert_eq!(data.load(Ordering::Relaxed), 1),
            _ if data.load(Ordering::Relaxed) == 0 => missed.store(true, Ordering::Relaxed),
            _ => (),
        }
        first.join().expect("it does not panic");
        second.join().expect("it does not panic");
    });
    assert!(noted.load(Ordering::Relaxed));
}
