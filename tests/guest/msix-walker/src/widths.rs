//! Every entry by every width, aligned and not, and by string instructions within an entry and
//! across two.

use kernel::msix::{CONTROL, DATA, Device, ENTRY, HIGH, LOW, MASKED};

use crate::{Transcript, phase};

/// Runs the walk; at the end every entry is programmed and unmasked again.
pub(crate) fn walk(report: &Transcript, device: &Device) {
    phase(report, 0x20, "widths and alignments");
    for number in 0..device.msix.entries {
        reads(report, device, number);
        writes(report, device, number);
        controls(report, device, number);
        device.reprogram(number);
    }
    phase(report, 0x21, "string instructions");
    for number in 0..device.msix.entries {
        strings(report, device, number);
        device.reprogram(number);
    }
}

/// Reads at every offset where a width is interesting: aligned, at odd places, and across the end
/// of the entry.
fn reads(report: &Transcript, device: &Device, number: usize) {
    let entry = device.entry(number);
    let bytes = [0, 1, 3, 5, 8, 12, 15].map(|place| entry.read8(place));
    let words = [0, 1, 2, 3, 6, 8, 12, 14].map(|place| entry.read16(place));
    report.say(format_args!("{number} read 1: {bytes:x?}, 2: {words:x?}"));
    let doubles = [0, 1, 2, 4, 6, 7, 8, 10, 12].map(|place| entry.read32(place));
    report.say(format_args!("{number} read 4: {doubles:x?}"));
    let quads = [0, 1, 4, 8].map(|place| entry.read64(place));
    report.say(format_args!("{number} read 8: {quads:x?}"));
}

/// Writes of every width to a masked entry, each followed by what the entry then holds.
fn writes(report: &Transcript, device: &Device, number: usize) {
    let entry = device.entry(number);
    let show = |what: &str| {
        let now = [LOW, DATA].map(|place| entry.read64(place));
        report.say(format_args!("{number} {what}: {now:x?}"));
    };
    entry.write32(CONTROL, MASKED);
    show("masked");
    entry.write8(LOW, 0xa1);
    entry.write8(3, 0xa2);
    entry.write16(DATA, 0xb1b1);
    entry.write16(HIGH + 1, 0xb2b2);
    show("after bytes and words");
    entry.write32(2, 0xc1c1_c1c1);
    entry.write32(DATA + 1, 0xc2c2_c2c2);
    entry.write64(1, 0xc3c3_c3c3_c3c3_c3c3);
    entry.write64(HIGH, 0xc4c4_c4c4_c4c4_c4c4);
    show("after odd doublewords and quadwords");
    entry.write32(LOW, 0xfee1_0000);
    entry.write32(HIGH, 0xd1);
    entry.write32(DATA, 0x4111);
    show("after doublewords");
    entry.write64(LOW, 0x0000_00d2_fee0_1000);
    show("after quadword of the address");
    entry.write64(DATA, 0x0000_0001_0000_4222);
    show("after quadword of data and control");
}

/// Masks and unmasks by every way that reaches the vector control.
fn controls(report: &Transcript, device: &Device, number: usize) {
    let entry = device.entry(number);
    let (address, data) = Device::message(number);
    let mut states = [0; 8];
    entry.write64(LOW, address);
    entry.write64(DATA, u64::from(data));
    states[0] = entry.read32(CONTROL);
    entry.write64(DATA, u64::from(data) | 1 << 32);
    states[1] = entry.read32(CONTROL);
    entry.write32(CONTROL, 0);
    states[2] = entry.read32(CONTROL);
    // Reserved bits.
    entry.write32(CONTROL, 0xffff_fffe);
    states[3] = entry.read32(CONTROL);
    entry.write32(CONTROL, 0xffff_ffff);
    states[4] = entry.read32(CONTROL);
    entry.write8(CONTROL, 0);
    states[5] = entry.read32(CONTROL);
    entry.write16(CONTROL, 0);
    states[6] = entry.read32(CONTROL);
    entry.write32(CONTROL, 0);
    states[7] = entry.read32(CONTROL);
    report.say(format_args!("{number} control: {states:x?}"));
}

/// String instructions that write one entry, the end of one, two entries, and that read them back.
fn strings(report: &Transcript, device: &Device, number: usize) {
    let entry = device.entry(number);
    let (address, data) = Device::message(number);
    let (low, high) = (address as u32, (address >> 32) as u32);
    let show = |what: &str| {
        let mut doubles = [0; 4];
        let mut quads = [0; 2];
        entry.read_rep32(LOW, &mut doubles);
        entry.read_rep64(LOW, &mut quads);
        report.say(format_args!("{number} {what}: {doubles:x?} {quads:x?}"));
    };

    entry.write_rep32(LOW, &[low, high, data, MASKED]);
    show("rep movsd of the entry, masked");
    entry.write_rep32(LOW, &[low | 0x4000, high, data + 1, 0]);
    show("rep movsd of the entry, unmasked");
    entry.write_rep64(LOW, &[address | 0x5000, u64::from(data + 2) | 1 << 32]);
    show("rep movsq of the entry, masked");
    entry.write_rep64(LOW, &[address, u64::from(data)]);
    show("rep movsq of the entry, unmasked");
    entry.write_rep32(DATA, &[data + 3, MASKED]);
    show("rep movsd of data and control, masked");
    entry.write_rep64(DATA, &[u64::from(data)]);
    show("rep movsq of data and control, unmasked");
    entry.write_rep32(HIGH, &[high, data]);
    show("rep movsd of the middle");

    if number + 1 == device.msix.entries {
        return;
    }
    let (next_address, next_data) = Device::message(number + 1);
    let both = [
        [low, high, data, MASKED],
        [
            next_address as u32,
            (next_address >> 32) as u32,
            next_data,
            MASKED,
        ],
    ];
    entry.write_rep32(LOW, both.as_flattened());
    show("rep movsd of two entries, masked");
    let both = [address, u64::from(data), next_address, u64::from(next_data)];
    entry.write_rep64(LOW, &both);
    show("rep movsq of two entries, unmasked");
    let mut across = [0; 4];
    entry.read_rep32(DATA, &mut across);
    let mut quads = [0; 2];
    entry.read_rep64(DATA, &mut quads);
    let mut single = [0; 1];
    entry.read_rep64(ENTRY - 4, &mut single);
    report.say(format_args!(
        "{number} across: {across:x?} {quads:x?} {single:x?}"
    ));
}
