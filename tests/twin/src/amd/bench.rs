//! The rows of the benchmark.
//!
//! What is counted is iommu_intr.c, with Xen's search for bits, and the Rust for it. Of a pin's
//! read both sides count the access to the IO-APIC.

use super::api::Api;
use super::op::{Message, Op};
use super::perform::perform;
use super::spec::{DeviceSpec, HpetSpec, IoApicSpec, IommuSpec, RequesterSpec, SenderSpec, Spec};
use super::world::World;
use crate::answer::Answer;
use crate::meter::Meter;
use crate::side::{Script, Side};

/// A row: what it is called, what is done first, and what is counted.
type Row = (&'static str, Vec<Op>, Op);

const FUNCTION: u16 = 0x20;
const IO_APIC: u16 = 0x60;

pub(super) fn rows(side: &mut Side, api: &Api, meter: &mut Meter) {
    for (wide, size) in [(false, "32-bit"), (true, "128-bit")] {
        run(side, api, meter, (wide, size, 0), addressing_rows());
    }
    for (used, size) in [(0, "0 in use"), (100, "100 in use"), (2_000, "2000 in use")] {
        run(side, api, meter, (true, size, used), filling_rows());
    }
}

fn spec(wide: bool) -> Spec {
    let requester = |id| RequesterSpec {
        place: (0, id),
        valid: true,
        alias: id,
        iommu: Some(0),
        is_special: false,
    };
    Spec {
        // Entries of 32 bits go with destinations of 8.
        x2apic: wide,
        per_device: true,
        debug: false,
        requester_count: 0x100,
        segments: vec![0],
        iommus: vec![IommuSpec {
            place: (0, 2),
            wide,
            enabled: true,
        }],
        requesters: vec![requester(FUNCTION), requester(IO_APIC)],
        devices: vec![DeviceSpec {
            place: (0, FUNCTION),
            stride: 0,
        }],
        io_apics: vec![IoApicSpec {
            apic_id: 2,
            place: Some((0, IO_APIC)),
            pins: vec![1 << 16; 24],
        }],
        hpet: HpetSpec {
            place: (0, 0x70),
            id: 0,
            said_by: 0,
        },
        senders: vec![
            SenderSpec::Msix { device: 0 },
            SenderSpec::Msi {
                device: 0,
                count: 8,
            },
        ],
    }
}

fn run(
    side: &mut Side,
    api: &Api,
    meter: &mut Meter,
    (wide, size, used): (bool, &str, usize),
    rows: Vec<Row>,
) {
    side.clear();
    let mut world = World::build(side, &spec(wide));
    // Interrupts are off, as they are where Xen calls.
    let mut step = |side: &mut Side, op: &Op| {
        let mut script = Script::plain(0);
        if let Op::Allocate { .. } = op {
            script.salt = 1;
        }
        perform(side, api, &mut world, op, script)
    };
    for requester in 0..2 {
        step(
            side,
            &Op::Allocate {
                requester,
                entries: 0,
            },
        );
    }
    if used > 0 {
        step(
            side,
            &Op::Fill {
                sender: 0,
                count: used,
                holes: Vec::new(),
            },
        );
    }
    for (name, before, counted) in rows {
        for op in &before {
            step(side, op);
        }
        meter.count(side, (name, size, used > 0), |side| {
            step(side, &counted).unwrap_or_else(|| Answer::void(Ok(0)))
        });
    }
}

fn update(sender: usize, destination: u32) -> Op {
    let message = Message {
        address: 0xfee0_0000 | destination << 12,
        data: 0x4000 | 0x31,
        destination,
    };
    Op::Update {
        sender,
        number: 0,
        message,
    }
}

fn write_pin(vector: u64, masked: bool) -> Op {
    Op::WritePin {
        io_apic: 0,
        pin: 4,
        entry: 1 << 56 | u64::from(masked) << 16 | vector,
    }
}

fn read_pin(upper: bool) -> Op {
    Op::ReadPin {
        io_apic: 0,
        pin: 4,
        upper,
    }
}

/// What depends on how long entries are.
fn addressing_rows() -> Vec<Row> {
    vec![
        (
            "retarget an MSI",
            vec![update(0, 1), update(0, 3)],
            update(0, 2),
        ),
        ("repeat an MSI", vec![], update(0, 2)),
        (
            "read a pin, lower half",
            vec![write_pin(0x30, true)],
            read_pin(false),
        ),
        ("read a pin, upper half", vec![], read_pin(true)),
        ("write a pin: mask only", vec![], write_pin(0x30, false)),
        (
            "write a pin: new vector",
            vec![write_pin(0x37, false)],
            write_pin(0x38, false),
        ),
    ]
}

/// What depends on how full the table is.
fn filling_rows() -> Vec<Row> {
    vec![
        ("allocate and set", vec![], update(0, 1)),
        ("release", vec![update(0, 2)], Op::Release { sender: 0 }),
        ("allocate and set, of a block", vec![], update(1, 1)),
        ("release, of a block", vec![], Op::Release { sender: 1 }),
        ("write a pin: the first time", vec![], write_pin(0x30, true)),
    ]
}
