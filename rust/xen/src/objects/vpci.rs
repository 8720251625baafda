//! MSI and MSI-X of vPCI, whose capabilities Xen itself emulates (`xen/vpci.h`).

use crate::base::errno::Errno;
use crate::base::view::{Word, field, set_field, view};
use crate::objects::pci_dev::{self, KeptDev, PciDev};
use crate::objects::views::Domain;
use crate::sync::lock::{Guard, Locked, Read};
use core::marker::PhantomData;
use core::mem::forget;
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
        // SAFETY: The capability is alive as a view's, and this reads bits of it.
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
        // SAFETY: The capability is alive as a view's, and this reads bits of it.
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
        // SAFETY: The entry is alive as a view's, and this reads a bit of it.
        unsafe { sys::vpci_vpci_msix_vpci_msix_entry::masked_raw(self.as_ptr()) }
    }

    /// Its number in the table of a function; `None` where it is not one of that table's.
    pub fn number(self, device: KeptDev) -> Option<u32> {
        let vpci = field!(*device, vpci);
        if vpci.is_null() {
            return None;
        }
        // SAFETY: A function's `vpci` lives until `vpci_deassign_device()`, for which the owner's
        // `pci_lock` is taken for writing, and `pcidevs_lock`; `device` stands for one of them.
        let msix = unsafe {
            VpciMsix::from_raw(<*mut sys::vpci_vpci_msix>::load(&raw const (*vpci).msix))
        }?;
        let bytes = (self.as_ptr() as usize).wrapping_sub(msix.first_entry() as usize);
        let number = (bytes / size_of::<sys::vpci_vpci_msix_vpci_msix_entry>()) as u32;
        (number < msix.max_entries()).then_some(number)
    }
}

/// An MSI-X capability whose vPCI lock is held, and the `pci_lock` of its domain for reading.
pub struct LockedMsix<'a> {
    msix: VpciMsix<'a>,
    local: PhantomData<*mut ()>,
}

impl<'a> LockedMsix<'a> {
    /// Stands for the locks that the caller of an export holds; debug builds check that it does.
    ///
    /// # Safety
    ///
    /// This CPU holds both locks, and for longer than the result lives unless
    /// [`Self::let_others_run`] drops them; and an RCU section keeps the domain.
    pub unsafe fn new(msix: VpciMsix<'a>) -> Self {
        let device = msix.device();
        // SAFETY: `new` asks for an RCU section that keeps the owner.
        let domain = unsafe { Domain::from_raw(field!(device, domain)) };
        xen_assert!(domain.is_some_and(|domain| {
            // SAFETY: The lock is a part of the domain, which is alive as a view's.
            unsafe { sys::shim_rw_is_locked(&raw const (*domain.as_ptr()).pci_lock) }
        }));
        // SAFETY: The capability, which is alive as a view's, is a part of the function's `vpci`,
        // and the lock is another.
        xen_assert!(unsafe { sys::shim_spin_is_locked(&raw const (*field!(device, vpci)).lock) });
        Self {
            msix,
            local: PhantomData,
        }
    }

    /// An entry; `None` beyond the end of the table.
    pub fn entry(&self, index: u32) -> Option<VpciMsixEntry<'_>> {
        self.msix.entry(index)
    }

    /// Drops the locks, lets softirqs run and takes the locks again. No other lock is held. When
    /// this fails neither is held.
    ///
    /// # Errors
    ///
    /// `BUSY` where a lock was not to be had again, `AGAIN` where the capability is gone.
    pub fn let_others_run(self) -> Result<Self, Errno> {
        let device = self.msix.device();
        // SAFETY: `new` asks for an RCU section that keeps the owner.
        let Some(domain) = (unsafe { Domain::from_raw(field!(device, domain)) }) else {
            // A function with a capability of vPCI is a domain's.
            xen_assert!(false);
            return Ok(self);
        };
        let id = device.identity();
        // SAFETY: `new` asks for both locks, and an RCU section that keeps the domain. They are
        // dropped here, and left to the caller again in the end. The function may go meanwhile: it
        // is looked for again with `pci_lock` held, which keeps it and its `vpci`.
        unsafe {
            let list = &raw mut (*domain.as_ptr()).pci_lock;
            drop(Locked::adopt(&raw mut (*field!(device, vpci)).lock, ()));
            drop(Guard::<Read>::adopt(list, ()));
            sys::process_pending_softirqs();
            let list = Guard::<Read>::try_take(list).ok_or(Errno::BUSY)?;
            let device = pci_dev::find(domain, id).ok_or(Errno::BUSY)?;
            let vpci = field!(device, vpci);
            if vpci.is_null() {
                return Err(Errno::BUSY);
            }
            let lock = Locked::try_take(&raw mut (*vpci).lock).ok_or(Errno::BUSY)?;
            if (*vpci).msix != self.msix.as_ptr() {
                return Err(Errno::AGAIN);
            }
            forget((lock, list));
        }
        Ok(self)
    }
}
