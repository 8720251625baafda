//! What passthrough keeps of a domain's pirq (`struct hvm_pirq_dpci`, `xen/iommu.h`).

use crate::base::view::{field, view};
use irq_core::vmsi::deliver::GuestFlags;
use xen_sys as sys;

view! {
    /// What passthrough keeps of a pirq.
    PirqDpci, sys::hvm_pirq_dpci
}

impl PirqDpci<'_> {
    /// The virtual MSI that it turns into: vector, destination and modes.
    #[inline]
    pub fn guest_msi(self) -> (u32, GuestFlags) {
        (
            field!(self, gmsi.gvec),
            GuestFlags::from_bits_retain(field!(self, gmsi.gflags)),
        )
    }

    /// Returns whether it turns into a virtual MSI at all.
    pub fn is_guest_msi(self) -> bool {
        field!(self, flags) & sys::HVM_IRQ_DPCI_GUEST_MSI != 0
    }
}

/// The flags are those of the hypercall's interface.
const _: () = {
    assert!(GuestFlags::DESTINATION.bits() == sys::XEN_DOMCTL_VMSI_X86_DEST_ID_MASK);
    assert!(GuestFlags::REDIRECTION_HINT.bits() == sys::XEN_DOMCTL_VMSI_X86_RH_MASK);
    assert!(GuestFlags::LOGICAL.bits() == sys::XEN_DOMCTL_VMSI_X86_DM_MASK);
    assert!(GuestFlags::DELIVERY_MODE.bits() == sys::XEN_DOMCTL_VMSI_X86_DELIV_MASK);
    assert!(GuestFlags::LEVEL.bits() == sys::XEN_DOMCTL_VMSI_X86_TRIG_MASK);
    assert!(GuestFlags::UNMASKED.bits() == sys::XEN_DOMCTL_VMSI_X86_UNMASKED);
};
