//! A fixture in the place of the Rust object: what abi-stock.c offers. Each `cfg` plants one fault.
#![no_std]
#![allow(unexpected_cfgs)]

unsafe extern "C" {
    safe fn abi_needed(value: i32) -> i32;
    #[cfg(PLANT_NEED)]
    safe fn abi_nowhere(value: i32) -> i32;
}

/// A structure of Xen's.
pub struct Domain;

#[cfg(not(any(PLANT_COUNT, PLANT_NARROW, PLANT_RESULT)))]
#[unsafe(no_mangle)]
pub extern "C" fn abi_first(d: *mut Domain, narrow: u32, wide: u64) -> i32 {
    abi_needed(i32::from(!d.is_null() && u64::from(narrow as u8) > wide))
}

#[cfg(PLANT_COUNT)]
#[unsafe(no_mangle)]
pub extern "C" fn abi_first(d: *mut Domain) -> i32 {
    abi_needed(i32::from(d.is_null()))
}

#[cfg(PLANT_NARROW)]
#[unsafe(no_mangle)]
pub extern "C" fn abi_first(d: *mut Domain, narrow: u8, wide: u64) -> i32 {
    abi_needed(i32::from(!d.is_null() && u64::from(narrow) > wide))
}

#[cfg(PLANT_RESULT)]
#[unsafe(no_mangle)]
pub extern "C" fn abi_first(d: *mut Domain, narrow: u32, wide: u64) -> u64 {
    u64::from(!d.is_null() && u64::from(narrow as u8) > wide)
}

#[cfg(not(any(PLANT_MISSING, PLANT_KIND)))]
#[unsafe(no_mangle)]
pub extern "C" fn abi_second(d: Option<&Domain>) -> bool {
    d.is_some()
}

#[cfg(PLANT_KIND)]
#[unsafe(no_mangle)]
pub static abi_second: [u32; 2] = [1, 2];

#[cfg(PLANT_EXTRA)]
#[unsafe(no_mangle)]
pub extern "C" fn abi_extra(value: u32) -> u32 {
    value + 1
}

#[cfg(PLANT_NEED)]
#[unsafe(no_mangle)]
pub extern "C" fn xen_irq_abi_needy(value: i32) -> i32 {
    abi_nowhere(value)
}

/// Is called by the shim alone.
#[cfg(not(PLANT_PRIVATE))]
#[unsafe(no_mangle)]
pub extern "C" fn xen_irq_abi_private(address: u64) -> i32 {
    (address & 1) as i32
}

#[cfg(PLANT_PRIVATE)]
#[unsafe(no_mangle)]
pub extern "C" fn xen_irq_abi_private(address: u32) -> i32 {
    (address & 1) as i32
}

#[unsafe(no_mangle)]
pub extern "C" fn abi_hook() {}
