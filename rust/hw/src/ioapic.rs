//! The redirection entry of an IO-APIC (82093AA datasheet, section 3.2.4; ICH10 datasheet, section
//! 13.5.7).

use crate::bits::bits;

bits! {
    /// A redirection entry in compatibility format.
    pub struct Pin([u64; 1]) {
        /// Vector.
        7:0 vector/with_vector: u8,
        /// Delivery mode.
        10:8 delivery_mode/with_delivery_mode: u8,
        /// Destination mode, set for logical.
        11:11 logical/with_logical: bool,
        /// Delivery status.
        12:12 delivery_status/with_delivery_status: bool,
        /// Polarity, set for active low.
        13:13 active_low/with_active_low: bool,
        /// Remote IRR.
        14:14 remote_irr/with_remote_irr: bool,
        /// Trigger mode, set for level.
        15:15 level_triggered/with_level_triggered: bool,
        /// Mask.
        16:16 masked/with_masked: bool,
        /// Destination, where hardware takes the entry. Software that remaps has destinations of 32
        /// bits in [`Self::upper`].
        63:56 destination/with_destination: u8,
    }
}

impl Pin {
    /// The half with vector, modes and state, without what is reserved.
    pub const fn lower(self) -> u32 {
        self.raw()[0] as u32 & 0x1_ffff
    }

    /// The half with the destination.
    pub const fn upper(self) -> u32 {
        (self.raw()[0] >> 32) as u32
    }

    /// Returns the entry with another upper half.
    #[must_use]
    pub const fn with_upper(self, half: u32) -> Self {
        Self::new([self.raw()[0] as u32 as u64 | (half as u64) << 32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::walk;

    #[test]
    fn every_bit_belongs_to_one_field_or_none() {
        walk(|raw| Pin::new(raw).fields());
    }

    #[test]
    fn halves_are_parts_of_the_whole() {
        let pin = Pin::new([u64::MAX]);
        assert_eq!((pin.lower(), pin.upper()), (0x1_ffff, u32::MAX));
        let pin = pin.with_upper(0x1234_5678);
        assert_eq!((pin.upper(), pin.destination()), (0x1234_5678, 0x12));
        assert_eq!(pin.raw()[0] as u32, u32::MAX);
    }
}
