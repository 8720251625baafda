//! The rows of the benchmark.
//!
//! Accesses go to the table that was registered first, and to its last entry where C looks at one:
//! there C's searches are longest. The rows with one device of one entry are where they are
//! shortest.

use anyhow::Result;

use super::op::{Message, Op, Request};
use super::perform::{Api, perform};
use super::world::{DescSpec, DeviceSpec, Kind, Spec, World};
use crate::allocator::Frames;
use crate::answer::Answer;
use crate::meter::Meter;
use crate::side::{Script, Side};

const TABLE: u64 = 0xf000_0000;
/// Distance of two tables: each has eight pages, and none shares a page.
const STRIDE: u64 = 0x1_0000;
/// Devices of a domain, and entries of each.
const SIZES: [(usize, u32); 4] = [(1, 1), (1, 2048), (8, 2048), (64, 2048)];
/// The last entry whose words C keeps.
const KEPT: u64 = 2;

/// A row: what is done first, what is counted, and what it is called.
struct Row {
    name: &'static str,
    flat: bool,
    before: Vec<Op>,
    counted: Op,
}

pub(super) fn rows(side: &mut Side, api: &Api, meter: &mut Meter) {
    for (devices, entries) in SIZES {
        table_rows(side, api, meter, devices, entries);
    }
    for vcpus in [1, 8, 64] {
        delivery_rows(side, api, meter, vcpus);
    }
}

/// Rows of what allocates and frees: a domain that has so many devices gets one more, and loses it.
/// What was freed after a grace period is counted with what had it freed.
pub(super) fn allocating_rows(
    side: &mut Side,
    api: &Api,
    meter: &mut Meter,
    frames: &Frames,
) -> Result<()> {
    for (devices, entries) in SIZES {
        side.clear();
        frames.begin(side)?;
        let mut world = World::build(side, &table_spec(devices + 1, entries));
        let mut steps = |side: &mut Side, ops: &[Op]| {
            let step = |op| perform(side, api, &mut world, op, Script::plain(1));
            let last = ops.iter().map(step).last().flatten();
            last.unwrap_or_else(|| Answer::void(Ok(0)))
        };
        let new = devices * entries as usize;
        let all = new..new + entries as usize;
        steps(side, &[Op::Init { domain: 0 }]);
        steps(side, &(0..new).map(register).collect::<Vec<_>>());
        steps(side, &[Op::GracePeriod]);
        let registrations: Vec<_> = all.clone().map(register).collect();
        let mut removals: Vec<_> = all.map(unregister).collect();
        removals.push(Op::GracePeriod);
        let rows: [(&str, &[Op]); 6] = [
            ("register a device", &[register(new)]),
            ("unregister a device", &[unregister(new), Op::GracePeriod]),
            ("register another vector", &[register(0)]),
            ("unregister a vector", &[unregister(0)]),
            ("register all vectors of a device", &registrations),
            ("unregister all vectors of a device", &removals),
        ];
        let size = format!("{devices} x {entries}");
        for (name, ops) in rows {
            meter.count(side, (name, &size, entries > 1), |side| steps(side, ops));
        }
    }
    Ok(())
}

fn register(pirq: usize) -> Op {
    Op::Register {
        pirq,
        domain: 0,
        gtable: None,
    }
}

fn unregister(pirq: usize) -> Op {
    Op::Unregister { pirq, domain: 0 }
}

/// A domain with so many devices with so many entries each.
fn table_spec(devices: usize, entries: u32) -> Spec {
    Spec {
        irqs: devices * entries as usize + 2,
        vcpus: [1, 1],
        devices: (0..devices).map(|number| device(number, entries)).collect(),
        ..Spec::default()
    }
}

fn device(number: usize, entries: u32) -> DeviceSpec {
    let desc = |entry| DescSpec {
        entry: entry as u16,
        kind: Kind::Msix,
        guest_masked: true,
    };
    DeviceSpec {
        domain: 0,
        entries,
        gtable: TABLE + number as u64 * STRIDE,
        descs: (0..entries).map(desc).collect(),
        adjacent: [0; 2],
        pages: [0xfe100, 0xfe107, 0xfe200, 0xfe200],
        offsets: [0; 2],
        warned: (0, 0),
        vpci_entries: 0,
    }
}

fn table_rows(side: &mut Side, api: &Api, meter: &mut Meter, devices: usize, entries: u32) {
    side.clear();
    let mut world = World::build(side, &table_spec(devices, entries));
    let mut step = |side: &mut Side, op: &Op| perform(side, api, &mut world, op, Script::plain(1));
    step(side, &Op::Init { domain: 0 });
    for pirq in 0..devices * entries as usize {
        step(side, &register(pirq));
    }
    let size = format!("{devices} x {entries}");
    for row in rows_of_a_table(u64::from(entries)) {
        for op in &row.before {
            step(side, op);
        }
        let counted = &row.counted;
        meter.count(side, (row.name, &size, row.flat && entries > 1), |side| {
            step(side, counted).unwrap_or_else(|| Answer::void(Ok(0)))
        });
    }
}

fn read(address: u64, len: u32) -> Op {
    Op::Read {
        domain: 0,
        vcpu: 0,
        address,
        len,
        guarded: false,
    }
}

fn write(address: u64, len: u32, value: u64) -> Op {
    Op::Write {
        domain: 0,
        vcpu: 0,
        address,
        len,
        value,
        guarded: false,
    }
}

fn accept(address: u64) -> Op {
    let request = Request {
        address,
        data: 0,
        size: 4,
        count: 1,
        ready: true,
        write: false,
        pointer: false,
        backwards: false,
    };
    Op::Accept {
        domain: 0,
        vcpu: 0,
        request,
    }
}

fn rows_of_a_table(entries: u64) -> Vec<Row> {
    let kept = TABLE + 16 * KEPT.min(entries - 1);
    let last = TABLE + 16 * (entries - 1);
    let nowhere = TABLE - 0x10_0000;
    let mut rows = Vec::new();
    let mut row = |name, before: Vec<Op>, counted| {
        rows.push(Row {
            name,
            flat: true,
            before,
            counted,
        })
    };
    row("accept, hit", vec![], accept(last));
    row("accept, miss", vec![], accept(nowhere));
    row("read, miss", vec![], read(nowhere, 4));
    let written = vec![write(kept, 8, 0xfee0_1000), write(kept + 8, 4, 0x4031)];
    row("read address, 4 bytes", written, read(kept, 4));
    row("read upper address, 4 bytes", vec![], read(kept + 4, 4));
    row("read data, 4 bytes", vec![], read(kept + 8, 4));
    row("read address, 8 bytes", vec![], read(kept, 8));
    row("read data and control, 8 bytes", vec![], read(kept + 8, 8));
    row("read control, 4 bytes", vec![], read(last + 12, 4));
    row("read address, 1 byte", vec![], read(kept, 1));
    row("read address, 2 bytes", vec![], read(kept, 2));
    row(
        "write address, 4 bytes",
        vec![],
        write(kept, 4, 0xfee0_2000),
    );
    row(
        "write address, 8 bytes",
        vec![],
        write(kept, 8, 0xfee0_3000),
    );
    row("write data, 4 bytes", vec![], write(kept + 8, 4, 0x4032));
    row("write, miss", vec![], write(nowhere, 4, 0));
    row("mask, 4 bytes", vec![], write(last + 12, 4, 1));
    row(
        "mask with data, 8 bytes",
        vec![],
        write(last + 8, 8, 1 << 32),
    );
    // The words of the entry were changed: the device model has to see the unmask first.
    row(
        "unmask, to the device model",
        vec![],
        write(last + 12, 4, 0),
    );
    row(
        "completion, unmask",
        vec![],
        Op::Completion {
            domain: 0,
            vcpu: 0,
            answered: None,
        },
    );
    row("unmask, 4 bytes", vec![], write(last + 12, 4, 0));
    row(
        "completion, nothing to do",
        vec![],
        Op::Completion {
            domain: 0,
            vcpu: 0,
            answered: None,
        },
    );
    let setup = Message {
        address: 0xfee0_0000,
        data: 0x31,
        mask: 0,
    };
    row(
        "mask a message by vPCI",
        vec![Op::MsiEnable {
            device: 0,
            vectors: 1,
            setup,
        }],
        Op::MsiMask {
            device: 0,
            entry: 0,
            mask: 1,
        },
    );
    rows
}

fn delivery_rows(side: &mut Side, api: &Api, meter: &mut Meter, vcpus: usize) {
    let spec = Spec {
        irqs: 4,
        vcpus: [vcpus, 1],
        ..Spec::default()
    };
    side.clear();
    let mut world = World::build(side, &spec);
    let size = format!("{vcpus} vCPUs");
    let deliver = |mode| Op::Deliver {
        domain: 0,
        arguments: [0x31, 1, 0, mode, 0],
    };
    let rows = [
        ("deliver, fixed", deliver(0)),
        ("deliver, lowest priority", deliver(1)),
        ("deliver, illegal mode", deliver(2)),
        (
            "deliver a pirq, fixed",
            Op::DeliverPirq {
                domain: 0,
                vector: 0x31,
                flags: 1,
            },
        ),
        (
            "vCPU of a destination",
            Op::DestinationVcpu {
                domain: 0,
                arguments: [1, 0],
            },
        ),
    ];
    for (name, op) in rows {
        meter.count(side, (name, &size, false), |side| {
            perform(side, api, &mut world, &op, Script::plain(1))
                .unwrap_or_else(|| Answer::void(Ok(0)))
        });
    }
}
