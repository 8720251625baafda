//! Faults to plant in the C originals, to see that the twin finds them.

use anyhow::{Result, bail};

mod amd;
mod irq;
mod msi;
mod vmsi;
mod vtd;

/// What is wrong, the text of the original, and what takes its place.
type Fault = (&'static str, &'static str, &'static str);

/// Finds the source of a replaced file, and the faults to plant in it.
///
/// # Errors
///
/// When there are none for the file.
pub(super) fn of(file: &str) -> Result<(&'static str, &'static [Fault])> {
    match file {
        "vmsi" => Ok(("arch/x86/hvm/vmsi.c", vmsi::FAULTS)),
        "vtd" => Ok(("drivers/passthrough/vtd/intremap.c", vtd::FAULTS)),
        "amd" => Ok(("drivers/passthrough/amd/iommu_intr.c", amd::FAULTS)),
        "irq" => Ok(("arch/x86/irq.c", irq::FAULTS)),
        "msi" => Ok(("arch/x86/msi.c", msi::FAULTS)),
        _ => bail!("no faults are known to plant in {file}"),
    }
}
