//! What the protocol of moves needs of a set of CPUs.

/// A set of CPUs.
pub trait CpuSet {
    /// Returns whether the CPU is in it.
    fn contains(&self, cpu: u32) -> bool;

    /// Returns whether a CPU is in both.
    fn intersects(&self, other: &Self) -> bool;

    /// Returns the first of its CPUs that is not below `cpu`.
    fn next(&self, cpu: u32) -> Option<u32>;

    /// Removes all CPUs.
    fn clear(&mut self);

    /// Adds a CPU.
    fn insert(&mut self, cpu: u32);

    /// Removes a CPU.
    fn remove(&mut self, cpu: u32);

    /// Becomes equal to another set.
    fn copy(&mut self, other: &Self);

    /// Removes the CPUs that are not in the other set.
    fn retain(&mut self, other: &Self);
}

/// The CPUs of a set, from the lowest to the highest.
pub fn each<S: CpuSet>(cpus: &S) -> impl Iterator<Item = u32> {
    let mut from = 0;
    core::iter::from_fn(move || {
        let cpu = cpus.next(from)?;
        from = cpu + 1;
        Some(cpu)
    })
}

/// Returns whether a set has no CPU.
pub fn is_empty<S: CpuSet>(cpus: &S) -> bool {
    cpus.next(0).is_none()
}
