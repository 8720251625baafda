//! Xen's circular lists (`xen/list.h`).

use core::iter::successors;
use xen_sys::list_head;

/// The nodes of a list behind its head.
///
/// # Safety
///
/// Head and nodes are alive, and nobody changes the list while the result is used.
#[inline]
pub(crate) unsafe fn nodes(head: *mut list_head) -> impl Iterator<Item = *mut list_head> {
    let next = move |node: *mut list_head| {
        // SAFETY: The caller says so; the list is circular.
        let next = unsafe { (&raw const (*node).next).read_volatile() };
        (next != head && !next.is_null()).then_some(next)
    };
    successors(next(head), move |&node| next(node))
}

/// The object that a node is a member of, at an offset.
#[inline]
pub(crate) fn container<T>(node: *mut list_head, offset: usize) -> *mut T {
    node.wrapping_byte_sub(offset).cast()
}
