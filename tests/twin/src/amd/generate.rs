//! Makes up cases.
//!
//! Numbers come from small sets where they must meet again: an update that changes nothing, a pin
//! that is masked and unmasked, a block beside single entries.

use xen_sys as sys;

use super::Amd;
use super::op::{Message, Op};
use super::spec::{
    DeviceSpec, FUNCTIONS, HpetSpec, IoApicSpec, IommuSpec, Place, RequesterSpec, SenderSpec, Spec,
};
use crate::heap::Failure;
use crate::rng::Rng;
use crate::side::Script;
use crate::subject::Case;
use crate::vtd::generate::destination;

/// The most entries of a table.
const MOST: usize = 2048;
/// Where IO-APICs and the HPET are, and IOMMUs: devices that are no functions.
const IO_APIC: u16 = 0x60;
const HPET: u16 = 0x70;
const IOMMU: u16 = 0x02;

pub(super) fn case(rng: &mut Rng) -> Case<Amd> {
    let spec = spec(rng);
    let mut ops = Vec::new();
    let late = if rng.one_in(3) {
        second_table(&spec)
    } else {
        None
    };
    for requester in 0..spec.requesters.len() {
        let is_late = late.is_some_and(|(_, alias)| requester == alias);
        if !is_late && !rng.one_in(12) {
            ops.push(allocate(rng, requester));
        }
    }
    if let Some((sender, alias)) = late {
        add_second_table(rng, &mut ops, sender, alias);
    }
    // A table of pins can be full where all have the same one.
    if rng.one_in(if spec.per_device { 8 } else { 3 }) {
        ops.push(fill(rng));
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
        let mut script = Script::plain(rng.next());
        if let Op::Allocate { .. } = op {
            script.memory = match rng.below(12) {
                0 => Failure::Always,
                1 => Failure::Nth(rng.below(3) as u32),
                _ => Failure::Never,
            };
        }
        (op, script)
    });
    Case {
        steps: steps.collect(),
        spec,
    }
}

/// An HPET among the senders whose requests bear its own ID as well as another's, and the requester
/// of that.
fn second_table(spec: &Spec) -> Option<(usize, usize)> {
    let is_hpet = |sender: &SenderSpec| matches!(sender, SenderSpec::Hpet { .. });
    let sender = spec.senders.iter().position(is_hpet)?;
    let place = spec.hpet.place;
    let mut requesters = spec.requesters.iter();
    let own = requesters.find(|requester| requester.place == place)?;
    let alias = (place.0, own.alias);
    let mut requesters = spec.requesters.iter();
    let other = requesters.position(|requester| requester.place == alias)?;
    (spec.per_device && own.alias != place.1).then_some((sender, other))
}

/// The sender has entries before the other requester has a table, and uses and releases them after
/// that.
fn add_second_table(rng: &mut Rng, ops: &mut Vec<Op>, sender: usize, requester: usize) {
    let update = |rng: &mut Rng, ops: &mut Vec<Op>| {
        let message = message(rng, ops);
        ops.push(Op::Update {
            sender,
            number: 0,
            message,
        });
    };
    update(rng, ops);
    ops.push(allocate(rng, requester));
    for _ in 0..1 + rng.below(3) {
        update(rng, ops);
    }
    if rng.one_in(2) {
        ops.push(Op::Release { sender });
    }
}

/// A world in the making.
struct Draft {
    requesters: Vec<RequesterSpec>,
    devices: Vec<DeviceSpec>,
    iommus: Vec<IommuSpec>,
}

impl Draft {
    /// An IOMMU of a segment, or seldom none.
    fn iommu(&self, rng: &mut Rng, segment: u16) -> Option<usize> {
        let of_segment = |number: &usize| self.iommus[*number].place.0 == segment;
        let all: Vec<_> = (0..self.iommus.len()).filter(of_segment).collect();
        (!rng.one_in(20)).then(|| rng.pick(&all))
    }

    fn list(&mut self, place: Place, (valid, alias): (bool, u16), iommu: Option<usize>) {
        self.requesters.push(RequesterSpec {
            place,
            valid,
            alias,
            iommu,
            is_special: false,
        });
    }

    /// A function of a slot of its own, listed in one of the ways of firmware.
    fn device(&mut self, rng: &mut Rng, slot: u16, segment: u16) {
        let iommu = self.iommu(rng, segment);
        let first = slot * FUNCTIONS;
        let id = first + rng.pick(&[0, 0, 0, 1, 2, 5]);
        let place = (segment, id);
        let mut stride = 0;
        match rng.below(10) {
            // It bears another's ID, or its own as well as another's.
            kind @ (0 | 1) => {
                let alias = first + FUNCTIONS * 16;
                self.list(place, (kind == 1, alias), iommu);
                self.list((segment, alias), (true, alias), iommu);
            }
            // It is not listed, but function 0 is.
            2 => {
                self.list((segment, first), (true, first), iommu);
                if rng.one_in(2) {
                    // A requester that is asked about before function 0 has a table, or after that.
                    self.list((segment, id), (true, id), None);
                }
                let other = (segment, first + 3);
                self.devices.push(DeviceSpec {
                    place: other,
                    stride,
                });
            }
            // It is not listed at all.
            3 => {}
            4..7 => {
                stride = rng.pick(&[1, 2, 4]);
                self.list(place, (true, id), iommu);
                if rng.one_in(2) {
                    let phantom = id + u16::from(stride);
                    if phantom < first + FUNCTIONS {
                        self.list((segment, phantom), (true, phantom), iommu);
                    }
                }
            }
            _ => self.list(place, (!rng.one_in(8), id), iommu),
        }
        self.devices.push(DeviceSpec { place, stride });
    }
}

fn spec(rng: &mut Rng) -> Spec {
    let per_device = !rng.one_in(4);
    let segments: Vec<u16> = if rng.one_in(4) { vec![0, 3] } else { vec![0] };
    let wide = rng.one_in(2);
    let mut draft = Draft {
        requesters: Vec::new(),
        devices: Vec::new(),
        iommus: Vec::new(),
    };
    for number in 0..segments.len() + rng.below(2) {
        let segment = segments[number % segments.len()];
        draft.iommus.push(IommuSpec {
            place: (segment, IOMMU + number as u16 * FUNCTIONS),
            // Where all have one table its entries are of one length.
            wide: if per_device && rng.one_in(4) {
                !wide
            } else {
                wide
            },
            enabled: !rng.one_in(5),
        });
    }
    for slot in 0..1 + rng.below(4) as u16 {
        let segment = rng.pick(&segments);
        draft.device(rng, 4 + slot, segment);
    }
    // An IOMMU sends messages, too, and what is beyond the last requester.
    let others = [draft.iommus[0].place, (0, 0x3ff0), (9, 0x20)];
    if rng.one_in(4) {
        let place = rng.pick(&others);
        draft.devices.push(DeviceSpec { place, stride: 0 });
    }
    let mut special = |rng: &mut Rng, id: u16| {
        let place = (rng.pick(&segments), id);
        let iommu = draft.iommu(rng, place.0);
        let alias = if rng.one_in(6) { id + 0x80 } else { id };
        draft.requesters.push(RequesterSpec {
            place,
            valid: true,
            alias,
            iommu,
            is_special: true,
        });
        if alias != id {
            draft.list((place.0, alias), (true, alias), iommu);
        }
        place
    };
    let hpet = HpetSpec {
        place: special(rng, HPET),
        id: rng.below(2) as u16,
        said_by: rng.pick(&[
            sys::HPET_NONE,
            sys::HPET_CMDL,
            sys::HPET_IVHD,
            sys::HPET_IVHD,
        ]),
    };
    let mut io_apics = Vec::new();
    for number in 0..rng.below(4) {
        io_apics.push(IoApicSpec {
            // Small ones and large ones.
            apic_id: (number as u8 * 0x51) ^ 0x30,
            place: if rng.one_in(8) {
                None
            } else if rng.one_in(20) {
                Some((0, 0x78))
            } else {
                Some(special(rng, IO_APIC + 4 * number as u16))
            },
            // Firmware does not remap.
            pins: (0..1 + rng.below(24)).map(|_| rng.next()).collect(),
        });
    }
    let devices = draft.devices.len();
    let senders: Vec<_> = (0..1 + rng.below(6))
        .map(|_| sender(rng, devices))
        .collect();
    Spec {
        x2apic: rng.one_in(2),
        per_device,
        debug: rng.one_in(2),
        requester_count: 0x100,
        senders,
        segments,
        iommus: draft.iommus,
        requesters: draft.requesters,
        devices: draft.devices,
        io_apics,
        hpet,
    }
}

fn sender(rng: &mut Rng, devices: usize) -> SenderSpec {
    let device = rng.below(devices);
    match rng.below(8) {
        0 => SenderSpec::Msi { device, count: 1 },
        1..4 => SenderSpec::Msi {
            device,
            count: 2 << rng.below(5),
        },
        4..7 => SenderSpec::Msix { device },
        _ => SenderSpec::Hpet {
            id: rng.pick(&[0, 1, 0x1_0000]),
        },
    }
}

fn allocate(rng: &mut Rng, requester: usize) -> Op {
    let edge = rng.pick(&[256, 512, 1024, 2048]);
    Op::Allocate {
        requester,
        entries: match rng.below(4) {
            0 => 0,
            1 => 1 + rng.below(32) as u32,
            2 => edge - rng.below(2) as u32,
            _ => 1 + rng.below(MOST) as u32,
        },
    }
}

/// A table that is full, or nearly so, with single holes and rows of them.
fn fill(rng: &mut Rng) -> Op {
    let count = rng.pick(&[256, 512, 1024, MOST, 1021, 100]);
    let mut holes = Vec::new();
    for _ in 0..rng.below(6) {
        let first = rng.below(count);
        holes.extend(first..first + 1 + rng.below(40));
    }
    holes.sort_unstable();
    holes.dedup();
    Op::Fill {
        sender: rng.below(6),
        count,
        holes,
    }
}

fn op(rng: &mut Rng, before: &[Op]) -> Op {
    // Small enough that one meets the same again, large enough for whatever the world has.
    let any = rng.below(840);
    match rng.below(64) {
        0 => Op::Supports {
            enabled: !rng.one_in(4),
            remapping: !rng.one_in(4),
            wide_exchange: !rng.one_in(3),
            prepared: rng.pick(&[0, 0, 0, -libc::ENODEV]),
            given_up: rng.one_in(2),
        },
        1 => Op::NextIoApic {
            after: rng.pick(&[0, 1, 127, 128]),
        },
        2 => Op::IndexOfIoApic {
            id: rng.pick(&[0x30, 0x61, 0x92, 0, 0x130]),
        },
        3 => Op::Order { requester: any },
        4..7 => allocate(rng, any),
        7 => Op::Free { requester: any },
        8 => Op::Dump,
        9 => Op::Enable {
            iommu: any,
            enabled: !rng.one_in(3),
        },
        10..21 => write_pin(rng, before),
        21..28 => {
            let (io_apic, pin) = any_pin(rng, before);
            Op::ReadPin {
                io_apic,
                pin,
                upper: rng.one_in(2),
            }
        }
        28..30 => {
            let (io_apic, pin) = any_pin(rng, before);
            Op::TouchPin {
                io_apic,
                pin,
                bits: rng.next() as u32,
            }
        }
        30..34 => Op::SetUpHpet { sender: any },
        34..42 => Op::Release { sender: any },
        42 => Op::UpdateBeside {
            sender: any,
            message: message(rng, before),
        },
        43 => Op::ReleaseBeside { sender: any },
        _ => Op::Update {
            sender: any,
            number: if rng.one_in(10) { rng.below(32) } else { 0 },
            message: message(rng, before),
        },
    }
}

/// The pin that was written last, and what was written.
fn last_pin(before: &[Op]) -> Option<(usize, usize, u64)> {
    before.iter().rev().find_map(|op| match op {
        Op::WritePin {
            io_apic,
            pin,
            entry,
        } => Some((*io_apic, *pin, *entry)),
        _ => None,
    })
}

/// That one, or any.
fn any_pin(rng: &mut Rng, before: &[Op]) -> (usize, usize) {
    match last_pin(before) {
        Some((io_apic, pin, _)) if !rng.one_in(4) => (io_apic, pin),
        _ => (rng.below(3), rng.below(24)),
    }
}

/// The whole entry is new, or it is that of before but for the mask, or that of before.
fn write_pin(rng: &mut Rng, before: &[Op]) -> Op {
    let last = last_pin(before);
    let (io_apic, pin, entry) = match (rng.below(4), last) {
        (0, Some((io_apic, pin, entry))) => (io_apic, pin, entry ^ 1 << 16),
        (1, Some(last)) => last,
        (2, Some((io_apic, pin, _))) => (io_apic, pin, rng.next()),
        _ => (rng.below(3), rng.below(24), rng.next()),
    };
    Op::WritePin {
        io_apic,
        pin,
        entry,
    }
}

fn message(rng: &mut Rng, before: &[Op]) -> Message {
    let last = before.iter().rev().find_map(|op| match op {
        Op::Update { message, .. } => Some(*message),
        _ => None,
    });
    match (rng.below(4), last) {
        (0, Some(last)) => last,
        // Another vector alone.
        (1, Some(last)) => Message {
            data: last.data ^ 1 << rng.below(8),
            ..last
        },
        _ => Message {
            address: 0xfee0_0000 | rng.next() as u32 & 0x000f_f00c,
            data: rng.next() as u32 & 0xcfff,
            destination: destination(rng),
        },
    }
}

/// All messages of a block, as Xen sets them up.
fn whole_block(rng: &mut Rng, spec: &Spec, sender: usize, ops: &mut Vec<Op>) {
    let SenderSpec::Msi { count, .. } = spec.senders[sender % spec.senders.len()] else {
        return;
    };
    for number in 0..count {
        let message = message(rng, ops);
        ops.push(Op::Update {
            sender,
            number,
            message,
        });
    }
}
