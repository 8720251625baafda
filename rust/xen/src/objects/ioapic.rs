//! IO-APICs (`asm/io_apic.h`).

use core::marker::PhantomData;
use core::ops::Deref;
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
        // SAFETY: A number that is written while Xen parses MADT at boot, before it is read here.
        unsafe { (&raw const sys::nr_ioapics).read_volatile() as usize }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::count() as u32).map(Self)
    }

    /// Its number.
    #[inline]
    pub const fn number(self) -> usize {
        self.0 as usize
    }

    /// Its APIC ID.
    #[inline]
    pub fn id(self) -> u32 {
        let entries = (&raw const sys::mp_ioapics).cast::<sys::mpc_config_ioapic>();
        // SAFETY: Xen has one of that number. The array is written at boot, while Xen parses MADT
        // and where it gives IO-APICs their IDs, by one CPU.
        unsafe { (&raw const (*entries.add(self.number())).mpc_apicid).read_volatile() }.into()
    }

    /// How many pins it has.
    #[inline]
    pub fn pins(self) -> usize {
        let counts = (&raw const sys::nr_ioapic_entries).cast::<u32>();
        // SAFETY: Xen has one of that number; the array is written where Xen maps the IO-APICs at
        // boot, before it is read here.
        unsafe { counts.add(self.number()).read_volatile() as usize }
    }
}

/// An IO-APIC that this CPU alone uses: it holds Xen's IO-APIC lock with IRQs off, or is the only
/// one that runs.
#[derive(Clone, Copy)]
pub struct LockedIoApic<'a> {
    io_apic: IoApic,
    life: PhantomData<(&'a (), *mut ())>,
}

impl LockedIoApic<'_> {
    /// Takes the one of which the caller of an export tells the number.
    ///
    /// # Safety
    ///
    /// Xen has an IO-APIC of that number. For longer than the result lives, this CPU holds
    /// `ioapic_lock` with IRQs off, or no other runs.
    #[inline]
    pub const unsafe fn new(number: u32) -> Self {
        Self {
            io_apic: IoApic(number),
            life: PhantomData,
        }
    }

    /// Reads a register as hardware has it.
    #[inline]
    pub fn read(self, register: u32) -> u32 {
        // SAFETY: `new` asks for one that Xen has, and for the lock that guards its registers.
        unsafe { sys::shim_io_apic_read(self.io_apic.0, register) }
    }

    /// Writes a pin's entry as hardware takes it.
    #[inline]
    pub fn write_entry(self, pin: u32, entry: u64) {
        let entry = sys::IO_APIC_route_entry {
            __bindgen_anon_1: sys::IO_APIC_route_entry__bindgen_ty_1 { raw: entry },
        };
        // SAFETY: `new` asks for one that Xen has, and for the lock; the entry is plain bits.
        unsafe { sys::__ioapic_write_entry(self.io_apic.0, pin, true, entry) };
    }
}

impl Deref for LockedIoApic<'_> {
    type Target = IoApic;

    #[inline]
    fn deref(&self) -> &IoApic {
        &self.io_apic
    }
}
