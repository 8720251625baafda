//! Xen's functions about bitmaps.

use crate::loader::Import;

/// Finds the function that stands for one of Xen's.
pub(crate) fn import(name: &str) -> Option<Import> {
    let function = match name {
        "__bitmap_and" => bitmap_and as *const (),
        "__bitmap_andnot" => bitmap_andnot as *const (),
        "__bitmap_empty" => bitmap_empty as *const (),
        "__bitmap_equal" => bitmap_equal as *const (),
        "__bitmap_intersects" => bitmap_intersects as *const (),
        "__bitmap_subset" => bitmap_subset as *const (),
        "__bitmap_weight" => bitmap_weight as *const (),
        "__find_first_bit" => find_first_bit as *const (),
        "__find_next_bit" => find_next_bit as *const (),
        "__find_next_zero_bit" => find_next_zero_bit as *const (),
        _ => return None,
    };
    Some(Import::Call(function as usize))
}

/// The words of a bitmap.
///
/// # Safety
///
/// The pointer is to a bitmap of so many bits.
unsafe fn words<'a>(bitmap: *const u64, bits: u32) -> &'a [u64] {
    // SAFETY: the caller passes a bitmap of so many bits, and nothing writes to it meanwhile.
    unsafe { std::slice::from_raw_parts(bitmap, (bits as usize).div_ceil(64)) }
}

fn combine(result: *mut u64, a: *const u64, b: *const u64, bits: u32, f: fn(u64, u64) -> u64) {
    for at in 0..(bits as usize).div_ceil(64) {
        // SAFETY: the caller passes three bitmaps of so many bits, which may be the same.
        unsafe { result.add(at).write(f(a.add(at).read(), b.add(at).read())) };
    }
}

extern "C" fn bitmap_and(result: *mut u64, a: *const u64, b: *const u64, bits: u32) {
    combine(result, a, b, bits, |a, b| a & b);
}

extern "C" fn bitmap_andnot(result: *mut u64, a: *const u64, b: *const u64, bits: u32) {
    combine(result, a, b, bits, |a, b| a & !b);
}

extern "C" fn bitmap_empty(a: *const u64, bits: u32) -> i32 {
    // SAFETY: the caller passes a bitmap of so many bits.
    unsafe { words(a, bits) }
        .iter()
        .all(|word| *word == 0)
        .into()
}

fn all(a: *const u64, b: *const u64, bits: u32, f: fn(u64, u64) -> bool) -> bool {
    // SAFETY: the caller passes two bitmaps of so many bits.
    let (a, b) = unsafe { (words(a, bits), words(b, bits)) };
    a.iter().zip(b).all(|(a, b)| f(*a, *b))
}

extern "C" fn bitmap_equal(a: *const u64, b: *const u64, bits: u32) -> i32 {
    all(a, b, bits, |a, b| a == b).into()
}

extern "C" fn bitmap_intersects(a: *const u64, b: *const u64, bits: u32) -> i32 {
    (!all(a, b, bits, |a, b| a & b == 0)).into()
}

extern "C" fn bitmap_subset(a: *const u64, b: *const u64, bits: u32) -> i32 {
    all(a, b, bits, |a, b| a & !b == 0).into()
}

extern "C" fn bitmap_weight(a: *const u64, bits: u32) -> i32 {
    // SAFETY: the caller passes a bitmap of so many bits.
    let words = unsafe { words(a, bits) };
    words.iter().map(|word| word.count_ones() as i32).sum()
}

extern "C" fn find_first_bit(a: *const u64, bits: u32) -> u32 {
    find_next_bit(a, bits, 0)
}

extern "C" fn find_next_bit(a: *const u64, bits: u32, from: u32) -> u32 {
    // SAFETY: the caller passes a bitmap of so many bits.
    let words = unsafe { words(a, bits) };
    let is_set = |bit: &u32| words[*bit as usize / 64] >> (bit % 64) & 1 != 0;
    (from..bits).find(is_set).unwrap_or(bits)
}

extern "C" fn find_next_zero_bit(a: *const u64, bits: u32, from: u32) -> u32 {
    // SAFETY: the caller passes a bitmap of so many bits.
    let words = unsafe { words(a, bits) };
    let is_clear = |bit: &u32| words[*bit as usize / 64] >> (bit % 64) & 1 == 0;
    (from..bits).find(is_clear).unwrap_or(bits)
}
