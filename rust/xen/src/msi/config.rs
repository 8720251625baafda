//! What is kept of configuration space, and for how long it holds.

use super::options;
use crate::objects::domain;
use core::sync::atomic::{AtomicBool, Ordering};
use irq_core::msi::generation::{Generation, Seen};
use xen_sys as sys;

/// What was read of configuration space holds for as long as this is the same.
static GENERATION: Generation = Generation::new();

/// Returns whether what was kept with a generation's number still holds.
#[inline]
pub(crate) fn still_holds(generation: u32) -> bool {
    GENERATION.is(generation)
}

/// The generation with which something may be kept that is going to be read now; `None` where
/// nothing may: dom0 is about to write to configuration space, or not all that it writes is seen,
/// or the boot option `msi-recheck` is set.
pub fn generation() -> Option<Seen> {
    if options::rechecks() || !writes_are_seen() {
        return None;
    }
    GENERATION.current()
}

/// Returns whether Xen sees each write of a domain to configuration space before it is carried out:
/// those of a PV dom0 trap, and are all shown to `pci_conf_write_intercept()`; those of a PVH dom0
/// go through vPCI, which shows few.
fn writes_are_seen() -> bool {
    domain::hardware_domain_is_hvm() == Some(false)
}

/// Notes whether this CPU has begun a write that it has not said to be carried out; returns what
/// was noted before.
fn note_writing(writing: bool) -> bool {
    // SAFETY: The variable is that of this CPU, which does not go offline meanwhile, and is used
    // here alone.
    let noted = unsafe { AtomicBool::from_ptr(sys::shim_config_writing()) };
    let before = noted.load(Ordering::Relaxed);
    noted.store(writing, Ordering::Relaxed);
    before
}

/// This CPU is about to carry out a domain's write to configuration space. Nothing is kept of what
/// is read there until [`written`].
///
/// Context: the CPU does nothing else for a domain until then.
pub fn writing() {
    let missed = note_writing(true);
    // A way out that misses `written` is a fault of the series. The write before counts as under
    // way until this one has been carried out.
    xen_assert!(!missed);
    if !missed {
        GENERATION.begin();
    }
}

/// This CPU has carried out the write that it had begun, if any.
pub fn written() {
    if note_writing(false) {
        GENERATION.end();
    }
}

/// Says that something has changed in configuration space that others may have read meanwhile: Xen
/// has written it, or all devices have lost what they were told while the machine slept.
pub fn changed() {
    GENERATION.changed();
}
