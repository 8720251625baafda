//! Makes up cases in which IRQs are set up and interrupts arrive.

use super::Irq;
use super::act::{Act, When};
use super::choices::{mask, with_failures};
use super::guest::PIRQS;
use super::op::{HandledBy, Op};
use super::spec::{Arrivals, Bound, DOMAINS, GSIS, MOST_ARRIVALS, Maps, Spec, only};
use crate::rng::Rng;
use crate::subject::Case;

/// Created IRQs that are used most.
const MESSAGES: usize = 3;

/// What a case is about: a few IRQs, on a few pirqs of the domains.
pub(super) struct About {
    pub(super) irqs: Vec<usize>,
    /// Pins that were bound at boot, with vectors that interrupt the ones before.
    pub(super) by_vector: Vec<usize>,
    pub(super) pirqs: Vec<usize>,
}

pub(super) fn case(rng: &mut Rng) -> Case<Irq> {
    let spec = spec(rng);
    let mut about = About {
        irqs: (GSIS..GSIS + MESSAGES).collect(),
        by_vector: by_vector(&spec),
        pirqs: Vec::new(),
    };
    let pins: Vec<_> = (0..3).map(|_| 1 + rng.below(GSIS - 1)).collect();
    about.irqs.extend(pins);
    about.irqs.extend(
        spec.bound
            .iter()
            .map(|bound| bound.irq)
            .filter(|&irq| irq != 0),
    );
    about.pirqs.extend((0..3).map(|_| rng.below(PIRQS)));
    let mut steps: Vec<_> = (0..1 + rng.below(MESSAGES)).map(|_| create(rng)).collect();
    for &irq in about.irqs.iter().filter(|&&irq| irq < GSIS) {
        steps.push(Op::Assign {
            cpu: 0,
            irq,
            mask: Some(only(rng.below(spec.cpus))),
        });
    }
    for _ in 0..2 + rng.below(4) {
        steps.extend(pair(rng, &about));
    }
    for _ in 0..8 + rng.below(40) {
        steps.extend(theme(rng, &spec, &about));
    }
    Case {
        spec,
        steps: with_failures(rng, steps),
    }
}

pub(super) fn spec(rng: &mut Rng) -> Spec {
    let cpus = 1 + rng.below(MOST_ARRIVALS);
    let mut online = only(0);
    for cpu in 1..cpus {
        if !rng.one_in(6) {
            online[0] |= 1 << cpu;
        }
    }
    let io_apic_irqs = match rng.below(3) {
        0 => 0xffff,
        1 => 0xff00,
        _ => rng.next() as u16,
    };
    let mut bound: Vec<Bound> = Vec::new();
    for irq in 1..GSIS {
        let is_pic = irq < 16 && io_apic_irqs >> irq & 1 == 0;
        if is_pic || !rng.one_in(5) {
            continue;
        }
        let vector = if rng.one_in(6) {
            0xf1
        } else {
            0x31 + rng.below(0xbe) as u8
        };
        if bound.iter().all(|other| other.vector != vector) {
            bound.push(Bound { irq, vector });
        }
    }
    Spec {
        cpus,
        online,
        maps: rng.pick(&[Maps::None, Maps::Global]),
        io_apic_irqs,
        bound,
        fill: rng.pick(&[0, 0, 0, 50]),
        salt: rng.next(),
        alike: rng.one_in(2),
        delivery: Some(Arrivals {
            limit: rng.pick(&[0, 0, 2, 3, 10_000]),
            most_guests: rng.pick(&[2, 3, 32]),
            no_balance: rng.one_in(2),
            amd: rng.one_in(2),
            pins: rng.pick(&[None, None, Some(0), Some(2), Some(2)]),
            salt: rng.next(),
        }),
    }
}

/// The pins that are bound, one of each 16 vectors.
fn by_vector(spec: &Spec) -> Vec<usize> {
    let mut bound = spec.bound.clone();
    bound.sort_by_key(|bound| bound.vector);
    bound.dedup_by_key(|bound| bound.vector / 16);
    bound.into_iter().map(|bound| bound.irq).collect()
}

fn create(rng: &mut Rng) -> Op {
    Op::Create {
        cpu: 0,
        device: 0,
        handler: rng.below(4),
        node: rng.below(6) as u8,
        permit: false,
        handled_by: HandledBy::Nothing,
    }
}

fn of<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.below(all.len())]
}

fn alone(act: Act) -> Op {
    Op::Deliver {
        act,
        meanwhile: Vec::new(),
    }
}

/// A guest gets an IRQ.
fn pair(rng: &mut Rng, about: &About) -> Vec<Op> {
    let (domain, pirq) = (rng.below(DOMAINS), of(rng, &about.pirqs));
    let irq = of(rng, &about.irqs);
    let cpu = rng.below(MOST_ARRIVALS);
    let bind = Act::Bind {
        cpu,
        domain,
        pirq,
        shares: !rng.one_in(4),
    };
    vec![
        alone(Act::Map { domain, pirq, irq }),
        with(rng, about, bind),
    ]
}

/// An act, in the middle of which others may come.
pub(super) fn with(rng: &mut Rng, about: &About, act: Act) -> Op {
    let places = match act {
        Act::Bind { .. } => &[When::Allocate][..],
        Act::Unbind { .. } | Act::Unmap { .. } | Act::Remove { .. } => {
            &[When::Asked, When::Done, When::Kill]
        }
        Act::Answer { .. } | Act::Unmask { .. } => &[When::Asked, When::Done],
        Act::Expire { .. } | Act::Limit => &[When::Due, When::Asked],
        Act::Arrive { .. } => &[When::Handler],
        _ => &[],
    };
    let mut meanwhile = Vec::new();
    if !places.is_empty() && rng.one_in(3) {
        for _ in 0..1 + rng.below(3) {
            let act = match rng.below(8) {
                0 | 1 => Act::Call {
                    cpu: rng.below(MOST_ARRIVALS),
                },
                2..=4 => arrive(rng, about),
                _ => act_of(rng, about),
            };
            meanwhile.push((of(rng, places), act));
        }
    }
    Op::Deliver { act, meanwhile }
}

fn arrive(rng: &mut Rng, about: &About) -> Act {
    Act::Arrive {
        choice: rng.below(MOST_ARRIVALS),
        irq: of(rng, &about.irqs),
    }
}

/// One of all that may come at any time.
pub(super) fn act_of(rng: &mut Rng, about: &About) -> Act {
    let cpu = rng.below(MOST_ARRIVALS);
    let (domain, pirq) = (rng.below(DOMAINS), of(rng, &about.pirqs));
    let irq = of(rng, &about.irqs);
    match rng.below(40) {
        0..=9 => arrive(rng, about),
        10..=15 => Act::Answer {
            cpu,
            domain,
            pirq,
            locked: rng.one_in(3),
        },
        16..=18 => Act::Expire { irq },
        19..=21 => Act::Call { cpu },
        22 | 23 => Act::Bind {
            cpu,
            domain,
            pirq,
            shares: !rng.one_in(4),
        },
        24 | 25 => Act::Unbind { cpu, domain, pirq },
        26 => Act::Unmap { cpu, domain, pirq },
        27 => Act::SetUp { cpu, irq },
        28 => Act::Release { cpu, irq },
        29 => Act::Stray {
            cpu,
            vector: if rng.one_in(3) {
                0xfd
            } else {
                0x20 + rng.below(0xe0) as u8
            },
            in_service: !rng.one_in(3),
        },
        30 => Act::Unmask { cpu, domain },
        31 => Act::Channel {
            domain,
            pirq,
            masked: rng.one_in(2),
        },
        32 => Act::Shared { cpu, domain, pirq },
        33 => Act::Lock { cpu, domain, pirq },
        34 => Act::Limit,
        35 | 36 => Act::Wait {
            time: rng.pick(&[1, 500, 2000, 11_000]),
        },
        37 => Act::Dump { cpu },
        _ => Act::Map { domain, pirq, irq },
    }
}

/// A few steps that belong together, or one alone.
fn theme(rng: &mut Rng, spec: &Spec, about: &About) -> Vec<Op> {
    let cpu = rng.below(spec.cpus);
    let irq = of(rng, &about.irqs);
    match rng.below(32) {
        0 => pair(rng, about),
        1 => vec![create(rng)],
        2 if rng.one_in(2) => vec![Op::Destroy {
            cpu,
            irq,
            handled_by: HandledBy::Nothing,
            in_progress: false,
        }],
        3 => vec![Op::SetAffinity {
            cpu,
            irq,
            mask: Some(mask(rng, spec)),
            irqs_on: false,
        }],
        4 if rng.one_in(2) => vec![Op::Wish {
            cpu,
            irq,
            mask: mask(rng, spec),
        }],
        5 => vec![Op::CleanUp { cpu }],
        6 if rng.one_in(2) => vec![Op::Offline { cpu }],
        7 => vec![Op::Online { cpu }],
        8 => {
            let mask = mask(rng, spec);
            let (domain, pirq) = (rng.below(DOMAINS), of(rng, &about.pirqs));
            vec![alone(Act::Affinity {
                cpu,
                domain,
                pirq,
                mask,
            })]
        }
        9 => a_storm(rng, about),
        10 | 11 => handlers_in_handlers(rng, spec, about),
        12 => again_when_due(rng, about),
        13 => late_for_its_guest(rng, spec, about),
        14 if rng.one_in(8) => removed_with_its_guest(rng, about),
        _ => {
            let act = act_of(rng, about);
            vec![with(rng, about, act)]
        }
    }
}

/// An IRQ arrives again and again.
fn a_storm(rng: &mut Rng, about: &About) -> Vec<Op> {
    let irq = of(rng, &about.irqs);
    let choice = rng.below(MOST_ARRIVALS);
    let (domain, pirq) = (rng.below(DOMAINS), of(rng, &about.pirqs));
    let mut ops = Vec::new();
    for _ in 0..3 + rng.below(6) {
        ops.push(alone(Act::Arrive { choice, irq }));
        if rng.one_in(2) {
            ops.push(alone(Act::Answer {
                cpu: choice,
                domain,
                pirq,
                locked: false,
            }));
        }
    }
    if rng.one_in(2) {
        ops.push(alone(Act::Limit));
    }
    ops
}

/// An IRQ gets a guest: the steps, and the domain and its pirq.
fn to_guest(rng: &mut Rng, irq: usize) -> (Vec<Op>, usize, usize) {
    let (domain, pirq) = (rng.below(DOMAINS), rng.below(PIRQS));
    let bind = Act::Bind {
        cpu: 0,
        domain,
        pirq,
        shares: true,
    };
    let ops = vec![alone(Act::Map { domain, pirq, irq }), alone(bind)];
    (ops, domain, pirq)
}

/// In Xen's handler of one IRQ another arrives, and so on; the last has a guest.
fn handlers_in_handlers(rng: &mut Rng, spec: &Spec, about: &About) -> Vec<Op> {
    let irqs = &about.by_vector;
    if irqs.len() < 3 {
        return Vec::new();
    }
    let at = rng.below(irqs.len() - 2);
    let (first, second, last) = (irqs[at], irqs[at + 1], irqs[at + 2]);
    let cpu = rng.below(spec.cpus);
    let (mut ops, domain, pirq) = to_guest(rng, last);
    ops.extend([first, second].map(|irq| alone(Act::SetUp { cpu: 0, irq })));
    let arrive = |irq| Act::Arrive { choice: cpu, irq };
    let answer = Act::Answer {
        cpu: cpu + 1,
        domain,
        pirq,
        locked: false,
    };
    let mut meanwhile = vec![
        (When::Handler, arrive(second)),
        (When::Handler, arrive(last)),
    ];
    if rng.one_in(3) {
        meanwhile.push((When::Handler, answer.clone()));
        meanwhile.push((When::Handler, Act::Call { cpu }));
    }
    ops.push(Op::Deliver {
        act: arrive(first),
        meanwhile,
    });
    if rng.one_in(2) {
        ops.push(alone(answer));
    }
    ops.push(alone(arrive(second)));
    ops
}

/// The timer of an IRQ has run out when its guest answers, and it arrives again.
fn again_when_due(rng: &mut Rng, about: &About) -> Vec<Op> {
    let irq = of(rng, &about.irqs);
    let choice = rng.below(MOST_ARRIVALS);
    let (mut ops, domain, pirq) = to_guest(rng, irq);
    ops.push(alone(Act::Arrive { choice, irq }));
    let answer = Act::Answer {
        cpu: rng.below(MOST_ARRIVALS),
        domain,
        pirq,
        locked: rng.one_in(2),
    };
    let mut meanwhile = vec![(When::Due, answer)];
    if !rng.one_in(4) {
        meanwhile.push((When::Due, Act::Call { cpu: choice }));
        meanwhile.push((When::Due, Act::Arrive { choice, irq }));
    }
    ops.push(Op::Deliver {
        act: Act::Expire { irq },
        meanwhile,
    });
    ops
}

/// A function is removed whose IRQ has arrived and has a guest, which closes its channel later, or
/// binds it again.
fn removed_with_its_guest(rng: &mut Rng, about: &About) -> Vec<Op> {
    let irq = GSIS + rng.below(MESSAGES);
    let (mut ops, domain, pirq) = to_guest(rng, irq);
    let cpu = rng.below(MOST_ARRIVALS);
    if !rng.one_in(3) {
        ops.push(alone(Act::Arrive { choice: cpu, irq }));
    }
    ops.push(with(rng, about, Act::Remove { cpu, irq }));
    if rng.one_in(2) {
        ops.push(alone(Act::Unbind { cpu, domain, pirq }));
        let shares = true;
        ops.push(alone(Act::Bind {
            cpu,
            domain,
            pirq,
            shares,
        }));
    }
    ops
}

/// An IRQ arrives on two CPUs, on the second while its last guest unbinds.
fn late_for_its_guest(rng: &mut Rng, spec: &Spec, about: &About) -> Vec<Op> {
    let irq = of(rng, &about.irqs);
    let (mut ops, domain, pirq) = to_guest(rng, irq);
    let choice = rng.below(MOST_ARRIVALS);
    ops.push(alone(Act::Arrive { choice, irq }));
    ops.push(Op::SetAffinity {
        cpu: 0,
        irq,
        mask: Some(only(rng.below(spec.cpus))),
        irqs_on: false,
    });
    let cpu = rng.below(MOST_ARRIVALS);
    let place = of(rng, &[When::Asked, When::Done]);
    let late = Act::Arrive {
        choice: choice + 1,
        irq,
    };
    ops.push(Op::Deliver {
        act: Act::Unbind { cpu, domain, pirq },
        meanwhile: vec![(place, late)],
    });
    ops
}
