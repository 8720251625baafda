//! The boot options of MSI and MSI-X.

use xen_sys as sys;

/// Returns whether MSI and MSI-X are used at all, by the boot option `msi` or else by firmware.
pub fn allowed() -> bool {
    // SAFETY: A number that is written while Xen boots.
    unsafe { (&raw const sys::shim_use_msi).read_volatile() != 0 }
}

/// Leaves it to firmware where the boot option does not say.
///
/// Context: boot, when firmware's tables are read and before anything asks.
#[doc(alias = "early_msi_init")]
pub fn decide() {
    // SAFETY: Only the boot CPU runs.
    unsafe {
        let option = &raw mut sys::shim_use_msi;
        if option.read_volatile() < 0 {
            option.write_volatile(sys::shim_firmware_allows_msi().into());
        }
    }
}

/// Returns whether the boot option `msi-recheck` is set: registers are read each time, as without
/// Rust.
#[inline]
pub fn rechecks() -> bool {
    // SAFETY: A flag that is written while the command line is read.
    unsafe { (&raw const sys::shim_msi_recheck).read_volatile() }
}
