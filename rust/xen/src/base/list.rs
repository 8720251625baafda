//! Xen's circular lists (`xen/list.h`).

use core::iter::from_fn;
use core::ptr::{NonNull, null_mut};
use irq_core::publish::Pointer;
use xen_sys::list_head;

/// The pointer by which readers get from a node to the one behind it.
///
/// # Safety
///
/// The node is alive for as long as `'a`, and nothing but this module and Xen's own functions on
/// lists write the pointer.
#[inline]
unsafe fn link<'a>(node: *mut list_head) -> &'a Pointer<list_head> {
    // SAFETY: The node is alive; a `Pointer` is a pointer in memory, and all access it as one.
    unsafe { &*(&raw const (*node).next).cast() }
}

/// The nodes of a list behind its head.
///
/// # Safety
///
/// A lock keeps the list as it is while the result is used; or all that change it do so as
/// [`append`] and [`remove`] do, and the caller is in an RCU section that keeps the nodes.
#[inline]
pub unsafe fn nodes(head: *mut list_head) -> impl Iterator<Item = *mut list_head> {
    let mut node = head;
    from_fn(move || {
        // SAFETY: The lock or the RCU section that `nodes` asks for keeps the node; the list is
        // circular, so that what follows the last node is the head. A node that is taken out
        // meanwhile still leads on.
        node = unsafe { link(node) }
            .get()
            .map_or(null_mut(), NonNull::as_ptr);
        (node != head).then_some(node)
    })
}

/// The object that a node is a member of, at an offset.
#[inline]
pub fn container<T>(node: *mut list_head, offset: usize) -> *mut T {
    node.wrapping_byte_sub(offset).cast()
}

/// Puts a node behind all others of a list.
///
/// # Safety
///
/// The node is a part of an object that no list leads to, the head of a list that the caller holds
/// the lock of.
pub unsafe fn append(head: *mut list_head, node: *mut list_head) {
    // SAFETY: The lock that `append` asks for keeps head, nodes and their order; the list is
    // circular, so that there is a last node.
    unsafe {
        let last = (*head).prev;
        (*node).next = head;
        (*node).prev = last;
        // Readers that hold no lock see the node whole or not at all.
        link(last).replace(NonNull::new(node));
        (*head).prev = node;
    }
}

/// Puts a node before all others of a list.
///
/// # Safety
///
/// As for [`append`].
pub unsafe fn prepend(head: *mut list_head, node: *mut list_head) {
    // SAFETY: What follows the head is behind it when the list is seen from there.
    unsafe { append((*head).next, node) };
}

/// Takes a node out of its list.
///
/// # Safety
///
/// The node is in a list that the caller holds the lock of.
pub unsafe fn remove(node: *mut list_head) {
    // SAFETY: The lock that `remove` asks for keeps the node's neighbours.
    unsafe {
        let (before, behind) = ((*node).prev, (*node).next);
        link(before).replace(NonNull::new(behind));
        (*behind).prev = before;
    }
}
