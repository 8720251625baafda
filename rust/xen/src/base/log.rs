//! Lines of the log, in upstream's words: users and tools search for them.
//!
//! Xen's formats know its objects (`%pp` is a function's address, `%pv` a vCPU), but their
//! arguments are not checked by rustc. Each line therefore has a function of its own with typed
//! arguments, and the format stands beside them.

use crate::arch::cpu::current;
use crate::base::errno::Errno;
use crate::objects::arch_msix::SharedPage;
use crate::objects::domain::Domain;
use crate::objects::pci_dev::PciDev;
use core::ffi::{CStr, c_int, c_uint};
use irq_hw::msi::{Address, Data};
use xen_sys as sys;

/// Prints a line: a literal format, and arguments that are integers of at least 32 bits, pointers
/// to C strings or pointers to objects.
macro_rules! print {
    ($format:literal $(, $argument:expr)*) => {
        // SAFETY: The format is literal, and its conversions are those of the arguments beside it.
        unsafe { sys::printk($format.as_ptr() $(, $argument)*) }
    };
}

/// Prints a line as `print!` does, in debug builds only, behind the place of the function's caller,
/// which is `#[track_caller]`'s: `dprintk()` and, with `%pv` and the current vCPU, `gdprintk()`.
macro_rules! debug {
    ($level:literal, $format:literal $(, $argument:expr)*) => {
        if cfg!(debug_assertions) {
            let place = core::panic::Location::caller();
            // SAFETY: The place's length bounds its text; the rest is as for `print!`.
            unsafe {
                xen_sys::printk(
                    concat!($level, "%.*s:%u:", $format, "\n\0").as_ptr().cast(),
                    place.file().len() as core::ffi::c_int,
                    place.file().as_ptr(),
                    place.line()
                    $(, $argument)*
                )
            }
        }
    };
}

/// Declares functions that print a line each: `name(arguments): format, values;`.
macro_rules! lines {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*):
        $format:literal $(, $value:expr)*;)+) => {$(
        $(#[$doc])*
        #[cold]
        pub fn $name($($argument: $type),*) {
            $crate::base::log::print!($format $(, $value)*);
        }
    )+};
}

/// Declares functions that print a line each in debug builds: `name(arguments): level, format,
/// values;`.
macro_rules! debug_lines {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*):
        $level:literal, $format:literal $(, $value:expr)*;)+) => {$(
        $(#[$doc])*
        #[cold]
        #[track_caller]
        pub fn $name($($argument: $type),*) {
            $crate::base::log::debug!($level, $format $(, $value)*);
        }
    )+};
}

// Not every unit prints.
#[allow(unused_imports)]
pub(crate) use {debug, debug_lines, lines, print};

lines! {
    /// A device sends with a delivery mode that Xen does not offer.
    unsupported_delivery_mode(domain: Domain, mode: u8):
        c"<G><1>%pv: Unsupported MSI delivery mode %d for Dom%d\n",
        current().as_ptr(), c_int::from(mode), c_int::from(domain.id());

    /// Registers beside a table cannot be reached.
    adjacent_page_not_initialized(device: PciDev, which: SharedPage, address: u64, base: u64):
        c"<G><1>%pv %pp: Page for adjacent(%d) MSI-X table access not initialized (addr %#lx, gtable %#lx)\n",
        current().as_ptr(), device.sbdf(), c_int::from(which == SharedPage::Last), address, base;

    /// A write beside a table is dropped.
    adjacent_write_dropped(device: PciDev, address: u64):
        c"<G><1>%pv %pp: MSI-X table and PBA share a page, discard write to adjacent memory (%#lx)\n",
        current().as_ptr(), device.sbdf(), address;
}

debug_lines! {
    /// An entry could not be unmasked after the device model was done.
    write_completion_failed(): "<G><1>", "%pv MSI-X write completion failure", current().as_ptr();

    /// A guest's message is for no local APIC.
    unsupported_address(device: PciDev, pirq: u32, address: Address):
        "<G><0>", "%pv %pp: PIRQ %u: unsupported address %lx",
        current().as_ptr(), device.sbdf(), pirq, address.raw();

    /// A pirq could not be bound.
    bind_failed(device: PciDev, pirq: u32, errno: Errno):
        "<G><0>", "%pv %pp: failed to bind PIRQ %u: %d",
        current().as_ptr(), device.sbdf(), pirq, errno.negative();

    /// Interrupts could not be mapped.
    map_failed(device: PciDev, errno: Errno):
        "<G><0>", "%pv %pp: failed to map PIRQ: %d",
        current().as_ptr(), device.sbdf(), errno.negative();
}

/// One of two words, for C.
pub fn word(condition: bool, yes: &'static CStr, no: &'static CStr) -> *const i8 {
    if condition { yes.as_ptr() } else { no.as_ptr() }
}

/// Prints a vPCI message for debug key `M`, between what stands before it and what behind it.
macro_rules! print_message {
    ($format:literal, ($($before:expr),*), $address:expr, $data:expr, ($($behind:expr),*)) => {
        print!(
            $format
            $(, $before)*,
            c_uint::from($data.vector()),
            word($data.delivery_mode() & 1 != 0, c"lowest", c"fixed"),
            word($data.level_triggered(), c"level", c"edge"),
            word($data.asserts(), c"", c"de"),
            word($address.logical(), c"log", c"phys"),
            word($address.redirection_hint(), c"lowest", c"fixed"),
            u64::from($address.destination())
            $(, $behind)*
        )
    };
}

/// Debug key `M`: a vPCI MSI.
pub fn vpci_msi(address: Address, data: Data, pirq: i32) {
    print_message!(
        c"vec=%#02x%7s%6s%3sassert%5s%7s dest_id=%lu pirq: %d\n",
        (),
        address,
        data,
        (pirq)
    );
}

/// Debug key `M`: an entry of a vPCI MSI-X table.
pub fn vpci_msix_entry(index: u32, address: Address, data: Data, masked: bool, pirq: i32) {
    print_message!(
        c"%6u vec=%02x%7s%6s%3sassert%5s%7s dest_id=%lu mask=%u pirq: %d\n",
        (index),
        address,
        data,
        (u32::from(masked), pirq)
    );
}

/// The levels above are those of Xen's headers.
const _: () = {
    assert!(matches!(sys::XENLOG_ERR, b"<0>\0"));
    assert!(matches!(sys::XENLOG_WARNING, b"<1>\0"));
    assert!(matches!(sys::XENLOG_INFO, b"<2>\0"));
    assert!(matches!(sys::XENLOG_GUEST, b"<G>\0"));
};
