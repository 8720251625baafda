//! The instructions of an object: every executable section, disassembled from its first byte to its
//! last.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Formatter, GasFormatter, Instruction};
use object::SymbolKind;

use super::elf::{Object, Relocation};

/// All code of one object.
pub(crate) struct Code<'a> {
    /// The object.
    pub(crate) object: &'a Object,
    /// The functions, ordered by section and offset; padding between functions belongs to none.
    pub(crate) functions: Vec<Function>,
    /// Code in executable sections that no function symbol covers, as one nameless run per section.
    pub(crate) loose: Vec<Function>,
}

/// A run of instructions.
pub(crate) struct Function {
    /// The symbol's name, or the section's for loose code.
    pub(crate) name: String,
    /// The section.
    pub(crate) section: usize,
    /// The offset of the first byte in the section.
    pub(crate) start: u64,
    /// The instructions in order of address; `ip` is the offset in the section.
    pub(crate) instructions: Vec<Step>,
}

/// An instruction and what the linker patches in it.
pub(crate) struct Step {
    /// The decoded instruction.
    pub(crate) instruction: Instruction,
    /// The relocation inside it, if any.
    pub(crate) relocation: Option<Relocation>,
}

impl<'a> Code<'a> {
    /// Disassembles all executable sections.
    pub(crate) fn of(object: &'a Object) -> Self {
        let (mut functions, mut loose) = (Vec::new(), Vec::new());
        for (index, section) in object.sections.iter().enumerate() {
            if !section.executable || section.data.is_empty() {
                continue;
            }
            let steps = disassemble(&section.data, &section.relocations);
            split(object, index, steps, &mut functions, &mut loose);
        }
        Self {
            object,
            functions,
            loose,
        }
    }

    /// All runs of instructions, those of functions first.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().chain(&self.loose)
    }

    /// All instructions, each with the run it belongs to.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&Function, &Step)> {
        self.runs()
            .flat_map(|f| f.instructions.iter().map(move |s| (f, s)))
    }

    /// A function and those that it reaches by direct calls and jumps inside the object; none where
    /// the object does not have it.
    pub(crate) fn reached(&self, name: &str) -> Vec<&Function> {
        let by_name: BTreeMap<&str, &Function> =
            self.runs().map(|run| (run.name.as_str(), run)).collect();
        let mut found: Vec<&Function> = by_name.get(name).copied().into_iter().collect();
        let mut names = BTreeSet::from([name.to_owned()]);
        let mut at = 0;
        while let Some(&run) = found.get(at) {
            at += 1;
            for step in &run.instructions {
                if let Some(next) = self.branch_target(run, step)
                    && let Some(&next) = by_name.get(next.split('+').next().unwrap_or(&next))
                    && names.insert(next.name.clone())
                {
                    found.push(next);
                }
            }
        }
        found
    }

    /// The function that a direct call or jump reaches: a symbol's name when the linker patches it,
    /// else the function that holds the target in the same section.
    pub(crate) fn branch_target(&self, run: &Function, step: &Step) -> Option<String> {
        if !is_direct_branch(&step.instruction) {
            return None;
        }
        Some(match &step.relocation {
            Some(relocation) => self.object.target_name(relocation, 4),
            None => self
                .object
                .place(run.section, step.instruction.near_branch_target()),
        })
    }
}

impl Function {
    /// Where a step is, for messages: `function+0x12: instruction`.
    pub(crate) fn at(&self, step: &Step) -> String {
        let offset = step.instruction.ip() - self.start;
        let mut text = String::new();
        GasFormatter::new().format(&step.instruction, &mut text);
        format!("{}+{offset:#x}: {text}", self.name)
    }
}

/// Whether the instruction is a call or jump (conditional or not) with its target in the
/// instruction.
pub(crate) fn is_direct_branch(instruction: &Instruction) -> bool {
    matches!(
        instruction.flow_control(),
        FlowControl::Call | FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
    )
}

fn disassemble(data: &[u8], relocations: &[Relocation]) -> Vec<Step> {
    let mut pending = relocations.iter().peekable();
    let mut steps = Vec::new();
    for instruction in Decoder::with_ip(64, data, 0, DecoderOptions::NONE) {
        let mut relocation = None;
        while let Some(next) = pending.next_if(|r| r.offset < instruction.next_ip()) {
            relocation = Some(*next);
        }
        steps.push(Step {
            instruction,
            relocation,
        });
    }
    steps
}

/// Distributes the instructions of a section over its functions.
fn split(
    object: &Object,
    section: usize,
    steps: Vec<Step>,
    functions: &mut Vec<Function>,
    loose: &mut Vec<Function>,
) {
    let mut symbols: Vec<_> = object
        .symbols
        .iter()
        .filter(|s| s.section == Some(section) && s.kind == SymbolKind::Text && s.size != 0)
        .collect();
    // Aliases share their address: the exported name is the one a reader knows.
    symbols.sort_by_key(|s| (s.offset, !s.global));
    symbols.dedup_by_key(|s| s.offset);
    let first = functions.len();
    functions.extend(symbols.iter().map(|s| Function {
        name: s.name.clone(),
        section,
        start: s.offset,
        instructions: Vec::new(),
    }));
    let mut rest = Function {
        name: object.sections[section].name.clone(),
        section,
        start: 0,
        instructions: Vec::new(),
    };
    for step in steps {
        let ip = step.instruction.ip();
        let owner = symbols.partition_point(|s| s.offset <= ip);
        let covered = owner > 0 && ip < symbols[owner - 1].offset + symbols[owner - 1].size;
        if covered {
            functions[first + owner - 1].instructions.push(step);
        } else if !is_padding(&step.instruction) {
            rest.instructions.push(step);
        }
    }
    if !rest.instructions.is_empty() {
        loose.push(rest);
    }
}

fn is_padding(instruction: &Instruction) -> bool {
    use iced_x86::Mnemonic;
    matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3)
}
