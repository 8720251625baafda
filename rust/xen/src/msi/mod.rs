//! What MSI and MSI-X of the host's devices need of Xen, and nothing else does.

pub mod config;
pub mod cpus;
pub mod desc;
pub mod device;
mod fixmap;
pub mod irq;
pub mod log;
pub mod message;
pub mod new;
mod owner;
pub mod pages;
pub mod ranges;
pub mod request;
pub mod reserved;
mod table;

pub use owner::hardware;
