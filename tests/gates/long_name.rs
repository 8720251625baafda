//! Fault: a name that overruns Xen's buffer.
#![no_std]

/// Has a name of 140 characters.
#[unsafe(export_name = "planted_long_name_456789_123456789_123456789_123456789_123456789_123456789_123456789_123456789_123456789_123456789_123456789_123456789_12345")]
pub extern "C" fn long_name() -> u32 {
    1
}
