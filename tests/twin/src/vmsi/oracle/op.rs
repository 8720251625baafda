//! What guests, the device model and the toolstack do in a case.

/// A passed-through function.
#[derive(Clone, Debug)]
pub(super) struct Function {
    /// Where the guest sees the table at first.
    pub(super) base: u64,
    /// Entries of the table.
    pub(super) entries: u32,
    /// The entries for which the host has interrupts left.
    pub(super) mappable: Vec<u16>,
}

/// A domain with its functions.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) vcpus: usize,
    pub(super) functions: Vec<Function>,
}

/// An instruction of a guest that accesses memory which is not RAM.
#[derive(Clone, Debug)]
pub(super) enum Instruction {
    /// A load of up to 16 bytes.
    Load { address: u64, len: u32 },
    /// A store of up to 16 bytes.
    Store {
        address: u64,
        len: u32,
        value: [u64; 2],
    },
    /// REP STOS.
    Stos {
        first: u64,
        size: u32,
        count: u32,
        descending: bool,
        value: u64,
    },
    /// REP MOVS from RAM; one value for each element.
    Movs {
        first: u64,
        size: u32,
        descending: bool,
        values: Vec<u64>,
    },
    /// REP MOVS to RAM.
    MovsToRam {
        first: u64,
        size: u32,
        count: u32,
        descending: bool,
    },
}

/// One step. Indices are taken modulo what there is, and what cannot be done now is skipped, so
/// that any step can be left out of a case.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// A vCPU that is idle carries out an instruction, and nothing comes between.
    Run {
        vcpu: usize,
        instruction: Instruction,
    },
    /// A vCPU that is idle begins an instruction.
    Begin {
        vcpu: usize,
        instruction: Instruction,
    },
    /// A vCPU goes on: `accept`, then `read` or `write`, then the request to the device model, then
    /// its completion.
    Step { vcpu: usize },
    /// The device model does what it has to do next, or handles the request of a vCPU, from this
    /// one on.
    DeviceModel { vcpu: usize },
    /// A vCPU is scheduled again while no request of it is pending.
    Resume { vcpu: usize },
    /// The guest enables MSI-X of a function.
    Enable { function: usize },
    /// The guest disables it: the device model unbinds and unmaps all entries.
    Disable { function: usize },
    /// The guest moves the BAR that holds the table.
    Move { function: usize },
    /// The device model binds an entry anew.
    Rebind { function: usize, entry: usize },
    /// While a vCPU that is idle carries out an instruction, and asks for the lock of an interrupt,
    /// dom0 unmaps that, and maps its IRQ for another entry, which the device model binds.
    Exchange {
        vcpu: usize,
        instruction: Instruction,
        function: usize,
        entry: usize,
    },
    /// A function leaves the domain with its interrupts bound, and another one, whose structure
    /// gets the memory and whose table the place, comes.
    Replace { function: usize },
    /// What waits for a grace period is freed.
    GracePeriod,
}
