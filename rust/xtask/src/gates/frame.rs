//! The stack frame of a function, followed instruction by instruction in order of address.

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::code::Function;

/// How deep the stack pointer is below its value at entry, as far as the code says.
///
/// Code after an unconditional jump or return is reached from elsewhere with an unknown depth; the
/// deepest seen is taken there, so the depth is never understated by an epilogue in the middle of a
/// function.
#[derive(Default)]
pub(super) struct Frame {
    depth: u64,
    deepest: u64,
    /// The depth at which %rbp was made the frame pointer.
    pub(super) base: Option<u64>,
    /// Whether the stack pointer moved by an amount that is not in the code.
    pub(super) variable: bool,
}

impl Frame {
    /// The deepest point seen so far, in bytes.
    pub(super) fn deepest(&self) -> u64 {
        self.deepest
    }

    /// Follows one instruction.
    pub(super) fn step(&mut self, instruction: &Instruction) {
        if is_frame_base(instruction) {
            self.base = Some(self.depth);
        } else if changes_rbp(instruction) {
            self.base = None;
        }
        match movement(instruction) {
            Movement::None => {}
            Movement::Down(bytes) => self.depth += bytes,
            Movement::Up(bytes) => self.depth = self.depth.saturating_sub(bytes),
            Movement::Unknown => self.variable = true,
        }
        self.deepest = self.deepest.max(self.depth);
        if ends_block(instruction) {
            self.depth = self.deepest;
        }
    }

    /// The frame of a whole function.
    pub(super) fn of(function: &Function) -> Self {
        let mut frame = Self::default();
        for step in &function.instructions {
            frame.step(&step.instruction);
        }
        frame
    }
}

enum Movement {
    None,
    Down(u64),
    Up(u64),
    Unknown,
}

fn movement(i: &Instruction) -> Movement {
    let into_rsp =
        i.op_count() > 0 && i.op0_kind() == OpKind::Register && i.op0_register() == Register::RSP;
    let immediate = || match i.op1_kind() {
        OpKind::Immediate8to64 | OpKind::Immediate32to64 => Some(i.immediate(1).cast_signed()),
        _ => None,
    };
    match i.mnemonic() {
        Mnemonic::Push | Mnemonic::Pushfq => Movement::Down(8),
        Mnemonic::Pop if into_rsp => Movement::Unknown,
        Mnemonic::Pop | Mnemonic::Popfq => Movement::Up(8),
        _ if !into_rsp => Movement::None,
        Mnemonic::Sub => immediate().map_or(Movement::Unknown, down),
        Mnemonic::Add => immediate().map_or(Movement::Unknown, |n| down(-n)),
        // Alignment costs at most the alignment less one word.
        Mnemonic::And => immediate().map_or(Movement::Unknown, |n| down(-n - 8)),
        Mnemonic::Lea if i.memory_base() == Register::RSP && i.memory_index() == Register::None => {
            down(-i.memory_displacement64().cast_signed())
        }
        // The epilogue of a function with a frame pointer.
        Mnemonic::Lea | Mnemonic::Mov if uses_rbp(i) => Movement::None,
        Mnemonic::Cmp | Mnemonic::Test => Movement::None,
        _ => Movement::Unknown,
    }
}

fn down(bytes: i64) -> Movement {
    if bytes < 0 {
        Movement::Up(bytes.unsigned_abs())
    } else {
        Movement::Down(bytes.unsigned_abs())
    }
}

fn uses_rbp(i: &Instruction) -> bool {
    i.memory_base() == Register::RBP
        || (i.op1_kind() == OpKind::Register && i.op1_register() == Register::RBP)
}

fn is_frame_base(i: &Instruction) -> bool {
    i.mnemonic() == Mnemonic::Mov
        && i.op0_kind() == OpKind::Register
        && i.op0_register() == Register::RBP
        && i.op1_kind() == OpKind::Register
        && i.op1_register() == Register::RSP
}

/// Whether %rbp holds another value from here on; an epilogue that restores the caller's is none.
fn changes_rbp(i: &Instruction) -> bool {
    i.op_count() > 0
        && i.op0_kind() == OpKind::Register
        && i.op0_register().full_register() == Register::RBP
        && !matches!(
            i.mnemonic(),
            Mnemonic::Push | Mnemonic::Pop | Mnemonic::Cmp | Mnemonic::Test
        )
}

fn ends_block(i: &Instruction) -> bool {
    matches!(
        i.flow_control(),
        FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch
            | FlowControl::Return
            | FlowControl::Exception
    )
}
