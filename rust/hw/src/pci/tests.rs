//! Every bit of each register, and every offset as the manuals print it.

use super::*;

#[test]
fn every_bit_of_a_base_address_belongs_to_one_field_or_none() {
    for bit in 0..32 {
        let bar = BaseAddress::new(1 << bit);
        let fields = (bar.is_io(), bar.is_64_bit(), bar.address());
        let expected = match bit {
            0 => (true, false, 0),
            2 => (false, true, 0),
            4.. => (false, false, 1 << bit),
            _ => (false, false, 0),
        };
        assert_eq!(fields, expected, "bit {bit}");
    }
    // Of the types in bits 2:1 only 2 has 64 bits; 1 and 3 are reserved.
    let wide = [0, 1, 2, 3].map(|kind| BaseAddress::new(kind << 1).is_64_bit());
    assert_eq!(wide, [false, false, true, false]);
}

#[test]
fn a_header_has_as_many_base_addresses_as_its_layout_says() {
    for header in 0..=u8::MAX {
        // Bit 7 says that the device has several functions.
        let expected = match header {
            0x00 | 0x80 => Some(6),
            0x01 | 0x81 => Some(2),
            0x02 | 0x82 => Some(1),
            _ => None,
        };
        assert_eq!(base_addresses(header), expected, "{header:#x}");
    }
}

#[test]
fn every_bit_of_msi_control_belongs_to_one_field_or_none() {
    for bit in 0..16 {
        let control = MsiControl::new(1 << bit);
        assert_eq!(control.raw(), 1 << bit);
        let fields = (control.is_64_bit(), control.is_maskable());
        assert_eq!(fields, (bit == 7, bit == 8), "bit {bit}");
    }
}

#[test]
fn changing_msi_control_leaves_the_other_bits() {
    for bit in 0..16 {
        for raw in [1 << bit, !(1 << bit)] {
            let control = MsiControl::new(raw);
            assert_eq!(control.with_enabled(true).raw(), raw | 0x0001);
            assert_eq!(control.with_enabled(false).raw(), raw & 0xfffe);
            assert_eq!(control.with_messages(1).raw(), raw & 0xff8f);
            assert_eq!(control.with_messages(4).raw(), raw & 0xff8f | 0x0020);
            assert_eq!(control.with_messages(32).raw(), raw & 0xff8f | 0x0050);
        }
    }
}

#[test]
fn the_messages_of_an_msi_are_a_power_of_two() {
    let none = MsiControl::new(0);
    for messages in 0..=300 {
        let log = none.with_messages(messages).raw() >> 4;
        let expected = (0..=7).rev().find(|log| 1 << log <= messages);
        assert_eq!(log, expected.unwrap_or(0), "{messages}");
    }
    assert_eq!(none.with_messages(u32::MAX).raw(), 0x0070);
}

#[test]
fn every_bit_of_msix_control_belongs_to_one_field_or_none() {
    for bit in 0..16 {
        for raw in [1 << bit, !(1 << bit)] {
            let control = MsixControl::new(raw);
            assert_eq!(control.raw(), raw);
            assert_eq!(control.enabled(), raw & 0x8000 != 0, "bit {bit}");
            assert_eq!(control.masks_all(), raw & 0x4000 != 0, "bit {bit}");
            assert_eq!(control.with_enabled(true).raw(), raw | 0x8000);
            assert_eq!(control.with_enabled(false).raw(), raw & 0x7fff);
            assert_eq!(control.with_mask_all(true).raw(), raw | 0x4000);
            assert_eq!(control.with_mask_all(false).raw(), raw & 0xbfff);
        }
    }
}

#[test]
fn every_bit_of_a_location_belongs_to_one_field() {
    for bit in 0..32 {
        let location = Location::new(1 << bit);
        let fields = (location.base_address(), location.offset());
        let expected = if bit < 3 {
            (1 << bit, 0)
        } else {
            (0, 1 << bit)
        };
        assert_eq!(fields, expected, "bit {bit}");
    }
}

/// PCI 3.0, figures 6-1 and 6-2, and the bits of the command register in table 6-1.
#[test]
fn the_registers_of_the_header_are_where_the_manual_says() {
    assert_eq!((COMMAND, HEADER_TYPE, BASE_ADDRESS_0), (0x04, 0x0e, 0x10));
    assert_eq!(COMMAND_MEMORY, 0x0002);
}

/// PCI 3.0, figure 6-9: the four layouts of the capability. The mask is there in those that have
/// one.
#[test]
fn the_registers_of_msi_are_where_the_manual_says() {
    for position in [0x40, 0xe8] {
        let narrow = MsiRegisters::new(position, false);
        let wide = MsiRegisters::new(position, true);
        for registers in [narrow, wide] {
            assert_eq!(registers.control(), position + 0x02);
            assert_eq!(registers.address(), position + 0x04);
        }
        assert_eq!(narrow.upper_address(), None);
        assert_eq!(wide.upper_address(), Some(position + 0x08));
        assert_eq!(
            [narrow.data(), wide.data()].map(|at| at - position),
            [0x08, 0x0c]
        );
        assert_eq!(
            [narrow.mask(), wide.mask()].map(|at| at - position),
            [0x0c, 0x10]
        );
    }
}

/// PCI 3.0, figure 6-10.
#[test]
fn the_registers_of_msix_are_where_the_manual_says() {
    for position in [0x40, 0xf4] {
        let registers = MsixRegisters::new(position);
        assert_eq!(registers.control(), position + 0x02);
        assert_eq!(registers.table(), position + 0x04);
        assert_eq!(registers.pending(), position + 0x08);
        let held = (0..0x1000).filter(|&register| registers.holds(register));
        assert!(held.eq(u32::from(position)..u32::from(position) + 0x0c));
    }
    assert!(!MsixRegisters::new(0x40).holds(u32::MAX));
}

/// PCIe 6.0, section 9.3.3.
#[test]
fn the_registers_of_sriov_are_where_the_manual_says() {
    use sriov::*;
    assert_eq!(
        [CONTROL, NUMBER, FIRST_OFFSET, STRIDE],
        [0x08, 0x10, 0x14, 0x16]
    );
    assert_eq!((BASE_ADDRESS_0, BASE_ADDRESSES), (0x24, 6));
    assert_eq!((CONTROL_ENABLE, CONTROL_MEMORY), (0x0001, 0x0008));
}
