//! Interrupt remapping of AMD-Vi (AMD I/O Virtualization Technology Specification, 48882, revision
//! 3.08, section 2.2.5).

use crate::bits::bits;

bits! {
    /// An interrupt remapping table entry of 32 bits, in the lower half of the word (section
    /// 2.2.5).
    pub struct Irte32([u64; 1]) {
        /// RemapEn: the entry is valid.
        0:0 enabled/with_enabled: bool,
        /// SupIOPF: faults are not logged.
        1:1 faults_suppressed/with_faults_suppressed: bool,
        /// IntType: delivery mode.
        4:2 delivery_mode/with_delivery_mode: u8,
        /// RqEoi: the interrupt takes an EOI.
        5:5 eoi_requested/with_eoi_requested: bool,
        /// DM: destination mode, set for logical.
        6:6 logical/with_logical: bool,
        /// GuestMode: clear in this format.
        7:7 guest_mode/with_guest_mode: bool,
        /// Destination.
        15:8 destination/with_destination: u8,
        /// Vector.
        23:16 vector/with_vector: u8,
    }
}

bits! {
    /// An interrupt remapping table entry of 128 bits (section 2.2.5).
    pub struct Irte128([u64; 2]) {
        /// RemapEn: the entry is valid.
        0:0 enabled/with_enabled: bool,
        /// SupIOPF: faults are not logged.
        1:1 faults_suppressed/with_faults_suppressed: bool,
        /// IntType: delivery mode.
        4:2 delivery_mode/with_delivery_mode: u8,
        /// RqEoi: the interrupt takes an EOI.
        5:5 eoi_requested/with_eoi_requested: bool,
        /// DM: destination mode, set for logical.
        6:6 logical/with_logical: bool,
        /// GuestMode: clear in this format.
        7:7 guest_mode/with_guest_mode: bool,
        /// Bits 23:0 of the destination.
        31:8 destination_low/with_destination_low: u32,
        /// Vector.
        71:64 vector/with_vector: u8,
        /// Bits 31:24 of the destination.
        127:120 destination_high/with_destination_high: u8,
    }
}

impl Irte128 {
    /// The destination.
    pub const fn destination(self) -> u32 {
        (self.destination_high() as u32) << 24 | self.destination_low()
    }

    /// Returns the entry with another destination.
    #[must_use]
    pub const fn with_destination(self, id: u32) -> Self {
        self.with_destination_low(id & 0xff_ffff)
            .with_destination_high((id >> 24) as u8)
    }
}

/// Bits 10:0 of an MSI's data are the number of the table's entry (section 2.2.5). Those of an
/// IO-APIC's entry, vector and delivery mode, become those of the data.
pub const MSI_INDEX: u32 = 0x7ff;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::walk;

    #[test]
    fn every_bit_belongs_to_one_field_or_none() {
        walk(|raw| Irte32::new(raw).fields());
        walk(|raw| Irte128::new(raw).fields());
    }

    #[test]
    fn the_destination_is_in_two_places() {
        let entry = Irte128::new([0, 0]).with_destination(0xa5b6_c7d8);
        assert_eq!(entry.destination(), 0xa5b6_c7d8);
        assert_eq!(entry.raw(), [0xb6_c7d8 << 8, 0xa5 << 56]);
    }
}
