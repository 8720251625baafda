//! Requesters, and what Xen keeps of each (`struct ivrs_mappings`).

use super::{Device, tables_per_requester};
use crate::view::{field, set_field};
use core::ptr;
use irq_core::remap::slots::Slots;
use xen_sys as sys;

/// Functions of a PCI device.
const FUNCTIONS: u16 = 8;

/// A requester: an ID of a segment.
///
/// Functions of a device may share a table: phantom functions are parts of another function, and a function that firmware
/// does not list is taken for a copy of function 0. The table is that of the lowest of them.
#[derive(Clone, Copy)]
pub struct Requester {
    /// What is kept of the segment's requester 0.
    of_segment: *mut sys::ivrs_mappings,
    id: u16,
}

/// How many requesters a segment has.
fn count() -> u32 {
    // SAFETY: A number that is written while Xen boots, before there are requesters.
    unsafe { (&raw const sys::ivrs_bdf_entries).read_volatile() }
}

impl Requester {
    /// Makes one from what Xen keeps of it; `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// A pointer that is not null is that of the segment's requester `id`.
    #[inline]
    pub unsafe fn from_raw(mapping: *mut sys::ivrs_mappings, id: u16) -> Option<Self> {
        (!mapping.is_null()).then(|| Self {
            of_segment: mapping.wrapping_sub(id.into()),
            id,
        })
    }

    /// The requester of a device that sends messages under its own ID alone.
    #[inline]
    pub(super) fn of(device: Device) -> Option<Self> {
        // SAFETY: Any segment may be asked for.
        let of_segment = unsafe { sys::get_ivrs_mappings(device.segment) };
        let requester = Self { of_segment, id: 0 };
        (!of_segment.is_null())
            .then_some(requester)?
            .with_id(device.id)
    }

    /// The requester that messages of the device with this ID come from, as firmware says.
    #[inline]
    pub(super) fn of_interrupts(self) -> Option<Self> {
        self.with_id(field!(self, dte_requestor_id))
    }

    /// The requester that memory accesses of the device with this ID come from, which some use for messages, too.
    #[inline]
    pub(super) fn of_accesses(self, segment: u16) -> Option<Self> {
        // SAFETY: There is a requester of that ID.
        self.with_id(unsafe { sys::get_dma_requestor_id(segment, self.id) } as u16)
    }

    /// Another one of the segment.
    #[inline]
    fn with_id(self, id: u16) -> Option<Self> {
        (u32::from(id) < count()).then_some(Self { id, ..self })
    }

    /// What Xen keeps of it.
    #[inline]
    pub(super) fn as_ptr(self) -> *mut sys::ivrs_mappings {
        self.of_segment.wrapping_add(self.id.into())
    }

    /// Its ID: bus in bits 15:8, device in bits 7:3, function in bits 2:0.
    #[inline]
    pub fn id(self) -> u16 {
        self.id
    }

    /// Its table, or null.
    #[inline]
    pub(super) fn table(self) -> *mut u8 {
        field!(self, intremap_table).cast()
    }

    /// Which entries of its table are in use; null where it has no table. C files hand the pointer on, and no more.
    #[inline]
    pub(super) fn slots(self) -> *mut Slots<1> {
        field!(self, intremap_inuse).cast()
    }

    /// Forgets its table.
    pub(super) fn forget_table(self) {
        set_field!(self, intremap_table)(ptr::null_mut());
        set_field!(self, intremap_inuse)(ptr::null_mut());
    }

    /// Returns whether other functions of the device may have its table.
    #[inline]
    fn may_share(self) -> bool {
        tables_per_requester() && !self.table().is_null()
    }

    /// Function 0 of the device.
    #[inline]
    fn of_device(self) -> Self {
        Self {
            id: self.id & !(FUNCTIONS - 1),
            ..self
        }
    }

    /// All functions of the device that use its table, itself among them. Where all requesters have the same table this is
    /// about none but itself.
    #[inline]
    pub(super) fn sharers(self) -> Sharers {
        let table = self.table();
        let of_device = self.of_device();
        let uses = |number: u16| u8::from(of_device.function(number).table() == table) << number;
        let mut functions = 1 << (self.id % FUNCTIONS);
        if self.may_share() {
            // The last device of a segment may have fewer.
            let known = count().saturating_sub(of_device.id.into());
            functions |= if known >= FUNCTIONS.into() {
                (0..FUNCTIONS).fold(0, |functions, number| functions | uses(number))
            } else {
                (0..known as u16).fold(0, |functions, number| functions | uses(number))
            };
        }
        Sharers {
            of_device,
            functions,
        }
    }

    /// The lowest function of the device that uses its table.
    #[inline]
    fn lowest_sharer(self) -> Self {
        if !self.may_share() {
            return self;
        }
        let (of_device, table) = (self.of_device(), self.table());
        (0..self.id % FUNCTIONS)
            .map(|number| of_device.function(number))
            .find(|other| other.table() == table)
            .unwrap_or(self)
    }

    /// Returns whether it is the lowest function of the device that uses its table.
    pub(super) fn is_lowest(self) -> bool {
        self.lowest_sharer().id == self.id
    }

    /// The lock of its table: that of the lowest function which uses it.
    ///
    /// C takes the requester's own lock, which keeps nobody away that shares the table.
    #[inline]
    pub(super) fn lock(self) -> *mut sys::spinlock_t {
        if tables_per_requester() {
            // SAFETY: The lock is a part of what Xen keeps of the requester.
            unsafe { &raw mut (*self.lowest_sharer().as_ptr()).intremap_lock }
        } else {
            &raw mut sys::shim_shared_intremap_lock
        }
    }

    /// A function of the device of which this is function 0.
    #[inline]
    fn function(self, number: u16) -> Self {
        Self {
            id: self.id + number,
            ..self
        }
    }
}

/// Functions of a device that use the same table.
#[derive(Clone, Copy)]
pub(super) struct Sharers {
    /// Function 0 of the device.
    of_device: Requester,
    /// A bit for each.
    functions: u8,
}

impl Sharers {
    /// They, in ascending order.
    #[inline]
    pub(super) fn iter(self) -> impl Iterator<Item = Requester> {
        let mut left = self.functions;
        core::iter::from_fn(move || {
            let number = left.trailing_zeros() as u16;
            left &= left.wrapping_sub(1);
            (number < FUNCTIONS).then(|| self.of_device.function(number))
        })
    }
}
