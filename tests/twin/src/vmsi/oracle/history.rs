//! What a guest may read from one dword of a table.
//!
//! A read lasts from its `accept` until the guest has the value; a write likewise. A read may
//! return any value that the device model held while it lasted, and that of any write which began
//! before the read ended, unless a later write replaced it: one that began after the first had
//! ended, and ended before the read began. So writes of two vCPUs at the same time may take effect
//! in either order, but a value that was replaced never comes back.

/// A write to the dword.
struct Write {
    access: u64,
    value: u32,
    start: u64,
    end: Option<u64>,
    /// Whether the device model took it.
    taken: bool,
}

/// What became of one dword since the case began.
#[derive(Default)]
pub(super) struct History {
    /// Values that the device model held, each with the time from which on; zero before the first.
    held: Vec<(u64, u32)>,
    writes: Vec<Write>,
}

impl History {
    /// A guest begins to write.
    pub(super) fn begin(&mut self, access: u64, value: u32, start: u64) {
        self.writes.push(Write {
            access,
            value,
            start,
            end: None,
            taken: false,
        });
    }

    /// The device model takes a value.
    pub(super) fn take(&mut self, access: u64, value: u32, now: u64) {
        self.held.push((now, value));
        let of_access = |write: &&mut Write| write.access == access && write.value == value;
        for write in self.writes.iter_mut().filter(of_access) {
            write.taken = true;
        }
    }

    /// A guest's write ends; what the device model did not take of it was never written.
    pub(super) fn finish(&mut self, access: u64, end: u64) {
        self.writes
            .retain(|write| write.access != access || write.taken);
        for write in &mut self.writes {
            if write.access == access {
                write.end = Some(end);
            }
        }
    }

    /// Returns whether a read that lasted from `start` until now may return a value, as far as the
    /// bits of `mask` go.
    pub(super) fn allows(&self, value: u32, mask: u32, start: u64) -> bool {
        let same = |other: u32| (value ^ other) & mask == 0;
        let before = self.held.iter().rev().find(|(since, _)| *since <= start);
        let meanwhile = self.held.iter().filter(|(since, _)| *since > start);
        same(before.map_or(0, |(_, value)| *value))
            || meanwhile.map(|(_, value)| *value).any(same)
            || self
                .writes
                .iter()
                .any(|write| same(write.value) && !self.replaced(write, start))
    }

    /// Returns whether another write began after this one had ended, and ended before a read began.
    fn replaced(&self, write: &Write, read: u64) -> bool {
        let Some(end) = write.end else { return false };
        self.writes
            .iter()
            .any(|other| other.start > end && other.end.is_some_and(|end| end < read))
    }
}
