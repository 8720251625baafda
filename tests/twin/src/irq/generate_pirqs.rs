//! Makes up cases in which pirqs of domains are mapped and unmapped.

use super::Irq;
use super::act::Act;
use super::generate_arrivals::{self, About, act_of, with};
use super::guest::PIRQS;
use super::op::Op;
use super::pirqs::Call;
use super::spec::{DEVICES, DOMAINS, FILLER, GSIS, IRQS, MOST_ARRIVALS, Spec, only};
use crate::heap::Failure;
use crate::rng::Rng;
use crate::side::Script;
use crate::subject::Case;

pub(super) fn case(rng: &mut Rng) -> Case<Irq> {
    let spec = Spec {
        fill: 0,
        ..generate_arrivals::spec(rng)
    };
    let about = About {
        irqs: (0..4).map(|_| 1 + rng.below(GSIS + 4)).collect(),
        by_vector: Vec::new(),
        pirqs: (0..4).map(|_| rng.below(PIRQS)).collect(),
    };
    let mut ops = Vec::new();
    for &irq in about.irqs.iter().filter(|&&irq| irq < GSIS) {
        ops.push(Op::Assign {
            cpu: 0,
            irq,
            mask: Some(only(0)),
        });
    }
    for domain in 0..DOMAINS {
        for irq in (1..GSIS).filter(|_| rng.one_in(2)) {
            ops.push(pirqs(domain, Call::Permit { irq, allow: true }));
        }
    }
    for _ in 0..10 + rng.below(40) {
        ops.push(step(rng, &about));
    }
    let steps = ops.into_iter().map(|op| {
        let mut script = Script::plain(0);
        if rng.one_in(6) {
            script.error = Some((rng.below(24) as u32, libc::ENOMEM));
        }
        // C is refused all memory where Rust was refused some; single allocations fail where the
        // tree has no memory for a pirq.
        if rng.one_in(8) {
            script.memory = Failure::Always;
        }
        (op, script)
    });
    Case {
        spec,
        steps: steps.collect(),
    }
}

fn pirqs(domain: usize, call: Call) -> Op {
    Op::Pirqs {
        cpu: 0,
        domain,
        call,
    }
}

/// A pirq: most often one that the case is about, or one that is to be chosen.
fn pirq(rng: &mut Rng, about: &About) -> i32 {
    match rng.below(10) {
        0..=3 => -1,
        4..=7 => about.pirqs[rng.below(about.pirqs.len())] as i32,
        8 => rng.below(PIRQS + 2) as i32,
        _ => PIRQS as i32 - 1 - rng.below(12) as i32,
    }
}

fn irq(rng: &mut Rng, about: &About) -> i32 {
    match rng.below(8) {
        0 => rng.below(IRQS + 2) as i32 - 1,
        1 => rng.below(FILLER) as i32,
        _ => about.irqs[rng.below(about.irqs.len())] as i32,
    }
}

fn step(rng: &mut Rng, about: &About) -> Op {
    let domain = rng.below(DOMAINS);
    // The functions are those of the first domains.
    let owner = rng.below(DEVICES);
    let call = match rng.below(32) {
        0 => Call::Free { pin: rng.one_in(2) },
        1 => Call::FreeBlock {
            messages: 1 + rng.below(9) as u32,
        },
        2 | 3 => Call::MapPin {
            index: irq(rng, about),
            pirq: pirq(rng, about),
        },
        4..=6 => Call::Map {
            pirq: pirq(rng, about),
            irq: irq(rng, about),
        },
        7..=13 => {
            let block = rng.one_in(2);
            let index = if block || !rng.one_in(6) {
                -1
            } else {
                irq(rng, about)
            };
            let call = Call::MapMessages {
                function: if rng.one_in(12) { owner ^ 1 } else { owner },
                index,
                pirq: pirq(rng, about),
                block,
                table: rng.one_in(2),
                messages: rng.below(10) as i32 - i32::from(rng.one_in(8)),
            };
            return pirqs(owner, call);
        }
        14..=17 => Call::Unmap {
            pirq: match rng.below(3) {
                0 => pirq(rng, about),
                _ => PIRQS as i32 - 1 - rng.below(12) as i32,
            },
        },
        18 if rng.one_in(4) => Call::UnmapAll,
        19 | 20 => Call::Emulate {
            pirq: pirq(rng, about),
            emuirq: rng.below(IRQS + 4) as i32 - 3,
        },
        21 => Call::StopEmulating {
            pirq: pirq(rng, about),
        },
        22 => Call::Channel {
            pirq: pirq(rng, about),
        },
        23 => Call::Permit {
            irq: rng.below(IRQS),
            allow: !rng.one_in(3),
        },
        24 => Call::Reserve {
            pirq: rng.below(PIRQS),
        },
        25 => Call::CleanUp {
            pirq: rng.below(PIRQS),
        },
        26 => return Op::Switch,
        27..=29 => {
            // A guest handles a message: those are mapped to the last pirqs.
            let (cpu, pirq) = (rng.below(MOST_ARRIVALS), PIRQS - 2 - rng.below(12));
            let act = if rng.one_in(4) {
                Act::Unbind {
                    cpu,
                    domain: owner,
                    pirq,
                }
            } else {
                Act::Bind {
                    cpu,
                    domain: owner,
                    pirq,
                    shares: !rng.one_in(4),
                }
            };
            return with(rng, about, act);
        }
        _ => {
            let act = act_of(rng, about);
            return with(rng, about, act);
        }
    };
    pirqs(domain, call)
}
