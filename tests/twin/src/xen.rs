//! Access to Xen's structures in a world, and its lists.

use xen_sys::list_head;

/// Reads a field of an object of a world.
macro_rules! get {
    ($object:expr, $($field:tt)+) => {{
        let object = $object;
        // SAFETY: pointers of a world point into the arena of its side, where they stay valid until it is cleared; no
        // reference is made, and every field is valid for the zero bytes that the arena begins with.
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
        // SAFETY: as for `get!`; no call runs while the driver changes a world, or the caller is one of its functions.
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
