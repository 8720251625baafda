//! The devices of the tests.

use irq_core::remap::source::{Kind, Upstream, of_function};
use irq_hw::vtd::Source;

/// The IDs that a device's messages bear.
pub(super) const REQUESTERS: [&[u16]; 4] = [
    &[0x0510],
    // With a phantom function.
    &[0x0618, 0x061c],
    // Behind a bridge from PCI Express to PCI, which may put the ID of its secondary bus on them.
    &[0x0900, 0x0910],
    // A neighbour of the first one.
    &[0x0511],
];

/// A requester that owns nothing.
pub(super) const STRANGER: u16 = 0x0a18;

/// Whose messages the entries of a device take.
pub(super) fn source(device: usize) -> Source {
    let bridge = Upstream::Bridge {
        id: 0x0800,
        kind: Kind::ExpressToPci,
        secondary: 9,
    };
    let source = match device {
        0 => of_function(Kind::Endpoint, 0x0510, 0, Upstream::Direct),
        1 => of_function(Kind::Endpoint, 0x0618, 4, Upstream::Direct),
        2 => of_function(Kind::Pci, 0x0910, 0, bridge),
        _ => of_function(Kind::Endpoint, 0x0511, 0, Upstream::Direct),
    };
    source.expect("the kind of each device is known")
}

/// The device whose messages bear an ID.
pub(super) fn device_of(requester: u16) -> Option<usize> {
    REQUESTERS.iter().position(|ids| ids.contains(&requester))
}
