//! Ranges of pages, as `common/rangeset.c` keeps them.

/// A set of numbers as ranges, in order, with a gap between each two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds `first` to `last`, both included.
    pub(crate) fn add(&mut self, (first, last): (u64, u64)) {
        let (mut first, mut last) = (first, last);
        self.0.retain(|&(start, end)| {
            let apart = end.saturating_add(1) < first || last.saturating_add(1) < start;
            if !apart {
                first = first.min(start);
                last = last.max(end);
            }
            apart
        });
        let at = self.0.partition_point(|(start, _)| *start < first);
        self.0.insert(at, (first, last));
    }

    /// Takes `first` to `last` away.
    pub(crate) fn remove(&mut self, (first, last): (u64, u64)) {
        let mut left = Vec::new();
        for &(start, end) in &self.0 {
            if last < start || end < first {
                left.push((start, end));
                continue;
            }
            if start < first {
                left.push((start, first - 1));
            }
            if end > last {
                left.push((last + 1, end));
            }
        }
        self.0 = left;
    }

    /// Whether all of it is in another set.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|&(first, last)| {
            let mut all = other.0.iter();
            all.any(|&(start, end)| start <= first && last <= end)
        })
    }

    /// Whether any of `first` to `last` is in the set.
    pub(crate) fn overlaps(&self, (first, last): (u64, u64)) -> bool {
        let mut all = self.0.iter();
        all.any(|&(start, end)| start <= last && first <= end)
    }
}
