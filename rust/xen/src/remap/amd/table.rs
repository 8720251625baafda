//! Interrupt remapping tables: 256 to 2048 entries, all of 32 or all of 128 bits.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::NonNull;
use irq_core::remap::entry::Format;
use irq_core::remap::slots::Slots;
use irq_hw::amd::MSI_INDEX;

pub(super) const PAGE_SIZE: usize = 4096;
/// The most entries of a table: as many as a message can name.
pub(super) const MOST: usize = MSI_INDEX as usize + 1;

/// What is kept of a table: `intremap_inuse` of each requester that uses it points here.
pub(super) struct Kept {
    /// Which entries are in use. Used under the table's lock alone.
    pub(super) slots: UnsafeCell<Slots<1>>,
    /// Never changes, like what follows.
    pub(super) entries: Raw,
    /// How many pages it has, as a logarithm.
    pub(super) pages: u32,
}

impl Kept {
    /// How many entries the table has.
    #[doc(alias = "intremap_table_entries")]
    pub(super) fn count(&self) -> usize {
        (PAGE_SIZE << self.pages) / self.entries.format().size()
    }
}

/// The memory of a table.
#[derive(Clone, Copy)]
pub(super) enum Raw {
    /// With entries of 32 bits.
    Narrow(NonNull<u32>),
    /// With entries of 128 bits.
    Wide(NonNull<[u64; 2]>),
}

impl Raw {
    /// That of a table that begins there.
    pub(super) fn new(start: NonNull<c_void>, format: Format) -> Self {
        match format {
            Format::Narrow => Self::Narrow(start.cast()),
            Format::Wide => Self::Wide(start.cast()),
        }
    }

    fn format(self) -> Format {
        match self {
            Self::Narrow(_) => Format::Narrow,
            Self::Wide(_) => Format::Wide,
        }
    }

    /// Its first byte.
    pub(super) fn start(self) -> NonNull<c_void> {
        match self {
            Self::Narrow(first) => first.cast(),
            Self::Wide(first) => first.cast(),
        }
    }
}
