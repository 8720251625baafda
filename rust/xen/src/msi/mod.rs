//! What MSI and MSI-X of the host's devices need of Xen, and nothing else does.

pub mod bar;
pub mod config;
pub mod device;
mod fixmap;
mod handler;
mod head;
pub mod log;
pub mod message;
pub mod new;
pub mod options;
pub mod pages;
pub mod register_lock;
pub mod table;
