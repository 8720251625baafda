//! Makes up worlds, and cases in them.
//!
//! Numbers come from small sets where they must meet: tables that share a page with the array of
//! pending bits, or with another's; virtual functions that are where their physical one says.

use super::Msi;
use super::choices;
use super::cpus::{CPUS, MOST_CPUS};
use super::sequence;
use super::spec::{
    DeviceSpec, MsiSpec, MsixSpec, Owner, SRIOV_ENABLE, SRIOV_MEMORY, Spec, SriovSpec,
};
use crate::rng::Rng;
use crate::subject::Case;

/// The most functions that a world has.
pub(super) const MOST_DEVICES: usize = 60;
/// Interrupts of a world in which the fixmap is to run out.
const MANY_IRQS: usize = 600;

pub(super) fn case(rng: &mut Rng) -> Case<Msi> {
    let crowded = rng.one_in(400);
    let spec = if crowded { crowd(rng) } else { spec(rng) };
    let steps = sequence::steps(rng, &spec, crowded);
    Case { spec, steps }
}

fn spec(rng: &mut Rng) -> Spec {
    let mut devices = Vec::new();
    while devices.len() < 1 + rng.below(5) {
        let number = devices.len();
        let device = device(rng, number);
        devices.push(device);
        if device.sriov.is_some() {
            for _ in 0..1 + rng.below(2) {
                devices.push(virtual_function(rng, &devices, number));
            }
        }
    }
    let recheck = rng.one_in(2);
    let spec = Spec {
        x2apic: rng.one_in(2),
        no_execute: !rng.one_in(8),
        modes: [i32::from(rng.one_in(4)), i32::from(rng.one_in(2))],
        remapping: if rng.one_in(2) { 0 } else { rng.pick(&[1, 2]) },
        cpus: rng.pick(&[CPUS, 65, 80, MOST_CPUS.min(256), MOST_CPUS.min(300)]),
        online: choices::online(rng),
        irqs: 24 + rng.below(80),
        use_msi: i8::from(!rng.one_in(30)),
        booted: !rng.one_in(10),
        pvh: rng.one_in(6),
        lies: if recheck && rng.one_in(5) {
            rng.pick(&[2, 5, 20])
        } else {
            0
        },
        tells: rng.one_in(3),
        recheck,
        devices,
    };
    if rng.one_in(16) {
        dropping(rng, spec)
    } else {
        spec
    }
}

/// As another world, but Rust leaves out messages that are known to be written, and the first
/// function's table takes nothing while MSI-X is disabled, and reads as masked then.
fn dropping(rng: &mut Rng, mut spec: Spec) -> Spec {
    let first = &mut spec.devices[0];
    let Some(msix) = first.msix.filter(|_| first.owner == Owner::Dom0) else {
        return spec;
    };
    first.command = 6;
    first.msix = Some(MsixSpec {
        needs_enable: true,
        hidden: 1,
        ..msix
    });
    Spec {
        remapping: rng.pick(&[1, 2]),
        booted: true,
        pvh: false,
        lies: 0,
        tells: true,
        recheck: false,
        ..spec
    }
}

/// A world with more pages of tables than the fixmap has room for.
fn crowd(rng: &mut Rng) -> Spec {
    let devices = (0..MOST_DEVICES).map(|number| DeviceSpec {
        bars: [0xe000_0000 + ((number as u32) << 20), 0, 0, 0, 0, 0],
        msi: None,
        msix: Some(MsixSpec {
            pos: 0x70,
            entries: 2048,
            table: (0, 0x800),
            pba: (0, 0x1_0000),
            needs_enable: false,
            reserved: 0,
            hidden: !0,
            leaves_unmasked: false,
        }),
        sriov: None,
        header: 0,
        command: 2,
        owner: Owner::Dom0,
        ..device(rng, number)
    });
    let devices = devices.collect();
    Spec {
        irqs: MANY_IRQS,
        use_msi: 1,
        booted: true,
        lies: 0,
        devices,
        ..spec(rng)
    }
}

/// A word for a BAR: where memory is, or ports, or nothing.
fn bars(rng: &mut Rng, number: usize) -> [u32; 6] {
    let prefetch = if rng.one_in(2) { 8 } else { 0 };
    let base = 0xe000_0000 + ((number as u32) << 20);
    let mut bars = [
        base,
        (base + 0x4_0000) | prefetch,
        (0x1000_0004 + ((number as u32) << 20)) | prefetch,
        0x38 + ((number as u32) << 12),
        0xc001 + ((number as u32) << 8),
        base + 0x8_0000,
    ];
    match rng.below(12) {
        // Nothing was assigned.
        0 => bars[rng.below(2)] = prefetch,
        1 => bars[2] = 4,
        // The last has no other half.
        2 => bars[5] |= 4,
        3 => bars[0] |= 2,
        // The same page as that of another function.
        4 => bars[0] = 0xe000_0000,
        5 => bars[3] = 0,
        _ => {}
    }
    bars
}

fn device(rng: &mut Rng, number: usize) -> DeviceSpec {
    let has_msix = !rng.one_in(4);
    let segment = rng.pick(&[0u32, 0, 3]);
    let header = match rng.below(20) {
        0 => rng.pick(&[1, 2, 3, 0x7f]),
        1..4 => 0x80,
        _ => 0,
    };
    DeviceSpec {
        sbdf: segment << 16 | (number as u32 + 1) << 8 | (rng.below(32) as u32) << 3,
        header,
        owner: rng.pick(&[
            Owner::Dom0,
            Owner::Dom0,
            Owner::Dom0,
            Owner::Guest,
            Owner::Quarantine,
        ]),
        command: rng.pick(&[2, 6, 7, 0x406, 2, 2, 2, 6, 6, 0]),
        bars: bars(rng, number),
        msi: (!has_msix || rng.one_in(2)).then(|| msi(rng)),
        msix: has_msix.then(|| msix(rng)),
        sriov: (has_msix && rng.one_in(6)).then(|| sriov(rng, number)),
        physical: None,
    }
}

fn msi(rng: &mut Rng) -> MsiSpec {
    MsiSpec {
        pos: rng.pick(&[0x50, 0x40, 0x54]),
        is_64: !rng.one_in(3),
        maskable: rng.one_in(2),
        most: rng.pick(&[0, 0, 1, 2, 3, 4, 5]),
        reserved: reserved(rng),
    }
}

/// What a device keeps in bits that are its own: most keep nothing.
fn reserved(rng: &mut Rng) -> u32 {
    match rng.below(3) {
        0 => rng.pick(&[0x5a5a_0000, 1 << 31, 2, !3]),
        _ => 0,
    }
}

fn msix(rng: &mut Rng) -> MsixSpec {
    let entries = match rng.below(8) {
        0 => 1 + rng.below(2048) as u32,
        1 => rng.pick(&[255, 256, 257, 512, 2047, 2048]),
        2 => rng.pick(&[1, 2]),
        _ => rng.pick(&[4, 5, 16, 32, 64, 128, 300]),
    };
    let bir = rng.pick(&[0, 0, 0, 2, 2, 1, 3, 4, 5, 6, 7, 0, 2, 0]);
    let offset = rng.pick(&[0, 0, 0x800, 0x1000, 0x2008, 0xff8, 0xff0, 0x5200]);
    let behind = offset + entries * 16;
    let pba = match rng.below(4) {
        0 => (bir, behind),
        1 => (bir, behind.next_multiple_of(0x1000)),
        2 => (rng.below(8) as u32, 0x2_0000),
        _ => (bir, 0x1_0000),
    };
    MsixSpec {
        pos: rng.pick(&[0x70, 0x80, 0xb0]),
        entries,
        table: (bir, offset),
        pba,
        needs_enable: rng.one_in(4),
        reserved: reserved(rng),
        hidden: rng.pick(&[!0, !0, 0, 1]),
        leaves_unmasked: rng.one_in(2),
    }
}

fn sriov(rng: &mut Rng, number: usize) -> SriovSpec {
    let base = 0xd000_0000 + ((number as u32) << 20);
    let control = match rng.below(8) {
        0 => rng.pick(&[0, SRIOV_ENABLE, SRIOV_MEMORY]),
        _ => SRIOV_ENABLE | SRIOV_MEMORY | 1 << 4,
    };
    let one = u64::from(!rng.one_in(16));
    let size = one * rng.pick(&[0x4000, 0x1_0000]);
    let mut bars = [
        base,
        base + 0x8_0000,
        0x2000_0004 + ((number as u32) << 20),
        0x39,
        0xc001,
        0,
    ];
    if rng.one_in(10) {
        bars[0] = 0;
    }
    SriovSpec {
        pos: rng.pick(&[0x160, 0x100]),
        control,
        count: rng.pick(&[0, 1, 2, 4, 8, 8]),
        offset: rng.pick(&[1, 2, 4, 0x80, 0]),
        stride: rng.pick(&[1, 1, 2, 0]),
        bars,
        lens: [size, size, size, 0, size, size],
    }
}

/// A virtual function of the function with a number.
fn virtual_function(rng: &mut Rng, devices: &[DeviceSpec], physical: usize) -> DeviceSpec {
    let parent = &devices[physical];
    let sriov = parent.sriov.expect("only a physical function is asked for");
    let number = devices.len() as u32;
    // Seldom one that there should not be.
    let behind = if rng.one_in(12) {
        rng.below(40) as u32
    } else {
        u32::from(sriov.offset) + (number - physical as u32) * u32::from(sriov.stride)
    };
    let taken = |sbdf: u32| devices.iter().any(|device| device.sbdf == sbdf);
    let mut sbdf = parent.sbdf + behind;
    while taken(sbdf) {
        sbdf += 1;
    }
    DeviceSpec {
        sbdf,
        command: rng.pick(&[0, 0, 2, 4]),
        bars: [0; 6],
        sriov: None,
        physical: Some(physical),
        msix: Some(msix(rng)),
        ..device(rng, devices.len())
    }
}
