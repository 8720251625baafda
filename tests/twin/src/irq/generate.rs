//! Makes up cases.

use super::Irq;
use super::choices::{mask, with_failures};
use super::op::{HandledBy, Op};
use super::spec::{Bound, FILLER, GSIS, HPET, IRQS, MOST_CPUS, Maps, Spec, only};
use super::{generate_arrivals, generate_pirqs};
use crate::rng::Rng;
use crate::subject::Case;

/// The last vectors.
const LAST_DYNAMIC: u8 = 0xef;
const FIRST_HIGH: u8 = 0xf1;

/// Makes up a case.
pub(super) fn case(rng: &mut Rng) -> Case<Irq> {
    match rng.below(5) {
        0 | 1 => return generate_arrivals::case(rng),
        2 => return generate_pirqs::case(rng),
        _ => {}
    }
    let spec = spec(rng);
    let count = 8 + rng.below(40);
    let mut steps = Vec::new();
    for _ in 0..count {
        steps.extend(theme(rng, &spec));
    }
    Case {
        spec,
        steps: with_failures(rng, steps),
    }
}

fn spec(rng: &mut Rng) -> Spec {
    let cpus = rng.pick(&[1, 2, 2, 3, 4, 4, 4, 4, 4, 5, 8, 65, 66]);
    let cpus = if rng.one_in(32) { MOST_CPUS } else { cpus };
    let mut online = only(0);
    for cpu in 1..cpus {
        if !rng.one_in(5) {
            online[cpu / 64] |= 1 << (cpu % 64);
        }
    }
    let io_apic_irqs = if rng.one_in(3) {
        0xffff
    } else {
        rng.next() as u16
    };
    let mut bound: Vec<Bound> = Vec::new();
    for irq in 0..GSIS {
        let is_pic = irq < 16 && io_apic_irqs >> irq & 1 == 0;
        if is_pic || !rng.one_in(4) {
            continue;
        }
        let vector = if irq == 0 || rng.one_in(6) {
            FIRST_HIGH + rng.below(4) as u8
        } else {
            0x31 + rng.below(usize::from(LAST_DYNAMIC) - 0x31) as u8
        };
        if bound.iter().all(|other| other.vector != vector) {
            bound.push(Bound { irq, vector });
        }
    }
    Spec {
        cpus,
        online,
        maps: rng.pick(&[Maps::None, Maps::Global, Maps::PerDevice]),
        io_apic_irqs,
        bound,
        fill: rng.pick(&[0, 0, 20, 50, 95, 99, 100]),
        salt: rng.next(),
        alike: rng.one_in(2),
        delivery: None,
    }
}

/// An IRQ: most often one that may have been created first.
fn irq(rng: &mut Rng) -> usize {
    match rng.below(8) {
        0 => rng.below(FILLER),
        1 => rng.below(GSIS),
        _ => GSIS + rng.below(4),
    }
}

/// What handles an IRQ: most often an action of Xen's.
fn handled_by(rng: &mut Rng) -> HandledBy {
    match rng.below(8) {
        0 => HandledBy::Part,
        1 => HandledBy::Nothing,
        _ => HandledBy::Xen,
    }
}

fn destroy(cpu: usize, irq: usize) -> Op {
    Op::Destroy {
        cpu,
        irq,
        handled_by: HandledBy::Xen,
        in_progress: false,
    }
}

/// A few steps that belong together, or one alone.
fn theme(rng: &mut Rng, spec: &Spec) -> Vec<Op> {
    let cpu = rng.below(spec.cpus);
    let irq = irq(rng);
    match rng.below(48) {
        0 | 24 => a_move(rng, spec, irq),
        25 => a_move_from_many(rng, spec),
        47 => a_move_to_the_same_vector(rng, spec),
        26 if rng.one_in(4) => vec![Op::MakePic { irq }],
        1..=3 | 27..=29 => vec![Op::Create {
            cpu,
            device: rng.below(2),
            handler: usize::from(rng.one_in(8)),
            node: rng.below(6) as u8,
            permit: rng.one_in(3),
            handled_by: handled_by(rng),
        }],
        4 | 30 => vec![Op::Destroy {
            cpu,
            irq,
            handled_by: handled_by(rng),
            in_progress: rng.one_in(8),
        }],
        5 | 31 => vec![Op::Assign {
            cpu,
            irq,
            mask: (!rng.one_in(4)).then(|| mask(rng, spec)),
        }],
        6..=8 | 32..=34 => vec![Op::SetAffinity {
            cpu,
            irq,
            mask: (!rng.one_in(6)).then(|| mask(rng, spec)),
            irqs_on: rng.one_in(4),
        }],
        9 | 35 => vec![Op::Wish {
            cpu,
            irq,
            mask: mask(rng, spec),
        }],
        10..=12 | 36..=38 => vec![Op::Send { irq }, Op::Take { cpu }],
        13 | 39 => vec![Op::Pend {
            cpu,
            vector: 0x20 + rng.below(usize::from(LAST_DYNAMIC) - 0x20) as u8,
        }],
        14 | 15 | 40 | 41 => vec![Op::Take { cpu }],
        16 | 42 => vec![Op::Acknowledge {
            cpu,
            irq,
            vector: rng.one_in(4).then(|| rng.next() as u8),
        }],
        17 | 18 | 43 | 44 => vec![Op::CleanUp { cpu }],
        19 | 45 => vec![Op::Offline { cpu }],
        20 | 21 | 46 => vec![Op::Online { cpu }],
        22 if rng.one_in(6) => vec![Op::FreeVector { vector: HPET }],
        22 if rng.one_in(4) => {
            let [first, second] = [0; 2].map(|_| GSIS + rng.below(4));
            vec![
                Op::ShareHpet { irq: first },
                Op::ShareHpet { irq: second },
                Op::AttachHpet { cpu, irq: first },
            ]
        }
        22 => vec![at_boot(rng, spec)],
        _ => vec![Op::ToVector {
            irq: rng.below(IRQS),
        }],
    }
}

/// What Xen calls while it boots, or where descriptors and CPUs are new.
fn at_boot(rng: &mut Rng, spec: &Spec) -> Op {
    match rng.below(8) {
        0 | 1 => Op::Bind {
            irq: rng.below(GSIS),
            vector: match rng.below(3) {
                0 => FIRST_HIGH + rng.below(4) as u8,
                _ => HPET + rng.below(usize::from(LAST_DYNAMIC - HPET)) as u8,
            },
            mask: mask(rng, spec),
        },
        2 => Op::Clear {
            irq: rng.below(GSIS),
        },
        3 | 4 => Op::InitDesc,
        5 if rng.one_in(2) => Op::Switch,
        5 => Op::DomainGoes,
        6 => Op::SetDirect {
            vector: rng.next() as u8,
        },
        _ => Op::Direct {
            has_vector: rng.one_in(3),
        },
    }
}

/// A move of an IRQ that has one vector on several CPUs since boot, to one that comes online later.
fn a_move_from_many(rng: &mut Rng, spec: &Spec) -> Vec<Op> {
    let to = rng.below(spec.cpus);
    let irq = match spec.bound.as_slice() {
        [] => rng.below(GSIS),
        bound => bound[rng.below(bound.len())].irq,
    };
    let mut ops = vec![
        Op::Online { cpu: to },
        Op::SetAffinity {
            cpu: 0,
            irq,
            mask: Some(only(to)),
            irqs_on: false,
        },
    ];
    if rng.one_in(2) {
        ops.push(Op::Acknowledge {
            cpu: to,
            irq,
            vector: None,
        });
    }
    for cpu in (0..spec.cpus.min(8)).filter(|_| rng.one_in(2)) {
        ops.push(Op::CleanUp { cpu });
    }
    if rng.one_in(3) {
        ops.push(Op::MakePic { irq });
        ops.extend((0..spec.cpus.min(8)).map(|cpu| Op::CleanUp { cpu }));
    }
    ops.push(Op::Offline {
        cpu: if rng.one_in(3) {
            rng.below(spec.cpus)
        } else {
            to
        },
    });
    ops
}

/// Where two vectors are free, the same on all CPUs: another IRQ gets the second, so that the first
/// moves to the vector that it has.
fn a_move_to_the_same_vector(rng: &mut Rng, spec: &Spec) -> Vec<Op> {
    let [from, to] = [0; 2].map(|_| rng.below(spec.cpus));
    let [irq, other] = [GSIS, GSIS + 1];
    let create = Op::Create {
        cpu: 0,
        device: 0,
        handler: 0,
        node: 2,
        permit: false,
        handled_by: HandledBy::Xen,
    };
    let set = |irq, cpu| Op::SetAffinity {
        cpu: 0,
        irq,
        mask: Some(only(cpu)),
        irqs_on: false,
    };
    let arrive = |irq, cpu| Op::Acknowledge {
        cpu,
        irq,
        vector: None,
    };
    let mut ops = vec![create.clone(), set(irq, from), arrive(irq, from)];
    let clean_up = |ops: &mut Vec<Op>| {
        ops.extend((0..spec.cpus.min(8)).map(|cpu| Op::CleanUp { cpu }));
    };
    clean_up(&mut ops);
    ops.extend([create, set(other, to), arrive(other, to)]);
    clean_up(&mut ops);
    ops.push(set(irq, to));
    if rng.one_in(2) {
        ops.push(arrive(irq, to));
        clean_up(&mut ops);
    }
    ops.push(destroy(0, irq));
    ops
}

/// A move that goes as far as it likes, with what may come in between.
fn a_move(rng: &mut Rng, spec: &Spec, irq: usize) -> Vec<Op> {
    let [from, to, other] = [0; 3].map(|_| rng.below(spec.cpus));
    let mut ops = vec![
        Op::SetAffinity {
            cpu: 0,
            irq,
            mask: Some(only(from)),
            irqs_on: false,
        },
        Op::Acknowledge {
            cpu: from,
            irq,
            vector: None,
        },
    ];
    for cpu in 0..spec.cpus.min(8) {
        ops.push(Op::CleanUp { cpu });
    }
    ops.push(Op::Send { irq });
    if rng.one_in(2) {
        ops.push(Op::Wish {
            cpu: other,
            irq,
            mask: only(to),
        });
        ops.push(Op::Take { cpu: from });
    } else {
        ops.push(Op::SetAffinity {
            cpu: other,
            irq,
            mask: Some(only(to)),
            irqs_on: false,
        });
    }
    let between = |rng: &mut Rng| match rng.below(8) {
        0 => Some(Op::Offline { cpu: from }),
        1 => Some(Op::Offline { cpu: to }),
        2 => Some(destroy(other, irq)),
        3 => Some(Op::SetAffinity {
            cpu: other,
            irq,
            mask: Some(only(other)),
            irqs_on: false,
        }),
        _ => None,
    };
    ops.extend(between(rng));
    ops.push(Op::Send { irq });
    ops.push(Op::Acknowledge {
        cpu: to,
        irq,
        vector: None,
    });
    ops.extend(between(rng));
    ops.push(Op::CleanUp { cpu: from });
    ops.push(Op::Take { cpu: from });
    ops.push(Op::CleanUp { cpu: from });
    ops
}
