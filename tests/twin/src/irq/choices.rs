//! What all generators of cases choose.

use super::op::Op;
use super::spec::{MOST_CPUS, Mask, Spec, has};
use crate::heap::Failure;
use crate::rng::Rng;
use crate::side::Script;

/// Has something fail in some steps.
pub(super) fn with_failures(rng: &mut Rng, steps: Vec<Op>) -> Vec<(Op, Script)> {
    let steps = steps.into_iter().map(|op| {
        let mut script = Script::plain(0);
        if rng.one_in(8) {
            script.error = Some((rng.below(2) as u32, libc::ENOMEM));
            script.memory = Failure::Nth(rng.below(3) as u32);
        }
        (op, script)
    });
    steps.collect()
}

/// CPUs: most often one or two that are online.
pub(super) fn mask(rng: &mut Rng, spec: &Spec) -> Mask {
    let mut mask = Mask::default();
    match rng.below(8) {
        0 => return Mask::default(),
        1 => return [u64::MAX; MOST_CPUS / 64],
        2 => {
            for cpu in (0..spec.cpus).filter(|_| rng.one_in(2)) {
                mask[cpu / 64] |= 1 << (cpu % 64);
            }
            return mask;
        }
        _ => {}
    }
    for _ in 0..1 + rng.below(2) {
        let cpu = rng.below(spec.cpus);
        if has(&spec.online, cpu) || rng.one_in(3) {
            mask[cpu / 64] |= 1 << (cpu % 64);
        }
    }
    mask
}
