//! Access to Xen's structures in a world, and its lists.

use xen_sys::list_head;

/// Reads a field of an object of a world.
macro_rules! get {
    ($object:expr, $($field:tt)+) => {{
        let object = $object;
        // SAFETY: pointers of a world point into the arena of its side, where they stay valid until
        // it is cleared; no reference is made, and every field is valid for the zero bytes that the
        // arena begins with.
        unsafe { (*object).$($field)+ }
    }};
}

/// The address of a field of an object of a world.
macro_rules! addr {
    ($object:expr, $($field:tt)+) => {{
        let object = $object;
        // SAFETY: as for `get!`; nothing is read.
        unsafe { &raw mut (*object).$($field)+ }
    }};
}

/// Writes a field of an object of a world.
macro_rules! set {
    ($object:expr, $($field:ident).+ , $value:expr) => {{
        let object = $object;
        let value = $value;
        // SAFETY: as for `get!`; no call runs while the driver changes a world, or the caller is
        // one of its functions.
        unsafe { (*object).$($field).+ = value }
    }};
}

pub(crate) use {addr, get, set};

/// Makes a list empty.
pub(crate) fn init_list(head: *mut list_head) {
    set!(head, next, head);
    set!(head, prev, head);
}

/// Adds an element at the end of a list.
pub(crate) fn add_to_list(element: *mut list_head, head: *mut list_head) {
    let last = get!(head, prev);
    set!(element, next, head);
    set!(element, prev, last);
    set!(last, next, element);
    set!(head, prev, element);
}

/// Takes an element out of its list.
pub(crate) fn remove_from_list(element: *mut list_head) {
    let (next, prev) = (get!(element, next), get!(element, prev));
    set!(next, prev, prev);
    set!(prev, next, next);
}

/// What the word of a read-write lock has where a writer holds it.
const WRITER: i32 = 3 << 14;

/// Whether a read-write lock is held for writing.
pub(crate) fn is_write_locked(lock: *const xen_sys::rwlock_t) -> bool {
    get!(lock, cnts.counter) & WRITER == WRITER
}

/// Where the macros of Xen find what they look for: `XEN_VIRT_START` and `FRAMETABLE_VIRT_START`.
const XEN_START: u64 = 0xffff_82d0_4000_0000;
const FRAME_TABLE: u64 = 0xffff_82e0_0000_0000;
const PAGE: u64 = 0x1000;

/// The `xen_phys_start` with which `virt_to_page()` of the page at `base` leads to the structure at
/// `info`. In Xen the address would be one of Xen's own image, whose place in physical memory the
/// macro looks up.
pub(crate) fn physical_start(base: usize, info: usize) -> u64 {
    // An index times the size, from where the table would be.
    let first = (info as u64).wrapping_sub(FRAME_TABLE) / size_of::<xen_sys::page_info>() as u64;
    (first * PAGE)
        .wrapping_add(XEN_START)
        .wrapping_sub(base as u64)
}
