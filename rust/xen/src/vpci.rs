//! MSI and MSI-X of vPCI, whose capabilities Xen itself emulates (`xen/vpci.h`).

use crate::nospec;
use crate::pci::PciDev;
use crate::view::{field, set_field, view};
use irq_hw::msi::{Address, Data};
use xen_sys as sys;

view! {
    /// An MSI capability.
    VpciMsi, sys::vpci_vpci_msi
}

view! {
    /// An MSI-X capability and its table.
    VpciMsix, sys::vpci_vpci_msix
}

view! {
    /// An entry of that table.
    VpciMsixEntry, sys::vpci_vpci_msix_vpci_msix_entry
}

const INVALID_PIRQ: i32 = sys::XEN_IRQ_INVALID_PIRQ;

/// Declares access to the field of a view that holds a pirq, or none.
macro_rules! pirq {
    ($name:ident) => {
        impl $name<'_> {
            /// The pirq that it is mapped to, the first of a block; `None` where it is not mapped.
            pub fn pirq(self) -> Option<i32> {
                Some(self.raw_pirq()).filter(|&pirq| pirq != INVALID_PIRQ)
            }

            /// The pirq as C prints it.
            pub fn raw_pirq(self) -> i32 {
                field!(self, arch.pirq)
            }

            /// Sets what [`Self::pirq`] returns.
            pub fn set_pirq(self, pirq: Option<i32>) {
                set_field!(self, arch.pirq)(pirq.unwrap_or(INVALID_PIRQ));
            }
        }
    };
}

pirq!(VpciMsi);
pirq!(VpciMsixEntry);

impl VpciMsi<'_> {
    /// The address that the guest wrote.
    pub fn address(self) -> Address {
        Address::new(field!(self, address))
    }

    /// The data that the guest wrote.
    pub fn data(self) -> Data {
        Data::new(field!(self, data).into())
    }

    /// The mask bits that the guest wrote, one for each message.
    pub fn mask(self) -> u32 {
        field!(self, mask)
    }

    /// How many messages the guest enabled.
    pub fn vectors(self) -> u32 {
        // SAFETY: The capability is alive.
        unsafe { sys::vpci_vpci_msi::vectors_raw(self.as_ptr()) }.into()
    }

    /// Returns whether its pirqs are bound.
    pub fn is_bound(self) -> bool {
        field!(self, arch.bound)
    }

    /// Sets what [`Self::is_bound`] returns.
    pub fn set_bound(self, bound: bool) {
        set_field!(self, arch.bound)(bound);
    }
}

impl<'a> VpciMsix<'a> {
    /// The function that has it.
    pub fn device(self) -> PciDev<'a> {
        // SAFETY: The capability is a part of the function's, which it names for good.
        unsafe { PciDev::from_raw(field!(self, pdev)).unwrap_unchecked() }
    }

    /// How many entries the table has.
    pub fn max_entries(self) -> u32 {
        // SAFETY: The capability is alive.
        unsafe { sys::vpci_vpci_msix::max_entries_raw(self.as_ptr()) }.into()
    }

    /// The entries, which lie behind the capability itself.
    fn first_entry(self) -> *mut sys::vpci_vpci_msix_vpci_msix_entry {
        // SAFETY: The array is a part of the capability.
        unsafe { (&raw mut (*self.as_ptr()).entries).cast() }
    }

    /// An entry; `index` is below [`Self::max_entries`], else `None`.
    pub fn entry(self, index: u32) -> Option<VpciMsixEntry<'a>> {
        if index >= self.max_entries() {
            return None;
        }
        // SAFETY: The array has that many elements.
        unsafe { VpciMsixEntry::from_raw(self.first_entry().add(index as usize)) }
    }
}

impl VpciMsixEntry<'_> {
    /// The address that the guest wrote.
    pub fn address(self) -> Address {
        Address::new(field!(self, addr))
    }

    /// The data that the guest wrote.
    pub fn data(self) -> Data {
        Data::new(field!(self, data))
    }

    /// Returns whether the guest has it masked.
    pub fn masked(self) -> bool {
        // SAFETY: The entry is alive.
        unsafe { sys::vpci_vpci_msix_vpci_msix_entry::masked_raw(self.as_ptr()) }
    }

    /// Its number in the table of a function, whose capability it belongs to.
    pub fn number(self, device: PciDev) -> u32 {
        // SAFETY: The entry is one of that capability's array, as C computes it, too.
        unsafe {
            let msix = (*field!(device, vpci)).msix;
            self.as_ptr().offset_from((&raw mut (*msix).entries).cast()) as u32
        }
    }
}

/// Why a walk over a table's entries has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// A lock was not to be had again.
    Busy,
    /// The capability is gone.
    Gone,
}

/// Drops the domain's `pci_lock` and the vPCI lock of a capability, lets softirqs run and takes the locks again.
///
/// Context: both locks are held, `pci_lock` for reading; no other lock is. When this fails neither is held.
///
/// # Errors
///
/// [`Interrupted`] where the walk that the locks protect cannot go on.
pub fn breathe(msix: VpciMsix) -> Result<(), Interrupted> {
    let device = msix.device();
    // SAFETY: The locks are held, and are dropped and taken in pairs. The function stays while its domain lives.
    unsafe {
        let pci_lock = &raw mut (*device.domain().as_ptr()).pci_lock;
        sys::_spin_unlock(&raw mut (*field!(device, vpci)).lock);
        sys::shim_read_unlock(pci_lock);
        sys::process_pending_softirqs();
        if !nospec::evaluate_lock(sys::shim_read_trylock(pci_lock)) {
            return Err(Interrupted::Busy);
        }
        let vpci = field!(device, vpci);
        if vpci.is_null() || !nospec::evaluate_lock(sys::shim_spin_trylock(&raw mut (*vpci).lock)) {
            sys::shim_read_unlock(pci_lock);
            return Err(Interrupted::Busy);
        }
        if (*vpci).msix != msix.as_ptr() {
            sys::_spin_unlock(&raw mut (*vpci).lock);
            sys::shim_read_unlock(pci_lock);
            return Err(Interrupted::Gone);
        }
    }
    Ok(())
}

/// Checks in debug builds that the locks that [`breathe`] drops are held.
pub fn assert_locked(msix: VpciMsix) {
    let device = msix.device();
    // SAFETY: The objects are alive.
    xen_assert!(unsafe { sys::shim_rw_is_locked(&raw const (*device.domain().as_ptr()).pci_lock) });
    // SAFETY: As above.
    xen_assert!(unsafe { sys::shim_spin_is_locked(&raw const (*field!(device, vpci)).lock) });
}
