//! Checks that end Xen: upstream's assertions, which debug builds keep, and Rust's own panics.

use xen_sys as sys;

/// Checks a condition that upstream's C asserts; present in debug builds only, and the check ends
/// in Xen's own report.
#[macro_export]
macro_rules! xen_assert {
    ($condition:expr) => {
        if cfg!(debug_assertions) && !$condition {
            $crate::base::bug::assertion_failed(
                concat!(stringify!($condition), "\0"),
                concat!(file!(), "\0"),
                line!(),
            )
        }
    };
}

/// Reports that something is wrong that should not be, with file, line and registers, and goes on:
/// one instruction and a record of it, behind the branch that led here (C: `WARN()`).
#[macro_export]
macro_rules! xen_warn {
    () => {
        // SAFETY: `do_bug_frame()` finds the record of the instruction, whose form is that of
        // `BUG_FRAME()` in xen/bug.h, prints, and goes on behind the instruction.
        unsafe {
            core::arch::asm!(
                "2: ud2",
                ".pushsection .rodata, \"a\", @progbits",
                concat!("3: .asciz \"", file!(), "\""),
                ".popsection",
                ".pushsection .bug_frames.1, \"a\", @progbits",
                ".p2align 2",
                "4: .long 2b - 4b + {high}",
                ".long 3b - 4b + {low}",
                ".popsection",
                high = const (line!() >> 7) << 24,
                low = const (line!() & 0x7f) << 24,
                options(nostack, preserves_flags),
            )
        }
    };
}

/// Reports a failed assertion and ends Xen. Texts end in a NUL character.
#[cold]
#[inline(never)]
pub fn assertion_failed(text: &'static str, file: &'static str, line: u32) -> ! {
    // SAFETY: Both texts end in NUL, as the macro makes them, and the format names their types.
    unsafe {
        sys::panic(
            c"Assertion '%s' failed at %s:%u\n".as_ptr(),
            text.as_ptr().cast::<core::ffi::c_char>(),
            file.as_ptr().cast::<core::ffi::c_char>(),
            line,
        )
    }
}

/// Ends Xen for a Rust panic: the panic handler's only step.
pub fn panicked(info: &core::panic::PanicInfo) -> ! {
    let (file, line) = info.location().map_or(("", 0), |l| (l.file(), l.line()));
    // SAFETY: The format takes the length of a text that has no NUL, its address and a number.
    unsafe {
        sys::panic(
            c"Rust panic at %.*s:%u\n".as_ptr(),
            file.len() as core::ffi::c_int,
            file.as_ptr().cast::<core::ffi::c_char>(),
            line,
        )
    }
}
