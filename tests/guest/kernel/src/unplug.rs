//! Devices that are to be unplugged, as the firmware's tables tell an operating system of them.

use crate::port;

const LEAVING: u16 = 0xae04;
const EJECT: u16 = 0xae08;

/// The slots of bus 0 that are to be emptied, by a bit each.
pub fn leaving() -> u32 {
    // SAFETY: reading which slots are to be emptied changes nothing.
    unsafe { port::in32(LEAVING) }
}

/// Empties slots.
///
/// # Safety
/// Their devices are not used any more.
pub unsafe fn eject(slots: u32) {
    // SAFETY: the devices are not used any more, as this function asks.
    unsafe { port::out32(EJECT, slots) };
}
