//! The steps of a case.

use super::act::{Act, When};
use super::pirqs::Call;
use super::spec::Mask;

/// What handles an IRQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandledBy {
    /// Xen, by an action that was allocated.
    Xen,
    /// Xen, by an action that is a part of something else.
    Part,
    Nothing,
}

/// A call of irq.c, or a change of the world around it. CPUs and IRQs are taken modulo what the
/// world has, so that any step can be left out of a case.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// An IRQ of an MSI is created, for a device, with the handler of that number; the current
    /// domain may use it.
    Create {
        cpu: usize,
        device: usize,
        handler: usize,
        node: u8,
        permit: bool,
        handled_by: HandledBy,
    },
    /// An IRQ is destroyed; meanwhile another CPU may handle it, which ends later.
    Destroy {
        cpu: usize,
        irq: usize,
        handled_by: HandledBy,
        in_progress: bool,
    },
    /// An IRQ gets a vector, or moves at once.
    Assign {
        cpu: usize,
        irq: usize,
        mask: Option<Mask>,
    },
    /// An IRQ moves at once; the caller has switched IRQs off, or not.
    SetAffinity {
        cpu: usize,
        irq: usize,
        mask: Option<Mask>,
        irqs_on: bool,
    },
    /// An IRQ is to move when it is acknowledged next.
    Wish {
        cpu: usize,
        irq: usize,
        mask: Mask,
    },
    /// The source of an IRQ sends to where it was told to.
    Send {
        irq: usize,
    },
    /// Something else is pending.
    Pend {
        cpu: usize,
        vector: u8,
    },
    /// A CPU takes its highest pending interrupt.
    Take {
        cpu: usize,
    },
    /// An IRQ is acknowledged on a CPU that received it at a vector.
    Acknowledge {
        cpu: usize,
        irq: usize,
        vector: Option<u8>,
    },
    CleanUp {
        cpu: usize,
    },
    Offline {
        cpu: usize,
    },
    Online {
        cpu: usize,
    },
    /// The HPET's vector becomes an ordinary one.
    FreeVector {
        vector: u8,
    },
    /// A PIC handles one of the first 16 IRQs from now on.
    MakePic {
        irq: usize,
    },
    ToVector {
        irq: usize,
    },
    /// The domain that may use IRQs which it had created is gone, or is there again.
    DomainGoes,
    /// Another domain runs.
    Switch,
    /// An IRQ's vector is bound, or cleared, as at boot.
    Bind {
        irq: usize,
        vector: u8,
        mask: Mask,
    },
    Clear {
        irq: usize,
    },
    /// A created IRQ becomes one of the HPET's, which share a vector.
    ShareHpet {
        irq: usize,
    },
    /// One of these is moved to another CPU, as the HPET's driver does by itself.
    AttachHpet {
        cpu: usize,
        irq: usize,
    },
    /// The sets of a new descriptor are allocated.
    InitDesc,
    /// A vector of high priority gets a function, or one that it has stays.
    Direct {
        has_vector: bool,
    },
    /// A vector gets a function.
    SetDirect {
        vector: u8,
    },
    /// A call about the pirqs of a domain.
    Pirqs {
        cpu: usize,
        domain: usize,
        call: Call,
    },
    /// Something happens to an IRQ that is set up, and something else meanwhile.
    Deliver {
        act: Act,
        meanwhile: Vec<(When, Act)>,
    },
}
