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

/// Notes whether a write is left to C on this CPU; returns what was noted before.
fn note_writing(writing: bool) -> bool {
    // SAFETY: The variable is that of this CPU, which does not go offline meanwhile, and is used
    // here alone.
    let noted = unsafe { AtomicBool::from_ptr(sys::shim_config_writing()) };
    let before = noted.load(Ordering::Relaxed);
    noted.store(writing, Ordering::Relaxed);
    before
}

/// A domain's write to configuration space, from before it is carried out until it has been.
/// Nothing is kept of what is read there meanwhile.
#[must_use = "the write has been carried out where this is dropped"]
pub struct Writing(());

impl Writing {
    /// This CPU is about to carry out a write.
    pub fn begin() -> Self {
        GENERATION.begin();
        Self(())
    }

    /// Leaves the write to C on this CPU, which then calls [`written`].
    ///
    /// Context: the CPU does nothing else for a domain until then.
    pub fn leave_to_c(self) {
        let missed = note_writing(true);
        // A way out that misses `written` is a fault of the series. The write before counts as
        // under way in place of this one, until this one has been carried out.
        xen_assert!(!missed);
        if !missed {
            core::mem::forget(self);
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        GENERATION.end();
    }
}

/// C has carried out on this CPU what was left to it, if anything was.
pub fn written() {
    if note_writing(false) {
        drop(Writing(()));
    }
}

/// Says that something has changed in configuration space that others may have read meanwhile: Xen
/// has written it, or all devices have lost what they were told while the machine slept.
pub fn changed() {
    GENERATION.changed();
}
