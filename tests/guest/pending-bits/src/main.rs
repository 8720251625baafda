//! An HVM guest whose devices have the pending bits in the page of their MSI-X tables: for each
//! entry, a message that is raised while it is masked shows there, and comes once when it is
//! unmasked. Then it writes to the pending bits, and to registers beside them.
//!
//! Started by xl as a direct-boot kernel, which QEMU loads as a multiboot image.

#![no_std]
#![no_main]

use core::arch::asm;
use core::cell::UnsafeCell;
use core::panic::PanicInfo;

use kernel::devices::{EventRing, TransmitRing, VirtioNet, Xhci};
use kernel::interrupts::{self, reached, seen};
use kernel::mmio::Window;
use kernel::msix::{CONTROL, Device, MASKED, vector};
use kernel::report::{DebugPort, Report};
use kernel::{hypercall, long_mode_entry, multiboot_header, pci};

multiboot_header!();
// The firmware leaves other processors halted, and they stay halted.
long_mode_entry!(main, halt);

/// How often the pending bits are read before a message counts as lost. Each read leaves the guest.
const PATIENCE: usize = 20_000;

/// Where in the table's page no device of the scenario has anything. Who emulates the machine says
/// what is written there.
const BESIDE: usize = 0xc00;

extern "C" fn main() -> ! {
    let mut report = Report::new("pending-bits", DebugPort);
    report.phase(600, format_args!("pending bits"));
    interrupts::start();

    let device = ready(&mut report, Xhci::ID, "USB");
    let xhci = xhci(&device);
    let raise = |number| xhci.raise(number);
    messages(&mut report, &device, raise, "USB, at first");
    pending_bits_stay(&mut report, &device);
    beside(&mut report, &device);
    messages(&mut report, &device, raise, "USB, after the writes");
    device.close();

    let device = ready(&mut report, VirtioNet::ID, "NIC");
    // SAFETY: this is the one reference, taken once.
    let ring = unsafe { &mut *TRANSMIT.0.get() };
    let virtio = VirtioNet::start(device.msix.function, ring);
    let raise = |number| virtio.raise(number);
    messages(&mut report, &device, raise, "NIC, at first");
    pending_bits_stay(&mut report, &device);
    messages(&mut report, &device, raise, "NIC, after the writes");
    virtio.stop();
    device.close();

    report.result();
    hypercall::enable();
    hypercall::shutdown(kernel::abi::SHUTDOWN_POWEROFF)
}

/// A device reads it.
struct Ring<T>(UnsafeCell<T>);

// SAFETY: there is one processor, and it takes the ring once.
unsafe impl<T> Sync for Ring<T> {}

static EVENTS: Ring<EventRing> = Ring(UnsafeCell::new(EventRing::new()));
static TRANSMIT: Ring<TransmitRing> = Ring(UnsafeCell::new(TransmitRing::new()));

/// Switches the MSI-X of a device on, with all entries unmasked.
fn ready(report: &mut Report<DebugPort>, id: u32, name: &str) -> Device {
    let function = pci::find(id).expect("a device is missing");
    let device = Device::open(function).expect("no MSI-X");
    let page = |address: u64| address & !0xfff;
    report.expect(
        format_args!("{name}: table and pending bits are in one page"),
        (page(device.msix.table) == page(device.msix.pending)).into(),
        1,
    );
    report.say(format_args!("{name}: {} entries", device.msix.entries));
    device.enable();
    for number in 0..device.msix.entries {
        device.program(number);
        device.entry(number).write32(CONTROL, 0);
    }
    device
}

/// Makes the USB controller ready.
fn xhci(device: &Device) -> Xhci {
    let region = device.msix.function.bar(0);
    // SAFETY: this is the one reference, taken once.
    let ring = unsafe { &mut *EVENTS.0.get() };
    let address = &raw const *ring as u64;
    // SAFETY: memory regions of the device, which `long_mode` maps one to one.
    let [registers, runtime] =
        [0, Xhci::RUNTIME].map(|at| unsafe { Window::new((region + at) as usize) });
    let xhci = Xhci::new(registers, runtime, ring, address);
    xhci.set_up();
    xhci
}

/// Whether a message is pending.
fn is_pending(device: &Device, number: usize) -> bool {
    device.pending.read64(number / 64 * 8) >> (number % 64) & 1 != 0
}

/// How often an entry's message has come.
fn arrived(number: usize) -> i64 {
    seen(vector(number)).iter().sum::<u32>().into()
}

/// Each message: raised while it is masked, seen in the pending bits, and taken.
fn messages(report: &mut Report<DebugPort>, device: &Device, raise: impl Fn(usize), when: &str) {
    for number in 0..device.msix.entries {
        let entry = device.entry(number);
        entry.write32(CONTROL, MASKED);
        let before = arrived(number);
        raise(number);
        let pending = (0..PATIENCE).any(|_| is_pending(device, number));
        report.expect(
            format_args!("{when}: message {number} is pending"),
            pending.into(),
            1,
        );
        report.expect(
            format_args!("{when}: message {number} came while masked"),
            arrived(number) - before,
            0,
        );
        reached(vector(number), 1, || entry.write32(CONTROL, 0));
        report.expect(
            format_args!("{when}: message {number} came once unmasked"),
            arrived(number) - before,
            1,
        );
        report.expect(
            format_args!("{when}: message {number} is still pending"),
            is_pending(device, number).into(),
            0,
        );
    }
}

/// Writes all ones to the pending bits, by each width: nothing changes, and nothing comes.
fn pending_bits_stay(report: &mut Report<DebugPort>, device: &Device) {
    let count = || (0..device.msix.entries).map(arrived).sum::<i64>();
    let before = count();
    let bits = device.pending;
    bits.write8(0, !0);
    bits.write16(0, !0);
    bits.write32(0, !0);
    bits.write64(0, !0);
    report.expect_hex(
        format_args!("pending bits after a write of all ones"),
        bits.read64(0),
        0,
    );
    report.expect(
        format_args!("messages that came of it"),
        count() - before,
        0,
    );
}

/// Writes to registers beside the table and the pending bits, and reads them.
fn beside(report: &mut Report<DebugPort>, device: &Device) {
    let page = device.msix.table as usize & !0xfff;
    // SAFETY: the table's page, which `long_mode` maps one to one.
    let beside = unsafe { Window::new(page + BESIDE) };
    beside.write8(0, 0x11);
    beside.write16(2, 0x2222);
    beside.write32(4, 0x3333_3333);
    beside.write64(8, 0x4444_4444_4444_4444);
    report.say(format_args!(
        "beside: {:x} {:x} {:x} {:x}",
        beside.read8(0),
        beside.read16(2),
        beside.read32(4),
        beside.read64(8),
    ));
    report.expect(
        format_args!("entry 0 is unmasked"),
        device.entry(0).read32(CONTROL).into(),
        0,
    );
}

/// Waits for interrupts for ever.
extern "C" fn halt() -> ! {
    loop {
        // SAFETY: waits for the next interrupt.
        unsafe { asm!("hlt", options(nomem, nostack)) };
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("pending-bits", DebugPort).panicked(info);
    if hypercall::enable() {
        hypercall::shutdown(kernel::abi::SHUTDOWN_CRASH);
    }
    halt()
}
