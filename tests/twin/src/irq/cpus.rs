//! The per-CPU variables of several CPUs.
//!
//! What an image has of per-CPU variables are templates. Each CPU has a copy of the whole image, as
//! far as addresses go: a variable is as far from its template as the CPU's copy is from the image.

use std::cell::RefCell;

use super::spec::MOST_CPUS;
use crate::loader::Image;
use crate::memory::Mapping;

thread_local! {
    /// Where the copies are, by the address of the image.
    static COPIES: RefCell<Vec<(usize, Mapping)>> = const { RefCell::new(Vec::new()) };
}

/// Empties the variables of all CPUs. Returns how far those of each are from the templates.
pub(super) fn reset(image: &Image) -> Vec<u64> {
    let range = image.range();
    COPIES.with_borrow_mut(|copies| {
        let known = copies.iter().position(|(start, _)| *start == range.start);
        let at = known.unwrap_or_else(|| {
            let map = Mapping::new(range.len() * MOST_CPUS);
            copies.push((range.start, map.expect("memory for per-CPU variables")));
            copies.len() - 1
        });
        let map = &mut copies[at].1;
        map.drop_contents();
        let first = (map.base() as u64).wrapping_sub(range.start as u64);
        (0..MOST_CPUS)
            .map(|cpu| first.wrapping_add((cpu * range.len()) as u64))
            .collect()
    })
}
