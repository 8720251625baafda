//! Base addresses, by which a function's table is found.

use crate::objects::pci_dev::PciDev;
use crate::objects::pci_sbdf::{self, Sbdf};
use irq_core::msi::place::VirtualFunctions;
use irq_hw::pci::{self, BaseAddress, sriov};

/// The address of a function's memory at one of its base addresses; `None` where it has none there.
#[doc(alias = "read_pci_mem_bar")]
pub fn address(device: PciDev, number: u8) -> Option<u64> {
    let address = match device.physical() {
        None => {
            let function = device.config();
            let count = pci::base_addresses(function.read8(pci::HEADER_TYPE))?;
            memory(function, pci::BASE_ADDRESS_0, count, number)?
        }
        Some(physical) => {
            let bytes = device.virtual_bytes(number);
            virtual_memory(physical, device.config().id(), number, bytes)?
        }
    };
    (address != 0).then_some(address)
}

/// Memory at a base address of a function with `count` of them, the first at a register.
fn memory(function: Sbdf, first: u16, count: u8, number: u8) -> Option<u64> {
    if number >= count {
        return None;
    }
    let register = |number: u8| function.read32(first + u16::from(number) * 4);
    let low = BaseAddress::new(register(number));
    if low.is_io() {
        return None;
    }
    let address = u64::from(low.address());
    if !low.is_64_bit() {
        return Some(address);
    }
    if number + 1 >= count {
        return None;
    }
    Some(address | u64::from(register(number + 1)) << 32)
}

/// Memory of the virtual function with an ID: that of all of them lies side by side, `bytes` for
/// each.
fn virtual_memory(physical: Sbdf, id: u16, number: u8, bytes: Option<u64>) -> Option<u64> {
    let capability = physical.extended_capability(pci_sbdf::SRIOV)?;
    let read = |register| physical.read16(capability + register);
    let control = read(sriov::CONTROL);
    let functions = VirtualFunctions {
        physical: physical.id(),
        number: read(sriov::NUMBER),
        first_offset: read(sriov::FIRST_OFFSET),
        stride: read(sriov::STRIDE),
    };
    if control & sriov::CONTROL_ENABLE == 0 || control & sriov::CONTROL_MEMORY == 0 {
        return None;
    }
    let bytes = bytes?;
    let distance = u64::from(functions.index(id)?).wrapping_mul(bytes);
    let first = capability + sriov::BASE_ADDRESS_0;
    Some(memory(physical, first, sriov::BASE_ADDRESSES, number)?.wrapping_add(distance))
}
