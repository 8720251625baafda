//! MSI and MSI-X of the host's devices, as Xen sets them up and masks them.

pub mod generation;
pub mod mask;
pub mod numbers;
pub mod place;
pub mod window;
