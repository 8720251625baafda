//! Checks that end Xen: upstream's assertions, which debug builds keep, and Rust's own panics.

use xen_sys as sys;

/// Checks a condition that upstream's C asserts; present in debug builds only, and the check ends in Xen's own report.
#[macro_export]
macro_rules! xen_assert {
    ($condition:expr) => {
        if cfg!(debug_assertions) && !$condition {
            $crate::bug::assertion_failed(
                concat!(stringify!($condition), "\0"),
                concat!(file!(), "\0"),
                line!(),
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
