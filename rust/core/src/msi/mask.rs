//! Masking a message for Xen, for its owner, or for both.
//!
//! A message is masked at the device while the host or the guest wants it masked. An entry of an
//! MSI-X table can be reached only while the function decodes memory, and some functions ask for
//! MSI-X to be enabled besides. Where the entry cannot be reached, a message can still be kept from
//! coming by masking all messages of the function.

use super::window::opened;
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

/// An entry of a function's MSI-X table.
pub trait Entry {
    /// Reads the entry's vector control; what was written before has reached the device then.
    fn vector_control(&self) -> u32;
    /// Writes the entry's vector control.
    fn set_vector_control(&self, value: u32);
    /// Returns whether the function is known to be enabled and to decode memory.
    fn is_known_ready(&self) -> bool;
}

/// The function of an entry, whose message control nothing else changes meanwhile.
pub trait LockedDev {
    /// Reads message control. What was known of the function before is known no more.
    fn control(&self) -> MsixControl;
    /// Writes message control.
    fn set_control(&self, control: MsixControl);
    /// Asks whether the function decodes memory.
    fn decodes_memory(&self) -> bool;
    /// Whether the host, and whether the owner, wants all messages of the function masked.
    fn mask_all(&self) -> Masks;
    /// Notes whether the host wants that.
    fn set_host_mask_all(&self, mask: bool);
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The entry is as wanted.
    Done,
    /// The entry cannot be reached. All messages of the function are masked; `newly` where they
    /// were not before.
    AllMasked {
        /// It is this call that did it.
        newly: bool,
    },
    /// The entry cannot be reached, and so it was not unmasked.
    Unreachable,
}

/// Masks or unmasks an entry of a function that is known to be ready, without a look at
/// configuration space; it was masked for `noted` before. Returns whether the entry is as wanted;
/// [`set_with_care`] is to be called else.
///
/// The entry is read before and after it is written. A function that is gone or does not decode
/// memory reads as all ones, and is not written to. One that has disabled MSI-X by itself may drop
/// the write, and answer all reads of its table with the same value. So that the mask bit is as
/// wanted is believed where it was seen to change, and where it had not to change.
///
/// Context: the lock of the message's descriptor is held.
#[inline]
pub fn set_if_known<E: Entry>(entry: &E, noted: Masks, masks: Masks) -> bool {
    if !entry.is_known_ready() {
        return false;
    }
    let mask = masks.any();
    let before = entry.vector_control();
    if before == u32::MAX || reads_as(before, mask) && noted.any() != mask {
        return false;
    }
    entry.set_vector_control(with_mask(before, mask));
    reads_as(entry.vector_control(), mask)
}

/// Whether vector control is that of an entry that can be reached and is masked or not; bits 31:1
/// may be anything.
#[inline]
const fn reads_as(vector_control: u32, masked: bool) -> bool {
    vector_control != u32::MAX && (vector_control & MASKED != 0) == masked
}

/// Vector control with another mask bit. Bits 31:1 stay, unless all ones say that there is no
/// answer.
#[inline]
pub const fn with_mask(vector_control: u32, mask: bool) -> u32 {
    let reserved = match vector_control {
        u32::MAX => 0,
        value => value & !MASKED,
    };
    reserved | if mask { MASKED } else { 0 }
}

/// Masks or unmasks an entry of `function`, of which nothing is known.
///
/// Context: as for [`set_if_known`].
#[cold]
pub fn set_with_care(entry: &impl Entry, function: &impl LockedDev, masks: Masks) -> Outcome {
    let mask = masks.any();
    let host = function.mask_all().host;
    let control = function.control();
    if !control.enabled() {
        function.set_host_mask_all(true);
        function.set_control(opened(control));
    }
    // What does not answer may have ceased to decode memory after it was asked.
    let decodes = function.decodes_memory() && (write(entry, mask) || function.decodes_memory());
    let (outcome, mask_all) = if decodes {
        if control.enabled() {
            return Outcome::Done;
        }
        (Outcome::Done, host)
    } else if !mask {
        (Outcome::Unreachable, host)
    } else {
        let newly = !control.masks_all();
        (Outcome::AllMasked { newly }, host || newly)
    };
    function.set_host_mask_all(mask_all);
    let masked = control.masks_all() || mask_all || function.mask_all().guest;
    function.set_control(control.with_mask_all(masked));
    outcome
}

/// Writes the mask bit of an entry, and has that reach the device. Returns whether it answers.
fn write(entry: &impl Entry, mask: bool) -> bool {
    entry.set_vector_control(with_mask(entry.vector_control(), mask));
    entry.vector_control() != u32::MAX
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

/// The mask register of an MSI with `capable` messages (32 at most) of which the first few are
/// enabled, by who wants those masked. Messages that are not enabled are masked.
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
