//! The steps of a case.

use super::platform::Meanwhile;
use super::spec::{DeviceSpec, Owner, Runner};

/// A call of msi.c, or a change of the world around it. Indices are taken modulo what the world
/// has, so that any step can be left out of a case.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// The boot option as it stands, and whether firmware says that there are no MSIs.
    EarlyInit {
        option: i8,
        forbidden: bool,
    },
    /// Sets interrupts up as mapping them for a domain does, and undoes all where one of them
    /// fails.
    Map(Wish),
    /// The first part of that alone.
    Enable(Wish),
    /// The second, for one message.
    SetUp {
        desc: usize,
        message: usize,
    },
    /// Frees interrupts as unmapping them does.
    Unmap {
        desc: usize,
    },
    /// Sets up the first entry of each page of each table, as far as there is room.
    Crowd {
        device: usize,
    },
    /// Entries from the first on, as many as this.
    Fill {
        device: usize,
        count: usize,
    },
    /// Sets up the interrupt of an IOMMU, which is a function with MSI.
    SetUpIommu {
        device: usize,
    },
    /// A function is removed; or it is dom0's again, and the domain that its interrupts were set
    /// up for is being destroyed.
    Cleanup {
        device: usize,
        dying: bool,
    },
    Prepare {
        device: usize,
        off: bool,
    },
    /// Prepares a function that does not exist.
    PrepareMissing {
        off: bool,
    },
    ResetState {
        device: usize,
    },
    /// dom0 writes a register.
    ConfigWrite {
        device: usize,
        place: Register,
        size: u32,
        data: u32,
    },
    /// dom0 writes a register of a function that Xen does not know.
    UnknownWrite,
    Restore {
        device: usize,
    },
    DisableAll,
    Compose {
        vector: u32,
        cpus: Option<u64>,
    },
    SetEnable {
        device: usize,
        on: bool,
    },
    Maskable {
        desc: usize,
    },
    /// Calls a function for an interrupt.
    Irq {
        irq: usize,
        call: Call,
    },
    /// The same, while dom0 changes the function: it has said so before, and carries it out when
    /// the call has just read or written one of its registers, as `act` says.
    Race {
        irq: usize,
        call: Call,
        act: Meanwhile,
    },
    /// Something is done for which a function's MSI-X is enabled with all masked for a while, and
    /// another CPU masks an interrupt of the function meanwhile; dom0 has just stopped its memory.
    Overlap {
        opening: Opening,
        irq: usize,
    },
    /// Masks of MSIs are changed, and by another CPU meanwhile.
    Beside {
        own: Act,
        other: Act,
        moment: Moment,
    },
    /// Debug key M.
    Key,
    World(Change),
}

/// What enables MSI-X with all masked for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Opening {
    /// An entry is set up.
    Enable(Wish),
    /// An interrupt is bound to an entry.
    SetUp { desc: usize },
    /// A function's interrupts are restored.
    Restore { device: usize },
}

/// A change of masks of an MSI that has mask bits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// By a function that is called for an interrupt.
    Change { irq: usize, call: Call },
    /// dom0 writes the mask register that the interrupt's bit is in.
    Write { irq: usize, data: u32 },
}

/// When another CPU acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the call changes masks: as late as it can.
    Before,
    /// Afterwards: as early as it can.
    After,
}

/// Interrupts that somebody wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) device: usize,
    pub(crate) msix: bool,
    /// The entry of MSI-X.
    pub(crate) entry: usize,
    /// The messages of MSI.
    pub(crate) count: usize,
    pub(crate) base: Base,
    /// The interrupt from which on a free one is looked for.
    pub(crate) irq: usize,
    /// Takes one that the function has already for the same kind, or else that one, free or not.
    pub(crate) taken: bool,
}

/// What somebody believes of the BAR that has the table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Base {
    /// Where it is, or a page if it is nowhere.
    Right,
    /// This many pages after that.
    Off(u64),
}

impl Op {
    /// Whether it writes to configuration space as dom0 does, and nothing else that is in the
    /// trace.
    pub(super) fn is_config_write(&self) -> bool {
        let writes = |act: &Act| matches!(act, Act::Write { .. });
        match self {
            Self::ConfigWrite { .. } => true,
            Self::Beside { own, .. } => writes(own),
            _ => false,
        }
    }
}

/// A register of a function.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Register {
    /// An offset from the capability of MSI.
    Msi(u32),
    /// An offset from the capability of MSI-X.
    Msix(u32),
    /// The mask bits of MSI.
    MsiMask,
    Any(u32),
}

impl Register {
    /// Where it is in configuration space of a function; none where that has no such capability.
    pub(super) fn of(self, device: &DeviceSpec) -> Option<u32> {
        Some(match self {
            Self::Msi(offset) => u32::from(device.msi?.pos) + offset,
            Self::Msix(offset) => u32::from(device.msix?.pos) + offset,
            Self::MsiMask => device.msi?.mask_register(),
            Self::Any(register) => register,
        })
    }
}

/// What is called for an interrupt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Startup,
    Shutdown,
    Enable,
    Disable,
    Ack,
    End {
        vector: u8,
    },
    SetAffinity {
        cpus: u64,
    },
    GuestMask {
        mask: bool,
    },
    /// The exported functions, whatever the interrupt's own are.
    Mask,
    Unmask,
    AckUnmaskable,
    /// `None` stands for the null pointer: any CPU will do.
    Retarget {
        cpus: Option<u64>,
    },
}

/// A change of the world.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Boot {
        done: bool,
    },
    /// A domain is being created that is to own the hardware instead of dom0.
    CreateHardwareDomain,
    Run(Runner),
    Online {
        cpus: u64,
    },
    Status {
        irq: usize,
        bits: u32,
    },
    Vector {
        irq: usize,
        vector: u8,
        cpus: u64,
    },
    Pending {
        irq: usize,
        cpus: u64,
    },
    Own {
        device: usize,
        owner: Owner,
    },
    Pages {
        guest: bool,
        pages: u32,
    },
    /// The device resets itself, or is reset.
    Reset {
        device: usize,
    },
    /// It is pulled, or there again.
    Pull {
        device: usize,
        gone: bool,
    },
    /// It disables MSI-X by itself.
    Disable {
        device: usize,
    },
    /// It enables MSI-X again, as a function does that restores its own registers.
    EnableItself {
        device: usize,
    },
    /// The word of commands changes, and Xen is not asked.
    Command {
        device: usize,
        command: u16,
    },
    /// Every CPU has done something else: once, or as often as somebody waits for it.
    Grace {
        once: bool,
    },
    /// All functions lose what they were told, as while the machine sleeps.
    Sleep,
}
