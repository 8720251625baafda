//! What a call did to the world around it, in order.

/// An effect that the rest of Xen, a guest or a device would see. Pointers are offsets in the
/// arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A line on the console.
    Log(String),
    /// A spin lock was taken; the flag says whether interrupts were switched off with it.
    Lock { lock: u64, irq: bool },
    /// A spin lock was released.
    Unlock { lock: u64, irq: bool },
    /// A device was read through the fixmap.
    MmioRead { address: usize, width: usize },
    /// A device was written through the fixmap.
    MmioWrite {
        address: usize,
        width: usize,
        value: u64,
    },
    /// A device was written through the fixmap, and did not take it; the number of the function,
    /// where it was a table of one.
    MmioLost {
        address: usize,
        width: usize,
        value: u64,
        function: Option<usize>,
    },
    /// Another function of Xen was called: its name, and what it was told.
    Call(&'static str, [u64; 6]),
}

/// What was held when an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Whether interrupts were on.
    pub(crate) irqs_on: bool,
    /// Spin locks of the world.
    pub(crate) spin_locks: usize,
    /// Nesting of RCU read sections.
    pub(crate) rcu: i32,
    /// The words of the read-write locks that the world watches.
    pub(crate) rwlocks: [u32; 2],
}

/// An event and its circumstances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What happened.
    pub(crate) event: Event,
    /// When.
    pub(crate) held: Held,
}
