//! Makes up what is done in a world.
//!
//! Mostly what a driver does: interrupts are set up, started, masked and moved for a while, and
//! freed. In between comes what others do meanwhile.

use super::Msi;
use super::choices::{any_call, beside, irq, op, set_up, wish};
use super::op::{Base, Call, Change, Op, Opening, Register, Wish};
use super::platform::Meanwhile;
use super::spec::{DeviceSpec, Owner, Runner, Spec};
use crate::heap::Failure;
use crate::rng::Rng;
use crate::side::Script;
use crate::subject::Subject;

type Step = (<Msi as Subject>::Op, Script);

pub(super) fn steps(rng: &mut Rng, spec: &Spec, crowded: bool) -> Vec<Step> {
    let mut ops = Vec::new();
    if crowded {
        let devices = spec.devices.len();
        ops.extend((0..devices).map(|device| Op::Crowd { device }));
        if rng.one_in(2) {
            // Once more, where nothing is left.
            ops.insert(
                0,
                Op::Prepare {
                    device: devices - 1,
                    off: false,
                },
            );
            ops.push(Op::Prepare {
                device: devices - 2,
                off: false,
            });
        }
    }
    if let Some(device) = drops_unseen(spec) {
        drop_messages(rng, &mut ops, device);
    }
    for _ in 0..3 + rng.below(8) {
        match rng.below(16) {
            0..7 => drive(rng, &mut ops),
            7..9 => assign(rng, &mut ops),
            _ => ops.push(op(rng)),
        }
    }
    change_msis(&mut ops);
    disable_and_move(&mut ops, spec);
    replace_hardware_domain(&mut ops);
    let steps = ops.into_iter().map(|op| {
        let script = script(rng, &op);
        (op, script)
    });
    steps.collect()
}

/// Functions disable MSI-X by themselves, and some interrupts move more than once: what the first
/// move finds out the next have to know.
fn disable_and_move(ops: &mut Vec<Op>, spec: &Spec) {
    let devices = 0..spec.devices.len();
    ops.extend(devices.map(|device| Op::World(Change::Disable { device })));
    for irq in 0..3 {
        let moves = [1, 2, 1].map(|cpus| Op::Irq {
            irq,
            call: Call::SetAffinity { cpus },
        });
        ops.extend(moves);
    }
}

/// Functions change what Xen reads or writes of their MSIs, while it does.
fn change_msis(ops: &mut Vec<Op>) {
    for irq in 0..3 {
        let cpus = 3;
        ops.push(Op::Race {
            irq,
            call: Call::SetAffinity { cpus },
            act: Meanwhile::LoseMessage,
        });
        ops.extend([Call::Mask, Call::Unmask].map(|call| Op::Race {
            irq,
            call,
            act: Meanwhile::ChangeReserved,
        }));
    }
}

/// The hardware is to belong to another domain than dom0, and that is still being created when Xen
/// asks next.
fn replace_hardware_domain(ops: &mut Vec<Op>) {
    ops.push(Op::World(Change::CreateHardwareDomain));
    for irq in 0..3 {
        let mask = true;
        ops.extend([Call::GuestMask { mask }, Call::Mask].map(|call| Op::Irq { irq, call }));
    }
}

fn script(rng: &mut Rng, op: &Op) -> Script {
    let mut script = Script::plain(rng.next());
    if matches!(op, Op::Crowd { .. }) {
        return script;
    }
    if matches!(op, Op::Map(_) | Op::Enable(_)) && rng.one_in(20) {
        script.memory = Failure::Always;
    }
    let odds = if matches!(op, Op::Restore { .. }) {
        3
    } else {
        12
    };
    if rng.one_in(odds) {
        let errno = rng.pick(&[-libc::ENOMEM, -libc::EIO, -libc::ENODEV, -libc::ENXIO]);
        script.error = Some((rng.below(6) as u32, errno));
    }
    script
}

/// A driver's life with a function, and what happens meanwhile.
fn drive(rng: &mut Rng, ops: &mut Vec<Op>) {
    let device = rng.below(8);
    let msix = !rng.one_in(3);
    let vectors = if msix { 1 + rng.below(6) } else { 1 };
    let right = |rng: &mut Rng| Wish {
        device,
        msix,
        base: Base::Right,
        taken: false,
        ..wish(rng)
    };
    if rng.one_in(10) && msix {
        ops.push(Op::Fill {
            device,
            count: rng.pick(&[3, 20, 40]),
        });
    }
    for _ in 0..vectors {
        let wish = right(rng);
        if rng.one_in(6) {
            ops.push(Op::Enable(wish));
            ops.extend((0..3).map(|_| set_up(rng)));
        } else {
            ops.push(Op::Map(wish));
        }
        if rng.one_in(2) {
            ops.push(irq(rng, Call::Startup));
        }
    }
    if !rng.one_in(4) {
        ops.push(enable_by_dom0(rng, device, msix));
    }
    for _ in 0..rng.below(10) {
        let call = any_call(rng);
        ops.push(irq(rng, call));
        if !msix && rng.one_in(4) {
            ops.push(Op::ConfigWrite {
                device,
                place: if rng.one_in(3) {
                    Register::Msi(2)
                } else {
                    Register::MsiMask
                },
                size: rng.pick(&[4, 4, 4, 2, 1]),
                data: rng.next() as u32 & rng.next() as u32,
            });
        }
    }
    if !msix && rng.one_in(2) {
        ops.extend((0..1 + rng.below(4)).map(|_| beside(rng)));
    }
    if msix && rng.one_in(4) {
        // It stops decoding memory by itself, after Xen has looked, and another vector is set up.
        ops.push(Op::Enable(right(rng)));
        for _ in 0..3 {
            let call = any_call(rng);
            ops.push(irq(rng, call));
        }
        ops.push(Op::World(Change::Command {
            device,
            command: rng.pick(&[0, 0, 4, 2]),
        }));
        ops.extend((0..4).map(|_| set_up(rng)));
    }
    if msix && rng.one_in(4) {
        // It disables MSI-X by itself while it is used, and is enabled again.
        ops.push(Op::World(Change::Disable { device }));
        for _ in 0..2 {
            let call = any_call(rng);
            ops.push(irq(rng, call));
        }
        ops.push(enable_by_dom0(rng, device, msix));
    }
    if msix && rng.one_in(3) {
        race(rng, ops, device);
    }
    if rng.one_in(4) {
        ops.push(op(rng));
    }
    if msix && rng.one_in(12) {
        let wish = right(rng);
        overlap(rng, ops, wish);
    }
    if rng.one_in(3) {
        ops.push(Op::World(Change::Sleep));
        let mut wake = |device| {
            let command = rng.pick(&[2, 2, 6, 7, 6, 2, 2, 0]);
            Op::World(Change::Command { device, command })
        };
        ops.extend((0..8).map(&mut wake));
        ops.push(Op::Restore { device });
        after_restore(rng, ops, (device, msix));
    }
    for _ in 0..rng.below(vectors + 1) {
        ops.push(Op::Unmap {
            desc: rng.below(64),
        });
    }
}

/// A function has MSI-X enabled for a while with all messages masked, and another CPU cannot reach
/// an entry of it.
fn overlap(rng: &mut Rng, ops: &mut Vec<Op>, wish: Wish) {
    let (device, number) = (wish.device, rng.below(8));
    start_memory(ops, device);
    for call in [Call::Startup, Call::GuestMask { mask: false }] {
        ops.push(Op::Irq { irq: number, call });
    }
    let opening = match rng.below(3) {
        0 => Opening::Enable(wish),
        1 => Opening::Restore { device },
        _ => {
            ops.push(Op::Enable(wish));
            let desc = rng.below(64);
            Opening::SetUp { desc }
        }
    };
    ops.push(Op::Overlap {
        opening,
        irq: number,
    });
}

/// A function whose table takes nothing while MSI-X is disabled, and reads as masked then, in a
/// world in which Rust leaves out what is known to be written.
fn drops_unseen(spec: &Spec) -> Option<usize> {
    let knows = !spec.recheck && !spec.pvh && spec.lies == 0;
    let is_one = |device: &DeviceSpec| {
        let msix = device.msix.filter(|_| device.physical.is_none());
        msix.is_some_and(|msix| msix.needs_enable && msix.hidden == 1)
    };
    let found = spec.devices.iter().position(is_one);
    found.filter(|_| spec.tells && knows && spec.remapping != 0)
}

/// A function is restored, but the IOMMU refuses some messages, so that they are not written.
/// Then it disables MSI-X by itself, and drops a message that is moved, which is known by nothing
/// but a read of that message.
fn drop_messages(rng: &mut Rng, ops: &mut Vec<Op>, device: usize) {
    for _ in 0..1 + rng.below(3) {
        ops.push(Op::Map(Wish {
            device,
            msix: true,
            base: Base::Right,
            taken: false,
            ..wish(rng)
        }));
    }
    ops.push(enable_by_dom0(rng, device, true));
    for _ in 0..3 {
        ops.push(Op::World(Change::Sleep));
        // The others stay as they are: of what has changed behind Xen not all can be compared.
        ops.push(Op::World(Change::Command { device, command: 6 }));
        ops.push(Op::Restore { device });
        let (number, cpus) = (rng.below(8), rng.next() & 0xffff);
        let same = |call| Op::Irq { irq: number, call };
        ops.push(same(Call::Disable));
        for change in [Change::Disable { device }, Change::EnableItself { device }] {
            ops.push(Op::World(change));
            ops.push(same(Call::SetAffinity { cpus }));
        }
    }
}

/// Interrupts of a function are moved that has just been restored, or was to be: some of its
/// messages may not have been written. Meanwhile it may disable MSI-X by itself, or dom0 writes the
/// message of an MSI.
fn after_restore(rng: &mut Rng, ops: &mut Vec<Op>, (device, msix): (usize, bool)) {
    let number = rng.below(8);
    let same = |call| Op::Irq { irq: number, call };
    let moves = |rng: &mut Rng| {
        let cpus = rng.next() & 0xffff;
        same(rng.pick(&[
            Call::SetAffinity { cpus },
            Call::Retarget { cpus: Some(cpus) },
        ]))
    };
    if rng.one_in(2) {
        ops.push(same(Call::Disable));
    }
    if msix && rng.one_in(2) {
        ops.push(Op::World(Change::Disable { device }));
        ops.push(moves(rng));
        ops.push(Op::World(Change::EnableItself { device }));
    } else if !msix && rng.one_in(4) {
        ops.push(Op::ConfigWrite {
            device,
            place: Register::Msi(4 + 4 * rng.below(3) as u32),
            size: rng.pick(&[2, 4]),
            data: rng.next() as u32,
        });
    }
    for _ in 0..1 + rng.below(3) {
        ops.push(moves(rng));
    }
}

/// dom0 stops the memory of a function or resets it while Xen looks at it, and starts the memory of
/// another.
fn race(rng: &mut Rng, ops: &mut Vec<Op>, device: usize) {
    let number = rng.below(8);
    let call = any_call(rng);
    let act = rng.pick(&[Meanwhile::StopMemory, Meanwhile::Reset]);
    ops.push(Op::Race {
        irq: number,
        call,
        act,
    });
    for _ in 0..2 {
        let call = any_call(rng);
        ops.push(Op::Irq { irq: number, call });
    }
    start_memory(ops, device);
}

/// dom0 has a function decode memory.
fn start_memory(ops: &mut Vec<Op>, device: usize) {
    ops.push(Op::ConfigWrite {
        device,
        place: Register::Any(4),
        size: 2,
        data: 2,
    });
}

/// A function is prepared for a guest, used by it, and taken back.
fn assign(rng: &mut Rng, ops: &mut Vec<Op>) {
    let device = rng.below(8);
    ops.push(Op::Prepare { device, off: false });
    ops.push(Op::World(Change::Own {
        device,
        owner: Owner::Guest,
    }));
    ops.push(Op::ResetState { device });
    if rng.one_in(2) {
        ops.push(Op::World(Change::Run(
            rng.pick(&[Runner::Dom0, Runner::Guest]),
        )));
    }
    for _ in 0..rng.below(4) {
        let wish = Wish {
            device,
            msix: true,
            taken: false,
            ..wish(rng)
        };
        ops.push(Op::Map(wish));
        let call = any_call(rng);
        ops.push(irq(rng, call));
    }
    if rng.one_in(2) {
        ops.push(enable_by_dom0(rng, device, true));
        let call = any_call(rng);
        ops.push(irq(rng, call));
    }
    if rng.one_in(2) {
        ops.push(Op::World(Change::Run(Runner::Dom0)));
    }
    if rng.one_in(6) {
        let dying = rng.one_in(2);
        ops.push(Op::Cleanup { device, dying });
    }
    for _ in 0..rng.below(5) {
        ops.push(Op::Unmap {
            desc: rng.below(64),
        });
    }
    if !rng.one_in(3) {
        ops.push(Op::Prepare { device, off: true });
    }
}

/// Where dom0 switches MSI or MSI-X on, seldom with all masked.
fn enable_by_dom0(rng: &mut Rng, device: usize, msix: bool) -> Op {
    let (place, data) = if msix {
        (
            Register::Msix(2),
            rng.pick(&[0x8000, 0x8000, 0x8000, 0xc000, 0x4000, 0]),
        )
    } else {
        (Register::Msi(2), rng.next() as u32 & 0x70 | 1)
    };
    Op::ConfigWrite {
        device,
        place,
        size: 2,
        data,
    }
}
