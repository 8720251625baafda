//! The phases whose reads are counted: who serves the reads of an entry in each state that a driver
//! brings it to.

use kernel::msix::{CONTROL, DATA, Device, HIGH, LOW};

use crate::{Transcript, phase};

/// How often each entry is read in a counted phase, in doublewords: three times address and data.
const ROUNDS: usize = 4;

/// Entries that take part: Xen gives a guest no more message interrupts than these, and none to an
/// entry beyond. (Its option `extra_guest_irqs` cannot raise the number: Xen bounds it before it
/// knows how many interrupts it has.)
const USABLE: usize = 32;

fn entries(device: &Device) -> usize {
    device.msix.entries.min(USABLE)
}

/// Runs the phases; at the end every entry that can be is programmed and unmasked.
pub(crate) fn walk(report: &Transcript, device: &Device) {
    let entries = entries(device);

    phase(report, 0x10, "entries as found, MSI-X off");
    show(report, device, 0);

    device.enable();
    device.program(0);
    device.entry(0).write32(CONTROL, 0);
    phase(report, 0x11, "entry 0 in use, the others not yet written");
    show(report, device, 1);

    for number in 0..entries {
        if number != 0 {
            device.program(number);
        }
    }
    phase(
        report,
        0x12,
        "reads: every entry written, only entry 0 ever unmasked",
    );
    read(report, device);

    for number in 0..entries {
        device.entry(number).write32(CONTROL, 0);
    }
    phase(report, 0x13, "reads: every entry unmasked");
    read(report, device);

    for number in 0..entries {
        device.reprogram(number);
    }
    phase(
        report,
        0x14,
        "reads: every entry written again, as to move an interrupt",
    );
    read(report, device);

    phase(report, 0x15, "reads: the vector control of every entry");
    let mut sum = 0;
    for _ in 0..ROUNDS {
        sum += (0..entries)
            .map(|number| device.entry(number).read32(CONTROL))
            .sum::<u32>();
    }
    phase(report, 0x16, "not counted");
    report.say(format_args!("sum of the vector controls: {sum}"));
}

/// Prints the entries from `first` on: each doubleword, then each quadword.
fn show(report: &Transcript, device: &Device, first: usize) {
    for number in first..entries(device) {
        let entry = device.entry(number);
        let words = [LOW, HIGH, DATA, CONTROL].map(|place| entry.read32(place));
        let quads = [LOW, DATA].map(|place| entry.read64(place));
        report.say(format_args!("entry {number}: {words:x?} {quads:x?}"));
    }
}

/// Reads address and data of every entry several times, and says how many values were not those
/// written.
fn read(report: &Transcript, device: &Device) {
    let mut wrong = 0;
    for _ in 0..ROUNDS {
        for number in 0..entries(device) {
            let (address, data) = Device::message(number);
            let entry = device.entry(number);
            wrong += u32::from(entry.read32(LOW) != address as u32);
            wrong += u32::from(entry.read32(HIGH) != (address >> 32) as u32);
            wrong += u32::from(entry.read32(DATA) != data);
        }
    }
    phase(report, 0x16, "not counted");
    report.say(format_args!("values other than those written: {wrong}"));
}
