//! State machines and algorithms of the interrupt subsystem, apart from Xen and from any hardware.
//!
//! Here is what can be reasoned about, and tested on any machine, without a hypervisor. What is
//! read or written by several CPUs without a lock is an atomic; everywhere else `&mut` is the lock.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod dpci;
pub mod irq;
pub mod msi;
pub mod publish;
pub mod remap;
pub mod vmsi;
