//! Hypercalls through the page that Xen fills: the same code for PV and PVH.

use core::arch::{asm, global_asm};

use crate::abi::{self, physdev};
use crate::pci::Function;
use crate::report::{Channel, Report};

global_asm!(
    ".pushsection .text.hypercall_page, \"ax\"",
    ".balign 4096",
    ".globl hypercall_page",
    "hypercall_page:",
    ".skip 4096, 0xcc",
    ".popsection",
);

unsafe extern "C" {
    static hypercall_page: u8;
}

fn page() -> u64 {
    &raw const hypercall_page as u64
}

/// Has Xen fill the page, in a PVH or HVM domain; a PV kernel's page is filled when it is loaded.
///
/// Answers false, and does nothing, on a machine that is not Xen's.
pub fn enable() -> bool {
    let base = core::arch::x86_64::__cpuid(0x4000_0000);
    if [base.ebx, base.ecx, base.edx] != [*b"XenV", *b"MMXe", *b"nVMM"].map(u32::from_le_bytes) {
        return false;
    }
    let register = core::arch::x86_64::__cpuid(0x4000_0002).ebx;
    let page = page();
    // SAFETY: the register that Xen names takes the address of a page of ours.
    unsafe {
        asm!(
            "wrmsr",
            in("ecx") register,
            in("eax") page as u32,
            in("edx") (page >> 32) as u32,
            options(nostack)
        );
    }
    true
}

/// Calls the hypervisor; a negative result is an errno.
///
/// # Safety
/// The arguments are what the call of that number takes; pointers among them stay valid for the
/// call.
pub unsafe fn call(number: u64, arguments: [u64; 4]) -> i64 {
    let result: i64;
    // SAFETY: Xen has filled the page; its stubs change only rax and the scratch registers of
    // `syscall`.
    unsafe {
        asm!(
            "call {target}",
            target = in(reg) page() + number * 32,
            inlateout("rax") number => result,
            inlateout("rdi") arguments[0] => _,
            inlateout("rsi") arguments[1] => _,
            inlateout("rdx") arguments[2] => _,
            inlateout("r10") arguments[3] => _,
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

/// Calls with a command and a structure.
///
/// # Safety
/// `T` is the structure that the command takes.
unsafe fn call_with<T>(number: u64, command: u64, argument: &mut T) -> i64 {
    // SAFETY: the caller's promise.
    unsafe { call(number, [command, &raw mut *argument as u64, 0, 0]) }
}

/// Dom0's channel to the serial console.
pub struct Console;

impl Channel for Console {
    fn send(&self, line: &[u8]) {
        // SAFETY: command 0 writes that many bytes from that address.
        unsafe {
            call(
                abi::CONSOLE_IO,
                [0, line.len() as u64, line.as_ptr() as u64, 0],
            )
        };
    }
}

/// Ends the machine.
pub fn shutdown(mut reason: u32) -> ! {
    loop {
        // SAFETY: the argument of this command is a reason.
        unsafe { call_with(abi::SCHED_OP, abi::SHUTDOWN, &mut reason) };
    }
}

/// Turns the machine off the way Linux does as dom0: Xen prepares everything and then enters ACPI
/// state S5.
pub fn power_off() -> ! {
    // Sleep type 0 is S5 on the emulated machine.
    let result = enter_sleep(5, 0);
    panic!("Xen does not turn the machine off: {result}")
}

/// Suspends the machine to memory (ACPI state S3), until somebody wakes it. Devices lose their
/// state.
pub fn suspend() -> i64 {
    // Sleep type 1 is S3 on the emulated machine.
    enter_sleep(3, 1)
}

fn enter_sleep(state: u32, kind: u16) -> i64 {
    let mut argument = abi::AcpiSleep {
        cmd: abi::ENTER_ACPI_SLEEP,
        interface_version: 0x0300_0001,
        // Bit 13: enter now.
        value_a: 1 << 13 | kind << 10,
        value_b: 0,
        state,
        flags: 0,
        rest: [0; 128 - 12],
    };
    // SAFETY: the structure that the call takes, of the full size.
    unsafe { call(abi::PLATFORM_OP, [&raw mut argument as u64, 0, 0, 0]) }
}

/// Has every processor of the machine take an interrupt of Xen's, and waits until all of them did.
/// What Xen asked of them before is then done, or about to be.
pub fn every_processor_answers() -> i64 {
    // Xen waits for each to write its caches back, which is nothing in an emulator.
    let mut command = abi::MmuExt {
        cmd: abi::FLUSH_CACHE_GLOBAL,
        arguments: [0; 2],
    };
    // SAFETY: one command, which names no memory.
    unsafe {
        call(
            abi::MMUEXT_OP,
            [&raw mut command as u64, 1, 0, abi::DOMID_SELF.into()],
        )
    }
}

/// Asks Xen to run the handlers of debug keys, each between two marks in the transcript.
pub fn debug_keys(report: &mut Report<Console>, keys: &str, label: &str) {
    for letter in keys.chars() {
        report.key(letter, label, || debug_key(letter as u8));
    }
}

fn debug_key(key: u8) -> i64 {
    // Address and number of the keys.
    let mut payload = [0; _];
    payload[..2].copy_from_slice(&[&raw const key as u64, 1]);
    // SAFETY: the command's structure; Xen reads one byte.
    unsafe { sysctl(abi::DEBUG_KEYS, &mut payload) }
}

/// The frame that says where Xen's trace buffers are; 0 when it has none.
pub fn trace_buffers() -> (i64, u64) {
    // Command 0 asks for information, which comes back in the same structure.
    let mut payload = [0; _];
    // SAFETY: the command's structure, without pointers.
    let result = unsafe { sysctl(abi::TRACE_BUFFERS, &mut payload) };
    (result, payload[4])
}

/// Calls for the control of the whole machine.
///
/// # Safety
/// The payload is what the command takes; pointers in it stay valid for the call.
unsafe fn sysctl(cmd: u32, payload: &mut abi::SysctlPayload) -> i64 {
    // The versions of Xen 4.20 up to what is in development; Xen refuses all but its own with
    // -EACCES.
    const REFUSED: i64 = -13;
    let mut result = REFUSED;
    for interface_version in 0x15..0x20 {
        let mut argument = abi::Sysctl {
            cmd,
            interface_version,
            payload: *payload,
        };
        // SAFETY: the structure that the call takes, of the full size; its content is the caller's
        // promise.
        result = unsafe { call(abi::SYSCTL, [&raw mut argument as u64, 0, 0, 0]) };
        if result != REFUSED {
            *payload = argument.payload;
            break;
        }
    }
    result
}

/// `PHYSDEVOP_map_pirq`; the pirq given is in the structure.
pub fn map_pirq(map: &mut abi::MapPirq) -> i64 {
    // SAFETY: the command's structure.
    unsafe { call_with(abi::PHYSDEV_OP, physdev::MAP_PIRQ, map) }
}

/// `PHYSDEVOP_unmap_pirq`.
pub fn unmap_pirq(pirq: i32) -> i64 {
    let mut argument = abi::UnmapPirq {
        domid: abi::DOMID_SELF,
        pirq,
    };
    // SAFETY: the command's structure.
    unsafe { call_with(abi::PHYSDEV_OP, physdev::UNMAP_PIRQ, &mut argument) }
}

/// A physdev command with two words; answers the second if it succeeds.
pub fn two_words(command: TwoWordCommand, first: u32) -> (i64, u32) {
    let mut argument = abi::TwoWords { first, second: 0 };
    let number = match command {
        TwoWordCommand::IrqStatusQuery => physdev::IRQ_STATUS_QUERY,
        TwoWordCommand::AllocIrqVector => physdev::ALLOC_IRQ_VECTOR,
        TwoWordCommand::GetFreePirq => physdev::GET_FREE_PIRQ,
        TwoWordCommand::Eoi => physdev::EOI,
        TwoWordCommand::SetIopl => physdev::SET_IOPL,
    };
    // SAFETY: all of these take one or two words.
    let result = unsafe { call_with(abi::PHYSDEV_OP, number, &mut argument) };
    (result, argument.second)
}

/// The commands of [`two_words`].
pub enum TwoWordCommand {
    /// Flags of a pirq.
    IrqStatusQuery,
    /// A call of old.
    AllocIrqVector,
    /// Reserves a pirq of a type.
    GetFreePirq,
    /// Ends an interrupt.
    Eoi,
    /// Lets the kernel use I/O ports.
    SetIopl,
}

/// How a line tells of an interrupt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// As long as it is low.
    LevelLow,
    /// When it rises.
    EdgeHigh,
}

/// `PHYSDEVOP_setup_gsi`.
pub fn setup_gsi(gsi: i32, trigger: Trigger) -> i64 {
    let is_level = u8::from(trigger == Trigger::LevelLow);
    let mut argument = abi::SetupGsi {
        gsi,
        triggering: is_level,
        polarity: is_level,
    };
    // SAFETY: the command's structure.
    unsafe { call_with(abi::PHYSDEV_OP, physdev::SETUP_GSI, &mut argument) }
}

/// `PHYSDEVOP_apic_read`: the lower half of a pin's entry in the machine's first IO-APIC.
pub fn read_pin(pin: u32) -> (i64, u32) {
    let mut argument = abi::ApicAccess {
        base: 0xfec0_0000,
        register: 0x10 + 2 * pin,
        value: 0,
    };
    // SAFETY: the command's structure.
    let result = unsafe { call_with(abi::PHYSDEV_OP, physdev::APIC_READ, &mut argument) };
    (result, argument.value)
}

/// `PHYSDEVOP_pci_device_add`.
pub fn pci_device_add(function: Function) -> i64 {
    let mut argument = abi::PciDeviceAdd {
        device: abi::PciDevice {
            seg: 0,
            bus: function.bus,
            devfn: function.devfn,
        },
        flags: 0,
        physfn: [0; 2],
    };
    // SAFETY: the command's structure.
    unsafe { call_with(abi::PHYSDEV_OP, physdev::PCI_DEVICE_ADD, &mut argument) }
}

/// `PHYSDEVOP_pci_device_remove`.
pub fn pci_device_remove(function: Function) -> i64 {
    let mut argument = abi::PciDevice {
        seg: 0,
        bus: function.bus,
        devfn: function.devfn,
    };
    // SAFETY: the command's structure.
    unsafe { call_with(abi::PHYSDEV_OP, physdev::PCI_DEVICE_REMOVE, &mut argument) }
}

/// `PHYSDEVOP_restore_msi_ext`.
pub fn restore_msi(bus: u8, devfn: u8) -> i64 {
    let mut argument = abi::PciDevice { seg: 0, bus, devfn };
    // SAFETY: the command's structure.
    unsafe { call_with(abi::PHYSDEV_OP, physdev::RESTORE_MSI_EXT, &mut argument) }
}

/// `PHYSDEVOP_prepare_msix` or, with `prepare` false, `PHYSDEVOP_release_msix`.
pub fn prepare_msix(bus: u8, devfn: u8, prepare: bool) -> i64 {
    let mut argument = abi::PciDevice { seg: 0, bus, devfn };
    let command = if prepare {
        physdev::PREPARE_MSIX
    } else {
        physdev::RELEASE_MSIX
    };
    // SAFETY: the command's structure.
    unsafe { call_with(abi::PHYSDEV_OP, command, &mut argument) }
}

/// `PHYSDEVOP_pirq_eoi_gmfn_v2`.
///
/// # Safety
/// The frame is the kernel's own, written by nobody but Xen from now on.
pub unsafe fn share_eoi_page(mut frame: u64) -> i64 {
    // SAFETY: the command's structure; the frame is the caller's promise.
    unsafe { call_with(abi::PHYSDEV_OP, physdev::PIRQ_EOI_GMFN_V2, &mut frame) }
}

/// Binds a pirq to an event channel: the errno or 0, and the channel.
pub fn bind_pirq(pirq: u32, share: bool) -> (i64, u32) {
    let mut argument = abi::BindPirq {
        pirq,
        flags: share.into(),
        port: 0,
    };
    // SAFETY: the command's structure.
    let result = unsafe { call_with(abi::EVENT_CHANNEL_OP, abi::BIND_PIRQ, &mut argument) };
    (result, argument.port)
}

/// Closes an event channel.
pub fn close(mut port: u32) -> i64 {
    // SAFETY: the command's structure is one word.
    unsafe { call_with(abi::EVENT_CHANNEL_OP, abi::CLOSE, &mut port) }
}

/// Unmasks an event channel.
pub fn unmask(mut port: u32) -> i64 {
    // SAFETY: the command's structure is one word.
    unsafe { call_with(abi::EVENT_CHANNEL_OP, abi::UNMASK, &mut port) }
}

/// Has a vCPU take the events of a channel; the interrupt behind it moves to where that vCPU runs.
pub fn bind_vcpu(port: u32, vcpu: u32) -> i64 {
    let mut argument = abi::BindVcpu { port, vcpu };
    // SAFETY: the command's structure.
    unsafe { call_with(abi::EVENT_CHANNEL_OP, abi::BIND_VCPU, &mut argument) }
}

/// What a frame holds, which decides how it may be mapped.
#[derive(Clone, Copy)]
pub enum Frame {
    /// Memory: write-back, or Xen refuses.
    Memory,
    /// Registers: uncached.
    Registers,
    /// Memory of Xen's that dom0 may read.
    XenReadOnly,
    /// Memory of Xen's that dom0 may write.
    Xen,
}

/// Maps a machine frame over the page at a virtual address (PV).
///
/// # Safety
/// The page holds nothing: what was there is lost.
pub unsafe fn map_frame(address: usize, frame: u64, what: Frame) -> i64 {
    const PRESENT_USER: u64 = 0x05;
    const WRITABLE: u64 = 0x02;
    const UNCACHED: u64 = 0x18;
    let (call_number, flags) = match what {
        Frame::Memory => (abi::UPDATE_VA_MAPPING, WRITABLE),
        Frame::Registers => (abi::UPDATE_VA_MAPPING, WRITABLE | UNCACHED),
        Frame::XenReadOnly => (abi::UPDATE_VA_MAPPING_OTHER_DOMAIN, 0),
        Frame::Xen => (abi::UPDATE_VA_MAPPING_OTHER_DOMAIN, WRITABLE),
    };
    // Flush the one entry, on this processor.
    const INVALIDATE: u64 = 2;
    let entry = frame << 12 | PRESENT_USER | flags;
    // The last argument says whose the frame is, where it may be another's.
    let arguments = [address as u64, entry, INVALIDATE, abi::DOMID_XEN.into()];
    // SAFETY: the caller gives up the page.
    unsafe { call(call_number, arguments) }
}

/// Starts another processor of a PVH domain in 64-bit mode.
///
/// # Safety
/// `rip` is code that needs nothing but the page tables of `cr3`.
pub unsafe fn start_processor(processor: u64, rip: u64, cr3: u64) -> i64 {
    let mut context = abi::VcpuContext {
        mode: 1,
        pad: 0,
        general: [0; 8],
        rip,
        rflags: 2,
        cr0: crate::long_mode::CR0,
        cr3,
        cr4: crate::long_mode::CR4,
        efer: crate::long_mode::EFER,
        rest: [0; 8],
    };
    // SAFETY: the structure that the command takes; where it starts is the caller's promise.
    let result = unsafe {
        call(
            abi::VCPU_OP,
            [abi::VCPU_INITIALISE, processor, &raw mut context as u64, 0],
        )
    };
    if result != 0 {
        return result;
    }
    // SAFETY: takes no structure.
    unsafe { call(abi::VCPU_OP, [abi::VCPU_UP, processor, 0, 0]) }
}
