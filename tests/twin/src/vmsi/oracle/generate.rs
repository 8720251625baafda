//! Makes up cases: few entries and few values, so that accesses meet.

use super::op::{Function, Instruction, Op, Spec};
use crate::rng::Rng;

/// A case.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) spec: Spec,
    pub(super) steps: Vec<Op>,
}

pub(super) fn case(rng: &mut Rng) -> Case {
    let spec = spec(rng);
    let mut steps = Vec::new();
    // How often other vCPUs and the device model come between.
    let mixed = rng.pick(&[0, 1, 2, 4]);
    let len = 6 + rng.below(40);
    while steps.len() < len {
        some(rng, &spec, mixed, &mut steps);
    }
    Case { spec, steps }
}

fn spec(rng: &mut Rng) -> Spec {
    let functions = (0..rng.pick(&[1, 1, 1, 2])).map(|number| {
        let entries = rng.pick(&[1, 2, 3, 4, 5, 8, 16, 64, 256, 257, 300]);
        let inside = rng.pick(&[0, 0, 0, 0x10, 0x800, 0xfe0, 0xff0]);
        let mut mappable: Vec<_> = [0, 1, 2, 3, 4, 5, entries as u16 - 1, 255, 256]
            .into_iter()
            .filter(|entry| u32::from(*entry) < entries && !rng.one_in(5))
            .collect();
        mappable.sort_unstable();
        mappable.dedup();
        Function {
            base: 0xf000_0000 + number * 0x10_0000 + inside,
            entries,
            mappable,
        }
    });
    let functions = functions.collect();
    Spec {
        vcpus: rng.pick(&[1, 2, 2, 3]),
        functions,
    }
}

fn some(rng: &mut Rng, spec: &Spec, mixed: usize, steps: &mut Vec<Op>) {
    let vcpu = rng.below(spec.vcpus);
    let function = rng.below(spec.functions.len());
    if rng.below(8) < mixed {
        let step = match rng.below(8) {
            0..3 => Op::Step { vcpu },
            3..5 => Op::DeviceModel { vcpu },
            _ => Op::Begin {
                vcpu,
                instruction: instruction(rng, spec),
            },
        };
        return steps.push(step);
    }
    match rng.below(32) {
        0..3 => steps.push(Op::Enable { function }),
        3 => steps.push(Op::Disable { function }),
        4 if rng.one_in(2) => steps.push(Op::Move { function }),
        5 => steps.push(Op::Rebind {
            function,
            entry: usize::from(entry(rng, &spec.functions[function])),
        }),
        6 => steps.push(Op::Resume { vcpu }),
        7 if rng.one_in(4) => steps.push(Op::GracePeriod),
        14 if rng.one_in(4) => steps.push(Op::Replace { function }),
        15 => {
            let other = &spec.functions[function];
            steps.push(Op::Exchange {
                vcpu,
                instruction: instruction(rng, spec),
                function,
                entry: usize::from(entry(rng, other)),
            });
        }
        8..10 => set_up(rng, &spec.functions[function], vcpu, steps),
        16 => read_back(rng, &spec.functions[function], vcpu, steps),
        10..14 => steps.extend([Op::Step { vcpu }, Op::DeviceModel { vcpu }]),
        _ => steps.push(Op::Run {
            vcpu,
            instruction: instruction(rng, spec),
        }),
    }
}

/// A driver sets an entry up: address, data, unmask.
fn set_up(rng: &mut Rng, function: &Function, vcpu: usize, steps: &mut Vec<Op>) {
    let first = function.base + u64::from(entry(rng, function)) * 16;
    for dword in [0, 4, 8, 12] {
        let value = if dword == 12 { 0 } else { word(rng) };
        steps.push(Op::Run {
            vcpu,
            instruction: Instruction::Store {
                address: first + dword,
                len: 4,
                value: [value, 0],
            },
        });
    }
}

/// A guest reads across words what Xen has not seen written, and then word by word.
fn read_back(rng: &mut Rng, function: &Function, vcpu: usize, steps: &mut Vec<Op>) {
    let first = function.base + u64::from(entry(rng, function)) * 16;
    let size = rng.pick(&[4, 8]);
    let write = Instruction::Movs {
        first,
        size,
        descending: false,
        values: (0..12 / size).map(|_| value(rng)).collect(),
    };
    let read = Instruction::Load {
        address: first + 1 + rng.below(7) as u64,
        len: size,
    };
    let words = [0, 4, 8].map(|dword| Instruction::Load {
        address: first + dword,
        len: 4,
    });
    let instructions = [write, read].into_iter().chain(words);
    steps.extend(instructions.map(|instruction| Op::Run { vcpu, instruction }));
}

/// Mostly an entry that can be mapped; never one far from those.
fn entry(rng: &mut Rng, function: &Function) -> u16 {
    match function.mappable.len() {
        len if len != 0 && !rng.one_in(8) => {
            // The first two of them most.
            let at = rng.pick(&[0, 0, 1, 1, 2, 3, 4, 5, 6, 7]) % len;
            function.mappable[at]
        }
        _ => rng.below(function.entries.min(8) as usize) as u16,
    }
}

/// A value: small, so that reports are; the lowest bit is the mask bit of a vector control.
fn word(rng: &mut Rng) -> u64 {
    rng.below(256) as u64
}

fn value(rng: &mut Rng) -> u64 {
    word(rng) | word(rng) << 32
}

fn instruction(rng: &mut Rng, spec: &Spec) -> Instruction {
    let function = &spec.functions[rng.below(spec.functions.len())];
    let entry = function.base + u64::from(entry(rng, function)) * 16;
    match rng.below(16) {
        0..5 => {
            let (address, len) = place(rng, entry);
            Instruction::Load { address, len }
        }
        5..11 => {
            let (address, len) = place(rng, entry);
            let value = [value(rng), value(rng)];
            Instruction::Store {
                address,
                len,
                value,
            }
        }
        choice => string(rng, entry, choice),
    }
}

/// Where a load or a store goes: mostly to whole dwords.
fn place(rng: &mut Rng, entry: u64) -> (u64, u32) {
    let len = rng.pick(&[4, 4, 4, 4, 4, 8, 8, 8, 2, 1, 16]);
    let inside = rng.pick(&[0, 4, 8, 12, 12]);
    let address = match rng.below(12) {
        // Across words, entries and pages.
        0 => (entry + inside).wrapping_sub(rng.below(8) as u64),
        1 => entry + inside,
        _ => (entry + inside) & !u64::from(len.min(8) - 1),
    };
    (address, len)
}

fn string(rng: &mut Rng, entry: u64, choice: usize) -> Instruction {
    let size = rng.pick(&[4, 4, 4, 4, 8, 8, 2, 1]);
    let count = match rng.below(6) {
        0 => 1,
        1 => 16 / size,
        2 => 32 / size,
        3 => 2,
        _ => 1 + rng.below(12) as u32,
    };
    let descending = rng.one_in(6);
    let mut first = entry + rng.pick(&[0, 0, 0, 4, 8, 12]);
    if rng.one_in(4) {
        // It ends with an entry, or it comes from the one before.
        first = (entry + 16).wrapping_sub(u64::from(size * count));
    }
    if rng.one_in(10) {
        first = first.wrapping_sub(rng.below(8) as u64);
    }
    match choice {
        11 => Instruction::MovsToRam {
            first,
            size,
            count,
            descending,
        },
        12..14 => Instruction::Movs {
            first,
            size,
            descending,
            values: (0..count).map(|_| value(rng)).collect(),
        },
        _ => Instruction::Stos {
            first,
            size,
            count,
            descending,
            value: value(rng),
        },
    }
}
