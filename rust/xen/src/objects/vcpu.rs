//! Virtual CPUs (`xen/sched.h`, `asm/hvm/vcpu.h`).

#[cfg(hvm)]
use crate::base::view::{deref, set_field};
use crate::base::view::{field, fixed};
#[cfg(hvm)]
use crate::objects::ioreq::Ioreq;
use crate::objects::views::Domain;
#[cfg(hvm)]
pub use crate::objects::views::HvmVcpu;
pub use crate::objects::views::Vcpu;
#[cfg(hvm)]
use crate::objects::views::{HvmDomain, Vlapic};
#[cfg(hvm)]
use irq_core::vmsi::snoop::Candidate;
#[cfg(hvm)]
use xen_sys as sys;

impl<'a> Vcpu<'a> {
    /// Its number within the domain.
    #[inline]
    pub fn id(self) -> i32 {
        fixed!(self, vcpu_id)
    }

    /// The domain that it belongs to.
    #[inline]
    pub fn domain(self) -> Domain<'a> {
        // SAFETY: A vCPU belongs to its domain from its creation to its end.
        unsafe { Domain::from_raw(fixed!(self, domain)).unwrap_unchecked() }
    }

    /// The CPU that it runs on, or ran on last.
    pub fn processor(self) -> u32 {
        field!(self, processor).cast_unsigned()
    }

    /// The domain's next vCPU.
    #[inline]
    pub fn next(self) -> Option<Self> {
        // SAFETY: The domain's list of vCPUs only grows while the domain lives.
        unsafe { Self::from_raw(field!(self, next_in_list)) }
    }

    /// Returns whether it, or its whole domain, is to be paused: who has asked for that may wait
    /// until the vCPU stops running (`vcpu_pause()`, `domain_pause()`).
    pub fn is_being_paused(self) -> bool {
        field!(self, pause_count.counter) != 0 || field!(self.domain(), pause_count.counter) != 0
    }
}

#[cfg(hvm)]
impl<'a> HvmVcpu<'a> {
    /// Takes the vCPU that the caller of an export names; debug builds check its domain's kind.
    ///
    /// # Safety
    ///
    /// Its domain is one of HVM (or PVH).
    #[inline]
    pub unsafe fn new(vcpu: Vcpu<'a>) -> Self {
        xen_assert!(vcpu.domain().was_created_as_hvm());
        Self(vcpu)
    }

    /// The domain that it belongs to.
    #[inline]
    pub fn domain(self) -> HvmDomain<'a> {
        HvmDomain(self.0.domain())
    }

    /// The domain's next vCPU.
    #[inline]
    pub fn next(self) -> Option<Self> {
        self.0.next().map(Self)
    }

    /// Its local APIC.
    #[inline]
    pub fn vlapic(self) -> Vlapic<'a> {
        // SAFETY: The APIC is a part of the vCPU.
        unsafe {
            Vlapic::from_raw(&raw mut (*self.as_ptr()).arch.__bindgen_anon_1.hvm.vlapic)
                .unwrap_unchecked()
        }
    }

    /// The request that the device model is handling, or has just answered.
    #[inline]
    pub fn request(self) -> Ioreq<'a> {
        // SAFETY: The request is a part of the vCPU.
        unsafe { Ioreq::from_raw(&raw mut (*self.as_ptr()).io.req).unwrap_unchecked() }
    }

    /// Returns whether it waits for the device model.
    #[inline]
    pub fn is_blocked_in_xen(self) -> bool {
        field!(self, pause_flags) & sys::XEN_IRQ_VPF_BLOCKED_IN_XEN != 0
    }

    /// The vector control dword that is to be unmasked when the device model is done; 0 for none.
    #[inline]
    pub fn unmask_address(self) -> u64 {
        field!(self, arch.__bindgen_anon_1.hvm.hvm_io.msix_unmask_address)
    }

    /// Sets what [`Self::unmask_address`] returns.
    #[inline]
    pub fn set_unmask_address(self, address: u64) {
        set_field!(self, arch.__bindgen_anon_1.hvm.hvm_io.msix_unmask_address)(address);
    }

    /// What a write on its way to the device model may unmask: nothing, where the address is 0.
    #[inline]
    pub fn snooped(self) -> Candidate {
        let source = field!(self, arch.__bindgen_anon_1.hvm.hvm_io.msix_snoop_gpa);
        Candidate {
            control: self.snoop_address(),
            source: (source != 0).then_some(source),
        }
    }

    /// Notes what a write on its way to the device model may unmask.
    #[inline]
    pub fn set_snooped(self, candidate: Candidate) {
        self.set_snoop_address(candidate.control);
        let source = candidate.source.unwrap_or(0);
        set_field!(self, arch.__bindgen_anon_1.hvm.hvm_io.msix_snoop_gpa)(source);
    }

    /// The address part of [`Self::snooped`].
    #[inline]
    pub fn snoop_address(self) -> u64 {
        field!(self, arch.__bindgen_anon_1.hvm.hvm_io.msix_snoop_address)
    }

    /// Sets the address part of [`Self::snooped`].
    #[inline]
    pub fn set_snoop_address(self, address: u64) {
        set_field!(self, arch.__bindgen_anon_1.hvm.hvm_io.msix_snoop_address)(address);
    }

    /// Notes that a read of a table goes to the device model, and the table's generation.
    ///
    /// It lies where the source of a snooped write does, which has no meaning while no write is
    /// snooped. Where one is, nothing is noted.
    #[inline]
    pub fn note_read(self, generation: u64) {
        if self.snoop_address() == 0 {
            let noted = generation | Self::IS_READ;
            set_field!(self, arch.__bindgen_anon_1.hvm.hvm_io.msix_snoop_gpa)(noted);
        }
    }

    /// Takes what [`Self::note_read`] noted.
    #[inline]
    pub fn take_noted_read(self) -> Option<u64> {
        let Candidate { control, source } = self.snooped();
        let source = source.filter(|source| control == 0 && source & Self::IS_READ != 0)?;
        set_field!(self, arch.__bindgen_anon_1.hvm.hvm_io.msix_snoop_gpa)(0);
        Some(source & !Self::IS_READ)
    }

    /// No guest-physical address has this bit.
    const IS_READ: u64 = 1 << 63;
}

#[cfg(hvm)]
deref!(HvmVcpu, 0: Vcpu);
