//! This CPU: the structure at the top of its stack (`asm/current.h`); and per-CPU variables
//! (`xen/percpu.h`), its own and those of other CPUs.

use crate::base::view::Word;
#[cfg(hvm)]
use crate::base::view::deref;
#[cfg(hvm)]
use crate::objects::vcpu::HvmVcpu;
use crate::objects::vcpu::Vcpu;
use crate::sync::irqs::IrqsOff;
use core::arch::asm;
use core::marker::PhantomData;
use xen_sys as sys;

const STACK_SIZE: usize = sys::XEN_IRQ_STACK_SIZE as usize;

#[inline]
fn info() -> *mut sys::cpu_info {
    let sp: usize;
    // SAFETY: This reads the stack pointer and nothing else.
    unsafe { asm!("mov {}, rsp", out(reg) sp, options(pure, nomem, nostack, preserves_flags)) };
    ((sp | (STACK_SIZE - 1)) + 1 - size_of::<sys::cpu_info>()) as *mut sys::cpu_info
}

/// Returns the vCPU that this CPU runs; it stays the same for the whole call, whatever it does.
#[inline]
pub fn current<'a>() -> Vcpu<'a> {
    // SAFETY: Xen keeps the structure at the top of every stack, and a vCPU in it from early boot
    // on.
    unsafe { Vcpu::from_raw((*info()).current_vcpu).unwrap_unchecked() }
}

/// Says that the vCPU that this CPU runs is one of HVM (or PVH): it takes no register.
#[cfg(hvm)]
#[derive(Clone, Copy)]
pub struct CurrentHvm(PhantomData<*mut ()>);

#[cfg(hvm)]
impl CurrentHvm {
    /// Stands for what the caller of an export knows; debug builds check it.
    ///
    /// # Safety
    ///
    /// The domain of the current vCPU is one of HVM (or PVH); the value does not outlive the call.
    #[inline]
    pub unsafe fn new() -> Self {
        xen_assert!(current().domain().was_created_as_hvm());
        Self(PhantomData)
    }

    /// The vCPU.
    #[inline]
    pub fn vcpu<'a>(self) -> HvmVcpu<'a> {
        // SAFETY: `new` asks for a vCPU of HVM.
        unsafe { HvmVcpu::new(current()) }
    }
}

/// The vCPU that this CPU runs, which is one of HVM (or PVH).
#[cfg(hvm)]
#[derive(Clone, Copy)]
pub struct CurrentVcpu<'a>(HvmVcpu<'a>);

#[cfg(hvm)]
impl<'a> CurrentVcpu<'a> {
    /// Takes the vCPU that the caller of an export names; debug builds check it.
    ///
    /// # Safety
    ///
    /// This CPU runs it, and its domain is one of HVM (or PVH).
    #[inline]
    pub unsafe fn new(vcpu: Vcpu<'a>) -> Self {
        xen_assert!(vcpu == current());
        // SAFETY: `new` asks for a vCPU of HVM.
        Self(unsafe { HvmVcpu::new(vcpu) })
    }

    /// Reads a dword of guest-physical memory past the emulator's read cache, which may hold what
    /// an earlier step of the instruction read. `None` where there is no memory.
    ///
    /// Context: IRQs on, no lock held.
    pub fn read_guest_u32(self, address: u64) -> Option<u32> {
        let mut value = 0u32;
        // SAFETY: The vCPU is the current one, whose memory `hvm_copy_from_guest_phys()` reads and
        // whose cache no other CPU uses; the buffer has the size that is named.
        let result = unsafe {
            let token = sys::hvmemul_cache_disable(self.as_ptr());
            let result = sys::hvm_copy_from_guest_phys((&raw mut value).cast(), address, 4);
            sys::hvmemul_cache_restore(self.as_ptr(), token);
            result
        };
        (result == sys::HVMTRANS_okay).then_some(value)
    }
}

#[cfg(hvm)]
deref!(CurrentVcpu, 0: HvmVcpu);

/// The number of this CPU. As for [`this_cpu`], it may be stale.
#[inline]
pub fn this_cpu_number() -> u32 {
    // SAFETY: Xen keeps the structure at the top of every stack, and writes the number once, before
    // the CPU runs this.
    unsafe { (*info()).processor_id }
}

/// Returns this CPU's instance of a per-CPU variable, which is named by its link-time address.
///
/// The result is stale once the code runs on another CPU, which Xen does not do to code that holds
/// a lock, is in an RCU section or simply does not block.
#[inline]
pub fn this_cpu<T>(variable: *mut T) -> *mut T {
    // SAFETY: Xen keeps the structure at the top of every stack, and writes the offset once, before
    // the CPU runs this.
    let offset = unsafe { (*info()).per_cpu_offset };
    variable.wrapping_byte_add(offset as usize)
}

/// How many CPUs there can be: the numbers of all are below it.
#[inline]
pub fn cpu_ids() -> u32 {
    // SAFETY: The number is written while Xen boots, before there is a second CPU.
    unsafe { (&raw const sys::nr_cpu_ids).read_volatile() }
}

/// The per-CPU variables of a CPU, this one or another, for as long as they are not freed.
#[derive(Clone, Copy)]
pub struct CpuVariables<'a> {
    cpu: u32,
    offset: u64,
    life: PhantomData<&'a ()>,
}

impl<'a> CpuVariables<'a> {
    /// Those of this CPU, which has them while it runs.
    #[inline]
    pub fn own(_: IrqsOff<'a>) -> Self {
        // SAFETY: Xen keeps the structure at the top of every stack, and writes both once, before
        // the CPU runs this.
        let (cpu, offset) = unsafe { ((*info()).processor_id, (*info()).per_cpu_offset) };
        Self {
            cpu,
            offset,
            life: PhantomData,
        }
    }

    /// Those of a CPU; `None` where there is no such CPU, or it has none.
    ///
    /// # Safety
    ///
    /// They are not freed while the result lives. Those of a CPU are freed after it went offline,
    /// which takes every other CPU that is online to `stop_machine_run()`: none comes there out of
    /// the handler of an interrupt, or with a spin lock held. So it is enough that this is the CPU,
    /// or brings it up; or that the CPU was seen online in such a handler, or with such a lock
    /// held, and the handler or the lock lasts as long.
    #[inline]
    pub unsafe fn of(cpu: u32) -> Option<Self> {
        if cpu >= cpu_ids() {
            return None;
        }
        let offsets = (&raw const sys::__per_cpu_offset).cast::<u64>();
        // SAFETY: The array has an element for each CPU that there can be, which CPUs read and
        // write in one piece.
        let offset = unsafe { u64::load(offsets.add(cpu as usize)) };
        let variables = Self {
            cpu,
            offset,
            life: PhantomData,
        };
        // Without variables it leads to addresses that no memory has (`INVALID_PERCPU_AREA`).
        let any = variables.place(&raw mut sys::per_cpu____preempt_count) as i64;
        (any << 16 >> 16 == any).then_some(variables)
    }

    /// The CPU.
    #[inline]
    pub fn cpu(self) -> u32 {
        self.cpu
    }

    /// Its instance of a variable, which is named by its link-time address.
    #[inline]
    pub fn place<T>(self, variable: *mut T) -> *mut T {
        variable.wrapping_byte_add(self.offset as usize)
    }
}
