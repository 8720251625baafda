//! `vector_irq[]` of each CPU, what is allocated under the vector lock, and that lock.

use crate::arch::cpu::CpuVariables;
use crate::irq::cpus::Cpus;
use crate::sync::irqs::IrqsOff;
use crate::sync::lock::{IrqLocked, Locked};
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicI32, Ordering};
use irq_core::irq::cpus::CpuSet;
use irq_core::irq::vectors::{Cursor, VectorSet};
use xen_sys as sys;

/// What the vector lock guards.
struct Guarded(UnsafeCell<Cursor>);

// SAFETY: Only `VectorLock::cursor()` reaches it, with the vector lock held.
unsafe impl Sync for Guarded {}

static CURSOR: Guarded = Guarded(UnsafeCell::new(Cursor::new()));

/// The vector lock, which is held: no CPU comes online, and none that is loses its per-CPU
/// variables.
#[must_use = "the lock is dropped where this is dropped"]
pub struct VectorLock {
    /// `None` where the caller holds it.
    _lock: Option<IrqLocked<'static>>,
    local: PhantomData<*mut ()>,
}

impl VectorLock {
    /// Takes it, inside the lock of a descriptor.
    pub fn take() -> Self {
        Self {
            // SAFETY: The lock is a variable of the shim's. IRQs are off while it is held: handlers
            // of interrupts take it, too.
            _lock: Some(unsafe { IrqLocked::take(&raw mut sys::shim_vector_lock) }),
            local: PhantomData,
        }
    }

    /// Takes it where IRQs are off, until [`Self::unlock`] (`lock_vector_lock()`).
    #[doc(alias = "lock_vector_lock")]
    pub fn lock(_: IrqsOff<'_>) {
        // SAFETY: The lock is a variable of the shim's, and IRQs are off.
        core::mem::forget(unsafe { Locked::take(&raw mut sys::shim_vector_lock) });
    }

    /// Drops it (`unlock_vector_lock()`).
    ///
    /// # Safety
    ///
    /// This CPU holds it by [`Self::lock`].
    #[doc(alias = "unlock_vector_lock")]
    pub unsafe fn unlock() {
        // SAFETY: `unlock` asks for the lock.
        drop(unsafe { Locked::adopt(&raw mut sys::shim_vector_lock, ()) });
    }

    /// Stands for the lock that the caller of an export holds; debug builds check that it is held.
    ///
    /// # Safety
    ///
    /// This CPU holds it, with IRQs off, for longer than the result lives, and no other value
    /// stands for it.
    pub unsafe fn held_by_caller() -> Self {
        // SAFETY: Asks about a lock that is a variable of the shim's.
        xen_assert!(unsafe { sys::shim_spin_is_locked(&raw const sys::shim_vector_lock) });
        Self {
            _lock: None,
            local: PhantomData,
        }
    }

    /// The vectors of a CPU that is online; `None` for another.
    pub fn vectors(&self, cpu: u32) -> Option<Vectors<'_>> {
        if !Cpus::online().contains(cpu) {
            return None;
        }
        // SAFETY: The CPU was just seen online, with a spin lock held for as long as the result
        // lives: it cannot go offline meanwhile.
        unsafe { CpuVariables::of(cpu) }.map(Vectors::of)
    }

    /// A set of CPUs for what is computed with the lock held.
    pub(super) fn scratch(&mut self) -> *mut sys::cpumask_t {
        &raw mut sys::shim_destination
    }

    /// Where the next search begins.
    pub fn cursor(&mut self) -> &mut Cursor {
        // SAFETY: The lock is held, and one value stands for it, which the result borrows.
        unsafe { &mut *CURSOR.0.get() }
    }
}

/// The vectors of a CPU.
#[derive(Clone, Copy)]
pub struct Vectors<'a> {
    cpu: u32,
    slots: &'a [AtomicI32; 256],
}

impl<'a> Vectors<'a> {
    /// Those of the CPU that has these variables.
    pub fn of(variables: CpuVariables<'a>) -> Self {
        let slots = variables.place(&raw mut sys::per_cpu__vector_irq);
        Self {
            cpu: variables.cpu(),
            // SAFETY: The array is one of the CPU's variables, which are not freed meanwhile. It
            // has an `int` for each vector, which CPUs read and write one by one.
            slots: unsafe { &*slots.cast() },
        }
    }

    /// The CPU.
    pub fn cpu(self) -> u32 {
        self.cpu
    }

    /// What stands at a vector: an IRQ, or a negative number.
    pub fn get(self, vector: u8) -> i32 {
        self.slots[usize::from(vector)].load(Ordering::Relaxed)
    }

    /// Enters an IRQ, or `!irq` when it loses the vector. What is stored afterwards is seen
    /// afterwards.
    pub fn set(self, vector: u8, irq: i32) {
        self.slots[usize::from(vector)].store(irq, Ordering::Release);
    }

    /// Empties all, for a CPU that is coming online.
    pub fn reset(self) {
        for slot in self.slots {
            slot.store(i32::MIN, Ordering::Relaxed);
        }
    }
}

/// The vectors that no IRQ gets on any CPU.
pub fn reserved() -> &'static VectorSet {
    static RESERVED: VectorSet = VectorSet::new();
    &RESERVED
}

/// The map of used vectors of all IRQs, where none may share one with another.
pub fn map_of_all() -> &'static VectorSet {
    static OF_ALL: VectorSet = VectorSet::new();
    &OF_ALL
}
