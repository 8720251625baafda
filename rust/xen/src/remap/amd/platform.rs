//! The IO-APICs and the HPET that firmware or the boot options speak of.

use super::Device;
use crate::base::boot::Booting;
use crate::base::view::field;
use crate::objects::ioapic::IoApic;
use crate::sync::once::{Once, Zeroed};
use core::hint::cold_path;
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use irq_hw::ioapic::Pin;
use xen_sys as sys;

const MAX_IO_APICS: usize = sys::MAX_IO_APICS as usize;
/// The most pins of an IO-APIC: their number is that of a byte, plus one.
const MAX_PINS: usize = 256;

/// How many IO-APICs are spoken of.
fn count() -> usize {
    // SAFETY: A number that is written here alone, while Xen boots, on its first CPU.
    let count = unsafe { (&raw const sys::nr_ioapic_sbdf).read_volatile() };
    count as usize
}

/// What is kept of the IO-APIC with an APIC ID, and the number under which that is spoken of;
/// `None` where it is not.
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
#[doc(alias = "ioapic_id_to_index")]
pub fn index_of_io_apic(id: u32) -> Option<usize> {
    find(id).map(|(index, _)| index)
}

/// The number under which another IO-APIC can be spoken of; `None` where there is none left.
#[doc(alias = "get_next_ioapic_sbdf_index")]
pub fn allocate_io_apic(_: Booting) -> Option<usize> {
    let index = count();
    if index == MAX_IO_APICS {
        return None;
    }
    // SAFETY: Xen boots, so no other CPU uses the variable.
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
        Some(PinEntry {
            // SAFETY: C allocates as many as the IO-APIC has pins, never frees them, and does not
            // write them after it has filled them in.
            index: unsafe { AtomicU16::from_ptr(first.add(pin)) },
            logical: LOGICAL
                .get(self.first_of_same_id().number())?
                .get()?
                .0
                .get(pin)?,
        })
    }

    /// Allocates what is kept of pins besides what C has, unless that was done. `None` where there
    /// is no memory.
    ///
    /// Context: as for `xmalloc()`; Xen boots, or it was done before.
    pub(super) fn make() -> Option<()> {
        IoApic::all().try_for_each(|io_apic| {
            LOGICAL.get(io_apic.number())?.make()?;
            Some(())
        })
    }

    /// The first IO-APIC with this one's APIC ID: those that firmware gives the same ID have pins
    /// in common.
    #[inline]
    fn first_of_same_id(self) -> IoApic {
        let id = self.io_apic.id();
        IoApic::all()
            .find(|other| other.id() == id)
            .unwrap_or(self.io_apic)
    }
}

/// The entries of an IO-APIC's pins as Xen sees them: those of the hardware have the number of an
/// entry of the table in place of vector and delivery mode.
struct Logical([AtomicU64; MAX_PINS]);

// SAFETY: Atomics are numbers, and zero is one.
unsafe impl Zeroed for Logical {}

/// By the number of the IO-APIC.
static LOGICAL: [Once<Logical>; MAX_IO_APICS] = [const { Once::empty() }; MAX_IO_APICS];

/// The entry of the table that a pin uses.
#[derive(Clone, Copy)]
pub struct PinEntry {
    index: &'static AtomicU16,
    logical: &'static AtomicU64,
}

impl PinEntry {
    /// Its number. There is no entry of that number where the pin uses none.
    #[inline]
    pub fn index(self) -> usize {
        self.index.load(Ordering::Relaxed).into()
    }

    /// Notes its number.
    #[inline]
    pub fn set(self, index: usize) {
        self.index.store(index as u16, Ordering::Relaxed);
    }

    /// The pin's entry as Xen wrote it last; it means something only where the pin uses an entry.
    #[inline]
    pub fn logical(self) -> Pin {
        Pin::new([self.logical.load(Ordering::Relaxed)])
    }

    /// Notes the pin's entry as Xen writes it. Both are noted under Xen's IO-APIC lock, so that no
    /// reader finds one without the other.
    #[inline]
    pub fn set_logical(self, entry: Pin) {
        let [entry] = entry.raw();
        self.logical.store(entry, Ordering::Relaxed);
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
