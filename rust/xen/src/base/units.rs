//! Which C files Rust replaces in this build, where another unit depends on it.

/// Whether RUST_MSI is set. Then MSI descriptors are freed after a grace period, and the lock of a
/// table's pages keeps their mappings; C's msi.c frees and unmaps at once, under `pcidevs_lock`.
pub const MSI_IN_RUST: bool = cfg!(feature = "msi");
