//! Debug key `M`.

use crate::control;
use irq_hw::msix::{MASKED, VECTOR_CTRL};
use xen::msi::log;
use xen::objects::irq_desc::IrqDesc;
use xen::objects::msi_desc::{KeptMsi, Sender};
use xen::sync::softirq;

/// Prints every MSI of the host, and those of vPCI.
///
/// Context: IRQs on, no lock held.
#[doc(alias = "dump_msi")]
pub fn dump() {
    log::heading();
    for (number, desc) in IrqDesc::all().enumerate() {
        if number % 32 == 0 {
            softirq::process_pending_softirqs();
        }
        if !desc.is_initialized() {
            continue;
        }
        let line = {
            let locked = desc.lock();
            locked
                .held()
                .msi_desc()
                .map(|msi| log::Line::new(**msi, mask_bit(*msi)))
        };
        if let Some(line) = line {
            line.print(desc.irq());
        }
    }
    log::vpci();
}

/// The mask bit, as the device has it; `None` where it has none or cannot be asked.
#[doc(alias = "msi_get_mask_bit")]
fn mask_bit(msi: KeptMsi) -> Option<bool> {
    let device = msi.device()?;
    match msi.sender() {
        Sender::Msi => msi.has_mask_bit().then(|| {
            let bits = device.config().read32(msi.mask_register());
            bits >> (msi.entry() % 32) & 1 != 0
        }),
        Sender::Msix => msi
            .table_entry()
            .filter(|_| control::is_ready(*msi, device))
            .map(|entry| entry.read32(VECTOR_CTRL) & MASKED != 0),
        _ => None,
    }
}
