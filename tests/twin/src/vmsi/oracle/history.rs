//! What a guest may read from one dword of a table.
//!
//! A read lasts from its `accept` until the guest has the value; a write likewise. A read may
//! return the value of any write which began before the read ended, unless a later write replaced
//! it: one that began after the first had ended, and ended before the read began. So writes of two
//! vCPUs at the same time may take effect in either order, but a value that was replaced never
//! comes back. What the device model holds while the read lasts is right in any case. Where the
//! table moves during a write, anything may come of it.

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
    /// When the table last moved while a write was under way: what came of that is undefined until
    /// a later write has ended.
    disturbed: Option<u64>,
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

    /// The device model takes a value, of a write that may have begun when the table was elsewhere.
    pub(super) fn take(&mut self, access: u64, value: u32, start: u64, now: u64) {
        self.held.push((now, value));
        let of_access = |write: &&mut Write| write.access == access && write.value == value;
        let mut known = self.writes.iter_mut().filter(of_access).peekable();
        if known.peek().is_none() {
            drop(known);
            self.writes.push(Write {
                access,
                value,
                start,
                end: None,
                taken: true,
            });
            return;
        }
        known.for_each(|write| write.taken = true);
    }

    /// The table moves while a write is under way.
    pub(super) fn disturb(&mut self, now: u64) {
        self.disturbed = Some(now);
    }

    /// Another function comes, with zero in the dword, and what is under way may still reach it.
    pub(super) fn renew(&mut self) {
        self.held.clear();
        self.disturbed = None;
        self.writes.retain(|write| write.end.is_none());
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
        let untouched = !self.ended_before(start, 0);
        let before = self.held.iter().rev().find(|(since, _)| *since <= start);
        let meanwhile = self.held.iter().filter(|(since, _)| *since > start);
        let undefined = self
            .disturbed
            .is_some_and(|since| !self.ended_before(start, since));
        undefined
            || untouched && same(0)
            || same(before.map_or(0, |(_, value)| *value))
            || meanwhile.map(|(_, value)| *value).any(same)
            || self
                .writes
                .iter()
                .any(|write| same(write.value) && !self.replaced(write, start))
    }

    /// Returns whether another write began after this one had ended, and ended before a read began.
    fn replaced(&self, write: &Write, read: u64) -> bool {
        write.end.is_some_and(|end| self.ended_before(read, end))
    }

    /// Returns whether a write that began after a time ended before a read began.
    fn ended_before(&self, read: u64, since: u64) -> bool {
        let ended = |write: &Write| write.start > since && write.end.is_some_and(|end| end < read);
        self.writes.iter().any(ended)
    }
}
