//! Vectors of IRQs and their moves: the descriptors' fields, `vector_irq[]`, the maps of vectors,
//! and what CPUs send each other; IRQs that are created and destroyed; interrupts that arrive, and
//! Xen's handlers and guests, which handle them; the pirqs of domains, and messages that are mapped
//! to them.

pub mod cpus;
pub mod create;
pub mod direct;
pub mod guests;
pub mod handler;
pub mod interrupt;
pub mod log;
pub mod messages;
pub mod options;
pub mod pirq_log;
pub mod pirqs;
pub mod place;
pub mod rate_limit;
pub mod request;
pub mod signal;
pub mod stack;
pub mod table;

use irq_core::irq::vectors;
use static_assertions::const_assert_eq;
use xen_sys as sys;

const_assert_eq!(
    vectors::FIRST_DYNAMIC as u32,
    sys::XEN_IRQ_FIRST_DYNAMIC_VECTOR as u32
);
const_assert_eq!(
    vectors::LAST_DYNAMIC as u32,
    sys::XEN_IRQ_LAST_DYNAMIC_VECTOR as u32
);
const_assert_eq!(
    vectors::FIRST_HIGH_PRIORITY as u32,
    sys::XEN_IRQ_FIRST_HIPRIORITY_VECTOR as u32
);
const_assert_eq!(
    vectors::LAST_HIGH_PRIORITY as u32,
    sys::XEN_IRQ_LAST_HIPRIORITY_VECTOR as u32
);
const_assert_eq!(
    vectors::MOVE_CLEAN_UP as u32,
    sys::XEN_IRQ_MOVE_CLEANUP as u32
);
