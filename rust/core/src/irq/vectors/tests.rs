//! The search against a plain statement of its order, at several fills and numbers of CPUs.

use super::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const UNUSED: i32 = i32::MIN;

/// A source of numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % limit as u64) as usize
    }
}

/// The place of a vector in the cycle: by its distance from the first modulo 8, then upwards.
fn rank(vector: usize) -> usize {
    (vector - 0x20) % 8 * 26 + (vector - 0x20) / 8
}

/// All dynamic vectors, in the order of the cycle.
fn cycle() -> Vec<usize> {
    let mut all: Vec<usize> = (0x20..=0xef).collect();
    all.sort_by_key(|&vector| rank(vector));
    all
}

/// A machine, and the vector that was chosen last.
struct Machine {
    cycle: Vec<usize>,
    table: Vec<[i32; 256]>,
    reserved: [bool; 256],
    /// The maps of used vectors; an IRQ belongs to one, or to none.
    used: Vec<[bool; 256]>,
    last: usize,
}

impl Machine {
    fn new(cpus: usize, maps: usize) -> Self {
        let mut reserved = [false; 256];
        for vector in [0x20, 0x21, 0x22, 0x30, 0x80, 0x82] {
            reserved[vector] = true;
        }
        Self {
            cycle: cycle(),
            table: vec![[UNUSED; 256]; cpus],
            reserved,
            used: vec![[false; 256]; maps],
            last: 0x20,
        }
    }

    /// The rule: of all dynamic vectors but the last one chosen, in the order of the cycle from
    /// there, the first that is free.
    fn expected(&self, cpu: usize, map: Option<usize>) -> Option<usize> {
        let here = rank(self.last);
        (1..208)
            .map(|distance| self.cycle[(here + distance) % 208])
            .find(|&vector| {
                let legacy = cpu == 0 && (0x20..0x30).contains(&vector);
                let shared = map.is_some_and(|map| self.used[map][vector]);
                !legacy && !shared && !self.reserved[vector] && self.table[cpu][vector] < 0
            })
    }
}

/// Allocates and frees, so that about `fill` percent of each CPU's vectors are in use.
fn compare(cpus: usize, maps: usize, fill: usize, count: usize, seed: u64) -> usize {
    let (mut dice, mut machine) = (Dice(seed), Machine::new(cpus, maps));
    let reserved = VectorSet::new();
    for vector in (0..=255).filter(|&vector| machine.reserved[usize::from(vector)]) {
        reserved.insert(vector);
    }
    let used: Vec<VectorSet> = (0..maps).map(|_| VectorSet::new()).collect();
    let mut cursor = Cursor::new();
    let mut live: Vec<(usize, usize, Option<usize>)> = Vec::new();
    let (capacity, mut full) = (cpus * 202, 0);
    for cpu in 0..cpus {
        // Long runs are rare, so that searches end in all parts of the cycle.
        for vector in (0x20..=0xef).filter(|&vector| !machine.reserved[vector]) {
            if dice.below(100) < fill && !(cpu == 0 && vector < 0x30) {
                machine.table[cpu][vector] = 0xffff;
                live.push((cpu, vector, None));
            }
        }
    }
    for irq in 0..count {
        let cpu = dice.below(cpus);
        let map = (maps != 0 && dice.below(3) != 0).then(|| dice.below(maps));
        let expected = machine.expected(cpu, map);
        let taken = Taken {
            reserved: &reserved,
            used: map.map(|map| &used[map]),
        };
        let slot = |vector| machine.table[cpu][usize::from(vector)];
        let found = cursor.find(cpu as u32, taken, slot).map(usize::from);
        assert_eq!(found, expected, "allocation {irq} with seed {seed}");
        match found {
            None => full += 1,
            Some(vector) => {
                machine.last = vector;
                machine.table[cpu][vector] = (irq & 0xffff) as i32;
                if let Some(map) = map {
                    machine.used[map][vector] = true;
                    assert!(!used[map].insert(vector as u8));
                }
                live.push((cpu, vector, map));
            }
        }
        while !live.is_empty() && (live.len() * 100 > capacity * fill || found.is_none()) {
            let (cpu, vector, map) = live.swap_remove(dice.below(live.len()));
            machine.table[cpu][vector] = !machine.table[cpu][vector];
            if let Some(map) = map {
                machine.used[map][vector] = false;
                assert!(used[map].remove(vector as u8));
            }
            if found.is_none() && dice.below(4) == 0 {
                break;
            }
        }
    }
    full
}

#[test]
fn a_cycle_has_each_dynamic_vector_once() {
    let mut vector = FIRST_DYNAMIC;
    for expected in cycle() {
        assert_eq!(usize::from(vector), expected);
        vector = after(vector);
    }
    assert_eq!(vector, FIRST_DYNAMIC);
}

#[test]
fn a_full_cpu_keeps_the_vector_of_the_cursor() {
    let (none, used) = (VectorSet::new(), VectorSet::new());
    let taken = Taken {
        reserved: &none,
        used: Some(&used),
    };
    let mut cursor = Cursor::new();
    for _ in 0..207 {
        let vector = cursor.find(1, taken, |_| UNUSED).unwrap();
        assert!(!used.insert(vector));
    }
    // All but the first, where the search began and goes on to: then all but the last.
    assert!(!used.contains(FIRST_DYNAMIC));
    assert_eq!(cursor.find(1, taken, |_| UNUSED), Some(FIRST_DYNAMIC));
    used.remove(FIRST_DYNAMIC);
    assert_eq!(cursor.find(1, taken, |_| UNUSED), None);
    assert_eq!(cursor, Cursor(FIRST_DYNAMIC));
}

#[test]
fn the_first_that_is_free_is_chosen() {
    let mut full = 0;
    for cpus in [1, 4, 256] {
        for fill in [0, 50, 99, 100] {
            for maps in [0, 1, 5] {
                full += compare(cpus, maps, fill, 3000, 1);
            }
        }
    }
    assert!(full > 100, "{full} searches without a result");
}

/// 10,000,000 allocations; with optimisation it takes some seconds.
#[test]
#[ignore = "long: cargo test --release -p irq-core -- --ignored ten_million"]
fn ten_million_allocations() {
    for cpus in [1, 4, 256] {
        for fill in [0, 50, 99, 100] {
            for maps in [0, 1, 5] {
                compare(cpus, maps, fill, 10_000_000 / 36 + 1, 7);
            }
        }
    }
}

proptest! {
    #[test]
    fn sets_hold_what_was_added(
        steps in prop::collection::vec((any::<u8>(), any::<bool>()), 0..300),
    ) {
        let (set, mut plain) = (VectorSet::new(), [false; 256]);
        for (vector, add) in steps {
            let index = usize::from(vector);
            let was = if add { set.insert(vector) } else { set.remove(vector) };
            prop_assert_eq!(was, plain[index]);
            plain[index] = add;
            prop_assert_eq!(set.contains(vector), add);
        }
        for vector in 0..=255 {
            prop_assert_eq!(set.contains(vector), plain[usize::from(vector)]);
        }
    }
}
