//! A fixture in which every gate passes: calls, loops, pointers, data, narrow values, stack objects.
#![no_std]

use core::mem::MaybeUninit;

unsafe extern "C" {
    safe fn outside(value: u64) -> u64;
    safe fn outside_buffer(buffer: *mut u8);
    static outside_data: u64;
}

/// Points at functions here and in another object.
#[unsafe(no_mangle)]
pub static CLEAN_HANDLERS: [extern "C" fn(u64) -> u64; 2] = [inside, outside];

extern "C" fn inside(value: u64) -> u64 {
    value ^ 1
}

/// Truncates a narrow value itself.
#[unsafe(no_mangle)]
pub extern "C" fn clean_narrow(value: u32) -> u32 {
    u32::from(value as u8) + 1
}

/// Loops, calls and returns.
#[unsafe(no_mangle)]
pub extern "C" fn clean_loop(first: u64, count: u64) -> u64 {
    let mut sum = outside(first);
    for _ in 0..count {
        sum = sum.wrapping_add(outside(sum));
    }
    sum
}

/// Calls through a pointer.
#[unsafe(no_mangle)]
pub extern "C" fn clean_pointer(handler: extern "C" fn(u64) -> u64) -> u64 {
    handler(1).wrapping_add(1)
}

/// Reads data of another object.
#[unsafe(no_mangle)]
pub extern "C" fn clean_data() -> u64 {
    // SAFETY: nobody writes it.
    unsafe { outside_data }
}

#[repr(align(64))]
struct Line(MaybeUninit<[u8; 64]>);

/// Has stack objects of alignment 1, and of 64, which is arranged at run time.
#[unsafe(no_mangle)]
pub extern "C" fn clean_buffers() -> u32 {
    let mut small = MaybeUninit::<[u8; 24]>::uninit();
    let mut line = Line(MaybeUninit::uninit());
    outside_buffer(small.as_mut_ptr().cast());
    outside_buffer(line.0.as_mut_ptr().cast());
    // SAFETY: both have been filled.
    unsafe { u32::from(small.assume_init()[1]) + u32::from(line.0.assume_init()[3]) }
}

/// Stops in a bug frame of Xen's.
#[unsafe(no_mangle)]
pub extern "C" fn clean_bug(value: u64) -> u64 {
    if value == 0 {
        // SAFETY: the trap is this function's purpose.
        unsafe {
            core::arch::asm!(
                "2: ud2",
                ".pushsection .bug_frames.2, \"a\"",
                ".long 2b - .",
                ".popsection",
                options(noreturn)
            )
        }
    }
    value.wrapping_mul(3)
}

/// Has a twin, so that LLVM makes one name an alias of the other.
#[unsafe(no_mangle)]
pub extern "C" fn clean_first_twin(value: u64) -> u64 {
    outside(value) ^ outside(7)
}

/// The twin.
#[unsafe(no_mangle)]
pub extern "C" fn clean_second_twin(value: u64) -> u64 {
    outside(value) ^ outside(7)
}
