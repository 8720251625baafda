//! What happens to an IRQ that is set up: it arrives, guests answer it, timers run out.

use super::spec::Mask;

/// CPUs, domains, pirqs and IRQs are taken modulo what the world has.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// An IRQ arrives at one of the CPUs of its place.
    Arrive {
        choice: usize,
        irq: usize,
    },
    /// A vector arrives that no IRQ has there; from the local APIC, or from a PIC.
    Stray {
        cpu: usize,
        vector: u8,
        in_service: bool,
    },
    /// Xen's own handler is set up for an IRQ, or released.
    SetUp {
        cpu: usize,
        irq: usize,
    },
    Release {
        cpu: usize,
        irq: usize,
    },
    /// A pirq of a domain becomes that of an IRQ.
    Map {
        domain: usize,
        pirq: usize,
        irq: usize,
    },
    /// A pirq is unmapped, although it may be bound.
    Unmap {
        cpu: usize,
        domain: usize,
        pirq: usize,
    },
    /// dom0 removes the function that sends a message, which guests may have.
    Remove {
        cpu: usize,
        irq: usize,
    },
    /// A guest binds a pirq to an event channel, or closes the channel.
    Bind {
        cpu: usize,
        domain: usize,
        pirq: usize,
        shares: bool,
    },
    Unbind {
        cpu: usize,
        domain: usize,
        pirq: usize,
    },
    /// A guest answers (EOI); the caller holds the descriptor's lock, or not.
    Answer {
        cpu: usize,
        domain: usize,
        pirq: usize,
        locked: bool,
    },
    /// A guest answers for all pirqs whose channels are not masked.
    Unmask {
        cpu: usize,
        domain: usize,
    },
    /// The guest masks the channel of a pirq, or unmasks it.
    Channel {
        domain: usize,
        pirq: usize,
        masked: bool,
    },
    Shared {
        cpu: usize,
        domain: usize,
        pirq: usize,
    },
    Affinity {
        cpu: usize,
        domain: usize,
        pirq: usize,
        mask: Mask,
    },
    /// The descriptor of a pirq is locked.
    Lock {
        cpu: usize,
        domain: usize,
        pirq: usize,
    },
    /// The timer of an IRQ's guests runs out, or that of the rate limit.
    Expire {
        irq: usize,
    },
    Limit,
    /// A CPU does what another asked it to do.
    Call {
        cpu: usize,
    },
    /// Time goes on, in microseconds.
    Wait {
        time: u64,
    },
    /// Key i.
    Dump {
        cpu: usize,
    },
    /// All guests unbind, Xen's handlers are released, timers run out: nothing is in service then.
    Finish,
}

/// A place at which the code under test runs with IRQs on and without a lock, so that other CPUs
/// and other interrupts go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Xen's own handler runs.
    Handler,
    /// Other CPUs are asked to do something; before they do it, and after.
    Asked,
    Done,
    /// A timer is killed.
    Kill,
    /// Memory is allocated.
    Allocate,
    /// A timer has run out, and its function has yet to run.
    Due,
}
