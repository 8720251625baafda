//! A list that is to be read under a lock.
//!
//! A node of our own stands before the others while a call runs. It lies where Xen's mappings are,
//! so that each read of it faults, and the lock can be looked at.

use xen_sys as sys;

use crate::xen::{get, set};

/// Where the node is; nothing else is mapped there.
const NODE: usize = 0xffff_8300_0bad_0000;

/// A list, for the time of a call.
#[derive(Clone, Copy)]
pub(crate) struct Watched {
    head: *mut sys::list_head,
    /// The node that is the first in truth.
    first: *mut sys::list_head,
    /// The word of the read-write lock, and what it is when the lock is held for reading.
    lock: *const u32,
    held: u32,
}

impl Watched {
    /// Puts the node into a list.
    pub(crate) fn begin(head: *mut sys::list_head, lock: *const u32, held: u32) -> Self {
        let first = get!(head, next);
        set!(head, next, NODE as *mut sys::list_head);
        Self {
            head,
            first,
            lock,
            held,
        }
    }

    /// Takes it out again.
    pub(crate) fn end(self) {
        set!(self.head, next, self.first);
    }

    /// Answers a read of the node; none where something else is read.
    pub(crate) fn read(&self, address: usize, width: usize) -> Option<Result<u64, String>> {
        if address & !0xfff != NODE {
            return None;
        }
        // SAFETY: the lock lies in the arena, which lives as long as the side.
        if unsafe { self.lock.read_volatile() } != self.held {
            return Some(Err("a list is read without its lock".to_owned()));
        }
        Some(if (address, width) == (NODE, 8) {
            Ok(self.first as u64)
        } else {
            Err(format!("a read of {width} bytes of a node at {address:#x}"))
        })
    }
}
