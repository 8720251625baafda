//! The rows of the benchmark.
//!
//! Functions are enabled by dom0, and every interrupt was masked and unmasked once: what is counted
//! is what an interrupt costs from then on. Beside the instructions stands how often configuration
//! space was read.

use super::api::Api;
use super::cpus::CPUS;
use super::op::{Base, Call, Change, Op, Register, Wish};
use super::perform::perform;
use super::platform::Platform;
use super::spec::{DeviceSpec, MsiSpec, MsixSpec, Owner, Spec};
use super::world::World;
use crate::answer::Answer;
use crate::meter::Meter;
use crate::side::{Script, Side};

/// Functions: with a table, with MSIs that can be masked, and with one that cannot.
const TABLE: usize = 0;
const MASKABLE: usize = 1;
const PLAIN: usize = 2;
const ENTRIES: u32 = 2048;
/// `iommu_intremap_off` and `iommu_intremap_full`.
const OFF: u8 = 0;
const FULL: u8 = 2;

/// A row: what it is called, what is done first, and what is counted.
type Row = (&'static str, Vec<Op>, Op);

pub(super) fn rows(side: &mut Side, api: &Api, meter: &mut Meter) {
    for (remapping, size) in [(OFF, "not remapped"), (FULL, "remapped")] {
        run(
            side,
            api,
            meter,
            (remapping, size),
            (started(), message_rows()),
        );
    }
    for (used, size) in [(0, "0 in use"), (2047, "2047 in use")] {
        let fill = Op::Fill {
            device: TABLE,
            count: used,
        };
        run(side, api, meter, (OFF, size), (vec![fill], entry_rows()));
    }
    let entries = (0..64).map(|entry| map(TABLE, true, entry)).collect();
    run(
        side,
        api,
        meter,
        (OFF, "64 entries"),
        (entries, restore_rows()),
    );
}

fn run(
    side: &mut Side,
    api: &Api,
    meter: &mut Meter,
    (remapping, size): (u8, &str),
    (first, rows): (Vec<Op>, Vec<Row>),
) {
    let spec = spec(remapping);
    side.clear();
    let mut world = World::build(side, &spec);
    side.env().unit.of_mut::<Platform>().counts = true;
    let mut step = |side: &mut Side, op: &Op| perform(side, api, &mut world, op, Script::plain(1));
    for op in first {
        step(side, &op);
    }
    for (name, before, counted) in rows {
        for op in before {
            step(side, &op);
        }
        meter.count(side, (name, size, false), |side| {
            step(side, &counted).unwrap_or_else(|| Answer::void(Ok(0)))
        });
    }
}

fn spec(remapping: u8) -> Spec {
    let device = |number: usize, msi, msix| DeviceSpec {
        sbdf: (number as u32 + 1) << 8,
        header: 0,
        owner: Owner::Dom0,
        command: 6,
        bars: [0xe000_0000 + ((number as u32) << 20), 0, 0, 0, 0, 0],
        msi,
        msix,
        sriov: None,
        physical: None,
    };
    let msi = |maskable, most| {
        Some(MsiSpec {
            pos: 0x50,
            is_64: true,
            maskable,
            most,
            reserved: 0,
        })
    };
    let msix = MsixSpec {
        pos: 0x70,
        entries: ENTRIES,
        table: (0, 0),
        pba: (0, 0x1_0000),
        needs_enable: false,
        reserved: 0,
        hidden: !0,
        leaves_unmasked: false,
    };
    Spec {
        x2apic: true,
        no_execute: true,
        modes: [0, 0],
        remapping,
        cpus: CPUS,
        online: 0xffff,
        irqs: ENTRIES as usize + 40,
        use_msi: 1,
        booted: true,
        pvh: false,
        lies: 0,
        tells: false,
        recheck: false,
        devices: vec![
            device(TABLE, None, Some(msix)),
            device(MASKABLE, msi(true, 5), None),
            device(PLAIN, msi(false, 0), None),
        ],
    }
}

fn map(device: usize, msix: bool, entry: usize) -> Op {
    Op::Map(Wish {
        device,
        msix,
        entry,
        count: 1,
        base: Base::Right,
        irq: 0,
        taken: false,
    })
}

fn enable(device: usize, msix: bool) -> Op {
    let (place, data) = if msix {
        (Register::Msix(2), 0x8000)
    } else {
        (Register::Msi(2), 1)
    };
    Op::ConfigWrite {
        device,
        place,
        size: 2,
        data,
    }
}

/// Calls for the interrupt of a function, which are in their order.
fn act(device: usize, call: Call) -> Op {
    Op::Irq { irq: device, call }
}

/// One interrupt of each function, in steady state.
fn started() -> Vec<Op> {
    let mut ops = Vec::new();
    for device in [TABLE, MASKABLE, PLAIN] {
        let msix = device == TABLE;
        ops.extend([map(device, msix, 5), enable(device, msix)]);
    }
    for device in [TABLE, MASKABLE, PLAIN] {
        ops.extend([Call::Startup, Call::Disable, Call::Enable].map(|call| act(device, call)));
    }
    ops
}

fn message_rows() -> Vec<Row> {
    let compose = Op::Compose {
        vector: 0x41,
        cpus: Some(0x12),
    };
    let retarget = Call::SetAffinity { cpus: 4 };
    vec![
        ("compose a message", vec![], compose),
        ("mask, MSI-X", vec![], act(TABLE, Call::Disable)),
        ("unmask, MSI-X", vec![], act(TABLE, Call::Enable)),
        ("mask, MSI", vec![], act(MASKABLE, Call::Disable)),
        ("unmask, MSI", vec![], act(MASKABLE, Call::Enable)),
        ("retarget, MSI-X", vec![], act(TABLE, retarget)),
        ("retarget, MSI", vec![], act(MASKABLE, retarget)),
        ("acknowledge, maskable", vec![], act(TABLE, Call::Ack)),
        ("acknowledge, not maskable", vec![], act(PLAIN, Call::Ack)),
        (
            "mask by the guest",
            vec![],
            act(TABLE, Call::GuestMask { mask: true }),
        ),
        ("write of the control register", vec![], enable(TABLE, true)),
    ]
}

fn entry_rows() -> Vec<Row> {
    let map = map(TABLE, true, ENTRIES as usize - 1);
    let unmap = Op::Unmap {
        desc: ENTRIES as usize - 1,
    };
    let first = vec![enable(TABLE, true)];
    vec![
        ("map an entry", first, map),
        ("unmap an entry", vec![], unmap),
    ]
}

fn restore_rows() -> Vec<Row> {
    let reset = Op::World(Change::Sleep);
    let command = Op::World(Change::Command {
        device: TABLE,
        command: 6,
    });
    vec![(
        "restore",
        vec![reset, command],
        Op::Restore { device: TABLE },
    )]
}
