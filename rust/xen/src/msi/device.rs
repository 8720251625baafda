//! Functions whose interrupts Xen sets up (`xen/pci.h`).

use super::config::Address;
use crate::base::errno::Errno;
use crate::base::view::{Word, element, field, fixed};
use crate::objects::pci::PciDev;
use core::marker::PhantomData;
use xen_sys as sys;

/// The extended capability of a physical function that has virtual ones.
pub const SRIOV: u32 = sys::PCI_EXT_CAP_ID_SRIOV;

impl<'a> PciDev<'a> {
    /// Its configuration space.
    #[inline]
    pub fn config(self) -> Address {
        Address::new(self.sbdf_value())
    }

    /// Where its MSI capability is in configuration space, if it has one.
    pub fn msi_position(self) -> Option<u16> {
        let at = fixed!(self, msi_pos);
        (at != 0).then_some(at.into())
    }

    /// Where its MSI-X capability is in configuration space, if it has one.
    pub fn msix_position(self) -> Option<u16> {
        let at = fixed!(self, msix_pos);
        (at != 0).then_some(at.into())
    }

    /// How many messages its MSI capability has, 1 to 32.
    pub fn capable_messages(self) -> u32 {
        fixed!(self, msi_maxvec).into()
    }

    /// The physical function, where it is a virtual one.
    #[inline]
    pub fn physical(self) -> Option<Address> {
        fixed!(self, info.is_virtfn).then(|| {
            let (bus, devfn) = (
                fixed!(self, info.physfn.bus),
                fixed!(self, info.physfn.devfn),
            );
            let id = u16::from_le_bytes([devfn, bus]);
            self.config().sibling(id)
        })
    }

    /// How many bytes of memory each virtual function has at a base address; `None` where this is
    /// not one of them.
    pub fn virtual_bytes(self, base_address: u8) -> Option<u64> {
        if !fixed!(self, info.is_virtfn) {
            return None;
        }
        // SAFETY: For a virtual function the union holds a pointer to its physical function, which
        // lives longer.
        let physical =
            unsafe { PciDev::from_raw(field!(self, __bindgen_anon_2.pf_pdev).cast_mut()) }?;
        // SAFETY: For a physical function the union holds the sizes.
        let sizes = unsafe { &raw const (*physical.as_ptr()).__bindgen_anon_2.physfn.vf_rlen };
        let size = element(sizes, base_address.into())?;
        // SAFETY: `element` gives a place in the array of the physical function, which lives longer
        // than this one.
        let size = unsafe { u64::load(size) };
        (size != 0).then_some(size)
    }

    /// Returns whether a lock is held that keeps its list of interrupts from changing; debug builds
    /// ask.
    pub fn list_is_locked(self) -> bool {
        // SAFETY: The owner is alive, or there is none.
        unsafe { sys::shim_pdev_list_is_read_locked(field!(self, domain)) }
    }

    /// Returns whether all functions are locked.
    pub fn all_are_locked(self) -> bool {
        // SAFETY: Asks about a lock.
        unsafe { sys::pcidevs_locked() }
    }

    /// Asks the security module whether this domain may set up the function.
    ///
    /// # Errors
    ///
    /// What it answers.
    pub fn check_set_up_permission(self) -> Result<(), Errno> {
        // SAFETY: The function is alive as a view's, and the security module reads its address.
        Errno::check(unsafe { sys::shim_resource_setup_pci(self.as_ptr()) })
    }

    /// Switches its INTx on or off.
    pub fn set_intx(self, on: bool) {
        // SAFETY: The function is alive as a view's; `pci_intx()` writes its configuration space.
        unsafe { sys::pci_intx(self.as_ptr(), on) };
    }
}

/// All functions, locked: none comes, goes, or changes its owner.
pub struct AllDevices(PhantomData<*mut ()>);

impl AllDevices {
    /// Finds a function by its segment and ID.
    pub fn find(&self, segment: u16, id: u16) -> Option<PciDev<'_>> {
        let address = Address::of(segment, id).to_c();
        // SAFETY: `with_devices_locked` holds the lock that `pci_get_pdev()` asks for, and that
        // keeps the function, for as long as there is a value of this type. No domain stands for
        // any.
        unsafe { PciDev::from_raw(sys::pci_get_pdev(core::ptr::null(), address)) }
    }
}

/// Runs with all functions locked.
pub fn with_devices_locked<R>(run: impl FnOnce(&AllDevices) -> R) -> R {
    // SAFETY: `pcidevs_lock` lives as long as Xen, and may be taken again by the CPU that has it.
    unsafe { sys::shim_pcidevs_lock() };
    let result = run(&AllDevices(PhantomData));
    // SAFETY: It was taken above.
    unsafe { sys::pcidevs_unlock() };
    result
}

/// Has the shim call `xen_irq_disable_msi` for each function that Xen knows.
///
/// # Errors
///
/// What Xen returns for an iteration that did not get to its end.
pub fn disable_msi_of_all() -> Result<(), Errno> {
    // SAFETY: Takes the locks that it needs.
    Errno::check(unsafe { sys::shim_disable_msi_of_all() })
}
