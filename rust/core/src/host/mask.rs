//! Masking a message for Xen, for its owner, or for both.
//!
//! A message is masked at the device while the host or the guest wants it masked. An entry of an MSI-X table can be reached only
//! while the function decodes memory, and some functions ask for MSI-X to be enabled besides. Where the entry cannot be
//! reached, a message can still be kept from coming by masking all messages of the function.
//!
//! Bits 31:1 of an entry's vector control are the device's: steering tags, or what a device keeps there (PCIe 6.0, section
//! 7.7.2.5). They are written as they were read last.

use irq_hw::msix::MASKED;
use irq_hw::pci::MsixControl;

#[cfg(test)]
mod tests;

/// Who wants a message masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masks {
    /// Xen does.
    pub host: bool,
    /// The owner does.
    pub guest: bool,
}

impl Masks {
    /// Returns whether anybody does.
    #[inline]
    pub const fn any(self) -> bool {
        self.host || self.guest
    }
}

/// A function with an MSI-X table, and one entry of the table.
pub trait Entry {
    /// Reads message control.
    fn control(&self) -> MsixControl;
    /// Writes message control.
    fn set_control(&self, control: MsixControl);
    /// Asks whether the function decodes memory.
    fn decodes_memory(&self) -> bool;
    /// Writes the entry's vector control, and reads it back, so that the device has seen it.
    fn set_vector_control(&self, value: u32) -> u32;
    /// Reads bits 31:1 of the entry's vector control; those that were read last where it reads as all ones.
    fn read_reserved(&self) -> u32;
    /// Whether the host, and whether the owner, wants all messages of the function masked.
    fn mask_all(&self) -> Masks;
    /// Notes whether the host wants that.
    fn set_host_mask_all(&self, mask: bool);
    /// Returns bits 31:1 of the entry's vector control where the function is known to be enabled and to decode memory. They are
    /// read again where the function may have changed since they were read last.
    fn known(&self) -> Option<u32>;
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The entry is as wanted.
    Done,
    /// The entry cannot be reached. All messages of the function are masked; `newly` where they were not before.
    AllMasked {
        /// It is this call that did it.
        newly: bool,
    },
    /// The entry cannot be reached, and so it was not unmasked.
    Unreachable,
}

/// Masks or unmasks an entry. Takes no read of configuration space where the function is known to be ready and turns out to
/// be.
///
/// Context: the lock of the message's descriptor is held.
#[inline]
pub fn set<E: Entry>(entry: &E, masks: Masks) -> Outcome {
    let mask = if masks.any() { MASKED } else { 0 };
    if let Some(reserved) = entry.known() {
        let value = reserved | mask;
        if has_taken(entry.set_vector_control(value), value) {
            return Outcome::Done;
        }
    }
    set_with_care(entry, mask)
}

/// Whether an entry has what was written, by what is read of it. A function that is gone, or does not decode memory any more, reads
/// as all ones; one that was reset has other bits 31:1, where it has any.
#[inline]
const fn has_taken(read: u32, written: u32) -> bool {
    read == written && read != u32::MAX
}

/// Masks or unmasks an entry of a function of which nothing is known.
#[cold]
fn set_with_care<E: Entry>(entry: &E, mask: u32) -> Outcome {
    let host = entry.mask_all().host;
    let control = entry.control();
    if !control.enabled() {
        entry.set_host_mask_all(true);
        entry.set_control(control.with_enabled(true).with_mask_all(true));
    }
    let (outcome, mask_all) = if entry.decodes_memory() {
        entry.set_vector_control(entry.read_reserved() | mask);
        if control.enabled() {
            return Outcome::Done;
        }
        (Outcome::Done, host)
    } else if mask == 0 {
        (Outcome::Unreachable, host)
    } else {
        let newly = !control.masks_all();
        (Outcome::AllMasked { newly }, host || newly)
    };
    entry.set_host_mask_all(mask_all);
    let masked = control.masks_all() || mask_all || entry.mask_all().guest;
    entry.set_control(control.with_mask_all(masked));
    outcome
}

/// The mask bits that an MSI with `capable` messages (1 to 32) has.
#[inline]
pub const fn all(capable: u32) -> u32 {
    let capable = match capable {
        0 => 1,
        33.. => 32,
        number => number,
    };
    u32::MAX >> (32 - capable)
}

/// The mask register of an MSI with `capable` messages (32 at most) of which the first few are enabled, by who wants those
/// masked. Messages that are not enabled are masked.
#[inline]
pub fn register(capable: u32, enabled: impl Iterator<Item = Masks>) -> u32 {
    enabled
        .take(32)
        .enumerate()
        .filter(|(_, masks)| !masks.any())
        .fold(all(capable), |register, (number, _)| {
            register & !(1 << number)
        })
}
