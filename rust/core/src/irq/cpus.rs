//! What the protocol of moves needs of a set of CPUs.

/// A set of CPUs, a bit each.
pub trait CpuSet {
    /// How many CPUs there can be. Bits beyond are without meaning.
    fn limit(&self) -> u32;

    /// Reads a word of 64 CPUs; none is in it where the set has no such word.
    fn word(&self, index: u32) -> u64;

    /// Returns whether the CPU is in it.
    fn contains(&self, cpu: u32) -> bool {
        cpu < self.limit() && self.word(cpu / 64) >> (cpu % 64) & 1 != 0
    }

    /// Returns whether a CPU is in both.
    fn intersects(&self, other: &impl CpuSet) -> bool {
        each(self).any(|cpu| other.contains(cpu))
    }

    /// Returns whether all its CPUs are in the other.
    fn is_subset(&self, other: &impl CpuSet) -> bool {
        each(self).all(|cpu| other.contains(cpu))
    }

    /// Returns whether its CPUs are those that are in both others.
    fn is_both(&self, one: &impl CpuSet, other: &impl CpuSet) -> bool {
        (0..self.limit()).all(|cpu| {
            let both = one.contains(cpu) && other.contains(cpu);
            self.contains(cpu) == both
        })
    }

    /// Returns the first of its CPUs that is not below `cpu`.
    fn next(&self, cpu: u32) -> Option<u32> {
        let mut cpu = cpu;
        while cpu < self.limit() {
            let word = self.word(cpu / 64) >> (cpu % 64);
            if word != 0 {
                let found = cpu + word.trailing_zeros();
                return (found < self.limit()).then_some(found);
            }
            cpu = (cpu / 64 + 1) * 64;
        }
        None
    }

    /// Returns whether it has no CPU.
    fn is_empty(&self) -> bool {
        self.next(0).is_none()
    }
}

/// A set of CPUs that can be changed.
pub trait CpuSetMut: CpuSet {
    /// How many words it has.
    fn words(&self) -> u32;

    /// Writes a word of 64 CPUs; does nothing where the set has no such word.
    fn set_word(&mut self, index: u32, word: u64);

    /// Removes all CPUs.
    fn clear(&mut self) {
        (0..self.words()).for_each(|index| self.set_word(index, 0));
    }

    /// Adds a CPU, if there can be one of that number.
    fn insert(&mut self, cpu: u32) {
        if cpu < self.limit() {
            self.set_word(cpu / 64, self.word(cpu / 64) | 1 << (cpu % 64));
        }
    }

    /// Removes a CPU.
    fn remove(&mut self, cpu: u32) {
        self.set_word(cpu / 64, self.word(cpu / 64) & !(1 << (cpu % 64)));
    }

    /// Becomes equal to another set.
    fn copy(&mut self, other: &impl CpuSet) {
        (0..self.words()).for_each(|index| self.set_word(index, other.word(index)));
    }

    /// Removes the CPUs that are not in the other set.
    fn retain(&mut self, other: &impl CpuSet) {
        for index in 0..self.words() {
            self.set_word(index, self.word(index) & other.word(index));
        }
    }
}

/// The CPUs of a set, from the lowest to the highest.
pub fn each<S: CpuSet + ?Sized>(cpus: &S) -> impl Iterator<Item = u32> {
    let mut from = 0;
    core::iter::from_fn(move || {
        let cpu = cpus.next(from)?;
        from = cpu + 1;
        Some(cpu)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::vec::Vec;

    /// At most eight CPUs, for models.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub(in crate::irq) struct Few(pub(in crate::irq) u8);

    impl Few {
        pub(in crate::irq) fn both(self, other: Self) -> Self {
            Self(self.0 & other.0)
        }
    }

    impl CpuSet for Few {
        fn limit(&self) -> u32 {
            u8::BITS
        }

        fn word(&self, _index: u32) -> u64 {
            self.0.into()
        }
    }

    impl CpuSetMut for Few {
        fn words(&self) -> u32 {
            1
        }

        fn set_word(&mut self, _index: u32, word: u64) {
            self.0 = word as u8;
        }
    }

    /// As many CPUs, and two words.
    struct Set(u32, [u64; 2]);

    impl CpuSet for Set {
        fn limit(&self) -> u32 {
            self.0
        }

        fn word(&self, index: u32) -> u64 {
            self.1.get(index as usize).copied().unwrap_or(0)
        }
    }

    impl CpuSetMut for Set {
        fn words(&self) -> u32 {
            2
        }

        fn set_word(&mut self, index: u32, word: u64) {
            if let Some(old) = self.1.get_mut(index as usize) {
                *old = word;
            }
        }
    }

    #[test]
    fn cpus_beyond_the_limit_are_in_no_set() {
        let mut set = Set(70, [1 << 63, !0]);
        assert_eq!(each(&set).collect::<Vec<_>>(), [63, 64, 65, 66, 67, 68, 69]);
        assert!(set.contains(69) && !set.contains(70) && !set.contains(1000));
        set.remove(1000);
        set.insert(1000);
        set.insert(127);
        set.remove(63);
        set.remove(69);
        assert_eq!(set.1, [0, !(1 << 5)]);
        set.clear();
        set.insert(69);
        assert_eq!(each(&set).collect::<Vec<_>>(), [69]);
        assert!(!set.intersects(&Set(70, [!0, 0b1_1111])) && !set.is_empty());
        assert!(set.intersects(&Set(70, [0, 0b10_0000])));
        assert!(Set(70, [0, 1 << 6]).is_empty());
        assert!(Set(70, [0, 1 << 6 | 1]).is_subset(&Set(70, [0, 1])));
        assert!(!Set(70, [0, 3]).is_subset(&Set(70, [!0, 1])));
        let both = |ours| Set(70, ours).is_both(&Set(70, [3, 3]), &Set(70, [6, 2 | 1 << 6]));
        assert!(both([2, 2 | 1 << 7]) && !both([2, 3]) && !both([2, 0]));
    }

    #[test]
    fn sets_are_copied_and_retained_whole() {
        let mut set = Set(70, [5, 0]);
        set.copy(&Set(70, [3, !0]));
        assert_eq!(set.1, [3, !0]);
        set.retain(&Set(70, [6, 9]));
        assert_eq!(set.1, [2, 9]);
    }
}
