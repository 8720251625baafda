//! What state the IOMMU is in.

use core::fmt;

use kernel::mmio::Window;
use kernel::pci::{self, Function};

/// Where the machines that we emulate have VT-d's registers.
const VTD: usize = 0xfed9_0000;

/// An IOMMU's state.
pub(crate) enum Iommu {
    /// VT-d's global status, and what its table of interrupt remapping entries is (VT-d, 11.4.4.2
    /// and 11.4.9).
    Vtd { status: u32, table: u64 },
    /// AMD-Vi's control register (AMD IOMMU, 3.4.2).
    Amd { control: u64 },
}

impl Iommu {
    /// Looks at the machine's IOMMU.
    pub(crate) fn find() -> Self {
        match pci::functions().find(|function| function.is_iommu()) {
            Some(function) => Self::amd(function),
            None => Self::vtd(),
        }
    }

    fn vtd() -> Self {
        // SAFETY: VT-d's registers are there, mapped one to one.
        let registers = unsafe { Window::new(VTD) };
        Self::Vtd {
            status: registers.read32(0x1c),
            table: registers.read64(0xb8),
        }
    }

    fn amd(function: Function) -> Self {
        const CAPABILITY: u8 = 0x0f;
        let position = function.capability(CAPABILITY);
        let position = position.expect("the IOMMU has no capability of its own");
        // Bit 0 says that the registers are there; they lie below 4 GiB.
        let base = function.read32(position + 4) & !0x3fff;
        // SAFETY: the IOMMU says that its registers are there, mapped one to one.
        let registers = unsafe { Window::new(base as usize) };
        Self::Amd {
            control: registers.read64(0x18),
        }
    }

    /// Whether it remaps interrupts.
    pub(crate) fn remaps(&self) -> bool {
        match self {
            Self::Vtd { status, .. } => status & 1 << 25 != 0,
            Self::Amd { control } => control & 1 != 0,
        }
    }
}

/// Without addresses, which depend on where Xen had memory to spare.
impl fmt::Display for Iommu {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Vtd { status, table } => {
                write!(f, "VT-d: status {status:#x}, table {:#x}", table & 0xfff)
            }
            Self::Amd { control } => write!(f, "AMD-Vi: control {control:#x}"),
        }
    }
}
