//! The MSI-X table in a device's memory (PCI Local Bus Specification 3.0, section 6.8.2; PCIe 6.0,
//! section 7.7.2).

/// Bytes of one table entry: address low, address high, data and vector control, a dword each.
pub const ENTRY_SIZE: u64 = 16;

/// Offset of the lower dword of an entry's address, in bytes.
pub const ADDRESS: u64 = 0;

/// Offset of the upper dword of an entry's address, in bytes.
pub const UPPER_ADDRESS: u64 = 4;

/// Offset of the data dword of an entry, in bytes.
pub const DATA: u64 = 8;

/// Offset of the vector control dword in an entry, in bytes.
pub const VECTOR_CTRL: u64 = 12;

/// Largest number of entries of a table: the table size field of message control has eleven bits
/// and counts from one.
pub const MAX_ENTRIES: usize = 2048;

/// Mask bit of vector control; the other 31 bits are reserved or steering tags, which no guest of
/// Xen's is offered.
pub const MASKED: u32 = 1;
