//! A PVH dom0 that drives MSI and MSI-X of emulated devices through vPCI, on two processors.
//!
//! Every message really travels: a register write makes the device send it, the IOMMU and Xen take
//! it, and the virtual local APIC of the processor it names delivers it.

#![no_std]
#![no_main]

mod calls;
mod lines;
mod msi;
mod msix;

use core::arch::asm;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use kernel::hypercall::{self, Console};
use kernel::lapic::Lapic;
use kernel::pci;
use kernel::report::Report;
use kernel::{abi, interrupts, long_mode_entry, note, xen_note};

xen_note!(note::PHYS32_ENTRY, "_start");

long_mode_entry!(main, second);

unsafe extern "C" {
    /// Where [`long_mode_entry`] lets another processor start.
    static start_second: u8;
    /// The root page table.
    static boot_root: u8;
}

static SECOND_RUNS: AtomicBool = AtomicBool::new(false);

/// The transcript of this kernel.
type Transcript = Report<Console>;

extern "C" fn main() -> ! {
    assert!(hypercall::enable(), "this is not Xen");
    let mut report = Report::new("smoke-pvh", Console);
    report.phase(300, format_args!("messages through vPCI"));

    Lapic::new().enable(0);
    // SAFETY: the only processor so far, and interrupts are off.
    unsafe { interrupts::install() };
    // SAFETY: installed.
    unsafe { interrupts::enable() };
    // SAFETY: the entry needs the page tables of `boot_root` alone.
    let started = unsafe {
        hypercall::start_processor(
            1,
            &raw const start_second as u64,
            &raw const boot_root as u64,
        )
    };
    report.expect(format_args!("start of the second processor"), started, 0);
    while started == 0 && !SECOND_RUNS.load(Ordering::SeqCst) {
        core::hint::spin_loop();
    }

    for function in pci::functions() {
        let msi = pci::Msi::of(function).map_or(0, pci::Msi::vectors);
        let msix = pci::Msix::of(function).map_or(0, |msix| msix.entries);
        report.say(format_args!(
            "pci 00:{:02x}.{} {:04x}:{:04x}, MSI vectors {msi}, MSI-X entries {msix}",
            function.devfn >> 3,
            function.devfn & 7,
            function.id() & 0xffff,
            function.id() >> 16,
        ));
    }

    calls::check(&mut report);
    msi::check(&mut report);
    msix::check(&mut report);
    lines::check(&mut report);

    report.result();
    report.end();
    hypercall::power_off()
}

extern "C" fn second() -> ! {
    Lapic::new().enable(1);
    // SAFETY: the first processor installed the table before it started this one.
    unsafe { interrupts::enable() };
    SECOND_RUNS.store(true, Ordering::SeqCst);
    loop {
        // SAFETY: waits for the next interrupt.
        unsafe { asm!("hlt", options(nomem, nostack)) };
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("smoke-pvh", Console).panicked(info);
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}
