//! Xen's circular lists (`xen/list.h`).

use core::iter::from_fn;
use xen_sys::list_head;

/// The nodes of a list behind its head.
///
/// # Safety
///
/// Head and nodes are alive, and nobody changes the list while the result is used.
#[inline]
pub(crate) unsafe fn nodes(head: *mut list_head) -> impl Iterator<Item = *mut list_head> {
    let mut node = head;
    from_fn(move || {
        // SAFETY: The caller says so; the list is circular, so that what follows the last node is the head.
        node = unsafe { (&raw const (*node).next).read_volatile() };
        (node != head).then_some(node)
    })
}

/// The object that a node is a member of, at an offset.
#[inline]
pub(crate) fn container<T>(node: *mut list_head, offset: usize) -> *mut T {
    node.wrapping_byte_sub(offset).cast()
}

/// Puts a node behind all others of a list.
///
/// # Safety
///
/// Head and node are alive, the node is in no list, and nobody else changes this one.
pub(crate) unsafe fn append(head: *mut list_head, node: *mut list_head) {
    // SAFETY: The caller says so; the list is circular.
    unsafe {
        let last = (*head).prev;
        (*node).next = head;
        (*node).prev = last;
        // Readers that hold no lock follow `next`: they see the node whole or not at all.
        core::sync::atomic::fence(core::sync::atomic::Ordering::Release);
        (&raw mut (*last).next).write_volatile(node);
        (*head).prev = node;
    }
}

/// Takes a node out of its list.
///
/// # Safety
///
/// The node is in a list, which nobody else changes.
pub(crate) unsafe fn remove(node: *mut list_head) {
    // SAFETY: The caller says so.
    unsafe {
        let (before, behind) = ((*node).prev, (*node).next);
        (&raw mut (*before).next).write_volatile(behind);
        (*behind).prev = before;
    }
}
