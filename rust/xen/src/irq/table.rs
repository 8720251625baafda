//! `vector_irq[]` of each CPU, what is allocated under the vector lock, and that lock.

use crate::irq::cpus::Cpus;
use crate::objects::irq_desc::HeldDesc;
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

/// The vector lock, which is held: no CPU comes online or goes offline.
#[must_use = "the lock is dropped where this is dropped"]
pub struct VectorLock {
    /// Whether it was taken here.
    taken: bool,
    local: PhantomData<*mut ()>,
}

impl VectorLock {
    /// Takes it. A descriptor that is held keeps IRQs off, or nothing interrupts that takes it.
    pub fn take(_: HeldDesc<'_>) -> Self {
        // SAFETY: The lock is a variable of Xen's; IRQs are off. The function takes it as C does,
        // with a speculation barrier behind it.
        unsafe { sys::lock_vector_lock() };
        Self {
            taken: true,
            local: PhantomData,
        }
    }

    /// Stands for the lock that C holds.
    ///
    /// # Safety
    ///
    /// This CPU holds it for longer than the result lives, and no other value stands for it.
    pub const unsafe fn held_by_caller() -> Self {
        Self {
            taken: false,
            local: PhantomData,
        }
    }

    /// The vectors of a CPU that is online, as it is while the lock is held; `None` for another.
    pub fn vectors(&self, cpu: u32) -> Option<Vectors<'_>> {
        // SAFETY: The CPU is online, so that its per-CPU variables are there. It cannot go offline
        // while the vector lock is held (`__cpu_disable()`).
        Cpus::online()
            .contains(cpu)
            .then(|| unsafe { Vectors::of(cpu) })
    }

    /// Where the next search begins.
    pub fn cursor(&mut self) -> &mut Cursor {
        // SAFETY: The lock is held, and one value stands for it, which the result borrows.
        unsafe { &mut *CURSOR.0.get() }
    }
}

impl Drop for VectorLock {
    fn drop(&mut self) {
        if self.taken {
            // SAFETY: `take` took it.
            unsafe { sys::unlock_vector_lock() };
        }
    }
}

/// The vectors of a CPU.
#[derive(Clone, Copy)]
pub struct Vectors<'a> {
    cpu: u32,
    slots: &'a [AtomicI32; 256],
}

impl Vectors<'_> {
    /// The vectors of a CPU.
    ///
    /// # Safety
    ///
    /// The CPU has per-CPU variables for as long as the result lives.
    pub unsafe fn of(cpu: u32) -> Self {
        Self {
            cpu,
            // SAFETY: The array is the CPU's, which has per-CPU variables, and has an `int` for
            // each vector, which CPUs read and write one by one.
            slots: unsafe { &*sys::shim_vector_irq(cpu).cast() },
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
    // SAFETY: The map is a variable of Xen's of 256 bits, and C changes it by atomic instructions
    // once there is a second CPU.
    unsafe { &*(&raw const sys::used_vectors).cast::<VectorSet>() }
}
