//! A fixture in which every gate passes: calls, loops, pointers, data, narrow values, stack
//! objects.
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

/// Replaces sixteen bytes, and a word, with the bus locked.
///
/// # Safety
///
/// The place may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clean_exchange(place: *mut u64, other: *mut u32) -> u64 {
    let low;
    // SAFETY: the caller says so.
    unsafe {
        core::arch::asm!(
            "lock cmpxchg16b [{place}]",
            "lock xadd [{other}], ecx",
            place = in(reg) place,
            other = in(reg) other,
            in("ecx") 1,
            inout("rax") 1u64 => low,
            inout("rdx") 2u64 => _,
        );
    }
    low
}

/// Masks the index that a guest chose.
#[unsafe(no_mangle)]
pub extern "C" fn xen_irq_msixtbl_read(table: &[u64; 4 * 64], index: usize) -> u64 {
    let mask: usize;
    // SAFETY: two register instructions.
    unsafe {
        core::arch::asm!(
            "cmp {index}, {len}",
            "sbb {mask}, {mask}",
            index = in(reg) index,
            len = in(reg) 64,
            mask = lateout(reg) mask,
            options(pure, nomem, nostack),
        );
    }
    // SAFETY: the index is below 64.
    unsafe { (*table.as_ptr().cast::<[u64; 4]>().add(index & mask))[1] }
}

unsafe extern "C" {
    safe fn _spin_lock(lock: *mut u64);
    safe fn _spin_trylock(lock: *mut u64) -> bool;
}

/// An `lfence` with a record of it in the form of Xen's alternatives.
macro_rules! fence {
    ($text:literal) => {
        // SAFETY: a fence, and data that no program reads.
        unsafe {
            core::arch::asm!(
                concat!("771: lfence # ", $text),
                "772:",
                ".pushsection .altinstructions, \"a\", @progbits",
                ".long 771b - ., 773f - .",
                ".word 1",
                ".byte 772b - 771b, 0, 0, 0",
                ".popsection",
                ".pushsection .altinstr_replacement, \"ax\", @progbits",
                "773:",
                ".popsection",
            )
        }
    };
}

/// Hardens a lock, and both outcomes of a branch and of an attempt to take a lock.
#[unsafe(no_mangle)]
pub extern "C" fn clean_fences(lock: *mut u64, value: u64) -> u64 {
    if value > 7 {
        fence!("above");
        _spin_lock(lock);
        fence!("lock");
        return outside(value);
    }
    fence!("below");
    if _spin_trylock(lock) {
        fence!("taken");
        outside(1)
    } else {
        fence!("not taken");
        outside(2)
    }
}
