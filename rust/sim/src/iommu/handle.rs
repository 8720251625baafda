//! A table of an IOMMU as the software under test uses it, while the other parties act.

use super::Iommu;
use super::queue::{Full, Queue, TimedOut};
use irq_core::remap::slots::Block;
use irq_core::remap::update::Table;

/// A table of an IOMMU. Before and after every operation `others` lets the other parties act.
pub struct Handle<'a, I: Iommu, F> {
    unit: &'a mut I,
    table: I::Table,
    others: F,
}

impl<'a, I: Iommu, F: FnMut(&mut I)> Handle<'a, I, F> {
    /// A table of an IOMMU.
    pub fn new(unit: &'a mut I, table: I::Table, others: F) -> Self {
        Self {
            unit,
            table,
            others,
        }
    }

    /// What the IOMMU has to be told so that it forgets the entries of a block.
    pub fn scopes(&self, block: Block) -> Vec<I::Scope> {
        self.unit.scopes(self.table, block)
    }

    /// Puts commands into the queue that make the IOMMU forget scopes, and a wait command, whose
    /// number it returns.
    pub fn submit(&mut self, scopes: Vec<I::Scope>) -> Result<u64, TimedOut>
    where
        I::Scope: Copy,
    {
        for scope in scopes {
            self.push(|queue| queue.forget(scope))?;
        }
        self.push(Queue::wait)
    }

    /// Waits until the wait command of that number was reached.
    pub fn wait(&mut self, number: u64) -> Result<(), TimedOut> {
        self.poll(|queue| queue.is_done(number).then_some(()))
    }

    /// Makes the IOMMU forget the entries of a block; returns when it has, or when it did not in
    /// time.
    pub fn flush(&mut self, block: Block) -> Result<(), TimedOut>
    where
        I::Scope: Copy,
    {
        let number = self.submit(self.scopes(block))?;
        self.wait(number)
    }

    /// The same, for software that cannot do anything about a failure; the queue counts it.
    pub fn invalidate(&mut self, block: Block)
    where
        I::Scope: Copy,
    {
        let _ = self.amid(|this| this.flush(block));
    }

    fn push<T>(
        &mut self,
        mut push: impl FnMut(&mut Queue<I::Scope>) -> Result<T, Full>,
    ) -> Result<T, TimedOut> {
        self.poll(|queue| push(queue).ok())
    }

    fn poll<T>(
        &mut self,
        mut poll: impl FnMut(&mut Queue<I::Scope>) -> Option<T>,
    ) -> Result<T, TimedOut> {
        for _ in 0..self.unit.queue().patience() {
            if let Some(result) = poll(self.unit.queue()) {
                return Ok(result);
            }
            self.unit.step();
            self.pause();
        }
        Err(self.unit.queue().time_out())
    }

    /// The other parties act, and the watchers look at what could be read.
    fn pause(&mut self) {
        self.unit.watch();
        (self.others)(self.unit);
        self.unit.watch();
    }

    fn amid<T>(&mut self, operation: impl FnOnce(&mut Self) -> T) -> T {
        self.pause();
        let result = operation(self);
        self.pause();
        result
    }
}

impl<I: Iommu<Scope: Copy>, F: FnMut(&mut I)> Table for Handle<'_, I, F> {
    type Entry = I::Entry;

    type New = I::Entry;

    const CACHES_ABSENT: bool = I::KEEPS_ABSENT;

    fn entry(&mut self, index: usize) -> Self::Entry {
        self.amid(|this| this.unit.table(this.table).memory.read(index))
    }

    fn replace(&mut self, index: usize, _old: Self::Entry, new: Self::Entry) {
        self.amid(|this| this.unit.table(this.table).memory.write(index, new));
    }

    fn write_back(&mut self, index: usize) {
        self.amid(|this| this.unit.table(this.table).memory.write_back(index));
    }
}
