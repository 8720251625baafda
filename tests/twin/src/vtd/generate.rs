//! Makes up cases.
//!
//! Numbers come from small sets where they must meet again: an update that changes nothing, a pin
//! that is masked and unmasked, a bridge above two functions.

use xen_sys as sys;

use super::Vtd;
use super::op::{Message, Op, Switching};
use super::spec::{
    DeviceSpec, HpetSpec, IoApicSpec, IommuSpec, SenderSpec, Spec, Upstream, bus_below,
};
use crate::heap::Failure;
use crate::machine::table::ENTRIES;
use crate::machine::vtd::{EXTENDED_MODE, MOST, Pace, STATUS};
use crate::rng::Rng;
use crate::side::Script;
use crate::subject::Case;

/// QI, IR and EIM.
const CAPABLE: u64 = 1 << 1 | 1 << 3 | 1 << 4;
/// Where the direct map is, and how long: posted-interrupt descriptors are there, each in a cache
/// line.
const DIRECT_MAP: u64 = 0xffff_8300_0000_0000;
const DIRECT_MAP_LEN: usize = 5 << 40;
const DESCRIPTOR: u64 = 64;

pub(super) fn case(rng: &mut Rng) -> Case<Vtd> {
    let mut spec = spec(rng);
    let mut ops = Vec::new();
    if rng.one_in(200) {
        full_for_hpet(rng, &mut spec, &mut ops);
    } else {
        start(rng, &spec, &mut ops);
        if rng.one_in(80) {
            ops.push(fill(rng));
        }
    }
    for _ in 0..4 + rng.below(24) {
        let op = op(rng, &ops);
        if let Op::Update { sender, .. } = op
            && rng.one_in(2)
        {
            whole_block(rng, &spec, sender, &mut ops);
        }
        ops.push(op);
    }
    let steps = ops.into_iter().map(|op| {
        let script = script(rng, &op);
        (op, script)
    });
    Case {
        steps: steps.collect(),
        spec,
    }
}

fn script(rng: &mut Rng, op: &Op) -> Script {
    let mut script = Script::plain(rng.next());
    if let Op::EnableEim { .. } | Op::Enable { .. } = op {
        script.memory = match rng.below(24) {
            0 => Failure::Always,
            1 => Failure::Nth(rng.below(3) as u32),
            _ => Failure::Never,
        };
        if rng.one_in(16) {
            let errno = rng.pick(&[-libc::ENOMEM, -libc::EIO, -libc::ENODEV]);
            script.error = Some((rng.below(6) as u32, errno));
        }
    }
    script
}

fn spec(rng: &mut Rng) -> Spec {
    let iommus: Vec<_> = (0..1 + rng.below(MOST)).map(|_| iommu(rng)).collect();
    let units = iommus.len();
    let hpets: Vec<_> = (0..rng.below(3)).map(|_| hpet(rng, units)).collect();
    let mut devices: Vec<DeviceSpec> = Vec::new();
    for number in 0..1 + rng.below(5) {
        devices.push(device(rng, number, units));
    }
    let senders = (0..1 + rng.below(6))
        .map(|_| sender(rng, devices.len()))
        .collect();
    let x2apic = rng.one_in(2);
    Spec {
        x2apic,
        eim: x2apic != rng.one_in(5),
        non_coherent: rng.one_in(2),
        limit: rng.one_in(12).then(|| 1 + rng.below(80)),
        senders,
        io_apics: (0..rng.below(4))
            .map(|number| io_apic(rng, number, units))
            .collect(),
        iommus,
        hpets,
        devices,
    }
}

fn iommu(rng: &mut Rng) -> IommuSpec {
    let others = rng.next() & !CAPABLE;
    let capability = if rng.one_in(8) {
        others | rng.next() & CAPABLE
    } else {
        others | CAPABLE
    };
    IommuSpec {
        capability,
        status: if rng.one_in(3) {
            rng.next() as u32 & STATUS
        } else {
            0
        },
        table: 0x5000_000f | rng.next() & EXTENDED_MODE,
        node: rng.pick(&[0, 1, 0xff]),
    }
}

fn hpet(rng: &mut Rng, units: usize) -> HpetSpec {
    HpetSpec {
        hpet: rng.below(2) as u32,
        unit: rng.below(units),
        id: rng.next() as u16,
    }
}

/// The unit of one that a unit serves, or seldom none.
fn unit(rng: &mut Rng, units: usize) -> Option<usize> {
    (!rng.one_in(40)).then(|| rng.below(units))
}

fn device(rng: &mut Rng, number: usize, units: usize) -> DeviceSpec {
    let bus = 1 + rng.below(4) as u16;
    let place = (
        rng.pick(&[0, 0, 3]),
        bus << 8 | (number as u16) << 3 | rng.below(8) as u16,
    );
    let kind = match rng.below(20) {
        0 => rng.pick(&[sys::DEV_TYPE_PCI_UNKNOWN, 8, 200]),
        1..9 => sys::DEV_TYPE_PCIe_ENDPOINT,
        _ => rng.pick(&[
            sys::DEV_TYPE_PCIe_BRIDGE,
            sys::DEV_TYPE_PCIe2PCI_BRIDGE,
            sys::DEV_TYPE_PCI2PCIe_BRIDGE,
            sys::DEV_TYPE_LEGACY_PCI_BRIDGE,
            sys::DEV_TYPE_PCI_HOST_BRIDGE,
            sys::DEV_TYPE_PCI,
            sys::DEV_TYPE_PCI,
        ]),
    };
    let upstream = match rng.below(6) {
        0 => Upstream::Direct,
        1 => Upstream::Unknown,
        _ => bridge(rng),
    };
    DeviceSpec {
        place,
        kind,
        stride: rng.pick(&[0, 0, 1, 2, 4, 3, 8]),
        unit: unit(rng, units),
        upstream,
    }
}

/// One of few bridges, some below the function's own bus. Some have a secondary bus that cannot be
/// theirs: buses that were not numbered yet, or were numbered anew.
fn bridge(rng: &mut Rng) -> Upstream {
    let bus = rng.below(4) as u8;
    Upstream::Bridge {
        id: u16::from(bus) << 8 | rng.pick(&[0x1d, 0xf0]),
        secondary: match rng.below(8) {
            0 => 0,
            1 => bus,
            2 => 6 + rng.below(250) as u8,
            _ => bus_below(bus),
        },
        kind: rng.pick(&[
            sys::DEV_TYPE_PCIe2PCI_BRIDGE,
            sys::DEV_TYPE_PCIe2PCI_BRIDGE,
            sys::DEV_TYPE_PCIe_BRIDGE,
            sys::DEV_TYPE_LEGACY_PCI_BRIDGE,
            sys::DEV_TYPE_PCI2PCIe_BRIDGE,
            sys::DEV_TYPE_PCI_UNKNOWN,
        ]),
    }
}

fn sender(rng: &mut Rng, devices: usize) -> SenderSpec {
    let device = rng.below(devices);
    match rng.below(8) {
        0..2 => SenderSpec::Msi { device, count: 1 },
        2..4 => SenderSpec::Msi {
            device,
            count: 2 << rng.below(5),
        },
        4..6 => SenderSpec::Msix {
            device,
            entry: rng.below(2048) as u16,
        },
        _ => SenderSpec::Hpet {
            hpet: rng.below(2) as u32,
        },
    }
}

fn io_apic(rng: &mut Rng, number: usize, units: usize) -> IoApicSpec {
    // Not in remappable format: firmware does not remap.
    let pin = |rng: &mut Rng| rng.next() & !(0x1_ffff << 32);
    let pins = 1 + rng.below(24);
    IoApicSpec {
        apic_id: (number as u8) << 3 | rng.below(8) as u8,
        unit: unit(rng, units),
        id: rng.next() as u16,
        pins: (0..pins).map(|_| pin(rng)).collect(),
    }
}

/// Switches remapping on, in most cases so that it is.
fn start(rng: &mut Rng, spec: &Spec, ops: &mut Vec<Op>) {
    if rng.one_in(8) {
        ops.push(supports(rng));
    }
    match rng.below(8) {
        0 => {}
        1..5 if spec.eim => ops.push(Op::EnableEim {
            active: false,
            allowed: [true; 2],
            switching: quick(),
        }),
        _ => {
            for iommu in 0..spec.iommus.len() {
                ops.push(Op::Queue { iommu, on: true });
                ops.push(Op::Enable {
                    iommu,
                    eim: rng.below(2) as u32,
                    allowed: true,
                    switching: quick(),
                });
            }
        }
    }
}

/// An HPET meets a table that is full.
fn full_for_hpet(rng: &mut Rng, spec: &mut Spec, ops: &mut Vec<Op>) {
    let unit = rng.below(spec.iommus.len());
    let sender = spec.senders.len();
    spec.eim = spec.x2apic;
    spec.limit = None;
    spec.hpets = vec![HpetSpec {
        hpet: 0,
        unit,
        id: rng.next() as u16,
    }];
    spec.senders.push(SenderSpec::Hpet { hpet: 0 });
    // The one whose descriptor fills the table.
    spec.devices[0].kind = sys::DEV_TYPE_PCIe_ENDPOINT;
    spec.devices[0].unit = Some(unit);
    spec.iommus[unit].capability |= CAPABLE;
    spec.iommus[unit].status = 0;
    ops.push(Op::Queue {
        iommu: unit,
        on: true,
    });
    ops.push(Op::Enable {
        iommu: unit,
        eim: u32::from(spec.eim),
        allowed: true,
        switching: quick(),
    });
    ops.push(Op::Fill {
        iommu: unit,
        count: ENTRIES,
        holes: Vec::new(),
    });
    let hpets = spec
        .senders
        .iter()
        .filter(|sender| matches!(sender, SenderSpec::Hpet { .. }));
    ops.push(Op::SetUpHpet {
        sender: hpets.count() - 1,
    });
    ops.push(Op::Update {
        sender,
        number: 0,
        message: message(rng, ops),
    });
}

fn quick() -> Switching {
    Switching {
        pace: Pace::After(0),
        kexecing: false,
        late: false,
    }
}

fn switching(rng: &mut Rng) -> Switching {
    Switching {
        pace: if rng.one_in(20) {
            Pace::Never
        } else {
            Pace::After(rng.below(3) as u32)
        },
        kexecing: rng.one_in(2),
        late: rng.one_in(2),
    }
}

fn supports(rng: &mut Rng) -> Op {
    Op::Supports {
        queue: !rng.one_in(4),
        remapping: !rng.one_in(4),
        wide_exchange: !rng.one_in(3),
    }
}

/// A table that is nearly full, or half so.
fn fill(rng: &mut Rng) -> Op {
    let count = rng.pick(&[ENTRIES, ENTRIES, ENTRIES - 3, 40_000]);
    let mut holes = Vec::new();
    for _ in 0..rng.below(6) {
        let first = rng.below(ENTRIES - 40);
        holes.extend(first..first + 1 + rng.below(40));
    }
    holes.sort_unstable();
    holes.dedup();
    Op::Fill {
        iommu: rng.below(MOST),
        count,
        holes,
    }
}

fn op(rng: &mut Rng, before: &[Op]) -> Op {
    // Small enough that one meets the same again, large enough for whatever the world has.
    let any = rng.below(840);
    match rng.below(64) {
        0 => supports(rng),
        1 => Op::EnableEim {
            active: rng.one_in(2),
            allowed: [!rng.one_in(4), !rng.one_in(8)],
            switching: switching(rng),
        },
        2 => Op::DisableEim {
            switching: switching(rng),
        },
        3 => Op::Enable {
            iommu: any,
            eim: rng.pick(&[0, 1, 0x100]),
            allowed: !rng.one_in(8),
            switching: switching(rng),
        },
        4 => Op::Disable {
            iommu: any,
            switching: switching(rng),
        },
        5 => Op::Queue {
            iommu: any,
            on: !rng.one_in(3),
        },
        6..18 => write_pin(rng, before),
        18..28 => Op::ReadPin {
            io_apic: rng.below(3),
            pin: rng.below(24),
            upper: rng.one_in(2),
        },
        28..32 => Op::TouchPin {
            io_apic: rng.below(3),
            pin: rng.below(24),
            bits: rng.next() as u32,
        },
        32..36 => Op::SetUpHpet { sender: any },
        36 => Op::Stray {
            sender: any,
            index: rng.pick(&[ENTRIES, ENTRIES + 31, 2 * ENTRIES - 1, i32::MAX as usize]) as i32,
            release: rng.one_in(2),
        },
        37..45 => Op::Release {
            sender: any,
            number: if rng.one_in(4) { rng.below(32) } else { 0 },
        },
        _ => Op::Update {
            sender: any,
            number: if rng.one_in(10) { rng.below(32) } else { 0 },
            message: message(rng, before),
        },
    }
}

/// The whole entry is new, or it is that of before but for the mask, or that of before.
fn write_pin(rng: &mut Rng, before: &[Op]) -> Op {
    let (io_apic, pin) = (rng.below(3), rng.below(24));
    let last = before.iter().rev().find_map(|op| match op {
        Op::WritePin {
            io_apic,
            pin,
            entry,
        } => Some((*io_apic, *pin, *entry)),
        _ => None,
    });
    match (rng.below(4), last) {
        (0, Some((io_apic, pin, entry))) => Op::WritePin {
            io_apic,
            pin,
            entry: entry ^ 1 << 16,
        },
        (1, Some((io_apic, pin, entry))) => Op::WritePin {
            io_apic,
            pin,
            entry,
        },
        _ => Op::WritePin {
            io_apic,
            pin,
            entry: rng.next(),
        },
    }
}

fn message(rng: &mut Rng, before: &[Op]) -> Message {
    let last = before.iter().rev().find_map(|op| match op {
        Op::Update { message, .. } => Some(*message),
        _ => None,
    });
    match (rng.below(4), last) {
        (0, Some(last)) => last,
        // Posted to another place, or no longer.
        (1, Some(last)) => Message {
            posted: posted(rng),
            ..last
        },
        _ => Message {
            address: 0xfee0_0000 | rng.next() as u32 & 0x000f_f00c,
            data: rng.next() as u32 & 0xcfff,
            destination: destination(rng),
            posted: if rng.one_in(3) { posted(rng) } else { None },
        },
    }
}

/// A destination: of 32, 8 or 9 bits, and now and then the one of 8 bits that means every CPU.
pub(crate) fn destination(rng: &mut Rng) -> u32 {
    match rng.below(8) {
        0 => 0xff,
        _ => rng.pick(&[u32::MAX, 0xff, 0x1ff]) & rng.next() as u32,
    }
}

fn posted(rng: &mut Rng) -> Option<(u64, u8)> {
    let descriptor = DIRECT_MAP + rng.below(DIRECT_MAP_LEN) as u64 / DESCRIPTOR * DESCRIPTOR;
    (!rng.one_in(3)).then(|| (descriptor, rng.next() as u8))
}

/// All messages of a block, as Xen sets them up: the others of the table come after that.
fn whole_block(rng: &mut Rng, spec: &Spec, sender: usize, ops: &mut Vec<Op>) {
    let chosen = spec.senders[sender % spec.senders.len()];
    let SenderSpec::Msi { count, .. } = chosen else {
        return;
    };
    // Without entries, C goes through all the table for each message after the first.
    if spec.refusal(chosen).is_some() {
        return;
    }
    for number in 0..count {
        let message = message(rng, ops);
        ops.push(Op::Update {
            sender,
            number,
            message,
        });
    }
}
