//! The steps of a case.

/// A call of vmsi.c, or a change of the world around it. Indices are taken modulo what the world
/// has, so that any step can be left out of a case.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Init {
        domain: usize,
    },
    Register {
        pirq: usize,
        domain: usize,
        gtable: Option<u64>,
    },
    Unregister {
        pirq: usize,
        domain: usize,
    },
    Cleanup {
        domain: usize,
    },
    GracePeriod,
    Accept {
        domain: usize,
        vcpu: usize,
        request: Request,
    },
    /// A read; if guarded, only when the last request was accepted.
    Read {
        domain: usize,
        vcpu: usize,
        address: u64,
        len: u32,
        guarded: bool,
    },
    /// A write, likewise.
    Write {
        domain: usize,
        vcpu: usize,
        address: u64,
        len: u32,
        value: u64,
        guarded: bool,
    },
    /// The device model is done with a request, whose answer the vCPU may hold.
    Completion {
        domain: usize,
        vcpu: usize,
        answered: Option<Request>,
    },
    /// The vCPU waits for the device model, or does so no longer.
    Block {
        domain: usize,
        vcpu: usize,
        blocked: bool,
    },
    /// A pirq is unmapped: its MSI descriptor goes away.
    Unmap {
        desc: usize,
    },
    /// A pirq is mapped again.
    Map {
        desc: usize,
    },
    /// A function goes, as a virtual one does when SR-IOV is switched off, whether or not its
    /// interrupts are bound.
    Remove {
        device: usize,
    },
    /// The IRQ of an MSI descriptor is what freed memory holds.
    Spoil {
        desc: usize,
    },
    /// A function goes to the other domain, whether or not its interrupts are bound.
    Assign {
        device: usize,
    },
    Deliver {
        domain: usize,
        arguments: [u64; 5],
    },
    DeliverPirq {
        domain: usize,
        vector: u32,
        flags: u32,
    },
    DestinationVcpu {
        domain: usize,
        arguments: [u64; 2],
    },
    MsiInit {
        device: usize,
    },
    MsiEnable {
        device: usize,
        vectors: u32,
        setup: Message,
    },
    MsiUpdate {
        device: usize,
        setup: Message,
    },
    MsiMask {
        device: usize,
        entry: u32,
        mask: u64,
    },
    MsiDisable {
        device: usize,
    },
    MsiPrint {
        device: usize,
    },
    MsixInit {
        device: usize,
        entry: usize,
    },
    MsixEnable {
        device: usize,
        entry: usize,
        table: u64,
        setup: Message,
    },
    MsixMask {
        device: usize,
        entry: usize,
        mask: u64,
    },
    MsixDisable {
        device: usize,
        entry: usize,
    },
    MsixPrint {
        device: usize,
        meanwhile: Meanwhile,
    },
}

/// An I/O request, as the emulator hands it to `accept`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) address: u64,
    pub(crate) data: u64,
    pub(crate) size: u32,
    pub(crate) count: u32,
    pub(crate) ready: bool,
    pub(crate) write: bool,
    pub(crate) pointer: bool,
    pub(crate) backwards: bool,
}

/// An MSI message as a guest wrote it to vPCI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) address: u64,
    pub(crate) data: u32,
    pub(crate) mask: u32,
}

/// What another CPU does when the printing of a table drops its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    Nothing,
    TakePciLock,
    TakeVpciLock,
    RemoveVpci,
    ReplaceMsix,
}
