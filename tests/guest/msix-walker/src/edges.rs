//! What lies around the entries: the pending bits, registers beside the table in its page, and the
//! function's own mask.

use kernel::msix::{DATA, Device, ENTRY, LOW};
use kernel::pci::{MSIX_ENABLE, MSIX_MASK_ALL};

use crate::{Transcript, phase};

/// Runs the walk.
pub(crate) fn walk(report: &Transcript, device: &Device) {
    let entries = device.msix.entries;

    phase(report, 0x30, "pending bits");
    let pending = device.pending;
    for place in (0..entries.div_ceil(64) * 8).step_by(8) {
        let halves = [place, place + 4].map(|place| pending.read32(place));
        report.say(format_args!(
            "pending bits {place}: {halves:x?} {:x}",
            pending.read64(place)
        ));
    }
    // Xen maps the page read-only, and a write there ends the guest: it is not tried.
    report.say(format_args!(
        "pending bits by odd widths: {:x} {:x} {:x}",
        pending.read8(0),
        pending.read16(0),
        pending.read32(1),
    ));

    phase(report, 0x31, "registers beside the table");
    let end = entries * ENTRY;
    if (device.msix.table as usize + end) & 0xfff != 0 {
        let beside = device.table.at(end);
        let show = |what: &str| {
            report.say(format_args!(
                "{what}: {:x} {:x} {:x} {:x}, odd {:x} {:x}",
                beside.read8(0),
                beside.read16(2),
                beside.read32(4),
                beside.read64(8),
                beside.read16(1),
                beside.read32(2),
            ));
        };
        show("beside");
        beside.write8(0, 0x11);
        beside.write16(2, 0x2222);
        beside.write32(4, 0x3333_3333);
        beside.write64(8, 0x4444_4444_4444_4444);
        show("beside, written");
        beside.write16(1, 0x5555);
        beside.write32(2, 0x6666_6666);
        show("beside, written at odd places");
        let mut words = [0; 8];
        device.table.at(end - ENTRY).read_rep32(0, &mut words);
        report.say(format_args!(
            "rep movsd over the end of the table: {words:x?}"
        ));
    }

    phase(report, 0x32, "function mask");
    for bits in [MSIX_ENABLE | MSIX_MASK_ALL, MSIX_MASK_ALL, 0, MSIX_ENABLE] {
        device.msix.set_control(bits);
        let last = device.entry(entries - 1);
        let first = device.entry(0);
        report.say(format_args!(
            "control {:x}: first {:x} {:x}, last {:x} {:x}",
            device.msix.control() & 0xc000,
            first.read64(LOW),
            first.read64(DATA),
            last.read64(LOW),
            last.read64(DATA),
        ));
    }
    for number in 0..entries {
        device.reprogram(number);
    }
}
