//! What remapping keeps of the IO-APICs.

use super::{Iommu, Unit};
use crate::base::errno::Errno;
use crate::objects::ioapic::IoApic;
use crate::sync::once::{Once, Zeroed};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use irq_core::publish::Pointer;
use irq_hw::ioapic::Pin;
use xen_sys as sys;

/// The most pins of an IO-APIC: their number is that of a byte, plus one.
const MAX_PINS: usize = 256;
const MAX_IO_APICS: usize = sys::MAX_IO_APICS as usize;

/// What remapping keeps of an IO-APIC.
pub struct Pins {
    /// None where no unit serves it.
    iommu: Pointer<sys::vtd_iommu>,
    /// The ID that its requests bear; written before the IOMMU is published.
    id: AtomicU16,
    /// By the number of the pin.
    pins: [PinEntry; MAX_PINS],
}

/// What remapping keeps of a pin. Xen's IO-APIC lock is held where either is read or written, so
/// that no reader finds one without the other.
struct PinEntry {
    /// The number of its entry of the table plus one, or zero.
    index: AtomicU32,
    /// The pin's entry as Xen wrote it last, if that is not zero.
    logical: AtomicU64,
}

// SAFETY: Atomics are numbers and pointers, and zero is a value of those.
unsafe impl Zeroed for Pins {}

/// By the number of the IO-APIC.
static PINS: [Once<Pins>; MAX_IO_APICS] = [const { Once::empty() }; MAX_IO_APICS];

impl Pins {
    /// Those of an IO-APIC; `None` before [`Self::make`].
    #[inline]
    pub fn of(io_apic: IoApic) -> Option<&'static Self> {
        PINS.get(io_apic.number())?.get()
    }

    /// Gets ready to remap the pins of an IO-APIC. What firmware says of it does not change later.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`].
    #[doc(alias = "init_apic_pin_2_ir_idx")]
    pub fn make(io_apic: IoApic) -> Result<(), Errno> {
        let once = PINS.get(io_apic.number()).ok_or(Errno::NOMEM)?;
        let pins = once.make().ok_or(Errno::NOMEM)?;
        if let Some(unit) = Unit::of_io_apic(io_apic.id())
            && let Some(id) = unit.id_of_io_apic(io_apic.id())
        {
            pins.id.store(id, Ordering::Relaxed);
            pins.iommu.replace(NonNull::new(unit.iommu().as_ptr()));
        }
        Ok(())
    }

    /// The IOMMU that serves it, and the ID that its requests bear there.
    #[inline]
    pub fn iommu(&self) -> Option<(Iommu<'static>, u16)> {
        // SAFETY: The IOMMU of a unit stays.
        let iommu = unsafe { Iommu::from_raw(self.iommu.get()?.as_ptr()) }?;
        Some((iommu, self.id.load(Ordering::Relaxed)))
    }

    /// The entry of a pin.
    #[inline]
    pub fn index(&self, pin: usize) -> Option<usize> {
        let stored = self.pins.get(pin)?.index.load(Ordering::Relaxed);
        stored.checked_sub(1).map(|index| index as usize)
    }

    /// The entry of a pin as Xen wrote it last; `None` where the pin has no entry of the table.
    #[inline]
    pub fn logical(&self, pin: usize) -> Option<Pin> {
        self.index(pin)?;
        let logical = self.pins.get(pin)?.logical.load(Ordering::Relaxed);
        Some(Pin::new([logical]))
    }

    /// Notes the entry of the table that a pin has, and the pin's own as Xen writes it. There is
    /// nothing to note of a pin that does not exist.
    pub fn set(&self, pin: usize, index: usize, logical: Pin) {
        if let Some(place) = self.pins.get(pin) {
            let [logical] = logical.raw();
            place.logical.store(logical, Ordering::Relaxed);
            place.index.store(index as u32 + 1, Ordering::Relaxed);
        }
    }
}
