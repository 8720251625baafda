//! The places of an IRQ, as its descriptor holds them.

use crate::base::view::{Word, field, set_field};
use crate::irq::cpus::{Cpus, DescCpus};
use crate::irq::table::{VectorLock, Vectors};
use crate::objects::cpumask::{CpuMask, CpuMaskVar};
use crate::objects::irq_desc::{HeldDesc, IrqDesc};
use crate::objects::pci_dev::KeptDev;
use core::ops::Deref;
use irq_core::irq::cpus::{CpuSet, CpuSetMut};
use irq_core::irq::moves::Place;
use irq_core::irq::vectors::{FIRST_LEGACY, LAST_LEGACY, VectorSet};
use xen_sys as sys;

/// Bit 0 of the byte of bit-fields.
const MOVE_IN_PROGRESS: u8 = 1;

/// A descriptor that is held, and whose sets of CPUs have been allocated.
#[derive(Clone, Copy)]
pub struct PlacedDesc<'a> {
    desc: HeldDesc<'a>,
    cpus: CpuMask<'a>,
    old_cpus: CpuMask<'a>,
    pending: CpuMask<'a>,
    affinity: CpuMask<'a>,
}

impl<'a> Deref for PlacedDesc<'a> {
    type Target = HeldDesc<'a>;

    fn deref(&self) -> &HeldDesc<'a> {
        &self.desc
    }
}

macro_rules! set {
    ($desc:expr, $($path:tt)+) => {
        // SAFETY: The variable is a part of the descriptor, which stays. Where a set could not be
        // allocated, the variables of those before it are null.
        $desc.is_initialized().then(|| unsafe {
            CpuMask::from_raw(CpuMaskVar::set(&raw mut (*$desc.as_ptr()).$($path)+))
        }).flatten()
    };
}

impl<'a> PlacedDesc<'a> {
    /// Looks at the sets of a descriptor; `None` before it is initialized.
    pub fn of(desc: HeldDesc<'a>) -> Option<Self> {
        Some(Self {
            desc,
            cpus: set!(desc, arch.cpu_mask)?,
            old_cpus: set!(desc, arch.old_cpu_mask)?,
            pending: set!(desc, arch.pending_mask)?,
            affinity: set!(desc, affinity)?,
        })
    }
}

/// Returns whether an IRQ's vector is one of a CPU's.
pub fn is_on(desc: IrqDesc<'_>, vectors: Vectors<'_>) -> bool {
    set!(desc, arch.cpu_mask).is_some_and(|cpus| Cpus::of(cpus).contains(vectors.cpu()))
}

/// Adds a CPU to those that have an IRQ's vector; returns whether the IRQ can be on a CPU. The
/// descriptor's lock is not held: what changes these holds the vector lock.
pub fn join(desc: IrqDesc<'_>, vectors: Vectors<'_>, _lock: &VectorLock) -> bool {
    let cpus = set!(desc, arch.cpu_mask).map(|cpus| DescCpus(Cpus::of(cpus)));
    cpus.map(|mut cpus| cpus.insert(vectors.cpu())).is_some()
}

/// A field that holds a vector, or -1.
fn vector(word: i16) -> Option<u8> {
    u8::try_from(word).ok()
}

fn bits(desc: PlacedDesc<'_>) -> *mut u8 {
    // SAFETY: The view's object is alive, and the bit-fields have a byte of their own.
    unsafe { (&raw mut (*desc.as_ptr()).arch._bitfield_1).cast() }
}

/// Reads the places of an IRQ. The sets of CPUs are changed in place; the rest is written by
/// [`write`].
pub fn read(desc: PlacedDesc<'_>) -> Place<DescCpus<'_>> {
    Place {
        vector: vector(field!(desc, arch.vector)),
        cpus: DescCpus(Cpus::of(desc.cpus)),
        old_vector: vector(field!(desc, arch.old_vector)),
        old_cpus: DescCpus(Cpus::of(desc.old_cpus)),
        // SAFETY: The byte is a part of the descriptor.
        in_progress: unsafe { u8::load(bits(desc)) } & MOVE_IN_PROGRESS != 0,
        cleanups: field!(desc, arch.move_cleanup_count),
    }
}

/// Writes them.
pub fn write(desc: PlacedDesc<'_>, place: &Place<DescCpus<'_>>) {
    let word = |vector: Option<u8>| vector.map_or(-1, i16::from);
    set_field!(desc, arch.vector)(word(place.vector));
    set_field!(desc, arch.old_vector)(word(place.old_vector));
    set_field!(desc, arch.move_cleanup_count)(place.cleanups);
    // SAFETY: The byte is a part of the descriptor, and its lock is held.
    unsafe {
        let rest = u8::load(bits(desc)) & !MOVE_IN_PROGRESS;
        u8::store(bits(desc), rest | u8::from(place.in_progress));
    }
}

/// The CPUs that an IRQ was asked to be on.
pub fn affinity(desc: PlacedDesc<'_>) -> DescCpus<'_> {
    DescCpus(Cpus::of(desc.affinity))
}

/// The CPUs that it is to be on when it is acknowledged next.
pub fn pending(desc: PlacedDesc<'_>) -> DescCpus<'_> {
    DescCpus(Cpus::of(desc.pending))
}

/// Notes that an IRQ whose sets were just allocated has no place.
pub(super) fn set_nowhere(desc: IrqDesc<'_>) {
    set_field!(desc, arch.vector)(-1i16);
    set_field!(desc, arch.old_vector)(-1i16);
}

/// Returns whether the IRQ has had a vector since it was allocated.
pub fn has_been_assigned(desc: HeldDesc<'_>) -> bool {
    field!(desc, arch.used) == sys::IRQ_USED as i8
}

/// Notes that it has.
pub fn set_assigned(desc: HeldDesc<'_>) {
    set_field!(desc, arch.used)(sys::IRQ_USED as i8);
}

/// Lets the IRQ be allocated again, after all else was written.
pub fn set_unused(desc: HeldDesc<'_>) {
    core::sync::atomic::fence(core::sync::atomic::Ordering::Release);
    set_field!(desc, arch.used)(sys::IRQ_UNUSED as i8);
}

/// The map of vectors that IRQs of one device, or all, must not share.
pub fn used(desc: HeldDesc<'_>) -> Option<&VectorSet> {
    let map = field!(desc, arch.used_vectors);
    // SAFETY: The maps are a static variable, those that io_apic.c allocates and keeps, or one of a
    // `struct pci_dev`, which is freed after its IRQs were destroyed: that clears the
    // field with the descriptor's lock held (`destroy_irq()`). C changes maps by atomic
    // instructions.
    unsafe { map.cast::<VectorSet>().as_ref() }
}

/// Which IRQs must not share a vector on different CPUs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// Any may.
    None,
    /// All.
    All,
    /// Those of each device.
    OfDevice,
}

/// Returns which, as a boot option or AMD's IOMMU says.
pub fn apart() -> Apart {
    // SAFETY: The variable is written while Xen boots, in one piece.
    match unsafe { i32::load(&raw const sys::opt_irq_vector_map) }.cast_unsigned() {
        sys::OPT_IRQ_VECTOR_MAP_NONE => Apart::None,
        sys::OPT_IRQ_VECTOR_MAP_GLOBAL => Apart::All,
        _ => Apart::OfDevice,
    }
}

/// The map of the IRQs of one IO-APIC.
pub fn map_of_io_apic(desc: HeldDesc<'_>, _lock: &VectorLock) -> Option<&'static VectorSet> {
    // SAFETY: The number is that of a pin, and the vector lock is held. io_apic.c keeps what it
    // allocates.
    unsafe {
        sys::io_apic_get_used_vector_map(desc.number())
            .cast::<VectorSet>()
            .as_ref()
    }
}

/// Notes what was chosen.
pub fn set_used(desc: HeldDesc<'_>, map: Option<&'static VectorSet>) {
    let map = map.map_or(core::ptr::null_mut(), |map| (&raw const *map).cast_mut());
    set_field!(desc, arch.used_vectors)(map.cast());
}

/// Notes that the IRQ must not share a vector with others of a function.
pub fn set_used_of(desc: HeldDesc<'_>, device: KeptDev<'_>) {
    // SAFETY: The map is a part of the function's structure, which is alive as a view's.
    let map = unsafe { &raw mut (*device.as_ptr()).arch.used_vectors };
    set_field!(desc, arch.used_vectors)(map);
}

/// The vector by which an IRQ is known: for one of a PIC, that of the PIC.
#[doc(alias = "irq_to_vector")]
pub fn known_vector(desc: IrqDesc<'_>) -> Option<u8> {
    let own = vector(field!(desc, arch.vector));
    if desc.is_of_io_apic() {
        // While Xen boots, IRQ 0 has its own vector already, and the PIC's handler still.
        let is_legacy = own.is_some_and(|own| (FIRST_LEGACY..=LAST_LEGACY).contains(&own));
        own.map(|own| if is_legacy && is_8259a(desc) { 0 } else { own })
    } else if desc.is_of_message() {
        own
    } else {
        Some((desc.number() as u8).wrapping_add(FIRST_LEGACY))
    }
}

/// Returns whether a PIC handles the IRQ.
pub fn is_8259a(desc: IrqDesc<'_>) -> bool {
    // SAFETY: The descriptor has a handler: an object of Xen's, which stays.
    desc.is_initialized() && unsafe { sys::shim_is_8259A(desc.as_ptr()) }
}
