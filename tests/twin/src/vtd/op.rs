//! The steps of a case.

use super::spec::Spec;
use crate::machine::vtd::Pace;

/// A call of intremap.c, or a change of the world around it. Indices are taken modulo what the
/// world has, so that any step can be left out of a case.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Whether extended mode is supported, with these boot options and this processor.
    Supports {
        queue: bool,
        remapping: bool,
        wide_exchange: bool,
    },
    EnableEim {
        active: bool,
        allowed: [bool; 2],
        switching: Switching,
    },
    DisableEim {
        switching: Switching,
    },
    Enable {
        iommu: usize,
        eim: u32,
        allowed: bool,
        switching: Switching,
    },
    Disable {
        iommu: usize,
        switching: Switching,
    },
    /// The queue of an IOMMU is switched on or off.
    Queue {
        iommu: usize,
        on: bool,
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
        number: usize,
    },
    SetUpHpet {
        sender: usize,
    },
    /// The descriptor of a sender without entries names one beyond the table's end, and is updated
    /// or released.
    Stray {
        sender: usize,
        index: i32,
        release: bool,
    },
    /// Takes the first entries of an unused table into use, and gives some of them back.
    Fill {
        iommu: usize,
        count: usize,
        holes: Vec<usize>,
    },
}

/// How hardware and Xen behave while an IOMMU is switched on or off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switching {
    pub(crate) pace: Pace,
    /// Whether Xen is on its way to another kernel.
    pub(crate) kexecing: bool,
    /// Whether memory runs out only after the table was set.
    pub(crate) late: bool,
}

/// An MSI as Xen composes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) address: u32,
    pub(crate) data: u32,
    pub(crate) destination: u32,
    /// The posted-interrupt descriptor that it goes to, and the vector there.
    pub(crate) posted: Option<(u64, u8)>,
}

impl Message {
    /// Whether an entry of the table cannot name its destination.
    pub(super) fn is_beyond(&self, spec: &Spec) -> bool {
        let logical = self.address & 1 << 2 != 0;
        self.posted.is_none() && spec.is_beyond(self.destination, logical)
    }
}
