//! IO-APICs (`asm/io_apic.h`).

use crate::view::element;
use xen_sys as sys;

/// Registers from here on are the pins' entries, two for each.
const FIRST_ENTRY: u32 = 0x10;

/// An IO-APIC by its number, 0 for the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic(u32);

/// Half of a pin's entry: what a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half {
    /// The pin.
    pub pin: usize,
    /// Whether it is the half with the destination.
    pub upper: bool,
}

impl Half {
    /// The half that a register holds; `None` for a register below the entries.
    #[inline]
    pub fn of(register: u32) -> Option<Self> {
        register.checked_sub(FIRST_ENTRY).map(|offset| Self {
            pin: offset as usize / 2,
            upper: offset % 2 != 0,
        })
    }
}

impl IoApic {
    /// How many there are.
    fn count() -> usize {
        // SAFETY: A number that is written while Xen boots, before anybody asks.
        unsafe { (&raw const sys::nr_ioapics).read_volatile() as usize }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::count() as u32).map(Self)
    }

    /// The one with a number that comes from Xen.
    #[inline]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[inline]
    pub const fn number(self) -> usize {
        self.0 as usize
    }

    /// Its APIC ID.
    pub fn id(self) -> u32 {
        element(&raw const sys::mp_ioapics, self.number()).map_or(0, |entry| {
            // SAFETY: The entry is in the array, which is written while Xen boots, before anybody asks.
            unsafe { (&raw const (*entry).mpc_apicid).read_volatile() }.into()
        })
    }

    /// How many pins it has.
    #[inline]
    pub fn pins(self) -> usize {
        element(&raw const sys::nr_ioapic_entries, self.number()).map_or(0, |count| {
            // SAFETY: The number is in the array, which is written while Xen boots, before anybody asks.
            let count = unsafe { count.read_volatile() };
            usize::try_from(count).unwrap_or(0)
        })
    }

    /// Reads a register as hardware has it.
    ///
    /// Context: Xen's IO-APIC lock is held.
    #[inline]
    pub fn read(self, register: u32) -> u32 {
        // SAFETY: The number is one of Xen's.
        unsafe { sys::shim_io_apic_read(self.0, register) }
    }

    /// Writes a pin's entry as hardware takes it.
    ///
    /// Context: Xen's IO-APIC lock is held.
    #[inline]
    pub fn write_entry(self, pin: u32, entry: u64) {
        let entry = sys::IO_APIC_route_entry {
            __bindgen_anon_1: sys::IO_APIC_route_entry__bindgen_ty_1 { raw: entry },
        };
        // SAFETY: The number is one of Xen's; the entry is plain bits.
        unsafe { sys::__ioapic_write_entry(self.0, pin, true, entry) };
    }
}
