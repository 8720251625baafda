//! The steps of a case.

/// A call of iommu_intr.c, or a change of the world around it. Indices are taken modulo what the
/// world has, so that any step can be left out of a case.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Whether extended mode is supported, with these boot options and this processor.
    Supports {
        enabled: bool,
        remapping: bool,
        wide_exchange: bool,
        /// What preparing the IOMMUs answers.
        prepared: i32,
        /// Whether that leaves no IOMMU where it fails, as it does where firmware's tables are
        /// wrong.
        given_up: bool,
    },
    /// The next IO-APIC that firmware speaks of, after so many.
    NextIoApic {
        after: u32,
    },
    /// An IO-APIC by its ID.
    IndexOfIoApic {
        id: u32,
    },
    /// How large a requester's table is.
    Order {
        requester: usize,
    },
    /// A table for at least so many entries.
    Allocate {
        requester: usize,
        entries: u32,
    },
    /// A table is given up.
    Free {
        requester: usize,
    },
    /// All tables are given up.
    FreeAll,
    Dump,
    /// An IOMMU is switched on or off.
    Enable {
        iommu: usize,
        enabled: bool,
    },
    WritePin {
        io_apic: usize,
        pin: usize,
        entry: u64,
    },
    ReadPin {
        io_apic: usize,
        pin: usize,
        upper: bool,
    },
    /// Hardware, or Xen past the remapping, changes what is the pin's own.
    TouchPin {
        io_apic: usize,
        pin: usize,
        bits: u32,
    },
    Update {
        sender: usize,
        number: usize,
        message: Message,
    },
    Release {
        sender: usize,
    },
    /// As [`Op::Update`], and the requester loses its table meanwhile.
    UpdateBeside {
        sender: usize,
        message: Message,
    },
    /// As [`Op::Release`], and another table takes the place of the one that it is about.
    ReleaseBeside {
        sender: usize,
    },
    SetUpHpet {
        sender: usize,
    },
    /// Takes the next entries of a sender's table into use, and gives some of them back.
    Fill {
        sender: usize,
        count: usize,
        holes: Vec<usize>,
    },
}

/// An MSI as Xen composes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) address: u32,
    pub(crate) data: u32,
    pub(crate) destination: u32,
}
