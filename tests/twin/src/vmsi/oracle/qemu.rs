//! What QEMU does with accesses to a table: the behaviour of its xen-pt device model, stated anew.
//!
//! It latches each dword that is written, and answers reads from the latches. Accesses come to it
//! through its memory core, which splits them into naturally aligned pieces of at most four bytes,
//! and drops the pieces that are smaller: such a write changes nothing, such a read returns zero.
//! An entry whose address or data was written is mapped and bound when it is unmasked, or when
//! MSI-X is enabled.

/// Bytes of an entry.
pub(super) const ENTRY: u64 = 16;
/// Dwords of an entry; the last is vector control.
pub(super) const CONTROL: usize = 3;
const PAGE: u64 = 4096;

/// The dwords of one access: each one's offset from the first byte of the table, and its distance
/// in bits from the lowest of the access.
pub(super) fn dwords(offset: u64, len: u32) -> impl Iterator<Item = (u64, u32)> {
    let end = offset + u64::from(len);
    let mut next = offset;
    std::iter::from_fn(move || {
        while next < end {
            let at = next;
            let aligned = if at == 0 { 4 } else { at & at.wrapping_neg() };
            let left = end - at;
            let piece = aligned.min(4).min(1 << left.ilog2());
            next += piece;
            if piece == 4 {
                return Some((at, (at - offset) as u32 * 8));
            }
        }
        None
    })
}

/// What has to be done to an entry: it is mapped, if it is not, and bound, and unmasked unless it
/// is `masked`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bind {
    pub(super) entry: usize,
    pub(super) masked: bool,
}

/// An entry.
#[derive(Clone, Default)]
pub(super) struct Entry {
    pub(super) latch: [u32; 4],
    updated: bool,
    pub(super) mapped: bool,
    pub(super) bound: bool,
}

/// A function.
pub(super) struct Function {
    pub(super) base: u64,
    pub(super) entries: Vec<Entry>,
    pub(super) enabled: bool,
}

impl Function {
    pub(super) fn new(base: u64, entries: u32) -> Self {
        Self {
            base,
            entries: vec![Entry::default(); entries as usize],
            enabled: false,
        }
    }

    /// The offset of an address into the pages that the table takes.
    pub(super) fn offset(&self, address: u64) -> Option<u64> {
        let bytes = (self.entries.len() as u64 * ENTRY).next_multiple_of(PAGE);
        address
            .checked_sub(self.base)
            .filter(|offset| *offset < bytes)
    }

    /// The entry and the number of the dword at an offset.
    pub(super) fn place(&self, offset: u64) -> Option<(usize, usize)> {
        let place = ((offset / ENTRY) as usize, (offset % ENTRY / 4) as usize);
        (place.0 < self.entries.len()).then_some(place)
    }

    /// Answers a read.
    pub(super) fn read(&self, offset: u64, len: u32) -> u64 {
        dwords(offset, len).fold(0, |value, (offset, shift)| {
            let dword = self
                .place(offset)
                .map_or(0, |(entry, dword)| self.entries[entry].latch[dword]);
            value | u64::from(dword) << shift
        })
    }

    /// Takes a dword; says what has to be done before it is latched.
    pub(super) fn write(&mut self, entry: usize, dword: usize, value: u32) -> Option<Bind> {
        let this = &mut self.entries[entry];
        let old = std::mem::replace(&mut this.latch[dword], value);
        if dword != CONTROL {
            this.updated |= old != value || !this.mapped;
            return None;
        }
        (self.enabled && this.updated && value & 1 == 0).then_some(Bind {
            entry,
            masked: old & 1 != 0,
        })
    }

    /// The entry is bound as its latches say, or need not be.
    pub(super) fn settle(&mut self, entry: usize) {
        self.entries[entry].updated = false;
    }

    /// Has an entry bound anew by the next [`Self::updates`].
    pub(super) fn renew(&mut self, entry: usize) {
        self.entries[entry].updated = true;
    }

    /// What has to be bound while MSI-X is enabled.
    pub(super) fn updates(&self) -> impl Iterator<Item = Bind> {
        let updated = self.entries.iter().enumerate();
        updated
            .filter(|(_, entry)| entry.updated)
            .map(|(number, entry)| Bind {
                entry: number,
                masked: entry.latch[CONTROL] & 1 != 0,
            })
    }
}
