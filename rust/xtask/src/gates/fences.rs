//! Rule 7: fences against speculation stand behind the branch or the lock that they harden.
//!
//! A fence is an `lfence` with a record in `.altinstructions`, by which Xen removes it where it is
//! not needed. It hardens a branch if it comes first on one of the branch's two ways, before memory
//! is touched and before the next condition is computed, and another one on the other way; it
//! hardens a lock if it follows the call that takes the lock, with no branch and no other fence in
//! between. Two arms with equal text are merged by LLVM into one fence before the branch, which
//! hardens nothing.
//!
//! Where C evaluates a condition with fences, Rust has to: [`EVALUATED`].

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{FlowControl, Mnemonic, OpKind};

use super::code::{Function, Step};
use super::subject::{Finding, Subject};

/// The size of a record: two offsets, a feature, three lengths and a byte that the boot code uses.
const RECORD: u64 = 14;

/// The functions that return with a lock held.
const LOCKS: [&str; 6] = [
    "_spin_lock",
    "_spin_lock_irq",
    "_spin_lock_irqsave",
    "_read_lock",
    "_write_lock",
    "_percpu_write_lock",
];

/// The functions that say whether they took a lock.
const TRY_LOCKS: [&str; 6] = [
    "_spin_trylock",
    "_read_trylock",
    "_write_trylock",
    "pcidevs_trylock_unsafe",
    "shim_read_trylock",
    "shim_spin_trylock",
];

/// In how many places C evaluates a condition by `evaluate_nospec()` in a function, and in the
/// static ones that it calls: `is_hvm_domain()` in `msixtbl_init()`; `is_hardware_domain()` once in
/// `msix_capability_init()` for who may say where the table is, and four times for the line that
/// says who uses MSI-X and for the end of who could have mapped the table.
const EVALUATED: [(&str, usize); 2] = [("msixtbl_init", 1), ("pci_enable_msi", 5)];

/// Every fence hardens a branch or a lock, and every lock that is taken is hardened; conditions
/// that C evaluates with fences are.
pub(super) fn check(subject: &Subject) -> Finding {
    let fences = fences(subject);
    let (mut branches, mut locks, mut faults) = (0usize, 0usize, Vec::new());
    let mut hardened = BTreeMap::new();
    for run in subject.code.runs() {
        let run = Run::new(run, &fences);
        let evaluated = (0..run.steps().len()).filter(|&index| run.is_evaluated(index));
        hardened.insert(run.function.name.as_str(), evaluated.count());
        for index in 0..run.steps().len() {
            if is_conditional(&run.steps()[index]) && run.is_half_hardened(index) {
                faults.push(format!("{}: one way has no fence", run.at(index)));
            }
            if run.is_fence(index) {
                if run.hardens_branch(index) {
                    branches += 1;
                } else if run.lock_before(index, subject).is_some() {
                    locks += 1;
                } else {
                    faults.push(format!("{}: hardens nothing", run.at(index)));
                }
            }
            let Some(called) = subject
                .code
                .branch_target(run.function, &run.steps()[index])
            else {
                continue;
            };
            if LOCKS.contains(&&*called) && !run.lock_is_hardened(index) {
                faults.push(format!("{}: no fence behind the lock", run.at(index)));
            }
            if TRY_LOCKS.contains(&&*called) && !run.try_is_hardened(index) {
                faults.push(format!("{}: its result is not hardened", run.at(index)));
            }
        }
    }
    for (name, wanted) in EVALUATED {
        let reached = subject.code.reached(name);
        if reached.is_empty() {
            continue;
        }
        let found = reached.iter().map(|run| hardened[run.name.as_str()]);
        let found: usize = found.sum();
        if found < wanted {
            faults.push(format!("{name} evaluates {found} of {wanted} conditions"));
        }
    }
    Finding {
        figure: format!("{branches} behind branches, {locks} behind locks"),
        faults,
    }
}

/// The places, as section and offset, of the instructions that `.altinstructions` has records of.
fn fences(subject: &Subject) -> BTreeSet<(usize, u64)> {
    let object = &subject.inputs.rust;
    let records = object
        .sections
        .iter()
        .filter(|section| section.name == ".altinstructions");
    records
        .flat_map(|section| &section.relocations)
        .filter(|relocation| relocation.offset % RECORD == 0)
        .filter_map(|relocation| object.target(relocation, 0))
        .collect()
}

/// A run of instructions with its fences.
struct Run<'a> {
    function: &'a Function,
    /// The index of each instruction.
    places: BTreeMap<u64, usize>,
    fences: BTreeSet<usize>,
    /// The indices that a conditional jump leads to.
    ways: BTreeSet<usize>,
}

impl<'a> Run<'a> {
    fn new(function: &'a Function, fences: &BTreeSet<(usize, u64)>) -> Self {
        let steps = &function.instructions;
        let places: BTreeMap<u64, usize> = steps
            .iter()
            .enumerate()
            .map(|(index, step)| (step.instruction.ip(), index))
            .collect();
        let fences = steps
            .iter()
            .enumerate()
            .filter(|(_, step)| {
                step.instruction.mnemonic() == Mnemonic::Lfence
                    && fences.contains(&(function.section, step.instruction.ip()))
            })
            .map(|(index, _)| index)
            .collect();
        let ways = steps
            .iter()
            .filter(|step| is_conditional(step))
            .filter_map(|step| places.get(&step.instruction.near_branch_target()).copied())
            .collect();
        Self {
            function,
            places,
            fences,
            ways,
        }
    }

    fn steps(&self) -> &'a [Step] {
        &self.function.instructions
    }

    fn at(&self, index: usize) -> String {
        self.function.at(&self.steps()[index])
    }

    fn is_fence(&self, index: usize) -> bool {
        self.fences.contains(&index)
    }

    /// Whether an instruction comes first on a way of a conditional jump.
    fn hardens_branch(&self, fence: usize) -> bool {
        let begins = |&index: &usize| {
            self.ways.contains(&index) || index > 0 && is_conditional(&self.steps()[index - 1])
        };
        let quiet = |&index: &usize| index == fence || is_quiet(&self.steps()[index]);
        (0..=fence)
            .rev()
            .take_while(quiet)
            .any(|index| begins(&index))
    }

    /// Whether a fence comes first from an instruction on.
    fn begins_with_fence(&self, index: usize) -> bool {
        let mut index = index;
        // No way to a fence has more jumps.
        for _ in 0..4 {
            let loud = (index..self.steps().len()).find(|&index| !is_quiet(&self.steps()[index]));
            let Some(loud) = loud else { return false };
            let step = &self.steps()[loud];
            if step.instruction.flow_control() != FlowControl::UnconditionalBranch {
                return self.is_fence(loud);
            }
            let Some(target) = self.target(step) else {
                return false;
            };
            index = target;
        }
        false
    }

    /// On which of the two ways of a conditional jump a fence comes first.
    fn fenced_ways(&self, branch: usize) -> [bool; 2] {
        let far = self.target(&self.steps()[branch]);
        [
            self.begins_with_fence(branch + 1),
            far.is_some_and(|far| self.begins_with_fence(far)),
        ]
    }

    /// Where a jump leads to; none where that is not in the run.
    fn target(&self, step: &Step) -> Option<usize> {
        // What the linker patches leads to another function.
        let target = step.instruction.near_branch_target();
        let place = self.places.get(&target).copied();
        place.filter(|_| step.relocation.is_none())
    }

    /// Whether a fence comes first on one of the ways only.
    fn is_half_hardened(&self, branch: usize) -> bool {
        let [next, far] = self.fenced_ways(branch);
        next != far
    }

    /// Whether an instruction is a branch that has a fence on each of its ways.
    fn is_evaluated(&self, index: usize) -> bool {
        is_conditional(&self.steps()[index]) && self.fenced_ways(index) == [true; 2]
    }

    /// The call that takes the lock which a fence hardens.
    fn lock_before(&self, fence: usize, subject: &Subject) -> Option<usize> {
        for index in (0..fence).rev() {
            let step = &self.steps()[index];
            if step.instruction.flow_control() == FlowControl::Call {
                let called = subject.code.branch_target(self.function, step)?;
                return LOCKS.contains(&&*called).then_some(index);
            }
            if self.is_fence(index) || !goes_on(step) || self.ways.contains(&(index + 1)) {
                return None;
            }
        }
        None
    }

    /// Whether a fence follows the call that takes a lock, before anything is decided.
    fn lock_is_hardened(&self, call: usize) -> bool {
        let next = call + 1..self.steps().len();
        next.take_while(|&index| goes_on(&self.steps()[index]))
            .any(|index| self.is_fence(index))
    }

    /// Whether both ways of the first branch behind a call begin with a fence.
    fn try_is_hardened(&self, call: usize) -> bool {
        let branch = (call + 1..self.steps().len()).find(|&index| !goes_on(&self.steps()[index]));
        branch.is_some_and(|branch| self.is_evaluated(branch))
    }
}

fn is_conditional(step: &Step) -> bool {
    step.instruction.flow_control() == FlowControl::ConditionalBranch
}

/// Whether an instruction moves registers only, or saves one on the stack: no other memory, no
/// condition, no fence.
fn is_quiet(step: &Step) -> bool {
    let instruction = &step.instruction;
    let touches_memory = instruction.op_kinds().any(|kind| kind == OpKind::Memory);
    goes_on(step)
        && instruction.mnemonic() != Mnemonic::Lfence
        && !touches_memory
        && instruction.rflags_written() == 0
}

/// Whether the next instruction in memory is always the next one to be executed.
fn goes_on(step: &Step) -> bool {
    step.instruction.flow_control() == FlowControl::Next
}
