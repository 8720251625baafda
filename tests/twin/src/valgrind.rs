//! Requests to callgrind, which runs the benchmark.
//!
//! Valgrind knows a request by an instruction sequence that does nothing elsewhere; rax points to
//! the request and its arguments.

/// Starts or stops counting.
pub(crate) const TOGGLE_COLLECT: u64 = TOOL | 2;
/// Writes what was counted since the last time, under a name.
pub(crate) const DUMP_STATS_AT: u64 = TOOL | 3;

/// Callgrind's letters.
const TOOL: u64 = (b'C' as u64) << 24 | (b'T' as u64) << 16;

/// Makes a request; does nothing outside valgrind.
pub(crate) fn request(code: u64, argument: u64) {
    let words = [code, argument, 0, 0, 0, 0];
    // SAFETY: the rotations add up to none and the exchange is of a register with itself. Valgrind
    // reads the words, writes rdx, and looks at what the argument points to.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") words.as_ptr(),
            inout("rdx") 0u64 => _,
        );
    }
}
