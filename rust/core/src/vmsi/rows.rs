//! Which table an access is to: the tables of a domain, the newest first.
//!
//! A domain has a handful, so readers look at one row after the other, without a lock, while one
//! writer at a time changes the list. A table that comes makes a new list ([`with`]), which is
//! published as a whole; one that goes leaves its row empty ([`Row::clear`]), which takes no memory
//! and therefore cannot fail.

use core::iter::once;
use core::ptr::{NonNull, null_mut};
#[cfg(not(test))]
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering;
// Tests look at all interleavings.
#[cfg(test)]
use loom::sync::atomic::AtomicPtr;

/// A table in a list.
#[derive(Debug)]
pub struct Row<T> {
    /// The guest's page frame number of its first byte.
    first: u64,
    /// How many pages lie between its first and its last.
    span: u64,
    /// Null when it is gone.
    table: AtomicPtr<T>,
}

impl<T> Row<T> {
    /// Returns a row for a table on the pages from `first` to `last`.
    pub fn new(first: u64, last: u64, table: NonNull<T>) -> Self {
        Self {
            first,
            span: last.wrapping_sub(first),
            table: AtomicPtr::new(table.as_ptr()),
        }
    }

    /// Its table, unless that is gone.
    #[inline]
    pub fn table(&self) -> Option<NonNull<T>> {
        // What the table holds was written before the list was published.
        NonNull::new(self.table.load(Ordering::Relaxed))
    }

    /// The table goes: no reader that begins to search finds it any more.
    pub fn clear(&self) {
        self.table.store(null_mut(), Ordering::Relaxed);
    }

    /// Returns whether the table lies on a page. A page below it wraps around to a distance that is
    /// too large, too.
    #[inline]
    fn is_on(&self, page: u64) -> bool {
        page.wrapping_sub(self.first) <= self.span
    }

    /// The row in the next list, unless the table is gone.
    fn again(&self) -> Option<Self> {
        let table = AtomicPtr::new(self.table()?.as_ptr());
        Some(Self { table, ..*self })
    }
}

/// Returns the rows of a list to which a table comes.
pub fn with<T>(list: &[Row<T>], new: Row<T>) -> impl Iterator<Item = Row<T>> {
    once(new).chain(list.iter().filter_map(Row::again))
}

/// Returns the table on a page: of several, the one that came last, as upstream does.
#[inline]
pub fn find<T>(list: &[Row<T>], page: u64) -> Option<NonNull<T>> {
    let mut rows = list;
    while let [row, rest @ ..] = rows {
        if row.is_on(page)
            && let Some(table) = row.table()
        {
            return Some(table);
        }
        rows = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec;
    use std::vec::Vec;

    /// A table that comes with so many pages from this one on, or the one with this number of those
    /// that there are goes.
    #[derive(Clone, Debug)]
    enum Step {
        Come { first: u64, pages: u64 },
        Go(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0u64..24, 1u64..10).prop_map(|(first, pages)| Step::Come { first, pages }),
            1 => any::<prop::sample::Index>().prop_map(Step::Go),
        ]
    }

    /// A table is known by its number, which stands for its address.
    fn address(number: u64) -> NonNull<u64> {
        NonNull::without_provenance(std::num::NonZero::new(number as usize).expect("from 1 on"))
    }

    /// Carries out the steps, and compares what is found with the tables that there are.
    fn run(steps: Vec<Step>) {
        let mut list: Vec<Row<u64>> = vec![];
        // The newest first.
        let mut tables: VecDeque<(u64, u64, u64)> = VecDeque::new();
        for (number, step) in (1..).zip(steps) {
            match step {
                Step::Come { first, pages } => {
                    let last = first + pages - 1;
                    tables.push_front((first, last, number));
                    list = with(&list, Row::new(first, last, address(number))).collect();
                    assert_eq!(list.len(), tables.len());
                }
                Step::Go(_) if tables.is_empty() => {}
                Step::Go(index) => {
                    let gone = tables.remove(index.index(tables.len()));
                    let gone = gone.map(|(_, _, number)| address(number));
                    list.iter()
                        .filter(|row| row.table() == gone)
                        .for_each(Row::clear);
                }
            }
            for page in 0..40 {
                let mut on_page = tables
                    .iter()
                    .filter(|(first, last, _)| (*first..=*last).contains(&page));
                let expected = on_page.next().map(|(_, _, number)| address(*number));
                assert_eq!(find(&list, page), expected, "page {page}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_table_that_came_last_is_found(steps in prop::collection::vec(step(), 0..24)) {
            let mut model = loom::model::Builder::new();
            // One CPU alone, but more loads than loom expects of a test.
            model.max_branches = 100_000;
            model.check(move || run(steps.clone()));
        }
    }
}
