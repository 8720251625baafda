//! The IO-APICs and the HPET that firmware or the boot options speak of.

use super::Device;
use crate::ioapic::IoApic;
use crate::view::field;
use core::hint::cold_path;
use core::sync::atomic::{AtomicU16, Ordering};
use xen_sys as sys;

const MAX_IO_APICS: usize = sys::MAX_IO_APICS as usize;

/// How many IO-APICs are spoken of.
fn count() -> usize {
    // SAFETY: A number that is written here alone, while Xen boots, on its first CPU.
    let count = unsafe { (&raw const sys::nr_ioapic_sbdf).read_volatile() };
    count as usize
}

/// What is kept of the IO-APIC with an APIC ID, and the number under which that is spoken of; `None` where it is not.
#[inline]
fn find(id: u32) -> Option<(usize, *mut sys::ioapic_sbdf)> {
    let first = (&raw mut sys::ioapic_sbdf).cast::<sys::ioapic_sbdf>();
    for index in 0..count() {
        let entry = first.wrapping_add(index);
        // SAFETY: The element is in the array, which is written while Xen boots.
        let listed = unsafe { (&raw const (*entry).id).read_volatile() };
        if u32::from(listed) == id {
            return Some((index, entry));
        }
    }
    None
}

/// The number under which an IO-APIC is spoken of; `None` where it is not.
pub fn index_of_io_apic(id: u32) -> Option<usize> {
    find(id).map(|(index, _)| index)
}

/// The number under which another IO-APIC can be spoken of; `None` where there is none left.
///
/// Context: boot, one CPU.
pub fn allocate_io_apic() -> Option<usize> {
    let index = count();
    if index == MAX_IO_APICS {
        return None;
    }
    // SAFETY: Nobody else uses the variable at that time.
    unsafe { (&raw mut sys::nr_ioapic_sbdf).write_volatile(index as u32 + 1) };
    Some(index)
}

/// What is kept of an IO-APIC that is spoken of.
#[derive(Clone, Copy)]
pub struct Pins {
    io_apic: IoApic,
    entry: *mut sys::ioapic_sbdf,
}

impl Pins {
    /// Those of an IO-APIC; `None` where it is not spoken of.
    #[inline]
    pub fn of(io_apic: IoApic) -> Option<Self> {
        let (_, entry) = find(io_apic.id())?;
        Some(Self { io_apic, entry })
    }

    fn as_ptr(self) -> *mut sys::ioapic_sbdf {
        self.entry
    }

    /// The device that sends its messages.
    #[inline]
    pub fn device(self) -> Device {
        Device {
            segment: field!(self, seg),
            id: field!(self, bdf),
        }
    }

    /// What is kept of a pin; `None` where the IO-APIC has no such pin.
    #[inline]
    pub fn pin(self, pin: u32) -> Option<PinEntry> {
        let first: *mut u16 = field!(self, pin_2_idx);
        if first.is_null() {
            cold_path();
            return None;
        }
        let pin = pin as usize;
        if pin >= self.io_apic.pins() {
            cold_path();
            return None;
        }
        // SAFETY: There are as many, they stay, and nobody else writes them after they are made.
        Some(PinEntry(unsafe { AtomicU16::from_ptr(first.add(pin)) }))
    }
}

/// The entry of the table that a pin uses.
#[derive(Clone, Copy)]
pub struct PinEntry(&'static AtomicU16);

impl PinEntry {
    /// Its number. There is no entry of that number where the pin uses none.
    #[inline]
    pub fn index(self) -> usize {
        self.0.load(Ordering::Relaxed).into()
    }

    /// Notes its number.
    #[inline]
    pub fn set(self, index: usize) {
        self.0.store(index as u16, Ordering::Relaxed);
    }
}

/// The HPET that is spoken of; no more than one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hpet {
    /// Its number.
    pub id: u32,
    /// The device that sends its messages.
    pub device: Device,
}

/// Reads a field of `hpet_sbdf`.
macro_rules! hpet_field {
    ($field:ident) => {
        // SAFETY: The variable is written while Xen boots.
        unsafe { (&raw const sys::hpet_sbdf.$field).read_volatile() }
    };
}

/// The HPET; `None` where none is spoken of.
pub fn hpet() -> Option<Hpet> {
    (hpet_field!(init) != sys::HPET_NONE).then(|| Hpet {
        id: hpet_field!(id).into(),
        device: hpet_device(),
    })
}

/// The device that sends the HPET's messages.
pub(super) fn hpet_device() -> Device {
    Device {
        segment: hpet_field!(seg),
        id: hpet_field!(bdf),
    }
}
