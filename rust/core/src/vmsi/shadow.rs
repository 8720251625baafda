//! What Xen knows of the messages in a table.
//!
//! vCPUs read and write the shadow side by side without a lock, so a word and the knowledge whether
//! it is to be believed are one atomic. A word is in one of three states:
//!
//! - *unknown*: the guest has not written it since Xen learned where the table is. It may be
//!   *learned* from the device model's answer to a read.
//! - *known*: its value is what the guest wrote last, or what the device model answered.
//! - *lost*: the guest wrote it in a way whose value passes Xen by (a repeated string instruction).
//!   Only the guest's next plain write makes it known again: an answer of the device model may be
//!   older than the lost write, and nothing in it would tell.

use core::sync::atomic::Ordering;
#[cfg(not(test))]
use core::sync::atomic::{AtomicU32, AtomicU64};
// Tests look at all interleavings.
#[cfg(test)]
use tests::ordered::{AtomicU32, AtomicU64};

/// One dword of a message; of the default one nothing is known.
#[derive(Debug, Default)]
pub struct Word(AtomicU64);

impl Word {
    const UNKNOWN: u64 = 0;
    const KNOWN: u64 = 1 << 32;
    const LOST: u64 = 1 << 33;

    /// Returns the value if it is known.
    #[inline]
    pub fn get(&self) -> Option<u32> {
        let word = self.0.load(Ordering::Relaxed);
        (word & Self::KNOWN != 0).then_some(word as u32)
    }

    /// Takes what the guest writes.
    #[inline]
    pub fn write(&self, value: u32) {
        self.0
            .store(Self::KNOWN | u64::from(value), Ordering::Relaxed);
    }

    /// Takes what the device model answered to a read, unless the guest has written since.
    pub fn learn(&self, value: u32) {
        // A failure is the case in which the guest was faster; then there is nothing to learn.
        let _ = self.0.compare_exchange(
            Self::UNKNOWN,
            Self::KNOWN | u64::from(value),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// The device model is done with a write of this value, or of one that Xen does not see. Unless
    /// the word is known to have that value it is lost: the write may have begun before Xen knew of
    /// the table, and an answer to a read may be older.
    pub fn settle(&self, written: Option<u32>) {
        let expected = written.map(|value| Self::KNOWN | u64::from(value));
        // Whatever is written meanwhile is a write that the guest does not order with this one.
        if Some(self.0.load(Ordering::Relaxed)) != expected {
            self.lose();
        }
    }

    /// Notes that the guest writes a value that Xen does not see.
    pub fn lose(&self) {
        self.0.store(Self::LOST, Ordering::Relaxed);
    }
}

/// One entry of a table; of the default one nothing is known.
#[derive(Debug, Default)]
pub struct Entry {
    words: [Word; 3],
    /// The IRQ that the entry's interrupt arrives as; 0, which is the timer's, stands for none.
    irq: AtomicU32,
    /// Whether the message was written since the entry was last unmasked.
    modified: AtomicU32,
}

impl Entry {
    /// Returns address low (0), address high (1) or data (2).
    #[inline]
    pub fn word(&self, index: usize) -> Option<&Word> {
        self.words.get(index)
    }

    /// Returns both halves of the address if both are known.
    #[inline]
    pub fn address(&self) -> Option<u64> {
        let [low, high, _] = &self.words;
        Some(u64::from(low.get()?) | u64::from(high.get()?) << 32)
    }

    /// Returns the data if it is known.
    #[inline]
    pub fn data(&self) -> Option<u32> {
        let [_, _, data] = &self.words;
        data.get()
    }

    /// Takes both halves of the address from the guest.
    #[inline]
    pub fn write_address(&self, value: u64) {
        let [low, high, _] = &self.words;
        low.write(value as u32);
        high.write((value >> 32) as u32);
    }

    /// Takes the data from the guest.
    #[inline]
    pub fn write_data(&self, value: u32) {
        let [_, _, data] = &self.words;
        data.write(value);
    }

    /// Changes the message by `write`, and then notes it: the next unmask has to wait for the
    /// device model. Noted before, it could be taken by another vCPU's unmask that finds the
    /// message as it was, and the next one would not wait for the change.
    #[inline]
    pub fn change(&self, write: impl FnOnce(&Self)) {
        write(self);
        self.set_modified();
    }

    #[inline]
    fn set_modified(&self) {
        self.modified.store(1, Ordering::Release);
    }

    /// Returns whether the message changed since this was last asked.
    #[inline]
    pub fn take_modified(&self) -> bool {
        // The plain load spares the usual case, an unchanged message, the locked exchange. A plain
        // store instead of the exchange could forget a change that another vCPU notes in between.
        self.modified.load(Ordering::Acquire) != 0 && self.modified.swap(0, Ordering::AcqRel) != 0
    }

    /// Returns the IRQ of the entry, if one is bound.
    #[inline]
    pub fn irq(&self) -> Option<u32> {
        Some(self.irq.load(Ordering::Acquire)).filter(|&irq| irq != 0)
    }

    /// Binds the entry to an IRQ, or to none.
    pub fn set_irq(&self, irq: Option<u32>) {
        self.irq.store(irq.unwrap_or(0), Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
