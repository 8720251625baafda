//! Arguments narrower than a register: the psABI says nothing of the other bits, so they hold
//! garbage.

const GARBAGE: u64 = 0x5a5a_5a5a_0000_0000;
const GARBAGE_OF_BYTE: u64 = 0x5a5a_5a5a_5a5a_5a00;

/// An 8-bit argument.
pub(crate) fn byte(value: u64) -> u64 {
    value ^ GARBAGE_OF_BYTE
}

/// A 16-bit argument.
pub(crate) fn half(value: u16) -> u64 {
    u64::from(value) | GARBAGE_OF_BYTE & !0xffff
}

/// A 32-bit argument.
pub(crate) fn word(value: u32) -> u64 {
    u64::from(value) | GARBAGE
}
