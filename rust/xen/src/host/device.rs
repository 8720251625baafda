//! Functions whose interrupts Xen sets up (`xen/pci.h`).

use super::config::Address;
use crate::domain::Domain;
use crate::errno::Errno;
use crate::list;
use crate::msi_desc::MsiDesc;
use crate::pci::PciDev;
use crate::view::{element, field};
use xen_sys as sys;

/// The extended capability of a physical function that has virtual ones.
pub const SRIOV: u32 = sys::PCI_EXT_CAP_ID_SRIOV;

impl<'a> PciDev<'a> {
    /// The domain that owns it, if any does.
    pub fn owner(self) -> Option<Domain<'a>> {
        // SAFETY: A domain lives as long as its functions are its own.
        unsafe { Domain::from_raw(field!(self, domain)) }
    }

    /// Its configuration space.
    #[inline]
    pub fn config(self) -> Address {
        Address::new(self.sbdf_value())
    }

    /// Where its MSI capability is in configuration space, if it has one.
    pub fn msi_position(self) -> Option<u16> {
        let at = field!(self, msi_pos);
        (at != 0).then_some(at.into())
    }

    /// Where its MSI-X capability is in configuration space, if it has one.
    pub fn msix_position(self) -> Option<u16> {
        let at = field!(self, msix_pos);
        (at != 0).then_some(at.into())
    }

    /// How many messages its MSI capability has, 1 to 32.
    pub fn capable_messages(self) -> u32 {
        field!(self, msi_maxvec).into()
    }

    /// The physical function, where it is a virtual one.
    #[inline]
    pub fn physical(self) -> Option<Address> {
        let info = field!(self, info);
        info.is_virtfn.then(|| {
            let id = u16::from_le_bytes([info.physfn.devfn, info.physfn.bus]);
            self.config().sibling(id)
        })
    }

    /// How many bytes of memory each virtual function has at a base address, where this is one of them.
    pub fn virtual_bytes(self, base_address: u8) -> Option<u64> {
        // SAFETY: For a virtual function the union holds a pointer to its physical function, which lives longer.
        let physical =
            unsafe { PciDev::from_raw(field!(self, __bindgen_anon_2.pf_pdev).cast_mut()) }?;
        // SAFETY: For a physical function the union holds the sizes.
        let sizes = unsafe { &raw const (*physical.as_ptr()).__bindgen_anon_2.physfn.vf_rlen };
        let size = element(sizes, base_address.into())?;
        // SAFETY: The size is one of the array's.
        let size = unsafe { size.read_volatile() };
        (size != 0).then_some(size)
    }

    /// Returns whether a lock is held that keeps its list of interrupts from changing; debug builds ask.
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
        // SAFETY: The function is alive.
        Errno::check(unsafe { sys::shim_resource_setup_pci(self.as_ptr()) })
    }

    /// Switches its INTx on or off.
    pub fn set_intx(self, on: bool) {
        // SAFETY: The function is alive.
        unsafe { sys::pci_intx(self.as_ptr(), on) };
    }

    /// Returns whether no MSI or MSI-X entry is set up.
    pub fn has_no_msi(self) -> bool {
        self.msi_descs().next().is_none()
    }

    /// Adds an entry behind all others.
    ///
    /// Context: `pcidevs_lock` or the owner's PCI lock is held.
    pub fn append(self, desc: MsiDesc) {
        // SAFETY: The head and the entry are alive, and nobody else changes the list.
        unsafe { list::append(&raw mut (*self.as_ptr()).msi_list, desc.node()) };
    }
}

/// Runs with all functions locked: none comes, goes, or changes its owner meanwhile.
pub fn with_devices_locked<R>(run: impl FnOnce() -> R) -> R {
    // SAFETY: The lock may be taken again by who has it.
    unsafe { sys::shim_pcidevs_lock() };
    let result = run();
    // SAFETY: It is held.
    unsafe { sys::pcidevs_unlock() };
    result
}

/// Finds a function by its segment and ID.
///
/// Context: inside [`with_devices_locked`].
pub fn find<'a>(segment: u16, id: u16) -> Option<PciDev<'a>> {
    let address = Address::of(segment, id).to_c();
    // SAFETY: No domain stands for any.
    unsafe { PciDev::from_raw(sys::pci_get_pdev(core::ptr::null(), address)) }
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
