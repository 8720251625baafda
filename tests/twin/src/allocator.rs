//! Xen's own allocator, for rows that count what an allocation takes; in all else the driver's
//! [`crate::heap`] stands for it.
//!
//! `common/xmalloc_tlsf.o` becomes a part of both sides, and its pages come from the driver.

use std::cell::RefCell;

use anyhow::{Context, Result};

use crate::loader::Import;
use crate::memory::Mapping;
use crate::side::{Side, attempt};
use crate::xen::physical_start;

const PAGE_SHIFT: u32 = 12;
/// Orders of blocks of pages: more than the largest table needs.
const ORDERS: usize = 16;

thread_local! {
    /// Blocks of pages that were given back, by order.
    static FREE: RefCell<[Vec<u64>; ORDERS]> = const { RefCell::new([const { Vec::new() }; ORDERS]) };
}

/// Finds what stands for a symbol; the allocator's own functions are no fakes here.
pub(crate) fn import(name: &str, others: impl Fn(&str) -> Option<Import>) -> Option<Import> {
    let function = match name {
        "_xmalloc" | "_xzalloc" | "_xrealloc" | "xfree" => return None,
        "xen_phys_start" => return Some(Import::Variable(8)),
        "alloc_xenheap_pages" => alloc_xenheap_pages as *const (),
        "free_xenheap_pages" => free_xenheap_pages as *const (),
        "strlcpy" => strlcpy as *const (),
        _ => return others(name),
    };
    Some(Import::Call(function as usize))
}

/// The structures of the pages, in which the allocator notes how many belong together.
pub(crate) struct Frames(Mapping);

impl Frames {
    /// As many as the heap of a side has pages.
    pub(crate) fn new(side: &mut Side) -> Result<Self> {
        let pages = side.env().heap.range().len() >> PAGE_SHIFT;
        Ok(Self(Mapping::new(pages * size_of::<xen_sys::page_info>())?))
    }

    /// Makes the allocator ready in an empty world.
    pub(crate) fn begin(&self, side: &mut Side) -> Result<()> {
        FREE.take();
        let start = side.image.variable("xen_phys_start");
        let start = start.context("the allocator does not ask where Xen is")?;
        let physical = physical_start(side.env().heap.range().start, self.0.base());
        // SAFETY: a variable of the image, of that size; no call runs.
        unsafe { (start as *mut u64).write(physical) };
        Ok(())
    }
}

extern "C" fn alloc_xenheap_pages(order: u32, _flags: u32) -> u64 {
    let given_back = FREE.with_borrow_mut(|free| free[order as usize].pop());
    given_back.unwrap_or_else(|| {
        // Aligned to its size, which the heap can do for offsets in it alone.
        let size: usize = 1 << PAGE_SHIFT << order;
        let pages = attempt(|env| env.heap.allocate(2 * size, 1, false));
        pages.next_multiple_of(size as u64)
    })
}

extern "C" fn free_xenheap_pages(address: u64, order: u32) {
    if address != 0 {
        FREE.with_borrow_mut(|free| free[order as usize].push(address));
    }
}

/// Nobody reads the copy: it is the name of a pool.
extern "C" fn strlcpy(_to: u64, _from: u64, size: u64) -> u64 {
    size
}
