//! Fault: an entry of 32 bits is written without a barrier.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering};

/// Writes an entry.
#[unsafe(no_mangle)]
pub extern "C" fn xen_irq_amd_iommu_ioapic_update_ire(entry: &AtomicU32, value: u32) {
    entry.store(value, Ordering::Relaxed);
}
