//! A modelled device behind the fixmap.
//!
//! Xen's fixmap lies in the upper half of the address space, so an access from a process faults.
//! The instruction is decoded and carried out here, and every access is recorded, for width, offset
//! and value are what the device would see. Where [`crate::machine`] has no device, reads answer a
//! value that depends on the address and width alone.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use crate::env;
use crate::machine::looked;
use crate::rng::mix;
use crate::trace::Event;

/// Whether an address lies in the upper half, where Xen's mappings are.
pub(crate) fn is_fixmap(address: usize) -> bool {
    address >= 0xffff_8000_0000_0000
}

/// What a read of `width` bytes at `address` answers.
pub(crate) fn answer(address: usize, width: usize) -> u64 {
    mix(address as u64 ^ (width as u64) << 60) & mask(width)
}

fn mask(width: usize) -> u64 {
    u64::MAX >> (64 - 8 * width)
}

/// Carries out the access that faulted, and steps over it.
pub(crate) fn emulate(context: &mut libc::ucontext_t, address: usize) -> Result<(), String> {
    let registers = &mut context.uc_mcontext.gregs;
    let at = registers[libc::REG_RIP as usize] as usize;
    // SAFETY: the CPU has just fetched an instruction from here; the loader leaves a page after the
    // code.
    let bytes = unsafe { std::slice::from_raw_parts(at as *const u8, 15) };
    let instruction = Decoder::with_ip(64, bytes, at as u64, DecoderOptions::NONE).decode();
    let width = instruction.memory_size().size();
    if !matches!(width, 1 | 2 | 4 | 8) {
        return Err(format!("an access to the fixmap {width} bytes wide"));
    }
    if instruction.mnemonic() == Mnemonic::Test && instruction.op0_kind() == OpKind::Memory {
        let with = match instruction.op1_kind() {
            OpKind::Register => load(registers, instruction.op1_register())?,
            _ => instruction.immediate(1),
        };
        let value = read(address, width)? & with & mask(width);
        set_flags(registers, value, width);
        return step(registers, &instruction);
    }
    if instruction.mnemonic() == Mnemonic::Cmp {
        let operand = |number: u32, kind: OpKind, register: Register| match kind {
            OpKind::Memory => read(address, width),
            OpKind::Register => load(registers, register),
            _ => Ok(instruction.immediate(number)),
        };
        let first = operand(0, instruction.op0_kind(), instruction.op0_register())? & mask(width);
        let second = operand(1, instruction.op1_kind(), instruction.op1_register())? & mask(width);
        compare(registers, first, second, width);
        return step(registers, &instruction);
    }
    let value = match (
        instruction.mnemonic(),
        instruction.op0_kind(),
        instruction.op1_kind(),
    ) {
        (Mnemonic::Mov | Mnemonic::Movzx, OpKind::Register, OpKind::Memory) => {
            let value = read(address, width)?;
            store(registers, instruction.op0_register(), value)?;
            return step(registers, &instruction);
        }
        (Mnemonic::Mov, OpKind::Memory, OpKind::Register) => {
            load(registers, instruction.op1_register())?
        }
        (Mnemonic::Mov, OpKind::Memory, OpKind::Immediate32to64) => {
            instruction.immediate32to64() as u64
        }
        (Mnemonic::Mov, OpKind::Memory, _) => instruction.immediate(1),
        _ => {
            return Err(format!(
                "an access to the fixmap by {:?}",
                instruction.mnemonic()
            ));
        }
    };
    let value = value & mask(width);
    let taken = env::with(|env| env.machine.write(address, width, value));
    let value = env::with(|env| env.machine.compared(address, value));
    env::record(if taken.unwrap_or(Ok(true))? {
        Event::MmioWrite {
            address,
            width,
            value,
        }
    } else {
        Event::MmioLost {
            address,
            width,
            value,
            function: env::with(|env| env.machine.function_at(address)),
        }
    });
    step(registers, &instruction)
}

/// Reads the device.
fn read(address: usize, width: usize) -> Result<u64, String> {
    // No device's: others do not see it.
    let watched = env::with(|env| {
        let listed = env.machine.watched;
        let listed = listed.and_then(|list| list.read(address, width));
        listed.or_else(|| looked::read(&env.machine.looked, address, width))
    });
    if let Some(value) = watched {
        return value;
    }
    env::record(Event::MmioRead { address, width });
    match env::with(|env| env.machine.read(address, width)) {
        Some(value) => value,
        None => Ok(answer(address, width)),
    }
}

/// Sets the flags as a logical operation does.
fn set_flags(registers: &mut Registers, value: u64, width: usize) {
    let (carry, parity, zero, sign, overflow) = (1 << 0, 1 << 2, 1 << 6, 1 << 7, 1 << 11);
    let flags = &mut registers[libc::REG_EFL as usize];
    *flags &= !(carry | parity | zero | sign | overflow);
    if (value as u8).count_ones().is_multiple_of(2) {
        *flags |= parity;
    }
    if value == 0 {
        *flags |= zero;
    }
    if value >> (8 * width - 1) != 0 {
        *flags |= sign;
    }
}

/// Sets the flags as a comparison does.
fn compare(registers: &mut Registers, first: u64, second: u64, width: usize) {
    let value = first.wrapping_sub(second) & mask(width);
    set_flags(registers, value, width);
    let (carry, overflow) = (1 << 0, 1 << 11);
    let flags = &mut registers[libc::REG_EFL as usize];
    if first < second {
        *flags |= carry;
    }
    if ((first ^ second) & (first ^ value)) >> (8 * width - 1) != 0 {
        *flags |= overflow;
    }
}

type Registers = [i64; 23];

fn step(registers: &mut Registers, instruction: &Instruction) -> Result<(), String> {
    registers[libc::REG_RIP as usize] = instruction.next_ip() as i64;
    Ok(())
}

fn index(register: Register) -> Result<usize, String> {
    let index = match register.full_register() {
        Register::RAX => libc::REG_RAX,
        Register::RBX => libc::REG_RBX,
        Register::RCX => libc::REG_RCX,
        Register::RDX => libc::REG_RDX,
        Register::RSI => libc::REG_RSI,
        Register::RDI => libc::REG_RDI,
        Register::RBP => libc::REG_RBP,
        Register::RSP => libc::REG_RSP,
        Register::R8 => libc::REG_R8,
        Register::R9 => libc::REG_R9,
        Register::R10 => libc::REG_R10,
        Register::R11 => libc::REG_R11,
        Register::R12 => libc::REG_R12,
        Register::R13 => libc::REG_R13,
        Register::R14 => libc::REG_R14,
        Register::R15 => libc::REG_R15,
        other => return Err(format!("an access to the fixmap through {other:?}")),
    };
    Ok(index as usize)
}

fn is_high_byte(register: Register) -> bool {
    matches!(
        register,
        Register::AH | Register::BH | Register::CH | Register::DH
    )
}

fn load(registers: &Registers, register: Register) -> Result<u64, String> {
    let value = registers[index(register)?] as u64;
    Ok(if is_high_byte(register) {
        value >> 8
    } else {
        value
    })
}

fn store(registers: &mut Registers, register: Register, value: u64) -> Result<(), String> {
    let slot = &mut registers[index(register)?];
    let old = *slot as u64;
    let new = match register.size() {
        1 if is_high_byte(register) => old & !0xff00 | value << 8,
        1 => old & !0xff | value,
        2 => old & !0xffff | value,
        // A write of the lower half clears the upper one.
        _ => value,
    };
    *slot = new as i64;
    Ok(())
}
