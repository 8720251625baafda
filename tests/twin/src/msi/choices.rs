//! Makes up single steps.

use super::cpus::FIRST_CPUS;
use super::op::{Act, Base, Call, Change, Moment, Op, Register, Wish};
use super::platform::{IRQ_DISABLED, IRQ_GUEST, IRQ_MOVE_PENDING};
use super::spec::{Owner, Runner};
use crate::rng::Rng;

pub(super) fn set_up(rng: &mut Rng) -> Op {
    Op::SetUp {
        desc: rng.below(64),
        message: rng.pick(&[0, 0, 1, 2, 7]),
    }
}

pub(super) fn irq(rng: &mut Rng, call: Call) -> Op {
    Op::Irq {
        irq: rng.below(64),
        call,
    }
}

fn cpus(rng: &mut Rng) -> u64 {
    match rng.below(8) {
        0 => 0,
        1 => 1 << rng.below(16),
        _ => rng.next() & 0xffff,
    }
}

/// CPUs that are online: mostly all those that interrupts are for when a world begins.
pub(super) fn online(rng: &mut Rng) -> u64 {
    let some = rng.next() & 0xffff | 1 << rng.below(16);
    if rng.one_in(16) {
        some
    } else {
        some | FIRST_CPUS
    }
}

pub(super) fn any_call(rng: &mut Rng) -> Call {
    match rng.below(20) {
        0..2 => Call::Startup,
        2 => Call::Shutdown,
        3..6 => Call::Enable,
        6..9 => Call::Disable,
        9..11 => Call::Ack,
        11 => Call::End {
            vector: rng.next() as u8,
        },
        12..15 => Call::SetAffinity { cpus: cpus(rng) },
        15..17 => Call::GuestMask {
            mask: rng.one_in(2),
        },
        17 => rng.pick(&[Call::Mask, Call::Unmask]),
        18 => Call::AckUnmaskable,
        _ => Call::Retarget {
            cpus: (!rng.one_in(4)).then(|| cpus(rng)),
        },
    }
}

/// Two CPUs change masks of MSIs at once: mostly of the same function.
pub(super) fn beside(rng: &mut Rng) -> Op {
    let irq = rng.below(64);
    let mask = rng.one_in(2);
    let write = |rng: &mut Rng, irq| Act::Write {
        irq,
        data: rng.next() as u32 & rng.next() as u32,
    };
    let own = if rng.one_in(3) {
        write(rng, irq)
    } else {
        let call = rng.pick(&[
            Call::Startup,
            Call::Shutdown,
            Call::Enable,
            Call::Disable,
            Call::Mask,
            Call::Unmask,
            Call::GuestMask { mask },
        ]);
        Act::Change { irq, call }
    };
    let irq = irq + rng.below(3);
    let mask = rng.one_in(2);
    let other = if rng.one_in(2) {
        write(rng, irq)
    } else {
        let call = rng.pick(&[Call::Mask, Call::Unmask, Call::GuestMask { mask }]);
        Act::Change { irq, call }
    };
    Op::Beside {
        own,
        other,
        moment: rng.pick(&[Moment::Before, Moment::After]),
    }
}

pub(super) fn wish(rng: &mut Rng) -> Wish {
    let count = match rng.below(4) {
        0 => 1 + rng.below(33),
        1 => rng.pick(&[1, 2, 4, 8, 16, 32]),
        _ => 1,
    };
    let entry = match rng.below(3) {
        0 => rng.below(8),
        _ => rng.next() as usize >> 40,
    };
    Wish {
        device: rng.below(8),
        msix: !rng.one_in(3),
        entry,
        count,
        base: if rng.one_in(12) {
            Base::Off(1 + rng.below(3) as u64)
        } else {
            Base::Right
        },
        irq: rng.below(128),
        taken: rng.one_in(20),
    }
}

pub(super) fn op(rng: &mut Rng) -> Op {
    let device = rng.below(8);
    match rng.below(32) {
        0 => Op::EarlyInit {
            option: rng.pick(&[-1, -1, 1, 1, 1, 0]),
            forbidden: rng.one_in(6),
        },
        1..3 => Op::Map(wish(rng)),
        3..5 => Op::Enable(wish(rng)),
        5 => set_up(rng),
        6..8 => Op::Unmap {
            desc: rng.below(64),
        },
        8 => Op::SetUpIommu { device },
        9 => Op::Cleanup {
            device,
            dying: rng.one_in(3),
        },
        10 => Op::Prepare {
            device,
            off: rng.one_in(2),
        },
        11 => match rng.below(4) {
            0 => Op::PrepareMissing { off: rng.one_in(2) },
            1 => Op::DisableAll,
            _ => Op::ResetState { device },
        },
        12 if rng.one_in(3) => Op::UnknownWrite,
        12..16 => config_write(rng, device),
        16 => Op::Restore { device },
        17 => Op::Compose {
            vector: rng.pick(&[0, 0x1f, 0x20, 0x21, 0x80, 0xff]),
            cpus: (!rng.one_in(3)).then(|| cpus(rng)),
        },
        18 => Op::SetEnable {
            device,
            on: rng.one_in(2),
        },
        19 => Op::Maskable {
            desc: rng.below(64),
        },
        20..22 => Op::Key,
        22..25 => {
            let call = any_call(rng);
            irq(rng, call)
        }
        _ => Op::World(change(rng)),
    }
}

fn config_write(rng: &mut Rng, device: usize) -> Op {
    let place = match rng.below(16) {
        0..4 => Register::Msi(rng.below(0x1a) as u32),
        4 => Register::MsiMask,
        5 => Register::Msi(2),
        6 => Register::Msix(rng.below(12) as u32),
        7..13 => Register::Msix(2),
        13 => Register::Any(4),
        _ => Register::Any(rng.below(256) as u32),
    };
    let size = match place {
        Register::MsiMask if !rng.one_in(4) => 4,
        Register::Msi(2) | Register::Msix(2) | Register::Any(4) if !rng.one_in(8) => 2,
        _ => rng.pick(&[1, 2, 4]),
    };
    let data = match rng.below(4) {
        0 => rng.next() as u32,
        1 => rng.pick(&[0, !0, 2, 6]),
        _ => rng.pick(&[0x8000, 0xc000, 0x4000, 0x8001, 1]),
    };
    Op::ConfigWrite {
        device,
        place,
        size,
        data,
    }
}

fn change(rng: &mut Rng) -> Change {
    let device = rng.below(8);
    let irq = rng.below(64);
    match rng.below(16) {
        0 => Change::Boot {
            done: !rng.one_in(3),
        },
        1 => Change::Run(rng.pick(&[Runner::Dom0, Runner::Dom0, Runner::Guest, Runner::Idle])),
        2 => Change::Online { cpus: online(rng) },
        3..6 => Change::Status {
            irq,
            bits: rng.pick(&[
                IRQ_GUEST,
                IRQ_DISABLED,
                IRQ_MOVE_PENDING,
                IRQ_GUEST | IRQ_DISABLED,
            ]),
        },
        6 => Change::Vector {
            irq,
            // Seldom one that is no vector for a device.
            vector: if rng.one_in(16) {
                rng.next() as u8
            } else {
                0x20 + rng.below(0xe0) as u8
            },
            cpus: cpus(rng),
        },
        7..9 => Change::Pending {
            irq,
            cpus: cpus(rng),
        },
        9 => Change::Own {
            device,
            owner: rng.pick(&[Owner::Dom0, Owner::Guest, Owner::Quarantine]),
        },
        10 => Change::Pages {
            guest: rng.one_in(2),
            pages: rng.below(3) as u32,
        },
        11 if rng.one_in(2) => Change::Reset { device },
        12 => Change::Pull {
            device,
            gone: !rng.one_in(3),
        },
        11 | 13 => Change::Grace {
            once: rng.one_in(3),
        },
        15 if rng.one_in(2) => Change::Disable { device },
        14 => Change::Command {
            device,
            command: rng.pick(&[0, 2, 6, 2, 7]),
        },
        _ => Change::Sleep,
    }
}
