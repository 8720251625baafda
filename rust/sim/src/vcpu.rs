//! vCPUs that access one word of an MSI-X table, step by step.
//!
//! Between two steps anything may happen: the vCPU may lose its CPU, and the device model is
//! another domain's process. The steps and their order are those of `rust/vmsi`: a write is kept
//! before the device model sees it, and what the device model answers is learned after it answered.

use crate::device_model::DeviceModel;
use irq_core::vmsi::shadow::Word;

/// What a vCPU is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write plainly: keep the value.
    Keep(u32),
    /// Write in a way that Xen does not see: forget what is known.
    Lose(u32),
    /// The device model carries the write out.
    CarryOut(u32),
    /// Read: answer from the shadow, or ask.
    Read,
    /// The device model answers.
    Ask,
    /// Keep the answer.
    Learn(u32),
    /// Nothing is left to do.
    Done,
}

/// A vCPU in the middle of one access.
#[derive(Clone, Copy, Debug)]
pub struct Vcpu {
    next: Step,
}

impl Vcpu {
    /// Begins an access: `Keep`, `Lose` or `Read`.
    pub fn new(first: Step) -> Self {
        Self { next: first }
    }

    /// Returns whether the access is over.
    pub fn is_done(&self) -> bool {
        self.next == Step::Done
    }

    /// Does the next step; returns the value that a read ends with.
    pub fn step(&mut self, word: &Word, model: &DeviceModel) -> Option<u32> {
        let (next, read) = match self.next {
            Step::Keep(value) => {
                word.write(value);
                (Step::CarryOut(value), None)
            }
            Step::Lose(value) => {
                word.lose();
                (Step::CarryOut(value), None)
            }
            Step::CarryOut(value) => {
                model.write(value);
                (Step::Done, None)
            }
            Step::Read => match word.get() {
                Some(value) => (Step::Done, Some(value)),
                None => (Step::Ask, None),
            },
            Step::Ask => (Step::Learn(model.read()), None),
            Step::Learn(value) => {
                word.learn(value);
                (Step::Done, Some(value))
            }
            Step::Done => (Step::Done, None),
        };
        self.next = next;
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RESET: u32 = 0;

    /// Runs every interleaving of the vCPUs from the given point on, and calls `end` at the end of
    /// each.
    fn explore(vcpus: &[Vcpu], trace: &mut Vec<usize>, run: &impl Fn(&[usize])) {
        let mut ended = true;
        for (index, vcpu) in vcpus.iter().enumerate() {
            if vcpu.is_done() {
                continue;
            }
            // A vCPU never takes more than three steps.
            if trace.iter().filter(|&&i| i == index).count() == 3 {
                continue;
            }
            ended = false;
            trace.push(index);
            explore(vcpus, trace, run);
            trace.pop();
        }
        if ended {
            run(trace);
        }
    }

    /// Replays one interleaving of the accesses, and returns the word and the device model as they
    /// end.
    fn replay(accesses: &[Step], trace: &[usize]) -> (Word, DeviceModel) {
        let (word, model) = (Word::default(), DeviceModel::new(RESET));
        let mut vcpus: Vec<_> = accesses.iter().map(|&first| Vcpu::new(first)).collect();
        for &index in trace {
            vcpus[index].step(&word, &model);
        }
        assert!(vcpus.iter().all(Vcpu::is_done));
        (word, model)
    }

    /// Checks in all interleavings that what is known at the end is what the device model holds.
    fn is_never_stale(accesses: &[Step]) -> u32 {
        let vcpus: Vec<_> = accesses.iter().map(|&first| Vcpu::new(first)).collect();
        let count = std::cell::Cell::new(0);
        explore(&vcpus, &mut Vec::new(), &|trace| {
            let (word, model) = replay(accesses, trace);
            if let Some(known) = word.get() {
                assert_eq!(known, model.value(), "{accesses:?} in the order {trace:?}");
            }
            count.set(count.get() + 1);
        });
        count.get()
    }

    #[test]
    fn one_writer_and_two_readers_leave_no_stale_word() {
        assert!(is_never_stale(&[Step::Keep(7), Step::Read, Step::Read]) > 500);
    }

    #[test]
    fn an_unseen_writer_and_two_readers_leave_no_stale_word() {
        assert!(is_never_stale(&[Step::Lose(7), Step::Read, Step::Read]) > 500);
    }

    proptest! {
        #[test]
        fn writes_one_after_the_other_leave_no_stale_word(
            writes in prop::collection::vec((any::<bool>(), any::<u32>()), 1..5),
            schedule in prop::collection::vec(0usize..4, 0..40),
        ) {
            // One vCPU writes, as a driver does; three read whenever they like.
            let (word, model) = (Word::default(), DeviceModel::new(RESET));
            let mut writes = writes.into_iter().map(|(seen, value)| {
                Vcpu::new(if seen { Step::Keep(value) } else { Step::Lose(value) })
            });
            let mut vcpus = [Vcpu::new(Step::Done); 4];
            for index in schedule {
                if vcpus[index].is_done() {
                    vcpus[index] = match index {
                        0 => writes.next().unwrap_or(Vcpu::new(Step::Done)),
                        _ => Vcpu::new(Step::Read),
                    };
                }
                vcpus[index].step(&word, &model);
            }
            while !vcpus.iter().all(Vcpu::is_done) {
                for vcpu in &mut vcpus {
                    vcpu.step(&word, &model);
                }
            }
            if let Some(known) = word.get() {
                prop_assert_eq!(known, model.value());
            }
        }
    }

    #[test]
    fn a_word_costs_the_device_model_one_read() {
        let (word, model) = (Word::default(), DeviceModel::new(3));
        for _ in 0..5 {
            let mut vcpu = Vcpu::new(Step::Read);
            let mut read = None;
            while !vcpu.is_done() {
                read = vcpu.step(&word, &model).or(read);
            }
            assert_eq!(read, Some(3));
        }
        assert_eq!(model.reads(), 1);
    }

    #[test]
    fn threads_that_race_leave_no_stale_word() {
        for round in 0..200 {
            let (word, model) = (Word::default(), DeviceModel::new(RESET));
            std::thread::scope(|scope| {
                for first in [Step::Keep(round + 1), Step::Read, Step::Read] {
                    let (word, model) = (&word, &model);
                    scope.spawn(move || {
                        let mut vcpu = Vcpu::new(first);
                        while !vcpu.is_done() {
                            vcpu.step(word, model);
                        }
                    });
                }
            });
            assert_eq!(word.get(), Some(round + 1));
            assert_eq!(model.value(), round + 1);
        }
    }
}
