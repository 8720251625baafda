//! Extended interrupt mode.

use xen::base::boot::Booting;
use xen::objects::ioapic::IoApic;
use xen::remap;
use xen::remap::amd::{self, Pins, Served, log};

/// Returns whether all IOMMUs can remap with 32-bit destinations, and serve all IO-APICs. They are
/// prepared for it.
#[doc(alias = "iov_supports_xt")]
pub fn supports_extended_mode(boot: Booting) -> bool {
    if !remap::iommus_wanted(boot) || !remap::wanted() {
        return false;
    }
    if !remap::require_wide_exchange(boot) {
        log::no_wide_exchange();
        return false;
    }
    if !amd::prepare_extended_mode(boot) {
        // Where firmware's table is wrong, Xen has given all IOMMUs up. It must not prepare them
        // once more: with none, that ends in a BUG_ON.
        if amd::iommus().next().is_none() {
            remap::give_up_iommus(boot);
        }
        return false;
    }
    for io_apic in IoApic::all() {
        let Some(pins) = Pins::of(io_apic) else {
            return false;
        };
        if Served::by_iommu(pins.device()).is_none() {
            log::io_apic_without_iommu(io_apic);
            return false;
        }
    }
    true
}
