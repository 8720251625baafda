//! Messages that travel, on the device that can send them at will.

use kernel::devices::E1000e;
use kernel::interrupts::reached;
use kernel::msix::{CONTROL, Device, MASKED, vector};

use crate::Transcript;

/// Checks that each entry's message arrives, and that masking holds it back.
pub(crate) fn check(report: &mut Transcript, device: &Device, when: &str) {
    let Some(sender) = E1000e::of(device.msix.function) else {
        return;
    };
    sender.route();
    for number in 0..device.msix.entries {
        let got = reached(vector(number), 1, || sender.raise(number as u32));
        report.expect(format_args!("{when}: message {number}"), got.into(), 1);
    }
    for number in 0..device.msix.entries {
        device.entry(number).write32(CONTROL, MASKED);
        let got = reached(vector(number), 0, || sender.raise(number as u32));
        report.expect(
            format_args!("{when}: message {number}, masked"),
            got.into(),
            0,
        );
        let got = reached(vector(number), 1, || {
            device.entry(number).write32(CONTROL, 0)
        });
        report.expect(
            format_args!("{when}: message {number}, unmasked"),
            got.into(),
            1,
        );
    }
    sender.quiet();
}
