//! Requesters, and what Xen keeps of each (`struct ivrs_mappings`).

use super::table::Kept;
use super::{Device, Iommu, tables_per_requester};
use crate::base::view::{Word, field, set_field};
use core::hint::cold_path;
use core::ptr;
use xen_sys as sys;

/// Functions of a PCI device.
pub(super) const FUNCTIONS: u32 = 8;

/// A requester: an ID of a segment.
///
/// Functions of a device may share a table: phantom functions are parts of another function, and a
/// function that firmware does not list is taken for a copy of function 0. The table is freed with
/// the lowest of them.
#[derive(Clone, Copy)]
pub struct Requester {
    /// What is kept of the segment's requester 0.
    of_segment: *mut sys::ivrs_mappings,
    id: u16,
}

/// How many requesters a segment has: a multiple of [`FUNCTIONS`], so that with a function there
/// are all of its device.
pub(super) fn count() -> u32 {
    // SAFETY: A number that is written while Xen boots, before there are requesters.
    unsafe { (&raw const sys::ivrs_bdf_entries).read_volatile() }
}

/// A device, and the IOMMU that serves it.
#[derive(Clone, Copy)]
pub struct Served<'a> {
    pub(super) iommu: Iommu<'a>,
    segment: u16,
    /// The requester of messages that bear the device's own ID.
    pub(super) own: Requester,
}

impl Served<'_> {
    /// Finds the IOMMU that serves a device.
    #[doc(alias = "_find_iommu_for_device")]
    #[inline]
    pub fn by_iommu(device: Device) -> Option<Self> {
        let (segment, id) = (device.segment, device.id);
        // SAFETY: Any device may be asked for.
        let iommu =
            unsafe { Iommu::from_raw(sys::find_iommu_for_device(segment.into(), id.into())) }?;
        // SAFETY: Any segment may be asked for. IOMMUs serve requesters alone, so there are some,
        // and one of this ID.
        let of_segment = unsafe { sys::get_ivrs_mappings(segment) };
        Some(Self {
            iommu,
            segment,
            own: Requester { of_segment, id },
        })
    }

    /// The requester that memory accesses come from, which some devices use for messages, too.
    #[inline]
    pub(super) fn of_accesses(self) -> Requester {
        // SAFETY: There is a requester of that ID.
        let id = unsafe { sys::get_dma_requestor_id(self.segment, self.own.id) };
        // It is its own ID, or that of messages.
        Requester {
            id: id as u16,
            ..self.own
        }
    }
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
    pub fn of(device: Device) -> Option<Self> {
        // SAFETY: Any segment may be asked for.
        let of_segment = unsafe { sys::get_ivrs_mappings(device.segment) };
        let is_there = !of_segment.is_null() && u32::from(device.id) < count();
        is_there.then_some(Self {
            of_segment,
            id: device.id,
        })
    }

    /// The requester that messages of the device with this ID come from, as firmware says. What
    /// firmware says of requesters that there are not is not taken up.
    #[doc(alias = "get_intremap_requestor_id")]
    #[inline]
    pub fn of_interrupts(self) -> Self {
        Self {
            id: field!(self, dte_requestor_id),
            ..self
        }
    }

    /// Another requester of the segment; `None` where there is none of that ID.
    #[inline(always)]
    pub(super) fn other(self, id: u16) -> Option<Self> {
        (u32::from(id) < count()).then_some(Self { id, ..self })
    }

    /// What Xen keeps of it.
    #[inline]
    pub(super) fn as_ptr(self) -> *mut sys::ivrs_mappings {
        xen_assert!(u32::from(self.id) < count());
        // SAFETY: There is a requester of this ID.
        unsafe { self.of_segment.add(self.id.into()) }
    }

    /// Its ID: bus in bits 15:8, device in bits 7:3, function in bits 2:0.
    #[inline]
    pub fn id(self) -> u16 {
        self.id
    }

    /// What is kept of its table; null where it has none. C files hand the pointer on, and no more.
    #[inline]
    pub(super) fn kept(self) -> *mut Kept {
        field!(self, intremap_inuse).cast()
    }

    /// Forgets its table.
    pub(super) fn forget_table(self) {
        set_field!(self, intremap_table)(ptr::null_mut());
        set_field!(self, intremap_inuse)(ptr::null_mut());
    }

    /// Function 0 of the device.
    #[inline]
    fn of_device(self) -> Self {
        Self {
            id: self.id & !(FUNCTIONS as u16 - 1),
            ..self
        }
    }

    /// Whether it was taken for a copy of its device's function 0, because firmware does not list
    /// it.
    ///
    /// Then it has the pointers to function 0's table, but its own entry of the device table points
    /// to no table, and the IOMMU drops its messages. (A phantom function has the pointers, too;
    /// but that sends no messages of its own.)
    #[inline]
    pub(super) fn is_copy(self) -> bool {
        let of_device = self.of_device();
        let kept = self.kept();
        self.id != of_device.id
            && !kept.is_null()
            && kept == of_device.kept()
            && tables_per_requester()
    }

    /// Has something done for each function of the device that uses a table, in ascending order.
    #[inline]
    pub(super) fn for_each_user(self, kept: *mut Kept, mut act: impl FnMut(Self)) {
        let of_device = self.of_device();
        // Seen from function 0, the others are at constant distances.
        let first = of_device.as_ptr();
        for function in 0..FUNCTIONS as u16 {
            // SAFETY: With a function there are all of its device, and what Xen keeps of them is
            // never freed; the field is read and written word by word.
            let of_function = unsafe {
                let mapping = first.add(function.into());
                Word::load(&raw const (*mapping).intremap_inuse)
            };
            if of_function.cast() == kept {
                act(Self {
                    id: of_device.id | function,
                    ..self
                });
            }
        }
    }

    /// The lock of its table: that of function 0 of the device, with which it may share the table.
    ///
    /// A requester's own lock would not keep those away that share the table.
    #[doc(alias = "get_intremap_lock")]
    #[inline]
    pub(super) fn lock(self) -> *mut sys::spinlock_t {
        if !tables_per_requester() {
            cold_path();
            return &raw mut sys::shim_shared_intremap_lock;
        }
        // SAFETY: The lock is a part of what Xen keeps of the requester.
        unsafe { &raw mut (*self.of_device().as_ptr()).intremap_lock }
    }
}
