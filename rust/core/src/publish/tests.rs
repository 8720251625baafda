//! An object's pointer is its number. What it holds is in a memory of atomics without order, so
//! that loom answers a read with each value that a CPU might find.

use super::*;
use crate::vmsi::rows::{Row, find};
use loom::sync::atomic::AtomicUsize;
use loom::sync::{Arc, RwLock};
use loom::thread;
use std::num::NonZero;
use std::vec::Vec;

/// What an object holds before it is written, while it is in use, and after it was freed.
const NOTHING: usize = 0;
const WRITTEN: usize = 1;
const FREED: usize = 2;

/// Objects by their number, and RCU: a section is a reader's lock, and a grace period is over when
/// a writer had the lock.
struct Memory {
    objects: Vec<AtomicUsize>,
    rcu: RwLock<()>,
}

impl Memory {
    fn new(count: usize) -> Self {
        Self {
            objects: (0..count).map(|_| AtomicUsize::new(NOTHING)).collect(),
            rcu: RwLock::new(()),
        }
    }

    fn write(&self, number: usize) {
        self.objects[number].store(WRITTEN, Ordering::Relaxed);
    }

    fn wait_and_free(&self, number: usize) {
        drop(self.rcu.write().expect("nothing panics"));
        self.objects[number].store(FREED, Ordering::Relaxed);
    }

    /// What `find` leads to in an RCU section is whole, and stays so to the end of the section.
    fn read(&self, find: impl Fn() -> Option<usize>) -> Option<usize> {
        let _section = self.rcu.read().expect("nothing panics");
        let found = find()?;
        assert_eq!(self.objects[found].load(Ordering::Relaxed), WRITTEN);
        Some(found)
    }
}

fn pointer<T>(number: usize) -> NonNull<T> {
    // Those of an aligned object, and never null.
    NonNull::without_provenance(NonZero::new((number + 1) * 64).expect("no null"))
}

fn number<T>(pointer: NonNull<T>) -> usize {
    pointer.addr().get() / 64 - 1
}

fn none<T>() -> Pointer<T> {
    Pointer(AtomicPtr::new(ptr::null_mut()))
}

#[test]
fn the_object_before_is_handed_back() {
    loom::model(|| {
        let published = none::<u64>();
        assert_eq!(published.get(), None);
        assert_eq!(published.replace(Some(pointer(0))), None);
        assert_eq!(published.replace(Some(pointer(1))), Some(pointer(0)));
        assert_eq!(published.get(), Some(pointer(1)));
        assert_eq!(published.replace(None), Some(pointer(1)));
        assert_eq!(published.get(), None);
    });
}

#[test]
fn a_reader_finds_what_was_written_before_it_was_published() {
    loom::model(|| {
        let all = Arc::new((Memory::new(2), none::<u64>()));
        let other = all.clone();
        let writer = thread::spawn(move || {
            let (memory, published) = &*other;
            for object in 0..2 {
                memory.write(object);
                let before = published.replace(Some(pointer(object)));
                assert_eq!(before, object.checked_sub(1).map(pointer));
            }
        });
        let (memory, published) = &*all;
        let first = memory.read(|| published.get().map(number));
        let second = memory.read(|| published.get().map(number));
        assert!(second >= first, "an older object is found again");
        writer.join().expect("it does not panic");
    });
}

#[test]
fn what_was_replaced_is_used_until_the_grace_period_is_over() {
    loom::model(|| {
        let all = Arc::new((Memory::new(2), none::<u64>()));
        let (memory, published) = &*all;
        memory.write(0);
        published.replace(Some(pointer(0)));
        let other = all.clone();
        let reader = thread::spawn(move || {
            let (memory, published) = &*other;
            memory.read(|| published.get().map(number))
        });
        memory.write(1);
        let before = published.replace(Some(pointer(1))).map(number);
        assert_eq!(before, Some(0));
        memory.wait_and_free(0);
        assert!(reader.join().expect("it does not panic").is_some());
    });
}

/// Lists of two tables: number 0 is a list with the first table, number 1 one with both. The rows
/// of a list are made by loom's own means; what its memory holds says whether they are written.
#[test]
fn a_table_is_used_until_the_grace_period_is_over_that_follows_its_end() {
    loom::model(|| {
        let rows = [vec_of(&[2]), vec_of(&[3, 2])];
        let all = Arc::new((Memory::new(4), none::<u64>(), rows));
        let (memory, published, rows) = &*all;
        for number in [0, 2] {
            memory.write(number);
        }
        published.replace(Some(pointer(0)));
        let other = all.clone();
        let reader = thread::spawn(move || {
            let (memory, published, rows) = &*other;
            memory.read(|| {
                let list = published.get().map(number)?;
                assert_eq!(memory.objects[list].load(Ordering::Relaxed), WRITTEN);
                find(&rows[list], 0).map(number)
            })
        });
        // Another table comes, and the first list goes; then the newer table goes.
        for number in [3, 1] {
            memory.write(number);
        }
        published.replace(Some(pointer(1)));
        memory.wait_and_free(0);
        rows[1][0].clear();
        memory.wait_and_free(3);
        let found = reader.join().expect("it does not panic");
        assert!(matches!(found, Some(2 | 3)), "no table is found");
        assert_eq!(find(&rows[1], 0), Some(pointer(2)));
    });
}

/// Rows of these tables, each on page 0.
fn vec_of(tables: &[usize]) -> Vec<Row<u64>> {
    let row = |table: &usize| Row::new(0, 0, pointer(*table));
    tables.iter().map(row).collect()
}
