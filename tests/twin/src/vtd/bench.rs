//! The rows of the benchmark.
//!
//! What is counted is intremap.c and the Rust for it alone. Of a pin's read, C leaves the access to
//! the IO-APIC to `__ioapic_read_entry()`, which is not counted; in Rust it is a part of the read.

use xen_sys as sys;

use super::api::Api;
use super::op::{Message, Op, Switching};
use super::perform::perform;
use super::spec::{DeviceSpec, IoApicSpec, IommuSpec, SenderSpec, Spec, Upstream};
use super::world::World;
use crate::answer::Answer;
use crate::machine::vtd::Pace;
use crate::meter::Meter;
use crate::side::{Script, Side};

/// QI, IR and EIM.
const CAPABILITY: u64 = 0x1a;

/// A row: what it is called, what is done first, and what is counted.
type Row = (&'static str, Vec<Op>, Op);

pub(super) fn rows(side: &mut Side, api: &Api, meter: &mut Meter) {
    for x2apic in [true, false] {
        let size = if x2apic { "x2APIC" } else { "xAPIC" };
        run(side, api, meter, (x2apic, size, 0), addressing_rows());
    }
    for (used, size) in [
        (0, "0 in use"),
        (1_000, "1000 in use"),
        (60_000, "60000 in use"),
    ] {
        run(side, api, meter, (true, size, used), filling_rows());
    }
}

fn spec(x2apic: bool) -> Spec {
    let device = DeviceSpec {
        place: (0, 0x0310),
        kind: sys::DEV_TYPE_PCIe_ENDPOINT,
        stride: 0,
        unit: Some(0),
        upstream: Upstream::Direct,
    };
    Spec {
        x2apic,
        eim: x2apic,
        non_coherent: false,
        limit: None,
        iommus: vec![IommuSpec {
            capability: CAPABILITY,
            status: 0,
            table: 0,
            node: 0,
        }],
        io_apics: vec![IoApicSpec {
            apic_id: 2,
            unit: Some(0),
            id: 0xf0f8,
            pins: vec![1 << 16; 24],
        }],
        hpets: Vec::new(),
        devices: vec![device],
        senders: vec![
            SenderSpec::Msix {
                device: 0,
                entry: 5,
            },
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
    (x2apic, size, used): (bool, &str, usize),
    rows: Vec<Row>,
) {
    let spec = spec(x2apic);
    side.clear();
    let mut world = World::build(side, &spec);
    let mut step = |side: &mut Side, op: &Op| {
        // Interrupts are off, as they are where Xen calls.
        perform(side, api, &mut world, op, Script::plain(0))
    };
    let switching = Switching {
        pace: Pace::After(0),
        kexecing: false,
        late: false,
    };
    let queue = Op::Queue { iommu: 0, on: true };
    let enable = Op::Enable {
        iommu: 0,
        eim: x2apic.into(),
        allowed: true,
        switching,
    };
    let fill = Op::Fill {
        iommu: 0,
        count: used,
        holes: Vec::new(),
    };
    for op in [queue, enable, fill] {
        step(side, &op);
    }
    for (name, before, counted) in rows {
        for op in &before {
            step(side, op);
        }
        meter.count(side, (name, size, used > 0), |side| {
            let answer = step(side, &counted).unwrap_or_else(|| Answer::void(Ok(0)));
            // Blocks are in different places.
            Answer {
                output: None,
                ..answer
            }
        });
    }
}

fn update(sender: usize, destination: u32, posted: Option<u64>) -> Op {
    let message = Message {
        address: 0xfee0_0000 | destination << 12,
        data: 0x4000 | 0x31,
        destination,
        posted: posted.map(|descriptor| (descriptor, 0x41)),
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

/// What depends on how the local APICs are addressed.
fn addressing_rows() -> Vec<Row> {
    let descriptor = |number: u64| Some(0xffff_8300_1234_0000 + number * 64);
    vec![
        (
            "retarget an MSI",
            vec![update(0, 1, None)],
            update(0, 2, None),
        ),
        ("repeat an MSI", vec![], update(0, 2, None)),
        ("post an MSI", vec![], update(0, 2, descriptor(0))),
        ("retarget posted", vec![], update(0, 2, descriptor(1))),
        (
            "read a pin, lower half",
            vec![write_pin(0x30, true)],
            read_pin(false),
        ),
        ("read a pin, upper half", vec![], read_pin(true)),
        ("write a pin: mask only", vec![], write_pin(0x30, false)),
        ("write a pin: new vector", vec![], write_pin(0x38, false)),
    ]
}

/// What depends on how full the table is.
fn filling_rows() -> Vec<Row> {
    let release = |sender| Op::Release { sender, number: 0 };
    vec![
        ("allocate and set", vec![], update(0, 1, None)),
        ("release", vec![], release(0)),
        ("allocate and set, of a block", vec![], update(1, 1, None)),
        ("release, of a block", vec![], release(1)),
        ("write a pin: the first time", vec![], write_pin(0x30, true)),
    ]
}
