//! What the test kernels share: ports, PCI, memory-mapped registers, hypercalls, the long-mode
//! entry, interrupts, and the transcript.
//!
//! A test kernel runs alone on its machine, mostly on one processor, and its only product is its
//! transcript: lines whose text depends on nothing but the machine and the answers of Xen, so that
//! two runs can be compared as text.

#![no_std]

pub mod abi;
pub mod devices;
pub mod hypercall;
pub mod interrupts;
pub mod io_apic;
pub mod kexec;
pub mod lapic;
pub mod long_mode;
pub mod mmio;
pub mod msix;
pub mod note;
pub mod pci;
pub mod port;
pub mod pv;
pub mod report;
pub mod source;
pub mod trace;
pub mod unplug;
